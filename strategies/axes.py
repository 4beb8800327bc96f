"""Strategies for labels, and for the labels of each axis."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from tmref import Labels

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1

KEY_NAMES = ("key", "o3_lambda", "center_type", "_")
SAMPLE_NAMES = ("system", "atom", "pair", "_")
COMPONENT_NAMES = ("xyz", "o3_mu", "_")
PROPERTY_NAMES = ("n", "l", "center_type", "_")


def _check_sizes(**bounds: int | None) -> None:
    for name, value in bounds.items():
        if not isinstance(value, int) or value < 0:
            raise InvalidArgument(f"{name}={value!r} must be an int of at least 0")
    (low_name, low), (high_name, high) = bounds.items()
    if low > high:  # type: ignore[operator]
        raise InvalidArgument(f"{low_name}={low} must be at most {high_name}={high}")


def names(
    *, alphabet: Sequence[str] = KEY_NAMES, min_size: int = 1, max_size: int = 3
) -> st.SearchStrategy[list[str]]:
    """Lists of distinct names of dimensions out of ``alphabet``.

    Shrinks towards few names, and the first ones. Raises InvalidArgument for sizes that the alphabet
    can't give.
    """
    _check_sizes(min_size=min_size, max_size=max_size)
    if min_size < 1 or min_size > len(alphabet):
        raise InvalidArgument(
            f"min_size={min_size} must be from 1 to the {len(alphabet)} names of the alphabet"
        )
    most = min(max_size, len(alphabet))
    return st.lists(st.sampled_from(alphabet), unique=True, min_size=min_size, max_size=most)


def label_values() -> st.SearchStrategy[int]:
    """32-bit integers, half of them of one digit; the largest and the smallest occur.

    Shrinks towards 0.
    """
    return st.one_of(st.integers(0, 9), st.integers(INT32_MIN, INT32_MAX))


_VALUES = label_values()


@st.composite
def _labels(
    draw: st.DrawFn,
    names: st.SearchStrategy[list[str]],
    values: st.SearchStrategy[int],
    min_size: int,
    max_size: int,
) -> Labels:
    dimensions = tuple(draw(names))
    rows = draw(
        st.lists(
            st.tuples(*[values] * len(dimensions)),
            unique=True,
            min_size=min_size,
            max_size=max_size,
        )
    )
    tensor = torch.tensor(rows, dtype=torch.int32).reshape(len(rows), len(dimensions))
    return Labels._unchecked(dimensions, tensor, tensor.device)


def labels(
    *,
    names: st.SearchStrategy[list[str]] | None = None,
    values: st.SearchStrategy[int] | None = None,
    min_size: int = 0,
    max_size: int = 4,
) -> st.SearchStrategy[Labels]:
    """Labels of ``min_size`` to ``max_size`` entries, in any order, of the drawn names and values.

    Shrinks towards few entries of few dimensions with values near 0. Raises InvalidArgument for sizes
    that contradict each other.
    """
    _check_sizes(min_size=min_size, max_size=max_size)
    return _labels(_NAMES if names is None else names, values or _VALUES, min_size, max_size)


_NAMES = names()
_OF_KEYS = names(alphabet=KEY_NAMES)
_OF_SAMPLES = names(alphabet=SAMPLE_NAMES, max_size=2)
_OF_PROPERTIES = names(alphabet=PROPERTY_NAMES, max_size=2)


def keys(*, min_size: int = 0, max_size: int = 4) -> st.SearchStrategy[Labels]:
    """Keys of a map: up to three dimensions, sorted or not. Raises as :func:`labels` does."""
    return labels(names=_OF_KEYS, min_size=min_size, max_size=max_size)


def samples(
    *,
    names: st.SearchStrategy[list[str]] | None = None,
    min_size: int = 0,
    max_size: int = 4,
) -> st.SearchStrategy[Labels]:
    """Samples of a block. Raises as :func:`labels` does."""
    return labels(names=names or _OF_SAMPLES, min_size=min_size, max_size=max_size)


def properties(
    *,
    names: st.SearchStrategy[list[str]] | None = None,
    min_size: int = 0,
    max_size: int = 4,
) -> st.SearchStrategy[Labels]:
    """Properties of a block. Raises as :func:`labels` does."""
    return labels(names=names or _OF_PROPERTIES, min_size=min_size, max_size=max_size)


@st.composite
def _components(draw: st.DrawFn, names: st.SearchStrategy[list[str]], max_size: int) -> list[Labels]:
    return [draw(_labels(st.just([name]), _VALUES, 1, max_size)) for name in draw(names)]


def components(
    *,
    names: st.SearchStrategy[list[str]] | None = None,
    max_components: int = 2,
    max_size: int = 3,
) -> st.SearchStrategy[list[Labels]]:
    """Components of a block: up to ``max_components`` axes of different names, of 1 to ``max_size``
    entries each.

    Shrinks towards none. Raises InvalidArgument for bounds that can't be met.
    """
    _check_sizes(max_components=max_components, alphabet=len(COMPONENT_NAMES))
    _check_sizes(min_size=1, max_size=max_size)
    if names is None:
        names = st.lists(st.sampled_from(COMPONENT_NAMES), unique=True, max_size=max_components)
    return _components(names, max_size)
