"""What is on the page of verdicts, and how it is put into one file."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ... import __version__
from ...verdicts import ERROR, FAIL, NOT_OFFERED, PASS, UNTESTED, Results, Verdict, alike, readable
from ..columns import Column, columns, kinds_of_known, titles
from ..demands import Demand, demands
from ..notes import notes

#: What every page begins with, and nothing else does.
BEGINNING = '<!doctype html>\n<html lang="en">\n<meta name="generator" content="tmref report">\n'
#: Every status, the worst first, with the class that it has on the page.
STATUSES = {FAIL: "f", ERROR: "e", UNTESTED: "u", "known": "k", PASS: "p", NOT_OFFERED: "n"}
#: So many causes of what is unexpected are listed at the top; the filter finds all.
_CAUSES = 40


@dataclass(frozen=True)
class Head:
    """The heading of a column: ``title`` names its implementation as no other's, ``path`` is its part
    of an address."""

    column: Column
    title: str
    path: str


@dataclass(frozen=True)
class Group:
    """Verdicts on a law of one status, and of one reason where they are known."""

    status: str
    reason: str
    verdicts: list[Verdict]

    @property
    def messages(self) -> dict[str, list[str]]:
        """What is said, and of which rows."""
        found: dict[str, list[str]] = {}
        for v in self.verdicts:
            found.setdefault(v.message or "", []).append(v.row)
        return found


@dataclass(frozen=True)
class Cell:
    """The verdicts on a law in one column, by rows."""

    head: Head
    of_rows: dict[str, Verdict]

    @property
    def counts(self) -> list[tuple[str, int]]:
        """How many verdicts there are of each status, the worst first."""
        counts = Counter(v.status for v in self.of_rows.values())
        return [(status, counts[status]) for status in STATUSES if counts[status]]

    @property
    def groups(self) -> Iterator[Group]:
        """What is to be said of the verdicts, the worst first."""
        for status in STATUSES:
            found: dict[str, list[Verdict]] = {}
            for v in self.of_rows.values():
                if v.status == status != PASS:
                    found.setdefault(v.known or "", []).append(v)
            yield from (Group(status, reason, verdicts) for reason, verdicts in found.items())

    @property
    def warned(self) -> list[Verdict]:
        """The verdicts that warn of something."""
        return [v for v in self.of_rows.values() if v.warning]

    @property
    def mended(self) -> list[Verdict]:
        """The verdicts that say that a known failure isn't there any more."""
        return [v for v in self.of_rows.values() if v.mended]

    @property
    def says_more(self) -> bool:
        """Whether there is more to be said than how many passed."""
        return bool(self.warned or self.mended or any(self.groups))

    @property
    def is_unexpected(self) -> bool:
        """Whether somebody has to look."""
        return any(not v.expected for v in self.of_rows.values())


@dataclass(frozen=True)
class OfLaw:
    """A law with its verdicts, a cell for each column; ``rows`` are those that it was tried on."""

    name: str
    demand: Demand | None
    rows: list[str]
    cells: list[Cell]


def page(reports: Sequence[Results], names: Sequence[str]) -> str:
    """The page of these reports, which are called by these names: HTML that needs no other file.

    Whatever an implementation, a message or a report says is text on it, and nothing that it holds can
    be run but the script that is part of tmref.
    """
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    style, script = _part("page.css"), _part("page.js")
    heads = _heads(columns(reports))
    families = _families(reports, heads)
    rows = dict.fromkeys(row for of in families.values() for law in of for row in law.rows)
    return BEGINNING + environment.from_string(_part("page.html")).render(
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        version=__version__,
        heads=heads,
        families=families,
        rows=_in_order(rows, reports, "rows"),
        statuses=STATUSES,
        address=address,
        beyond=_beyond,
        reports=list(zip(names, reports, strict=True)),
        notes=list(notes(reports, names)),
        causes=list(_causes(heads)),
        most_causes=_CAUSES,
        warned=[(head, row, found) for head in heads for row, found in head.column.warned.items()],
        known=kinds_of_known([head.column for head in heads]),
        mended=[(head, *what, found) for head in heads for what, found in head.column.mended.items()],
    )


def address(*parts: str) -> str:
    """The identifier of a law, of its cell, or of a verdict in it, which is its fragment, too."""
    return "/".join(["law", *(quote(_printable(part), safe="") for part in parts)])


def _beyond(counterexample: str | None, script: str | None) -> str:
    """The lines of a counterexample that its script hasn't: nothing is on the page twice."""
    there = set((script or "").splitlines())
    lines = [line for line in (counterexample or "").splitlines() if line not in there]
    return "\n".join(lines)


def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """How a policy names the one style, or the one script, that is obeyed."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _printable(value: Any) -> Any:
    """Text without what can't be seen, or can't be written: headers may have that."""
    return readable(value, longest=10**9) if type(value) is str else value


def _heads(found: Sequence[Column]) -> list[Head]:
    """The headings; the path is the name, where it tells a column from others."""
    names = Counter(column.name for column in found)
    return [
        Head(column, title, column.name if names[column.name] == 1 else title)
        for column, title in zip(found, titles(found), strict=True)
    ]


def _families(reports: Sequence[Results], heads: Sequence[Head]) -> dict[str, list[OfLaw]]:
    """The laws by their families, in the order of the headers."""
    of_laws: dict[str, dict[str, dict[str, Verdict]]] = {}
    for head in heads:
        for v in head.column.verdicts:
            of_laws.setdefault(v.law, {}).setdefault(head.path, {})[v.row] = v
    family_of: dict[str, str] = {}
    for results in reports:
        family_of = {**results.header.get("families", {}), **family_of}
    found: dict[str, list[OfLaw]] = {}
    for name in _in_order(of_laws, reports, "laws"):
        of_heads = of_laws[name]
        rows = dict.fromkeys(row for of_rows in of_heads.values() for row in of_rows)
        cells = [Cell(head, of_heads.get(head.path, {})) for head in heads]
        law = OfLaw(name, demands().get(name), _in_order(rows, reports, "rows"), cells)
        found.setdefault(str(family_of.get(name, "others")), []).append(law)
    return found


def _in_order(names: Sequence[str] | dict[str, Any], reports: Sequence[Results], part: str) -> list[str]:
    """The names in the order in which the headers have them."""
    order = dict.fromkeys(name for results in reports for name in results.header[part])
    places = {name: place for place, name in enumerate(order)}
    return sorted(names, key=lambda name: places.get(name, len(places)))


def _causes(heads: Sequence[Head]) -> Iterator[tuple[Head, list[Verdict]]]:
    """What is unexpected, where several have one cause as far as can be seen once."""
    for head in heads:
        yield from ((head, found) for found in alike(head.column.unexpected))
