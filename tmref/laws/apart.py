"""Work in a process of its own, which may crash, hang, and take all memory."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import selectors
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from ..verdicts import ERROR, Verdict
from .limits import Ended, be_watched, end, has_ended, how_it_ended, memory_of, why_to_end
from .pulse import Pulse
from .twin import quiet

T = TypeVar("T")

#: How often it is looked whether it takes too long, in seconds.
_EVERY = 0.2


def apart(work: Callable[[], T], memory: float | None = None) -> T | Ended:
    """What the work gives that is done in a fork of this process, on the CPU; Ended where that ends
    before. It may take so many GiB of ``memory`` beyond what this process has. What is raised there is
    raised here."""
    pulse, inherited = Pulse.shared(), memory_of(os.getpid())
    reading, writing = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()  # what is not written yet would be written twice
    with quiet():  # of threads, which are not in the fork: workers' parents have some
        process = os.fork()
    if not process:
        os.close(reading)
        _work_there(work, pulse, writing)
    os.close(writing)

    def why() -> str | None:
        return why_to_end(pulse.seen(), memory, memory_of(process) - inherited)

    reason = None
    try:
        said = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(reading, selectors.EVENT_READ)
            while True:
                if selector.select(_EVERY):
                    piece = os.read(reading, 2**16)
                    said += piece
                    if not piece:
                        break
                elif has_ended(process):  # what it started may hold the pipe for ever
                    break
                reason = why()
                if reason is not None:
                    break
        while reason is None and not has_ended(process):  # it is about to, or closed what it writes to
            time.sleep(0.001)
            reason = why()
    finally:
        end(process)
        os.close(reading)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    try:
        result, error = pickle.loads(said)
    except Exception:  # it did not come to its end
        tried = pulse.seen().tried
        return Ended(reason, tried) if reason else Ended(how_it_ended(status), tried, status)
    if error is not None:
        raise error
    done: T = result
    return done


def verdict_apart(
    check: Callable[[Ended | None], Verdict], blank: Verdict, memory: float | None = None
) -> Verdict:
    """The verdict of a check that is done in a fork of this process; where that ends before, an error,
    ``blank`` but for the reason and the example by which it ended."""
    found = apart(lambda: check(None), memory)
    return found if isinstance(found, Verdict) else explained(found, check, blank)


def explained(ended: Ended, check: Callable[[Ended | None], Verdict], blank: Verdict) -> Verdict:
    """The verdict on what ended a process, with the example by which it did, where it can be had."""
    verdict = replace(blank, verdict=ERROR, message=ended.reason)
    if ended.tried is not None:
        with contextlib.suppress(Exception):
            found = apart(lambda: check(ended))
            if isinstance(found, Verdict):
                verdict = replace(
                    verdict, counterexample=found.counterexample, reproducer=found.reproducer
                )
    return verdict


def _work_there(work: Callable[[], Any], pulse: Pulse, writing: int) -> None:
    """Do the work in the fork, say what it gives, and end."""
    try:
        faulthandler.disable()  # the verdict says how it ended
        be_watched(pulse)
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:
            error = raised
        with os.fdopen(writing, "wb") as file:
            file.write(_pickled(result, error))
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(0)


def _pickled(result: Any, error: BaseException | None) -> bytes:
    try:
        said = pickle.dumps((result, error))
        pickle.loads(said)
    except Exception:
        return pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))
    return said
