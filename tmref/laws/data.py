"""Laws of data: labels are sets of named integers, maps are blocks by key."""

from __future__ import annotations

from typing import Any

from ..strategies import labels
from .law import data_law
from .subject import Data


@data_law("labels", labels())
def a_position_is_where_the_entry_is(f: Data, x: Any, draw: Any) -> Any:
    """The position of the i-th entry is i. [doc] Labels.position: the "position of the given entry in
    this set of labels"."""
    return f.run("[x.position(entry) for entry in x]", x=x), list(range(len(x)))
