"""metatensor-learn on metatensor's core flavour of TensorMaps, as it is installed."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from typing import Any

import metatensor.learn
import numpy as np
import torch

from ..labels import Labels as OwnLabels
from . import CPU, Implementation
from .known import LEARN


class MetatensorLearn(Implementation):
    """metatensor.learn.nn, with values of torch tensors, and labels of numpy arrays; on other devices
    than the CPU, where there are none, of torch tensors."""

    name = "metatensor-learn"
    version = importlib.metadata.version("metatensor-learn")
    Labels, TensorBlock, TensorMap = metatensor.Labels, metatensor.TensorBlock, metatensor.TensorMap
    # By the name of the package: importing metatensor.torch makes metatensor.learn the other flavour.
    # Before 0.5 there was no such name.
    _home = "metatensor_learn" if importlib.util.find_spec("metatensor_learn") else "metatensor.learn"
    nn = importlib.import_module(f"{_home}.nn")
    datasets = importlib.import_module(f"{_home}.data")
    operations = getattr(metatensor, "operations", None)  # which may not be installed
    files = metatensor.io
    imports = (
        "import numpy as np",
        "import torch",
        "from metatensor import Labels, TensorBlock, TensorMap",
        "from metatensor.learn import nn",
        "from metatensor import operations",
        "from metatensor import io as files",
        "from metatensor.learn import data as datasets",
    )
    known = LEARN
    labels_array = "np.array"

    def labels(self, labels: OwnLabels) -> Any:
        made = super().labels(labels.to(CPU))
        return made if labels.device == CPU else made.to(arrays="torch", device=labels.device)

    def array(self, rows: torch.Tensor) -> Any:
        return rows.numpy() if rows.device == CPU else rows

    def decode_labels(self, labels: Any) -> OwnLabels:
        if isinstance(labels.values, torch.Tensor):
            return super().decode_labels(labels)
        # a copy: theirs can't be written to, which torch warns of
        return OwnLabels(list(labels.names), torch.from_numpy(np.array(labels.values)))


implementation = MetatensorLearn()
