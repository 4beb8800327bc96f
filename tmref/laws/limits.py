"""How long an example and a verdict may take, in the process that tries them.

What holds the interpreter, or swallows every exception, does not end by an exception: a process beside
this one reads in :class:`Pulse` for how long an example has been tried, and ends this one.
"""

from __future__ import annotations

import contextlib
import ctypes
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
#: PR_SET_PDEATHSIG of Linux.
_DIE_WITH_PARENT = 1


class TookTooLong(BaseException):
    """An example, or a verdict, took longer than it may. It is no Exception: nothing is to catch it, and
    nothing to be shrunk."""


class EndsProcess(TookTooLong):
    """What is judged ends its process, with a status that isn't 0: it isn't to go on, either, and a
    script ends so, too."""


class Interrupted(EndsProcess):
    """What is judged interrupted its process as Ctrl-C would, which nobody pressed there."""


@dataclass(frozen=True)
class Ended:
    """How a process ended that tried examples, in words, and what it called last; its ``status``, where
    it ended by itself: 0 else."""

    reason: str
    tried: Tried | None
    status: int = 0


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
        with contextlib.nullcontext() if seconds is None else _alarm(seconds), _in_this_process():
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


@contextlib.contextmanager
def a_call() -> Iterator[None]:
    """A context for a call of what is judged. Raises TookTooLong where that ended another process."""
    call, until = _here.pulse.calls(), _here.until
    if until is not None and until.tried is not None and until.tried.call == call:
        raise (EndsProcess if until.status else TookTooLong)(until.reason)
    with _in_this_process():
        yield


@contextlib.contextmanager
def _in_this_process() -> Iterator[None]:
    """A context that only this process comes out of: what is judged may fork itself, and the child would
    try all laws once more, and answer for its parent."""
    process = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != process:
            os._exit(1)


class _Here:
    """What this process writes to, and what it doesn't go beyond."""

    pulse = Pulse()
    until: Ended | None = None


_here = _Here()


def be_watched(pulse: Pulse) -> None:
    """Let another process see what this one is at, and end it with all that it started, which is its
    session. Ctrl-C of the user doesn't come here: a SIGINT is of what is judged."""
    with contextlib.suppress(PermissionError):  # it leads one already
        os.setsid()
    with contextlib.suppress(Exception):  # where the system can: without its parent nobody ends it
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, lambda number, frame: None)  # no SIG_IGN: others would inherit it
    _here.pulse = pulse
    pulse.ends()


def is_watched() -> bool:
    """Whether another process sees what this one is at."""
    return _here.pulse.is_shared


def has_ended(process: int) -> bool:
    """Whether a child has ended; its status is still to be had."""
    try:
        return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # somebody had its status
        return True


def end(process: int) -> None:
    """End a process that is watched, and what it started: that may hold what it wrote to for ever."""
    for kill in (os.kill, os.killpg):  # it may not have begun its session yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(process, signal.SIGKILL)


def why_to_end(seen: Seen, memory: float | None, taken: int) -> str | None:
    """Why a process is to be ended: it takes longer than it may, or has ``taken`` more bytes than are so
    many GiB of memory; None where it isn't."""
    if seen.may_take and seen.seconds > _GRACE * seen.may_take + _SECONDS:
        return f"it took longer than {seen.may_take:g} s"
    if memory is not None and taken > memory * 2**30:
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
        named = {number.value: number.name for number in signal.Signals}
        return f"crashed ({named.get(-status, f'signal {-status}')})"
    return f"it ended the process, with status {status}"
