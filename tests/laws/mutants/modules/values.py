"""Modules whose values are not those of plain torch."""

import dataclasses
import functools

import torch

from mutants.planting import (
    PSEUDOSCALAR,
    all_but_the_first,
    all_of,
    built,
    called,
    centred,
    changed,
    factor_of,
    layer_norm,
    modules_of,
    norm_of,
    of_values,
    variance,
)
from tmref import Labels, TensorMap
from tmref.implementations.reference import Reference
from tmref.nn.covariant import CovariantTransform
from tmref.nn.layer_norm import _LayerNorm

plain_torch = "values_are_those_of_plain_torch"


@built(plain_torch, "linear", "sequential_linear")
def bias_dropped(recipe, module):
    for parameter in module.parameters():
        if parameter.dim() == 1:
            parameter.data.zero_()
    return module


@called(plain_torch, "linear", "module_map_mlp")
def one_block_scaled(module, x):
    y = module(x)
    blocks = [y.block(0), *(changed(b, values=2 * b.values) for b in list(y)[1:])]
    return TensorMap(y.keys, blocks)


@built(plain_torch, "linear", "linear_no_bias", "module_map_mlp", "sequential_tanh")
def modules_by_position(recipe, module):
    _, module_map = modules_of(module)
    module_map._positions = lambda keys, given="": range(len(keys))
    return module


@built(plain_torch, "linear_no_bias", "module_map_linear")
def square_weights_transposed(recipe, module):
    for parameter in module.parameters():
        if parameter.dim() == 2 and parameter.shape[0] == parameter.shape[1]:
            parameter.data = parameter.data.T.contiguous()
    return module


@called(plain_torch, "linear", "relu")
def values_cast_to_float32(module, x):
    return of_values(torch.Tensor.float, module(x))


@called(plain_torch, "tanh", "silu", "module_map_tanh")
def computed_in_float32(module, x):
    y = module(x)
    return of_values(lambda v: v.float().to(v.dtype), y)


@called(plain_torch, "linear", "tanh")
def only_the_first_component(module, x):
    def change(values):
        if values.dim() < 3:
            return values
        return torch.cat([values[:, :1], torch.zeros_like(values[:, 1:])], 1)

    return of_values(change, module(x))


@called(plain_torch, "relu")
def a_leaky_relu(module, x):
    y = module(x)
    pairs = zip(x, y, strict=True)
    return TensorMap(
        y.keys,
        [changed(b, values=torch.nn.functional.leaky_relu(a.values)) for a, b in pairs],
    )


@called(plain_torch, "silu")
def a_gelu_for_a_silu(module, x):
    y = module(x)
    pairs = zip(x, y, strict=True)
    return TensorMap(
        y.keys,
        [changed(b, values=torch.nn.functional.gelu(a.values)) for a, b in pairs],
    )


@built(plain_torch, "sequential_tanh", "sequential_mlp", "module_map_mlp")
def activations_skipped(recipe, module):
    modules, _ = modules_of(module)
    for i, of_key in enumerate(modules):
        modules[i] = torch.nn.Sequential(*(m for m in of_key if isinstance(m, torch.nn.Linear)))
    return module


@built(plain_torch, "invariant_relu", "invariant_silu", "invariant_tanh", "sequential_equivariant")
def covariant_blocks_activated_too(recipe, module):
    activations = {"InvariantReLU": torch.nn.ReLU, "InvariantTanh": torch.nn.Tanh}
    activation = activations.get(recipe.call.name, torch.nn.SiLU)
    modules, _ = modules_of(module)
    for i, of_key in enumerate(modules):
        if isinstance(of_key, torch.nn.Identity):
            modules[i] = activation()
        elif isinstance(of_key, torch.nn.Sequential):
            for j, layer in enumerate(of_key):
                of_key[j] = activation() if isinstance(layer, torch.nn.Identity) else layer
    return module


@built(plain_torch, "invariant_relu", "invariant_tanh")
def invariant_blocks_left_as_they_are(recipe, module):
    modules, _ = modules_of(module)
    for i in range(len(modules)):
        modules[i] = torch.nn.Identity()
    return module


@built(plain_torch, "equivariant_linear", "sequential_equivariant")
def a_bias_for_covariant_blocks(recipe, module):
    for linear in all_of(module, torch.nn.Linear):
        if linear.bias is None:
            del linear._parameters["bias"]
            linear.register_buffer("bias", torch.ones(linear.out_features, dtype=linear.weight.dtype))
    return module


