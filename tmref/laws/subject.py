"""What is judged that no catalog knows: modules and functions of one's own, as rows."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from ..block import TensorBlock
from ..catalog import (
    OF_NAMES,
    TRAITS,
    Call,
    Kind,
    Recipe,
    Row,
    Trait,
    set_parameters,
    with_implied,
)
from ..implementations import Example, Implementation
from ..labels import LabelsEntry
from ..printing import meant
from ..strategies import array_values, systems_and_atoms
from ..strategies.numbers import check_strategies
from ..tensor_map import TensorMap
from .interrupts import is_not_of_what_is_judged
from .premises import Inputs
from .sources import code_of
from .twin import quiet

#: What makes the plain torch module of one block.
Twins = Callable[[LabelsEntry, TensorBlock], torch.nn.Module]
#: The strategy of a further input, or what makes it for a map.
Given = st.SearchStrategy[Any] | Callable[[TensorMap], st.SearchStrategy[Any]]

#: What takes more seconds to build is built once for maps of one dtype, and equal keys, components and
#: properties.
SLOW = 0.1

#: What makes a module, or a function, one that is called with a map alone, as laws do.
_CALLED = """\
class Called(torch.nn.Module):
    def __init__(self, module, **given):
        super().__init__()
        self.module, self.given = module, given
    def forward(self, x):
        return {}, **self.given)"""
_FUNCTION = """\
class Function(torch.nn.Module):
    def __init__(self, **given):
        super().__init__()
        self.given = given
    def forward(self, x):
        return function(x, **self.given)"""


@dataclass(frozen=True, repr=False)
class OwnRow(Row):
    """A module of one's own, which ``build`` makes, or a ``function``: what :func:`row_of_module` and
    :func:`row_of_function` give."""

    build: Callable[[Any], torch.nn.Module] | None = None
    function: Callable[..., Any] | None = None
    twin: Twins | None = None
    call: Callable[..., Any] | None = None
    given: Mapping[str, Given] = field(default_factory=dict)
    parameters: Callable[[Any], Sequence[torch.nn.Parameter]] | None = None
    #: The traits that were said, without those that follow from them.
    declared: tuple[str, ...] = ()

    @property
    def is_function(self) -> bool:
        return self.function is not None

    @property
    def has_further_inputs(self) -> bool:
        return bool(self.given)

    @property
    def follows_labels(self) -> bool:
        return any(not isinstance(given, st.SearchStrategy) for given in self.given.values())

    @property
    def is_wrapped(self) -> bool:
        """Whether it is called in another way than with a map alone."""
        return self.function is not None or self.call is not None or bool(self.given)

    def subject(self, base: Implementation) -> Implementation:
        """The implementation with what makes the row's modules, in its nn and in its scripts."""
        there = base.names_in_code()
        names: dict[str, Any] = {"torch": torch}
        lines: list[str] = []
        for name in ("build", "function", "call", "parameters"):
            function = getattr(self, name)
            if function is not None:
                names[name] = function
                lines += code_of(function, name, there)
        if self.is_wrapped:
            called = "self.module(x" if self.call is None else "call(self.module, x"
            source = _CALLED.format(called) if self.function is None else _FUNCTION
            exec(source, names)
            lines.append(source)
        made = copy.copy(base)
        own: dict[str, Any] = {name: names[name] for name in ("Called", "Function") if name in names}
        if self.build is not None:
            own["build"] = _Builder(self.build, base)
        made.nn = SimpleNamespace(**{**vars(base.nn), **own})
        made.imports = tuple(dict.fromkeys((*base.imports, *lines)))
        if self.parameters is not None:
            of_module = self.parameters
            made.parameters_code = f"parameters({{}}{'.module' if self.is_wrapped else ''})"
            inside = (lambda m: m.module) if self.is_wrapped else (lambda m: m)
            made.parameters = lambda module: _checked_parameters(  # type: ignore[method-assign]
                of_module(inside(module))
            )
        return made

    def initial_recipe(self, x: TensorMap) -> Recipe:
        if self.twin is None or self.given:
            what = "has further inputs" if self.given else "has no twin in plain torch"
            raise ValueError(f"{self.name} {what}: there is nothing to compare it with")
        first = [_Twin(self.twin, key, block) for key, block in x.items()]
        values = [tuple(p.detach().clone() for p in twin().parameters()) for twin in first]
        twins = (dataclasses.replace(t, parameters=v) for t, v in zip(first, values, strict=True))
        parameters = tuple(value for of_key in values for value in of_key)
        call = dataclasses.replace(self.made_of(x, {}), parameters=parameters)
        return Recipe(self, call, x.keys, tuple(twins), None)

    def made_of(self, x: TensorMap, given: Mapping[str, Any]) -> Call:
        """The call that makes it for a map, with these further inputs."""
        if self.function is not None:
            return Call("Function", (), given)
        built = Call("build", (x,))
        return Call("Called", (built,), given) if self.is_wrapped else built

    def example(self, x: TensorMap, draws: Mapping[str, Any] | None = None, **given: Any) -> Example:
        """Its module on a map, with further inputs, and what a law draws: for what is known of it."""
        return Example(Recipe(self, self.made_of(x, given), x.keys, None, None), x, dict(draws or {}))


