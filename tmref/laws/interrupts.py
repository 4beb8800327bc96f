"""Ctrl-C of the user, told from exceptions of what is judged that are meant for the interpreter."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from .limits import Interrupted, TookTooLong, is_watched

#: Whether the user has pressed Ctrl-C.
_pressed = False


@contextlib.contextmanager
def noticing_the_user() -> Iterator[None]:
    """A context in which Ctrl-C of the user is noticed as such, in the main thread. Where the process is
    watched nobody can press it: there it raises Interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        if is_watched():
            raise Interrupted("it interrupted the process (SIGINT)")
        global _pressed
        _pressed = True
        raise KeyboardInterrupt

    global _pressed
    _pressed = False
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        # None is a handler of another language, which Python can't set again
        signal.signal(signal.SIGINT, signal.default_int_handler if before is None else before)


def is_not_of_what_is_judged(error: BaseException) -> bool:
    """Whether what ends a call ends the example, or the run: it is the user's, or the clock's. Those of
    Hypothesis are of what is judged, too: nobody draws in a call of it."""
    if isinstance(error, KeyboardInterrupt):
        return _pressed
    return isinstance(error, TookTooLong)
