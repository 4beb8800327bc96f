"""The pages of documentation that list what there is: laws, and rows with their traits. In Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from ..catalog import DATA, ROWS, TRAITS, Row
from ..catalog.traits import OF_THE_INPUT_ALONE
from ..laws import LAWS, smoke

_WIDTH = 105

_LAWS = """# The laws

A law demands what documentation, torch's convention or mathematics demands, and says which: [doc],
[torch], [maths]. It is tried on the rows that have the traits it is about ([rows and traits](rows.md)),
and that have what else it needs, on as many examples as it asks for, divided over the rows that share
their code. This page is what `tmref list laws` prints.
"""

_TRAITS = """# Rows and traits

A row is what laws are tried on: a module of metatensor's nn with its options, or a type of data. Its
traits are what it promises, and say which [laws](laws.md) apply. This page is what `tmref list rows`
prints.

## Traits

Laws that need none apply to every module. What a module of your own promises is said by these names, as
`traits=` of `check_module`.

| trait | what it promises |
| --- | --- |"""

_ROWS = """
## Rows

| row | module | layers | traits |
| --- | --- | --- | --- |"""


def laws_page() -> str:
    """Every law with what it demands, whose demand that is, what it is about, and its examples."""
    return "\n".join(_laws())


def rows_page(rows: Sequence[Row] = ROWS) -> str:
    """Each of the rows with its layers and traits, and what each trait means."""
    traits = (f"| `{name}` | {meaning} |" for name, meaning in TRAITS.items())
    others = ", ".join(f"`{row.name}`" for row in DATA)
    end = f"\nTypes of data, and what isn't about one module, have laws of their own: {others}.\n"
    alone = ", ".join(f"`{name}`" for name in OF_THE_INPUT_ALONE)
    implied = f"\nWhat is one of {alone}\nis `deterministic`, too, and is tried as that."
    return "\n".join([_TRAITS, *traits, implied, _ROWS, *map(_row, rows), end])


def _laws() -> Iterator[str]:
    yield _LAWS
    yield from _law("smoke", smoke.NAME, "any implementation, before all other laws", smoke.DEMAND)
    family = "smoke"
    for law in LAWS:
        about = "data: " if law.of_data else ""
        about += ", ".join(sorted(law.traits)) or "every module"
        needs = ", ".join(premise.words for premise in law.needs)
        words = f"{about}; {f'it needs {needs}; ' if needs else ''}{law.examples} examples"
        yield from _law("" if law.family == family else law.family, law.name, words, law.demand)
        family = law.family


def _law(family: str, name: str, about: str, demand: str) -> Iterator[str]:
    if family:
        yield f"## {family.replace('_', ' ').capitalize()}\n"
    yield f"### {name}\n"
    yield textwrap.fill(demand, _WIDTH, break_long_words=False, break_on_hyphens=False) + "\n"
    yield f"Of {about}.\n"


def _row(row: Row) -> str:
    layers = ", ".join(layer.name for layer in row.layers)
    return f"| `{row.name}` | {row.module} | {layers} | {', '.join(sorted(row.traits))} |"
