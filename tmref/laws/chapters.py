"""The laws, chapter by chapter."""

from __future__ import annotations

from .data import blocks, labels, maps
from .law import Law
from .modules import (
    buffers,
    buffers_in_state_dicts,
    constructors,
    copies_and_conversions,
    derivatives,
    explicit_gradients,
    lifetimes,
    metadata,
    module_maps,
    purity,
    refusals,
    state_dicts,
    structure,
    symmetry,
    transforms,
    values,
)

#: Every law, family by family: a family is a file.
LAWS: tuple[Law, ...] = tuple(
    value
    for family in (
        labels,
        blocks,
        maps,
        metadata,
        values,
        derivatives,
        constructors,
        module_maps,
        transforms,
        structure,
        purity,
        explicit_gradients,
        symmetry,
        state_dicts,
        copies_and_conversions,
        buffers,
        buffers_in_state_dicts,
        lifetimes,
        refusals,
    )
    for value in vars(family).values()
    if isinstance(value, Law)
)
