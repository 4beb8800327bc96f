"""What is kept of the checks of releases: for each law the verdicts on its rows, release by release."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..renamed import name_now
from ..verdicts import ERROR, FAIL, NOT_OFFERED, PASS, UNTESTED, Results, Verdict, readable

#: The signs of verdicts. A law that is broken is, whether that is known or not; where a row can't be
#: used at all, it is said once.
HOLDS, BROKEN, UNUSABLE, ABSENT, OPEN, NONE = ".", "x", "!", "-", "?", " "
_SIGNS = {PASS: HOLDS, FAIL: BROKEN, ERROR: BROKEN, "known": BROKEN, NOT_OFFERED: ABSENT, UNTESTED: OPEN}

#: An error of no more laws is one of theirs.
_FEW = 3
#: So many letters of a reason are kept: there is one for every law that is broken.
_LONGEST_REASON = 120

#: What may differ between the environments of releases, beside the package itself.
_SAID = (
    "python",
    "torch",
    "metatensor-core",
    "metatensor-operations",
    "metatensor-learn",
    "metatensor-torch",
)


@dataclass(frozen=True)
class Release:
    """A release: the ``versions`` that it was checked with, and for each law a sign for each row; or
    the ``problem`` that kept it from being checked. ``unusable`` are the rows on which most laws end in
    one error, with that: a module that can't be made breaks all of them. ``reasons`` say in a line what
    broke a law on the first row that it is broken on."""

    version: str
    problem: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    signs: Mapping[str, str] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    def broken(self, law: str) -> int:
        """On how many rows the law is broken."""
        return self.signs.get(law, "").count(BROKEN)


@dataclass(frozen=True)
class Turn:
    """What became of a law with a release, on these rows: ``what`` is one of :data:`TURNS`, and ``why``
    says what breaks it. Where it is of all laws, since the rows can't or couldn't be used, there is no
    ``law``, and ``why`` says what is or was raised."""

    what: str
    law: str
    rows: tuple[str, ...]
    why: str = ""


BROKE, CAME_BROKEN, OTHERWISE, MENDED, LEFT = TURNS = (
    "broken",
    "new, and broken",
    "broken otherwise",
    "mended",
    "broken before, not there any more",
)


@dataclass(frozen=True)
class History:
    """The releases of a ``package`` that were checked as an ``implementation``, the oldest first, by
    ``made_with``: tmref, effort, seed and selection. ``rows`` are what signs are of, in their order;
    ``families`` those of the laws, in theirs."""

    implementation: str
    package: str
    made_with: Mapping[str, Any]
    rows: Sequence[str]
    families: Mapping[str, str]
    releases: Sequence[Release]

    @property
    def checked(self) -> list[Release]:
        """The releases that there are verdicts on."""
        return [release for release in self.releases if release.problem is None]

    def turns(self) -> Iterator[tuple[Release, list[Turn]]]:
        """For every release that was checked but the first, what became of laws since the one before."""
        for before, after in itertools.pairwise(self.checked):
            yield after, list(self._turns(before, after))

    def _turns(self, before: Release, after: Release) -> Iterator[Turn]:
        of_rows = self._turns_of_rows(before, after)
        for what in TURNS:
            for (became, why), rows in of_rows.items():
                if became == what:
                    yield Turn(what, "", tuple(rows), why)
            for law in self.families:
                pairs = [of.signs.get(law, "").ljust(len(self.rows)) for of in (before, after)]
                triples = zip(self.rows, *pairs, strict=False)
                found = tuple(row for row, was, is_now in triples if _turn(was, is_now) == what)
                if found:
                    is_broken = what in (BROKE, CAME_BROKEN)
                    yield Turn(what, law, found, after.reasons.get(law, "") if is_broken else "")

    def _turns_of_rows(self, before: Release, after: Release) -> dict[tuple[str, str], list[str]]:
        """The rows that can't be used any more, or can be now, by what became of them and the reason."""
        found: dict[tuple[str, str], list[str]] = {}
        for row in self.rows:
            was, is_now = before.unusable.get(row), after.unusable.get(row)
            place = self.rows.index(row)
            signs = {sign for of in before.signs.values() for sign in of[place : place + 1]}
            if was == is_now:
                continue
            if was is not None and is_now is not None:
                what = OTHERWISE
            elif was is not None:
                what = MENDED
            else:
                what = BROKE if HOLDS in signs else CAME_BROKEN
            found.setdefault((what, is_now or was or ""), []).append(row)
        return found

    def broken_laws(self) -> list[str]:
        """The laws that are broken in any of the releases."""
        return [law for law in self.families if any(of.broken(law) for of in self.checked)]


