"""What is known to be wrong with metatensor's compositions, and with explicit gradients in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ... import catalog
from ...block import TensorBlock
from ...catalog import ROWS, Recipe
from ...catalog.kinds.module_map import ModuleMap
from ...labels import Labels
from ...tensor_map import TensorMap
from .. import Example, Known
from .examples import keys_of, map_of_ones
from .forward import (
    _LOOKING_FIRST,
    _has_gradient_rows,
    _has_gradient_rows_and_a_bias,
    _one_block,
)

_MODULE_MAPS = tuple(row.name for row in ROWS if isinstance(row.kind, ModuleMap))
#: Modules that never do, by themselves or within another.
_APPLIED = tuple(row.name for row in ROWS if row.keeps_sizes or row.kind.composes)


def _in_a_sequential(wrapping: str) -> Callable[[str], Example]:
    def example(name: str) -> Example:
        row = catalog.row(name)
        keys = keys_of(row, 1)
        components = map_of_ones(row, keys).block(0).components
        samples, properties = Labels.range("system", 1), Labels.range("n", 2)
        shape = (1, *(1 for _ in components), 2)
        block = TensorBlock(torch.tensor([-3.0, 1.0]).reshape(shape), samples, components, properties)
        gradient = torch.tensor([2.0, 4.0]).reshape(shape)
        labels = Labels.range("sample", 1), components, properties
        block.add_gradient("positions", TensorBlock(gradient, *labels))
        shapes = [layer.parameter_shapes(2, 2) for layer in row.layers]
        recipe = catalog.recipe(
            row,
            keys,
            torch.float32,
            [[2] * (len(row.layers) + 1)],
            [[tuple(map(torch.ones, of_layer)) for of_layer in shapes]],
            styles=[catalog.ArgumentStyle(dtype=False)] * len(row.layers),
        )
        return Example(recipe, TensorMap(keys, [block]), {"wrapping": wrapping})

    return example


def _of_any_module(name: str) -> Example:
    row = catalog.row("linear")
    x = map_of_ones(row, keys_of(row, 1), 3.0, gradient=True)
    return Example(None, x, {"kind": "a square"})


def _one_positive_block(name: str) -> Example:
    row = catalog.row("linear")
    return Example(None, map_of_ones(row, keys_of(row, 1)), {})


def _has_a_positive_value(recipe: Recipe | None, x: TensorMap) -> bool:
    return any(bool((block.values > 0).any()) for block in x)


def _is_of_metatensor(drawn: dict[str, Any]) -> bool:
    return bool(drawn["wrapping"].startswith("nn."))


def _is_of_torch(drawn: dict[str, Any]) -> bool:
    return not _is_of_metatensor(drawn)


_IN_A_SEQUENTIAL = "explicit_gradients_are_refused_or_right_in_a_sequential"
_OF_TORCH, _OF_METATENSOR = "torch.nn.Sequential(module)", "nn.Sequential(in_keys, module)"
_APPLIED_TO_GRADIENTS = (
    "modules are applied to explicit gradients as to values: that makes no derivatives of them [maths]"
)

METATENSOR: tuple[Known, ...] = (
    Known(
        law="a_sequential_of_one_module_is_that_module",
        rows=_MODULE_MAPS,
        when=lambda recipe, x: True,
        example=_one_block,
        reason="Sequential refuses a ModuleMap, which it says it takes: it raises an AttributeError, "
        "for it looks for the attribute module_map, which only Linear and the others made of one have "
        "[doc]",
    ),
    Known(
        law="a_sequential_does_what_the_forward_of_a_layer_does",
        rows=("any_module_map",),
        when=_has_a_positive_value,
        example=_one_positive_block,
        reason="Sequential never calls its layers: it takes what is in their module_map; a forward of "
        "one's own is left out without a word [doc], [torch]",
    ),
    Known(
        law="a_sequential_calls_the_hooks_of_its_layers",
        rows=("any_module_map",),
        when=lambda recipe, x: True,
        example=_one_positive_block,
        reason="Sequential never calls its layers: it takes what is in their module_map; their hooks "
        "are left out without a word [torch]",
    ),
    Known(
        law=_IN_A_SEQUENTIAL,
        rows=_LOOKING_FIRST,
        when=_has_gradient_rows,
        draws=_is_of_metatensor,
        example=_in_a_sequential(_OF_METATENSOR),
        reason="modules are applied to explicit gradients as to values: activations and layer norms "
        "refuse these in their forward, which Sequential doesn't call [maths]",
    ),
    Known(
        law=_IN_A_SEQUENTIAL,
        rows=_APPLIED,
        when=_has_gradient_rows,
        example=_in_a_sequential(_OF_METATENSOR),
        reason=_APPLIED_TO_GRADIENTS,
    ),
    Known(
        law=_IN_A_SEQUENTIAL,
        rows=_MODULE_MAPS,
        when=_has_gradient_rows,
        draws=_is_of_torch,
        example=_in_a_sequential(_OF_TORCH),
        reason=_APPLIED_TO_GRADIENTS,
    ),
    Known(
        law=_IN_A_SEQUENTIAL,
        rows=("linear", "equivariant_linear"),
        when=_has_gradient_rows_and_a_bias,
        example=_in_a_sequential(_OF_METATENSOR),
        reason=_APPLIED_TO_GRADIENTS,
    ),
    Known(
        law="explicit_gradients_are_refused_or_right_for_any_module",
        rows=("any_module_map",),
        when=_has_gradient_rows,
        example=_of_any_module,
        reason=_APPLIED_TO_GRADIENTS,
    ),
)
