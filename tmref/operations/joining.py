"""Several maps, or blocks, as one: samples below each other, or properties beside each other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from ..block import TensorBlock
from ..labels import Labels
from ..moves import attach, distinct, gradient_rows
from ..printing import type_of
from ..tensor_map import TensorMap
from ._common import check_axis
from .equality import NotEqualError

_DIFFERENT_KEYS = ("error", "intersection", "union")
_Data = TypeVar("_Data", TensorMap, TensorBlock)
#: The rows of the i-th map's labels among those of the joined ones.
_RowsOf = Callable[[int, Labels], torch.Tensor]


def join(
    tensors: Sequence[TensorMap],
    axis: str,
    different_keys: str = "error",
    add_dimension: str | None = None,
) -> TensorMap:
    """The map whose blocks have the samples, or the properties, of the blocks of all ``tensors``.

    With ``axis="samples"`` blocks of the shapes ``(samples_i, *components, properties)`` become one of
    the shape ``(Σ samples_i, *components, properties)``; with ``"properties"`` those of the shapes
    ``(samples, *components, properties_i)`` become one of ``(samples, *components, Σ properties_i)``.
    The maps come in order, and labels of the other axes have to be the same. ``add_dimension`` is the
    name of a last dimension of the joined labels: which of the maps, from 0. Properties of different
    names become ``joined_index``, which of the maps, and ``property``, which of its properties.

    Where ``different_keys`` is ``"error"``, all maps have to have the same keys, in any order; where it
    is ``"intersection"``, there are blocks for the keys that all of them have; where it is ``"union"``,
    for those that any has: a map without such a block has nothing to join there. They come in the order
    in which keys occur first. Gradients are joined with the values; along properties they are 0 where a
    map has no gradient of a sample that another one has it of. dtypes are promoted as torch does.

    Raises TypeError for something other than a list of maps, and strings; ValueError for no maps, an
    unknown axis or way, labels that would be there twice, samples of different names, or of names in
    another order, different names with ``add_dimension``, and maps on different devices; NotEqualError
    where keys or labels differ that have to be the same.

    Source: the documentation of ``metatensor.join``.
    """
    _check_data("tensors", tensors, TensorMap)
    _check_options(axis, add_dimension)
    if different_keys not in _DIFFERENT_KEYS:
        raise ValueError(f"different_keys must be one of {_DIFFERENT_KEYS}, got {different_keys!r}")
    tensors = _of_one_dtype(tensors, [block.dtype for tensor in tensors for block in tensor])
    first = tensors[0].keys
    of_key: dict[tuple[int, ...], dict[int, TensorBlock]] = {}
    for i, tensor in enumerate(tensors):
        if tensor.keys._names != first._names:
            raise NotEqualError(
                "maps to join must have keys of the same dimensions, "
                f"got {first.names} and {tensor.keys.names}"
            )
        for row, block in zip(tensor.keys._entries(), tensor._blocks, strict=True):
            of_key.setdefault(row, {})[i] = block
    if different_keys != "union":
        common = {row: found for row, found in of_key.items() if len(found) == len(tensors)}
        if different_keys == "error" and common.keys() != of_key.keys():
            row = next(row for row in of_key if row not in common)
            raise NotEqualError(
                f"maps to join must have the same keys, but {list(row)} of {first.names} is not in all "
                'of them; different_keys="intersection" leaves it out, "union" joins what there is'
            )
        of_key = common

    blocks = [block for found in of_key.values() for block in found.values()]
    names, rows_of = _naming(blocks, axis, add_dimension)
    joined = [_joined(found, axis, names, rows_of) for found in of_key.values()]
    rows = torch.tensor(list(of_key), dtype=torch.int32).reshape(len(of_key), len(first._names))
    return TensorMap(Labels._of_tensor(first._names, rows, first.device), joined)


def join_blocks(
    blocks: Sequence[TensorBlock], axis: str, add_dimension: str | None = None
) -> TensorBlock:
    """The block that has the samples, or the properties, of all ``blocks``: what :func:`join` makes of
    the blocks under one key.

    Source: the documentation of ``metatensor.join_blocks``.
    """
    _check_data("blocks", blocks, TensorBlock)
    _check_options(axis, add_dimension)
    blocks = _of_one_dtype(blocks, [block.dtype for block in blocks])
    return _joined(dict(enumerate(blocks)), axis, *_naming(blocks, axis, add_dimension))


def _check_data(name: str, data: object, kind: type) -> None:
    if not isinstance(data, (list, tuple)):
        raise TypeError(f"{name} must be a list of {kind.__name__}, got {type_of(data)}")
    for i, item in enumerate(data):
        if not isinstance(item, kind):
            raise TypeError(f"{name}[{i}] must be a {kind.__name__}, got {type_of(item)}")
    if not data:
        raise ValueError(f"{name} must have at least one {kind.__name__} to join, got none")
    devices = list(dict.fromkeys(item.device for item in data))
    if len(devices) > 1:
        raise ValueError(
            f"{name} must be on one device, got {devices[0]} and {devices[1]}; move them with .to"
        )


def _check_options(axis: object, add_dimension: object) -> None:
    check_axis(axis, "samples", "properties")
    if add_dimension is not None and not isinstance(add_dimension, str):
        raise TypeError(f"add_dimension must be a string or None, got {type_of(add_dimension)}")


def _of_one_dtype(data: Sequence[_Data], dtypes: Sequence[torch.dtype]) -> Sequence[_Data]:
    if len(set(dtypes)) < 2:
        return data
    return [item.to(functools.reduce(torch.promote_types, dtypes)) for item in data]


def _naming(
    blocks: Sequence[TensorBlock], axis: str, add_dimension: str | None
) -> tuple[tuple[str, ...], _RowsOf]:
    """The names of the joined labels, and how their rows are made."""
    every = list(dict.fromkeys(getattr(block, axis)._names for block in blocks))
    if len(every) > 1:
        found = f"{list(every[0])} and {list(every[1])}"
        if axis == "samples":
            raise ValueError(
                f"samples to join must have the same names in the same order, got {found}; "
                "rename_dimension and permute_dimensions change them"
            )
        if add_dimension is not None:
            raise ValueError(
                f"properties to join have different names, {found}, so that they are numbered anew: "
                f"there is nothing to add the dimension {add_dimension!r} to"
            )
        return ("joined_index", "property"), lambda i, labels: _numbered(i, _counted(labels))
    names: tuple[str, ...] = every[0] if every else ()
    if add_dimension is None:
        return names, lambda i, labels: labels._tensor()
    if add_dimension in names:
        raise ValueError(f"add_dimension must be a new name, but {axis} have {list(names)} already")
    return (*names, add_dimension), lambda i, labels: _numbered(i, labels._tensor(), last=True)


def _numbered(i: int, rows: torch.Tensor, last: bool = False) -> torch.Tensor:
    """The rows with a first, or a ``last``, column of ``i``."""
    column = torch.full((len(rows), 1), i, dtype=torch.int32)
    return torch.cat([rows, column] if last else [column, rows], 1)


def _counted(labels: Labels) -> torch.Tensor:
    return torch.arange(len(labels), dtype=torch.int32)[:, None]


def _joined(
    found: dict[int, TensorBlock], axis: str, names: tuple[str, ...], rows_of: _RowsOf
) -> TensorBlock:
    blocks = list(found.values())
    _check_alike(blocks, "components", "properties" if axis == "samples" else "samples")
    rows = torch.cat([rows_of(i, getattr(block, axis)) for i, block in found.items()])
    if len(distinct([rows])[0]) < len(rows):
        raise ValueError(
            f"{axis} to join must be distinct, but some of {list(names)} are in several maps; "
            "add_dimension gives each of them the number of its map"
        )
    labels = Labels.empty(names).to(blocks[0].device)  # which checks the names
    labels = Labels._of_tensor(labels._names, rows, labels.device)
    return _below(blocks, labels) if axis == "samples" else _beside(blocks, blocks[0].samples, labels)


def _below(blocks: Sequence[TensorBlock], samples: Labels) -> TensorBlock:
    """The blocks below each other, which have these samples together."""
    values = torch.cat([block.values for block in blocks])
    joined = TensorBlock._unchecked(values, samples, blocks[0]._components, blocks[0].properties)
    places = torch.arange(len(samples)).split([len(block) for block in blocks])
    for parameter, gradients in _gradients(blocks):
        again = torch.cat([gradient_rows(g, to) for g, to in zip(gradients, places, strict=True)])
        labels = Labels._of_tensor(gradients[0].samples._names, again, samples.device)
        attach(joined, parameter, _below(gradients, labels))
    return joined


def _beside(
    blocks: Sequence[TensorBlock],
    samples: Labels,
    properties: Labels,
    places: Sequence[torch.Tensor] | None = None,
) -> TensorBlock:
    """The blocks beside each other, which have these properties together. Where their samples aren't
    ``samples``, ``places`` are where those of each are among them; elsewhere it is 0."""
    pieces = [block.values for block in blocks]
    if places is None:
        places = [torch.arange(len(samples))] * len(blocks)
    else:
        zeros = [values.new_zeros((len(samples), *values.shape[1:])) for values in pieces]
        pieces = [
            zero.index_copy(0, to.to(zero.device), values)
            for zero, to, values in zip(zeros, places, pieces, strict=True)
        ]
    values = torch.cat(pieces, -1)
    joined = TensorBlock._unchecked(values, samples, blocks[0]._components, properties)
    for parameter, gradients in _gradients(blocks):
        again = [gradient_rows(g, to) for g, to in zip(gradients, places, strict=True)]
        rows, of_each = distinct(again, sort=False)
        labels = Labels._of_tensor(gradients[0].samples._names, rows, samples.device)
        attach(joined, parameter, _beside(gradients, labels, properties, of_each))
    return joined


def _gradients(blocks: Sequence[TensorBlock]) -> list[tuple[str, list[TensorBlock]]]:
    """The gradients by parameter, which fit each other."""
    for block in blocks:
        if set(block._gradients) != set(blocks[0]._gradients):
            raise NotEqualError(
                "what is joined must have the same gradients, "
                f"got {blocks[0].gradients_list()} and {block.gradients_list()}"
            )
    found = []
    for parameter in blocks[0]._gradients:
        gradients = [block._gradients[parameter] for block in blocks]
        _check_alike(gradients, "components", of=f" of the gradient {parameter!r}")
        names = [gradient.samples._names for gradient in gradients]
        for other in names:
            if other != names[0]:
                raise NotEqualError(
                    f"samples of the gradient {parameter!r} to join must have the same names, "
                    f"got {list(names[0])} and {list(other)}"
                )
        found.append((parameter, gradients))
    return found


def _check_alike(blocks: Sequence[TensorBlock], *parts: str, of: str = "") -> None:
    for part in parts:
        for block in blocks:
            if getattr(block, part) != getattr(blocks[0], part):
                raise NotEqualError(
                    f"what is joined must have the same {part}{of}, in the same order, but they differ "
                    f"in blocks of the shapes {tuple(blocks[0].shape)} and {tuple(block.shape)}"
                )
