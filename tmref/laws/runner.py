"""The runner: tries a law on a row of an implementation, and says what became of it."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import re
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from time import perf_counter  # what is judged may set another one
from types import SimpleNamespace
from typing import Any
from unittest import SkipTest

import torch
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.database import ExampleDatabase
from hypothesis.errors import Flaky, HypothesisException, InvalidArgument, Unsatisfiable
from packaging.version import InvalidVersion, Version

from .. import strategies
from ..catalog import Call, Recipe, Row
from ..compare import Difference, Refused, Tolerance, compare
from ..implementations import CPU, Example, Implementation, Known
from ..printing import counted
from ..strategies._internals import by_the_seed_alone, choices_of, drawn, replaying
from ..strategies._settings import settings_of_our_own
from ..tensor_map import TensorMap
from ..verdicts import ERROR, FAIL, PASS, SHOWS_NOTHING, UNTESTED, Verdict, readable
from . import limits, process
from .interrupts import is_not_of_what_is_judged, noticing_the_user
from .kept import may_have_some
from .law import Law
from .limits import Ended, EndsProcess, TookTooLong, at_most
from .missing import missing, of_no_data
from .outcomes import AllRefused, Nothing, NotOffered, NotTaken, Raised, Unlike, Untested
from .premises import OF_LABELS, TWIN, is_like, is_plain, is_written, plain_data, promised
from .script import ScriptWriter, ends_in_a_failure
from .session import ModuleSession, Session, copied
from .shown import Place, Shown, shown
from .smoke import NAME, Lost, search
from .steps import CALL, Step
from .subject import OwnRow, own_recipes
from .tolerance import rounds, tolerance_for
from .twin import on_cpu, random_numbers_kept

Recipes = Callable[..., "st.SearchStrategy[Recipe]"]

#: The row of the smoke law, which is about no module.
NO_ROW = "-"

#: What is said where strategies give none of the maps that a law is about.
NO_MAP = "no map that the law is about could be drawn"

_SMOKE_EXAMPLES = 40
#: So many that are kept are tried before others are drawn.
_KEPT = 20
#: Where nothing was compared, so many are tried until something is; or so many, where all were refused.
_UNTIL_ONE_COMPARES, _ALL_REFUSED = 40, 10

#: Where tmref is.
_HOME = Path(__file__).parents[1]
_NO_SIDES = "the sides can't be compared"
_NONE = "it returned None, which is no map"
_INTERPRETER = "The following operation failed in the TorchScript interpreter"


@dataclass
class Draw:
    """What a law draws with: from Hypothesis, or from what is pinned; remembered by label.

    What the sides of the law are multiplied by, it draws as a ``factor``: of that rounding depends.
    """

    source: Callable[[st.SearchStrategy[Any], str], Any]
    drawn: dict[str, Any] = field(default_factory=dict)
    factors: dict[str, Any] = field(default_factory=dict)
    #: What it draws for.
    session: Session | None = None

    def __call__(self, strategy: st.SearchStrategy[Any], label: str, *, factor: bool = False) -> Any:
        self.drawn[label] = self.source(strategy, label)
        if factor:
            self.factors[label] = self.drawn[label]
        return self.drawn[label]


class LawBroken(Exception):
    """A law is broken on an example: everything there is to say about it."""

    def __init__(
        self,
        kind: str,
        words: str,
        example: Example,
        session: Session | None,
        difference: Difference | None = None,
        sides: tuple[Any, Any] = (None, None),
        tolerance: Tolerance | None = None,
        error: BaseException | None = None,
    ) -> None:
        super().__init__(words)
        self.kind = kind
        self.words = words
        self.example = example
        self.session = session
        self.difference = difference
        self.sides = sides
        self.tolerance = tolerance
        self._error = error

    @property
    def steps(self) -> list[Step]:
        """What was done; where no module could be made, that this was tried."""
        if self.session is not None:
            return self.session.steps
        made = {"module": self.example.recipe}
        return [] if self._error is None else [Step("module", made, "module", Refused(self._error))]


def try_example(
    law: Law,
    implementation: Implementation,
    recipe: Recipe | None,
    x: Any,
    draw: Draw,
    ways: Sequence[str] | None = None,
) -> LawBroken | Nothing | None:
    """What breaks the law on one example, or None where it holds; Nothing where nothing was compared.

    Raises Untested where it can't be tried. ``ways`` are those of the law's that are offered.
    """
    before = copied(x)
    session: Session | None = None
    ways = law.ways if ways is None else ways
    try:
        if recipe is None:
            session = draw.session = Session(implementation, ways)
        else:
            session = draw.session = ModuleSession(implementation, recipe, ways, x)
            if TWIN in law.needs and not is_written(recipe.row):
                session.require_steady_twin(x)
        try:
            sides = law.sides(session, x, draw)
        except Unlike as unlike:
            sides = unlike.sides
        if session.device != CPU:
            sides = on_cpu(sides)
    except NotTaken as reason:
        return Nothing(str(reason))
    except Raised as raised:
        error = raised.__cause__
        if error is not None and _no_map(session) == _NONE:  # the law's line is not to blame
            words = f"{_NONE}: {_in_words(error)}"
            return LawBroken(FAIL, words, _example(recipe, before, draw, session), session)
        words = f"{raised}: {_in_words(error)}" if error else str(raised)
        given = _last_map(session, before)
        refused = None
        if recipe is not None and isinstance(error, Exception):  # what is none is no refusal
            refused = _not_promised(law, recipe.row, given, before)
        if refused:
            return Nothing(f"{refused}: {words}", is_refusal=True)
        if error is None:
            _assert_data(session, words)
        return LawBroken(ERROR, words, _example(recipe, before, draw, session), session, error=error)
    except Exception as error:  # what came back has not even the shape that the law speaks of
        no_map = _no_map(session)
        draws_like_it = no_map is not None and isinstance(error, InvalidArgument)
        if isinstance(error, (Untested, HypothesisException)) and not draws_like_it:
            raise
        words = f"{no_map or _NO_SIDES}: {_in_words(error)}"
        _assert_a_map(session)
        return LawBroken(FAIL, words, _example(recipe, before, draw, session), session)
    if isinstance(sides, Refused):
        return Nothing(f"it is refused: {_in_words(sides.error)}", is_refusal=True)
    if sides is None or isinstance(sides, Nothing):
        return sides or Nothing("")
    tolerance = None
    left, right = sides
    difference = compare(left, right)
    is_of_values = difference is not None and not isinstance(difference.right, Refused)
    if is_of_values and rounds(law, recipe.row if recipe else None):
        tolerance = tolerance_for(session, law, sides, draw.factors)
        difference = compare(left, right, tolerance)
    if not difference:
        return None
    if _no_map(session) == _NONE:
        _assert_a_map(session)
    example = _example(recipe, before, draw, session)
    return LawBroken(FAIL, difference.words, example, session, difference, (left, right), tolerance)


def _no_map(session: Session | None) -> str | None:
    """What the module returned last, in words; None where that is a map, or nothing was called."""
    if not isinstance(session, ModuleSession) or isinstance(session.last_output, TensorMap):
        return None
    return f"it returned {_what(session.last_output)}, which is no map"


def _assert_a_map(session: Session | None) -> None:
    """End the script with a line that fails where the module returned no map."""
    no_map = _no_map(session)
    if session is not None and no_map is not None:
        session.steps.append(Step(f'assert hasattr(y, "block"), {no_map!r}', {}, "", None))


def _assert_data(session: Session | None, words: str) -> None:
    """End the script with a line that fails where the last call returned nothing that can be judged."""
    if isinstance(session, ModuleSession) and session.steps and session.steps[-1].code == CALL:
        line = of_no_data(session.last_output, words)
        if line is not None and words.startswith("it returns "):
            session.steps.append(Step(line, {}, "", None))


def _last_map(session: Session | None, x: TensorMap) -> TensorMap:
    """The map that was given last: what the law made of its input, or the input itself."""
    for step in reversed(session.steps if session else []):
        maps = [value for value in step.given.values() if isinstance(value, TensorMap)]
        if maps:
            return maps[-1]
    return x


def _not_promised(law: Law, row: Row, x: TensorMap, drawn: TensorMap) -> str | None:
    """What is refused that was never promised, in words; None where all of it was."""
    why_not = promised(row).why_not(x)
    if why_not is not None:
        return f"maps {why_not} are refused"
    if not is_written(row) and any(block.has_any_gradient() for block in x):
        return "maps with explicit gradients are refused"
    of_strategies = row.inputs is not None or any(name in row.maps for name in OF_LABELS)
    if of_strategies and not is_like(x, drawn):
        return "maps that were not drawn are refused"
    return "it is refused" if law.tried and not is_written(row) else None


def _example(recipe: Recipe | None, x: Any, draw: Draw, session: Session | None) -> Example:
    """The example, with what was drawn for it, and noted of it."""
    return Example(recipe, x, {**draw.drawn, **(session.notes if session else {})})


def _unreliable(error: Flaky) -> str:
    words = f"the same example gave different verdicts when it was repeated: {_first_line(error)}"
    once = [_first_line(one) for one in getattr(error, "exceptions", ())]
    return f"{words}; once: {once[0]}" if once else words


def _in_words(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {_first_line(error)}" if error else "without a word"


def out_of_place(error: Exception) -> str:
    """What was raised where no module is called, in words: tmref is wrong where it is in a line of its
    own, and not in one of what it calls, such as the `when` of a known failure."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    is_ours = Path(last.filename).is_relative_to(_HOME)
    blamed = "tmref itself is wrong" if is_ours else "the law can't be tried"
    return f"{blamed}: {_in_words(error)} ({Path(last.filename).name}, line {last.lineno})"


