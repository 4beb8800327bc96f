"""What a parent sees of its workers: it ends those that take too long, or too much memory, and says why
they ended."""

from __future__ import annotations

import threading
import time
from math import inf
from pathlib import Path
from typing import Any

import pytest

from .laws.limits import Ended, end, has_ended, how_it_ended, memory_of, why_to_end
from .laws.pulse import Pulse

#: How often it is looked, in seconds.
_EVERY = 0.2
#: So many seconds a worker may take until it has its cases, and to end when it answers no more;
STARTS, _ENDS = 300.0, 20.0
#: so many seconds its channel may be open when it has ended;
_HELD = 2.0
#: and so many in a row may end before a law is tried.
_IN_A_ROW = 3


class _Worker:
    """A process at the other end of a gateway of execnet, as the parent sees it."""

    def __init__(self, gateway: Any) -> None:
        # nothing public of execnet 2.1 gives a gateway's process, and its status, which can be had once,
        # or closes a channel that others hold: _io and _channelfactory are its own
        self._gateway = gateway
        self._began = time.monotonic()
        self.process: int = gateway._io.popen.pid
        self.pulse, self.place = Pulse.in_file()
        self.reason: str | None = None
        self.has_cases = False
        self._gone: float | None = None

    def look(self, memory: float) -> None:
        """End it where it takes too long or too much. Where it has ended, end what it started, which may
        hold its channel open, and close that where it is held by what can't be found."""
        if not has_ended(self.process):
            self.reason = self.reason or self._why_to_end(memory)
            if self.reason is not None:
                end(self.process)
        elif self._gone is None:
            self._gone = time.monotonic()
            end(self.process)
        elif time.monotonic() - self._gone > _HELD:
            self._gone = inf
            self._gateway._channelfactory._finished_receiving()

    def _why_to_end(self, memory: float) -> str | None:
        if not self.has_cases and time.monotonic() - self._began > STARTS:
            return f"it took longer than {STARTS:g} s to start"
        return why_to_end(self.pulse.seen(), memory, memory_of(self.process))

    def wait(self) -> None:
        """Wait until it has ended, whose channel is closed; where it doesn't end by itself, end it."""
        until = time.monotonic() + (0 if self.reason else _ENDS)
        while not has_ended(self.process):
            if time.monotonic() > until:
                end(self.process)
            time.sleep(0.01)

    def ended(self) -> Ended:
        """How it ended, which it did."""
        end(self.process)
        self.place.unlink(missing_ok=True)
        tried = self.pulse.seen().tried
        if self.reason:
            return Ended(self.reason, tried)
        status = self._gateway._io.wait()
        return Ended(how_it_ended(status), tried, status)


class Watch:
    """A thread that looks at workers: pytest-xdist's, or others at the ends of gateways of execnet.
    ``no_worker_starts`` says why none does, where the run was ended for that."""

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._workers: dict[str, _Worker] = {}
        self._ended: dict[str, Ended] = {}
        self._in_a_row = 0
        self.no_worker_starts = ""
        #: Held while processes are ended that still have their numbers.
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where it writes what it is at."""
        node.workerinput["tmref_pulse"] = str(self.looks_at(node.gateway))

    def looks_at(self, gateway: Any) -> Path:
        """Look at a worker from now on; gives the file that it takes its pulse from."""
        worker = _Worker(gateway)
        with self._lock:
            self._workers[gateway.id] = worker
        if not self._thread.is_alive():
            self._thread.start()
        return worker.place

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any) -> None:
        self.has_started(node.gateway)

    def has_started(self, gateway: Any) -> None:
        """A worker has its cases."""
        self._workers[gateway.id].has_cases = True

    def pytest_runtest_logstart(self) -> None:
        self._in_a_row = 0

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A worker ended. Ends the run where none starts."""
        if error is None:
            return
        worker = self._workers[node.gateway.id]
        was_ended_at_its_start = worker.reason is not None and not worker.has_cases
        if isinstance(error, Exception):  # what runs in it raised, and it waits for more
            worker.reason = str(error).strip().splitlines()[-1]
        ended = self.why_it_ended(node.gateway)
        self._in_a_row += 1
        if self._in_a_row == _IN_A_ROW or was_ended_at_its_start:
            self.no_worker_starts = (
                f"no worker starts: {self._in_a_row} in a row ended before a law was tried "
                f"({ended.reason}); see whether the library can be imported in several processes, and "
                "whether --memory is enough"
            )
            raise pytest.Session.Failed(self.no_worker_starts)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """End the workers: they would wait for what they started, and no Ctrl-C reaches them."""
        with self._lock:
            for worker in self._workers.values():
                end(worker.process)
                worker.place.unlink(missing_ok=True)
            self._workers.clear()

    def pytest_unconfigure(self) -> None:
        self.pytest_sessionfinish()
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def ended(self, report: Any) -> Ended | None:
        """How the worker ended that a report is of; None where it didn't."""
        node = getattr(report, "node", None)
        if node is None or report.when in ("setup", "call", "teardown"):
            return None
        return self.why_it_ended(node.gateway)

    def why_it_ended(self, gateway: Any) -> Ended:
        """How the process at the other end of a gateway ended, which it did, or is about to."""
        worker = self._workers.get(gateway.id)
        if worker is not None:
            worker.wait()
            with self._lock:
                del self._workers[gateway.id]
                self._ended[gateway.id] = worker.ended()
        return self._ended[gateway.id]

    def _look(self) -> None:
        while not self._stop.wait(_EVERY):
            with self._lock:
                for worker in self._workers.values():
                    worker.look(self._memory)
