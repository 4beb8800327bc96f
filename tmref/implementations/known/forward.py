"""What is known to be wrong with what metatensor's modules make of a map, in both flavours."""

from __future__ import annotations

import torch

from ... import catalog
from ...catalog import ROWS, Recipe
from ...catalog.kinds.activations import Activation
from ...catalog.kinds.layer_norm import LayerNorm
from ...labels import Labels
from ...tensor_map import TensorMap
from .. import Example, Known
from .examples import keys_of, map_of_ones, recipe_of_ones

_SEQUENTIAL = tuple(row.name for row in ROWS if row.kind.composes)


def _one_block_with_a_gradient(name: str) -> Example:
    row = catalog.row(name)
    keys = keys_of(row, 1)
    return Example(recipe_of_ones(row, keys), map_of_ones(row, keys, gradient=True), {})


def _two_blocks_with_gradients(name: str) -> Example:
    row = catalog.row(name)
    keys = keys_of(row, 2)
    return Example(recipe_of_ones(row, keys), map_of_ones(row, keys, gradient=True), {})


def _one_block(name: str) -> Example:
    row = catalog.row(name)
    keys = keys_of(row, 1)
    return Example(recipe_of_ones(row, keys), map_of_ones(row, keys), {})


def _one_block_and_cotangents(name: str) -> Example:
    example = _one_block(name)
    return Example(example.recipe, example.x, {"cotangents": example.x})


def _no_blocks(name: str) -> Example:
    row = catalog.row(name)
    keys = keys_of(row, 0)
    return Example(recipe_of_ones(row, keys), TensorMap(keys, []), {})


def _swapped_names(name: str) -> Example:
    row = catalog.row(name)
    keys = Labels(["center_type", "neighbor_type"], torch.tensor([[1, 6]]))
    if row.maps.get("spherical"):
        keys = keys_of(row, 1)
    swapped = Labels(keys.names[::-1], keys.values)
    return Example(recipe_of_ones(row, keys), map_of_ones(row, keys, -2.0), {"keys": swapped})


def _shuffled_layers(name: str) -> Example:
    row = catalog.row(name)
    keys = keys_of(row, 2)
    return Example(recipe_of_ones(row, keys, shuffled=True), map_of_ones(row, keys), {})


def _has_gradient_rows(recipe: Recipe, x: TensorMap) -> bool:
    return any(len(gradient) for block in x for _, gradient in block.gradients())


def _has_gradient_rows_and_a_bias(recipe: Recipe, x: TensorMap) -> bool:
    selection = recipe.call.kwargs.get("invariant_keys")
    invariant = catalog.invariances(recipe.row, x.keys, selection)
    return any(
        len(gradient)
        for is_invariant, block in zip(invariant, x, strict=True)
        if is_invariant
        for _, gradient in block.gradients()
    )


def _has_layers_in_other_orders(recipe: Recipe, x: TensorMap) -> bool:
    return any(layer.kwargs["in_keys"] != recipe.in_keys for layer in recipe.call.args[1:])


def _has_values(recipe: Recipe, x: TensorMap) -> bool:
    return any(block.values.numel() for block in x)


_GRADIENTS = (
    "modules are applied to explicit gradients as to values: biases are added to them and activations "
    "applied; a derivative is the Jacobian times the gradient [maths]"
)
_IN_PLACE = (
    "LayerNorm(mean=False) divides the values of its input in place: they are the output's afterwards, "
    "and autograd, which needs those that were, raises a RuntimeError [torch]"
)
_TRANSFORMATIONS = tuple(row.name for row in ROWS if row.keeps_sizes)
#: Modules that look at the first block before they do anything, and refuse explicit gradients.
_LOOKING_FIRST = tuple(row.name for row in ROWS if isinstance(row.kind, (Activation, LayerNorm)))

METATENSOR: tuple[Known, ...] = (
    Known(
        law="explicit_gradients_are_refused_or_right_by_the_chain_rule",
        rows=(
            "module_map_linear",
            "module_map_tanh",
            "module_map_mlp",
            *_TRANSFORMATIONS,
            *_SEQUENTIAL,
        ),
        when=_has_gradient_rows,
        example=_two_blocks_with_gradients,
        reason=_GRADIENTS,
    ),
    Known(
        law="explicit_gradients_are_refused_or_right_by_the_chain_rule",
        rows=("linear", "equivariant_linear"),
        when=_has_gradient_rows_and_a_bias,
        example=_one_block_with_a_gradient,
        reason=_GRADIENTS,
    ),
    Known(
        law="a_map_without_blocks_gives_one_without_blocks",
        rows=_LOOKING_FIRST,
        when=lambda recipe, x: len(x) == 0,
        example=_no_blocks,
        reason="activations and layer norms raise an IndexError for no blocks: they look for gradients "
        "in the first block; nothing is to be done for no blocks [maths]",
    ),
    Known(
        law="keys_are_matched_by_the_names_of_their_dimensions",
        rows=tuple(row.name for row in ROWS),
        when=lambda recipe, x: len(x) > 0,
        example=_swapped_names,
        reason="keys are looked up by their values alone: under dimensions of other names, or the same "
        "ones swapped, a block gets the module of a key that isn't its own [doc]",
    ),
    Known(
        law="the_layers_of_a_sequential_go_by_key",
        rows=_SEQUENTIAL,
        when=_has_layers_in_other_orders,
        example=_shuffled_layers,
        reason="Sequential takes modules and properties of its layers by position: where a layer was "
        "made with its keys in another order, blocks go through the modules of other keys [doc]",
    ),
    *(
        Known(
            law=law,
            rows=("layer_norm_no_mean",),
            when=_has_values,
            example=_one_block,
            reason=_IN_PLACE,
        )
        for law in ("the_input_stays", "what_is_no_number_stays")
    ),
    Known(
        law="derivatives_are_those_of_plain_torch",
        rows=("layer_norm_no_mean",),
        when=lambda recipe, x: len(x) > 0,
        example=_one_block_and_cotangents,
        reason=_IN_PLACE,
    ),
)
