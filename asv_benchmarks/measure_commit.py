"""Time the tmref that is on the path by the benchmarks of a checkout, or count what it does.

compare_commits.py starts this for each of its children, benchmarks/counts.py once, with what to do as
JSON in the argument:

    home     the folder that tmref must come from; anything else is an error
    bench    the folder of tmref.bench, loaded in place of what the tmref under ``home`` may have of it
    cells    what to measure: (label, row, blocks, samples, mode)
    rounds   how many, for each cell; 0 where instructions are counted, under valgrind
    names    the subjects whose instructions these are
    count    whether operators are counted, too
    planted  None, or the row whose module is slowed down, by how many percent, and at how many samples
             at most

The last line printed is JSON: for every label the median over the rounds of the logarithms of the
ratios reference / plain torch, whether the planted slow-down was in it, and the operators that the
reference and batched call, or the instructions of each name; None for a row that this tmref doesn't
have.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import math
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import tmref

#: Turns of the empty loop that busy work is measured by.
_TURNS = 1000
#: Mode, blocks and samples.
_Pass = tuple[str, int, int]


def load_bench(folder: Path) -> None:
    """Make ``folder`` the tmref.bench of the tmref that is loaded, which may be older than any."""
    spec = importlib.util.spec_from_file_location(
        "tmref.bench", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tmref.bench"] = tmref.bench = module
    spec.loader.exec_module(module)


def check_origin(home: Path, bench: Path) -> None:
    """Raise ImportError where a module of tmref comes from elsewhere than it should."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] != "tmref":
            continue
        folder = bench if name.startswith("tmref.bench") else home
        if not Path(module.__file__ or "").resolve().is_relative_to(folder.resolve()):
            raise ImportError(f"{name} must come from {folder}, but it comes from {module.__file__}")


def busy(turns: int) -> None:
    """Do nothing, so many times: work of the processor that takes no memory and calls no operator."""
    for _ in range(turns):
        pass


class Planted:
    """A slow-down of one class of tmref.nn by a share of what a pass takes.

    After it has been called, the module does busy work. Its forward stays what it is, by which
    Sequential knows what it can compose. How much is measured here, for each mode and number of
    samples, on the row's own cell: the share is one of what is measured then, of CPU time or of
    instructions.
    """

    def __init__(self, row: str, percent: float, most: int, passes: set[_Pass], rounds: int):
        from tmref.bench import work
        from tmref.catalog import row as find

        self.turns, self.calls = dict[_Pass | None, int](), 0
        self.at: _Pass | None = None
        module: Any = getattr(tmref.nn, find(row).module)
        module.__call__ = self._slowed(module.__call__)
        for at in passes:
            mode, blocks, samples = at
            if samples <= most:
                do = work.subjects(work.Cell(row, blocks, samples, mode), ["reference"])["reference"]
                self._calibrate(do, at, percent / 100, rounds)

    def work(self, do: Callable[[], Any], at: _Pass | None) -> Callable[[], Any]:
        """The work with the slow-down of a pass, with none for None."""

        def slowed() -> None:
            self.at = at
            do()

        return slowed

    def _slowed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def slowed(module: torch.nn.Module, *args: Any) -> Any:
            result = call(module, *args)
            if turns := self.turns.get(self.at):
                self.calls += 1
                busy(turns)
            return result

        return slowed

    def _calibrate(self, do: Callable[[], Any], at: _Pass, share: float, rounds: int) -> None:
        slowed, unslowed = self.work(do, at), self.work(do, None)
        first = share * _TURNS * _ratio(unslowed, lambda: busy(_TURNS), rounds)
        self.turns[at] = round(first)
        # what is more or less than the share is taken off: what runs after busy work is slower, too
        missed = share - (_ratio(slowed, unslowed, 4 * rounds) - 1)
        self.turns[at] = max(1, round(first * (1 + missed / share)))


def _ratio(do: Callable[[], Any], other: Callable[[], Any], rounds: int) -> float:
    """How much more time, or without rounds instructions, one work takes than another."""
    from tmref.bench import counts, timing

    both = {"do": do, "other": other}
    if not rounds:
        found = counts.instructions(both)
        return found["do"] / found["other"]
    times = timing.rounds(both, most=rounds, budget=2.0)
    return timing.Ratio.of(times["do"], times["other"]).median


def measured(
    cells: list[list[Any]], rounds: int, planted: tuple[str, float, int] | None
) -> dict[str, Any]:
    """The times of each cell that there is, and whether the slow-down was in them."""
    from tmref.bench import timing, work

    slow = Planted(*planted, _passes(cells), rounds) if planted else None
    found: dict[str, Any] = {}
    for label, row, blocks, samples, mode in cells:
        subjects = work.subjects(work.Cell(row, blocks, samples, mode), ["reference"])
        of_two = {name: subjects[name] for name in (work.TORCH, "reference")}
        if slow:
            slow.at, slow.calls = (mode, blocks, samples), 0
        times = timing.rounds(of_two, most=rounds)
        pairs = zip(times["reference"], times[work.TORCH], strict=True)
        log_ratio = statistics.median(math.log(ours / plain) for ours, plain in pairs)
        found[label] = {"log_ratio": log_ratio, "planted": bool(slow and slow.calls)}
    return found


def instructions(
    cells: list[list[Any]], names: list[str], planted: tuple[str, float, int] | None
) -> dict[str, Any]:
    """The instructions of each cell that there is, by subjects."""
    from tmref.bench import counts, work

    slow = Planted(*planted, _passes(cells), 0) if planted else None
    every = {}
    for label, row, blocks, samples, mode in cells:
        cell = work.Cell(row, blocks, samples, mode)
        of_names = work.subjects(cell, [name for name in names if name != work.TORCH])
        for name in names:
            do = of_names[name]
            every[label, name] = slow.work(do, (mode, blocks, samples)) if slow else do
    found = counts.instructions(every)
    return {label: {"instructions": {name: found[label, name] for name in names}} for label, *_ in cells}


def _passes(cells: list[list[Any]]) -> set[_Pass]:
    return {(mode, blocks, samples) for _, _, blocks, samples, mode in cells}


def counted(cells: list[list[Any]]) -> dict[str, dict[str, dict[str, int]]]:
    """The operators of each cell, by implementations, where there are these."""
    from tmref.bench import counts, work
    from tmref.implementations import UnknownImplementation, load

    names = []
    for name in ("reference", "batched"):
        with contextlib.suppress(UnknownImplementation):
            names.append(load(name).name)
    found = {}
    for label, row, blocks, samples, mode in cells:
        of_names = work.subjects(work.Cell(row, blocks, samples, mode), names)
        found[label] = {name: dict(counts.operators(of_names[name])) for name in names}
    return found


def main(argument: str) -> None:
    todo = json.loads(argument)
    home, bench = Path(todo["home"]), Path(todo["bench"])
    torch.set_num_threads(1)
    load_bench(bench)
    from tmref.catalog import ROWS

    rows = {row.name for row in ROWS}
    gc.collect()
    gc.freeze()  # what is imported is not looked through again before each cell
    there = [cell for cell in todo["cells"] if cell[1] in rows]
    if todo["rounds"]:
        found = measured(there, todo["rounds"], todo["planted"])
    else:
        found = instructions(there, todo["names"], todo["planted"])
    # last of all: torch imports its compiler for this, which takes as long as the rest
    for label, operators in counted(there).items() if todo["count"] else ():
        found[label]["operators"] = operators
    check_origin(home, bench)
    print(json.dumps({label: found.get(label) for label, *_ in todo["cells"]}))


if __name__ == "__main__":
    main(sys.argv[1])
