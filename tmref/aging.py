"""``tmref known``: the known failures of an implementation, and whether each is what its entry says."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .adapters import chosen
from .statuses import BAD, GOOD, UNUSABLE

if TYPE_CHECKING:
    from .implementations import Implementation, Known
    from .laws.checks import Case


@dataclass(frozen=True)
class Aged:
    """A known failure on one of its rows: what became of it, in words, and whether its entry says so."""

    entry: Known
    row: str
    now: str
    as_said: bool


def known(options: argparse.Namespace) -> int:
    """Show the known failures, each tried again; the status says whether all are what they say."""
    from .implementations import load
    from .reports.terminal import show_known

    names = chosen("known", [options.name])
    if names is None:
        return UNUSABLE
    implementation = load(names[0])
    try:
        found = list(aged(implementation))
    except (AttributeError, TypeError, ValueError) as error:
        print(f"tmref known: {names[0]}: {error}", file=sys.stderr)
        return UNUSABLE
    show_known(implementation, found)
    return GOOD if all(one.as_said for one in found) else BAD


def aged(implementation: Implementation) -> Iterator[Aged]:
    """Each known failure on each of its rows, its example tried again in a process of its own. Those on
    rows of the catalog that the implementation hasn't are left out: they are about classes that its own
    modules are made of. Raises TypeError and ValueError where its rows can't be tried."""
    from .catalog import DATA, ROWS
    from .laws import LAWS
    from .laws.checks import cases
    from .laws.own import it_can_be_made_and_called

    found = {
        (case.law.name, case.row.name): case for case in cases(implementation) if case.law and case.row
    }
    laws = {law.name for law in (*LAWS, it_can_be_made_and_called)}
    rows = {row for _, row in found}
    of_catalog = {row.name for row in (*DATA, *ROWS)}
    for entry in getattr(implementation, "known", ()):
        for row in entry.rows:
            case = found.get((entry.law, row))
            if case is not None:
                yield _tried_again(entry, row, case)
            elif entry.law not in laws:
                yield Aged(entry, row, "there is no such law", False)
            elif row in rows:
                yield Aged(entry, row, "the law is not tried on this row", False)
            elif row not in of_catalog:
                yield Aged(entry, row, "there is no such row", False)


def _tried_again(entry: Known, row: str, case: Case) -> Aged:
    from .laws.apart import apart
    from .laws.limits import MEMORY, SECONDS, Ended
    from .laws.runner import replay

    assert case.law is not None
    assert case.row is not None
    law, of_row, implementation = case.law, case.row, case.implementation
    try:
        verdict = apart(lambda: replay(law, of_row, implementation, entry, SECONDS), MEMORY)
    except Exception as error:  # what the entry itself is made of
        return Aged(entry, row, f"it can't be tried: {type(error).__name__}: {error}", False)
    if isinstance(verdict, Ended):
        return Aged(entry, row, verdict.reason, False)
    if verdict.known is not None:
        version = entry.version_of(implementation)
        is_named = entry.was_seen_in(version)
        now = "still broken" if is_named else f"still broken in {version}: name it"
        return Aged(entry, row, now, True)
    said = verdict.message or verdict.mended or verdict.verdict
    if verdict.mended or said.startswith("mended"):
        said = said.removesuffix(f": {entry.reason}").removesuffix(" of the known failure")
    return Aged(entry, row, "not offered" if not verdict.offered else said, verdict.expected)
