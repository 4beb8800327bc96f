"""How many examples each law needs to find its planted defects: ``python tests/laws/needs.py``.

Every planted defect is looked for with many seeds, and the most examples that one takes is what its law
needs. Writes how many laws ask for to tmref/laws/examples.py.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import pkgutil
import sys
import warnings
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from math import ceil
from pathlib import Path

import torch

from tmref.catalog import DATA, ROWS
from tmref.laws import LAWS, runner

PLACE = Path(__file__).resolve().parents[2] / "tmref" / "laws" / "examples.py"
#: A law asks for so many times what it needs, and for no fewer than so many.
MARGIN, LEAST = 1.5, 10
#: Where modules are compiled, which takes long, for fewer.
LEAST_COMPILED = 5
#: A defect is looked for in so many examples, then in more: a tenth of them are small ones.
TRIED = (25, 100, 400)
_HEAD = '''"""How many examples each law asks for: {margin} times what it takes to find its planted
defects with any of {seeds} seeds, as tests/laws/needs.py has measured."""

EXAMPLES = {{
{lines}
}}
'''


@functools.cache
def planting():
    """The planted defects."""
    here = str(Path(__file__).resolve().parent)
    if here not in sys.path:
        sys.path.insert(0, here)
    mutants = importlib.import_module("mutants")
    for _, name, _ in pkgutil.walk_packages(mutants.__path__, "mutants."):
        importlib.import_module(name)  # each adds its own to the list
    return importlib.import_module("mutants.planting")


def needed(place: int, seed: int) -> int:
    """How many examples it takes to find a planted defect."""
    torch.set_num_threads(1)
    planted = planting().MUTANTS[place]
    law = next(law for law in LAWS if law.name == planted.law)
    rows = {row.name: row for row in (*DATA, *ROWS, *planting().OWN_ROWS)}
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
    options = {"hypothesis_seed": seed, "shrink": False}
    arguments = law, planted.narrowed(rows[planted.row]), planted.implementation
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for examples in TRIED:
                tried = 0
                runner.check(*arguments, examples=examples, **options)
                if found:
                    return found
    finally:
        runner.try_example = try_example
    return TRIED[-1] + 1


def measured(seeds, processes):
    """For every law what its defects take, the most first, with the defect and the seed."""
    mutants = planting().MUTANTS
    cases = [(place, seed) for place in range(len(mutants)) for seed in seeds]
    needs = defaultdict(list)
    with ProcessPoolExecutor(processes) as pool:
        counts = pool.map(needed, *zip(*cases, strict=True), chunksize=50)
        for (place, seed), count in zip(cases, counts, strict=True):
            needs[mutants[place].law].append((count, seed, str(mutants[place])))
    return {law: sorted(of_law, reverse=True) for law, of_law in needs.items()}


def source(needs, seeds):
    """The file that says how many examples laws ask for."""
    lines = []
    for law in LAWS:
        least = LEAST_COMPILED if law.family == "transforms" else LEAST
        lines.append(f'    "{law.name}": {max(least, ceil(MARGIN * needs[law.name][0][0]))},')
    return _HEAD.format(margin=MARGIN, seeds=len(seeds), lines="\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 20), metavar=("FIRST", "END"))
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    seeds = range(*options.seeds)
    needs = measured(seeds, options.processes)
    for law in LAWS:
        count, seed, defect = needs[law.name][0]
        print(f"{count:4} {defect}, seed {seed}; then {[one[0] for one in needs[law.name][1:6]]}")
    PLACE.write_text(source(needs, seeds), encoding="utf-8")


if __name__ == "__main__":
    main()
