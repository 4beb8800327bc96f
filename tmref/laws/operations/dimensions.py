"""Laws of dimensions: labels get another one, or lose one, and the numbers stay under them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from ...compare import Refused
from ...labels import Labels
from ...strategies import label_values, tensor_maps
from ...tensor_map import TensorMap
from ..data._common import some_of
from ..dense import PROPERTIES, SAMPLES, Dense, Row, labels_of, to_map, twins
from ..law import data_law
from ..session import Session
from ._common import with_the_inputs

_MAPS = tensor_maps(max_gradients=1)
_AT = {"samples": SAMPLES, "properties": PROPERTIES}
_AXES = st.sampled_from(["keys", *_AT])


@data_law("operations", _MAPS, as_it_came=True)
def a_new_dimension_stands_where_it_is_inserted(f: Session, x: Any, draw: Any) -> Any:
    """It is before the one at the index, or the last one, with the integer, or one for each entry, and
    samples of gradients don't have it; the input stays. [doc] insert_dimension: "Insert a ... dimension
    along the given axis before the given index"; "the new dimension will have the given integer value
    for all entries"; append_dimension: "the new dimension is `not` appended to gradients"."""
    axis = draw(_AXES, label="axis")
    labels = _labels_of(x, axis)
    names = labels[0].names if labels else []
    index = draw(st.integers(0, len(names)), label="index")
    value = draw(label_values(), label="value")
    given = draw(st.sampled_from(["value", "values"]), label="given")
    column: Callable[[Row], int] = lambda row: value  # noqa: E731
    if given == "values" and names and all(one == labels[0] for one in labels):
        home = "x.keys" if axis == "keys" else f"x.block(0).{axis}"
        given, column = f"{home}.values[:, -1]", lambda row: row[-1]
    else:
        given = "value"
    way = f"insert_dimension(x, axis, {index}, 'new', {given})"
    if index == len(names) and draw(st.booleans(), label="appends"):
        way = f"append_dimension(x, axis, 'new', {given})"
    y = f.run(f"y = operations.{way}", x=x, axis=axis, value=value)
    expected = _changed(
        x,
        axis,
        lambda row: (*row[:index], column(row), *row[index:]),
        [*names[:index], "new", *names[index:]],
        y,
    )
    return with_the_inputs(f, y, expected, x=x)


@data_law("operations", _MAPS, as_it_came=True)
def dimensions_are_permuted_and_removed_as_columns(f: Session, x: Any, draw: Any) -> Any:
    """They have the order that was asked for, or one of them is gone, and samples of gradients stay;
    the inputs stay. [doc] permute_dimensions: "desired ordering of the dimensions"; "gradients samples
    dimensions are not permuted"; remove_dimension: "the dimension is not removed from gradients"."""
    axis = draw(_AXES, label="axis")
    labels = _labels_of(x, axis)
    if not labels:
        return None
    names = labels[0].names
    order = draw(st.permutations(range(len(names))), label="order")
    left = [i for i in range(len(names)) if i != order[0]]
    rows = [[tuple(row[i] for i in left) for row in one.values.tolist()] for one in labels]
    is_left = left and all(len(set(of_one)) == len(of_one) for of_one in rows)
    code = f"operations.permute_dimensions(x, axis, {order})"
    if is_left and draw(st.booleans(), label="removes"):
        order, code = left, f"operations.remove_dimension(x, axis, {names[order[0]]!r})"
    y = f.run(f"y = {code}", x=x, axis=axis)
    new = [names[i] for i in order]
    expected = _changed(x, axis, lambda row: tuple(row[i] for i in order), new, y)
    return with_the_inputs(f, y, expected, x=x)


_NAMED = tensor_maps(
    max_gradients=1,
    sample_names=st.sampled_from([("sample",), ("system", "atom"), ("sample", "system"), ("atom",)]),
)


@data_law("operations", _NAMED, as_it_came=True)
def a_dimension_is_renamed_and_all_else_stays(f: Session, x: Any, draw: Any) -> Any:
    """It has the new name, in the same place, with the same numbers; whether one of the same name in
    the samples of gradients has it, too, is nobody's promise; the input stays. [doc] rename_dimension:
    "Rename a :py:class:`Labels` dimension name for a given axis"."""
    axis = draw(st.sampled_from(["keys", "samples", "components", "properties"]), label="axis")
    if axis == "components":
        names = x.component_names
    else:
        names = [name for labels in _labels_of(x, axis)[:1] for name in labels.names]
    if not names:
        return None
    old = draw(st.sampled_from(names), label="old")
    y = f.run("y = operations.rename_dimension(x, axis, old, 'new')", x=x, axis=axis, old=old)

    def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple("new" if name == old else name for name in names)

    def of(block: Dense, found: Any) -> Dense:
        """The block, whose gradients' samples have the names that they came with, where either may
        be."""
        axes = list(block.names)
        if axis == "components":
            axes[1:-1] = map(renamed, axes[1:-1])
        else:
            axes[_AT[axis]] = renamed(axes[_AT[axis]])
        gradients = {}
        for name, gradient in block.gradients.items():
            own, *rest, last = gradient.names
            if axis == "samples" and found is not None and name in found.gradients_list():
                there = tuple(found.gradient(name).samples.names)
                own = there if there in (own, (own[0], *renamed(own[1:]))) else own
            rest = list(map(renamed, rest)) if axis == "components" else rest
            last = renamed(last) if axis == "properties" else last
            gradients[name] = replace(gradient, names=(own, *rest, last))
        return replace(block, names=tuple(axes), gradients=gradients)

    blocks = twins(x)
    if axis != "keys":
        there = list(y) if isinstance(y, TensorMap) and len(y) == len(x) else [None] * len(x)
        blocks = {key: of(block, one) for (key, block), one in zip(blocks.items(), there, strict=True)}
    key_names = list(renamed(tuple(x.keys.names))) if axis == "keys" else x.keys.names
    return with_the_inputs(f, y, to_map(key_names, blocks, y), x=x)


