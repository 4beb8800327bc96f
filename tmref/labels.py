"""Labels: the named integer rows that say what the entries of an axis are."""

from __future__ import annotations

import ctypes
import json
import operator
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import overload

import numpy as np
import torch

from .printing import LONGEST, counted, type_of
from .rows import Index, Mask, Numbers, Table, are_distinct, first_repeated, matches, not_traced

_CPU = torch.device("cpu")
_INT32 = torch.iinfo(torch.int32)
_WIDE_UNSIGNED = frozenset({torch.uint16, torch.uint32, torch.uint64})
_INTEGERS = _WIDE_UNSIGNED | {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Labels of as many entries are tuples in a dictionary, which is faster for them; very few entries are
#: looked up one by one in larger ones, too.
_FEW, _VERY_FEW = 256, 10


class LabelsEntry:
    """One row of :class:`Labels`: a named tuple of integers.

    Made by indexing or iterating over labels. ``values`` has shape ``(dimensions,)`` and dtype int32.
    Unlike metatensor.torch's, entries hash by value, so they can be keys of a dictionary. Raises as
    :class:`Labels` does for one row.

    Source: the interface of ``metatensor.torch.LabelsEntry``.
    """

    __slots__ = ("_device", "_names", "_row")

    def __init__(self, names: Sequence[str], values: torch.Tensor) -> None:
        row = values.reshape(1, -1) if isinstance(values, torch.Tensor) else values
        labels = Labels(names, row)
        self._names, self._row, self._device = labels._names, labels._entries()[0], labels._device

    @classmethod
    def _unchecked(
        cls, names: tuple[str, ...], row: tuple[int, ...], device: torch.device
    ) -> LabelsEntry:
        entry = cls.__new__(cls)
        entry._names, entry._row, entry._device = names, row, device
        return entry

    @property
    def names(self) -> list[str]:
        """Names of the dimensions."""
        return list(self._names)

    @property
    def values(self) -> torch.Tensor:
        """The row: int32, shape ``(dimensions,)``, a new tensor each time."""
        return torch.tensor(self._row, dtype=torch.int32, device=self._device)

    @property
    def device(self) -> torch.device:
        """The device of ``values``."""
        return self._device

    def __len__(self) -> int:
        return len(self._row)

    def __iter__(self) -> Iterator[int]:
        return iter(self._row)

    def __getitem__(self, dimension: str | int) -> int:
        """The value of one dimension, by name or by position.

        Raises ValueError for a name that isn't there, IndexError for a position out of range.
        """
        if isinstance(dimension, str):
            return self._row[_column_index(self._names, dimension)]
        return self._row[operator.index(dimension)]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LabelsEntry):
            return NotImplemented
        return self._names == other._names and self._row == other._row

    def __hash__(self) -> int:
        return hash((self._names, self._row))

    def print(self) -> str:
        """The entry as ``(name=value, ...)``."""
        return "(" + ", ".join(f"{n}={v}" for n, v in zip(self._names, self._row, strict=True)) + ")"

    def __repr__(self) -> str:
        return "LabelsEntry" + self.print()


