"""Some samples or properties of a block, in any order."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..block import TensorBlock
from ..labels import Labels
from ..moves import attach, distinct, gradient_rows

#: Which rows of an axis are taken, in which order: int64, of the int32 rows that it has.
Choice = Callable[[torch.Tensor], torch.Tensor]


def samples_taken(
    block: TensorBlock, positions: torch.Tensor, of_gradient: Choice, rows: torch.Tensor | None = None
) -> TensorBlock:
    """The samples at distinct ``positions``, and of each gradient the rows that ``of_gradient`` chooses.

    It is given the gradient's rows, ``sample`` being where the sample is now, or -1 where it isn't any
    more. ``rows`` are what the block's own rows are to be, where they are to be other ones.
    """
    rows = block.samples._tensor() if rows is None else rows
    taken = TensorBlock._unchecked(
        block.values.index_select(0, positions.to(block.device)),
        Labels._of_tensor(block.samples._names, rows[positions], block.device),
        block._components,
        block.properties,
    )
    places = torch.full((len(block),), -1)
    places[positions] = torch.arange(len(positions))
    for parameter, gradient in block.gradients():
        again = gradient_rows(gradient, places)
        attach(taken, parameter, samples_taken(gradient, of_gradient(again), of_gradient, again))
    return taken


def properties_taken(block: TensorBlock, positions: torch.Tensor) -> TensorBlock:
    """The properties at distinct ``positions``, of gradients, too."""
    labels = block.properties
    rows = labels._tensor()[positions]
    properties = Labels._of_tensor(labels._names, rows, block.device)

    def taken(block: TensorBlock) -> TensorBlock:
        values = block.values.index_select(-1, positions.to(block.device))
        result = TensorBlock._unchecked(values, block.samples, block._components, properties)
        for parameter, gradient in block.gradients():
            attach(result, parameter, taken(gradient))
        return result

    return taken(block)


def lexicographic(rows: torch.Tensor, descending: bool = False) -> torch.Tensor:
    """The positions of distinct rows in lexicographic order, or in the opposite one."""
    (places,) = distinct([rows])[1]
    order = torch.empty_like(places).scatter_(0, places, torch.arange(len(places)))
    return order.flip(0) if descending else order
