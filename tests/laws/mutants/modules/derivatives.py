"""Modules whose derivatives are not those of plain torch."""

import torch

from mutants.planting import (
    Around,
    all_but_the_first,
    all_of,
    built,
    called,
    centred,
    changed,
    factor_of,
    layer_norm,
    norm_of,
    norm_without_nan,
    of_values,
    variance,
)
from tmref import TensorMap

derivatives = "derivatives_are_those_of_plain_torch"


@called(derivatives, "linear", "tanh", "sequential_mlp")
def input_detached(module, x):
    return module(of_values(torch.Tensor.detach, x))


@called(derivatives, "linear", "module_map_mlp")
def parameters_detached(module, x):
    detached = {name: p.detach() for name, p in module.named_parameters()}
    return torch.func.functional_call(module, detached, (x,))


@called(derivatives, "linear")
def bias_detached(module, x):
    parameters = {n: p.detach() if p.dim() == 1 else p for n, p in module.named_parameters()}
    return torch.func.functional_call(module, parameters, (x,))


@called(derivatives, "relu", "linear_no_bias")
def derivatives_doubled(module, x):
    return of_values(lambda v: 2 * v - v.detach(), module(x))


@called(derivatives, "silu", "sequential_linear")
def first_sample_detached(module, x):
    return of_values(lambda v: torch.cat([v[:1].detach(), v[1:]]), module(x))


@called(derivatives, "linear")
def derivatives_by_parameters_divided_by_the_samples(module, x):
    samples = max(sum(map(len, x)), 1)
    scaled = {name: p / samples + (p - p / samples).detach() for name, p in module.named_parameters()}
    return torch.func.functional_call(module, scaled, (x,))


@called(derivatives, "module_map_tanh")
def straight_through(module, x):
    y = module(x)
    pairs = zip(x, y, strict=True)
    return TensorMap(
        y.keys,
        [changed(b, values=b.values.detach() + a.values - a.values.detach()) for a, b in pairs],
    )


@layer_norm(derivatives, "layer_norm", "layer_norm_no_affine", "invariant_layer_norm")
def statistics_detached(norm, x):
    mean = x.mean(all_but_the_first(x), keepdim=True).detach()
    return (x - mean if norm.mean else x) / torch.sqrt(variance(x).detach() + norm.eps)


@layer_norm(derivatives, "layer_norm", "layer_norm_no_mean", "sequential_layer_norm")
def variance_detached(norm, x):
    return centred(norm, x) / torch.sqrt(variance(x).detach() + norm.eps)


@layer_norm(derivatives, "layer_norm_no_mean")
def divided_in_place_after_the_variance(norm, x):
    """What metatensor does."""
    root = torch.sqrt(x.var(all_but_the_first(x), correction=0, keepdim=True) + norm.eps)
    x /= root
    return x


@factor_of(derivatives, "equivariant_tanh", "equivariant_mlp")
def norm_detached(function, x):
    return function(norm_of(x).detach()) * x


@factor_of(derivatives, "equivariant_tanh", "equivariant_mlp")
def factor_detached(function, x):
    return function(norm_without_nan(x)).detach() * x


# zeros in all components of a property are few where values are of all sizes
@factor_of(derivatives, "equivariant_tanh", "equivariant_mlp", bound=1)
def nan_where_the_norm_is_zero(function, x):
    return function(torch.sqrt(x.square().sum(1, keepdim=True))) * x


@built(derivatives, "invariant_relu", "invariant_tanh", "invariant_layer_norm")
def covariant_blocks_detached(recipe, module):
    for identity in all_of(module, torch.nn.Identity):
        identity.forward = torch.Tensor.detach
    return module


@called(derivatives, "silu_in_place")
def derivatives_at_what_is_overwritten(module, x):
    """The values are right, the derivatives those where the input is after the forward."""
    y = of_values(lambda v: v.detach().clone(), module(of_values(torch.clone, x)))
    blocks = []
    for before, after in zip(x, y, strict=True):
        moved = torch.nn.functional.silu(before.values - before.values.detach() + after.values)
        blocks.append(changed(after, values=after.values + moved - moved.detach()))
    return TensorMap(y.keys, blocks)


