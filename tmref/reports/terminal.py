"""Verdicts, and the reach of the strategies, on a terminal."""

from __future__ import annotations

import itertools
import string
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..printing import counted
from ..verdicts import ERROR, FAIL, NOT_OFFERED, PASS, UNTESTED, Results, Verdict, alike, readable
from .changes import BROKEN, KINDS, LISTED, MENDED, OTHERWISE, SAME, Change, Changes
from .columns import Column, columns, kinds_of_known
from .failures import kinds_of, line_of

if TYPE_CHECKING:
    from ..aging import Aged
    from ..implementations import Implementation
    from ..strategies.reach import Corner

_SIGNS = {
    PASS: (".", "green"),
    "known": ("k", "yellow"),
    FAIL: ("F", "bold red"),
    ERROR: ("E", "bold red"),
    UNTESTED: ("?", "bold magenta"),
    NOT_OFFERED: ("-", "dim"),
}
_WIDTH = 80  # of all but scripts, at least
_MOST_KINDS = 25  # of known failures: a check where all is as expected ends in forty lines


def show(results: Results, console: Console | None = None) -> None:
    """Print the table, what breaks each broken law, and the counts, for every implementation."""
    if console is None:
        console = Console(highlight=False, soft_wrap=True)
        console.width = max(console.width, _WIDTH)
    found = columns([results])
    for column in found:
        letters = _letters(list(dict.fromkeys(v.row for v in column.verdicts)))
        console.print()
        console.print(column.what, markup=False)
        pairs = [f"{letter} {row}" for row, letter in letters.items()]
        console.print(Columns(map(Text, pairs), column_first=True))
        console.print(_LEGEND)
        _show_tables(column.verdicts, letters, results.header, console)
        _show_failures(column.verdicts, console)
    _show_mended(found, console)
    _show_warnings(found, console)
    show_counts([results], console)


def show_brief(results: Results, console: Console | None = None) -> None:
    """Print every law that is broken and isn't known to be, with a script and the rows; a line for each
    kind of known failure; and the counts."""
    console = console or Console(highlight=False, soft_wrap=True)
    console.width = _WIDTH
    found = columns([results])
    for column in found:
        for one_cause in alike(column.unexpected):
            _show_alike(one_cause, column.what, console)
    _show_end(found, results, console)


def show_summary(results: Results, console: Console | None = None) -> None:
    """Print a line for each kind of what is not as expected, with LAW[ROW] of one of them; a line for
    each kind of known failure; and the counts."""
    console = console or Console(highlight=False, soft_wrap=True)
    console.width = _WIDTH
    found = columns([results])
    unexpected = kinds_of([v for column in found for v in column.unexpected])
    if unexpected:
        console.print()
    for kind in unexpected:
        console.print(Text(line_of(kind), "bold red"))
    _show_end(found, results, console)


def _show_end(found: Sequence[Column], results: Results, console: Console) -> None:
    """Print what is known, mended or warned of, a line for each kind, and the counts."""
    _show_kinds_of_known(found, console)
    _show_mended(found, console)
    _show_warnings(found, console)
    show_counts([results], console)


_COLORS = {BROKEN: "bold red", OTHERWISE: "bold red", MENDED: "green"}


def show_changes(changes: Changes, console: Console | None = None) -> None:
    """Print what changed between two reports, for every implementation: a heading for each kind, the
    laws with their rows, and how many verdicts are the same."""
    console = console or Console(highlight=False, soft_wrap=True)
    console.width = _WIDTH
    for name, (old, new) in changes.versions.items():
        _show_changes_of(f"{name} {new if new == old else f'{old} → {new}'}", name, changes, console)
    for when, found in (("old", changes.only_old), ("new", changes.only_new)):
        for name, version in found.items():
            more = ", where not all is as expected" if name in changes.unexpected else ""
            _say(f"{name} {version} is in the {when} report alone{more}", console)
    for was, is_now in changes.renamed.items():
        _say(f"{was} is called {is_now} now", console)
    for words in changes.made_otherwise:
        _say(f"made otherwise: {words}", console)
    if changes.is_empty:
        _say("the new report has no verdicts: nothing was tried", console)
    for when in changes.cut_short:
        _say(f"the run of the {when} report was cut short: there are verdicts missing", console)


