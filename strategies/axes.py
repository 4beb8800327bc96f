"""Strategies for labels, and for the labels of each axis."""

from __future__ import annotations

import functools
import itertools
from array import array
from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from tmref import Labels
from tmref.labels import _checked_names

from .numbers import check_size, enough_bytes

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1

KEY_NAMES = ("key", "o3_lambda", "center_type", "_")
SAMPLE_NAMES = ("system", "atom", "pair", "_")
COMPONENT_NAMES = ("xyz", "o3_mu", "_")
PROPERTY_NAMES = ("n", "l", "center_type", "_")


def _value(byte: int) -> int:
    """Digits for half of the bytes, then numbers of all magnitudes and signs, the extremes included."""
    if byte < 128:
        return byte % 10
    power, sign, offset = (byte - 128) // 4, byte & 1, 1 - (byte >> 1 & 1)
    value = 2**power - offset
    return max(-value - 1, INT32_MIN) if sign else min(value, INT32_MAX)


_VALUES = tuple(map(_value, range(256)))


def check_sizes(minimum: str, low: int, maximum: str, high: int) -> None:
    """InvalidArgument unless both are ints, and 0 <= ``low`` <= ``high``."""
    check_size(minimum, low)
    check_size(maximum, high)
    if low > high:
        raise InvalidArgument(f"{minimum}={low} must be at most {maximum}={high}")


@functools.cache
def sizes(low: int, high: int) -> st.SearchStrategy[int]:
    """Sizes from ``low`` to ``high``, 0 half as often as others. Shrinks towards ``low``."""
    return st.sampled_from([*range(low, high + 1), *range(max(low, 1), high + 1)] or [0])


@functools.cache
def _names(alphabet: tuple[str, ...], low: int, high: int) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sampled_from(
        [names for size in range(low, high + 1) for names in itertools.permutations(alphabet, size)]
    )


def names(
    *, alphabet: Sequence[str] = KEY_NAMES, min_size: int = 1, max_size: int = 3
) -> st.SearchStrategy[tuple[str, ...]]:
    """Distinct names of dimensions out of ``alphabet``, in any order.

    Shrinks towards few names, and the first ones. Raises InvalidArgument for an alphabet that has a
    name twice, and sizes that contradict each other or the alphabet.
    """
    if len(set(alphabet)) != len(alphabet):
        raise InvalidArgument(f"alphabet={alphabet!r} must have distinct names")
    check_sizes("min_size", min_size, "max_size", max_size)
    if max_size > len(alphabet):
        raise InvalidArgument(
            f"max_size={max_size} must be at most the {len(alphabet)} names of the alphabet"
        )
    return _names(tuple(alphabet), min_size, max_size)


def label_values() -> st.SearchStrategy[int]:
    """32-bit integers: digits half of the time, else numbers near powers of two, the largest and the
    smallest among them. Shrinks towards 0.
    """
    return st.integers(0, 255).map(_VALUES.__getitem__)


def draw_labels(draw: st.DrawFn, names: Sequence[str], low: int, high: int) -> Labels:
    """Labels of ``low`` to ``high`` entries, drawn in two pieces: their number, and a byte a value.

    A row that stands there already counts its last value up, so that zeros are 0, 1, 2, ...
    """
    size = draw(sizes(low, high))
    width = len(names)
    values = [_VALUES[byte] for byte in draw(enough_bytes(size * width))]
    rows: dict[tuple[int, ...], None] = {}
    for i in range(size):
        *first, last = values[i * width : (i + 1) * width]
        while (*first, last) in rows:
            last = last + 1 if last < INT32_MAX else INT32_MIN
        rows[(*first, last)] = None
    content = array("i", itertools.chain.from_iterable(rows)).tobytes()
    return Labels._unchecked(tuple(names), content, torch.device("cpu"))


@st.composite
def _labels(
    draw: st.DrawFn, names: st.SearchStrategy[Sequence[str]], min_size: int, max_size: int
) -> Labels:
    return draw_labels(draw, _checked_names(draw(names)), min_size, max_size)


def labels(
    *,
    names: st.SearchStrategy[Sequence[str]] | None = None,
    min_size: int = 0,
    max_size: int = 4,
) -> st.SearchStrategy[Labels]:
    """Labels of ``min_size`` to ``max_size`` entries in any order, with values as
    :func:`label_values` gives.

    Shrinks towards few entries of few dimensions, and 0, 1, 2, ... Raises InvalidArgument for sizes
    that contradict each other.
    """
    check_sizes("min_size", min_size, "max_size", max_size)
    return _labels(_names(KEY_NAMES, 1, 3) if names is None else names, min_size, max_size)


