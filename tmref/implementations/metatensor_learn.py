"""metatensor-learn on metatensor's core flavour of TensorMaps, as it is installed."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

import metatensor.learn
import numpy as np
import torch

from ..labels import Labels as OwnLabels
from . import Implementation
from .known import LEARN


class MetatensorLearn(Implementation):
    """metatensor.learn.nn, with labels of numpy arrays and values of torch tensors."""

    name = "metatensor-learn"
    version = importlib.metadata.version("metatensor-learn")
    Labels, TensorBlock, TensorMap = metatensor.Labels, metatensor.TensorBlock, metatensor.TensorMap
    # By the name of the package: importing metatensor.torch makes metatensor.learn the other flavour.
    nn = importlib.import_module("metatensor_learn.nn")
    imports = (
        "import numpy as np",
        "import torch",
        "from metatensor import Labels, TensorBlock, TensorMap",
        "from metatensor.learn import nn",
    )
    known = LEARN
    labels_array = "np.array"

    def array(self, rows: torch.Tensor) -> Any:
        return rows.cpu().numpy()

    def decode_labels(self, labels: Any) -> OwnLabels:
        # a copy: theirs can't be written to, which torch warns of
        return OwnLabels(list(labels.names), torch.from_numpy(np.array(labels.values)))


implementation = MetatensorLearn()
