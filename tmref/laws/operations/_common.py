"""What laws of operations share."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

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


def with_the_inputs(f: Session, found: Any, expected: Any, **inputs: Any) -> Any:
    """What came of an operation and what must come of it; where that is the same, what became of its
    inputs, which stay as they were."""
    if compare(found, expected) is not None:
        return found, expected
    return f.run(f"[{', '.join(inputs)}]"), list(inputs.values())
