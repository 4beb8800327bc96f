"""A multi-layer perceptron for every type of atoms: the keys are atomic numbers."""

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap

from tmref.laws import check_module
from tmref.strategies import labels_of


class ByType(torch.nn.Module):
    """For every block the perceptron of its ``center_type``."""

    def __init__(self, tensor: TensorMap) -> None:
        super().__init__()
        self.names = tensor.keys.names
        self.mlps = torch.nn.ModuleDict()
        for key, block in tensor.items():
            self.mlps[str(int(key["center_type"]))] = mlp(len(block.properties), block.values.dtype)

    def forward(self, tensor: TensorMap) -> TensorMap:
        if tensor.keys.names != self.names:
            raise ValueError(f"keys must be {self.names}, got {tensor.keys.names}")
        blocks = []
        for key, block in tensor.items():
            if len(block.gradients_list()) > 0:
                raise ValueError("perceptrons take no explicit gradients")
            values = self.mlps[str(int(key["center_type"]))](block.values)
            properties = Labels(["out"], torch.arange(values.shape[-1]).reshape(-1, 1))
            blocks.append(TensorBlock(values, block.samples, block.components, properties))
        return TensorMap(tensor.keys, blocks)


def mlp(features: int, dtype: torch.dtype) -> torch.nn.Sequential:
    """Two layers."""
    return torch.nn.Sequential(
        torch.nn.Linear(features, 4, dtype=dtype), torch.nn.SiLU(), torch.nn.Linear(4, 2, dtype=dtype)
    )


def test_by_type():
    check_module(
        ByType,
        twin=lambda key, block: mlp(len(block.properties), block.dtype),
        maps={"keys": labels_of(dimensions={"center_type": (1, 118)})},
        traits=["keeps_keys", "keeps_samples", "keeps_components", "per_block", "per_sample", "keyed"],
        implementation="metatensor-torch",
    )
