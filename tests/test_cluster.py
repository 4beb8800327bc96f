"""Checks whose cases a Dask cluster tries, and examples that are shared."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tmref.__main__ import main
from tmref.laws.kept import database
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
        self.scheduler_process = self.start(
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
SOME = ("reference", "metatensor-torch", "--quick", "-k", "relu and not invariant or decoded")


@pytest.mark.slow
def test_a_cluster_comes_to_the_verdicts_of_workers_here(cluster, tmp_path):
    here, expected = check(*SOME, "-n2", cwd=tmp_path)
    there, found = check(*SOME, "--on", f"dask://{cluster}", cwd=tmp_path)
    assert len(expected) > 100
    assert {verdict["known"] is None for verdict in expected} == {True, False}
    assert found == expected
    assert (there.returncode, there.stderr) == (here.returncode, "") == (0, "")
    with client_of(cluster) as client:
        children = client.run(lambda: [child.pid for child in psutil.Process().children()])
    assert list(children.values()) == [[], []]
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


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_nothing(cluster, tmp_path):
    _, expected = check(*SOME, "-n2", cwd=tmp_path)
    report = tmp_path / "report.jsonl"
    command = command_of(*SOME, "--on", f"dask://{cluster}", "--report", report)
    with client_of(cluster) as client, subprocess.Popen(command, cwd=tmp_path) as running:
        process_of = client.run(os.getpid)
        busy = None
        while busy is None:
            assert running.poll() is None, "it ended before"
            tried = client.processing().items()
            busy = next((worker for worker, keys in tried if "try_case" in str(keys)), None)
            time.sleep(0.05)
        os.kill(process_of[busy], signal.SIGKILL)
        assert running.wait(120) == 0
    assert verdicts_of(report) == expected


@pytest.mark.slow
def test_a_check_whose_scheduler_is_gone_is_cut_short(processes, tmp_path):
    address = processes.scheduler(tmp_path)
    processes.worker(address, tmp_path)
    report = tmp_path / "report.jsonl"
    command = command_of("reference", "--on", f"dask://{address}", "--report", report)
    with subprocess.Popen(command, cwd=tmp_path, text=True, stderr=subprocess.PIPE) as running:
        part = report.with_name("report.jsonl.part")
        while not part.exists() or part.read_text().count("\n") < 3:
            assert running.poll() is None
            time.sleep(0.05)
        processes.scheduler_process.kill()
        _, said = running.communicate(timeout=120)
    assert running.returncode == 1
    last = said.splitlines()[-1]
    assert last == "tmref check: the scheduler of the cluster is gone: start it anew, and the check"
    assert read(report).footer is None
    assert all(verdict["verdict"] != ERROR for verdict in verdicts_of(report))


OF_ITS_WORKER = """
import os, signal
from pathlib import Path
from tmref.implementations.reference import Reference
from tmref.laws import row_of_function

def ends_the_worker(x):
    os.kill(os.getppid(), signal.SIGKILL)

def is_killed(x):
    os.kill(os.getpid(), signal.SIGKILL)

def is_killed_once(x):
    if not Path("killed").exists():
        Path("killed").touch()
        is_killed(x)
    return x

class Ends(Reference):
    name, version, judges_data = "ends", "1", False
    rows = (
        row_of_function(ends_the_worker, name="ends", traits=["keeps_keys"]),
        row_of_function(is_killed, name="is_killed", traits=["keeps_keys"]),
        row_of_function(is_killed_once, name="is_killed_once", traits=["keeps_keys"]),
    )

implementation = Ends()
"""


@pytest.mark.slow
def test_a_case_that_is_lost_is_tried_again_and_given_up_where_it_always_is(processes, tmp_path):
    (tmp_path / "adapter.py").write_text(OF_ITS_WORKER)
    address = processes.scheduler(tmp_path)
    processes.worker(address, tmp_path)
    arguments = ("adapter:implementation", "-k", "keys_survive", "--on", f"dask://{address}")
    done, (ends, killed, once) = check(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert (ends["row"], ends["verdict"]) == ("ends", ERROR)
    assert ends["message"] == "it was given to 4 workers of the cluster, which all ended"
    assert (killed["row"], killed["verdict"]) == ("is_killed", ERROR)
    assert killed["message"] == "crashed (SIGKILL)"
    assert (once["row"], once["verdict"]) == ("is_killed_once", PASS)


#: A law that is broken by few examples, in the code of version VERSION.
RARE = """
import torch
from tmref import Labels, TensorMap
from tmref.implementations.reference import Reference
from tmref.laws import row_of_module

