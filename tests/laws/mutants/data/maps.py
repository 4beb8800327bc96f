"""Broken maps."""

import torch

from mutants.planting import of_maps
from tmref import Labels, Permutation, TensorBlock, TensorMap
from tmref.laws.data import _moves_by_value

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


several = "several_blocks_are_found_by_their_positions"


@of_maps(several)
class EachPositionOnce(TensorMap):
    def blocks_by_id(self, indices):
        return super().blocks_by_id(dict.fromkeys(indices))


@of_maps(several)
class PositionsInOrder(TensorMap):
    def blocks_by_id(self, indices):
        return super().blocks_by_id(sorted(indices))


@of_maps(several)
class PositionsThatAreThere(TensorMap):
    def blocks_by_id(self, indices):
        return super().blocks_by_id([index for index in indices if index < len(self)])


of_one = "the_block_of_a_map_of_one_is_found"


@of_maps(of_one)
class TheFirstOfAll(TensorMap):
    def block(self, selection=None):
        return self.block_by_id(0) if selection is None else super().block(selection)


@of_maps(of_one)
class NoneWithoutASelection(TensorMap):
    def block(self, selection=None):
        if selection is None:
            raise ValueError("no selection")
        return super().block(selection)


moved = "what_is_moved_says_where_it_is"


@of_maps(moved)
class KeysStayWhereTheyAre(TensorMap):
    def to(self, *args, **options):
        return TensorMap._unchecked(self.keys, list(super().to(*args, **options)))


@of_maps(moved)
class PropertiesStayOnTheCpu(TensorMap):
    def to(self, *args, device=None, **options):
        y = super().to(*args, device=device, **options)
        for block in y:
            block._properties = block.properties.to("cpu")
        return y


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


@of_maps(components)
class OneComponentAtATime(Moving):
    """As metatensor once did (issue 993)."""

    def moved(self, x, names):
        if len(names) > 1:
            raise IndexError("too many components")
        return _moves_by_value.components_to_properties(x, names, x)


def resorted(y, orders):
    """The map with the samples of every block in another order, a list of positions."""
    return Permutation(tuple(range(len(y))), tuple(map(tuple, orders)))(y)


@merged(below, "samples")
@merged(beside, "properties")
def sorted_by_the_first_dimension(merge, moved, fill, sort):
    y = merge(moved, fill, False)
    rows = [b.samples.values.tolist() for b in y]
    return resorted(y, [sorted(range(len(r)), key=lambda i: r[i][:1]) for r in rows]) if sort else y


@merged(below, "samples")
@merged(beside, "properties")
def sorted_by_all_but_the_last_dimension(merge, moved, fill, sort):
    y = merge(moved, fill, False)
    rows = [b.samples.values.tolist() for b in y]
    return resorted(y, [sorted(range(len(r)), key=lambda i: r[i][:-1]) for r in rows]) if sort else y


@merged(below, "samples")
@merged(beside, "properties")
def sorted_by_the_last_dimension_first(merge, moved, fill, sort):
    y = merge(moved, fill, False)
    rows = [b.samples.values.tolist() for b in y]
    return resorted(y, [sorted(range(len(r)), key=lambda i: r[i][::-1]) for r in rows]) if sort else y


@merged(below, "samples")
def sorted_with_equal_ones_in_reverse(merge, moved, fill, sort):
    y = merge(moved, fill, False)
    rows = [b.samples.values.tolist() for b in y]
    backwards = [sorted(range(len(r)), key=lambda i: (r[i][:-1], -i)) for r in rows]
    return resorted(y, backwards) if sort else y


class Input(TensorMap):
    """A map that its moves leave in another state."""

    def keys_to_samples(self, *args, **options):
        return self.after(super().keys_to_samples(*args, **options))

    def keys_to_properties(self, *args, **options):
        return self.after(super().keys_to_properties(*args, **options))

    def components_to_properties(self, names):
        return self.after(_moves_by_value.components_to_properties(self, names, self))


def of_moves(kind):
    for law in (below, beside, entries, components):
        of_maps(law)(kind)
    return kind


@of_moves
class MovesEmptyTheirInput(Input):
    def after(self, y):
        for block in self:
            block.values.zero_()
        return y


@of_moves
class MovesTakeTheBlocksOfTheirInput(Input):
    def after(self, y):
        self._keys, self._blocks = y.keys, tuple(y)
        return y


@of_maps("a_map_on_meta_has_names_and_sizes")
class OneSampleOnMeta(TensorMap):
    def to(self, device):
        return (
            super()
            .to(device)
            ._map_blocks(
                lambda b: TensorBlock(
                    b.values[:1],
                    Labels.range("_", len(b.values[:1])).to(device),
                    b.components,
                    b.properties,
                )
            )
        )


@of_maps("a_map_on_meta_has_names_and_sizes")
class FloatsOnMeta(TensorMap):
    def to(self, device):
        return super().to(device).to(torch.float32)


@of_maps("a_map_on_meta_has_names_and_sizes")
class KeysStayOnTheCpu(TensorMap):
    def to(self, device):
        return TensorMap._unchecked(self.keys, list(super().to(device)))


@of_maps("a_map_on_meta_has_names_and_sizes")
class MovesToMetaOverwriteLabels(TensorMap):
    """As metatensor once did, whose memory was given back (issue 374)."""

    def to(self, device):
        y = super().to(device)
        for block in self:
            if len(block) > 1:
                rows = block.samples.values.clone()
                rows[0] = 12345
                block._samples = Labels(block.samples.names, rows)
        return y


@of_maps("a_map_on_meta_has_names_and_sizes")
class MovesToMetaEmptyTheirInput(TensorMap):
    def to(self, device):
        y = super().to(device)
        for block in self:
            block.values.zero_()
        return y


without_blocks = "a_map_without_blocks_says_that_it_has_none"


@of_maps(without_blocks)
class NamesOfASample(TensorMap):
    @property
    def sample_names(self):
        return super().sample_names or ["sample"]


@of_maps(without_blocks)
class KeysAreLost(TensorMap):
    def copy(self, deep=True):
        return TensorMap(Labels.empty("_"), [])


@of_maps(without_blocks)
class ItemsOfNothing(TensorMap):
    def items(self):
        return super().items() or [(None, None)]


says = "what_a_map_says_of_itself_stays"


@of_maps(says)
class CopiesSayNothing(TensorMap):
    def copy(self, deep=True):
        return TensorMap(self.keys, list(super().copy(deep)))


@of_maps(says)
class ConversionsSayNothing(TensorMap):
    def to(self, *args, **options):
        return TensorMap(self.keys, list(super().to(*args, **options)))


@of_maps(says)
class SaysTheFirstOnly(TensorMap):
    def set_info(self, key, value):
        if not self.info():
            super().set_info(key, value)


@of_maps(says)
class SaysSomethingOfEverything(TensorMap):
    def get_info(self, key):
        return super().get_info(key) or "nothing"


@of_maps(says)
class PickledWithoutInfo(TensorMap):
    def __reduce__(self):
        return TensorMap, (self.keys, list(self))
