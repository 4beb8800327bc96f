"""Strategies for labels as atomistic data has them: types of atoms, systems and their atoms, axes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from tmref import Labels

from ._strategy import Draw, strategy
from .axes import labels_of_rows
from .numbers import check_sizes

#: The numbers of a dimension: from the first to the second, or those that are listed.
Numbers = tuple[int, int] | Sequence[int]


def _numbers(name: str, numbers: Numbers) -> Sequence[int]:
    """All numbers of a dimension."""
    is_range = isinstance(numbers, tuple) and len(numbers) == 2
    found = range(numbers[0], numbers[1] + 1) if is_range else list(numbers)
    if not len(found) or not all(isinstance(number, int) for number in found):
        raise InvalidArgument(
            f"{name}={numbers!r} must be a first and a last number, or a list of numbers"
        )
    return found


_TYPES: Mapping[str, Numbers] = MappingProxyType({"center_type": (1, 118)})


@strategy
def labels_of(
    *, dimensions: Mapping[str, Numbers] = _TYPES, min_size: int = 0, max_size: int = 4
) -> Callable[[Draw], Labels]:
    """Labels of ``min_size`` to ``max_size`` entries in any order, whose ``dimensions`` have the numbers
    that are said: from a first one to a last one, ``{"center_type": (1, 118)}``, or those of a list,
    ``{"center_type": [1, 6, 8]}``.

    Shrinks towards few entries, and the first numbers. Raises InvalidArgument for sizes that contradict
    each other or are more than there are entries, and numbers that are none.

    >>> both = {"center_type": (1, 118), "neighbor_type": [1, 8]}
    >>> find(labels_of(dimensions=both), lambda x: len(x) == 2)
    Labels(["center_type", "neighbor_type"], torch.tensor([[1, 1], [1, 8]]))
    """
    check_sizes("min_size", min_size, "max_size", max_size)
    if not isinstance(dimensions, Mapping) or not dimensions:
        raise InvalidArgument(f"dimensions={dimensions!r} must be numbers by name")
    of_names = [_numbers(name, numbers) for name, numbers in dimensions.items()]
    there = prod(map(len, of_names))
    if min_size > there:
        raise InvalidArgument(f"min_size={min_size} must be at most the {there} entries that there are")
    rows = st.lists(
        st.tuples(*map(st.sampled_from, of_names)),
        min_size=min_size,
        max_size=min(max_size, there),
        unique=True,
    )
    return lambda draw: labels_of_rows(tuple(dimensions), dict.fromkeys(draw(rows)))


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

    Shrinks towards few and small numbers. Raises InvalidArgument for bounds that can't be met.

    >>> find(all_pairs_of(), lambda x: len(x) == 4)
    Labels(["center_type", "neighbor_type"], torch.tensor([[1, 1], [1, 2], [2, 1], [2, 2]]))
    """
    check_sizes("min_numbers", min_numbers, "max_numbers", max_numbers)
    if len(names) != 2:
        raise InvalidArgument(f"names={names!r} must be two")
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
        return labels_of_rows(tuple(names), dict.fromkeys(pairs))

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
    are 0. Shrinks towards few systems of few atoms. Raises InvalidArgument for bounds that can't be met.

    >>> find(systems_and_atoms(), lambda x: len(x) == 3)
    Labels(["system", "atom"], torch.tensor([[0, 0], [1, 0], [1, 1]]))
    >>> find(systems_and_atoms(min_atoms=0), lambda x: 1 in x.column("system"))
    Labels(["system", "atom"], torch.tensor([[1, 0]]))
    """
    check_sizes("min_systems", min_systems, "max_systems", max_systems)
    check_sizes("min_atoms", min_atoms, "max_atoms", max_atoms)
    atoms = st.lists(st.integers(min_atoms, max_atoms), min_size=min_systems, max_size=max_systems)
    names = ("system", "atom", *further)

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
