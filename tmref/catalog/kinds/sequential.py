"""Sequential."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from ..calls import Call
from ..kind import Composite, Kind, Parts, one_after_the_other
from ..row import SPHERICAL, Row, module_row
from .activations import Activation
from .layer_norm import LayerNorm
from .linear import Linear


@dataclass(frozen=True, repr=False)
class Sequential(Composite):
    """Modules on maps, one after the other."""

    name: str = "Sequential"

    composes: ClassVar[bool] = True
    keys_at: ClassVar[int | None] = 0

    @property
    def modules(self) -> tuple[Kind, ...]:
        return self.of

    def calls(self, call: Call) -> list[Call]:
        return list(call.args[1:])

    def with_call(self, call: Call, i: int, changed: Any) -> Any:
        return dataclasses.replace(call, args=(*call.args[: 1 + i], changed, *call.args[2 + i :]))

    def call(self, parts: Parts) -> Call:
        layers = (layer.call_at(parts, i) for i, layer in enumerate(self.of))
        return Call(self.name, (parts.in_keys, *layers))

    def twin(
        self,
        widths: Sequence[int],
        dtype: torch.dtype,
        parameters: tuple[torch.Tensor, ...],
        invariant: bool = True,
    ) -> Call:
        return one_after_the_other(self.of, widths, dtype, parameters, invariant, always=True)


_LINEAR, _NO_BIAS, _TANH = Linear("Linear"), Linear("Linear", {"bias": False}), Activation("Tanh")
_EQUIVARIANT = Linear("EquivariantLinear")
ROWS: tuple[Row, ...] = (
    module_row("sequential_linear", Sequential(of=(_NO_BIAS, _LINEAR)), "linear", "composed"),
    module_row("sequential_tanh", Sequential(of=(_TANH, _LINEAR)), "composed"),
    module_row("sequential_mlp", Sequential(of=(_LINEAR, Activation("ReLU"), _LINEAR)), "composed"),
    module_row(
        "sequential_layer_norm", Sequential(of=(LayerNorm("LayerNorm"), _LINEAR, _TANH)), "composed"
    ),
    module_row(
        "sequential_equivariant",
        Sequential(of=(_EQUIVARIANT, Activation("InvariantSiLU"), _EQUIVARIANT)),
        "composed",
        maps=SPHERICAL,
    ),
)
