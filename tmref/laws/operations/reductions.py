"""Laws of reductions: sums, means, variances and deviations of what agrees in the dimensions left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import nan, sqrt
from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...compare import Refused
from ...strategies import dimension_names, label_values, labels, like, tensor_maps
from ...tensor_map import TensorMap
from ..data._common import some_of
from ..dense import PROPERTIES, SAMPLES, Cell, Dense, Row, to_map, twins
from ..law import data_law
from ..session import Session
from ._common import with_the_inputs

#: Of an axis: its place, and of what its dimensions are names.
_AXES = {"samples": SAMPLES, "properties": PROPERTIES}
#: Few, so that rows agree in some dimensions, and the largest and smallest ones.
_VALUES = st.sampled_from([0, 0, 1, 1, 2]) | label_values()


def _whole(x: TensorMap) -> TensorMap:
    """The map of whole numbers: their deviations are 0, or large enough to divide by."""
    return x._map_blocks(lambda block: block._map_values(torch.round))


def _maps(**options: Any) -> st.SearchStrategy[TensorMap]:
    """Maps of few small whole numbers, whose samples and properties agree in some dimensions."""

    def of_names(names: tuple[tuple[str, ...], tuple[str, ...]]) -> st.SearchStrategy[TensorMap]:
        samples, properties = (
            labels(names=st.just(of), values=_VALUES, min_size=options.get("min_size", 0), max_size=5)
            for of in names
        )
        more = {name: value for name, value in options.items() if name != "min_size"}
        return tensor_maps(samples=samples, properties=properties, bound=24, max_blocks=3, **more)

    several = dimension_names(alphabet=("system", "atom", "pair"), min_size=1, max_size=3)
    others = dimension_names(alphabet=("n", "l", "center_type"), min_size=1, max_size=3)
    return st.tuples(several, others).flatmap(of_names).map(_whole)


def _far(x: TensorMap) -> TensorMap:
    """The map with numbers far from zero: what is subtracted of their squares must not be rounded."""
    offset = 2.0**14 if x.dtype == torch.float32 else 2.0**24
    return x._map_blocks(lambda block: block._map_values(lambda values: values + offset))


_MAPS = _maps() | _maps(max_gradients=1)
_SPREAD = _maps() | _maps().map(_far) | _maps(max_gradients=1)


@data_law("operations", _MAPS, as_it_came=True)
def a_sum_over_samples_is_that_of_their_numbers(f: Session, x: Any, draw: Any) -> Any:
    """The numbers of the samples that agree in the dimensions left are added, and so are those of
    gradients; the input stays. [doc] sum_over_samples: "each sample is obtained summing over the
    sample_names indices, so that the resulting TensorBlock does not have those indices"; "with the same
    keys as the input"."""
    return _of_reduction(f, x, draw, "sum", "samples")


@data_law("operations", _MAPS, rounded=True, as_it_came=True)
def a_mean_over_samples_is_that_of_their_numbers(f: Session, x: Any, draw: Any) -> Any:
    """The sum of the samples that agree in the dimensions left is divided by their number, and so is
    that of gradients, whatever rows these have; the input stays. [doc] mean_over_samples: "averaging
    the corresponding input TensorBlock over the sample_names indices"; [maths] the derivative of a mean
    is the mean of the derivatives."""
    return _of_reduction(f, x, draw, "mean", "samples")


@data_law("operations", _SPREAD, rounded=True, as_it_came=True)
def a_variance_over_samples_is_that_of_their_numbers(f: Session, x: Any, draw: Any) -> Any:
    """It is E[X²] - E[X]², of the samples that agree in the dimensions left, gradients by the formula;
    the input stays. [doc] var_over_samples: "\\nabla[Var(X)] = 2(E[X \\nabla X] - E[X]E[\\nabla X])"."""
    return _of_reduction(f, x, draw, "var", "samples")


@data_law("operations", _SPREAD, rounded=True, as_it_came=True)
def a_deviation_over_samples_is_that_of_their_numbers(f: Session, x: Any, draw: Any) -> Any:
    """It is the root of the variance of the samples that agree in the dimensions left, gradients by the
    formula where that divides by no zero; the input stays. [doc] std_over_samples: "\\nabla[Std(X)] =
    (E[X \\nabla X] - E[X]E[\\nabla X])/Std(X)"."""
    return _of_reduction(f, x, draw, "std", "samples")


@data_law("operations", _MAPS, as_it_came=True)
def a_sum_over_properties_is_that_of_their_numbers(f: Session, x: Any, draw: Any) -> Any:
    """The numbers of the properties that agree in the dimensions left are added, and so are those of
    gradients; the input stays. [doc] sum_over_properties: "each property is obtained summing over the
    property_names indices, so that the resulting TensorBlock does not have those indices"."""
    return _of_reduction(f, x, draw, "sum", "properties")


