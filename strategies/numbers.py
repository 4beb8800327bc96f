"""Strategies for values: multiples of 1/8, small enough for sums and products of them to be exact."""

from __future__ import annotations

import functools
from math import gcd, prod

import torch
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

#: Values are multiples of 1 / UNITS.
UNITS = 8

#: A law may scale and add what a module returns; it has this factor for it.
HEADROOM = 64

#: Sums of whole units stay below this, the first number that float32 can't tell from its successor.
EXACT = 2**24

MAX_FEATURES = 4
MAX_DEPTH = 2


def check_size(name: str, size: object, least: int = 0, most: int | None = None) -> None:
    """InvalidArgument unless it is an int from ``least`` to ``most``."""
    is_int = isinstance(size, int) and not isinstance(size, bool)
    if not is_int or size < least or (most is not None and size > most):  # type: ignore[operator]
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise InvalidArgument(f"{name}={size!r} must be an int {bounds}")


def unit_bound(*, features: int = MAX_FEATURES, depth: int = MAX_DEPTH) -> int:
    """The largest B up to 127 such that values, weights and biases of up to B / 8 stay exact through
    ``depth`` Linear layers of up to ``features`` features each, with a factor of 64 to spare.

    After a layer, values are multiples of 1/8 of the unit before: the bound in units follows
    ``m -> features * m * B + B * 8**layer``, and must stay below 2**24 / 64 (float32's mantissa).
    Where that leaves none, it is 1. Raises InvalidArgument for sizes that are no ints, or negative.
    """
    check_size("features", features)
    check_size("depth", depth)
    return _unit_bound(features, depth)


@functools.cache
def _unit_bound(features: int, depth: int) -> int:
    def largest(bound: int) -> int:
        magnitude = bound
        for layer in range(1, depth + 1):
            magnitude = features * magnitude * bound + bound * UNITS**layer
        return magnitude

    bound = 1
    while bound < 127 and largest(bound + 1) * HEADROOM < EXACT:
        bound += 1
    return bound


@functools.cache
def _units(bound: int) -> torch.Tensor:
    """The multiples of 1/8 up to bound/8, simplest first: whole before half, small before large."""
    units = sorted(range(-bound, bound + 1), key=lambda u: (UNITS // gcd(u, UNITS), abs(u), u < 0))
    return torch.tensor(units, dtype=torch.float64) / UNITS


@functools.cache
def enough_bytes(count: int) -> st.SearchStrategy[bytes]:
    """At least ``count`` bytes in one draw.

    Their number is 16, 64, 256, ...: Hypothesis mutates one draw at a time, and where a changed size
    asked for another number of bytes, it would replace them all by zeros. They count from the end:
    shrinking sorts them, so that what isn't zero comes first, and sizes can shrink.
    """
    size = 16
    while size < count:
        size *= 4
    return st.binary(min_size=size, max_size=size).map(lambda data: data[::-1])


def checked_bound(bound: int | None, features: int = MAX_FEATURES) -> int:
    """The bound that is given, or that of so many features. InvalidArgument where it can't be met."""
    if bound is None:
        return unit_bound(features=max(features, MAX_FEATURES))
    check_size("bound", bound, 1, 127)
    return bound


def dyadic_numbers(*, bound: int | None = None) -> st.SearchStrategy[float]:
    """Multiples of 1/8 of at most ``bound``/8 in magnitude (without one: :func:`unit_bound`).

    Shrinks towards 0, then 1, -1, 2, ... before fractions. Raises InvalidArgument for a bound that is
    no int from 1 to 127.
    """
    return st.sampled_from(_units(checked_bound(bound)).tolist())


def dyadic_tensors(
    shape: tuple[int, ...], *, dtype: torch.dtype = torch.float64, bound: int | None = None
) -> st.SearchStrategy[torch.Tensor]:
    """Tensors of multiples of 1/8 as :func:`dyadic_numbers` gives, each value shrinking by itself.

    They are drawn in one piece, a byte a value. Raises InvalidArgument for a bound as there, and a
    shape of anything but sizes.
    """
    units = _units(checked_bound(bound))
    for size in shape:
        check_size("shape", size)
    count = prod(shape)
    if not count:
        return st.builds(torch.zeros, st.just(shape), dtype=st.just(dtype))

    def tensor(data: bytes) -> torch.Tensor:
        indices = torch.frombuffer(bytearray(data), dtype=torch.uint8, count=count).to(torch.int64)
        return units[indices % len(units)].to(dtype).reshape(shape)

    return enough_bytes(count).map(tensor)
