"""Tell whether a commit is slower than another one, by children of both that take turns on this machine.

Each commit is installed beside the other (.asv/compare/), and timed by the tmref.bench of this checkout,
whatever it has of it itself. A child is a process of one thread that times a few cells: the reference
as a ratio to plain torch, by CPU time, round by round in one process. Its number for a cell is the
median of the logarithms of these ratios. Children of the base come as two groups, A and A'; with B
for the head their order is A B A' A' B A, again and again, in which a steady drift cancels.

The change of a cell is the median of B minus the median of A and A' together. What noise does is seen
in the differences of each A from the A' next to it, which are of one and the same commit: Q is what nine
in ten of them, of all cells together, stay below. A cell is called slower, or faster, where it changed
by more than 2.7 Q / √n, with n children in each group, and by 8 % at least. (For normal noise the
deviation of a change is 0.66 Q / √n: the threshold is four of them.)

Where valgrind is installed, a child of both counts the instructions of the reference in each cell, side
by side: counts don't mind what else runs. They do mind where things lie in memory: where a cell changed
by more than 1.5 %, all are counted once more by children with other hash seeds, and the smaller count
holds. Where times don't say that a cell got slower or faster, a change in its instructions by more than
3 % does; a change in times where instructions stay must be one by twice the threshold.

Operators of the reference and of batched are counted: one more is one too many. The exit status is 1
where a cell got slower or calls more operators, 0 where none does, 2 for what can't be compared: also
where the head lacks what the base has.

With --planted the head is the base with a slow-down in the forward of one module (measure_commit.py),
for each percentage given, and what is found of it is counted.

    python asv_benchmarks/compare_commits.py BASE [--head HEAD] [--json FILE]
    python asv_benchmarks/compare_commits.py --planted 0 10 25 --trials 5
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tmref.bench.counts import no_valgrind, under_valgrind
from tmref.bench.work import BACKWARD, FORWARD

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".asv" / "compare"

BLOCKS = 16
ROWS = ("linear", "layer_norm", "sequential_mlp", "equivariant_mlp")
#: What is timed: row, mode and samples.
CELLS = [
    *((row, mode, samples) for row in ROWS for mode in (FORWARD, BACKWARD) for samples in (1, 10)),
    ("linear", FORWARD, 100),
]

#: The smallest change that is called one, and the factor and the quantile of its threshold.
LEAST, FACTOR, QUANTILE = 0.08, 2.7, 0.9
CHILDREN, ROUNDS = 6, 31
#: The same for instructions, and how many children of each side count them at most.
LEAST_COUNTED, COUNTING = 0.03, 2
#: A slow-down is planted where there are so many samples at most.
MOST_PLANTED = 10

BASE, AGAIN, HEAD = "A", "A'", "B"
#: For each cell the numbers of a group of children, in the order of time.
Group = Mapping[str, Sequence[float]]


class Unusable(Exception):
    """What was asked for can't be compared."""


def _verdict(change: float, threshold: float) -> str:
    if abs(math.log1p(change)) <= math.log1p(threshold):
        return ""
    return "slower" if change > 0 else "faster"


@dataclass(frozen=True)
class Change:
    """What became of a cell: its ratios to plain torch, the change and what that must exceed; and its
    instructions on both sides where they were counted."""

    base: float
    head: float
    change: float
    threshold: float
    instructions: tuple[int, int] | None = None

    @property
    def counted(self) -> float:
        """The change of the instructions."""
        if self.instructions is None:
            return 0.0
        base, head = self.instructions
        return head / base - 1

    @property
    def verdict(self) -> str:
        return self.witnesses[0]

    @property
    def witnesses(self) -> tuple[str, str]:
        """The verdict, and who says so. What times alone say they have from what instructions can't
        show, or from noise: they must change twice as much."""
        by_time = _verdict(self.change, self.threshold)
        by_count = _verdict(self.counted, LEAST_COUNTED)
        if by_time and by_time == by_count:
            return by_time, "times, instructions"
        if by_count and not by_time:
            return by_count, "instructions"
        if self.instructions and not by_count:
            by_time = _verdict(self.change, (1 + self.threshold) ** 2 - 1)
        return by_time, "times" if by_time else ""