def _what(value: Any) -> str:
    """What something is, in words."""
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    kind = type(value)
    home = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"a value of type {home}{kind.__qualname__}"


def _first_line(error: BaseException) -> str:
    """What an error says: its first line, but the last of what TorchScript's interpreter tells first."""
    try:
        said = readable(str(error))
    except BaseException as another:
        if is_not_of_what_is_judged(another):
            raise
        return f"(its words can't be had: {type(another).__name__})"
    lines = said.strip().splitlines() or [""]
    return lines[-1] if lines[0].startswith(_INTERPRETER) else lines[0]


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
        recipes = functools.partial(_recipes, implementation)
    device = implementation.device
    with noticing_the_user(), process.as_in_a_fresh_one() as fresh, random_numbers_kept(device):
        how = functools.partial(_settings, database=database, shrink=shrink)
        if until is not None:
            how = functools.partial(how, verbosity=Verbosity.quiet)
        number = examples or law.examples_on(row)
        clock = _Clock(law, timeout, until, fresh)
        try:
            known, mended = _aged(law, row, implementation, recipes, clock)
            excuse = functools.partial(
                _excuse,
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
                    _replay(verdict, law, row, implementation, known, recipes, clock)
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
                _describe(verdict, clock.broken, implementation)
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
        recipes = functools.partial(_recipes, implementation)
        try:
            _require(law, implementation, row, None)
            clock = _Clock(law, timeout, None, fresh)
            _replay(verdict, law, row, implementation, [entry], recipes, clock)
        except TookTooLong as late:
            verdict.verdict, verdict.message = ERROR, str(late)
        except NotOffered as reason:
            verdict.verdict, verdict.message, verdict.offered = UNTESTED, str(reason), False
    return verdict


class _Clock:
    """How long an example of a law may still take, and what becomes of memory; ``broken`` is what is
    known of an example that took longer."""

    def __init__(
        self, law: Law, timeout: float | None, until: Ended | None, fresh: dict[str, Any]
    ) -> None:
        slow = limits.OF_TRANSFORMS if law.family == "transforms" else 1
        self._seconds = None if timeout is None else timeout * slow
        self._started = perf_counter()
        self.until = until
        self._fresh = fresh
        self.broken: LawBroken | None = None
        self._examples = 0
        #: What memory there was after 1, 2, 4, 8, ... examples: reading it takes its time.
        self._memory: list[int] = []

    @property
    def leak(self) -> str | None:
        """By how much memory grew, where it grew with each example; None where it didn't."""
        if len(self._memory) < 2:
            return None
        before, examples = self._memory[-2], self._examples - 2 ** (len(self._memory) - 2)
        grown = (limits.memory_of(os.getpid()) - before) / 2**20
        if grown < limits.OF_ALL or grown < limits.LEAK * examples:
            return None
        return f"memory grew by {grown / examples:.0f} MiB with each example"

    @contextlib.contextmanager
    def an_example(self, data: st.DataObject | None = None) -> Iterator[None]:
        """A context for one example, drawn from ``data``, which leaves the process as it was. Raises
        TookTooLong where none may be tried any more."""
        if self._seconds is not None:
            of_all = self._seconds * limits.EXAMPLES_OF_A_VERDICT
            if perf_counter() - self._started > of_all:
                raise TookTooLong(f"the examples took longer than {of_all:g} s together")
        choices = None if data is None else lambda: choices_of(data)
        with process.kept(self._fresh), at_most(self._seconds, choices, self.until if choices else None):
            yield
        self._examples += 1
        if self._examples == 2 ** len(self._memory):
            self._memory.append(limits.memory_of(os.getpid()))


def _recipes(
    implementation: Implementation, row: Row, x: TensorMap, **options: Any
) -> st.SearchStrategy[Recipe]:
    """How the row's modules are made for a map: those of the catalog by its ``options``."""
    if isinstance(row, OwnRow):
        return own_recipes(row, x, implementation)
    return strategies.recipes(row, x, **options)


def _settings(
    examples: int,
    database: ExampleDatabase | None,
    shrink: bool,
    only_what_is_kept: bool = False,
    **changes: Any,
) -> settings:
    return settings_of_our_own(
        max_examples=examples,
        database=database,
        phases=[
            Phase.reuse if only_what_is_kept else Phase.generate,
            *([Phase.shrink] if shrink else []),
        ],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        **changes,
    )


def _concerns(known: Known, law: Law, row: Row) -> bool:
    return known.law == law.name and row.name in known.rows


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
    clock: _Clock,
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
        _require(law, implementation, row, recipe)
        if any(entry.covers(recipe, x) for entry in known):
            return
        draw = Draw(lambda strategy, label: drawn(data, strategy))
        try:
            broken = try_example(law, implementation, recipe, x, draw, ways)
        except TookTooLong as late:
            session = draw.session
            example = _example(recipe, x, draw, session)
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
        with contextlib.suppress(_Enough):
            test()

    try:
        _require(law, implementation, row, None)
        if law.given is None and inputs.empty:
            raise NotOffered(inputs.empty)
        given_x = inputs.maps() if law.given is None else law.given
        with clock.an_example():
            ways = _ways(law, row, implementation, recipes)
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
        _describe(verdict, broken, implementation)
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
            f"nothing can be drawn: {_first_line(invalid)}" if refused else f"{NO_MAP}: {why}"
        )
    except Flaky as error:
        verdict.verdict = ERROR
        verdict.message = _unreliable(error)
    else:
        if not tally.compared and not known:
            verdict.verdict, verdict.offered = UNTESTED, not tally.reasons
            verdict.refused = tally.reason.is_refusal
            verdict.message = tally.reason.reason or "no example exercised the law"
        elif tally.not_promised:
            verdict.message = tally.not_promised
    verdict.examples += tally.compared


