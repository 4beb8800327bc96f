"""Laws on one module, or one function, of one's own."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from typing import Any

import torch
from hypothesis import strategies as st

from ..block import TensorBlock
from ..catalog import CONCESSIONS, TRAITS
from ..implementations import CPU, Implementation, load
from ..labels import Labels
from ..tensor_map import TensorMap
from ..verdicts import ERROR, FAIL, PASS, UNTESTED, Verdict
from . import runner
from .answer import OnFail, answer, checked, law_names, with_expected
from .apart import verdict_apart
from .chapters import LAWS
from .law import Law, law
from .limits import Ended
from .outcomes import Raised
from .runner import NO_MAP
from .session import ModuleSession
from .subject import Given, OwnRow, Twins, row_of_function, row_of_module


@law(maps={"min_blocks": 0}, examples=30)
def it_can_be_made_and_called(f: ModuleSession, x: Any, draw: Any) -> Any:
    """What is judged can be made for maps that it takes, and called on them, and so can its twin. It is
    no law, but what all others need: where it doesn't hold they say nothing."""
    y = f(x)
    if not _has_data(y):
        raise Raised(
            f"it returns {'nothing' if y is None else f'a {type(y).__name__}'}, where a map, labels, a "
            "tensor, a number, or dictionaries, lists and tuples of them can be judged"
        )
    if f.recipe.twins is not None:
        f.twin(x)
    elif isinstance(f.recipe.row, OwnRow) and f.recipe.row.parameters is not None:
        f.implementation.parameters(f.module)
    return True, True


def _has_data(y: Any) -> bool:
    """Whether something in what a module returned can be judged; an empty nest may be what is right."""
    if isinstance(y, (dict, list, tuple)):
        items = y.values() if isinstance(y, dict) else y
        return not len(y) or any(map(_has_data, items))
    return isinstance(y, (TensorMap, TensorBlock, Labels, torch.Tensor, int, float))


def check_module(
    build: Callable[[Any], torch.nn.Module],
    *,
    twin: Twins | None = None,
    traits: Sequence[str] = (),
    implementation: Implementation | str = "reference",
    maps: Mapping[str, Any] | None = None,
    inputs: st.SearchStrategy[TensorMap] | None = None,
    call: Callable[..., Any] | None = None,
    given: Mapping[str, Given] | None = None,
    parameters: Callable[[Any], Sequence[torch.nn.Parameter]] | None = None,
    expected_failed_laws: Mapping[str, str] | None = None,
    on_fail: OnFail = "raise",
    effort: float = 1,
    seed: int = 0,
    device: str = "cpu",
    timeout: float | None = None,
    memory: float | None = None,
) -> list[Verdict]:
    """Try the laws on a module of one's own.

    ``build(x)`` makes the module for the keys and features of ``x``, a TensorMap of the
    ``implementation``. ``twin(key, block)`` makes the plain torch module that does the same to one
    block, with its parameters in the same order, key by key; without one, laws about torch are
    untested. ``traits`` are what the module promises, out of :data:`tmref.catalog.TRAITS`; laws that
    need none always apply. ``maps`` are options of :func:`tmref.strategies.tensor_maps`, for modules
    that don't take every map: laws about others are untested. Maps without blocks, samples or
    properties, and of half precision, are tried, and may be refused, unless ``maps`` promise them.
    ``inputs`` says the same as a strategy: :func:`tmref.strategies.tensor_maps` with its options, which
    laws narrow to what they are about, or any strategy of tmref's maps, which laws filter; what laws
    make of these may be refused.
    ``x`` is on ``device``, and where the module isn't, it is moved there.

    ``call(module, x, **given)`` calls the module where ``module(x)`` doesn't, and gives what is judged:
    a map, labels, a tensor, a number, or dictionaries, lists and tuples of them. ``given`` are further
    inputs by name: strategies, or functions of x, as a map of tmref's, that return one. Where one is a
    function of x, laws that would call the module on a map of other labels are untested.
    ``parameters(module)`` are the parameters in the order of the twin's, where ``module.parameters()``
    has another one.

    An example may take ``timeout`` seconds, and a law twenty times that, and so many GiB of ``memory``:
    where either is given, every law is tried in a fork of this process, so that what crashes or hangs,
    too, is one verdict.

    ``expected_failed_laws`` are laws by name, each with the reason why it is broken: one that isn't is
    a failure. First of all the module is made and called: where that fails no law is tried. What takes
    longer than 0.1 s to build, and less to copy, is built once for maps of one dtype, and equal keys,
    components and properties; copies of it are judged.

    Returns the verdicts, and prints which traits held but are not declared, which did not hold by which
    law, and which laws had no maps. Where a law is broken or a declared trait was not tested,
    ``on_fail`` says what is done: "raise" UnexpectedVerdicts, an AssertionError that has all
    ``verdicts``, with the scripts that show it; "warn"; or None, nothing. Raises ValueError for a trait
    or a law that doesn't exist, a trait that no law can test, or an unusable device, TypeError for
    traits or expected laws that are no collection of these, and InvalidArgument for ``maps`` or
    ``given`` that can't be drawn from.
    """
    __tracebackhide__ = True
    row = row_of_module(
        build,
        twin=twin,
        traits=traits,
        maps=maps,
        inputs=inputs,
        call=call,
        given=given,
        parameters=parameters,
    )
    subject = _Subject(
        row, implementation, effort=effort, seed=seed, device=device, timeout=timeout, memory=memory
    )
    return subject.check(expected_failed_laws or {}, on_fail)


