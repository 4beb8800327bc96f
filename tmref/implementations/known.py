"""What is known to be wrong with metatensor's nn modules, in both flavours.

Each entry was reproduced with metatensor alone, by the script that a report prints for it.
"""

from __future__ import annotations

import torch

from .. import catalog
from ..block import TensorBlock
from ..catalog import ROWS, Recipe, Row
from ..labels import Labels
from ..tensor_map import TensorMap
from . import Example, Known

_SEQUENTIAL = tuple(row.name for row in ROWS if row.module == "Sequential")


def _block(value: float, *, gradient: bool = False) -> TensorBlock:
    """One sample and one property."""
    one = [Labels.range(name, 1) for name in ("system", "n")]
    block = TensorBlock(torch.tensor([[value]]), one[0], [], one[1])
    if gradient:
        samples = Labels.range("sample", 1)
        block.add_gradient(
            "positions", TensorBlock(torch.tensor([[2.0]]), samples, [], block.properties)
        )
    return block


def _recipe(row_name: str, keys: Labels, *, shuffled: bool = False) -> Recipe:
    """A module of one feature everywhere, weights 2, 3, ... for the keys, biases 1.

    Where ``shuffled``, the layers of a Sequential have their keys in the opposite order.
    """
    row: Row = next(row for row in ROWS if row.name == row_name)
    widths = [[1] * (len(row.layers) + 1) for _ in range(len(keys))]
    parameters = [
        [
            tuple(
                torch.full(shape, 2.0 + i if len(shape) == 2 else 1.0)
                for shape in layer.parameter_shapes(1, 1)
            )
            for layer in row.layers
        ]
        for i in range(len(keys))
    ]
    reverse = Labels(keys.names, keys.values.flip(0))
    return catalog.recipe(
        row,
        keys,
        torch.float32,
        widths,
        parameters,
        orders=[reverse] * len(row.layers) if shuffled else None,
        written=[catalog.Written(dtype=False)] * len(row.layers),
    )


def _one_block_with_a_gradient(row: str) -> Example:
    keys = Labels.range("key", 1)
    return Example(_recipe(row, keys), TensorMap(keys, [_block(1.0, gradient=True)]), {})


def _no_blocks(row: str) -> Example:
    keys = Labels.empty("key")
    return Example(_recipe(row, keys), TensorMap(keys, []), {})


def _swapped_names(row: str) -> Example:
    keys = Labels(["center_type", "neighbor_type"], torch.tensor([[1, 6]]))
    swapped = Labels(["neighbor_type", "center_type"], torch.tensor([[1, 6]]))
    return Example(_recipe(row, keys), TensorMap(keys, [_block(-2.0)]), {"keys": swapped})


def _shuffled_layers(row: str) -> Example:
    keys = Labels.range("key", 2)
    blocks = [_block(1.0), _block(1.0)]
    return Example(_recipe(row, keys, shuffled=True), TensorMap(keys, blocks), {})


def _has_gradient_rows(recipe: Recipe, x: TensorMap) -> bool:
    return any(len(gradient) for block in x for _, gradient in block.gradients())


def _has_layers_in_other_orders(recipe: Recipe, x: TensorMap) -> bool:
    return any(layer.kwargs["in_keys"] != recipe.in_keys for layer in recipe.call.args[1:])


METATENSOR: tuple[Known, ...] = (
    Known(
        law="explicit_gradients_are_refused_or_right_by_the_chain_rule",
        rows=("linear", "module_map_linear", "module_map_tanh", "module_map_mlp", *_SEQUENTIAL),
        when=_has_gradient_rows,
        example=_one_block_with_a_gradient,
        reason="ModuleMap applies the module itself to explicit gradients, so that biases are added to "
        "them and activations applied; a derivative is the Jacobian times the gradient [maths]",
    ),
    Known(
        law="a_map_without_blocks_gives_one_without_blocks",
        rows=("relu", "silu", "tanh"),
        when=lambda recipe, x: len(x) == 0,
        example=_no_blocks,
        reason="activations look for gradients in the first block, and raise an IndexError where there "
        "is none; nothing is to be done for no blocks [maths]",
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
)
