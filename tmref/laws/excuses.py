"""Known failures: whether they are still there, and what they excuse."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from packaging.version import InvalidVersion, Version

from ..catalog import Call, Row
from ..implementations import Example, Implementation, Known
from ..verdicts import FAIL, Verdict
from .clock import Clock
from .describing import describe
from .drawing import Recipes, plain_example
from .law import Law
from .offered import require
from .outcomes import Nothing, NotOffered, Untested
from .premises import is_written
from .session import ModuleSession
from .trying import Draw, LawBroken, try_example

#: How a known failure is mended whose example is refused.
_REFUSED_NOW = ", refused now"


def replay_known(
    verdict: Verdict,
    law: Law,
    row: Row,
    implementation: Implementation,
    known: Sequence[Known],
    recipes: Recipes,
    clock: Clock,
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
                describe(verdict, found, implementation)
                return
        verdict.examples += 1
        if isinstance(found, LawBroken):
            describe(verdict, found, implementation)
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
        plain = plain_example(probed, row, recipes)
        draw = Draw(functools.partial(_pinned, plain))
        called = try_example(_CALLED, implementation, plain.recipe, plain.x, draw)
        if isinstance(called, LawBroken):
            return called, False
    return found, False


def _is_refusal(found: Any) -> bool:
    return isinstance(found, Nothing) and found.is_refusal


def aged(
    law: Law, row: Row, implementation: Implementation, recipes: Recipes, clock: Clock
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
                require(law, implementation, row, None)
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


def _concerns(known: Known, law: Law, row: Row) -> bool:
    return known.law == law.name and row.name in known.rows


def _mended(entry: Known, implementation: Implementation, found: Any) -> str:
    """That a known failure isn't there in this version, in which its example gives what was ``found``:
    it is mended, but in an older version than it was seen in."""
    word, version = "mended in", entry.version_of(implementation)
    with contextlib.suppress(InvalidVersion):
        if entry.versions and Version(version) < min(map(Version, entry.versions)):
            word = "not there in"
    what = f"{entry.package} {version}" if entry.package else version
    return f"{word} {what}{_REFUSED_NOW if _is_refusal(found) else ''}: {entry.reason}"


def excuse_for(
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
