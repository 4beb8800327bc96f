"""What laws of operations share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


#: The parts of a map's metadata that have labels.
SAMPLES, OF_GRADIENTS = "samples", "samples of gradients"
PARTS = ("keys", SAMPLES, "components", "properties", OF_GRADIENTS)


def another_row(labels: Labels) -> Labels:
    """Labels whose last entry has the first integer that occurs nowhere in its dimension."""
    rows = labels.values.clone()
    there = set(rows[:, -1].tolist())
    rows[-1, -1] = next(i for i in range(len(rows) + 1) if i not in there)
    return Labels(labels.names, rows)


def another_name(labels: Labels) -> Labels:
    """Labels whose last dimension is called otherwise."""
    return Labels([*labels.names[:-1], "renamed"], labels.values)


def another_order(labels: Labels) -> Labels:
    """The labels backwards; where that is the same, with another row."""
    return another_row(labels) if len(labels) < 2 else Labels(labels.names, labels.values.flip(0))


@st.composite
def relabelled(
    draw: Any, x: TensorMap, part: str, changes: Sequence[Any] = (another_row, another_name)
) -> TensorMap:
    """The map with other labels in one place, which is a ``part`` that it has (:func:`parts_of`): one of
    the ``changes`` is made to them."""
    change = draw(st.sampled_from(changes))
    if part == "keys":
        return TensorMap(change(x.keys), [mapped_block(block, torch.clone) for block in x])
    i, j = draw(st.sampled_from(_places(x, part)))
    everywhere = change is another_name  # all blocks have the same names
    return TensorMap(
        x.keys,
        [
            _with_other_labels(block, part, j if everywhere or i == k else -1, change)
            for k, block in enumerate(x)
        ],
    )


def parts_of(x: TensorMap) -> list[str]:
    """The parts of a map in which there is a row, of blocks and of gradients."""
    return [part for part in PARTS if (len(x) if part == "keys" else _places(x, part))]


def _places(x: TensorMap, part: str) -> list[tuple[int, int]]:
    """Where a map has rows in a part: the positions of the block, and of the labels in it."""
    return [
        (i, j)
        for i, block in enumerate(x)
        for j, labels in enumerate(_labels(block)[part])
        if len(labels) and (part != OF_GRADIENTS or len(labels.names) > 1)  # the first is a position
    ]


def _labels(block: TensorBlock) -> dict[str, list[Labels]]:
    """The labels of a block by the part that they are."""
    return {
        SAMPLES: [block.samples],
        "components": list(block.components),
        "properties": [block.properties],
        OF_GRADIENTS: [block.gradient(name).samples for name in sorted(block.gradients_list())],
    }


def _with_other_labels(block: TensorBlock, part: str, j: int, change: Any) -> TensorBlock:
    """The block with a ``change`` of those labels of a part that stand at a place, if any do."""
    labels = _labels(block)
    labels[part] = [change(of) if i == j else of for i, of in enumerate(labels[part])]
    (samples,), components, (properties,) = (
        labels[axis] for axis in (SAMPLES, "components", "properties")
    )
    made = TensorBlock(block.values, samples, components, properties)
    for name, rows in zip(sorted(block.gradients_list()), labels[OF_GRADIENTS], strict=True):
        g = block.gradient(name)
        of_its_own = g.components[: len(g.components) - len(components)]
        made.add_gradient(name, TensorBlock(g.values, rows, [*of_its_own, *components], properties))
    return made


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
