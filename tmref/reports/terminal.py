"""Verdicts, and the reach of the strategies, on a terminal."""

from __future__ import annotations

import string
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..verdicts import ERROR, FAIL, NOT_OFFERED, PASS, UNTESTED, Results, Verdict, alike

if TYPE_CHECKING:
    from ..strategies.reach import Corner

_SIGNS = {
    PASS: (".", "green"),
    "known": ("k", "yellow"),
    FAIL: ("F", "bold red"),
    ERROR: ("E", "bold red"),
    UNTESTED: ("?", "bold magenta"),
    NOT_OFFERED: ("-", "dim"),
}
_WIDTH = 120  # of the table; narrower terminals wrap its lines
_BRIEF_WIDTH = 80  # of all but scripts in the short form


def show(results: Results, console: Console | None = None) -> None:
    """Print the table, what breaks each broken law, and the counts, for every implementation."""
    if console is None:
        console = Console(highlight=False, soft_wrap=True)
        console.width = max(console.width, _WIDTH)
    for verdicts in _by_implementation(results):
        console.print()
        rows = list(dict.fromkeys(v.row for v in verdicts))
        pairs = zip(_letters(rows), rows, strict=True)
        console.print(Columns([f"{letter} {row}" for letter, row in pairs], column_first=True))
        console.print(_LEGEND)
        console.print(_table(verdicts, results.header))
        _show_failures(verdicts, console)
    _show_counts(results, console)


def show_brief(results: Results, console: Console | None = None) -> None:
    """Print every law that is broken and isn't known to be, with a script and the rows; a line for each
    kind of known failure; and the counts."""
    console = console or Console(highlight=False, soft_wrap=True)
    console.width = _BRIEF_WIDTH
    for verdicts in _by_implementation(results):
        what = _what(verdicts[0], results.header)
        for found in alike([v for v in verdicts if not v.expected]):
            _show_alike(found, what, console)
    for implementations, kinds in _kinds_of_known(results).items():
        console.print()
        title = f"known failures of {' and '.join(implementations)}: in how many verdicts, and what"
        console.print(textwrap.fill(title, _BRIEF_WIDTH), markup=False)
        for kind, count in kinds.items():
            line = textwrap.shorten(f"{count} {kind}", _BRIEF_WIDTH - 5, placeholder=" …")
            number, _, words = line.partition(" ")
            console.print(f"{number:>5}  {words}", markup=False)
    _show_counts(results, console)


def show_reach(counts: Mapping[Corner, int], examples: int) -> None:
    """Print in how many of a thousand examples of each strategy each corner is met."""
    console = Console(highlight=False, soft_wrap=True)
    last = None
    for corner, count in counts.items():
        if corner.strategy is not last:
            console.print(f"{corner.strategy!r}: in a thousand", markup=False)
        last = corner.strategy
        found = f"{1000 * count / examples:5.0f}" if count else "never"
        console.print(Text(f"    {found}  {corner.name}", "" if count else "bold red"))


def _by_implementation(results: Results) -> list[list[Verdict]]:
    """The verdicts on each implementation, in the order of the header: workers finish in any."""
    order = [results.header[name] for name in ("laws", "rows")]

    def place(verdict: Verdict) -> tuple[int, ...]:
        names = zip((verdict.law, verdict.row), order, strict=True)
        return tuple(known.index(name) if name in known else len(known) for name, known in names)

    found: dict[str, list[Verdict]] = {name: [] for name in results.header["implementations"]}
    for verdict in sorted(results.verdicts, key=place):
        found.setdefault(verdict.implementation, []).append(verdict)
    return [verdicts for verdicts in found.values() if verdicts]


def _letters(rows: Sequence[str]) -> list[str]:
    """The characters that head the columns of these rows; where there are too many, over again."""
    return [string.ascii_letters[i % len(string.ascii_letters)] for i in range(len(rows))]


def _what(verdict: Verdict, header: Mapping[str, Any]) -> str:
    """What the verdict is on: the implementation, and the device where it is not the CPU."""
    device = header.get("device", "cpu")
    return f"{verdict.implementation} {verdict.version}" + ("" if device == "cpu" else f" on {device}")