def changes(base: Group, again: Group, head: Group) -> dict[str, Change]:
    """The change of every cell from logarithms of ratios: one for each child of A, A' and B."""
    sizes = [abs(a - b) for cell in base for a, b in zip(base[cell], again[cell], strict=True)]
    children = min(map(len, head.values()))
    noise = FACTOR * float(np.quantile(sizes, QUANTILE)) / math.sqrt(children)
    threshold = max(LEAST, math.expm1(noise))
    found = {}
    for cell in base:
        before = statistics.median([*base[cell], *again[cell]])
        after = statistics.median(head[cell])
        found[cell] = Change(math.exp(before), math.exp(after), math.expm1(after - before), threshold)
    return found


def order(heads: Sequence[str], children: int) -> list[str]:
    """The groups that children belong to, one after the other: so many of each."""
    half = [BASE, *heads, AGAIN]
    return [group for i in range(children) for group in (reversed(half) if i % 2 else half)]


def more_operators(base: Mapping[str, int], head: Mapping[str, int]) -> dict[str, int]:
    """How many more, or fewer, there are of each operator where that changed."""
    by_name = {name: head.get(name, 0) - base.get(name, 0) for name in sorted({*base, *head})}
    return {name: more for name, more in by_name.items() if more}


def commit(name: str) -> str:
    """The full hash of a commit. Raises Unusable where there is none of that name."""
    done = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if done.returncode:
        raise Unusable(
            f"{name!r} is not a commit of {ROOT}: name one that `git log` shows there, by its hash, "
            "branch or tag; `git fetch --unshallow` or `git fetch --tags` may bring it"
        )
    return done.stdout.decode().strip()


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True)


def installed(of_commit: str) -> Path:
    """The folder that tmref of a commit is installed in, alone. Raises Unusable where it can't be."""
    home = FOLDER / of_commit
    if home.exists():
        return home
    source, unfinished = FOLDER / f"{of_commit}.source", FOLDER / f"{of_commit}.unfinished"
    for left in (source, unfinished):
        shutil.rmtree(left, ignore_errors=True)
    archive = _git("archive", "--format=zip", of_commit)
    if archive.returncode:
        raise Unusable(f"git has no files of {of_commit}: {archive.stderr.decode().strip()}")
    zipfile.ZipFile(io.BytesIO(archive.stdout)).extractall(source)
    # nothing is downloaded: setuptools and what tmref needs are those of this environment
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *options]
    done = subprocess.run([*pip, str(unfinished), str(source)], capture_output=True, text=True)
    if done.returncode:
        raise Unusable(
            f"{of_commit} can't be installed by pip; choose a commit that can:\n{_why(done.stderr)}"
        )
    shutil.rmtree(source)
    unfinished.rename(home)
    return home


def _why(said: str) -> str:
    """The errors in what pip said, without what it says of itself; all of it where there are none."""
    lines = [line.strip() for line in said.splitlines()]
    errors = [line for line in lines if line.startswith("error: ")]
    return "\n".join(errors) or said.strip()


