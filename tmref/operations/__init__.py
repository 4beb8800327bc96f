"""Functions on maps, as metatensor-operations has them."""

from .arithmetic import abs, add, divide, dot, multiply, pow, subtract
from .creation import (
    detach,
    empty_like,
    ones_like,
    random_uniform_like,
    requires_grad,
    zeros_like,
)
from .dimensions import (
    append_dimension,
    insert_dimension,
    permute_dimensions,
    remove_dimension,
    rename_dimension,
)
from .equality import (
    NotEqualError,
    allclose,
    allclose_raise,
    equal,
    equal_metadata,
    equal_metadata_raise,
    equal_raise,
)
from .joining import join, join_blocks
from .making import block_from_array, with_gradients, with_info
from .metadata import unique_metadata, unique_metadata_block
from .reductions import (
    mean_over_properties,
    mean_over_samples,
    std_over_properties,
    std_over_samples,
    sum_over_properties,
    sum_over_samples,
    var_over_properties,
    var_over_samples,
)
from .selecting import (
    drop_blocks,
    drop_empty_blocks,
    filter_blocks,
    remove_gradients,
    slice,
    slice_block,
    split,
    split_block,
)
from .sorting import sort, sort_block

__all__ = [
    "NotEqualError",
    "abs",
    "add",
    "allclose",
    "allclose_raise",
    "append_dimension",
    "block_from_array",
    "detach",
    "divide",
    "dot",
    "drop_blocks",
    "drop_empty_blocks",
    "empty_like",
    "equal",
    "equal_metadata",
    "equal_metadata_raise",
    "equal_raise",
    "filter_blocks",
    "insert_dimension",
    "join",
    "join_blocks",
    "mean_over_properties",
    "mean_over_samples",
    "multiply",
    "ones_like",
    "permute_dimensions",
    "pow",
    "random_uniform_like",
    "remove_dimension",
    "remove_gradients",
    "rename_dimension",
    "requires_grad",
    "slice",
    "slice_block",
    "sort",
    "sort_block",
    "split",
    "split_block",
    "std_over_properties",
    "std_over_samples",
    "subtract",
    "sum_over_properties",
    "sum_over_samples",
    "unique_metadata",
    "unique_metadata_block",
    "var_over_properties",
    "var_over_samples",
    "with_gradients",
    "with_info",
    "zeros_like",
]