def row_of_module(
    build: Callable[[Any], torch.nn.Module],
    *,
    name: str | None = None,
    twin: Twins | None = None,
    traits: Sequence[str] = (),
    maps: Mapping[str, Any] | None = None,
    inputs: st.SearchStrategy[TensorMap] | None = None,
    call: Callable[..., Any] | None = None,
    given: Mapping[str, Given] | None = None,
    parameters: Callable[[Any], Sequence[torch.nn.Parameter]] | None = None,
) -> OwnRow:
    """A module of one's own as a row, for the ``rows`` of an adapter: arguments as of
    :func:`check_module`, and errors, too. The ``name`` is by default that of ``build``."""
    if isinstance(build, torch.nn.Module):
        raise TypeError(
            f"build must make the module for a map, got a {type(build).__name__}; say: lambda x: ..."
        )
    for option, function in (("twin", twin), ("call", call), ("parameters", parameters)):
        if function is not None and not callable(function):
            raise TypeError(f"{option} must be a function, got {function!r}")
    of_all = _checked(build, name, traits, maps, inputs, given)
    return OwnRow(
        *of_all,
        build=build,
        twin=twin,
        call=call,
        given=given or {},
        parameters=parameters,
        declared=tuple(traits),
    )


def row_of_function(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    twin: Twins | None = None,
    traits: Sequence[str] = (),
    maps: Mapping[str, Any] | None = None,
    inputs: st.SearchStrategy[TensorMap] | None = None,
    given: Mapping[str, Given] | None = None,
) -> OwnRow:
    """A function of maps as a row, for the ``rows`` of an adapter: arguments as of
    :func:`check_function`, and errors, too. The ``name`` is by default that of the function."""
    of_all = _checked(function, name, traits, maps, inputs, given)
    return OwnRow(*of_all, function=function, twin=twin, given=given or {}, declared=tuple(traits))


def _checked(
    subject: Any,
    name: str | None,
    traits: Sequence[str],
    maps: Mapping[str, Any] | None,
    inputs: st.SearchStrategy[TensorMap] | None,
    given: Mapping[str, Given] | None,
) -> tuple[str, Kind, frozenset[str], Mapping[str, Any], Any]:
    """What all rows of one's own have, checked."""
    if not callable(subject):
        raise TypeError(f"what is judged is made, or called, by a function, got {subject!r}")
    for option, options in (("maps", maps), ("given", given)):
        if options is not None and not isinstance(options, Mapping):
            raise TypeError(f"{option} must be a dictionary, got {options!r}")
    aggregated = _checked_traits(traits)
    if inputs is not None:
        if maps is not None:
            raise InvalidArgument("maps are options, and inputs a strategy, of the same: leave one out")
        check_strategies(inputs=inputs)
        if getattr(inputs, "made_by", None) == "tensor_maps":  # laws can narrow its options
            maps, inputs = inputs.options, None  # type: ignore[attr-defined]
    given_samples = inputs is not None or {"samples", "sample_names"} & {*(maps or {})}
    if aggregated and not given_samples:
        maps = {**(maps or {}), **_SAMPLES.get(aggregated, _samples_with(aggregated))}
    for of_name, value in (given or {}).items():
        _check_given(of_name, value)
    name = name or getattr(subject, "__name__", type(subject).__name__)
    if not isinstance(name, str):
        raise TypeError(f"name must be a text, got {name!r}")
    name = str.__str__(name)  # of a text that is more, such as an Enum's, which is not sent to others
    Inputs.taken(maps or {}).maps()  # unusable options are said at once
    return name, Kind(name), with_implied(traits), maps or {}, inputs


