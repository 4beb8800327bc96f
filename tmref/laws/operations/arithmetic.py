"""Laws of arithmetic: entry by entry, gradients by the rules of derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from operator import add, mul, sub, truediv
from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...compare import Refused
from ...strategies import dimension_names, labels, like, tensor_blocks, tensor_maps
from ...tensor_map import TensorMap
from ..dense import PROPERTIES, SAMPLES, Dense, Row, to_map, twins
from ..law import data_law
from ..session import Session
from ._common import mapped, others_of, relabelled, with_the_inputs

_MAPS = tensor_maps(max_gradients=1)
#: Maps whose values are other than 0, of which there is a derivative everywhere.
_NON_ZERO = _MAPS.map(lambda x: mapped(x, lambda values: torch.where(values == 0, 1.5, values)))
#: Numbers by which division rounds nothing.
_POWERS_OF_TWO = st.sampled_from([-4.0, -0.5, 0.25, 1.0, 2.0, 8.0])
_OPERATIONS = ("add", "subtract", "multiply", "divide")


@data_law("operations", _MAPS)
def a_sum_of_maps_is_that_of_their_numbers(f: Session, x: Any, draw: Any) -> Any:
    """Numbers are added under every full label row, those of gradients, too; the inputs stay. [doc]
    add: "\\nabla(A + B) = \\nabla A + \\nabla B"; "New TensorMap with the same metadata as A"."""
    other = draw(others_of(x), label="other")
    return _of_pairs(f, "add", x, other, lambda a, b: a + b, lambda a, b, da, db: da + db)


@data_law("operations", _MAPS)
def a_difference_of_maps_is_that_of_their_numbers(f: Session, x: Any, draw: Any) -> Any:
    """Numbers are subtracted under every full label row, those of gradients, too; the inputs stay. [doc]
    subtract: "\\nabla(A - B) = \\nabla A - \\nabla B"; "New TensorMap with the same metadata as A"."""
    other = draw(others_of(x), label="other")
    return _of_pairs(f, "subtract", x, other, lambda a, b: a - b, lambda a, b, da, db: da - db)


@data_law("operations", _MAPS)
def a_product_of_maps_is_that_of_their_numbers(f: Session, x: Any, draw: Any) -> Any:
    """Numbers are multiplied under every full label row, and gradients obey the product rule; the inputs
    stay. [doc] multiply: "\\nabla(A * B) = B * \\nabla A + A * \\nabla B"; "New TensorMap with the same
    metadata as A"."""
    other = draw(others_of(x), label="other")
    rule: Any = lambda a, b, da, db: b * da + a * db  # noqa: E731
    return _of_pairs(f, "multiply", x, other, lambda a, b: a * b, rule)


@data_law("operations", _MAPS)
def a_quotient_of_maps_is_that_of_their_numbers(f: Session, x: Any, draw: Any) -> Any:
    """Numbers are divided under every full label row, and gradients obey the quotient rule; the inputs
    stay. [doc] divide: "\\nabla(A / B) =(B*\\nabla A-A*\\nabla B)/B^2"; "New TensorMap with the same
    metadata as A"."""
    divisors = others_of(x).map(lambda other: mapped(other, _to_powers_of_two))  # nothing is rounded
    other = draw(divisors, label="other")
    rule: Any = lambda a, b, da, db: (b * da - a * db) / b**2  # noqa: E731
    return _of_pairs(f, "divide", x, other, lambda a, b: a / b, rule)


@data_law("operations", _MAPS)
def arithmetic_with_a_number_is_that_of_every_entry(f: Session, x: Any, draw: Any) -> Any:
    """The number is added to, subtracted from, a factor or a divisor of every entry; gradients stay
    where it is a term, and go with the values where it is a factor; the map stays. [doc] "B is a scalar:
    \\nabla(A + B) = \\nabla A"; "\\nabla(A * B) = B * \\nabla A"; "\\nabla(A / B) =  \\nabla A / B"."""
    name, number = draw(st.sampled_from(_OPERATIONS), label="name"), draw(_POWERS_OF_TWO, label="number")
    of_value = _OF_A_NUMBER[name]
    is_term = name in ("add", "subtract")

    def changed(block: Dense) -> Dense:
        return block.with_numbers(
            lambda cell, value: of_value(value, number),
            lambda _, cell, of, value: value if is_term else of_value(value, number),
        )

    y = f.run(f"y = operations.{name}(x, number)", x=x, number=number)
    return with_the_inputs(f, y, _of_one(changed, x, y), x=x)


_OF_A_NUMBER: dict[str, Callable[[float, float], float]] = {
    "add": lambda value, number: value + number,
    "subtract": lambda value, number: value - number,
    "multiply": lambda value, number: value * number,
    "divide": lambda value, number: value / number,
}


