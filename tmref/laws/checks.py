"""Laws from Python: on a module of one's own, on an implementation, in a test-suite of one's own."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from ..catalog import DATA, TRAITS, Kind, Row, with_implied
from ..implementations import Implementation, load
from ..verdicts import ERROR, FAIL, PASS, UNTESTED, Verdict
from . import runner, smoke
from .answer import OnFail, answer, checked, law_names, with_expected
from .chapters import LAWS
from .law import Law, law
from .premises import Inputs
from .session import ModuleSession
from .sources import code_of
from .subject import Twins, own_recipes


@dataclass(frozen=True)
class Case:
    """One law on one row of an implementation; the smoke law where there is no law."""

    implementation: Implementation
    law: Law | None
    row: Row | None
    examples: int | None = None
    seed: int = 0
    database: Path | None = None

    @property
    def name(self) -> str:
        """The case in one word: implementation, row and law."""
        row = self.row.name if self.row else runner.NO_ROW
        law = self.law.name if self.law else smoke.NAME
        return f"{self.implementation.name}-{row}-{law}"

    def check(self) -> Verdict:
        """The verdict; untested where the smoke law failed before."""
        first = runner.smoke(self.implementation, self.seed)
        if self.law is None or self.row is None:
            return first
        if first.verdict != PASS:
            reason = f"the smoke law failed: {first.message}"
            version = str(self.implementation.version)
            return Verdict(
                self.law.name, self.row.name, self.implementation.name, version, UNTESTED, message=reason
            )
        database = self.database and self.database / self.name.replace(":", ".")
        return runner.check(
            self.law,
            self.row,
            self.implementation,
            examples=self.examples,
            hypothesis_seed=self.seed,
            database=database,
        )


def cases(
    implementation: Implementation,
    *,
    effort: float = 1,
    seed: int = 0,
    database: Path | None = None,
    device: str = "cpu",
) -> list[Case]:
    """The smoke law, then every law on every row that has its traits, on ``effort`` times the examples
    that it asks for, with all data and modules on ``device``. Raises UnusableDevice where there is none
    of this name."""
    implementation = implementation.on(device)
    rows = implementation.rows
    found = [
        Case(implementation, law, row, law.examples_on(row, effort, rows), seed, database)
        for row in (*DATA, *rows)
        for law in LAWS
        if law.applies_to(row)
    ]
    return [Case(implementation, None, None, None, seed, database), *found]


def check_implementation(
    implementation: Implementation | str,
    *,
    on_fail: OnFail = "raise",
    effort: float = 1,
    seed: int = 0,
    device: str = "cpu",
) -> list[Verdict]:
    """Try every law on every row of an implementation, given by itself or by name or path, on
    ``effort`` times the examples that the laws ask for, with all data and modules on ``device``.

    Returns the verdicts. Where some are not as expected, ``on_fail`` says what is done: "raise"
    UnexpectedVerdicts, an AssertionError that has all ``verdicts``, with the scripts that show it;
    "warn"; or None, nothing. Raises UnusableDevice where there is no such device.
    """
    __tracebackhide__ = True
    checked(on_fail)
    if isinstance(implementation, str):
        implementation = load(implementation)
    verdicts = [case.check() for case in cases(implementation, effort=effort, seed=seed, device=device)]
    return answer(verdicts, [v for v in verdicts if not v.expected], on_fail)


def parametrize_with_laws(
    implementation: Implementation | str, *, effort: float = 1, seed: int = 0, device: str = "cpu"
) -> Callable[[Any], Any]:
    """A decorator for a pytest test of one argument, ``check``: calling it tries one law on one row.

    It raises UnexpectedVerdicts as :func:`check_implementation` does.
    """
    import pytest

    if isinstance(implementation, str):
        implementation = load(implementation)

    def checker(case: Case) -> Callable[[], Verdict]:
        def check() -> Verdict:
            __tracebackhide__ = True
            verdict = case.check()
            answer([verdict], [] if verdict.expected else [verdict], "raise")
            return verdict

        return check

    found = cases(implementation, effort=effort, seed=seed, device=device)
    return pytest.mark.parametrize(
        "check", [checker(case) for case in found], ids=[case.name for case in found]
    )


@law(maps={"min_samples": 1, "min_properties": 1}, examples=20)
def the_module_can_be_made_and_called(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A module can be made for maps that it takes, and called on them, and so can its twin. It is no
    law, but what all others need: where it doesn't hold they say nothing."""
    f(x)
    if f.recipe.twins is not None:
        f.twin(x)
    return True, True


