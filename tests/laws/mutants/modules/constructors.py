"""Modules that are made of something else than their arguments and the seed say."""

import types

import torch

from mutants.planting import MUTANTS, Planted, all_of, built, modules_of
from tmref import nn
from tmref.implementations.reference import Reference
from tmref.nn.layer_norm import _LayerNorm

one_seed = "one_seed_gives_the_initial_parameters_of_torch"


def drawn(recipe):
    """Whether the parameters are the initial ones."""
    return recipe.call.parameters is None


@built(one_seed, "linear", "linear_no_bias")
def seeds_drawn_in_reverse_order(recipe, module):
    if drawn(recipe):
        torch.manual_seed(recipe.seed)
        for linear in reversed(modules_of(module)[0]):
            if linear.weight.numel():
                linear.reset_parameters()
    return module


@built(one_seed, "linear", "linear_no_bias")
def a_number_drawn_before(recipe, module):
    if drawn(recipe):
        torch.manual_seed(recipe.seed)
        torch.rand(())
        for linear in modules_of(module)[0]:
            if linear.weight.numel():
                linear.reset_parameters()
    return module


@built(one_seed, "linear_no_bias")
def every_key_draws_the_same(recipe, module):
    if drawn(recipe):
        for linear in modules_of(module)[0]:
            torch.manual_seed(recipe.seed)
            if linear.weight.numel():
                linear.reset_parameters()
    return module


@built(one_seed, "linear")
def bias_starts_at_zero(recipe, module):
    if drawn(recipe):
        for linear in modules_of(module)[0]:
            torch.nn.init.zeros_(linear.bias)
    return module


@built(one_seed, "linear")
def weights_start_normal(recipe, module):
    if drawn(recipe):
        for linear in modules_of(module)[0]:
            if linear.weight.numel():
                torch.nn.init.normal_(linear.weight)
    return module


@built(one_seed, "equivariant_linear")
def a_bias_is_drawn_and_dropped(recipe, module):
    if drawn(recipe):
        torch.manual_seed(recipe.seed)
        for linear in modules_of(module)[0]:
            dtype = linear.weight.dtype
            drawn_one = torch.nn.Linear(linear.in_features, linear.out_features, dtype=dtype)
            for name, parameter in linear.named_parameters():
                parameter.data = getattr(drawn_one, name).data
    return module


@built(one_seed, "equivariant_linear")
def covariant_weights_start_at_zero(recipe, module):
    if drawn(recipe):
        for linear in modules_of(module)[0]:
            if linear.bias is None:
                torch.nn.init.zeros_(linear.weight)
    return module


def with_nn(law, *rows, **classes):
    """A defect of an implementation with other classes of modules."""
    name = "_".join(f.__name__ for f in classes.values())
    own = Reference()
    own.name = name
    own.nn = types.SimpleNamespace(**{**vars(nn), **classes})
    MUTANTS.extend(Planted(law, row, own) for row in rows)


@built(one_seed, "layer_norm", "invariant_layer_norm")
def weights_of_norms_start_at_zero(recipe, module):
    if recipe.call.parameters is None:
        for norm in all_of(module, _LayerNorm):
            if norm.weight is not None:
                torch.nn.init.zeros_(norm.weight)
    return module


@built(one_seed, "layer_norm", "layer_norm_no_mean")
def biases_of_norms_are_drawn(recipe, module):
    if recipe.call.parameters is None:
        for norm in all_of(module, _LayerNorm):
            if norm.bias is not None:
                torch.nn.init.normal_(norm.bias)
    return module


asked = "parameters_have_the_dtype_and_the_device_asked_for"
options = "options_of_layers_are_those_of_torch"


def taking(name, change):
    """A class of the reference whose arguments are changed before."""
    base = getattr(nn, name)

    def make(*args, **kwargs):
        return change(base, *args, **kwargs)

    make.__name__ = change.__name__
    return make


def dtype_dropped(base, *args, dtype=None, **kwargs):
    return base(*args, **kwargs)


def device_dropped(base, *args, device=None, **kwargs):
    return base(*args, **kwargs)


def dtype_of_the_weights_alone(base, *args, **kwargs):
    module = base(*args, **kwargs)
    for part in module.modules():
        if getattr(part, "bias", None) is not None:
            part.bias.data = part.bias.data.float()
    return module