def measured(
    of_commit: str,
    cells: Sequence[tuple[str, str, int]],
    planted: Sequence[Any] | None,
    count: bool,
    seed: int | None = None,
) -> dict[str, Any]:
    """What one child finds, by cell: times, or with a hash seed instructions. Raises Unusable where it
    fails."""
    home = installed(of_commit)
    todo = {
        "home": str(home),
        "bench": str(ROOT / "tmref" / "bench"),
        "cells": [(label(cell), cell[0], BLOCKS, cell[2], cell[1]) for cell in cells],
        "rounds": ROUNDS if seed is None else 0,
        "names": ["reference"],
        "count": count,
        "planted": planted,
    }
    arguments = [str(Path(__file__).with_name("measure_commit.py")), json.dumps(todo)]
    # before site-packages, and what an editable install adds: that would be this checkout
    environment = {**os.environ, "PYTHONPATH": str(home)}
    if seed is None:
        what = "timed"
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, text=True
        )
    else:
        what = "counted, which --counting 0 leaves out,"
        done = under_valgrind(arguments, {**environment, "PYTHONHASHSEED": str(seed)})
    if done.returncode:
        raise Unusable(
            f"the cells can't be {what} at {of_commit}; choose by --only those that run there, or a "
            f"later commit (exit status {done.returncode}):\n{done.stderr.strip()}"
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def label(cell: tuple[str, str, int]) -> str:
    """The name of a cell."""
    row, mode, samples = cell
    return f"{row}, {mode}, n = {samples}"


@dataclass(frozen=True)
class Comparison:
    """A head beside its base, by the cells that both have; ``planted`` are those slowed down. What only
    one has is ``new``, or ``lost``: cells, and implementations whose operators are counted."""

    changes: dict[str, Change]
    operators: dict[str, dict[str, int]]
    new: list[str]
    lost: list[str]
    planted: list[str]
    children: dict[str, dict[str, list[float]]]

    def cells(self, verdict: str) -> list[str]:
        """Those with this verdict."""
        return [cell for cell, change in self.changes.items() if change.verdict == verdict]

    @property
    def more(self) -> dict[str, int]:
        """How many operators more are called, by what calls them in a cell, where that is so."""
        sums = {what: sum(changed.values()) for what, changed in self.operators.items()}
        return {what: more for what, more in sums.items() if more > 0}


def compared(
    base: str,
    heads: Mapping[str, tuple[str, Sequence[Any] | None]],
    cells: Sequence[tuple[str, str, int]],
    children: int,
    seeds: Iterator[int],
    counting: int,
    console: Console,
) -> dict[str, Comparison]:
    """Every head, a commit and what is planted in it, beside one base, by so many children that time
    and so many that count.

    Raises Unusable where a child fails, or no cell is there on both sides.
    """
    sides: dict[str, tuple[str, Sequence[Any] | None]] = {
        BASE: (base, None),
        AGAIN: (base, None),
        **heads,
    }
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    turns = order(list(heads), children)
    with console.status("") as status:
        for i, name in enumerate(turns, 1):
            status.update(f"child {i} of {len(turns)}")
            of_commit, planted = sides[name]
            found[name].append(measured(of_commit, cells, planted, not found[name]))
        status.update("counting instructions")
        counting_sides = {name: side for name, side in sides.items() if name != AGAIN}
        counted = instructions(counting_sides, cells, seeds, counting)
    return {
        name: _comparison(found[BASE], found[AGAIN], found[name], counted[BASE], counted[name])
        for name in heads
    }


def instructions(
    sides: Mapping[str, tuple[str, Sequence[Any] | None]],
    cells: Sequence[tuple[str, str, int]],
    seeds: Iterator[int],
    counting: int,
) -> dict[str, dict[str, int]]:
    """The instructions of every side, by the cells that it has: the least that its children count, one
    or, where a cell changed, so many.

    Each child has a seed of its own: two of one commit with one seed count the same, which two commits
    never do.
    """
    found: dict[str, dict[str, int]] = {name: {} for name in sides}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in range(counting):
            children = {
                name: pool.submit(measured, of_commit, cells, planted, False, next(seeds))
                for name, (of_commit, planted) in sides.items()
            }
            for name, child in children.items():
                for cell, of in child.result().items():
                    if of:
                        count = of["instructions"]["reference"]
                        found[name][cell] = min(count, found[name].get(cell, count))
            if not any(_in_doubt(found[BASE], found[name]) for name in sides):
                break
    return found


def _in_doubt(base: Mapping[str, int], head: Mapping[str, int]) -> bool:
    """Whether a cell changed by more than half of what is called a change."""
    there = base.keys() & head.keys()
    return any(_verdict(head[cell] / base[cell] - 1, LEAST_COUNTED / 2) for cell in there)


def _comparison(
    base: list[dict[str, Any]],
    again: list[dict[str, Any]],
    head: list[dict[str, Any]],
    counted_base: Mapping[str, int],
    counted_head: Mapping[str, int],
) -> Comparison:
    there = [cell for cell in base[0] if base[0][cell] and head[0][cell]]
    if not there:
        raise Unusable("no cell is there on both sides; choose others by --only, or a later commit")

    def numbers(children: list[dict[str, Any]]) -> dict[str, list[float]]:
        return {cell: [child[cell]["log_ratio"] for child in children] for cell in there}

    groups = {BASE: numbers(base), AGAIN: numbers(again), HEAD: numbers(head)}
    operators = {}
    for cell in there:
        before, after = base[0][cell]["operators"], head[0][cell]["operators"]
        for name in before.keys() & after.keys():
            operators[f"{name}, {cell}"] = more_operators(before[name], after[name])
    found = changes(*groups.values())
    for cell in counted_base.keys() & counted_head.keys() & found.keys():
        both = (counted_base[cell], counted_head[cell])
        found[cell] = replace(found[cell], instructions=both)
    of_base, of_head = _has(base[0]), _has(head[0])
    return Comparison(
        found,
        {what: changed for what, changed in operators.items() if changed},
        [what for what in of_head if what not in of_base],
        [what for what in of_base if what not in of_head],
        [cell for cell in there if head[0][cell]["planted"]],
        groups,
    )


def _has(child: Mapping[str, Any]) -> list[str]:
    """The cells, and the implementations whose operators are counted, that a child has."""
    cells = {cell: of for cell, of in child.items() if of}
    names = dict.fromkeys(name for of in cells.values() for name in of["operators"])
    return [*cells, *names]


def table(comparison: Comparison) -> Table:
    """A line for every cell."""
    found = Table(box=None, header_style="", pad_edge=False)
    found.add_column("cell", no_wrap=True)
    for column in ("base", "head", "change", "threshold", "instructions", "change"):
        found.add_column(column, justify="right", no_wrap=True)
    found.add_column("", no_wrap=True)
    for cell, of in comparison.changes.items():
        ratios = (f"{ratio:.2f}" for ratio in (of.base, of.head))
        counts = (f"{of.instructions[0]:,}", f"{of.counted:+.1%}") if of.instructions else ("", "")
        verdict = "{} ({})".format(*of.witnesses) if of.verdict else ""
        found.add_row(cell, *ratios, f"{of.change:+.1%}", f"{of.threshold:.1%}", *counts, verdict)
    return found


def show(comparison: Comparison, console: Console) -> None:
    """Print the table, changes in operators, and what both come to."""
    console.print(table(comparison))
    for what, changed in comparison.operators.items():
        words = ", ".join(f"{more:+} {name}" for name, more in changed.items())
        console.print(f"operators of {what}: {words}", soft_wrap=True)
    for side, found in (("base", comparison.new), ("head", comparison.lost)):
        for what in found:
            console.print(f"the {side} has no {what}", soft_wrap=True)
    slower, more = len(comparison.cells("slower")), len(comparison.more)
    of = f"of {len(comparison.changes)} cells"
    console.print(f"{slower} {of} slower; more operators in {more}, of the reference or of batched")


def _as_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "cells": {
            cell: {**asdict(change), "verdict": change.verdict}
            for cell, change in comparison.changes.items()
        },
        "operators": comparison.operators,
        "new": comparison.new,
        "lost": comparison.lost,
        "planted": comparison.planted,
        "children": comparison.children,
    }