def _table(verdicts: list[Verdict], header: Mapping[str, Any]) -> Table:
    """A line for every law, a column of one character for every row."""
    families = header.get("families", {})
    rows = list(dict.fromkeys(v.row for v in verdicts))
    table = Table(title=_what(verdicts[0], header), title_justify="left", box=None)
    table.add_column("law", no_wrap=True)
    table.add_column("".join(_letters(rows)), no_wrap=True)
    table.add_column("examples", justify="right")
    family = None
    for law in dict.fromkeys(v.law for v in verdicts):
        if families.get(law) != family:
            family = families.get(law)
            table.add_row(Text((family or "").replace("_", " "), "bold"))
        of_law = {v.row: v for v in verdicts if v.law == law}
        signs = (_SIGNS[of_law[row].status] if row in of_law else (" ", "") for row in rows)
        examples = sum(v.examples for v in of_law.values())
        table.add_row(f"  {law}", Text.assemble(*signs), str(examples))
    return table


_LEGEND = (
    ". pass   k fails as it is known to   F fail   E error   ? untested   - not offered   "
    "(blank) not its trait"
)


def _show_failures(verdicts: list[Verdict], console: Console) -> None:
    """Every failure that nobody expects, and one of each that is known."""
    known: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.known:
            known.setdefault((verdict.law, verdict.known), []).append(verdict)
        elif not verdict.expected:
            console.rule(
                Text(f"{verdict.law} on {verdict.row}: {verdict.verdict}", "bold red"), align="left"
            )
            _show(verdict, console)
    for (law, reason), found in known.items():
        rows = ", ".join(v.row for v in found)
        console.rule(Text(f"known: {law}", "yellow"), align="left")
        console.print(f"{reason}\nrows: {rows}", markup=False)
        _show(found[0], console)
    not_offered = [v for v in verdicts if v.status == NOT_OFFERED]
    for message in dict.fromkeys(v.message for v in not_offered):
        laws = dict.fromkeys(v.law for v in not_offered if v.message == message)
        console.print(f"{message}\nlaws: {', '.join(laws)}", markup=False)


def _show(verdict: Verdict, console: Console) -> None:
    if verdict.reproducer is None:
        console.print(verdict.message or "", markup=False)
        if verdict.counterexample:
            console.print(verdict.counterexample, markup=False)
        return
    console.print()
    for line in verdict.reproducer.rstrip().splitlines():
        console.print(f"    {line}", markup=False)
    console.print()


def _show_alike(found: Sequence[Verdict], what: str, console: Console) -> None:
    """One of them, and the names of laws and rows of all of them."""
    laws = list(dict.fromkeys(v.law for v in found))
    rows = list(dict.fromkeys(v.row for v in found))
    console.print()
    console.rule(Text(f"{found[0].verdict}: {laws[0]}", "bold red"), align="left")
    others = f"laws: {', '.join(laws)}; " if len(laws) > 1 else ""
    on = f"{others}on {', '.join(rows)}"
    console.print(textwrap.shorten(on, _BRIEF_WIDTH - len(what) - 4, placeholder=" …") + f" of {what}")
    _show(found[0], console)


def _kinds_of_known(results: Results) -> dict[tuple[str, ...], dict[str, int]]:
    """How many verdicts each kind of known failure is, by the implementations that share it. A kind is
    what a reason says before its first colon."""
    counts: dict[str, Counter[str]] = {}
    for verdicts in _by_implementation(results):
        for v in verdicts:
            if v.status == "known":
                kind = (v.known or "").partition(": ")[0]
                counts.setdefault(kind, Counter())[_what(v, results.header)] += 1
    found: dict[tuple[str, ...], dict[str, int]] = {}
    for kind, of_kind in counts.items():
        found.setdefault(tuple(of_kind), {})[kind] = of_kind.total()
    return found


def _show_counts(results: Results, console: Console) -> None:
    """What the verdicts are, in numbers, and whether some are missing."""
    console.print()
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for column in (PASS, "known", NOT_OFFERED, "unexpected", "examples"):
        table.add_column(column, justify="right")
    for verdicts in _by_implementation(results):
        counts = Counter(v.status for v in verdicts)
        unexpected = sum(not v.expected for v in verdicts)
        table.add_row(
            Text(_what(verdicts[0], results.header)),
            *(str(counts[status]) for status in (PASS, "known", NOT_OFFERED)),
            Text(str(unexpected), "bold red" if unexpected else ""),
            str(sum(v.examples for v in verdicts)),
        )
    if results.verdicts:
        console.print(table)
    else:
        console.print("nothing was selected: no law was tried")
    if results.footer is None:
        console.print("the run was cut short: there are verdicts missing")