def _checked_traits(traits: Sequence[str]) -> tuple[str, ...]:
    """The names of the dimensions that are aggregated. Raises TypeError for what is no list of names,
    ValueError for a trait that there is not, or that is said twice."""
    if isinstance(traits, str) or not isinstance(traits, Collection):
        raise TypeError(f"traits must be a list of names, got {traits!r}")
    of_names: list[Trait] = []
    for trait in traits:
        if not isinstance(trait, str):
            raise TypeError(f"traits must be a list of names, got {trait!r} in it")
        if trait not in TRAITS:
            remedy = meant(trait, TRAITS, f"there are {', '.join(TRAITS)}")
            raise ValueError(f"there is no trait {trait!r}; {remedy}")
        if trait in OF_NAMES and not isinstance(trait, Trait):
            raise ValueError(f"the trait {trait} is of dimensions: tmref.laws.{trait}('atom')")
        of_names += [trait] if isinstance(trait, Trait) else []
    if len(of_names) > 1:
        names = ", ".join(repr(name) for trait in of_names for name in trait.names)
        raise ValueError(
            f"{of_names[0]} is declared twice: say all dimensions in one, aggregates({names})"
        )
    return of_names[0].names if of_names else ()


#: What samples there are unless it is said, by what is aggregated.
_SAMPLES: Mapping[tuple[str, ...], Mapping[str, Any]] = {
    ("atom",): {"samples": systems_and_atoms(min_systems=1, max_systems=3, min_atoms=0, in_order=False)}
}


def _samples_with(aggregated: tuple[str, ...]) -> Mapping[str, Any]:
    """Samples of these dimensions and another one."""
    other = "system" if "system" not in aggregated else "structure"
    return {"sample_names": st.just((other, *aggregated))}


#: What further inputs can't be called: what calls them has these names for other things.
_TAKEN_NAMES = ("self", "module", "x")


def _check_given(name: Any, value: Any) -> None:
    """InvalidArgument unless it is a further input: a strategy, or a function of x, under a name."""
    if not isinstance(name, str) or not name.isidentifier() or name in _TAKEN_NAMES:
        raise InvalidArgument(
            f"given has the name {name!r}: it must be that of an argument of the call, but none of "
            f"{', '.join(_TAKEN_NAMES)}"
        )
    if not isinstance(value, st.SearchStrategy) and not callable(value):
        raise InvalidArgument(
            f"given[{name!r}] must be a strategy, or a function of x that returns one, got "
            f"{value!r}; for one value: hypothesis.strategies.just(...)"
        )


def _given_for(name: str, given: Given, x: TensorMap) -> st.SearchStrategy[Any]:
    """The strategy of a further input for a map. Raises InvalidArgument where none is returned."""
    if isinstance(given, st.SearchStrategy):
        return given
    try:
        made = given(x)
    except Exception as error:
        what = f"raised {type(error).__name__}: {error}"
    else:
        if isinstance(made, st.SearchStrategy):
            return made
        what = f"gave a {type(made).__name__}"
    raise InvalidArgument(
        f"given[{name!r}] must be a function of x, a TensorMap of tmref's, that returns a strategy, and "
        f"{what}; for one value: hypothesis.strategies.just(...)"
    )


def _checked_parameters(found: Any) -> list[torch.nn.Parameter]:
    """What ``parameters(module)`` gave. Raises TypeError where that is no list of parameters."""
    if isinstance(found, torch.Tensor) or not isinstance(found, Iterable):
        raise TypeError(f"parameters(module) must give a list of parameters, got {found!r}")
    parameters = list(found)
    for item in parameters:
        if not isinstance(item, torch.Tensor):
            raise TypeError(f"parameters(module) must give a list of parameters, got {item!r} in it")
    return parameters


