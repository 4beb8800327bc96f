"""What is known to be wrong with metatensor's modules where torch's are right, in both flavours."""

from __future__ import annotations

from typing import Any

import torch

from ... import catalog
from ...block import TensorBlock
from ...catalog import ROWS
from ...labels import Labels
from ...tensor_map import TensorMap
from .. import Example, Known
from .examples import keys_of, map_of_ones, recipe_of_ones

_IN_PLACE = (
    "LayerNorm(mean=False) divides the values of its input in place: they are the output's afterwards, "
    "and what can't be written to, or is needed for derivatives, raises a RuntimeError [torch]"
)
_FORWARD = (
    "ModuleMap calls the forward of its modules, not the modules: calling these is what runs their "
    "hooks; torch's forward says \"the former takes care of running the registered hooks while the "
    'latter silently ignores them" [torch]'
)


def _of_one_block(**draws: Any) -> Any:
    """A function of the row that makes an example of two samples, and these draws."""

    def example(name: str) -> Example:
        row = catalog.row(name)
        keys = keys_of(row, 1)
        return Example(recipe_of_ones(row, keys), map_of_ones(row, keys), draws)

    return example


def _derivatives(name: str) -> Example:
    example = _of_one_block()(name)
    return Example(example.recipe, example.x, {"cotangents": example.x, "directions": example.x})


def _two_samples() -> TensorMap:
    samples, properties = Labels.range("system", 2), Labels.range("n", 1)
    block = TensorBlock(torch.ones(2, 1), samples, [], properties)
    return TensorMap(Labels.range("key", 1), [block])


def _expanded(name: str) -> Example:
    row = catalog.row(name)
    keys = keys_of(row, 1)
    return Example(recipe_of_ones(row, keys), _two_samples(), {"layout_0": "expanded"})


def _of_float16(name: str) -> Example:
    row = catalog.row(name)
    shapes = row.layers[0].parameter_shapes(2, 2)
    parameters = [[tuple(torch.ones(shape, dtype=torch.float16) for shape in shapes)]]
    recipe = catalog.recipe(row, keys_of(row, 1), torch.float16, [[2, 2]], parameters)
    components = [Labels("o3_mu", torch.tensor([[0]]))] if row.maps.get("spherical") else []
    shape = (1, *(1 for _ in components), 2)
    block = TensorBlock(
        torch.ones(shape, dtype=torch.float16),
        Labels.range("system", 1),
        components,
        Labels.range("n", 2),
    )
    return Example(recipe, TensorMap(keys_of(row, 1), [block]), {})


def _of_modules(**draws: Any) -> Any:
    return lambda name: Example(None, _two_samples(), draws)


def _some_are_expanded(drawn: dict[str, Any]) -> bool:
    return "expanded" in [value for name, value in drawn.items() if name.startswith("layout_")]


METATENSOR: tuple[Known, ...] = (
    Known(
        law="values_are_the_same_however_they_lie_in_memory",
        rows=("layer_norm_no_mean",),
        when=lambda recipe, x: any(len(block) > 1 and block.values.numel() for block in x),
        draws=_some_are_expanded,
        example=_expanded,
        reason=_IN_PLACE,
    ),
    Known(
        law="layer_norms_of_float16_do_not_overflow",
        rows=tuple(row.name for row in ROWS if "normalised" in row.traits),
        when=lambda recipe, x: any(block.shape[1:].numel() > 1 for block in x),
        example=_of_float16,
        reason="LayerNorm rounds the variance to float16: there it is infinite from 65520 on, and all "
        "values are the bias then; torch's computes it in float32 [torch]",
    ),
    Known(
        law="second_derivatives_are_those_of_plain_torch",
        rows=("layer_norm_no_mean",),
        when=lambda recipe, x: len(x) > 0,
        example=_derivatives,
        reason=_IN_PLACE,
    ),
    Known(
        law="outputs_require_gradients_where_those_of_plain_torch_do",
        rows=("layer_norm_no_mean",),
        when=lambda recipe, x: len(x) > 0,
        draws=lambda drawn: bool(drawn["given"]),
        example=_of_one_block(mode="enable_grad", is_frozen=True, given=[0]),
        reason=_IN_PLACE,
    ),
    Known(
        law="steps_of_an_optimizer_are_those_on_plain_torch",
        rows=("layer_norm_no_mean",),
        when=lambda recipe, x: len(x) > 0,
        example=_of_one_block(steps=1),
        reason=_IN_PLACE,
    ),
    Known(
        law="hooks_of_modules_are_called",
        rows=("any_module_map",),
        when=lambda recipe, x: True,
        example=_of_modules(hook="forward"),
        reason=_FORWARD,
    ),
    Known(
        law="lazy_modules_are_made_by_the_first_forward",
        rows=("any_module_map",),
        when=lambda recipe, x: True,
        example=_of_modules(out_features=1),
        reason="ModuleMap calls the forward of its modules, not the modules: a lazy one gets no "
        "parameters, which it gets by a hook [torch]",
    ),
)
