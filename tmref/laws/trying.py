"""A law on one example: what breaks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.errors import HypothesisException, InvalidArgument

from ..catalog import Recipe, Row
from ..compare import Difference, Refused, Tolerance, compare
from ..implementations import CPU, Example, Implementation
from ..tensor_map import TensorMap
from ..verdicts import ERROR, FAIL
from .errors import in_words
from .law import Law
from .missing import of_no_data
from .outcomes import Nothing, NotTaken, Raised, Unlike, Untested
from .premises import OF_LABELS, TWIN, is_like, is_written, promised
from .session import ModuleSession, Session, copied
from .steps import CALL, Step
from .tolerance import rounds, tolerance_for
from .twin import on_cpu

_NO_SIDES = "the sides can't be compared"
_NONE = "it returned None, which is no map"


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
            words = f"{_NONE}: {in_words(error)}"
            return LawBroken(FAIL, words, example_of(recipe, before, draw, session), session)
        words = f"{raised}: {in_words(error)}" if error else str(raised)
        given = _last_map(session, before)
        refused = None
        if recipe is not None and isinstance(error, Exception):  # what is none is no refusal
            refused = _not_promised(law, recipe.row, given, before)
        if refused:
            return Nothing(f"{refused}: {words}", is_refusal=True)
        if error is None:
            _assert_data(session, words)
        return LawBroken(ERROR, words, example_of(recipe, before, draw, session), session, error=error)
    except Exception as error:  # what came back has not even the shape that the law speaks of
        no_map = _no_map(session)
        draws_like_it = no_map is not None and isinstance(error, InvalidArgument)
        if isinstance(error, (Untested, HypothesisException)) and not draws_like_it:
            raise
        words = f"{no_map or _NO_SIDES}: {in_words(error)}"
        _assert_a_map(session)
        return LawBroken(FAIL, words, example_of(recipe, before, draw, session), session)
    if isinstance(sides, Refused):
        return Nothing(f"it is refused: {in_words(sides.error)}", is_refusal=True)
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
    example = example_of(recipe, before, draw, session)
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


def example_of(recipe: Recipe | None, x: Any, draw: Draw, session: Session | None) -> Example:
    """The example, with what was drawn for it, and noted of it."""
    return Example(recipe, x, {**draw.drawn, **(session.notes if session else {})})


def _what(value: Any) -> str:
    """What something is, in words."""
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    kind = type(value)
    home = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"a value of type {home}{kind.__qualname__}"
