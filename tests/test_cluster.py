"""Checks whose cases a Dask cluster tries, and examples that are shared."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tmref.__main__ import main
from tmref.verdicts import ERROR, FAIL, PASS, UNTESTED, Verdict, read

FAULTS = Path(__file__).parent / "faults"
DASK = str(Path(sys.executable).with_name("dask"))


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Processes(contextlib.ExitStack):
    """Processes that end where the context does."""

    def start(self, *command, cwd, ready=b"", **environment):
        log = Path(cwd) / f"{Path(command[0]).name}-{time.monotonic_ns()}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, cwd=cwd, stdout=file, stderr=file, env={**os.environ, **environment}
            )
        self.callback(self.end, process)
        until = time.monotonic() + 60
        while ready not in log.read_bytes():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        return process

    def end(self, process):
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def scheduler(self, folder):
        """The address of one, without workers."""
        port = free_port()
        self.start(
            *(DASK, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"),
            cwd=folder,
            ready=b"Scheduler at:",
        )
        return f"127.0.0.1:{port}"

    def worker(self, address, folder, processes=1, **environment):
        """So many processes of one, in a folder."""
        started = self.start(
            *(DASK, "worker", f"tcp://{address}", "--nworkers", str(processes), "--nthreads", "1"),
            *("--no-dashboard", "--local-directory", str(folder)),
            cwd=folder,
            ready=b"Starting established connection",
            **environment,
        )
        with client_of(address) as client:
            client.wait_for_workers(processes, timeout=60)
        return started


def client_of(address):
    from distributed import Client

    return Client(f"tcp://{address}", set_as_default=False)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of one of two workers that find the faulty library."""
    folder = tmp_path_factory.mktemp("cluster")
    with Processes() as processes:
        address = processes.scheduler(folder)
        processes.worker(address, folder, processes=2, PYTHONPATH=str(FAULTS))
        yield address


@pytest.fixture
def processes():
    with Processes() as found:
        yield found


