"""What is the same on every machine: operators, waits for a device, bytes, instructions by valgrind."""

from __future__ import annotations

import os

from tmref.bench import counts
from tmref.bench.work import BACKWARD, EXPANSION, FORWARD, Cell

from .common import SUBJECTS, work_of

ROWS = ("linear", "layer_norm", "sequential_mlp", "equivariant_mlp")


class Counts:
    """Of a pass on 36 blocks like a spherical expansion's."""

    params = (SUBJECTS, ROWS, (FORWARD, BACKWARD))
    param_names = ("implementation", "row", "pass")

    def setup(self, name: str, row: str, mode: str) -> None:
        self.run = work_of(Cell(row, 36, 20, mode, form=EXPANSION), name)

    def track_operators(self, name: str, row: str, mode: str) -> int:
        return counts.operators(self.run).total()

    def track_waits(self, name: str, row: str, mode: str) -> int:
        return counts.waits(self.run).total()

    def track_peak_bytes(self, name: str, row: str, mode: str) -> int:
        return counts.peak_bytes(self.run)


Counts.track_operators.unit = Counts.track_waits.unit = "calls"  # type: ignore[attr-defined]
Counts.track_peak_bytes.unit = "bytes"  # type: ignore[attr-defined]


class Instructions:
    """Of a forward through linear layers of 16 blocks. It takes minutes, so it is asked for by setting
    TMREF_INSTRUCTIONS."""

    params = SUBJECTS[:3]
    param_names = ("implementation",)
    timeout = 1800

    def setup(self, name: str) -> None:
        if not os.environ.get("TMREF_INSTRUCTIONS"):
            raise NotImplementedError("set TMREF_INSTRUCTIONS to count instructions")

    def track_instructions(self, name: str) -> int:
        return counts.instructions(Cell("linear", 16, 10), name)[0]


Instructions.track_instructions.unit = "instructions"  # type: ignore[attr-defined]
