"""The runner: tries a law on a row of an implementation, and says what became of it."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from time import perf_counter  # what is judged may set another one
from typing import Any
from unittest import SkipTest

from hypothesis import Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.database import ExampleDatabase
from hypothesis.errors import Flaky, InvalidArgument, Unsatisfiable

from ..catalog import Row
from ..implementations import Implementation, Known
from ..printing import counted
from ..strategies._internals import by_the_seed_alone, drawn, replaying
from ..verdicts import ERROR, FAIL, PASS, UNTESTED, Verdict
from . import process
from .clock import Clock
from .describing import describe
from .drawing import Enough, Recipes, drawing_settings, recipes_of_row
from .errors import first_line, in_words, unreliable
from .excuses import aged, excuse_for, replay_known
from .interrupts import noticing_the_user
from .kept import may_have_some
from .law import Law
from .limits import Ended, TookTooLong
from .offered import offered_ways, require
from .outcomes import AllRefused, Nothing, NotOffered, Untested
from .premises import is_written
from .script import ScriptWriter
from .smoke import NAME, Lost, search
from .trying import Draw, LawBroken, example_of, try_example
from .twin import random_numbers_kept

#: The row of the smoke law, which is about no module.
NO_ROW = "-"
#: What is said where strategies give none of the maps that a law is about.
NO_MAP = "no map that the law is about could be drawn"
_SMOKE_EXAMPLES = 40
#: So many that are kept are tried before others are drawn.
_KEPT = 20
#: Where nothing was compared, so many are tried until something is; or so many, where all were refused.
_UNTIL_ONE_COMPARES, _ALL_REFUSED = 40, 10


def check(
    law: Law,
    row: Row,
    implementation: Implementation,
    *,
    recipes: Recipes | None = None,
    examples: int | None = None,
    hypothesis_seed: int = 0,
    database: ExampleDatabase | None = None,
    shrink: bool = True,
    inherited: Sequence[Known] = (),
    timeout: float | None = None,
    until: Ended | None = None,
) -> Verdict:
    """The verdict on one law for one row. What is set for the process is left as it was. An example may
    take ``timeout`` seconds, and a verdict :data:`limits.EXAMPLES_OF_A_VERDICT` times that. Where a
    process ended, the example by which it did is tried alone, ``until`` the call that did it.

    A module or function of one's own is made by its row's ``subject``. ``inherited`` are known failures
    of classes that it may be made of: a failure that is one of these is known, too. A known failure that
    isn't there in a version that it doesn't name is mended: the law is searched everywhere then.
    """
    verdict = Verdict(law.name, row.name, implementation.name, str(implementation.version), PASS)
    started = perf_counter()
    if recipes is None:
        recipes = functools.partial(recipes_of_row, implementation)
    device = implementation.device
    with noticing_the_user(), process.as_in_a_fresh_one() as fresh, random_numbers_kept(device):
        how = functools.partial(drawing_settings, database=database, shrink=shrink)
        if until is not None:
            how = functools.partial(how, verbosity=Verbosity.quiet)
        number = examples or law.examples_on(row)
        clock = Clock(law, timeout, until, fresh)
        try:
            known, mended = aged(law, row, implementation, recipes, clock)
            excuse = functools.partial(
                excuse_for,
                law=law,
                implementation=implementation,
                mended=[entry for entry, _ in mended],
                inherited=inherited,
            )
            _search(
                *(verdict, law, row, implementation, known, excuse, recipes, how),
                *(database is not None and may_have_some(database), number, hypothesis_seed, clock),
            )
            if verdict.verdict in (PASS, UNTESTED):
                try:
                    replay_known(verdict, law, row, implementation, known, recipes, clock)
                except NotOffered as reason:
                    if verdict.verdict == PASS and not verdict.examples:
                        verdict.verdict, verdict.message = UNTESTED, str(reason)
                        verdict.offered = False
            if verdict.expected:
                gone = [words for entry, words in mended if entry.reason != verdict.known]
                verdict.mended = "; ".join(gone) or None
        except TookTooLong as late:
            verdict.verdict, verdict.message = ERROR, str(late)
            if clock.broken is not None:
                describe(verdict, clock.broken, implementation)
    verdict.warning = clock.leak
    verdict.seconds = round(perf_counter() - started, 3)
    return verdict


def replay(
    law: Law, row: Row, implementation: Implementation, entry: Known, timeout: float | None = None
) -> Verdict:
    """The verdict on the example of a known failure alone: the failure, with its script; a failure that
    says that it is mended, or a pass that does, in a version that the entry doesn't name; untested where
    what the law is about is not offered."""
    verdict = Verdict(law.name, row.name, implementation.name, str(implementation.version), PASS)
    device = implementation.device
    with noticing_the_user(), process.as_in_a_fresh_one() as fresh, random_numbers_kept(device):
        recipes = functools.partial(recipes_of_row, implementation)
        try:
            require(law, implementation, row, None)
            clock = Clock(law, timeout, None, fresh)
            replay_known(verdict, law, row, implementation, [entry], recipes, clock)
        except TookTooLong as late:
            verdict.verdict, verdict.message = ERROR, str(late)
        except NotOffered as reason:
            verdict.verdict, verdict.message, verdict.offered = UNTESTED, str(reason), False
    return verdict


def _search(
    verdict: Verdict,
    law: Law,
    row: Row,
    implementation: Implementation,
    known: Sequence[Known],
    excuse: Callable[[LawBroken], str | None],
    recipes: Recipes,
    how: Callable[..., settings],
    keeps_some: bool,
    number: int,
    hypothesis_seed: int,
    clock: Clock,
) -> None:
    """Look for an example that breaks the law, where no known failure is to be expected: first among
    those that are kept, where there are some. One that there is an ``excuse`` for is known."""
    tally = _Tally()
    inputs = law.inputs(row)
    given_x: st.SearchStrategy[Any] = st.nothing()
    ways: Sequence[str] = ()

    def try_one(data: st.DataObject) -> None:
        with clock.an_example(data), by_the_seed_alone(data):
            try_it(data)

    def try_it(data: st.DataObject) -> None:
        x = drawn(data, given_x)
        recipe = None if law.of_data else drawn(data, recipes(row, x, **law.recipes))
        require(law, implementation, row, recipe)
        if any(entry.covers(recipe, x) for entry in known):
            return
        draw = Draw(lambda strategy, label: drawn(data, strategy))
        try:
            broken = try_example(law, implementation, recipe, x, draw, ways)
        except TookTooLong as late:
            session = draw.session
            example = example_of(recipe, x, draw, session)
            clock.broken = LawBroken(ERROR, str(late), example, session, error=late)
            raise
        if isinstance(broken, Nothing):
            tally.nothing(broken)
        elif broken and not any(entry.covers(recipe, x, broken.example.draws) for entry in known):
            if tally.to_be_excused(excuse(broken)):
                return
            tally.broken()
            raise broken
        else:
            tally.holds()

    def search(examples: int, **changes: Any) -> None:
        @how(examples, **changes)  # after the seed, which takes the database away
        @seed(hypothesis_seed)
        @given(st.data())
        def test(data: st.DataObject) -> None:
            # Hypothesis tokenizes the source of this function in every case: it is short
            try_one(data)

        if clock.until is not None and clock.until.tried is not None:
            test = replaying(test, clock.until.tried.choices)
        with contextlib.suppress(Enough):
            test()

    try:
        require(law, implementation, row, None)
        if law.given is None and inputs.empty:
            raise NotOffered(inputs.empty)
        given_x = inputs.maps() if law.given is None else law.given
        with clock.an_example():
            ways = offered_ways(law, row, implementation, recipes)
        if keeps_some and clock.until is None:
            with contextlib.suppress(Unsatisfiable, SkipTest):  # none of them fits any more
                search(_KEPT, only_what_is_kept=True)
            tally = _Tally()  # what was kept takes the place of none that is drawn
        search(number)
        if not tally.compared and not known:
            tally.is_enough = 1
            number = max(number, _ALL_REFUSED if tally.is_hopeless else _UNTIL_ONE_COMPARES)
            search(number)
        if tally.excused:  # nothing else is wrong: the smallest example of it
            tally.excuses, tally.found = False, True
            search(number)
    except LawBroken as broken:
        describe(verdict, broken, implementation)
        verdict.known = excuse(broken)
    except Untested as reason:
        tally = _Tally()
        verdict.verdict, verdict.message = UNTESTED, str(reason)
        verdict.offered = not isinstance(reason, NotOffered)
        verdict.refused = isinstance(reason, AllRefused)
    except (Unsatisfiable, InvalidArgument) as invalid:
        if law.of_data or is_written(row):
            raise
        verdict.verdict, verdict.offered = UNTESTED, False
        refused = isinstance(invalid, InvalidArgument)
        low, high = inputs.numbers["blocks"]
        further = getattr(row, "given", {})
        strategies = ", ".join([*inputs.choices, *further]) or "maps"
        least = f"at least {counted(int(low), 'block')}"
        blocks = least if high == inf else f"{low} to {counted(int(high), 'block')}"
        why = f"{strategies} gave none that is allowed, of {blocks}"
        verdict.message = (
            f"nothing can be drawn: {first_line(invalid)}" if refused else f"{NO_MAP}: {why}"
        )
    except Flaky as error:
        verdict.verdict = ERROR
        verdict.message = unreliable(error)
    else:
        if not tally.compared and not known:
            verdict.verdict, verdict.offered = UNTESTED, not tally.reasons
            verdict.refused = tally.reason.is_refusal
            verdict.message = tally.reason.reason or "no example exercised the law"
        elif tally.not_promised:
            verdict.message = tally.not_promised
    verdict.examples += tally.compared


@dataclass
class _Tally:
    """What became of the examples: how many ``compared`` something, or were ``in_vain``, and why."""

    in_vain: int = 0
    compared: int = 0
    found: bool = False
    reasons: Counter[Nothing] = field(default_factory=Counter)
    is_enough: int | None = None
    excuses: bool = True
    excused: bool = False

    @property
    def is_hopeless(self) -> bool:
        """Whether all compared nothing for a reason, and others would for the same."""
        return self.in_vain == sum(self.reasons.values())

    def nothing(self, found: Nothing) -> None:
        """One compared nothing."""
        self.in_vain += not self.found
        if found.reason and not self.found:
            self.reasons[found] += 1

    def holds(self) -> None:
        """One compared something, and the law holds. Raises Enough where that is enough."""
        if self.found:  # it is being shrunk
            return
        self.compared += 1
        if self.compared == self.is_enough:
            raise Enough("one example is enough")

    def to_be_excused(self, reason: str | None) -> bool:
        """Whether one that breaks the law is let through, for a reason that is known."""
        if reason is None or not self.excuses:
            return False
        self.compared += 1
        self.excused = True
        return True

    def broken(self) -> None:
        """One breaks the law."""
        self.compared += not self.found
        self.found = True

    @property
    def reason(self) -> Nothing:
        """Why most of those that compared nothing didn't."""
        return self.reasons.most_common(1)[0][0] if self.reasons else Nothing("")

    @property
    def not_promised(self) -> str:
        """What was refused that nobody promised."""
        found = [why.reason for why in self.reasons if why.reason.startswith("maps ")]
        return found[0] if found else ""


@functools.lru_cache(maxsize=64)
def smoke(
    implementation: Implementation, hypothesis_seed: int = 0, timeout: float | None = None
) -> Verdict:
    """The verdict on the smoke law; it is found once in a process."""
    verdict = Verdict(NAME, NO_ROW, implementation.name, str(implementation.version), PASS)
    started = perf_counter()
    try:
        with noticing_the_user(), process.as_in_a_fresh_one():
            verdict.examples = search(implementation, _SMOKE_EXAMPLES, hypothesis_seed, timeout)
    except Lost as lost:
        raised = isinstance(lost.problem, BaseException)
        verdict.verdict = ERROR if raised else FAIL
        verdict.message = (
            in_words(lost.problem) if isinstance(lost.problem, BaseException) else lost.problem.words
        )
        verdict.counterexample = "\n".join(ScriptWriter(implementation).map("x", lost.x))
    except Flaky as error:
        verdict.verdict, verdict.message = ERROR, unreliable(error)
    except TookTooLong as late:
        verdict.verdict, verdict.message = ERROR, str(late)
    verdict.seconds = round(perf_counter() - started, 3)
    return verdict
