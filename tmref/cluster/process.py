"""What a worker of a Dask cluster does: each of its threads tries cases in a process of its own.

That is one like pytest-xdist's workers, by execnet and watched by :class:`tmref.watch.Watch`: laws run
in a main thread, where an example that takes too long can be ended, and what crashes, hangs or closes
files costs its own verdict, not the worker and what else it was given. Workers that are lost are Dask's
business, which gives their cases to others.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import execnet
from distributed import Worker, WorkerPlugin, get_worker

from ..implementations import load
from ..laws import limits
from ..laws.checks import cases
from ..laws.kept import usable_database
from ..laws.limits import Ended, how_it_ended
from ..laws.pulse import Pulse
from ..verdicts import versions
from ..watch import Watch

#: Signals that come from outside, for a lack of memory or at the end of a job.
_FROM_OUTSIDE = [how_it_ended(-number) for number in (signal.SIGKILL, signal.SIGTERM)]


class HasEnded(Exception):
    """The process ended in which a case was tried."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.reason)
        self.ended = ended


class Lost(HasEnded):
    """It ended for what seems no reason of the case's."""


class Unlike(Exception):
    """A worker can't try the cases as they would be tried here; the message says why."""


@dataclass(frozen=True)
class Options:
    """What the cases are made of, and how they are tried; ``versions`` are those that verdicts are
    about."""

    names: Sequence[str]
    effort: float
    device: str
    database: str | None
    timeout: float
    memory: float
    versions: dict[str, str]


def versions_with(names: Sequence[str]) -> dict[str, str]:
    """The versions here, with those of the implementations."""
    found = [load(name) for name in names]
    return {**versions(), **{implementation.name: implementation.version for implementation in found}}


class Processes(WorkerPlugin):
    """The processes of a worker, one for each of its threads, for one check: libraries under test are
    imported anew by the next one."""

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self._options = options

    def setup(self, worker: Worker) -> None:
        self._of_thread: dict[int, _Process] = {}
        self._over = False

    def teardown(self, worker: Worker) -> None:
        self._over = True
        for process in list(self._of_thread.values()):
            process.end()

    def mine(self) -> _Process:
        """That of this thread. Raises Unlike where it is none for these cases."""
        process = self._of_thread.get(threading.get_ident())
        if process is None:
            process = self._of_thread[threading.get_ident()] = _Process(self._options)
        return process

    def try_case(self, name: str, seed: int) -> dict[str, Any]:
        """What the verdict on a case is made of. Raises HasEnded."""
        try:
            return self._try_once(name, seed)
        except Lost:
            if self._over:
                raise
            return self._try_once(name, seed)

    def _try_once(self, name: str, seed: int) -> dict[str, Any]:
        process = self.mine()
        try:
            return process.ask(name, seed)
        except HasEnded:
            del self._of_thread[threading.get_ident()]
            process.end()
            raise


class _Process:
    """A process, seen from the thread that gives it cases."""

    def __init__(self, options: Options) -> None:
        self._watch = Watch(options.memory)
        self._group = execnet.Group(execmodel="main_thread_only")
        self._gateway = self._group.makegateway("execmodel=main_thread_only//popen")
        self._channel = self._gateway.remote_exec(f"from {__name__} import serve\nserve(channel)")
        pulse = self._watch.looks_at(self._gateway)
        try:
            there = self._ask({**dataclasses.asdict(options), "pulse": str(pulse)})
        except (HasEnded, execnet.RemoteError) as error:
            self.end()
            raise Unlike(_last_line(error)) from error
        self._watch.has_started(self._gateway)
        if there != options.versions:
            self.end()
            names = dict.fromkeys([*options.versions, *there])
            raise Unlike(
                ", ".join(
                    f"{name} is {there.get(name, 'missing')} there and "
                    f"{options.versions.get(name, 'missing')} here"
                    for name in names
                    if there.get(name) != options.versions.get(name)
                )
            )

    def ask(self, name: str, seed: int) -> dict[str, Any]:
        """What the verdict on a case is made of. Raises HasEnded."""
        try:
            return self._ask([name, seed])
        except execnet.RemoteError as error:
            raise HasEnded(Ended(f"tmref itself is wrong: {_last_line(error)}", None)) from error

    def _ask(self, given: Any) -> dict[str, Any]:
        try:
            self._channel.send(given)
            answer: dict[str, Any] = self._channel.receive()
        except (EOFError, OSError) as error:
            ended = self._watch.why_it_ended(self._gateway)
            raise (Lost if ended.reason in _FROM_OUTSIDE else HasEnded)(ended) from error
        return answer

    def end(self) -> None:
        """End it, if it has not."""
        self._watch.pytest_unconfigure()
        self._group.terminate(timeout=1)


def _last_line(error: Exception) -> str:
    """What it says; that of another process has its traceback before."""
    return str(error).strip().splitlines()[-1]


def serve(channel: Any) -> None:
    """Try cases, in the main thread of a process of its own."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.path.append(os.getcwd())  # where an adapter of one's own is looked for
    given = channel.receive()
    # Ctrl-C is for the worker, which gives back its cases
    limits.be_watched(Pulse.taken_from(Path(given["pulse"])))
    found = {}
    for name in given["names"]:
        for case in cases(
            load(name),
            effort=given["effort"],
            place=given["database"] and usable_database(given["database"]),
            device=given["device"],
            timeout=given["timeout"],
        ):
            found[case.name] = case
    channel.send(versions_with(given["names"]))
    for name, seed in channel:
        channel.send(vars(dataclasses.replace(found[name], seed=seed).check()))


def ready(processes: str) -> None:
    """A task: start the process of a thread. Raises Unlike."""
    _processes(processes).mine()


def try_case(processes: str, name: str, seed: int) -> dict[str, Any] | Ended:
    """A task: what the verdict on a case is made of, or why there is none. Raises Unlike."""
    try:
        return _processes(processes).try_case(name, seed)
    except HasEnded as error:
        return error.ended


def _processes(name: str) -> Processes:
    found = get_worker().plugins[name]
    assert isinstance(found, Processes)
    return found
