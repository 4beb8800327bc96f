"""Bytes that were drawn, and the tables in which they are looked up."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def _value(byte: int) -> int:
    """Digits for half of the bytes, then numbers of all magnitudes and signs, the extremes included."""
    if byte < 128:
        return byte * 10 >> 7
    power, sign, offset = (byte - 128) // 4, byte & 1, 1 - (byte >> 1 & 1)
    value = 2**power - offset
    return max(-value - 1, INT32_MIN) if sign else min(value, INT32_MAX)


LABEL_VALUES = tuple(map(_value, range(256)))


class Bytes:
    """Drawn bytes, taken one after the other: a decision, a size or a number each."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._next = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        start = self._next
        self._next += count
        return self.data[start : self._next]

    def label_values(self, count: int) -> list[int]:
        """As many 32-bit integers, by the next bytes."""
        return [LABEL_VALUES[byte] for byte in self.take(count)]

    def pick(self, table: Sequence[T]) -> T:
        """One of the table, by the next byte: 0 is its first entry, larger bytes are later ones."""
        byte = self.data[self._next]
        self._next += 1
        return table[byte * len(table) >> 8]

    def pick_order(self, size: int) -> tuple[int, ...]:
        """The numbers up to ``size`` in any order, of a byte each."""
        left = list(range(size))
        return tuple(left.pop(self.pick(range(len(left)))) for _ in range(size))


@functools.cache
def sizes(low: int, high: int) -> tuple[int, ...]:
    """A table of sizes from ``low`` to ``high``, 0 half as often as others."""
    return tuple(size for size in range(low, high + 1) for _ in range(2 if size else 1))
