"""A layer with one weight for all blocks, which passes explicit gradients on."""

import torch
from metatensor.torch import TensorBlock, TensorMap

from tmref.laws import check_module


class Gate(torch.nn.Module):
    """Values times the sigmoid of a learned number, times themselves."""

    def __init__(self, tensor: TensorMap) -> None:
        super().__init__()
        dtype = tensor.block(0).values.dtype if len(tensor.keys) > 0 else torch.float32
        self.weight = torch.nn.Parameter(torch.zeros((), dtype=dtype))

    def forward(self, tensor: TensorMap) -> TensorMap:
        blocks = []
        for block in tensor.blocks():
            values = block.values.square() * self.weight
            gated = TensorBlock(values, block.samples, block.components, block.properties)
            for parameter, gradient in block.gradients():
                if len(gradient.gradients_list()) > 0:
                    raise ValueError("a gate takes no gradients of gradients")
                which = gradient.samples.column("sample").to(torch.int64)
                extra = len(gradient.components) - len(block.components)
                at = block.values[which]
                at = at.reshape(len(which), *[1] * extra, *at.shape[1:])
                gradient = TensorBlock(
                    2 * at * gradient.values * self.weight,
                    gradient.samples,
                    gradient.components,
                    gradient.properties,
                )
                gated.add_gradient(parameter, gradient)
            blocks.append(gated)
        return TensorMap(tensor.keys, blocks)


def test_gate():
    check_module(
        Gate,
        traits=["keeps_keys", "keeps_samples", "keeps_components", "shared", "per_block", "per_sample"],
        implementation="metatensor-torch",
    )