@data_law("operations", _MAPS)
def a_power_of_a_map_is_that_of_every_entry(f: Session, x: Any, draw: Any) -> Any:
    """Every entry is raised to the power, and gradients obey the rule of powers; the map stays. [doc]
    pow: "\\nabla(A ^ B) = B* \\nabla A * A^{(B-1)}"; "the same metadata of A"."""
    exponent = draw(st.sampled_from([1, 2, 2.0, 3]), label="exponent")

    def raised(block: Dense) -> Dense:
        return block.with_numbers(
            lambda cell, value: value**exponent,
            lambda _, cell, of, value: exponent * value * block.numbers[of] ** (exponent - 1),
        )

    y = f.run("y = operations.pow(x, exponent)", x=x, exponent=exponent)
    return with_the_inputs(f, y, _of_one(raised, x, y), x=x)


@data_law("operations", _NON_ZERO)
def absolute_values_are_those_of_every_entry(f: Session, x: Any, draw: Any) -> Any:
    """Every entry loses its sign, and its gradients have it; the map stays. [doc] abs: "\\nabla(\\vert A
    \\vert) = (A/\\vert A \\vert)*\\nabla A"; "the same metadata as A"."""

    def unsigned(block: Dense) -> Dense:
        return block.with_numbers(
            lambda cell, value: abs(value),
            lambda _, cell, of, value: value if block.numbers[of] > 0 else -value,
        )

    y = f.run("y = operations.abs(x)", x=x)
    return with_the_inputs(f, y, _of_one(unsigned, x, y), x=x)


@data_law(
    "operations", tensor_maps(dtypes=st.sampled_from([torch.complex64, torch.complex128])), rounded=True
)
def absolute_values_of_complex_numbers_are_real(f: Session, x: Any, draw: Any) -> Any:
    """They are the moduli, of the real dtype that goes with the complex one. [maths] A modulus is a real
    number; [torch] torch.abs gives it."""
    y = f.run("y = operations.abs(x)", x=x)
    return y, mapped(x, torch.abs)


@data_law("operations", _MAPS)
def a_dot_has_the_scalar_products_of_samples(f: Session, x: Any, draw: Any) -> Any:
    """Each entry is the scalar product of a sample of the first map and one of the second, which is its
    property now; gradients are multiplied alike; the inputs stay. [doc] dot: "result_block.values =
    block_1.values @ block_2.values.T"; "the properties equal to the sample of B"."""
    other = draw(_factors_of(x), label="other")
    b = twins(other)

    def multiplied(block: Dense, factor: Dense) -> Dense:
        rows = (*block.rows[:-1], factor.rows[SAMPLES])
        numbers = {
            (*cell, row): sum(
                block.numbers[(*cell, p)] * factor.numbers[row, p] for p in block.rows[PROPERTIES]
            )
            for cell in dict.fromkeys(_leading(block.rows))
            for row in factor.rows[SAMPLES]
        }
        names = (*block.names[:-1], factor.names[SAMPLES])
        gradients = {name: multiplied(gradient, factor) for name, gradient in block.gradients.items()}
        return Dense(names, rows, numbers, block.dtype, gradients)

    wanted = {key: multiplied(block, b[key]) for key, block in twins(x).items()}
    y = f.run("y = operations.dot(x, other)", x=x, other=other)
    return with_the_inputs(f, y, to_map(x.keys.names, wanted, y), x=x, other=other)


@data_law("operations", tensor_maps(min_blocks=1, min_samples=1, min_properties=1, max_gradients=1))
def maps_of_other_metadata_are_not_combined(f: Session, x: Any, draw: Any) -> Any:
    """What has other keys, samples or properties is refused: its entries are other ones. [doc] add: "If
    B is a TensorMap it has to have the same metadata as A"."""
    name = draw(st.sampled_from(_OPERATIONS), label="name")
    part = draw(st.sampled_from(("keys", "samples", "properties")), label="part")
    other = draw(relabelled(x, part), label="other")
    return f.attempt_to_run(f"operations.{name}(x, other)", x=x, other=other), Refused()


#: Integers that float32 doesn't have.
_LARGE = tensor_maps(min_blocks=1, min_samples=1, min_properties=1).map(
    lambda x: mapped(x, lambda values: 2 * (8 * values.abs()).to(torch.int64) + 2**24 + 1)
)


