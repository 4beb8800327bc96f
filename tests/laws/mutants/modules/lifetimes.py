"""Modules that are right at first, and not after what is done to them."""

import torch

from mutants.planting import called
from tmref import TensorMap

LAW = "whatever_is_done_plain_torch_does_the_same"


@called(LAW, "linear", "module_map_linear", "layer_norm")
def the_parameters_of_the_first_call(module, x):
    kept = module.__dict__.setdefault("kept", [p.detach().clone() for p in module.parameters()])
    now = [p.data for p in module.parameters()]
    for parameter, value in zip(module.parameters(), kept, strict=True):
        parameter.data = value
    y = module(x)
    for parameter, value in zip(module.parameters(), now, strict=True):
        parameter.data = value
    return y


@called(LAW, "linear", "sequential_linear")
def derivatives_halved(module, x):
    def halved(block):
        return block._map_values(lambda v: v / 2 + v.detach() / 2)

    y = module(x)
    return TensorMap(y.keys, [halved(block) for block in y])


@called(LAW, "linear", "linear_no_bias")
def needs_derivatives_always(module, x):
    module.requires_grad_(True)
    return module(x)


@called(LAW, "linear", "layer_norm")
def frozen_where_it_is_evaluated(module, x):
    with torch.set_grad_enabled(module.training):
        return module(x)


@called(LAW, "linear", "module_map_mlp")
def rounded_to_half_at_every_call(module, x):
    for parameter in module.parameters():
        parameter.data = parameter.data.half().to(parameter.dtype) + 0.0
        parameter.data.mul_(1 - 2**-12)
    return module(x)
