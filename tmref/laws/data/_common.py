"""What laws of labels, blocks and maps share."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...compare import Refused
from ...labels import Labels
from ...strategies import labels
from ..dense import labels_of
from ..outcomes import NotOffered
from ..session import Session


@st.composite
def labels_like(draw: Any, x: Labels) -> Labels:
    """Labels of the same names, some of whose entries are those of ``x``, or nearly."""
    new = draw(labels(names=st.just(tuple(x.names))))
    entries = x.values.tolist()
    near = [[*entry[:-1], entry[-1] ^ 1] for entry in entries]
    old = draw(st.lists(st.sampled_from(entries + near), min_size=1, unique_by=tuple)) if entries else []
    both = dict.fromkeys(map(tuple, [*old, *new.values.tolist()]))
    return labels_of(x.names, draw(st.permutations(list(both))))


@st.composite
def selections(draw: Any, x: Labels) -> Labels:
    """Some of the dimensions, in any order, with values that occur and others."""
    names = draw(some_of(x.names))
    columns = [x.names.index(name) for name in names]
    part = [tuple(entry[c] for c in columns) for entry in x.values.tolist()]
    return draw(labels_like(labels_of(names, list(dict.fromkeys(part)))))


def offered(f: Session, code: str, **given: Any) -> None:
    """Raise NotOffered where the code, an attribute, can't be had."""
    if isinstance(f.attempt_to_run(code, **given), Refused):
        raise NotOffered(f"{f.implementation.name} does not offer it: {code}")
    f.steps.pop()  # nothing was done


#: How blocks and maps are copied.
COPIES = ("x.copy()", "x.copy(deep=True)", "copy.deepcopy(x)", "x.copy(deep=False)")
DTYPES = st.sampled_from([torch.float32, torch.float64])


def ways_of(kind: str) -> list[str]:
    """How data of a kind is copied, pickled, and saved to a buffer."""
    saved = ["pickle.loads(pickle.dumps(x))", f"{kind}.load_buffer(x.save_buffer())"]
    # metatensor's core gives arrays of numpy unless it is told otherwise
    ways = ["copy.copy(x)", "copy.deepcopy(x)", *saved]
    if kind != "Labels":
        ways += [*(f"{way}.to(arrays='torch')" for way in saved), *COPIES]
    return ways


def again(f: Session, x: Any, draw: Any) -> Any:
    """What comes back from a copy, a pickle or a buffer, and ``x``."""
    return f.run(draw(st.sampled_from(f.ways), label="way"), x=x), x


def sevens(block: TensorBlock) -> TensorBlock:
    """The block with 7 for every value, gradients' included."""
    return _changed(block, lambda values: torch.full_like(values, 7))


def converted(block: TensorBlock, dtype: torch.dtype) -> TensorBlock:
    """The block with values of another dtype, gradients' included."""
    return _changed(block, lambda values: values.to(dtype))


def _changed(block: TensorBlock, change: Any) -> TensorBlock:
    """The block and its gradients with ``change`` of their values."""
    made = TensorBlock(change(block.values), block.samples, block.components, block.properties)
    for name, gradient in block.gradients():
        made.add_gradient(name, _changed(gradient, change))
    return made


@st.composite
def some_of(draw: Any, names: list[str]) -> list[str]:
    """At least one of the names, several most often, in any order."""
    order = draw(st.permutations(names))
    return list(order[: draw(st.sampled_from([len(names), *range(1, len(names) + 1)]))])
