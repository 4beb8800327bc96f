"""Strategies for labels as atomistic data has them: types of atoms, systems and their atoms, axes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from math import prod
from types import MappingProxyType

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from tmref import Labels

from ._bytes import INT32_MAX, INT32_MIN
from ._options import check_flags, checked_names, is_sequence
from ._strategy import Draw, strategy
from .axes import labels_of_rows
from .numbers import check_sizes

#: The numbers of a dimension: from the first to the second, or those that are listed.
Numbers = tuple[int, int] | Sequence[int]


def _numbers(option: str, numbers: Numbers) -> Sequence[int]:
    """All numbers of a dimension, each of them once. However many there are, a range stays one."""
    what = f"{option}={numbers!r} must be a first and a last number, or a list of numbers"
    if not isinstance(numbers, Collection):
        raise InvalidArgument(what)
    found = numbers if isinstance(numbers, range) else tuple(numbers)
    if not found:
        raise InvalidArgument(what)
    for number in (found[0], found[-1]) if isinstance(found, range) else found:
        if not _is_int32(number):
            raise InvalidArgument(f"{what}; {number!r} is no 32-bit integer")
    if isinstance(numbers, tuple) and len(numbers) == 2:
        if numbers[0] > numbers[1]:
            raise InvalidArgument(f"{what}; the first is above the last")
        return range(numbers[0], numbers[1] + 1)
    return found if isinstance(found, range) else list(dict.fromkeys(found))


def _is_int32(number: object) -> bool:
    is_int = isinstance(number, int) and not isinstance(number, bool)
    return is_int and INT32_MIN <= number <= INT32_MAX  # type: ignore[operator]


_TYPES: Mapping[str, Numbers] = MappingProxyType({"center_type": (1, 118)})


@strategy
def labels_of(
    *, dimensions: Mapping[str, Numbers] = _TYPES, min_size: int = 0, max_size: int = 4
) -> Callable[[Draw], Labels]:
    """Labels of ``min_size`` to ``max_size`` entries in any order, whose ``dimensions`` have the numbers
    that are said: from a first one to a last one, ``{"center_type": (1, 118)}``, or those of a list,
    ``{"center_type": [1, 6, 8]}``.

    Numbers that repeat count once. Shrinks towards few entries, and the first numbers. Raises
    InvalidArgument for sizes that contradict each other or are more than there are entries, names that
    labels can't have, and numbers that are no 32-bit integers.

    >>> both = {"center_type": (1, 118), "neighbor_type": [1, 8]}
    >>> find(labels_of(dimensions=both), lambda x: len(x) == 2)
    Labels(["center_type", "neighbor_type"], torch.tensor([[1, 1], [1, 8]]))
    """
    check_sizes("min_size", min_size, "max_size", max_size)
    if not isinstance(dimensions, Mapping) or not dimensions:
        raise InvalidArgument(f"dimensions={dimensions!r} must be numbers by name")
    names = checked_names("dimensions", dimensions)
    of_names = [_numbers(f"dimensions[{name!r}]", dimensions[name]) for name in names]
    there = prod(map(len, of_names))
    if min_size > there:
        raise InvalidArgument(f"min_size={min_size} must be at most the {there} entries that there are")
    rows = st.lists(
        st.tuples(*map(st.sampled_from, of_names)),
        min_size=min_size,
        max_size=min(max_size, there),
        unique=True,
    )
    return lambda draw: labels_of_rows(names, dict.fromkeys(draw(rows)))


@strategy
def all_pairs_of(
    *,
    names: Sequence[str] = ("center_type", "neighbor_type"),
    numbers: Numbers = (1, 118),
    min_numbers: int = 0,
    max_numbers: int = 2,
) -> Callable[[Draw], Labels]:
    """Keys with all pairs of ``min_numbers`` to ``max_numbers`` of the ``numbers`` under two ``names``,
    in the order of the first dimension and then of the second.

    Shrinks towards few and small numbers. Raises InvalidArgument for bounds that can't be met, names
    that are no two, and numbers that are no 32-bit integers.

    >>> find(all_pairs_of(), lambda x: len(x) == 4)
    Labels(["center_type", "neighbor_type"], torch.tensor([[1, 1], [1, 2], [2, 1], [2, 2]]))
    """
    check_sizes("min_numbers", min_numbers, "max_numbers", max_numbers)
    if not is_sequence(names) or len(names) != 2:
        raise InvalidArgument(f"names={names!r} must be two, as ('center_type', 'neighbor_type') are")
    of_pairs = checked_names("names", names)
    of_both = _numbers("numbers", numbers)
    if min_numbers > len(of_both):
        raise InvalidArgument(f"min_numbers={min_numbers} must be at most the {len(of_both)} numbers")
    some = st.lists(
        st.integers(0, len(of_both) - 1).map(of_both.__getitem__),
        min_size=min_numbers,
        max_size=min(max_numbers, len(of_both)),
        unique=True,
    )

    def draw_pairs(draw: Draw) -> Labels:
        pairs = itertools.product(sorted(draw(some)), repeat=2)
        return labels_of_rows(of_pairs, dict.fromkeys(pairs))

    return draw_pairs


@strategy
def systems_and_atoms(
    *,
    min_systems: int = 0,
    max_systems: int = 2,
    min_atoms: int = 1,
    max_atoms: int = 2,
    in_order: bool = True,
    further: Sequence[str] = (),
) -> Callable[[Draw], Labels]:
    """Samples ``system`` and ``atom``, both counting from 0: ``min_systems`` to ``max_systems`` systems
    of ``min_atoms`` to ``max_atoms`` atoms each, in this order or, without ``in_order``, in any.

    Where ``min_atoms`` is 0, systems without atoms are numbers that are left out. ``further`` dimensions
    are 0. Shrinks towards few systems of few atoms. Raises InvalidArgument for bounds that can't be met,
    and names that labels can't have.

    >>> find(systems_and_atoms(), lambda x: len(x) == 3)
    Labels(["system", "atom"], torch.tensor([[0, 0], [1, 0], [1, 1]]))
    >>> find(systems_and_atoms(min_atoms=0), lambda x: 1 in x.column("system"))
    Labels(["system", "atom"], torch.tensor([[1, 0]]))
    """
    check_sizes("min_systems", min_systems, "max_systems", max_systems)
    check_sizes("min_atoms", min_atoms, "max_atoms", max_atoms)
    check_flags(in_order=in_order)
    names = checked_names("further", further, before=("system", "atom"))
    atoms = st.lists(st.integers(min_atoms, max_atoms), min_size=min_systems, max_size=max_systems)

    def draw_samples(draw: Draw) -> Labels:
        counts = draw(atoms)
        rows = [
            (system, atom, *(0 for _ in further))
            for system, count in enumerate(counts)
            for atom in range(count)
        ]
        if not in_order:
            rows = draw(st.permutations(rows))
        return labels_of_rows(names, dict.fromkeys(rows))

    return draw_samples
