"""What takes different maps for equal ones, or equal ones for different."""

import tmref
from mutants.planting import changed, each, of_operations
from tmref import Labels, NotEqualError, TensorMap

in_order = "equal_maps_are_equal_in_any_order_of_keys"
numbers = "maps_of_other_numbers_are_not_equal"
metadata = "maps_of_other_metadata_are_not_equal"
asked_for = "metadata_is_compared_in_the_parts_asked_for"
tolerances = "maps_are_close_within_the_tolerances"


@of_operations(in_order, "equal")
def keys_must_be_in_the_same_order(equal, tensor_1, tensor_2):
    return tensor_1.keys == tensor_2.keys and equal(tensor_1, tensor_2)


@of_operations(in_order, "equal_metadata_raise")
def what_raises_raises_always(equal_metadata_raise, tensor_1, tensor_2):
    raise NotEqualError("whatever they are")


@of_operations(numbers, "equal")
def gradients_do_not_count(equal, tensor_1, tensor_2):
    return equal(*map(tmref.remove_gradients, (tensor_1, tensor_2)))


@of_operations(numbers, "allclose")
def the_first_block_alone(allclose, tensor_1, tensor_2):
    maps = tensor_1, tensor_2
    key = tmref.Labels(tensor_1.keys.names, tensor_1.keys.values[:1])
    return tmref.equal_metadata(*maps) and allclose(*(tmref.filter_blocks(x, key) for x in maps))


@of_operations(numbers, "allclose_raise")
def what_raises_never_does(allclose_raise, tensor_1, tensor_2):
    return None


@of_operations(numbers, "equal_metadata")
def metadata_is_equal_where_numbers_are(equal_metadata, tensor_1, tensor_2):
    return tmref.equal(tensor_1, tensor_2)


@of_operations(metadata, "equal_metadata")
def samples_do_not_count(equal_metadata, tensor_1, tensor_2):
    return equal_metadata(tensor_1, tensor_2, check=["components", "properties"], check_gradients=False)


@of_operations(metadata, "equal")
def keys_do_not_count(equal, tensor_1, tensor_2):
    return len(tensor_1) == len(tensor_2) and equal(
        TensorMap(tensor_2.keys, list(tensor_1.copy())), tensor_2
    )


def in_one_order(tensor):
    """The map, each of whose blocks has its rows sorted: labels and values alike."""

    def in_order(block):
        order = sorted(range(len(block.samples)), key=lambda i: block.samples.values[i].tolist())
        samples = Labels(block.samples.names, block.samples.values[order])
        return changed(block, values=block.values[order], samples=samples)

    return each(in_order, tensor)


@of_operations(metadata, "equal_metadata")
def the_order_of_samples_does_not_count(equal_metadata, tensor_1, tensor_2):
    """A wish of metatensor#278."""
    return equal_metadata(tensor_1, tensor_2) or all(
        a.samples.names == b.samples.names and equal_metadata(*map(in_one_order, (tensor_1, tensor_2)))
        for a, b in zip(tensor_1, tensor_2, strict=False)
    )


@of_operations(metadata, "equal_metadata")
def components_do_not_count(equal_metadata, tensor_1, tensor_2):
    return equal_metadata(tensor_1, tensor_2, check=["samples", "properties"])


@of_operations(metadata, "equal")
def gradients_of_the_first_alone_count(equal, tensor_1, tensor_2):
    without = [x for x in (tensor_1, tensor_2) if x.block(0).gradients_list()]
    only_there = without == [tensor_2]
    return equal(tensor_1, tmref.remove_gradients(tensor_2) if only_there else tensor_2)


@of_operations(metadata, "allclose")
def metadata_of_gradients_does_not_count(allclose, tensor_1, tensor_2):
    if not tmref.equal_metadata(tensor_1, tensor_2, check_gradients=False):
        return False
    return allclose(*map(tmref.remove_gradients, (tensor_1, tensor_2)))


@of_operations(asked_for, "equal_metadata")
def all_parts_count(equal_metadata, tensor_1, tensor_2, check="all", check_gradients=True):
    return equal_metadata(tensor_1, tensor_2, check_gradients=check_gradients)


@of_operations(asked_for, "equal_metadata")
def gradients_always_count(equal_metadata, tensor_1, tensor_2, check="all", check_gradients=True):
    return equal_metadata(tensor_1, tensor_2, check)


@of_operations(asked_for, "equal_metadata")
def all_of_gradients_counts(equal_metadata, tensor_1, tensor_2, check="all", check_gradients=True):
    """What is asked for is so of blocks, and of gradients everything."""
    if check_gradients and not equal_metadata(tensor_1, tensor_2, ["samples"]):
        return False
    return equal_metadata(tensor_1, tensor_2, check, check_gradients)


@of_operations(asked_for, "equal_metadata")
def keys_count_where_all_does(equal_metadata, tensor_1, tensor_2, check="all", check_gradients=True):
    if check == "all" or len(tensor_1) != len(tensor_2):
        return equal_metadata(tensor_1, tensor_2, check, check_gradients)
    renamed = TensorMap(tensor_1.keys, list(tensor_2.copy()))
    return equal_metadata(tensor_1, renamed, check, check_gradients)


@of_operations(tolerances, "allclose")
def the_relative_tolerance_is_absolute(allclose, tensor_1, tensor_2, rtol, atol, equal_nan=False):
    return allclose(tensor_1, tensor_2, 0.0, rtol + atol, equal_nan)


@of_operations(tolerances, "allclose")
def nan_is_never_close(allclose, tensor_1, tensor_2, rtol, atol, equal_nan=False):
    return allclose(tensor_1, tensor_2, rtol, atol)


@of_operations(tolerances, "allclose")
def ten_times_the_tolerance(allclose, tensor_1, tensor_2, rtol, atol, equal_nan=False):
    return allclose(tensor_1, tensor_2, 10 * rtol, 10 * atol, equal_nan)
