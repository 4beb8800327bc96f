"""Premises: what a law needs to say anything, of its input, the module and the implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from ..block import TensorBlock
from ..catalog import Recipe, Row
from ..implementations import Implementation
from ..labels import Labels
from ..strategies import tensor_maps
from ..strategies.numbers import check_strategies
from ..tensor_map import TensorMap

#: What is counted of a map, with the largest number that is drawn where nobody says another one.
_COUNTED = {"blocks": 4, "samples": 4, "properties": 4}
#: What numbers may be: where they have a bound, they are not.
_EXTREME = ("wide", "allow_nan", "allow_infinity", "allow_subnormal")
#: What of a map may be said by a strategy of labels: whether one gives others, too, nobody knows, and
#: they may be refused.
OF_LABELS = ("samples", "components", "properties")
#: How maps may be restricted.
_RESTRICTIONS = ("spherical", "one_width")
#: What of a map a strategy says: nobody knows whether it gives another one, too.
_DRAWN: Mapping[str, Callable[[TensorMap], Any]] = {
    "dtypes": lambda x: x.dtype,
    "keys": lambda x: (x.keys.names, sorted(x.keys.values.tolist())),
    "sample_names": lambda x: x.sample_names,
    "component_names": lambda x: x.component_names,
    "property_names": lambda x: x.property_names,
}
_FLOATING = (torch.float32, torch.float64)
_BOTH, _NEVER = frozenset({False, True}), frozenset({False})


@dataclass(frozen=True)
class Inputs:
    """Which maps are allowed, in the words of the options of :func:`tmref.strategies.tensor_maps`.

    ``numbers`` are the least and the most of what is counted, ``flags`` the values that each of them may
    have, ``choices`` strategies, or tuples of what is allowed. ``a & b`` are the maps that both allow;
    where there is none, ``empty`` says why. Where a ``source`` is given, they are those of it that are
    allowed.
    """

    numbers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    flags: Mapping[str, frozenset[bool]] = field(default_factory=dict)
    choices: Mapping[str, Any] = field(default_factory=dict)
    empty: str = ""
    source: st.SearchStrategy[TensorMap] | None = None

    @classmethod
    def taken(cls, options: Mapping[str, Any]) -> Inputs:
        """The maps that a row takes: all that no option excludes."""
        made = cls._of(options, flags=_BOTH, gradients=(0, options.get("max_gradients", inf)))
        calm = {name: options.get(name) is False or "bound" in options for name in _EXTREME}
        flags = {name: _NEVER if is_calm else _BOTH for name, is_calm in calm.items()}
        return cls(made.numbers, {**made.flags, **flags}, made.choices)

    @classmethod
    def needed(cls, options: Mapping[str, Any]) -> Inputs:
        """The maps that a law is about: where it says so, of gradients, NaN and the like; else not."""
        most = options.get("max_gradients", 0)
        made = cls._of(options, flags=_BOTH, gradients=(min(1, most), most))
        flags = {name: frozenset({bool(options.get(name, False))}) for name in _EXTREME}
        return cls(made.numbers, {**made.flags, **flags}, made.choices)

    @classmethod
    def _of(
        cls, options: Mapping[str, Any], flags: frozenset[bool], gradients: tuple[float, float]
    ) -> Inputs:
        numbers: dict[str, tuple[float, float]] = {
            name: (options.get(f"min_{name}", 0), options.get(f"max_{name}", inf)) for name in _COUNTED
        }
        numbers["gradients"] = gradients
        numbers["lambda"] = 0, options.get("max_lambda", inf)
        numbers["bound"] = 1, inf if options.get("bound") is None else options["bound"]
        of_flags = {n: frozenset({options[n]}) if n in options else flags for n in _RESTRICTIONS}
        known = {f"{end}_{name}" for end in ("min", "max") for name in numbers} | {"bound"}
        rest = {n: v for n, v in options.items() if n not in known | {*_EXTREME, *_RESTRICTIONS}}
        if not isinstance(options.get("wide", False), bool):
            rest["wide"] = options["wide"]
        return cls(numbers, of_flags, {name: value for name, value in rest.items() if value is not None})

    def __and__(self, other: Inputs) -> Inputs:
        """The maps that these, which are taken, and the others, which are needed, have in common."""
        empty = self.empty or other.empty
        numbers = {}
        for name, (least, most) in self.numbers.items():
            low, high = other.numbers[name]
            numbers[name] = max(least, low), min(most, high)
            if low > most:
                needed = _number(name, low, "at least")
                empty = empty or f"it is about {needed}, and at most {most} are taken"
            if least > high:
                needed = _number(name, high, "at most")
                empty = empty or f"it is about {needed}, and at least {least} are taken"
        flags = {name: values & other.flags[name] for name, values in self.flags.items()}
        for name, values in flags.items():
            if not values:
                what = name.removeprefix("allow_").replace("_", " ")
                which = "are" if other.flags[name] == {True} else "are not"
                empty = empty or f"it is about maps that {which} {what}, and such are not taken"
        choices = {**self.choices, **other.choices}
        for name in self.choices.keys() & other.choices.keys():
            mine, theirs = self.choices[name], other.choices[name]
            choices[name] = _both(mine, theirs)
            if choices[name] == ():
                empty = empty or f"it is about {name} of {_words(theirs)}, and {_words(mine)} are taken"
            elif choices[name] is None:
                empty = empty or f"the law and the row both say which {name} there are"
        return Inputs(numbers, flags, choices, empty)

    def maps(self) -> st.SearchStrategy[TensorMap]:
        """The strategy of these maps. Raises InvalidArgument where there can be none."""
        if self.source is not None:
            return self.source.map(self._of_source).filter(self._is_allowed)
        options: dict[str, Any] = {}
        for name, most in _COUNTED.items():
            low, high = self.numbers[name]
            options[f"min_{name}"] = low
            options[f"max_{name}"] = int(max(most, low) if high == inf else high)
        options["max_gradients"] = int(min(2, self.numbers["gradients"][1]))
        for option, name in (("max_lambda", "lambda"), ("bound", "bound")):
            if self.numbers[name][1] != inf:
                options[option] = self.numbers[name][1]
        options.update({name: True for name, values in self.flags.items() if False not in values})
        for name, value in self.choices.items():
            if name != "wide" or False not in self.flags["wide"]:
                is_choice = name in _DRAWN and isinstance(value, tuple)
                options[name] = _strategy(value) if is_choice else value
        if "keys" in options:
            check_strategies(keys=options["keys"])
            low, high = self.numbers["blocks"]
            options["keys"] = options["keys"].filter(
                # what is no Labels goes through, to be refused in words
                lambda keys: not isinstance(keys, Labels) or low <= len(keys) <= high
            )
        return tensor_maps(**options)

    def _of_source(self, x: Any) -> TensorMap:
        """What the source gave, without its gradients where there are to be none."""
        if not isinstance(x, TensorMap):
            raise InvalidArgument(f"inputs must give tmref's TensorMaps, got a {type(x).__name__}")
        if self.numbers["gradients"][1] or not any(block.has_any_gradient() for block in x):
            return x
        blocks = [TensorBlock(b.values, b.samples, b.components, b.properties) for b in x]
        return TensorMap(x.keys, blocks)

    def _is_allowed(self, x: TensorMap) -> bool:
        """Whether a map of the source is one of these."""
        found = {
            "spherical": not len(x) or x.component_names == ["o3_mu"],
            "one_width": len({len(block.properties) for block in x}) <= 1,
        }
        has_them = all(found[name] in self.flags[name] for name in _RESTRICTIONS)
        finite = all(bool(b.values.isfinite().all()) for b in x if b.dtype.is_floating_point)
        return has_them and finite and self.why_not(x) is None

    def why_not(self, x: TensorMap, drawn: TensorMap | None = None) -> str | None:
        """What of a map is not allowed, in words; None where all of it is.

        Where a strategy says what is, that is known only of what was ``drawn``.
        """
        return next(self._excluded(x, drawn), None)

    def _excluded(self, x: TensorMap, drawn: TensorMap | None) -> Iterator[str]:
        sizes = {
            "blocks": [len(x)],
            "samples": [len(block) for block in x],
            "properties": [len(block.properties) for block in x],
            "gradients": [len(block.gradients_list()) for block in x],
        }
        for name, found in sizes.items():
            least, most = self.numbers[name]
            for number in found:
                if not least <= number <= most:
                    yield f"without {name}" if not number else f"of {number} {name}"
        for name, value in self.choices.items():
            of_map = _DRAWN.get(name)
            if of_map is None or (name != "keys" and not len(x)):
                continue
            if isinstance(value, tuple):
                if of_map(x) not in value:
                    yield f"of {of_map(x)}"
            elif drawn is not None and of_map(x) != of_map(drawn):
                yield f"with other {name.replace('_', ' ')}"
        bound = self.numbers["bound"][1]
        if bound != inf and any(bool((block.values.abs() > bound / 8).any()) for block in x):
            yield f"of numbers above {bound / 8}"


def _number(name: str, number: float, word: str) -> str:
    return f"maps without {name}" if not number else f"{word} {number} {name}"


def _words(choice: Any) -> str:
    return ", ".join(map(str, choice)) if isinstance(choice, tuple) else "others"


def _strategy(allowed: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    return st.just(allowed[0]) if len(allowed) == 1 else st.sampled_from(allowed)


def _both(taken: Any, needed: Any) -> Any:
    """What both allow: a tuple, a strategy; None where nobody can tell."""
    if isinstance(needed, tuple):
        if isinstance(taken, tuple):
            return tuple(item for item in needed if item in taken)
        return taken.filter(lambda item: item in needed)
    return needed.filter(lambda item: item in taken) if isinstance(taken, tuple) else None


def is_like(x: TensorMap, y: TensorMap) -> bool:
    """Whether two maps differ by nothing but their numbers, and their gradients."""

    def of_blocks(tensor: TensorMap) -> list[Any]:
        return [[b.samples, b.components, b.properties, b.dtype] for b in tensor]

    return x.keys == y.keys and of_blocks(x) == of_blocks(y)


#: What a module of one's own promises to take where nobody says otherwise.
_ORDINARY = {"min_blocks": 1, "min_samples": 1, "min_properties": 1, "dtypes": _FLOATING}


def promised(row: Row) -> Inputs:
    """The maps that a row promises to take: those of the catalog all that they can be given, a module of
    one's own what its ``maps`` say, and by default no empty ones and no half precision. Everything else
    is tried, and may be refused."""
    return Inputs.taken(row.maps if is_written(row) else {**_ORDINARY, **row.maps})


def is_written(row: Row) -> bool:
    """Whether the arguments of the row's modules are those of the catalog, which says what they mean."""
    return bool(row.layers)


