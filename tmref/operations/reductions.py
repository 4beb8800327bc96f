"""Sums over samples."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..block import TensorBlock
from ..labels import Labels
from ..moves import attach, distinct, gradient_rows
from ..tensor_map import TensorMap
from ._common import check_maps, check_names, of_blocks


def sum_over_samples(tensor: TensorMap, sample_names: str | Sequence[str]) -> TensorMap:
    """The sum over all samples that agree in the dimensions not named in ``sample_names``.

    Values of the shape ``(samples, *components, properties)`` have one of as many samples as differ in
    these dimensions, which are the result's, in lexicographic order. Where none is left it has
    one sample, ``_`` = 0, in every block: a block without samples sums to 0. A gradient is summed over
    its rows that agree in what is left of their sample, and in their other dimensions.

    Raises TypeError for something other than a map and names, ValueError for a name that isn't a
    dimension of the samples. A map without blocks has no dimensions to check, and is returned.

    Source: the documentation of ``metatensor.sum_over_samples``.
    """
    check_maps(tensor=tensor)
    summed = (sample_names,) if isinstance(sample_names, str) else sample_names
    check_names("sample_names", summed)
    for name in summed:
        if len(tensor) and name not in tensor.sample_names:
            raise ValueError(f"no dimension {name!r} in the samples, which have {tensor.sample_names}")
    left = [i for i, name in enumerate(tensor.sample_names) if name not in summed]
    names = tuple(tensor.sample_names[i] for i in left) or ("_",)

    def total(block: TensorBlock) -> TensorBlock:
        if left:
            samples, (places,) = distinct([block.samples._tensor()[:, left]])
        else:
            samples = torch.zeros((1, 1), dtype=torch.int32)
            places = torch.zeros(len(block), dtype=torch.int64)
        return _summed(block, names, samples, places)

    return of_blocks(tensor, total)


def _summed(
    block: TensorBlock, names: tuple[str, ...], samples: torch.Tensor, places: torch.Tensor
) -> TensorBlock:
    """The block with sample ``i`` added to the new sample ``places[i]``."""
    zeros = block.values.new_zeros((len(samples), *block.shape[1:]))
    summed = TensorBlock._unchecked(
        zeros.index_add(0, places.to(block.device), block.values),
        Labels._of_tensor(names, samples, block.device),
        block._components,
        block.properties,
    )
    for parameter, gradient in block.gradients():
        rows, (again,) = distinct([gradient_rows(gradient, places)])
        attach(summed, parameter, _summed(gradient, gradient.samples._names, rows, again))
    return summed