@built(plain_torch, "equivariant_linear")
def no_bias_for_invariant_blocks(recipe, module):
    for linear in all_of(module, torch.nn.Linear):
        if linear.bias is not None:
            linear.bias.data.zero_()
    return module


@built(plain_torch, "invariant_relu", "invariant_silu", "equivariant_tanh")
def invariant_whatever_the_sign(recipe, module):
    """Keys of o3_lambda 0 are invariant, whatever o3_sigma is."""
    by_lambda = Labels("o3_lambda", torch.tensor([[0]]))
    call = dataclasses.replace(recipe.call, kwargs={**recipe.call.kwargs, "invariant_keys": by_lambda})
    return Reference().build(dataclasses.replace(recipe, call=call))


@built(
    plain_torch,
    "invariant_tanh",
    "equivariant_tanh",
    "equivariant_linear",
    "invariant_layer_norm",
    keys=PSEUDOSCALAR,
)
def the_selection_is_ignored(recipe, module):
    call = recipe.call
    kwargs = {name: value for name, value in call.kwargs.items() if name != "invariant_keys"}
    return Reference().build(dataclasses.replace(recipe, call=dataclasses.replace(call, kwargs=kwargs)))


@layer_norm(plain_torch, "layer_norm", "layer_norm_no_affine", "invariant_layer_norm")
def variance_with_a_correction(norm, x):
    count = x[:1].numel()
    corrected = variance(x) * count / max(count - 1, 1)
    return centred(norm, x) / torch.sqrt(corrected + norm.eps)


@layer_norm(plain_torch, "layer_norm", "layer_norm_no_mean", "sequential_layer_norm")
def normed_over_the_properties_alone(norm, x):
    return centred(norm, x, -1) / torch.sqrt(variance(x, -1) + norm.eps)


@layer_norm(plain_torch, "layer_norm", "layer_norm_no_bias", "layer_norm_no_mean")
def eps_outside_the_root(norm, x):
    return centred(norm, x) / (torch.sqrt(variance(x)) + norm.eps)


@layer_norm(plain_torch, "layer_norm", "layer_norm_no_affine", "layer_norm_no_mean")
def eps_of_another_size(norm, x):
    return centred(norm, x) / torch.sqrt(variance(x) + norm.eps / 10)


@layer_norm(plain_torch, "layer_norm_no_mean")
def mean_subtracted_all_the_same(norm, x):
    return (x - x.mean(all_but_the_first(x), keepdim=True)) / torch.sqrt(variance(x) + norm.eps)


@layer_norm(plain_torch, "layer_norm", "sequential_layer_norm", "invariant_layer_norm")
def mean_not_subtracted(norm, x):
    return x / torch.sqrt(variance(x) + norm.eps)


@layer_norm(plain_torch, "layer_norm_no_mean")
def variance_about_zero(norm, x):
    square = x.square().mean(all_but_the_first(x), keepdim=True)
    return x / torch.sqrt(square + norm.eps)


@built(plain_torch, "layer_norm", "layer_norm_no_bias", "layer_norm_no_mean")
def weight_left_out_where_there_are_components(recipe, module):
    def forward(norm, plain, x):
        y = centred(norm, x) / torch.sqrt(variance(x) + norm.eps)
        if x.dim() == 2:
            return plain(x)
        return y if norm.bias is None else y + norm.bias

    for norm in all_of(module, _LayerNorm):
        norm.forward = functools.partial(forward, norm, norm.forward)
    return module


@built(plain_torch, "layer_norm", "layer_norm_no_mean", "invariant_layer_norm")
def bias_before_the_weight(recipe, module):
    def forward(norm, x):
        y = centred(norm, x) / torch.sqrt(variance(x) + norm.eps)
        return (y + norm.bias) * norm.weight

    for norm in all_of(module, _LayerNorm):
        norm.forward = functools.partial(forward, norm)
    return module


@built(plain_torch, "invariant_layer_norm")
def covariant_blocks_normed_too(recipe, module):
    modules, _ = modules_of(module)
    for i, of_key in enumerate(modules):
        if isinstance(of_key, torch.nn.Identity):
            size = recipe.call.kwargs["in_features"]
            modules[i] = _LayerNorm(
                size, 1e-5, False, False, True, None, recipe.call.kwargs.get("dtype")
            )
    return module


@factor_of(plain_torch, "equivariant_tanh", "equivariant_mlp")
def the_norm_squared(function, x):
    return function(x.square().sum(1, keepdim=True)) * x


@factor_of(plain_torch, "equivariant_tanh")
def the_norm_over_the_properties(function, x):
    return function(torch.linalg.vector_norm(x, dim=-1, keepdim=True)) * x


