"""A reference implementation of metatensor's nn layer, and laws for any implementation of it."""

from . import nn, pytrees
from .block import TensorBlock
from .io import (
    load,
    load_block,
    load_block_buffer,
    load_buffer,
    load_labels,
    load_labels_buffer,
    save,
    save_buffer,
)
from .labels import Labels, LabelsEntry
from .operations import (
    NotEqualError,
    abs,
    add,
    allclose,
    allclose_raise,
    block_from_array,
    detach,
    divide,
    dot,
    empty_like,
    equal,
    equal_metadata,
    equal_metadata_raise,
    equal_raise,
    filter_blocks,
    multiply,
    ones_like,
    pow,
    random_uniform_like,
    remove_gradients,
    requires_grad,
    subtract,
    sum_over_samples,
    with_gradients,
    with_info,
    zeros_like,
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
    "abs",
    "add",
    "allclose",
    "allclose_raise",
    "block_from_array",
    "detach",
    "divide",
    "dot",
    "empty_like",
    "equal",
    "equal_metadata",
    "equal_metadata_raise",
    "equal_raise",
    "filter_blocks",
    "load",
    "load_block",
    "load_block_buffer",
    "load_buffer",
    "load_labels",
    "load_labels_buffer",
    "multiply",
    "nn",
    "ones_like",
    "pow",
    "random_uniform_like",
    "remove_gradients",
    "requires_grad",
    "save",
    "save_buffer",
    "subtract",
    "sum_over_samples",
    "with_gradients",
    "with_info",
    "zeros_like",
]
