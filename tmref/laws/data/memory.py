"""Laws of memory: numbers are the same however they lie, labels share none, and it is given back."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ...compare import Refused
from ...labels import Labels
from ...strategies import dtypes, labels, layouts, tensor_blocks, tensor_maps
from ...strategies.values import ValueOptions, laid_out
from ..law import data_law
from ..session import Session
from ._common import ways_of

_LYING: ValueOptions = {"layouts": layouts(), "dtypes": dtypes(allow_complex=True)}
_SIGNED = (torch.int32, torch.int64, torch.int16, torch.int8)
_UNSIGNED = (torch.uint8, torch.uint16, torch.uint32, torch.uint64)
#: Labels of integers of different widths.
_WIDTHS = labels(values=st.sampled_from([0, 1, 2, 3, 200, 40_000]), min_size=1) | labels(min_size=1)


@data_law("tensor_block", tensor_blocks(max_gradients=1, **_LYING), ways=ways_of("TensorBlock"))
def blocks_survive_however_they_lie_in_memory(f: Session, x: Any, draw: Any) -> Any:
    """What is copied, pickled or saved, where that is offered, has the numbers that the values print:
    of strided, expanded, conjugate and negated tensors, too. [torch] "torch.conj() performs a lazy
    conjugation, but the actual conjugated tensor can be materialized at any time"."""
    return _back(f, x, draw)


@data_law("tensor_map", tensor_maps(min_blocks=1, max_gradients=1, **_LYING), ways=ways_of("TensorMap"))
def maps_survive_however_they_lie_in_memory(f: Session, x: Any, draw: Any) -> Any:
    """What is copied, pickled or saved, where that is offered, has the numbers that the values print:
    of strided, expanded, conjugate and negated tensors, too. [torch] "torch.conj() performs a lazy
    conjugation, but the actual conjugated tensor can be materialized at any time"."""
    return _back(f, x, draw)


@data_law("labels", _WIDTHS)
def labels_hold_the_integers_that_they_are_made_of(f: Session, x: Any, draw: Any) -> Any:
    """Labels of integers of any width, however these lie in memory, have these integers, and find them.
    [doc] Labels: "values of the labels, this needs to be a 2-dimensional array of integers"."""
    integers = draw(_laid_out(x.values), label="integers")
    f.run("y = Labels(names, integers)", names=x.names, integers=integers)
    entries = integers.tolist()
    found = f.run("[y, [y.position(entry) for entry in entries]]", entries=entries)
    expected = Labels(x.names, torch.tensor(entries, dtype=torch.int32))
    return found, [expected, list(range(len(entries)))]


@data_law("labels", _WIDTHS)
def integers_beyond_32_bits_make_no_labels(f: Session, x: Any, draw: Any) -> Any:
    """They are refused, and never become the labels of other integers. [doc] Labels.values: "stored as
    2-dimensional tensor of 32-bit integers"."""
    dtype, beyond = draw(_BEYOND, label="beyond")
    entries = x.values.tolist() if dtype in _SIGNED else x.values.long().abs().tolist()
    entries[-1][-1] = beyond
    integers = torch.tensor(entries, dtype=dtype)
    found = f.attempt_to_run("Labels(names, integers)", names=x.names, integers=integers)
    return found, Refused()


@data_law("labels", _WIDTHS)
def labels_stay_when_what_they_are_made_of_changes(f: Session, x: Any, draw: Any) -> Any:
    """A tensor that labels were made of can be written to, and the labels are what they were: their
    values, and what they find. [doc] mts_labels_clone: "Since mts_labels_t are immutable"."""
    f.run("y = Labels(names, integers)", names=x.names, integers=x.values)
    f.run("first = integers[0].tolist()\nintegers.bitwise_not_()")
    return f.run("[y, y.position(first)]"), [x, 0]


@data_law("labels", labels())
def labels_that_are_dropped_give_their_memory_back(f: Session, x: Any, draw: Any) -> Any:
    """Nothing keeps the tensor that labels were made of once they are gone. [doc] mts_labels_free:
    "release the corresponding memory"."""
    made = "kept = [weakref.ref(integers)]\ny = Labels(names, integers)"
    f.run(f"{made}\n{draw(_USES, label='use')}\ndel integers, y", names=x.names, integers=x.values)
    return _nothing_is_kept(f)