@dataclass(frozen=True)
class Premise:
    """What a law needs of the module or of the implementation: ``words`` say it.

    ``why_not`` says in words why it doesn't hold, of a row before anything is drawn, or of a recipe.
    Where it is ``claimed`` by the implementation, that is a promise for all rows of the catalog. Where
    it is what the row is, ``rows`` says of which it holds: on others the law is not tried at all.
    """

    words: str
    why_not: Callable[[Implementation, Row, Recipe | None], str | None]
    claimed: bool = False
    rows: Callable[[Row], bool] = lambda row: True


def _without_twin(_: Implementation, row: Row, recipe: Recipe | None) -> str | None:
    if recipe is not None and recipe.twins is None:
        return "there is no twin in plain torch to compare with"
    return None


def _without_arguments(_: Implementation, row: Row, recipe: Recipe | None) -> str | None:
    return None if is_written(row) else "nobody says which arguments the module has"


def _without_properties(_: Implementation, row: Row, recipe: Recipe | None) -> str | None:
    if recipe is not None and recipe.properties is None:
        return "nobody says which properties the output must have"
    return None


def of_row(words: str, rows: Callable[[Row], bool]) -> Premise:
    """The premise of a law that is about some rows alone."""
    return Premise(words, lambda _, row, recipe: None, rows=rows)


