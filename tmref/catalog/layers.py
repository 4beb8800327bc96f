"""The layers that modules are made of: their arguments, their parameters, their twins in plain torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..labels import Labels
from .calls import Call

#: The prefixes of layers that treat invariant and covariant keys differently.
_BY_INVARIANCE = ("Invariant", "Equivariant")


@dataclass(frozen=True)
class Layer:
    """One layer of an implementation's nn, with fixed options and sizes still open."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What it is for invariant keys: the name without its prefix."""
        return self.name.removeprefix("Invariant").removeprefix("Equivariant")

    @property
    def by_invariance(self) -> bool:
        """Whether it does something else for covariant keys."""
        return self.name.startswith(_BY_INVARIANCE)

    @property
    def sized(self) -> bool:
        """Whether it is told the number of features."""
        return self.kind in ("Linear", "LayerNorm")

    @property
    def resizes(self) -> bool:
        """Whether the number of features can change."""
        return self.kind == "Linear"

    def twin(self, in_features: int, out_features: int, dtype: torch.dtype, invariant: bool) -> Call:
        """The layer in plain torch, for one key."""
        if self.kind == "Linear":
            options = self.options if invariant or not self.by_invariance else {"bias": False}
            return Call("torch.nn.Linear", (in_features, out_features), {**options, "dtype": dtype})
        if self.by_invariance and not invariant:
            return Call("torch.nn.Identity")
        if self.kind == "LayerNorm":
            return Call("twins.LayerNorm", (in_features,), {**self.options, "dtype": dtype})
        return Call(f"torch.nn.{self.kind}")

    def parameter_shapes(
        self, in_features: int, out_features: int, invariant: bool = True
    ) -> tuple[tuple[int, ...], ...]:
        """The shapes of the layer's parameters for one key, in its order."""
        is_whole = invariant or not self.by_invariance
        has_bias = is_whole and self.options.get("bias", True)
        if self.kind == "Linear":
            weight = (out_features, in_features)
            return (weight, (out_features,)) if has_bias else (weight,)
        if self.kind == "LayerNorm" and is_whole and self.options.get("elementwise_affine", True):
            return ((in_features,), (in_features,)) if has_bias else ((in_features,),)
        return ()

    def call(
        self,
        in_keys: Labels,
        sizes: Sequence[Sequence[int]],
        properties: list[Labels] | None,
        parameters: tuple[torch.Tensor, ...],
        dtype: torch.dtype,
        style: ArgumentStyle,
        options: Mapping[str, Any],
    ) -> Call:
        """The call that makes one layer on maps, everything in the order of ``in_keys``."""
        kwargs: dict[str, Any] = {"in_keys": in_keys}
        if self.sized:
            before, after = [size[0] for size in sizes], [size[1] for size in sizes]
            # documents disagree about what a list has an entry for, every key or every invariant one
            once = style.in_features_once or self.name == "InvariantLayerNorm"
            kwargs["in_features"] = once_or_each(before, once)
            if self.resizes and (properties is None or style.out_features):
                kwargs["out_features"] = once_or_each(after, style.out_features_once)
            if dtype != torch.get_default_dtype() or style.dtype:
                kwargs["dtype"] = dtype
        kwargs.update(self.options)
        kwargs.update(options)
        if properties is not None:
            kwargs["out_properties"] = properties
        return Call(self.name, (), kwargs, parameters)


@dataclass(frozen=True)
class ArgumentStyle:
    """How the arguments of a layer are written: sizes once, or as a list; and what is left out."""

    in_features_once: bool = True
    out_features_once: bool = True
    out_features: bool = True
    dtype: bool = True


def once_or_each(values: list[int], once: bool) -> int | list[int]:
    """How sizes are written: once, where this is asked for and they are all the same, or as a list."""
    if not values:
        return 1
    return values[0] if once and len(set(values)) == 1 else values
