"""Laws from Python: on an implementation, at once or as the tests of a suite of one's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..catalog import DATA, Row
from ..implementations import Implementation, load
from ..printing import meant
from ..renamed import name_now
from ..verdicts import ERROR, PASS, UNTESTED, Verdict
from . import runner, smoke
from .answer import OnFail, answer, checked, law_names, with_expected
from .chapters import LAWS
from .errors import out_of_place
from .kept import database
from .law import Law
from .limits import Ended
from .own import it_can_be_made_and_called, require_testable
from .subject import OwnRow


@dataclass(frozen=True)
class Case:
    """One law on one row of an implementation; the smoke law where there is no law."""

    implementation: Implementation
    law: Law | None
    row: Row | None
    examples: int | None = None
    seed: int = 0
    #: Where examples that broke laws are kept; see :mod:`tmref.laws.kept`.
    place: str | None = None
    timeout: float | None = None

    @property
    def name(self) -> str:
        """The case in one word: implementation, row and law."""
        return self.blank().case

    def blank(self) -> Verdict:
        """A verdict that says nothing yet."""
        law, row = (
            (self.law.name, self.row.name) if self.law and self.row else (smoke.NAME, runner.NO_ROW)
        )
        version = str(self.implementation.version)
        return Verdict(law, row, self.implementation.name, version, PASS)

    def check(self, until: Ended | None = None) -> Verdict:
        """The verdict; untested where the smoke law failed before, an error where something raises that
        is no call of what is judged. ``until`` as of :func:`runner.check`."""
        try:
            return self._checked(until)
        except Exception as error:
            return self.without(ERROR, out_of_place(error))

    def _checked(self, until: Ended | None) -> Verdict:
        first = runner.smoke(self.implementation, self.seed, self.timeout)
        if self.law is None or self.row is None:
            return first
        if first.verdict != PASS:
            return self.without(UNTESTED, f"the smoke law failed: {first.message}")
        return runner.check(
            self.law,
            self.row,
            self.implementation,
            examples=self.examples,
            hypothesis_seed=self.seed,
            database=database(self.place, self.name) if self.place else None,
            inherited=self.implementation.known if isinstance(self.row, OwnRow) else (),
            timeout=self.timeout,
            until=until,
        )

    def without(self, verdict: str, reason: str) -> Verdict:
        """The verdict where the law could not be tried, or not to the end."""
        return dataclasses.replace(self.blank(), verdict=verdict, message=reason)


def own_rows(implementation: Implementation) -> list[Row]:
    """The rows of an implementation, on the maps that it takes. Raises TypeError for what is no row, and
    ValueError for one that promises what no law can test."""
    if not isinstance(implementation.rows, Sequence):
        raise TypeError(f"rows must be a list of rows, got {implementation.rows!r}")
    rows: list[Row] = []
    for row in implementation.rows:
        if not isinstance(row, Row):
            raise TypeError(
                f"rows must be what row_of_module(...) and row_of_function(...) make, got {row!r}"
            )
        row = dataclasses.replace(row, maps={**row.maps, **implementation.inputs})
        if isinstance(row, OwnRow):
            require_testable(row)
        if row.name in [other.name for other in rows]:
            raise ValueError(f"two rows are called {row.name}: give one another name=")
        rows.append(row)
    return rows


def cases(
    implementation: Implementation,
    *,
    effort: float = 1,
    seed: int = 0,
    place: str | None = None,
    device: str = "cpu",
    timeout: float | None = None,
) -> list[Case]:
    """The smoke law, then every law on every row that has its traits, on ``effort`` times the examples
    that it asks for, each of which may take ``timeout`` seconds, with all data and modules on
    ``device``. What broke a law is kept at the ``place``, and tried first. Raises UnusableDevice where
    there is none of this name, TypeError and ValueError as :func:`own_rows`."""
    implementation = implementation.on(device)
    rows = own_rows(implementation)
    found = [Case(implementation, None, None, None, seed, place, timeout)]
    for row in (*(DATA if implementation.judges_data else ()), *rows):
        makes_it = row.subject(implementation)
        for law in (it_can_be_made_and_called, *LAWS) if isinstance(row, OwnRow) else LAWS:
            if law.applies_to(row):
                examples = law.examples_on(row, effort, rows)
                found.append(Case(makes_it, law, row, examples, seed, place, timeout))
    return found


def _chosen(found: list[Case], rows: Collection[str] | None, laws: Collection[str] | None) -> list[Case]:
    """The smoke law, and the cases of these rows and laws: None are all of them. Raises TypeError for
    what are no names, and ValueError for a name of nothing that is there, and where nothing is left."""
    in_rows = _among("rows", rows, {case.row.name for case in found if case.row})
    in_laws = _among("laws", laws, {case.law.name for case in found if case.law}, name_now)
    smoke_law, *others = found
    kept = [c for c in others if c.row and c.row.name in in_rows and c.law and c.law.name in in_laws]
    if not kept:
        raise ValueError(f"rows={rows!r} and laws={laws!r} leave nothing to try: no such law is on them")
    return [smoke_law, *kept]


def _among(
    option: str, names: Collection[str] | None, there: set[str], now: Callable[[str], str] = str
) -> Collection[str]:
    """The names that are chosen, as they are ``now``."""
    if names is None:
        return there
    if isinstance(names, str) or not isinstance(names, Collection):
        raise TypeError(f"{option} must be names, such as {option}=[{min(there)!r}], got {names!r}")
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{option} must be names, got {name!r} among them")
        if now(name) not in there:
            remedy = meant(name, there, f"tmref list {option} has them all")
            raise ValueError(f"{option}: there is no {name!r} that is to be tried; {remedy}")
    return {*map(now, names)}


def _expected(expected: Mapping[str, str] | None, found: Sequence[Case]) -> Mapping[str, str]:
    """The laws that are expected to fail, on all rows or, as LAW[ROW], on one."""
    names = [(case.law.name, case.row.name) for case in found if case.law and case.row]
    there = {law for law, _ in names} | {f"{law}[{row}]" for law, row in names}
    return law_names(expected or {}, there, " among those that are tried")


def check_implementation(
    implementation: Implementation | str,
    *,
    rows: Collection[str] | None = None,
    laws: Collection[str] | None = None,
    expected_failed_laws: Mapping[str, str] | None = None,
    on_fail: OnFail = "raise",
    effort: float = 1,
    seed: int = 0,
    device: str = "cpu",
) -> list[Verdict]:
    """Try every law on every row of an implementation, given by itself or by name or path, on
    ``effort`` times the examples that the laws ask for, with all data and modules on ``device``.

    ``rows`` and ``laws`` are names of those that are tried, where not all are; the smoke law always is.
    ``expected_failed_laws`` are laws by name, each with the reason why it is broken: as ``LAW[ROW]`` on
    one row, as ``LAW`` on each that is tried. Where one isn't broken, that is a failure.

    Returns the verdicts. Where some are not as expected, ``on_fail`` says what is done: "raise"
    UnexpectedVerdicts, an AssertionError that has all ``verdicts``, with the scripts that show it;
    "warn"; or None, nothing. Raises UnusableDevice where there is no such device, ValueError for rows
    and laws that don't exist or leave nothing to try, and TypeError where they are no names.
    """
    __tracebackhide__ = True
    checked(on_fail)
    if isinstance(implementation, str):
        implementation = load(implementation)
    found = _chosen(cases(implementation, effort=effort, seed=seed, device=device), rows, laws)
    expected = _expected(expected_failed_laws, found)
    verdicts = [with_expected(case.check(), expected) for case in found]
    return answer(verdicts, [v for v in verdicts if not v.expected], on_fail)


def parametrize_with_laws(
    implementation: Implementation | str,
    *,
    rows: Collection[str] | None = None,
    laws: Collection[str] | None = None,
    expected_failed_laws: Mapping[str, str] | None = None,
    effort: float = 1,
    seed: int = 0,
    device: str = "cpu",
) -> Callable[[Any], Any]:
    """A decorator for a pytest test of one argument, ``check``: calling it tries one law on one row.

    A call returns the verdict, or raises UnexpectedVerdicts. Arguments, and what is raised for them, are
    as of :func:`check_implementation`.
    """
    import pytest

    if isinstance(implementation, str):
        implementation = load(implementation)

    def checker(case: Case) -> Callable[[], Verdict]:
        def check() -> Verdict:
            __tracebackhide__ = True
            verdict = with_expected(case.check(), expected)
            answer([verdict], [] if verdict.expected else [verdict], "raise")
            return verdict

        return check

    found = _chosen(cases(implementation, effort=effort, seed=seed, device=device), rows, laws)
    expected = _expected(expected_failed_laws, found)
    return pytest.mark.parametrize(
        "check", [checker(case) for case in found], ids=[case.name for case in found]
    )
