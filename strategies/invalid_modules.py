"""Strategies for modules that must be refused, where they are made or where they are called.

Every defect breaks one thing of a recipe for the map x, whose keys are the module's in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from tmref import Labels, TensorMap
from tmref.catalog import Call, Kind, Recipe, Row, invariances

from ._strategy import Draw, strategy
from .invalid import (
    PROPERTY_NAMES,
    Defect,
    DefectFound,
    Invalid,
    broken,
    changed_block,
    defect,
    numbered,
    other_dtype,
    other_size,
    pick_index,
    renamed,
)
from .recipes import recipes

RECIPES: list[Defect] = []

_CANT_WORK = "[ours] arguments that can't work are refused where the module is made"
_LISTS = "[doc] sizes are an int, or a list of int with one for each key"
_FEATURES = "[torch] torch.nn.Linear and LayerNorm refuse values of other than their features"


def _kinds(recipe: Recipe) -> list[tuple[int, Kind]]:
    """The modules on maps that there are, layers or the one, by number."""
    return list(enumerate(recipe.row.kind.modules))


def _layers(recipe: Recipe) -> list[Call]:
    """The calls of these modules."""
    return recipe.row.kind.calls(recipe.call)


def _with(recipe: Recipe, i: int, changes: Mapping[str, Any], without: str = "") -> Call:
    """The call with other arguments for layer ``i``, and ``without`` some."""
    layer = _layers(recipe)[i]
    kwargs = {name: v for name, v in layer.kwargs.items() if name not in without.split()}
    return recipe.row.kind.with_call(recipe.call, i, replace(layer, kwargs={**kwargs, **changes}))


def _with_arg(call: Call, i: int, value: Any) -> Call:
    return replace(call, args=(*call.args[:i], value, *call.args[i + 1 :]))


def _sizes(recipe: Recipe, *names: str) -> list[tuple[int, str]]:
    """The layers that are told sizes, by number, and the names of the arguments that tell them."""
    layers = enumerate(_layers(recipe))
    return [(i, name) for i, layer in layers for name in names if name in layer.kwargs]


def _invariant(recipe: Recipe) -> list[bool]:
    """Whether the module treats each of its keys as invariant; all where it makes no difference."""
    keys = [layer.kwargs.get("invariant_keys") for layer in _layers(recipe)]
    return invariances(recipe.row, recipe.in_keys, next((k for k in keys if k is not None), None))


def _resizing(recipe: Recipe) -> list[int]:
    """The layers that are told the number of features after them, by number."""
    return [i for i, kind in _kinds(recipe) if kind.resizes]


def _typed(recipe: Recipe) -> list[int]:
    """The layers with options that must be of their type, by number."""
    return [i for i, kind in _kinds(recipe) if kind.typed]


def _with_parameters(recipe: Recipe) -> list[int]:
    """The layers that have parameters, by number."""
    of_keys = set(_invariant(recipe))
    return [i for i, kind in _kinds(recipe) if any(kind.parameter_shapes(1, 1, of) for of in of_keys)]


def _resizes(recipe: Recipe, x: TensorMap) -> bool:
    return bool(_resizing(recipe))


def _is_sized(recipe: Recipe, x: TensorMap) -> bool:
    return bool(_sizes(recipe, "in_features"))


def _has_blocks(recipe: Recipe, x: TensorMap) -> bool:
    return len(x) > 0


def _uses_sizes(recipe: Recipe, x: TensorMap) -> bool:
    """Whether there are blocks for which it matters what size the module is told."""
    is_used = any(_invariant(recipe)) or not recipe.row.kind.sizes_of_invariant
    return len(x) > 0 and _is_sized(recipe, x) and is_used


def _checks_sizes(recipe: Recipe, x: TensorMap) -> bool:
    return _uses_sizes(recipe, x) and recipe.row.kind.checks_sizes


def _takes_modules(recipe: Recipe, x: TensorMap) -> bool:
    return recipe.row.kind.modules_at is not None


def _has_covariant_modules(recipe: Recipe, x: TensorMap) -> bool:
    return recipe.row.keeps_sizes and not all(_invariant(recipe))


def _with_modules(recipe: Recipe, change: Callable[[list[Any]], object]) -> Call:
    """The call of what takes modules of torch with others."""
    where = recipe.row.kind.modules_at
    assert where is not None, f"{recipe.row.module} takes no modules"
    modules = list(recipe.call.args[where])
    change(modules)
    return _with_arg(recipe.call, where, modules)


def _one_module(draw: Draw, recipe: Recipe, k: int, wrong: Any) -> Call:
    return _with_modules(recipe, lambda modules: modules.__setitem__(k, wrong))


def _features(recipe: Recipe, x: TensorMap, k: int) -> int:
    """The number of features of the block of the module's key ``k``."""
    return len(x.block(recipe.in_keys.entry(k)).properties)