class _Enough(SkipTest):
    """An example compared something, and one is enough."""


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
        """One compared something, and the law holds. Raises _Enough where that is enough."""
        if self.found:  # it is being shrunk
            return
        self.compared += 1
        if self.compared == self.is_enough:
            raise _Enough("one example is enough")

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


def _require(law: Law, implementation: Implementation, row: Row, recipe: Recipe | None) -> None:
    """Raise NotOffered where a premise of the law doesn't hold."""
    for premise in law.needs:
        why_not = premise.why_not(implementation, row, recipe)
        if why_not is not None:
            raise NotOffered(why_not)


def _ways(law: Law, row: Row, implementation: Implementation, recipes: Recipes) -> Sequence[str]:
    """The ways of the law that are not refused for a plain map. Raises AllRefused where all are."""
    if not law.ways or (is_written(row) and any(premise.claimed for premise in law.needs)):
        return law.ways
    if law.of_data:
        x = plain_data()[row.module]
        return _offered(law, lambda: Session(implementation), x)
    plain = _plain(law, row, recipes)
    assert plain.recipe is not None
    made = functools.partial(ModuleSession, implementation, plain.recipe)
    try:
        made()
    except Raised:
        return law.ways  # the law will meet it again, and say so
    return _offered(law, made, plain.x)


