"""What a report has a column of: the verdicts of one run on one implementation."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..verdicts import Results, Verdict, readable


@dataclass(frozen=True)
class Column:
    """The verdicts on one implementation in one file, in the order of its header: workers finish in
    any."""

    results: Results
    verdicts: list[Verdict]

    @property
    def name(self) -> str:
        """What the implementation is called."""
        return self.verdicts[0].implementation

    @property
    def version(self) -> str:
        """The version of the implementation."""
        return self.verdicts[0].version

    @property
    def device(self) -> str:
        """Where the maps and the modules were."""
        return " ".join(readable(self.results.header.get("device", "cpu")).split())

    @property
    def what(self) -> str:
        """The implementation, its version, and the device where it is not the CPU."""
        return f"{self.name} {self.version}" + ("" if self.device == "cpu" else f" on {self.device}")

    @cached_property
    def counts(self) -> Counter[str]:
        """How many verdicts there are of each status."""
        return Counter(v.status for v in self.verdicts)

    @cached_property
    def unexpected(self) -> list[Verdict]:
        """What somebody has to look at."""
        return [v for v in self.verdicts if not v.expected]

    @property
    def examples(self) -> int:
        """How many examples compared something."""
        return sum(v.examples for v in self.verdicts)

    @property
    def warned(self) -> dict[str, list[Verdict]]:
        """By rows, the verdicts that warn of something."""
        found: dict[str, list[Verdict]] = {}
        for v in self.verdicts:
            if v.warning:
                found.setdefault(v.row, []).append(v)
        return found

    @property
    def mended(self) -> dict[tuple[str, str], list[Verdict]]:
        """What says that known failures aren't there any more: by where that is, as "mended in 0.7", and
        by the kind of failure."""
        found: dict[tuple[str, str], list[Verdict]] = {}
        for v in self.verdicts:
            if v.mended:
                where, _, reason = v.mended.partition(": ")
                found.setdefault((where, reason.partition(": ")[0]), []).append(v)
        return found


def columns(reports: Sequence[Results]) -> list[Column]:
    """A column for each implementation of each report that there are verdicts on."""
    return list(itertools.chain.from_iterable(map(_of_report, reports)))


def _of_report(results: Results) -> Iterator[Column]:
    order = [
        {name: place for place, name in enumerate(results.header[part])} for part in ("laws", "rows")
    ]

    def place(verdict: Verdict) -> tuple[int, ...]:
        names = zip((verdict.law, verdict.row), order, strict=True)
        return tuple(places.get(name, len(places)) for name, places in names)

    found: dict[str, list[Verdict]] = {name: [] for name in results.header["implementations"]}
    for verdict in sorted(results.verdicts, key=place):
        found.setdefault(verdict.implementation, []).append(verdict)
    return (Column(results, verdicts) for verdicts in found.values() if verdicts)


def kind_of_known(verdict: Verdict) -> str:
    """What kind of known failure it is: what its reason says before the first colon."""
    return (verdict.known or "").partition(": ")[0]


def kinds_of_known(of: Sequence[Column]) -> dict[str, list[list[Verdict]]]:
    """The kinds of known failures, each with the verdicts in every column."""
    found: dict[str, list[list[Verdict]]] = {}
    for i, column in enumerate(of):
        for v in column.verdicts:
            if v.status == "known":
                found.setdefault(kind_of_known(v), [[] for _ in of])[i].append(v)
    return found


def titles(of: Sequence[Column]) -> list[str]:
    """What to call each column, so that no other is called that."""
    counts = Counter(column.what for column in of)
    return [
        column.what if counts[column.what] == 1 else f"{column.what} ({number})"
        for number, column in enumerate(of, 1)
    ]