def check_module(
    build: Callable[[Any], torch.nn.Module],
    *,
    twin: Twins | None = None,
    traits: Sequence[str] = (),
    implementation: Implementation | str = "reference",
    maps: Mapping[str, Any] | None = None,
    expected_failed_laws: Mapping[str, str] | None = None,
    on_fail: OnFail = "raise",
    effort: float = 1,
    seed: int = 0,
    device: str = "cpu",
) -> list[Verdict]:
    """Try the laws on a module of one's own.

    ``build(x)`` makes the module for the keys and features of ``x``, a TensorMap of the
    ``implementation``. ``twin(key, block)`` makes the plain torch module that does the same to one
    block, with its parameters in the same order, key by key; without one, laws about torch are
    untested. ``traits`` are what the module promises, out of :data:`tmref.catalog.TRAITS`; laws that
    need none always apply. ``maps`` are options of :func:`tmref.strategies.tensor_maps`, for modules
    that don't take every map: laws about others are untested. Maps without blocks, samples or
    properties, and of half precision, are tried, and may be refused, unless ``maps`` promise them.
    ``x`` is on ``device``, and where the module isn't, it is moved there.

    ``expected_failed_laws`` are laws by name, each with the reason why it is broken: one that isn't is
    a failure. First of all the module is made and called: where that fails no law is tried.

    Returns the verdicts, and prints which traits held but are not declared, and which did not hold by
    which law. Where a law is broken or a declared trait can't be tested, ``on_fail`` says what is done:
    "raise" UnexpectedVerdicts, an AssertionError that has all ``verdicts``, with the scripts that show
    it; "warn"; or None, nothing. Raises ValueError for a trait or a law that doesn't exist, or an
    unusable device, and TypeError for traits or expected laws that are no collection of these, and where
    ``build`` gives no torch module, or one whose parameters are not there before its first call.
    """
    __tracebackhide__ = True
    checked(on_fail)
    expected = law_names(expected_failed_laws or {}, {law.name for law in LAWS})
    if isinstance(traits, str):
        raise TypeError(f"traits must be a list of names, got {traits!r}")
    unknown = sorted(set(traits) - set(TRAITS))
    if unknown:
        raise ValueError(f"there is no trait {unknown[0]!r}; there are {', '.join(TRAITS)}")
    base = load(implementation) if isinstance(implementation, str) else implementation
    subject = copy.copy(base.on(device))
    unfit: list[str] = []

    def checked_build(x: Any) -> torch.nn.Module:
        module = build(x)
        unfit.extend(_unfit(module))
        return module

    subject.nn, subject.known = SimpleNamespace(**{**vars(base.nn), "build": checked_build}), ()
    name = getattr(build, "__name__", type(build).__name__)
    subject.imports = (*base.imports, *code_of(build, "build", base.names_in_code()))
    row = Row(name, Kind("build"), with_implied(traits), maps or {})
    Inputs.taken(row.maps).maps()  # unusable options are said at once

    def verdict_on(law: Law, shrink: bool = True) -> Verdict:
        law = dataclasses.replace(law, recipes={})
        return runner.check(
            law,
            row,
            subject,
            recipes=lambda row, x: own_recipes(row, x, subject, twin),
            examples=law.examples_on(row, effort),
            hypothesis_seed=seed,
            shrink=shrink,
            inherited=base.known,
        )

    made = verdict_on(the_module_can_be_made_and_called)
    if unfit:
        raise TypeError(unfit[0])
    if made.verdict in (FAIL, ERROR) or _cannot_be_drawn(made, row):
        made.message = f"{made.message}{_remedy(made, base)}"
        return answer([made], [made], on_fail)
    verdicts = [with_expected(verdict_on(law), expected) for law in LAWS if law.applies_to(row)]
    failed = [v for v in verdicts if v.verdict in (FAIL, ERROR) and not v.known]
    failed += _not_tried(expected, verdicts, made)
    of_trait = {law.name: law.traits for law in LAWS}
    for trait in traits:
        about = [v for v in verdicts if trait in of_trait[v.law]]
        if any(trait in law.traits and law.inputs(row).empty for law in LAWS if law.applies_to(row)):
            continue  # there is no map that it could be tested on
        if not any(v.verdict != UNTESTED for v in about):
            others = [", ".join(sorted(law.traits - row.traits)) for law in LAWS if trait in law.traits]
            needed = min(others, key=lambda names: names.count(","), default="")
            reason = about[0].message if about else f"its laws need other traits, too: {needed}"
            failed.append(_untested(f"the trait {trait}", reason, made))
    if not any(v.examples for v in verdicts):
        failed = failed or verdicts
    if failed:
        return answer(verdicts, failed, on_fail)
    tried = _tried_traits(row, effort, verdicts, lambda law: verdict_on(law, False))
    held = [trait for trait, by in tried.items() if not by]
    if held:
        print(f"{name}: held but not declared: {', '.join(held)}")
    if len(held) < len(tried):
        print(f"{name}: did not hold:")
    for trait, by in tried.items():
        if by:
            print(f"    {trait}, by {', '.join(by)}")
    return verdicts


