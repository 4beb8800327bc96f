"""Recipes: how a module is made, and its twins in plain torch, not yet made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..labels import Labels
from ..nn._arguments import which_are_invariant
from ..printing import PrintedAsSource
from .calls import Call
from .layers import ArgumentStyle, once_or_each
from .rows import Row


@dataclass(frozen=True, repr=False)
class Recipe(PrintedAsSource):
    """How a module is made, not yet made.

    ``call`` makes it. ``twins``, when called, make the plain torch module of every key of ``in_keys``,
    with the same parameters (None where there is no twin), and ``properties`` are what each block of
    the output must have (None where nobody knows). Initial parameters are drawn after
    ``torch.manual_seed(seed)``.
    """

    row: Row
    call: Call
    in_keys: Labels
    twins: tuple[Any, ...] | None
    properties: tuple[Labels, ...] | None
    seed: int = 0

    @property
    def parts(self) -> list[Any]:
        """What the module of every key is made of, but the numbers: of which classes, and the shapes."""
        return [_part(twin) for twin in self.twins or ()]

    def with_initial_parameters(self, seed: int) -> Recipe:
        """The same module with the parameters that torch draws after this seed."""
        twins = self.twins and tuple(twin.with_initial_parameters() for twin in self.twins)
        call = self.call.with_initial_parameters()
        return dataclasses.replace(self, call=call, twins=twins, seed=seed)


def _part(twin: Call) -> Any:
    shapes = [tuple(p.shape) for p in twin.parameters or ()]
    return twin.name, shapes, [_part(arg) for arg in twin.args if isinstance(arg, Call)]


def recipe(
    row: Row,
    keys: Labels,
    dtype: torch.dtype,
    widths: Sequence[Sequence[int]],
    parameters: Sequence[Sequence[tuple[torch.Tensor, ...]]],
    *,
    in_keys: Labels | None = None,
    orders: Sequence[Labels] | None = None,
    properties: Sequence[Labels] | None = None,
    invariant_keys: Labels | None = None,
    styles: Sequence[ArgumentStyle] | None = None,
) -> Recipe:
    """The recipe of a module for the ``keys``, each with its ``widths`` (the features before, between
    and after the layers) and ``parameters`` (those of each layer).

    ``in_keys`` are the same keys in the order that the module is given, ``orders`` those of the layers
    of a Sequential, ``properties`` the out_properties of every key (None for the default), and
    ``invariant_keys`` what selects the invariant ones (None to leave the argument out).
    """
    in_keys = keys if in_keys is None else in_keys
    orders = [in_keys] * len(row.layers) if orders is None else orders
    styles = [ArgumentStyle()] * len(row.layers) if styles is None else styles
    of_keys = list(
        zip(
            widths,
            [tuple(p for of_layer in of_key for p in of_layer) for of_key in parameters],
            invariances(row, keys, invariant_keys),
            strict=True,
        )
    )

    def ordered(items: Sequence[Any], order: Labels) -> list[Any]:
        positions = keys._position_of_entry()
        return [items[positions[entry]] for entry in order._entries()]

    twins = ordered([row.twin(w, dtype, ps, invariant) for w, ps, invariant in of_keys], in_keys)
    given = {} if properties is None else {"out_properties": ordered(properties, in_keys)}
    selection = {} if invariant_keys is None else {"invariant_keys": invariant_keys}
    if row.module == "ModuleMap":
        call = Call("ModuleMap", (in_keys, twins), given)
    elif row.module == "EquivariantTransformation":
        modules = ordered([row.inner(w, dtype, ps, invariant) for w, ps, invariant in of_keys], in_keys)
        sizes, how = [width[0] for width in ordered(widths, in_keys)], styles[0]
        of_sizes = {"in_features": once_or_each(sizes, how.in_features_once)}
        if properties is None or how.out_features:
            of_sizes["out_features"] = once_or_each(sizes, how.out_features_once)
        call = Call(row.module, (modules, in_keys), {**of_sizes, **given, **selection})
    else:
        layers = []
        for i, (layer, order, how) in enumerate(zip(row.layers, orders, styles, strict=True)):
            labels = None
            if properties is not None and i == len(row.layers) - 1:
                labels = ordered(properties, order)
            before_and_after = [width[i : i + 2] for width in ordered(widths, order)]
            of_layer = tuple(p for of_key in ordered(parameters, order) for p in of_key[i])
            options = selection if layer.by_invariance else {}
            layers.append(layer.call(order, before_and_after, labels, of_layer, dtype, how, options))
        call = Call("Sequential", (in_keys, *layers)) if row.module == "Sequential" else layers[0]
    if properties is None:
        properties = [Labels.range("_", width[-1]) for width in widths]
    return Recipe(row, call, in_keys, tuple(twins), tuple(ordered(properties, in_keys)))


def invariances(row: Row, keys: Labels, invariant_keys: Labels | None) -> list[bool]:
    """Whether a module of the row treats each of the keys as invariant; all where it makes no
    difference."""
    if not row.by_invariance:
        return [True] * len(keys)
    return which_are_invariant(keys, invariant_keys)
