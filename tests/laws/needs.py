"""How many examples each law needs to find its planted defects: ``python tests/laws/needs.py``.

Every planted defect is looked for with other seeds than those that the tests have, and the most examples
that any of them takes is what its law needs. Prints a table of laws: what it needs, and at which seed for
which defect.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import warnings
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent)]

import mutants
import torch
from mutants.planting import MUTANTS, OWN_ROWS

from tmref.catalog import DATA, ROWS
from tmref.laws import LAWS, runner

#: A defect that isn't found in so many examples is said to need more.
MOST = 400
for _, name, _ in pkgutil.walk_packages(mutants.__path__, "mutants."):
    importlib.import_module(name)  # each adds its own to the list
_LAWS = {law.name: law for law in LAWS}
_ROWS = {row.name: row for row in (*DATA, *ROWS, *OWN_ROWS)}


def needed(place: int, seed: int) -> int:
    """How many examples it takes to find a planted defect."""
    torch.set_num_threads(1)
    planted = MUTANTS[place]
    law, row = _LAWS[planted.law], planted.narrowed(_ROWS[planted.row])
    tried, found = 0, 0
    try_example = runner.try_example

    def counted(*arguments, **options):
        nonlocal tried, found
        tried += not found
        result = try_example(*arguments, **options)
        if isinstance(result, runner.LawBroken):
            found = found or tried
        return result

    runner.try_example = counted
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runner.check(
                law, row, planted.implementation, examples=MOST, hypothesis_seed=seed, shrink=False
            )
    finally:
        runner.try_example = try_example
    return found or MOST + 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs=2, type=int, default=(10, 20), metavar=("FIRST", "END"))
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    cases = [(place, seed) for place in range(len(MUTANTS)) for seed in range(*options.seeds)]
    needs = defaultdict(list)
    with ProcessPoolExecutor(options.processes) as pool:
        for (place, seed), count in zip(
            cases, pool.map(needed, *zip(*cases, strict=True), chunksize=50), strict=True
        ):
            planted = MUTANTS[place]
            needs[planted.law].append((count, seed, f"{planted.implementation.name} on {planted.row}"))
    for law in LAWS:
        counts = sorted(needs[law.name], reverse=True)
        print(law.name, law.examples, *counts[0], *[c[0] for c in counts[1:6]], len(counts), sep="\t")


if __name__ == "__main__":
    main()
