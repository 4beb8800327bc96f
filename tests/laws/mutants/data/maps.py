"""Broken maps."""

from mutants.planting import of_maps
from tmref import Labels, TensorBlock, TensorMap
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
