"""What is known to be wrong with metatensor, by families of laws.

Each entry was reproduced with metatensor alone, by the script that a report prints for it.
"""

from __future__ import annotations

import dataclasses

from .. import Known
from . import (
    abilities,
    data,
    datasets,
    files,
    forward,
    operations_arithmetic,
    operations_programs,
    operations_reductions,
    operations_structure,
    purity,
    refusals,
    state,
    structure,
    torch_equivalence,
)

#: In both flavours,
_BOTH: tuple[Known, ...] = (
    *datasets.METATENSOR,
    *forward.METATENSOR,
    *purity.METATENSOR,
    *refusals.METATENSOR,
    *state.METATENSOR,
    *structure.METATENSOR,
    *torch_equivalence.METATENSOR,
)


def _seen_in(package: str, *versions: str, entries: tuple[Known, ...]) -> tuple[Known, ...]:
    return tuple(dataclasses.replace(entry, versions=versions, package=package) for entry in entries)


def _of_operations(*entries: Known) -> tuple[Known, ...]:
    """Those of operations, which are one package for both flavours."""
    return _seen_in("metatensor-operations", "0.5.0", entries=(*operations_arithmetic.BOTH, *entries))


#: and in each of them, with the versions that all entries were seen in.
LEARN: tuple[Known, ...] = (
    *_seen_in("metatensor-learn", "0.6.1", "0.6.2", entries=(*_BOTH, *data.LEARN, *files.LEARN)),
    *_of_operations(
        *operations_programs.LEARN, *operations_reductions.LEARN, *operations_structure.LEARN
    ),
)
TORCH: tuple[Known, ...] = (
    *_seen_in(
        "metatensor-torch", "0.10.8", entries=(*_BOTH, *data.TORCH, *files.TORCH, *abilities.TORCH)
    ),
    *_of_operations(
        *operations_arithmetic.TORCH, *operations_reductions.TORCH, *operations_structure.TORCH
    ),
)
