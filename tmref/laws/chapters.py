"""The laws, chapter by chapter."""

from __future__ import annotations

from .data import blocks, datasets, files, labels, maps, memory
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
    samples,
    sequentials,
    state_dicts,
    structure,
    symmetry,
    torch_modules,
    transforms,
    values,
)
from .operations import (
    arithmetic,
    creation,
    dimensions,
    equality,
    joining,
    moving,
    programs,
    reductions,
    selecting,
    sorting,
)

#: Every law, family by family: a family is a file.
LAWS: tuple[Law, ...] = tuple(
    value
    for family in (
        labels,
        blocks,
        maps,
        files,
        memory,
        datasets,
        arithmetic,
        creation,
        dimensions,
        equality,
        joining,
        moving,
        selecting,
        sorting,
        reductions,
        programs,
        metadata,
        values,
        derivatives,
        constructors,
        torch_modules,
        transforms,
        structure,
        samples,
        sequentials,
        module_maps,
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
