"""Strategies for labels, and for the labels of each axis."""

from __future__ import annotations

import functools
import itertools
from array import array
from collections.abc import Callable, Collection, Sequence

import torch
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from tmref import Labels
from tmref.labels import _checked_names
from tmref.rotations import O3_NAMES

from ._bytes import INT32_MAX, INT32_MIN, LABEL_VALUES, Bytes, sizes
from ._options import is_name
from ._strategy import Draw, strategy
from .numbers import check_size, check_sizes, check_strategies

MAX_LAMBDA = 4

KEY_NAMES = ("key", "o3_lambda", "center_type", "_")
SAMPLE_NAMES = ("system", "atom", "pair", "_")
COMPONENT_NAMES = ("xyz", "o3_mu", "_")
PROPERTY_NAMES = ("n", "l", "center_type", "_")

_CPU = torch.device("cpu")


@functools.cache
def tuples_of(alphabet: Sequence[str], low: int, high: int) -> tuple[tuple[str, ...], ...]:
    """A table of all tuples of distinct names."""
    found = (itertools.permutations(alphabet, size) for size in range(low, high + 1))
    return tuple(itertools.chain.from_iterable(found))


#: Tables of names.
KEYS = tuples_of(KEY_NAMES, 1, 3)
SAMPLES = tuples_of(SAMPLE_NAMES, 1, 2)
PROPERTIES = tuples_of(PROPERTY_NAMES, 1, 2)


@strategy
def dimension_names(
    *, alphabet: Sequence[str] = KEY_NAMES, min_size: int = 1, max_size: int | None = None
) -> Callable[[Draw], tuple[str, ...]]:
    """Distinct names of dimensions out of ``alphabet``, in any order: ``min_size`` to ``max_size`` of
    them, by default up to three.

    Shrinks towards few names, and the first ones. Raises InvalidArgument for an alphabet that has a
    name twice or something that is none, and sizes that contradict each other or the alphabet.

    >>> find(dimension_names(alphabet=["system", "atom"]), lambda names: len(names) == 2)
    ('system', 'atom')
    """
    if not isinstance(alphabet, Collection) or not all(map(is_name, alphabet)):
        raise InvalidArgument(
            f"alphabet={alphabet!r} must be a list of names of ASCII letters, digits and _"
        )
    if len(set(alphabet)) != len(alphabet):
        raise InvalidArgument(f"alphabet={alphabet!r} must have distinct names")
    check_size("min_size", min_size)
    if max_size is None:
        max_size = max(min_size, min(3, len(alphabet)))
    check_sizes("min_size", min_size, "max_size", max_size)
    if max_size > len(alphabet):
        raise InvalidArgument(
            f"max_size={max_size} must be at most the {len(alphabet)} names of the alphabet"
        )
    names = st.sampled_from(tuples_of(tuple(alphabet), min_size, max_size))
    return lambda draw: draw(names)


@strategy
def label_values(*, min_value: int = INT32_MIN, max_value: int = INT32_MAX) -> Callable[[Draw], int]:
    """32-bit integers: digits half of the time, else numbers near powers of two, the largest and the
    smallest among them, all of them from ``min_value`` to ``max_value``.

    Shrinks towards 0, or what is nearest to it. Raises InvalidArgument for bounds that are no 32-bit
    integers, or contradict each other.

    >>> find(label_values(), lambda value: value > 9)
    15
    """
    for name, bound in (("min_value", min_value), ("max_value", max_value)):
        is_int = isinstance(bound, int) and not isinstance(bound, bool)
        if not is_int or not INT32_MIN <= bound <= INT32_MAX:
            raise InvalidArgument(f"{name}={bound!r} must be a 32-bit integer")
    if min_value > max_value:
        raise InvalidArgument(f"min_value={min_value} must be at most max_value={max_value}")
    values = st.integers(0, 255)
    return lambda draw: min(max(LABEL_VALUES[draw(values)], min_value), max_value)


def label_rows(data: Bytes, size: int, width: int) -> dict[tuple[int, ...], None]:
    """Rows of labels, of a byte a value.

    A row that stands there already counts its last value up, so that zeros are 0, 1, 2, ...
    """
    values = data.label_values(size * width)
    rows: dict[tuple[int, ...], None] = {}
    for i in range(size):
        _add_row(rows, values[i * width : (i + 1) * width])
    return rows


def _add_row(rows: dict[tuple[int, ...], None], row: Sequence[int]) -> None:
    """Add a row, or the next one that isn't there."""
    added = tuple(row)
    while added in rows:
        added = _next_row(added)
    rows[added] = None


def _next_row(row: Sequence[int]) -> tuple[int, ...]:
    """The row whose last value is one up; after the largest comes the smallest."""
    *first, last = row
    return (*first, last + 1 if last < INT32_MAX else INT32_MIN)


