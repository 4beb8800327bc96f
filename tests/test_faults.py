"""A library that crashes and hangs costs the verdicts that it spoils, and no other."""

import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tmref.adapters import probe
from tmref.implementations import UnknownImplementation
from tmref.laws.own import it_can_be_made_and_called
from tmref.laws.runner import check
from tmref.verdicts import ERROR, PASS, read

HERE = Path(__file__).parent / "faults"


def adapter():
    """The library, and what its rows do."""
    spec = importlib.util.spec_from_file_location("faults_adapter", HERE / "adapter.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


ADAPTER = adapter()
FAULTS = ADAPTER.FAULTS
HELD = [name for name, fault in FAULTS.items() if fault.held]
QUICK = [
    "exit_0",
    "segfault",
    "leaves_a_helper",
    "sends_sigint",
    "searches",
    "surrogates",
    "noise",
    "folder",
    "folder_gone",
    "returns_none",
    "none",
]
#: Where files are closed, it may be noticed examples later.
LATE = "closes_files"


def checked(rows, tmp_path, *arguments, timeout=3):
    """What a check of these rows printed, each on its law, and the verdicts by row."""
    path = tmp_path / "report.jsonl"
    selected = " or ".join(f"faults-{row}-{FAULTS[row].law}" for row in rows)
    command = [sys.executable, "-W", "ignore", "-m", "tmref", "check", "adapter:implementation"]
    limits = ["--timeout", str(timeout), "--memory", "2", "--report", path, "-k", selected]
    done = subprocess.run(
        [*command, *limits, *arguments],
        capture_output=True,
        text=True,
        cwd=HERE,
        start_new_session=True,  # a row kills its group
    )
    return done, {v.row: v for v in read(path).verdicts}


def expect(rows, done, found):
    assert set(found) == set(rows), done.stdout + done.stderr
    for row in rows:
        fault, verdict = FAULTS[row], found[row]
        assert verdict.verdict == fault.verdict, (row, verdict.message)
        assert re.match(fault.words, verdict.message or ""), (row, verdict.message)
        assert row == LATE or (verdict.reproducer is None) == (fault.verdict == PASS), row
    assert done.returncode == 1, done.stderr
    assert "cut short" not in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert len(done.stderr) < 10_000


@pytest.mark.slow
def test_a_crash_and_a_hang_cost_one_verdict_each(tmp_path):
    expect(QUICK, *checked(QUICK, tmp_path, "-n2"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("workers", ["-n1", "-n2"])
def test_every_fault_costs_the_verdict_that_it_spoils(workers, tmp_path):
    expect(list(FAULTS), *checked(FAULTS, tmp_path, workers))


@pytest.mark.slow
@pytest.mark.timeout(600)
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


REFERENCE = "from tmref.implementations.reference import implementation\n"


@pytest.mark.parametrize(
    "source",
    [
        "import atexit; atexit.register(print, 'bye')",
        "import sys, io; sys.stdout = io.StringIO()",
        "import threading, time; threading.Thread(target=time.sleep, args=(100,)).start()",
        "import subprocess; subprocess.Popen(['sleep', '100'])",
        "import os, time; os.fork() or time.sleep(100)",
    ],
)
def test_an_adapter_that_can_be_imported_may_do_so(source, tmp_path, monkeypatch):
    (tmp_path / "does.py").write_text(f"{REFERENCE}{source}\n")
    monkeypatch.chdir(tmp_path)
    before = time.monotonic()
    probe("does:implementation")
    assert time.monotonic() - before < 60


def test_a_check_does_not_wait_for_threads_of_an_adapter(tmp_path):
    source = "import threading, time; threading.Thread(target=time.sleep, args=(100,)).start()"
    (tmp_path / "does.py").write_text(f"{REFERENCE}{source}\n")
    command = [sys.executable, "-W", "ignore", "-m", "tmref", "list", "rows", "does:implementation"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=90)
    assert done.returncode == 0, done.stderr
    assert "| `tanh` |" in done.stdout


def test_an_adapter_that_hangs_is_ended(tmp_path, monkeypatch):
    (tmp_path / "hangs.py").write_text("import time\ntime.sleep(1000)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tmref.adapters._TO_IMPORT", 0.5)
    with pytest.raises(UnknownImplementation) as error:
        probe("hangs:implementation")
    assert str(error.value) == (
        "'hangs:implementation': importing it takes longer than 0.5 s; an adapter must be importable"
    )


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


@pytest.mark.slow
def test_a_library_that_always_crashes_has_all_its_verdicts(tmp_path):
    path = tmp_path / "report.jsonl"
    command = [sys.executable, "-W", "ignore", "-m", "tmref", "check", "adapter:implementation", "-n2"]
    selected = "(segfault or abort or exit_0) and (survive or stay or same)"
    done = subprocess.run(
        [*command, "--quick", "--report", path, "-k", selected], cwd=HERE, capture_output=True
    )
    results = read(path)
    errors = [v.message for v in results.verdicts if v.verdict == ERROR]
    assert (done.returncode, len(errors) > 8) == (1, True)
    assert set(errors) == {
        "crashed (SIGSEGV)",
        "crashed (SIGABRT)",
        "it ended the process, with status 0",
    }
    assert results.footer["error"] == len(errors)


def test_what_cannot_be_made_is_an_error_in_words():
    [row] = [row for row in ADAPTER.Faults.rows if row.name == ADAPTER.UNMADE]
    verdict = check(it_can_be_made_and_called, row, row.subject(ADAPTER.implementation))
    assert (verdict.verdict, verdict.message) == (
        ERROR,
        "the module can't be made: ValueError: not today",
    )