@data_law("operations", _MAPS, rounded=True, as_it_came=True)
def a_mean_over_properties_is_that_of_their_numbers(f: Session, x: Any, draw: Any) -> Any:
    """The sum of the properties that agree in the dimensions left is divided by their number, and so is
    that of gradients; the input stays. [doc] mean_over_properties: "averaging the corresponding input
    TensorBlock over the property_names indices"; [maths] the derivative of a mean is the mean of the
    derivatives."""
    return _of_reduction(f, x, draw, "mean", "properties")


@data_law("operations", _SPREAD, rounded=True, as_it_came=True)
def a_variance_over_properties_is_that_of_their_numbers(f: Session, x: Any, draw: Any) -> Any:
    """It is E[X²] - E[X]², of the properties that agree in the dimensions left, gradients by the
    formula; the input stays. [doc] var_over_properties: "\\nabla[Var(X)] = 2(E[X \\nabla X] -
    E[X]E[\\nabla X])"."""
    return _of_reduction(f, x, draw, "var", "properties")


@data_law("operations", _SPREAD, rounded=True, as_it_came=True)
def a_deviation_over_properties_is_that_of_their_numbers(f: Session, x: Any, draw: Any) -> Any:
    """It is the root of the variance of the properties that agree in the dimensions left, gradients by
    the formula where that divides by no zero; the input stays. [doc] std_over_properties:
    "\\nabla[Std(X)] = (E[X \\nabla X] - E[X]E[\\nabla X])/Std(X)"."""
    return _of_reduction(f, x, draw, "std", "properties")


_NAMES = st.sampled_from(["sum", "mean", "var", "std"])


@data_law("operations", _maps(min_blocks=1, min_size=1), rounded=True)
def autograd_goes_through_reductions(f: Session, x: Any, draw: Any) -> Any:
    """Its derivatives by the values are those of the formulas: 1 for sums, 1/N for means, 2(X - E[X])/N
    for variances, and (X - E[X])/(N Std(X)) for deviations, where that divides by no zero. [maths]
    they are; [torch] what is computed of tensors that require gradients is recorded."""
    name, axis = draw(_NAMES, label="name"), draw(st.sampled_from(list(_AXES)), label="axis")
    names = draw(_some_of(_names_on(x, axis)), label="names")
    f.run("values = [block.values.requires_grad_() for block in x.blocks()]", x=x)
    y = f.run(f"y = operations.{name}_over_{axis}(x, names)", names=names)
    cotangents = [block.values for block in draw(like(y), label="cotangents")]
    f.run(
        "sum((block.values * c).sum() for block, c in zip(y.blocks(), cotangents)).backward()",
        cotangents=cotangents,
    )
    found = f.run("[v.grad for v in values]")
    pairs = zip(x, y, cotangents, found, strict=True)
    return found, [_derivative(name, axis, names, *of_block) for of_block in pairs]


@data_law("operations", _maps(min_blocks=1))
def a_reduction_over_no_dimension_is_refused(f: Session, x: Any, draw: Any) -> Any:
    """A name that no dimension of the axis has is never left out in silence. [doc] sum_over_samples:
    "names of samples to sum over"; sum_over_properties: "names of properties to sum over"."""
    name, axis = draw(_NAMES, label="name"), draw(st.sampled_from(list(_AXES)), label="axis")
    there = _names_on(x, axis)
    # some that are near: of the other axis, a part of a name, or none at all
    wrong = ["other", "", there[0][:-1], *_names_on(x, "samples" if axis != "samples" else "properties")]
    beside = st.sampled_from([[], there[:1], there])
    many = st.tuples(beside, st.sampled_from(wrong)).map(lambda pair: [*pair[0], pair[1]])
    names = draw(many | st.sampled_from(wrong), label="names")
    return f.attempt_to_run(f"operations.{name}_over_{axis}(x, names)", x=x, names=names), Refused()


def _names_on(x: TensorMap, axis: str) -> list[str]:
    return x.sample_names if axis == "samples" else x.property_names


def _some_of(names: list[str]) -> st.SearchStrategy[Any]:
    """Some of the names in a list, or one by itself."""
    return some_of(names) | st.sampled_from(names)


def _of_reduction(f: Session, x: TensorMap, draw: Any, name: str, axis: str) -> Any:
    """What a reduction gives, and what must come of it."""
    there = _names_on(x, axis) or [axis]
    names = draw(_some_of(there), label="names")
    listed = [names] if isinstance(names, str) else names
    sizes = [len(getattr(block, axis)) for block in x]
    # no document says what becomes of no rows where no dimension is left, of no blocks, or what sums
    # and means of gradients are
    is_open = set(listed) == set(there) and not all(sizes)
    if is_open and sizes and not any(sizes):
        return None  # they may lose all their names, which no labels can
    has_gradients = any(block.has_any_gradient() for block in x)
    is_silent = not len(x) or is_open or (has_gradients and name in ("sum", "mean"))
    f.note(has_fewer_rows=axis == "samples" and any(_has_fewer_rows(block, listed) for block in x))
    run = f.attempt_to_run if is_silent else f.run
    y = run(f"y = operations.{name}_over_{axis}(x, names)", x=x, names=names)
    if isinstance(y, Refused):
        return y
    there_is = twins(y)
    if set(listed) == set(there) and any(len(of.rows[_AXES[axis]]) > 1 for of in there_is.values()):
        there_is = {}  # of one row in each block some are more: their names aren't those of the one
    blocks = {
        key: _reduced(name, _AXES[axis], listed, block, there_is.get(key))
        for key, block in twins(x).items()
    }
    return with_the_inputs(f, y, to_map(x.keys.names, blocks, y), x=x)


