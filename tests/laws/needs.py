"""How many examples each law needs to find its planted defects: ``python tests/laws/needs.py``.

Every planted defect is looked for with many seeds, and the most examples that one takes is what its law
needs. Of one seed Hypothesis makes other examples where it is to make more of them, or fewer: with as
many as a law asks for then, all are looked for again, and it asks for more where one is missed. Writes
how many laws ask for to tmref/laws/examples.py.
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
from tmref.laws.trying import LawBroken
from tmref.printing import meant
from tmref.verdicts import ERROR, FAIL

PLACE = Path(__file__).resolve().parents[2] / "tmref" / "laws" / "examples.py"
#: A law asks for so many times what it needs, and for no fewer than so many.
MARGIN, LEAST = 1.5, 10
#: Where modules are compiled, which takes long, for fewer.
LEAST_COMPILED = 5
#: The seeds with which each defect must be found in as many as are asked for, and by how much these are
#: raised where one isn't.
SURE, RAISED = (0, 1, 2), 1.25
#: A defect is looked for in so many examples, then in more: a tenth of them are small ones.
TRIED = (25, 100, 400)
_HEAD = '''"""How many examples each law asks for, by tests/laws/needs.py: {margin} times what it takes
to find its planted defects with any of {seeds} seeds, and as many as find all of them with {sure}."""

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


def planted_at(place: int):
    """A planted defect with its law and its row."""
    planted = planting().MUTANTS[place]
    law = next(law for law in LAWS if law.name == planted.law)
    rows = {row.name: row for row in (*DATA, *ROWS, *planting().OWN_ROWS)}
    return planted, law, rows[planted.row]


def needed(place: int, seed: int) -> int:
    """How many examples it takes to find a planted defect."""
    torch.set_num_threads(1)
    planted, law, row = planted_at(place)
    tried, found = 0, 0
    try_example = runner.try_example

    def counted(*arguments, **options):
        nonlocal tried, found
        tried += not found
        result = try_example(*arguments, **options)
        if isinstance(result, LawBroken):
            found = found or tried
        return result

    runner.try_example = counted
    options = {"hypothesis_seed": seed, "shrink": False}
    arguments = law, planted.narrowed(row), planted.implementation
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


def measured(laws, seeds, pool):
    """For each of the laws what its defects take, the most first, with the defect and the seed."""
    mutants = planting().MUTANTS
    places = [place for place, planted in enumerate(mutants) if planted.law in laws]
    cases = [(place, seed) for place in places for seed in seeds]
    needs = defaultdict(list)
    counts = pool.map(needed, *zip(*cases, strict=True), chunksize=50)
    for (place, seed), count in zip(cases, counts, strict=True):
        needs[mutants[place].law].append((count, seed, str(mutants[place])))
    return {law: sorted(of_law, reverse=True) for law, of_law in needs.items()}


def asked_for(law, needs):
    """How many examples a law asks for, by what its defects take."""
    least = LEAST_COMPILED if law.family == "transforms" else LEAST
    return max(least, ceil(MARGIN * needs[0][0]))


def is_missed(place, seed, examples):
    """Whether so many examples don't show a planted defect."""
    torch.set_num_threads(1)
    planted, law, row = planted_at(place)
    options = {"hypothesis_seed": seed, "shrink": False, "examples": examples}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        verdict = runner.check(law, planted.narrowed(row), planted.implementation, **options)
    return verdict.verdict not in (FAIL, ERROR)


def confirmed(examples, laws, pool):
    """How many examples all laws ask for, raised for those of the ``laws`` that miss a defect."""
    examples, laws = dict(examples), set(laws)
    mutants = planting().MUTANTS
    while laws:
        cases = [
            (place, seed, examples[planted.law])
            for place, planted in enumerate(mutants)
            if planted.law in laws
            for seed in SURE
        ]
        missed = pool.map(is_missed, *zip(*cases, strict=True), chunksize=20)
        laws = {mutants[case[0]].law for case, is_one in zip(cases, missed, strict=True) if is_one}
        for law in laws:
            print(f"{law}: {examples[law]} are not enough")
            examples[law] = ceil(RAISED * examples[law])
    return examples


def source(examples, seeds):
    """The file that says how many examples laws ask for."""
    lines = "\n".join(f'    "{law.name}": {examples[law.name]},' for law in LAWS)
    sure = " and ".join([", ".join(map(str, SURE[:-1])), str(SURE[-1])])
    return _HEAD.format(margin=MARGIN, seeds=len(seeds), sure=sure, lines=lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("laws", nargs="*", metavar="LAW", help="of these alone (default: all)")
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 20), metavar=("FIRST", "END"))
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    of_names = {law.name: law for law in LAWS}
    for name in options.laws:
        if name not in of_names:
            parser.error(
                f"there is no law {name!r}; {meant(name, of_names, 'tmref list laws has them')}"
            )
    chosen = {name: of_names[name] for name in options.laws or of_names}
    seeds = range(*options.seeds)
    with ProcessPoolExecutor(options.processes) as pool:
        needs = measured(chosen, seeds, pool)
        for name in chosen:
            count, seed, defect = needs[name][0]
            print(f"{count:4} {defect}, seed {seed}; then {[one[0] for one in needs[name][1:6]]}")
        examples = {name: law.examples for name, law in of_names.items()}
        examples |= {name: asked_for(law, needs[name]) for name, law in chosen.items()}
        examples = confirmed(examples, chosen, pool)
    PLACE.write_text(source(examples, seeds), encoding="utf-8")


if __name__ == "__main__":
    main()
