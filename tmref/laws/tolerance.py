"""The one tolerance that there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, prod
from typing import Any

import torch

from ..catalog import Row
from ..compare import Tolerance
from ..tensor_map import TensorMap
from .law import Law
from .session import ModuleSession


def rounds(law: Law, row: Row) -> bool:
    """Whether rounding may excuse a difference of the sides."""
    return law.rounded or not (row.exact or law.copied)


def tolerance_for(
    session: ModuleSession, law: Law, sides: Any, factors: Mapping[str, Any] | None = None
) -> Tolerance:
    """The one tolerance there is: from plain torch's own error, and the magnitude of what is summed.

    The kind of the module bounds its terms for every input that it was given, under whatever name. They
    are multiplied by the ``factors`` of the sides that were drawn, and for derivatives by what else
    these are products of: the sides themselves, and explicit gradients. No other number counts: none
    that was drawn besides, and none of the input where the law is ``relative``.
    """
    drawn = (float(v) if isinstance(v, int) else v for v in (factors or {}).values())
    factor = prod(max(1.0, magnitude(value)) for value in drawn)
    size, inputs = magnitude(sides), session.inputs
    if law.relative:
        return Tolerance(0.0, factor * max(1.0, size))
    if session.recipe.twins is None:  # nobody bounds the terms
        return Tolerance(0.0, factor * max(1.0, size) * max(1.0, magnitude(inputs)))
    of_gradients = [
        [gradient.values for _, gradient in block.gradients()] for x in inputs for block in x
    ]
    is_derived = law.derived or any(of_gradients)
    error, terms = _of_forwards(session, inputs, is_derived)
    if is_derived:
        terms = max(1.0, terms) * max(1.0, size) * max(1.0, magnitude(of_gradients))
    return Tolerance(error, factor * max(terms, size))


def _of_forwards(
    session: ModuleSession, inputs: Sequence[TensorMap], is_derived: bool
) -> tuple[float, float]:
    """How far plain torch is from the float64 result at most, for all of the inputs, and the largest of
    the terms that are summed: for derivatives after any of the layers."""
    twin, kind = session.twin, session.recipe.row.kind
    exact, error, terms = twin.in_float64(), 0.0, 0.0
    with torch.no_grad():
        for x in inputs:
            for key, block in x.items():
                if twin.in_keys.position(key) is None:
                    continue
                module, values = exact.module(key), block.values.double()
                error = max(error, magnitude(twin.module(key)(block.values).double() - module(values)))
                bounds = kind.bounds(module, values, values.abs(), 1.0 if is_derived else 0.0)
                terms = max(terms, magnitude(bounds if is_derived else bounds[-1]))
    return error, terms


def magnitude(value: Any) -> float:
    """The largest finite number in a nest of maps, tensors and lists; integers don't count: they are
    not rounded."""
    if isinstance(value, torch.Tensor):
        if not (value.is_floating_point() or value.is_complex()):
            return 0.0
        finite = value.detach().abs().double()
        finite = finite[finite.isfinite()]
        return float(finite.max()) if finite.numel() else 0.0
    if isinstance(value, TensorMap):
        value = [[b.values, *(g.values for _, g in b.gradients())] for b in value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return max(map(magnitude, value), default=0.0)
    return abs(value) if isinstance(value, float) and isfinite(value) else 0.0
