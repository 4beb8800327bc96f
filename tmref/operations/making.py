"""Blocks of arrays, and blocks and maps that are one expression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch

from ..block import TensorBlock
from ..labels import Labels

#: A block of any implementation.
Block = TypeVar("Block", bound=Any)
#: A map of any implementation.
Map = TypeVar("Map", bound=Any)


def block_from_array(array: torch.Tensor) -> TensorBlock:
    """A block of the values ``array``, each axis labelled by 0, 1, 2, ...

    The first axis are samples named ``sample``, the last one properties named ``property``, the ones
    between components named ``component_1``, ``component_2``, ...; the values are not copied.

    Raises TypeError for something other than a tensor, ValueError for fewer than two axes.

    Source: the documentation of ``metatensor.block_from_array`` without its optional names.
    """
    if not isinstance(array, torch.Tensor):
        raise TypeError(f"array must be a torch.Tensor, got {type(array).__name__}")
    if array.dim() < 2:
        raise ValueError(
            "array must have at least two axes, samples and properties, "
            f"got the shape {tuple(array.shape)}"
        )
    names = ["sample", *(f"component_{i}" for i in range(1, array.dim() - 1)), "property"]
    samples, *components, properties = (
        Labels.range(name, size).to(array.device) for name, size in zip(names, array.shape, strict=True)
    )
    return TensorBlock(array, samples, components, properties)


def with_gradients(block: Block, gradients: Mapping[str, Block]) -> Block:
    """The ``block`` itself, after ``block.add_gradient`` of each of the ``gradients`` by parameter.

    With it a block with gradients is one expression: in reprs, and for the blocks of any
    implementation. Raises what ``add_gradient`` raises.

    Source: ours; the documentation of metatensor has ``add_gradient`` alone, which returns nothing.
    """
    for parameter, gradient in gradients.items():
        block.add_gradient(parameter, gradient)
    return block


def with_info(tensor: Map, info: Mapping[str, str]) -> Map:
    """The ``tensor`` itself, after ``tensor.set_info`` of each of the pairs of ``info``.

    With it a map that says something of itself is one expression, as :func:`with_gradients` makes it of
    blocks. Raises what ``set_info`` raises.

    Source: ours; the documentation of metatensor has ``set_info`` alone, which returns nothing.
    """
    for key, value in info.items():
        tensor.set_info(key, value)
    return tensor
