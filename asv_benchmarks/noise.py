"""The noise of each benchmark: how far apart its numbers are where the suite was run again and again.

A result is a file that asv has written; those of one commit on one machine are compared. The noise of a
cell is the difference of its largest number from its smallest one, as a share of that; the line of a
benchmark, in Markdown, has the median over its cells and the largest.

    make bench; cp RESULT.json first.json; make bench
    python asv_benchmarks/noise.py first.json RESULT.json
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from asv.results import Results
from asv.util import UserError


def noise(results: Sequence[Results]) -> dict[str, list[float]]:
    """The differences of each benchmark's cells that all the results have."""
    found = {}
    for name in sorted(set.intersection(*({*of.get_all_result_keys()} for of in results))):
        params = results[0].get_result_params(name)
        numbers = zip(*(of.get_result_value(name, params) for of in results), strict=True)
        of_cells = [difference(cell) for cell in numbers if all(map(_is_number, cell))]
        if of_cells:
            found[name] = of_cells
    return found


def difference(numbers: Sequence[float]) -> float:
    """Of the largest from the smallest one, as a share of it."""
    low, high = min(numbers), max(numbers)
    return 0.0 if low == high else (high - low) / low if low else math.inf


def _is_number(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def loaded(paths: Sequence[Path]) -> list[Results]:
    """The results in files. Raises ValueError where they are not those of one commit on one machine."""
    try:
        results = [Results.load(str(path)) for path in paths]
    except (OSError, UserError) as error:
        raise ValueError(f"no result of asv: {error}") from error
    of = {(found.commit_hash, found.params["machine"], found.env_name) for found in results}
    if len(of) > 1:
        raise ValueError(
            f"give results of one commit, one machine and one environment, got {sorted(of)}"
        )
    return results


def table(found: dict[str, list[float]]) -> str:
    """A line for every benchmark."""
    lines = ["| benchmark | cells | median | largest |", "| --- | ---: | ---: | ---: |"]
    for name, of_cells in found.items():
        shares = f"{statistics.median(of_cells):.1%} | {max(of_cells):.1%}"
        lines.append(f"| {name} | {len(of_cells)} | {shares} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULT.json")
    options = parser.parse_args(arguments)
    try:
        if len(options.results) < 2:
            raise ValueError("give at least two results: one says nothing of noise")
        print(table(noise(loaded(options.results))))
    except ValueError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
