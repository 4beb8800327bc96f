"""What a process is at, in memory that another one reads: it ends it where it takes too long, or finds
it ended and can tell by which example."""

from __future__ import annotations

import mmap
import pickle
import struct
import tempfile
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
    """What another process is at: for how many ``seconds`` it has tried an example, and how many it
    ``may_take``. Zeros where it tries none."""

    seconds: float
    may_take: float
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

    _HEAD = struct.Struct("=ddqq")
    #: Longer examples are not written.
    _ROOM = 2**18

    def __init__(self, memory: mmap.mmap | None = None) -> None:
        self._memory = memory
        self._choices: Callable[[], tuple[Any, ...]] | None = None
        self._calls = 0

    @classmethod
    def in_file(cls) -> tuple[Pulse, Path]:
        """One in a file, which is made, for another process to take it from."""
        with tempfile.NamedTemporaryFile(prefix="tmref-", delete=False) as file:
            file.truncate(cls._HEAD.size + cls._ROOM)
            return cls(mmap.mmap(file.fileno(), 0)), Path(file.name)

    @classmethod
    def taken_from(cls, path: Path) -> Pulse:
        """That of another process, whose file is needed no more: nobody can spoil it."""
        with path.open("r+b") as file:
            pulse = cls(mmap.mmap(file.fileno(), 0))
        path.unlink(missing_ok=True)
        return pulse

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
                began, seconds, *_ = self._HEAD.unpack_from(self._memory)
                self._HEAD.pack_into(self._memory, 0, began, seconds, self._calls, len(tried))
        return self._calls

    def ends(self) -> None:
        """No example is tried."""
        self._choices = None
        self._write(0, 0)

    def _write(self, began: float, seconds: float) -> None:
        if self._memory is not None:
            self._HEAD.pack_into(self._memory, 0, began, seconds, 0, 0)

    def seen(self) -> Seen:
        """What the process is at that writes it."""
        assert self._memory is not None
        memory = self._memory[:]
        began, may_take, call, size = self._HEAD.unpack_from(memory)
        choices = memory[self._HEAD.size : self._HEAD.size + size]
        return Seen(monotonic() - began if began else 0.0, may_take, call, choices)

    @property
    def is_shared(self) -> bool:
        """Whether another process reads it."""
        return self._memory is not None
