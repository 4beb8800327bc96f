"""What is known to be wrong with metatensor's operations that join, cut, sort and rename, by flavour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ...block import TensorBlock
from ...labels import Labels
from ...tensor_map import TensorMap
from .. import Example, Known

_Drawn = dict[str, Any]
_SORTS = "operations.sort(x)"
_SLICES = "operations.slice(x, axis, selection)"
_EMPTY = TensorMap(Labels.range("key", 0), [])


def _map(
    samples: Labels, *, gradient: bool = False, properties: Labels | None = None, value: float = 0.5
) -> TensorMap:
    """A map of one block of these samples."""
    properties = Labels.range("n", 1) if properties is None else properties
    values = torch.full((len(samples), len(properties)), value)
    block = TensorBlock(values, samples, [], properties)
    if gradient:
        rows = Labels.range("sample", len(samples))
        block.add_gradient("positions", TensorBlock(values.clone(), rows, [], properties))
    return TensorMap(Labels.range("key", 1), [block])


_ONE = _map(Labels.range("system", 1))


def _known(
    law: str,
    reason: str,
    x: TensorMap,
    draws: _Drawn,
    when: Callable[[TensorMap], bool] = lambda x: True,
    drawn: Callable[[_Drawn], bool] | None = None,
) -> Known:
    """A failure on maps that ``when`` is true of, and what was ``drawn``; ``x`` is its example."""
    return Known(
        law=law,
        rows=("operations",),
        when=lambda recipe, x: when(x),
        draws=drawn,
        example=lambda row: Example(None, x, draws),
        reason=reason,
    )


def _has_no_blocks(x: TensorMap) -> bool:
    return not len(x)


def _has_no_samples(x: TensorMap) -> bool:
    return any(not len(block) for block in x)


def _has_gradients(x: TensorMap) -> bool:
    return any(block.has_any_gradient() for block in x)


def _has_components(x: TensorMap) -> bool:
    return any(part.components for block in x for part in (block, *(g for _, g in block.gradients())))


def _has_empty_labels(x: TensorMap) -> bool:
    parts = [part for block in x for part in (block, *(g for _, g in block.gradients()))]
    return not len(x) or any(not len(part) or not len(part.properties) for part in parts)


_WAY: _Drawn = {"way": "error", "add": "of", "xs": [_ONE]}
_INTEGERS: _Drawn = {"axis": "samples", "dtypes": (torch.int64, torch.float32, torch.float64)}
_PAIR = _map(Labels(["system", "atom"], torch.tensor([[0, 1]])))
_NO_BLOCKS_CUT = "maps without blocks can't be cut: block 0 of them is looked at, an IndexError [doc]"

#: In both flavours.
_BOTH: tuple[Known, ...] = (
    *(
        _known(
            f"joined_{axis}_are_those_of_all_maps",
            "a join of one map is that map: the dimension that is to be added isn't [doc]",
            _ONE,
            _WAY,
            drawn=lambda drawn: bool(drawn["add"] and len(drawn["xs"]) == 1 and len(drawn["xs"][0])),
        )
        for axis in ("samples", "properties")
    ),
    _known(
        "a_join_of_several_dtypes_keeps_the_numbers",
        "joins have the dtype of the first map: of a map of integers and one of others, these are cut "
        "down to integers, and nothing says so [maths]",
        _ONE,
        _INTEGERS,
        drawn=lambda drawn: drawn["dtypes"][0] == torch.int64,
    ),
    _known(
        "samples_are_joined_by_the_names_of_their_dimensions",
        "samples are joined by the place of their dimensions: where names are the same in another "
        "order, the numbers of one map stand under labels that they never had [doc]",
        _PAIR,
        {"other": _PAIR},
        when=lambda x: len(x.sample_names) > 1,
    ),
    _known(
        "a_slice_has_what_is_selected",
        _NO_BLOCKS_CUT,
        _EMPTY,
        {"axis": "samples", "selection": Labels.range("system", 1), "kind": "selection"},
        when=_has_no_blocks,
    ),
    _known(
        "a_split_has_a_slice_for_each_selection",
        _NO_BLOCKS_CUT,
        _EMPTY,
        {"axis": "samples", "selections": []},
        when=_has_no_blocks,
    ),
    _known(
        "positions_that_are_there_twice_are_kept_once",
        "samples that are selected twice are there twice: the labels that come back have the same entry "
        "several times, and nothing says so [doc]",
        _ONE,
        {"axis": "samples", "positions": [0]},
        drawn=lambda drawn: drawn["axis"] == "samples",
    ),
    _known(
        "dimensions_that_can_not_be_are_refused",
        "components are taken for an axis that has dimensions: nothing is inserted, permuted or "
        "removed, and nothing says so [doc]",
        _ONE,
        {"axis": "keys", "code": "insert_dimension(x, 'components', 0, 'new', 0)"},
        drawn=lambda drawn: "'components'" in drawn["code"] and "append" not in drawn["code"],
    ),
    _known(
        "dimensions_that_can_not_be_are_refused",
        "integers beyond 32 bits are wrapped: a new dimension has other ones [doc]",
        _ONE,
        {"axis": "keys", "code": "append_dimension(x, axis, 'new', 2**32 + 1)"},
        drawn=lambda drawn: "2**32" in drawn["code"],
    ),
    _known(
        "a_dimension_is_renamed_and_all_else_stays",
        "samples called sample can't be renamed: in gradients the first dimension is renamed with "
        "them, which can't be called anything else, an error [doc]",
        _map(Labels.range("sample", 1), gradient=True),
        {"axis": "samples", "old": "sample"},
        when=_has_gradients,
        drawn=lambda drawn: (drawn["axis"], drawn["old"]) == ("samples", "sample"),
    ),
    _known(
        "unique_metadata_are_the_distinct_rows_in_order",
        "maps without blocks have no metadata: there is nothing to concatenate, an error [doc]",
        _EMPTY,
        {"axis": "samples", "gradient": None, "way": "names"},
        when=_has_no_blocks,
    ),
)

_NOTHING_SORTED = (
    "blocks without samples aren't sorted: their properties and components stay as they are, and where "
    "they have gradients these are added twice, an error [doc]"
)
_ALL: _Drawn = {"axes": "all", "descending": False}
_NO_SAMPLES = _map(Labels.range("system", 0), gradient=True)
_TWO_NAMES = _map(
    Labels.range("system", 1), properties=Labels(["n", "l"], torch.zeros((1, 2), dtype=torch.int32))
)

TORCH: tuple[Known, ...] = (
    *_BOTH,
    _known(
        "sorting_moves_numbers_with_their_labels",
        _NOTHING_SORTED,
        _NO_SAMPLES,
        _ALL,
        when=_has_no_samples,
    ),
    _known(
        "derivatives_go_where_the_numbers_come_from",
        _NOTHING_SORTED,
        _NO_SAMPLES,
        {"axis": "samples", "way": (_SORTS, 1), "selection": Labels.range("system", 1)},
        when=lambda x: _has_no_samples(x) and _has_gradients(x),
        drawn=lambda drawn: drawn["way"][0] == _SORTS,
    ),
    _known(
        "a_slice_has_what_is_selected",
        "slices refuse positions, which the documents allow: the argument is declared as Labels [doc]",
        _ONE,
        {"axis": "samples", "selection": [0], "kind": "selection"},
        drawn=lambda drawn: not isinstance(drawn["selection"], Labels),
    ),
    _known(
        "unique_metadata_are_the_distinct_rows_in_order",
        "tuples of several names are refused, which the documents allow: they are declared as tuples of "
        "one [doc]",
        _TWO_NAMES,
        {"axis": "properties", "gradient": None, "names": ["n", "l"], "way": "tuple(names)"},
        drawn=lambda drawn: drawn["way"] == "tuple(names)" and len(drawn.get("names", "_")) > 1,
    ),
)

_NO_TENSORS = (
    "tensors as values are refused {}: torch's index_select gets positions that are an array of "
    "numpy's, a TypeError; documents allow such values [doc]"
)
_ALONG_PROPERTIES = _NO_TENSORS.format("along properties")
_OF_GRADIENTS = _NO_TENSORS.format("where there are gradients")
_NO_ENTRIES = (
    "labels without entries can't be sorted: the array of their order has no columns, an error [doc]"
)
_WITH_GRADIENT = _map(Labels.range("system", 1), gradient=True)
_WITH_COMPONENT = TensorMap(
    Labels.range("key", 1),
    [
        TensorBlock(
            torch.ones((1, 1, 1)), Labels.range("s", 1), [Labels.range("xyz", 1)], Labels.range("n", 1)
        )
    ],
)
#: What is drawn of laws that cut along an axis, but the axis.
_CUTS: tuple[tuple[str, Callable[[Labels], _Drawn]], ...] = (
    ("a_slice_has_what_is_selected", lambda one: {"selection": one, "kind": "selection"}),
    (
        "a_split_has_a_slice_for_each_selection",
        lambda one: {"selections": [one], "kind": "selections[0]"},
    ),
    ("a_join_of_what_was_split_is_the_map", lambda one: {"owners": {(0,): 0}}),
    (
        "derivatives_go_where_the_numbers_come_from",
        lambda one: {"way": (_SLICES, 0), "selection": one},
    ),
)


def _is_cut(drawn: _Drawn) -> bool:
    """Whether anything is cut: something is selected, and by a slice."""
    return drawn.get("selections") != [] and drawn.get("way", (_SLICES,))[0] == _SLICES


LEARN: tuple[Known, ...] = (
    *_BOTH,
    *(
        _known(
            law,
            _ALONG_PROPERTIES,
            _ONE,
            {"axis": "properties", **draws(Labels.range("n", 1))},
            when=lambda x: len(x) > 0,
            drawn=lambda drawn: drawn["axis"] == "properties" and _is_cut(drawn),
        )
        for law, draws in _CUTS
    ),
    *(
        _known(
            law,
            _OF_GRADIENTS,
            _WITH_GRADIENT,
            {"axis": "samples", **draws(Labels.range("system", 1))},
            when=_has_gradients,
            drawn=_is_cut,
        )
        for law, draws in _CUTS
    ),
    _known(
        "sorting_moves_numbers_with_their_labels",
        _NO_ENTRIES,
        _EMPTY,
        _ALL,
        when=_has_empty_labels,
    ),
    _known(
        "sorting_moves_numbers_with_their_labels",
        _ALONG_PROPERTIES,
        _ONE,
        {"axes": "properties", "descending": False},
        when=lambda x: len(x) > 0,
        drawn=lambda drawn: drawn["axes"] == "all" or "properties" in drawn["axes"],
    ),
    _known(
        "sorting_moves_numbers_with_their_labels",
        _NO_TENSORS.format("along components"),
        _WITH_COMPONENT,
        {"axes": "components", "descending": False},
        when=_has_components,
        drawn=lambda drawn: drawn["axes"] == "all" or "components" in drawn["axes"],
    ),
    _known(
        "sorting_moves_numbers_with_their_labels",
        "the list of axes that is given is changed: keys are taken out of it [doc]",
        _ONE,
        {"axes": ["keys"], "descending": False},
        drawn=lambda drawn: isinstance(drawn["axes"], list) and "keys" in drawn["axes"],
    ),
    _known(
        "derivatives_go_where_the_numbers_come_from",
        _NO_TENSORS.format("by sort"),
        _ONE,
        {"axis": "samples", "way": (_SORTS, 1), "selection": Labels.range("system", 1)},
        drawn=lambda drawn: drawn["way"][0] == _SORTS,
    ),
)
