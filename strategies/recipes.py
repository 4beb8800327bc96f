"""Strategies for recipes: how a module of some row is made that fits a map."""

from __future__ import annotations

import functools
import itertools
from math import prod
from typing import Any

import torch
from hypothesis import strategies as st

from tmref import Labels, TensorMap
from tmref.catalog import Call, Layer, Recipe, Row

from . import axes
from .numbers import MAX_FEATURES, dyadic_tensors

_WIDTHS = axes.sizes(0, MAX_FEATURES)
_MAYBE = st.booleans()


@st.composite
def recipes(draw: st.DrawFn, row: Row, tensor: TensorMap) -> Recipe:
    """Recipes of the row for modules that fit ``tensor``: its keys in any order, its features and dtype.

    Arguments are written or left out, given once or as a list, sizes as numbers or by
    ``out_properties``; the layers of a Sequential have their keys in orders of their own. Parameters
    are multiples of 1/8 as :func:`dyadic_tensors` gives. Shrinks towards the order of the map and as
    few arguments as possible.
    """
    keys = tensor.keys
    in_keys = draw(_orders(keys))
    widths = [[len(block.properties)] for block in tensor]
    for layer in row.layers:
        for width in widths:
            width.append(draw(_WIDTHS) if layer.resizes else width[-1])
    properties = draw(_properties([width[-1] for width in widths]))
    dtype = tensor.dtype
    if row.module == "Sequential":
        last = len(row.layers) - 1
        layers = tuple(
            draw(
                _layer(
                    layer, keys, [w[i : i + 2] for w in widths], properties if i == last else None, dtype
                )
            )
            for i, layer in enumerate(row.layers)
        )
        call = Call("Sequential", (in_keys, *layers))
    elif row.module == "ModuleMap":
        twins = [row.twin(width, dtype) for width in _reordered(widths, keys, in_keys)]
        kwargs = {} if properties is None else {"out_properties": _reordered(properties, keys, in_keys)}
        call = Call("ModuleMap", (in_keys, twins), kwargs)
    else:
        call = draw(
            _layer(
                row.layers[0],
                in_keys,
                _reordered(widths, keys, in_keys),
                properties and _reordered(properties, keys, in_keys),
                dtype,
                False,
            )
        )
    widths = _reordered(widths, keys, in_keys)
    expected = (
        [Labels.range("_", width[-1]) for width in widths]
        if properties is None
        else _reordered(properties, keys, in_keys)
    )
    shapes = {
        f"{i}.{name}": shape
        for i, width in enumerate(widths)
        for name, shape in row.parameter_shapes(width).items()
    }
    return Recipe(
        row,
        call,
        in_keys,
        tuple(row.twin(width, dtype) for width in widths),
        tuple(expected),
        draw(_parameters(shapes, dtype)),
    )


@functools.cache
def _permutations(size: int) -> st.SearchStrategy[tuple[int, ...]]:
    if size > 5:  # too many to list
        return st.permutations(range(size)).map(tuple)
    return st.sampled_from(list(itertools.permutations(range(size))))


@st.composite
def _orders(draw: st.DrawFn, keys: Labels) -> Labels:
    """The entries of ``keys`` in any order."""
    if len(keys) < 2:
        return keys
    return Labels._unchecked(keys._names, keys._rows[list(draw(_permutations(len(keys))))], keys.device)


def _reordered(items: list[Any], keys: Labels, in_keys: Labels) -> list[Any]:
    """``items``, one for each of ``keys``, in the order of ``in_keys``."""
    return [items[keys.position(key)] for key in in_keys]


@st.composite
def _properties(draw: st.DrawFn, widths: list[int]) -> list[Labels] | None:
    """Properties of these many entries, all of the same names, or None for the default."""
    if not widths or not draw(_MAYBE):
        return None
    names = draw(axes.property_names())
    return [axes.draw_labels(draw, names, width, width) for width in widths]


@st.composite
def _layer(
    draw: st.DrawFn,
    layer: Layer,
    keys: Labels,
    widths: list[list[int]],
    properties: list[Labels] | None,
    dtype: torch.dtype,
    shuffled: bool = True,
) -> Call:
    """The call that makes one layer on maps, with its keys in an order of its own where ``shuffled``."""
    in_keys = draw(_orders(keys)) if shuffled else keys
    kwargs: dict[str, Any] = {"in_keys": in_keys}
    if layer.resizes:
        before, after = ([w[i] for w in _reordered(widths, keys, in_keys)] for i in (0, -1))
        kwargs["in_features"] = draw(_once_or_each(before))
        if properties is None or draw(_MAYBE):
            kwargs["out_features"] = draw(_once_or_each(after))
        if dtype != torch.get_default_dtype() or draw(_MAYBE):
            kwargs["dtype"] = dtype
        kwargs.update(layer.options)
    if properties is not None:
        kwargs["out_properties"] = _reordered(properties, keys, in_keys)
    return Call(layer.name, (), kwargs)


@st.composite
def _once_or_each(draw: st.DrawFn, values: list[int]) -> int | list[int]:
    """The values as a list, or as a number where they are all the same."""
    if len(set(values)) > 1 or (values and draw(_MAYBE)):
        return values
    return values[0] if values else 1


@st.composite
def _parameters(
    draw: st.DrawFn, shapes: dict[str, tuple[int, ...]], dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """Parameters of these shapes, drawn in one piece."""
    sizes = [prod(shape) for shape in shapes.values()]
    parts = draw(dyadic_tensors((sum(sizes),), dtype=dtype)).split(sizes) if sizes else ()
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
