"""Maps with the metadata of another, and other values; and with autograd's graph or without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ..block import TensorBlock
from ..printing import type_of
from ..tensor_map import TensorMap
from ._common import check_maps, check_names, of_blocks
from .selecting import remove_gradients

_Fill = Callable[[torch.Tensor], torch.Tensor]


def zeros_like(
    tensor: TensorMap, gradients: str | Sequence[str] | None = None, requires_grad: bool = False
) -> TensorMap:
    """The map with 0 for every value, of the same shapes, dtypes, devices and labels.

    It has the explicit gradients named in ``gradients``, all of them for None, of zeros as well. Where
    ``requires_grad`` is true, autograd records what is done to the values.

    Raises TypeError for something other than a map, names and a bool, ValueError for a gradient that
    isn't there.

    Source: the documentation of ``metatensor.zeros_like``.
    """
    return _filled(tensor, torch.zeros_like, gradients, requires_grad)


def ones_like(
    tensor: TensorMap, gradients: str | Sequence[str] | None = None, requires_grad: bool = False
) -> TensorMap:
    """The map with 1 for every value; otherwise as :func:`zeros_like`. Raises as that does.

    Source: the documentation of ``metatensor.ones_like``.
    """
    return _filled(tensor, torch.ones_like, gradients, requires_grad)


def empty_like(
    tensor: TensorMap, gradients: str | Sequence[str] | None = None, requires_grad: bool = False
) -> TensorMap:
    """The map with any values at all, to be written to; otherwise as :func:`zeros_like`. Raises as that
    does.

    Source: the documentation of ``metatensor.empty_like``.
    """
    return _filled(tensor, torch.empty_like, gradients, requires_grad)


def random_uniform_like(
    tensor: TensorMap, gradients: str | Sequence[str] | None = None, requires_grad: bool = False
) -> TensorMap:
    """The map with values drawn uniformly from [0, 1) by torch's generator, block by block; otherwise as
    :func:`zeros_like`. Raises RuntimeError, as torch does, for integers.

    Source: the documentation of ``metatensor.random_uniform_like``.
    """
    return _filled(tensor, torch.rand_like, gradients, requires_grad)


def detach(tensor: TensorMap) -> TensorMap:
    """The map with the same memory, cut off from autograd's graph, explicit gradients included.

    Raises TypeError for something other than a map.

    Source: the documentation of ``metatensor.detach``, and of ``torch.Tensor.detach``.
    """
    check_maps(tensor=tensor)
    return tensor._map_blocks(lambda block: block._map_values(torch.Tensor.detach))


def requires_grad(tensor: TensorMap, requires_grad: bool = True) -> TensorMap:
    """The map with the same memory, explicit gradients included, where autograd records what is done to
    the values, or doesn't.

    They are cut off from the graph that they were in: ``tensor`` itself stays what it was. Raises
    TypeError for something other than a map and a bool, RuntimeError, as torch does, for integers.

    Source: the documentation of ``metatensor.requires_grad``.
    """
    check_maps(tensor=tensor)
    _check_flag(requires_grad)
    return tensor._map_blocks(
        lambda block: block._map_values(lambda values: values.detach().requires_grad_(requires_grad))
    )


def _filled(
    tensor: TensorMap, fill: _Fill, gradients: str | Sequence[str] | None, requires_grad: bool
) -> TensorMap:
    check_maps(tensor=tensor)
    _check_flag(requires_grad)
    if gradients is not None:
        kept = [gradients] if isinstance(gradients, str) else gradients
        check_names("gradients", kept)
        there = tensor.block(0).gradients_list() if len(tensor) else list(kept)
        for name in kept:
            if name not in there:
                raise ValueError(f"no gradient {name!r} in the map, which has {there}")
        tensor = remove_gradients(tensor, [name for name in there if name not in kept])

    def filled(block: TensorBlock) -> TensorBlock:
        made = block._map_values(lambda values: fill(values.detach()))
        made._values.requires_grad_(requires_grad)
        return made

    return of_blocks(tensor, filled)


def _check_flag(requires_grad: object) -> None:
    if not isinstance(requires_grad, bool):
        raise TypeError(f"requires_grad must be a bool, got {type_of(requires_grad)}")
