"""What moving dimensions of keys and components must make of a map, value by value.

Documents leave the order of keys, properties and gradients' samples open: it is that of ``like``, what
came back, where it has the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ...block import TensorBlock
from ...labels import Labels
from ...tensor_map import TensorMap
from ..dense import labels_of

Entry = tuple[int, ...]


@dataclass(frozen=True)
class Piece:
    """A block with the entries that its samples and properties have in the merged one."""

    block: TensorBlock
    samples: list[Entry]
    properties: list[Entry]


@dataclass(frozen=True)
class Move:
    """Dimensions of the keys that are moved to an ``axis``, and how."""

    names: list[str]
    axis: str
    #: the entries that properties are to have, None for those of the blocks
    wanted: list[Entry] | None
    fill: float
    sorts: bool

    def may_be_refused(self, x: TensorMap) -> bool:
        """Whether documents say that there is no such map, or disagree, or don't say."""
        differs = any(
            b.properties != first.properties or not _alike(first, b, empty=True)
            for (_, first), *rest in self._groups(x).values()
            for _, b in rest
        )
        return differs or self._name_stands_twice(x) or not len(x)

    def must_be_refused(self, x: TensorMap) -> bool:
        """Whether no map can be right: a name stands twice, or blocks don't fit each other."""
        for blocks in self._groups(x).values():
            merged = [b for entry, b in blocks if self.wanted is None or entry in self.wanted]
            for i, first in enumerate(merged):
                for b in merged[i + 1 :]:
                    differs = self.wanted is not None and first.properties != b.properties
                    if differs or not _alike(first, b, empty=False):
                        return True
        return len(x) > 0 and self._name_stands_twice(x)

    def _name_stands_twice(self, x: TensorMap) -> bool:
        return bool(
            set(self.names) & set(x.sample_names if self.axis == "samples" else x.property_names)
        )

    def _groups(self, x: TensorMap) -> dict[Entry, list[tuple[Entry, TensorBlock]]]:
        """The blocks that become one, with the moved values of their keys, by the rest of the keys."""
        names = x.keys.names
        kept, moved = (
            [i for i, n in enumerate(names) if (n in self.names) == is_in] for is_in in (False, True)
        )
        moved.sort(key=lambda i: self.names.index(names[i]))
        groups: dict[Entry, list[tuple[Entry, TensorBlock]]] = {}
        for entry, block in zip(x.keys.values.tolist(), x, strict=True):
            groups.setdefault(tuple(entry[i] for i in kept), []).append(
                (tuple(entry[i] for i in moved), block)
            )
        return groups

    def __call__(self, x: TensorMap, like: TensorMap) -> TensorMap:
        """The map with the dimensions moved."""
        groups = self._groups(x)
        names = [name for name in x.keys.names if name not in self.names]
        if not names:  # no document says what the one key is
            keys = like.keys if len(like) == 1 else Labels.single()
            ((_, first), *_), *_ = groups.values()
            likes = [like.block(0) if len(like) else first]
            pairs = zip(groups.values(), likes, strict=True)
            return TensorMap(keys, [self._merged(blocks, b) for blocks, b in pairs])
        entries = _as_in(list(groups), like.keys)
        there = dict(zip(map(tuple, like.keys.values.tolist()), like, strict=True))
        blocks = [
            self._merged(groups[entry], there.get(entry, groups[entry][0][1])) for entry in entries
        ]
        return TensorMap(labels_of(names, entries), blocks)

    def _merged(self, blocks: list[tuple[Entry, TensorBlock]], like: TensorBlock) -> TensorBlock:
        first = blocks[0][1]
        if self.axis == "samples":
            names = [*first.samples.names, *self.names], first.properties.names
            pieces = [
                Piece(b, [(*r, *entry) for r in _entries(b.samples)], _entries(b.properties))
                for entry, b in blocks
            ]
            columns = list(dict.fromkeys(entry for piece in pieces for entry in piece.properties))
        else:
            names = first.samples.names, [*self.names, *first.properties.names]
            pieces = [
                Piece(b, _entries(b.samples), [(*entry, *r) for r in _entries(b.properties)])
                for entry, b in blocks
            ]
            columns = [entry for piece in pieces for entry in piece.properties]
            if self.wanted is not None:
                columns = [(*entry, *r) for entry in self.wanted for r in _entries(first.properties)]
        samples = self._samples_of(pieces, columns, like)
        samples = sorted(samples) if self.sorts else samples
        return self._assembled(names, pieces, samples, _as_in(columns, like.properties), like)

    def _moved_entries(
        self, gradient: TensorBlock, of: list[Entry], samples: list[Entry]
    ) -> list[Entry]:
        """The gradient's samples, of the new entries of the block's samples ``of``."""
        return [(samples.index(of[sample]), *rest) for sample, *rest in _entries(gradient.samples)]

    def _samples_of(
        self, pieces: list[Piece], columns: list[Entry], like: TensorBlock | None
    ) -> list[Entry]:
        """The samples of all pieces; or of those that are not left out, where these came back: whether
        blocks that are left out leave their samples is nobody's word."""
        inside = [piece for piece in pieces if set(piece.properties) & set(columns)]
        every, fewer = (
            list(dict.fromkeys(entry for piece in of for entry in piece.samples))
            for of in (pieces, inside)
        )
        back = None if like is None else _entries(like.samples)
        return fewer if back is not None and back != every and set(fewer) == set(back) else every

    def _assembled(
        self,
        names: tuple[list[str], list[str]],
        pieces: list[Piece],
        samples: list[Entry],
        properties: list[Entry],
        like: TensorBlock,
    ) -> TensorBlock:
        """The pieces in their places, and the fill value elsewhere."""
        first = pieces[0].block
        components = _components(pieces, properties, like)
        shape = len(samples), *map(len, components), len(properties)
        values = torch.full(shape, self.fill, dtype=first.dtype)
        for piece in pieces:
            for i, entry in enumerate(piece.samples):
                for j, column in enumerate(piece.properties):
                    if entry in samples and column in properties:
                        values[samples.index(entry), ..., properties.index(column)] = piece.block.values[
                            i, ..., j
                        ]
        labels = labels_of(names[0], samples), labels_of(names[1], properties)
        merged = TensorBlock(values, labels[0], components, labels[1])
        for parameter in first.gradients_list():
            of = [
                Piece(block, self._moved_entries(block, piece.samples, samples), piece.properties)
                for piece in pieces
                if set(piece.samples) <= set(samples)
                for block in [piece.block.gradient(parameter)]
            ]
            other = like.gradient(parameter) if parameter in like.gradients_list() else None
            entries = sorted(self._samples_of(of, properties, other))
            entries = entries if other is None else _as_in(entries, other.samples)
            inner = of[0].block.samples.names, names[1]
            merged.add_gradient(
                parameter,
                self._assembled(inner, of, entries, properties, like if other is None else other),
            )
        return merged


