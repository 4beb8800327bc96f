"""A function of the norm times the values: what keeps a covariant block covariant."""

from __future__ import annotations

import torch

from .module import Module


class CovariantTransform(Module):
    """y = f(‖x‖) · x, with the norm over all axes but the first and the last."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of the same shape."""
        if x.dim() < 3:
            raise ValueError(
                "a covariant block must have components for its norm, got values of the shape "
                f"{tuple(x.shape)}"
            )
        invariant = _norm(x, tuple(range(1, x.dim() - 1)))
        factor = self.module(invariant)
        if factor.shape != invariant.shape:
            raise ValueError(
                f"the module of a covariant block must keep the shape {tuple(invariant.shape)}, "
                f"got {tuple(factor.shape)}"
            )
        return (factor * x).to(factor.dtype)  # under autocast, the dtype of the invariant blocks


def _norm(x: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    """‖x‖ over some axes, which stay with size 1; its derivatives of all orders are 0 where it is 0.

    torch's are not: the second is NaN. So where the norm is zero, or so small that it is computed as
    that, it is the norm of something else.
    """
    is_zero = torch.linalg.vector_norm(x.detach(), dim=axes, keepdim=True) == 0
    norm = torch.linalg.vector_norm(torch.where(is_zero, 1, x), dim=axes, keepdim=True)
    return torch.where(is_zero, 0, norm)
