"""Broken maps of other values, and of autograd's graph."""

import torch

import tmref
from mutants.planting import changed, each, of_operations

filled = "maps_of_one_number_have_the_metadata_of_another"
random = "random_maps_have_the_metadata_of_another"
recorded = "autograd_records_what_it_is_asked_to"
detached = "detached_maps_have_no_graph"


@of_operations(filled, "ones_like")
def ones_are_zeros(ones_like, tensor, gradients=None, requires_grad=False):
    return tmref.zeros_like(tensor, gradients, requires_grad)


@of_operations(filled, "zeros_like")
def all_gradients_whatever_is_asked(zeros_like, tensor, gradients=None, requires_grad=False):
    return zeros_like(tensor, None, requires_grad)


@of_operations(filled, "zeros_like")
def zeros_are_written_to_the_map(zeros_like, tensor, gradients=None, requires_grad=False):
    for block in tensor:
        block.values.zero_()
    return zeros_like(tensor, gradients, requires_grad)


@of_operations(filled, "zeros_like")
def gradients_keep_their_numbers(zeros_like, tensor, gradients=None, requires_grad=False):
    y = zeros_like(tensor, gradients, requires_grad)
    for block, before in zip(y, tensor, strict=True):
        for name, gradient in block.gradients():
            gradient.values.copy_(before.gradient(name).values)
    return y


@of_operations(random, "random_uniform_like")
def random_numbers_are_normal(uniform, tensor, gradients=None, requires_grad=False):
    y = uniform(tensor, gradients, requires_grad)
    for block in y:
        block.values.normal_()
    return y


@of_operations(random, "random_uniform_like")
def one_random_number(uniform, tensor, gradients=None, requires_grad=False):
    y = uniform(tensor, gradients, requires_grad)
    for block in y:
        block.values.fill_(0.25)
    return y


@of_operations(random, "random_uniform_like")
def random_maps_are_of_float64(uniform, tensor, gradients=None, requires_grad=False):
    return uniform(tensor, gradients, requires_grad).to(torch.float64)


@of_operations(recorded, "requires_grad")
def all_require_gradients(requires_grad, tensor, requires=True):
    return requires_grad(tensor)


@of_operations(recorded, "ones_like")
def ones_require_no_gradients(ones_like, tensor, gradients=None, requires_grad=False):
    return ones_like(tensor, gradients)


@of_operations(detached, "detach")
def values_stay_attached(detach, tensor):
    return tensor


@of_operations(detached, "detach")
def gradients_are_lost_where_it_is_detached(detach, tensor):
    return each(changed, detach(tensor))
