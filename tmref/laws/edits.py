"""Maps made of maps, keys of keys, recipes of recipes: what laws say about them in one word each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import strategies as st

from ..block import TensorBlock
from ..catalog import Call, Recipe
from ..compare import Refused
from ..labels import Labels
from ..permutations import Permutation
from ..strategies import label_values
from ..tensor_map import TensorMap
from .outcomes import Unlike
from .session import ModuleSession, Session


def with_values(x: TensorMap, values: Sequence[torch.Tensor]) -> TensorMap:
    """The map ``x`` with other values of the same shapes, and without gradients. Raises Unlike where the
    shapes differ."""
    pairs = list(zip(x, values, strict=True))
    for block, expected in pairs:
        if block.shape != expected.shape:
            raise Unlike(block.values, expected)
    return TensorMap(
        x.keys,
        [TensorBlock(v, b.samples, b.components, b.properties) for b, v in pairs],
    )


def require_shapes(y: TensorMap, x: TensorMap) -> None:
    """Raise Unlike where values have other shapes than those of the same blocks."""
    for block, expected in zip(y, x, strict=True):
        if block.shape != expected.shape:
            raise Unlike(block.values, expected.values)


def require_labels(y: TensorMap, x: TensorMap, *of_block: str) -> None:
    """Raise Unlike where the output has other keys than the input, or blocks of it others of these
    labels: what is made of such an output for comparison is as wrong as it is."""
    if y.keys != x.keys:
        raise Unlike(y.keys, x.keys)
    for block, expected in zip(y, x, strict=True):
        if "samples" in of_block and block.samples != expected.samples:
            raise Unlike(block.samples, expected.samples)
        if "components" in of_block:
            for found, axis in zip(block.components, expected.components, strict=False):
                if found != axis:
                    raise Unlike(found, axis)
        if "gradients" in of_block:
            for parameter, gradient in block.gradients():
                if parameter in expected.gradients_list():
                    of = expected.gradient(parameter)
                    if gradient.samples != of.samples:
                        raise Unlike(gradient.samples, of.samples)


def by_twin(f: ModuleSession, y: TensorMap, x: TensorMap) -> TensorMap:
    """The map ``y`` with what plain torch makes of the values of ``x`` under the same keys. Raises
    Unlike where it has others."""
    of_keys = dict(zip(x.keys._entries(), f.twin(x), strict=True))
    if set(y.keys._entries()) != set(of_keys):
        raise Unlike(y.keys, x.keys)
    return with_values(y, [of_keys[entry] for entry in y.keys._entries()])


def map_values(function: Callable[..., torch.Tensor], *maps: TensorMap) -> TensorMap:
    """The first map with ``function`` of the values of all of them, block by block."""
    values = ([block.values for block in tensor] for tensor in maps)
    return with_values(maps[0], list(map(function, *values)))


#: What must hold for laws of labels that mean nothing to a module.
LABEL_FREE = ("deterministic", "keeps_keys", "keeps_samples", "keeps_components", "label_free")


def with_properties(
    f: ModuleSession, expected: TensorMap, given: TensorMap, found: TensorMap
) -> TensorMap:
    """The output that is expected, with the properties that it must have: those of the map that was
    ``given`` where they are kept, those that were asked for, or whichever were ``found``."""
    if "keeps_properties" in f.recipe.row.traits:
        like = given
    elif f.recipe.properties is None:
        like = found
    else:
        return expected
    pairs = zip(expected, like, strict=True)
    blocks = [TensorBlock(b.values, b.samples, b.components, p.properties) for b, p in pairs]
    return TensorMap(expected.keys, blocks)


def with_keys(x: TensorMap, keys: Labels) -> TensorMap:
    """The blocks of ``x`` under other keys."""
    return TensorMap(keys, list(x))


def accepted(f: ModuleSession, x: TensorMap) -> tuple[TensorMap, TensorMap]:
    """The map and what the module makes of it; without its gradients, where they are refused."""
    y = f.attempt(x)
    if not isinstance(y, Refused):
        return x, y
    plain = with_values(x, [block.values for block in x])
    return plain, f(plain)


#: The name of the attribute of values that says of which they are a copy.
KEPT = "kept_from"


@dataclass(frozen=True)
class Kept:
    """Of which values others are a copy, and after how many steps that was made."""

    values: torch.Tensor
    steps: int


def kept(f: Session, y: Any) -> Any:
    """What a line just gave, with copies of its numbers: nothing that is done later changes them. They
    say of what they are copies, for the script that shows what is wrong."""
    if isinstance(y, TensorMap):
        return TensorMap(y.keys, [b._map_values(lambda values: kept(f, values)) for b in y])
    if isinstance(y, torch.Tensor):
        copy = y.detach().clone()
        setattr(copy, KEPT, Kept(y, len(f.steps)))
        return copy
    if isinstance(y, dict):
        return {name: kept(f, item) for name, item in y.items()}
    return type(y)(kept(f, item) for item in y) if type(y) in (list, tuple) else y


def zeros_like(x: TensorMap) -> TensorMap:
    """The map with zeros for values, and without gradients."""
    return map_values(torch.zeros_like, x)


@dataclass(frozen=True)
class Taken:
    """Where values come from: the ``rows`` of the values of another map."""

    values: torch.Tensor
    rows: list[int]


#: The name of the attribute of values that says where they come from.
TAKEN = "taken_from"


def take_samples(x: TensorMap, rows: Sequence[Sequence[int]]) -> TensorMap:
    """The map with the samples at ``rows[i]`` of the block ``i``, and without gradients. Its values say
    where they come from, for the script that shows what is wrong with them."""
    blocks = []
    for block, where in zip(x, rows, strict=True):
        index = torch.tensor(list(where), dtype=torch.int64)
        samples = Labels(block.samples.names, block.samples.values.cpu()[index]).to(block.device)
        values = block.values[index.to(block.device)]
        _say_origin(values, block.values, list(where))
        blocks.append(TensorBlock(values, samples, block.components, block.properties))
    return TensorMap(x.keys, blocks)


def _say_origin(values: torch.Tensor, origin: torch.Tensor, rows: list[int]) -> None:
    """Let values say that they are these rows of others, or of those that these are rows of."""
    before = getattr(origin, TAKEN, None)
    if before is not None:
        origin, rows = before.values, [before.rows[row] for row in rows]
    setattr(values, TAKEN, Taken(origin, rows))


def permuted_by(f: Session, permutation: Permutation, y: TensorMap) -> TensorMap:
    """The map that a line just gave, permuted, whose values say where they come from."""
    found = permutation(y)
    for block, i, rows in zip(found, permutation.keys, permutation.samples, strict=True):
        _say_origin(block.values, y.block(i).values, list(rows))
        for parameter, gradient in block.gradients():
            origin = y.block(i).gradient(parameter).values
            setattr(gradient.values, KEPT, Kept(origin, len(f.steps)))
    return found


def blocks_at(x: TensorMap, order: Sequence[int]) -> TensorMap:
    """The blocks of ``x`` in this order, with their keys."""
    return TensorMap(Labels(x.keys.names, x.keys.values[order]), [x.block(i) for i in order])


def blocks_in(y: Any) -> list[TensorBlock]:
    """The blocks of all maps in what a module returned: a map, or dictionaries, lists and tuples."""
    if isinstance(y, (dict, list, tuple)):
        items = y.values() if isinstance(y, dict) else y
        return [block for item in items for block in blocks_in(item)]
    return list(y) if isinstance(y, TensorMap) else []


def by_key(x: TensorMap) -> list[int]:
    """The positions of the blocks in the order of the integers of their keys."""
    return sorted(range(len(x)), key=x.keys.values.tolist().__getitem__)


def in_order(y: Any) -> Any:
    """What a module returned, with keys and samples in the order of their integers, and without explicit
    gradients, where it is a map."""
    if not isinstance(y, TensorMap):
        return y
    y = blocks_at(y, by_key(y))
    rows = [sorted(range(len(b)), key=b.samples.values.tolist().__getitem__) for b in y]
    return take_samples(y, rows)


def require_grad(x: TensorMap) -> TensorMap:
    """The map with values that autograd differentiates by."""
    return map_values(lambda values: values.detach().clone().requires_grad_(), x)


@dataclass(frozen=True)
class Relabelling:
    """Labels with new ``names`` of dimensions by the old ones, these in an ``order`` (of the old names),
    and values with the ``shift`` of their dimension added, modulo 2³².

    Dimensions that the labels don't have are passed over: it acts on all labels that select by each
    other alike.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    shift: Mapping[str, int] = field(default_factory=dict)

    def __call__(self, labels: Labels) -> Labels:
        """The labels, made anew."""
        old = [name for name in self.order if name in labels.names] or labels.names
        columns = [
            _wrapped(labels.column(name).to(torch.int64) + self.shift.get(name, 0)) for name in old
        ]
        return Labels([self.names.get(name, name) for name in old], torch.stack(columns, 1))


