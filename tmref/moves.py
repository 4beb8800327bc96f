"""Moving dimensions of the keys to samples or properties, which merges blocks.

These are the keys and the blocks of a map: they are methods of TensorMap, which says the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Number

import torch

from .block import TensorBlock
from .labels import Labels
from .printing import type_of


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

    def merge(blocks: list[TensorBlock], values: torch.Tensor) -> TensorBlock:
        rows = [
            torch.cat([block.samples._tensor(), value.expand(len(block), -1)], 1)
            for block, value in zip(blocks, values, strict=True)
        ]
        return _stacked(blocks, names, rows, fill_value, sort_samples)

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
    wanted = keys_to_move._tensor() if isinstance(keys_to_move, Labels) and len(keys_to_move) else None

    def merge(blocks: list[TensorBlock], values: torch.Tensor) -> TensorBlock:
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
        columns = torch.cat(
            [
                torch.cat([value.expand(len(block.properties), -1), block.properties._tensor()], 1)
                for value, block in zip(values, owners, strict=True)
            ]
        )
        properties = Labels._of_tensor(names, columns, keys.device)
        rows = [block.samples._tensor() for block in blocks]
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
    merge: Callable[[list[TensorBlock], torch.Tensor], TensorBlock],
) -> tuple[Labels, list[TensorBlock]]:
    """The other dimensions of the keys, with ``merge`` of the blocks that agree in them.

    ``merge`` is given the blocks and, for each of them, the values of the moved dimensions.
    """
    names = keys.names
    kept = [i for i, name in enumerate(names) if name not in moved]
    groups: dict[tuple[int, ...], list[int]] = {}
    for position, row in enumerate(keys._entries()):
        groups.setdefault(tuple(row[i] for i in kept), []).append(position)
    values = keys._tensor()[:, [names.index(name) for name in moved]]
    merged = []
    for positions in groups.values():
        block = merge([blocks[i] for i in positions], values[positions])
        block._owned = True
        merged.append(block)
    if not kept:
        return Labels.single().to(keys.device), merged
    left = torch.tensor(list(groups), dtype=torch.int32)
    return Labels._of_tensor(tuple(names[i] for i in kept), left, keys.device), merged


def _stacked(
    blocks: Sequence[TensorBlock],
    names: tuple[str, ...],
    rows: Sequence[torch.Tensor],
    fill: float | complex,
    sort: bool,
) -> TensorBlock:
    """The blocks below each other; ``rows`` are their new samples, distinct together."""
    _check_components(blocks)
    properties, columns = blocks[0].properties, None
    if any(block.properties != properties for block in blocks):
        union, columns = distinct([block.properties._tensor() for block in blocks], sort=False)
        properties = Labels._of_tensor(properties._names, union, properties.device)

    samples = torch.cat(list(rows))
    order = _order(samples) if sort else None
    pieces = [block.values for block in blocks]
    if columns is not None:
        pieces = [
            _spread(piece, -1, places, len(properties), fill)
            for piece, places in zip(pieces, columns, strict=True)
        ]
    places = torch.arange(len(samples))
    if order is None:
        values = torch.cat(pieces)
    else:
        samples, places = samples[order], torch.empty_like(order).scatter_(0, order, places)
        values = _reordered(pieces, order, places)

    merged = TensorBlock._unchecked(
        values,
        Labels._of_tensor(names, samples, values.device),
        blocks[0]._components,
        properties,
    )
    of_block = places.split([len(block) for block in blocks])
    for parameter, gradients in _gradients(blocks):
        again = [gradient_rows(g, moved) for g, moved in zip(gradients, of_block, strict=True)]
        names = gradients[0].samples._names
        attach(merged, parameter, _stacked(gradients, names, again, fill, sort=True))
    return merged


def _side_by_side(
    blocks: Sequence[TensorBlock],
    rows: Sequence[torch.Tensor],
    picked: Sequence[int | None],
    properties: Labels,
    fill: float | complex,
    sort: bool,
) -> TensorBlock:
    """The picked blocks beside each other, None being one of ``fill``; ``rows`` are their samples."""
    _check_components(blocks)
    samples, places = distinct(rows, sort)
    first = blocks[0]
    values = torch.cat(
        [
            first.values.new_full((len(samples), *first.shape[1:]), fill)
            if i is None
            else _spread(blocks[i].values, 0, places[i], len(samples), fill)
            for i in picked
        ],
        -1,
    )
    merged = TensorBlock._unchecked(
        values,
        Labels._of_tensor(first.samples._names, samples, values.device),
        first._components,
        properties,
    )
    for parameter, gradients in _gradients(blocks):
        again = [gradient_rows(g, moved) for g, moved in zip(gradients, places, strict=True)]
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


def gradient_rows(gradient: TensorBlock, places: torch.Tensor) -> torch.Tensor:
    """The gradient's samples after row ``i`` of the values has gone to ``places[i]``."""
    rows = gradient.samples._tensor()
    rows[:, 0] = places[rows[:, 0]]
    return rows


def _reordered(
    pieces: Sequence[torch.Tensor], order: torch.Tensor, places: torch.Tensor
) -> torch.Tensor:
    """``torch.cat(pieces)[order]``, where ``places`` is the inverse of ``order``.

    What needs no derivative is copied once instead of twice, straight to its place: autograd would
    then copy the whole for every piece.
    """
    order, places = order.to(pieces[0].device), places.to(pieces[0].device)
    if any(piece.requires_grad for piece in pieces):
        return torch.cat(list(pieces)).index_select(0, order)
    values = pieces[0].new_empty((len(order), *pieces[0].shape[1:]))
    for piece, its_places in zip(pieces, places.split([len(p) for p in pieces]), strict=True):
        values.index_copy_(0, its_places, piece)
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
    every = torch.cat(list(rows))
    found, places = torch.unique(_codes(every), return_inverse=True)
    first = torch.full_like(found, len(every))
    first.scatter_reduce_(0, places, torch.arange(len(every)), "amin")
    if not sort:
        first, order = first.sort()
        places = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))[places]
    return every[first], places.split([len(r) for r in rows])


def _order(rows: torch.Tensor) -> torch.Tensor | None:
    """What sorts rows lexicographically; None where they are."""
    codes = _codes(rows)
    if bool((codes[1:] >= codes[:-1]).all()):
        return None
    return codes.argsort(stable=True)


def _codes(rows: torch.Tensor) -> torch.Tensor:
    """An integer of 64 bits for each row, in the lexicographic order of the rows.

    The columns are its digits. Where they would need more than 63 bits, the number of a row so far is
    replaced by its rank, which needs 31 at most and leaves room for 32 more.
    """
    codes, size = torch.zeros(len(rows), dtype=torch.int64), 1
    for column in rows.T if len(rows) else ():
        low, high = map(int, column.aminmax())
        span = high - low + 1
        if size * span > 2**63:
            codes = torch.unique(codes, return_inverse=True)[1]
            size = len(rows)
        codes = codes * span + (column.long() - low)
        size *= span
    return codes
