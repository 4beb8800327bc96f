"""Laws of maps that have the metadata of another, and of autograd's graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...strategies import tensor_maps
from ...tensor_map import TensorMap
from ..law import data_law
from ..session import Session
from ._common import with_the_inputs

_MAPS = tensor_maps(max_gradients=2)
_SOME = tensor_maps(min_blocks=1, max_gradients=1)
#: A block and its gradients, and which arrays of a map require gradients.
_PARTS = "[block, *[gradient for _, gradient in block.gradients()]]"
_REQUIRED = f"[part.values.requires_grad for block in y.blocks() for part in {_PARTS}]"
#: Values that can be told from random ones, from zeros and from ones.
_NUMBERS = {"zeros_like": 0.0, "ones_like": 1.0}


@data_law("operations", _MAPS)
def maps_of_one_number_have_the_metadata_of_another(f: Session, x: Any, draw: Any) -> Any:
    """Every value is the number, those of gradients, too, of which there are those asked for; the map
    stays. [doc] zeros_like, ones_like: "Return a new TensorMap with the same metadata as tensor, and all
    values equal to zero"; "If this is None (default) all gradient of tensor are present"; "If this is an
    empty list [], no gradients information is copied"."""
    name = draw(st.sampled_from(sorted(_NUMBERS)), label="name")
    asked = draw(_gradients_of(x), label="asked")
    y = f.run(f"y = operations.{name}(x, gradients=asked)", x=x, asked=asked)
    return with_the_inputs(f, y, _filled(x, _NUMBERS[name], asked), x=x)


@data_law("operations", _MAPS)
def random_maps_have_the_metadata_of_another(f: Session, x: Any, draw: Any) -> Any:
    """All values are from 0 to 1 and most of them differ, those of gradients, too, of which there are
    those asked for; the map stays. [doc] random_uniform_like: "the same metadata as tensor, and all
    values randomly sampled from the uniform distribution between 0 and 1"."""
    asked = draw(_gradients_of(x), label="asked")
    f.run("y = operations.random_uniform_like(x, gradients=asked)", x=x, asked=asked)
    f.run(f"values = [part.values for block in y.blocks() for part in {_PARTS}]")
    found = [
        f.run("[bool(((0 <= v) & (v <= 1)).all()) for v in values]"),
        f.run("[2 * len(set(v.flatten().tolist())) >= v.numel() for v in values]"),
        _overwritten(f),
    ]
    wanted = _filled(x, 2.0, asked)
    all_of_them = [True] * _number_of_parts(wanted)
    return with_the_inputs(f, found, [all_of_them, all_of_them, wanted], x=x)


@data_law("operations", _MAPS)
def maps_of_no_numbers_have_the_metadata_of_another(f: Session, x: Any, draw: Any) -> Any:
    """Whatever the values are, there are as many as before, and no others are written to; of gradients
    there are those asked for. [doc] empty_like: "Return a new TensorMap with the same metadata as
    tensor, and all values uninitialized"."""
    asked = draw(_gradients_of(x), label="asked")
    f.run("y = operations.empty_like(x, gradients=asked)", x=x, asked=asked)
    return with_the_inputs(f, _overwritten(f), _filled(x, 2.0, asked), x=x)


@data_law("operations", _SOME)
def autograd_records_what_it_is_asked_to(f: Session, x: Any, draw: Any) -> Any:
    """Values require gradients where that is asked for, and don't where it isn't. [doc] zeros_like and
    its like: "If autograd should record operations for the returned tensor"."""
    asked = draw(st.booleans(), label="asked")
    name = draw(
        st.sampled_from(["empty_like", "ones_like", "random_uniform_like", "zeros_like"]), label="name"
    )
    f.run(f"y = operations.{name}(x, requires_grad=asked)", x=x, asked=asked)
    return f.run("[block.values.requires_grad for block in y.blocks()]"), [asked] * len(x)


@data_law("operations", _SOME)
def all_arrays_require_gradients_where_that_is_asked_for(f: Session, x: Any, draw: Any) -> Any:
    """Values and those of explicit gradients do, or don't, and are the same numbers. [doc]
    requires_grad: "Set requires_grad on all arrays (blocks and gradients of blocks) in this tensor to
    the provided value"."""
    asked = draw(st.booleans(), label="asked")
    f.run("y = operations.requires_grad(x, asked)", x=x, asked=asked)
    found = f.run(_REQUIRED)
    return [found, f.run("operations.detach(y)")], [[asked] * _number_of_parts(x), x]


@data_law("operations", _SOME)
def detached_maps_have_no_graph(f: Session, x: Any, draw: Any) -> Any:
    """What is detached has the same numbers, and autograd knows of none of its arrays, those of
    gradients included. [doc] detach: "Detach all the arrays in this tensor from any computational
    graph"."""
    f.run(
        f"for block in x.blocks():\n    for part in {_PARTS}:\n        part.values.requires_grad_()", x=x
    )
    f.run("y = operations.detach(operations.multiply(x, 2.0))")
    double = TensorMap(x.keys, [_with_values(block, lambda values: 2 * values) for block in x])
    return [f.run(_REQUIRED), f.run("y")], [[False] * _number_of_parts(x), double]


def _overwritten(f: Session) -> Any:
    """``y`` with 2 for every value: what documents say nothing of is not compared."""
    f.run(f"for block in y.blocks():\n    for part in {_PARTS}:\n        part.values[...] = 2.0")
    return f.run("y")


def _number_of_parts(x: TensorMap) -> int:
    return sum(1 + len(block.gradients_list()) for block in x)


@st.composite
def _gradients_of(draw: Any, x: TensorMap) -> Any:
    """None, or the names of some of the gradients."""
    there = x.block(0).gradients_list() if len(x) else []
    lists = [[], there, there[:1], there[1:]]
    return draw(st.sampled_from([None, *lists, *there]))


def _filled(x: TensorMap, number: float, asked: str | Sequence[str] | None) -> TensorMap:
    """The map with a number for every value, and of its gradients those asked for."""
    kept = [asked] if isinstance(asked, str) else asked
    return TensorMap(
        x.keys, [_with_values(block, lambda v: torch.full_like(v, number), kept) for block in x]
    )


def _with_values(block: TensorBlock, change: Any, kept: Sequence[str] | None = None) -> TensorBlock:
    made = TensorBlock(change(block.values), block.samples, block.components, block.properties)
    for name, gradient in block.gradients():
        if kept is None or name in kept:
            made.add_gradient(name, _with_values(gradient, change))
    return made
