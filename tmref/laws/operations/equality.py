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
from ._common import (
    OF_GRADIENTS,
    another_name,
    another_order,
    another_row,
    mapped,
    mapped_block,
    parts_of,
    relabelled,
)

_ALL = "[operations.equal({0}), operations.allclose({0}), operations.equal_metadata({0})]"
_RAISING = ["equal_raise", "allclose_raise", "equal_metadata_raise"]
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
    return _compared(f, draw, x, other, [True] * 3)


@data_law("operations", _NOT_EMPTY)
def maps_of_other_numbers_are_not_equal(f: Session, x: Any, draw: Any) -> Any:
    """Where one number is another, of the values or of a gradient, maps are neither equal nor close, and
    have the same metadata, whichever comes first. [doc] equal: "their values are strictly equal"; "only
    returns True if all the gradients also have the same samples, components, properties and their values
    are strictly equal"."""
    other = draw(_with_one_other_number(x), label="other")
    return _compared(f, draw, x, other, [False, False, True])


@data_law("operations", _NOT_EMPTY)
def maps_of_other_metadata_are_not_equal(f: Session, x: Any, draw: Any) -> Any:
    """Where a row, a name, the order of rows or a gradient is another, maps are neither equal, nor
    close, nor of the same metadata, whichever comes first. [doc] equal: "the same (and in the same
    order) samples, components, properties"; "all the gradients also have the same samples, components,
    properties"; equal_metadata: "Checks if two TensorMap objects have the same metadata"."""
    part = draw(st.sampled_from(_parts_of(x)), label="part")
    other = draw(_of_other_metadata(x, part), label="other")
    return _compared(f, draw, x, other, [False] * 3)


@data_law("operations", _NOT_EMPTY)
def metadata_is_compared_in_the_parts_asked_for(f: Session, x: Any, draw: Any) -> Any:
    """What is different elsewhere makes no difference; keys always count, and gradients where they are
    asked for. [doc] equal_metadata: "The equivalence of the keys of the two TensorMap objects is always
    checked"; "will only check the specified metadata"; "If True, check is also used to determine which
    metadata to check for the gradients"."""
    part = draw(st.sampled_from(_parts_of(x)), label="part")
    other = draw(_of_other_metadata(x, part), label="other")
    subsets = st.lists(st.sampled_from(["samples", "components", "properties"]), min_size=1, unique=True)
    parts = "all" if part == "gradients" else draw(subsets, label="parts")
    of_gradients = draw(st.booleans(), label="of_gradients")
    if part in ("gradients", OF_GRADIENTS):
        differ = of_gradients and (parts == "all" or "samples" in parts)
    else:
        differ = part == "keys" or part in parts
    code = "operations.equal_metadata(x, other, check=parts, check_gradients=of_gradients)"
    given = {"x": x, "other": other, "parts": parts, "of_gradients": of_gradients}
    return f.run(code, **given), not differ


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


def _compared(f: Session, draw: Any, x: TensorMap, other: TensorMap, expected: list[bool]) -> Any:
    """What is said of two maps, either of which may come first, and what is ``expected``: that they are
    equal, close, and of the same metadata. One of the functions that raise where they aren't does."""
    pair = draw(st.sampled_from(["x, other", "other, x"]), label="pair")
    name = draw(st.sampled_from(_RAISING), label="name")
    found = f.run(_ALL.format(pair), x=x, other=other)
    code = f"operations.{name}({pair})"
    if expected[_RAISING.index(name)]:
        return [found, f.run(code)], [expected, None]
    return [found, f.attempt_to_run(code)], [expected, Refused()]


def _parts_of(x: TensorMap) -> list[str]:
    """What can be other in a map but its numbers."""
    return [*parts_of(x), *(["gradients"] if x[0].gradients_list() else [])]


@st.composite
def _of_other_metadata(draw: Any, x: TensorMap, part: str) -> TensorMap:
    """The map that is another in one part: a row, a name, the order of rows, or what it has gradients
    of."""
    if part != "gradients":
        orders = () if part == "keys" else (another_order,)
        made: TensorMap = draw(relabelled(x, part, (another_row, another_name, *orders)))
        return made
    first, *others = x[0].gradients_list()
    names = {first: draw(st.sampled_from([None, "renamed"]))}
    blocks = []
    for block in x:
        kept = TensorBlock(block.values, block.samples, block.components, block.properties)
        for name in (first, *others):
            if names.get(name, name) is not None:
                kept.add_gradient(names.get(name, name), mapped_block(block.gradient(name), torch.clone))
        blocks.append(kept)
    return TensorMap(x.keys, blocks)


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