def trials(options: argparse.Namespace, base: str, cells: Any, console: Console) -> list[dict[str, Any]]:
    """Compare the base with itself and planted slow-downs, again and again; print what is found.

    A slow-down is found in a mode where all the row's cells of that mode that have it are slower.
    """
    heads: dict[str, tuple[str, Any]] = {
        f"{percent:g} %": (base, [options.row, percent, MOST_PLANTED] if percent else None)
        for percent in options.planted
    }
    found, seeds = [], itertools.count()
    counts: dict[str, Counter[str]] = {name: Counter() for name in heads}
    for _ in range(options.trials):
        started = time.perf_counter()
        comparisons = compared(base, heads, cells, options.children, seeds, options.counting, console)
        took = time.perf_counter() - started
        for name, comparison in comparisons.items():
            slower = comparison.cells("slower")
            words = []
            for mode in (FORWARD, BACKWARD):
                own = [
                    cell for cell in comparison.planted if cell.startswith(f"{options.row}, {mode}, ")
                ]
                if own:
                    here = [cell for cell in own if cell in slower]
                    counts[name][mode] += here == own
                    words.append(
                        f"{mode}: {len(here)} of {len(own)} cells slower{_rise(comparison, own)}"
                    )
            rest = [cell for cell in comparison.changes if cell not in comparison.planted]
            alarms = [cell for cell in rest if cell in slower]
            counts[name]["alarms"] += bool(alarms)
            words.append(f"others: {len(alarms)} of {len(rest)}{_rise(comparison, rest)}")
            console.print(f"{name} in {options.row}, {'; '.join(words)}", soft_wrap=True)
        timing = len(order(list(heads), options.children))
        console.print(f"{took:.0f} s, {timing} children that time")
        found.append({"seconds": took, **{n: _as_json(c) for n, c in comparisons.items()}})
    for name, of in counts.items():
        modes = ", ".join(f"found in {mode} {of[mode]}" for mode in (FORWARD, BACKWARD) if mode in of)
        alarms = f"false alarms {of['alarms']}"
        console.print(f"{name}, {options.trials} times: {modes and modes + ', '}{alarms}")
    return found