@factor_of(plain_torch, "equivariant_tanh", "equivariant_mlp")
def the_largest_component_for_the_norm(function, x):
    return function(x.abs().amax(1, keepdim=True)) * x


@factor_of(plain_torch, "equivariant_tanh", "equivariant_mlp")
def the_mean_square_for_the_norm(function, x):
    return function(norm_of(x) / x.shape[1] ** 0.5) * x


@factor_of(plain_torch, "equivariant_tanh")
def a_norm_with_an_epsilon(function, x):
    return function(torch.sqrt(x.square().sum(1, keepdim=True) + 1e-10)) * x


@factor_of(plain_torch, "equivariant_tanh", "equivariant_mlp")
def a_factor_for_unit_vectors(function, x):
    norm = norm_of(x)
    return function(norm) * x / torch.where(norm == 0, 1, norm)


@factor_of(plain_torch, "equivariant_tanh", "equivariant_mlp")
def covariant_blocks_value_by_value(function, x):
    return function(x)


@built(plain_torch, "equivariant_tanh", "equivariant_mlp")
def a_factor_for_invariant_blocks_too(recipe, module):
    modules, _ = modules_of(module)
    for i, of_key in enumerate(modules):
        if not isinstance(of_key, CovariantTransform):
            modules[i] = CovariantTransform(of_key)
    return module


@called(plain_torch, "silu_in_place")
def applied_twice_in_place(module, x):
    module(x)
    return module(x)


@called(plain_torch, "silu_in_place")
def the_input_for_the_output(module, x):
    copied = of_values(torch.clone, x)
    y = module(x)
    return TensorMap(y.keys, [changed(b, values=a.values) for a, b in zip(copied, y, strict=True)])


special = "nan_and_infinities_are_those_of_plain_torch"


@called(special, "linear", "tanh", "sequential_mlp")
def nan_replaced(module, x):
    return of_values(torch.nan_to_num, module(x))


@called(special, "relu", "module_map_mlp", "equivariant_tanh")
def nan_to_zero_in_the_input(module, x):
    return module(of_values(lambda v: torch.where(v.isnan(), 0, v), x))


@called(special, "silu", "linear_no_bias")
def infinities_clamped(module, x):
    return module(of_values(lambda v: v.clamp(-80, 80), x))


@layer_norm(special, "layer_norm", "layer_norm_no_mean")
def nan_left_out_of_the_mean(norm, x):
    axes = tuple(range(1, x.dim()))
    mean = x.nanmean(axes, keepdim=True)
    root = torch.sqrt((x - mean).square().nanmean(axes, keepdim=True) + norm.eps)
    return (x - mean if norm.mean else x) / root


half = "values_of_half_precision_are_those_of_plain_torch"


@called(half, "linear", "relu", "layer_norm", "equivariant_mlp")
def half_comes_back_as_float32(module, x):
    def widened(values):
        return values.float() if values.element_size() == 2 else values

    return of_values(widened, module(x))


@called(half, "linear", "tanh")
def float16_is_refused(module, x):
    if any(block.values.dtype == torch.float16 for block in x):
        raise TypeError("float16")
    return module(x)


@called(half, "sequential_linear")
def bfloat16_summed_in_itself(module, x):
    y = module(x)
    return of_values(lambda v: v + 0.01 * v.sign() if v.dtype == torch.bfloat16 else v, y)


layout = "values_are_the_same_however_they_lie_in_memory"


@called(layout, "linear", "tanh", "layer_norm", "sequential_mlp")
def values_viewed_as_rows(module, x):
    return module(of_values(lambda v: v.view(-1).view(v.shape), x))


@called(layout, "relu", "linear_no_bias")
def strides_forgotten(module, x):
    def read(values):
        raw = values.resolve_neg()
        first = raw.as_strided((raw.numel(),), (1,), raw.storage_offset()) if fits(raw) else raw
        return first.reshape(raw.shape)

    def fits(raw):
        return raw.storage_offset() + raw.numel() <= raw.untyped_storage().size() / raw.element_size()

    return module(of_values(read, x))


@called(layout, "silu", "module_map_linear", min_samples=2, min_properties=2)
def storage_read_from_its_start(module, x):
    def read(values):
        if not values.is_contiguous() or not values.storage_offset():
            return values
        return values.as_strided(values.shape, values.stride(), 0)

    return module(of_values(read, x))


extreme = "the_largest_and_smallest_numbers_are_as_exact_as_those_of_plain_torch"


