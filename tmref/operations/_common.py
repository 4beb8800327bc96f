"""What operations share."""

from __future__ import annotations

from collections.abc import Callable

from ..block import TensorBlock
from ..printing import type_of
from ..tensor_map import TensorMap


def check_maps(**tensors: object) -> None:
    for name, tensor in tensors.items():
        if not isinstance(tensor, TensorMap):
            raise TypeError(f"{name} must be a TensorMap, got {type_of(tensor)}")


def check_blocks(**blocks: object) -> None:
    for name, block in blocks.items():
        if not isinstance(block, TensorBlock):
            raise TypeError(f"{name} must be a TensorBlock, got {type_of(block)}")


def check_axis(axis: object, *axes: str) -> None:
    if axis not in axes:
        *others, last = map(repr, axes)
        raise ValueError(f"axis must be {', '.join(others)} or {last}, got {axis!r}")


def check_names(argument: str, names: object) -> None:
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"{argument} must be a list of strings, got {names!r} of type {type(names).__name__}"
        )


def of_blocks(tensor: TensorMap, function: Callable[[TensorBlock], TensorBlock]) -> TensorMap:
    """The map of ``function`` of every block: of other values, which nothing is said of."""
    return TensorMap._unchecked(tensor._keys, tensor._map_blocks(function)._blocks)
