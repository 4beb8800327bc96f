"""Strategies for recipes: how a module of some row is made that fits a map."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from math import prod

import torch
from hypothesis.errors import InvalidArgument

from tmref import Labels, TensorMap
from tmref.catalog import INVARIANT, Recipe, Row, invariances, recipe

from . import axes
from ._bytes import Bytes, sizes
from ._options import check_flags, check_map
from ._strategy import Draw, strategy
from .numbers import MAX_FEATURES
from .values import Values

_WIDTHS = sizes(0, MAX_FEATURES)
# left out, the default written out, and without the sign under inversion
_INVARIANT_KEYS = (None, None, INVARIANT, Labels("o3_lambda", torch.tensor([[0]])))
_NO_YES = (False, True)


@strategy
def recipes(row: Row, tensor: TensorMap, *, shuffled_layers: bool = False) -> Callable[[Draw], Recipe]:
    """Recipes of the ``row`` of the catalog for modules that fit ``tensor``: its keys in any order, its
    features and dtype.

    Arguments are written or left out, given once or as a list, sizes as numbers or by
    ``out_properties``; where ``shuffled_layers``, the layers of a Sequential have their keys in orders
    of their own. Parameters are multiples of 1/8 up to :func:`unit_bound` of the features. Shrinks
    towards the order of the map. Raises InvalidArgument for what is no row, no map or no bool.

    >>> from tmref import catalog
    >>> x = find(tensor_maps(), lambda x: any(block.values.numel() for block in x))
    >>> find(recipes(catalog.row("tanh"), x), lambda recipe: True).call
    Call('Tanh', kwargs={'in_keys': Labels.range("key", 1)}, parameters=())
    """
    _check_row("recipes", row)
    check_map("recipes", tensor)
    check_flags(shuffled_layers=shuffled_layers)
    keys = tensor.keys
    shuffled = shuffled_layers and row.kind.composes
    features = [len(block.properties) for block in tensor]

    def draw_recipe(draw: Draw) -> Recipe:
        layers = row.layers
        of_orders = len(keys) * (1 + len(layers))
        data = draw.bytes("recipe", of_orders + len(keys) * len(layers) + len(layers) + 3)
        in_keys = _pick_order(data, keys)
        orders = [_pick_order(data, keys) if shuffled else in_keys for _ in layers]
        widths = [[width] for width in features]
        for layer in layers:
            for width in widths:
                resized = layer.resizes and not row.keeps_sizes
                width.append(data.pick(_WIDTHS) if resized else width[-1])
        ways = [max(layer.styles, row.kind.styles, key=len) for layer in layers]
        styles = [data.pick(styles) if len(styles) > 1 else styles[0] for styles in ways]
        invariant_keys = data.pick(_INVARIANT_KEYS) if row.by_invariance else None
        names = data.pick(axes.PROPERTIES) if data.pick(_NO_YES) and len(keys) else None
        invariant = invariances(row, keys, invariant_keys)
        return recipe(
            row,
            keys,
            tensor.dtype,
            widths,
            _draw_parameters(draw, row, widths, invariant, tensor.dtype),
            in_keys=in_keys,
            orders=orders,
            properties=None if names is None else _draw_properties(draw, names, [w[-1] for w in widths]),
            invariant_keys=invariant_keys,
            styles=styles,
        )

    return draw_recipe


def _check_row(of: str, row: object) -> None:
    """InvalidArgument unless what a strategy takes is a row."""
    if not isinstance(row, Row):
        raise InvalidArgument(f"{of}: row must be a Row, as catalog.row('tanh') is, got {row!r}")


def _pick_order(data: Bytes, keys: Labels) -> Labels:
    """The entries of ``keys`` in any order."""
    found = keys._entries()
    rows = dict.fromkeys(found[i] for i in data.pick_order(len(keys)))
    return keys if len(rows) < 2 else axes.labels_of_rows(keys._names, rows, keys.device)


def _draw_properties(draw: Draw, names: Sequence[str], widths: list[int]) -> list[Labels]:
    """Properties of these many entries, all of the same names."""
    data = draw.bytes("labels", sum(widths) * len(names))
    return [axes.labels_of_rows(names, axes.label_rows(data, width, len(names))) for width in widths]


@functools.cache
def _values(features: int) -> Values:
    return Values.checked({}, features)


def _draw_parameters(
    draw: Draw, row: Row, widths: list[list[int]], invariant: list[bool], dtype: torch.dtype
) -> list[list[tuple[torch.Tensor, ...]]]:
    """The parameters of every key and layer, drawn in one piece: vectors, then matrices, so that biases
    stay what they are while the numbers of features shrink.
    """
    shapes = [
        [
            layer.parameter_shapes(before, after, is_invariant)
            for layer, before, after in zip(row.layers, width, width[1:], strict=False)
        ]
        for width, is_invariant in zip(widths, invariant, strict=True)
    ]
    flat = [shape for of_key in shapes for of_layer in of_key for shape in of_layer]
    values = _values(max(itertools.chain(*widths), default=0))
    numbers = values.draw(
        draw, (sum(map(prod, flat)),), dtype, torch.device("cpu"), purpose="parameters"
    )
    order = sorted(range(len(flat)), key=lambda i: len(flat[i]))
    parts = dict(zip(order, numbers.split([prod(flat[i]) for i in order]), strict=True)) if flat else {}
    pieces = (parts[i] for i in range(len(flat)))
    return [
        [tuple(next(pieces).reshape(shape).clone() for shape in of_layer) for of_layer in of_key]
        for of_key in shapes
    ]
