"""Broken labels."""

import torch

from mutants.planting import OwnLabels, data, of_labels
from tmref import Labels, LabelsEntry


@data("a_position_is_where_the_entry_is", "labels")
class PositionsFromTheEnd(OwnLabels):
    name = "positions_from_the_end"

    class Labels(Labels):
        def position(self, entry):
            return len(self) - 1 - super().position(entry)


positions = "a_row_has_a_position_where_it_is_in_the_labels"


@of_labels(positions)
class MissingIsLast(Labels):
    def position(self, entry):
        found = super().position(entry)
        return len(self) - 1 if found is None else found


@of_labels(positions)
class ContainsByTheFirstDimension(Labels):
    def __contains__(self, entry):
        return any(entry[0] == row[0] for row in self._entries())


@of_labels(positions)
class TheFirstIsFalse(Labels):
    def __contains__(self, entry):
        return bool(self.position(entry))


reading = "labels_can_be_read_by_entry_and_by_dimension"


@of_labels(reading)
class ColumnsFromTheEnd(Labels):
    def column(self, dimension):
        return self.values[:, -1 - self.names.index(dimension)]


@of_labels(reading)
class EntriesOneOff(Labels):
    def entry(self, index):
        return super().entry(index - 1)


@of_labels(reading)
class TheLastIsNotIterated(Labels):
    def __iter__(self):
        return iter(list(super().__iter__())[:-1])


@of_labels(positions)
class TuplesAreNotFound(Labels):
    def position(self, entry):
        return None if isinstance(entry, tuple) else super().position(entry)


@of_labels(positions)
class ArraysAreFoundByTheirFirstValue(Labels):
    def position(self, entry):
        if isinstance(entry, torch.Tensor):
            first = self.values[:, 0].tolist()
            return first.index(int(entry[0])) if int(entry[0]) in first else None
        return super().position(entry)


tuples = "an_entry_is_a_named_tuple"


def with_entries(law):
    """A defect of the entries of labels."""

    def register(entry):
        class Own(Labels):
            def entry(self, index):
                found = super().entry(index)
                return entry(found.names, found.values)

            def __iter__(self):
                return (self.entry(i) for i in range(len(self)))

        Own.__name__ = entry.__name__
        return of_labels(law)(Own) and entry

    return register


@with_entries(tuples)
class ReadFromTheEnd(LabelsEntry):
    def __getitem__(self, dimension):
        return super().__getitem__(-1 - dimension if isinstance(dimension, int) else dimension)


@with_entries(tuples)
class IteratedInOrderOfTheirNames(LabelsEntry):
    def __iter__(self):
        return iter([self[name] for name in sorted(self.names)])


@with_entries(tuples)
class PrintedWithoutNames(LabelsEntry):
    def print(self):
        return str(tuple(self))


prints = "printed_labels_have_their_entries"


@of_labels(prints)
class PrintsOneTooFew(Labels):
    def print(self, max_entries=-1, indent=0):
        text = super().print(max_entries, indent)
        return "\n".join(text.splitlines()[:-1]) if len(self) > 1 else text


@of_labels(prints)
class PrintsThemAll(Labels):
    def print(self, max_entries=-1, indent=0):
        return super().print(-1, indent)


@of_labels(prints)
class PrintsDigitsAlone(Labels):
    def print(self, max_entries=-1, indent=0):
        return super().print(max_entries, indent).replace("-", "")


equality = "equality_is_that_of_names_and_values"


class Comparable(Labels):
    def __eq__(self, other):
        return self.same(self.names, self.values.tolist(), other.names, other.values.tolist())

    __hash__ = None


@of_labels(equality)
class NamesDontCount(Comparable):
    def same(self, names, rows, other_names, other_rows):
        return rows == other_rows


@of_labels(equality)
class OrderDoesntCount(Comparable):
    def same(self, names, rows, other_names, other_rows):
        return names == other_names and sorted(rows) == sorted(other_rows)


@of_labels(equality)
class LongerIsTheSame(Comparable):
    def same(self, names, rows, other_names, other_rows):
        return names == other_names and all(a == b for a, b in zip(rows, other_rows, strict=False))


@of_labels(equality)
class NamesAsASet(Comparable):
    def same(self, names, rows, other_names, other_rows):
        return set(names) == set(other_names) and rows == other_rows


ranges = "ranges_and_empty_labels_are_what_they_say"


@of_labels(ranges)
class RangesFromOne(Labels):
    @staticmethod
    def range(name, end):
        return Labels(name, torch.arange(1, end + 1).reshape(-1, 1))


@of_labels(ranges)
class RangesOfBytes(Labels):
    @staticmethod
    def range(name, end):
        return Labels(name, torch.arange(min(end, 256)).reshape(-1, 1))


@of_labels(ranges)
class EmptyOfOneName(Labels):
    @staticmethod
    def empty(names):
        return Labels(names[:1], torch.empty((0, 1), dtype=torch.int32))


