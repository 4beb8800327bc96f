"""The reference itself."""

from __future__ import annotations

from typing import Any

import tmref

from ..labels import Labels
from ..tensor_map import TensorMap
from . import Implementation


class Reference(Implementation):
    """tmref's own modules; encoding and decoding are the identity."""

    name = "reference"
    version = tmref.__version__
    Labels, TensorBlock, TensorMap = tmref.Labels, tmref.TensorBlock, tmref.TensorMap
    nn = tmref.nn
    imports = ("import torch", "from tmref import Labels, TensorBlock, TensorMap, nn")

    def labels(self, labels: Labels) -> Labels:
        return labels

    def encode(self, tensor: TensorMap) -> TensorMap:
        return tensor

    def decode(self, tensor: Any) -> TensorMap:
        if not isinstance(tensor, TensorMap):
            raise TypeError(f"a module must return a TensorMap, got {type(tensor).__name__}")
        return tensor


implementation = Reference()
