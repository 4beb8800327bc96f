"""Modules on TensorMaps: the counterparts of ``metatensor.torch.learn.nn``."""

from .activations import InvariantReLU, InvariantSiLU, InvariantTanh, ReLU, SiLU, Tanh
from .equivariant import EquivariantTransformation
from .layer_norm import InvariantLayerNorm, LayerNorm
from .linear import EquivariantLinear, Linear
from .module import Buffer, Module
from .module_map import ModuleMap
from .sequential import Sequential

__all__ = [
    "Buffer",
    "EquivariantLinear",
    "EquivariantTransformation",
    "InvariantLayerNorm",
    "InvariantReLU",
    "InvariantSiLU",
    "InvariantTanh",
    "LayerNorm",
    "Linear",
    "Module",
    "ModuleMap",
    "ReLU",
    "Sequential",
    "SiLU",
    "Tanh",
]