@data_law("operations", tensor_maps(min_blocks=1, min_samples=1, min_properties=1, max_gradients=1))
def dimensions_that_can_not_be_are_refused(f: Session, x: Any, draw: Any) -> Any:
    """Those of an axis that has none to change, the only one removed, names that are there or aren't,
    an order of others, and integers beyond 32 bits. [doc] insert_dimension: "Allowed are keys,
    properties or samples"; ":raises ValueError: if ``axis`` is a not valid value"; remove_dimension:
    "if the only dimension should be removed"; "if name is not part of the axis"; permute_dimensions:
    "have to be same as the indexes"; Labels: "entries ... are 32-bit integers"."""
    axis = draw(_AXES, label="axis")
    name = _labels_of(x, axis)[0].names[0]
    others = _labels_of(x, axis)[0].names[1:]
    one_left = len(others) == 0
    cases = [
        "insert_dimension(x, 'components', 0, 'new', 0)",
        "append_dimension(x, 'components', 'new', 0)",
        "permute_dimensions(x, 'components', [0])",
        f"remove_dimension(x, 'components', {name!r})",
        "insert_dimension(x, 'nowhere', 0, 'new', 0)",
        "rename_dimension(x, 'nowhere', 'a', 'b')",
        f"append_dimension(x, axis, {name!r}, 0)",
        f"insert_dimension(x, axis, {len(others) + 2}, 'new', 0)",
        "append_dimension(x, axis, 'new', 2**32 + 1)",
        "remove_dimension(x, axis, 'nothing')",
        "rename_dimension(x, axis, 'nothing', 'new')",
        f"permute_dimensions(x, axis, {[0] * (len(others) + 1) if others else [1]})",
        *([f"remove_dimension(x, axis, {name!r})"] if one_left else []),
    ]
    code = draw(st.sampled_from(cases), label="code")
    return f.attempt_to_run(f"y = operations.{code}", x=x, axis=axis), Refused()


@data_law("operations", _MAPS)
def unique_metadata_are_the_distinct_rows_in_order(f: Session, x: Any, draw: Any) -> Any:
    """What the labels of all blocks, or of a gradient of theirs, have in some dimensions, each once, in
    lexicographic order; the input stays. [doc] unique_metadata: "the unique metadata across all
    blocks"; "An empty :py:class:`Labels` object is returned if there are no indices"; "a sorted
    :py:class:`Labels`"."""
    axis = draw(st.sampled_from(list(_AT)), label="axis")
    blocks: list[Any] = list(x)
    parameters = blocks[0].gradients_list() if blocks else []
    gradient = draw(st.sampled_from([None, *parameters]), label="gradient")
    if gradient is not None:
        blocks = [block.gradient(gradient) for block in blocks]
    known = [getattr(block, axis) for block in blocks]
    names = draw(some_of(known[0].names), label="names") if known else ["system"]
    ways = ["names", "tuple(names)", *(["names[0]"] if len(names) == 1 else [])]
    way = draw(st.sampled_from(ways), label="way")
    of = ", gradient" if gradient is not None else ""
    code = f"y = operations.unique_metadata(x, axis, {way}{of})"
    y = f.run(code, x=x, axis=axis, names=names, gradient=gradient)
    columns = [[labels.names.index(name) for name in names] for labels in known]
    rows = {
        tuple(row[c] for c in of_labels)
        for labels, of_labels in zip(known, columns, strict=True)
        for row in labels.values.tolist()
    }
    return with_the_inputs(f, y, labels_of(names, sorted(rows)), x=x)


def _labels_of(x: TensorMap, axis: str) -> list[Labels]:
    """The labels of an axis, block by block; the keys alone."""
    return [x.keys] if axis == "keys" else [getattr(block, axis) for block in x]


def _changed(
    x: TensorMap, axis: str, to: Callable[[Row], Row], names: Sequence[str], like: Any
) -> TensorMap:
    """The map with other rows, of these names, in the labels of an axis."""
    if axis == "keys":
        return to_map(names, {to(key): block for key, block in twins(x).items()}, like)
    blocks = {key: block.moved(_AT[axis], to, names) for key, block in twins(x).items()}
    return to_map(x.keys.names, blocks, like)
