"""Verdicts, and the reach of the strategies, as tables on a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..verdicts import ERROR, FAIL, PASS, Results, Verdict

if TYPE_CHECKING:
    from ..strategies.reach import Corner

_SIGNS = {PASS: (".", "green"), FAIL: ("F", "bold red"), ERROR: ("E", "bold red")}
_WIDTH = 112  # of the table; narrower terminals wrap its lines
_KNOWN = ("k", "yellow")
_UNTESTED = ("?", "bold magenta")


def _sign(verdict: Verdict) -> tuple[str, str]:
    return _KNOWN if verdict.known else _SIGNS.get(verdict.verdict, _UNTESTED)


def show(results: Results, console: Console | None = None) -> None:
    """Print the table, the counts, and what breaks each broken law, for every implementation."""
    if console is None:
        console = Console(highlight=False, soft_wrap=True)
        console.width = max(console.width, _WIDTH)
    for verdicts in _by_implementation(results):
        console.print()
        console.print(_table(verdicts))
        console.print(_laws(verdicts))
        _show_failures(verdicts, console)
    console.print()
    for line in _summary(results):
        console.print(line, markup=False)


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


def _table(verdicts: list[Verdict]) -> Table:
    """Rows by laws; the laws have numbers."""
    laws = list(dict.fromkeys(v.law for v in verdicts))
    first = verdicts[0]
    table = Table(title=f"{first.implementation} {first.version}", title_justify="left", box=None)
    table.add_column("row", justify="left", no_wrap=True)
    for number in range(1, len(laws) + 1):
        table.add_column(str(number), justify="right")
    for row in dict.fromkeys(v.row for v in verdicts):
        signs = {v.law: Text(*_sign(v)) for v in verdicts if v.row == row}
        table.add_row(row, *(signs.get(law, Text("")) for law in laws))
    return table


def _laws(verdicts: list[Verdict]) -> Table:
    """The laws by their numbers, with what became of each."""
    table = Table(box=None, caption=_LEGEND, caption_justify="left")
    for heading in ("", "law", "examples", "pass", "known", "fail", "error", "untested"):
        table.add_column(heading, justify="left" if heading == "law" else "right", no_wrap=True)
    for number, law in enumerate(dict.fromkeys(v.law for v in verdicts), 1):
        of_law = [v for v in verdicts if v.law == law]
        counts = Counter("known" if v.known else v.verdict for v in of_law)
        names = ("pass", "known", "fail", "error", "untested")
        cells = [str(counts[name]) if counts[name] else "" for name in names]
        table.add_row(str(number), law, str(sum(v.examples for v in of_law)), *cells)
    return table


_LEGEND = ". pass   k fails as it is known to   F fail   E error   ? untested   (blank) not its trait"


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


def _summary(results: Results) -> list[str]:
    lines = []
    for verdicts in _by_implementation(results):
        counts = Counter("known" if v.known else v.verdict for v in verdicts)
        unexpected = sum(not v.expected for v in verdicts)
        lines.append(
            f"{verdicts[0].implementation} {verdicts[0].version}: {counts[PASS]} pass, "
            f"{counts['known']} known failures, {unexpected} unexpected; "
            f"{sum(v.examples for v in verdicts)} examples"
        )
    if not results.verdicts:
        lines.append("nothing was selected: no law was tried")
    if results.footer is None:
        lines.append("the run was cut short: there are verdicts missing")
    return lines
