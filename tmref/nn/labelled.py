"""The values that modules return for the blocks of a map, with the labels that are theirs."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from ..block import TensorBlock
from ..labels import Labels, LabelsEntry
from ..tensor_map import TensorMap


def labelled(
    outputs: Sequence[Any], tensor: TensorMap, properties: Iterable[Labels | None]
) -> TensorMap:
    """The map of ``outputs``, one for each block of ``tensor``: with its keys, samples and components.

    The properties are those given for the block; where that is None, one dimension ``_`` counting from
    0. Raises ValueError where an output isn't a tensor of the shape of the block's values but for the
    last axis, or of another dtype than the first, or hasn't as many properties as are given.
    """
    keys = tensor._keys
    blocks: list[TensorBlock] = []
    if len(outputs) != len(tensor._blocks):  # whoever changed the list of modules
        raise ValueError(f"there are modules for {len(outputs)} of the {len(tensor._blocks)} blocks")
    for values, block, labels in zip(outputs, tensor._blocks, properties):  # noqa: B905, they are as many
        samples, components = block._samples, block._components
        shape: Sequence[int] = values.shape if isinstance(values, torch.Tensor) else ()
        fits = len(shape) == 2 + len(components) and shape[0] == samples._length
        if not fits or (components and shape[:-1] != block._values.shape[:-1]):
            raise ValueError(_wrong_shape(keys[len(blocks)], block, values))
        width = shape[-1]
        if labels is None:
            labels = _default_properties(width, keys._device)
        elif labels._length != width:
            raise ValueError(_wrong_width(keys[len(blocks)], labels, width))
        elif labels._device != keys._device:
            labels = labels.to(keys._device)
        blocks.append(TensorBlock._unchecked(values, samples, components, labels, True))
    if len(blocks) > 1 and len({block._values.dtype for block in blocks}) > 1:
        raise ValueError(_other_dtype(keys, blocks))
    return TensorMap._unchecked(keys, blocks, tensor._info)


def labelled_alike(
    outputs: Sequence[torch.Tensor], tensor: TensorMap, properties: Sequence[Labels | None]
) -> TensorMap:
    """As :func:`labelled`, for outputs that are parts of one tensor: of one dtype and number of
    properties, and of the shapes that they must have but for that."""
    keys, width = tensor._keys, outputs[0].shape[-1]
    if properties[0] is None:
        properties = [_default_properties(width, keys._device)] * len(outputs)
    elif any(labels._length != width or labels._device != keys._device for labels in properties):  # type: ignore[union-attr]
        return labelled(outputs, tensor, properties)
    blocks = [
        TensorBlock._unchecked(values, block._samples, block._components, labels, True)  # type: ignore[arg-type]
        for values, block, labels in zip(outputs, tensor._blocks, properties)  # noqa: B905, they are as many
    ]
    return TensorMap._unchecked(keys, blocks, tensor._info)


def _wrong_shape(key: LabelsEntry, block: TensorBlock, values: object) -> str:
    given = tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__
    return (
        f"the module of {key.print()} must return a tensor of the shape "
        f"({', '.join(map(str, block.shape[:-1]))}, out_features), got {given}"
    )


def _wrong_width(key: LabelsEntry, properties: Labels, width: int) -> str:
    return (
        f"the module of {key.print()} returned {width} properties, but its out_properties have "
        f"{len(properties)} entries"
    )


def _other_dtype(keys: Labels, blocks: Sequence[TensorBlock]) -> str:
    dtypes = [block.dtype for block in blocks]
    other = next(i for i, dtype in enumerate(dtypes) if dtype != dtypes[0])
    return (
        f"the modules must return values of one dtype, got {dtypes[0]} from that of {keys[0].print()} "
        f"and {dtypes[other]} from that of {keys[other].print()}"
    )


@functools.lru_cache(maxsize=256)
def _numbered(width: int, device: torch.device) -> Labels:
    return Labels.range("_", width).to(device)


def _default_properties(width: int, device: torch.device) -> Labels:
    return _numbered(width, device)


# What torch.compiler.assume_constant_result does, which would import torch.compile's half of torch: the
# labels are found when a forward is compiled, not traced.
_default_properties._dynamo_marked_constant = True  # type: ignore[attr-defined]
