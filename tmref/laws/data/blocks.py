"""Laws of blocks: they are labelled arrays with gradients."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ...strategies import gradients, tensor_blocks
from ..law import data_law
from ..session import Session
from ._common import COPIES, DTYPES, again, converted, offered, sevens, ways_of

_BLOCKS = tensor_blocks(max_gradients=2)


@data_law("tensor_block", _BLOCKS)
def a_block_has_the_parts_that_it_is_made_of(f: Session, x: Any, draw: Any) -> Any:
    """Its values and labels are those given, its length is the number of samples. [doc]
    TensorBlock.__len__: "the number of samples"."""
    code = "[len(x), list(x.shape), x.values, x.samples, x.components, x.properties]"
    expected = [len(x.values), list(x.shape), x.values, x.samples, x.components, x.properties]
    return f.run(code, x=x), expected


@data_law("tensor_block", tensor_blocks())
def gradients_that_are_added_come_back(f: Session, x: Any, draw: Any) -> Any:
    """A gradient is found by its parameter, and in the list of all. [doc] TensorBlock.gradient: "the
    gradient of the block values with respect to the given parameter"."""
    added = {name: draw(gradients(x), label=name) for name in ("positions", "cell")}
    for name, gradient in added.items():
        f.run(
            f"x.add_gradient({name!r}, {name})",
            **({"x": x} if name == "positions" else {}),
            **{name: gradient},
        )
    each = "[[name, gradient] for name, gradient in sorted(x.gradients(), key=lambda pair: pair[0])]"
    found = f.run(f"[sorted(x.gradients_list()), x.gradient('cell'), x.gradient('positions'), {each}]")
    names = sorted(added)
    return found, [names, *(added[n] for n in names), [[n, added[n]] for n in names]]


@data_law("tensor_block", _BLOCKS | tensor_blocks())
def a_block_has_the_gradients_that_were_added(f: Session, x: Any, draw: Any) -> Any:
    """It has those, and no others. [doc] TensorBlock.has_gradient: "contains gradient information with
    respect to the given parameter"."""
    offered(f, "x.has_gradient", x=x)
    names = ["positions", "cell", "position", "", "x"]
    found = f.run("[x.has_gradient(name) for name in names]", x=x, names=names)
    return found, [name in x.gradients_list() for name in names]


@data_law("tensor_block", _BLOCKS, ways=COPIES)
def a_copy_of_a_block_is_independent_of_it(f: Session, x: Any, draw: Any) -> Any:
    """What is written to a deep copy stays in it, what is written to another is shared. [doc]
    TensorBlock.copy: "make a full copy of the values; otherwise, ... share the same memory"."""
    way = draw(st.sampled_from(f.ways), label="way")
    f.run(f"y = {way}", x=x)
    f.run("y.values.fill_(7)\nfor _, gradient in y.gradients():\n    gradient.values.fill_(7)")
    return f.run("x"), sevens(x) if "False" in way else x


@data_law("tensor_block", _BLOCKS, ways=ways_of("TensorBlock"))
def blocks_survive_being_copied_and_saved(f: Session, x: Any, draw: Any) -> Any:
    """What is copied, pickled or saved comes back as it was, where that is offered. [doc]
    TensorBlock.copy: "with the same values and labels"; "Load a serialized TensorBlock"."""
    return again(f, x, draw)


@data_law("tensor_block", _BLOCKS)
def a_block_of_another_dtype_has_its_values_converted(f: Session, x: Any, draw: Any) -> Any:
    """Values and gradients are converted as torch does it, labels stay. [doc] TensorBlock.to: "new dtype
    to use for all arrays"."""
    dtype = draw(DTYPES, label="dtype")
    return f.run("x.to(dtype=dtype)", x=x, dtype=dtype), converted(x, dtype)
