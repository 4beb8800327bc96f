"""The plugin in a run with workers that can't do what they are to: all that is owed is answered."""

import os
import re
import subprocess
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from tmref.plugin import _Choice
from tmref.verdicts import ERROR, PASS, read

ADAPTER = """
import os, sys, threading, time
import torch
from tmref import Labels, TensorMap
from tmref.implementations import Known
from tmref.implementations.reference import Reference
from tmref.laws import row_of_module

in_worker = "PYTEST_XDIST_WORKER" in os.environ

def row(name, does, **more):
    class Own(torch.nn.Module):
        def forward(self, x):
            does(x) if more else does()
            return x
    return row_of_module(lambda x: Own(), name=name, traits=["keeps_keys"], **more)

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
    done, verdicts = checked(source, tmp_path, workers, "--junitxml", "junit.xml")
    assert done.returncode == 1
    assert [v.verdict for v in verdicts] == [ERROR]
    assert re.match(words, verdicts[0].message)
    ((tag, message, _),) = cases_of(tmp_path / "junit.xml")[0][verdicts[0].case]
    assert (tag, message.strip()) == ("failure", f"error: {verdicts[0].message}")
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


#: Rows that pass, raise, end the process, and fail as it is known that they do.
MIXED = """
def gate(x):
    x.block(0)

GATE = row("known", gate, maps={"min_blocks": 0})

class Mixed(Adapter):
    rows = (CRASHING row("passing", lambda: None), row("raising", lambda: [][1]), GATE)
    known = tuple(
        Known(
            law=law,
            rows=("known",),
            when=lambda recipe, x: len(x) == 0,
            example=lambda row: GATE.example(TensorMap(Labels.range("key", 0), [])),
            reason="a gate looks at the first block <&>",
        )
        for law in ("it_can_be_made_and_called", "a_map_without_blocks_gives_one_without_blocks")
    )

implementation = Mixed()
"""
#: What is decoded is wrong, so that no law says anything.
WRONG = """
    rows = (row("passing", lambda: None),)
    def decode(self, tensor):
        return TensorMap(tensor.keys, [block.copy() for block in tensor][1:])
implementation = Adapter()
"""


def cases_of(path):
    """What becomes of the laws' test cases in a file of JUnit's, with what is said of them; and how many
    test cases it has."""
    (suite,) = ElementTree.parse(path).getroot()
    found = {}
    for case in suite:
        if (name := case.attrib["name"]).startswith("test_law["):
            name = name.removeprefix("test_law[").removesuffix("]")
            assert name not in found
            parts = [part for part in case if part.tag != "properties"]
            found[name] = [(part.tag, part.attrib["message"], part.text or "") for part in parts]
    failures = [name for name, parts in found.items() for tag, *_ in parts if tag == "failure"]
    assert len(failures) == int(suite.attrib["failures"])
    return found, int(suite.attrib["tests"])


@pytest.mark.parametrize(
    ("source", "workers", "statuses"),
    [
        (MIXED.replace("CRASHING", ""), "-n0", {"pass", "error", "known", "not offered"}),
        pytest.param(
            MIXED.replace("CRASHING", "row('crashing', lambda: os._exit(7)),"),
            "-n2",
            {"pass", "error", "known", "not offered"},
            marks=pytest.mark.slow,
        ),
        pytest.param(WRONG, "-n1", {"error", "untested"}, marks=pytest.mark.slow),
    ],
    ids=["in this process", "in workers", "smoke"],
)
def test_junit_has_a_case_for_each_verdict_and_a_failure_for_what_is_unexpected(
    source, workers, statuses, tmp_path
):
    selection = "decoded or keys_survive or can_be_made or without_blocks"
    done, verdicts = checked(source, tmp_path, workers, "-k", selection, "--junitxml", "junit.xml")
    assert done.returncode == 1, done.stderr
    assert {v.status for v in verdicts} == statuses
    found, number = cases_of(tmp_path / "junit.xml")
    assert found.keys() == {v.case for v in verdicts}
    assert number == len(verdicts)
    for v in verdicts:
        if v.status == PASS:
            assert found[v.case] == []
            continue
        ((tag, message, text),) = found[v.case]
        assert tag == ("skipped" if v.expected else "failure")
        assert (v.known or v.message.splitlines()[0]) in message
        assert (v.reproducer or "").rstrip() in text or v.expected


def test_cases_come_in_the_order_that_is_said():
    def item(name):
        case = SimpleNamespace(name=name)
        return SimpleNamespace(callspec=SimpleNamespace(params={"tmref_case": case}))

    items = [item(name) for name in "dbac"]
    config = SimpleNamespace(hook=SimpleNamespace(pytest_deselected=lambda items: None))
    _Choice(None, ["b"], ["a", "b", "c", "d"]).pytest_collection_modifyitems(config, items)
    assert [item.callspec.params["tmref_case"].name for item in items] == ["a", "c", "d"]


#: A module whose law is broken by some examples, found after others.
RARELY_WRONG = """
    def make(self, call):
        module = super().make(call)
        if call.name == "Tanh":
            right = module.forward
            module.forward = lambda x: x if x.block(0).values.shape[0] > 2 else right(x)
        return module
    rows = tuple(row for row in Reference.rows if row.name == "tanh")
implementation = Adapter()
"""


def test_what_was_found_before_changes_no_verdict_unless_it_is_to_be_tried_first(tmp_path):
    def check(*more):
        arguments = ("-k", "values_are_those_of_plain_torch", "-n0", *more)
        _, verdicts = checked(RARELY_WRONG, tmp_path, *arguments)
        settings = read(tmp_path / "report.jsonl").header["settings"]
        return [vars(v) | {"seconds": 0} for v in verdicts], settings["kept examples"]

    first, kept = check()
    assert [v["verdict"] for v in first] == ["fail"]
    assert (check()[0], kept) == (first, None)
    assert not (tmp_path / ".hypothesis" / "tmref").exists()
    database = ("--database", "kept")
    before, kept = check(*database)
    assert (before, kept) == (first, "tried first")
    assert check(*database)[0] != first, "what was kept was not tried first"
