"""Laws of slices, splits, and of blocks that are filtered: what is selected is there as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from ...compare import Refused
from ...labels import Labels
from ...strategies import tensor_maps
from ...tensor_map import TensorMap
from ..data._common import selections, sevens
from ..dense import PROPERTIES, SAMPLES, Row, labels_of, to_map, twins
from ..law import data_law
from ..session import Session
from ._common import with_the_inputs

_MAPS = tensor_maps(max_gradients=1)
_AXES = {"samples": SAMPLES, "properties": PROPERTIES}
#: How blocks are selected, with the keys.
_OF_BLOCKS = ("filter_blocks(x, keys", "drop_blocks(x, keys", "drop_empty_blocks(x")


@data_law("operations", _MAPS, as_it_came=True)
def a_slice_has_what_is_selected(f: Session, x: Any, draw: Any) -> Any:
    """Every number whose label agrees with the selection in its dimensions, or is at one of the
    positions, stands where it was, and no other; in gradients those of the samples left; the inputs
    stay. [doc] slice: "any entry with matching values will be selected"; "an array or ``List[int]``
    indicating the raw indices that should be kept"; "the same number of blocks and the corresponding
    keys as the input"."""
    axis = draw(st.sampled_from(list(_AXES)), label="axis")
    selection = draw(_selections(x, axis), label="selection")
    kind = draw(_kinds(f, selection), label="kind")
    y = f.run(f"y = operations.slice(x, axis, {kind})", x=x, axis=axis, selection=selection)
    return with_the_inputs(f, y, _sliced(x, axis, selection, y), x=x, selection=selection)


@data_law("operations", _MAPS, as_it_came=True)
def a_split_has_a_slice_for_each_selection(f: Session, x: Any, draw: Any) -> Any:
    """Each part is what its selection leaves of the map, and there are as many; the inputs stay. [doc]
    split: "The length of the returned list is equal to the number of :py:class:`Labels` objects passed
    in ``selections``"; "The list can mix different types of selections"."""
    axis = draw(st.sampled_from(list(_AXES)), label="axis")
    chosen = draw(st.lists(_selections(x, axis), max_size=3), label="selections")
    kinds = [draw(_kinds(f, one, f"selections[{i}]"), label="kind") for i, one in enumerate(chosen)]
    code = f"y = operations.split(x, axis, [{', '.join(kinds)}])"
    y = f.run(code, x=x, axis=axis, selections=chosen)
    expected = [
        _sliced(x, axis, one, found)
        for one, found in zip(chosen, [*y, *[None] * len(chosen)], strict=False)
    ]
    return with_the_inputs(f, y, expected, x=x, selections=chosen)


@data_law("operations", tensor_maps(min_blocks=1, min_samples=1, min_properties=1))
def positions_that_are_there_twice_are_kept_once(f: Session, x: Any, draw: Any) -> Any:
    """They are refused, or what is at them is kept; nothing is there twice. [doc] split: "the raw
    indices that should be kept"; Labels: "entries ... are unique"."""
    axis = draw(st.sampled_from(list(_AXES)), label="axis")
    positions = draw(_positions(x, axis).filter(len), label="positions")
    given = [*positions, positions[0]]
    # labels that have an entry twice can't be read: a line looks at them
    split = "parts = operations.split(x, axis, [given])\nlen(parts)"
    found = f.attempt_to_run(split, x=x, axis=axis, given=given)
    if isinstance(found, Refused):
        return found
    kept = [[getattr(block, axis).values[i].tolist() for i in positions] for block in x]
    return f.run(f"[sorted(block.{axis}.values.tolist()) for block in parts[0].blocks()]"), [
        sorted(rows) for rows in kept
    ]


@data_law("operations", _MAPS, as_it_came=True)
def blocks_are_kept_or_dropped_by_their_keys(f: Session, x: Any, draw: Any) -> Any:
    """Those whose key agrees with the selection in its dimensions, and the others; the inputs stay.
    [doc] filter_blocks: "the blocks filtered according to the :py:class:`Labels` key selection";
    drop_blocks: "selection of keys to remove"; "any subset of the names of the tensor's keys"."""
    keys = draw(selections(x.keys), label="keys")
    copies = draw(st.sampled_from(["", ", copy=True"]), label="copies")
    y = f.run(f"y = operations.filter_blocks(x, keys{copies})", x=x, keys=keys)
    z = f.run(f"z = operations.drop_blocks(x, keys{copies})")
    chosen = agrees(x.keys, keys)
    blocks = twins(x).items()
    kept = to_map(x.keys.names, {key: block for key, block in blocks if chosen(key)}, y)
    dropped = to_map(x.keys.names, {key: block for key, block in blocks if not chosen(key)}, z)
    return with_the_inputs(f, [y, z], [kept, dropped], x=x, keys=keys)


