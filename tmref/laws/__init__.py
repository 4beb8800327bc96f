"""The laws: properties that every implementation of these modules has to satisfy."""

from __future__ import annotations

from . import (
    abilities,
    calculus,
    data,
    machine,
    metadata,
    purity,
    refusals,
    state,
    structure,
    symmetry,
    torch_equivalence,
)
from .checks import check_implementation, check_module, parametrize_with_laws
from .law import EXAMPLES, Law, data_law, law

#: Every law, by family.
LAWS: tuple[Law, ...] = tuple(
    value
    for family in (
        data,
        metadata,
        torch_equivalence,
        abilities,
        structure,
        purity,
        calculus,
        symmetry,
        state,
        machine,
        refusals,
    )
    for value in vars(family).values()
    if isinstance(value, Law)
)

__all__ = [
    "EXAMPLES",
    "LAWS",
    "Law",
    "check_implementation",
    "check_module",
    "data_law",
    "law",
    "parametrize_with_laws",
]
