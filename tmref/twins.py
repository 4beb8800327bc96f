"""Plain torch modules for what torch.nn has no module of: twins of modules on maps, block by block."""

from __future__ import annotations

import torch


class LayerNorm(torch.nn.Module):
    """y = (x - μ) / √(σ² + eps) · w + b, written out: μ and σ² over all axes but the first.

    ``mean=False`` leaves μ out. The weight and the bias have the shape ``(features,)``.
    """

    eps = 1e-5

    def __init__(
        self,
        features: int,
        *,
        elementwise_affine: bool = True,
        bias: bool = True,
        mean: bool = True,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.mean = mean
        self.weight = self.bias = None
        if elementwise_affine:
            self.weight = torch.nn.Parameter(torch.ones(features, dtype=dtype))
            if bias:
                self.bias = torch.nn.Parameter(torch.zeros(features, dtype=dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of the same shape."""
        axes = tuple(range(1, x.dim()))
        mean = x.mean(axes, keepdim=True)
        variance = ((x - mean) ** 2).mean(axes, keepdim=True)
        return self._affine((x - mean if self.mean else x) / torch.sqrt(variance + self.eps))

    def bound(self, x: torch.Tensor) -> torch.Tensor:
        """An upper bound of the terms that are summed for the values and for their derivatives, for
        absolute values and parameters: where the variance is 0, 1/√eps is the factor of both, and the
        derivative by the weight doesn't have the weight for a factor."""
        terms = (2 * x).clamp(min=2) / self.eps**0.5
        if self.weight is not None:
            terms = terms * self.weight.clamp(min=1)
        return terms if self.bias is None else terms + self.bias

    def _affine(self, x: torch.Tensor) -> torch.Tensor:
        if self.weight is not None:
            x = x * self.weight
        return x if self.bias is None else x + self.bias


class Covariant(torch.nn.Module):
    """y = f(‖x‖) · x, with the norm over all axes but the first and the last, written out.

    At zero the norm has no derivative; it is 0 here, as torch's.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of the same shape."""
        squared = (x * x).sum(tuple(range(1, x.dim() - 1)), keepdim=True)
        norm = torch.where(squared == 0, 0, torch.sqrt(torch.where(squared == 0, 1, squared)))
        return self.module(norm) * x
