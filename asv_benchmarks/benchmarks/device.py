"""A GPU by CUDA, where there is one: ratios of wall time, the host's and the device's time, kernels."""

from __future__ import annotations

import contextlib
import math

import torch

from tmref.bench import device, timing
from tmref.bench.work import (
    BACKWARD,
    EXPANSION,
    FORWARD,
    TORCH,
    Cell,
    first_line,
    installed,
    working,
)

from .common import IMPLEMENTATIONS, SUBJECTS, measured, tracked, version_of

version = version_of(__file__, "device", "timing", "work")

CELLS = {
    str(cell): cell
    for cell in (
        *(Cell("linear", blocks, 10, mode) for blocks in (16, 256) for mode in (FORWARD, BACKWARD)),
        Cell("linear", 16, 10000),
        Cell("sequential_mlp", 16, 10, BACKWARD),
        Cell("equivariant_mlp", 36, 20, BACKWARD, form=EXPANSION),
    )
}

#: What is tracked of a cell and a subject, and its unit.
UNITS = {
    "ratio": "times plain torch's",
    "spread": "of the ratio",
    "host": "seconds",
    "elapsed": "seconds",
    "graph": "seconds",
    "busy": "seconds",
    "kernels": "kernels",
    "waits": "calls",
}

#: By cells and subjects; of what can't be timed the reason.
Cache = dict[str, dict[str, dict[str, float] | str]]


class OnDevice:
    """All of a cell by turns in one process; what is not captured as a graph has no time of one."""

    params = (list(CELLS), SUBJECTS)
    param_names = ("cell", "implementation")
    timeout = 900

    def setup_cache(self) -> Cache:
        if not torch.cuda.is_available():
            return {}
        names = installed(IMPLEMENTATIONS)
        found = {text: _timed(cell, names) for text, cell in CELLS.items()}
        # after all that is timed: the profiler slows down what comes after it
        for text, cell in CELLS.items():
            numbers = {name: of for name, of in found[text].items() if isinstance(of, dict)}
            with contextlib.suppress(RuntimeError):  # where nobody may profile, the rest is kept
                there = [name for name in names if name in numbers]
                for name, profile in device.profiles(cell, there, "cuda").items():
                    numbers[name].update(vars(profile))
        return found

    def setup(self, cache: Cache, cell: str, name: str) -> None:
        if not cache:
            raise NotImplementedError("torch finds no CUDA device")
        self.numbers: dict[str, float] = measured(cache[cell], name)


def _timed(cell: Cell, names: list[str]) -> dict[str, dict[str, float] | str]:
    work, failed = working(cell, names, "cuda")
    times = timing.rounds(work, device="cuda")
    found: dict[str, dict[str, float] | str] = {name: first_line(e) for name, e in failed.items()}
    there = [name for name in names if name in work]
    for name, of in device.measure_on_device(cell, there, "cuda").items():
        ratio = timing.Ratio.of(times[name], times[TORCH])
        graph = math.nan if of.graph is None else of.graph
        of_name = {"host": of.host, "elapsed": of.elapsed, "graph": graph, "waits": of.waits}
        found[name] = {"ratio": ratio.median, "spread": ratio.spread, **of_name}
    return found


for _what, _unit in UNITS.items():
    setattr(OnDevice, f"track_{_what}", tracked(_what, _unit))
