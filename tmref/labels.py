"""Labels: the named integer rows that say what the entries of an axis are."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Sequence
from typing import overload

import torch

_INT32 = torch.iinfo(torch.int32)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class LabelsEntry:
    """One row of :class:`Labels`: a named tuple of integers.

    Made by indexing or iterating over labels. ``values`` has shape ``(dimensions,)`` and dtype int32.
    Unlike metatensor.torch's, entries hash by value, so they can be keys of a dictionary.

    Source: the interface of ``metatensor.torch.LabelsEntry``.
    """

    __slots__ = ("_device", "_names", "_row")

    def __init__(self, names: Sequence[str], values: torch.Tensor) -> None:
        row = values.reshape(1, -1) if isinstance(values, torch.Tensor) else values
        labels = Labels(names, row)
        self._names, self._row, self._device = labels._names, labels._tuples()[0], labels._device

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
    integer tensor of shape ``(entries, dimensions)``. It is copied: labels are immutable. Their rows
    stay on the host for lookup, comparison and printing; ``labels.values`` is on the device of the
    values given.

    Raises TypeError where ``names`` aren't strings or ``values`` isn't a tensor of integers, and
    ValueError for a name that is no identifier or occurs twice, a shape that doesn't fit, a row that
    occurs twice, or a value beyond 32 bits (it is never wrapped into another).

    Source: the interface of ``metatensor.torch.Labels``.

    >>> labels = Labels(["system", "atom"], torch.tensor([[0, 1], [0, 5]]))
    >>> labels[1]
    LabelsEntry(system=0, atom=5)
    >>> labels.position([0, 5])
    1
    """

    __slots__ = ("_device", "_hash", "_index", "_names", "_rows", "_values")

    def __init__(self, names: str | Sequence[str], values: torch.Tensor) -> None:
        names = _checked_names(names)
        rows = _checked_rows(names, values)
        self._set(names, rows, values.device)
        if len(self._position_of_row()) != len(rows):
            tuples = self._tuples()
            row, second = next((r, i) for i, r in enumerate(tuples) if r in tuples[:i])
            raise ValueError(
                f"the rows of Labels must be distinct, but the row {list(row)} of {list(names)} "
                f"stands at {tuples.index(row)} and again at {second}"
            )

    def _set(self, names: tuple[str, ...], rows: torch.Tensor, device: torch.device) -> None:
        self._names = names
        self._rows = rows
        self._device = device
        self._values: torch.Tensor | None = None
        self._index: dict[tuple[int, ...], int] | None = None
        self._hash: int | None = None

    @classmethod
    def _unchecked(cls, names: tuple[str, ...], rows: torch.Tensor, device: torch.device) -> Labels:
        """Labels of rows known to be distinct, int32, on the host and nobody else's."""
        labels = cls.__new__(cls)
        labels._set(names, rows, device)
        return labels

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
        names = _checked_names(name)
        with torch.inference_mode(False):
            rows = torch.arange(end, dtype=torch.int32, device="cpu").reshape(end, 1)
        return Labels._unchecked(names, rows, rows.device)

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
        if self._values is None or self._values._version != 0:
            with torch.inference_mode(False):
                self._values = self._rows.to(self._device, copy=True)
        return self._values

    @property
    def device(self) -> torch.device:
        """The device of ``values``."""
        return self._device

    def to(self, device: str | torch.device) -> Labels:
        """The same labels with ``values`` on ``device``; themselves if they are there already."""
        device = torch.empty(0, device=device).device
        return self if device == self._device else Labels._unchecked(self._names, self._rows, device)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[LabelsEntry]:
        for row in self._tuples():
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
            raise IndexError(f"no entry {index} in Labels with {len(self)} entries")
        return LabelsEntry._unchecked(self._names, tuple(self._rows[index].tolist()), self._device)

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
                    f"an entry of these Labels has {len(self._names)} values {list(self._names)}, "
                    f"got {len(row)}: {list(row)}"
                )
        return self._position_of_row().get(row)

    def __contains__(self, entry: LabelsEntry | torch.Tensor | Sequence[int]) -> bool:
        return self.position(entry) is not None

    def __eq__(self, other: object) -> bool:
        """Same names in the same order, same rows in the same order; devices don't count."""
        if self is other:
            return True
        if not isinstance(other, Labels):
            return NotImplemented
        return self._names == other._names and torch.equal(self._rows, other._rows)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash((self._names, tuple(self._tuples())))
        return self._hash

    def __copy__(self) -> Labels:
        return self

    def __deepcopy__(self, memo: object) -> Labels:
        return self

    def print(self, max_entries: int = -1, indent: int = 0) -> str:
        """The labels as a table, at most ``max_entries`` of them (-1: all), later lines indented."""
        rows = [[str(v) for v in row] for row in self._tuples()]
        shown = rows
        if 0 <= max_entries < len(rows):
            head = (max_entries + 1) // 2
            shown = rows[:head] + rows[len(rows) - (max_entries - head) :]
        widths = [max(map(len, column)) for column in zip(self._names, *shown, strict=True)]
        lines = [
            "  ".join(cell.center(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in [list(self._names), *shown]
        ]
        if len(shown) < len(rows):
            lines.insert(1 + (max_entries + 1) // 2, "...")
        return ("\n" + " " * indent).join(lines)

    def __repr__(self) -> str:
        return "Labels\n    " + self.print(20, 4)

    def _tuples(self) -> list[tuple[int, ...]]:
        return [tuple(row) for row in self._rows.tolist()]

    def _position_of_row(self) -> dict[tuple[int, ...], int]:
        if self._index is None:
            self._index = {row: i for i, row in enumerate(self._tuples())}
        return self._index


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
    for i, name in enumerate(names):
        if not _NAME.fullmatch(name):
            raise ValueError(f"names must be identifiers of ASCII letters, digits and _, got {name!r}")
        if name in names[:i]:
            raise ValueError(f"names must be distinct, got {name!r} twice in {list(names)}")
    return tuple(names)


def _checked_rows(names: tuple[str, ...], values: torch.Tensor) -> torch.Tensor:
    if not isinstance(values, torch.Tensor):
        raise TypeError(
            f"values must be a torch.Tensor of integers, got {type(values).__name__}; "
            "make one with torch.tensor(values)"
        )
    if values.dtype == torch.bool or values.is_floating_point() or values.is_complex():
        raise TypeError(f"values must be integers, got a tensor of {values.dtype}")
    if values.dim() != 2 or values.shape[1] != len(names):
        raise ValueError(
            f"values must have the shape (entries, {len(names)}), a column for each of {list(names)}, "
            f"got {tuple(values.shape)}"
        )
    if values.device.type == "meta":
        raise ValueError(
            "values on the meta device have no rows to read; build Labels on the cpu and move them "
            'with .to("meta")'
        )
    if values.numel() and values.dtype != torch.int32:
        low, high = int(values.min()), int(values.max())
        if low < _INT32.min or high > _INT32.max:
            worst = low if low < _INT32.min else high
            raise ValueError(
                f"values must fit in 32 bits, from {_INT32.min} to {_INT32.max}, got {worst}"
            )
    with torch.inference_mode(False):
        return values.detach().to("cpu", torch.int32, copy=True).contiguous()
