"""A model that gives several maps."""

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap

from tmref.laws import check_module


class Heads(torch.nn.Module):
    """Features, as they are with their sign changed, and an energy for every sample."""

    def __init__(self, tensor: TensorMap) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleDict()
        for key, block in tensor.items():
            sizes, dtype = (len(block.properties), 1), block.values.dtype
            self.layers[str(key.values.tolist())] = torch.nn.Linear(*sizes, dtype=dtype)

    def forward(self, tensor: TensorMap) -> dict[str, TensorMap]:
        features, energies = [], []
        for key, block in tensor.items():
            if len(block.gradients_list()) > 0:
                raise ValueError("heads take no explicit gradients")
            energy = self.layers[str(key.values.tolist())](block.values)
            values = -block.values
            features.append(TensorBlock(values, block.samples, block.components, block.properties))
            properties = Labels(["energy"], torch.tensor([[0]]))
            energies.append(TensorBlock(energy, block.samples, block.components, properties))
        return {
            "features": TensorMap(tensor.keys, features),
            "energy": TensorMap(tensor.keys, energies),
        }


def test_all_that_heads_give():
    check_module(Heads, traits=["deterministic", "pure"], implementation="metatensor-torch")


def test_energies():
    check_module(
        Heads,
        call=lambda module, x: module(x)["energy"],
        traits=["keeps_keys", "keeps_samples", "keeps_components", "per_block", "per_sample", "linear"],
        implementation="metatensor-torch",
    )
