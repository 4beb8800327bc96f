"""EquivariantTransformation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from ..calls import Call, call_of
from ..kind import Composite, Parts, once_or_each, one_after_the_other
from ..row import SPHERICAL, Row, module_row
from .activations import Activation
from .linear import Linear


class CovariantTwin(torch.nn.Module):
    """y = f(‖x‖) · x, with the norm over all axes but the first and the last, written out.

    At zero the norm has no derivative; it is 0 here, as torch's.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of the same shape."""
        return self.module(self.norm(x)) * x

    def norm(self, x: torch.Tensor) -> torch.Tensor:
        """‖x‖."""
        squared = (x * x).sum(tuple(range(1, x.dim() - 1)), keepdim=True)
        return torch.where(squared == 0, 0, torch.sqrt(torch.where(squared == 0, 1, squared)))

    def fast(self) -> torch.nn.Module:
        """The same with the same parameters, as one would write it for its speed."""
        return FastCovariant(self.module)


class FastCovariant(torch.nn.Module):
    """y = f(‖x‖) · x, with the norm over the components."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of the same shape."""
        axes = tuple(range(1, x.dim() - 1))
        return self.module(torch.linalg.vector_norm(x, dim=axes, keepdim=True)) * x


@dataclass(frozen=True, repr=False)
class EquivariantTransformation(Composite):
    """f(x) for invariant keys, f(‖x‖) · x for covariant ones, of a list of torch's modules f."""

    name: str = "EquivariantTransformation"

    sized: ClassVar[bool] = True
    checks_sizes: ClassVar[bool] = False
    unused: ClassVar[frozenset[str]] = frozenset({"out_features"})
    keeps_sizes: ClassVar[bool] = True
    keys_at: ClassVar[int | None] = 1
    modules_at: ClassVar[int | None] = 0

    def call(self, parts: Parts) -> Call:
        of_keys = parts.ordered(parts.of_keys(), parts.in_keys)
        modules = [one_after_the_other(self.of, *of_key) for of_key in of_keys]
        sizes = [width[0] for width in parts.ordered(parts.widths, parts.in_keys)]
        style = parts.styles[0]
        kwargs = {"in_features": once_or_each(sizes, style.in_features_once)}
        if parts.properties is None or style.out_features:
            kwargs["out_features"] = once_or_each(sizes, style.out_features_once)
        kwargs |= parts.given(parts.in_keys, by_invariance=True)
        return Call(self.name, (modules, parts.in_keys), kwargs)

    def twin(
        self,
        widths: Sequence[int],
        dtype: torch.dtype,
        parameters: tuple[torch.Tensor, ...],
        invariant: bool = True,
    ) -> Call:
        inner = one_after_the_other(self.of, widths, dtype, parameters, invariant)
        return inner if invariant else call_of(CovariantTwin, inner)

    def bounds(
        self, module: torch.nn.Module, x: torch.Tensor, terms: torch.Tensor, least: float = 0.0
    ) -> list[torch.Tensor]:
        if not isinstance(module, CovariantTwin):
            return super().bounds(module, x, terms, least)
        terms = terms.clamp(min=least)
        norm = module.norm(x)
        found = super().bounds(module.module, norm, module.norm(terms), least)
        factor = module.module(norm).abs().clamp(min=least)
        return [*found, found[-1] * x.abs().clamp(min=least) + factor * terms]


ROWS: tuple[Row, ...] = (
    module_row("equivariant_tanh", EquivariantTransformation(of=(Activation("Tanh"),)), maps=SPHERICAL),
    module_row(
        "equivariant_mlp",
        EquivariantTransformation(of=(Linear("Linear"), Activation("Tanh"))),
        maps=SPHERICAL,
    ),
)
