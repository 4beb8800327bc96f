"""What is the same on every machine: operators, waits for a device, bytes, instructions by valgrind."""

from __future__ import annotations

import gc
import itertools
import os

from tmref.bench import counts
from tmref.bench.work import BACKWARD, EQUAL, EXPANSION, FORWARD, Cell, first_line

from .common import SUBJECTS, measured, tracked, version_of, work_of

ROWS = ("linear", "layer_norm", "sequential_mlp", "equivariant_mlp")

version = version_of(__file__, "counts", "work")

#: What is counted, and its unit.
UNITS = {"operators": "calls", "waits": "calls", "allocations": "allocations", "peak_bytes": "bytes"}

#: By cells and subjects; of what can't be done the reason.
Cache = dict[str, dict[str, dict[str, int] | str]]


class Counts:
    """Of a pass on 36 blocks like a spherical expansion's, three of each shape, and on 64 equal ones.

    All are counted in one process, since they are what they are in any.
    """

    params = (SUBJECTS, ROWS, (FORWARD, BACKWARD), (EXPANSION, EQUAL))
    param_names = ("implementation", "row", "pass", "blocks")

    def setup_cache(self) -> Cache:
        found: Cache = {}
        for name, *of_cell in itertools.product(*self.params):
            cell = _cell(*of_cell)
            of_names = found.setdefault(str(cell), {})
            try:
                of_names[name] = _counted(cell, name)
            except NotImplementedError:
                continue
            except Exception as error:
                of_names[name] = first_line(error)
        return found

    setup_cache.timeout = 900  # type: ignore[attr-defined]

    def setup(self, cache: Cache, name: str, *of_cell: str) -> None:
        self.numbers: dict[str, int] = measured(cache[str(_cell(*of_cell))], name)


def _cell(row: str, mode: str, form: str) -> Cell:
    blocks, samples = (36, 20) if form == EXPANSION else (64, 10)
    return Cell(row, blocks, samples, mode, form=form)


def _counted(cell: Cell, name: str) -> dict[str, int]:
    run = work_of(cell, name)
    gc.collect()  # memory that is freed while it runs is to be its own
    return {
        "operators": counts.operators(run).total(),
        "waits": counts.waits(run).total(),
        "allocations": counts.allocations(run),
        "peak_bytes": counts.peak_bytes(run),
    }


for _what, _unit in UNITS.items():
    setattr(Counts, f"track_{_what}", tracked(_what, _unit))


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
