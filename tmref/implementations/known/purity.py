"""What is known to be wrong with what metatensor's modules leave as it was, in both flavours."""

from __future__ import annotations

from ...catalog import Recipe
from ...tensor_map import TensorMap
from .. import Example, Known
from .forward import _IN_PLACE, _has_values, _one_block


def _one_block_twice(name: str) -> Example:
    example = _one_block(name)
    assert example.recipe is not None
    return Example(example.recipe.with_initial_parameters(0), example.x, {"other": example.x})


def _any(recipe: Recipe, x: TensorMap) -> bool:
    # torch's own notes on a view don't bear that several threads write to it, even where it is empty
    return True


METATENSOR: tuple[Known, ...] = tuple(
    Known(law=law, rows=("layer_norm_no_mean",), when=when, example=example, reason=_IN_PLACE)
    for law, when, example in (
        ("writing_to_the_output_leaves_the_input", _has_values, _one_block),
        ("writing_to_the_input_leaves_the_output", _has_values, _one_block),
        ("the_same_in_several_threads", _any, _one_block_twice),
    )
)
