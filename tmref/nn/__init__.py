"""Modules on TensorMaps: the counterparts of ``metatensor.torch.learn.nn``."""

from .activations import ReLU, SiLU, Tanh
from .linear import Linear
from .module_map import ModuleMap
from .sequential import Sequential

__all__ = ["Linear", "ModuleMap", "ReLU", "Sequential", "SiLU", "Tanh"]
