"""LayerNorm and InvariantLayerNorm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from ..calls import Call, call_of
from ..kind import IDENTITY, Layer
from ..row import OF_ONE_WIDTH, Row, module_row

_EPS = 1e-5
_ONE_VALUE = '[doc] LayerNorm: "Each parameter is passed as a single value of its expected type"'


class LayerNormTwin(torch.nn.Module):
    """y = (x - μ) / √(σ² + eps) · w + b, written out: μ and σ² over all axes but the first.

    ``mean=False`` leaves μ out. The weight and the bias have the shape ``(features,)``.
    """

    def __init__(
        self,
        features: int,
        *,
        eps: float = _EPS,
        elementwise_affine: bool = True,
        bias: bool = True,
        mean: bool = True,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.eps, self.mean = eps, mean
        self.weight = self.bias = None
        if elementwise_affine:
            self.weight = torch.nn.Parameter(torch.ones(features, dtype=dtype))
            if bias:
                self.bias = torch.nn.Parameter(torch.zeros(features, dtype=dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of the same shape."""
        return self._affine(self.normed(x))

    def normed(self, x: torch.Tensor) -> torch.Tensor:
        """The values before the weight and the bias."""
        difference = x - x.mean(_axes(x), keepdim=True)
        return (difference if self.mean else x) / self._root(difference)

    def deviation(self, x: torch.Tensor) -> torch.Tensor:
        """√(σ² + eps)."""
        return self._root(x - x.mean(_axes(x), keepdim=True))

    def _root(self, difference: torch.Tensor) -> torch.Tensor:
        return torch.sqrt((difference**2).mean(_axes(difference), keepdim=True) + self.eps)

    def fast(self) -> torch.nn.Module:
        """The same with the same parameters, as one would write it for its speed."""
        return FusedLayerNorm(self.weight, self.bias, self.eps) if self.mean else self

    def _affine(self, x: torch.Tensor) -> torch.Tensor:
        if self.weight is not None:
            x = x * self.weight
        return x if self.bias is None else x + self.bias


class FusedLayerNorm(torch.nn.Module):
    """The layer norm over all axes but the samples in torch's fused kernel; then a factor a feature."""

    def __init__(
        self,
        weight: torch.nn.Parameter | None,
        bias: torch.nn.Parameter | None,
        eps: float = _EPS,
    ) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = weight, bias, eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of the same shape."""
        if x.dim() == 2:
            return torch.nn.functional.layer_norm(x, x.shape[1:], self.weight, self.bias, self.eps)
        normed = torch.nn.functional.layer_norm(x, x.shape[1:], eps=self.eps)
        if self.weight is None:
            return normed
        return (
            normed * self.weight if self.bias is None else torch.addcmul(self.bias, normed, self.weight)
        )


def _axes(x: torch.Tensor) -> tuple[int, ...]:
    return tuple(range(1, x.dim()))


@dataclass(frozen=True, repr=False)
class LayerNorm(Layer):
    """Every sample of a block divided by its standard deviation; for invariant keys only where the name
    has the prefix."""

    sized: ClassVar[bool] = True
    typed: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("eps", "elementwise_affine", "bias", "mean"), _ONE_VALUE
    )
    shared: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        # smaller ones are those of rows
        "eps": (0.5, 2.0),
        "elementwise_affine": (True, True, False),
        "bias": (True, False),
        "mean": (True, False),
    }

    @property
    def sizes_of_invariant(self) -> bool:
        # documents disagree about what a list has an entry for, every key or every invariant one
        return self.by_invariance

    def plain(self, before: int, after: int, dtype: torch.dtype, invariant: bool) -> Call:
        if self.by_invariance and not invariant:
            return IDENTITY
        return call_of(LayerNormTwin, before, **self.options, dtype=dtype)

    def parameter_shapes(
        self, before: int, after: int, invariant: bool = True
    ) -> tuple[tuple[int, ...], ...]:
        is_whole = invariant or not self.by_invariance
        if not (is_whole and self.options.get("elementwise_affine", True)):
            return ()
        return ((before,), (before,)) if self.options.get("bias", True) else ((before,),)

    def bounds(
        self, module: torch.nn.Module, x: torch.Tensor, terms: torch.Tensor, least: float = 0.0
    ) -> list[torch.Tensor]:
        terms = terms.clamp(min=least)
        if not isinstance(module, LayerNormTwin) or not x.numel():
            return [terms]
        # the difference of two sums of terms is divided by what has its rounding from them, too
        largest = terms.amax(_axes(x), keepdim=True)
        found = 2 * largest / module.deviation(x) * (1 + module.normed(x).abs())
        if module.weight is not None:
            found = found * module.weight.detach().abs().clamp(min=least)
        return [found if module.bias is None else found + module.bias.detach().abs()]


#: What layer norms have besides.
_TRAITS = ("seeded", "sized", "normalised")
ROWS: tuple[Row, ...] = (
    module_row("layer_norm", LayerNorm("LayerNorm"), *_TRAITS),
    module_row("layer_norm_no_bias", LayerNorm("LayerNorm", {"bias": False}), *_TRAITS),
    module_row("layer_norm_no_affine", LayerNorm("LayerNorm", {"elementwise_affine": False}), *_TRAITS),
    module_row("layer_norm_no_mean", LayerNorm("LayerNorm", {"mean": False}), *_TRAITS),
    module_row("invariant_layer_norm", LayerNorm("InvariantLayerNorm"), *_TRAITS, maps=OF_ONE_WIDTH),
)
