"""What examples cost: how long they may take, and what memory they leave."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from time import perf_counter  # what is judged may set another one
from typing import Any

from hypothesis import strategies as st

from ..strategies._internals import choices_of
from . import limits, process
from .law import Law
from .limits import Ended, TookTooLong, at_most
from .trying import LawBroken


class Clock:
    """How long an example of a law may still take, and what becomes of memory; ``broken`` is what is
    known of an example that took longer."""

    def __init__(
        self, law: Law, timeout: float | None, until: Ended | None, fresh: dict[str, Any]
    ) -> None:
        slow = limits.OF_TRANSFORMS if law.family == "transforms" else 1
        self._seconds = None if timeout is None else timeout * slow
        self._started = perf_counter()
        self.until = until
        self._fresh = fresh
        self.broken: LawBroken | None = None
        self._examples = 0
        #: What memory there was after 1, 2, 4, 8, ... examples: reading it takes its time.
        self._memory: list[int] = []

    @property
    def leak(self) -> str | None:
        """By how much memory grew, where it grew with each example; None where it didn't."""
        if len(self._memory) < 2:
            return None
        before, examples = self._memory[-2], self._examples - 2 ** (len(self._memory) - 2)
        grown = (limits.memory_of(os.getpid()) - before) / 2**20
        if grown < limits.OF_ALL or grown < limits.LEAK * examples:
            return None
        return f"memory grew by {grown / examples:.0f} MiB with each example"

    @contextlib.contextmanager
    def an_example(self, data: st.DataObject | None = None) -> Iterator[None]:
        """A context for one example, drawn from ``data``, which leaves the process as it was. Raises
        TookTooLong where none may be tried any more."""
        if self._seconds is not None:
            of_all = self._seconds * limits.EXAMPLES_OF_A_VERDICT
            if perf_counter() - self._started > of_all:
                raise TookTooLong(f"the examples took longer than {of_all:g} s together")
        choices = None if data is None else lambda: choices_of(data)
        with process.kept(self._fresh), at_most(self._seconds, choices, self.until if choices else None):
            yield
        self._examples += 1
        if self._examples == 2 ** len(self._memory):
            self._memory.append(limits.memory_of(os.getpid()))
