"""Multiples of 1/8, small enough for sums and products of them to be exact."""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import gcd

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from ._strategy import Draw, strategy

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


def check_sizes(minimum: str, low: int, maximum: str, high: int) -> None:
    """InvalidArgument unless both are ints, and 0 <= ``low`` <= ``high``."""
    check_size(minimum, low)
    check_size(maximum, high)
    if low > high:
        raise InvalidArgument(f"{minimum}={low} must be at most {maximum}={high}")


def check_strategies(**options: object) -> None:
    """InvalidArgument unless each is a strategy, or None."""
    for name, value in options.items():
        if value is not None and not isinstance(value, st.SearchStrategy):
            raise InvalidArgument(
                f"{name}={value!r} must be a strategy; for one value: "
                f"hypothesis.strategies.just({value!r})"
            )


def unit_bound(*, features: int = MAX_FEATURES, depth: int = MAX_DEPTH) -> int:
    """The largest B up to 127 such that values, weights and biases of up to B / 8 stay exact through
    ``depth`` Linear layers of up to ``features`` features each, with a factor of 64 to spare.

    After a layer, values are multiples of 1/8 of the unit before: the bound in units follows
    ``m -> features * m * B + B * 8**layer``, and must stay below 2**24 / 64 (float32's mantissa).
    Where that leaves none, it is 1. Raises InvalidArgument for sizes that are no ints, or negative.

    >>> unit_bound()
    24
    >>> unit_bound(features=64)
    3
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


def checked_bound(bound: int | None, features: int = MAX_FEATURES) -> int:
    """The bound that is given, or that of so many features. InvalidArgument where it can't be met."""
    if bound is None:
        return unit_bound(features=max(features, MAX_FEATURES))
    check_size("bound", bound, 1, 127)
    return bound


@functools.cache
def units(bound: int) -> tuple[float, ...]:
    """A table of the multiples of 1/8 up to bound/8, one for every byte.

    Hypothesis shrinks a byte by taking off its highest bits, then in steps of two, then of one. So the
    lowest bit is the sign, those above it count the whole numbers up, and the highest one makes a
    whole number a fraction below it: what needs no fraction shrinks to the smallest whole number.
    """
    wholes, fractions = [], []
    most, before, nth = -(-bound // UNITS), -1, 0
    for slot in range(64):
        whole = slot * (most + 1) // 64
        end = max(whole, 1) * UNITS
        below = sorted(
            range(end - UNITS + 1, min(end - 1, bound) + 1), key=lambda u: UNITS // gcd(u, UNITS)
        )
        nth, before = (nth + 1, whole) if whole == before else (0, whole)
        wholes.append(min(whole * UNITS, bound))
        fractions.append(below[nth % len(below)])
    return tuple(sign * u / UNITS for u in (*wholes, *fractions) for sign in (1, -1))


@strategy
def dyadic_numbers(*, bound: int | None = None) -> Callable[[Draw], float]:
    """Multiples of 1/8 of at most ``bound``/8 in magnitude (without one: :func:`unit_bound`).

    Shrinks towards 0, then 1, -1, 2, ... before fractions. Raises InvalidArgument for a bound that is
    no int from 1 to 127.

    >>> find(dyadic_numbers(), lambda a: a < 0)
    -1.0
    """
    table, byte = units(checked_bound(bound)), st.integers(0, 255)
    return lambda draw: table[draw(byte)]
