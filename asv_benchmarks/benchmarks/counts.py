"""What is the same on every machine: operators, waits for a device, bytes, instructions by valgrind."""

from __future__ import annotations

import os

from tmref.bench import counts
from tmref.bench.work import BACKWARD, EQUAL, EXPANSION, FORWARD, Cell

from .common import SUBJECTS, version_of, work_of

ROWS = ("linear", "layer_norm", "sequential_mlp", "equivariant_mlp")

version = version_of(__file__, "counts", "work")


class Counts:
    """Of a pass on 36 blocks like a spherical expansion's, three of each shape, and on 64 equal ones."""

    params = (SUBJECTS, ROWS, (FORWARD, BACKWARD), (EXPANSION, EQUAL))
    param_names = ("implementation", "row", "pass", "blocks")

    def setup(self, name: str, row: str, mode: str, form: str) -> None:
        blocks, samples = (36, 20) if form == EXPANSION else (64, 10)
        self.run = work_of(Cell(row, blocks, samples, mode, form=form), name)

    def track_operators(self, name: str, row: str, mode: str, form: str) -> int:
        return counts.operators(self.run).total()

    def track_waits(self, name: str, row: str, mode: str, form: str) -> int:
        return counts.waits(self.run).total()

    def track_allocations(self, name: str, row: str, mode: str, form: str) -> int:
        return counts.allocations(self.run)

    def track_peak_bytes(self, name: str, row: str, mode: str, form: str) -> int:
        return counts.peak_bytes(self.run)


for _track, _unit in (
    (Counts.track_operators, "calls"),
    (Counts.track_waits, "calls"),
    (Counts.track_allocations, "allocations"),
    (Counts.track_peak_bytes, "bytes"),
):
    _track.unit = _unit  # type: ignore[attr-defined]


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