def _wrapped(values: torch.Tensor) -> torch.Tensor:
    return (values + 2**31).remainder(2**32) - 2**31


def relabelled(recipe: Recipe, new: Relabelling) -> Recipe:
    """The recipe for other keys: those that select them have other names, too."""

    def of_argument(name: str, value: Any) -> Any:
        return new(value) if isinstance(value, Labels) else value  # properties are in lists

    call = recipe.call.with_arguments(of_argument)
    return dataclasses.replace(recipe, call=call, in_keys=new(recipe.in_keys))


def another(recipe: Recipe, order: Sequence[int]) -> Recipe:
    """The same module with other parameters and properties, its keys in another order: the i-th is the
    ``order[i]``-th of before."""

    def listed(items: Sequence[Any]) -> list[Any]:
        return [items[i] for i in order]

    def of_argument(name: str, value: Any) -> Any:
        if name == "in_keys":
            return Labels(value.names, value.values[list(order)])
        if name == "out_properties":
            value = [disguised_labels(labels) for labels in value]
        return listed(value) if isinstance(value, list) else value

    assert recipe.twins is not None
    twins = tuple(_with_other_parameters(twin) for twin in listed(recipe.twins))
    return dataclasses.replace(
        recipe,
        call=dataclasses.replace(
            recipe.call.with_initial_parameters().with_arguments(of_argument),
            parameters=tuple(p for twin in twins for p in _parameters(twin)),
        ),
        in_keys=of_argument("in_keys", recipe.in_keys),
        twins=twins,
        properties=None,
    )


