"""Maps in the order of their labels."""

from __future__ import annotations

from collections.abc import Sequence

from ..block import TensorBlock
from ..labels import Labels
from ..moves import attach
from ..tensor_map import TensorMap
from ._common import check_blocks, check_maps, check_names
from ._taking import lexicographic, properties_taken, samples_taken

_OF_BLOCKS = ("samples", "components", "properties")


def sort(tensor: TensorMap, axes: str | Sequence[str] = "all", descending: bool = False) -> TensorMap:
    """The map with its labels in lexicographic order, and its numbers where their labels are.

    ``axes`` is one of ``"keys"``, ``"samples"``, ``"components"`` and ``"properties"``, a list of them,
    or ``"all"``; where ``descending``, the order is the opposite one. Gradients are sorted with the
    values: their samples by where the sample is now, then by their further dimensions.

    Raises TypeError for something other than a map, names and a bool, ValueError for an unknown axis.

    Source: the documentation of ``metatensor.sort``.
    """
    check_maps(tensor=tensor)
    names = _checked(axes, descending, ("keys", *_OF_BLOCKS))
    keys, blocks = tensor.keys, tensor._map_blocks(lambda block: _sorted(block, names, descending))
    if "keys" not in names:
        return blocks
    rows = keys._tensor()
    order = lexicographic(rows, descending)
    return TensorMap._unchecked(
        Labels._of_tensor(keys._names, rows[order], keys.device),
        [blocks._blocks[i] for i in order.tolist()],
        tensor._info,
    )


def sort_block(
    block: TensorBlock, axes: str | Sequence[str] = "all", descending: bool = False
) -> TensorBlock:
    """The block with the rows of its labels in lexicographic order: what :func:`sort` makes of each.

    Source: the documentation of ``metatensor.sort_block``.
    """
    check_blocks(block=block)
    return _sorted(block, _checked(axes, descending, _OF_BLOCKS), descending)


def _checked(axes: str | Sequence[str], descending: bool, known: tuple[str, ...]) -> Sequence[str]:
    """The names of the axes."""
    if not isinstance(descending, bool):
        raise TypeError(
            f"descending must be a bool, got {descending!r} of type {type(descending).__name__}"
        )
    if axes == "all":
        return known
    names = (axes,) if isinstance(axes, str) else axes
    check_names("axes", names)
    for name in names:
        if name not in known:
            raise ValueError(f'axes must be "all" or some of {list(known)}, got {name!r}')
    return names


def _sorted(block: TensorBlock, axes: Sequence[str], descending: bool) -> TensorBlock:
    made = block.copy(deep=False)
    if "samples" in axes:
        order = lexicographic(made.samples._tensor(), descending)
        made = samples_taken(made, order, lambda rows: lexicographic(rows, descending))
    if "properties" in axes:
        made = properties_taken(made, lexicographic(made.properties._tensor(), descending))
    return _components_sorted(made, descending) if "components" in axes else made


def _components_sorted(block: TensorBlock, descending: bool) -> TensorBlock:
    values, components = block.values, []
    for axis, labels in enumerate(block._components, start=1):
        rows = labels._tensor()
        order = lexicographic(rows, descending)
        values = values.index_select(axis, order.to(values.device))
        components.append(Labels._of_tensor(labels._names, rows[order], labels.device))
    made = TensorBlock._unchecked(values, block.samples, tuple(components), block.properties)
    for parameter, gradient in block.gradients():
        attach(made, parameter, _components_sorted(gradient, descending))
    return made
