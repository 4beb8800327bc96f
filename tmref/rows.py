"""Tables of integers: their rows are numbered, so that all are compared, sorted or looked up at once.

A table is an int32 array of the shape ``(n, d)``. No loop of Python's goes over its rows.
"""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

Table = np.ndarray[Any, np.dtype[np.int32]]
Numbers = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

_LARGEST = 2**63
#: 2^64 over the golden ratio: products with it, modulo 2^64, spread numbers that are near each other
_MULTIPLIER = 0x9E3779B97F4A7C15
#: tables of as many rows are sorted column by column, larger ones by the numbers of their rows
_FEW = 256
#: as many rows are looked up together: what is made of them stays in the processor's caches
_PART = 2**16
#: as many pairs of rows are compared with each other
_FEW_PAIRS = 2**15


_Function = TypeVar("_Function", bound=Callable[..., Any])


def not_traced(function: _Function) -> _Function:
    """A function that is called as it is where what calls it is compiled: torch would take its arrays
    for tensors, and knows less of them."""

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if torch.compiler.is_compiling():
            return torch.compiler.disable(function)(*arguments, **named)
        return function(*arguments, **named)

    return call  # type: ignore[return-value]


class _Digit(NamedTuple):
    """A column: its least value, how many values it spans, and, where the numbers of the columns before
    it leave no room for them, which numbers these are, in order: their ranks stand for them."""

    low: int
    span: int
    before: Numbers | None


class Packing:
    """An integer from 0 up to 2^63 for each row of a table, in the lexicographic order of the rows.

    The columns are its digits. Where they would need more than 63 bits, the number of a row so far is
    replaced by its rank among those that occur, which needs 31 at most and leaves room for 32 more.
    """

    def __init__(self, table: Table) -> None:
        self._digits: list[_Digit] = []
        #: the numbers of the rows, and what they are all below
        self.numbers, self.size = np.zeros(len(table), np.int64), 1
        for column in table.T:
            low, high = (int(column.min()), int(column.max())) if len(column) else (0, -1)
            span, before = high - low + 1, None
            if self.size * span > _LARGEST:
                before = np.sort(self.numbers)
                before = before[np.append(True, before[1:] != before[:-1])]
                self.numbers, self.size = np.searchsorted(before, self.numbers), len(before)
            self._digits.append(_Digit(low, span, before))
            self.numbers *= span
            self.numbers += column
            self.numbers -= low
            self.size *= span

    def number(self, row: Sequence[int]) -> int | None:
        """The number of a row, which the table needn't have; None where the digits have none for it."""
        number = 0
        for value, (low, span, before) in zip(row, self._digits, strict=True):
            if before is not None:
                rank = bisect_left(before, number)
                if rank == len(before) or before[rank] != number:
                    return None
                number = rank
            if not 0 <= value - low < span:
                return None
            number = number * span + value - low
        return number

    def known(self, table: Table) -> tuple[Numbers, Numbers]:
        """The places of the rows of another table that have a :meth:`number`, and which."""
        places, numbers = np.arange(len(table)), np.zeros(len(table), np.int64)
        for column, (low, span, before) in zip(table.T, self._digits, strict=True):
            if before is not None:
                ranks = np.searchsorted(before, numbers)
                kept = np.flatnonzero(before.take(ranks, mode="clip") == numbers)
                places, numbers = places.take(kept), ranks.take(kept)
            digits = (column if len(places) == len(column) else column.take(places)).astype(np.int64)
            if len(digits) and not low <= digits.min() <= digits.max() < low + span:
                kept = np.flatnonzero((low <= digits) & (digits < low + span))
                places, numbers, digits = (of.take(kept) for of in (places, numbers, digits))
            numbers *= span
            numbers += digits
            numbers -= low
        return places, numbers