class Labels:
    """A list of distinct rows of 32-bit integers, with a name for each column.

    ``names`` are distinct ASCII identifiers, a single one may be given as a string; ``values`` is an
    integer tensor of shape ``(entries, dimensions)``, however it lies in memory; one of no entries may
    have any dtype. It is copied: labels are immutable. Their rows stay on the host for lookup,
    comparison and printing; ``labels.values`` is on the device of the values given.

    Raises TypeError where ``names`` aren't strings or ``values`` isn't a tensor of integers, and
    ValueError for a name that is no identifier or occurs twice, a shape that doesn't fit, a row that
    occurs twice, or a value beyond 32 bits (it is never wrapped into another). With ``assume_unique``
    nobody looks whether rows occur twice; if they do, what becomes of them is not defined.

    Source: the interface of ``metatensor.torch.Labels``; of no entries, metatensor#833.

    >>> labels = Labels(["system", "atom"], torch.tensor([[0, 1], [0, 5]]))
    >>> labels[1]
    LabelsEntry(system=0, atom=5)
    >>> labels.position([0, 5])
    1
    """

    __slots__ = (
        "_content",
        "_device",
        "_dictionary",
        "_index",
        "_length",
        "_names",
        "_tuples",
        "_values",
    )

    def __init__(
        self, names: str | Sequence[str], values: torch.Tensor, assume_unique: bool = False
    ) -> None:
        names = _checked_names(names)
        content = _checked_content(names, values)
        self._set(names, content, values.device)
        if not assume_unique:
            self._check_distinct()

    def _set(self, names: tuple[str, ...], content: bytes, device: torch.device) -> None:
        # The rows are bytes, as int32 stands in memory: nobody can change them, equality and hash are
        # the interpreter's own, and looking something up takes no operation of torch's, which would
        # be traced by torch.compile and torch.export, or wait for a device.
        self._names = names
        self._content = content
        self._length = len(content) // (4 * len(names))
        self._device = device
        self._values: torch.Tensor | None = None
        self._tuples: tuple[tuple[int, ...], ...] | None = None
        self._dictionary: dict[tuple[int, ...], int] | None = None
        self._index: Index | None = None

    @classmethod
    def _unchecked(cls, names: tuple[str, ...], content: bytes, device: torch.device) -> Labels:
        """Labels of rows known to be distinct."""
        labels = cls.__new__(cls)
        labels._set(names, content, device)
        return labels

    @classmethod
    def _of_tensor(cls, names: tuple[str, ...], rows: torch.Tensor, device: torch.device) -> Labels:
        """Labels of rows known to be distinct integers of 32 bits, whatever their dtype and device."""
        return cls._unchecked(names, _bytes_of(rows), device)

    @classmethod
    def _of_table(cls, names: tuple[str, ...], table: Table, device: torch.device) -> Labels:
        """Labels of a table whose rows are known to be distinct."""
        return cls._unchecked(names, table.tobytes(), device)

    def _check_distinct(self) -> None:
        if self._length <= _FEW:
            if len(set(self._entries())) == self._length:
                return
        elif are_distinct(self._table()):
            return
        again, first = first_repeated(self._table())
        raise ValueError(
            f"the rows of Labels must be distinct, but the row {self._table()[first].tolist()} of "
            f"{list(self._names)} stands at {first} and again at {again}"
        )

    @staticmethod
    def single() -> Labels:
        """One entry in one dimension ``_``: for an axis that has no metadata."""
        return Labels.range("_", 1)

    @staticmethod
    def empty(names: str | Sequence[str]) -> Labels:
        """No entries in the dimensions ``names``. Raises as the constructor does."""
        names = _checked_names(names)
        return Labels(names, torch.empty((0, len(names)), dtype=torch.int32, device="cpu"))

    @staticmethod
    def range(name: str, end: int) -> Labels:
        """The entries 0, 1, ..., ``end`` - 1 in one dimension.

        Raises TypeError or ValueError where ``end`` isn't an integer of at least 0, or ``name`` not a
        name.
        """
        if not isinstance(name, str):
            raise TypeError(f"name must be a string, got {name!r} of type {type(name).__name__}")
        if isinstance(end, bool) or not isinstance(end, int):
            raise TypeError(f"end must be an int, got {end!r} of type {type(end).__name__}")
        if end < 0:
            raise ValueError(f"end must be at least 0, got {end}")
        return Labels._unchecked(_checked_names(name), np.arange(end, dtype=np.int32).tobytes(), _CPU)

    @property
    def names(self) -> list[str]:
        """Names of the dimensions."""
        return list(self._names)

    @property
    def values(self) -> torch.Tensor:
        """The rows: int32, shape ``(entries, dimensions)``, on :attr:`device`.

        Read-only by convention. A tensor that somebody changed is not handed out again: the labels
        themselves can't be changed through it.
        """
        if self._values is not None and self._values._version == 0:
            return self._values
        with torch.inference_mode(False):
            values = self._tensor().to(self._device)
        if type(values) is torch.Tensor:  # where something is traced it is a fake, good for nothing else
            self._values = values
        return values

    def _tensor(self) -> torch.Tensor:
        """The rows as a new tensor on the host."""
        shape = self._length, len(self._names)
        if not self._content:
            return torch.empty(shape, dtype=torch.int32, device=_CPU)
        return torch.frombuffer(bytearray(self._content), dtype=torch.int32).reshape(shape)

    def _table(self) -> Table:
        """The rows as they are kept: a table that can't be written to."""
        shape = self._length, len(self._names)
        if torch.compiler.is_compiling():  # torch reads lists, and no memory
            return np.array(self._entries(), np.int32).reshape(shape)
        return np.frombuffer(self._content, np.int32).reshape(shape)

    @property
    def device(self) -> torch.device:
        """The device of ``values``."""
        return self._device

    def to(self, device: str | torch.device) -> Labels:
        """The same labels with ``values`` on ``device``; themselves if they are there already."""
        device = torch.empty(0, device=device).device
        if device == self._device:
            return self
        return Labels._unchecked(self._names, self._content, device)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[LabelsEntry]:
        for row in self._entries():
            yield LabelsEntry._unchecked(self._names, row, self._device)

    @overload
    def __getitem__(self, index: str) -> torch.Tensor: ...
    @overload
    def __getitem__(self, index: int) -> LabelsEntry: ...
    def __getitem__(self, index: str | int) -> torch.Tensor | LabelsEntry:
        """A column by its name (:meth:`column`), or an entry by its position (:meth:`entry`)."""
        return self.column(index) if isinstance(index, str) else self.entry(index)

    def column(self, dimension: str) -> torch.Tensor:
        """The values of one dimension: int32, shape ``(entries,)``.

        Raises ValueError for a name that isn't there.
        """
        return self.values[:, _column_index(self._names, dimension)]

    def entry(self, index: int) -> LabelsEntry:
        """The entry at a position, negative ones from the end.

        Raises IndexError where there is none.
        """
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"no entry {index} in Labels with {counted(len(self), 'entry')}")
        row = struct.Struct(f"{len(self._names)}i")
        index %= len(self)
        return LabelsEntry._unchecked(
            self._names, row.unpack_from(self._content, index * row.size), self._device
        )

    def position(self, entry: LabelsEntry | torch.Tensor | Sequence[int]) -> int | None:
        """Where the row is that has these values, or None.

        An entry's values are taken by the names of its dimensions, whatever their order; an entry
        with other dimensions is in no row. A sequence has a value for each dimension, in order, and
        raises ValueError where it has not.
        """
        if isinstance(entry, LabelsEntry):
            if entry._names == self._names:
                row = entry._row
            elif set(entry._names) == set(self._names):
                row = tuple(entry[name] for name in self._names)
            else:
                return None
        else:
            values = entry.tolist() if isinstance(entry, torch.Tensor) else entry
            row = tuple(operator.index(v) for v in values)
            if len(row) != len(self._names):
                raise ValueError(
                    f"an entry of these Labels has {counted(len(self._names), 'value')} "
                    f"{list(self._names)}, got {len(row)}: {list(row)}"
                )
        return self._look_up()(row)

    def select(self, selection: Labels) -> torch.Tensor:
        """The positions of the entries that agree with one of the selection's in its dimensions.

        int64, on :attr:`device`. They are in ascending order, except where the selection has all
        dimensions in the same order: then in the order of its entries. Entries of the selection that
        occur nowhere are ignored.

        Raises TypeError for something other than Labels, ValueError for a dimension that isn't there.

        Source: the documentation of ``metatensor.torch.Labels.select``; the order, its behaviour.
        """
        if not isinstance(selection, Labels):
            raise TypeError(f"selection must be Labels, got {type_of(selection)}")
        return self._sent(self._selected(selection))

    def union(self, other: Labels) -> Labels:
        """The entries of these labels, followed by those that only the ``other`` ones have, in order.

        On :attr:`device`. Raises TypeError for something other than Labels, ValueError where they don't
        have the same dimensions in the same order.

        Source: the documentation of ``metatensor.torch.Labels.union``; the order, its behaviour.
        """
        return self.union_and_mapping(other)[0]

    @not_traced
    def union_and_mapping(self, other: Labels) -> tuple[Labels, torch.Tensor, torch.Tensor]:
        """:meth:`union`, and where the entries of these and of the ``other`` labels are in it.

        These positions are int64, of the shapes ``(entries,)`` and ``(entries of other,)``, on
        :attr:`device`. Raises as it does.

        Source: the documentation of ``metatensor.torch.Labels.union_and_mapping``.
        """
        theirs, mine = self._common(other, "union")
        places = np.full(other._length, -1)
        places[theirs] = mine
        new = np.flatnonzero(places < 0)
        places[new] = np.arange(self._length, self._length + len(new))
        content = self._content + other._table().take(new, 0).tobytes()
        union = Labels._unchecked(self._names, content, self._device)
        return union, self._sent(np.arange(self._length)), self._sent(places)

    def intersection(self, other: Labels) -> Labels:
        """The entries that are also in ``other``, in the order of these labels.

        On :attr:`device`. Raises as :meth:`union` does.

        Source: the documentation of ``metatensor.torch.Labels.intersection``; the order, ours: theirs is
        that of the fewer.
        """
        return self.intersection_and_mapping(other)[0]

    @not_traced
    def intersection_and_mapping(self, other: Labels) -> tuple[Labels, torch.Tensor, torch.Tensor]:
        """:meth:`intersection`, and where the entries of these and of the ``other`` labels are in it.

        These positions are int64, of the shapes ``(entries,)`` and ``(entries of other,)``, on
        :attr:`device`; -1 for entries that aren't in the intersection. Raises as it does.

        Source: the documentation of ``metatensor.torch.Labels.intersection_and_mapping``.
        """
        theirs, mine = self._common(other, "intersection")
        kept = np.zeros(self._length, np.bool_)
        kept[mine] = True
        intersection, mapping = self._kept(kept)
        of_other = np.full(other._length, -1)
        of_other[theirs] = mapping.take(mine)
        return intersection, self._sent(mapping), self._sent(of_other)

    def difference(self, other: Labels) -> Labels:
        """The entries that are not in ``other``, in the order of these labels.

        On :attr:`device`. Raises as :meth:`union` does.

        Source: the documentation of ``metatensor.torch.Labels.difference``; the order, its behaviour.
        """
        return self.difference_and_mapping(other)[0]

    @not_traced
    def difference_and_mapping(self, other: Labels) -> tuple[Labels, torch.Tensor]:
        """:meth:`difference`, and where the entries of these labels are in it.

        These positions are int64, of the shape ``(entries,)``, on :attr:`device`; -1 for entries that
        aren't in the difference. Raises as it does.

        Source: the documentation of ``metatensor.torch.Labels.difference_and_mapping``.
        """
        _, mine = self._common(other, "difference")
        kept = np.ones(self._length, np.bool_)
        kept[mine] = False
        difference, mapping = self._kept(kept)
        return difference, self._sent(mapping)

    def append(self, name: str, values: torch.Tensor) -> Labels:
        """The labels with a new dimension after the others: :meth:`insert` at their number.

        Source: the documentation of ``metatensor.torch.Labels.append``.
        """
        return self.insert(len(self._names), name, values)

    def insert(self, index: int, name: str, values: torch.Tensor) -> Labels:
        """The labels with a new dimension before the one at ``index``, from 0 to their number.

        ``values`` are integers of the shape ``(entries,)``, on any device. Raises IndexError for another
        index, and otherwise as the constructor does.

        Source: the documentation of ``metatensor.torch.Labels.insert``.
        """
        index, size = operator.index(index), len(self._names)
        if not 0 <= index <= size:
            raise IndexError(
                f"index must be from 0 to {size}, the number of dimensions {list(self._names)}, "
                f"got {index}"
            )
        names = _checked_names([*self._names[:index], name, *self._names[index:]])
        _check_integers(values)
        if values.shape != (self._length,):
            raise ValueError(
                f"values must have the shape ({self._length},), one for each entry, "
                f"got {tuple(values.shape)}"
            )
        column = Labels._unchecked((name,), _content_of(values), _CPU)._table()
        table = np.insert(self._table(), [index], column, axis=1)
        return Labels._of_table(names, table, self._device)

    def permute(self, dimensions_indexes: Sequence[int]) -> Labels:
        """The labels with their dimensions in another order, dimension ``i`` being that at index ``i``.

        Negative indexes count from the end, as torch's do. Raises ValueError unless every dimension has
        one index, IndexError for one out of range.

        Source: the documentation of ``metatensor.torch.Labels.permute``.
        """
        indexes, size = [operator.index(i) for i in dimensions_indexes], len(self._names)
        for index in indexes:
            if not -size <= index < size:
                raise IndexError(
                    f"no dimension {index} in these labels, which have {size}: {list(self._names)}"
                )
        if sorted(index % size for index in indexes) != list(range(size)):
            raise ValueError(
                f"dimensions_indexes must be the numbers from 0 to {size - 1}, each once, got {indexes}"
            )
        names = tuple(self._names[index] for index in indexes)
        return Labels._of_table(names, self._table().take(indexes, 1, mode="wrap"), self._device)

    def remove(self, name: str) -> Labels:
        """The labels without a dimension.

        Raises ValueError for a name that isn't there, the only one, and where rows would then be the
        same.

        Source: the documentation of ``metatensor.torch.Labels.remove``.
        """
        index = _column_index(self._names, name)
        if len(self._names) == 1:
            raise ValueError(f"{name!r} is the only dimension of these labels, which need one")
        names = (*self._names[:index], *self._names[index + 1 :])
        removed = Labels._of_table(names, np.delete(self._table(), index, axis=1), self._device)
        try:
            removed._check_distinct()
        except ValueError as error:
            raise ValueError(f"the dimension {name!r} can't be removed: {error}") from None
        return removed

    def rename(self, old: str, new: str) -> Labels:
        """The labels with the dimension ``old`` named ``new``.

        Raises ValueError for a name that isn't there, and as the constructor does for the new one.

        Source: the documentation of ``metatensor.torch.Labels.rename``.
        """
        names = list(self._names)
        names[_column_index(self._names, old)] = new
        return Labels._unchecked(_checked_names(names), self._content, self._device)

    def __contains__(self, entry: LabelsEntry | torch.Tensor | Sequence[int]) -> bool:
        return self.position(entry) is not None

    def __eq__(self, other: object) -> bool:
        """Same names in the same order, same rows in the same order; devices don't count."""
        if self is other:
            return True
        if not isinstance(other, Labels):
            return NotImplemented
        return self._names == other._names and self._content == other._content

    def __hash__(self) -> int:
        return hash((self._names, self._content))

    def __copy__(self) -> Labels:
        return self

    def __deepcopy__(self, memo: object) -> Labels:
        return self

    def print(self, max_entries: int = -1, indent: int = 0) -> str:
        """The labels as a table of at most ``max_entries`` rows, two at least (-1: all).

        All lines but the first are indented. As metatensor.torch prints them.
        """
        table, dots = self._table(), -1
        if 0 <= max_entries < len(table):
            entries = max(max_entries, 2)
            dots = (entries + 1) // 2
            table = np.concatenate((table[:dots], table[len(table) - (entries - dots) :]))
        shown = [[str(v) for v in row] for row in table.tolist()]
        widths = [max(map(len, column)) for column in zip(self._names, *shown, strict=True)]
        lines = [
            "".join(f" {cell:^{width}} " for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in [self._names, *shown]
        ]
        if dots >= 0:
            half = sum(width + 2 for width in widths) // 2
            lines.insert(1 + dots, " " * (half - 2 if half > 3 else half + 1) + "...")
        return ("\n" + " " * indent).join(lines)

    def __str__(self) -> str:
        return "Labels\n   " + self.print(4, 3)

    def __repr__(self) -> str:
        return labels_source(self, longest=LONGEST)

    def _entries(self) -> tuple[tuple[int, ...], ...]:
        if self._tuples is None:
            self._tuples = _unpacked(self._content, len(self._names))
        return self._tuples

    def _taken(self, positions: Sequence[int]) -> Labels:
        """The entries at distinct positions."""
        table = self._table().take(np.array(positions, np.int64), 0)
        return Labels._of_table(self._names, table, self._device)

    def _kept(self, whether: Mask) -> tuple[Labels, Numbers]:
        """The entries that are kept, and for each entry where it went, -1 if it isn't kept."""
        positions = np.flatnonzero(whether)
        mapping = np.full(self._length, -1)
        mapping[positions] = np.arange(len(positions))
        return Labels._of_table(self._names, self._table().take(positions, 0), self._device), mapping

    def _common(self, other: Labels, operation: str) -> tuple[Numbers, Numbers]:
        """The positions of common entries in ``other`` labels, ascending, and those in these."""
        if not isinstance(other, Labels):
            raise TypeError(f"other must be Labels, got {type_of(other)}")
        if self._names != other._names:
            remedy = ""
            if set(self._names) == set(other._names):
                order = [other._names.index(name) for name in self._names]
                remedy = f"; other.permute({order}) has them in this order"
            raise ValueError(
                f"the {operation} needs Labels of the same dimensions in the same order, got "
                f"{list(self._names)} and {list(other._names)}{remedy}"
            )
        return self._found(other)

    def _found(self, other: Labels) -> tuple[Numbers, Numbers]:
        few = _FEW if self._length <= _FEW else _VERY_FEW
        if other._length > few and not torch.compiler.is_compiling():
            return self._index_of_rows().find(other._table())
        look_up = self._look_up()
        places = [look_up(row) for row in other._entries()]
        found = [i for i, place in enumerate(places) if place is not None]
        return np.array(found, np.int64), np.array([places[i] for i in found], np.int64)

    def _selected(self, selection: Labels) -> Numbers:
        columns = [_column_index(self._names, name) for name in selection._names]
        if selection._names == self._names:
            return self._found(selection)[1]
        few = max(self._length, selection._length) <= _VERY_FEW
        if few or torch.compiler.is_compiling():  # torch reads sets
            wanted = set(selection._entries())
            rows = enumerate(self._entries())
            found = [i for i, row in rows if tuple([row[c] for c in columns]) in wanted]
            return np.array(found, np.int64)
        return matches(self._table()[:, columns], selection._table())

    def _look_up(self) -> Callable[[tuple[int, ...]], int | None]:
        """What finds the position of a row."""
        # what is compiled is read by torch, which knows dictionaries
        if self._length <= _FEW or torch.compiler.is_compiling():
            return self._position_of_entry().get
        return self._index_of_rows().place

    def _sent(self, positions: Numbers) -> torch.Tensor:
        """A tensor of positions on the device."""
        return torch.from_numpy(positions).to(self._device)

    def _position_of_entry(self) -> dict[tuple[int, ...], int]:
        if self._dictionary is None:
            self._dictionary = {row: i for i, row in enumerate(self._entries())}
        return self._dictionary

    def _index_of_rows(self) -> Index:
        if self._index is None:
            self._index = Index(self._table())
        return self._index


def _unpacked(content: bytes, width: int) -> tuple[tuple[int, ...], ...]:
    return tuple(struct.iter_unpack(f"{width}i", content))


# What torch.compiler.assume_constant_result does, which would import torch.compile's half of torch: what
# is compiled has the rows as they are.
_unpacked._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _column_index(names: tuple[str, ...], dimension: str) -> int:
    try:
        return names.index(dimension)
    except ValueError:
        raise ValueError(
            f"no dimension {dimension!r} in these labels, which have {list(names)}"
        ) from None


def _checked_names(names: str | Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        names = (names,)
    if not isinstance(names, (list, tuple)) or not all(isinstance(n, str) for n in names):
        raise TypeError(
            f"names must be a string or a list of strings, got {names!r} of type {type(names).__name__}"
        )
    if not names:
        raise ValueError("names must have at least one dimension, got an empty list")
    known: set[str] = set()
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"names must be identifiers of ASCII letters, digits and _, got {name!r}")
        if name in known:
            raise ValueError(f"names must be distinct, got {name!r} twice in {list(names)}")
        known.add(name)
    return tuple(names)


def _checked_content(names: tuple[str, ...], values: torch.Tensor) -> bytes:
    _check_integers(values)
    if values.dim() != 2 or values.shape[1] != len(names):
        raise ValueError(
            f"values must have the shape (entries, {len(names)}), a column for each of {list(names)}, "
            f"got {tuple(values.shape)}"
        )
    return _content_of(values)


def _check_integers(values: torch.Tensor) -> None:
    if not isinstance(values, torch.Tensor):
        raise TypeError(
            f"values must be a torch.Tensor of integers, got {type(values).__name__}; "
            "make one with torch.tensor(values)"
        )
    if values.dtype not in _INTEGERS and values.numel():
        raise TypeError(f"values must be integers, got a tensor of {values.dtype}")
    if values.layout is not torch.strided:
        raise TypeError(f"values must be a dense tensor, got one of {values.layout}; use .to_dense()")


def _content_of(values: torch.Tensor) -> bytes:
    """Integers as int32 stands in memory, if they fit."""
    if values.device.type == "meta":
        raise ValueError(
            "values on the meta device have no rows to read; build Labels on the cpu and move them "
            'with .to("meta")'
        )
    if not values.numel():
        return b""  # whatever the dtype: what has no numbers has none that are no integers
    host = _on_host(values)
    if host.dtype is not torch.int32:
        if host.dtype in _WIDE_UNSIGNED:  # torch has no minimum of them
            low, high = int(host.numpy().min()), int(host.numpy().max())
        else:
            low, high = map(int, host.aminmax())
        if low < _INT32.min or high > _INT32.max:
            worst = low if low < _INT32.min else high
            raise ValueError(
                f"values must fit in 32 bits, from {_INT32.min} to {_INT32.max}, got {worst}"
            )
        host = host.to(torch.int32)
    return _memory_of(host)


def _on_host(values: torch.Tensor) -> torch.Tensor:
    """The tensor on the CPU, its memory being what it prints: not the negatives of that, nor nothing."""
    host = values.detach().to(_CPU)
    return host.clone() if host.is_neg() or host._is_zerotensor() else host


def _bytes_of(rows: torch.Tensor) -> bytes:
    """A tensor of integers as int32 stands in memory."""
    return _memory_of(_on_host(rows).to(torch.int32))


def _memory_of(host: torch.Tensor) -> bytes:
    host = host.contiguous()
    return ctypes.string_at(host.data_ptr(), 4 * host.numel())


def labels_source(labels: Labels, array: str = "torch.tensor", longest: int | None = None) -> str:
    """The code of labels, whose values are made by the call ``array``."""
    width = len(labels.names)
    names = json.dumps(labels.names[0] if width == 1 else labels.names)
    module = array.partition(".")[0]
    too_long = longest is not None and len(labels) * width > longest
    rows = () if too_long else labels._entries()
    flat = [row[0] for row in rows]
    if too_long:
        code = f"Labels({names}, <tensor of shape {(len(labels), width)}, torch.int32>)"
    elif width == 1 and flat == list(range(len(rows))):
        code = f"Labels.range({names}, {len(rows)})"
    elif not rows:
        code = f"Labels({names}, {module}.empty((0, {width}), dtype={module}.int32))"
    else:
        code = f"Labels({names}, {array}({[list(row) for row in rows]}))"
        if width == 1 and flat == list(range(flat[0], flat[0] + len(flat))):
            values = f"{module}.arange({flat[0]}, {flat[-1] + 1}).reshape(-1, 1)"
            code = min(code, f"Labels({names}, {values})", key=len)
    return code if labels.device.type == "cpu" else f'{code}.to("{labels.device}")'
