"""Modules: seconds of a pass, ratios to plain torch measured by turns, and the memory they take.

Times are asv's, for the curves over blocks and samples; they wobble with the machine. The ratios don't
as much: all of them are measured in one process, and only read by the benchmarks that track them.
"""

from __future__ import annotations

from tmref.bench import timing
from tmref.bench.work import (
    AGAIN,
    BACKWARD,
    COMPILED,
    EXPANSION,
    FORWARD,
    INFERENCE,
    TORCH,
    Cell,
    first_line,
    installed,
    working,
)

from .common import IMPLEMENTATIONS, SUBJECTS, measured, version_of, warm, work_of

version = version_of(__file__, "timing", "work")


class Linear:
    """A linear layer of 32 to 32 features for every block, forward, by blocks and samples."""

    params = (SUBJECTS, (1, 16, 256, 1024), (1, 100))
    param_names = ("implementation", "blocks", "samples")

    def setup(self, name: str, blocks: int, samples: int) -> None:
        self.run, self.number = warm(Cell("linear", blocks, samples), name)

    def time_forward(self, name: str, blocks: int, samples: int) -> None:
        self.run()


class Passes:
    """Every kind of pass through two linear layers with a ReLU between them: 16 blocks."""

    params = (SUBJECTS, (INFERENCE, BACKWARD, COMPILED), (1, 10000))
    param_names = ("implementation", "pass", "samples")

    def setup(self, name: str, mode: str, samples: int) -> None:
        if mode == COMPILED and name == "metatensor-learn":
            raise NotImplementedError("torch.compile does not take its maps")
        self.run, self.number = warm(Cell("sequential_mlp", 16, samples, mode), name)

    def time_sequential(self, name: str, mode: str, samples: int) -> None:
        self.run()


class Rows:
    """Other modules, forward and backward, on blocks like a spherical expansion's."""

    params = (SUBJECTS, ("layer_norm", "equivariant_linear", "equivariant_mlp"))
    param_names = ("implementation", "row")

    def setup(self, name: str, row: str) -> None:
        self.run, self.number = warm(Cell(row, 36, 20, BACKWARD, form=EXPANSION), name)

    def time_forward_and_backward(self, name: str, row: str) -> None:
        self.run()


class Memory:
    """A process that passes forward and backward through 16 blocks of 2.6 MB each, import of torch
    included."""

    params = (SUBJECTS, ("layer_norm", "sequential_mlp"))
    param_names = ("implementation", "row")

    def setup(self, name: str, row: str) -> None:
        self.run = work_of(Cell(row, 16, 20000, BACKWARD), name)

    def peakmem_forward_and_backward(self, name: str, row: str) -> None:
        self.run()


#: The cells whose ratios are tracked.
CELLS = {
    str(cell): cell
    for cell in (
        *(
            Cell(row, blocks, 10, mode)
            for row in ("linear", "sequential_mlp")
            for blocks in (1, 16, 256)
            for mode in (FORWARD, INFERENCE, BACKWARD)
        ),
        *(Cell("linear", 16, samples, mode) for samples in (1, 100) for mode in (FORWARD, BACKWARD)),
        *(Cell("layer_norm", 16, 10, mode) for mode in (FORWARD, BACKWARD)),
        Cell("tanh", 16, 10),
        Cell("equivariant_mlp", 36, 20, BACKWARD, form=EXPANSION),
    )
}


#: By cells and subjects; of what can't be timed the reason.
Cache = dict[str, dict[str, timing.Ratio | str]]


class Ratios:
    """Time over that of plain torch, block by block: all of a cell by turns in one process."""

    params = (list(CELLS), [*IMPLEMENTATIONS, AGAIN])
    param_names = ("cell", "implementation")
    timeout = 900

    def setup_cache(self) -> Cache:
        found: Cache = {}
        for text, cell in CELLS.items():
            work, failed = working(cell, installed(IMPLEMENTATIONS))
            times = timing.rounds(work)
            found[text] = {name: timing.Ratio.of(times[name], times[TORCH]) for name in times}
            found[text] |= {name: first_line(error) for name, error in failed.items()}
        return found

    def setup(self, cache: Cache, cell: str, name: str) -> None:
        self.ratio: timing.Ratio = measured(cache[cell], name)

    def track_ratio(self, cache: Cache, cell: str, name: str) -> float:
        return self.ratio.median

    def track_spread(self, cache: Cache, cell: str, name: str) -> float:
        """The noise of the ratio beside it."""
        return self.ratio.spread


Ratios.track_ratio.unit = "times plain torch's"  # type: ignore[attr-defined]
Ratios.track_spread.unit = "of the ratio"  # type: ignore[attr-defined]
