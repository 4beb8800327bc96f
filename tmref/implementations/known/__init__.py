"""What is known to be wrong with metatensor, by families of laws.

Each entry was reproduced with metatensor alone, by the script that a report prints for it.
"""

from __future__ import annotations

from .. import Known
from . import abilities, data, forward, purity, refusals, state, structure, torch_equivalence

#: In both flavours,
_BOTH: tuple[Known, ...] = (
    *forward.METATENSOR,
    *purity.METATENSOR,
    *refusals.METATENSOR,
    *state.METATENSOR,
    *structure.METATENSOR,
    *torch_equivalence.METATENSOR,
)
#: and in each of them.
LEARN: tuple[Known, ...] = (
    *_BOTH,
    *data.LEARN,
)
TORCH: tuple[Known, ...] = (
    *_BOTH,
    *data.TORCH,
    *abilities.TORCH,
)
