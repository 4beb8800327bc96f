"""Invariants made of spherical tensors: the norm of every one."""

import torch
from metatensor.torch import TensorBlock, TensorMap

from tmref.laws import check_module


class Norms(torch.nn.Module):
    """The squared norm over the components, for every sample and property."""

    def forward(self, tensor: TensorMap) -> TensorMap:
        blocks = []
        for block in tensor.blocks():
            if len(block.gradients_list()) > 0:
                raise ValueError("norms take no explicit gradients")
            values = block.values.square()
            values = values.sum(dim=1)
            blocks.append(TensorBlock(values, block.samples, [], block.properties))
        return TensorMap(tensor.keys, blocks)


def test_norms():
    check_module(
        lambda x: Norms(),
        maps={"spherical": True, "min_samples": 0},
        traits=["invariant", "keeps_keys", "keeps_samples", "keeps_properties", "pure", "per_sample"],
        implementation="metatensor-torch",
    )