#: A twin in plain torch, which says that every block of the input gives one of the output.
TWIN = Premise("a twin in plain torch", _without_twin)
#: A module of the catalog: what it is made of can be changed, and what its documents demand holds.
WRITTEN = Premise("a module of the catalog", _without_arguments)
#: A module, which may have state, rather than a function.
MODULE = of_row("a module, not a function", lambda row: not row.is_function)
#: Something that it is given besides a map.
FURTHER_INPUTS = of_row("further inputs", lambda row: row.has_further_inputs)
PROPERTIES = Premise("known properties of the output", _without_properties)


def ability(name: str) -> Premise:
    """That the implementation has the ability: its attribute of this name is true."""

    def why_not(implementation: Implementation, row: Row, recipe: Recipe | None) -> str | None:
        offered = getattr(implementation, name, False)
        return None if offered else f"{implementation.name} does not offer it: {name}"

    return Premise(f"the ability {name}", why_not, claimed=True)


def inputs(row: Row, options: Mapping[str, Any]) -> Inputs:
    """The maps that the row takes, and that a law of these options is about."""
    both = Inputs.taken(row.maps) & Inputs.needed(options)
    if row.inputs is not None:
        both = replace(both, source=row.inputs)
        extreme = [name for name in _EXTREME if True in both.flags[name]]
        if extreme and not both.empty:
            what = extreme[0].removeprefix("allow_")
            both = replace(both, empty=f"it is about maps that are {what}, which nobody draws")
    if both.empty:
        return both
    try:
        both.maps()
    except InvalidArgument as error:
        return replace(both, empty=f"no map can be drawn: {error}")
    return both


def plain_data() -> dict[str, Any]:
    """Small labels, a block and a map with nothing empty, by the names of their types, and the map for
    operations, too: what is refused for these is not offered."""
    labels = Labels(["system"], torch.tensor([[0], [1]]))
    block = TensorBlock(torch.ones(2, 2), labels, [], Labels.range("n", 2))
    of_map = TensorBlock(torch.ones(2, 2), labels, [], Labels.range("n", 2))
    of_types = {"Labels": labels, "TensorBlock": block}
    plain = TensorMap(Labels.range("key", 1), [of_map])
    return {**of_types, "TensorMap": plain, "operations": plain}


def is_plain(x: TensorMap) -> bool:
    """Whether a map has nothing empty, and is of float32."""
    return len(x) > 0 and all(b.values.numel() > 0 and b.dtype == torch.float32 for b in x)
