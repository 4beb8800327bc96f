"""What is kept of the checks of releases: for each law the verdicts on its rows, release by release."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..verdicts import ERROR, FAIL, NOT_OFFERED, PASS, UNTESTED, Results, readable

#: The signs of verdicts. A law that is broken is, whether that is known or not.
HOLDS, BROKEN, ABSENT, OPEN, NONE = ".", "x", "-", "?", " "
_SIGNS = {PASS: HOLDS, FAIL: BROKEN, ERROR: BROKEN, "known": BROKEN, NOT_OFFERED: ABSENT, UNTESTED: OPEN}

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
    the ``problem`` that kept it from being checked."""

    version: str
    problem: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    signs: Mapping[str, str] = field(default_factory=dict)

    def broken(self, law: str) -> int:
        """On how many rows the law is broken."""
        return self.signs.get(law, "").count(BROKEN)


@dataclass(frozen=True)
class Turn:
    """What became of a law with a release, on these rows: ``what`` is broken, mended, or came broken."""

    what: str
    law: str
    rows: tuple[str, ...]


BROKE, CAME_BROKEN, MENDED, LEFT = TURNS = (
    "broken",
    "new, and broken",
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
        for what in TURNS:
            for law in self.families:
                pairs = [of.signs.get(law, "").ljust(len(self.rows)) for of in (before, after)]
                rows = zip(self.rows, *pairs, strict=False)
                found = tuple(row for row, was, is_now in rows if _turn(was, is_now) == what)
                if found:
                    yield Turn(what, law, found)

    def broken_laws(self) -> list[str]:
        """The laws that are broken in any of the releases."""
        return [law for law in self.families if any(of.broken(law) for of in self.checked)]


def _turn(was: str, is_now: str) -> str | None:
    if was == is_now or BROKEN not in (was, is_now):
        return None
    if is_now == BROKEN:
        return BROKE if was == HOLDS else CAME_BROKEN
    return MENDED if is_now == HOLDS else LEFT


def release(version: str, results: Results, rows: Sequence[str]) -> Release:
    """What is kept of a report."""
    places = {row: place for place, row in enumerate(rows)}
    signs: dict[str, list[str]] = {}
    for verdict in results.verdicts:
        of_law = signs.setdefault(verdict.law, [NONE] * len(rows))
        of_law[places[verdict.row]] = _SIGNS[verdict.status]
    said = {name: str(v) for name, v in results.header["versions"].items() if name in _SAID}
    return Release(version, None, said, {law: "".join(of).rstrip() for law, of in signs.items()})


def written(history: History) -> str:
    """The history as JSON, a line for each release and each law. Of a law there are the signs of the
    releases in which they are others than in the one before."""
    laws = {}
    for law in history.families:
        last, found = "", {}
        for of in history.checked:
            if of.signs.get(law, "") != last:
                last = found[of.version] = of.signs.get(law, "")
        laws[law] = {"family": history.families[law], "signs": found}
    releases = []
    for of in history.releases:
        more = {"versions": of.versions} if of.problem is None else {"problem": of.problem}
        releases.append({"version": of.version, **more})
    head = {
        "implementation": history.implementation,
        "package": history.package,
        "made_with": history.made_with,
        "rows": list(history.rows),
    }
    return "".join(
        (
            f'{{"history": {json.dumps(head)},\n"releases": [\n',
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
        head, laws = found["history"], found["laws"]
        families = {law: of["family"] for law, of in laws.items()}
        releases, last = [], dict.fromkeys(laws, "")
        for of in found["releases"]:
            if of.get("problem") is None:
                last = {n: law["signs"].get(of["version"], last[n]) for n, law in laws.items()}
                signs = {law: text for law, text in last.items() if text}
                releases.append(Release(of["version"], None, of["versions"], signs))
            else:
                releases.append(Release(of["version"], readable(of["problem"])))
        return History(**head, families=families, releases=releases)
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} is no history of tmref: {type(error).__name__}: {error}") from error
