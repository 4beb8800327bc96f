"""A reference implementation of metatensor's nn layer, and laws for any implementation of it."""

from . import nn, pytrees
from .block import TensorBlock
from .io import load, load_block, load_labels, save
from .labels import Labels, LabelsEntry
from .operations import (
    NotEqualError,
    add,
    allclose,
    allclose_raise,
    block_from_array,
    equal,
    equal_metadata,
    equal_metadata_raise,
    equal_raise,
    filter_blocks,
    mean_over_properties,
    mean_over_samples,
    multiply,
    remove_gradients,
    std_over_properties,
    std_over_samples,
    sum_over_properties,
    sum_over_samples,
    var_over_properties,
    var_over_samples,
    with_gradients,
    with_info,
)
from .permutations import Permutation
from .rotations import Rotation
from .tensor_map import TensorMap

pytrees.register()

__version__ = "0.1.0"

__all__ = [
    "Labels",
    "LabelsEntry",
    "NotEqualError",
    "Permutation",
    "Rotation",
    "TensorBlock",
    "TensorMap",
    "add",
    "allclose",
    "allclose_raise",
    "block_from_array",
    "equal",
    "equal_metadata",
    "equal_metadata_raise",
    "equal_raise",
    "filter_blocks",
    "load",
    "load_block",
    "load_labels",
    "mean_over_properties",
    "mean_over_samples",
    "multiply",
    "nn",
    "remove_gradients",
    "save",
    "std_over_properties",
    "std_over_samples",
    "sum_over_properties",
    "sum_over_samples",
    "var_over_properties",
    "var_over_samples",
    "with_gradients",
    "with_info",
]
