"""The one tolerance that there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, prod
from typing import Any

import torch

from ..catalog import Row
from ..compare import Tolerance
from ..tensor_map import TensorMap
from .edits import require_grad
from .law import Law
from .premises import is_written
from .session import ModuleSession, Session
from .twin import differentiate


def rounds(law: Law, row: Row | None) -> bool:
    """Whether rounding may excuse a difference of the sides: for a law of data there is no row."""
    return law.rounded or not (law.copied or row is None or row.exact)


def tolerance_for(
    session: Session, law: Law, sides: Any, factors: Mapping[str, Any] | None = None
) -> Tolerance:
    """The one tolerance there is: from plain torch's own error, and the magnitude of what is summed.

    The kind of the module bounds its terms for every input that it was given, under whatever name. They
    are multiplied by the ``factors`` of the sides that were drawn, and for derivatives by what else
    these are products of: the sides themselves, and explicit gradients. No other number counts: none
    that was drawn besides, and none of the input where the law is ``relative``. Of a module of one's own
    nobody knows a bound: what it, or plain torch's derivatives, make of inputs that are rounded
    otherwise counts as an error of torch's.
    """
    drawn = (float(v) if isinstance(v, int) else v for v in (factors or {}).values())
    factor = prod(max(1.0, magnitude(value)) for value in drawn)
    size, inputs = magnitude(sides), session.inputs
    if law.relative:
        return Tolerance(0.0, factor * max(1.0, size))
    if not isinstance(session, ModuleSession):
        return Tolerance(0.0, factor * max(1.0, size, magnitude(inputs)))
    if session.recipe.twins is None:  # nobody bounds the terms
        # the sides may be differences of these
        results = [step.result for step in session.steps if step.ran]
        terms = max(1.0, size, magnitude(results)) * max(1.0, magnitude(inputs))
        return Tolerance(factor * _spread(session), factor * terms)
    of_gradients = [
        [gradient.values for _, gradient in block.gradients()] for x in inputs for block in x
    ]
    is_derived = law.derived or any(of_gradients)
    error, terms = _of_forwards(session, inputs, is_derived)
    if law.derived and not is_written(session.recipe.row):
        error = max(error, _spread_of_derivatives(session))
    if is_derived:
        terms = max(1.0, terms) * max(1.0, size) * max(1.0, magnitude(of_gradients))
    return Tolerance(error, factor * max(terms, size))


#: How many times inputs are moved by their rounding.
_TIMES = 4


def _rounded_otherwise(x: TensorMap, generator: torch.Generator) -> TensorMap:
    """The map with every number moved by up to eps times itself, as it may have been rounded."""

    def moved(values: torch.Tensor) -> torch.Tensor:
        if not values.is_floating_point():
            return values
        share = torch.empty(values.shape, dtype=torch.float64).uniform_(-1, 1, generator=generator)
        return (values.double() * (1 + torch.finfo(values.dtype).eps * share)).to(values.dtype)

    return x._map_blocks(lambda block: block._map_values(moved))


def _spread(session: ModuleSession) -> float:
    """How far the output moves where the input does by its rounding: an error that no module can be
    blamed for, be it the most exact that there is."""
    generator, found = torch.Generator().manual_seed(0), 0.0
    for x in session.inputs:
        before = session.output_for(x)
        if _distance(before, session.output_for(x)):
            return 0.0  # it is no rounding that it differs by
        for _ in range(_TIMES):
            found = max(found, _distance(before, session.output_for(_rounded_otherwise(x, generator))))
    return found


def _spread_of_derivatives(session: ModuleSession) -> float:
    """How far the derivatives of plain torch move where the input and the cotangents, by default ones,
    do by their rounding."""
    generator, found, twin = torch.Generator().manual_seed(0), 0.0, session.twin
    cotangents = next((step.cotangents for step in session.steps if step.cotangents is not None), None)

    def derivatives(x: TensorMap, of_outputs: TensorMap | None) -> Any:
        at = require_grad(x)
        outputs = twin(at)
        if of_outputs is None:
            values = [torch.ones_like(y) for y in outputs]
        else:
            values = [block.values for block in of_outputs]
        return differentiate(outputs, at, twin.parameters(), values)

    for x in session.inputs:
        if len(x) != len(twin.modules):
            continue
        before = derivatives(x, cotangents)
        for _ in range(_TIMES):
            others = None if cotangents is None else _rounded_otherwise(cotangents, generator)
            after = derivatives(_rounded_otherwise(x, generator), others)
            found = max(found, _distance(before, after))
    return found


def _distance(a: Any, b: Any) -> float:
    """How far the numbers of two nests are apart that are of one shape; 0 where they aren't."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and a.shape == b.shape:
        return magnitude(a - b) if a.is_floating_point() else 0.0
    if isinstance(a, TensorMap) and isinstance(b, TensorMap):
        a, b = ([block.values for block in tensor] for tensor in (a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        a, b = list(a.values()), list(b.values())
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return max(map(_distance, a, b), default=0.0)
    return abs(a - b) if isinstance(a, float) and isinstance(b, float) else 0.0


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
