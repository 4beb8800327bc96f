"""Recipes: how a module is made, and its twins in plain torch, not yet made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..labels import Labels
from ..printing import PrintedAsSource
from .calls import Call
from .kind import ArgumentStyle, Parts
from .row import Row

#: What selects invariant keys by default: what neither rotates nor changes sign on inversion. Written
#: out, since the reference's default is under test, too.
INVARIANT = Labels(["o3_lambda", "o3_sigma"], torch.tensor([[0, 1]]))


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
    parts = Parts(
        keys,
        dtype,
        widths,
        parameters,
        invariances(row, keys, invariant_keys),
        in_keys,
        [in_keys] * len(row.layers) if orders is None else orders,
        [ArgumentStyle()] * len(row.layers) if styles is None else styles,
        properties,
        invariant_keys,
    )
    twins = [row.kind.twin(*of_key) for of_key in parts.ordered(parts.of_keys(), in_keys)]
    if properties is None:
        properties = [Labels.range("_", width[-1]) for width in widths]
    of_output = tuple(parts.ordered(properties, in_keys))
    return Recipe(row, row.kind.call(parts), in_keys, tuple(twins), of_output)


def invariances(row: Row, keys: Labels, invariant_keys: Labels | None) -> list[bool]:
    """Whether a module of the row treats each of the keys as invariant; all where it makes no
    difference."""
    if not row.by_invariance:
        return [True] * len(keys)
    selection = INVARIANT if invariant_keys is None else invariant_keys
    selected = set(selection._entries())
    return [tuple(key[name] for name in selection.names) in selected for key in keys]
