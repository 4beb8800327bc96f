"""Permutations of the blocks of a map, and of the samples of every block."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .block import TensorBlock
from .labels import Labels
from .printing import PrintedAsSource
from .tensor_map import TensorMap


@dataclass(frozen=True, repr=False)
class Permutation(PrintedAsSource):
    """The permutation p of blocks and samples: ``p(x)`` has in the place i the block ``keys[i]`` of x,
    and in its place j the sample ``samples[i][j]`` of that block.

    Explicit gradients keep their rows, which follow their samples: ``sample`` says the new places. It
    acts on maps of any labels that have as many blocks and samples as it was made for, and raises
    ValueError for others. Values are permuted by indexing, which autograd differentiates.

    Source: ours; an element of the product of symmetric groups, acting from the left.
    """

    keys: tuple[int, ...] = ()
    samples: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        for name, order in (("keys", self.keys), *(("samples", order) for order in self.samples)):
            if sorted(order) != list(range(len(order))):
                raise ValueError(f"{name} must be 0, 1, 2, ... in some order, got {order}")
        if len(self.samples) != len(self.keys):
            raise ValueError(
                f"samples must be of as many blocks as there are keys, {len(self.keys)}, got "
                f"{len(self.samples)}"
            )

    def __call__(self, tensor: TensorMap) -> TensorMap:
        """The permuted map; values and labels are copies."""
        of_blocks = dict(zip(self.keys, self.samples, strict=True))
        expected = [len(of_blocks[i]) for i in range(len(of_blocks))]
        given = [len(block) for block in tensor]
        if given != expected:
            raise ValueError(
                f"the permutation is for blocks of {expected} samples, got blocks of {given}"
            )
        blocks = [_permuted(tensor.block(i), s) for i, s in zip(self.keys, self.samples, strict=True)]
        permuted = TensorMap(tensor.keys._taken(self.keys), blocks)
        permuted._info = tensor._info
        return permuted


def _permuted(block: TensorBlock, order: tuple[int, ...]) -> TensorBlock:
    values = block.values[torch.tensor(order, dtype=torch.int64, device=block.device)]
    permuted = TensorBlock(values, block.samples._taken(order), block.components, block.properties)
    places = torch.empty(len(order), dtype=torch.int32)
    places[list(order)] = torch.arange(len(order), dtype=torch.int32)
    for parameter, gradient in block.gradients():
        rows = gradient.samples._tensor().clone()
        rows[:, 0] = places[rows[:, 0].long()]
        samples = Labels._of_tensor(gradient.samples._names, rows, gradient.device)
        of_block = TensorBlock(
            gradient.values.clone(), samples, gradient.components, gradient.properties
        )
        for name, of_gradient in gradient.gradients():  # whose rows are those of the gradient
            of_block.add_gradient(name, of_gradient._map_values(torch.clone))
        permuted.add_gradient(parameter, of_block)
    return permuted
