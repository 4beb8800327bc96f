"""What laws of operations share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...compare import compare
from ...labels import Labels
from ...strategies import like
from ...tensor_map import TensorMap
from ..session import Session


@st.composite
def others_of(draw: Any, x: TensorMap) -> TensorMap:
    """A map of the metadata of ``x`` and other values, with its blocks in any order."""
    other = draw(like(x))
    order = draw(st.permutations(range(len(x))))
    if not order:
        return other
    return TensorMap(Labels(x.keys.names, x.keys.values[list(order)]), [other[i] for i in order])


@st.composite
def relabelled(draw: Any, x: TensorMap) -> TensorMap:
    """The map with other keys, or with other samples or properties in one of its blocks: a row is
    another, in which it differs from all, or a dimension is called otherwise."""
    part = draw(st.sampled_from(["keys", "samples", "properties"]))
    change = draw(st.sampled_from([_another_row, _another_name]))
    if part == "keys":
        return TensorMap(change(x.keys), [mapped_block(block, torch.clone) for block in x])
    i = 0 if change is _another_name else draw(st.sampled_from(range(len(x))))
    blocks = []
    for j, block in enumerate(x):
        changes = change is _another_name or i == j  # all blocks have the same names
        samples, properties = block.samples, block.properties
        if changes and part == "samples":
            samples = change(samples)
        if changes and part == "properties":
            properties = change(properties)
        made = TensorBlock(block.values, samples, block.components, properties)
        for name, g in block.gradients():
            made.add_gradient(name, TensorBlock(g.values, g.samples, g.components, properties))
        blocks.append(made)
    return TensorMap(x.keys, blocks)


def _another_row(labels: Labels) -> Labels:
    """Labels whose last entry has the first integer that occurs nowhere in its dimension."""
    rows = labels.values.clone()
    there = set(rows[:, -1].tolist())
    rows[-1, -1] = next(i for i in range(len(rows) + 1) if i not in there)
    return Labels(labels.names, rows)


def _another_name(labels: Labels) -> Labels:
    return Labels([*labels.names[:-1], "renamed"], labels.values)


def mapped(x: TensorMap, change: Callable[[torch.Tensor], torch.Tensor]) -> TensorMap:
    """The map with ``change`` of the values of every block; gradients have the same ones as before."""
    return TensorMap(x.keys, [mapped_block(block, change) for block in x])


def mapped_block(block: TensorBlock, change: Callable[[torch.Tensor], torch.Tensor]) -> TensorBlock:
    """The block with ``change`` of its values; gradients have the same ones as before."""
    made = TensorBlock(change(block.values), block.samples, block.components, block.properties)
    for name, gradient in block.gradients():
        made.add_gradient(name, mapped_block(gradient, torch.clone))
    return made


def with_the_inputs(f: Session, found: Any, expected: Any, **inputs: Any) -> Any:
    """What came of an operation and what must come of it; where that is the same, what became of its
    inputs, which stay as they were."""
    if compare(found, expected) is not None:
        return found, expected
    return f.run(f"[{', '.join(inputs)}]"), list(inputs.values())
