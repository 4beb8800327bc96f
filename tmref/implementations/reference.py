"""The reference itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tmref

from ..printing import type_of
from . import CPU, Implementation


class Reference(Implementation):
    """tmref's own modules; encoding and decoding are the identity, on the CPU."""

    name = "reference"
    version = tmref.__version__
    Labels, TensorBlock, TensorMap = tmref.Labels, tmref.TensorBlock, tmref.TensorMap
    nn: Any = tmref.nn
    operations, files = tmref.operations, tmref.io
    datasets: Any = tmref.datasets
    imports: Sequence[str] = (
        "import torch",
        "from tmref import Labels, TensorBlock, TensorMap, nn",
        "from tmref import datasets, operations",
        "from tmref import io as files",
    )
    compiles = exports = transforms = True
    takes_gradients = refuses_early = True

    def labels(self, labels: tmref.Labels) -> tmref.Labels:
        return labels

    def encode(self, tensor: tmref.TensorMap) -> tmref.TensorMap:
        return tensor

    def decode(self, tensor: Any) -> tmref.TensorMap:
        if not isinstance(tensor, tmref.TensorMap):
            raise TypeError(f"a module must return a TensorMap, got {type_of(tensor)}")
        # made anew, what has parts on different devices is refused
        return tensor if self.device == CPU else super().decode(tensor)


implementation = Reference()
