"""Broken arithmetic."""

import torch

import tmref
from mutants.planting import changed, each, of_operations
from tmref import TensorBlock, TensorMap

sums = "a_sum_of_maps_is_that_of_their_numbers"
differences = "a_difference_of_maps_is_that_of_their_numbers"
products = "a_product_of_maps_is_that_of_their_numbers"
quotients = "a_quotient_of_maps_is_that_of_their_numbers"
numbers = "arithmetic_with_a_number_is_that_of_every_entry"
powers = "a_power_of_a_map_is_that_of_every_entry"
absolute = "absolute_values_are_those_of_every_entry"
moduli = "absolute_values_of_complex_numbers_are_real"
dots = "a_dot_has_the_scalar_products_of_samples"
others = "maps_of_other_metadata_are_not_combined"
integers = "arithmetic_of_integers_is_exact"
recorded = "arithmetic_is_recorded_by_autograd"


def with_gradients(x, change):
    """The map whose gradients have ``change(name, block, gradient)`` for their values."""
    blocks = []
    for block in x:
        made = changed(block)
        for name, g in block.gradients():
            values = change(name, block, g)
            made.add_gradient(name, TensorBlock(values, g.samples, g.components, g.properties))
        blocks.append(made)
    return TensorMap(x.keys, blocks)


@of_operations(sums, "add")
def blocks_are_added_by_position(add, A, B):
    return add(A, TensorMap(A.keys, list(B)))


@of_operations(sums, "add")
def gradients_of_the_first_alone(add, A, B):
    y = add(A, B)
    return with_gradients(y, lambda name, block, g: g.values - g.values) if len(y) else y


@of_operations(sums, "add")
def a_sum_is_written_to_the_first(add, A, B):
    y = add(A, B)
    for block, of_sum in zip(A, y, strict=True):
        block.values.copy_(of_sum.values)
    return y


@of_operations(differences, "subtract")
def gradients_are_added_in_a_difference(subtract, A, B):
    y, total = subtract(A, B), tmref.add(A, B)
    of_key = {id(block): total[i] for i, block in enumerate(y)}
    return with_gradients(y, lambda name, block, g: of_key[id(block)].gradient(name).values)


@of_operations(differences, "subtract")
def the_first_is_subtracted_from_the_second(subtract, A, B):
    return subtract(B, A)


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


@of_operations(quotients, "divide")
def a_quotient_is_a_product(divide, A, B):
    return tmref.multiply(A, B)


@of_operations(quotients, "divide")
def divisors_have_no_gradients(divide, A, B):
    y = divide(A, B)
    constant = tmref.multiply(B, 1.0)
    constant = with_gradients(constant, lambda name, block, g: torch.zeros_like(g.values))
    return divide(A, constant) if len(y) else y


@of_operations(numbers, "add")
def a_term_is_added_to_gradients(add, A, B):
    y = add(A, B)
    return with_gradients(y, lambda name, block, g: g.values + B)


@of_operations(numbers, "divide")
def gradients_are_not_divided(divide, A, B):
    return with_gradients(divide(A, B), lambda name, block, g: g.values * B)


@of_operations(numbers, "subtract")
def a_number_is_added_where_it_is_to_be_subtracted(subtract, A, B):
    return tmref.add(A, B)


@of_operations(powers, "pow")
def the_exponent_is_no_factor(pow, A, B):
    return with_gradients(pow(A, B), lambda name, block, g: g.values / B)


@of_operations(powers, "pow")
def a_square_whatever_the_exponent(pow, A, B):
    return pow(A, 2)


@of_operations(absolute, "abs")
def gradients_lose_their_signs(abs, A):
    return with_gradients(abs(A), lambda name, block, g: g.values.abs())


@of_operations(absolute, "abs")
def gradients_stay_as_they_are(abs, A):
    y = abs(A)
    of_block = {id(block): A[i] for i, block in enumerate(y)}
    return with_gradients(y, lambda name, block, g: of_block[id(block)].gradient(name).values)


@of_operations(moduli, "abs")
def the_modulus_of_the_real_part(abs, A):
    return each(lambda block: changed(block, values=block.values.real.abs()), A)


@of_operations(moduli, "abs")
def moduli_stay_complex(abs, A):
    return each(lambda block: changed(block, values=block.values.abs().to(block.dtype)), A)


@of_operations(dots, "dot")
def properties_are_counted_in_a_dot(dot, tensor_1, tensor_2):
    y = dot(tensor_1, tensor_2)
    return each(lambda b: changed(b, properties=tmref.Labels.range("sample", len(b.properties))), y)


@of_operations(dots, "dot")
def gradients_are_lost_in_a_dot(dot, tensor_1, tensor_2):
    return each(changed, dot(tensor_1, tensor_2))


@of_operations(dots, "dot")
def the_second_is_read_backwards(dot, tensor_1, tensor_2):
    flipped = each(lambda block: changed(block, values=block.values.flip(1)), tensor_2)
    return dot(tensor_1, flipped)


@of_operations(others, "add")
def labels_of_the_second_are_not_looked_at(add, A, B):
    blocks = [
        changed(b, samples=a.samples, components=a.components, properties=a.properties)
        for a, b in zip(A, B, strict=True)
    ]
    return add(tmref.remove_gradients(A), TensorMap(A.keys, blocks))


@of_operations(recorded, "multiply")
def factors_are_detached(multiply, A, B):
    return multiply(tmref.detach(A), B)


@of_operations(recorded, "add")
def sums_are_detached(add, A, B):
    return tmref.requires_grad(add(A, B))


@of_operations(recorded, "divide")
def divisors_are_detached(divide, A, B):
    return divide(A, tmref.detach(B))


@of_operations(recorded, "pow")
def powers_of_what_is_detached(pow, A, B):
    return tmref.multiply(tmref.detach(pow(A, B - 1)), A)


@of_operations(integers, "add")
def numbers_are_floats(add, A, B):
    return (
        add(A, B)
        if isinstance(B, TensorMap)
        else each(lambda b: changed(b, values=b.values + float(B)), A)
    )


@of_operations(integers, "subtract")
def what_is_subtracted_is_multiplied_by_a_float(subtract, A, B):
    if not isinstance(B, TensorMap):
        return subtract(A, B)
    return tmref.add(A, each(lambda b: changed(b, values=b.values * -1.0), B))


@of_operations(integers, "pow")
def exponents_are_floats(pow, A, B):
    return each(lambda b: changed(b, values=b.values ** float(B)), A)
