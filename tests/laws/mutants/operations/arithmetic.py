"""Broken arithmetic."""

import tmref
from mutants.planting import changed, each, of_operations
from tmref import TensorMap

sums = "a_sum_of_maps_is_that_of_their_numbers"


@of_operations(sums, "add")
def blocks_are_added_by_position(add, A, B):
    return add(A, TensorMap(A.keys, list(B)))


@of_operations(sums, "add")
def gradients_of_the_first_alone(add, A, B):
    return add(A, tmref.multiply(B, 0.0)) if _has_gradients(A) else add(A, B)


@of_operations(sums, "add")
def a_sum_is_written_to_the_first(add, A, B):
    y = add(A, B)
    for block, of_sum in zip(A, y, strict=True):
        block.values.copy_(of_sum.values)
    return y


products = "a_product_of_maps_is_that_of_their_numbers"


@of_operations(products, "multiply")
def a_product_without_gradients(multiply, A, B):
    return each(changed, multiply(A, B))


@of_operations(products, "multiply")
def a_product_of_gradients(multiply, A, B):
    y = multiply(A, B)
    for key, block in y.items():
        for name, gradient in block.gradients():
            gradients = [x.block(key).gradient(name) for x in (A, B)]
            gradient.values.copy_(gradients[0].values * gradients[1].values)
    return y


def _has_gradients(x):
    return any(block.gradients_list() for block in x)
