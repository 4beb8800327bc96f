"""The law of sorting: labels are in order, and the numbers with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...strategies import tensor_maps
from ...tensor_map import TensorMap
from ..data._common import some_of
from ..dense import labels_of
from ..law import data_law
from ..session import Session
from ._common import with_the_inputs

_EVERY = ["keys", "samples", "components", "properties"]
_AXES = st.sampled_from(["all", "all", *_EVERY]) | some_of(_EVERY)


@data_law("operations", tensor_maps(max_gradients=1))
def sorting_moves_numbers_with_their_labels(f: Session, x: Any, draw: Any) -> Any:
    """Labels of the axes that are asked for are in the order of their rows, or in the opposite one, and
    others stay; numbers stand under the labels that they had, and those of gradients under the sample
    that they had, wherever it is now; the inputs stay. [doc] sort: "The labels entries along these axes
    will be sorted in lexicographic order, and the arrays values will be reordered accordingly"; "if
    false, the order is ascending"; "This function can also sort gradients"."""
    axes, down = draw(_AXES, label="axes"), draw(st.booleans(), label="descending")
    y = f.run("y = operations.sort(x, axes, descending)", x=x, axes=axes, descending=down)
    names = _EVERY if axes == "all" else [axes] if isinstance(axes, str) else axes
    keys = x.keys.values.tolist()
    order = _order(keys, "keys" in names, down)
    blocks = [_sorted(x[i], names, down) for i in order]
    expected = TensorMap(labels_of(x.keys.names, [keys[i] for i in order]), blocks)
    return with_the_inputs(f, y, expected, x=x, axes=axes)


def _order(rows: Sequence[Sequence[int]], is_asked_for: bool, down: bool) -> list[int]:
    places = list(range(len(rows)))
    return sorted(places, key=lambda i: list(rows[i]), reverse=down) if is_asked_for else places


def _sorted(
    block: TensorBlock, names: Collection[str], down: bool, moved: Mapping[int, int] | None = None
) -> TensorBlock:
    """The block, or a gradient of values whose samples have ``moved``, in order."""
    axes = [block.samples, *block.components, block.properties]
    called = ["samples", *["components"] * len(block.components), "properties"]
    values, labels, order = block.values, [], []
    for i, (axis, name) in enumerate(zip(axes, called, strict=True)):
        rows = axis.values.tolist()
        if moved is not None and i == 0:
            rows = [[moved[first], *rest] for first, *rest in rows]
        order.append(_order(rows, name in names, down))
        values = values.index_select(i, torch.tensor(order[i], dtype=torch.int64))
        labels.append(labels_of(axis.names, [rows[place] for place in order[i]]))
    made = TensorBlock(values, labels[0], labels[1:-1], labels[-1])
    places = {before: now for now, before in enumerate(order[0])}
    for parameter, gradient in block.gradients():
        made.add_gradient(parameter, _sorted(gradient, names, down, places))
    return made
