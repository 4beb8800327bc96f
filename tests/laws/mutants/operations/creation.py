"""Broken maps of other values, and of autograd's graph."""

import torch

import tmref
from mutants.operations.arithmetic import with_gradients
from mutants.planting import changed, each, of_operations

filled = "maps_of_one_number_have_the_metadata_of_another"
random = "random_maps_have_the_metadata_of_another"
empty = "maps_of_no_numbers_have_the_metadata_of_another"
required = "all_arrays_require_gradients_where_that_is_asked_for"
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


@of_operations(empty, "empty_like")
def empty_maps_are_the_map(empty_like, tensor, gradients=None, requires_grad=False):
    kept = tensor.block(0).gradients_list() if len(tensor) and gradients is None else gradients or []
    others = [] if not len(tensor) else [n for n in tensor.block(0).gradients_list() if n not in kept]
    return tmref.remove_gradients(tensor, others)


@of_operations(empty, "empty_like")
def empty_maps_have_no_gradients(empty_like, tensor, gradients=None, requires_grad=False):
    return empty_like(tensor, [], requires_grad)


@of_operations(required, "requires_grad")
def all_require_gradients(requires_grad, tensor, requires=True):
    return requires_grad(tensor)


@of_operations(required, "requires_grad")
def explicit_gradients_require_none(requires_grad, tensor, requires=True):
    y = requires_grad(tensor, requires)
    for block in y:
        for _, gradient in block.gradients():
            gradient.values.requires_grad_(False)
    return y


@of_operations(required, "requires_grad")
def what_requires_gradients_is_made_anew(requires_grad, tensor, requires=True):
    return tmref.zeros_like(tensor, requires_grad=requires)


@of_operations(recorded, "zeros_like")
def zeros_require_gradients_always(zeros_like, tensor, gradients=None, requires_grad=False):
    return zeros_like(tensor, gradients, True)


@of_operations(recorded, "ones_like")
def ones_require_no_gradients(ones_like, tensor, gradients=None, requires_grad=False):
    return ones_like(tensor, gradients)


@of_operations(detached, "detach")
def values_stay_attached(detach, tensor):
    return tensor


@of_operations(detached, "detach")
def gradients_stay_attached(detach, tensor):
    y = detach(tensor)
    return with_gradients(y, lambda name, block, g: g.values.requires_grad_()) if len(y) else y


@of_operations(detached, "detach")
def gradients_are_lost_where_it_is_detached(detach, tensor):
    return each(changed, detach(tensor))
