"""What takes different maps for equal ones, or equal ones for different."""

import tmref
from mutants.planting import of_operations
from tmref import NotEqualError, TensorMap

in_order = "equal_maps_are_equal_in_any_order_of_keys"
numbers = "maps_of_other_numbers_are_not_equal"
metadata = "maps_of_other_metadata_are_not_equal"
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


@of_operations(tolerances, "allclose")
def the_relative_tolerance_is_absolute(allclose, tensor_1, tensor_2, rtol, atol, equal_nan=False):
    return allclose(tensor_1, tensor_2, 0.0, rtol + atol, equal_nan)


@of_operations(tolerances, "allclose")
def nan_is_never_close(allclose, tensor_1, tensor_2, rtol, atol, equal_nan=False):
    return allclose(tensor_1, tensor_2, rtol, atol)


@of_operations(tolerances, "allclose")
def ten_times_the_tolerance(allclose, tensor_1, tensor_2, rtol, atol, equal_nan=False):
    return allclose(tensor_1, tensor_2, 10 * rtol, 10 * atol, equal_nan)