def _offered(law: Law, made: Callable[[], Session], x: Any) -> Sequence[str]:
    tried = {way: _tried(made(), way, x) for way in law.ways}
    found = [way for way, result in tried.items() if not isinstance(result, Refused)]
    if not found:
        first = _in_words(next(iter(tried.values())).error)
        raise AllRefused(f"no way is offered: {first} (for {law.ways[0]!r}, of {len(tried)})")
    return found


def _tried(session: Session, way: str, x: Any) -> Any:
    """What a way gives, or Refused: what can't be read is none that is offered."""
    try:
        return session.attempt_to_run(way, x=x)
    except Raised as raised:
        error = raised.__cause__
        return Refused(error if isinstance(error, Exception) else None)


def _plain(law: Law, row: Row, recipes: Recipes) -> Example:
    """A map of the law's inputs with nothing empty, where there is one, and a recipe for it."""
    found: list[Example] = []

    @seed(0)
    @settings(_settings(20, None, shrink=False), phases=[Phase.generate])
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        x = drawn(data, law.inputs(row).maps())
        found.append(Example(drawn(data, recipes(row, x, **law.recipes)), x, {}))
        if is_plain(x):
            raise _Enough("one is enough")

    with contextlib.suppress(_Enough):
        draw()
    return found[-1] if is_plain(found[-1].x) else found[0]


