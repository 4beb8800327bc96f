"""How fast maps are drawn and shrunk: maps per second beside the plain composition of Hypothesis' own
strategies, in one process, and seconds for each planted predicate of the tests.

The plain composition draws labels by `st.lists` of `st.tuples` of integers, and values by
`hypothesis.extra.numpy.arrays`, for the very sizes that `tensor_maps()` has drawn before. Rounds of
the two alternate; a ratio is that of two rounds next to each other.

    python asv_benchmarks/drawing.py [--rounds N] [--examples N] [--no-shrinking]
"""

from __future__ import annotations

import argparse
import runpy
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy
from rich.console import Console
from rich.table import Table

import tmref
from tmref.strategies import tensor_maps
from tmref.strategies._bytes import INT32_MAX, INT32_MIN
from tmref.strategies.numbers import units

#: What is drawn, by options of tensor_maps.
KINDS: dict[str, dict[str, Any]] = {
    "maps": {},
    "spherical maps": {"spherical": True},
    "maps of two to four blocks": {"min_blocks": 2},
}

PLANTED = Path(__file__).parent.parent / "tests" / "strategies" / "test_shrinking.py"


def seconds(strategy: st.SearchStrategy[Any], examples: int, number: int) -> float:
    """Seconds of CPU time for one example, of so many after a seed."""

    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),  # the plain composition may be too slow for them
    )
    @given(strategy)
    def draw(x: Any) -> None:
        nonlocal drawn
        drawn += 1

    drawn = 0
    started = time.process_time()
    draw()
    return (time.process_time() - started) / drawn


def drawn_maps(options: dict[str, Any], examples: int) -> list[tmref.TensorMap]:
    """As many maps, for their sizes."""
    found: list[tmref.TensorMap] = []

    @seed(0)
    @settings(max_examples=examples, database=None, deadline=None, phases=[Phase.generate])
    @given(tensor_maps(**options))
    def collect(x: tmref.TensorMap) -> None:
        found.append(x)

    collect()
    return found


Skeleton = tuple[tuple[list[str], int], list[list[tuple[list[str], int]]], Any]


def skeleton(x: tmref.TensorMap) -> Skeleton:
    """Names and sizes of a map: of its keys, of every axis of every block, and the dtype."""

    def size(labels: tmref.Labels) -> tuple[list[str], int]:
        return labels.names, len(labels)

    blocks = [[size(axis) for axis in (b.samples, *b.components, b.properties)] for b in x]
    dtype = np.float64 if len(x) and x.dtype == torch.float64 else np.float32
    return size(x.keys), blocks, dtype


def plain(skeletons: Sequence[Skeleton]) -> st.SearchStrategy[tmref.TensorMap]:
    """The plain composition, for maps of these names and sizes."""
    integers = st.integers(INT32_MIN, INT32_MAX)
    elements = st.sampled_from(sorted(set(units(24))))
    chosen = st.sampled_from(range(len(skeletons)))

    @st.composite
    def draw_map(draw: st.DrawFn) -> tmref.TensorMap:
        def labels(names: list[str], size: int) -> tmref.Labels:
            rows = st.lists(
                st.tuples(*[integers] * len(names)), min_size=size, max_size=size, unique=True
            )
            values = torch.tensor(draw(rows), dtype=torch.int32).reshape(size, len(names))
            return tmref.Labels(names, values)

        keys, blocks, dtype = skeletons[draw(chosen)]
        made = []
        for axes in blocks:
            samples, *components, properties = (labels(*axis) for axis in axes)
            shape = tuple(size for _, size in axes)
            values = torch.from_numpy(draw(of_numpy.arrays(dtype, shape, elements=elements)))
            made.append(tmref.TensorBlock(values, samples, components, properties))
        return tmref.TensorMap(labels(*keys), made)

    return draw_map()


def throughput(rounds: int, examples: int) -> Table:
    """Maps per second, and their ratio."""
    table = Table(box=None, title="drawing, maps per second of CPU time", title_justify="left")
    for heading in ("", "tensor_maps", "plain composition", "ratio: median", "quartiles", "rounds"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, options in KINDS.items():
        composed = plain([skeleton(x) for x in drawn_maps(options, examples)])
        pairs = []
        for i in range(rounds):
            subjects: list[st.SearchStrategy[Any]] = [tensor_maps(**options), composed]
            order = (0, 1) if i % 2 else (1, 0)
            times = {which: seconds(subjects[which], examples, i) for which in order}
            pairs.append((times[0], times[1]))
        ratios = [theirs / ours for ours, theirs in pairs]
        low, median, high = statistics.quantiles(ratios, n=4)
        ours, theirs = (statistics.median(1 / pair[which] for pair in pairs) for which in (0, 1))
        cells = f"{ours:.0f}", f"{theirs:.0f}", f"{median:.2f}", f"{low:.2f}–{high:.2f}", str(rounds)
        table.add_row(name, *cells)
    return table


def shrinking(rounds: int) -> Table:
    """Seconds of CPU time for each planted predicate, from the first map found to the smallest."""
    tests = runpy.run_path(str(PLANTED))
    shrunk: Callable[..., tuple[Any, int, float]] = tests["shrunk"]
    table = Table(box=None, title="shrinking", title_justify="left")
    for heading in ("planted", "seconds: median", "largest", "maps tried", "smallest"):
        table.add_column(heading, justify="left" if heading == "planted" else "right")
    for planted, (_, _, expected) in tests["PLANTED"].items():
        times, counts, smallest = [], [], 0
        for i in range(rounds):
            found, tried, seconds_taken = shrunk(planted, i, time.process_time)
            times.append(seconds_taken)
            counts.append(tried)
            smallest += repr(found) == expected
        table.add_row(
            planted,
            f"{statistics.median(times):.2f}",
            f"{max(times):.2f}",
            f"{statistics.median(counts):.0f}",
            f"{smallest} of {rounds}",
        )
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Time the strategies.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--examples", type=int, default=300, help="of each strategy in a round")
    parser.add_argument("--no-shrinking", action="store_true")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    console = Console(highlight=False)
    console.width = max(console.width, 110)
    console.print(f"{time.strftime('%Y-%m-%d')}, torch {torch.__version__}, one thread")
    console.print(throughput(options.rounds, options.examples))
    if not options.no_shrinking:
        console.print(shrinking(min(options.rounds, 5)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