class Rare(torch.nn.Module):
    def forward(self, x):
        if len(x) != 3 or len(x.block(0).samples) != 2:
            return x
        return TensorMap(Labels(x.keys.names, x.keys.values[:1]), [x.block(0).copy()])

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


def seed_in(message):
    return re.search(r" \(--hypothesis-seed (\d+)\)$", message)[1]


@pytest.mark.slow
def test_a_budget_is_spent_on_other_seeds_and_what_they_find_names_its_own(processes, tmp_path):
    """Ten examples of seed 1 find nothing, those of many do."""
    adapter(tmp_path)
    address = processes.scheduler(tmp_path)
    processes.worker(address, tmp_path)
    arguments = ("adapter:implementation", "--quick", "-k", "keys_survive", "--database")
    on = ("--hypothesis-seed", 1, "--on", f"dask://{address}", "--budget", 0.5)
    done, (rare, same) = check(*arguments, "first", *on, cwd=tmp_path)
    assert done.returncode == 1
    assert rare["verdict"] == FAIL
    assert (same["verdict"], same["message"]) == (PASS, None)
    seed = seed_in(rare["message"])
    tried = re.fullmatch(
        r"tmref check: the cases were tried with the seeds 1, (.*): the budget of 0.5 minutes is over",
        done.stderr.splitlines()[-1],
    )
    assert seed in tried[1].split(", ")

    done, found = check(*arguments, "second", "-n0", "--hypothesis-seed", 1, cwd=tmp_path)
    assert [verdict["verdict"] for verdict in found] == [PASS, PASS]
    assert same["examples"] > 3 * found[1]["examples"]
    _, found = check(*arguments, "third", "-n0", "--hypothesis-seed", seed, cwd=tmp_path)
    assert [verdict["verdict"] for verdict in found] == [FAIL, PASS]


@pytest.mark.slow
def test_what_a_budget_cut_off_is_said(cluster, tmp_path):
    done, found = check(*SOME, "--on", f"dask://{cluster}", "--budget", 0.01, cwd=tmp_path)
    untried = [verdict for verdict in found if verdict["verdict"] == UNTESTED and verdict["offered"]]
    assert len(untried) > len(found) / 2
    assert {verdict["message"] for verdict in untried} == {
        "not tried: the budget of 0.01 minutes was over"
    }
    words = f"{len(untried)} of {len(found)} cases were not tried: the budget of 0.01 minutes is over"
    assert done.stderr.splitlines()[-1] == f"tmref check: {words}"
    assert done.returncode == 1


@pytest.mark.slow
def test_a_worker_with_other_versions_is_refused(processes, tmp_path):
    here, there = adapter(tmp_path / "here"), adapter(tmp_path / "there", version="2")
    address = processes.scheduler(tmp_path)
    processes.worker(address, there)
    done, found = check(*ONE, "--on", f"dask://{address}", cwd=here)
    assert (done.returncode, done.stdout, found) == (2, "", [])
    assert done.stderr.startswith(
        "tmref check: --on: not all workers can try the cases as they are tried"
    )
    assert re.search(r"here: tcp://127\.0\.0\.1:\d+: rare is 2 there and 1 here$", done.stderr.strip())
    adapter(there)
    done, found = check(*ONE, "--on", f"dask://{address}", cwd=here)  # it is imported anew
    assert (done.returncode, found[0]["verdict"]) == (1, FAIL)
    assert done.stderr.startswith("fail: keys_survive_in_order on rare of rare\n")
    (there / "adapter.py").unlink()
    done, _ = check(*ONE, "--on", f"dask://{address}", cwd=here)
    assert done.returncode == 2
    assert "UnknownImplementation: 'adapter:implementation': the module adapter can't be" in done.stderr