class Index:
    """Where each of the distinct rows of a table is: a hash table of their numbers.

    A number has one slot. Where several have the same one, one of them is in it, and the others are
    searched by bisection; they are few, and none where there is a slot for every number below the size.
    There are more slots where many rows will be ``asked`` for.
    """

    @not_traced
    def __init__(self, table: Table, asked: int = 0) -> None:
        self._packing = Packing(table)
        numbers, places = self._packing.numbers, np.arange(len(table), dtype=np.int32)
        bits = max(2 + len(table).bit_length(), asked.bit_length())
        self._shift = 64 - bits if self._packing.size > 1 << bits else None
        self._slots = np.full(1 << bits, -1, np.int32)
        slots = self._slots_of(numbers)
        self._slots[slots] = places
        others = np.flatnonzero(self._slots.take(slots) != places)
        self._others, order = _sorted(numbers[others], self._packing.size)
        self._places_of_others = others[order]

    def place(self, row: Sequence[int]) -> int | None:
        """Where the row is, or None."""
        number = self._packing.number(row)
        if number is None:
            return None
        slot = number if self._shift is None else (number * _MULTIPLIER % 2**64) >> self._shift
        place = int(self._slots[slot])
        if place < 0:
            return None
        if self._packing.numbers[place] == number:
            return place
        near = bisect_left(self._others, number)
        if near == len(self._others) or self._others[near] != number:
            return None
        return int(self._places_of_others[near])

    @not_traced
    def find(self, table: Table) -> tuple[Numbers, Numbers]:
        """The places of the rows of another table that are in this one, and where in this one."""
        begins = range(0, max(len(table), 1), _PART)
        parts = [self._find(table[begin : begin + _PART]) for begin in begins]
        asked = [begin + part for begin, (part, _) in zip(begins, parts, strict=True)]
        return np.concatenate(asked), np.concatenate([places for _, places in parts])

    def _find(self, table: Table) -> tuple[Numbers, Numbers]:
        asked, numbers = self._packing.known(table)
        places = self._slots.take(self._slots_of(numbers))
        # of an empty slot this is the number of the first row, which is in another one
        found = self._packing.numbers.take(places, mode="clip") == numbers
        if len(self._others):
            rest = np.flatnonzero((places >= 0) & ~found)
            near = np.searchsorted(self._others, numbers.take(rest))
            hits = np.flatnonzero(self._others.take(near, mode="clip") == numbers.take(rest))
            rest, near = rest.take(hits), near.take(hits)
            found[rest], places[rest] = True, self._places_of_others.take(near)
        if not found.all():
            hits = np.flatnonzero(found)
            asked, places = asked.take(hits), places.take(hits)
        return asked, places.astype(np.int64)

    def _slots_of(self, numbers: Numbers) -> np.ndarray[Any, np.dtype[np.integer]]:
        if self._shift is None:
            return numbers
        return (numbers.view(np.uint64) * np.uint64(_MULTIPLIER)) >> np.uint64(self._shift)


@not_traced
def are_distinct(table: Table) -> bool:
    """Whether no row occurs twice."""
    numbers = np.sort(Packing(table).numbers)
    return not (numbers[1:] == numbers[:-1]).any()


@not_traced
def first_repeated(table: Table) -> tuple[int, int]:
    """The place of the first row that occurs again, in a table with one, and the place of its first."""
    packing = Packing(table)
    numbers, order = _sorted(packing.numbers, packing.size)
    again = int(order[1:][numbers[1:] == numbers[:-1]].min())
    return again, int((packing.numbers == packing.numbers[again]).argmax())


@not_traced
def order_of(table: Table) -> Numbers | None:
    """What sorts the rows lexicographically, equal ones as they stand; None where they are sorted."""
    if len(table) <= _FEW:
        order = np.lexsort(table.T[::-1])
        return None if (order[1:] > order[:-1]).all() else order
    packing = Packing(table)
    numbers = packing.numbers
    if (numbers[1:] >= numbers[:-1]).all():
        return None
    return _sorted(numbers, packing.size)[1]


@not_traced
def distinct_rows(table: Table, sort: bool) -> tuple[Table, Numbers]:
    """The distinct rows of a table, and for each of its rows which of them it is.

    They are in lexicographic order, or else in that of their first occurrence.
    """
    packing = Packing(table)
    numbers, order = _sorted(packing.numbers, packing.size)
    is_first = np.ones(len(table), np.bool_)
    is_first[1:] = numbers[1:] != numbers[:-1]
    firsts = order.take(np.flatnonzero(is_first))
    places = np.empty(len(table), np.int64)
    places[order] = is_first.cumsum() - 1
    if not sort:
        firsts, order = _sorted(firsts, len(table))
        ranks = np.empty(len(firsts), np.int64)
        ranks[order] = np.arange(len(firsts))
        places = ranks.take(places)
    return table.take(firsts, 0), places


@not_traced
def matches(table: Table, among: Table) -> Numbers:
    """The places of the rows that are ``among`` those of another table, which are distinct."""
    if len(table) * len(among) <= _FEW_PAIRS:
        alike = np.ones((len(table), len(among)), np.bool_)
        for column, other in zip(table.T, among.T, strict=True):
            alike &= column[:, None] == other
        return np.flatnonzero(alike.any(1))
    return Index(among, len(table)).find(table)[0]


def _sorted(numbers: Numbers, size: int) -> tuple[Numbers, Numbers]:
    """Numbers below ``size`` in order, equal ones as they stand, and where each of them was."""
    bits = len(numbers).bit_length()
    if size << bits > _LARGEST:
        order = numbers.argsort(kind="stable")
        return numbers[order], order
    # numbers alone are sorted many times as fast as their places are
    both = numbers << bits
    both |= np.arange(len(numbers))
    both.sort()
    return both >> bits, both & (1 << bits) - 1
