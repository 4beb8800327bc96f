"""What processes start ends with them, also what has a session of its own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path

#: PR_SET_CHILD_SUBREAPER of Linux. Source: prctl(2).
_ADOPT = 36


@contextlib.contextmanager
def with_all_they_start() -> Iterator[None]:
    """A context for processes that end in it: what they leave ends with them, where the system is Linux.
    There it becomes a child of this process, however often it forked; no other is to be started
    meanwhile."""
    before = _children()
    _adopt(True)
    try:
        yield
    finally:
        while left := _children() - before:  # what they started in their turn comes next
            for process in left:
                with contextlib.suppress(ProcessLookupError, ChildProcessError, PermissionError):
                    os.kill(process, signal.SIGKILL)
                    os.waitpid(process, 0)
            before |= left
        _adopt(False)


def _adopt(does: bool) -> None:
    """Let what is left by processes that this one started be its children, where the system can."""
    with contextlib.suppress(Exception):
        ctypes.CDLL(None).prctl(_ADOPT, int(does), 0, 0, 0)


def _children() -> set[int]:
    """The children of this process, where the system tells them by /proc; else none."""
    files = Path("/proc/self/task").glob("*/children")
    return {int(process) for file in files for process in file.read_text().split()}
