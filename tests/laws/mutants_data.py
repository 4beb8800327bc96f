"""Broken types of data."""

import torch
from mutants import MUTANTS, Planted

from tmref import Labels, TensorBlock, TensorMap
from tmref.implementations.reference import Reference
from tmref.laws.data import _moves_by_value


def data(law, *rows):
    """A defect of an implementation whose types are subclasses of the reference's."""

    def register(implementation):
        MUTANTS.extend(Planted(law, row, implementation()) for row in rows)
        return implementation

    return register


class OwnLabels(Reference):
    """The reference with a class of labels of its own."""

    def labels(self, labels):
        return self.Labels(labels.names, labels.values).to(labels.device)

    def decode_labels(self, labels):
        return Labels(labels.names, labels.values).to(labels.device)


def of_labels(law):
    """A defect of labels whose class this is."""

    def register(labels):
        class Own(OwnLabels):
            name = labels.__name__
            Labels = labels

        return data(law, "labels")(Own) and labels

    return register


def of_blocks(law):
    """A defect of blocks whose class this is."""

    def register(block):
        class Own(Reference):
            name = block.__name__
            TensorBlock = block

        return data(law, "tensor_block")(Own) and block

    return register


def of_maps(law):
    """A defect of maps whose class this is."""

    def register(tensor_map):
        class Own(Reference):
            name = tensor_map.__name__
            TensorMap = tensor_map

            def encode(self, tensor):
                return self.TensorMap(tensor.keys, list(tensor))

            def decode(self, tensor):
                return TensorMap(tensor.keys, list(tensor))

        return data(law, "tensor_map")(Own) and tensor_map

    return register


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
        return any(entry[0] == row[0] for row in self._rows())


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
        rows = [row[: len(selection.names)] for row in self._rows()]
        return torch.tensor([rows.index(row) for row in selection._rows() if row in rows])


@of_labels(selecting)
class SelectsByTheFirstDimension(Labels):
    def select(self, selection):
        first = [row[0] for row in selection._rows()]
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
        return made, *(torch.tensor([where.get(r, -1) for r in of._rows()]) for of in others)

    def union_and_mapping(self, other):
        return self._of(dict.fromkeys([*self._rows(), *other._rows()]), self, other)

    def intersection_and_mapping(self, other):
        return self._of([row for row in self._rows() if row in other._rows()], self, other)

    def difference_and_mapping(self, other):
        return self._of([row for row in self._rows() if row not in other._rows()], self)

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
        mine, theirs = self._rows(), other._rows()
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
        return self._of([row for row in other._rows() if row not in self._rows()])[0]


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


parts = "a_block_has_the_parts_that_it_is_made_of"


@of_blocks(parts)
class LengthOfProperties(TensorBlock):
    def __len__(self):
        return len(self.properties)


@of_blocks(parts)
class ShapeWithoutComponents(TensorBlock):
    @property
    def shape(self):
        return torch.Size([super().shape[0], super().shape[-1]])


gradients = "gradients_that_are_added_come_back"


@of_blocks(gradients)
class TheFirstGradientForAny(TensorBlock):
    def gradient(self, parameter):
        return self.gradients()[0][1]


@of_blocks(gradients)
class OnlyTheLastGradient(TensorBlock):
    def add_gradient(self, parameter, gradient):
        self._gradients = {}
        super().add_gradient(parameter, gradient)


independent = "a_copy_of_a_block_is_independent_of_it"


@of_blocks(independent)
class CopiesAreShallow(TensorBlock):
    def copy(self, deep=False):
        return super().copy(False)


@of_blocks(independent)
class GradientsAreShared(TensorBlock):
    def copy(self, deep=True):
        made = super().copy(deep)
        for parameter, gradient in self.gradients():
            made._gradients[parameter]._values = gradient.values
        return made


@of_blocks(independent)
class ShallowCopiesAreDeep(TensorBlock):
    def copy(self, deep=True):
        return super().copy(True)


blocks_survive = "blocks_survive_being_copied_and_saved"


@of_blocks(blocks_survive)
class GradientsAreNotCopied(TensorBlock):
    def copy(self, deep=True):
        return TensorBlock(self.values, self.samples, self.components, self.properties)


@of_blocks(blocks_survive)
class PickledWithoutGradients(TensorBlock):
    def __reduce__(self):
        return TensorBlock, (self.values, self.samples, self.components, self.properties)


@of_blocks("a_block_of_another_dtype_has_its_values_converted")
class AlwaysFloat(TensorBlock):
    def to(self, *args, dtype=None, **options):
        return super().to(torch.float32)


@of_blocks("a_block_of_another_dtype_has_its_values_converted")
class RoundedWhenConverted(TensorBlock):
    def to(self, *args, dtype=None, **options):
        return super().to(torch.int32).to(dtype)


by_key = "a_block_is_found_by_its_position_and_by_its_key"


@of_maps(by_key)
class BlocksByTheFirstDimension(TensorMap):
    def block(self, selection=None):
        if isinstance(selection, int):
            return super().block(selection)
        name = self.keys.names[0]
        first = selection[0] if isinstance(selection, Labels) else selection
        return self.block_by_id(self.keys.column(name).tolist().index(first[name]))


@of_maps(by_key)
class BlocksFromTheEnd(TensorMap):
    def __getitem__(self, selection):
        return self.block(len(self) - 1 - selection if isinstance(selection, int) else selection)