@defect(
    RECIPES,
    '[doc] EquivariantTransformation: "an arbitrary shape-preserving transformation"',
    _has_covariant_modules,
)
def a_module_that_changes_the_shape(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    k = draw(st.sampled_from([k for k, invariant in enumerate(_invariant(recipe)) if not invariant]))
    right = _features(recipe, x, k)
    wrong = other_size(draw, right)
    module = Call("torch.nn.Linear", (right, wrong), {"dtype": x.dtype})
    reason = f"module {k}, of a covariant key, makes {wrong} features of {right}"
    return DefectFound(reason, _one_module(draw, recipe, k, module))


@defect(
    RECIPES,
    '[doc] EquivariantTransformation: "the norm of the block over the component dimensions"',
    _has_covariant_modules,
)
def covariant_blocks_without_components(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    blocks = [changed_block(b, values=b.values[:, 0].clone(), components=[]) for b in x]
    reason = f"{_invariant(recipe).count(False)} blocks are covariant, and have 0 components"
    return DefectFound(reason, recipe.call, x=TensorMap(x.keys, blocks))


@defect(RECIPES, _FEATURES, _checks_sizes)
def in_features_that_are_not_there(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    i, name = draw(st.sampled_from(_sizes(recipe, "in_features")))
    sizes, k = _layers(recipe)[i].kwargs[name], pick_index(draw, x)
    right = sizes[k] if isinstance(sizes, list) else sizes
    wrong: Any = other_size(draw, right)
    if isinstance(sizes, list):
        wrong = [*sizes[:k], wrong, *sizes[k + 1 :]]
    reason = f"in_features of layer {i} is {wrong}, and there are {right} for key {k}"
    return DefectFound(reason, _with(recipe, i, {name: wrong}))


def _one_size(
    draw: Draw, recipe: Recipe, x: TensorMap, wrong: list[Any], without: str = ""
) -> DefectFound:
    """A size that is one of ``wrong``, given once or for one of the keys."""
    i, name = draw(st.sampled_from(_sizes(recipe, "in_features", "out_features")))
    kind = recipe.row.kind.modules[i]
    value: Any = draw(st.sampled_from(wrong))
    if len(x) and not kind.sizes_of_invariant and draw(st.booleans()):
        k = pick_index(draw, x)
        value = [1] * k + [value] + [1] * (len(x) - k - 1)
    without = without if name == "out_features" else ""
    source = None if kind.checks_sizes else _CANT_WORK
    return DefectFound(
        f"{name} of layer {i} is {value}", _with(recipe, i, {name: value}, without), source
    )


@defect(RECIPES, _LISTS, _is_sized)
def a_size_that_is_no_int(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    return _one_size(draw, recipe, x, [2.0, 2.5, "2"])


@defect(RECIPES, "[torch] no layer has a negative number of features", _uses_sizes)
def a_negative_size(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    return _one_size(draw, recipe, x, [-1, -2, -5], without="out_properties")


@defect(RECIPES, _LISTS, _is_sized)
def sizes_of_another_length(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    i, name = draw(st.sampled_from(_sizes(recipe, "in_features", "out_features")))
    kind, invariant = recipe.row.kind.modules[i], sum(_invariant(recipe))
    size = other_size(draw, len(x), invariant if kind.sizes_of_invariant else len(x))
    reason = f"{name} has {size} sizes for {len(x)} keys, of which {invariant} are invariant"
    source = _CANT_WORK if name in kind.unused else None
    return DefectFound(reason, _with(recipe, i, {name: [1] * size}), source)


@defect(
    RECIPES,
    "[torch] torch.nn.Linear and LayerNorm refuse values of another dtype than their parameters'",
    lambda recipe, x: len(x) > 0 and bool(_with_parameters(recipe)),
)
def parameters_of_another_dtype(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    i = draw(st.sampled_from(_with_parameters(recipe)))
    dtype = other_dtype(x.dtype)
    reason = f"layer {i} has parameters of {dtype} for values of {x.dtype}"
    return DefectFound(reason, _with(recipe, i, {"dtype": dtype}))


@defect(RECIPES, "[doc] Linear: out_features need not be given where out_properties are", _resizes)
def no_number_of_outputs(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    i = draw(st.sampled_from(_resizing(recipe)))
    reason = f"layer {i} has neither out_features nor out_properties"
    return DefectFound(reason, _with(recipe, i, {}, without="out_features out_properties"))


def _properties(recipe: Recipe) -> list[Any]:
    return list(recipe.properties or ())


def _with_properties(recipe: Recipe, properties: Any) -> Call:
    """The call with other out_properties for the last layer, whose number of features stays."""
    i, kwargs = len(_layers(recipe)) - 1, {"out_properties": properties}
    if i in _resizing(recipe):
        kwargs["out_features"] = [len(right) for right in _properties(recipe)]
    return _with(recipe, i, kwargs)


@defect(
    RECIPES,
    '[doc] LayerNorm: "Each parameter is passed as a single value of its expected type"',
    lambda recipe, x: len(x) > 0 and bool(_typed(recipe)),
)
def an_option_of_another_type(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    i = draw(st.sampled_from(_typed(recipe)))
    typed = recipe.row.kind.modules[i].typed
    name = draw(st.sampled_from(list(typed)))
    wrong: Any = draw(st.sampled_from([None, "a", "0.5"]))
    if draw(st.booleans()):
        wrong = [wrong] * len(x)
    reason = f"{name} of layer {i} is {wrong!r}"
    return DefectFound(reason, _with(recipe, i, {name: wrong}), typed[name])


@defect(RECIPES, "[maths] one block has none", _has_blocks)
def too_few_out_properties(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    properties = _properties(recipe)
    del properties[pick_index(draw, properties)]
    reason = f"there are {len(properties)} out_properties for {len(x)} keys"
    return DefectFound(reason, _with_properties(recipe, properties))


@defect(RECIPES, _CANT_WORK)
def too_many_out_properties(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    properties = _properties(recipe)
    properties += (properties[-1:] or [Labels.range("_", 1)]) * draw(st.sampled_from([1, 2]))
    reason = f"there are {len(properties)} out_properties for {len(x)} keys"
    return DefectFound(reason, _with_properties(recipe, properties))


@defect(RECIPES, "[maths] an axis has as many labels as entries", _has_blocks)
def out_properties_of_another_length(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    properties, k = _properties(recipe), pick_index(draw, x)
    right = properties[k]
    properties[k] = numbered(right, other_size(draw, len(right)))
    reason = f"out_properties of key {k} have {len(properties[k])} entries for {len(right)} features"
    return DefectFound(reason, _with_properties(recipe, properties))


@defect(RECIPES, PROPERTY_NAMES, lambda recipe, x: len(x) > 1)
def out_properties_of_other_names(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    properties, k = _properties(recipe), pick_index(draw, x)
    right = properties[k]
    properties[k] = renamed(draw, right)
    reason = f"out_properties of key {k} have the names {properties[k].names}, others {right.names}"
    return DefectFound(reason, _with_properties(recipe, properties))


@defect(RECIPES, "[doc] out_properties are a list of Labels", _has_blocks)
def out_properties_of_another_type(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    properties, k = _properties(recipe), pick_index(draw, x)
    if draw(st.booleans()):
        return DefectFound("out_properties are Labels", _with_properties(recipe, properties[k]))
    properties[k] = draw(st.sampled_from([None, 1, ["n"]]))
    reason = f"out_properties of key {k} are a {type(properties[k]).__name__}"
    return DefectFound(reason, _with_properties(recipe, properties))


@defect(
    RECIPES,
    '[doc] Labels.select: "the selection\'s names must be a subset of the names of these labels"',
    lambda recipe, x: recipe.row.by_invariance,
)
def invariant_keys_of_unknown_dimensions(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    layers = [i for i, kind in _kinds(recipe) if kind.by_invariance]
    i = draw(st.sampled_from(layers))
    names = draw(st.sampled_from([["unknown"], ["o3_lambda", "unknown"], ["unknown", "o3_sigma"]]))
    keys = Labels(names, torch.zeros((1, len(names)), dtype=torch.int32))
    reason = f"invariant_keys of layer {i} have the dimensions {names}, in_keys {recipe.in_keys.names}"
    call = _with(recipe, i, {"invariant_keys": keys})
    return DefectFound(reason, call, None if len(x) else _CANT_WORK)


@defect(RECIPES, '[doc] ModuleMap: "modules and in_keys must match in length"', _takes_modules)
def another_number_of_modules(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    size = other_size(draw, len(x))
    further = [Call("torch.nn.Tanh")] * max(0, size - len(x))
    call = _with_modules(recipe, lambda modules: modules.__setitem__(slice(size, None), further))
    source = "[maths] one block has no module" if size < len(x) else _CANT_WORK
    reason = f"there are {size} modules for {len(x)} keys"
    return DefectFound(reason, call, None if recipe.row.kind.says_how_many_modules else source)


@defect(
    RECIPES,
    "[doc] modules are torch.nn.Module",
    lambda recipe, x: len(x) > 0 and _takes_modules(recipe, x),
)
def a_module_that_is_none(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    k, wrong = pick_index(draw, x), draw(st.sampled_from([None, 1, "Tanh"]))
    return DefectFound(f"module {k} is {wrong!r}", _one_module(draw, recipe, k, wrong))


@defect(RECIPES, _FEATURES, lambda recipe, x: len(x) > 0 and _takes_modules(recipe, x))
def a_module_of_other_in_features(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    k = pick_index(draw, x)
    right = _features(recipe, x, k)
    wrong = other_size(draw, right)
    module = Call("torch.nn.Linear", (wrong, right), {"dtype": x.dtype})
    reason = f"module {k} takes {wrong} features, its block has {right}"
    return DefectFound(reason, _one_module(draw, recipe, k, module))


@defect(
    RECIPES,
    "[doc] Sequential: a list of ModuleMap",
    lambda recipe, x: len(x) > 0 and recipe.row.kind.composes,
)
def a_layer_that_is_no_module(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    i, wrong = pick_index(draw, _layers(recipe)), draw(st.sampled_from([None, 1, "Tanh"]))
    return DefectFound(f"layer {i} is {wrong!r}", recipe.row.kind.with_call(recipe.call, i, wrong))


@defect(RECIPES, "[doc] in_keys are Labels")
def in_keys_that_are_no_labels(draw: Draw, recipe: Recipe, x: TensorMap) -> DefectFound:
    right = recipe.in_keys
    wrong = draw(st.sampled_from([right.values.tolist(), right.names, right.values, None, 1]))
    reason, source = f"in_keys are of type {type(wrong).__name__}", None if len(x) else _CANT_WORK
    where = recipe.row.kind.keys_at
    if where is not None:
        return DefectFound(reason, _with_arg(recipe.call, where, wrong), source)
    return DefectFound(reason, _with(recipe, 0, {"in_keys": wrong}), source)


@strategy
def invalid_recipes(row: Row, tensor: TensorMap) -> Callable[[Draw], Invalid]:
    """Modules of the row that must be refused where they are made, or where they are called on
    ``tensor``.

    They are :func:`recipes` of the row for it, with initial parameters, and one defect of those in
    ``RECIPES`` that they can have; every row and map can have some. Shrinks towards the first that
    it can have. Raises what :func:`recipes` raises where the row doesn't take such a map.

    >>> from tmref import catalog
    >>> x = find(tensor_maps(), lambda x: any(len(block.properties) == 2 for block in x))
    >>> wrong = invalid_recipes(catalog.row("linear"), x)
    >>> find(wrong, lambda wrong: wrong.kind == "in_features_that_are_not_there").reason
    'in_features of layer 0 is 0, and there are 2 for key 0'
    """
    valid = recipes(row, tensor)

    def draw_invalid(draw: Draw) -> Invalid:
        recipe = draw(valid).with_initial_parameters(0)
        kinds = [kind for kind in RECIPES if kind.can(recipe, tensor)]
        invalid = broken(draw, draw(st.sampled_from(kinds)), recipe, tensor)
        return replace(invalid, x=tensor) if invalid.x is None else invalid

    return draw_invalid
