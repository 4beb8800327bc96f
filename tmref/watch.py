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

from .laws.limits import Pulse

#: So many GiB of memory a worker may take unless it is said.
MEMORY = 8.0
#: How often it is looked, in seconds.
_EVERY = 0.2
#: A worker ends an example by itself that takes too long. It is ended where it took that much longer,
#: times what it may take and seconds.
_GRACE, _SECONDS = 1.5, 2.0


class Watch:
    """A thread that looks at the workers of pytest-xdist."""

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._folder = tempfile.TemporaryDirectory(prefix="tmref-", ignore_cleanup_errors=True)
        self._reasons: dict[str, str] = {}
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
        """Look no more at a worker that ended: its number may be another process' by now."""
        self.place_of(node.gateway.id).unlink(missing_ok=True)

    def place_of(self, worker: str) -> Path:
        """The file that a worker writes what it is at to."""
        return Path(self._folder.name, worker)

    def pytest_unconfigure(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._folder.cleanup()

    def reason(self, report: Any) -> str | None:
        """Why the worker ended that a report is of; None where it didn't."""
        node = getattr(report, "node", None)
        if node is None or report.when in ("setup", "call", "teardown"):
            return None
        return self.why_it_ended(node.gateway)

    def ended(self, worker: str) -> bool:
        """Whether it was ended here, for a reason."""
        return worker in self._reasons

    def why_it_ended(self, gateway: Any) -> str:
        """Why the process at the other end of a gateway of execnet ended, which it did."""
        if self.ended(gateway.id):
            return self._reasons[gateway.id]
        status = gateway._io.wait()
        if status is not None and status < 0:
            return f"crashed ({signal.Signals(-status).name})"
        return f"it ended the process, with status {status}"

    def _look(self) -> None:
        while not self._stop.wait(_EVERY):
            for path in Path(self._folder.name).iterdir():
                seconds, may_take, process = Pulse.read(path)
                if seconds > _GRACE * may_take + _SECONDS and may_take:
                    self._end(path.name, process, f"it took longer than {may_take:g} s")
                elif process and _memory_of(process) > self._memory * 2**30:
                    self._end(path.name, process, f"it used more than {self._memory:g} GiB of memory")

    def _end(self, worker: str, process: int, reason: str) -> None:
        self._reasons.setdefault(worker, reason)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        self.place_of(worker).unlink(missing_ok=True)


def _memory_of(process: int) -> int:
    """The bytes of memory that a process has, where the system tells it by /proc; else 0."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
