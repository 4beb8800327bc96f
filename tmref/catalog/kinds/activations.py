"""Activations: what is applied value by value, to all blocks or to those of invariant keys."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..calls import Call
from ..kind import IDENTITY, Layer
from ..row import SPHERICAL, Row, module_row


@dataclass(frozen=True, repr=False)
class Activation(Layer):
    """The class of torch.nn of this name, without its prefix: for invariant keys only where it has one.

    Its options are those of torch's, but ``in_place``, which makes no other values.
    """

    @property
    def family(self) -> str:
        return "activation"

    @property
    def exact(self) -> bool:
        return self.base == "ReLU"

    @property
    def of_torch(self) -> type[torch.nn.Module]:
        """The class of torch.nn."""
        found: type[torch.nn.Module] = getattr(torch.nn, self.base)
        return found

    @property
    def keeps_result(self) -> bool:
        """Whether autograd keeps its result, which nobody may change then; else it keeps the input."""
        return self.base in ("ReLU", "Tanh")

    def plain(self, before: int, after: int, dtype: torch.dtype, invariant: bool) -> Call:
        if self.by_invariance and not invariant:
            return IDENTITY
        options = {name: value for name, value in self.options.items() if name != "in_place"}
        return Call(f"torch.nn.{self.base}", (), options)

    def bounds(
        self, module: torch.nn.Module, x: torch.Tensor, terms: torch.Tensor, least: float = 0.0
    ) -> list[torch.Tensor]:
        # none is steeper than 1.2, or further from 0 than its input
        return [terms.clamp(min=least)]


ROWS: tuple[Row, ...] = (
    module_row("relu", Activation("ReLU"), "pointwise", "shared", "may_overwrite"),
    module_row("silu", Activation("SiLU"), "pointwise", "shared", "may_overwrite"),
    module_row(
        "silu_in_place", Activation("SiLU", {"in_place": True}), "pointwise", "shared", but="pure"
    ),
    module_row("tanh", Activation("Tanh"), "pointwise", "shared"),
    module_row(
        "invariant_relu", Activation("InvariantReLU"), "pointwise", "may_overwrite", maps=SPHERICAL
    ),
    module_row(
        "invariant_silu", Activation("InvariantSiLU"), "pointwise", "may_overwrite", maps=SPHERICAL
    ),
    module_row("invariant_tanh", Activation("InvariantTanh"), "pointwise", maps=SPHERICAL),
)
