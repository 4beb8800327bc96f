"""Work done in forked children: what hangs, crashes or spoils something there is over with the child."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import os
import resource
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

#: What a child may take of memory beyond what the parent has, in bytes.
MEMORY = 4 << 30
POLL = 0.01

Say = Callable[[Any], None]


@dataclass(frozen=True)
class Done:
    """What a child said before it ended, and the signal that ended it (0 where none did)."""

    key: Any
    said: list[Any]
    signal: int


def limit(seconds: float) -> None:
    """End this child when so many seconds have passed; a later limit replaces it."""
    signal.setitimer(signal.ITIMER_REAL, seconds)


def in_children(work: Iterable[tuple[Any, Callable[[Say], None]]], workers: int) -> Iterator[Done]:
    """Run each piece of work, a function that says things, in a child of its own; some at a time.

    A piece is taken from ``work`` when there is a place for it, so it may depend on what is done.
    """
    running: dict[int, tuple[Any, IO[str]]] = {}
    pieces = iter(work)
    more = True
    try:
        while more or running:
            while more and len(running) < workers:
                piece = next(pieces, None)
                if piece is None:
                    more = False
                else:
                    file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115, the child's, too
                    running[_forked(piece[1], file)] = piece[0], file
            for pid in list(running):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    key, file = running.pop(pid)
                    with file:
                        file.seek(0)
                        lines = [
                            line for line in file.read().splitlines(keepends=True) if line[-1:] == "\n"
                        ]
                    yield Done(key, list(map(json.loads, lines)), os.WTERMSIG(status))
                    break
            else:
                time.sleep(POLL)
    finally:
        for pid, (_, file) in running.items():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            file.close()


def _forked(work: Callable[[Say], None], file: IO[str]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks where there are other threads
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        faulthandler.disable()
        gc.freeze()  # collections pass over what the parent has
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silent, stream)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
        work(lambda said: print(json.dumps(said), file=file, flush=True))
        code = 0
    except BaseException:
        print(json.dumps({"failed": traceback.format_exc()}), file=file, flush=True)
    finally:
        os._exit(code)
