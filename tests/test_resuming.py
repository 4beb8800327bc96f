"""Runs that were cut short go on as if nothing had been, and what failed is tried again."""

import contextlib
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tmref.__main__ import main
from tmref.resuming import Misfit, begun, require_fit
from tmref.verdicts import Report, UnusablePlace, Verdict, header, part_of, read, usable_place

SELECTED = (
    "-k",
    "tanh and (are_those_of_plain or keys_survive) and not invariant and not map",
)
#: They share a run.
in_one_process = pytest.mark.xdist_group("whole")


def command(*arguments):
    return [sys.executable, "-W", "ignore", "-m", "tmref", "check", *map(str, arguments)]


def check(*arguments, cwd):
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, cwd=cwd)


def found_in(path):
    """The verdicts by what they are on, without the seconds that they took."""
    return {v.case: dataclasses.replace(v, seconds=0) for v in read(path).verdicts}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, wrong_tanh):
    """The report of a run that nothing cut short, in a folder with a library that fails some laws."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "broken.py").write_text(wrong_tanh)
    done = check("broken:mine", *SELECTED, "--report", "report.jsonl", cwd=folder)
    assert done.returncode == 1, done.stderr
    failed = [v for v in read(folder / "report.jsonl").verdicts if not v.expected]
    assert len(failed) > 1
    assert failed[-1].examples > 1
    return folder / "report.jsonl"


@pytest.fixture
def cut(whole):
    """The report beside it, cut after so many verdicts, with what came after them."""

    def write(verdicts, rest=""):
        lines = whole.read_text().splitlines(keepends=True)
        path = whole.with_name("cut.jsonl.part")
        path.write_text("".join(lines[: 1 + verdicts]) + rest)
        return path

    yield write
    for path in whole.parent.glob("cut*"):
        path.unlink()


@in_one_process
def test_a_run_that_was_killed_goes_on(cut, whole):
    # what failed is in .hypothesis by now: a run that tried it first would count other examples
    kept = read(cut(2, '{"law": "ke\0\0\0\0\n\0')).verdicts
    done = check("--resume", "cut.jsonl", cwd=whole.parent)
    assert done.returncode == 1, done.stderr
    assert [path.name for path in whole.parent.glob("cut*")] == ["cut.jsonl"]
    report = whole.with_name("cut.jsonl")
    assert found_in(report) == found_in(whole)
    assert read(report).verdicts[:2] == kept  # they took the same seconds: they were not tried again
    assert read(report).footer == read(whole).footer


@in_one_process
@pytest.mark.slow
def test_a_report_that_is_complete_is_shown(whole):
    before = whole.read_bytes()
    done = check("--resume", "report.jsonl", cwd=whole.parent)
    assert done.returncode == 1
    assert "report.jsonl is complete: nothing was left to be tried" in done.stderr
    assert "fail: values_are_those_of_plain_torch" in done.stdout
    assert whole.read_bytes() == before


@in_one_process
@pytest.mark.slow
def test_what_does_not_fit_is_said_before_anything_is_tried(cut, whole):
    before = cut(2).read_bytes()
    given = ("broken:mine", "reference", "--thorough", "--hypothesis-seed", "3", "--timeout", "30")
    done = check("--resume", "cut.jsonl", *given, "-k", "", cwd=whole.parent)
    assert (done.returncode, done.stdout.strip()) == (2, "")
    (line,) = filter(None, done.stderr.splitlines())
    selection = f"selection was {SELECTED[-1]}, is nothing"
    version = "reference was nothing, is 0.1.0"
    assert line.startswith(
        f"ERROR: {whole.with_name('cut.jsonl')} doesn't fit, nothing was tried: {version}; effort was "
        f"1.0, is 10.0; {selection}; seed was 0, is 3. Leave out options that differ"
    )
    assert whole.with_name("cut.jsonl.part").read_bytes() == before


@pytest.mark.parametrize(
    ("of", "name", "words"),
    [
        ("versions", "torch", "torch was 0.1, is "),
        ("implementations", "mine", "mine was 0.1, is 1"),
        ("settings", "memory", "memory was 0.1, is 8"),
        (None, "device", "device was 0.1, is cpu"),
        (None, "processor", "processor was 0.1, is "),
        (None, "rows", "rows are others than they were: 0.1, linear"),
        (None, "laws", "laws are others than they were: 0.1, a_law"),
    ],
)
def test_whatever_verdicts_depend_on_has_to_fit(of, name, words, tmp_path):
    def head():
        return header({"mine": "1"}, {"a_law": ""}, ["linear"], 0, {"memory": 8}, "cpu")["header"]

    require_fit(tmp_path, head() | {"threads": 77, "names": ["a"]}, head())
    was = head()
    (was if of is None else was[of])[name] = ["0.1"] if name in ("rows", "laws") else "0.1"
    with pytest.raises(Misfit) as error:
        require_fit(tmp_path, was, head())
    assert f"nothing was tried: {words}" in str(error.value)
    assert "; " not in str(error.value)


def test_the_part_is_newer_than_what_is_in_its_place(tmp_path):
    path = tmp_path / "report.jsonl"
    assert begun(path) is None
    Report(path, header({}, {}, [], 0, {})).close(complete=True)
    report = Report(path, header({}, {}, [], 1, {}))
    assert begun(path).header["seed"] == 1
    part_of(path).write_text("")  # killed before it had a header
    assert begun(path).header["seed"] == 0
    report.close(complete=False)


def test_a_report_that_is_begun_again_has_all_it_had_at_any_time(tmp_path, monkeypatch):
    path = tmp_path / "report.jsonl"
    kept = [Verdict(f"law_{i}", "row", "mine", "1", "pass") for i in range(3)]
    head = header({}, {}, [], 0, {})
    Report(path, head, kept).close(complete=False)
    replace = Path.replace

    def seen(new, place):
        assert begun(path).verdicts == read(new).verdicts == kept
        return replace(new, place)

    monkeypatch.setattr(Path, "replace", seen)
    report = Report(path, head, kept)
    assert path.read_text() == part_of(path).read_text()
    report.close(complete=True)
    assert begun(path).verdicts == kept


def test_two_runs_do_not_write_one_report(tmp_path):
    path = tmp_path / "report.jsonl"
    report = Report(path, header({}, {}, [], 0, {}))
    with pytest.raises(UnusablePlace, match=r"another run is writing .*: wait until it has ended, or"):
        usable_place(path)
    report.close(complete=True)
    usable_place(path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--resume", "no.jsonl"], "there is neither no.jsonl nor no.jsonl.part: say what is to be"),
        (["--failed", "no.jsonl"], "no.jsonl can't be read: No such file or directory"),
        (["--failed", "a", "--resume", "b"], "argument --failed: not allowed with argument --resume"),
        (["--report", "a", "--resume", "b"], "--resume: it writes to b: leave out --report"),
        (["--report", "b", "--resume", "b.part"], "there is neither b nor b.part"),
        (["--resume", "old.jsonl"], "old.jsonl doesn't say what it is of: name what is to be checked"),
        (["--resume", "bad.jsonl"], "bad.jsonl is no report of tmref check: Expecting value"),
        (["--resume", "text"], "text is no report of tmref check: it has no header"),
        (["reference", "--resume", "text"], "text is no report of tmref check: it has no header"),
        (["--resume", "bare.jsonl"], "bare.jsonl is no report of tmref check: its header has no"),
        (["--resume", "x.jsonl"], "x.jsonl is no report of tmref check: the header has timeout 'x'"),
        (["--failed", "none.jsonl"], "none.jsonl can't be read: No such file or directory\n"),
        (
            ["--failed", "cut.jsonl"],
            "cut.jsonl can't be read: No such file or directory; its run was cut short, or goes on: see "
            "cut.jsonl.part, or try what is missing with tmref check --resume cut.jsonl",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_files_that_can_not_be_used_are_named(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    head = header({}, {}, [], 0, {})
    (tmp_path / "old.jsonl").write_text(json.dumps(head) + "\n")
    (tmp_path / "bad.jsonl").write_text(json.dumps(head) + "\nnonsense\n")
    (tmp_path / "bare.jsonl").write_text('{"header": {}}\n')
    head["header"]["settings"]["timeout"] = "x"
    (tmp_path / "x.jsonl").write_text(json.dumps(head) + "\n")
    (tmp_path / "cut.jsonl.part").touch()
    (tmp_path / "text").write_text("mine")
    try:
        status = main(["check", *arguments])
    except SystemExit as left:
        status = left.code
    assert status == 2
    assert words in capsys.readouterr().err
    assert (tmp_path / "text").read_text() == "mine"


@pytest.mark.slow
def test_what_is_not_there_yet_is_begun_where_it_is_said_what(tmp_path):
    done = check("reference", "--resume", "new.jsonl", "-k", "decoded", "--quick", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(read(tmp_path / "new.jsonl").verdicts) == 1


@in_one_process
@pytest.mark.slow
def test_what_failed_is_tried_again_and_nothing_else(whole, tmp_path, wrong_tanh):
    (tmp_path / "broken.py").write_text(wrong_tanh)
    failed = {case: v for case, v in found_in(whole).items() if not v.expected}
    done = check("--failed", whole, "--report", "again.jsonl", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert found_in(tmp_path / "again.jsonl") == failed
    # what was chosen is a part of the report: to go on with it does not need the other one
    again = tmp_path / "again.jsonl"
    again.write_text("".join(again.read_text().splitlines(keepends=True)[:2]))
    assert check("--resume", "again.jsonl", cwd=tmp_path).returncode == 1
    assert found_in(again) == failed
    (tmp_path / "broken.py").write_text(wrong_tanh.replace('"Tanh"', '"none"'))
    mended = check("--failed", "again.jsonl", "--report", "again.jsonl", cwd=tmp_path)
    assert mended.returncode == 0, mended.stdout
    assert {v.verdict for v in read(again).verdicts} == {"pass"}
    none = check("--failed", "again.jsonl", cwd=tmp_path)
    words = "every verdict in again.jsonl is as expected: there is nothing to try again"
    assert (none.returncode, none.stdout.strip()) == (0, words)


@in_one_process
def test_a_run_that_ends_too_early_says_how_to_go_on(whole):
    done = check("broken:mine", *SELECTED, "-x", "--report", "cut.jsonl", cwd=whole.parent)
    assert done.returncode == 1
    report = whole.with_name("cut.jsonl")
    assert len(found_in(report)) < len(found_in(whole))
    report.unlink()
    assert "to try what is missing:\n    tmref check --resume cut.jsonl\n" in done.stdout


#: A run of some seconds.
LONGER = ("reference", "--thorough", "-k", "linear and (gradients or pickle or state or memory)")


def start(folder, *arguments):
    """A check that is running, in a group of processes of its own."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(
        command(*LONGER, "-n2", *arguments), cwd=folder, start_new_session=True, **quiet
    )


def tried(report):
    """How many verdicts are there, wherever they are."""
    left = begun(report)
    return len(left.verdicts) if left else 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: number.name)
def test_ten_that_were_killed_one_after_another_come_to_the_same(number, tmp_path):
    assert start(tmp_path, "--report", "whole.jsonl").wait() == 0
    whole = found_in(tmp_path / "whole.jsonl")
    moments = random.Random(0)
    report = tmp_path / "report.jsonl"
    numbers = [0]
    for _ in range(10):
        until = numbers[-1] + moments.randrange(len(whole) // 8)
        running = start(tmp_path, "--resume", report)
        while tried(report) < until and running.poll() is None:
            time.sleep(0.02)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(moments.uniform(0, 5 if until == numbers[-1] else 0.5))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, number)
        running.wait()
        numbers.append(tried(report))
    assert numbers == sorted(numbers)
    assert len(set(numbers)) > 4
    assert numbers[5] < len(whole)
    assert start(tmp_path, "--resume", report).wait() == 0
    assert found_in(report) == whole
    assert read(report).footer == read(tmp_path / "whole.jsonl").footer
