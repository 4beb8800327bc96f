"""What changed between two reports: which laws broke, which were mended, and what can't be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..resuming import made_otherwise
from ..verdicts import ERROR, FAIL, PASS, Results, Verdict, readable

#: What becomes of a verdict, in the order in which it is told.
BROKEN, OTHERWISE, LISTED, MENDED, LOST, FOUND, NEW, GONE, SAME = KINDS = (
    "broken",
    "broken otherwise",
    "known now",
    "mended",
    "not tried any more",
    "tried now",
    "new",
    "gone",
    "the same",
)

#: A law has other numbers of examples where one is so many times the other, and so many more.
_TIMES, _MORE = 2, 10


@dataclass(frozen=True)
class Change:
    """What became of the verdict on one law and one row of one implementation.

    ``kind`` is one of :data:`KINDS`: broken (nobody expects it, and it was expected before, or not
    there), broken otherwise (nobody expects it, as before, but it was another verdict), known now (it is
    listed as a known failure), mended (it failed, and passes, or what it is about is refused now, or the
    entry of the known failure is to be deleted), not tried any more and tried now (what the law is about
    is not offered, or is), new and gone (only one of the reports has it), or the same.
    ``old`` and ``new`` are the verdicts, where there are any.
    """

    kind: str
    old: Verdict | None
    new: Verdict | None

    @property
    def of(self) -> Verdict:
        """The later of its verdicts."""
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def failure(self) -> Verdict:
        """The verdict that is no pass, where one of them is: the new one, or the old one of what is
        mended."""
        return self.old if self.kind == MENDED and self.old is not None else self.of

    @property
    def words(self) -> str:
        """How the verdict was, and is."""
        was, is_now = (v and _word(v) for v in (self.old, self.new))
        return f"{was} → {is_now}" if was and is_now else f"{was or is_now}"


def _word(verdict: Verdict) -> str:
    """What a verdict is, in the words of a change: what is refused, and what is mended, too."""
    if verdict.refused:
        return "refused"
    if verdict.verdict == FAIL and verdict.mended:
        return "mended: delete its entry"
    return verdict.status


@dataclass(frozen=True)
class Examples:
    """A law that compared something on far more examples of an implementation than before, or on far
    fewer: twice or half as many, and ten more or fewer."""

    law: str
    old: int
    new: int


@dataclass(frozen=True)
class Changes:
    """What changed between two reports, an old one and a new one.

    ``versions`` are those of each implementation that both have, the old one and the new one;
    ``changes`` and ``examples`` are by implementation, what is the same included. ``only_old`` and
    ``only_new`` are the implementations that one report alone has, with their versions; ``unexpected``
    are those of the new one on which it has verdicts that nobody expects. ``is_empty`` says that it has
    no verdicts at all. ``cut_short`` names the reports that have no footer, ``made_otherwise`` says
    what else differs that verdicts depend on, ``renamed`` has the laws that have other names in one of
    the reports.
    """

    versions: Mapping[str, tuple[str, str]]
    changes: Mapping[str, list[Change]]
    examples: Mapping[str, list[Examples]]
    only_old: Mapping[str, str]
    only_new: Mapping[str, str]
    unexpected: tuple[str, ...]
    is_empty: bool
    cut_short: tuple[str, ...]
    made_otherwise: tuple[str, ...]
    renamed: Mapping[str, str]

    def of_kind(self, implementation: str, kind: str) -> list[Change]:
        """The changes of one kind."""
        return [change for change in self.changes[implementation] if change.kind == kind]

    @property
    def good(self) -> bool:
        """Whether nothing broke, all is as expected of what is new, and the new report is whole, so that
        nothing may have."""
        broke = self.unexpected or any(self.of_kind(name, BROKEN) for name in self.changes)
        return not (broke or self.is_empty or "new" in self.cut_short)


def changes(old: Results, new: Results) -> Changes:
    """What changed between two reports.

    Verdicts are compared by implementation, law and row, whatever their versions are. Raises ValueError
    where no implementation is in both.
    """
    were, are = _versions(old), _versions(new)
    both = [name for name in are if name in were]
    if not both:
        raise ValueError(
            f"there is nothing to compare: the old report is of {_listed(were)}, the new one of "
            f"{_listed(are)}"
        )
    before, after = _by_case(old), _by_case(new)
    found: dict[str, list[Change]] = {name: [] for name in both}
    for case in {**after, **before}:
        if case[0] in found:
            found[case[0]].append(_change(before.get(case), after.get(case)))
    is_comparable = _effort(old) == _effort(new)
    return Changes(
        versions={name: (were[name], are[name]) for name in both},
        changes=found,
        examples={name: list(_examples(found[name])) if is_comparable else [] for name in both},
        only_old={name: version for name, version in were.items() if name not in are},
        only_new={name: version for name, version in are.items() if name not in were},
        unexpected=tuple(
            name
            for name in are
            if name not in were
            and any(v.implementation == name and not v.expected for v in new.verdicts)
        ),
        is_empty=not new.verdicts,
        cut_short=tuple(
            name for name, results in (("old", old), ("new", new)) if results.footer is None
        ),
        made_otherwise=tuple(_made_otherwise(old, new, both)),
        renamed={**old.renamed, **new.renamed},
    )


def _versions(results: Results) -> dict[str, str]:
    """The implementations of a report, those of its header and of its verdicts, with their versions."""
    of_header = results.header["implementations"].items()
    told = {readable(name): readable(str(version)) for name, version in of_header}
    return {**told, **{v.implementation: v.version for v in results.verdicts}}


def _made_otherwise(old: Results, new: Results, both: list[str]) -> Iterator[str]:
    """What verdicts depend on that differs, beside the implementations that are compared."""
    for name, results in (("old", old), ("new", new)):
        if results.header.get("only"):
            yield f"the {name} report is of chosen verdicts alone"
    headers = []
    for results in (old, new):
        versions = {n: v for n, v in results.header["versions"].items() if n not in both}
        headers.append({**results.header, "versions": versions})
    yield from map(readable, made_otherwise(*headers))


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "nothing"


def _by_case(results: Results) -> dict[tuple[str, str, str], Verdict]:
    """The verdicts by implementation, law and row."""
    return {(v.implementation, v.law, v.row): v for v in results.verdicts}


def _change(old: Verdict | None, new: Verdict | None) -> Change:
    return Change(_kind(old, new), old, new)


def _kind(old: Verdict | None, new: Verdict | None) -> str:
    if new is None:
        return GONE
    if old is not None and new.status == old.status:
        return SAME
    failed = old is not None and old.status in ("known", FAIL, ERROR)
    if failed and (new.status == PASS or new.mended or new.refused):
        return MENDED
    if not new.expected:
        return BROKEN if old is None or old.expected else OTHERWISE
    if old is None:
        return NEW
    if new.status == "known":
        return LISTED
    if new.status == PASS:
        return FOUND
    return LOST


def _effort(results: Results) -> Any:
    return results.header["settings"].get("effort")


def _examples(found: list[Change]) -> Iterator[Examples]:
    """The laws on far more or far fewer examples, of the rows whose verdicts are what they were."""
    were: Counter[str] = Counter()
    are: Counter[str] = Counter()
    for change in found:
        if change.kind == SAME and change.old and change.new and change.new.status == PASS:
            were[change.new.law] += change.old.examples
            are[change.new.law] += change.new.examples
    for law, is_now in are.items():
        less, more = sorted((were[law], is_now))
        if more >= less * _TIMES and more - less >= _MORE:
            yield Examples(law, were[law], is_now)