@of_labels(ranges)
class SingleIsEmpty(Labels):
    @staticmethod
    def single():
        return Labels.range("_", 0)


selecting = "selecting_is_a_scan"


@of_labels(selecting)
class OneForEachOfTheSelection(Labels):
    def select(self, selection):
        rows = [row[: len(selection.names)] for row in self._entries()]
        return torch.tensor([rows.index(row) for row in selection._entries() if row in rows])


@of_labels(selecting)
class NothingIsSelectedOfNothing(Labels):
    """As metatensor once did (issue 792)."""

    def select(self, selection):
        if not len(self):
            raise ValueError("zero-size array to reduction operation")
        return super().select(selection)


@of_labels(selecting)
class SelectsByTheFirstDimension(Labels):
    def select(self, selection):
        first = [row[0] for row in selection._entries()]
        column = self.column(selection.names[0]).tolist()
        return torch.tensor([i for i, value in enumerate(column) if value in first])


@of_labels(selecting)
class SelectsByPositionOfDimensions(Labels):
    def select(self, selection):
        return super().select(Labels(self.names[: len(selection.names)], selection.values))


class Sets(Labels):
    """Labels with set algebra, as it must be."""

    def _of(self, rows, *others):
        rows = list(rows)
        made = Labels(self.names, torch.tensor(rows, dtype=torch.int32).reshape(-1, len(self.names)))
        where = {row: i for i, row in enumerate(rows)}
        return made, *(torch.tensor([where.get(r, -1) for r in of._entries()]) for of in others)

    def union_and_mapping(self, other):
        return self._of(dict.fromkeys([*self._entries(), *other._entries()]), self, other)

    def intersection_and_mapping(self, other):
        return self._of([row for row in self._entries() if row in other._entries()], self, other)

    def difference_and_mapping(self, other):
        return self._of([row for row in self._entries() if row not in other._entries()], self)

    def union(self, other):
        return self.union_and_mapping(other)[0]

    def intersection(self, other):
        return self.intersection_and_mapping(other)[0]

    def difference(self, other):
        return self.difference_and_mapping(other)[0]


sets = "set_algebra_is_that_of_sets"


@of_labels(sets)
class UnionOfWhatIsInOne(Sets):
    def union_and_mapping(self, other):
        mine, theirs = self._entries(), other._entries()
        one = [r for r in (*mine, *theirs) if (r in mine) != (r in theirs)]
        return self._of(one, self, other)


@of_labels(sets)
class MappingsSwapped(Sets):
    def intersection_and_mapping(self, other):
        rows, mine, theirs = super().intersection_and_mapping(other)
        return rows, theirs, mine


@of_labels(sets)
class ZeroForMinusOne(Sets):
    def difference_and_mapping(self, other):
        rows, mapping = super().difference_and_mapping(other)
        return rows, mapping.clamp(min=0)


@of_labels(sets)
class DifferenceTheOtherWayRound(Sets):
    def difference(self, other):
        return self._of([row for row in other._entries() if row not in self._entries()])[0]


class Tables(Labels):
    """Labels whose dimensions change, as they must."""

    def rename(self, old, new):
        return Labels([new if name == old else name for name in self.names], self.values)

    def append(self, name, values):
        return self.insert(len(self.names), name, values)

    def insert(self, index, name, values):
        parts = self.values[:, :index], values.reshape(-1, 1), self.values[:, index:]
        return Labels([*self.names[:index], name, *self.names[index:]], torch.cat(parts, 1))

    def permute(self, order):
        return Labels([self.names[i] for i in order], self.values[:, order])

    def remove(self, name):
        rest = [i for i, other in enumerate(self.names) if other != name]
        return Labels([self.names[i] for i in rest], self.values[:, rest])


tables = "dimensions_change_as_columns_of_a_table"


@of_labels(tables)
class AppendsAtTheNumberOfEntries(Tables):
    def append(self, name, values):
        return self.insert(min(len(self), len(self.names)), name, values)


@of_labels(tables)
class InsertsAfter(Tables):
    def insert(self, index, name, values):
        return super().insert(min(index + 1, len(self.names)), name, values)


@of_labels(tables)
class NamesAreNotPermuted(Tables):
    def permute(self, order):
        return Labels(self.names, self.values[:, order])


@of_labels(tables)
class RemovesTheLast(Tables):
    def remove(self, name):
        return super().remove(self.names[-1])


@of_labels(tables)
class RepeatedRowsAreRemoved(Tables):
    def remove(self, name):
        rest = [i for i, other in enumerate(self.names) if other != name]
        return Labels([self.names[i] for i in rest], torch.unique(self.values[:, rest], dim=0))


surviving = "labels_survive_being_copied_and_saved"


@of_labels(surviving)
class CopiedSorted(Labels):
    def __copy__(self):
        return Labels(self.names, torch.unique(self.values, dim=0))


@of_labels(surviving)
class PickledAsBytes(Labels):
    def __reduce__(self):
        return Labels, (self.names, self.values.to(torch.uint8))
