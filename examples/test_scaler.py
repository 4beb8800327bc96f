"""A scaler: it takes systems and a dictionary of maps, and gives a dictionary of maps."""

import torch
from hypothesis import strategies as st
from metatensor.torch import TensorBlock, TensorMap

from tmref.laws import check_module


class Scaler(torch.nn.Module):
    """Values times one number for every target, which is kept in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(0.1, dtype=torch.float64))

    def forward(self, systems: list[int], targets: dict[str, TensorMap]) -> dict[str, TensorMap]:
        return {name: self.scaled(target) for name, target in targets.items()}

    def scaled(self, target: TensorMap) -> TensorMap:
        blocks = []
        for block in target.blocks():
            if len(block.gradients_list()) > 0:
                raise ValueError("a scaler takes no explicit gradients")
            scale = self.scale.to(block.values.dtype)
            values = block.values * scale
            blocks.append(TensorBlock(values, block.samples, block.components, block.properties))
        return TensorMap(target.keys, blocks)


def test_scaler():
    check_module(
        lambda x: Scaler(),
        call=lambda module, x, systems: module(systems, {"energy": x})["energy"],
        given={"systems": st.lists(st.integers(0, 3))},
        traits=["keeps_keys", "keeps_samples", "keeps_components", "keeps_properties", "pure", "linear"],
        implementation="metatensor-torch",
    )