def _reduced(name: str, axis: int, names: list[str], block: Dense, like: Dense | None) -> Dense:
    """The twin of a reduced block. What the one row is called where no dimension is left, and whether it
    is there where there was none, is as in ``like``; so is what is divided by zero."""
    left = [i for i, of_axis in enumerate(block.names[axis]) if of_axis not in names]
    left_names = tuple(block.names[axis][i] for i in left)
    alone: Row = (0,)
    has_none = False
    if not left:
        left_names = ("_",)
        if like is not None and len(like.names[axis]) == 1 and len(like.rows[axis]) <= 1:
            left_names, (alone, *_) = like.names[axis], (*like.rows[axis], alone)
            has_none = not like.rows[axis]

    def to(row: Row) -> Row:
        return tuple(row[i] for i in left) if left else alone

    def of_square(parameter: str, cell: Cell, of: Cell, number: Any) -> Any:
        return block.numbers[of] * number

    sums, squares = (
        of.moved(axis, to, left_names)
        for of in (block, block.with_numbers(lambda cell, number: number * number, of_square))
    )
    if not left and not block.rows[axis] and not has_none:
        sums, squares = (of.with_rows(axis, [alone]) for of in (sums, squares))
    if name == "sum":
        return sums
    counts = Counter(map(to, block.rows[axis]))

    def mean(of: Cell, number: Any) -> Any:
        return number / counts[of[axis]] if counts[of[axis]] else nan

    if name == "mean":
        return sums.with_numbers(mean, lambda parameter, cell, of, number: mean(of, number))

    def variance(of: Cell) -> Any:
        count = counts[of[axis]]  # it is divided once: what is no zero isn't rounded to one
        return (count * squares.numbers[of] - sums.numbers[of] ** 2) / count**2 if count else nan

    def covariance(parameter: str, cell: Cell, of: Cell, number: Any) -> Any:
        count, square = counts[of[axis]], squares.gradients[parameter].numbers[cell]
        return (count * square - sums.numbers[of] * number) / count**2 if count else nan

    if name == "var":
        return sums.with_numbers(
            lambda of, number: variance(of), lambda *of_gradient: 2 * covariance(*of_gradient)
        )

    def of_deviation(parameter: str, cell: Cell, of: Cell, number: Any) -> Any:
        if variance(of):
            return covariance(parameter, cell, of, number) / sqrt(variance(of))
        gradients: Mapping[str, Dense] = like.gradients if like is not None else {}
        return gradients[parameter].numbers.get(cell, nan) if parameter in gradients else nan

    return sums.with_numbers(lambda of, number: sqrt(variance(of)), of_deviation)


def _has_fewer_rows(block: TensorBlock, names: Sequence[str]) -> bool:
    """Whether a gradient has no row of some of the samples that become one, and has one of others."""
    left = [i for i, of_axis in enumerate(block.samples.names) if of_axis not in names]
    samples = [tuple(row[i] for i in left) for row in block.samples.values.tolist()]
    counts = Counter(samples)
    return any(
        number != counts[sample]
        for _, gradient in block.gradients()
        for (sample, *_), number in Counter(
            (samples[row], *rest) for row, *rest in gradient.samples.values.tolist()
        ).items()
    )


def _derivative(name: str, axis: str, names: Any, x: Any, y: Any, c: Any, found: Any) -> torch.Tensor:
    """The derivative of a reduction by the values of a block; ``found``, where it divides by zero."""
    listed = [names] if isinstance(names, str) else names
    before, after = getattr(x, axis), getattr(y, axis)
    left = [i for i, of_axis in enumerate(before.names) if of_axis not in listed]
    rows = after.values.tolist()
    places = [rows.index([row[i] for i in left]) if left else 0 for row in before.values.tolist()]
    at = torch.tensor(places)
    dim = _AXES[axis]
    counts = torch.bincount(at, minlength=len(rows))[at]
    counts = counts.reshape([-1 if i == dim % x.values.dim() else 1 for i in range(x.values.dim())])

    def everywhere(values: torch.Tensor) -> torch.Tensor:
        return values.double().index_select(dim, at)

    def mean(values: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(c.shape, dtype=torch.float64).index_add(dim, at, values.double())
        return everywhere(total) / counts

    derivative = everywhere(c) / (1 if name == "sum" else counts)
    if name in ("var", "std"):
        derivative = derivative * 2 * (x.values - mean(x.values))
    if name == "std":
        deviation = (mean(x.values.double() ** 2) - mean(x.values) ** 2).clamp(min=0).sqrt()
        is_zero = deviation < 1e-6
        derivative = torch.where(is_zero, found, derivative / (2 * torch.where(is_zero, 1, deviation)))
    return derivative.to(x.dtype)