@pytest.mark.slow
def test_a_cluster_without_workers_is_refused(processes, tmp_path):
    address = processes.scheduler(tmp_path)
    done, _ = check("reference", "--on", f"dask://{address}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    words = f"has no workers; start some: dask worker tcp://{address}"
    assert done.stderr == f"tmref check: --on: the cluster at dask://{address} {words}\n"


@pytest.mark.slow
def test_what_one_worker_finds_another_replays(redis, processes, tmp_path):
    """They share nothing but the Redis."""
    address = processes.scheduler(tmp_path)
    arguments = (*ONE, "--on", f"dask://{address}")
    here = adapter(tmp_path / "here")
    worker = processes.worker(address, adapter(tmp_path / "first"))
    _, (first,) = check(*arguments, "--database", redis, cwd=here)
    processes.end(worker)
    processes.worker(address, adapter(tmp_path / "second"))
    other_seed = ("--quick", "--hypothesis-seed", 1)
    _, (without,) = check(*arguments, *other_seed, "--database", tmp_path / "empty", cwd=here)
    _, (second,) = check(*arguments, *other_seed, "--database", redis, cwd=here)
    assert (first["verdict"], without["verdict"], second["verdict"]) == (FAIL, PASS, FAIL)
    assert first["examples"] > second["examples"] == 1
    assert second["counterexample"] == first["counterexample"]


@pytest.mark.slow
def test_a_redis_is_shared_by_checks_without_a_cluster(redis, tmp_path):
    here = adapter(tmp_path / "here")
    _, (first,) = check(*ONE, "--database", redis, cwd=here)
    assert not (here / ".hypothesis" / "tmref").exists()
    one, another = database(redis, "one"), database(redis, "another")
    one.save(b"key", b"example")
    assert (list(one.fetch(b"key")), list(another.fetch(b"key"))) == ([b"example"], [])
    other = adapter(tmp_path / "other")
    _, (second,) = check(*ONE, "--quick", "--hypothesis-seed", 1, "--database", redis, cwd=other)
    assert first["examples"] > second["examples"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("--on", "127.0.0.1:8786"),
            "--on: '127.0.0.1:8786' is no address of a cluster, which is dask://",
        ),
        (
            ("--on", "dask://here"),
            "--on: 'dask://here' is no address of a cluster, which is dask://HOST:",
        ),
        (
            ("--on", "dask://here:x"),
            "--on: 'dask://here:x' is no address of a cluster, which is dask://",
        ),
        (
            ("--on", "tcp://a:1"),
            "--on: 'tcp://a:1' is no address of a cluster, which is dask://HOST:PORT",
        ),
        (("--on", "dask://a:1", "-n2"), "-n is the number of workers here, and --on is for those of a"),
        (("--budget", "1"), "--budget is for a cluster: give its address, too, --on dask://HOST:PORT"),
        (
            ("--on", "dask://a:1", "--budget", "0"),
            "--budget must be a number of minutes above 0, got 0",
        ),
        (
            ("--on", "dask://a:1", "--budget", "nan"),
            "--budget must be a number of minutes above 0, got nan",
        ),
        (
            ("--database", "sql://a"),
            "--database: 'sql://a' is neither a folder nor the address of a Redis",
        ),
        (("--database", __file__), "is no folder: name one that is, or that is not there yet"),
        (("--database", "redis://127.0.0.1:1"), "start a Redis there, or give the address of one that"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_unusable_arguments_are_named_and_exit_with_2(arguments, words, capsys):
    assert main(["check", "reference", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("tmref check: ")
    assert words in line


def test_a_cluster_that_is_not_there_is_said_in_a_line(capsys, monkeypatch):
    from tmref.cluster import session

    assert session._ANSWER == 10
    monkeypatch.setattr(session, "_ANSWER", 1)
    address = f"dask://127.0.0.1:{free_port()}"
    assert main(["check", "reference", "--on", address]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tmref check: --on: no scheduler of Dask answers at {address} (")
    assert line.endswith("; start one: dask scheduler")


@pytest.mark.parametrize(
    ("module", "arguments"),
    [("distributed", ("--on", "dask://127.0.0.1:1")), ("redis", ("--database", "redis://127.0.0.1:2"))],
)
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(
    module, arguments, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, module, None)
    for name in ("session", "process"):
        monkeypatch.delitem(sys.modules, f"tmref.cluster.{name}", raising=False)
    assert main(["check", "reference", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"import of {module} halted" in line
    assert line.endswith("; install it with: pip install 'tmref[cluster]'")


def verdict(kind, **more):
    return Verdict("law", "row", "mine", "1", kind, **more)


@pytest.mark.parametrize(
    ("verdicts", "kind"),
    [
        ((verdict(PASS), verdict(PASS)), PASS),
        ((verdict(PASS), verdict(FAIL)), FAIL),
        ((verdict(UNTESTED), verdict(ERROR)), ERROR),
        ((verdict(FAIL, known="it is"), verdict(PASS)), FAIL),
        ((verdict(FAIL, known="it is"), verdict(ERROR)), ERROR),
        ((verdict(PASS), verdict(UNTESTED)), PASS),
        ((verdict(UNTESTED, offered=False), verdict(UNTESTED)), UNTESTED),
        ((verdict(UNTESTED), verdict(PASS)), PASS),
    ],
)
def test_of_two_verdicts_on_a_case_the_worst_stands(verdicts, kind):
    from tmref.cluster.session import _both

    for i, one in enumerate(verdicts):
        one.examples = i + 1
    both = _both(*verdicts)
    assert (both.verdict, both.examples) == (kind, 3)