def _tried_traits(
    row: Row, effort: float, verdicts: Sequence[Verdict], check: Callable[[Law], Verdict]
) -> dict[str, list[str]]:
    """The traits that are not declared and could be tested, with the laws that say that they don't hold,
    none where they do. One that holds may be what the laws of others need.

    A law that compared something in fewer than half of its examples shows nothing.
    """
    found = {v.law: UNTESTED if v.known else v.verdict for v in verdicts}
    declared = row.traits
    holds: set[str] = set()
    fails: dict[str, list[str]] = {}
    before: object = None
    # most laws need deterministic: what breaks one of these is not blamed on it
    order = dict.fromkeys(("deterministic", *TRAITS))
    while before != (holds, set(fails)):
        before = set(holds), set(fails)
        for trait in [trait for trait in order if trait not in {*declared, *fails}]:
            laws = [law for law in LAWS if trait in law.traits <= {*declared, *holds, trait}]
            # what can be compiled or exported says nothing about it
            laws = [law for law in laws if law.family != "transforms"]
            for one in laws:
                if one.name not in found:
                    v = check(one)
                    few = v.verdict == PASS and 2 * v.examples < one.examples_on(row, effort)
                    found[one.name] = UNTESTED if few or v.known else v.verdict
            kinds = {found[law.name] for law in laws}
            (holds.add if PASS in kinds and kinds <= {PASS, UNTESTED} else holds.discard)(trait)
            if kinds & {FAIL, ERROR}:
                fails[trait] = [law.name for law in laws if found[law.name] in (FAIL, ERROR)]
    return {trait: fails.get(trait, []) for trait in TRAITS if trait in holds or trait in fails}


def _unfit(module: Any) -> Iterator[str]:
    """What is wrong with what ``build`` gives."""
    if not isinstance(module, torch.nn.Module):
        yield f"build(x) must give a torch.nn.Module, got a {type(module).__name__}"
    elif any(torch.nn.parameter.is_lazy(p) for p in (*module.parameters(), *module.buffers())):
        yield (
            "build(x) gave a module with lazy parameters, which are there only after its first call; "
            "call it on x in build, as in: def build(x): module = ...; module(x); return module"
        )


def _cannot_be_drawn(made: Verdict, row: Row) -> bool:
    """Whether there is no map at all, though the options allow some."""
    return made.verdict == UNTESTED and not the_module_can_be_made_and_called.inputs(row).empty


def _remedy(made: Verdict, implementation: Implementation) -> str:
    """What may help where a module can't be made or called."""
    message = made.message or ""
    if "twin" in message:
        return (
            "\ntwin(key, block) makes a torch module that is called with block.values; all of them "
            "together have the parameters of the module, in its order"
        )
    if made.verdict == UNTESTED:
        return ""
    return (
        f"\nx was a map of {implementation.name}'s types: for modules on others say implementation=...; "
        "for modules that don't take every map say maps={...}, options of tmref.strategies.tensor_maps"
    )


def _not_tried(
    expected: Mapping[str, str], verdicts: Sequence[Verdict], like: Verdict
) -> Iterator[Verdict]:
    """A verdict on each law that is expected to fail and isn't about the module."""
    tried = {v.law for v in verdicts}
    for name, reason in expected.items():
        if name not in tried:
            words = f"it is expected to fail ({reason}), but needs traits that are not declared"
            yield _untested(name, f"{words}; take it out of expected_failed_laws", like)


def _untested(law: str, reason: str | None, like: Verdict) -> Verdict:
    """A verdict on the module that another one is on."""
    return Verdict(law, like.row, like.implementation, like.version, UNTESTED, message=reason)
