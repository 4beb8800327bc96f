"""Broken dimensions."""

import tmref
from mutants.planting import changed, each, of_operations
from tmref import Labels, TensorMap

inserted = "a_new_dimension_stands_where_it_is_inserted"
columns = "dimensions_are_permuted_and_removed_as_columns"
renamed = "a_dimension_is_renamed_and_all_else_stays"
refused = "dimensions_that_can_not_be_are_refused"
distinct = "unique_metadata_are_the_distinct_rows_in_order"


@of_operations(inserted, "insert_dimension")
def nothing_is_inserted_where_there_are_no_samples(insert_dimension, tensor, axis, *args):
    """metatensor#600"""
    if axis == "samples" and any(len(block) == 0 for block in tensor):
        raise ValueError("values must be distinct")
    return insert_dimension(tensor, axis, *args)


@of_operations(inserted, "insert_dimension")
def nothing_is_inserted_where_there_are_no_blocks(insert_dimension, tensor, *args):
    """metatensor#924"""
    if not len(tensor):
        raise ValueError("can't insert into a map without blocks")
    return insert_dimension(tensor, *args)


@of_operations(inserted, "insert_dimension")
def inserted_after_the_index(insert_dimension, tensor, axis, index, name, values):
    names = {
        "keys": tensor.keys.names,
        "samples": tensor.sample_names,
        "properties": tensor.property_names,
    }[axis]
    return insert_dimension(tensor, axis, min(index + 1, len(names)), name, values)


@of_operations(inserted, "append_dimension")
def appended_at_the_beginning(append_dimension, tensor, axis, *args):
    return tmref.insert_dimension(tensor, axis, 0, *args)


@of_operations(inserted, "append_dimension")
@of_operations(inserted, "insert_dimension")
def the_largest_numbers_are_another(right, tensor, *args):
    *args, values = args
    if isinstance(values, int) and abs(values) > 2**30:
        values //= 2
    return right(tensor, *args, values)


@of_operations(columns, "permute_dimensions")
def permuted_backwards(permute_dimensions, tensor, axis, order):
    return permute_dimensions(tensor, axis, [order.index(i) for i in range(len(order))])


@of_operations(columns, "permute_dimensions")
def names_are_permuted_and_numbers_stay(permute_dimensions, tensor, axis, order):
    y = permute_dimensions(tensor, axis, order)
    if axis != "keys":
        return y
    return TensorMap(Labels(y.keys.names, tensor.keys.values), list(y))


@of_operations(columns, "remove_dimension")
def the_last_dimension_is_removed(remove_dimension, tensor, axis, name):
    labels = tensor.keys if axis == "keys" else getattr(tensor[0], axis)
    try:
        return remove_dimension(tensor, axis, labels.names[-1])
    except ValueError:
        return remove_dimension(tensor, axis, name)


@of_operations(columns, "remove_dimension")
def removed_without_gradients(remove_dimension, *args):
    return each(changed, remove_dimension(*args))


@of_operations(renamed, "rename_dimension")
def the_sample_of_gradients_is_renamed(rename_dimension, tensor, axis, old, new):
    if axis == "samples" and old == "sample" and any(b.gradients_list() for b in tensor):
        raise ValueError("the first dimension of a gradient's samples must be 'sample'")
    return rename_dimension(tensor, axis, old, new)


@of_operations(renamed, "rename_dimension")
def components_keep_their_names(rename_dimension, tensor, axis, old, new):
    return tensor if axis == "components" else rename_dimension(tensor, axis, old, new)


@of_operations(renamed, "rename_dimension")
def a_renamed_dimension_is_the_last_one(rename_dimension, tensor, axis, old, new):
    y = rename_dimension(tensor, axis, old, new)
    if axis == "components":
        return y
    names = y.keys.names if axis == "keys" else getattr(y[0], axis).names
    at = names.index(new)
    return tmref.permute_dimensions(y, axis, [*(i for i in range(len(names)) if i != at), at])


@of_operations(refused, "insert_dimension")
@of_operations(refused, "permute_dimensions")
@of_operations(refused, "remove_dimension")
def components_are_left_as_they_are(right, tensor, axis, *args):
    return tensor if axis == "components" else right(tensor, axis, *args)


@of_operations(refused, "append_dimension")
def integers_are_wrapped(append_dimension, tensor, axis, name, values):
    return append_dimension(tensor, axis, name, (values + 2**31) % 2**32 - 2**31)


@of_operations(refused, "rename_dimension")
def names_that_are_not_there_are_ignored(rename_dimension, tensor, axis, old, new):
    try:
        return rename_dimension(tensor, axis, old, new)
    except ValueError:
        return tensor


@of_operations(distinct, "unique_metadata")
def of_the_first_block_alone(unique_metadata, tensor, *args):
    first = TensorMap(tensor.keys._taken(range(len(tensor))[:1]), list(tensor)[:1])
    return unique_metadata(first, *args)


@of_operations(distinct, "unique_metadata")
def metadata_is_not_sorted(unique_metadata, tensor, axis, names, gradient=None):
    found = unique_metadata(tensor, axis, names, gradient)
    return Labels(found.names, found.values.flip(0))


@of_operations(distinct, "unique_metadata")
def metadata_of_the_values_for_a_gradient(unique_metadata, tensor, axis, names, gradient=None):
    try:
        return unique_metadata(tensor, axis, names)
    except ValueError:
        return unique_metadata(tensor, axis, names, gradient)


@of_operations(distinct, "unique_metadata")
def a_map_without_blocks_has_no_metadata(unique_metadata, tensor, *args):
    if not len(tensor):
        raise IndexError("list index out of range")
    return unique_metadata(tensor, *args)