def _alike(a: TensorBlock, b: TensorBlock, empty: bool) -> bool:
    """Whether components are the same, also those of gradients, where these have values or ``empty``."""
    pairs = [(g, b.gradient(name)) for name, g in a.gradients()]
    both = [(g, h) for g, h in pairs if empty or (g.values.numel() and h.values.numel())]
    return a.components == b.components and all(g.components == h.components for g, h in both)


def _components(pieces: list[Piece], properties: list[Entry], like: TensorBlock) -> list[Labels]:
    """Those of the pieces that have values; where none has, any of them."""
    every = [piece.block.components for piece in pieces]
    inside = [p for p in pieces if p.block.values.numel() and set(p.properties) & set(properties)]
    of = [piece.block.components for piece in inside] or every
    return like.components if like.components in of else of[0]


def components_to_properties(x: TensorMap, moved: Sequence[str], like: TensorMap) -> TensorMap:
    """The map with these components among the properties, in the order of ``like``."""
    pairs = zip(x, like if len(like) == len(x) else x, strict=True)
    return TensorMap(x.keys, [_flattened(block, moved, other) for block, other in pairs])


def _flattened(block: TensorBlock, moved: Sequence[str], like: TensorBlock) -> TensorBlock:
    names = [*moved, *block.properties.names]
    order = like.properties.names if sorted(like.properties.names) == sorted(names) else names
    rest = [c for c in block.components if c.names[0] not in moved]
    found = {
        tuple(dict(zip(names, (*entry, *column), strict=True))[name] for name in order): values
        for entry, column, values in _columns(block, moved)
    }
    columns = _as_in(list(found), like.properties)
    shape = len(block), *map(len, rest)
    values = [found[column].reshape(*shape, 1) for column in columns]
    flat = torch.cat(values, -1) if values else torch.zeros((*shape, 0), dtype=block.dtype)
    made = TensorBlock(flat, block.samples, rest, labels_of(order, columns))
    for parameter, gradient in block.gradients():
        made.add_gradient(parameter, _flattened(gradient, moved, made))
    return made


def _columns(block: TensorBlock, moved: Sequence[str]) -> list[tuple[Entry, Entry, torch.Tensor]]:
    """The values by the entries of the moved components and of the properties."""
    found: list[tuple[Entry, torch.Tensor]] = [((), block.values)]
    axes = [c.names[0] for c in block.components]
    for name in moved:
        axis = 1 + axes.index(name)
        ones = _entries(block.components[axes.index(name)])
        # the axis stays, with one entry
        found = [
            ((*entry, *one), values.narrow(axis, i, 1))
            for entry, values in found
            for i, one in enumerate(ones)
        ]
    columns = _entries(block.properties)
    return [
        (entry, column, values[..., j]) for entry, values in found for j, column in enumerate(columns)
    ]


def _entries(labels: Labels) -> list[Entry]:
    return list(map(tuple, labels.values.tolist()))


def _as_in(entries: list[Entry], like: Labels) -> list[Entry]:
    """The entries in the order of labels that have the same ones."""
    return _entries(like) if sorted(_entries(like)) == sorted(entries) else entries