class _Builder:
    """What ``build`` gives, which has to be a torch module; a copy of what it gave before, where that
    took long, a copy is faster, and the map is of the same dtype, keys, components and properties."""

    def __init__(self, build: Callable[[Any], torch.nn.Module], implementation: Implementation) -> None:
        self._build, self._implementation = build, implementation
        self._made: dict[str, torch.nn.Module] = {}
        self._is_slow = False

    def __call__(self, x: Any) -> torch.nn.Module:
        key = self._like(x) if self._is_slow else None
        if key is not None and key in self._made:
            return copy.deepcopy(self._made[key])
        started = perf_counter()
        module = self._build(x)
        seconds = perf_counter() - started
        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"build(x) must give a torch.nn.Module, got a {type(module).__name__}")
        if any(torch.nn.parameter.is_lazy(p) for p in (*module.parameters(), *module.buffers())):
            raise TypeError(
                "build(x) gave a module with lazy parameters, which only its first call makes; "
                "call it in build, as in: def build(x): module = ...; module(x); return module"
            )
        if (self._is_slow or seconds > SLOW) and (key := self._like(x)) is not None:
            with contextlib.suppress(Exception):  # one that can't be copied is built each time
                started = perf_counter()
                copied = copy.deepcopy(module)
                self._is_slow = 2 * (perf_counter() - started) < seconds  # it may be no faster
                if self._is_slow:
                    self._made[key] = copied
        return module

    def _like(self, x: Any) -> str | None:
        """What a module of the map depends on, the seed of its initial parameters included; None where
        that can't be read."""
        try:
            tensor = self._implementation.decode(x)
        except Exception:
            return None
        labels = [tensor.keys, *(axis for b in tensor for axis in (*b.components, b.properties))]
        of_labels = [(axis.names, axis.values.tolist()) for axis in labels]
        return repr((tensor.dtype, torch.initial_seed(), of_labels))


@dataclass(frozen=True)
class _Twin:
    """The plain torch module of one block, with parameters of its own or the initial ones."""

    make: Twins
    key: LabelsEntry
    block: TensorBlock
    parameters: tuple[torch.Tensor, ...] | None = None

    def __call__(self) -> torch.nn.Module:
        module = self.make(self.key, self.block)
        if self.parameters is not None:
            set_parameters(list(module.parameters()), self.parameters)
        return module

    def with_initial_parameters(self) -> _Twin:
        return dataclasses.replace(self, parameters=None)


@st.composite
def own_recipes(draw: st.DrawFn, row: OwnRow, x: TensorMap, implementation: Implementation) -> Recipe:
    """The one way to make the row's module, with drawn parameters and further inputs."""
    given = {name: draw(_given_for(name, value, x), label=name) for name, value in row.given.items()}
    call = row.made_of(x, given)
    twins = None
    if row.twin is not None:
        twins = tuple(_Twin(row.twin, key, block) for key, block in x.items())
    try:
        with quiet():
            if twins is None:
                made = [list(implementation.parameters(implementation.make(call)))]
            else:
                made = [list(make().parameters()) for make in twins]
            sizes = [p.numel() for of_key in made for p in of_key]
    except BaseException as error:
        if is_not_of_what_is_judged(error):
            raise
        return Recipe(row, call, x.keys, twins, None)  # the law will meet it again, and say so
    numbers = draw(array_values(shapes=st.just((sum(sizes),)), dtypes=st.just(x.dtype)))
    pieces = iter(numbers.split(sizes)) if sizes else iter(())
    values = [tuple(next(pieces).reshape(p.shape).clone() for p in of_key) for of_key in made]
    call = dataclasses.replace(call, parameters=tuple(v for of_key in values for v in of_key))
    if twins is None:
        return Recipe(row, call, x.keys, None, None)
    with_values = (dataclasses.replace(t, parameters=v) for t, v in zip(twins, values, strict=True))
    return Recipe(row, call, x.keys, tuple(with_values), None)
