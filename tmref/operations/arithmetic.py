"""Sums and products of maps, entry by entry."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..block import TensorBlock
from ..moves import attach
from ..printing import type_of
from ..tensor_map import TensorMap
from ._common import check_maps, of_blocks
from .equality import NotEqualError, difference_of, partners


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
    number = _checked_number(B)

    def shifted(block: TensorBlock) -> TensorBlock:
        values = block.values + number
        result = block.to(values.dtype)
        result._values = values
        return result

    return of_blocks(A, shifted)


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
        return _of_pairs("multiply", A, B, _product)
    number = _checked_number(B)
    return of_blocks(A, lambda block: block._map_values(lambda values: values * number))


def _checked_number(B: complex) -> complex:
    if isinstance(B, bool) or not isinstance(B, (int, float, complex)):
        raise TypeError(f"B must be a TensorMap or a number, got {type_of(B)}")
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
    partner = {id(a): b for a, b in zip(A, partners(A, B), strict=True) if b is not None}
    return of_blocks(A, lambda block: function(block, partner[id(block)]))


def _sum(a: TensorBlock, b: TensorBlock) -> TensorBlock:
    return _with_gradients(a, a.values + b.values, lambda name, g: _sum(g, b.gradient(name)))


def _product(a: TensorBlock, b: TensorBlock) -> TensorBlock:
    def derivative(parameter: str, gradient_a: TensorBlock) -> TensorBlock:
        gradient_b = b.gradient(parameter)
        if gradient_a.has_any_gradient():
            raise NotImplementedError(
                f"the gradient {parameter!r} has gradients itself, whose product isn't determined by "
                "them; remove them with remove_gradients, or multiply by a number"
            )
        rows = gradient_a.samples._tensor()[:, 0].to(a.device, torch.int64)
        shape = len(rows), *(1,) * (gradient_a.values.dim() - a.values.dim()), *a.shape[1:]
        of_a, of_b = (block.values.index_select(0, rows).reshape(shape) for block in (a, b))
        values = of_b * gradient_a.values + of_a * gradient_b.values
        return _with_gradients(gradient_a, values, lambda _, g: g)

    return _with_gradients(a, a.values * b.values, derivative)


def _with_gradients(
    like: TensorBlock,
    values: torch.Tensor,
    function: Callable[[str, TensorBlock], TensorBlock],
) -> TensorBlock:
    """A block with the labels of another, and ``function`` of its gradients."""
    block = TensorBlock._unchecked(values, like.samples, like._components, like.properties)
    for parameter, gradient in like.gradients():
        attach(block, parameter, function(parameter, gradient))
    return block