@data_law("operations", _LARGE)
def arithmetic_of_integers_is_exact(f: Session, x: Any, draw: Any) -> Any:
    """What is computed of integers and an integer, or a map of integers, is an exact one; its dtype is
    open, and such maps may be refused. [doc] add: "values being the sum of A and B", of the type
    "Union[int, float, TensorMap]"; [maths] sums, differences, products and powers of integers are
    integers."""
    name = draw(st.sampled_from(sorted(_OF_INTEGERS)), label="name")
    others = st.sampled_from([-4, -2, 2, 3]) | st.just(mapped(x, lambda values: values.flip(0) + 2))
    other = draw(st.just(2) if name == "pow" else others, label="other")
    partners = twins(other) if isinstance(other, TensorMap) else {}

    def exact(key: Row, block: Dense) -> Dense:
        of = partners[key].numbers if partners else dict.fromkeys(block.numbers, other)
        numbers = {cell: _OF_INTEGERS[name](value, of[cell]) for cell, value in block.numbers.items()}
        return replace(block, numbers=numbers, dtype=torch.float64)

    y = f.attempt_to_run(f"y = operations.{name}(x, other)", x=x, other=other)
    if isinstance(y, Refused):
        return y
    wanted = {key: exact(key, block) for key, block in twins(x).items()}
    return f.run("y.to(dtype=torch.float64)"), to_map(x.keys.names, wanted, y)


_OF_INTEGERS: dict[str, Callable[[int, int], int]] = {
    "add": add,
    "subtract": sub,
    "multiply": mul,
    "pow": pow,
}


@data_law("operations", tensor_maps(min_blocks=1, min_samples=1, min_properties=1))
def arithmetic_is_recorded_by_autograd(f: Session, x: Any, draw: Any) -> Any:
    """What is computed of values that require gradients has the derivatives of the same arithmetic in
    plain torch. [torch] autograd has "a graph recording all of the operations that created the data"."""
    name = draw(st.sampled_from(sorted(_IN_TORCH)), label="name")
    x = mapped(x, _to_powers_of_two)  # nothing is rounded, and all have a derivative
    other = mapped(draw(like(x), label="other"), _to_powers_of_two)
    call = {"pow": "pow(x, 3)", "abs": "abs(x)"}.get(name, f"{name}(x, other)")
    f.run(
        "inputs = [block.values.requires_grad_() for y in [x, other] for block in y.blocks()]",
        x=x,
        other=other,
    )
    f.run(f"y = operations.{call}")
    found = f.run(
        "torch.autograd.grad(sum(block.values.sum() for block in y.blocks()), inputs, "
        "allow_unused=True, materialize_grads=True)"
    )
    inputs = [block.values.clone().requires_grad_() for y in (x, other) for block in y]
    pairs = zip(inputs[: len(x)], inputs[len(x) :], strict=True)
    total: Any = sum(_IN_TORCH[name](a, b).sum() for a, b in pairs)
    return list(found), list(
        torch.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True)
    )


_IN_TORCH: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "add": add,
    "subtract": sub,
    "multiply": mul,
    "divide": truediv,
    "pow": lambda a, b: a**3,
    "abs": lambda a, b: a.abs(),
}


def _of_one(function: Callable[[Dense], Dense], x: TensorMap, like: Any) -> TensorMap:
    return to_map(x.keys.names, {key: function(block) for key, block in twins(x).items()}, like)


def _of_pairs(
    f: Session,
    name: str,
    x: TensorMap,
    other: TensorMap,
    function: Callable[[float, float], float],
    derivative: Callable[[float, float, float, float], float],
) -> Any:
    """What an operation makes of two maps, and the map of the ``function`` of their numbers, whose
    gradients have the ``derivative`` of these and of theirs."""

    def combined(a: Dense, b: Dense) -> Dense:
        return a.with_numbers(
            lambda cell, number: function(number, b.numbers[cell]),
            lambda parameter, cell, of, number: derivative(
                a.numbers[of], b.numbers[of], number, b.gradients[parameter].numbers[cell]
            ),
        )

    y = f.run(f"y = operations.{name}(x, other)", x=x, other=other)
    partners = twins(other)
    wanted = {key: combined(block, partners[key]) for key, block in twins(x).items()}
    return with_the_inputs(f, y, to_map(x.keys.names, wanted, y), x=x, other=other)


def _to_powers_of_two(values: torch.Tensor) -> torch.Tensor:
    """1, 2, 4 or 8 in the place of every number, with its sign."""
    signs = torch.where(values < 0, -1.0, 1.0)
    return (signs * 2 ** ((8 * values.abs()) % 4)).to(values.dtype)


@st.composite
def _factors_of(draw: Any, x: TensorMap) -> TensorMap:
    """A map of the keys and properties of another, with samples of its own and without components."""
    samples = labels(names=st.just(draw(dimension_names(max_size=2))), max_size=3)

    def factors(block: TensorBlock) -> st.SearchStrategy[TensorBlock]:
        return tensor_blocks(
            samples=samples,
            components=st.builds(list),
            properties=st.just(block.properties),
            dtypes=st.just(block.dtype),
        )

    return TensorMap(x.keys, [draw(factors(block)) for block in x])


def _leading(rows: tuple[tuple[Any, ...], ...]) -> list[tuple[Any, ...]]:
    """The cells of all axes but the last."""
    cells: list[tuple[Any, ...]] = [()]
    for axis in rows[:-1]:
        cells = [(*cell, row) for cell in cells for row in axis]
    return cells
