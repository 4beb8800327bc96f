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
from .reductions import sum_over_samples
from .selecting import filter_blocks, remove_gradients

__all__ = [
    "NotEqualError",
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
    "multiply",
    "ones_like",
    "pow",
    "random_uniform_like",
    "remove_gradients",
    "requires_grad",
    "subtract",
    "sum_over_samples",
    "with_gradients",
    "with_info",
    "zeros_like",
]
