"""The parent that looks at its workers; what it ends, tests of faults show, too."""

import shutil
import subprocess
import tempfile
import time
from types import SimpleNamespace

import execnet
import pytest

from tmref import watch
from tmref.laws.limits import MEMORY
from tmref.laws.pulse import Pulse
from tmref.watch import Watch

CRASHED = "Not properly terminated"


@pytest.fixture
def watching():
    return Watch(MEMORY)


@pytest.fixture
def worker(watching):
    """worker(code): one that runs code of the shell, as pytest-xdist has it."""
    processes = []

    def start(code):
        process = subprocess.Popen(["sh", "-c", code], stdout=subprocess.PIPE, start_new_session=True)
        processes.append(process)
        io = SimpleNamespace(popen=process, wait=process.wait)
        gateway = SimpleNamespace(id=f"gw{len(processes)}", _io=io)
        node = SimpleNamespace(workerinput={}, gateway=gateway)
        watching.pytest_configure_node(node)
        return node

    yield start
    watching.pytest_unconfigure()
    for process in processes:
        process.communicate()


def crashes(watching, node):
    node.gateway._io.popen.stdout.read()
    watching.pytest_testnodedown(node, CRASHED)


def test_workers_that_do_not_start_end_the_run(watching, worker):
    for _ in range(2):
        crashes(watching, worker("exit 3"))
    with pytest.raises(pytest.Session.Failed) as failed:
        crashes(watching, worker("exit 3"))
    assert str(failed.value) == watching.no_worker_starts
    assert watching.no_worker_starts.startswith(
        "no worker starts: 3 in a row ended before a law was tried (it ended the process, with status 3)"
    )


def test_workers_that_end_between_laws_are_replaced(watching, worker):
    for _ in range(4):
        crashes(watching, worker("exit 3"))
        watching.pytest_runtest_logstart()
    assert not watching.no_worker_starts


def test_a_worker_that_takes_too_long_to_start_ends_the_run(watching, worker, monkeypatch):
    monkeypatch.setattr(watch, "STARTS", 0.3)
    slow, started = worker("sleep 60"), worker("sleep 60")
    watching.pytest_xdist_node_collection_finished(started)
    with pytest.raises(pytest.Session.Failed, match=r"\(it took longer than 0.3 s to start\)"):
        crashes(watching, slow)
    assert started.gateway._io.popen.poll() is None


def test_what_an_exception_ended_is_said_by_it(watching, worker):
    node = worker("sleep 60")
    watching.pytest_testnodedown(node, OSError("a traceback\nOSError: its file is gone"))
    assert watching.why_it_ended(node.gateway).reason == "OSError: its file is gone"


def test_what_a_worker_leaves_does_not_hold_its_channel(watching, worker):
    started = time.monotonic()
    node = worker("sleep 60 & exit 5")
    crashes(watching, node)
    assert watching.why_it_ended(node.gateway).reason == "it ended the process, with status 5"
    assert time.monotonic() - started < 30


def test_a_channel_is_closed_that_is_held_by_what_can_not_be_found(watching):
    group = execnet.Group(execmodel="main_thread_only")
    gateway = group.makegateway("execmodel=main_thread_only//popen")
    watching.looks_at(gateway)
    code = "import os, time\nif not os.fork(): os.setsid(); time.sleep(20); os._exit(0)\nos._exit(5)"
    channel = gateway.remote_exec(code)
    try:
        with pytest.raises(EOFError):
            channel.receive(timeout=15)
        assert watching.why_it_ended(gateway).reason == "it ended the process, with status 5"
    finally:
        watching.pytest_unconfigure()
        group.terminate(timeout=0.1)


def test_a_temporary_folder_that_is_cleaned_is_no_matter(watching, worker, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first = worker("sleep 60")
    pulse = Pulse.taken_from(tmp_path / first.workerinput["tmref_pulse"])
    assert not list(tmp_path.iterdir())
    worker("sleep 60")
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    for name in (first, worker("sleep 60")):
        watching.pytest_xdist_node_collection_finished(name)
    pulse.begins(0.1)
    first.gateway._io.popen.stdout.read()
    assert watching.why_it_ended(first.gateway).reason == "it took longer than 0.1 s"


def test_workers_end_with_the_session(watching, worker):
    node = worker("sleep 60")
    watching.pytest_sessionfinish()
    assert node.gateway._io.popen.wait(10) < 0
