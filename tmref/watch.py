"""What a parent sees of its workers: it ends those that take too long, or too much memory, and says why
they ended."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from .laws.limits import Ended, how_it_ended, why_to_end
from .laws.pulse import Pulse, Tried

#: How often it is looked, in seconds.
_EVERY = 0.2


class Watch:
    """A thread that looks at the workers of pytest-xdist."""

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._folder = tempfile.TemporaryDirectory(prefix="tmref-", ignore_cleanup_errors=True)
        self._reasons: dict[str, str] = {}
        self._tried: dict[str, Tried | None] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where it writes what it is at."""
        node.workerinput["tmref_pulses"] = self.started()

    def started(self) -> str:
        """Look, from now on at the latest; returns the folder that is looked into."""
        if not self._thread.is_alive():
            self._thread.start()
        return self._folder.name

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Look no more at a worker that ended."""
        self._look_no_more_at(node.gateway.id)

    def place_of(self, worker: str) -> Path:
        """The file that a worker writes what it is at to."""
        return Path(self._folder.name, worker)

    def pytest_unconfigure(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._folder.cleanup()

    def ended(self, report: Any) -> Ended | None:
        """How the worker ended that a report is of; None where it didn't."""
        node = getattr(report, "node", None)
        if node is None or report.when in ("setup", "call", "teardown"):
            return None
        return self.why_it_ended(node.gateway)

    def was_ended(self, worker: str) -> bool:
        """Whether it was ended here, for a reason."""
        return worker in self._reasons

    def why_it_ended(self, gateway: Any) -> Ended:
        """How the process at the other end of a gateway of execnet ended, which it did."""
        reason = self._reasons.get(gateway.id) or how_it_ended(gateway._io.wait())
        self._look_no_more_at(gateway.id)
        return Ended(reason, self._tried.get(gateway.id))

    def _look(self) -> None:
        while not self._stop.wait(_EVERY):
            for path in Path(self._folder.name).iterdir():
                seen = Pulse.read(path)
                reason = why_to_end(seen, self._memory)
                if reason is not None:
                    self._reasons.setdefault(path.name, reason)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(seen.process, signal.SIGKILL)
                    self._look_no_more_at(path.name)

    def _look_no_more_at(self, worker: str) -> None:
        """Keep what it called last: its number may be another process' soon."""
        path = self.place_of(worker)
        if path.exists():
            self._tried[worker] = Pulse.read(path).tried
            path.unlink(missing_ok=True)
