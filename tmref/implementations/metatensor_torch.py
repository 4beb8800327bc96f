"""metatensor-learn on metatensor-torch's TensorMaps, as they are installed."""

from __future__ import annotations

import importlib.metadata

import metatensor.learn
import metatensor.torch
import metatensor.torch.learn

from . import Implementation
from .known import TORCH


class MetatensorTorch(Implementation):
    """metatensor.torch.learn.nn. The version is metatensor-torch's; its nn is metatensor-learn's."""

    name = "metatensor-torch"
    version = importlib.metadata.version("metatensor-torch")
    Labels = metatensor.torch.Labels
    TensorBlock = metatensor.torch.TensorBlock
    TensorMap = metatensor.torch.TensorMap
    nn = metatensor.torch.learn.nn
    operations, files = metatensor.torch.operations, metatensor.torch.io
    datasets = metatensor.torch.learn.data
    imports = (
        "import torch",
        "from metatensor.torch import Labels, TensorBlock, TensorMap",
        "from metatensor.torch.learn import nn",
        "from metatensor.torch import operations",
        "from metatensor.torch import io as files",
        "from metatensor.torch.learn import data as datasets",
    )
    known = TORCH
    scripts = compiles = True


implementation = MetatensorTorch()
