"""Maps whose labels have other dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ..block import TensorBlock
from ..labels import Labels
from ..printing import type_of
from ..tensor_map import TensorMap
from ._common import check_axis, check_maps

_AXES = ("keys", "samples", "properties")
_INTEGERS = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
_Change = Callable[[Labels], Labels]


def append_dimension(tensor: TensorMap, axis: str, name: str, values: torch.Tensor | int) -> TensorMap:
    """The map with a new last dimension in the labels of an axis: :func:`insert_dimension` at the end.

    Source: the documentation of ``metatensor.append_dimension``.
    """
    check_maps(tensor=tensor)
    check_axis(axis, *_AXES)
    return _changed(tensor, axis, lambda labels: _inserted(labels, len(labels._names), name, values))


def insert_dimension(
    tensor: TensorMap, axis: str, index: int, name: str, values: torch.Tensor | int
) -> TensorMap:
    """The map with a new dimension in the labels of an axis, before the dimension at ``index``.

    ``axis`` is ``"keys"``, ``"samples"`` or ``"properties"``. ``values`` are an integer, or a tensor of
    one for each entry, in every block; samples of gradients have no new dimension. Numbers are shared.

    Raises TypeError for something other than a map, an int, a string and integers, ValueError for an
    unknown axis, an index that is no place, a name that is there or is no identifier, values of
    another number, or beyond 32 bits.

    Source: the documentation of ``metatensor.insert_dimension``.
    """
    check_maps(tensor=tensor)
    check_axis(axis, *_AXES)
    _check_integer("index", index)
    return _changed(tensor, axis, lambda labels: _inserted(labels, index, name, values))


def permute_dimensions(tensor: TensorMap, axis: str, dimensions_indexes: Sequence[int]) -> TensorMap:
    """The map whose i-th dimension of an axis is the one that was at ``dimensions_indexes[i]``.

    ``axis`` is ``"keys"``, ``"samples"`` or ``"properties"``; samples of gradients stay as they are.
    Numbers are shared.

    Raises TypeError for something other than a map and a list of integers, ValueError for an unknown
    axis, and where these are not the indices of all dimensions.

    Source: the documentation of ``metatensor.permute_dimensions``.
    """
    check_maps(tensor=tensor)
    check_axis(axis, *_AXES)
    if not isinstance(dimensions_indexes, (list, tuple)):
        raise TypeError(f"dimensions_indexes must be a list, got {type_of(dimensions_indexes)}")
    for index in dimensions_indexes:
        _check_integer("dimensions_indexes", index)

    def permuted(labels: Labels) -> Labels:
        names = labels.names
        if sorted(dimensions_indexes) != list(range(len(names))):
            raise ValueError(
                f"dimensions_indexes must be an order of the {len(names)} dimensions {names} of the "
                f"{axis}, got {list(dimensions_indexes)}"
            )
        order = list(dimensions_indexes)
        return _made([names[i] for i in order], labels._tensor()[:, order], labels)

    return _changed(tensor, axis, permuted)


def remove_dimension(tensor: TensorMap, axis: str, name: str) -> TensorMap:
    """The map without a dimension of the labels of an axis, which have to be distinct without it.

    ``axis`` is ``"keys"``, ``"samples"`` or ``"properties"``; samples of gradients keep theirs. Numbers
    are shared.

    Raises TypeError for something other than a map and a name, ValueError for an unknown axis, a name
    that isn't there, the only dimension, and entries that differ in it alone.

    Source: the documentation of ``metatensor.remove_dimension``.
    """
    check_maps(tensor=tensor)
    check_axis(axis, *_AXES)

    def without(labels: Labels) -> Labels:
        left = labels.names
        left.pop(_index_of(name, labels, axis))
        if not left:
            raise ValueError(f"{name!r} is the only dimension of the {axis}, which can't have none")
        rows = labels._tensor()[:, [labels.names.index(other) for other in left]]
        return _made(left, rows, labels)

    return _changed(tensor, axis, without)


def rename_dimension(tensor: TensorMap, axis: str, old: str, new: str) -> TensorMap:
    """The map with the dimension ``old`` of an axis called ``new``.

    ``axis`` is ``"keys"``, ``"samples"``, ``"components"`` or ``"properties"``. Gradients are changed
    with the values: dimensions of their samples that have the name, but for their first, and components.
    Numbers are shared.

    Raises TypeError for something other than a map and names, ValueError for an unknown axis, a name
    that isn't there, and one that is there already, or is no identifier.

    Source: the documentation of ``metatensor.rename_dimension``; of gradients, its behaviour.
    """
    check_maps(tensor=tensor)
    check_axis(axis, *_AXES, "components")

    def renamed(labels: Labels) -> Labels:
        names = labels.names
        names[_index_of(old, labels, axis)] = new
        return _made(names, labels._tensor(), labels)

    def of_gradients(block: TensorBlock) -> None:
        for _, gradient in block.gradients():
            if old in gradient.samples._names[1:]:
                gradient._samples = renamed(gradient.samples)
            of_gradients(gradient)

    if axis == "components":
        return tensor._map_blocks(lambda block: _components_renamed(block, old, renamed))
    changed = _changed(tensor, axis, renamed)
    for block in changed if axis == "samples" else ():
        of_gradients(block)
    return changed


def _components_renamed(block: TensorBlock, old: str, renamed: _Change) -> TensorBlock:
    made, names = block.copy(deep=False), set()

    def change(part: TensorBlock) -> None:
        names.update(part_names := [labels.names[0] for labels in part._components])
        components = tuple(renamed(c) if old in c._names else c for c in part._components)
        left = [labels.names[0] for labels in components]
        if len(set(left)) < len(left):
            raise ValueError(f"the components have the dimension already: {part_names} can't be {left}")
        part._components = components
        for _, gradient in part.gradients():
            change(gradient)

    change(made)
    if old not in names:
        raise ValueError(f"no dimension {old!r} in the components, which have {sorted(names)}")
    return made


def _changed(tensor: TensorMap, axis: str, change: _Change) -> TensorMap:
    """The map with the labels of an axis changed."""
    if axis == "keys":
        return TensorMap._unchecked(change(tensor.keys), tensor._blocks, tensor._info)

    def changed(block: TensorBlock) -> TensorBlock:
        made = block.copy(deep=False)
        if axis == "samples":
            made._samples = change(block.samples)
        else:
            _set_properties(made, change(block.properties))
        return made

    return tensor._map_blocks(changed)


def _set_properties(block: TensorBlock, properties: Labels) -> None:
    block._properties = properties
    for _, gradient in block.gradients():
        _set_properties(gradient, properties)


def _made(names: list[str], rows: torch.Tensor, labels: Labels) -> Labels:
    """Labels of these rows where others are."""
    return Labels(names, rows).to(labels.device)


def _inserted(labels: Labels, index: int, name: str, values: torch.Tensor | int) -> Labels:
    names = labels.names
    if not 0 <= index <= len(names):
        raise ValueError(f"index must be from 0 to {len(names)}, for {names}, got {index}")
    rows = labels._tensor().long()
    if isinstance(values, torch.Tensor):
        if values.dtype not in _INTEGERS:
            raise TypeError(f"values must be signed integers or uint8, got a tensor of {values.dtype}")
        if values.shape != (len(labels),):
            raise ValueError(
                f"values must have one entry for each of the {len(labels)} of {names}, "
                f"got the shape {tuple(values.shape)}; an integer is for all entries"
            )
        column = values.detach().to("cpu", torch.int64)
    else:
        _check_integer("values", values)
        if not -(2**31) <= values < 2**31:
            raise ValueError(f"values must fit in 32 bits, got {values}")
        column = torch.full((len(labels),), values)
    names.insert(index, name)
    return _made(names, torch.cat([rows[:, :index], column[:, None], rows[:, index:]], 1), labels)


def _check_integer(name: str, value: object) -> None:
    if type(value) is not int:
        raise TypeError(f"{name} must be an integer, got {value!r} of type {type(value).__name__}")


def _index_of(name: object, labels: Labels, axis: str) -> int:
    if not isinstance(name, str):
        raise TypeError(f"the name of a dimension must be a string, got {type_of(name)}")
    if name not in labels._names:
        raise ValueError(f"no dimension {name!r} in the {axis}, which have {labels.names}")
    return labels._names.index(name)
