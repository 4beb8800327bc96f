"""Linear layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..labels import Labels
from ._arguments import (
    checked_keys,
    checked_properties,
    out_sizes,
    per_invariant_key,
    per_key,
    sizes_per_key,
    which_are_invariant,
)
from .module_map import Delegating, ModuleMap


class Linear(Delegating):
    """y[k] = x[k] W[k]ᵀ + b[k] for every key k of the map.

    Values have the shape ``(samples, *components, in_features)`` before and ``(samples, *components,
    out_features)`` after. ``in_features``, ``out_features`` and ``bias`` are given once for all keys
    or as a list with one for each; ``out_features`` may be left out where ``out_properties`` are
    given. The parameters are those of one ``torch.nn.Linear`` for each key, initialised in the order
    of the keys, as ``module_map.module_list.<i>.weight`` and ``.bias``.

    Raises TypeError or ValueError for arguments that don't fit each other; the forward raises as
    :class:`ModuleMap`'s does, and as ``torch.nn.Linear``'s, RuntimeError, for values of other than
    ``in_features`` properties or of another dtype.

    Source: the documentation of ``metatensor.learn.nn.Linear`` and of ``torch.nn.Linear``.
    """

    def __init__(
        self,
        in_keys: Labels,
        in_features: int | Sequence[int],
        out_features: int | Sequence[int] | None = None,
        out_properties: Sequence[Labels] | None = None,
        *,
        bias: bool | Sequence[bool] = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        biases = per_key("bias", bias, bool, checked_keys(in_keys))
        self.module_map = _linears(
            in_keys, in_features, out_features, out_properties, biases, device, dtype
        )


class EquivariantLinear(Delegating):
    """y[k] = x[k] W[k]ᵀ + b[k] for every key k of the map, b[k] = 0 for covariant ones.

    A constant has no direction: it is added where nothing rotates or changes sign. ``invariant_keys``
    select the keys where that is so; without them, those of ``o3_lambda`` 0 and ``o3_sigma`` 1.
    ``bias`` is given once, or as a list with one for every key or for every invariant key. Shapes,
    other arguments, parameters and errors as for :class:`Linear`; raises ValueError where ``in_keys``
    haven't the dimensions of ``invariant_keys``, too.

    Source: the documentation of ``metatensor.learn.nn.EquivariantLinear``.
    """

    def __init__(
        self,
        in_keys: Labels,
        in_features: int | Sequence[int],
        out_features: int | Sequence[int] | None = None,
        out_properties: Sequence[Labels] | None = None,
        invariant_keys: Labels | None = None,
        *,
        bias: bool | Sequence[bool] = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        invariant = which_are_invariant(in_keys, invariant_keys)
        biases = [b is True for b in per_invariant_key("bias", bias, bool, in_keys, invariant)]
        self.module_map = _linears(
            in_keys, in_features, out_features, out_properties, biases, device, dtype
        )


def _linears(
    in_keys: Labels,
    in_features: int | Sequence[int],
    out_features: int | Sequence[int] | None,
    out_properties: Sequence[Labels] | None,
    biases: Sequence[bool],
    device: torch.device | str | None,
    dtype: torch.dtype | None,
) -> ModuleMap:
    """One torch.nn.Linear for every key."""
    properties = checked_properties(out_properties, in_keys)
    if out_features is None and properties is None:
        raise ValueError("a linear layer needs out_features or out_properties, got neither")
    sizes_in = sizes_per_key("in_features", in_features, in_keys)
    modules = [
        torch.nn.Linear(before, after, bias=bias, device=device, dtype=dtype)
        for before, after, bias in zip(
            sizes_in, out_sizes(out_features, properties, in_keys), biases, strict=True
        )
    ]
    return ModuleMap(in_keys, modules, properties)