def _turn(was: str, is_now: str) -> str | None:
    if was == is_now or BROKEN not in (was, is_now) or is_now == UNUSABLE:
        return None
    if is_now == BROKEN:
        return BROKE if was == HOLDS else CAME_BROKEN
    return MENDED if is_now == HOLDS else LEFT


def release(version: str, results: Results, rows: Sequence[str]) -> Release:
    """What is kept of a report."""
    unusable = dict(_unusable(results))
    places = {row: place for place, row in enumerate(rows)}
    signs: dict[str, list[str]] = {}
    reasons: dict[str, str] = {}
    for verdict in results.verdicts:
        of_law = signs.setdefault(verdict.law, [NONE] * len(rows))
        is_it = verdict.verdict == ERROR and _first_line(verdict) == unusable.get(verdict.row)
        sign = of_law[places[verdict.row]] = UNUSABLE if is_it else _sign(verdict)
        if sign == BROKEN and verdict.message:
            reasons.setdefault(verdict.law, _first_line(verdict, _LONGEST_REASON))
    said = {name: str(v) for name, v in results.header["versions"].items() if name in _SAID}
    kept = {law: "".join(of).rstrip() for law, of in signs.items()}
    return Release(version, None, said, kept, unusable, reasons)


def _sign(verdict: Verdict) -> str:
    """The sign of a verdict: what is mended holds, whether its entry is still listed or not, and also
    where it is refused now."""
    return HOLDS if verdict.mended and verdict.known is None else _SIGNS[verdict.status]


def _unusable(results: Results) -> Iterator[tuple[str, str]]:
    """The rows on which most laws end in one error, with its first line."""
    errors: dict[str, Counter[str]] = {}
    tried: Counter[str] = Counter()
    for v in results.verdicts:
        tried[v.row] += v.status != NOT_OFFERED
        if v.verdict == ERROR:
            errors.setdefault(v.row, Counter())[_first_line(v)] += 1
    for row, of_row in errors.items():
        message, number = of_row.most_common(1)[0]
        if number > _FEW and number > tried[row] / 2:
            yield row, message


def _first_line(verdict: Verdict, longest: int = 300) -> str:
    return readable((verdict.message or "").partition("\n")[0], longest)


#: What every file of a history begins with.
BEGINNING = '{"history": '


def written(history: History) -> str:
    """The history as JSON, a line for each release and each law. Of a law there are the signs of the
    releases in which they are others than in the one before, and what broke it where it did."""
    laws = {}
    for law in history.families:
        last, found = "", {}
        for of in history.checked:
            if of.signs.get(law, "") != last:
                last = found[of.version] = of.signs.get(law, "")
        laws[law] = {"family": history.families[law], "signs": found}
    releases = []
    broke = {of.version: {turn.law for turn in turns if turn.why} for of, turns in history.turns()}
    for of in history.releases:
        reasons = {law: why for law, why in of.reasons.items() if law in broke.get(of.version, ())}
        checked = {"versions": of.versions, "unusable": of.unusable, "reasons": reasons}
        more = checked if of.problem is None else {"problem": of.problem}
        releases.append({"version": of.version, **more})
    head = {
        "implementation": history.implementation,
        "package": history.package,
        "made_with": history.made_with,
        "rows": list(history.rows),
    }
    return "".join(
        (
            f'{BEGINNING}{json.dumps(head)},\n"releases": [\n',
            ",\n".join(map(json.dumps, releases)),
            '\n],\n"laws": {\n',
            ",\n".join(f"{json.dumps(law)}: {json.dumps(found)}" for law, found in laws.items()),
            "\n}}\n",
        )
    )


def read_history(path: Path) -> History:
    """The history in a file. Raises ValueError where it is none, saying what is wrong."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        head = found["history"]
        laws = {name_now(law): of for law, of in found["laws"].items()}
        families = {law: of["family"] for law, of in laws.items()}
        releases, last = [], dict.fromkeys(laws, "")
        for of in found["releases"]:
            if of.get("problem") is None:
                last = {n: law["signs"].get(of["version"], last[n]) for n, law in laws.items()}
                signs = {law: text for law, text in last.items() if text}
                unusable, reasons = of.get("unusable", {}), of.get("reasons", {})
                releases.append(Release(of["version"], None, of["versions"], signs, unusable, reasons))
            else:
                releases.append(Release(of["version"], readable(of["problem"])))
        return History(**head, families=families, releases=releases)
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} is no history of tmref: {type(error).__name__}: {error}") from error
