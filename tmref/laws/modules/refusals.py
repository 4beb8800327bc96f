"""Laws of refusals: what can't be, by documents, torch or mathematics, gives an exception, no result.

A refusal is judged by its absence: whatever is raised will do, where a thing is made or where it is
called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...catalog import Deferred
from ...compare import Refused
from ...labels import Labels
from ...strategies import keys, labels, tensor_blocks, tensor_maps
from ...strategies.invalid import BLOCKS, LABELS, MAPS, Defect, broken
from ...strategies.invalid_modules import RECIPES
from ...tensor_map import TensorMap
from ..edits import with_keys
from ..law import data_law, law
from ..outcomes import NO_PARAMETERS, Nothing
from ..premises import MODULE, WRITTEN, ability, is_written
from ..session import ModuleSession, Session, taken_in


def _binding(table: Sequence[Defect]) -> list[str]:
    """The kinds of a table that everybody must refuse."""
    return [kind.name for kind in table if not kind.source.startswith("[ours]")]


#: How many kinds of defects are tried in one example.
_AT_ONCE = 6


def _some_of(table: Sequence[Defect]) -> st.SearchStrategy[list[str]]:
    """Some of the kinds that everybody must refuse."""
    return _some_kinds(_binding(table))


def _some_kinds(kinds: list[str]) -> st.SearchStrategy[list[str]]:
    return st.permutations(kinds).map(lambda order: list(order[:_AT_ONCE]))


@data_law("labels", _some_of(LABELS))
def labels_that_can_not_be_are_refused(f: Session, x: Any, draw: Any) -> Any:
    """Labels with a defect of any kind are never made. [doc] Labels: "a 2-dimensional array of
    integers", "32-bit", "each row/entry in this array is unique", each column has a name."""
    return _none_made(f, draw, LABELS, x)


@data_law("tensor_block", _some_of(BLOCKS))
def blocks_that_can_not_be_are_refused(f: Session, x: Any, draw: Any) -> Any:
    """Blocks and gradients with a defect of any kind are never made. [doc] TensorBlock: a set of Labels
    for each dimension of the array; add_gradient: samples, components and properties fit."""
    return _none_made(f, draw, BLOCKS, x)


@data_law("tensor_map", _some_of(MAPS))
def maps_that_can_not_be_are_refused(f: Session, x: Any, draw: Any) -> Any:
    """Maps with a defect of any kind are never made. [doc] TensorMap: every block has a key; names of
    dimensions and the dtype are those "for all blocks"."""
    return _none_made(f, draw, MAPS, x)


#: What is wrong, and what is done, by the kind of data x.
_OF_LABELS = (
    ("no such dimension", "x.column('unknown')"),
    ("no such dimension", "x['unknown']"),
    ("no such dimension", "x.entry(0)['unknown']"),
    ("no such dimension", "x.select(Labels.range('unknown', 1))"),
    ("no such dimension", "x.rename('unknown', 'new')"),
    ("no such dimension", "x.remove('unknown')"),
    ("no such entry", "x.entry(len(x))"),
    ("no such entry", "x[len(x)]"),
    ("another number of dimensions", "x.permute([*range(len(x.names)), 0])"),
    ("another number of dimensions", "x.permute([])"),
    ("a name twice", "x.append(x.names[0], x.values[:, 0])"),
    ("another number of entries", "x.append('new', x.values[:-1, 0])"),
    ("another number of entries", "x.insert(0, 'new', x.values[:-1, 0])"),
)
_OF_BLOCKS = (
    ("no such gradient", "x.gradient('unknown')"),
    ("no such gradient", "x.gradient('position')"),
    ("another number of samples", "TensorBlock(x.values[1:], x.samples, x.components, x.properties)"),
    (
        "another number of properties",
        "TensorBlock(x.values[..., 1:], x.samples, x.components, x.properties)",
    ),
)
_OF_MAPS = (
    ("no such position", "x.block(len(x))"),
    ("no such position", "x[len(x)]"),
    ("no such position", "x.block_by_id(len(x))"),
    ("no such dimension", "x.block({'unknown': 0})"),
    ("no such dimension", "x.blocks({'unknown': 0})"),
    ("no such dimension", "x.blocks({x.keys.names[0]: 0, 'unknown': 0})"),
    ("no such dimension", "x.block(Labels.range('unknown', 1))"),
    ("no such dimension", "x.keys_to_samples('unknown')"),
    ("no such dimension", "x.keys_to_properties(['unknown'])"),
    ("no such dimension", "x.keys_to_properties(Labels.range('unknown', 2))"),
    ("no such component", "x.components_to_properties(['unknown'])"),
    ("no such key", "x.block({x.keys.names[0]: 99})"),
    ("no such key", "x[{x.keys.names[-1]: 99}]"),
    ("no one block", "x.block()"),
    ("entries of labels", "x.keys_to_samples(x.keys)"),
    ("a block too few", "TensorMap(x.keys, x.blocks()[1:])"),
)
_SEVERAL = keys(names=st.just(("key", "o3_lambda")), values=st.integers(0, 2), min_size=2)