def check_function(
    function: Callable[..., Any],
    *,
    twin: Twins | None = None,
    traits: Sequence[str] = (),
    implementation: Implementation | str = "reference",
    maps: Mapping[str, Any] | None = None,
    inputs: st.SearchStrategy[TensorMap] | None = None,
    given: Mapping[str, Given] | None = None,
    expected_failed_laws: Mapping[str, str] | None = None,
    on_fail: OnFail = "raise",
    effort: float = 1,
    seed: int = 0,
    device: str = "cpu",
    timeout: float | None = None,
    memory: float | None = None,
) -> list[Verdict]:
    """Try the laws on a function of one's own, as an operation or a loss: those that are about no state.

    It is called as ``function(x, **given)``. Arguments, what is returned and what is raised are as of
    :func:`check_module`.
    """
    __tracebackhide__ = True
    row = row_of_function(function, twin=twin, traits=traits, maps=maps, inputs=inputs, given=given)
    subject = _Subject(
        row, implementation, effort=effort, seed=seed, device=device, timeout=timeout, memory=memory
    )
    return subject.check(expected_failed_laws or {}, on_fail)


def parametrize_module_with_laws(
    build: Callable[[Any], torch.nn.Module],
    *,
    twin: Twins | None = None,
    traits: Sequence[str] = (),
    implementation: Implementation | str = "reference",
    maps: Mapping[str, Any] | None = None,
    inputs: st.SearchStrategy[TensorMap] | None = None,
    call: Callable[..., Any] | None = None,
    given: Mapping[str, Given] | None = None,
    parameters: Callable[[Any], Sequence[torch.nn.Parameter]] | None = None,
    expected_failed_laws: Mapping[str, str] | None = None,
    effort: float = 1,
    seed: int = 0,
    device: str = "cpu",
    timeout: float | None = None,
    memory: float | None = None,
) -> Callable[[Any], Any]:
    """A decorator for a pytest test of one argument, ``check``: calling it tries one law on the module.

    Every law is a test of its name. A call returns the verdict, or raises UnexpectedVerdicts. Arguments,
    and what is raised for them, are as of :func:`check_module`.
    """
    import pytest

    row = row_of_module(
        build,
        twin=twin,
        traits=traits,
        maps=maps,
        inputs=inputs,
        call=call,
        given=given,
        parameters=parameters,
    )
    subject = _Subject(
        row, implementation, effort=effort, seed=seed, device=device, timeout=timeout, memory=memory
    )
    expected = law_names(expected_failed_laws or {}, {law.name for law in LAWS})

    def checker(law: Law) -> Callable[[], Verdict]:
        def check() -> Verdict:
            __tracebackhide__ = True
            made = subject.made
            if law is it_can_be_made_and_called or not subject.stops_at(made):
                verdict = made if law is it_can_be_made_and_called else subject.verdict_on(law)
                verdict = with_expected(verdict, expected)
                is_wrong = verdict.verdict in (FAIL, ERROR) and not verdict.known
            else:
                first = (made.message or "").splitlines()[0]
                verdict, is_wrong = _untested(law.name, f"it can't be tried: {first}", made), True
            answer([verdict], [verdict] if is_wrong else [], "raise")
            return verdict

        return check

    found = [it_can_be_made_and_called, *subject.laws]
    for name in expected.keys() - {one.name for one in found}:
        raise ValueError(
            f"expected_failed_laws: {name} needs traits that are not declared; take it out of them"
        )
    checks = [checker(law) for law in found]
    return pytest.mark.parametrize("check", checks, ids=[law.name for law in found])


