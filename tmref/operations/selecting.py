"""Parts of a map: some of its blocks, samples or properties, and what it has without gradients."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..block import TensorBlock
from ..labels import Labels
from ..printing import type_of
from ..tensor_map import TensorMap
from ._common import check_axis, check_blocks, check_maps, check_names
from ._taking import properties_taken, samples_taken

#: Labels of some of an axis' dimensions, or positions.
Selection = Labels | torch.Tensor | Sequence[int]


def remove_gradients(tensor: TensorMap, remove: Sequence[str] | None = None) -> TensorMap:
    """The map without its explicit gradients, or without those named in ``remove``.

    Values are shared. Names without a gradient are ignored. Raises TypeError for something other than
    a map, or a list of names.

    Source: the documentation of ``metatensor.remove_gradients``.
    """
    check_maps(tensor=tensor)
    if remove is not None:
        check_names("remove", remove)

    def without(block: TensorBlock) -> TensorBlock:
        block = block.copy(deep=False)
        gone = block._gradients if remove is None else remove
        block._gradients = {p: g for p, g in block._gradients.items() if p not in gone}
        return block

    return tensor._map_blocks(without)


def filter_blocks(tensor: TensorMap, keys: Labels, copy: bool = False) -> TensorMap:
    """The blocks whose key is selected by ``keys``, in the order of :meth:`Labels.select`.

    ``keys`` may have some of the keys' dimensions only; its rows that match no key are ignored.
    Values are shared, or copied (and detached) where ``copy`` is true.

    Raises TypeError for something other than a map, Labels and a bool, ValueError where ``keys`` has a
    dimension that the map's keys don't have.

    Source: the documentation of ``metatensor.filter_blocks``.
    """
    check_maps(tensor=tensor)
    _check_keys(keys)
    return _of_blocks_at(tensor, tensor.keys.select(keys).tolist(), copy)


def drop_blocks(tensor: TensorMap, keys: Labels, copy: bool = False) -> TensorMap:
    """The blocks whose key is not selected by ``keys``, in their order.

    Takes and raises what :func:`filter_blocks` does, which gives the others.

    Source: the documentation of ``metatensor.drop_blocks``.
    """
    check_maps(tensor=tensor)
    _check_keys(keys)
    dropped = set(tensor.keys.select(keys).tolist())
    return _of_blocks_at(tensor, [i for i in range(len(tensor)) if i not in dropped], copy)


def drop_empty_blocks(tensor: TensorMap, copy: bool = False) -> TensorMap:
    """The blocks that have values: samples and properties (components have entries), in their order.

    Values are shared, or copied (and detached) where ``copy`` is true. Raises TypeError for something
    other than a map and a bool.

    Source: the documentation of ``metatensor.drop_empty_blocks``.
    """
    check_maps(tensor=tensor)
    return _of_blocks_at(tensor, [i for i, block in enumerate(tensor) if block.values.numel()], copy)


def slice(tensor: TensorMap, axis: str, selection: Selection) -> TensorMap:
    """The map with the selected samples, or properties, of every block.

    ``axis`` is ``"samples"`` or ``"properties"``. ``selection`` are Labels of some of its dimensions,
    which select every row that agrees with one of theirs; or positions, a list or a tensor of integers,
    negative ones from the end. What is selected comes in the order of :meth:`Labels.select`, or of the
    positions. Blocks that have nothing of it stay, without samples or properties. Gradients are cut with
    the values, their samples being those of the samples left.

    Raises TypeError for something other than a map and a selection, ValueError for another axis, a
    dimension that isn't there, a tensor that isn't flat, or a position that is there twice, and
    IndexError for one that a block doesn't have.

    Source: the documentation of ``metatensor.slice``; positions there more than once are ours.
    """
    check_maps(tensor=tensor)
    check_axis(axis, "samples", "properties")
    _check_selection(selection)
    return tensor._map_blocks(lambda block: _sliced(block, axis, selection))


def slice_block(block: TensorBlock, axis: str, selection: Selection) -> TensorBlock:
    """The block with the selected samples, or properties: what :func:`slice` makes of each block.

    Source: the documentation of ``metatensor.slice_block``.
    """
    check_blocks(block=block)
    check_axis(axis, "samples", "properties")
    _check_selection(selection)
    return _sliced(block, axis, selection)


def split(tensor: TensorMap, axis: str, selections: Sequence[Selection]) -> list[TensorMap]:
    """The slices of a map, one for each of the ``selections``, which may be of different kinds.

    Raises TypeError where they are no list, and what :func:`slice` raises, which makes each.

    Source: the documentation of ``metatensor.split``.
    """
    check_maps(tensor=tensor)
    check_axis(axis, "samples", "properties")
    return [slice(tensor, axis, selection) for selection in _checked_list(selections)]


def split_block(block: TensorBlock, axis: str, selections: Sequence[Selection]) -> list[TensorBlock]:
    """The slices of a block, one for each of the ``selections``: what :func:`split` makes of each block.

    Source: the documentation of ``metatensor.split_block``.
    """
    check_blocks(block=block)
    check_axis(axis, "samples", "properties")
    return [slice_block(block, axis, selection) for selection in _checked_list(selections)]


def _check_keys(keys: object) -> None:
    if not isinstance(keys, Labels):
        raise TypeError(f"keys must be Labels, got {type_of(keys)}")


def _of_blocks_at(tensor: TensorMap, positions: list[int], copy: bool) -> TensorMap:
    if not isinstance(copy, bool):
        raise TypeError(f"copy must be a bool, got {copy!r} of type {type(copy).__name__}")
    keys = tensor.keys
    kept = Labels._of_tensor(keys._names, keys._tensor()[positions], keys.device)
    filtered = TensorMap._unchecked(kept, [tensor._blocks[i] for i in positions], tensor._info)
    return filtered.copy() if copy else filtered


def _checked_list(selections: object) -> Sequence[Selection]:
    if not isinstance(selections, (list, tuple)):
        raise TypeError(f"selections must be a list of selections, got {type_of(selections)}")
    return selections


def _check_selection(selection: object) -> None:
    if isinstance(selection, Labels):
        return
    if isinstance(selection, torch.Tensor):
        if selection.dim() != 1:
            raise ValueError(
                f"a selection must be a tensor of one axis, got the shape {tuple(selection.shape)}"
            )
        if selection.numel() and (
            selection.is_floating_point() or selection.is_complex() or selection.dtype == torch.bool
        ):
            raise TypeError(
                f"a selection must be a tensor of positions, integers, got one of {selection.dtype}"
            )
    elif not isinstance(selection, (list, tuple)) or not all(type(i) is int for i in selection):
        raise TypeError(
            f"a selection must be Labels, a tensor or a list of integers, got {type_of(selection)}"
        )


def _sliced(block: TensorBlock, axis: str, selection: Selection) -> TensorBlock:
    positions = _positions(getattr(block, axis), axis, selection)
    if axis == "properties":
        return properties_taken(block, positions)
    return samples_taken(block, positions, lambda rows: (rows[:, 0] >= 0).nonzero().flatten())


def _positions(labels: Labels, axis: str, selection: Selection) -> torch.Tensor:
    """Where the selected entries of ``axis`` are."""
    if isinstance(selection, Labels):
        return labels.select(selection).to("cpu")
    given = torch.as_tensor(selection).to("cpu", torch.int64)
    outside = given[(given < -len(labels)) | (given >= len(labels))]
    if len(outside):
        raise IndexError(f"no entry {int(outside[0])} in the {axis} of a block, which has {len(labels)}")
    positions = given.remainder(max(1, len(labels)))
    if len(torch.unique(positions)) != len(positions):
        raise ValueError(
            f"positions must be distinct, for {axis} are, but some of {given.tolist()} are the same "
            f"of {len(labels)}"
        )
    return positions
