"""Verdicts as commands of a workflow on GitHub, which shows them beside the job and the commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..printing import counted
from ..verdicts import Results, Verdict, alike, readable
from .columns import columns, titles
from .notes import notes

#: GitHub shows so many errors of a step, and drops the others.
MOST = 10
_SCRIPT = 4_000


def workflow_commands(reports: Sequence[Results], names: Sequence[str]) -> list[str]:
    """A line for each: an error for what is missing and for each cause of what is unexpected, a warning
    for what laws don't forbid, a notice where all is as expected."""
    errors = [*_missing(reports, names), *_causes(reports)]
    shown = errors if len(errors) <= MOST else errors[: MOST - 1]
    if more := len(errors) - len(shown):
        shown.append(("tmref", f"{counted(more, 'more cause')}, which tmref report shows"))
    lines = [_command("error", title, message) for title, message in shown]
    lines += [_command("warning", *warning) for warning in list(_warnings(reports))[:MOST]]
    if not errors:
        number = sum(len(results.verdicts) for results in reports)
        words = "the one verdict is" if number == 1 else f"all {number} verdicts are"
        lines.append(_command("notice", "tmref", f"{words} as expected"))
    return lines


def _missing(reports: Sequence[Results], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for note in notes(reports, names):
        if note.is_wrong:
            yield "tmref: verdicts are missing", note.words


def _causes(reports: Sequence[Results]) -> Iterator[tuple[str, str]]:
    found = columns(reports)
    for column, title in zip(found, titles(found), strict=True):
        for first, *others in alike(column.unexpected):
            more = f" and {len(others)} more" if others else ""
            yield f"{first.verdict}: {first.law} on {first.row} of {title}{more}", _said(first)


def _said(verdict: Verdict) -> str:
    script = verdict.reproducer or verdict.counterexample or ""
    return f"{verdict.message or 'no message'}\n\n{readable(script, _SCRIPT)}".rstrip()


def _warnings(reports: Sequence[Results]) -> Iterator[tuple[str, str]]:
    found = columns(reports)
    for column, title in zip(found, titles(found), strict=True):
        for row, (first, *_) in column.warned.items():
            yield f"{first.law} on {row} of {title}", first.warning or ""


def _command(name: str, title: str, message: str) -> str:
    """The command, whose parts can't end it or be another: its marks are escaped as GitHub wants it."""
    words = _escaped(readable(title)).replace(":", "%3A").replace(",", "%2C")
    return f"::{name} title={words}::{_escaped(readable(message, 2 * _SCRIPT))}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
