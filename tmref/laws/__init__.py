"""The laws: properties that every implementation of these modules has to satisfy."""

from __future__ import annotations

from . import calculus, metadata, purity, structure, torch_equivalence
from .checks import check_implementation, check_module, parametrize_with_laws
from .law import EXAMPLES, Law, law

#: Every law, by family.
LAWS: tuple[Law, ...] = tuple(
    value
    for family in (metadata, torch_equivalence, structure, purity, calculus)
    for value in vars(family).values()
    if isinstance(value, Law)
)

__all__ = [
    "EXAMPLES",
    "LAWS",
    "Law",
    "check_implementation",
    "check_module",
    "law",
    "parametrize_with_laws",
]
