"""A reference implementation of metatensor's nn layer, and laws for any implementation of it."""

from . import nn
from .block import TensorBlock
from .labels import Labels, LabelsEntry
from .operations import block_from_array, equal_metadata
from .tensor_map import TensorMap

__version__ = "0.1.0"

__all__ = [
    "Labels",
    "LabelsEntry",
    "TensorBlock",
    "TensorMap",
    "block_from_array",
    "equal_metadata",
    "nn",
]
