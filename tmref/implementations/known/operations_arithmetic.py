"""What is known to be wrong with metatensor's arithmetic, and with its maps of other values."""

from __future__ import annotations

from typing import Any

import torch

from ...block import TensorBlock
from ...labels import Labels
from ...tensor_map import TensorMap
from .. import Example, Known


def _without_properties() -> TensorMap:
    """A map of one block of one sample without properties, which has a gradient."""
    properties = Labels.range("p", 0)
    block = TensorBlock(torch.empty((1, 0)), Labels.range("s", 1), [], properties)
    gradient = TensorBlock(torch.empty((1, 0)), Labels.range("sample", 1), [], properties)
    block.add_gradient("positions", gradient)
    return TensorMap(Labels.range("key", 1), [block])


def _has_gradients_of_nothing(recipe: Any, x: TensorMap) -> bool:
    return any(block.gradients_list() and not len(block.properties) for block in x)


def _reshapes_nothing(law: str, **draws: Any) -> Known:
    return Known(
        law=law,
        rows=("operations",),
        when=_has_gradients_of_nothing,
        example=lambda row: Example(None, _without_properties(), draws),
        reason="arithmetic refuses gradients of blocks without properties: the values are reshaped to "
        "[-1, 0], of which torch can't tell the first size, a RuntimeError; the documents say that the "
        "gradients are transformed [doc]",
    )


def _large_integers() -> TensorMap:
    """A map of one integer that float32 doesn't have."""
    block = TensorBlock(torch.tensor([[2**24 + 1]]), Labels.range("s", 1), [], Labels.range("p", 1))
    return TensorMap(Labels.range("key", 1), [block])


#: In both flavours.
BOTH: tuple[Known, ...] = (
    _reshapes_nothing("a_product_of_maps_is_that_of_their_numbers", other=_without_properties()),
    _reshapes_nothing("a_quotient_of_maps_is_that_of_their_numbers", other=_without_properties()),
    _reshapes_nothing("a_power_of_a_map_is_that_of_every_entry", exponent=2),
    _reshapes_nothing("absolute_values_are_those_of_every_entry"),
    Known(
        law="arithmetic_of_integers_is_exact",
        rows=("operations",),
        when=lambda recipe, x: any(not torch.equal(b.values, b.values.float().long()) for b in x),
        # maps are subtracted by adding the second times -1
        draws=lambda drawn: drawn["name"] == "subtract" or not isinstance(drawn["other"], TensorMap),
        example=lambda row: Example(None, _large_integers(), {"name": "multiply", "other": 3}),
        reason="integers are rounded to float32, silently: the number becomes a float, of which, with a "
        "tensor of int64, torch makes float32; maps are subtracted that way, too; the documents say "
        "that values are the sum, difference or product [doc]",
    ),
)


def _asks_for_none(law: str, **draws: Any) -> Known:
    return Known(
        law=law,
        rows=("operations",),
        when=lambda recipe, x: True,
        draws=lambda drawn: drawn["asked"] == [],
        example=lambda row: Example(None, _without_properties(), {**draws, "asked": []}),
        reason="an empty list of gradients is refused: TorchScript can't infer the type of [], which "
        "the documents give as the way to copy none [doc]",
    )


#: Of metatensor-torch alone.
TORCH: tuple[Known, ...] = (
    _asks_for_none("maps_of_one_number_have_the_metadata_of_another", name="ones_like"),
    _asks_for_none("random_maps_have_the_metadata_of_another"),
    _asks_for_none("maps_of_no_numbers_have_the_metadata_of_another"),
)
