"""Laws of joins: numbers of several maps are those of one, under the same labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from ...compare import Refused
from ...strategies import tensor_maps
from ...tensor_map import TensorMap
from ..dense import PROPERTIES, SAMPLES, Dense, Row, joined, labels_of, numbered, to_map, twins, united
from ..law import data_law
from ..session import Session
from ._common import others_of, with_the_inputs

_MAPS = tensor_maps(max_gradients=1)
_OF_ROWS = tensor_maps(min_blocks=1, min_samples=1, min_properties=1, max_gradients=1)
_AXES = {"samples": SAMPLES, "properties": PROPERTIES}
_WAYS = st.sampled_from(["error", "error", "intersection", "union", "union"])


@data_law("operations", _MAPS, as_it_came=True)
def joined_samples_are_those_of_all_maps(f: Session, x: Any, draw: Any) -> Any:
    """Every number of every map stands under its key and its labels, with the number of its map where a
    dimension is added; gradients, too; the inputs stay. [doc] join: "the ``tensors`` will be joined
    along the samples"; "only blocks present in all tensors will be taken into account"; "missing keys
    will be treated like if they where associated with an empty block"; "The dimension forms the last
    dimension of the joined labels"."""
    return _joined(f, x, draw, "samples")


@data_law("operations", _MAPS, as_it_came=True)
def joined_properties_are_those_of_all_maps(f: Session, x: Any, draw: Any) -> Any:
    """Every number of every map stands under its key and its labels, with the number of its map where a
    dimension is added; gradients, too, which are 0 where a map has none; the inputs stay. [doc] join:
    "the ``tensors`` will be joined along the ``properties``"; "only blocks present in all tensors will
    be taken into account"; "missing keys will be treated like if they where associated with an empty
    block"; "The dimension forms the last dimension of the joined labels"."""
    return _joined(f, x, draw, "properties")


@data_law("operations", _MAPS, as_it_came=True)
def joined_properties_of_other_names_are_numbered(f: Session, x: Any, draw: Any) -> Any:
    """Properties of different names become which map they are of, and which of its properties; the
    inputs stay. [doc] join: "we'll re-create new properties labels containing the original tensor index
    and the corresponding property index"."""
    other = draw(others_of(x), label="other")
    blocks = [twins(x), {key: _renamed(block) for key, block in twins(other).items()}]
    xs = [x, to_map(x.keys.names, blocks[1])]
    y = f.run("y = operations.join(xs, 'properties')", xs=xs)

    def numbered(i: int, block: Dense) -> Dense:
        places = {row: (i, j) for j, row in enumerate(block.rows[PROPERTIES])}
        return block.moved(PROPERTIES, places.get, ["joined_index", "property"])

    expected = {k: united([numbered(i, of[k]) for i, of in enumerate(blocks)]) for k in blocks[0]}
    return with_the_inputs(f, y, to_map(x.keys.names, expected, y), xs=xs)


@data_law("operations", _MAPS, as_it_came=True)
def a_join_of_what_was_split_is_the_map(f: Session, x: Any, draw: Any) -> Any:
    """A map that is split into parts and joined again is what it was. [doc] split: "Each tensor in the
    returned list contains only the named indices"; join: "the ``tensors`` will be joined"."""
    axis = draw(st.sampled_from(list(_AXES)), label="axis")
    if not len(x):
        return None
    names = getattr(x[0], axis).names
    rows = list(dict.fromkeys(row for block in twins(x).values() for row in block.rows[_AXES[axis]]))
    owners = draw(_owners(rows, 2), label="owners")
    selections = [labels_of(names, [row for row in rows if owners[row] == i]) for i in range(2)]
    f.run("parts = operations.split(x, axis, selections)", x=x, axis=axis, selections=selections)
    y = f.run("y = operations.join(parts, axis)")
    return y, to_map(x.keys.names, twins(x), y)


@data_law("operations", _MAPS, as_it_came=True)
def a_join_of_several_dtypes_keeps_the_numbers(f: Session, x: Any, draw: Any) -> Any:
    """Maps of other dtypes are refused, or none of their numbers changes. [maths] a half is not 0."""
    axis = draw(st.sampled_from(list(_AXES)), label="axis")
    dtypes = draw(st.permutations([torch.int64, torch.float32, torch.float64]), label="dtypes")
    xs = [x.to(dtype) for dtype in dtypes[:2]]
    y = f.attempt_to_run("y = operations.join(xs, axis, add_dimension='of')", xs=xs, axis=axis)
    if isinstance(y, Refused):
        return y
    of_each = [twins(part.to(torch.float64)) for part in xs]
    y = f.run("y.to(dtype=torch.float64)")
    return y, to_map(x.keys.names, joined(numbered(of_each, _AXES[axis])), y)