def _replay(
    verdict: Verdict,
    law: Law,
    row: Row,
    implementation: Implementation,
    known: Sequence[Known],
    recipes: Recipes,
    clock: _Clock,
) -> None:
    """See whether the known failures are still there."""
    for entry in known:
        example = entry.example(row.name)
        verdict.known = None  # the entries before it excuse nothing
        if not entry.covers(example.recipe, example.x, example.draws):
            verdict.verdict = FAIL
            verdict.message = f"the example of a known failure is none by its own `when`: {entry.reason}"
            return
        with clock.an_example():
            found, is_it = _what_breaks(example, law, row, implementation, recipes)
            if isinstance(found, LawBroken) and not is_it:
                _describe(verdict, found, implementation)
                return
        verdict.examples += 1
        if isinstance(found, LawBroken):
            _describe(verdict, found, implementation)
            verdict.known = entry.reason
            continue
        verdict.mended = _mended(entry, implementation, found)
        if entry.was_seen_in(entry.version_of(implementation)):
            verdict.verdict, verdict.refused = FAIL, False
            how = _REFUSED_NOW if _is_refusal(found) else ""
            verdict.message = f"mended{how}: delete the entry of the known failure: {entry.reason}"
            return


def _what_breaks(
    example: Example, law: Law, row: Row, implementation: Implementation, recipes: Recipes
) -> tuple[LawBroken | Nothing | None, bool]:
    """What becomes of the law on the example of a known failure, and whether it is broken by that; where
    it isn't, that the module can't be called at all: what nobody can call breaks few laws, and mends
    nothing. A module that refuses what the law is about can be called on other maps."""
    pinned = Draw(functools.partial(_pinned, example))
    found = try_example(law, implementation, example.recipe, example.x, pinned)
    if isinstance(found, LawBroken):
        return found, True
    probed = _CALLED if _is_refusal(found) else law
    if not law.of_data and not probed.inputs(row).empty:
        plain = _plain(probed, row, recipes)
        draw = Draw(functools.partial(_pinned, plain))
        called = try_example(_CALLED, implementation, plain.recipe, plain.x, draw)
        if isinstance(called, LawBroken):
            return called, False
    return found, False


