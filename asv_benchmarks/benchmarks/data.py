"""Data: how long it takes to make labels, blocks and maps, to move keys, to write files, to import.

asv calls setup before every call that it times, so each is of data made anew, as a user's mostly are.
"""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path

import torch

import tmref

from .common import expansion, implementation, version_of

version = version_of(__file__, "work")


class Data:
    """The types of an implementation."""

    params = ("reference", "metatensor-learn", "metatensor-torch")
    param_names = ("implementation",)

    def setup(self, name: str) -> None:
        self.of, self.tensor = implementation(name), expansion(name)
        rows = torch.stack([torch.arange(10000) // 10, torch.arange(10000) % 10], dim=1)
        self.array = self.of.array(rows.to(torch.int32))
        self.labels = self.of.Labels(["system", "atom"], self.array)
        self.entries = [(i % 1000, i % 10) for i in range(0, 10000, 7)]
        self.parts = [
            (b.values, b.samples, b.components, b.properties)
            for b in (self.tensor.block_by_id(i) for i in range(len(self.tensor.keys)))
        ]

    def time_labels(self, name: str) -> None:
        self.of.Labels(["system", "atom"], self.array)

    def time_position(self, name: str) -> None:
        for entry in self.entries:
            self.labels.position(entry)

    def time_blocks(self, name: str) -> None:
        self._blocks()

    def time_blocks_and_map(self, name: str) -> None:
        # metatensor takes the blocks away from who gives them: they are made anew
        self.of.TensorMap(self.tensor.keys, self._blocks())

    def _blocks(self) -> list[object]:
        return [self.of.TensorBlock(*part) for part in self.parts]


class Moves:
    """Keys to samples and to properties; metatensor's core flavour moves keys of numpy's values only."""

    params = ("reference", "metatensor-torch")
    param_names = ("implementation",)

    def setup(self, name: str) -> None:
        self.tensor = expansion(name)

    def time_keys_to_samples(self, name: str) -> None:
        self.tensor.keys_to_samples("types")

    def time_keys_to_properties(self, name: str) -> None:
        self.tensor.keys_to_properties("types")


class Files:
    """A map of 36 blocks, to a file and back."""

    params = ("reference", "metatensor-torch")
    param_names = ("implementation",)

    def setup(self, name: str) -> None:
        self.tensor = expansion(name)
        self.module = tmref if name == "reference" else importlib.import_module("metatensor.torch")
        self.folder = tempfile.TemporaryDirectory()
        self.path = str(Path(self.folder.name) / "map.mts")
        self.module.save(self.path, self.tensor)

    def teardown(self, name: str) -> None:
        self.folder.cleanup()

    def time_save(self, name: str) -> None:
        self.module.save(self.path, self.tensor)

    def time_load(self, name: str) -> None:
        self.module.load(self.path)


def timeraw_import() -> str:
    return "import tmref"


def timeraw_import_torch() -> str:
    """What it takes without tmref."""
    return "import torch"