#: What is said of an exception that refuses a map: another end has nothing to do with which map it was.
_OF_AN_EXCEPTION = re.compile("can't be [a-z]+: (?!SystemExit|KeyboardInterrupt)")


class _Subject:
    """A row of one's own, and the implementation that makes it."""

    def __init__(
        self,
        row: OwnRow,
        implementation: Implementation | str,
        *,
        effort: float,
        seed: int,
        device: str,
        timeout: float | None,
        memory: float | None,
    ) -> None:
        base = load(implementation) if isinstance(implementation, str) else implementation
        if not isinstance(base, Implementation):
            raise TypeError(f"implementation must be a name or an Implementation, got {base!r}")
        if not isinstance(seed, int):
            raise TypeError(f"seed must be an int, got {seed!r}")
        self.row, self.effort, self.seed = row, effort, seed
        self.base = base.on(device)
        self.timeout, self.memory = timeout, memory
        for name, value in (("timeout", timeout), ("memory", memory)):
            if value is not None and not (isinstance(value, (int, float)) and 0 < value < inf):
                raise ValueError(f"{name} must be a number above 0, or None, got {value!r}")
            if value is not None and self.base.device != CPU:
                raise ValueError(
                    f"{name} needs a process for each law, which can't share {self.base.device}: leave "
                    "it out, or check on the CPU"
                )
        self.subject = row.subject(self.base)
        self.subject.known = ()  # it is about other rows, whatever this one is called
        require_testable(row)
        it_can_be_made_and_called.examples_on(row, effort)  # an unusable effort is said at once

    @property
    def laws(self) -> list[Law]:
        """The laws that are about it."""
        return [law for law in LAWS if law.applies_to(self.row)]

    @functools.cached_property
    def made(self) -> Verdict:
        """The verdict on whether it can be made and called, with what may help where it can't."""
        verdict = self.verdict_on(it_can_be_made_and_called)
        if self.stops_at(verdict):
            if "twin" in (verdict.message or ""):
                verdict.reproducer = None  # scripts are of the module alone
            verdict.message = f"{verdict.message}{self._remedy(verdict)}"
        return verdict

    def stops_at(self, made: Verdict) -> bool:
        """Whether no law can be tried: it can't be made or called, or there is no map at all, though the
        options allow some."""
        if made.verdict == UNTESTED:
            return not it_can_be_made_and_called.inputs(self.row).empty
        return made.verdict in (FAIL, ERROR)

    def verdict_on(self, law: Law, shrink: bool = True, effort: float | None = None) -> Verdict:
        """The verdict on one law."""
        effort = self.effort if effort is None else effort
        is_made = law is it_can_be_made_and_called

        def check(until: Ended | None = None) -> Verdict:
            return runner.check(
                dataclasses.replace(law, recipes={}),
                self.row,
                self.subject,
                examples=None if is_made else law.examples_on(self.row, effort),
                hypothesis_seed=self.seed,
                shrink=shrink,
                inherited=self.base.known,
                timeout=self.timeout,
                until=until,
            )

        if self.timeout is self.memory is None:
            return check()
        base = self.subject
        blank = Verdict(law.name, self.row.name, base.name, str(base.version), PASS)
        return verdict_apart(check, blank, self.memory)

    def check(self, expected: Mapping[str, str], on_fail: OnFail) -> list[Verdict]:
        """The verdicts of all laws, answered as ``on_fail`` says."""
        __tracebackhide__ = True
        checked(on_fail)
        expected = law_names(expected, {law.name for law in LAWS})
        made = self.made
        if self.stops_at(made):
            return answer([made], [made], on_fail)
        verdicts = [with_expected(self.verdict_on(law), expected) for law in self.laws]
        for v in verdicts:
            if v.warning:
                print(f"{self.row.name}: {v.law}: {v.warning}")
        failed = [v for v in verdicts if v.verdict in (FAIL, ERROR) and not v.known]
        failed += _not_tried(expected, verdicts, made)
        failed += self._untested_traits(verdicts, made)
        tried = {} if failed else self._tried_traits(verdicts)
        if not failed and not tried and not any(v.examples for v in verdicts):
            reason = next((v.message for v in verdicts if v.message), "there is none")
            failed = [_untested("every law", reason, made)]
        if failed:
            return answer(verdicts, failed, on_fail)
        self._print_traits(tried, verdicts)
        return verdicts

    def _remedy(self, made: Verdict) -> str:
        """What may help where it can't be made or called."""
        message = made.message or ""
        if "twin" in message:
            return (
                "\ntwin(key, block) makes a torch module that is called with block.values; all of them "
                "together have the parameters of the module, in its order"
            )
        if made.verdict == UNTESTED or "build(x)" in message or not _OF_AN_EXCEPTION.search(message):
            return ""
        remedies = [
            "for modules that don't take every map say maps={...}, options of "
            "tmref.strategies.tensor_maps: of 4 properties and one dtype take {'min_properties': 4, "
            "'max_properties': 4, 'dtypes': st.just(torch.float32)}",
            "for those that take more than a map say call= and given=",
        ]
        if "AttributeError" in message or "TypeError" in message:
            of_types = f"x was a map of {self.base.name}'s types: for modules on others say "
            remedies.insert(0, f"{of_types}implementation=...")
        return "\n" + "; ".join(remedies)

    def _untested_traits(self, verdicts: Sequence[Verdict], made: Verdict) -> Iterator[Verdict]:
        """A verdict on each declared trait that no law has tested."""
        for trait in self.row.declared:
            names = {one.name for one in _LAWS_ABOUT[trait]}
            about = [v for v in verdicts if v.law in names]
            if about and all(v.verdict == UNTESTED for v in about):
                yield _untested(f"the trait {trait}", about[0].message, made)

    def _print_traits(self, tried: Mapping[str, list[str]], verdicts: Sequence[Verdict]) -> None:
        """Say which traits held that are not declared, which did not, and which laws had no maps."""
        name = self.row.name
        held = [trait for trait, by in tried.items() if not by]
        if held:
            few = ""
            if self.effort < 1:
                few = (
                    f" on the few examples of effort={self.effort:g}, try without it before you declare"
                )
            print(f"{name}: held but not declared{few}: {', '.join(held)}")
        if len(held) < len(tried):
            print(f"{name}: did not hold:")
        for trait, by in tried.items():
            if by:
                print(f"    {trait}, by {', '.join(by)}")
        not_tried = [v for v in verdicts if _is_for_want_of_maps(v)]
        if not_tried:
            print(f"{name}: not tried, for want of maps:")
        for reason in dict.fromkeys(v.message for v in not_tried):
            laws = ", ".join(v.law for v in not_tried if v.message == reason)
            print(f"    {laws}: {reason}")

    def _tried_traits(self, verdicts: Sequence[Verdict]) -> dict[str, list[str]]:
        """The traits that are not declared and could be tested, with the laws that say that they don't
        hold, none where they do. One that holds may be what the laws of others need.

        A law that compared something in fewer than half of its examples shows nothing. Half of what they
        ask for is enough: what is declared then is tried on all.
        """
        effort = self.effort / 2
        found = {v.law: UNTESTED if v.known else v.verdict for v in verdicts}
        declared = self.row.traits
        holds: set[str] = set()
        fails: dict[str, list[str]] = {}
        raised: dict[str, str] = {}
        before: object = None
        # most laws need deterministic: what breaks one of these is not blamed on it
        order = dict.fromkeys(("deterministic", *TRAITS))
        while before != (holds, set(fails)):
            before = set(holds), set(fails)
            for trait in [t for t in order if t not in {*declared, *fails, *CONCESSIONS}]:
                laws = [law for law in LAWS if trait in law.traits <= {*declared, *holds, trait}]
                # what can be compiled or exported says nothing about it
                laws = [law for law in laws if law.family != "transforms"]
                laws = [law for law in laws if all(need.rows(self.row) for need in law.needs)]
                for one in laws:
                    if one.name not in found:
                        v = self.verdict_on(one, shrink=False, effort=effort)
                        few = v.verdict == PASS and 2 * v.examples < one.examples_on(self.row, effort)
                        found[one.name] = UNTESTED if few or v.known else v.verdict
                        if v.verdict == ERROR:
                            raised[one.name] = f" ({(v.message or '').splitlines()[0]})"
                kinds = {found[law.name] for law in laws}
                (holds.add if PASS in kinds and kinds <= {PASS, UNTESTED} else holds.discard)(trait)
                if kinds & {FAIL, ERROR}:
                    broken = [law.name for law in laws if found[law.name] in (FAIL, ERROR)]
                    fails[trait] = [f"{name}{raised.get(name, '')}" for name in broken]
        return {trait: fails.get(trait, []) for trait in TRAITS if trait in holds or trait in fails}


