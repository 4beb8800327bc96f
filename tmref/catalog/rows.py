"""The rows of the catalog: every module and option of metatensor's nn that is judged."""

from __future__ import annotations

from collections.abc import Sequence

from .kind import Data
from .kinds import activations, equivariant, layer_norm, linear, module_map, sequential
from .row import NAMED, Row

#: Every row that is judged.
ROWS: tuple[Row, ...] = (
    *linear.ROWS,
    *activations.ROWS,
    *layer_norm.ROWS,
    *equivariant.ROWS,
    *module_map.ROWS,
    *sequential.ROWS,
)
NAMED.update({row.name: row for row in ROWS})

#: What laws of data are about; ``tmref check`` shows them as rows, too.
DATA: tuple[Row, ...] = tuple(
    Row(name, Data(module), frozenset({name}))
    for name, module in (
        ("labels", "Labels"),
        ("tensor_block", "TensorBlock"),
        ("tensor_map", "TensorMap"),
        ("operations", "operations"),
        ("datasets", "datasets"),
        ("any_module", "Module"),
        ("any_module_map", "ModuleMap"),
    )
)


def rows_like(row: Row, rows: Sequence[Row] = ROWS) -> list[Row]:
    """Those of ``rows`` whose modules share their code with the row's, and itself: those of one class,
    for invariant keys alone or for all, and all activations."""
    return [like for like in rows if like.kind.family == row.kind.family] or [row]


def row(name: str, rows: Sequence[Row] = ROWS) -> Row:
    """The row of this name, out of ``rows``. Raises ValueError where there is none."""
    for of_name in rows:
        if of_name.name == name:
            return of_name
    raise ValueError(f"there is no row {name!r}; there are {', '.join(row.name for row in rows)}")