def _say(words: str, console: Console) -> None:
    """Print a sentence on as many lines as it takes, all but the first indented."""
    lines = textwrap.wrap(words, _WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    console.print("\n".join(lines), markup=False)


def _show_changes_of(title: str, name: str, changes: Changes, console: Console) -> None:
    """What changed of one implementation; a line, where nothing did."""
    examples = changes.examples[name]
    same = len(changes.of_kind(name, SAME))
    if same == len(changes.changes[name]) and not examples:
        all_of_it = "the one verdict is" if same == 1 else f"all {same} verdicts are"
        _say(f"{title}: {all_of_it} the same", console)
        return
    _say(title, console)
    for kind in KINDS[: KINDS.index(SAME)]:
        found = changes.of_kind(name, kind)
        if not found:
            continue
        console.print(Text(f"  {len(found)} {kind}", _COLORS.get(kind, "")))
        if kind in (BROKEN, OTHERWISE, LISTED, MENDED):
            for of_one_cause in _by_causes(found):
                _show_change(of_one_cause, console)
        else:
            _show_counts_of(found, console)
    for of in examples:
        more = "more" if of.new > of.old else "fewer"
        console.print(Text(f"  {more} examples: {of.old} → {of.new}"))
        console.print(Text(_name(of.law, _WIDTH)))
    console.print(Text(f"  {same} the same"))


def _by_causes(found: Sequence[Change]) -> list[list[Change]]:
    """The changes that have one cause, as far as can be seen: the failures that came, or went, are
    alike."""
    of_failures = {id(change.failure): change for change in found}
    return [[of_failures[id(v)] for v in verdicts] for verdicts in alike([c.failure for c in found])]


def _show_change(found: Sequence[Change], console: Console) -> None:
    """What became of verdicts of one cause: the first law, how many more there are, the rows, and what
    the first failure says."""
    laws = list(dict.fromkeys(change.of.law for change in found))
    rows = list(dict.fromkeys(change.of.row for change in found))
    words = ", ".join(dict.fromkeys(change.words for change in found))
    console.print(Text(textwrap.indent(_name(laws[0], _WIDTH - 2), "  ")))
    number = len(laws) - 1
    more = f"and {counted(number, 'more law')}, {counted(len(found), 'verdict')}, " if number else ""
    console.print(Text(f"      {more}{words}"))
    console.print(Text(f"      {_counted(rows, _WIDTH - 20)}"))
    lines = (found[0].failure.message or "").splitlines()
    said = textwrap.shorten(lines[0], 140, placeholder=" …") if lines else ""
    if said:
        console.print(Text(textwrap.indent(textwrap.fill(said, _WIDTH - 6), "      ")))


def _show_counts_of(found: Sequence[Change], console: Console) -> None:
    """How many verdicts came or went of each status, and the laws of which all did."""
    counts = Counter(change.words for change in found)
    numbers = ", ".join(f"{number} {status}" for status, number in counts.items())
    laws = list(dict.fromkeys(change.of.law for change in found))
    rows = list(dict.fromkeys(change.of.row for change in found))
    _say(f"        {numbers}", console)
    for what, names in (("law", laws), ("row", rows)):
        words = f"        {counted(len(names), what)}: "
        console.print(Text(words + _shortened(names, _WIDTH - len(words))))


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


def _letters(rows: Sequence[str]) -> dict[str, str]:
    """The characters that head the columns of these rows; where there are too many, over again."""
    return dict(zip(rows, itertools.cycle(string.ascii_letters), strict=False))


def _show_tables(
    verdicts: list[Verdict], letters: Mapping[str, str], header: Mapping[str, Any], console: Console
) -> None:
    """A table for each family: a line for every law, and a column of one character for every row that
    it is tried on, whose letter is above it."""
    families = header.get("families", {})
    for family, of_family in itertools.groupby(verdicts, lambda v: families.get(v.law, "")):
        found = list(of_family)
        rows = sorted({v.row for v in found}, key=list(letters).index)
        for_names = console.width - len(rows) - len(" examples ")
        table = Table(box=None, padding=(0, 0, 0, 1), pad_edge=False, header_style="")
        table.add_column(Text(family.replace("_", " "), "bold"), no_wrap=True, min_width=for_names)
        table.add_column(Text("".join(letters[row] for row in rows), "dim"), no_wrap=True)
        table.add_column(Text("examples", "dim"), justify="right")
        for law in dict.fromkeys(v.law for v in found):
            of_law = {v.row: v for v in found if v.law == law}
            signs = (_SIGNS[of_law[row].status] if row in of_law else (" ", "") for row in rows)
            examples = sum(v.examples for v in of_law.values())
            table.add_row(_name(law, max(for_names, 30)), Text.assemble(*signs), str(examples))
        console.print(table)


def _name(law: str, width: int) -> str:
    """The name of a law, indented, on as many lines as it takes."""
    lines = textwrap.wrap(law.replace("_", " "), width - 3)
    return "_\n".join(f"  {line.replace(' ', '_')}" for line in lines)


_LEGEND = ". pass  k known  F fail  E error  ? untested  - not offered  blank not its trait"


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
        console.print(f"{reason}\nrows: {rows}", markup=False, soft_wrap=False)
        _show(found[0], console)
    not_offered = [v for v in verdicts if v.status == NOT_OFFERED]
    for message in dict.fromkeys(v.message for v in not_offered):
        laws = dict.fromkeys(v.law for v in not_offered if v.message == message)
        console.print(f"{message}\nlaws: {', '.join(laws)}", markup=False, soft_wrap=False)


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
    """One of them, and how many there are, with the rows and the laws of all of them."""
    laws = list(dict.fromkeys(v.law for v in found))
    rows = list(dict.fromkeys(v.row for v in found))
    console.print()
    console.rule(Text(f"{found[0].verdict}: {laws[0]}", "bold red"), align="left")
    number = f"{len(found)} verdicts of {len(laws)} laws " if len(laws) > 1 else ""
    where = f"{number}on {_counted(rows, _WIDTH // 2 - len(number))} of {what}"
    console.print(textwrap.shorten(where, _WIDTH, placeholder=" …"), markup=False)
    if len(laws) > 1:
        console.print(_shortened(laws, _WIDTH), markup=False)
    _show(found[0], console)


def _counted(names: Sequence[str], width: int) -> str:
    """The names, where there is room for them, else their number and the first."""
    shortened = _shortened(names, width)
    return shortened if shortened == ", ".join(names) else f"{counted(len(names), 'row')} ({shortened})"


def _shortened(names: Sequence[str], width: int) -> str:
    return textwrap.shorten(", ".join(names), width, placeholder=" …")


def _show_kinds_of_known(of: Sequence[Column], console: Console) -> None:
    """A line for each kind of known failure, the most frequent first, with how many verdicts it is on
    each implementation; where they are many, one for all that are rare."""
    having = [column for column in of if column.counts["known"]]
    if not having:
        return
    console.print()
    title = f"known failures of {', of '.join(column.what for column in having)}:"
    console.print(textwrap.fill(title, _WIDTH), markup=False)
    kinds = sorted(kinds_of_known(having).items(), key=lambda kind: -sum(map(len, kind[1])))
    shown = len(kinds) if len(kinds) <= _MOST_KINDS else _MOST_KINDS - 1
    lines = [(kind, [len(found) for found in in_each]) for kind, in_each in kinds[:shown]]
    if rare := kinds[shown:]:
        together = [
            sum(map(len, found)) for found in zip(*(in_each for _, in_each in rare), strict=True)
        ]
        names = " or ".join(dict.fromkeys(column.name for column in having))
        lines.append((f"and {len(rare)} more kinds: tmref known {names}", together))
    for what, counts in lines:
        numbers = "".join(f"{number or '-':>4}" for number in counts)
        line = textwrap.shorten(what, _WIDTH - len(numbers) - 2, placeholder=" …")
        console.print(f"{numbers}  {line}", markup=False)


def _show_mended(of: Sequence[Column], console: Console) -> None:
    """A line for each kind of known failure that isn't there in the version that was tried, with how
    many verdicts it was on."""
    for column in of:
        for place in sorted({where for where, _ in column.mended}):
            console.print()
            _say(f"known failures of {column.name} that are {place}:", console)
            for (where, kind), found in column.mended.items():
                if where == place:
                    line = textwrap.shorten(kind, _WIDTH - 6, placeholder=" …")
                    console.print(Text(f"{len(found):>4}  {line}"))


def show_known(implementation: Implementation, found: Sequence[Aged]) -> None:
    """Print the known failures of an implementation by their reasons: a line for each law, with the
    versions that it was seen in and what became of it, and the rows."""
    console = Console(highlight=False, soft_wrap=True, width=_WIDTH)
    what = f"{implementation.name} {implementation.version}"
    if not found:
        _say(f"{what} has no known failures", console)
        return
    _say(f"known failures of {what}, each tried again:", console)
    reasons: dict[str, dict[tuple[str, tuple[str, ...], str, bool], list[str]]] = {}
    for one in found:
        kind = one.entry.law, tuple(one.entry.versions), readable(one.now), one.as_said
        reasons.setdefault(one.entry.reason, {}).setdefault(kind, []).append(one.row)
    _show_columns(console, "  law and rows, by reasons", "seen in", "now")
    for reason, of_reason in reasons.items():
        console.print()
        _say(readable(reason), console)
        for (law, versions, now, as_said), rows in of_reason.items():
            name = f"{_name(readable(law), _KNOWN[0])}\n{_rows(rows, _KNOWN[0])}"
            seen = readable(", ".join(map(str, versions))) or "all"
            _show_columns(console, name, seen, Text(now, "" if as_said else "bold red"))
    wrong = sum(not one.as_said for one in found)
    end = f"{wrong} {'is' if wrong == 1 else 'are'} not so any more"
    if not wrong:
        end = "it is what it says" if len(found) == 1 else "all are what they say"
    console.print()
    _say(f"{counted(len(found), 'known failure')}, counted by laws and rows: {end}", console)


#: The widths of the columns of known failures.
_KNOWN = 50, 10, 16


def _show_columns(console: Console, *columns: str | Text) -> None:
    """Print a line of the table of known failures."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for width in _KNOWN:
        table.add_column(width=width, overflow="fold")
    table.add_row(*(Text(one) if isinstance(one, str) else one for one in columns))
    console.print(table, soft_wrap=False)


def _rows(rows: Sequence[str], width: int) -> str:
    """The names of rows, indented below that of a law, on as many lines as they take."""
    words = ", ".join(map(readable, dict.fromkeys(rows)))
    return textwrap.fill(words, width, initial_indent="    ", subsequent_indent="    ")


def _show_warnings(of: Sequence[Column], console: Console) -> None:
    """A line for each row that something is warned of, with the first law."""
    for column in of:
        for row, (first, *others) in column.warned.items():
            more = f" and {len(others)} more" if others else ""
            line = f"warning: {column.name}, {row}: {first.warning}, by {first.law}{more}"
            console.print(" ".join(line.split()), markup=False)


def show_counts(reports: Sequence[Results], console: Console | None = None) -> None:
    """Print what the verdicts are, in numbers, and whether some are missing."""
    if console is None:
        console = Console(highlight=False, soft_wrap=True)
        console.width = _WIDTH
    console.print()
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for title in (PASS, "known", NOT_OFFERED, "unexpected", "examples"):
        table.add_column(title, justify="right")
    for column in columns(reports):
        unexpected = len(column.unexpected)
        table.add_row(
            Text(column.what),
            *(str(column.counts[status]) for status in (PASS, "known", NOT_OFFERED)),
            Text(str(unexpected), "bold red" if unexpected else ""),
            str(column.examples),
        )
    if table.rows:
        console.print(table)
    if any(results.footer is not None and not results.verdicts for results in reports):
        console.print("nothing was selected: no law was tried")
    if any(results.footer is None for results in reports):
        console.print("the run was cut short: there are verdicts missing")
