"""The pages of documentation that list what there is: laws, and rows with their traits. In Markdown."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Sequence

from .. import strategies
from ..catalog import DATA, ROWS, TRAITS, Row
from ..catalog.traits import OF_THE_INPUT_ALONE
from ..implementations import installed
from ..laws import LAWS, smoke
from ..laws.own import it_can_be_made_and_called

_WIDTH = 105

_LAWS = """# The specification

What a library of modules on `TensorMap` has to do, law by law. Each demands what documentation, torch's
convention or mathematics demands, and says which: [doc], [torch], [maths]. A sentence is that of the
modules that have the traits below it (`tmref list rows` has them all); how many examples are tried
follows from what it takes to find its planted defects. Who isn't said to break a law obeys it, or hasn't
what it is about. Scripts that show a failure import neither tmref nor Hypothesis: both sides of the law
are in them, as numbers or by their own lines. Of some laws it is said that scripts keep the order that
came back: no document says which it must be.
"""

_TRAITS = """# Rows and traits

A row is what laws are tried on: a module of metatensor's nn with its options, or a type of data. Its
traits are what it promises, and say which laws (`tmref list laws`) apply.

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


def strategies_page() -> str:
    """Every strategy with what it gives, in a sentence."""
    told = ((name, inspect.getdoc(getattr(strategies, name)) or "") for name in strategies.__all__)
    words = ((name, " ".join(doc.partition("\n\n")[0].split())) for name, doc in told)
    return "".join(f"- `{name}`: {_as_markdown(doc)}\n" for name, doc in words)


def _as_markdown(words: str) -> str:
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", words).replace("``", "`")


def _laws() -> Iterator[str]:
    yield _LAWS
    yield "## 1. Smoke\n"
    number, of_family, family = 1, 1, "smoke"
    yield from _law("1.1", smoke.NAME, smoke.DEMAND, "any implementation, before all other laws")
    made, whose = it_can_be_made_and_called, "modules and functions of one's own, before all other laws"
    yield from _law("1.2", made.name, made.demand, whose)
    broken = _broken()
    for law in LAWS:
        if law.family != family:
            number, of_family, family = number + 1, 0, law.family
            yield f"## {number}. {family.replace('_', ' ').capitalize()}\n"
        of_family += 1
        about = "data: " if law.of_data else ""
        about += ", ".join(sorted(law.traits)) or "every module"
        needs = ", ".join(premise.words for premise in law.needs)
        words = f"{about}; {f'it needs {needs}; ' if needs else ''}{law.examples} examples"
        words += "; its scripts keep the order that came back" if law.as_it_came else ""
        yield from _law(f"{number}.{of_family}", law.name, law.demand, words)
        for who, rows in broken.get(law.name, {}).items():
            yield _fill(f"Known to be broken by {who}: {', '.join(rows)}.")


def _law(number: str, name: str, demand: str, about: str) -> Iterator[str]:
    yield f"### {number} {name.replace('_', ' ').capitalize()}\n"
    yield _fill(as_prose(demand))
    yield _fill(f"`{name}`, of {about}.")


def as_prose(demand: str) -> str:
    """What a law demands, in Markdown that shows it as it is written."""
    return re.sub(r"([_*])", r"\\\1", demand)


def _fill(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False) + "\n"


def _broken() -> dict[str, dict[str, dict[str, None]]]:
    """For each law who is known to break it, and on which rows."""
    found: dict[str, dict[str, dict[str, None]]] = {}
    for implementation in installed():
        for entry in implementation.known:
            who = f"{implementation.name} {implementation.version}"
            found.setdefault(entry.law, {}).setdefault(who, {}).update(dict.fromkeys(entry.rows))
    return found


def _row(row: Row) -> str:
    layers = ", ".join(layer.name for layer in row.layers)
    return f"| `{row.name}` | {row.module} | {layers} | {', '.join(sorted(row.traits))} |"
