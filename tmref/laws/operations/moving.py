"""Laws of all operations that move numbers: blocks are as maps of one, and autograd follows."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ...strategies import like, tensor_maps
from ..data._common import selections
from ..law import data_law
from ..session import Session
from .selecting import agrees

_MAPS = tensor_maps(min_blocks=1, max_gradients=1)
_EVERY = "for block in x.blocks()]"
#: What is done to blocks, and what to maps.
_OF_BLOCKS = (
    (
        f"[operations.sort_block(block, descending=descending) {_EVERY}",
        "operations.sort(x, ['samples', 'components', 'properties'], descending).blocks()",
    ),
    (
        f"[operations.slice_block(block, axis, selection) {_EVERY}",
        "operations.slice(x, axis, selection).blocks()",
    ),
    (
        f"[operations.split_block(block, axis, [selection])[0] {_EVERY}",
        "operations.split(x, axis, [selection])[0].blocks()",
    ),
    (
        "[operations.join_blocks([x.block(i), other.block(i)], axis, 'of') for i in range(len(x.keys))]",
        "operations.join([x, other], axis, add_dimension='of').blocks()",
    ),
    (
        f"[operations.unique_metadata_block(block, axis, selection.names) {_EVERY}",
        "[operations.unique_metadata(TensorMap(Labels.single(), [block.copy()]), axis, selection.names) "
        f"{_EVERY}",
    ),
)
#: What moves every number, and how many times.
_WAYS = (
    ("operations.sort(x)", 1),
    ("operations.join([x, x], axis, add_dimension='of')", 2),
    ("operations.append_dimension(x, axis, 'new', 0)", 1),
    ("operations.slice(x, axis, selection)", 0),
)


@data_law("operations", _MAPS)
def blocks_are_changed_as_maps_are(f: Session, x: Any, draw: Any) -> Any:
    """What is done to a block is what is done to a map of it. [doc] sort: "Each block is sorted
    separately, see :py:func:`sort_block`"; slice: "see how an individual :py:class:`TensorBlock` is
    sliced"; join_blocks: "The examples for :py:func:`join`"."""
    axis = draw(st.sampled_from(["samples", "properties"]), label="axis")
    given = {
        "x": x,
        "axis": axis,
        "other": draw(like(x), label="other"),
        "selection": draw(selections(getattr(x[0], axis)), label="selection"),
        "descending": draw(st.booleans(), label="descending"),
    }
    of_blocks, of_maps = draw(st.sampled_from(_OF_BLOCKS), label="ways")
    used = {name: value for name, value in given.items() if name in of_blocks}
    return f.attempt_to_run(f"blocks = {of_blocks}", **used), f.attempt_to_run(f"maps = {of_maps}")


@data_law("operations", _MAPS)
def derivatives_go_where_the_numbers_come_from(f: Session, x: Any, draw: Any) -> Any:
    """The derivative of the sum of squares of what is moved is twice each number, as often as it is
    there. [torch] a number that is moved has the derivative of its new place."""
    axis = draw(st.sampled_from(["samples", "properties"]), label="axis")
    way, times = draw(st.sampled_from(_WAYS), label="way")
    selection = draw(selections(getattr(x[0], axis)), label="selection")
    f.run("inputs = [block.values.requires_grad_() for block in x.blocks()]", x=x)
    f.run(f"y = {way}", axis=axis, **({} if times else {"selection": selection}))
    f.run("sum((block.values**2).sum() for block in y.blocks()).backward()")
    expected = []
    for block in x:
        labels = getattr(block, axis)
        chosen = agrees(labels, selection)
        many = torch.tensor([times or chosen(tuple(row)) for row in labels.values.tolist()])
        shape = [1] * block.values.dim()
        shape[0 if axis == "samples" else -1] = -1
        expected.append(2 * many.to(block.dtype).reshape(shape) * block.values)
    return f.run("[value.grad for value in inputs]"), expected
