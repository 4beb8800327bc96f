"""Parts of a map: some of its blocks, and what it has without gradients."""

from __future__ import annotations

from collections.abc import Sequence

from ..block import TensorBlock
from ..labels import Labels
from ..printing import type_of
from ..tensor_map import TensorMap
from ._common import check_maps, check_names


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
    if not isinstance(keys, Labels):
        raise TypeError(f"keys must be Labels, got {type_of(keys)}")
    if not isinstance(copy, bool):
        raise TypeError(f"copy must be a bool, got {copy!r} of type {type(copy).__name__}")
    positions = tensor.keys._selected(keys).tolist()
    kept = tensor.keys._taken(positions)
    blocks = [tensor.block_by_id(i) for i in positions]
    filtered = TensorMap._unchecked(kept, blocks, tensor._info)
    return filtered.copy() if copy else filtered