def labels_of_rows(
    names: Sequence[str], rows: dict[tuple[int, ...], None], device: torch.device = _CPU
) -> Labels:
    """Labels of these rows."""
    content = array("i", itertools.chain.from_iterable(rows)).tobytes()
    return Labels._unchecked(tuple(names), content, device)


@strategy
def labels(
    *,
    names: st.SearchStrategy[Sequence[str]] | None = None,
    values: st.SearchStrategy[int] | None = None,
    min_size: int = 0,
    max_size: int = 4,
) -> Callable[[Draw], Labels]:
    """Labels of ``min_size`` to ``max_size`` entries in any order, of the drawn ``names`` (without them
    one to three as :func:`dimension_names` gives) and ``values`` (as :func:`label_values` gives).

    Drawn ``values`` that repeat a row count its last value up until it is none. Shrinks towards few
    entries of few dimensions, and 0, 1, 2, ... Raises InvalidArgument for sizes that contradict each
    other, and names or values that are no strategies.

    >>> find(labels(), lambda x: len(x) == 2 and len(x.names) == 2)
    Labels(["key", "o3_lambda"], torch.tensor([[0, 0], [0, 1]]))
    """
    return _draw_labels(KEYS, names, values, min_size, max_size)


def _draw_labels(
    table: Sequence[tuple[str, ...]],
    names: st.SearchStrategy[Sequence[str]] | None,
    values: st.SearchStrategy[int] | None,
    min_size: int,
    max_size: int,
) -> Callable[[Draw], Labels]:
    check_sizes("min_size", min_size, "max_size", max_size)
    check_strategies(names=names, values=values)
    number, of_names = st.sampled_from(sizes(min_size, max_size)), st.sampled_from(table)

    def draw_labels(draw: Draw) -> Labels:
        drawn: Sequence[str] = draw(of_names) if names is None else _checked_names(draw(names))
        size, width = draw(number), len(drawn)
        if values is None:
            rows = label_rows(draw.bytes("labels", size * width), size, width)
        else:
            rows = {}
            for _ in range(size):
                _add_row(rows, [_checked_value(draw(values)) for _ in range(width)])
        return labels_of_rows(drawn, rows)

    return draw_labels


def _checked_value(value: object) -> int:
    if not isinstance(value, int) or not INT32_MIN <= value <= INT32_MAX:
        raise InvalidArgument(f"values gave {value!r}, which is no 32-bit integer")
    return value


@strategy
def keys(
    *,
    names: st.SearchStrategy[Sequence[str]] | None = None,
    values: st.SearchStrategy[int] | None = None,
    min_size: int = 0,
    max_size: int = 4,
) -> Callable[[Draw], Labels]:
    """Keys of a map: up to three dimensions, sorted or not. Options and errors are those of
    :func:`labels`.

    Shrinks towards few keys, and 0, 1, 2, ... Raises InvalidArgument.

    >>> find(keys(), lambda x: len(x) == 3)
    Labels.range("key", 3)
    """
    if values is not None or names is not None:
        return _draw_labels(KEYS, names, values, min_size, max_size)
    check_sizes("min_size", min_size, "max_size", max_size)
    return _draw_keys(KEYS, min_size, max_size, None)


#: The names of spherical keys.
SPHERICAL_NAMES = (
    ("o3_lambda", "o3_sigma"),
    ("o3_lambda", "o3_sigma", "center_type"),
    ("o3_lambda", "o3_sigma", "center_type", "neighbor_type"),
    ("center_type", "o3_lambda", "o3_sigma"),
)


def checked_o3_names(names: object) -> tuple[str, str, str]:
    """The names of the dimensions of λ, σ and μ. Raises InvalidArgument where they are none."""
    if isinstance(names, (list, tuple)) and len(names) == 3 and all(map(is_name, names)):
        of_lambda, of_sigma, of_mu = names
        if of_lambda != of_sigma and not {of_lambda, of_sigma} & {"center_type", "neighbor_type"}:
            found = of_lambda, of_sigma, of_mu
            return O3_NAMES if found == O3_NAMES else found  # the default itself is not printed
    raise InvalidArgument(
        f"o3_names={names!r} must be three names, of the dimensions of λ and σ in the keys and of μ in "
        f"the components, as {O3_NAMES} are"
    )


@functools.cache
def spherical_names(o3_names: tuple[str, str, str] = O3_NAMES) -> tuple[tuple[str, ...], ...]:
    """A table of the names of spherical keys."""
    new = dict(zip(O3_NAMES, o3_names, strict=True))
    return tuple(tuple(new.get(name, name) for name in names) for names in SPHERICAL_NAMES)


_SIGMAS = (1, -1)


