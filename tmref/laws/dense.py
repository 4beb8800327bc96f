"""The dense twin of a map: a dictionary from full label rows to numbers.

An operation on a map is the same operation on its dense twin, where it is a line or two: rows are
renamed, left out or merged, numbers are added. Most laws of operations follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import torch

from ..block import TensorBlock
from ..labels import Labels
from ..tensor_map import TensorMap

#: A row of labels. The first integer of a gradient's sample stands for a sample of the values: here it
#: is that sample's row.
Row = tuple[Any, ...]
#: A row of the samples, of each of the components, and of the properties.
Cell = tuple[Row, ...]
#: The axes that have a name everywhere: the first, and the last one.
SAMPLES, PROPERTIES = 0, -1


@dataclass(frozen=True)
class Dense:
    """A block, or a gradient, as a dictionary.

    ``names`` and ``rows`` are those of the samples, of each of the components, and of the properties, in
    order; ``numbers`` has one for each :data:`Cell`. What the axes are called and have is kept, too: of
    an axis without rows the dictionary says nothing.
    """

    names: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[Row, ...], ...]
    numbers: Mapping[Cell, Any]
    dtype: torch.dtype
    gradients: Mapping[str, Dense] = field(default_factory=dict)

    @staticmethod
    def of(block: TensorBlock, samples: Sequence[Row] | None = None) -> Dense:
        """The twin of a block, or of a gradient of values that have these ``samples``."""
        axes = [block.samples, *block.components, block.properties]
        rows = [list(map(tuple, axis.values.tolist())) for axis in axes]
        if samples is not None:
            rows[SAMPLES] = [(samples[row], *rest) for row, *rest in rows[SAMPLES]]
        numbers = dict(zip(product(*rows), block.values.flatten().tolist(), strict=True))
        gradients = {name: Dense.of(g, rows[SAMPLES]) for name, g in block.gradients()}
        names = tuple(tuple(axis.names) for axis in axes)
        return Dense(names, tuple(map(tuple, rows)), numbers, block.dtype, gradients)

    def to_block(
        self,
        like: TensorBlock | None = None,
        of: Sequence[Sequence[Row]] = (),
        *,
        ordered: bool = False,
    ) -> TensorBlock:
        """The block, each of whose axes has the order of that of ``like`` where it has the same rows:
        for what documents say nothing of. Where it is ``ordered``, its samples have their own order. A
        gradient is one ``of`` values that have these rows on their axes, whose order it shares."""
        rows, axes = [], []
        there = [] if like is None else [like.samples, *like.components, like.properties]
        shared = len(self.rows) - len(of) + 1
        for i, (names, own) in enumerate(zip(self.names, self.rows, strict=True)):
            of_gradient = bool(of) and i == SAMPLES
            plain = [(of[0].index(r[0]), *r[1:]) if of_gradient else r for r in own]
            order = list(map(tuple, there[i].values.tolist())) if len(there) == len(self.rows) else []
            if of and i >= shared:
                order = list(of[i - shared + 1])
            if sorted(order) != sorted(plain) or (ordered and i == SAMPLES):
                order = sorted(plain) if of_gradient else plain
            axes.append(labels_of(names, order))
            rows.append([(of[0][r[0]], *r[1:]) if of_gradient else r for r in order])
        numbers = [self.numbers[cell] for cell in product(*rows)]
        values = torch.tensor(numbers, dtype=self.dtype).reshape([len(axis) for axis in axes])
        block = TensorBlock(values, axes[SAMPLES], axes[1:-1], axes[PROPERTIES])
        for name, gradient in self.gradients.items():
            has_it = like is not None and name in like.gradients_list()
            of_like = like.gradient(name) if like is not None and has_it else None
            block.add_gradient(name, gradient.to_block(of_like, rows))
        return block

    def with_numbers(
        self,
        function: Callable[[Cell, Any], Any],
        of_gradient: Callable[[str, Cell, Cell, Any], Any],
    ) -> Dense:
        """The block with the number ``function(cell, number)`` everywhere, and in each gradient
        ``of_gradient(name, cell, of, number)``, ``of`` being the cell of the values that it derives."""

        def derived(name: str, gradient: Dense) -> Dense:
            pairs = gradient.numbers.items()
            numbers = {c: of_gradient(name, c, self._of(c), number) for c, number in pairs}
            return replace(gradient, numbers=numbers)

        return replace(
            self,
            numbers={cell: function(cell, number) for cell, number in self.numbers.items()},
            gradients={name: derived(name, gradient) for name, gradient in self.gradients.items()},
        )

    def _of(self, cell: Cell) -> Cell:
        """The cell of the values that a cell of a gradient is the derivative of."""
        components = cell[len(cell) - len(self.rows) + 1 : -1]
        return cell[SAMPLES][0], *components, cell[PROPERTIES]

    def moved(
        self, axis: int, to: Callable[[Row], Row | None], names: Sequence[str] | None = None
    ) -> Dense:
        """The block with the rows of an axis, samples or properties, where ``to`` puts them, and without
        those that it has no place for. Numbers that come to the same place are added."""

        def of_gradient(row: Row) -> Row | None:
            if axis != SAMPLES:
                return to(row)
            sample = to(row[0])
            return None if sample is None else (sample, *row[1:])

        return replace(
            self._moved(axis, to, names),
            gradients={
                name: gradient._moved(axis, of_gradient, names if axis == PROPERTIES else None)
                for name, gradient in self.gradients.items()
            },
        )

    def _moved(self, axis: int, to: Callable[[Row], Row | None], names: Sequence[str] | None) -> Dense:
        places = {row: to(row) for row in self.rows[axis]}
        numbers: dict[Cell, Any] = {}
        for cell, number in self.numbers.items():
            place = places[cell[axis]]
            if place is not None:
                there = _replaced(cell, axis, place)
                numbers[there] = numbers[there] + number if there in numbers else number
        kept = tuple(dict.fromkeys(place for place in places.values() if place is not None))
        named = self.names if names is None else _replaced(self.names, axis, tuple(names))
        return replace(self, names=named, rows=_replaced(self.rows, axis, kept), numbers=numbers)

    def with_rows(self, axis: int, rows: Sequence[Row], fill: Any = 0) -> Dense:
        """The block with these rows of an axis, in this order, and ``fill`` where they are new.
        Gradients keep their samples, which are of those that stay."""
        every = _replaced(self.rows, axis, tuple(rows))
        gradients = self.gradients
        if axis != SAMPLES:
            gradients = {name: g.with_rows(axis, rows, fill) for name, g in gradients.items()}
        numbers = {cell: self.numbers.get(cell, fill) for cell in product(*every)}
        return replace(self, rows=every, numbers=numbers, gradients=gradients)

    def sorted(self, axis: int, *, descending: bool = False) -> Dense:
        """The block with the rows of an axis in lexicographic order, or in the opposite one."""
        rows = tuple(sorted(self.rows[axis], reverse=descending))
        gradients = self.gradients
        if axis != SAMPLES:  # those of gradients are other ones
            of_each = gradients.items()
            gradients = {name: g.sorted(axis, descending=descending) for name, g in of_each}
        return replace(self, rows=_replaced(self.rows, axis, rows), gradients=gradients)


def united(blocks: Sequence[Dense], fill: Any = 0, like: Dense | None = None) -> Dense:
    """One block of the rows of all of them, in the order in which they occur first, with ``fill`` in the
    cells that none has. Cells of several blocks must be others: the last one counts. Components are
    those of a block that has numbers, where there is one; of several that could be, those of
    ``like``."""
    possible = [block for block in blocks if block.numbers] or blocks
    inner = None if like is None else like.rows[1:-1]
    first = next((block for block in possible if block.rows[1:-1] == inner), possible[0])
    samples, properties = (
        tuple(dict.fromkeys(row for block in blocks for row in block.rows[axis]))
        for axis in (SAMPLES, PROPERTIES)
    )
    rows = samples, *first.rows[1:-1], properties
    numbers = {cell: number for block in blocks for cell, number in block.numbers.items()}
    return replace(
        first,
        rows=rows,
        numbers={cell: numbers.get(cell, fill) for cell in product(*rows)},
        gradients={
            name: united(
                [block.gradients[name] for block in blocks],
                fill,
                None if like is None else like.gradients.get(name),
            )
            for name in first.gradients
        },
    )


def joined(maps: Sequence[Mapping[Row, Dense]], way: str = "union") -> dict[Row, Dense]:
    """The blocks of all maps, those of one key :func:`united`. An "intersection" has the keys alone that
    all maps have."""
    of_key: dict[Row, list[Dense]] = {}
    for blocks in maps:
        for key, block in blocks.items():
            of_key.setdefault(key, []).append(block)
    return {
        key: united(blocks)
        for key, blocks in of_key.items()
        if way != "intersection" or len(blocks) == len(maps)
    }


def numbered(maps: Sequence[Mapping[Row, Dense]], axis: int) -> list[dict[Row, Dense]]:
    """The maps with ``of``, which is the number of the map, at the end of the labels of an axis."""

    def with_number(i: int, block: Dense) -> Dense:
        return block.moved(axis, lambda row: (*row, i), (*block.names[axis], "of"))

    return [
        {key: with_number(i, block) for key, block in blocks.items()} for i, blocks in enumerate(maps)
    ]


def split(
    names: Sequence[str], blocks: Mapping[Row, Dense], moved: Sequence[str]
) -> tuple[list[str], dict[Row, list[tuple[Row, Dense]]]]:
    """The names of keys that aren't ``moved``, and by their values the blocks, each with the values of
    those that are."""
    left = [i for i, name in enumerate(names) if name not in moved]
    places = [names.index(name) for name in moved]
    groups: dict[Row, list[tuple[Row, Dense]]] = {}
    for key, block in blocks.items():
        entry = tuple(key[i] for i in places), block
        groups.setdefault(tuple(key[i] for i in left), []).append(entry)
    return [names[i] for i in left], groups


def twins(x: TensorMap) -> dict[Row, Dense]:
    """The twin of every block by the row of its key."""
    return dict(zip(map(tuple, x.keys.values.tolist()), map(Dense.of, x), strict=True))


def to_map(
    names: Sequence[str], blocks: Mapping[Row, Dense], like: Any = None, *, ordered: bool = False
) -> TensorMap:
    """The map of these blocks by key, which has the order of ``like`` wherever that is a map of the same
    rows; but for the samples where they are ``ordered``."""
    like = like if isinstance(like, TensorMap) else TensorMap(Labels.empty(list(names)), [])
    there = dict(zip(map(tuple, like.keys.values.tolist()), like, strict=True))
    order = list(there) if sorted(there) == sorted(blocks) else list(blocks)
    made = [blocks[key].to_block(there.get(key), ordered=ordered) for key in order]
    return TensorMap(labels_of(names, order), made)


def labels_of(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Labels:
    """Labels of these rows, of which there may be none."""
    rows = list(rows)
    values = torch.tensor(rows, dtype=torch.int32).reshape(len(rows), len(names))
    return Labels(list(names), values)


def _replaced(values: tuple[Any, ...], i: int, value: Any) -> tuple[Any, ...]:
    """The tuple with another value at a place, which may be counted from the end."""
    i %= len(values)
    return *values[:i], value, *values[i + 1 :]
