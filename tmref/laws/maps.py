"""Maps made of maps: what laws say about them in one word each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ..block import TensorBlock
from ..labels import Labels
from ..tensor_map import TensorMap


def with_values(x: TensorMap, values: Sequence[torch.Tensor]) -> TensorMap:
    """The map ``x`` with other values of the same shapes, and without gradients."""
    pairs = zip(x, values, strict=True)
    return TensorMap(
        x.keys,
        [TensorBlock(v, b.samples, b.components, b.properties) for b, v in pairs],
    )


def map_values(function: Callable[..., torch.Tensor], *maps: TensorMap) -> TensorMap:
    """The first map with ``function`` of the values of all of them, block by block."""
    values = ([block.values for block in tensor] for tensor in maps)
    return with_values(maps[0], list(map(function, *values)))


def with_keys(x: TensorMap, keys: Labels) -> TensorMap:
    """The blocks of ``x`` under other keys."""
    return TensorMap(keys, list(x))


def zeros_like(x: TensorMap) -> TensorMap:
    """The map with zeros for values, and without gradients."""
    return map_values(torch.zeros_like, x)


def take_samples(x: TensorMap, rows: Sequence[Sequence[int]]) -> TensorMap:
    """The map with the samples at ``rows[i]`` of the block ``i``, and without gradients."""
    blocks = []
    for block, where in zip(x, rows, strict=True):
        index = torch.tensor(list(where), dtype=torch.int64)
        samples = Labels(block.samples.names, block.samples.values.cpu()[index]).to(block.device)
        values = block.values[index.to(block.device)]
        blocks.append(TensorBlock(values, samples, block.components, block.properties))
    return TensorMap(x.keys, blocks)


def require_grad(x: TensorMap) -> TensorMap:
    """The map with values that autograd differentiates by."""
    return map_values(lambda values: values.detach().clone().requires_grad_(), x)
