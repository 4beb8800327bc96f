"""Operations that are broken where they follow on others."""

import tmref
from mutants.planting import of_operations
from tmref import Labels, TensorMap

law = "whatever_is_done_to_a_map_is_done_to_its_numbers"


@of_operations(law, "add")
def a_number_is_added_in_place(add, A, B):
    if isinstance(B, TensorMap):
        return add(A, B)
    for block in A:
        block.values.add_(B)
    return A


@of_operations(law, "multiply")
def a_product_is_forgotten_by_what_comes_next(multiply, A, B):
    """It is right until something else is multiplied, which is written over it."""
    y = multiply(A, B)
    last = a_product_is_forgotten_by_what_comes_next.last
    if last is not None:
        for block in last:
            block.values.zero_()
    a_product_is_forgotten_by_what_comes_next.last = y
    return y


a_product_is_forgotten_by_what_comes_next.last = None


@of_operations(law, "sum_over_samples")
def summed_as_if_the_names_came_first(sum_over_samples, tensor, sample_names):
    """Right as long as the names are those of the first dimensions."""
    return sum_over_samples(tensor, tensor.sample_names[: len(sample_names)])


@of_operations(law, "sum_over_properties")
def labels_are_sorted_and_numbers_are_not(sum_over_properties, tensor, property_names):
    y = sum_over_properties(tensor, property_names)
    for block in y:
        block._values = block.values.flip(-1)
        for _, gradient in block.gradients():
            gradient._values = gradient.values.flip(-1)
    return y


@of_operations(law, "filter_blocks")
def blocks_filtered_by_the_first_dimension(filter_blocks, tensor, keys, copy=False):
    name = keys.names[0]
    column = keys.column(name).unique().reshape(-1, 1)
    return filter_blocks(tensor, Labels(name, column), copy)


@of_operations(law, "remove_gradients")
def gradients_are_removed_from_what_was_given(remove_gradients, tensor, remove=None):
    for block in tensor:
        block._gradients = {}
    return tensor


@of_operations(law, "add")
def sums_of_a_map_with_itself_double_its_gradients_twice(add, A, B):
    y = add(A, B)
    return y if A is not B else tmref.multiply(y, 2)
