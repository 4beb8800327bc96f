"""What metatensor takes though it must be refused, in both flavours."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from ... import catalog
from ...block import TensorBlock
from ...catalog import Call, Deferred, Recipe, Row
from ...labels import Labels
from ...tensor_map import TensorMap
from .. import Example, Known
from .examples import keys_of, map_of_ones, recipe_of_ones

_AFFINE = ("layer_norm", "layer_norm_no_bias", "layer_norm_no_mean", "invariant_layer_norm")
_FEATURES, _NEGATIVE = "in_features_that_are_not_there", "a_negative_size"
_OTHER_SHAPE = "a_module_that_changes_the_shape"
_BEYOND = "values_beyond_32_bits"


def _beyond_32_bits(name: str) -> Example:
    call = Call("Labels", (["a"], torch.tensor([[2**31]])))
    return Example(None, [_BEYOND], {_BEYOND: Deferred(call)})


def _of_two_features(row: Row) -> tuple[Recipe, TensorMap]:
    """A module for one block of two properties, that makes two of them."""
    keys = keys_of(row, 1)
    block = map_of_ones(row, keys).block(0)
    two = torch.tensor([-3.0, 1.0]).reshape(1, *(1 for _ in block.components), 2)
    x = TensorMap(keys, [TensorBlock(two, block.samples, block.components, Labels.range("n", 2))])
    shapes = [layer.parameter_shapes(2, 2) for layer in row.layers]
    parameters = [[tuple(map(torch.ones, of_layer)) for of_layer in shapes]]
    widths = [[2] * (len(row.layers) + 1)]
    styles = [catalog.ArgumentStyle(dtype=False)] * len(row.layers)
    return catalog.recipe(row, keys, torch.float32, widths, parameters, styles=styles), x


def _with(recipe: Recipe, **changes: Any) -> Deferred:
    """The module with other arguments, in a Sequential those of the first layer."""
    call = recipe.with_initial_parameters(0).call
    first = recipe.row.kind.calls(call)[0]
    first = dataclasses.replace(first, kwargs={**first.kwargs, **changes})
    return Deferred(recipe.row.kind.with_call(call, 0, first))


def _of_one_feature(name: str) -> Example:
    recipe, x = _of_two_features(catalog.row(name))
    return Example(recipe, x, {"kinds": [_FEATURES], _FEATURES: _with(recipe, in_features=1)})


def _of_other_dtype(name: str) -> Example:
    recipe, x = _of_two_features(catalog.row(name))
    return Example(recipe, x, {"make": _with(recipe, dtype=torch.float64)})


def _of_other_shape(name: str) -> Example:
    row = catalog.row(name)
    keys = keys_of(row, 2)
    recipe = recipe_of_ones(row, keys)
    call = recipe.with_initial_parameters(0).call
    modules = [call.args[0][0], Call("torch.nn.Linear", (1, 5))]
    call = dataclasses.replace(call, args=(modules, keys))
    return Example(
        recipe, map_of_ones(row, keys), {"kinds": [_OTHER_SHAPE], _OTHER_SHAPE: Deferred(call)}
    )


def _has_other_features(drawn: dict[str, Any]) -> bool:
    return _FEATURES in drawn["kinds"]


_BROADCAST = (
    "LayerNorm takes values of another number than in_features: it is never told that number but by its "
    "weight, which is broadcast where one of both is 1 [torch]"
)

METATENSOR: tuple[Known, ...] = (
    Known(
        law="labels_that_can_not_be_are_refused",
        rows=("labels",),
        when=lambda recipe, x: _BEYOND in x,
        example=_beyond_32_bits,
        reason="integers beyond 32 bits are wrapped: 2³¹ is -2³¹ in the labels [doc]",
    ),
    Known(
        law="modules_that_can_not_work_are_refused",
        rows=(*_AFFINE, "sequential_layer_norm"),
        when=lambda recipe, x: len(x) > 0,
        draws=_has_other_features,
        example=_of_one_feature,
        reason=_BROADCAST,
    ),
    Known(
        law="modules_that_can_not_work_are_refused",
        rows=("layer_norm_no_affine",),
        when=lambda recipe, x: len(x) > 0,
        draws=lambda drawn: bool({_FEATURES, _NEGATIVE} & set(drawn["kinds"])),
        example=_of_one_feature,
        reason="LayerNorm takes values of another number than in_features: without parameters it takes "
        "any number of features, and in_features of any kind [torch]",
    ),
    Known(
        law="modules_that_can_not_work_are_refused",
        rows=("equivariant_tanh", "equivariant_mlp"),
        when=lambda recipe, x: len(x) > 0,
        draws=lambda drawn: _OTHER_SHAPE in drawn["kinds"],
        example=_of_other_shape,
        reason="EquivariantTransformation broadcasts where one side has one feature: it multiplies "
        "values by what the module makes of the norm, and the shape is no longer preserved [doc]",
    ),
    Known(
        law="values_of_another_dtype_than_the_parameters_are_refused",
        rows=_AFFINE,
        when=lambda recipe, x: len(x) > 0,
        example=_of_other_dtype,
        reason="LayerNorm multiplies values by weights of any dtype: float32 becomes float64, where "
        "torch's raises a RuntimeError [torch]",
    ),
)