#: The laws that are about each trait.
_LAWS_ABOUT = {trait: [law for law in LAWS if trait in law.traits] for trait in TRAITS}


def _is_for_want_of_maps(verdict: Verdict) -> bool:
    """Whether a law is untested since no map that it is about, or would make, is taken."""
    reasons = ("it takes no maps ", NO_MAP)
    return verdict.verdict == UNTESTED and (verdict.message or "").startswith(reasons)


def require_testable(row: OwnRow) -> None:
    """Raises ValueError where a trait is declared that no law can test: for want of other traits, or of
    maps."""
    for trait in row.declared:
        why_not = [_why_untestable(one, row) for one in _LAWS_ABOUT[trait]]
        if why_not and all(why_not):
            least = min(why_not, key=lambda reason: (reason.count(","), len(reason)))
            raise ValueError(
                f"the trait {trait} of {row.name} can't be tested: {least}; leave the trait out, or say "
                "what is missing"
            )


def _why_untestable(law: Law, row: OwnRow) -> str:
    """Why the law can't be tried on the row, whatever is drawn; "" where it can."""
    needed = [premise.words for premise in law.needs if not premise.rows(row)]
    traits = sorted(law.traits - row.traits)
    if traits:
        needed.append(f"other traits, too: {', '.join(traits)}")
    return f"its laws need {', and '.join(needed)}" if needed else law.inputs(row).empty


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