def _is_refusal(found: Any) -> bool:
    return isinstance(found, Nothing) and found.is_refusal


def _aged(
    law: Law, row: Row, implementation: Implementation, recipes: Recipes, clock: _Clock
) -> tuple[list[Known], list[tuple[Known, str]]]:
    """The known failures of the law and the row, and apart from them those that are mended in this
    version, which they don't name, each with what says so."""
    known: list[Known] = []
    mended: list[tuple[Known, str]] = []
    for entry in getattr(implementation, "known", ()):
        if not _concerns(entry, law, row):
            continue
        found: LawBroken | Nothing | None = None
        is_there = entry.was_seen_in(entry.version_of(implementation))
        if not is_there:
            try:
                _require(law, implementation, row, None)
                with clock.an_example():
                    example = entry.example(row.name)
                    found, _ = _what_breaks(example, law, row, implementation, recipes)
                is_there = isinstance(found, LawBroken)
            except NotOffered:
                is_there = True  # as far as can be seen
        if is_there:
            known.append(entry)
        else:
            mended.append((entry, _mended(entry, implementation, found)))
    return known, mended


#: How a known failure is mended whose example is refused.
_REFUSED_NOW = ", refused now"


def _mended(entry: Known, implementation: Implementation, found: Any) -> str:
    """That a known failure isn't there in this version, in which its example gives what was ``found``:
    it is mended, but in an older version than it was seen in."""
    word, version = "mended in", entry.version_of(implementation)
    with contextlib.suppress(InvalidVersion):
        if entry.versions and Version(version) < min(map(Version, entry.versions)):
            word = "not there in"
    what = f"{entry.package} {version}" if entry.package else version
    return f"{word} {what}{_REFUSED_NOW if _is_refusal(found) else ''}: {entry.reason}"


def _excuse(
    broken: LawBroken,
    law: Law,
    implementation: Implementation,
    mended: Sequence[Known],
    inherited: Sequence[Known],
) -> str | None:
    """The reason of a failure that is known, although it was not to be expected: its entry seemed to be
    mended, or is that of a part. None where there is none."""
    example = broken.example
    for entry in mended:
        if entry.covers(example.recipe, example.x, example.draws):
            return entry.reason
    return _known_of_parts(broken, law, implementation, inherited)


