"""What is said while a check runs, where pytest has its dots."""

import os
import pty
import re
import subprocess
import sys

import pytest

from tmref.reports import progress
from tmref.reports.progress import Bar
from tmref.verdicts import Verdict

SELECTED = ("-k", "relu and keys_survive and not invariant and not sequential", "--quick")


def all_of(descriptor):
    """All that was written to the terminal whose other end this is, when that is closed."""
    read = b""
    try:
        while more := os.read(descriptor, 4096):
            read += more
    except OSError:  # the other end is closed, and everything was read
        pass
    os.close(descriptor)
    return read.decode()


@pytest.mark.parametrize("workers", ["-n0", pytest.param("-n2", marks=pytest.mark.slow)])
def test_a_terminal_has_a_bar_that_counts_the_verdicts(workers):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-W", "ignore", "-m", "tmref", "check", "reference", *SELECTED, workers]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, text=True, check=False)
    os.close(theirs)
    drawn = all_of(ours)
    assert done.returncode == 0, done.stdout
    assert drawn.startswith("tmref check: loading ...")
    assert "0/1" in drawn
    assert "1/1" in drawn
    assert "left" in drawn
    assert "reference-relu-keys_survive_in_order" in drawn
    assert "bringing up nodes" not in done.stdout + drawn
    assert done.stdout.strip().startswith("pass")


def verdict(law, kind="fail", message="this is wrong\nthis too", **more):
    return Verdict(law, "row", "mine", "1", kind, message=message, **more)


def said_of(verdicts, last="last", **how):
    """Let the bar say that these are found, of one more."""
    bar = Bar(**how)
    names = [f"test_law[{v.case}]" for v in verdicts]
    bar.pytest_xdist_node_collection_finished(None, [*names, f"test_law[{last}]"])
    for name in [*names, f"test_law[{last}]"]:
        bar.pytest_runtest_logstart(name)
    for name, found in zip(names, verdicts, strict=True):
        bar.pytest_tmref_verdict(name, found)
    bar.pytest_unconfigure()


@pytest.fixture
def on_a_terminal(monkeypatch):
    """What the bar says on a terminal with these variables."""

    def run(verdicts, last="last", columns=80, **environment):
        for name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm", "COLUMNS": str(columns), **environment}.items():
            monkeypatch.setenv(name, value)
        ours, theirs = pty.openpty()
        with os.fdopen(theirs, "w") as stderr, monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stderr)
            said_of(verdicts, last)
        return all_of(ours)

    return run


def plain(drawn):
    """What was drawn without colors and moves of the cursor."""
    return re.sub(r"\x1b\[[\d;?]*\w", "", drawn)


FOUND = [
    verdict("first", reproducer="script()"),
    verdict("first", reproducer="script()"),
    verdict("second", known="a reason"),
    verdict("third", "pass", None),
]


def test_the_bar_has_the_rate_the_verdicts_the_time_left_and_what_is_tried(on_a_terminal):
    drawn = on_a_terminal(FOUND)
    assert re.search(r"4/5 \d+\.\d/s 1 known, 2 unexpected \d:\d\d:\d\d left", plain(drawn))
    assert plain(drawn).rstrip().endswith("last")
    assert "\x1b[1;31mfail: first on row of mine" in drawn


@pytest.mark.parametrize("columns", [80, 160])
def test_the_bar_is_on_two_lines(columns, on_a_terminal):
    found = [verdict("third", "pass", None)]
    lines = plain(on_a_terminal(found, "a_law_of_many_words" * 10, columns)).splitlines()
    assert max(map(len, lines)) == columns
    assert any(line.endswith("…") for line in lines)


def test_no_color_is_obeyed(on_a_terminal):
    drawn = on_a_terminal(FOUND, NO_COLOR="1")
    assert "4/5" in drawn
    assert not re.search(r"\x1b\[[\d;]*3\d", drawn)


def test_a_terminal_that_can_draw_nothing_has_lines(on_a_terminal, monkeypatch):
    monkeypatch.setattr(progress, "_EVERY", 0)
    drawn = on_a_terminal(FOUND, TERM="dumb")
    assert "\x1b" not in drawn
    assert "4 of 5 verdicts, " in drawn


def test_a_failure_is_said_when_it_is_found_once_for_all_that_is_alike(capfd):
    said_of(FOUND)
    assert capfd.readouterr().err == "fail: first on row of mine\n    this is wrong\n"


def test_a_library_that_breaks_every_law_does_not_flood_the_terminal(capfd):
    wrong = [verdict(f"law_{i}", message=f"wrong {i}", reproducer="script()") for i in range(100)]
    said_of(wrong)
    said_of([verdict(f"law_{i}", "error", "crashed (SIGSEGV)") for i in range(100)])
    lines = capfd.readouterr().err.splitlines()
    assert lines[-3:] == [
        "further failures are only counted",
        "error: law_0 on row of mine",
        "    crashed (SIGSEGV)",
    ]
    assert len(lines) == 2 * 20 + 3


def test_what_is_said_on_a_row_is_said_once_by_whatever_law(capfd):
    """Crashes have scripts, each of its law."""
    crash = {"kind": "error", "message": "crashed (SIGSEGV)", "reproducer": "script()"}
    found = [verdict(f"law_{i}", **crash) for i in range(30)]
    other = Verdict("law_40", "other", "mine", "1", "error", message="crashed (SIGSEGV)")
    said_of([*found, other])
    lines = capfd.readouterr().err.splitlines()
    assert lines[::2] == ["error: law_0 on row of mine", "error: law_40 on other of mine"]


def test_lines_come_now_and_then_where_there_is_no_terminal(capfd, monkeypatch):
    said_of([verdict("third", "pass", None)])
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(progress, "_EVERY", 0)
    said_of(FOUND[2:])
    first, second = capfd.readouterr().err.splitlines()
    number = r"\d+\.\d/s, \d+:\d\d:\d\d left"
    assert re.fullmatch(
        rf"1 of 3 verdicts, {number}: 1 known, 0 unexpected; trying mine-row-third", first
    )
    assert re.fullmatch(rf"2 of 3 verdicts, {number}: 1 known, 0 unexpected; trying last", second)


def test_nothing_is_said_where_that_is_asked_for(capfd, monkeypatch):
    monkeypatch.setattr(progress, "_EVERY", 0)
    said_of(FOUND, quiet=True)
    assert capfd.readouterr().err == ""


def test_a_line_where_nothing_is_tried_says_no_more(capfd, monkeypatch):
    monkeypatch.setattr(progress, "_EVERY", 0)
    bar = Bar()
    bar.pytest_xdist_node_collection_finished(None, ["one", "two"])
    bar.pytest_tmref_verdict("one", FOUND[-1])
    bar.pytest_unconfigure()
    assert "trying" not in capfd.readouterr().err