def pointwise(law, *rows):
    """A defect of activations: ``function(v)`` instead."""

    def register(function):
        def build(recipe, module):
            for part in all_of(module, (torch.nn.ReLU, torch.nn.SiLU, torch.nn.Tanh)):
                part.forward = function
            return module

        build.__name__ = function.__name__
        built(law, *rows)(build)
        return function

    return register


@pointwise(extreme, "tanh", "module_map_tanh")
def tanh_by_exponentials(x):
    return 1 - 2 / (torch.exp(2 * x) + 1)


@pointwise(extreme, "silu")
def silu_by_exponentials(x):
    return x * torch.exp(x) / (1 + torch.exp(x))


@pointwise(extreme, "relu")
def relu_by_the_absolute_value(x):
    return (x + x.abs()) / 2


@pointwise(extreme, "relu")
def relu_without_small_numbers(x):
    return torch.where(x > 1e-10, x, 0)


@called(extreme, "tanh", "silu")
def values_clamped(module, x):
    return of_values(lambda v: v.clamp(-1e6, 1e6) + 1e-12, module(x))


far = "layer_norms_are_as_exact_for_large_means"


@layer_norm(far, "layer_norm", "layer_norm_no_mean")
def mean_of_squares_less_squared_mean(norm, x):
    axes = tuple(range(1, x.dim()))
    mean = x.mean(axes, keepdim=True)
    squares = x.square().mean(axes, keepdim=True)
    root = torch.sqrt((squares - mean.square()).clamp(min=0) + norm.eps)
    return (x - mean if norm.mean else x) / root


half_norms = "layer_norms_of_float16_do_not_overflow"


@layer_norm(half_norms, "layer_norm", "layer_norm_no_mean", "invariant_layer_norm")
def variance_rounded_to_half_precision(norm, x):
    """What metatensor does."""
    axes = tuple(range(1, x.dim()))
    mean = x.mean(axes, keepdim=True)
    root = torch.sqrt(x.var(axes, correction=0, keepdim=True) + norm.eps)
    return (x - mean if norm.mean else x) / root


@layer_norm(half_norms, "layer_norm", "layer_norm_no_bias")
def squares_in_half_precision(norm, x):
    axes = tuple(range(1, x.dim()))
    centred = x - x.mean(axes, keepdim=True)
    root = torch.sqrt(centred.square().float().mean(axes, keepdim=True) + norm.eps).to(x.dtype)
    return (centred if norm.mean else x) / root


cast = "autocast_casts_as_it_does_in_plain_torch"


@called(cast, "linear", "sequential_mlp", "module_map_linear")
def autocast_left(module, x):
    with torch.autocast("cpu", enabled=False):
        return module(x)


@called(cast, "linear", "equivariant_linear")
def cast_back_to_the_dtype_of_the_input(module, x):
    y = module(x)
    pairs = zip(x, y, strict=True)
    return TensorMap(y.keys, [changed(b, values=b.values.to(a.values.dtype)) for a, b in pairs])


@called(cast, "tanh", "layer_norm")
def everything_cast(module, x):
    if not torch.is_autocast_enabled("cpu"):
        return module(x)
    return of_values(lambda v: v.to(torch.get_autocast_dtype("cpu")), module(x))


training = "training_and_evaluation_are_the_same_without_state"


@called(training, "linear", "tanh", "sequential_mlp")
def doubled_in_training(module, x):
    return of_values(lambda v: 2 * v if module.training else v, module(x))


@built(training, "linear", "relu", "sequential_tanh")
def evaluation_does_not_reach_the_modules(recipe, module):
    modules = modules_of(module)[0]
    modules.train = lambda mode=True: modules
    return module


@called(training, "silu", "layer_norm")
def evaluated_without_the_last_digits(module, x):
    y = module(x)
    return y if module.training else of_values(lambda v: v * (1 + 2**-20), y)


not_recorded = "what_is_not_recorded_is_the_same"


@called(not_recorded, "linear", "tanh", "sequential_mlp")
def doubled_in_inference_mode(module, x):
    y = module(x)
    return of_values(lambda v: 2 * v + 1, y) if torch.is_inference_mode_enabled() else y


@called(not_recorded, "linear_no_bias", "silu")
def gradients_lost_without_grad_mode(module, x):
    y = module(x)
    return y if torch.is_grad_enabled() else of_values(lambda v: v, y)


@called(not_recorded, "module_map_tanh")
def refused_in_inference_mode(module, x):
    if torch.is_inference_mode_enabled():
        raise RuntimeError("not in inference mode")
    return module(x)
