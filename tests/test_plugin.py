"""The plugin in a run with workers that can't do what they are to: all that is owed is answered."""

import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tmref.plugin import _Choice
from tmref.verdicts import ERROR, PASS, read

ADAPTER = """
import os, sys, threading, time
import torch
from tmref.implementations.reference import Reference
from tmref.laws import row_of_module

in_worker = "PYTEST_XDIST_WORKER" in os.environ

def row(name, does):
    class Own(torch.nn.Module):
        def forward(self, x):
            does()
            return x
    return row_of_module(lambda x: Own(), name=name, traits=["keeps_keys"])

class Adapter(Reference):
    name, version, judges_data = "own", "1", False
"""
ONE_ROW = """
    rows = (row("one", lambda: None),)
implementation = Adapter()
"""


def checked(source, tmp_path, *arguments):
    """The verdicts on whether keys survive, and the outcome of the check."""
    (tmp_path / "own.py").write_text(ADAPTER + source)
    command = [sys.executable, "-W", "ignore", "-m", "tmref", "check", "own:implementation"]
    options = ["--quick", "-k", "keys_survive", "--report", "report.jsonl", *arguments]
    alone = {name: value for name, value in os.environ.items() if name != "PYTEST_XDIST_WORKER"}
    done = subprocess.run(
        [*command, *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        timeout=200,
        env=alone,
    )
    results = read(tmp_path / "report.jsonl")
    assert results.footer is not None
    return done, results.verdicts


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            f"{ONE_ROW}if in_worker: os._exit(3)",
            "no worker starts: 3 in a row ended before a law was tried",
        ),
        (
            f"{ONE_ROW}if in_worker: raise RuntimeError('mine')",
            "a worker can't try it: .*RuntimeError: mine",
        ),
        (
            "    rows = (row(f'r{os.getpid()}', lambda: None),)\nimplementation = Adapter()",
            "workers have rows of other names: they must be the same in each process",
        ),
    ],
    ids=["exits", "raises", "names"],
)
@pytest.mark.parametrize("workers", ["-n1", "-n2"])
def test_workers_that_can_try_nothing_are_said_to_and_all_is_accounted_for(
    source, words, workers, tmp_path
):
    done, verdicts = checked(source, tmp_path, workers)
    assert done.returncode == 1
    assert [v.verdict for v in verdicts] == [ERROR]
    assert re.match(words, verdicts[0].message)
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.slow
def test_rows_may_come_in_any_order(tmp_path):
    source = "    rows = tuple(row(name, lambda: None) for name in {'a', 'b', 'c', 'd', 'e'})\n"
    done, verdicts = checked(source + "implementation = Adapter()", tmp_path, "-n2")
    assert done.returncode == 0, done.stderr
    assert [v.verdict for v in verdicts] == [PASS] * 5


@pytest.mark.slow
def test_who_is_hit_by_what_was_tried_before_is_tried_alone(tmp_path):
    source = """
    rows = (
        row("late", lambda: threading.Timer(0.5, os._exit, (7,)).start()),
        row("innocent", lambda: time.sleep(1)),
    )
implementation = Adapter()
"""
    done, verdicts = checked(source, tmp_path)
    assert done.returncode == 1, done.stderr
    late, innocent = sorted(verdicts, key=lambda verdict: verdict.row, reverse=True)
    assert late.verdict == PASS
    assert innocent.verdict == ERROR
    assert innocent.message == (
        "its worker ended (it ended the process, with status 7); alone it is pass: what was tried there "
        "before may be to blame, late"
    )


@pytest.mark.slow
def test_an_exit_of_the_main_process_is_no_good_end(tmp_path):
    (tmp_path / "own.py").write_text(
        f"{ADAPTER}    rows = (row('one', lambda: os._exit(0)),)\nimplementation = Adapter()"
    )
    command = [sys.executable, "-W", "ignore", "-m", "tmref", "check", "own:implementation", "-n0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "what is judged ended the process, with status 0: the check is cut short" in done.stderr


def test_cases_come_in_the_order_that_is_said():
    def item(name):
        case = SimpleNamespace(name=name)
        return SimpleNamespace(callspec=SimpleNamespace(params={"tmref_case": case}))

    items = [item(name) for name in "dbac"]
    config = SimpleNamespace(hook=SimpleNamespace(pytest_deselected=lambda items: None))
    _Choice(None, ["b"], ["a", "b", "c", "d"]).pytest_collection_modifyitems(config, items)
    assert [item.callspec.params["tmref_case"].name for item in items] == ["a", "c", "d"]
