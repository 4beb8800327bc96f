"""Work in a process of its own: what it gives and raises comes back, and what ends it is said."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tmref.laws import check_module
from tmref.laws.apart import apart
from tmref.laws.limits import Ended, a_call, at_most
from tmref.verdicts import ERROR, FAIL, PASS

CRASHED = "crashed (SIGKILL)"


class NeverPickled(Exception):
    def __reduce__(self):
        raise TypeError("no pickles")


def crash():
    os.kill(os.getpid(), signal.SIGKILL)  # others would be told by Python, too


def raises(error):
    raise error


def test_what_the_work_gives_comes_back_from_another_process():
    assert apart(lambda: (os.getpid(), "x" * 1_000_000)) != (os.getpid(), "x" * 1_000_000)
    assert apart(lambda: "x" * 1_000_000) == "x" * 1_000_000


@pytest.mark.parametrize(
    ("error", "kind"), [(KeyError("a"), KeyError), (NeverPickled("x"), RuntimeError)]
)
def test_what_is_raised_there_is_raised_here(error, kind):
    with pytest.raises(kind, match=str(error).strip("'")):
        apart(lambda: raises(error))


@pytest.mark.parametrize(
    ("work", "reason", "status"),
    [
        (crash, CRASHED, -9),
        (lambda: os.kill(os.getpid(), 40), "crashed (signal 40)", -40),
        (lambda: os._exit(3), "it ended the process, with status 3", 3),
        (lambda: os._exit(0), "it ended the process, with status 0", 0),
    ],
)
def test_what_ends_it_is_said(work, reason, status):
    assert apart(work) == Ended(reason, None, status)


def test_what_takes_too_long_and_catches_all_is_ended():
    def work():
        while True:
            try:
                with at_most(0.1):
                    while True:
                        try:
                            time.sleep(1)
                        except BaseException:
                            continue
            except BaseException:
                continue

    assert apart(work) == Ended("it took longer than 0.1 s", None)


def test_what_takes_too_much_memory_is_ended():
    kept = []

    def work():
        while True:
            kept.append(bytearray(2**26))
            time.sleep(0.01)

    assert apart(work, memory=2) == Ended("it used more than 2 GiB of memory", None)


def test_memory_that_was_there_before_is_not_its_own():
    assert apart(lambda: time.sleep(0.5), memory=0.05) is None


def test_what_it_has_started_is_ended_with_it():
    def work():
        return os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "60")

    process = apart(work)
    until = time.monotonic() + 5
    while Path(f"/proc/{process}").exists() and " Z " not in Path(f"/proc/{process}/stat").read_text():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_child_of_what_is_judged_does_not_go_on(tmp_path):
    def work():
        with a_call():
            os.fork()
        with (tmp_path / "gone_on").open("a") as file:
            file.write("once")
        time.sleep(0.3)

    apart(work)
    assert (tmp_path / "gone_on").read_text() == "once"


def test_what_it_has_started_keeps_nobody_waiting():
    def work():
        if not os.fork():
            time.sleep(10)
            os._exit(0)
        os._exit(5)

    started = time.monotonic()
    assert apart(work) == Ended("it ended the process, with status 5", None, 5)
    assert time.monotonic() - started < 8


def test_what_was_printed_before_is_not_printed_twice(capfd):
    print("once", end="")
    apart(lambda: print("there"))
    sys.stdout.flush()
    assert capfd.readouterr().out.split() == ["oncethere"]


def test_a_crash_is_not_told_by_python_too():
    script = """
import os, signal
from tmref.laws.apart import apart
print(apart(lambda: os.kill(os.getpid(), signal.SIGSEGV)))
"""
    command = [sys.executable, "-W", "ignore", "-X", "faulthandler", "-c", script]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(Ended("crashed (SIGSEGV)", None, -11))
    assert found.stderr == ""


class Crashes(torch.nn.Module):
    def forward(self, x):
        if any(block.has_any_gradient() for block in x):
            crash()
        return x


@pytest.mark.parametrize("limit", [{"timeout": 30}, {"memory": 8}])
def test_a_module_that_crashes_fails_the_laws_that_it_crashes_in(limit):
    verdicts = check_module(
        lambda x: Crashes(), traits=["keeps_keys"], effort=0.1, on_fail=None, **limit
    )
    crashed = [v for v in verdicts if v.message == CRASHED]
    assert crashed
    assert {v.verdict for v in crashed} == {ERROR}
    for verdict in crashed:
        assert "add_gradient(" in verdict.counterexample
        assert verdict.reproducer.rstrip().endswith("y = module(x)")
    assert not any(v.verdict in (FAIL, ERROR) for v in verdicts if v not in crashed)
    assert {v.law: v.verdict for v in verdicts}["keys_survive_in_order"] == PASS


@pytest.mark.parametrize("name", ["timeout", "memory"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), "3"])
def test_limits_are_numbers_above_0(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a number above 0, or None, got {value!r}"):
        check_module(lambda x: Crashes(), **{name: value})
