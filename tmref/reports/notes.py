"""What has to be known of reports before any of their verdicts is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .. import __version__
from ..printing import counted
from ..verdicts import Results
from .columns import columns, titles


@dataclass(frozen=True)
class Note:
    """A sentence; ``is_wrong`` where there is less than there should be, so that nothing is good."""

    words: str
    is_wrong: bool


def notes(reports: Sequence[Results], names: Sequence[str]) -> Iterator[Note]:
    """What is missing in reports that are called by these names, and what can't be compared."""
    for name, results in zip(names, reports, strict=True):
        if results.footer is None:
            yield Note(f"{name}: the run was cut short, there are verdicts missing", True)
        elif not results.verdicts:
            yield Note(f"{name}: nothing was selected, no law was tried", True)
    for name, results in zip(names, reports, strict=True):
        header = results.header
        if selection := header["settings"].get("selection"):
            yield Note(f"{name}: only rows and laws of such names were tried: {selection}", False)
        if header.get("only") is not None:
            words = f"only {counted(len(header['only']), 'case', 'was')} chosen"
            yield Note(f"{name}: {words}", False)
        made_by = header["versions"].get("tmref")
        if made_by != __version__:
            words = f"made by tmref {made_by}, and what laws demand is told by {__version__}"
            yield Note(f"{name}: {words}", False)
    yield from _lacking(reports)
    if len({results.header["settings"].get("effort", 1) for results in reports}) > 1:
        yield Note("the efforts differ, so numbers of examples can't be compared", False)


def _lacking(reports: Sequence[Results]) -> Iterator[Note]:
    """How many verdicts others have, where not all were tried."""
    found = columns(reports)
    every = {(v.law, v.row) for column in found for v in column.verdicts}
    for column, title in zip(found, titles(found), strict=True):
        lacking = len(every) - len(column.verdicts)
        if lacking and not _is_whole(column.results):
            words = f"{counted(lacking, 'verdict', 'is')} not there that others have"
            yield Note(f"{title}: {words}", False)


def _is_whole(results: Results) -> bool:
    header = results.header
    is_chosen = header["settings"].get("selection") or header.get("only") is not None
    return results.footer is not None and not is_chosen
