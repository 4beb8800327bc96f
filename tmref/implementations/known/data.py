"""What is known to be wrong with metatensor's data, in each of both flavours."""

from __future__ import annotations

from typing import Any

import torch

from ...block import TensorBlock
from ...labels import Labels
from ...tensor_map import TensorMap
from .. import Example, Known

_APPENDED = "x.append('new', x.values[:, 0])"
_MOVES_NO_TENSORS = (
    "moves refuse values that are tensors, which the documents allow: the fill value's array has the "
    "dtype of the blocks', which numpy does not know where it is torch's, a TypeError [doc]"
)


def _no_entries(row: str) -> Example:
    labels = Labels.empty(["a", "b"])
    return Example(None, labels, {"changes": [(_APPENDED, ["a", "b", "new"], [0, 1, 0])]})


def _has_other_sizes(recipe: Any, x: Labels) -> bool:
    return len(x) != len(x.names)


def _appends(drawn: dict[str, Any]) -> bool:
    return any("append" in code for code, *_ in drawn["changes"])


def _one_block(moved: Any) -> Any:
    def example(row: str) -> Example:
        block = TensorBlock(torch.ones((1, 1)), Labels.range("s", 1), [], Labels.range("p", 1))
        x = TensorMap(Labels.range("key", 1), [block])
        return Example(None, x, {"moved": moved, "sorts": True, "fill": 0})

    return example


def _moves_nothing(name: str, moved: Any) -> Known:
    return Known(
        law=name,
        rows=("tensor_map",),
        when=lambda recipe, x: len(x) > 0,
        example=_one_block(moved),
        reason=_MOVES_NO_TENSORS,
    )


LEARN: tuple[Known, ...] = (
    Known(
        law="dimensions_change_as_columns_of_a_table",
        rows=("labels",),
        when=_has_other_sizes,
        draws=_appends,
        example=_no_entries,
        reason="Labels.append inserts at the number of entries, not of dimensions: the new one stands "
        "elsewhere than at the end, or an IndexError is raised [doc]",
    ),
    _moves_nothing("keys_to_samples_puts_blocks_below_each_other", "key"),
    _moves_nothing("keys_to_properties_puts_blocks_beside_each_other", "key"),
    _moves_nothing("keys_to_properties_has_the_entries_of_labels", Labels.range("key", 1)),
)


def _other_directions(moved: Any) -> Any:
    def example(row: str) -> Example:
        blocks = []
        for rows, directions in ((0, 2), (1, 1)):
            block = TensorBlock(torch.ones((1, 1)), Labels.range("s", 1), [], Labels.range("p", 1))
            components = [Labels.range("xyz", directions)]
            values = torch.full((rows, directions, 1), 5.0)
            samples = Labels.range("sample", rows)
            block.add_gradient("g", TensorBlock(values, samples, components, block.properties))
            blocks.append(block)
        x = TensorMap(Labels.range("key", 2), blocks)
        return Example(None, x, {"moved": moved, "sorts": True, "fill": 0})

    return example


def _has_other_directions(recipe: Any, x: TensorMap) -> bool:
    blocks = list(x)
    return any(
        gradient.components != block.gradient(name).components
        for block in blocks
        for name, gradient in blocks[0].gradients()
    )


TORCH: tuple[Known, ...] = tuple(
    Known(
        law=name,
        rows=("tensor_map",),
        when=_has_other_directions,
        example=_other_directions(moved),
        reason="gradients get the components of the first block's: where another block's have others, "
        "their values are broadcast to directions that they are no derivatives by [maths]",
    )
    for name, moved in (
        ("keys_to_samples_puts_blocks_below_each_other", "key"),
        ("keys_to_properties_puts_blocks_beside_each_other", "key"),
        ("keys_to_properties_has_the_entries_of_labels", Labels.range("key", 2)),
    )
)