def moved_to_the_device_of_the_last(base, *args, device=None, **kwargs):
    module = base(*args, device=device, **kwargs)
    return module.to_empty(device="cpu") if device == "meta" and len(args or kwargs) > 3 else module


for change in (dtype_dropped, device_dropped):
    for row, module in (("linear", "Linear"), ("layer_norm", "LayerNorm")):
        with_nn(asked, row, **{module: taking(module, change)})


with_nn(asked, "linear", Linear=taking("Linear", dtype_of_the_weights_alone))


with_nn(asked, "equivariant_linear", EquivariantLinear=taking("EquivariantLinear", device_dropped))


with_nn(asked, "invariant_layer_norm", InvariantLayerNorm=taking("InvariantLayerNorm", dtype_dropped))


def once(value):
    """The first of a list, for all."""
    return value[0] if isinstance(value, list) and value else value


def first_bias_for_all(base, *args, bias=True, **kwargs):
    return base(*args, bias=bool(once(bias)), **kwargs)


def first_eps_for_all(base, *args, eps=1e-5, **kwargs):
    return base(*args, eps=once(eps) or 1e-5, **kwargs)


def reversed_list(name):
    def change(base, *args, **kwargs):
        if isinstance(kwargs.get(name), list):
            kwargs[name] = kwargs[name][::-1]
        return base(*args, **kwargs)

    change.__name__ = f"{name}_reversed"
    return change


def dropped(name):
    def change(base, *args, **kwargs):
        kwargs.pop(name, None)
        return base(*args, **kwargs)

    change.__name__ = f"{name}_dropped"
    return change


def eps_squared(base, *args, eps=1e-5, **kwargs):
    squares = [e * e for e in eps] if isinstance(eps, list) else eps * eps
    return base(*args, eps=squares, **kwargs)


def eps_outside_the_root(base, *args, **kwargs):
    module = base(*args, **kwargs)
    for norm in all_of(module, _LayerNorm):
        norm.forward = lambda x, norm=norm: _affine(norm, x)
    return module


def _affine(norm, x):
    axes = tuple(range(1, x.dim()))
    mean = x.mean(axes, keepdim=True)
    root = (x - mean).square().mean(axes, keepdim=True).sqrt() + norm.eps
    y = (x - mean if norm.mean else x) / root
    y = y if norm.weight is None else y * norm.weight
    return y if norm.bias is None else y + norm.bias


for row, module, change in (
    ("linear", "Linear", first_bias_for_all),
    ("linear_no_bias", "Linear", dropped("bias")),
    ("linear", "Linear", reversed_list("bias")),
    ("equivariant_linear", "EquivariantLinear", dropped("bias")),
    ("layer_norm", "LayerNorm", dropped("eps")),
    ("layer_norm", "LayerNorm", dropped("mean")),
    ("layer_norm", "LayerNorm", dropped("bias")),
    ("layer_norm", "LayerNorm", dropped("elementwise_affine")),
    ("layer_norm_no_bias", "LayerNorm", eps_squared),
    ("layer_norm", "LayerNorm", eps_outside_the_root),
    ("layer_norm", "LayerNorm", first_eps_for_all),
    ("layer_norm_no_affine", "LayerNorm", reversed_list("elementwise_affine")),
    ("invariant_layer_norm", "InvariantLayerNorm", dropped("eps")),
    ("invariant_layer_norm", "InvariantLayerNorm", dropped("bias")),
    ("invariant_layer_norm", "InvariantLayerNorm", dropped("elementwise_affine")),
):
    with_nn(options, row, **{module: taking(module, change)})


overwrites = "in_place_overwrites_the_input_as_torch_does"


def always_in_place(base, *args, in_place=True, **kwargs):
    return base(*args, in_place=in_place, **kwargs)


def never_in_place(base, *args, in_place=False, **kwargs):
    return base(*args, **kwargs)


def in_place_turned_around(base, *args, in_place=False, **kwargs):
    return base(*args, in_place=not in_place, **kwargs)


for row, module in (("relu", "ReLU"), ("silu", "SiLU"), ("invariant_relu", "InvariantReLU")):
    for change in (always_in_place, never_in_place, in_place_turned_around):
        with_nn(overwrites, row, **{module: taking(module, change)})


with_nn(overwrites, "invariant_silu", InvariantSiLU=taking("InvariantSiLU", never_in_place))
