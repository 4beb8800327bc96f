"""Laws of what says whether two maps are the same."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...compare import Refused
from ...labels import Labels
from ...strategies import tensor_maps
from ...tensor_map import TensorMap
from ..law import data_law
from ..session import Session
from ._common import mapped, relabelled

_ALL = "[operations.equal({0}), operations.allclose({0}), operations.equal_metadata({0})]"
_RAISING = ("equal_raise", "allclose_raise", "equal_metadata_raise")
_NOT_EMPTY = tensor_maps(min_blocks=1, min_samples=1, min_properties=1, max_gradients=1)


@data_law("operations", tensor_maps(max_gradients=1))
def equal_maps_are_equal_in_any_order_of_keys(f: Session, x: Any, draw: Any) -> Any:
    """A map is equal to one of the same blocks, whatever the order of its keys; what raises where maps
    differ doesn't. [doc] equal: "the same keys (potentially in different order)"; equal_raise and the
    others: raise "NotEqualError" if they are not."""
    order = draw(st.permutations(range(len(x))), label="order")
    other = TensorMap(
        Labels(x.keys.names, x.keys.values[torch.tensor(order, dtype=torch.int64)]),
        [mapped(TensorMap(Labels.single(), [x[i]]), torch.clone)[0] for i in order],
    )
    found = f.run(_ALL.format("x, other"), x=x, other=other)
    raised = [f.attempt_to_run(f"operations.{name}(x, other)") for name in _RAISING]
    return [found, raised], [[True] * 3, [None] * 3]


@data_law("operations", _NOT_EMPTY)
def maps_of_other_numbers_are_not_equal(f: Session, x: Any, draw: Any) -> Any:
    """Where one number is another, of the values or of a gradient, maps are neither equal nor close, and
    have the same metadata. [doc] equal: "their values are strictly equal"; "only returns True if all the
    gradients also have the same samples, components, properties and their values are strictly equal"."""
    other = draw(_with_one_other_number(x), label="other")
    found = f.run(_ALL.format("x, other"), x=x, other=other)
    raised = [f.attempt_to_run(f"operations.{name}(x, other)") for name in _RAISING]
    return [found, raised], [[False, False, True], [Refused(), Refused(), None]]


@data_law("operations", _NOT_EMPTY)
def maps_of_other_metadata_are_not_equal(f: Session, x: Any, draw: Any) -> Any:
    """Where keys, samples or properties are others, maps are neither equal, nor close, nor of the same
    metadata. [doc] equal: "the same (and in the same order) samples, components, properties";
    equal_metadata: "Checks if two TensorMap objects have the same metadata"."""
    other = draw(relabelled(x), label="other")
    found = f.run(_ALL.format("x, other"), x=x, other=other)
    raised = [f.attempt_to_run(f"operations.{name}(x, other)") for name in _RAISING]
    return [found, raised], [[False] * 3, [Refused()] * 3]


@data_law("operations", _NOT_EMPTY)
def maps_are_close_within_the_tolerances(f: Session, x: Any, draw: Any) -> Any:
    """Values that differ by a quarter of the tolerance are close, by four times of it they aren't; NaN
    is close to itself where that is asked for. [doc] allclose: "rtol: relative tolerance"; "atol:
    absolute tolerance"; "equal_nan: should two NaN be considered equal?"."""
    kind = draw(st.sampled_from(["atol", "rtol", "nan"]), label="kind")
    inside = draw(st.booleans(), label="inside")
    factor = 0.25 if inside else 4.0
    if kind == "nan":
        x = mapped(x, lambda values: torch.full_like(values, torch.nan))
        other, options = mapped(x, torch.clone), f"rtol=0.5, atol=0.5, equal_nan={inside}"
    elif kind == "atol":
        other = mapped(x, lambda values: values + factor * 0.5)
        options = "rtol=0.0, atol=0.5"
    else:  # a quarter of the tolerance by either of the two values
        x = mapped(x, lambda values: 64 * (values.abs() + 1))
        other = mapped(x, lambda values: values * (1 + factor * 0.125))
        options = "rtol=0.125, atol=0.0"
    found = f.run(f"operations.allclose(x, other, {options})", x=x, other=other)
    return found, inside


@st.composite
def _with_one_other_number(draw: Any, x: TensorMap) -> TensorMap:
    """The map with one number, of values or of a gradient, changed by 1."""
    parts = [
        (i, name)
        for i, block in enumerate(x)
        for name in (None, *(n for n, g in block.gradients() if g.values.numel()))
    ]
    i, name = draw(st.sampled_from(parts))
    part = x[i] if name is None else x[i].gradient(name)
    values = part.values.clone()
    values.view(-1)[draw(st.sampled_from(range(values.numel())))] += 1

    def changed(block: TensorBlock, at: str | None) -> TensorBlock:
        axes = block.samples, block.components, block.properties
        made = TensorBlock(values if at == "" else block.values, *axes)
        for of, gradient in block.gradients():
            made.add_gradient(of, changed(gradient, "" if of == at else None))
        return made

    where = "" if name is None else name
    return TensorMap(x.keys, [changed(b, where if i == j else None) for j, b in enumerate(x)])
