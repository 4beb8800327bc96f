"""What is known to be wrong with metatensor's nn modules, in both flavours."""

from __future__ import annotations

from . import Known

METATENSOR: tuple[Known, ...] = ()
