"""What other work doesn't change: operators, waits for a device, bytes, instructions by valgrind."""

from __future__ import annotations

import gc
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path

import tmref
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
    """Of a pass through linear layers and layer norms of 16 blocks, all in one process."""

    params = (SUBJECTS[:3], ROWS[:2], (FORWARD, BACKWARD))
    param_names = ("implementation", "row", "pass")

    def setup_cache(self) -> dict[str, dict[str, int]]:
        return {} if counts.no_valgrind() else _instructions(*self.params)

    setup_cache.timeout = 900  # type: ignore[attr-defined]

    def setup(self, cache: dict[str, dict[str, int]], name: str, row: str, mode: str) -> None:
        if not cache:
            raise NotImplementedError(counts.no_valgrind())
        self.numbers = {"instructions": cache[f"{row}, {mode}"][name]}

    track_instructions = tracked("instructions", "instructions")


def _instructions(
    names: Sequence[str], rows: Sequence[str], modes: Sequence[str]
) -> dict[str, dict[str, int]]:
    home = str(Path(tmref.__file__).parents[1])
    todo = {
        "home": home,
        "bench": tmref.bench.__path__[0],
        "cells": [(f"{row}, {mode}", row, 16, 10, mode) for row in rows for mode in modes],
        "rounds": 0,
        "names": names,
        "count": False,
        "planted": None,
    }
    script = Path(__file__).parents[1] / "measure_commit.py"
    done = counts.under_valgrind(
        [str(script), json.dumps(todo)], {**os.environ, "PYTHONPATH": home, "PYTHONHASHSEED": "0"}
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    found = json.loads(done.stdout.splitlines()[-1])
    return {cell: of["instructions"] for cell, of in found.items()}