@data_law("operations", _MAPS, as_it_came=True)
def no_empty_block_is_left(f: Session, x: Any, draw: Any) -> Any:
    """Blocks without samples or without properties are left out, and no others; the input stays. [doc]
    drop_empty_blocks: "Drop any block in a :py:class:`TensorMap` with an empty set of samples,
    components or properties"."""
    copies = draw(st.sampled_from(["", ", copy=True"]), label="copies")
    y = f.run(f"y = operations.drop_empty_blocks(x{copies})", x=x)
    left = {key: block for key, block in twins(x).items() if block.numbers}
    return with_the_inputs(f, y, to_map(x.keys.names, left, y), x=x)


@data_law("operations", _MAPS)
def blocks_are_shared_unless_copies_are_asked_for(f: Session, x: Any, draw: Any) -> Any:
    """What is written to blocks that are kept is written to those of the map, unless they are copies.
    [doc] filter_blocks: "the returned :py:class:`TensorMap` is constructed by copying the blocks"; "the
    values of the blocks in the output :py:class:`TensorMap` reference the same data"."""
    way = draw(st.sampled_from(_OF_BLOCKS), label="way")
    keys = draw(selections(x.keys), label="keys")
    copies = draw(st.sampled_from(["", ", copy=True"]), label="copies")
    given = {"keys": keys} if "keys" in way else {}
    f.run(f"y = operations.{way}{copies})", x=x, **given)
    f.run(
        "for _, block in y.items():\n    block.values.fill_(7)\n"
        "    for _, gradient in block.gradients():\n        gradient.values.fill_(7)"
    )
    chosen = agrees(x.keys, keys)

    def is_kept(key: Row, empty: bool) -> bool:
        return not empty if not given else chosen(key) == way.startswith("filter")

    pairs = list(zip(map(tuple, x.keys.values.tolist()), x, strict=True))
    written = [not copies and is_kept(key, not block.values.numel()) for key, block in pairs]
    blocks = [sevens(block) if to else block for (_, block), to in zip(pairs, written, strict=True)]
    return f.run("x"), TensorMap(x.keys, blocks)


def agrees(labels: Labels, selection: Labels) -> Callable[[Row], bool]:
    """Whether a row of the labels agrees with one of the selection's in its dimensions."""
    columns = [labels.names.index(name) for name in selection.names]
    wanted = set(map(tuple, selection.values.tolist()))
    return lambda row: tuple(row[c] for c in columns) in wanted


def _sliced(x: TensorMap, axis: str, selection: Any, like: Any) -> TensorMap:
    """What a selection leaves of the map."""
    at, blocks = _AXES[axis], {}
    for (key, block), of in zip(twins(x).items(), x, strict=True):
        rows = block.rows[at]
        if isinstance(selection, Labels):
            left = list(filter(agrees(getattr(of, axis), selection), rows))
        else:
            left = [rows[i] for i in selection]
        blocks[key] = block.moved(at, {row: row for row in left}.get)
    return to_map(x.keys.names, blocks, like)


@st.composite
def _selections(draw: Any, x: TensorMap, axis: str) -> Labels | list[int]:
    """Labels of some of the dimensions of an axis, or positions that every block has."""
    if draw(st.sampled_from([True, False])) and len(x):
        return draw(_positions(x, axis))
    if not len(x):
        return labels_of(["system"], [(0,)])
    rows = dict.fromkeys(row for block in twins(x).values() for row in block.rows[_AXES[axis]])
    return draw(selections(labels_of(getattr(x[0], axis).names, list(rows))))


@st.composite
def _positions(draw: Any, x: TensorMap, axis: str) -> list[int]:
    """Some of the positions that every block has, in any order."""
    common = min(len(getattr(block, axis)) for block in x)
    order = draw(st.permutations(range(common)))
    return list(order[: draw(st.integers(0, common))])


def _kinds(f: Session, selection: Labels | Sequence[int], name: str = "selection") -> Any:
    """How a selection is given: positions as a list, or as an array of the implementation's kind."""
    if isinstance(selection, Labels):
        return st.just(name)
    array = f.implementation.labels_array
    dtype = f"{array.partition('.')[0]}.int64"
    return st.sampled_from([name, f"{array}({name}, dtype={dtype})"])
