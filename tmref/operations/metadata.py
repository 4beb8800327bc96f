"""What labels of all blocks have."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..block import TensorBlock
from ..labels import Labels
from ..moves import distinct
from ..tensor_map import TensorMap
from ._common import check_axis, check_blocks, check_maps, check_names


def unique_metadata(
    tensor: TensorMap, axis: str, names: str | Sequence[str], gradient: str | None = None
) -> Labels:
    """The distinct rows that the labels of an axis have in the dimensions ``names``, over all blocks.

    ``axis`` is ``"samples"`` or ``"properties"``, of the values, or of the ``gradient`` with respect to
    that parameter. The rows are in lexicographic order, on the map's device; there are none where there
    are no entries.

    Raises TypeError for something other than a map and names, ValueError for another axis, a dimension
    that isn't there, or is named twice, and a gradient that isn't there.

    Source: the documentation of ``metatensor.unique_metadata``.
    """
    check_maps(tensor=tensor)
    return _distinct(tensor._blocks, axis, names, gradient, tensor.device)


def unique_metadata_block(
    block: TensorBlock, axis: str, names: str | Sequence[str], gradient: str | None = None
) -> Labels:
    """The distinct rows that the labels of an axis have in the dimensions ``names``: what
    :func:`unique_metadata` gives for a block alone.

    Source: the documentation of ``metatensor.unique_metadata_block``.
    """
    check_blocks(block=block)
    return _distinct([block], axis, names, gradient, block.device)


def _distinct(
    blocks: Sequence[TensorBlock],
    axis: str,
    names: str | Sequence[str],
    gradient: str | None,
    device: torch.device,
) -> Labels:
    check_axis(axis, "samples", "properties")
    names = [names] if isinstance(names, str) else names
    check_names("names", names)
    if gradient is not None:
        blocks = [block.gradient(gradient) for block in blocks]
    result = Labels.empty(names)  # which checks them
    every = [result._tensor()]
    for block in blocks:
        labels: Labels = getattr(block, axis)
        for name in names:
            if name not in labels._names:
                raise ValueError(f"no dimension {name!r} in the {axis}, which have {labels.names}")
        every.append(labels._tensor()[:, [labels._names.index(name) for name in names]])
    return Labels._of_tensor(result._names, distinct(every)[0], device)
