"""Layer norms: every sample of a block to mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from ..labels import Labels
from ._arguments import (
    check_not_negative,
    checked_keys,
    per_invariant_key,
    per_key,
    sizes_per_key,
    which_are_invariant,
)
from .module import Module
from .module_map import Delegating, ModuleMap

#: Dtypes of few digits: torch computes means of them in float32.
_NARROW = (torch.float16, torch.bfloat16)


def normalised(x: torch.Tensor, eps: float, mean: bool) -> torch.Tensor:
    """(x - μ) / √(σ² + eps), without ``mean`` x / √(σ² + eps): μ and σ² of all axes but the first."""
    if mean:
        return functional.layer_norm(x, x.shape[1:], eps=eps)
    axes = tuple(range(1, x.dim()))
    variance = (x - x.mean(axes, keepdim=True)).square().mean(axes, keepdim=True)
    return x / torch.sqrt(variance + eps)


class LayerNorm(Delegating):
    """y = (x - μ) / √(σ² + eps) · w + b, with mean μ and variance σ² of every sample of a block.

    μ and σ² are over all axes but the samples: components and properties. With ``mean=False`` μ is
    not subtracted; σ² is about the mean all the same, and is divided by the number of values (no
    correction), as torch's. The weight w (1 at first) and bias b (0 at first) have an entry for each
    of the ``in_features`` properties, the same for all components: ``module_map.module_list.<i>.weight``
    and ``.bias``. Without ``elementwise_affine`` there are none, without ``bias`` there is no b.

    Shapes stay: ``(samples, *components, in_features)``. ``in_features``, ``eps``,
    ``elementwise_affine``, ``bias`` and ``mean`` are given once or as a list with one for each key.
    The properties are ``out_properties``, without them one dimension ``_`` counting from 0.

    Raises TypeError or ValueError for arguments that don't fit each other; the forward raises as
    :class:`ModuleMap`'s does, and ValueError for values of other than ``in_features`` properties, of a
    dtype that isn't floating, or of another one than the parameters. (float16 and bfloat16 go with
    parameters of float32, too; the norm of either is computed in float32.)

    Source: the documentation of ``metatensor.learn.nn.LayerNorm`` and of ``torch.nn.LayerNorm``.
    """

    def __init__(
        self,
        in_keys: Labels,
        in_features: int | Sequence[int],
        out_properties: Sequence[Labels] | None = None,
        *,
        eps: float | Sequence[float] = 1e-5,
        elementwise_affine: bool | Sequence[bool] = True,
        bias: bool | Sequence[bool] = True,
        mean: bool | Sequence[bool] = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        checked_keys(in_keys)
        options = zip(
            sizes_per_key("in_features", in_features, in_keys),
            per_key("eps", eps, float, in_keys),
            per_key("elementwise_affine", elementwise_affine, bool, in_keys),
            per_key("bias", bias, bool, in_keys),
            per_key("mean", mean, bool, in_keys),
            strict=True,
        )
        modules = [_LayerNorm(*of_key, device, dtype) for of_key in options]
        self.module_map = ModuleMap(in_keys, modules, out_properties)


class InvariantLayerNorm(Delegating):
    """y = (x - μ) / √(σ² + eps) · w + b for invariant keys, y = x for covariant ones.

    ``invariant_keys`` select the invariant ones of ``in_keys``; without them, those of ``o3_lambda`` 0
    and ``o3_sigma`` 1. ``in_features``, ``eps``, ``elementwise_affine``, ``bias`` and ``mean`` are
    given once, or as a list with one for every key or for every invariant key. Shapes, the meaning of
    the arguments, parameters and errors as for :class:`LayerNorm`; raises ValueError where
    ``in_keys`` haven't the dimensions of ``invariant_keys``, too.

    Source: the documentation of ``metatensor.learn.nn.InvariantLayerNorm``.
    """

    def __init__(
        self,
        in_keys: Labels,
        in_features: int | Sequence[int],
        out_properties: Sequence[Labels] | None = None,
        invariant_keys: Labels | None = None,
        *,
        eps: float | Sequence[float] = 1e-5,
        elementwise_affine: bool | Sequence[bool] = True,
        bias: bool | Sequence[bool] = True,
        mean: bool | Sequence[bool] = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        invariant = which_are_invariant(in_keys, invariant_keys)
        of_invariant = in_keys, invariant
        sizes = per_invariant_key("in_features", in_features, int, *of_invariant)
        check_not_negative("in_features", sizes, in_keys)
        options = zip(
            sizes,
            per_invariant_key("eps", eps, float, *of_invariant),
            per_invariant_key("elementwise_affine", elementwise_affine, bool, *of_invariant),
            per_invariant_key("bias", bias, bool, *of_invariant),
            per_invariant_key("mean", mean, bool, *of_invariant),
            strict=True,
        )
        modules = [
            _LayerNorm(*of_key, device, dtype) if is_invariant else torch.nn.Identity()
            for is_invariant, of_key in zip(invariant, options, strict=True)
        ]
        self.module_map = ModuleMap(in_keys, modules, out_properties)


class _LayerNorm(Module):
    """The layer norm of one block, over all axes of its values but the first."""

    per_sample = True
    weight: torch.Tensor | None
    bias: torch.Tensor | None

    def __init__(
        self,
        in_features: int,
        eps: float,
        elementwise_affine: bool,
        bias: bool,
        mean: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.mean = mean
        has = {"weight": elementwise_affine, "bias": elementwise_affine and bias}
        for name, is_there in has.items():
            empty = torch.empty(in_features, device=device, dtype=dtype)
            self.register_parameter(name, torch.nn.Parameter(empty) if is_there else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        if self.weight is not None:
            torch.nn.init.ones_(self.weight)
        if self.bias is not None:
            torch.nn.init.zeros_(self.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of the same shape and dtype."""
        weight, bias = self.weight, self.bias
        self._check(x, weight)
        y = normalised(x.float() if x.dtype in _NARROW else x, self.eps, self.mean)
        if weight is not None:
            y = y * weight if bias is None else torch.addcmul(bias, y, weight)
        return y if y.dtype == x.dtype else y.to(x.dtype)

    def _check(self, x: torch.Tensor, weight: torch.Tensor | None) -> None:
        """Raise ValueError for values that the layer norm, or its weight, doesn't go with."""
        if x.shape[-1] != self.in_features:
            raise ValueError(f"the layer norm is of {self.in_features} features, got {x.shape[-1]}")
        if not x.is_floating_point():
            raise ValueError(f"a layer norm is of values of a floating dtype, got {x.dtype}")
        if weight is None or weight.dtype == x.dtype:
            return
        if weight.dtype != torch.float32 or x.dtype not in _NARROW:  # those torch's takes together
            raise ValueError(f"the layer norm has parameters of {weight.dtype}, but values of {x.dtype}")

    def extra_repr(self) -> str:
        """What is printed in parentheses."""
        return f"eps={self.eps}, elementwise_affine={self.elementwise_affine}"
