"""The history of an implementation: in which release laws broke, and were mended."""

from __future__ import annotations

import string
import textwrap
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..history.record import ABSENT, BROKEN, HOLDS, OPEN, UNUSABLE, History, Release, Turn
from ..printing import counted
from ..verdicts import readable
from .terminal import _WIDTH, _name

_COLORS = {HOLDS: "green", BROKEN: "bold red", OPEN: "bold magenta"}
_LEGEND = (
    f"{HOLDS} holds  {BROKEN} broken  {UNUSABLE} can't be used  {ABSENT} not offered  {OPEN} untested"
)


def history_page(history: History) -> str:
    """The history as Markdown: the releases, what changed with each, and the laws that are broken in
    any, by releases."""
    return "\n".join(_page(history)) + "\n"


def _page(history: History) -> Iterator[str]:
    yield f"# History of {_plain(history.implementation)}\n"
    yield f"Each release of `{history.package}`, checked in an environment of its own, {_how(history)}."
    yield "A law that is broken is counted, whether that is a known failure today or not.\n"
    yield "## Releases\n"
    yield "| release | with | laws that are broken | verdicts that are | rows that can't be used |"
    yield "| --- | --- | --- | --- | --- |"
    for of in history.releases:
        if of.problem is not None:
            yield f"| {_plain(of.version)} | not checked: {_plain(of.problem)} | | | |"
        else:
            numbers = " | ".join(map(str, _broken(of)))
            yield f"| {_plain(of.version)} | {_plain(_with(of))} | {numbers} |"
    yield "\n## What changed\n"
    for of, turns in history.turns():
        yield f"### {_plain(of.version)}\n"
        if not turns:
            yield "No law broke, and none was mended.\n"
            continue
        for what in dict.fromkeys(turn.what for turn in turns):
            yield f"{what.capitalize()}:\n"
            yield from (f"- {_turn(turn)}" for turn in turns if turn.what == what)
            yield ""
    yield "## Laws by releases\n"
    yield "A number is that of the rows on which the law is broken.\n"
    yield f"| law | {' | '.join(_plain(of.version) for of in history.checked)} |"
    yield "| --- |" + " --- |" * len(history.checked)
    for law in history.broken_laws():
        yield f"| `{law}` | {' | '.join(_cell(of, law) for of in history.checked)} |"
    yield f"\n{_others(history)}"


def _turn(turn: Turn) -> str:
    """What became of a law, or of all on some rows, in Markdown."""
    rows = ", ".join(f"`{row}`" for row in turn.rows)
    what = f"`{turn.law}`: {rows}" if turn.law else f"all laws of {rows}"
    return f"{what}: {_plain(turn.why)}" if turn.why else what


def _plain(words: str) -> str:
    """What others say, as text in Markdown."""
    words = readable(words).replace("\n", " ")
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|&" else c for c in words)


def _how(history: History) -> str:
    """What the checks were made with, in words."""
    made = history.made_with
    words = f"by tmref {made['tmref']}, with effort {made['effort']:g} and seed {made['seed']}"
    return f"{words}, of {made['selection']!r}" if made["selection"] else words


def _with(of: Release) -> str:
    return ", ".join(f"{name} {version}" for name, version in of.versions.items())


def _broken(of: Release) -> tuple[int, int, int]:
    """How many laws are broken, how many verdicts say so, and how many rows can't be used at all."""
    counts = [of.broken(law) for law in of.signs]
    return sum(map(bool, counts)), sum(counts), len(of.unusable)


def _cell(of: Release, law: str) -> str:
    """A law in a release: on how many rows it is broken, or what it is elsewhere."""
    return str(of.broken(law) or _sign(of, law))


def _sign(of: Release, law: str) -> str:
    """The sign of a law in a release, the worst of its rows."""
    signs = of.signs.get(law, "")
    return next((sign for sign in (BROKEN, OPEN, HOLDS, UNUSABLE, ABSENT) if sign in signs), "")


def _others(history: History) -> str:
    """How many laws are broken in no release."""
    number = sum(any(of.signs.get(law) for of in history.checked) for law in history.families)
    others = number - len(history.broken_laws())
    if not history.broken_laws():
        return f"Of {counted(others, 'law')} none is broken in any release."
    if others < 2:
        return "The other law is broken in no release." if others else "No other law was tried."
    return f"The other {others} laws are broken in no release."


def show_history(history: History, console: Console | None = None) -> None:
    """Print the history: a line for each release, what changed with each, and the laws that are broken
    in any, with a column for each release."""
    console = console or Console(highlight=False, soft_wrap=True)
    console.width = _WIDTH
    console.print(Text(f"{history.implementation}, {_how(history)}"))
    letters = dict(zip((of.version for of in history.checked), _letters(), strict=False))
    _show_releases(history, letters, console)
    for of, turns in history.turns():
        console.print(Text(f"\n{of.version}:" + ("" if turns else " no law broke, and none was mended")))
        for what in dict.fromkeys(turn.what for turn in turns):
            console.print(Text(f"  {what}"))
            for turn in turns:
                if turn.what == what:
                    _show_turn(turn, console)
    if history.checked:
        console.print()
        _show_laws(history, letters, console)
        console.print(Text(f"\n{_others(history)}"))


def _letters() -> Iterator[str]:
    yield from string.ascii_letters
    while True:
        yield "*"


def _show_releases(history: History, letters: dict[str, str], console: Console) -> None:
    table: Table = Table(box=None, pad_edge=False)
    console.print(
        Text("broken: laws, verdicts; rows that can't be used at all; and what is installed\n")
    )
    for name in ("", "release", "laws", "verdicts", "rows"):
        table.add_column(Text(name), justify="left" if name in ("", "release") else "right")
    table.add_column(Text("with"), overflow="fold")
    for of in history.releases:
        if of.problem is not None:
            table.add_row("", Text(of.version), "", "", "", Text(f"not checked: {of.problem}"))
        else:
            numbers = map(str, _broken(of))
            table.add_row(letters[of.version], Text(of.version), *numbers, Text(_with(of)))
    console.print(table, soft_wrap=False)


def _show_turn(turn: Turn, console: Console) -> None:
    words = textwrap.fill(
        f"all laws: {turn.why}", _WIDTH - 2, initial_indent="  ", subsequent_indent="    "
    )
    console.print(Text(textwrap.indent(_name(turn.law, _WIDTH - 2) if turn.law else words, "  ")))
    rows = textwrap.shorten(", ".join(turn.rows), _WIDTH - 18, placeholder=" …")
    number = f"{counted(len(turn.rows), 'row')}: " if len(turn.rows) > 1 else ""
    console.print(Text(f"      {number}{rows}"))
    if turn.law and turn.why:
        console.print(Text(f"      {textwrap.shorten(turn.why, _WIDTH - 6, placeholder=' …')}"))


def _show_laws(history: History, letters: dict[str, str], console: Console) -> None:
    """A line for each law that is broken in any release."""
    console.print(Text(_LEGEND))
    wide = _WIDTH - len(history.checked) - 1
    table = Table(box=None, padding=(0, 0, 0, 1), pad_edge=False, header_style="")
    table.add_column("", no_wrap=True)
    table.add_column(Text("".join(letters[of.version] for of in history.checked), "dim"), no_wrap=True)
    for law in history.broken_laws():
        signs = (_sign(of, law) or " " for of in history.checked)
        table.add_row(
            Text(_name(law, max(wide, 30))),
            Text.assemble(*((sign, _COLORS.get(sign, "dim")) for sign in signs)),
        )
    console.print(table)