@pytest.fixture
def redis(tmp_path, processes):
    """The URL of a Redis."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("there is no redis-server: apt-get install redis-server")
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path))
    processes.start(server, *options, cwd=tmp_path, ready=b"Ready to accept connections")
    return f"redis://127.0.0.1:{port}/0"


def command_of(*arguments):
    return [sys.executable, "-W", "ignore", "-m", "tmref", "check", *map(str, arguments)]


def check(*arguments, cwd):
    """What a check printed, and the verdicts in the order of their names, without how long they took."""
    report = Path(cwd) / f"{time.monotonic_ns()}.jsonl"
    command = command_of(*arguments, "--report", report)
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    return done, verdicts_of(report) if report.exists() else []


def verdicts_of(report):
    found = [{**vars(verdict), "seconds": 0.0} for verdict in read(report).verdicts]
    return sorted(found, key=lambda verdict: (verdict["implementation"], verdict["row"], verdict["law"]))


#: A hundred cases, some of which are known to fail, and some not offered.
SOME = ("reference", "metatensor-torch", "--quick", "-k", "-relu- or -layer_norm- or decoded")


@pytest.mark.slow
def test_a_cluster_comes_to_the_verdicts_of_workers_here(cluster, tmp_path):
    here, expected = check(*SOME, "-n2", cwd=tmp_path)
    there, found = check(*SOME, "--on", f"dask://{cluster}", cwd=tmp_path)
    assert len(expected) > 100
    assert {verdict["known"] is None for verdict in expected} == {True, False}
    assert found == expected
    assert (there.returncode, there.stderr) == (here.returncode, "") == (0, "")
    assert there.stdout.splitlines()[:-1] == here.stdout.splitlines()[:-1]  # the last names the report


@pytest.mark.slow
def test_a_crash_and_a_hang_cost_one_verdict_each(cluster, tmp_path):
    faults = {
        "segfault": r"crashed \(SIGSEGV\)",
        "exit_3": "it ended the process, with status 3",
        "searches": "it took longer than 3 s",
        "sleeps": "it took longer than 3 s",
        "closes_files": "it ended the process, with status",
        "surrogates": r"the module can't be called: ValueError: \\udc80",
        "noise": None,
        "none": None,
    }
    selected = " or ".join(f"faults-{row}-keys_survive" for row in faults)
    arguments = ("adapter:implementation", "--timeout", 3, "-k", selected, "--on", f"dask://{cluster}")
    shutil.copy(FAULTS / "adapter.py", tmp_path)
    done, found = check(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert [verdict["row"] for verdict in found] == sorted(faults)
    for verdict in found:
        words = faults[verdict["row"]]
        if words is None:
            assert (verdict["verdict"], verdict["message"]) == (PASS, None)
        else:
            assert verdict["verdict"] == ERROR
            assert re.match(words, verdict["message"])
            assert verdict["version"] == "1"


def in_the_middle(check, address):
    """A process of a worker that tries a case, and has come to verdicts before."""
    until = time.monotonic() + 60
    with client_of(address) as client:
        while time.monotonic() < until:
            assert check.poll() is None, "it ended before"
            process = client.run(os.getpid)
            busy = [worker for worker, keys in client.processing().items() if keys]
            if busy and busy[0] in process and any(client.has_what().values()):
                return process[busy[0]]
            time.sleep(0.05)
    raise AssertionError("nothing was tried")


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_nothing(cluster, tmp_path):
    _, expected = check(*SOME, "-n2", cwd=tmp_path)
    report = tmp_path / "report.jsonl"
    command = command_of(*SOME, "--on", f"dask://{cluster}", "--report", report)
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as running:
        for _ in range(2):
            os.kill(in_the_middle(running, cluster), signal.SIGKILL)
            time.sleep(1)
        running.communicate()
    assert running.returncode == 0
    assert verdicts_of(report) == expected


OF_ITS_WORKER = """
import os, signal
from tmref.implementations.reference import Reference
from tmref.laws import row_of_function

def ends_the_worker(x):
    os.kill(os.getppid(), signal.SIGKILL)

class Ends(Reference):
    name, version, judges_data = "ends", "1", False
    rows = (
        row_of_function(ends_the_worker, name="ends", traits=["keeps_keys"]),
        row_of_function(lambda x: x, name="same", traits=["keeps_keys"]),
    )

implementation = Ends()
"""


@pytest.mark.slow
def test_a_case_that_ends_workers_is_given_up(processes, tmp_path):
    (tmp_path / "adapter.py").write_text(OF_ITS_WORKER)
    address = processes.scheduler(tmp_path)
    processes.worker(address, tmp_path)
    arguments = ("adapter:implementation", "-k", "keys_survive", "--on", f"dask://{address}")
    done, (ends, same) = check(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert (ends["row"], ends["verdict"]) == ("ends", ERROR)
    assert ends["message"] == "it was given to 4 workers of the cluster, which all ended"
    assert (same["row"], same["verdict"]) == ("same", PASS)


#: A law that is broken by few examples, in the code of version VERSION.
RARE = """
from tmref.implementations.reference import Reference
from tmref.laws import row_of_module
import torch

class Rare(torch.nn.Module):
    def forward(self, x):
        return x if len(x) != 3 or len(x[0].samples) != 2 else x.__class__(x.keys[:0], [])

class OfRare(Reference):
    name, version, judges_data = "rare", "VERSION", False
    rows = (
        row_of_module(lambda x: Rare(), name="rare", traits=["keeps_keys"]),
        row_of_module(lambda x: torch.nn.Identity(), name="same", traits=["keeps_keys"]),
    )

implementation = OfRare()
"""
ONE = ("adapter:implementation", "-k", "rare-rare-keys_survive")


def adapter(folder, version="1"):
    folder.mkdir(exist_ok=True)
    (folder / "adapter.py").write_text(RARE.replace("VERSION", version))
    return folder
