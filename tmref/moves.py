"""Moving dimensions of the keys to samples or properties, which merges blocks.

These are the keys and the blocks of a map: they are methods of TensorMap, which says the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Number

import numpy as np
import torch

from .block import TensorBlock
from .labels import Labels
from .printing import type_of
from .rows import Numbers, Table, distinct_rows, not_traced, order_of

#: Values of as many numbers are put together before they are sorted, which is faster for them.
_FEW = 2**16


def keys_to_samples(
    keys: Labels,
    blocks: Sequence[TensorBlock],
    keys_to_move: str | Sequence[str] | Labels,
    fill_value: float | complex = 0,
    sort_samples: bool = True,
) -> tuple[Labels, list[TensorBlock]]:
    """The keys and blocks after those that differ in ``keys_to_move`` only are put one below the other.

    Blocks of the shapes ``(samples_i, *components, properties)`` become one of the shape
    ``(Σ samples_i, *components, properties)``, whose samples have the dimensions ``keys_to_move`` at
    their end. They are sorted lexicographically where ``sort_samples`` is true, and else in the order
    of the blocks. Where the blocks have different properties, theirs is the union, in the order of
    their first occurrence, and what a block doesn't have is ``fill_value``. Gradients are merged with
    the values, their samples always sorted. Keys come in the order of their first occurrence; if none
    of their dimensions remains, the key is ``_`` = 0.

    Raises TypeError where ``keys_to_move`` is neither names nor Labels, or ``fill_value`` no number,
    and ValueError for Labels with entries, names that the keys don't have or the samples have
    already, blocks of different components, and a map without blocks.

    Source: the documentation of ``metatensor.torch.TensorMap.keys_to_samples``.
    """
    if isinstance(keys_to_move, Labels) and len(keys_to_move):
        raise ValueError(
            f"keys_to_move must be names, or Labels without entries, got Labels of {len(keys_to_move)} "
            f"entries; give the names {keys_to_move.names}"
        )
    moved = _moved_names(keys, keys_to_move, fill_value)
    names = _joined(blocks[0].samples.names, moved, "samples")

    def merge(blocks: list[TensorBlock], values: Table) -> TensorBlock:
        rows = _below_each_other([block._samples for block in blocks])
        again = values.repeat([block._samples._length for block in blocks], 0)
        return _stacked(blocks, names, np.concatenate((rows, again), 1), fill_value, sort_samples)

    return _merged(keys, blocks, moved, merge)


def keys_to_properties(
    keys: Labels,
    blocks: Sequence[TensorBlock],
    keys_to_move: str | Sequence[str] | Labels,
    fill_value: float | complex = 0,
    sort_samples: bool = True,
) -> tuple[Labels, list[TensorBlock]]:
    """The keys and blocks after those that differ in ``keys_to_move`` only are put side by side.

    Blocks of the shapes ``(samples_i, *components, properties_i)`` become one of the shape ``(samples,
    *components, Σ properties_i)``, whose properties have the dimensions ``keys_to_move`` at their
    beginning, in the order of the blocks. Its samples are the union of theirs, sorted
    lexicographically where ``sort_samples`` is true, and else in the order of their first occurrence;
    what a block doesn't have is ``fill_value``. With Labels that have entries, the properties are
    those of every entry, in this order, whether there is such a block or not, and the values of
    blocks with other keys are left out. Gradients are merged with the values, their samples always
    sorted. Keys come in the order of their first occurrence; if none of their dimensions remains, the
    key is ``_`` = 0.

    Raises TypeError where ``keys_to_move`` is neither names nor Labels, or ``fill_value`` no number,
    and ValueError for names that the keys don't have or the properties have already, blocks of
    different components, blocks of different properties where Labels have entries, and a map without
    blocks.

    Source: the documentation of ``metatensor.torch.TensorMap.keys_to_properties``.
    """
    moved = _moved_names(keys, keys_to_move, fill_value)
    names = _joined(moved, blocks[0].properties.names, "properties")
    wanted = keys_to_move._table() if isinstance(keys_to_move, Labels) and len(keys_to_move) else None

    def merge(blocks: list[TensorBlock], values: Table) -> TensorBlock:
        picked: list[int | None] = list(range(len(blocks)))
        if wanted is not None:
            if any(block.properties != blocks[0].properties for block in blocks):
                raise ValueError(
                    "blocks of different properties can't be merged into the entries of Labels; "
                    f"give the names {list(moved)} to keep the properties that each of them has"
                )
            places = {tuple(value): i for i, value in enumerate(values.tolist())}
            picked = [places.get(tuple(value)) for value in wanted.tolist()]
            values = wanted
        owners = [blocks[i or 0] for i in picked]  # any, where Labels have entries: all have the same
        columns = _below_each_other([block._properties for block in owners])
        again = values.repeat([block._properties._length for block in owners], 0)
        properties = Labels._of_table(names, np.concatenate((again, columns), 1), keys._device)
        rows = _below_each_other([block._samples for block in blocks])
        return _side_by_side(blocks, rows, picked, properties, fill_value, sort_samples)

    return _merged(keys, blocks, moved, merge)


def _moved_names(
    keys: Labels, keys_to_move: str | Sequence[str] | Labels, fill_value: float | complex
) -> tuple[str, ...]:
    names = keys_to_move.names if isinstance(keys_to_move, Labels) else keys_to_move
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"keys_to_move must be a name, a list of names, or Labels, got {keys_to_move!r} "
            f"of type {type_of(keys_to_move)}"
        )
    if not isinstance(fill_value, Number):
        raise TypeError(
            f"fill_value must be a number, got {fill_value!r} of type {type(fill_value).__name__}"
        )
    if not names or len(set(names)) != len(names):
        raise ValueError(f"keys_to_move must be one or more distinct names, got {list(names)}")
    for name in names:
        if name not in keys.names:
            raise ValueError(f"no dimension {name!r} in the keys, which have {keys.names}")
    if not len(keys):
        raise ValueError("a TensorMap without blocks has no keys to move")
    return tuple(names)


def _joined(first: Sequence[str], second: Sequence[str], axis: str) -> tuple[str, ...]:
    both = set(first) & set(second)
    if both:
        raise ValueError(
            f"{min(both)!r} is a dimension of the keys and of the {axis}, which can't have it twice"
        )
    return *first, *second


def _merged(
    keys: Labels,
    blocks: Sequence[TensorBlock],
    moved: tuple[str, ...],
    merge: Callable[[list[TensorBlock], Table], TensorBlock],
) -> tuple[Labels, list[TensorBlock]]:
    """The other dimensions of the keys, with ``merge`` of the blocks that agree in them.

    ``merge`` is given the blocks and, for each of them, the values of the moved dimensions.
    """
    names = keys.names
    kept = [i for i, name in enumerate(names) if name not in moved]
    groups: dict[tuple[int, ...], list[int]] = {}
    for position, row in enumerate(keys._entries()):
        groups.setdefault(tuple(row[i] for i in kept), []).append(position)
    values = keys._table()[:, [names.index(name) for name in moved]]
    merged = []
    for positions in groups.values():
        block = merge([blocks[i] for i in positions], values[positions])
        block._owned = True
        merged.append(block)
    if not kept:
        return Labels.single().to(keys.device), merged
    left = np.array(list(groups), np.int32)
    return Labels._of_table(tuple(names[i] for i in kept), left, keys._device), merged


def _below_each_other(labels: Sequence[Labels]) -> Table:
    """The rows of labels of the same dimensions."""
    if torch.compiler.is_compiling():  # see Labels._table
        return np.concatenate([of._table() for of in labels])
    content = b"".join([of._content for of in labels])
    return np.frombuffer(content, np.int32).reshape(-1, len(labels[0]._names))


def _stacked(
    blocks: Sequence[TensorBlock],
    names: tuple[str, ...],
    rows: Table,
    fill: float | complex,
    sort: bool,
) -> TensorBlock:
    """The blocks below each other; ``rows`` are their new samples, which are distinct."""
    _check_components(blocks)
    properties, pieces = blocks[0]._properties, [block.values for block in blocks]
    if any(block._properties != properties for block in blocks):
        of_blocks = [block._properties for block in blocks]
        union, columns = distinct_rows(_below_each_other(of_blocks), sort=False)
        properties = Labels._of_table(properties._names, union, properties._device)
        parts = torch.from_numpy(columns).split([of._length for of in of_blocks])
        pieces = [
            _spread(piece, -1, places, len(properties), fill)
            for piece, places in zip(pieces, parts, strict=True)
        ]
    order, places = order_of(rows) if sort else None, np.arange(len(rows))
    if order is None:
        values = torch.cat(pieces)
    else:
        places[order] = places.copy()
        rows = rows.take(order, 0)
        values = _reordered(pieces, torch.from_numpy(order), torch.from_numpy(places))
    samples = Labels._of_table(names, rows, values.device)
    merged = TensorBlock._unchecked(values, samples, blocks[0]._components, properties)
    for parameter, gradients in _gradients(blocks):
        again = _gradient_rows(blocks, gradients, places)
        names = gradients[0]._samples._names
        attach(merged, parameter, _stacked(gradients, names, again, fill, sort=True))
    return merged


def _side_by_side(
    blocks: Sequence[TensorBlock],
    rows: Table,
    picked: Sequence[int | None],
    properties: Labels,
    fill: float | complex,
    sort: bool,
) -> TensorBlock:
    """The picked blocks beside each other, None being one of ``fill``; ``rows`` are their samples."""
    _check_components(blocks)
    first = blocks[0]
    union, places = distinct_rows(rows, sort)
    values = _spread_beside(blocks, places, len(union), picked, fill)
    samples = Labels._of_table(first._samples._names, union, values.device)
    merged = TensorBlock._unchecked(values, samples, first._components, properties)
    for parameter, gradients in _gradients(blocks):
        again = _gradient_rows(blocks, gradients, places)
        gradient = _side_by_side(gradients, again, picked, properties, fill, sort=True)
        attach(merged, parameter, gradient)
    return merged


def _check_components(blocks: Sequence[TensorBlock]) -> None:
    for block in blocks:
        if block._components != blocks[0]._components:
            raise ValueError(
                "blocks of different components can't be merged, got the shapes "
                f"{tuple(blocks[0].shape)} and {tuple(block.shape)}"
            )


def _gradients(blocks: Sequence[TensorBlock]) -> list[tuple[str, list[TensorBlock]]]:
    """The gradients of blocks of one map, by parameter."""
    return [(name, [block.gradient(name) for block in blocks]) for name in blocks[0].gradients_list()]


def attach(block: TensorBlock, parameter: str, gradient: TensorBlock) -> None:
    """Add a new gradient, which is known to fit, to a new block."""
    gradient._owned, gradient._parameter = True, parameter
    block._gradients = {**block._gradients, parameter: gradient}


@not_traced
def _gradient_rows(
    blocks: Sequence[TensorBlock], gradients: Sequence[TensorBlock], places: Numbers
) -> Table:
    """The gradients' samples, below each other, after row ``i`` of all blocks' went to ``places[i]``."""
    rows = _below_each_other([gradient._samples for gradient in gradients]).copy()
    begins = np.cumsum([0, *[block._samples._length for block in blocks[:-1]]])
    begin = begins.repeat([gradient._samples._length for gradient in gradients])
    rows[:, 0] = places.take(rows[:, 0] + begin)
    return rows


def gradient_rows(gradient: TensorBlock, places: torch.Tensor) -> torch.Tensor:
    """The gradient's samples after row ``i`` of the values has gone to ``places[i]``."""
    rows = gradient.samples._tensor()
    rows[:, 0] = places[rows[:, 0]]
    return rows


