"""Strategies for what must be refused: invalid labels, blocks and maps.

Every kind of defect is one function: it draws something valid, breaks one thing of it, and returns the
reason why that is invalid, with the call that makes it. ``@defect`` adds it to a table, with the source
that says so: ``LABELS``, ``BLOCKS``, ``MAPS`` and :mod:`invalid_modules`' ``RECIPES`` list all kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st

from tmref import Labels, TensorBlock, TensorMap
from tmref.catalog import Call, Recipe
from tmref.printing import PrintedAsSource

from ._strategy import Draw, strategy
from .axes import labels
from .maps import tensor_blocks, tensor_maps


@dataclass(frozen=True, repr=False)
class Invalid(PrintedAsSource):
    """Something that must be refused: how it is made, and the reason why it is invalid.

    ``reason`` has the numbers of this very case. ``source`` says who refuses it: [doc], [maths] and
    [torch] bind everybody, [ours] the reference alone. ``call`` makes it; where there is ``x``, the
    module that it makes, if it makes one, must not take that map. ``kind`` is the name of the defect.

    >>> wrong = find(invalid_labels(), lambda wrong: wrong.kind == "values_beyond_32_bits")
    >>> wrong.reason, wrong.source
    ('the value in row 0 and column 0 is 2147483648', '[doc] Labels.values: "32-bit integers"')
    >>> wrong.attempt(load("reference"))
    Traceback (most recent call last):
    ...
    ValueError: values must fit in 32 bits, from -2147483648 to 2147483647, got 2147483648
    """

    reason: str
    source: str
    call: Call
    x: TensorMap | None = None
    kind: str = ""

    def attempt(self, implementation: Any) -> Any:
        """What the implementation makes of it: labels, a block, a map, or what the module returns.

        Raises whatever the implementation raises.
        """
        made = implementation.make(self.call)
        return made if self.x is None else made(implementation.encode(self.x))


@dataclass(frozen=True)
class DefectFound:
    """What a defect returns; ``source`` and ``x`` where they are other than those of its kind."""

    reason: str
    call: Call
    source: str | None = None
    x: TensorMap | None = None


@dataclass(frozen=True)
class Defect:
    """A kind of defect: what makes it, who says that it is one, and which modules can have it."""

    name: str
    breaks: Callable[..., DefectFound]
    source: str
    can: Callable[[Recipe, TensorMap], bool]

    def __repr__(self) -> str:
        return self.name


def _any(recipe: Recipe, x: TensorMap) -> bool:
    return True


def defect(
    table: list[Defect], source: str, can: Callable[[Recipe, TensorMap], bool] = _any
) -> Callable[[Callable[..., DefectFound]], Callable[..., DefectFound]]:
    """Add a kind of defect to a table, by the name of the function."""

    def add(breaks: Callable[..., DefectFound]) -> Callable[..., DefectFound]:
        table.append(Defect(breaks.__name__, breaks, source, can))
        return breaks

    return add


def broken(draw: Draw, kind: Defect, *args: Any) -> Invalid:
    """Something with a defect of this kind."""
    found = kind.breaks(draw, *args)
    return Invalid(found.reason, found.source or kind.source, found.call, found.x, kind.name)


def other_size(draw: Draw, *sizes: int, least: int = 0) -> int:
    """A size up to 5 that is none of ``sizes``."""
    return draw(st.sampled_from([size for size in range(least, 6) if size not in sizes]))


def pick_index(draw: Draw, items: Any) -> int:
    """The position of one of the ``items``."""
    return draw(st.sampled_from(range(len(items))))


def _doubled(draw: Draw, size: int) -> tuple[list[int], int, int]:
    """The positions 0, 1, ... with any one inserted again anywhere, and where the two are then."""
    order = list(range(size))
    twice = pick_index(draw, order)
    order.insert(draw(st.sampled_from(range(size + 1))), twice)
    first = order.index(twice)
    return order, first, order.index(twice, first + 1)


def numbered(axis: Labels, size: int) -> Labels:
    """Labels of so many entries, with the names of ``axis``."""
    return Labels(axis.names, torch.arange(size).reshape(-1, 1).expand(size, len(axis.names)))


def renamed(draw: Draw, axis: Labels) -> Labels:
    """The labels with another name, or one more, or their dimensions in another order."""
    names, rows = axis.names, axis.values
    i = pick_index(draw, names)
    ways = [
        ([*names[:i], "renamed", *names[i + 1 :]], rows),
        ([*names, "further"], torch.cat([rows, rows[:, :1]], 1)),
    ]
    if len(names) > 1:
        ways.append((names[::-1], rows))
    return Labels(*draw(st.sampled_from(ways)))


def _axes(block: TensorBlock) -> dict[str, Any]:
    return {
        "values": block.values,
        "samples": block.samples,
        "components": block.components,
        "properties": block.properties,
    }


def changed_block(block: TensorBlock, **axes: Any) -> TensorBlock:
    """The block with something else in some places, without gradients."""
    return TensorBlock(**{**_axes(block), **axes})


def _zeros(block: TensorBlock, **axes: Any) -> dict[str, Any]:
    """The axes of the block with others in some places, and zeros of the shape that they have."""
    changed = {**_axes(block), **axes}
    shape = [len(a) for a in (changed["samples"], *changed["components"], changed["properties"])]
    return {**changed, "values": torch.zeros(shape, dtype=block.dtype)}


_FLOATS = (torch.float32, torch.float64)


def other_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype == torch.float64 else torch.float64


# --- labels

LABELS: list[Defect] = []

_NO_ENTRIES = "[ours] without entries it can do no harm, and is refused as with them"
_INTEGERS = '[doc] Labels: "a 2-dimensional array of integers"'


def _labels(names: list[Any], values: Any) -> Call:
    return Call("Labels", (names, values))


@defect(LABELS, '[doc] Labels: "each row/entry in this array is unique"')
def repeated_rows(draw: Draw) -> DefectFound:
    valid = draw(labels(min_size=1))
    order, first, second = _doubled(draw, len(valid))
    row = tuple(valid.values[order[first]].tolist())
    return DefectFound(
        f"rows {first} and {second} are both {row}", _labels(valid.names, valid.values[order])
    )


@defect(LABELS, "[doc] Labels.column: a name finds one dimension")
def repeated_names(draw: Draw) -> DefectFound:
    valid = draw(labels())
    order, first, second = _doubled(draw, len(valid.names))
    names = [valid.names[i] for i in order]
    reason = f"names {first} and {second} are both {names[first]!r}"
    return DefectFound(reason, _labels(names, valid.values[:, order]))


@defect(LABELS, '[doc] Labels: "each column is a dimension, which is named"')
def another_number_of_names(draw: Draw) -> DefectFound:
    valid = draw(labels())
    names = draw(st.sampled_from([[*valid.names, "further"], valid.names[:-1]]))
    reason = f"there are {len(names)} names for {len(valid.names)} columns"
    return DefectFound(reason, _labels(names, valid.values), None if len(valid) else _NO_ENTRIES)


@defect(LABELS, _INTEGERS)
def values_of_another_number_of_dimensions(draw: Draw) -> DefectFound:
    valid = draw(labels())
    ways = [valid.values.flatten(), valid.values[None], valid.values[..., None], torch.tensor(0)]
    values = draw(st.sampled_from(ways))
    reason = f"the values have {values.dim()} dimensions, not 2"
    return DefectFound(reason, _labels(valid.names, values), None if values.numel() else _NO_ENTRIES)


def _one_value(draw: Draw, dtype: torch.dtype, wrong: float) -> DefectFound:
    valid = draw(labels(min_size=1))
    values = valid.values.to(dtype)
    row, column = pick_index(draw, valid), pick_index(draw, valid.names)
    values[row, column] = wrong
    reason = f"the value in row {row} and column {column} is {wrong}"
    return DefectFound(reason, _labels(valid.names, values))


@defect(LABELS, _INTEGERS)
def values_that_are_not_whole(draw: Draw) -> DefectFound:
    wrong = draw(st.sampled_from([0.5, -1.5, float("nan"), float("inf")]))
    return _one_value(draw, draw(st.sampled_from(_FLOATS)), wrong)


@defect(LABELS, '[doc] Labels.values: "32-bit integers"')
def values_beyond_32_bits(draw: Draw) -> DefectFound:
    beyond = 2**31 + draw(st.integers(0, 2**32))
    return _one_value(draw, torch.int64, draw(st.sampled_from([beyond, -beyond - 1])))


@defect(LABELS, "[doc] Labels: values are an array, in metatensor.torch a torch.Tensor")
def values_that_are_no_tensor(draw: Draw) -> DefectFound:
    valid = draw(labels(min_size=1))
    values = draw(st.sampled_from([valid.values.tolist(), None, "0"]))
    return DefectFound(f"the values are of type {type(values).__name__}", _labels(valid.names, values))


def _one_name(draw: Draw, wrong: list[Any]) -> DefectFound:
    valid = draw(labels())
    names: list[Any] = valid.names
    i = pick_index(draw, names)
    names[i] = draw(st.sampled_from(wrong))
    return DefectFound(f"name {i} is {names[i]!r}", _labels(names, valid.values))


@defect(LABELS, "[ours] names of dimensions are identifiers")
def a_name_that_is_no_identifier(draw: Draw) -> DefectFound:
    return _one_name(draw, ["", "0", "1a", "a b", " a", "a\n", "a-b", "a.b", "a[0]", "é"])


@defect(LABELS, "[doc] Labels: names are strings")
def a_name_that_is_no_string(draw: Draw) -> DefectFound:
    return _one_name(draw, [0, None, 1.5])


@strategy
def invalid_labels() -> Callable[[Draw], Invalid]:
    """Labels that must be refused: valid ones that are drawn, with one defect of ``LABELS``.

    Shrinks towards repeated rows, and few of them. Raises nothing.

    >>> find(invalid_labels(), lambda wrong: wrong.kind == "repeated_rows").reason
    'rows 0 and 1 are both (0,)'
    """
    kinds = st.sampled_from(LABELS)
    return lambda draw: broken(draw, draw(kinds))


# --- blocks

BLOCKS: list[Defect] = []

_AXES = "[doc] TensorBlock: a set of labels for each dimension of the array"
_COMPONENT = "[doc] TensorMap.component_names: a component has one name, and is found by it"
_GRADIENT = "[doc] TensorBlock.add_gradient: "


def _made(block: TensorBlock, **axes: Any) -> Call:
    """The call that makes the block with something else in some places."""
    return Call("TensorBlock", tuple({**_axes(block), **axes}.values()))


def _with_components(draw: Draw) -> TensorBlock:
    """A block that has components."""
    b = draw(tensor_blocks())
    size = 0 if b.components else other_size(draw, 0)
    return changed_block(b, **_zeros(b, components=[Labels.range("xyz", size)])) if size else b


@defect(BLOCKS, _AXES)
def samples_of_another_length(draw: Draw) -> DefectFound:
    b = draw(tensor_blocks())
    samples = numbered(b.samples, other_size(draw, len(b)))
    reason = f"there are {len(samples)} samples for {len(b)} rows of values"
    return DefectFound(reason, _made(b, samples=samples))


@defect(BLOCKS, _AXES)
def a_component_of_another_length(draw: Draw) -> DefectFound:
    b = _with_components(draw)
    i, components = pick_index(draw, b.components), b.components
    size = b.shape[1 + i]
    components[i] = numbered(components[i], other_size(draw, size, least=1))
    reason = f"component {i} has {len(components[i])} entries for {size} of the values"
    return DefectFound(reason, _made(b, components=components))


@defect(BLOCKS, _AXES)
def properties_of_another_length(draw: Draw) -> DefectFound:
    b = draw(tensor_blocks())
    properties = numbered(b.properties, other_size(draw, len(b.properties)))
    reason = f"there are {len(properties)} properties for {b.shape[-1]} columns of values"
    return DefectFound(reason, _made(b, properties=properties))


@defect(BLOCKS, _AXES)
def another_number_of_components(draw: Draw) -> DefectFound:
    b = draw(tensor_blocks())
    ways = [b.components[:i] + b.components[i + 1 :] for i in range(len(b.components))]
    components = draw(st.sampled_from([[*b.components, Labels.range("further", 1)], *ways]))
    reason = f"there are {len(components)} components for values of {b.values.dim()} dimensions"
    return DefectFound(reason, _made(b, components=components))


@defect(BLOCKS, "[doc] core concepts: an N-dimensional array, N at least 2")
def block_values_of_fewer_than_two_dimensions(draw: Draw) -> DefectFound:
    b = draw(tensor_blocks())
    values = draw(st.sampled_from([b.values.flatten(), torch.zeros((), dtype=b.dtype)]))
    axes = {"samples": numbered(b.samples, values.numel()), "properties": numbered(b.properties, 1)}
    reason = f"the values have {values.dim()} dimensions, at least samples and properties must be there"
    return DefectFound(reason, _made(b, values=values, components=[], **axes))


@defect(BLOCKS, _COMPONENT)
def components_of_one_name(draw: Draw) -> DefectFound:
    b = _with_components(draw)
    order, first, second = _doubled(draw, len(b.components))
    components = [b.components[i] for i in order]
    reason = f"components {first} and {second} are both named {components[first].names[0]!r}"
    return DefectFound(reason, _made(b, **_zeros(b, components=components)))


@defect(BLOCKS, _COMPONENT)
def a_component_of_two_dimensions(draw: Draw) -> DefectFound:
    b = _with_components(draw)
    i, components = pick_index(draw, b.components), b.components
    names = [*components[i].names, "further"]
    components[i] = Labels(names, components[i].values.expand(-1, 2))
    return DefectFound(f"component {i} has the dimensions {names}", _made(b, components=components))


@defect(BLOCKS, "[ours] a component has at least one entry")
def a_component_without_entries(draw: Draw) -> DefectFound:
    b = draw(tensor_blocks())
    components = b.components
    i = draw(st.sampled_from(range(len(components) + 1)))
    components.insert(i, Labels.empty("further"))
    return DefectFound(f"component {i} has 0 entries", _made(b, **_zeros(b, components=components)))


@defect(BLOCKS, "[doc] TensorBlock: samples, components and properties are Labels")
def an_axis_without_labels(draw: Draw) -> DefectFound:
    b = draw(tensor_blocks())
    name = draw(st.sampled_from(["samples", "components", "properties"]))
    wrong = draw(st.sampled_from([None, 1, torch.zeros((1, 1), dtype=torch.int32)]))
    axes: dict[str, Any] = {name: wrong}
    if name == "components":
        axes = {"values": b.values[..., None], name: [*b.components, wrong]}
    reason = f"{name} have a {type(wrong).__name__} in the place of labels"
    return DefectFound(reason, _made(b, **axes))


def _gradient(draw: Draw, b: TensorBlock) -> TensorBlock:
    """A gradient that fits the block, with up to three rows, and one component more or none."""
    size = other_size(draw, 4, 5) if len(b) else 0
    rows = [[pick_index(draw, b), i] for i in range(size)]
    samples = Labels(["sample", "atom"], torch.tensor(rows, dtype=torch.int32).reshape(-1, 2))
    extra = [Labels.range("direction", 3)] if draw(st.booleans()) else []
    return changed_block(b, **_zeros(b, samples=samples, components=[*extra, *b.components]))


def _added(b: TensorBlock, gradient: TensorBlock) -> Call:
    return Call("add_gradient", (b, "positions", gradient))


@defect(BLOCKS, _GRADIENT + 'the samples have "sample" as the first dimension')
def gradient_samples_without_sample(draw: Draw) -> DefectFound:
    b = draw(tensor_blocks())
    gradient = _gradient(draw, b)
    names = draw(st.sampled_from([["system", "atom"], ["atom", "sample"]]))
    samples = Labels(names, gradient.samples.values)
    reason = f"the dimensions of the gradient's samples are {names}"
    return DefectFound(reason, _added(b, changed_block(gradient, samples=samples)))


@defect(BLOCKS, _GRADIENT + "the samples have the index of a sample of the block")
def a_gradient_of_no_sample(draw: Draw) -> DefectFound:
    b = draw(tensor_blocks())
    gradient = _gradient(draw, b)
    rows = gradient.samples.values.tolist()
    wrong = draw(st.sampled_from([len(b), len(b) + 1, -1, -2, 2**31 - 1, -(2**31)]))
    where = draw(st.sampled_from(range(len(rows) + 1)))
    rows.insert(where, [wrong, 7])
    samples = Labels(["sample", "atom"], torch.tensor(rows))
    reason = f"row {where} of the gradient is of sample {wrong}, and there are {len(b)} samples"
    return DefectFound(reason, _added(b, changed_block(gradient, **_zeros(gradient, samples=samples))))


@defect(BLOCKS, _GRADIENT + "its properties match exactly those of the block")
def a_gradient_of_other_properties(draw: Draw) -> DefectFound:
    b = draw(tensor_blocks())
    gradient, right = _gradient(draw, b), b.properties
    ways = [numbered(right, other_size(draw, len(right))), renamed(draw, right)]
    if len(right) > 1:
        ways.append(Labels(right.names, right.values.flip(0)))
    wrong = draw(st.sampled_from(ways))
    both = [f"{p.names} {p.values.tolist()}" for p in (wrong, right)]
    reason = f"the gradient has the properties {both[0]}, the block {both[1]}"
    return DefectFound(reason, _added(b, changed_block(gradient, **_zeros(gradient, properties=wrong))))


@defect(BLOCKS, _GRADIENT + "its components are the block's, with additional ones before those")
def a_gradient_of_other_components(draw: Draw) -> DefectFound:
    b = _with_components(draw)
    gradient = _gradient(draw, b)
    extra = gradient.components[: len(gradient.components) - len(b.components)]
    i = pick_index(draw, b.components)
    one = b.components[i]
    instead = [[], [numbered(one, other_size(draw, len(one), least=1))], [Labels("renamed", one.values)]]
    ways = [[*extra, *b.components[:i], *new, *b.components[i + 1 :]] for new in instead]
    wrong = draw(st.sampled_from([*ways, [*b.components, Labels.range("direction", 3)]]))
    both = [{c.names[0]: len(c) for c in components} for components in (wrong, b.components)]
    reason = f"the gradient has the components {both[0]}, the block {both[1]}"
    return DefectFound(reason, _added(b, changed_block(gradient, **_zeros(gradient, components=wrong))))


@defect(BLOCKS, '[doc] TensorBlock.dtype: "the dtype of all the values and gradient arrays"')
def a_gradient_of_another_dtype(draw: Draw) -> DefectFound:
    b = draw(tensor_blocks(dtypes=st.sampled_from(_FLOATS)))
    gradient, dtype = _gradient(draw, b), other_dtype(b.dtype)
    reason = f"the gradient is of {dtype}, the block of {b.dtype}"
    return DefectFound(reason, _added(b, changed_block(gradient, values=gradient.values.to(dtype))))


@defect(BLOCKS, "[doc] TensorBlock.gradient: a parameter has one gradient")
def a_gradient_that_is_there(draw: Draw) -> DefectFound:
    b = draw(tensor_blocks())
    b.add_gradient("positions", _gradient(draw, b))
    reason = "the block has a gradient with respect to 'positions' already"
    return DefectFound(reason, _added(b, _gradient(draw, b)))


@defect(BLOCKS, _GRADIENT + "parameter is a str")
def a_parameter_that_is_no_string(draw: Draw) -> DefectFound:
    b = draw(tensor_blocks())
    wrong = draw(st.sampled_from([0, None]))
    return DefectFound(f"the parameter is {wrong}", Call("add_gradient", (b, wrong, _gradient(draw, b))))


@strategy
def invalid_blocks() -> Callable[[Draw], Invalid]:
    """Blocks and gradients that must be refused: valid ones that are drawn, with a defect of ``BLOCKS``.

    Shrinks towards samples of another length, and small blocks. Raises nothing.

    >>> find(invalid_blocks(), lambda wrong: wrong.kind == "samples_of_another_length").reason
    'there are 1 samples for 0 rows of values'
    """
    kinds = st.sampled_from(BLOCKS)
    return lambda draw: broken(draw, draw(kinds))


# --- maps

MAPS: list[Defect] = []

_NAMES = '[doc] TensorMap.{0}_names: "names of the {1} for all blocks"'
PROPERTY_NAMES = _NAMES.format("property", "properties")


def _map(keys: object, blocks: object) -> Call:
    return Call("TensorMap", (keys, blocks))


@defect(MAPS, "[doc] TensorMap: every block is associated with a key")
def another_number_of_blocks(draw: Draw) -> DefectFound:
    x = draw(tensor_maps(min_blocks=1))
    size = other_size(draw, len(x))
    blocks = [x.block_by_id(i % len(x)) for i in range(size)]
    return DefectFound(f"there are {size} blocks for {len(x)} keys", _map(x.keys, blocks))


def _one_block(draw: Draw, change: Callable[[TensorBlock], tuple[TensorBlock, Any, Any]]) -> DefectFound:
    """A map with one block changed by a function that returns it, and what is in it now and before."""
    x = draw(tensor_maps(min_blocks=2, dtypes=st.sampled_from(_FLOATS)))
    i, blocks = pick_index(draw, x), list(x)
    blocks[i], now, before = change(blocks[i])
    return DefectFound(f"block {i} has {now}, the others have {before}", _map(x.keys, blocks))


@defect(MAPS, _NAMES.format("sample", "samples"))
def a_block_of_other_sample_names(draw: Draw) -> DefectFound:
    def change(b: TensorBlock) -> tuple[TensorBlock, Any, Any]:
        samples = renamed(draw, b.samples)
        return changed_block(b, samples=samples), samples.names, b.samples.names

    return _one_block(draw, change)


@defect(MAPS, _NAMES.format("component", "components"))
def a_block_of_other_components(draw: Draw) -> DefectFound:
    def change(b: TensorBlock) -> tuple[TensorBlock, Any, Any]:
        ways = [[Labels.range("further", 1), *b.components]]
        if b.components:
            first, *rest = b.components
            ways += [[Labels("renamed", first.values), *rest], rest]
        wrong = draw(st.sampled_from(ways))
        now, before = ([c.names[0] for c in components] for components in (wrong, b.components))
        return changed_block(b, **_zeros(b, components=wrong)), now, before

    return _one_block(draw, change)


@defect(MAPS, PROPERTY_NAMES)
def a_block_of_other_property_names(draw: Draw) -> DefectFound:
    def change(b: TensorBlock) -> tuple[TensorBlock, Any, Any]:
        properties = renamed(draw, b.properties)
        return changed_block(b, properties=properties), properties.names, b.properties.names

    return _one_block(draw, change)


@defect(MAPS, '[doc] TensorMap.dtype: "the dtype of all the arrays stored inside"')
def a_block_of_another_dtype(draw: Draw) -> DefectFound:
    def change(b: TensorBlock) -> tuple[TensorBlock, Any, Any]:
        dtype = other_dtype(b.dtype)
        return changed_block(b, values=b.values.to(dtype)), dtype, b.dtype

    return _one_block(draw, change)


@defect(MAPS, "[ours] all blocks have gradients with respect to the same parameters")
def a_block_of_other_gradients(draw: Draw) -> DefectFound:
    x = draw(tensor_maps(min_blocks=2))
    parameters = [[], ["positions"], ["cell"], ["positions", "cell"]]
    of_one, of_others, *_ = draw(st.permutations(parameters))
    i, blocks = pick_index(draw, x), [changed_block(b) for b in x]
    for j, b in enumerate(blocks):
        for parameter in of_one if j == i else of_others:
            b.add_gradient(parameter, _gradient(draw, b))
    reason = f"block {i} has the gradients {of_one}, the others have {of_others}"
    return DefectFound(reason, _map(x.keys, blocks))


@defect(MAPS, "[ours] gradients of all blocks have the same names of samples and components")
def a_gradient_of_other_names(draw: Draw) -> DefectFound:
    x = draw(tensor_maps(min_blocks=2))
    right = ["sample", "atom"], ["direction"]
    ways = [(["sample"], ["direction"]), (["sample", "pair"], ["direction"]), (["sample", "atom"], [])]
    wrong = draw(st.sampled_from(ways))
    i, blocks = pick_index(draw, x), [changed_block(b) for b in x]
    for j, b in enumerate(blocks):
        samples, directions = wrong if j == i else right
        components = [Labels.range(name, 3) for name in directions] + b.components
        gradient = changed_block(b, **_zeros(b, samples=Labels.empty(samples), components=components))
        b.add_gradient("positions", gradient)
    reason = f"the gradient of block {i} has the names {wrong}, the others have {right}"
    return DefectFound(reason, _map(x.keys, blocks))


@defect(MAPS, "[doc] TensorMap: keys are Labels, blocks a list of TensorBlock")
def parts_of_a_map_of_another_type(draw: Draw) -> DefectFound:
    x = draw(tensor_maps(min_blocks=1))
    blocks: list[Any] = list(x)
    if draw(st.booleans()):
        wrong = draw(st.sampled_from([None, x.keys.values]))
        return DefectFound(f"the keys are a {type(wrong).__name__}", _map(wrong, blocks))
    i = pick_index(draw, blocks)
    blocks[i] = draw(st.sampled_from([None, 1, x.keys]))
    return DefectFound(f"block {i} is a {type(blocks[i]).__name__}", _map(x.keys, blocks))


@strategy
def invalid_maps() -> Callable[[Draw], Invalid]:
    """Maps that must be refused: valid ones that are drawn, with one defect of ``MAPS``.

    Shrinks towards another number of blocks, and small ones. Raises nothing.

    >>> find(invalid_maps(), lambda wrong: wrong.kind == "another_number_of_blocks").reason
    'there are 0 blocks for 1 keys'
    """
    kinds = st.sampled_from(MAPS)
    return lambda draw: broken(draw, draw(kinds))