@of_maps(by_key)
class AllBlocksReversed(TensorMap):
    def blocks(self, selection=None):
        return super().blocks(selection)[::-1]


scan = "the_blocks_of_a_selection_are_found_by_a_scan"


@of_maps(scan)
class TheFirstThatMatches(TensorMap):
    def blocks(self, selection=None):
        return super().blocks(selection)[:1]


@of_maps(scan)
class AnyDimensionWillDo(TensorMap):
    def blocks(self, selection=None):
        wanted = (
            selection
            if isinstance(selection, dict)
            else dict(zip(selection.names, selection[0], strict=True))
        )
        return [b for key, b in self.items() if any(key[n] == v for n, v in wanted.items())]


made_of = "a_map_has_the_keys_and_names_that_it_is_made_of"


@of_maps(made_of)
class ItemsReversed(TensorMap):
    def items(self):
        return super().items()[::-1]


@of_maps(made_of)
class PropertiesNamedAsSamples(TensorMap):
    @property
    def property_names(self):
        return self.sample_names


@of_maps(made_of)
class OneComponentName(TensorMap):
    @property
    def component_names(self):
        return super().component_names[:1]


@of_maps("a_copy_of_a_map_is_independent_of_it")
class MapCopiesAreShallow(TensorMap):
    def copy(self, deep=True):
        return super().copy(False)


@of_maps("a_copy_of_a_map_is_independent_of_it")
class ShallowMapCopiesAreDeep(TensorMap):
    def copy(self, deep=True):
        return super().copy(True)


@of_maps("maps_survive_being_copied_and_saved")
class CopiedReversed(TensorMap):
    def copy(self, deep=True):
        return TensorMap(self.keys, list(self)[::-1])


@of_maps("maps_survive_being_copied_and_saved")
class PickledWithOtherKeys(TensorMap):
    def __reduce__(self):
        return TensorMap, (Labels(self.keys.names, self.keys.values.flip(0)), list(self))


@of_maps("a_map_of_another_dtype_has_its_values_converted")
class DtypesStay(TensorMap):
    def to(self, *args, dtype=None, **options):
        return super().to(*args, **options)


def merged(law, axis):
    """A defect of what ``(module, *args, **options)`` returns in the place of a merge."""

    def register(change):
        name = f"keys_to_{axis}"
        right = getattr(TensorMap, name)

        def wrong(self, keys_to_move, fill_value=0, sort_samples=True):
            return change(lambda *args: right(self, *args), keys_to_move, fill_value, sort_samples)

        of_maps(law)(type(change.__name__, (TensorMap,), {name: wrong}))
        return change

    return register


below, beside = (
    "keys_to_samples_puts_blocks_below_each_other",
    "keys_to_properties_puts_blocks_beside_each_other",
)
entries = "keys_to_properties_has_the_entries_of_labels"


@merged(below, "samples")
@merged(beside, "properties")
def always_sorted(merge, moved, fill, sort):
    return merge(moved, fill, True)


@merged(below, "samples")
@merged(beside, "properties")
def never_sorted(merge, moved, fill, sort):
    return merge(moved, fill, False)


@merged(below, "samples")
@merged(beside, "properties")
@merged(entries, "properties")
def filled_with_zeros(merge, moved, fill, sort):
    return merge(moved, 0, sort)


@merged(below, "samples")
@merged(beside, "properties")
def only_the_first_moved(merge, moved, fill, sort):
    names = moved.names if isinstance(moved, Labels) else moved
    return merge(names if isinstance(names, str) else names[:1], fill, sort)


@merged(below, "samples")
@merged(beside, "properties")
def moved_in_reverse(merge, moved, fill, sort):
    names = moved.names if isinstance(moved, Labels) else moved
    return merge(names if isinstance(names, str) else names[::-1], fill, sort)


@merged(below, "samples")
@merged(beside, "properties")
def gradients_lost(merge, moved, fill, sort):
    y = merge(moved, fill, sort)
    blocks = [TensorBlock(b.values, b.samples, b.components, b.properties) for b in y]
    return TensorMap(y.keys, blocks)


@merged(below, "samples")
@merged(beside, "properties")
def gradients_of_the_first_sample(merge, moved, fill, sort):
    y = merge(moved, fill, sort)
    for block in y:
        for _, gradient in block.gradients():
            rows = gradient.samples.values.clone()
            rows[:, 0] = rows[:, 0].flip(0)
            gradient._samples = Labels(gradient.samples.names, rows)
    return y


@merged(entries, "properties")
def names_without_entries(merge, moved, fill, sort):
    return merge(moved.names, fill, sort)


@merged(entries, "properties")
def the_last_entry_left_out(merge, moved, fill, sort):
    return merge(Labels(moved.names, moved.values[:-1]), fill, sort)


components = "components_to_properties_moves_every_value"


class Moving(TensorMap):
    def components_to_properties(self, names):
        return self.moved(self, names)


@of_maps(components)
class ComponentsInReverse(Moving):
    def moved(self, x, names):
        y = _moves_by_value.components_to_properties(x, names, x)
        blocks = [
            TensorBlock(b.values.flip(-1), b.samples, b.components, b.properties)
            if len(b.properties)
            else b
            for b in y
        ]
        return TensorMap(y.keys, blocks)


@of_maps(components)
class TheFirstComponentOnly(Moving):
    def moved(self, x, names):
        return _moves_by_value.components_to_properties(x, x.component_names[:1], x)