@data_law("tensor_block", tensor_blocks(max_gradients=1))
def blocks_that_are_dropped_give_their_memory_back(f: Session, x: Any, draw: Any) -> Any:
    """Nothing keeps the values of a block once it is gone. [doc] mts_block_free: "Free the memory
    associated with a block"."""
    made = (
        "mine = x.values.clone()\nkept = [weakref.ref(mine)]\n"
        "y = TensorBlock(mine, x.samples, x.components, x.properties)"
    )
    f.run(f"{made}\n{draw(_USES_OF_VALUES, label='use')}\ndel mine, y", x=x)
    return _nothing_is_kept(f)


@data_law("tensor_map", tensor_maps(min_blocks=1, max_gradients=1))
def maps_that_are_dropped_give_their_memory_back(f: Session, x: Any, draw: Any) -> Any:
    """Nothing keeps the values of a map's blocks once it is gone. [doc] mts_tensormap_free: "Free the
    memory associated with a tensor map"."""
    made = (
        "mine = [block.values.clone() for block in x.blocks()]\n"
        "kept = [weakref.ref(values) for values in mine]\n"
        "parts = [[b.samples, b.components, b.properties] for b in x.blocks()]\n"
        "y = TensorMap(x.keys, [TensorBlock(v, *part) for v, part in zip(mine, parts)])"
    )
    f.run(f"{made}\n{draw(_USES_OF_VALUES, label='use')}\ndel mine, parts, y", x=x)
    return _nothing_is_kept(f)


#: What is done with labels before they are dropped,
_USES = st.sampled_from(["len(y)", "y.values", "[y.position(entry) for entry in y]", "y == y"])
#: and with blocks and maps.
_USES_OF_VALUES = st.sampled_from(["len(y)", "y.copy()", "y.copy(deep=False)", "y.to(torch.float64)"])
#: Integers that are none of 32 bits, and their dtype.
_BEYOND = st.sampled_from(
    [
        *((torch.int64, integer) for integer in (2**31, -(2**31) - 1, 2**32 + 1, 2**62)),
        *((torch.uint32, integer) for integer in (2**31, 2**32 - 1)),
        *((torch.uint64, integer) for integer in (2**31, 2**32 + 1, 2**64 - 1)),
    ]
)


def _back(f: Session, x: Any, draw: Any) -> Any:
    """What comes back, and ``x``; or the refusal of what lies so, which nobody promised to take."""
    y = f.attempt_to_run(draw(st.sampled_from(f.ways), label="way"), x=x)
    return y if isinstance(y, Refused) else (y, x)


def _nothing_is_kept(f: Session) -> Any:
    """What a law of memory compares. What is in a cycle is found when garbage is collected, which takes
    its time: only where something is still there."""
    found = f.run("[values() is None for values in kept]")
    if not all(found):
        found = f.run("[gc.collect() >= 0 and values() is None for values in kept]")
    return found, [True] * len(found)


@st.composite
def _laid_out(draw: Any, rows: torch.Tensor) -> torch.Tensor:
    """The rows in a dtype that has room for them, somehow in memory."""
    entries = rows.to(torch.int64)
    low, high = (int(of()) for of in (entries.min, entries.max))
    kinds = [
        kind
        for kind in (*_SIGNED, *_UNSIGNED)
        if torch.iinfo(kind).min <= low and high <= torch.iinfo(kind).max
    ]
    narrow = [kind for kind in kinds if kind.itemsize < 4]
    dtype = draw(st.sampled_from(kinds) | st.sampled_from(narrow or kinds))
    layout = draw(st.sampled_from(["contiguous", "transposed", "strided", "expanded", "offset"]))
    if dtype in _SIGNED and low > torch.iinfo(dtype).min and draw(st.booleans()):
        layout = "negative"
    if layout == "expanded":
        rows = rows[:1]  # all of its rows are the same
    return laid_out(rows.to(dtype), layout)
