"""What a process is at, in memory that another one reads: it ends it where it takes too long, or finds
it ended and can tell by which example."""

from __future__ import annotations

import mmap
import os
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic  # what is judged may set another one
from typing import Any


@dataclass(frozen=True)
class Tried:
    """An example, by the choices of Hypothesis that draw it, and for which time in it something that is
    judged was called."""

    choices: tuple[Any, ...]
    call: int


@dataclass(frozen=True)
class Seen:
    """What another process is at: for how many ``seconds`` it has tried an example, how many it
    ``may_take``, and its number. Zeros where it tries none."""

    seconds: float
    may_take: float
    process: int
    _call: int
    _choices: bytes

    @property
    def tried(self) -> Tried | None:
        """What it called last; None where that isn't known."""
        try:
            return Tried(pickle.loads(self._choices), self._call) if self._call else None
        except Exception:  # it was ended while it wrote
            return None


class Pulse:
    """When an example began, how long it may take, and which it is."""

    _HEAD = struct.Struct("=ddqqq")
    #: Longer examples are not written.
    _ROOM = 2**18

    def __init__(self, memory: mmap.mmap | None = None) -> None:
        self._memory = memory
        self._choices: Callable[[], tuple[Any, ...]] | None = None
        self._calls = 0

    @classmethod
    def in_file(cls, path: Path) -> Pulse:
        """One that is written to a file, which is made."""
        path.write_bytes(bytes(cls._HEAD.size + cls._ROOM))
        with path.open("r+b") as file:
            return cls(mmap.mmap(file.fileno(), 0))

    @classmethod
    def shared(cls) -> Pulse:
        """One that processes share which are forked from this one."""
        return cls(mmap.mmap(-1, cls._HEAD.size + cls._ROOM))

    def begins(self, seconds: float, choices: Callable[[], tuple[Any, ...]] | None = None) -> None:
        """An example begins, which may take so long, and is drawn by the choices that are called for."""
        self._choices, self._calls = choices, 0
        self._write(monotonic(), seconds)

    def calls(self) -> int:
        """What is judged is called next, and may end the process: for which time in this example."""
        self._calls += 1
        if self._memory is not None and self._choices is not None:
            tried = pickle.dumps(self._choices())
            if len(tried) <= self._ROOM:
                start = self._HEAD.size
                self._memory[start : start + len(tried)] = tried
                began, seconds, process, *_ = self._HEAD.unpack_from(self._memory)
                self._HEAD.pack_into(self._memory, 0, began, seconds, process, self._calls, len(tried))
        return self._calls

    def ends(self) -> None:
        """No example is tried."""
        self._choices = None
        self._write(0, 0)

    def _write(self, began: float, seconds: float) -> None:
        if self._memory is not None:
            self._HEAD.pack_into(self._memory, 0, began, seconds, os.getpid(), 0, 0)

    def seen(self) -> Seen:
        """What the process is at that writes it."""
        assert self._memory is not None
        return self._seen(self._memory[:])

    @classmethod
    def read(cls, path: Path) -> Seen:
        """What the process is at that writes it to a file; zeros where there is none."""
        try:
            return cls._seen(path.read_bytes())
        except OSError:
            return cls._seen(b"")

    @classmethod
    def _seen(cls, memory: bytes) -> Seen:
        if len(memory) < cls._HEAD.size:
            return Seen(0.0, 0.0, 0, 0, b"")
        began, may_take, process, call, size = cls._HEAD.unpack_from(memory)
        choices = memory[cls._HEAD.size : cls._HEAD.size + size]
        return Seen(monotonic() - began if began else 0.0, may_take, process, call, choices)