def _reordered(
    pieces: Sequence[torch.Tensor], order: torch.Tensor, places: torch.Tensor
) -> torch.Tensor:
    """``torch.cat(pieces)[order]``, where ``places`` is the inverse of ``order``.

    What is large and needs no derivative is copied once instead of twice, straight to its place:
    autograd would then copy the whole for every piece.
    """
    order, places = order.to(pieces[0].device), places.to(pieces[0].device)
    shape = len(order), *pieces[0].shape[1:]
    if math.prod(shape) <= _FEW or any(piece.requires_grad for piece in pieces):
        return torch.cat(list(pieces)).index_select(0, order)
    values = pieces[0].new_empty(shape)
    for piece, its_places in zip(pieces, places.split([len(p) for p in pieces]), strict=True):
        values[its_places] = piece
    return values


def _spread_beside(
    blocks: Sequence[TensorBlock],
    places: Numbers,
    size: int,
    picked: Sequence[int | None],
    fill: float | complex,
) -> torch.Tensor:
    """The values of the picked blocks beside each other: row ``i`` of all blocks' at ``places[i]`` of
    ``size``, and ``fill`` elsewhere."""
    shape = size, *blocks[0].shape[1:]
    pieces = [blocks[0].values.new_full(shape, fill) if i is None else blocks[i].values for i in picked]
    if np.array_equal(places, np.tile(np.arange(size), len(blocks))):
        return torch.cat(pieces, -1)
    of_block = torch.from_numpy(places).to(blocks[0].device).split([len(block) for block in blocks])
    if any(block.values.requires_grad for block in blocks):  # see _reordered
        return torch.cat(
            [
                piece
                if i is None
                else piece.new_full((size, *piece.shape[1:]), fill).index_copy(0, of_block[i], piece)
                for i, piece in zip(picked, pieces, strict=True)
            ],
            -1,
        )
    sizes = [piece.shape[-1] for piece in pieces]
    values = blocks[0].values.new_empty((*shape[:-1], sum(sizes))).fill_(fill)
    for i, piece, part in zip(picked, pieces, values.split(sizes, -1), strict=True):
        if i is not None:
            part[of_block[i]] = piece
    return values


def _spread(
    values: torch.Tensor, axis: int, places: torch.Tensor, size: int, fill: float | complex
) -> torch.Tensor:
    """Entry ``i`` of ``values`` at ``places[i]`` of ``size`` along ``axis``, ``fill`` elsewhere."""
    if len(places) == size and bool((places[1:] > places[:-1]).all()):
        return values
    shape = list(values.shape)
    shape[axis] = size
    return values.new_full(shape, fill).index_copy(axis, places.to(values.device), values)


def distinct(
    rows: Sequence[torch.Tensor], sort: bool = True
) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
    """The union of the rows of int32 tensors, and for each tensor where its rows are in it.

    The tensors have the shapes ``(n_i, d)``, the union ``(n, d)``, the places, int64, ``(n_i,)``. The
    union is in lexicographic order, or else in the order of the rows' first occurrence.
    """
    union, places = distinct_rows(torch.cat(list(rows)).numpy(), sort)
    return torch.from_numpy(union), torch.from_numpy(places).split([len(r) for r in rows])