@functools.cache
def _spherical_pairs(max_lambda: int, sigmas: tuple[int, ...] = _SIGMAS) -> tuple[tuple[int, int], ...]:
    """A table of the pairs of o3_lambda and o3_sigma, scalars and pseudoscalars the most frequent."""
    pairs = [(o3_lambda, o3_sigma) for o3_lambda in range(max_lambda + 1) for o3_sigma in sigmas]
    weights = {0: 6, 1: 3, 2: 2}
    return tuple(pair for pair in pairs for _ in range(weights.get(pair[0], 1)))


class KeyRows:
    """Rows of keys under ``names``, drawn one after the other, spherical ones up to ``max_lambda``.

    A row that stands there already is left out: each row is what its own bytes say, so that rows before
    it can be taken away while it shrinks. Where so many rows are needed, it is the next one.
    """

    def __init__(
        self,
        names: Sequence[str],
        max_lambda: int | None,
        sigmas: tuple[int, ...] = _SIGMAS,
        of_lambda: str = O3_NAMES[0],
    ) -> None:
        self.names = names
        self.rows: dict[tuple[int, ...], None] = {}
        self._max_lambda, self._sigmas = max_lambda, sigmas
        self._at = names.index(of_lambda) if max_lambda is not None else 0

    def add(self, data: Bytes, needed: bool) -> bool:
        """Add the row that the next bytes say; False where it stands there already."""
        pair = (0, 0) if self._max_lambda is None else data.pick(self._pairs(self._max_lambda))
        further: Sequence[int] = data.label_values(len(self.names) - 2 * (self._max_lambda is not None))
        row = self._row(pair, further)
        if row in self.rows and not needed:
            return False
        while row in self.rows:
            pair, further = self._next(pair, further)
            row = self._row(pair, further)
        self.rows[row] = None
        return True

    def _row(self, pair: tuple[int, int], further: Sequence[int]) -> tuple[int, ...]:
        if self._max_lambda is None:
            return tuple(further)
        return (*further[: self._at], *pair, *further[self._at :])

    def _next(
        self, pair: tuple[int, int], further: Sequence[int]
    ) -> tuple[tuple[int, int], Sequence[int]]:
        if self._max_lambda is None:
            return pair, _next_row(further)
        pairs = list(dict.fromkeys(self._pairs(self._max_lambda)))
        return pairs[(pairs.index(pair) + 1) % len(pairs)], further

    def _pairs(self, max_lambda: int) -> tuple[tuple[int, int], ...]:
        return _spherical_pairs(max_lambda, self._sigmas)

    def last_lambda(self) -> int | None:
        """The o3_lambda of the row that was added last, where it is spherical."""
        return None if self._max_lambda is None else next(reversed(self.rows))[self._at]

    def labels(self) -> Labels:
        """The rows as labels."""
        return labels_of_rows(self.names, self.rows)


def _key_bytes(draw: Draw) -> Bytes:
    return draw.bytes("key", 4, exact=True)


def _draw_keys(
    table: Sequence[tuple[str, ...]],
    min_size: int,
    max_size: int,
    max_lambda: int | None,
    sigmas: tuple[int, ...] = _SIGMAS,
    of_lambda: str = O3_NAMES[0],
) -> Callable[[Draw], Labels]:
    number, of_names = st.sampled_from(sizes(min_size, max_size)), st.sampled_from(table)

    def draw_keys(draw: Draw) -> Labels:
        found, size = KeyRows(draw(of_names), max_lambda, sigmas, of_lambda), draw(number)
        for i in range(size):
            found.add(draw.part(_key_bytes), len(found.rows) + size - i <= min_size)
        return found.labels()

    return draw_keys


@strategy
def spherical_keys(
    *,
    min_size: int = 0,
    max_size: int = 4,
    max_lambda: int = MAX_LAMBDA,
    sigmas: Sequence[int] = _SIGMAS,
    o3_names: Sequence[str] = O3_NAMES,
) -> Callable[[Draw], Labels]:
    """Keys of a map of spherical tensors: ``o3_lambda`` from 0 to ``max_lambda``, ``o3_sigma`` out of
    ``sigmas``, 1 or -1, and up to two further dimensions. The first two of the ``o3_names`` are what
    these two are called.

    Shrinks towards few keys, and invariant ones. Raises InvalidArgument for sizes that contradict each
    other, more keys than there are pairs of ``o3_lambda`` and ``o3_sigma``, and names that are no three.

    >>> find(spherical_keys(), lambda x: any(key["o3_lambda"] == 2 for key in x))
    Labels(["o3_lambda", "o3_sigma"], torch.tensor([[2, 1]]))
    """
    is_some = isinstance(sigmas, Collection) and len(sigmas) > 0
    if not is_some or any(sigma not in _SIGMAS for sigma in sigmas):
        raise InvalidArgument(f"sigmas={sigmas!r} must be some of 1 and -1")
    of_sigmas = tuple(dict.fromkeys(sigmas))
    check_spherical(min_size, max_size, max_lambda, "min_size", "max_size", len(of_sigmas))
    names = checked_o3_names(o3_names)
    table = spherical_names(names)
    return _draw_keys(table, min_size, max_size, max_lambda, of_sigmas, names[0])


