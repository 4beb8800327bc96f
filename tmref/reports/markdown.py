"""Verdicts as Markdown, for a comment on GitHub or the summary of a job there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..printing import counted
from ..verdicts import NOT_OFFERED, PASS, Results, Verdict, alike
from .changes import BROKEN, KINDS, SAME, Change, Changes
from .columns import columns, kinds_of_known, titles
from .demands import demands
from .escaping import code, escaped, fenced, folded
from .notes import notes

#: The longest comment that GitHub takes, in characters; counted in bytes, which are no fewer.
LONGEST = 65_536
#: What is kept free for the lines that say what was left out.
_RESERVE = 1_000
#: The longest message, and the longest script.
_MESSAGE, _SCRIPT = 2_000, 10_000
#: So many notes, and lines of the table, are written: there may be any number of them.
_MOST_LINES = 20
#: So many laws that changed alike are listed, and so much of the names of their rows.
_MOST_CHANGES, _ROWS = 50, 400


def markdown(reports: Sequence[Results], names: Sequence[str], changed: Sequence[Changes] = ()) -> str:
    """The counts, what ``changed`` against a baseline, what is unexpected with a script for each cause,
    and what is known, folded.

    It is as long as a comment on GitHub may be; what is left out then is counted. What an
    implementation, a message or a report says is text in it, and mentions nobody.
    """
    text = "\n".join(_head(reports, names))
    left_out = 0
    for block in (block for changes in changed for block in _changes(changes)):
        if _fits(text, block):
            text += block
        else:
            left_out += 1
    if left_out:
        kinds = counted(left_out, "more kind")
        text += f"\nLeft out here: {kinds} of changes, which `tmref diff` shows.\n"
    left_out = 0
    for block in _causes(reports):
        if _fits(text, block):
            text += block
        else:
            left_out += 1
    if left_out:
        causes = counted(left_out, "more cause")
        text += f"\nLeft out here: {causes}, which `tmref report` shows.\n"
    for block in (_known(reports), _mended(reports), _made_with(reports, names)):
        if _fits(text, block):
            text += block
    return text


def _fits(text: str, block: str) -> bool:
    return len((text + block).encode()) <= LONGEST - _RESERVE


def _head(reports: Sequence[Results], names: Sequence[str]) -> Iterator[str]:
    """The title, what is missing, and the counts."""
    found = columns(reports)
    unexpected = sum(len(column.unexpected) for column in found)
    missing = any(note.is_wrong for note in notes(reports, names))
    what = [f"{unexpected} unexpected"] * bool(unexpected) + ["verdicts are missing"] * missing
    yield f"## tmref: {', and '.join(what) or 'as expected'}\n"
    for note in list(notes(reports, names))[:_MOST_LINES]:
        yield f"{'**Incomplete:** ' if note.is_wrong else ''}{escaped(note.words)}\n"
    yield "| | pass | known | not offered | unexpected | examples |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for column, title in list(zip(found, titles(found), strict=True))[:_MOST_LINES]:
        counts = [column.counts[status] for status in (PASS, "known", NOT_OFFERED)]
        numbers = (*counts, len(column.unexpected), column.examples)
        yield f"| {code(title)} | {' | '.join(map(str, numbers))} |"
    if len(found) > _MOST_LINES:
        yield f"\nLeft out here: {counted(len(found) - _MOST_LINES, 'more implementation')}."
    yield ""


def _changes(found: Changes) -> Iterator[str]:
    """What became of the verdicts of each implementation: a line with numbers, and a folded block for
    each kind of change."""
    for name, (old, new) in found.versions.items():
        of_kinds = {kind: found.of_kind(name, kind) for kind in KINDS}
        numbers = ", ".join(f"{len(of)} {kind}" for kind, of in of_kinds.items() if of)
        versions = new if old == new else f"{old} → {new}"
        yield f"\nSince the baseline, {code(f'{name} {versions}')}: {numbers or 'nothing'}.\n"
        for kind, of in of_kinds.items():
            if of and kind != SAME:
                summary = f"{len(of)} {kind}, of {code(name)}"
                yield folded(f"<b>{summary}</b>" if kind == BROKEN else summary, _changed(of))
        if examples := found.examples[name]:
            lines = [f"- {code(of.law)}: {of.old} → {of.new}" for of in examples]
            yield folded(f"other numbers of examples, of {code(name)}", _listed(lines))
    for words in _not_compared(found):
        yield f"\n{escaped(words)}\n"


def _changed(of_kind: Sequence[Change]) -> str:
    """The laws with their rows, and how verdicts were and are."""
    rows: dict[tuple[str, str], list[str]] = {}
    for change in of_kind:
        rows.setdefault((change.of.law, change.words), []).append(change.of.row)
    lines = [
        f"- {code(law)}, {escaped(words)}: {escaped(', '.join(of), _ROWS)}"
        for (law, words), of in rows.items()
    ]
    return _listed(lines)


def _listed(lines: Sequence[str]) -> str:
    more = len(lines) - _MOST_CHANGES
    return "\n".join(lines[:_MOST_CHANGES]) + (f"\n- and {more} more\n" if more > 0 else "\n")


def _not_compared(found: Changes) -> Iterator[str]:
    """What the comparison leaves open."""
    for when, versions in (("baseline", found.only_old), ("new report", found.only_new)):
        for name, version in versions.items():
            yield f"{name} {version} is in the {when} alone"
    for was, is_now in found.renamed.items():
        yield f"{was} is called {is_now} now"
    for words in found.made_otherwise:
        yield f"made otherwise: {words}"
    if "old" in found.cut_short:
        yield "the run of the baseline was cut short: there are verdicts missing"


def _causes(reports: Sequence[Results]) -> Iterator[str]:
    """A folded block for what is unexpected of one cause, as far as can be seen."""
    found = columns(reports)
    for column, title in zip(found, titles(found), strict=True):
        for one_cause in alike(column.unexpected):
            first, *others = one_cause
            more = f", and {len(others)} more" if others else ""
            where = f"{code(first.law)} on {code(first.row)} of {code(title)}"
            yield folded(f"{first.verdict}: {where}{more}", _said(first, others))


def _said(first: Verdict, others: Sequence[Verdict]) -> str:
    parts = []
    if (demand := demands().get(first.law)) is not None:
        parts.append(f"{escaped(demand.words, _MESSAGE)}\n")
    if first.reproducer:
        parts.append(fenced(first.reproducer, "python", _SCRIPT))
    else:
        parts.append(fenced(first.message or "no message", "text", _MESSAGE))
        if first.counterexample:
            parts.append(fenced(first.counterexample, "python", _SCRIPT))
    if others:
        of_laws: dict[str, list[str]] = {}
        for v in others:
            of_laws.setdefault(v.law, []).append(v.row)
        where = "; ".join(f"{law} on {', '.join(rows)}" for law, rows in of_laws.items())
        parts.append(f"Alike, as far as can be seen: {escaped(where, _MESSAGE)}\n")
    return "\n".join(parts)


def _known(reports: Sequence[Results]) -> str:
    """The kinds of known failures, with how many verdicts they are on."""
    found = columns(reports)[:_MOST_LINES]
    kinds = kinds_of_known(found)
    if not kinds:
        return ""
    heads = " | ".join(map(code, titles(found)))
    lines = [f"| known | {heads} |", f"| --- |{' ---: |' * len(found)}"]
    for kind, in_each in kinds.items():
        lines.append(f"| {escaped(kind)} | {' | '.join(str(len(of)) for of in in_each)} |")
    return folded(f"{counted(len(kinds), 'kind')} of known failures", "\n".join(lines) + "\n")


def _mended(reports: Sequence[Results]) -> str:
    """The kinds of known failures that aren't there any more, with how many verdicts say so."""
    found = columns(reports)
    lines = [
        f"- {code(title)}: {escaped(kind)}, {escaped(where)}, {len(of)}"
        for column, title in zip(found, titles(found), strict=True)
        for (where, kind), of in column.mended.items()
    ]
    return folded("Known failures that are mended", _listed(lines)) if lines else ""


def _made_with(reports: Sequence[Results], names: Sequence[str]) -> str:
    """What the verdicts depend on."""
    lines = []
    for name, results in zip(names, reports, strict=True):
        header = results.header
        versions = ", ".join(f"{package} {version}" for package, version in header["versions"].items())
        settings = ", ".join(f"{key} {value}" for key, value in header["settings"].items() if value)
        device = header.get("device", "cpu")
        words = f"{versions}; device {device}, seed {header['seed']}, {settings}"
        lines.append(f"- {code(name)}: {escaped(words, _MESSAGE)}")
    return folded("What the verdicts depend on", "\n".join(lines) + "\n")
