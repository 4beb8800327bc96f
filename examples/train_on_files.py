"""Training on maps in files, one for each sample: a dataset reads them when they are asked for, and a
loader joins the samples of a batch."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

import tmref
from tmref import Labels, TensorBlock, TensorMap, nn
from tmref.datasets import DataLoader, Dataset

KEYS = Labels(["center_type"], torch.tensor([[1], [6]]))


def features_of(system: int) -> TensorMap:
    """The features of a molecule's atoms, by their type, with hydrogens where it has any."""
    sizes = {1: system % 3, 6: 2}
    blocks = []
    for key in KEYS:
        atoms = torch.arange(sizes[int(key["center_type"])])
        samples = Labels(["system", "atom"], torch.stack([torch.full_like(atoms, system), atoms], 1))
        blocks.append(TensorBlock(torch.randn(len(atoms), 4), samples, [], Labels.range("n", 4)))
    return TensorMap(KEYS, blocks)


def energies(model: torch.nn.Module, features: TensorMap) -> torch.Tensor:
    """The sum over the atoms of each molecule, in the order of their numbers."""
    per_atom = model(features).keys_to_samples("center_type")
    return tmref.sum_over_samples(per_atom, ["atom", "center_type"]).block().values


def train(folder: Path, samples: int = 12, epochs: int = 60) -> list[float]:
    """The losses of all epochs, of a model that is trained on files in the folder."""
    torch.manual_seed(0)
    truth = nn.Linear(KEYS, in_features=4, out_features=1)
    for i in range(samples):
        tmref.save(str(folder / f"{i}.mts"), features_of(i))

    def load(i: int) -> TensorMap:
        return tmref.load(str(folder / f"{i}.mts"))

    with torch.no_grad():
        targets = [energies(truth, load(i)) for i in range(samples)]
    loader = DataLoader(Dataset(features=load, energy=targets), batch_size=4)
    model = nn.Linear(KEYS, in_features=4, out_features=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(epochs):
        of_epoch = 0.0
        for features, energy in loader:
            optimizer.zero_grad()
            loss = (energies(model, features) - energy).square().mean()
            loss.backward()
            optimizer.step()
            of_epoch += loss.item()
        losses.append(of_epoch)
    return losses


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        found = train(Path(name))
    print(f"loss {found[0]:.3g} in the first epoch, {found[-1]:.3g} in the last")
