"""Laws of arithmetic: entry by entry, gradients by the rules of derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...strategies import tensor_maps
from ...tensor_map import TensorMap
from ..dense import Dense, to_map, twins
from ..law import data_law
from ..session import Session
from ._common import others_of, with_the_inputs

_MAPS = tensor_maps(max_gradients=1)


@data_law("operations", _MAPS)
def a_sum_of_maps_is_that_of_their_numbers(f: Session, x: Any, draw: Any) -> Any:
    """Numbers are added under every full label row, those of gradients, too; the inputs stay. [doc]
    add: "\\nabla(A + B) = \\nabla A + \\nabla B"; "New TensorMap with the same metadata as A"."""
    other = draw(others_of(x), label="other")

    def added(a: Dense, b: Dense) -> Dense:
        return a.with_numbers(
            lambda cell, number: number + b.numbers[cell],
            lambda name, cell, of, number: number + b.gradients[name].numbers[cell],
        )

    y = f.run("y = operations.add(x, other)", x=x, other=other)
    return with_the_inputs(f, y, _of_pairs(added, x, other, y), x=x, other=other)


@data_law("operations", _MAPS)
def a_product_of_maps_is_that_of_their_numbers(f: Session, x: Any, draw: Any) -> Any:
    """Numbers are multiplied under every full label row, and gradients obey the product rule; the inputs
    stay. [doc] multiply: "\\nabla(A * B) = B * \\nabla A + A * \\nabla B"; "New TensorMap with the same
    metadata as A"."""
    other = draw(others_of(x), label="other")

    def multiplied(a: Dense, b: Dense) -> Dense:
        return a.with_numbers(
            lambda cell, number: number * b.numbers[cell],
            lambda name, cell, of, number: (
                b.numbers[of] * number + a.numbers[of] * b.gradients[name].numbers[cell]
            ),
        )

    y = f.run("y = operations.multiply(x, other)", x=x, other=other)
    return with_the_inputs(f, y, _of_pairs(multiplied, x, other, y), x=x, other=other)


def _of_pairs(
    function: Callable[[Dense, Dense], Dense], x: TensorMap, other: TensorMap, like: Any
) -> TensorMap:
    """The map of what the function makes of the twins of two maps under each key."""
    b = twins(other)
    blocks = {key: function(block, b[key]) for key, block in twins(x).items()}
    return to_map(x.keys.names, blocks, like)
