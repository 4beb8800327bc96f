"""What is known to be wrong with metatensor, by families of laws.

Each entry was reproduced with metatensor alone, by the script that a report prints for it.
"""

from __future__ import annotations

from .. import Known
from . import forward

#: In both flavours,
_BOTH: tuple[Known, ...] = (*forward.METATENSOR,)
#: and in each of them.
LEARN: tuple[Known, ...] = (*_BOTH,)
TORCH: tuple[Known, ...] = (*_BOTH,)
