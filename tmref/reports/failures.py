"""Failures by kinds, a line for each: what a reader can take in of a report."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from ..printing import counted
from ..verdicts import Verdict, alike
from .columns import kind_of_known

#: The longest message in a line.
_WORDS = 120


def kinds_of(verdicts: Sequence[Verdict]) -> list[list[Verdict]]:
    """The verdicts on each implementation by kinds: known ones by what their reasons begin with, others
    that are alike. The first of each kind is the one with the shortest script, where there is one."""
    found: list[list[Verdict]] = []
    for name in dict.fromkeys(v.implementation for v in verdicts):
        of_name = [v for v in verdicts if v.implementation == name]
        found += alike([v for v in of_name if v.known is None])
        known: dict[str, list[Verdict]] = {}
        for v in of_name:
            if v.known is not None:
                known.setdefault(kind_of_known(v), []).append(v)
        found += known.values()
    return [_simplest_first(kind) for kind in found]


def _simplest_first(kind: Iterable[Verdict]) -> list[Verdict]:
    return sorted(kind, key=lambda v: (v.reproducer is None, len(v.reproducer or ""), v.law, v.row))


def line_of(kind: Sequence[Verdict]) -> str:
    """A kind in a line: LAW[ROW] of its first verdict, how many there are, and why it is known or what
    is wrong."""
    first = kind[0]
    number = f", {counted(len(kind), 'verdict')}" if len(kind) > 1 else ""
    where = f"{first.law}[{first.row}] of {first.implementation} {first.version}"
    return f"{where}: {first.status}{number}{_why(first)}"


def _why(verdict: Verdict) -> str:
    lines = (kind_of_known(verdict) or verdict.message or "").splitlines()
    return f": {textwrap.shorten(lines[0], _WORDS, placeholder=' …')}" if lines else ""