def keys(*, min_size: int = 0, max_size: int = 4) -> st.SearchStrategy[Labels]:
    """Keys of a map: up to three dimensions, sorted or not. Raises as :func:`labels` does."""
    return labels(min_size=min_size, max_size=max_size)


_FURTHER_KEYS = st.sampled_from([(), ("center_type",), ("center_type", "neighbor_type")])


@st.composite
def _spherical_keys(draw: st.DrawFn, min_size: int, max_size: int, max_lambda: int) -> Labels:
    names = ("o3_lambda", "o3_sigma", *draw(_FURTHER_KEYS))
    size, width = draw(sizes(min_size, max_size)), len(names) - 1
    data = draw(enough_bytes(size * width))
    rows: dict[tuple[int, ...], None] = {}
    for i in range(size):
        byte, *further = data[i * width : (i + 1) * width]
        row = [byte // 2 % (max_lambda + 1), 1 - 2 * (byte % 2), *(_VALUES[b] for b in further)]
        while tuple(row) in rows:  # the other sign, then the next o3_lambda
            row[1] = -row[1]
            row[0] = row[0] if row[1] < 0 else (row[0] + 1) % (max_lambda + 1)
        rows[tuple(row)] = None
    content = array("i", itertools.chain.from_iterable(rows)).tobytes()
    return Labels._unchecked(names, content, torch.device("cpu"))


def spherical_keys(
    *, min_size: int = 0, max_size: int = 4, max_lambda: int = 2
) -> st.SearchStrategy[Labels]:
    """Keys of a map of spherical tensors: ``o3_lambda`` from 0 to ``max_lambda``, ``o3_sigma`` 1 or -1,
    and up to two further dimensions.

    Shrinks towards few keys, and invariant ones. Raises InvalidArgument for sizes that contradict each
    other, or more keys than there are pairs of ``o3_lambda`` and ``o3_sigma``.
    """
    check_size("max_lambda", max_lambda, 0)
    check_sizes("min_size", min_size, "max_size", max_size)
    if max_size > 2 * (max_lambda + 1):
        raise InvalidArgument(
            f"max_size={max_size} must be at most {2 * (max_lambda + 1)}, the pairs of o3_lambda and "
            f"o3_sigma up to max_lambda={max_lambda}"
        )
    return _spherical_keys(min_size, max_size, max_lambda)


@functools.cache
def spherical_component(o3_lambda: int) -> Labels:
    """The component ``o3_mu``, from -``o3_lambda`` to ``o3_lambda``."""
    return Labels("o3_mu", torch.arange(-o3_lambda, o3_lambda + 1).reshape(-1, 1))


def sample_names() -> st.SearchStrategy[tuple[str, ...]]:
    """Names of one or two dimensions of samples."""
    return _names(SAMPLE_NAMES, 1, 2)


def samples(*, min_size: int = 0, max_size: int = 4) -> st.SearchStrategy[Labels]:
    """Samples of a block. Raises as :func:`labels` does."""
    return labels(names=sample_names(), min_size=min_size, max_size=max_size)


def property_names() -> st.SearchStrategy[tuple[str, ...]]:
    """Names of one or two dimensions of properties."""
    return _names(PROPERTY_NAMES, 1, 2)


def properties(*, min_size: int = 0, max_size: int = 4) -> st.SearchStrategy[Labels]:
    """Properties of a block. Raises as :func:`labels` does."""
    return labels(names=property_names(), min_size=min_size, max_size=max_size)


def component_names(max_components: int = 2) -> st.SearchStrategy[tuple[str, ...]]:
    """Names of up to ``max_components`` components."""
    return _names(COMPONENT_NAMES, 0, max_components)


@st.composite
def _components(draw: st.DrawFn, names: st.SearchStrategy[Sequence[str]], max_size: int) -> list[Labels]:
    return [draw_labels(draw, [name], 1, max_size) for name in draw(names)]


def components(*, max_components: int = 2, max_size: int = 3) -> st.SearchStrategy[list[Labels]]:
    """Components of a block: up to ``max_components`` axes of different names, of 1 to ``max_size``
    entries each.

    Shrinks towards none. Raises InvalidArgument for bounds that can't be met.
    """
    check_size("max_components", max_components, 0, len(COMPONENT_NAMES))
    check_size("max_size", max_size, 1)
    return _components(component_names(max_components), max_size)
