"""Broken joins."""

import torch

import tmref
from mutants.planting import changed, each, of_operations
from tmref import Labels, TensorBlock, TensorMap

below = "joined_samples_are_those_of_all_maps"
beside = "joined_properties_are_those_of_all_maps"
numbered = "joined_properties_of_other_names_are_numbered"
inverse = "a_join_of_what_was_split_is_the_map"
dtypes = "a_join_of_several_dtypes_keeps_the_numbers"
by_name = "samples_are_joined_by_the_names_of_their_dimensions"
refused = "what_can_not_be_joined_is_refused"


@of_operations(below, "join")
@of_operations(beside, "join")
def one_map_is_returned_as_it_is(join, tensors, axis, different_keys="error", add_dimension=None):
    if len(tensors) == 1:
        return tensors[0]
    return join(tensors, axis, different_keys, add_dimension)


@of_operations(below, "join")
@of_operations(beside, "join")
def a_union_of_the_first_keys_alone(join, tensors, axis, different_keys="error", add_dimension=None):
    y = join(tensors, axis, different_keys, add_dimension)
    return tmref.filter_blocks(y, tensors[0].keys) if different_keys == "union" else y


@of_operations(below, "join")
@of_operations(beside, "join")
def an_intersection_is_a_union(join, tensors, axis, different_keys="error", add_dimension=None):
    way = "union" if different_keys == "intersection" else different_keys
    return join(tensors, axis, way, add_dimension)


@of_operations(below, "join")
@of_operations(beside, "join")
def the_added_dimension_comes_first(join, tensors, axis, different_keys="error", add_dimension=None):
    y = join(tensors, axis, different_keys, add_dimension)
    if add_dimension is None or not len(y):
        return y
    last = len(getattr(y[0], axis).names) - 1
    return tmref.permute_dimensions(y, axis, [last, *range(last)])


@of_operations(below, "join")
def gradients_refer_to_the_samples_of_their_own_map(join, tensors, axis, *options, **further):
    y = join(tensors, axis, *options, **further)

    def unshifted(block):
        made = changed(block)
        for name, gradient in block.gradients():
            rows = gradient.samples.values.clone()
            rows[:, 0] %= max(1, len(block) - 1)
            if len(torch.unique(rows, dim=0)) < len(rows):
                rows = gradient.samples.values
            made.add_gradient(name, changed(gradient, samples=Labels(gradient.samples.names, rows)))
        return made

    return each(unshifted, y)


@of_operations(beside, "join")
def gradients_that_a_map_lacks_are_ones(join, tensors, axis, *options, **further):
    y = join(tensors, axis, *options, **further)
    for block in y:
        for _, gradient in block.gradients():
            gradient.values[gradient.values == 0] = 1
    return y


@of_operations(below, "join")
@of_operations(beside, "join")
def a_join_empties_its_inputs(join, tensors, *options, **further):
    y = join(tensors, *options, **further).copy()
    for tensor in tensors:
        for block in tensor:
            block.values.zero_()
    return y


@of_operations(numbered, "join")
def maps_are_counted_from_one(join, *args):
    y = join(*args)
    return each(lambda b: _renumbered(b, lambda rows: rows + torch.tensor([1, 0])), y)


@of_operations(numbered, "join")
def properties_are_counted_through(join, *args):
    y = join(*args)

    def through(rows):
        rows = rows.clone()
        rows[:, 1] = torch.arange(len(rows))
        return rows

    return each(lambda b: _renumbered(b, through), y)


def _renumbered(block, change):
    properties = Labels(block.properties.names, change(block.properties.values))
    made = changed(block, properties=properties)
    for name, gradient in block.gradients():
        made.add_gradient(name, changed(gradient, properties=properties))
    return made


@of_operations(inverse, "split")
def parts_of_a_split_have_no_gradients(split, *args):
    return [each(changed, part) for part in split(*args)]


@of_operations(inverse, "join")
def joined_in_the_opposite_order(join, tensors, axis):
    y, turned = join(tensors, axis), join(tensors[::-1], axis)
    return TensorMap(
        y.keys, [changed(block, values=turned.block(key).values) for key, block in y.items()]
    )


@of_operations(dtypes, "join")
def of_the_dtype_of_the_first(join, tensors, *options, **further):
    y = join(tensors, *options, **further)
    return y.to(tensors[0].dtype) if len(y) else y


@of_operations(dtypes, "join")
def whole_numbers_where_dtypes_differ(join, tensors, *options, **further):
    y = join(tensors, *options, **further)
    return each(lambda b: changed(b, values=b.values.round()), y)


@of_operations(by_name, "join")
def by_the_place_of_dimensions(join, tensors, axis, **options):
    names = tensors[0].sample_names
    return join(
        [tensors[0], *(each(lambda b: _named(b, names), x) for x in tensors[1:])], axis, **options
    )


@of_operations(by_name, "join")
def by_the_place_of_dimensions_of_the_last(join, tensors, axis, **options):
    names = tensors[-1].sample_names
    return join(
        [*(each(lambda b: _named(b, names), x) for x in tensors[:-1]), tensors[-1]], axis, **options
    )


def _named(block, names):
    made = TensorBlock(
        block.values, Labels(names, block.samples.values), block.components, block.properties
    )
    for name, gradient in block.gradients():
        made.add_gradient(name, gradient)
    return made


@of_operations(refused, "join")
def different_keys_are_joined(join, tensors, axis, different_keys="error", add_dimension=None):
    way = "union" if different_keys == "error" else different_keys
    return join(tensors, axis, way, add_dimension)


@of_operations(refused, "join")
def labels_that_meet_are_left_out(join, tensors, axis, *options, **further):
    try:
        return join(tensors, axis, *options, **further)
    except ValueError:
        return tensors[0]
