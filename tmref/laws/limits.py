"""How long an example and a verdict may take, in the process that tries them.

What holds the interpreter, or swallows every exception, does not end by an exception: a process beside
this one reads in :class:`Pulse` for how long an example has been tried, and ends this one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from .pulse import Pulse, Seen, Tried

#: So many GiB of memory a worker may take unless it is said,
MEMORY = 8.0
#: so many seconds an example,
SECONDS = 30.0
#: and so many times that a verdict.
EXAMPLES_OF_A_VERDICT = 20
#: What is compiled takes its time: its examples may take so many times as long.
OF_TRANSFORMS = 10
#: Memory that grows by so many MiB with each example, and so many in all, is worth a warning.
LEAK, OF_ALL = 8, 100
#: An example ends by itself where it takes too long; from outside where it took that much longer, times
#: what it may take and seconds.
_GRACE, _SECONDS = 1.5, 2.0


class TookTooLong(BaseException):
    """An example, or a verdict, took longer than it may. It is no Exception: nothing is to catch it, and
    nothing to be shrunk."""


@dataclass(frozen=True)
class Ended:
    """How a process ended that tried examples, in words, and what it called last."""

    reason: str
    tried: Tried | None


@contextlib.contextmanager
def at_most(
    seconds: float | None,
    choices: Callable[[], tuple[Any, ...]] | None = None,
    until: Ended | None = None,
) -> Iterator[None]:
    """A context that raises TookTooLong after so many seconds, and again every second, in the main
    thread; elsewhere nobody watches the clock. Another process may see by which ``choices`` what is
    tried is drawn. It raises TookTooLong, too, ``until`` the call that ended another one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _here.pulse.begins(seconds or 0.0, choices)
    _here.until = until
    try:
        with contextlib.nullcontext() if seconds is None else _alarm(seconds):
            yield
    finally:
        _here.pulse.ends()
        _here.until = None


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"it took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)


def before_a_call() -> None:
    """What is judged is called next. Raises TookTooLong where that ended another process."""
    call, until = _here.pulse.calls(), _here.until
    if until is not None and until.tried is not None and until.tried.call == call:
        raise TookTooLong(until.reason)


class _Here:
    """What this process writes to, and what it doesn't go beyond."""

    pulse = Pulse()
    until: Ended | None = None


_here = _Here()


def write_to(pulse: Pulse) -> None:
    """Let another process see what this one is at."""
    _here.pulse = pulse
    pulse.ends()


def why_to_end(seen: Seen, memory: float | None) -> str | None:
    """Why a process is to be ended: it takes longer than it may, or more than so many GiB of memory;
    None where it isn't."""
    if seen.may_take and seen.seconds > _GRACE * seen.may_take + _SECONDS:
        return f"it took longer than {seen.may_take:g} s"
    if memory is not None and seen.process and memory_of(seen.process) > memory * 2**30:
        return f"it used more than {memory:g} GiB of memory"
    return None


def memory_of(process: int) -> int:
    """The bytes of memory that a process has, where the system tells it by /proc; else 0."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def how_it_ended(status: int) -> str:
    """What the status says that a process ended with: that of a signal is negative."""
    if status < 0:
        return f"crashed ({signal.Signals(-status).name})"
    return f"it ended the process, with status {status}"
