"""Arithmetic of maps, entry by entry; explicit gradients follow by the chain rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ..block import TensorBlock
from ..moves import attach
from ..printing import type_of
from ..tensor_map import TensorMap
from ._common import check_maps, of_blocks
from .equality import NotEqualError, difference_of, partners

#: A factor for every value of a block, and the block whose gradients it is for.
Term = tuple[torch.Tensor, TensorBlock]


def add(A: TensorMap, B: TensorMap | complex) -> TensorMap:
    """A + B, where B is a number or a map of the same metadata (its keys in any order).

    ∇(A + B) = ∇A + ∇B, which is ∇A for a number. Shapes stay, the keys have A's order, dtypes are
    promoted as torch does.

    Raises TypeError for something other than a map, and a map or a number, NotEqualError where
    metadata differs.

    Source: the documentation of ``metatensor.add``.
    """
    check_maps(A=A)
    if isinstance(B, TensorMap):
        return _of_pairs("add", A, B, _sum)
    return of_blocks(A, _shifted_by(_checked_number(B)))


def subtract(A: TensorMap, B: TensorMap | complex) -> TensorMap:
    """A - B, where B is a number or a map of the same metadata (its keys in any order).

    ∇(A - B) = ∇A - ∇B, which is ∇A for a number. Shapes stay, the keys have A's order, dtypes are
    promoted as torch does. Raises as :func:`add` does.

    Source: the documentation of ``metatensor.subtract``.
    """
    check_maps(A=A)
    if isinstance(B, TensorMap):
        return _of_pairs("subtract", A, B, lambda a, b: _sum(a, b, -1))
    return of_blocks(A, _shifted_by(-_checked_number(B)))


def multiply(A: TensorMap, B: TensorMap | complex) -> TensorMap:
    """A B, entry by entry, where B is a number or a map of the same metadata (its keys in any order).

    ∇(A B) = B ∇A + A ∇B, which is B ∇A for a number. Shapes stay, the keys have A's order, dtypes are
    promoted as torch does.

    Raises TypeError for something other than a map, and a map or a number, NotEqualError where
    metadata differs, and NotImplementedError where both are maps that have gradients of gradients,
    whose product isn't determined by them.

    Source: the documentation of ``metatensor.multiply``.
    """
    check_maps(A=A)
    if isinstance(B, TensorMap):

        def product(a: TensorBlock, b: TensorBlock) -> TensorBlock:
            return _by_the_chain_rule(a, a.values * b.values, [(b.values, a), (a.values, b)])

        return _of_pairs("multiply", A, B, product)
    number = _checked_number(B)
    return of_blocks(A, lambda block: block._map_values(lambda values: values * number))


def divide(A: TensorMap, B: TensorMap | complex) -> TensorMap:
    """A / B, entry by entry, where B is a number or a map of the same metadata (its keys in any order).

    ∇(A / B) = ∇A / B - A ∇B / B², which is ∇A / B for a number. Shapes stay, the keys have A's order,
    integers become floating numbers and other dtypes are promoted as torch does. Raises as
    :func:`multiply` does.

    Source: the documentation of ``metatensor.divide``.
    """
    check_maps(A=A)
    if isinstance(B, TensorMap):

        def quotient(a: TensorBlock, b: TensorBlock) -> TensorBlock:
            values = a.values / b.values
            return _by_the_chain_rule(a, values, [(1 / b.values, a), (-values / b.values, b)])

        return _of_pairs("divide", A, B, quotient)
    number = _checked_number(B)
    return of_blocks(A, lambda block: block._map_values(lambda values: values / number))


def pow(A: TensorMap, B: complex) -> TensorMap:
    """Aᴮ, entry by entry, where B is a number.

    ∇(Aᴮ) = B Aᴮ⁻¹ ∇A, which is 0 for B = 0. Shapes and labels stay, dtypes are promoted as torch does.

    Raises TypeError for something other than a map and a number, NotImplementedError for gradients of
    gradients, which are not determined by them.

    Source: the documentation of ``metatensor.pow``; B = 0, torch's.
    """
    check_maps(A=A)
    number = _checked_number(B, "a number")

    def power(block: TensorBlock) -> TensorBlock:
        x = block.values
        slope = torch.zeros_like(x) if number == 0 else number * x ** (number - 1)
        return _by_the_chain_rule(block, x**number, [(slope, block)])

    return of_blocks(A, power)


def abs(A: TensorMap) -> TensorMap:
    """\\|A\\|, entry by entry: real numbers, for complex ones, too.

    ∇\\|A\\| = Re(conj(A) ∇A) / \\|A\\|, which is sign(A) ∇A for real numbers, and 0 where A is 0. Shapes
    and labels stay.

    Raises TypeError for something other than a map, NotImplementedError for gradients of gradients,
    which are not determined by them.

    Source: the documentation of ``metatensor.abs``; of complex numbers and at 0, torch's.
    """
    check_maps(A=A)

    def absolute(block: TensorBlock) -> TensorBlock:
        x = block.values
        return _by_the_chain_rule(block, x.abs(), [(torch.sgn(x).conj(), block)])

    return of_blocks(A, absolute)


def dot(tensor_1: TensorMap, tensor_2: TensorMap) -> TensorMap:
    """The scalar products of the samples of two maps: y[k] = x₁[k] x₂[k]ᵀ for every key k of both.

    Values of the shapes ``(samples, *components, properties)`` and ``(other samples, properties)`` give
    ``(samples, *components, other samples)``: the properties are the samples of the second map. The
    gradients of the first are multiplied alike, those of gradients, too; keys have its order.

    Raises TypeError for something other than two maps, NotEqualError where their keys or the properties
    of a block differ, ValueError where the second has components or gradients.

    Source: the documentation of ``metatensor.dot``.
    """
    check_maps(tensor_1=tensor_1, tensor_2=tensor_2)
    difference = difference_of(tensor_1, tensor_2, ("properties",), gradients=False)
    if difference:
        raise NotEqualError(f"dot needs maps of the same keys and properties: {difference}")

    def product(a: TensorBlock, b: TensorBlock) -> TensorBlock:
        if b._components or b.has_any_gradient():
            found = "components" if b._components else "gradients"
            raise ValueError(
                f"the second map of a dot must have no {found}, got {tuple(b.shape)} with {found}"
            )
        y = TensorBlock._unchecked(a.values @ b.values.T, a.samples, a._components, b.samples)
        for parameter, gradient in a.gradients():
            attach(y, parameter, product(gradient, b))
        return y

    return _paired(tensor_1, tensor_2, product)


def _checked_number(B: complex, what: str = "a TensorMap or a number") -> complex:
    if isinstance(B, bool) or not isinstance(B, (int, float, complex)):
        raise TypeError(f"B must be {what}, got {type_of(B)}")
    return B


def _of_pairs(
    name: str,
    A: TensorMap,
    B: TensorMap,
    function: Callable[[TensorBlock, TensorBlock], TensorBlock],
) -> TensorMap:
    """The map of ``function`` of every block of A with the block of B under the same key."""
    difference = difference_of(A, B)
    if difference:
        raise NotEqualError(f"{name} needs maps of the same metadata: {difference}")
    return _paired(A, B, function)


def _paired(
    A: TensorMap, B: TensorMap, function: Callable[[TensorBlock, TensorBlock], TensorBlock]
) -> TensorMap:
    partner = {id(a): b for a, b in zip(A, partners(A, B), strict=True) if b is not None}
    return of_blocks(A, lambda block: function(block, partner[id(block)]))


def _shifted_by(number: complex) -> Callable[[TensorBlock], TensorBlock]:
    def shifted(block: TensorBlock) -> TensorBlock:
        values = block.values + number
        result = block.to(values.dtype)
        result._values = values
        return result

    return shifted


def _sum(a: TensorBlock, b: TensorBlock, factor: int = 1) -> TensorBlock:
    """a + factor b, and the same of gradients, and of theirs."""
    total = _relabelled(torch.add(a.values, b.values, alpha=factor), a)
    for parameter, gradient in a.gradients():
        attach(total, parameter, _sum(gradient, b.gradient(parameter), factor))
    return total


def _by_the_chain_rule(like: TensorBlock, values: torch.Tensor, terms: Sequence[Term]) -> TensorBlock:
    """A block of other ``values``, whose gradients are the sum of those of the terms' blocks, each times
    the term's factor at the sample that it is of."""
    result = _relabelled(values, like)
    for parameter, gradient in like.gradients():
        if gradient.has_any_gradient():
            raise NotImplementedError(
                f"the gradient {parameter!r} has gradients itself, and what becomes of them isn't "
                "determined by them; remove them with remove_gradients, or multiply by a number"
            )
        rows = gradient.samples._tensor()[:, 0].to(like.device, torch.int64)
        extra = gradient.values.dim() - like.values.dim()
        shape = len(rows), *(1,) * extra, *like.shape[1:]
        of_terms = [
            factor.index_select(0, rows).reshape(shape) * block.gradient(parameter).values
            for factor, block in terms
        ]
        total = of_terms[0] if len(of_terms) == 1 else of_terms[0] + of_terms[1]
        if total.is_complex() and not values.is_complex():
            total = total.real
        attach(result, parameter, _relabelled(total.to(values.dtype), gradient))
    return result


def _relabelled(values: torch.Tensor, like: TensorBlock) -> TensorBlock:
    """A block of other values with the labels of another, without its gradients."""
    return TensorBlock._unchecked(values, like.samples, like._components, like.properties)
