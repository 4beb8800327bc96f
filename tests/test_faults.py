"""A library that crashes and hangs costs the verdicts that it spoils, and no other."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tmref.verdicts import ERROR, PASS, read

HERE = Path(__file__).parent / "faults"


def faults():
    """By row: what it does, and what its verdict says."""
    spec = importlib.util.spec_from_file_location("faults_adapter", HERE / "adapter.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FAULTS


FAULTS = faults()
#: What can be held in the process that runs the laws.
HELD = (
    "sleeps",
    "sys_exit",
    "interrupts",
    "of_its_own",
    "surrogates",
    "never_pickled",
    "recursion",
    "noise",
)
QUICK = ("exit_0", "segfault", "searches", "surrogates", "noise", "none")


def checked(rows, tmp_path, *arguments, timeout=1):
    """What a check of one law on these rows printed, and the verdicts by row."""
    path = tmp_path / "report.jsonl"
    selected = " or ".join(f"faults-{row}-keys_survive" for row in rows)
    command = [sys.executable, "-W", "ignore", "-m", "tmref", "check", "adapter:implementation"]
    limits = ["--timeout", str(timeout), "--memory", "2", "--report", path, "-k", selected]
    done = subprocess.run([*command, *limits, *arguments], capture_output=True, text=True, cwd=HERE)
    return done, {v.row: v for v in read(path).verdicts}


def expect(rows, done, found):
    assert set(found) == set(rows), done.stdout + done.stderr
    for row in rows:
        words = FAULTS[row][1]
        if words is None:
            assert (found[row].verdict, found[row].message) == (PASS, None)
        else:
            assert found[row].verdict == ERROR
            assert re.match(words, found[row].message), (row, found[row].message)
    assert done.returncode == 1, done.stderr
    assert "cut short" not in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert len(done.stderr) < 10_000


def test_a_crash_and_a_hang_cost_one_verdict_each(tmp_path):
    expect(QUICK, *checked(QUICK, tmp_path, "-n2"))


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["-n1", "-n2"])
def test_every_fault_costs_the_verdict_that_it_spoils(workers, tmp_path):
    expect(list(FAULTS), *checked(FAULTS, tmp_path, workers, timeout=3))


@pytest.mark.slow
def test_what_can_be_held_is_held_in_the_main_process(tmp_path):
    done, found = checked(HELD, tmp_path, "-n0")
    expect(HELD, done, found)
    assert "in the main process (-n 0) a crash ends the check" in done.stderr


@pytest.mark.parametrize(
    ("source", "status"),
    [("import os; os._exit(0)", "status 0"), ("import ctypes; ctypes.string_at(0)", "the signal 11")],
)
def test_an_adapter_that_ends_the_process_is_said_to(source, status, tmp_path):
    (tmp_path / "ends.py").write_text(source)
    command = [sys.executable, "-W", "ignore", "-m", "tmref", "check", "ends:implementation"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"importing it ends the process, with {status}" in done.stderr


def test_a_report_that_is_none_is_not_overwritten_and_nothing_is_tried(tmp_path):
    (tmp_path / "adapter.py").write_text("mine")
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tmref",
        "check",
        "reference",
        "--report",
        "adapter.py",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "adapter.py is there and is no report of tmref check: it is left as it is" in done.stderr
    assert (tmp_path / "adapter.py").read_text() == "mine"