def _with_other_parameters(twin: Call) -> Call:
    args = tuple(_with_other_parameters(arg) if isinstance(arg, Call) else arg for arg in twin.args)
    parameters = None if twin.parameters is None else tuple(1 - p for p in twin.parameters)
    return dataclasses.replace(twin, args=args, parameters=parameters)


def _parameters(twin: Call) -> tuple[torch.Tensor, ...]:
    """The parameters of a twin: its own, or those of what it is around."""
    if twin.parameters is not None:
        return twin.parameters
    return tuple(p for arg in twin.args if isinstance(arg, Call) for p in _parameters(arg))


def disguised_labels(labels: Labels) -> Labels:
    """As many labels of the same names, all of them different."""
    return Labels(labels.names, labels.values ^ 1)


def output_of_twin(f: ModuleSession, x: TensorMap) -> TensorMap:
    """The output of plain torch, with the properties that were asked for."""
    properties = dict(zip(f.recipe.in_keys, f.properties, strict=True))
    pairs = zip(f.twin(x), x.items(), strict=True)
    blocks = [TensorBlock(v, b.samples, b.components, properties[key]) for v, (key, b) in pairs]
    return TensorMap(x.keys, blocks)


@st.composite
def with_an_unknown_entry(draw: Any, known: Labels) -> Labels:
    """The keys with another value in one of them, so that it is none of them."""
    entries = known.values.clone()
    which = draw(st.integers(0, len(entries) - 1))
    column = draw(st.integers(0, len(known.names) - 1))
    new = entries[which].tolist()
    new[column] = draw(label_values())
    while new in known:
        new[column] = new[column] + 1 if new[column] < 2**31 - 1 else -(2**31)
    entries[which] = torch.tensor(new, dtype=torch.int32)
    return Labels(known.names, entries)


def make_parameters_signs(f: ModuleSession) -> None:
    """Give all parameters, and the twin's, the values 0, 1 and -1."""
    f.run("with torch.no_grad():\n    for parameter in module.parameters():\n        parameter.sign_()")
    with torch.no_grad():
        for parameter in f.twin.parameters().values():
            parameter.sign_()


def labelled(
    x: TensorMap, values: list[torch.Tensor], properties: list[Labels] | None = None
) -> TensorMap:
    """The map with these values and properties, by default those counting from 0."""
    if properties is None:
        properties = [Labels.range("_", of_block.shape[-1]) for of_block in values]
    rows = zip(x, values, properties, strict=True)
    return TensorMap(x.keys, [TensorBlock(v, b.samples, b.components, p) for b, v, p in rows])