def check_spherical(
    low: int, high: int, max_lambda: int, minimum: str, maximum: str, sigmas: int = len(_SIGMAS)
) -> None:
    """InvalidArgument unless there are so many spherical keys."""
    check_size("max_lambda", max_lambda)
    check_sizes(minimum, low, maximum, high)
    if high > sigmas * (max_lambda + 1):
        raise InvalidArgument(
            f"{maximum}={high} must be at most {sigmas * (max_lambda + 1)}, the pairs of o3_lambda and "
            f"o3_sigma up to max_lambda={max_lambda}"
        )


@strategy
def samples(
    *,
    names: st.SearchStrategy[Sequence[str]] | None = None,
    values: st.SearchStrategy[int] | None = None,
    min_size: int = 0,
    max_size: int = 4,
) -> Callable[[Draw], Labels]:
    """Samples of a block: one or two dimensions. Options, shrinking and errors are those of
    :func:`labels`.

    Raises InvalidArgument.

    >>> find(samples(min_size=2), lambda x: True)
    Labels.range("system", 2)
    """
    return _draw_labels(SAMPLES, names, values, min_size, max_size)


@strategy
def properties(
    *,
    names: st.SearchStrategy[Sequence[str]] | None = None,
    values: st.SearchStrategy[int] | None = None,
    min_size: int = 0,
    max_size: int = 4,
) -> Callable[[Draw], Labels]:
    """Properties of a block: one or two dimensions. Options, shrinking and errors are those of
    :func:`labels`.

    Raises InvalidArgument.

    >>> find(properties(), lambda x: len(x) == 1)
    Labels.range("n", 1)
    """
    return _draw_labels(PROPERTIES, names, values, min_size, max_size)


def component_names(max_components: int) -> tuple[tuple[str, ...], ...]:
    """A table of the names of up to ``max_components`` components, every number of them as often: of
    no component there is one tuple, and blocks without components have code of their own."""
    of_number = [tuples_of(COMPONENT_NAMES, size, size) for size in range(max_components + 1)]
    most = max(map(len, of_number))
    repeated = (tuples * (most // len(tuples)) for tuples in of_number)
    return tuple(itertools.chain.from_iterable(repeated))


@strategy
def components(*, max_components: int = 2, max_size: int = 3) -> Callable[[Draw], list[Labels]]:
    """Components of a block: up to ``max_components`` axes of different names, of 1 to ``max_size``
    entries each.

    Shrinks towards none. Raises InvalidArgument for bounds that can't be met.

    >>> find(components(), lambda axes: any(len(axis) == 2 for axis in axes))
    [Labels.range("xyz", 2)]
    """
    check_size("max_components", max_components, 0, len(COMPONENT_NAMES))
    check_size("max_size", max_size, 1)
    names, size = st.sampled_from(component_names(max_components)), sizes(1, max_size)

    def draw_components(draw: Draw) -> list[Labels]:
        drawn = draw(names)
        data = draw.bytes("components", len(drawn) * (max_size + 1)) if drawn else Bytes(b"")
        return [labels_of_rows((name,), label_rows(data, data.pick(size), 1)) for name in drawn]

    return draw_components


@functools.cache
def spherical_component(o3_lambda: int, of_mu: str = O3_NAMES[2]) -> Labels:
    """The component ``o3_mu``, or what it is called, from -``o3_lambda`` to ``o3_lambda``."""
    return Labels(of_mu, torch.arange(-o3_lambda, o3_lambda + 1).reshape(-1, 1))


@strategy
def spherical_components(
    *, max_lambda: int = MAX_LAMBDA, o3_names: Sequence[str] = O3_NAMES
) -> Callable[[Draw], list[Labels]]:
    """Components of a block of a spherical tensor: the one axis ``o3_mu``, or what the last of the
    ``o3_names`` says, from -λ to λ, for λ from 0 to ``max_lambda``.

    Shrinks towards λ = 0. Raises InvalidArgument for a ``max_lambda`` that is no int, or negative, and
    names that are no three.

    >>> find(spherical_components(), lambda axes: len(axes[0]) > 1)
    [Labels("o3_mu", torch.tensor([[-1], [0], [1]]))]
    """
    check_size("max_lambda", max_lambda)
    of_mu = checked_o3_names(o3_names)[-1]
    lambdas = st.integers(0, max_lambda)
    return lambda draw: [spherical_component(draw(lambdas), of_mu)]
