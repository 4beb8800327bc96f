"""How long an example and a verdict may take, in the process that tries them.

What holds the interpreter, or swallows every exception, does not end by an exception: a process beside
this one reads in :class:`Pulse` for how long an example has been tried, and ends this one.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

#: So many seconds an example may take unless it is said,
SECONDS = 30.0
#: and so many times that a verdict.
EXAMPLES_OF_A_VERDICT = 20
#: What is compiled takes its time: its examples may take so many times as long.
OF_TRANSFORMS = 10


class TookTooLong(BaseException):
    """An example, or a verdict, took longer than it may. It is no Exception: nothing is to catch it, and
    nothing to be shrunk."""


@contextlib.contextmanager
def at_most(seconds: float | None) -> Iterator[None]:
    """A context that raises TookTooLong after so many seconds, and again every second, in the main
    thread; elsewhere nobody watches the clock."""
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"it took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    _PULSE.begins(seconds)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _PULSE.ends()
        signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)


class Pulse:
    """When an example began, and how long it may take: eight bytes each and the process, in a file that
    another process reads. Writing takes a microsecond."""

    _FORMAT = struct.Struct("=ddq")

    def __init__(self) -> None:
        self._memory: mmap.mmap | None = None

    def written_to(self, path: Path) -> None:
        """Write it to this file from now on."""
        path.write_bytes(bytes(self._FORMAT.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), self._FORMAT.size)
        self.ends()

    def begins(self, seconds: float) -> None:
        """An example begins, which may take so long."""
        if self._memory is not None:
            self._memory[:] = self._FORMAT.pack(time.monotonic(), seconds, os.getpid())

    def ends(self) -> None:
        """No example is tried."""
        if self._memory is not None:
            self._memory[:] = self._FORMAT.pack(0, 0, os.getpid())

    @classmethod
    def read(cls, path: Path) -> tuple[float, float, int]:
        """For how long the example has been tried, how long it may, and the process; zeros where there
        is none."""
        try:
            began, seconds, process = cls._FORMAT.unpack(path.read_bytes())
        except (OSError, struct.error):
            return 0.0, 0.0, 0
        return (time.monotonic() - began if began else 0.0), seconds, process


#: That of this process.
_PULSE = Pulse()


def write_the_pulse_to(path: Path) -> None:
    """Let another process see what this one is at."""
    _PULSE.written_to(path)
