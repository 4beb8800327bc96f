"""The one tolerance that there is."""

from __future__ import annotations

from typing import Any

import torch

from ..catalog import Row
from ..compare import Tolerance
from ..tensor_map import TensorMap
from .law import Law
from .session import ModuleSession
from .twin import Twin


def rounds(law: Law, row: Row) -> bool:
    """Whether rounding may excuse a difference of the sides."""
    return law.rounded or not (row.exact or law.copied)


def tolerance_for(session: ModuleSession, sides: Any, drawn: dict[str, Any]) -> Tolerance:
    """The one tolerance there is: from plain torch's own error, and the magnitude of what is summed.

    The magnitude is the largest that the kind of the module bounds the terms by, after each of its
    layers, times that of the sides and of what was drawn: an upper bound for sums of their products.
    """
    terms = max(1.0, magnitude(sides)) * max(1.0, magnitude(list(drawn.values())))
    inputs = [step.given["x"] for step in session.steps if isinstance(step.given.get("x"), TensorMap)]
    if session.recipe.twins is None:
        return Tolerance(0.0, terms * max(1.0, magnitude(inputs)))
    error, largest = 0.0, 1.0
    twin, kind = session.twin, session.recipe.row.kind
    exact = Twin(session.recipe)
    exact.modules.double()
    with torch.no_grad():
        for parameter, now in zip(exact.modules.parameters(), twin.modules.parameters(), strict=True):
            parameter.copy_(now)
        for x in inputs:
            for key, block in x.items():
                if twin.in_keys.position(key) is None:
                    continue
                module, values = exact.module(key), block.values.double()
                error = max(error, magnitude(twin.module(key)(block.values).double() - module(values)))
                bounds = kind.bounds(module, values, values.abs(), 1.0)
                largest = max(largest, magnitude(bounds))
    return Tolerance(error, terms * largest)


def magnitude(value: Any) -> float:
    """The largest finite number in a nest of maps, tensors and lists."""
    if isinstance(value, torch.Tensor):
        finite = value.detach().double().abs()
        finite = finite[finite.isfinite()]
        return float(finite.max()) if finite.numel() else 0.0
    if isinstance(value, TensorMap):
        value = [[b.values, *(g.values for _, g in b.gradients())] for b in value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return max(map(magnitude, value), default=0.0)
    return abs(float(value)) if isinstance(value, (int, float)) else 0.0
