"""Modules that differ from plain torch's where few look."""

import copy
import types

import torch
from mutants import (
    MUTANTS,
    Around,
    Planted,
    all_of,
    built,
    called,
    changed,
    layer_norm,
    modules_of,
    of_values,
)

from tmref import TensorMap, nn
from tmref.implementations.reference import Reference
from tmref.nn.layer_norm import _LayerNorm


def with_nn(law, *rows, **classes):
    """A defect of an implementation with other classes of modules."""
    name = "_".join(f.__name__ for f in classes.values())
    own = Reference()
    own.name = name
    own.nn = types.SimpleNamespace(**{**vars(nn), **classes})
    MUTANTS.extend(Planted(law, row, own) for row in rows)


# --- values

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


@called(layout, "silu", "module_map_linear")
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


# --- derivatives

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


one_seed = "one_seed_gives_the_initial_parameters_of_torch"


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


# --- arguments of constructors

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

# --- modules of torch in a ModuleMap

once_only = "one_forward_is_one_forward_of_every_module"
hooks = "hooks_of_modules_are_called"
parametrized = "parametrizations_of_modules_are_used"
lazy = "lazy_modules_are_made_by_the_first_forward"
copies = "from_module_makes_copies"


def module_map(*laws):
    """A defect of ModuleMap: a subclass."""

    def register(kind):
        own = Reference()
        own.name = kind.__name__
        own.nn = types.SimpleNamespace(**{**vars(nn), "ModuleMap": kind})
        MUTANTS.extend(Planted(law, "any_module_map", own) for law in laws)
        return kind

    return register


@module_map(once_only)
class CalledTwice(nn.ModuleMap):
    def forward(self, tensor):
        super().forward(tensor)
        return super().forward(tensor)


@module_map(once_only)
class ShapesTriedOut(nn.ModuleMap):
    """The module sees an empty batch first."""

    def forward(self, tensor):
        for module, block in zip(self.module_list, tensor, strict=True):
            if isinstance(module, torch.nn.BatchNorm1d) and module.training:
                module.num_batches_tracked += 1
            elif isinstance(module, torch.nn.Dropout):
                module(torch.ones_like(block.values[:1]))
        return super().forward(tensor)


@module_map(once_only)
class AlwaysInTraining(nn.ModuleMap):
    def train(self, mode=True):
        self.training = mode
        return self


@module_map(once_only)
class EvaluatedForTheForward(nn.ModuleMap):
    def forward(self, tensor):
        was = self.training
        y = super().train(False).forward(tensor)
        super().train(was)
        return y


@module_map(once_only)
class RandomStateRestored(nn.ModuleMap):
    def forward(self, tensor):
        with torch.random.fork_rng(devices=[]):
            return super().forward(tensor)


@module_map(once_only)
class BuffersCopied(nn.ModuleMap):
    """Statistics are updated in a copy."""

    def forward(self, tensor):
        kept = copy.deepcopy(self.state_dict())
        y = super().forward(tensor)
        self.load_state_dict(kept)
        return y


def with_forwards(self, tensor):
    """The map of what ``forward`` of the modules makes, without calling them."""
    for module in self.module_list:
        if "called" not in module.__dict__:
            module.called = True
            module.__class__ = type(
                type(module).__name__,
                (type(module),),
                {"__call__": lambda self, *args: self.forward(*args)},
            )
    return nn.ModuleMap.forward(self, tensor)


@module_map(hooks, lazy)
class CallsForward(nn.ModuleMap):
    """What metatensor does."""

    forward = with_forwards


@module_map("modules_may_stand_in_several_places")
class EachPartOnce(nn.ModuleMap):
    """What torch lists as children has a module once."""

    def forward(self, tensor):
        given = list(self.module_list)
        for i, module in enumerate(given):
            if isinstance(module, torch.nn.Sequential):
                self.module_list[i] = torch.nn.Sequential(*module.children())
        try:
            return super().forward(tensor)
        finally:
            for i, module in enumerate(given):
                self.module_list[i] = module


@module_map(hooks)
class FirstOneIsCalledTwice(nn.ModuleMap):
    def forward(self, tensor):
        self.module_list[0](tensor.block(0).values)
        return super().forward(tensor)


@module_map(hooks)
class ResultsOfHooksIgnored(nn.ModuleMap):
    def forward(self, tensor):
        y = super().forward(tensor)
        plain = [m.forward(b.values) for m, b in zip(self.module_list, tensor, strict=True)]
        return TensorMap(y.keys, [changed(b, values=v) for b, v in zip(y, plain, strict=True)])


@module_map(hooks)
class Detached(nn.ModuleMap):
    """No backward reaches the modules."""

    def forward(self, tensor):
        y = super().forward(tensor)
        direct = [
            torch.nn.functional.linear(b.values, m.weight, m.bias)
            for m, b in zip(self.module_list, tensor, strict=True)
        ]
        return TensorMap(
            y.keys,
            [
                changed(b, values=b.values.detach() + v - v.detach())
                for b, v in zip(y, direct, strict=True)
            ],
        )


@module_map(parametrized)
class WeightsOfTheFirstForward(nn.ModuleMap):
    def forward(self, tensor):
        if not hasattr(self, "first"):
            self.__dict__["first"] = copy.deepcopy(list(self.module_list))
        own = self.__dict__["first"]
        y = super().forward(tensor)
        values = [m(b.values) for m, b in zip(own, tensor, strict=True)]
        return TensorMap(y.keys, [changed(b, values=v) for b, v in zip(y, values, strict=True)])


@module_map(parametrized)
class WeightsReadBefore(nn.ModuleMap):
    """The weight is looked at once more: a step of the power iteration more."""

    def forward(self, tensor):
        for module in self.module_list:
            _ = module.weight
        return super().forward(tensor)


@module_map(lazy)
class LazyOnesOfTheWidestBlock(nn.ModuleMap):
    def forward(self, tensor):
        widest = max(tensor, key=lambda block: len(block.properties)).values
        for module in self.module_list:
            if isinstance(module, torch.nn.LazyLinear):
                module(widest)
        return super().forward(tensor)


@module_map(lazy)
class LazyOnesInFloat32(nn.ModuleMap):
    def forward(self, tensor):
        for module, block in zip(self.module_list, tensor, strict=True):
            if isinstance(module, torch.nn.LazyLinear):
                module.weight.data, module.bias.data = (
                    module.weight.data.float(),
                    module.bias.data.float(),
                )
                module(block.values.float())
                module.to(block.values.dtype)
        return super().forward(tensor)


@module_map(copies)
class SharedByAll(nn.ModuleMap):
    @classmethod
    def from_module(cls, in_keys, module, out_properties=None):
        return cls(in_keys, [module for _ in in_keys], out_properties)


@module_map(copies)
class OneCopyForAll(nn.ModuleMap):
    @classmethod
    def from_module(cls, in_keys, module, out_properties=None):
        module = copy.deepcopy(module)
        return cls(in_keys, [module for _ in in_keys], out_properties)


@module_map(copies)
class TheFirstIsTheOneGiven(nn.ModuleMap):
    @classmethod
    def from_module(cls, in_keys, module, out_properties=None):
        modules = [copy.deepcopy(module) if i else module for i, _ in enumerate(in_keys)]
        return cls(in_keys, modules, out_properties)


@module_map(copies)
class InitialisedAnew(nn.ModuleMap):
    @classmethod
    def from_module(cls, in_keys, module, out_properties=None):
        made = super().from_module(in_keys, module, out_properties)
        for part in made.module_list:
            part.reset_parameters()
        return made


# --- without grad mode

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
