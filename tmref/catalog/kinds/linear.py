"""Linear and EquivariantLinear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from ..calls import Call
from ..kind import Layer
from ..row import SPHERICAL, Row, module_row


@dataclass(frozen=True, repr=False)
class Linear(Layer):
    """y = xWᵀ + b; EquivariantLinear has a b for invariant keys only."""

    sized: ClassVar[bool] = True
    resizes: ClassVar[bool] = True
    shared: ClassVar[Mapping[str, tuple[Any, ...]]] = {"bias": (True, False)}

    @property
    def exact(self) -> bool:
        return True

    def plain(self, before: int, after: int, dtype: torch.dtype, invariant: bool) -> Call:
        options = self.options if invariant or not self.by_invariance else {"bias": False}
        return Call("torch.nn.Linear", (before, after), {**options, "dtype": dtype})

    def parameter_shapes(
        self, before: int, after: int, invariant: bool = True
    ) -> tuple[tuple[int, ...], ...]:
        is_whole = invariant or not self.by_invariance
        has_bias = is_whole and self.options.get("bias", True)
        return ((after, before), (after,)) if has_bias else ((after, before),)

    def bounds(
        self, module: torch.nn.Module, x: torch.Tensor, terms: torch.Tensor, least: float = 0.0
    ) -> list[torch.Tensor]:
        weight, *bias = (p.detach().abs().clamp(min=least) for p in module.parameters())
        return [torch.nn.functional.linear(terms.clamp(min=least), weight, *bias)]


ROWS: tuple[Row, ...] = (
    module_row("linear", Linear("Linear"), "linear", "seeded", "sized"),
    module_row("linear_no_bias", Linear("Linear", {"bias": False}), "linear", "seeded", "sized"),
    module_row(
        "equivariant_linear",
        Linear("EquivariantLinear"),
        "linear",
        "seeded",
        "sized",
        maps=SPHERICAL,
    ),
)
