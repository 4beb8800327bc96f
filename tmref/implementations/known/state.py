"""What is known to be wrong with what metatensor's modules keep, load and convert, in both flavours."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch

from ... import catalog
from ...block import TensorBlock
from ...catalog import ROWS, Recipe, Row
from ...labels import Labels
from ...tensor_map import TensorMap
from .. import Example, Known
from .examples import keys_of, map_of_ones

_WITH_PARAMETERS = tuple(
    row.name for row in ROWS if any(layer.parameter_shapes(1, 1) for layer in row.layers)
)
_BY_INVARIANCE = tuple(row.name for row in ROWS if row.by_invariance)
#: Modules that are all alike, whatever their sizes.
_ALIKE = tuple(row.name for row in ROWS if row.name not in {*_WITH_PARAMETERS, *_BY_INVARIANCE})
_DIFFERING = tuple(row.name for row in ROWS if row.name not in _ALIKE)

#: The code of a nest with a map or a block in it.
_WITH_VALUES = re.compile(r"\bx\b(?!\.keys|\.block\(0\)\.samples)")
_REGISTERED = "self.register_buffer(name, value, persistent=persistent)"


def _has_differing_modules(recipe: Recipe, x: Any) -> bool:
    return any(part != recipe.parts[0] for part in recipe.parts)


def _is_shuffled(drawn: dict[str, Any]) -> bool:
    return list(drawn["order"]) != sorted(drawn["order"])


def _recipe(
    row: Row, sizes: list[int], in_keys: Labels | None = None, properties: list[Labels] | None = None
) -> Recipe:
    """A module of so many features for each key, whose parameters are ones."""
    keys = keys_of(row, len(sizes))
    return catalog.recipe(
        row,
        keys,
        torch.float32,
        [[size] * (len(row.layers) + 1) for size in sizes],
        [
            [
                tuple(map(torch.ones, layer.parameter_shapes(size, size, is_invariant)))
                for layer in row.layers
            ]
            for size, is_invariant in zip(sizes, catalog.invariances(row, keys, None), strict=True)
        ],
        in_keys=in_keys,
        properties=properties,
        styles=[catalog.ArgumentStyle(dtype=False)] * len(row.layers),
    )


def _map(row: Row, sizes: list[int]) -> TensorMap:
    """A map of so many features in each block, all values -2."""
    keys, blocks = keys_of(row, len(sizes)), []
    for block, size in zip(map_of_ones(row, keys), sizes, strict=True):
        values = torch.full((*block.shape[:-1], size), -2.0)
        properties = Labels.range("n", size)
        blocks.append(TensorBlock(values, block.samples, block.components, properties))
    return TensorMap(keys, blocks)


def _keys_in_the_opposite_order(name: str) -> Example:
    row = catalog.row(name)
    sizes = [1, 1 if row.by_invariance else 2]
    return Example(_recipe(row, sizes), _map(row, sizes), {"order": [1, 0], "strict": True})


def _a_covariant_key_for_an_invariant_one(name: str) -> Example:
    row = catalog.row(name)
    keys = Labels(["o3_lambda", "o3_sigma"], torch.tensor([[1, 1]]))
    return Example(_recipe(row, [1]), _map(row, [1]), {"keys": keys, "alike": False})


def _sizes_in_the_opposite_order(name: str) -> Example:
    """For what works whatever the sizes are, without properties there."""
    row = catalog.row(name)
    sizes = [1, 1 if row.maps.get("one_width") else 2]
    x, by_key = _map(row, sizes), [Labels("n", torch.arange(1, 1 + size)[:, None]) for size in sizes]
    by_key[0] = Labels.range("n", 1)
    leaves_out = name in ("equivariant_tanh", "invariant_layer_norm")
    order = Labels(x.keys.names, x.keys.values.flip(0))
    here = _recipe(row, sizes, None, by_key)
    there = _recipe(row, sizes, order, None if leaves_out else by_key)
    return Example(here, x, {"other": there, "alike": False, "without_properties": leaves_out})


def _default_properties_there(name: str) -> Example:
    row = catalog.row(name)
    here, there = (_recipe(row, [1], None, properties) for properties in ([Labels.range("n", 1)], None))
    draws = {"other": there, "alike": True, "without_properties": True}
    return Example(here, _map(row, [1]), draws)


def _drawing(x: TensorMap, **draws: Any) -> Callable[[str], Example]:
    return lambda name: Example(None, x, {"registered": _REGISTERED, **draws})


def _one_value(dtype: torch.dtype) -> TensorMap:
    values, (system, n) = torch.ones((1, 1), dtype=dtype), map(Labels.range, ("system", "n"), (1, 1))
    return TensorMap(Labels.single(), [TensorBlock(values, system, [], n)])


_ONE = _one_value(torch.float32)
_POSITIONS = (
    "load_state_dict goes by position, not by key: each position of the module list gets the parameters "
    "of that position, and the keys of the other module, also where it then raises since shapes or "
    "classes differ; blocks go through modules that were made for other keys, or find none [doc]"
)

_BUFFERS = "buffers of metatensor data aren't held and saved as torch's are"

METATENSOR: tuple[Known, ...] = (
    Known(
        law="loading_goes_by_key",
        rows=_DIFFERING,
        when=_has_differing_modules,
        example=_keys_in_the_opposite_order,
        reason=_POSITIONS,
        draws=_is_shuffled,
    ),
    Known(
        law="loading_other_keys_gives_no_block_the_module_of_another",
        rows=_BY_INVARIANCE,
        when=lambda recipe, x: True,
        example=_a_covariant_key_for_an_invariant_one,
        reason=_POSITIONS,
        draws=lambda drawn: not drawn["alike"],
    ),
    Known(
        law="loading_other_sizes_leaves_a_module_that_works",
        rows=_DIFFERING,
        when=lambda recipe, x: True,
        example=_sizes_in_the_opposite_order,
        reason=_POSITIONS,
        draws=lambda drawn: not drawn["alike"],
    ),
    Known(
        law="loading_other_sizes_leaves_a_module_that_works",
        rows=tuple(row.name for row in ROWS),
        when=lambda recipe, x: True,
        example=_default_properties_there,
        reason="strict loading doesn't notice that out_properties are missing: a state dict of a module "
        "without them has no entry for them, and the module that it is loaded into keeps its own "
        "[torch]",
        draws=lambda drawn: drawn["alike"] and drawn["without_properties"],
    ),
    Known(
        law="conversions_leave_what_torchs_leave",
        rows=("any_module",),
        when=lambda recipe, x: not x.dtype.is_floating_point,
        example=_drawing(_one_value(torch.int64), nest="x", conversion=".double()"),
        reason="conversions and moves change dtypes that torch's leave: maps and blocks of integers get "
        "the floating dtype, complex ones become real; torch's leave buffers that aren't floating "
        "alone [torch]",
    ),
    Known(
        law="moving_to_a_device_keeps_the_dtype",
        rows=("any_module",),
        when=lambda recipe, x: x.dtype != torch.float32,
        example=_drawing(_one_value(torch.float64), nest="x", move=".cpu()"),
        reason="conversions and moves change dtypes that torch's leave: a move gives maps and blocks "
        "that of the empty buffer _mts_helper; .cpu() makes float64 values float32 [torch]",
    ),
    Known(
        law="converted_buffers_are_saved_and_loaded",
        rows=("any_module",),
        when=lambda recipe, x: len(x) > 0,
        example=_drawing(_ONE, nest="x", conversion=".bfloat16()"),
        reason=f"{_BUFFERS}: where one is a map or a "
        'block, state_dict() raises after .bfloat16(), "unsupported DLPack dtype" [torch]',
        draws=lambda drawn: (
            drawn["conversion"] == ".bfloat16()" and _WITH_VALUES.search(drawn["nest"]) is not None
        ),
    ),
    Known(
        law="loading_keeps_the_dtype_of_buffers_or_assigns_it",
        rows=("any_module",),
        when=lambda recipe, x: len(x) > 0,
        example=_drawing(_ONE, nest="x"),
        reason=f"{_BUFFERS}: maps and blocks take the "
        "dtype of the state dict whether it assigns or not; tensors keep theirs where it doesn't "
        "[torch]",
        draws=lambda drawn: _WITH_VALUES.search(drawn["nest"]) is not None,
    ),
    Known(
        law="strict_loading_notices_buffers",
        rows=("any_module",),
        when=lambda recipe, x: True,
        example=_drawing(_ONE, nest="x", buffers=["value=value, more=value", "value=value"]),
        reason=f"{_BUFFERS}: strict loading reports "
        "neither missing nor unexpected ones; load_state_dict promises both [torch]",
    ),
    Known(
        law="other_loading_adds_nothing",
        rows=("any_module",),
        when=lambda recipe, x: True,
        example=_drawing(_ONE, nest="x"),
        reason=f"{_BUFFERS}: loading sets those that "
        "the module hasn't as attributes of it; unexpected entries are to be ignored [torch]",
    ),
    Known(
        law="what_is_no_data_is_refused_or_kept",
        rows=("any_module",),
        when=lambda recipe, x: True,
        example=_drawing(_ONE, foreign="3", nest="({}, x)", converted=False),
        reason="a tuple with data and something else in it is accepted: what else is in it is None "
        "after saving and loading; lists and dictionaries are refused [doc]",
        draws=lambda drawn: drawn["nest"].startswith("(") and drawn.get("converted") is False,
    ),
    Known(
        law="tensors_in_nests_are_refused_or_buffers",
        rows=("any_module",),
        when=lambda recipe, x: True,
        example=_drawing(_ONE, nest="({}, x)"),
        reason="a tuple with data and something else in it is accepted: a tensor is neither converted "
        "nor moved; lists and dictionaries are refused [doc]",
        draws=lambda drawn: drawn["nest"].startswith("("),
    ),
    Known(
        law="names_that_torch_refuses_are_refused",
        rows=("any_module",),
        when=lambda recipe, x: True,
        example=_drawing(_ONE, nest="x", name="forward"),
        reason=f"{_BUFFERS}: one takes the place of "
        "an attribute or method of its name, and names that are empty or have a dot are accepted; "
        "torch raises a KeyError [torch]",
    ),
    Known(
        law="a_buffer_that_is_deleted_is_gone",
        rows=("any_module",),
        when=lambda recipe, x: True,
        example=_drawing(_ONE, nest="x"),
        reason=f"{_BUFFERS}: where one is deleted "
        ".to() and state_dict() raise an AttributeError, its name stays in the list of buffers [torch]",
    ),
)