@data_law("labels", labels(min_size=1))
def what_labels_do_not_have_is_refused(f: Session, x: Any, draw: Any) -> Any:
    """What isn't there can't be asked for, and doesn't fit. [doc] Labels.select: the names "must be a
    subset of the names of these labels"; remove and rename raise where a name is not present; permute,
    where the length does not match; entries and columns are found by a position and by a name."""
    return _nothing(f, x, _OF_LABELS)


@data_law("tensor_block", tensor_blocks(max_gradients=1).filter(lambda x: x.values.numel()))
def what_blocks_do_not_have_is_refused(f: Session, x: Any, draw: Any) -> Any:
    """What isn't there can't be asked for, and doesn't fit. [doc] TensorBlock.gradient: of "the given
    parameter"; a set of Labels for each dimension of the array."""
    return _nothing(f, x, _OF_BLOCKS)


@data_law("tensor_map", tensor_maps(keys=_SEVERAL))
def what_maps_do_not_have_is_refused(f: Session, x: Any, draw: Any) -> Any:
    """What isn't there can't be asked for. [doc] TensorMap.block: the "single block matching";
    "dimensions of the keys"; keys_to_samples: "if keys_to_move is a set of Labels, it must be empty"."""
    return _nothing(f, x, _OF_MAPS)


