"""What is known to be wrong with metatensor's operations one after the other."""

from __future__ import annotations

import torch

from ...block import TensorBlock
from ...labels import Labels
from ...tensor_map import TensorMap
from .. import Example, Known


def _moved(row: str) -> Example:
    block = TensorBlock(torch.ones((1, 1)), Labels.range("s", 1), [], Labels.range("p", 1))
    x = TensorMap(Labels(["key", "other"], torch.tensor([[0, 0]])), [block])
    return Example(None, x, {"program": [("keys_to_samples", ["key"])]})


LEARN: tuple[Known, ...] = (
    Known(
        law="whatever_is_done_to_a_map_is_done_to_its_numbers",
        rows=("operations",),
        when=lambda recipe, x: len(x) > 0,
        draws=lambda drawn: any(name.startswith("keys_to") for name, _ in drawn["program"]),
        example=_moved,
        reason="moves refuse values that are tensors, which the documents allow: the fill value's array "
        "has the dtype of the blocks', which numpy does not know where it is torch's, a TypeError [doc]",
    ),
)
