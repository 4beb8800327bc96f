"""What a verdict says of a broken law: the example in code, and a script that shows it."""

from __future__ import annotations

import re

import torch

from ..compare import Difference, Refused
from ..implementations import Implementation
from ..verdicts import FAIL, SHOWS_NOTHING, Verdict
from .limits import EndsProcess, TookTooLong
from .missing import missing
from .script import ScriptWriter, ends_in_a_failure
from .session import ModuleSession, Session
from .shown import Place, Shown, shown
from .steps import Step
from .trying import LawBroken


def describe(verdict: Verdict, broken: LawBroken, implementation: Implementation) -> None:
    """Have the verdict say what breaks the law, on which example, with a script that shows it."""
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
