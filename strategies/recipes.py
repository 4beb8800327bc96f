"""Strategies for recipes: how a module of some row is made that fits a map."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from math import prod

import torch
from hypothesis import strategies as st

from tmref import Labels, TensorMap
from tmref.catalog import Recipe, Row, Written, invariances, recipe
from tmref.nn._arguments import INVARIANT

from . import axes
from .numbers import MAX_FEATURES, checked_bound, dyadic_tensors

_WIDTHS = axes.sizes(0, MAX_FEATURES)
_MAYBE = st.booleans()
# left out, the default written out, and without the sign under inversion
_INVARIANT_KEYS = st.sampled_from([None, INVARIANT, Labels("o3_lambda", torch.tensor([[0]]))])
_WRITTEN = st.builds(Written, *[st.sampled_from([True, False])] * 4)


@st.composite
def recipes(draw: st.DrawFn, row: Row, tensor: TensorMap, *, shuffled_layers: bool = False) -> Recipe:
    """Recipes of the row for modules that fit ``tensor``: its keys in any order, its features and dtype.

    Arguments are written or left out, given once or as a list, sizes as numbers or by
    ``out_properties``; where ``shuffled_layers``, the layers of a Sequential have their keys in orders
    of their own. Parameters are multiples of 1/8 as :func:`dyadic_tensors` gives, up to
    :func:`unit_bound` of the features. Shrinks towards the order of the map.
    """
    keys = tensor.keys
    in_keys = draw(_orders(keys))
    shuffled = shuffled_layers and row.module == "Sequential"
    orders = [draw(_orders(keys)) if shuffled else in_keys for _ in row.layers]
    widths = [[len(block.properties)] for block in tensor]
    for layer in row.layers:
        for width in widths:
            width.append(draw(_WIDTHS) if layer.resizes and not row.keeps_sizes else width[-1])
    written = [draw(_WRITTEN) if layer.sized else Written() for layer in row.layers]
    invariant_keys = draw(_INVARIANT_KEYS) if row.by_invariance else None
    invariant = invariances(row, keys, invariant_keys)
    return recipe(
        row,
        keys,
        tensor.dtype,
        widths,
        draw(_parameters(row, widths, invariant, tensor.dtype)),
        in_keys=in_keys,
        orders=orders,
        properties=draw(_properties([width[-1] for width in widths])),
        invariant_keys=invariant_keys,
        written=written,
    )


@functools.cache
def _permutations(size: int) -> st.SearchStrategy[Sequence[int]]:
    if size > 5:  # too many to list
        return st.permutations(range(size))
    return st.sampled_from(list(itertools.permutations(range(size))))


@st.composite
def _orders(draw: st.DrawFn, keys: Labels) -> Labels:
    """The entries of ``keys`` in any order."""
    if len(keys) < 2:
        return keys
    order = list(draw(_permutations(len(keys))))
    return Labels._of_tensor(keys._names, keys._tensor()[order], keys.device)


@st.composite
def _properties(draw: st.DrawFn, widths: list[int]) -> list[Labels] | None:
    """Properties of these many entries, all of the same names, or None for the default."""
    if not widths or not draw(_MAYBE):
        return None
    names = draw(axes.property_names())
    return [axes.draw_labels(draw, names, width, width) for width in widths]


@st.composite
def _parameters(
    draw: st.DrawFn, row: Row, widths: list[list[int]], invariant: list[bool], dtype: torch.dtype
) -> list[list[tuple[torch.Tensor, ...]]]:
    """The parameters of every key and layer, drawn in one piece."""
    shapes = [
        [
            layer.parameter_shapes(before, after, is_invariant)
            for layer, before, after in zip(row.layers, width, width[1:], strict=False)
        ]
        for width, is_invariant in zip(widths, invariant, strict=True)
    ]
    flat = [shape for of_key in shapes for of_layer in of_key for shape in of_layer]
    bound = checked_bound(None, max(itertools.chain(*widths), default=0))
    numbers = draw(dyadic_tensors((sum(map(prod, flat)),), dtype=dtype, bound=bound))
    pieces = iter(numbers.split([prod(shape) for shape in flat])) if flat else iter(())
    return [
        [tuple(next(pieces).reshape(shape) for shape in of_layer) for of_layer in of_key]
        for of_key in shapes
    ]
