"""Functions on maps, as metatensor-operations has them."""

from .arithmetic import add, multiply
from .equality import (
    NotEqualError,
    allclose,
    allclose_raise,
    equal,
    equal_metadata,
    equal_metadata_raise,
    equal_raise,
)
from .making import block_from_array, with_gradients, with_info
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
from .selecting import filter_blocks, remove_gradients

__all__ = [
    "NotEqualError",
    "add",
    "allclose",
    "allclose_raise",
    "block_from_array",
    "equal",
    "equal_metadata",
    "equal_metadata_raise",
    "equal_raise",
    "filter_blocks",
    "mean_over_properties",
    "mean_over_samples",
    "multiply",
    "remove_gradients",
    "std_over_properties",
    "std_over_samples",
    "sum_over_properties",
    "sum_over_samples",
    "var_over_properties",
    "var_over_samples",
    "with_gradients",
    "with_info",
]