def _is_called(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The module can be called, and one of the catalog gives a map."""
    y = f(x)
    return (len(y.keys) if is_written(f.recipe.row) else 0,) * 2


_CALLED = Law(_is_called, frozenset())


def _known_of_parts(
    broken: LawBroken, law: Law, implementation: Implementation, inherited: Sequence[Known]
) -> str | None:
    """The reason of a failure that is known of a part that is called, and that this part has by itself;
    None where there is none."""
    of_law = [entry for entry in inherited if entry.law in (law.name, law.known_as)]
    if not of_law or not isinstance(broken.session, ModuleSession):
        return None
    for part, x in broken.session.called_parts(broken.example.x):
        example = replace(broken.example, x=x)
        reason = implementation.known_of_part(of_law, part, example)
        if reason is not None and _breaks_alone(part, law, implementation, example):
            return reason
    return None


def _breaks_alone(
    part: torch.nn.Module, law: Law, implementation: Implementation, example: Example
) -> bool:
    """Whether a part of a module breaks the law by itself, on the map that it was called with."""
    alone = copy.copy(implementation)
    alone.nn = SimpleNamespace(**{**vars(implementation.nn), "part": lambda: copy.deepcopy(part)})
    assert example.recipe is not None
    recipe = replace(example.recipe, call=Call("part"), row=replace(example.recipe.row, maps={}))
    try:
        broken = try_example(law, alone, recipe, example.x, Draw(functools.partial(_pinned, example)))
    except Untested:
        return False
    return isinstance(broken, LawBroken)


def _pinned(example: Example, strategy: st.SearchStrategy[Any], label: str) -> Any:
    if label not in example.draws:
        raise InvalidArgument(
            f"the law draws {label!r}, which the example of the known failure has not: give it "
            f"draws={{{label!r}: ...}}"
        )
    return example.draws[label]


def _describe(verdict: Verdict, broken: LawBroken, implementation: Implementation) -> None:
    writer = ScriptWriter(implementation)
    example = broken.example
    found = _shown(broken)
    words = broken.words
    if found and broken.difference and broken.difference.path.startswith("["):
        # a side that is a list has no name: what it is made of has
        place = found.place
        words = f"{place.name}{place.path}{words.removeprefix(broken.difference.path)}"
    if found is None and broken.kind == FAIL and not _ends_in_an_assertion(broken.session):
        found = missing(broken.session, words)
    verdict.verdict = broken.kind
    verdict.message = words
    lines = writer.bound("x", example.x)
    if example.recipe is not None:
        lines += writer.bound("module", example.recipe)
    for label, value in example.draws.items():
        lines += writer.bound(label, value)
    verdict.counterexample = "\n".join(lines)
    title = f"{implementation.name} {implementation.version}, {verdict.row}: {verdict.law}\n{words}"
    script = writer.script(title, example, broken.steps, found)
    shows = ends_in_a_failure(script) or (bool(broken.steps) and _fails(broken.steps[-1]))
    verdict.reproducer = script if shows else f"{script}{SHOWS_NOTHING}\n"


def _fails(last: Step) -> bool:
    """Whether a script fails by the last step: it raises, or ends the process as what was judged did. In
    what takes too long, or too much memory, no line fails."""
    if not isinstance(last.result, Refused) or last.may_be_refused:
        return False
    error = last.result.error
    return not isinstance(error, TookTooLong) or isinstance(error, EndsProcess)


def _ends_in_an_assertion(session: Session | None) -> bool:
    return bool(session and session.steps and session.steps[-1].code.startswith("assert "))


def _shown(broken: LawBroken) -> Shown | None:
    """Where the script has the sides of the law that differ."""
    session, difference = broken.session, broken.difference
    if session is None or difference is None:
        return None
    expected, tolerance = difference.right, 0.0
    rounds = isinstance(expected, torch.Tensor) and expected.is_floating_point()
    if broken.tolerance is not None and rounds:
        tolerance = broken.tolerance.of(expected.dtype)
    if any(step.cotangents is not None for step in session.steps):
        return _shown_derivative(broken, difference, tolerance)
    if _ends_in_an_assertion(session):
        return None  # the script ends in that already
    recipe, given = broken.example.recipe, [broken.example.x, broken.example.draws]
    if recipe is not None:
        given += [recipe.call.args, recipe.call.kwargs, recipe.properties]
    return shown(session.steps, given, broken.sides, difference, tolerance)


def _shown_derivative(broken: LawBroken, difference: Difference, tolerance: float) -> Shown | None:
    """Where a script has the derivative that differs, which is called by the name of what it is by."""
    found = re.fullmatch(r"\['(.+)'\]", difference.path)
    session, recipe = broken.session, broken.example.recipe
    if found is None or recipe is None or not isinstance(session, ModuleSession):
        return None
    of_input = re.fullmatch(r"x\[(\d+)\]", found[1])
    if of_input:
        name = f"inputs[{of_input[1]}]"
    else:
        names = list(session.twin.parameters())
        name = f"list({session.parameters_code})[{names.index(found[1])}]"
    place = Place(len(session.steps) - 1, name, ".grad")
    return Shown(place, difference.left, difference.right, tolerance)


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
            _in_words(lost.problem) if isinstance(lost.problem, BaseException) else lost.problem.words
        )
        verdict.counterexample = "\n".join(ScriptWriter(implementation).map("x", lost.x))
    except Flaky as error:
        verdict.verdict, verdict.message = ERROR, _unreliable(error)
    except TookTooLong as late:
        verdict.verdict, verdict.message = ERROR, str(late)
    verdict.seconds = round(perf_counter() - started, 3)
    return verdict
