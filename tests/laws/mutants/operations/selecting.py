"""Broken slices and splits, and blocks that are filtered wrongly."""

import torch

import tmref
from mutants.planting import changed, each, of_operations
from tmref import Labels, TensorMap

slices = "a_slice_has_what_is_selected"
splits = "a_split_has_a_slice_for_each_selection"
twice = "positions_that_are_there_twice_are_kept_once"
keys = "blocks_are_kept_or_dropped_by_their_keys"
empty = "no_empty_block_is_left"
shared = "blocks_are_shared_unless_copies_are_asked_for"


@of_operations(slices, "slice")
def labels_without_entries_can_not_be_selected_from(slice, tensor, axis, selection):
    """metatensor#792"""
    if isinstance(selection, Labels) and any(len(getattr(block, axis)) == 0 for block in tensor):
        raise ValueError("can't select from empty labels")
    return slice(tensor, axis, selection)


@of_operations(slices, "slice")
def by_the_first_dimension_of_the_selection(slice, tensor, axis, selection):
    if isinstance(selection, Labels) and len(selection.names) > 1:
        first = selection.column(selection.names[0]).unique()
        selection = Labels(selection.names[0], first.reshape(-1, 1))
    return slice(tensor, axis, selection)


@of_operations(slices, "slice")
def blocks_without_any_are_left_out(slice, tensor, axis, selection):
    return tmref.drop_empty_blocks(slice(tensor, axis, selection))


@of_operations(slices, "slice")
def a_slice_empties_its_input(slice, tensor, axis, selection):
    y = slice(tensor, axis, selection).copy()
    for block in tensor:
        block.values.zero_()
    return y


@of_operations(slices, "slice")
def gradients_of_samples_are_numbered_as_before(slice, tensor, axis, selection):
    y = slice(tensor, axis, selection)
    if axis == "properties":
        return y

    def as_before(block, of):
        made = changed(block)
        for name, gradient in block.gradients():
            rows = gradient.samples.values.clone()
            before = torch.tensor([of.samples.position(s) for s in block.samples])
            rows[:, 0] = before[rows[:, 0]].clamp(max=len(block) - 1)
            samples = gradient.samples
            if len(rows.unique(dim=0)) == len(rows):
                samples = Labels(gradient.samples.names, rows)
            made.add_gradient(name, changed(gradient, samples=samples))
        return made

    return TensorMap(y.keys, [as_before(b, of) for b, of in zip(y, tensor, strict=True)])


@of_operations(splits, "split")
def the_last_part_has_the_rest(split, tensor, axis, selections):
    parts = split(tensor, axis, selections)
    return [*parts[:-1], tensor] if len(parts) > 1 else parts


@of_operations(splits, "split")
def parts_that_are_empty_are_left_out(split, tensor, axis, selections):
    parts = split(tensor, axis, selections)
    return [part for part in parts if any(block.values.numel() for block in part)]


@of_operations(splits, "split")
def every_part_is_the_first(split, tensor, axis, selections):
    return split(tensor, axis, [selections[0] for _ in selections])


def _twice(block, axis, positions):
    labels = getattr(block, axis)
    labels = labels._unchecked(
        labels._names, b"".join(labels._taken([i])._content for i in positions), labels.device
    )
    values = block.values.index_select(0 if axis == "samples" else -1, torch.tensor(positions))
    return changed(block, **{axis: labels}, values=values)


@of_operations(twice, "split")
def labels_are_there_twice(split, tensor, axis, selections):
    return [each(lambda b: _twice(b, axis, selections[0]), tensor)]


@of_operations(twice, "split")
def only_what_is_there_once_is_kept(split, tensor, axis, selections):
    once = [i for i in selections[0] if selections[0].count(i) == 1]
    return split(tensor, axis, [once])


@of_operations(keys, "filter_blocks")
def only_one_block_for_each_key_selected(filter_blocks, tensor, keys, **options):
    y = filter_blocks(tensor, keys, **options)
    return tmref.filter_blocks(y, y.keys._taken(range(min(len(y), len(keys)))))


@of_operations(keys, "filter_blocks")
def by_the_first_dimension_of_the_keys(filter_blocks, tensor, keys, **options):
    first = Labels(keys.names[0], keys.column(keys.names[0]).unique().reshape(-1, 1))
    return filter_blocks(tensor, first, **options)


@of_operations(keys, "drop_blocks")
def blocks_are_dropped_by_position(drop_blocks, tensor, keys, **options):
    places = tensor.keys.select(keys).tolist()
    blocks = [b for i, b in enumerate(tensor) if i not in places]
    y = drop_blocks(tensor, keys, **options)
    return TensorMap(y.keys, blocks[::-1])


@of_operations(keys, "drop_blocks")
def copies_that_are_dropped_have_no_gradients(drop_blocks, tensor, keys, copy=False):
    y = drop_blocks(tensor, keys, copy)
    return each(changed, y) if copy else y


@of_operations(empty, "drop_empty_blocks")
def blocks_without_samples_alone(drop_empty_blocks, tensor, copy=False):
    places = [i for i, block in enumerate(tensor) if len(block)]
    return tmref.filter_blocks(tensor, tensor.keys._taken(places))


@of_operations(empty, "drop_empty_blocks")
def blocks_whose_gradients_are_empty_are_dropped(drop_empty_blocks, tensor, copy=False):
    y = drop_empty_blocks(tensor, copy)
    places = [i for i, b in enumerate(y) if all(len(g) for _, g in b.gradients())]
    return tmref.filter_blocks(y, y.keys._taken(places))


@of_operations(shared, "filter_blocks")
@of_operations(shared, "drop_blocks")
def never_copied(right, tensor, keys, copy=False):
    return right(tensor, keys)


@of_operations(shared, "filter_blocks")
@of_operations(shared, "drop_blocks")
def always_copied(right, tensor, keys, copy=False):
    return right(tensor, keys, copy=True)


@of_operations(shared, "drop_empty_blocks")
def only_values_are_copied(drop_empty_blocks, tensor, copy=False):
    y = drop_empty_blocks(tensor, copy)
    if not copy:
        return y

    def half(block, of):
        made = changed(block)
        for name, gradient in of.gradients():
            made.add_gradient(name, gradient)
        return made

    return TensorMap(y.keys, [half(block, tensor.block(key)) for key, block in y.items()])
