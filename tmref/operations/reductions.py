"""Sums, means, variances and standard deviations over samples, and over properties."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ..block import TensorBlock
from ..labels import Labels
from ..moves import attach, distinct, gradient_rows
from ..tensor_map import TensorMap
from ._common import check_maps, check_names, of_blocks


def sum_over_samples(tensor: TensorMap, sample_names: str | Sequence[str]) -> TensorMap:
    """The sum over all samples that agree in the dimensions not named in ``sample_names``.

    Values of the shape ``(samples, *components, properties)`` have one of as many samples as differ in
    these dimensions, which are the result's, in lexicographic order. Where none is left it has
    one sample, ``_`` = 0, in every block: a block without samples sums to 0. A gradient is summed over
    its rows that agree in what is left of their sample, and in their other dimensions.

    Raises TypeError for something other than a map and names, ValueError for a name that isn't a
    dimension of the samples. A map without blocks has no dimensions to check, and is returned.

    Source: the documentation of ``metatensor.sum_over_samples``.
    """
    return _reduced(tensor, "sample", sample_names, _sum)


def mean_over_samples(tensor: TensorMap, sample_names: str | Sequence[str]) -> TensorMap:
    """The mean E[X] over the samples whose sum :func:`sum_over_samples` is, which says the rest.

    ∇E[X] = E[∇X]: it is divided by the number of samples, rows that a gradient doesn't have being zero.
    The mean of no samples is NaN. Raises TypeError where values are no floating-point numbers, too.

    Source: the documentation of ``metatensor.mean_over_samples``.
    """
    return _reduced(tensor, "sample", sample_names, _mean)


def var_over_samples(tensor: TensorMap, sample_names: str | Sequence[str]) -> TensorMap:
    """The variance E[(X - E[X])²] over the samples whose sum :func:`sum_over_samples` is, which says the
    rest of labels, shapes and errors.

    ∇Var[X] = 2 (E[X ∇X] - E[X] E[∇X]), means being those of :func:`mean_over_samples`. Raises TypeError
    where values are no real numbers, and NotImplementedError for gradients of gradients, too.

    Source: the documentation of ``metatensor.var_over_samples``.
    """
    return _reduced(tensor, "sample", sample_names, _variance)


def std_over_samples(tensor: TensorMap, sample_names: str | Sequence[str]) -> TensorMap:
    """The standard deviation √Var[X] over the samples whose sum :func:`sum_over_samples` is, which says
    the rest of labels and shapes.

    ∇Std[X] = (E[X ∇X] - E[X] E[∇X]) / Std[X], and 0 where Std[X] is, as of ``torch.std``. Raises as
    :func:`var_over_samples`.

    Source: the documentation of ``metatensor.std_over_samples``.
    """
    return _reduced(tensor, "sample", sample_names, _deviation)


def sum_over_properties(tensor: TensorMap, property_names: str | Sequence[str]) -> TensorMap:
    """The sum over all properties that agree in the dimensions not named in ``property_names``.

    Values of the shape ``(samples, *components, properties)`` have one of as many properties as differ
    in these dimensions, which are the result's, in lexicographic order. Where none is left it has
    one property, ``_`` = 0, in every block: a block without properties sums to 0. Gradients are summed
    alike.

    Raises TypeError for something other than a map and names, ValueError for a name that isn't a
    dimension of the properties. A map without blocks has no dimensions to check, and is returned.

    Source: the documentation of ``metatensor.sum_over_properties``.
    """
    return _reduced(tensor, "property", property_names, _sum)


def mean_over_properties(tensor: TensorMap, property_names: str | Sequence[str]) -> TensorMap:
    """The mean E[X] over the properties whose sum :func:`sum_over_properties` is, which says the rest.

    ∇E[X] = E[∇X]. The mean of no properties is NaN. Raises TypeError where values are no floating-point
    numbers, too.

    Source: the documentation of ``metatensor.mean_over_properties``.
    """
    return _reduced(tensor, "property", property_names, _mean)


def var_over_properties(tensor: TensorMap, property_names: str | Sequence[str]) -> TensorMap:
    """The variance E[(X - E[X])²] over the properties whose sum :func:`sum_over_properties` is, which
    says the rest of labels, shapes and errors.

    ∇Var[X] = 2 (E[X ∇X] - E[X] E[∇X]). Raises TypeError where values are no real numbers, and
    NotImplementedError for gradients of gradients, too.

    Source: the documentation of ``metatensor.var_over_properties``.
    """
    return _reduced(tensor, "property", property_names, _variance)


def std_over_properties(tensor: TensorMap, property_names: str | Sequence[str]) -> TensorMap:
    """The standard deviation √Var[X] over the properties whose sum :func:`sum_over_properties` is, which
    says the rest of labels and shapes.

    ∇Std[X] = (E[X ∇X] - E[X] E[∇X]) / Std[X], and 0 where Std[X] is, as of ``torch.std``. Raises as
    :func:`var_over_properties`.

    Source: the documentation of ``metatensor.std_over_properties``.
    """
    return _reduced(tensor, "property", property_names, _deviation)


@dataclass(frozen=True)
class _Merge:
    """What becomes of an axis: row ``i`` is added to row ``places[i]`` of the new ``labels``, and a
    total divided by ``counts`` is a mean. The tensors are on the host."""

    axis: int
    labels: Labels
    places: torch.Tensor
    counts: torch.Tensor

    def of(self, gradient: TensorBlock) -> _Merge:
        """The same of a gradient, whose rows are those of its samples."""
        if self.axis != 0:
            return self
        rows, (places,) = distinct([gradient_rows(gradient, self.places)])
        labels = Labels._of_tensor(gradient.samples._names, rows, gradient.device)
        return _Merge(0, labels, places, self.counts[rows[:, 0].long()])

    def total(self, values: torch.Tensor) -> torch.Tensor:
        shape = list(values.shape)
        shape[self.axis] = len(self.labels)
        return values.new_zeros(shape).index_add(self.axis, self.places.to(values.device), values)

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        shape = [1] * values.dim()
        shape[self.axis] = -1
        return self.total(values) / self.counts.to(values.device).reshape(shape)

    def spread(self, merged: torch.Tensor) -> torch.Tensor:
        """For every row what it has become."""
        return merged.index_select(self.axis, self.places.to(merged.device))

    def block(self, like: TensorBlock, values: torch.Tensor) -> TensorBlock:
        """The block of new values, without gradients."""
        samples = self.labels if self.axis == 0 else like.samples
        properties = like.properties if self.axis == 0 else self.labels
        return TensorBlock._unchecked(values, samples, like._components, properties)


def _reduced(
    tensor: TensorMap,
    axis: str,
    names: str | Sequence[str],
    function: Callable[[TensorBlock, _Merge], TensorBlock],
) -> TensorMap:
    """The map of ``function`` of every block and of the merge of what agrees in all but ``names``."""
    check_maps(tensor=tensor)
    names = (names,) if isinstance(names, str) else names
    check_names(f"{axis}_names", names)
    there = tensor.sample_names if axis == "sample" else tensor.property_names
    for name in names:
        if len(tensor) and name not in there:
            what = "samples" if axis == "sample" else "properties"
            raise ValueError(f"no dimension {name!r} in the {what}, which have {there}")
    left = [i for i, name in enumerate(there) if name not in names]
    left_names = tuple(there[i] for i in left) or ("_",)

    def reduced(block: TensorBlock) -> TensorBlock:
        labels = block.samples if axis == "sample" else block.properties
        if left:
            rows, (places,) = distinct([labels._tensor()[:, left]])
        else:
            rows = torch.zeros((1, 1), dtype=torch.int32)
            places = torch.zeros(len(labels), dtype=torch.int64)
        merged = Labels._of_tensor(left_names, rows, block.device)
        counts = places.bincount(minlength=len(rows))
        return function(block, _Merge(0 if axis == "sample" else -1, merged, places, counts))

    return of_blocks(tensor, reduced)


def _sum(block: TensorBlock, merge: _Merge) -> TensorBlock:
    summed = merge.block(block, merge.total(block.values))
    for parameter, gradient in block.gradients():
        attach(summed, parameter, _sum(gradient, merge.of(gradient)))
    return summed


def _mean(block: TensorBlock, merge: _Merge) -> TensorBlock:
    if not (block.dtype.is_floating_point or block.dtype.is_complex):
        raise TypeError(
            f"a mean is of floating-point numbers, got values of {block.dtype}; convert them with "
            ".to(torch.float64)"
        )
    averaged = merge.block(block, merge.mean(block.values))
    for parameter, gradient in block.gradients():
        attach(averaged, parameter, _mean(gradient, merge.of(gradient)))
    return averaged


def _variance(block: TensorBlock, merge: _Merge) -> TensorBlock:
    centred = _centred(block, merge)
    variance = merge.block(block, merge.mean(centred.square()))
    for parameter, gradient in block.gradients():
        derivative, of_gradient = _covariance(parameter, gradient, centred, merge)
        attach(variance, parameter, of_gradient.block(gradient, 2 * derivative))
    return variance


def _deviation(block: TensorBlock, merge: _Merge) -> TensorBlock:
    centred = _centred(block, merge)
    variance = merge.mean(centred.square())
    is_zero = variance == 0  # where autograd's derivative would be NaN
    root = torch.where(is_zero, 1, variance).sqrt()
    deviation = merge.block(block, torch.where(is_zero, 0, root))
    inverse = torch.where(is_zero, 0, 1 / root)
    for parameter, gradient in block.gradients():
        derivative, of_gradient = _covariance(parameter, gradient, centred, merge)
        reduced = of_gradient.block(gradient, derivative)
        reduced._values = derivative * _at_rows(inverse, reduced)
        attach(deviation, parameter, reduced)
    return deviation


def _centred(block: TensorBlock, merge: _Merge) -> torch.Tensor:
    """X - E[X]."""
    if not block.dtype.is_floating_point:
        raise TypeError(
            "variances and standard deviations are of real floating-point numbers, got values of "
            f"{block.dtype}; convert them with .to(torch.float64)"
        )
    return block.values - merge.spread(merge.mean(block.values))


def _covariance(
    parameter: str, gradient: TensorBlock, centred: torch.Tensor, merge: _Merge
) -> tuple[torch.Tensor, _Merge]:
    """E[(X - E[X]) ∇X], which is E[X ∇X] - E[X] E[∇X], and the merge of the gradient."""
    if gradient.has_any_gradient():
        raise NotImplementedError(
            f"the gradient {parameter!r} has gradients itself, and those of variances and standard "
            "deviations aren't determined by them alone; remove them with remove_gradients"
        )
    of_gradient = merge.of(gradient)
    return of_gradient.mean(_at_rows(centred, gradient) * gradient.values), of_gradient


def _at_rows(values: torch.Tensor, gradient: TensorBlock) -> torch.Tensor:
    """For every row of the gradient the value that it derives, shaped to be multiplied with it."""
    rows = gradient.samples._tensor()[:, 0].to(values.device, torch.int64)
    extra = gradient.values.dim() - values.dim()
    return values.index_select(0, rows).reshape(len(rows), *(1,) * extra, *values.shape[1:])