def _rise(comparison: Comparison, cells: Sequence[str]) -> str:
    """By how much the instructions of cells changed, where they were counted."""
    changed = [of.counted for cell in cells if (of := comparison.changes[cell]).instructions]
    return f" (instructions {min(changed):+.1%} to {max(changed):+.1%})" if changed else ""


def parsed(arguments: list[str]) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("base", nargs="?", metavar="BASE", help="the commit that is compared with")
    parser.add_argument("--head", help="the commit that is judged (default: HEAD)")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="WORDS",
        help="of the cells, those with all of these in their names",
    )
    parser.add_argument(
        "--children", type=int, default=CHILDREN, help="of the head; the base has twice as many"
    )
    parser.add_argument(
        "--counting",
        type=int,
        default=0 if no_valgrind() else COUNTING,
        help="of each, those that count instructions under valgrind, at most",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument(
        "--planted", nargs="+", type=float, metavar="PERCENT", help="slow the base down instead"
    )
    parser.add_argument("--row", choices=ROWS, default=ROWS[0], help="the module that is slowed down")
    parser.add_argument("--trials", type=int, default=1, help="how often that is tried")
    return parser, parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    parser, options = parsed(arguments)
    cells = [cell for cell in CELLS if all(words in label(cell) for words in options.only)]
    if not cells:
        parser.error(
            f"no cell has all of {options.only} in its name; there are {'; '.join(map(label, CELLS))}"
        )
    if min(options.children, options.trials) < 1:
        parser.error("--children and --trials must be at least 1")
    if options.counting < 0:
        parser.error("--counting must not be negative")
    if options.counting and (why := no_valgrind()):
        parser.error(f"{why}; --counting 0 leaves them out")
    if options.json and not options.json.resolve().parent.is_dir():
        parser.error(f"--json {options.json}: there is no folder {options.json.parent}; make it first")
    if options.planted and options.head:
        parser.error("--planted makes the head from the base: leave out --head")
    if not options.planted and options.base is None:
        parser.error("name the commit to compare with: BASE, or --planted for a trial")
    console = Console(width=160)
    if not options.counting:
        console.print(f"no instructions are counted: {no_valgrind() or '--counting 0'}", soft_wrap=True)
    try:
        base = commit(options.base or "HEAD")
        if options.planted:
            written: dict[str, Any] = {"base": base, "trials": trials(options, base, cells, console)}
            status = 0
        else:
            head = commit(options.head or "HEAD")
            changed = _git("status", "--porcelain", "--", "tmref", "strategies").stdout
            if options.head is None and changed:
                console.print("what is not committed is not compared: see git status")
            found = compared(
                base,
                {HEAD: (head, None)},
                cells,
                options.children,
                itertools.count(),
                options.counting,
                console,
            )
            comparison = found[HEAD]
            show(comparison, console)
            written = {"base": base, "head": head, **_as_json(comparison)}
            worse = comparison.cells("slower") or comparison.more
            status = 1 if worse else 2 if comparison.lost else 0
    except Unusable as error:
        parser.error(str(error))
    if options.json:
        options.json.write_text(json.dumps(written, indent=1))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