@data_law("operations", _OF_ROWS, as_it_came=True)
def samples_are_joined_by_the_names_of_their_dimensions(f: Session, x: Any, draw: Any) -> Any:
    """Samples whose dimensions have another order are refused, or stand in the joined ones by their
    names. [doc] join: "joining ``TensorMap`` with the same labels names"."""
    names = x.sample_names
    if len(names) < 2:
        return None
    other = draw(others_of(x), label="other")
    turned = {
        key: replace(
            block.moved(SAMPLES, lambda row: row[::-1]), names=(tuple(names[::-1]), *block.names[1:])
        )
        for key, block in twins(other).items()
    }
    xs = [x, to_map(x.keys.names, turned)]
    y = f.attempt_to_run("y = operations.join(xs, 'samples', add_dimension='of')", xs=xs)
    if isinstance(y, Refused):
        return y
    return y, to_map(x.keys.names, joined(numbered([twins(x), twins(other)], SAMPLES)), y)


@data_law("operations", _OF_ROWS)
def what_can_not_be_joined_is_refused(f: Session, x: Any, draw: Any) -> Any:
    """The same labels twice, other keys, samples of other names, and what is no axis or no way. [doc]
    join: "keys in all tensors have to be the same"; "This does not apply when joining along samples";
    "This can be either 'properties' or 'samples'"; Labels: "entries ... are unique"."""
    first = {key: block for i, (key, block) in enumerate(twins(x).items()) if i}
    renamed = {key: _renamed(block, SAMPLES) for key, block in twins(x).items()}
    cases: dict[str, Sequence[TensorMap]] = {
        "operations.join(xs, 'samples')": [x, x],
        "operations.join(xs, 'properties')": [x, x],
        "operations.join(xs, 'samples', add_dimension='of')": [x, to_map(x.keys.names, first)],
        "operations.join(xs, 'properties', add_dimension='of')": [to_map(x.keys.names, first), x],
        "operations.join(xs, 'samples', 'union', 'of')": [x, to_map(x.keys.names, renamed)],
        "operations.join(xs, 'components', add_dimension='of')": [x, x],
        "operations.join(xs, 'samples', 'both', 'of')": [x, x],
    }
    code = draw(st.sampled_from(list(cases)), label="code")
    return f.attempt_to_run(f"y = {code}", xs=list(cases[code])), Refused()


def _joined(f: Session, x: TensorMap, draw: Any, axis: str) -> Any:
    """Parts of maps of the labels of ``x``, joined, and what must come of them."""
    way, add = draw(_WAYS, label="way"), draw(st.sampled_from([None, "of"]), label="add")
    xs = draw(_parts(x, axis, way, add is not None), label="xs")
    options = (f", different_keys={way!r}" if way != "error" else "") + (
        f", add_dimension={add!r}" if add else ""
    )
    y = f.run(f"y = operations.join(xs, axis{options})", xs=xs, axis=axis)
    of_each = list(map(twins, xs))
    expected = joined(numbered(of_each, _AXES[axis]) if add else of_each, way)
    return with_the_inputs(f, y, to_map(x.keys.names, expected, y), xs=xs)


@st.composite
def _parts(draw: Any, x: TensorMap, axis: str, way: str, collide: bool) -> list[TensorMap]:
    """One to three maps of the labels of ``x`` and other values, none of which has all samples, or
    properties, of it: each of these is in one of them, or where they may ``collide`` in some. Where
    keys may differ, each lacks some of the blocks; where it is about properties, gradients of some
    samples."""
    many = draw(st.sampled_from([2, 2, 2, 3, 1]))
    at, parts = _AXES[axis], []
    owners = {key: draw(_owners(block.rows[at], many)) for key, block in twins(x).items()}
    for i in range(many):
        blocks = {}
        for key, block in twins(draw(others_of(x))).items():
            if way != "error" and draw(st.sampled_from([False, False, True])):
                continue
            owner = owners[key]
            if collide:
                gone = draw(st.sampled_from([None, *owner]))
                owner = {row: -1 if row == gone else i for row in owner}
            part = block.moved(at, _kept([row for row, of in owner.items() if of == i]))
            blocks[key] = _thinned(part, i) if at == PROPERTIES else part
        parts.append(to_map(x.keys.names, blocks))
    return parts


@st.composite
def _owners(draw: Any, rows: Sequence[Row], many: int) -> dict[Row, int]:
    """Which of so many each row is in."""
    numbers = st.lists(st.integers(0, many - 1), min_size=len(rows), max_size=len(rows))
    return dict(zip(rows, draw(numbers), strict=True))


def _kept(rows: Sequence[Row]) -> Callable[[Row], Row | None]:
    """Where these rows are, and no others."""
    return {row: row for row in rows}.get


def _thinned(block: Dense, i: int) -> Dense:
    """The block, whose gradients have but every second sample."""

    def thinned(gradient: Dense) -> Dense:
        return gradient.moved(SAMPLES, _kept(gradient.rows[SAMPLES][i % 2 :: 2]))

    return replace(block, gradients={name: thinned(g) for name, g in block.gradients.items()})


def _renamed(block: Dense, at: int = PROPERTIES) -> Dense:
    """The block with another dimension before those of an axis."""
    return block.moved(at, lambda row: (0, *row), ("another", *block.names[at]))
