"""What moving dimensions of keys and components must make of a map, value by value.

Documents leave the order of keys, properties and gradients' samples open: it is that of ``like``, what
came back, where it has the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, product

from ...tensor_map import TensorMap
from ..dense import PROPERTIES, SAMPLES, Cell, Dense, Row, split, to_map, twins, united


@dataclass(frozen=True)
class Move:
    """Dimensions of the keys that are moved to an ``axis``, and how."""

    names: list[str]
    axis: int
    #: the entries that properties are to have, None for those of the blocks
    wanted: list[Row] | None
    fill: float
    sorts: bool

    def may_be_refused(self, x: TensorMap) -> bool:
        """Whether documents say that there is no such map, or disagree, or don't say."""
        differs = any(
            b.rows[PROPERTIES] != first.rows[PROPERTIES] or not _alike(first, b, empty=True)
            for (_, first), *rest in self._groups(x)
            for _, b in rest
        )
        return differs or self._name_stands_twice(x) or not len(x)

    def must_be_refused(self, x: TensorMap) -> bool:
        """Whether no map can be right: a name stands twice, or blocks don't fit each other."""
        for group in self._groups(x):
            merged = [b for entry, b in group if self._is_wanted(entry)]
            for i, first in enumerate(merged):
                for b in merged[i + 1 :]:
                    differs = first.rows[PROPERTIES] != b.rows[PROPERTIES]
                    if (self.wanted is not None and differs) or not _alike(first, b, empty=False):
                        return True
        return self._name_stands_twice(x)

    def __call__(self, x: TensorMap, like: TensorMap) -> TensorMap:
        """The map with the dimensions moved."""
        left, groups = split(x.keys.names, twins(x), self.names)
        if not left:  # no document says what the one key is
            left, key = ["_"], (0,)
            if len(like) == 1:
                left, (key, *_) = like.keys.names, twins(like)
            groups = dict.fromkeys([key], *groups.values())
        there = twins(like)
        blocks = {key: self._merged(group, there.get(key)) for key, group in groups.items()}
        return to_map(left, blocks, like, ordered=True)

    def _groups(self, x: TensorMap) -> list[list[tuple[Row, Dense]]]:
        """The blocks that become one, with the moved values of their keys."""
        return list(split(x.keys.names, twins(x), self.names)[1].values())

    def _is_wanted(self, entry: Row) -> bool:
        return self.wanted is None or entry in self.wanted

    def _name_stands_twice(self, x: TensorMap) -> bool:
        of_axis = x.sample_names if self.axis == SAMPLES else x.property_names
        return bool(set(self.names) & set(of_axis))

    def _merged(self, group: list[tuple[Row, Dense]], like: Dense | None) -> Dense:
        merged = united([self._moved(entry, block) for entry, block in group], self.fill, like)
        if self.wanted is not None:
            of_each = group[0][1].rows[PROPERTIES]
            properties = [(*entry, *row) for entry in self.wanted for row in of_each]
            inside = [self._moved(entry, b) for entry, b in group if entry in self.wanted]
            fewer = united(inside, self.fill, like) if inside else merged.moved(SAMPLES, _nowhere)
            merged, fewer = (of.with_rows(PROPERTIES, properties, self.fill) for of in (merged, fewer))
            merged = _of_as_many(merged, fewer, like)
        return merged.sorted(SAMPLES) if self.sorts else merged

    def _moved(self, entry: Row, block: Dense) -> Dense:
        """A block with the moved values among its samples or properties; without properties, where it is
        left out."""
        names = block.names[self.axis]
        if self.axis == SAMPLES:
            return block.moved(SAMPLES, lambda row: (*row, *entry), [*names, *self.names])
        to = (lambda row: (*entry, *row)) if self._is_wanted(entry) else _nowhere
        return block.moved(PROPERTIES, to, [*self.names, *names])


def _nowhere(row: Row) -> Row | None:
    return None


def _of_as_many(every: Dense, fewer: Dense, like: Dense | None) -> Dense:
    """The block of ``every`` sample, or of the ``fewer`` ones of the blocks that aren't left out, where
    these came back: whether blocks that are left out leave their samples is nobody's word."""
    back = every.rows[SAMPLES] if like is None else like.rows[SAMPLES]
    is_fewer = back != every.rows[SAMPLES] and {*back} == {*fewer.rows[SAMPLES]}
    chosen, gradients = fewer if is_fewer else every, {}
    for name, gradient in every.gradients.items():
        rows = [row for row in gradient.rows[SAMPLES] if row[0] in chosen.rows[SAMPLES]]
        of_like = None if like is None else like.gradients.get(name)
        gradient = gradient.with_rows(SAMPLES, rows)
        gradients[name] = _of_as_many(gradient, fewer.gradients[name], of_like)
    return replace(chosen, gradients=gradients)


def _alike(a: Dense, b: Dense, empty: bool) -> bool:
    """Whether components are the same, also those of gradients, where these have values or ``empty``."""
    pairs = [(g, b.gradients[name]) for name, g in a.gradients.items()]
    both = [(a, b), *(pair for pair in pairs if empty or all(part.numbers for part in pair))]
    return all(left.rows[1:-1] == right.rows[1:-1] for left, right in both)


def components_to_properties(x: TensorMap, moved: Sequence[str], like: TensorMap) -> TensorMap:
    """The map with these components among the properties, in the order of ``like``."""
    names = [*moved, *x.property_names]
    order = like.property_names if sorted(like.property_names) == sorted(names) else names
    blocks = {key: _flattened(block, moved, order) for key, block in twins(x).items()}
    return to_map(x.keys.names, blocks, like)


def _flattened(block: Dense, moved: Sequence[str], order: Sequence[str]) -> Dense:
    """The block with the components in its properties, whose dimensions have this order."""
    axes = [block.names.index((name,), 1, -1) for name in moved]
    rest = [axis for axis in range(len(block.rows) - 1) if axis not in axes]
    names = [*moved, *block.names[PROPERTIES]]

    def row(parts: Cell) -> Row:
        values = dict(zip(names, chain.from_iterable(parts), strict=True))
        return tuple(values[name] for name in order)

    def of(parts: Cell) -> Row:
        return row((*(parts[axis] for axis in axes), parts[PROPERTIES]))

    columns = map(row, product(*(block.rows[axis] for axis in axes), block.rows[PROPERTIES]))
    return replace(
        block,
        names=(*(block.names[axis] for axis in rest), tuple(order)),
        rows=(*(block.rows[axis] for axis in rest), tuple(columns)),
        numbers={(*(c[axis] for axis in rest), of(c)): n for c, n in block.numbers.items()},
        gradients={name: _flattened(g, moved, order) for name, g in block.gradients.items()},
    )
