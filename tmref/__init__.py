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
    append_dimension,
    block_from_array,
    drop_blocks,
    drop_empty_blocks,
    equal,
    equal_metadata,
    equal_metadata_raise,
    equal_raise,
    filter_blocks,
    insert_dimension,
    join,
    join_blocks,
    multiply,
    permute_dimensions,
    remove_dimension,
    remove_gradients,
    rename_dimension,
    slice,
    slice_block,
    sort,
    sort_block,
    split,
    split_block,
    sum_over_samples,
    unique_metadata,
    unique_metadata_block,
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
    "append_dimension",
    "block_from_array",
    "drop_blocks",
    "drop_empty_blocks",
    "equal",
    "equal_metadata",
    "equal_metadata_raise",
    "equal_raise",
    "filter_blocks",
    "insert_dimension",
    "join",
    "join_blocks",
    "load",
    "load_block",
    "load_labels",
    "multiply",
    "nn",
    "permute_dimensions",
    "remove_dimension",
    "remove_gradients",
    "rename_dimension",
    "save",
    "slice",
    "slice_block",
    "sort",
    "sort_block",
    "split",
    "split_block",
    "sum_over_samples",
    "unique_metadata",
    "unique_metadata_block",
    "with_gradients",
    "with_info",
]