@law(needs=[WRITTEN])
def modules_that_can_not_work_are_refused(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A module with a defect of any kind is not made, or does not take the map. [torch] modules of
    torch.nn refuse sizes that don't fit; [doc] in_keys, modules and out_properties are of these types,
    and as many as there are keys."""
    possible = [k.name for k in RECIPES if k.name in _OF_MODULES and k.can(f.written, x)]

    def tried() -> Iterator[Any]:
        for kind in draw(_some_kinds(possible), label="kinds"):
            make = draw(_with(RECIPES, kind, f.written.with_initial_parameters(0), x), label=kind)
            yield _not_called(f, make, _without_components(x) if kind in _ON_OTHER_MAPS else x)

    return _first_result(tried())


@law(maps={"min_blocks": 0}, needs=[ability("refuses_early"), WRITTEN])
def arguments_that_can_not_work_are_refused_at_once(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where an implementation says that it refuses early, arguments that can't work are refused where
    the module is made, even those that make no difference. [doc] ``refuses_early`` of the
    implementation."""
    kinds = draw(_some_kinds([k.name for k in RECIPES if k.can(f.written, x)]), label="kinds")
    return _none_made(f, draw, RECIPES, kinds, f.written.with_initial_parameters(0), x, ours=True)


@law("sized", needs=[WRITTEN])
def values_of_another_dtype_than_the_parameters_are_refused(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Values of float64 are refused by parameters of float32, and the other way round. [torch]
    torch.nn.Linear and LayerNorm refuse values of another dtype than their parameters'."""
    (kind,) = [kind for kind in RECIPES if kind.name == _OF_DTYPES]
    if not kind.can(f.written, x):
        return NO_PARAMETERS
    recipe = f.written.with_initial_parameters(0)
    return _not_called(f, draw(_with(RECIPES, _OF_DTYPES, recipe, x), label="make"), x)


@law(needs=[MODULE])
def refusals_survive_wrapping(f: ModuleSession, x: Any, draw: Any) -> Any:
    """What a module refuses is refused by modules that call it. [torch] what a module raises passes
    through the modules around it."""
    x = _unfit(x)[draw(st.sampled_from(["key", "dtype", "properties"]), label="unfit")]
    if not isinstance(f.attempt(x), Refused):
        return Nothing("it refuses nothing: neither other keys, nor another dtype, nor other sizes")
    f.run("inner = module", in_keys=f.recipe.in_keys)
    f.run(
        "class Outer(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.inner = inner\n\n    def forward(self, x):\n        return self.inner(x)"
    )
    every = ["torch.nn.Sequential(inner)", "Outer()"]
    if is_written(f.recipe.row):  # others promise nowhere to be layers
        every.append("nn.Sequential(in_keys, inner)")
    ways = [way for way in every if f.has(taken_in(way))]
    refused = f.attempt_to_run(f"module = {draw(st.sampled_from(ways), label='way')}")
    return (refused, Refused()) if isinstance(refused, Refused) else _refused(f, "y = module(x)")


_NO_MAPS = ("x.block(0)", "x.block(0).values", "x.keys", "[x]", "x.blocks()", "None", "0")


@law(needs=[WRITTEN])
def what_is_no_map_is_refused(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Blocks, labels, tensors and lists are no TensorMap, and are refused. [doc] forward takes a
    "TensorMap with the input tensor to be transformed"."""
    return _first_result(_refused(f, f"y = module({way})", x=x) for way in _NO_MAPS)


@data_law("any_module_map", maps={"min_blocks": 1})
def what_is_no_map_is_refused_without_layers(f: Session, x: Any, draw: Any) -> Any:
    """A Sequential without layers is refused where it is made, or refuses what is no TensorMap. [doc]
    forward takes a "TensorMap with the input tensor to be transformed"."""
    return _first_result(_refused(f, f"y = nn.Sequential(x.keys)({way})", x=x) for way in _NO_MAPS)


_WRONG_SHAPES = (
    *("torch.nn.Flatten(0)", "torch.nn.Unflatten(0, (1, -1))", "torch.nn.Unflatten(-1, (1, -1))"),
    *("torch.nn.ZeroPad2d((0, 0, 1, 0))", "torch.nn.ZeroPad2d((0, 0, -1, 0))"),
)


@data_law("any_module_map", maps={"min_blocks": 1, "min_samples": 2, "min_properties": 1})
def modules_that_change_samples_or_components_are_refused(f: Session, x: Any, draw: Any) -> Any:
    """A module that returns more or fewer axes, samples or components is refused. [doc] ModuleMap keeps
    samples and components; [maths] an axis has as many labels as entries."""
    shapes = [block.shape for block in x]

    def tried() -> Iterator[Any]:
        for wrong in _WRONG_SHAPES:
            if "-1, 0))" in wrong and any(size < 2 for shape in shapes for size in shape[:-1]):
                continue  # nothing is left to cut
            f.run(f"modules = [{wrong} for _ in x.keys]", x=x)
            yield _refused(f, "y = nn.ModuleMap(x.keys, modules)(x)")

    return _first_result(tried())


_OF_DTYPES = "parameters_of_another_dtype"
_OF_MODULES = set(_binding(RECIPES)) - {_OF_DTYPES}
#: The kinds whose module is right, and the map is wrong.
_ON_OTHER_MAPS = {"covariant_blocks_without_components"}


@st.composite
def _with(
    draw: Any, table: Sequence[Defect], name: str, *args: Any, ours: bool = False
) -> Deferred | None:
    """What makes something with a defect of this kind; None where that doesn't bind everybody, or,
    where ``ours``, where it does."""
    (kind,) = [kind for kind in table if kind.name == name]
    invalid = broken(draw, kind, *args)
    return Deferred(invalid.call) if invalid.source.startswith("[ours]") == ours else None


def _none_made(
    f: Session, draw: Any, table: Sequence[Defect], kinds: Sequence[str], *args: Any, ours: bool = False
) -> Any:
    def tried() -> Iterator[Any]:
        for kind in kinds:
            make = draw(_with(table, kind, *args, ours=ours), label=kind)
            yield None if make is None else _refused(f, "made = make()", make=make)

    return _first_result(tried())


def _not_called(f: ModuleSession, make: Deferred | None, x: TensorMap) -> Any:
    if make is None:
        return None
    refused = f.attempt_to_run("module = make()", make=make)
    if isinstance(refused, Refused):
        f.steps.clear()  # a script can't go on after it
        return refused, Refused()
    return _refused(f, "y = module(x)", x=x)


def _nothing(f: Session, x: Any, table: Sequence[tuple[str, str]]) -> Any:
    return _first_result(_refused(f, f"made = {act}", x=x) for _, act in table)


def _first_result(sides_of_all: Iterable[Any]) -> Any:
    """The sides of the first that gave a result, else of a refusal; None where nothing was tried."""
    tried = None
    for sides in sides_of_all:
        tried = sides or tried
        if tried and not isinstance(tried[0], Refused):
            break
    return tried


def _refused(f: Session, code: str, **given: Any) -> Any:
    """The result of the code, or that it was refused; and that it must be."""
    result = f.attempt_to_run(code, **given)
    if isinstance(result, Refused):
        # what was made may be so wrong that it can't be decoded
        result = f.attempt_to_run(f"type({code.partition(' ')[0]}).__name__")
    if isinstance(result, Refused):
        f.steps.clear()  # a script can't go on after it
    return result, Refused()


def _without_components(x: TensorMap) -> TensorMap:
    blocks = [TensorBlock(b.values[:, 0].clone(), b.samples, [], b.properties) for b in x]
    return TensorMap(x.keys, blocks)


def _unfit(x: TensorMap) -> dict[str, TensorMap]:
    """The map with another key, of another dtype, and without the last property of every block."""
    rows = x.keys.values.clone()
    rows[0, 0] = next(value for value in range(len(x) + 1) if value not in rows[:, 0])
    dtype = torch.float32 if x.dtype == torch.float64 else torch.float64
    cut = [
        TensorBlock(b.values[..., :-1].clone(), b.samples, b.components, _but_the_last(b.properties))
        for b in x
    ]
    return {
        "key": with_keys(x, Labels(x.keys.names, rows)),
        "dtype": x.to(dtype),
        "properties": TensorMap(x.keys, cut),
    }


def _but_the_last(axis: Labels) -> Labels:
    return Labels(axis.names, axis.values[:-1])