second = "second_derivatives_are_those_of_plain_torch"


class OnceOnly(torch.autograd.Function):
    """The values it is given, with the right first derivative and no second."""

    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient.detach()


class OnceDifferentiable(OnceOnly):
    """The values it is given; to differentiate twice raises."""

    backward = staticmethod(torch.autograd.function.once_differentiable(OnceOnly.backward))


@called(second, "tanh", "silu", "module_map_mlp", "equivariant_tanh", "layer_norm")
def first_derivatives_detached(module, x):
    return module(of_values(OnceOnly.apply, x))


@called(second, "linear", "layer_norm", "invariant_layer_norm")
def not_differentiable_twice(module, x):
    return module(of_values(OnceDifferentiable.apply, x))


@built(second, "linear", "sequential_linear", "equivariant_mlp")
def no_second_derivatives_by_weights(recipe, module):
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            ctx.save_for_backward(x, weight)
            return x @ weight.T

        @staticmethod
        def backward(ctx, gradient):
            x, weight = ctx.saved_tensors
            rows = gradient.reshape(-1, gradient.shape[-1]), x.detach().reshape(-1, x.shape[-1])
            return gradient @ weight.detach(), rows[0].T @ rows[1]

    def forward(linear, x):
        y = Product.apply(x, linear.weight)
        return y if linear.bias is None else y + linear.bias

    for linear in all_of(module, torch.nn.Linear):
        linear.forward = lambda x, linear=linear: forward(linear, x)
    return module


modes = "outputs_require_gradients_where_those_of_plain_torch_do"


@called(modes, "linear", "tanh", "sequential_mlp")
def grad_mode_turned_on(module, x):
    with torch.inference_mode(False), torch.enable_grad():
        copied = of_values(torch.clone, x)
        return module(copied)


@called(modes, "linear", "module_map_linear")
def grad_mode_turned_off_for_frozen_inputs(module, x):
    with torch.set_grad_enabled(torch.is_grad_enabled() and any(b.values.requires_grad for b in x)):
        return module(x)


@called(modes, "relu", "tanh")
def everything_requires_gradients_where_something_does(module, x):
    y = module(x)
    if not torch.is_grad_enabled():
        return y
    total = sum(0 * b.values.sum() for b in y)
    return of_values(lambda v: v + total, y)


@called(modes, "silu", "layer_norm_no_affine")
def leaves_made_anew(module, x):
    return module(of_values(lambda v: v.detach().requires_grad_(), x))


optimizer = "steps_of_an_optimizer_are_those_on_plain_torch"


@built(optimizer, "linear", "sequential_linear", "layer_norm", "equivariant_linear")
def parameters_of_the_first_forward(recipe, module):
    kept = {}

    def forward(module, x):
        if not kept:
            kept.update({n: p.detach().clone() for n, p in module.named_parameters()})
        held = {n: p - p.detach() + kept[n] for n, p in module.named_parameters()}
        return torch.func.functional_call(module, held, (x,))

    return Around(module, forward)


@built(optimizer, "linear", "module_map_mlp")
def gradients_are_of_the_forward_before(recipe, module):
    calls = []

    def forward(module, x):
        calls.append(x)
        y = module(x)
        if len(calls) == 2:
            return of_values(lambda v: v + (v - v.detach()), y)
        return y

    return Around(module, forward)


@called(optimizer, "linear", "sequential_tanh", "layer_norm_no_bias")
def gradients_divided_by_the_number_of_parameters(module, x):
    count = len(list(module.parameters()))
    scaled = {n: p / count + (p - p / count).detach() for n, p in module.named_parameters()}
    return torch.func.functional_call(module, scaled, (x,))
