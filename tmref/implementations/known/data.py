"""What is known to be wrong with metatensor's data, in each of both flavours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        return Example(None, x, {"moved": moved, "fill": 0})

    return example


def _moves_nothing(name: str, moved: Any) -> Known:
    return Known(
        law=name,
        rows=("tensor_map",),
        when=lambda recipe, x: len(x) > 0,
        example=_one_block(moved),
        reason=_MOVES_NO_TENSORS,
    )


def _negated(way: str) -> Any:
    """The example of a block, or of a map of one, of one lazily negated number, copied in a ``way``."""

    def example(row: str) -> Example:
        values = torch._neg_view(torch.tensor([[-1.0]]))
        block = TensorBlock(values, Labels.range("s", 1), [], Labels.range("p", 1))
        x = block if row == "tensor_block" else TensorMap(Labels.range("key", 1), [block])
        return Example(None, x, {"way": way})

    return example


def lies(x: Any, how: Callable[[torch.Tensor], bool]) -> bool:
    """Whether values of a block or of a map's blocks, or those of gradients, lie in memory so."""
    return any(
        how(part.values)
        for block in ([x] if isinstance(x, TensorBlock) else x)
        for part in (block, *(gradient for _, gradient in block.gradients()))
    )


def _written(
    how: Callable[[torch.Tensor], bool], way: str, words: Sequence[str] = ("pickle", "buffer")
) -> list[Known]:
    """Values that lie in memory so come back wrong in the ways that have one of the ``words``."""
    return [
        Known(
            law=f"{name}_survive_however_they_lie_in_memory",
            rows=(row,),
            when=lambda recipe, x: lies(x, how),
            draws=lambda drawn: any(word in drawn["way"] for word in words),
            example=_negated(way),
            reason="lazily negated or conjugate values are taken as they stand in memory: the numbers "
            "that come back from a file are others, their negatives or conjugates [torch]",
        )
        for name, row in (("blocks", "tensor_block"), ("maps", "tensor_map"))
    ]


def _one_label(**draws: Any) -> Any:
    return lambda row: Example(None, Labels("key", torch.tensor([[1]])), draws)


#: In both flavours.
_BOTH: tuple[Known, ...] = (
    Known(
        law="labels_hold_the_integers_that_they_are_made_of",
        rows=("labels",),
        when=lambda recipe, x: True,
        draws=lambda drawn: drawn["integers"].is_neg() and drawn["integers"].dtype == torch.int32,
        example=_one_label(integers=torch._neg_view(torch.tensor([[-1]], dtype=torch.int32))),
        reason="lazily negated or conjugate values are taken as they stand in memory: labels find the "
        "negatives of their entries, and print what the tensor says [doc]",
    ),
    Known(
        law="integers_beyond_32_bits_make_no_labels",
        rows=("labels",),
        when=lambda recipe, x: True,
        example=_one_label(beyond=(torch.int64, 2**32 + 1)),
        reason="integers beyond 32 bits are wrapped: they become the labels of other entries [doc]",
    ),
    Known(
        law="labels_stay_when_what_they_are_made_of_changes",
        rows=("labels",),
        when=lambda recipe, x: True,
        example=_one_label(),
        reason="labels share the memory of a tensor of int32: when it changes, their values change, and "
        "what they find does not [doc]",
    ),
)


def _has_labels_without_entries(recipe: Any, x: TensorMap) -> bool:
    parts = [part for block in x for part in (block, *(g for _, g in block.gradients()))]
    return not len(x) or any(not len(part.samples) or not len(part.properties) for part in parts)


LEARN: tuple[Known, ...] = (
    *_BOTH,
    *_written(torch.Tensor.is_neg, "pickle.loads(pickle.dumps(x)).to(arrays='torch')"),
    Known(
        law="labels_that_are_dropped_give_their_memory_back",
        rows=("labels",),
        when=lambda recipe, x: True,
        example=_one_label(use="len(y)"),
        reason="labels are never freed: the arrays that they were made of stay for good [doc]",
    ),
    Known(
        law="what_a_map_says_of_itself_stays",
        rows=("tensor_map",),
        when=lambda recipe, x: True,
        draws=lambda drawn: "" in drawn["info"].values(),
        example=lambda row: Example(
            None, TensorMap(Labels.empty("key"), []), {"info": {"a": ""}, "way": "x"}
        ),
        reason="an info that is an empty text is lost: get_info gives None, which can't be copied [doc]",
    ),
    Known(
        law="a_map_on_meta_has_names_and_sizes",
        rows=("tensor_map",),
        when=_has_labels_without_entries,
        draws=lambda drawn: "arrays" in drawn["way"],
        example=lambda row: Example(
            None, TensorMap(Labels.empty("key"), []), {"way": "x.to(device='meta', arrays='torch')"}
        ),
        reason="labels without entries stay on the CPU: they can't be moved to another device [doc]",
    ),
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
        return Example(None, x, {"moved": moved, "fill": 0})

    return example


def _has_other_directions(recipe: Any, x: TensorMap) -> bool:
    blocks = list(x)
    return any(
        gradient.components != block.gradient(name).components
        for block in blocks
        for name, gradient in blocks[0].gradients()
    )


TORCH: tuple[Known, ...] = (
    *_BOTH,
    *_written(
        lambda values: values.is_neg() or values.is_conj(),
        "pickle.loads(pickle.dumps(x))",
        ("pickle", "buffer", "deepcopy"),
    ),
    *(
        Known(
            law=name,
            rows=("tensor_map",),
            when=_has_other_directions,
            example=_other_directions(moved),
            reason="gradients get the components of the first block's: where another block's have "
            "others, their values are broadcast to directions that they are no derivatives by [maths]",
        )
        for name, moved in (
            ("keys_to_samples_puts_blocks_below_each_other", "key"),
            ("keys_to_properties_puts_blocks_beside_each_other", "key"),
            ("keys_to_properties_has_the_entries_of_labels", Labels.range("key", 2)),
        )
    ),
)
