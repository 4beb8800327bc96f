"""Deliberately broken implementations: the reference with one planted defect each.

``MUTANTS`` has them by law, ``BROKEN_ADAPTERS`` those whose encoding is broken. The tests load this
file by its path, and so does ``tmref check``.
"""

import dataclasses
import functools
import types
from dataclasses import dataclass, field

import torch
from hypothesis import strategies as st

from tmref import Labels, TensorBlock, TensorMap, nn
from tmref.implementations.reference import Reference
from tmref.nn.covariant import CovariantTransform
from tmref.nn.layer_norm import _LayerNorm

MUTANTS = []
BROKEN_ADAPTERS = []


@dataclass(frozen=True)
class Planted:
    """A defect that the law finds on the row.

    ``maps`` are options of its maps, for a defect that is to be seen on few of all maps.
    """

    law: str
    row: str
    implementation: Reference
    maps: dict = field(default_factory=dict)

    def narrowed(self, row):
        """The row with the maps that the defect is to be seen on."""
        return dataclasses.replace(row, maps={**row.maps, **self.maps})

    def __str__(self):
        return f"{self.law}-{self.implementation.name}-{self.row}"


class Mutant(Reference):
    """The reference, with ``build(recipe, module)`` instead of the module."""

    def __init__(self, name, build):
        self.name = name
        self._build = build

    def build(self, recipe):
        return self._build(recipe, super().build(recipe))


class Around(torch.nn.Module):
    """``forward(module, x)`` instead of ``module(x)``."""

    def __init__(self, module, forward):
        super().__init__()
        self.module = module
        self._forward = forward

    def forward(self, x):
        return self._forward(self.module, x)


def built(law, *rows, **maps):
    """A defect of the module that ``(recipe, module)`` returns."""

    def register(build):
        mutant = Mutant(build.__name__, build)
        MUTANTS.extend(Planted(law, row, mutant, maps) for row in rows)
        return build

    return register


def called(law, *rows):
    """A defect of what ``(module, x)`` returns."""

    def register(forward):
        mutant = Mutant(forward.__name__, lambda recipe, module: Around(module, forward))
        MUTANTS.extend(Planted(law, row, mutant) for row in rows)
        return forward

    return register


def of_nn(law, *rows):
    """A defect of the classes that a function returns by name: they stand in the place of nn's."""

    def register(classes):
        mutant = Reference()
        mutant.name = classes.__name__
        mutant.nn = types.SimpleNamespace(**{**vars(nn), **classes()})
        MUTANTS.extend(Planted(law, row, mutant) for row in rows)
        return classes

    return register


def changed(block, **parts):
    """The block, gradients left out, with some parts replaced."""
    names = ("values", "samples", "components", "properties")
    return TensorBlock(*(parts.get(name, getattr(block, name)) for name in names))


def each(change, y):
    """The map with every block changed."""
    return TensorMap(y.keys, [change(block) for block in y])


def of_values(change, y):
    """The map with the values of every block changed."""
    return each(lambda block: changed(block, values=change(block.values)), y)


def modules_of(module):
    """The torch modules by position, and the map of them."""
    module_map = getattr(module, "module_map", module)
    return module_map.module_list, module_map


def all_of(module, kind):
    """The parts of a module that are of a class."""
    return [part for part in module.modules() if isinstance(part, kind)]


def layer_norm(law, *rows):
    """A defect of layer norms: ``(norm, x)`` returns the values before the weight and the bias."""

    def register(normed):
        def build(recipe, module):
            for norm in all_of(module, _LayerNorm):
                norm.forward = lambda x, norm=norm: affine(norm, normed(norm, x))
            return module

        build.__name__ = normed.__name__
        built(law, *rows)(build)
        return normed

    return register


def affine(norm, y):
    """Values times the weight plus the bias, where there are any."""
    y = y if norm.weight is None else y * norm.weight
    return y if norm.bias is None else y + norm.bias


def centred(norm, x, axes=None):
    """The values without their mean, where it is to be subtracted."""
    axes = all_but_the_first(x) if axes is None else axes
    return x - x.mean(axes, keepdim=True) if norm.mean else x


def variance(x, axes=None):
    """The mean square of what differs from the mean."""
    axes = all_but_the_first(x) if axes is None else axes
    return (x - x.mean(axes, keepdim=True)).square().mean(axes, keepdim=True)


def all_but_the_first(x):
    """The axes of components and properties."""
    return tuple(range(1, x.dim()))


def factor_of(law, *rows, **maps):
    """A defect of what covariant blocks are transformed by: ``(function, x)`` returns the values."""

    def register(transformed):
        def build(recipe, module):
            for part in all_of(module, CovariantTransform):
                part.forward = functools.partial(transformed, part.module)
            return module

        build.__name__ = transformed.__name__
        built(law, *rows, **maps)(build)
        return transformed

    return register


def norm_of(x):
    """The norm over the components."""
    return torch.linalg.vector_norm(x, dim=tuple(range(1, x.dim() - 1)), keepdim=True)


def norm_without_nan(x):
    """The norm over the components, with derivatives of 0 where it is 0."""
    zero = (x == 0).all(1, keepdim=True)
    return torch.where(zero, 0, norm_of(torch.where(zero, 1, x)))


#: The key of what doesn't rotate but changes sign: invariant or not by the selection alone.
PSEUDOSCALAR = st.just(Labels(["o3_lambda", "o3_sigma"], torch.tensor([[0, -1]])))


# --- metadata

keys_survive = "keys_survive_in_order"


@called(keys_survive, "linear", "tanh", "sequential_mlp")
def keys_and_blocks_reversed(module, x):
    y = module(x)
    return TensorMap(Labels(y.keys.names, y.keys.values.flip(0)), list(y)[::-1])


@called(keys_survive, "linear")
def keys_sorted(module, x):
    y = module(x)
    order = sorted(range(len(y)), key=lambda i: y.keys.values[i].tolist())
    return TensorMap(Labels(y.keys.names, y.keys.values[order]), [y.block(i) for i in order])


@built(keys_survive, "linear", "module_map_tanh")
def keys_in_the_order_of_the_module(recipe, module):
    def forward(module, x):
        y = module(x)
        order = [y.keys.position(key) for key in recipe.in_keys]
        return TensorMap(recipe.in_keys, [y.block(i) for i in order])

    return Around(module, forward)


@called(keys_survive, "silu")
def blocks_without_samples_dropped(module, x):
    y = module(x)
    kept = [i for i, block in enumerate(y) if len(block)]
    return TensorMap(Labels(y.keys.names, y.keys.values[kept]), [y.block(i) for i in kept])


@called(keys_survive, "relu")
def keys_renamed(module, x):
    y = module(x)
    return TensorMap(Labels([f"{name}_out" for name in y.keys.names], y.keys.values), list(y))


no_blocks = "a_map_without_blocks_gives_one_without_blocks"


@called(no_blocks, "relu", "linear", "sequential_linear", "invariant_relu", "layer_norm")
def index_error_for_no_blocks(module, x):
    x.block(0).gradients_list()
    return module(x)


@called(no_blocks, "module_map_linear")
def keys_lost_for_no_blocks(module, x):
    return module(x) if len(x) else TensorMap(Labels.empty("_"), [])


@called(no_blocks, "tanh")
def a_block_for_no_blocks(module, x):
    if len(x):
        return module(x)
    block = TensorBlock(torch.zeros(0, 1), Labels.empty("_"), [], Labels.single())
    return TensorMap(Labels.single(), [block])


samples_survive = "samples_survive"


@called(samples_survive, "linear", "tanh", "sequential_mlp")
def samples_counted(module, x):
    return each(
        lambda b: changed(b, samples=Labels.range("sample", len(b))),
        module(x),
    )


@called(samples_survive, "linear")
def sample_values_counted(module, x):
    def count(labels):
        values = torch.arange(labels.values.numel()).reshape(labels.values.shape)
        return Labels(labels.names, values)

    return each(lambda b: changed(b, samples=count(b.samples)), module(x))


@called(samples_survive, "module_map_mlp")
def samples_sorted(module, x):
    def by_samples(block):
        rows = block.samples.values.tolist()
        order = sorted(range(len(rows)), key=rows.__getitem__)
        samples = Labels(block.samples.names, block.samples.values[order])
        return changed(block, values=block.values[order], samples=samples)

    return each(by_samples, module(x))


@called(samples_survive, "relu")
def samples_of_the_first_block(module, x):
    y = module(x)
    first = y.block(0).samples
    return each(
        lambda b: changed(b, samples=first) if len(b) == len(first) else b,
        y,
    )


components_survive = "components_survive"


@called(components_survive, "linear", "silu")
def components_swapped(module, x):
    def swap(block):
        if len(block.components) < 2:
            return block
        values = block.values.transpose(1, 2)
        return changed(block, values=values, components=block.components[::-1])

    return each(swap, module(x))


@called(components_survive, "linear", "sequential_tanh", "equivariant_tanh")
def components_counted(module, x):
    def count(block):
        components = [Labels.range(c.names[0], len(c)) for c in block.components]
        return changed(block, components=components)

    return each(count, module(x))


@called(components_survive, "module_map_linear")
def components_flattened_into_one(module, x):
    def flatten(block):
        if len(block.components) < 2:
            return block
        values = block.values.flatten(1, 2)
        return changed(block, values=values, components=[Labels.range("m", values.shape[1])])

    return each(flatten, module(x))


properties_asked_for = "properties_are_those_asked_for"


@called(properties_asked_for, "linear", "tanh", "sequential_mlp", "layer_norm", "equivariant_mlp")
def default_properties_always(module, x):
    return each(
        lambda b: changed(b, properties=Labels.range("_", len(b.properties))),
        module(x),
    )


@called(properties_asked_for, "relu", "module_map_tanh", "linear")
def properties_of_the_input_where_they_fit(module, x):
    y = module(x)
    pairs = zip(x, y, strict=True)
    blocks = [changed(b, properties=a.properties) if a.shape == b.shape else b for a, b in pairs]
    if len({tuple(block.properties.names) for block in blocks}) > 1:
        return y
    return TensorMap(y.keys, blocks)


@built(properties_asked_for, "linear", "silu")
def properties_by_position(recipe, module):
    def forward(module, x):
        pairs = zip(module(x), recipe.properties, strict=True)
        return TensorMap(x.keys, [changed(b, properties=labels) for b, labels in pairs])

    return Around(module, forward)


@called(properties_asked_for, "module_map_linear")
def default_properties_called_property(module, x):
    def rename(block):
        properties = block.properties
        if properties.names != ["_"]:
            return block
        return changed(block, properties=Labels(["property"], properties.values))

    return each(rename, module(x))


# --- torch equivalence

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


# --- structure

per_block = "blocks_do_not_influence_each_other"


@called(per_block, "linear", "tanh", "sequential_mlp", "equivariant_tanh")
def mean_of_the_first_block_added(module, x):
    y = module(x)
    values = y.block(0).values
    mean = values.mean() if values.numel() else 0
    return of_values(lambda v: v + mean, y)


@called(per_block, "silu")
def scaled_by_the_largest_value_of_all_blocks(module, x):
    y = module(x)
    values = torch.cat([block.values.flatten().abs() for block in y])
    return of_values(lambda v: v / max(float(values.max()), 1) if v.numel() else v, y)


per_sample = "samples_do_not_influence_each_other"


@called(per_sample, "linear", "tanh", "sequential_mlp")
def mean_over_samples_subtracted(module, x):
    return of_values(lambda v: v - v.mean(0) if len(v) else v, module(x))


@called(per_sample, "linear_no_bias", "relu")
def summed_up_over_samples(module, x):
    return of_values(lambda v: v.cumsum(0), module(x))


@called(per_sample, "linear", "module_map_mlp")
def last_sample_lost_in_a_batch(module, x):
    def change(values):
        if len(values) % 2 == 0:
            return values
        return torch.cat([values[:-1], torch.zeros_like(values[-1:])])

    return of_values(change, module(x))


@called(per_sample, "silu")
def samples_numbered_in_the_values(module, x):
    return of_values(
        lambda v: v + torch.arange(len(v), dtype=v.dtype).reshape(-1, *[1] * (v.dim() - 1)),
        module(x),
    )


@layer_norm(per_sample, "layer_norm", "layer_norm_no_mean", "sequential_layer_norm")
def normed_over_the_samples(norm, x):
    if not len(x):
        return x
    return centred(norm, x, 0) / torch.sqrt(variance(x, 0) + norm.eps)


@layer_norm(per_sample, "layer_norm", "layer_norm_no_mean", "layer_norm_no_bias")
def one_variance_for_all_samples(norm, x):
    if not x.numel():
        return x
    return centred(norm, x) / torch.sqrt(variance(x).mean() + norm.eps)


@factor_of(per_sample, "equivariant_tanh", "equivariant_mlp")
def the_norm_over_the_samples_too(function, x):
    return function(torch.linalg.vector_norm(x, dim=(0, 1), keepdim=True)).expand_as(x[:, :1]) * x


pointwise = "every_value_stands_for_itself"


@called(pointwise, "relu", "silu", "tanh", "module_map_tanh")
def neighbours_value_added(module, x):
    return of_values(lambda v: v + v.roll(1, -1), module(x))


@called(pointwise, "tanh")
def mean_over_properties_subtracted(module, x):
    return of_values(lambda v: v - v.mean(-1, keepdim=True) if v.numel() else v, module(x))


@called(pointwise, "relu")
def cut_where_all_of_a_sample_is_small(module, x):
    def change(block):
        large = (block.values > 1).any(-1, keepdim=True)
        return changed(block, values=torch.where(large, block.values, 0))

    return each(change, module(x))


@built(pointwise, "invariant_tanh", "invariant_silu")
def covariant_blocks_scaled_by_their_norm(recipe, module):
    modules, _ = modules_of(module)
    for i, of_key in enumerate(modules):
        if isinstance(of_key, torch.nn.Identity):
            modules[i] = CovariantTransform(torch.nn.Tanh())
    return module


@called(pointwise, "silu_in_place")
def sorted_in_place(module, x):
    for block in x:
        block.values.copy_(block.values.sort(-1).values)
    return module(x)


linear = "linear_up_to_its_bias"


@called(linear, "linear", "module_map_linear", "sequential_linear", "equivariant_linear")
def quadratic_for_large_values(module, x):
    return of_values(lambda v: torch.where(v.abs() > 2, v * v, v), module(x))


@called(linear, "linear", "linear_no_bias")
def saturated(module, x):
    return of_values(lambda v: v.clamp(-2, 2), module(x))


@called(linear, "linear_no_bias")
def absolute_values(module, x):
    return of_values(torch.abs, module(x))


@called(linear, "linear")
def rounded(module, x):
    return of_values(torch.round, module(x))


@built(per_sample, "linear", "sequential_linear", "tanh", "linear_no_bias")
def the_output_is_one_buffer(recipe, module):
    buffers = {}

    def forward(module, x):
        y = module(x)
        return TensorMap(
            y.keys,
            [
                changed(
                    b, values=buffers.setdefault((i, tuple(b.shape)), b.values.clone()).copy_(b.values)
                )
                for i, b in enumerate(y)
            ],
        )

    return Around(module, lambda module, x: torch.no_grad()(forward)(module, x))


unknown_key = "an_unknown_key_never_gets_the_module_of_another"


@built(unknown_key, "linear", "silu", "module_map_mlp", "sequential_mlp", "equivariant_mlp")
def the_first_module_for_unknown_keys(recipe, module):
    _, module_map = modules_of(module)
    known = module_map.in_keys
    module_map._positions = lambda keys, given="": [known.position(key) or 0 for key in keys]
    return module


@built(unknown_key, "linear", "relu", "sequential_linear")
def the_nearest_key(recipe, module):
    _, module_map = modules_of(module)
    rows = module_map.in_keys.values.double()

    def positions(keys, given=""):
        return [int((rows - torch.tensor(list(key)).double()).abs().sum(1).argmin()) for key in keys]

    module_map._positions = positions
    return module


@built(unknown_key, "linear_no_bias", "tanh")
def the_module_at_the_position(recipe, module):
    _, module_map = modules_of(module)
    known = module_map.in_keys

    def positions(keys, given=""):
        found = [known.position(key) for key in keys]
        return [i if where is None else where for i, where in enumerate(found)]

    module_map._positions = positions
    return module


@built(unknown_key, "linear")
def zeros_for_unknown_keys(recipe, module):
    _, module_map = modules_of(module)
    known = module_map.in_keys
    find = module_map._positions

    def forward(module, x):
        module_map._positions = lambda keys, given="": [known.position(key) or 0 for key in keys]
        y = module(x)
        module_map._positions = find
        values = [b.values if key in known else torch.zeros_like(b.values) for key, b in y.items()]
        return TensorMap(y.keys, [changed(b, values=v) for b, v in zip(y, values, strict=True)])

    return Around(module, forward)


by_name = "keys_are_matched_by_the_names_of_their_dimensions"


@built(by_name, "linear", "tanh", "module_map_mlp", "sequential_tanh", "equivariant_linear")
def keys_by_their_values_alone(recipe, module):
    _, module_map = modules_of(module)
    known = module_map.in_keys
    module_map._positions = lambda keys, given="": [known.position(list(key)) for key in keys]
    return module


@built(by_name, "linear_no_bias", "relu")
def keys_by_their_values_where_the_names_are_the_same_set(recipe, module):
    _, module_map = modules_of(module)
    known = module_map.in_keys

    def positions(keys, given=""):
        if set(keys.names) != set(known.names):
            raise ValueError("other names")
        found = [known.position(list(key)) for key in keys]
        if None in found:
            raise ValueError("an unknown key")
        return found

    module_map._positions = positions
    return module


@built(by_name, "linear")
def names_of_keys_made_up(recipe, module):
    """Other names are taken for the module's own, and the keys come back under those."""
    known = modules_of(module)[1].in_keys

    def forward(module, x):
        return module(TensorMap(Labels(known.names, x.keys.values), list(x)))

    return Around(module, forward)


by_layer = "the_layers_of_a_sequential_go_by_key"


@built(by_layer, "sequential_linear", "sequential_tanh", "sequential_mlp", "sequential_equivariant")
def layers_by_position(recipe, module):
    layers = [modules_of(Reference().make(call))[1] for call in recipe.call.args[1:]]
    for i, of_key in enumerate(module.module_map.module_list):
        for j, layer in enumerate(layers):
            of_key[j] = layer.module_list[i]
    return module


@built(by_layer, "sequential_linear", "sequential_mlp")
def properties_of_layers_by_position(recipe, module):
    last = modules_of(Reference().make(recipe.call.args[-1]))[1].out_properties

    def forward(module, x):
        y = module(x)
        if last is None:
            return y
        labels = [last[recipe.in_keys.position(key)] for key in y.keys]
        pairs = zip(y, labels, strict=True)
        return TensorMap(
            y.keys,
            [changed(b, properties=p) for b, p in pairs],
        )

    return Around(module, forward)


# --- purity

input_stays = "the_input_stays"


@called(input_stays, "relu", "module_map_mlp")
def input_rectified(module, x):
    for block in x:
        block.values.relu_()
    return module(x)


@called(input_stays, "linear", "sequential_linear")
def input_doubled_afterwards(module, x):
    y = module(x)
    for block in x:
        block.values.mul_(2)
    return y


@built(input_stays, "silu", "invariant_silu")
def in_place_not_asked_for(recipe, module):
    for activation in all_of(module, torch.nn.SiLU):
        activation.inplace = True
    return module


@called(input_stays, "relu")
def adds_to_its_input(module, x):
    y = module(x)
    for block in x:
        block.values.add_(1)
    return y


@layer_norm(input_stays, "layer_norm", "layer_norm_no_mean", "sequential_layer_norm")
def mean_subtracted_in_place(norm, x):
    x -= x.mean(all_but_the_first(x), keepdim=True)
    return x / torch.sqrt(variance(x) + norm.eps)


@layer_norm(input_stays, "layer_norm_no_mean")
def divided_in_place(norm, x):
    """What metatensor does."""
    x /= torch.sqrt(variance(x) + norm.eps)
    return x


@factor_of(input_stays, "equivariant_tanh", "equivariant_mlp")
def multiplied_in_place(function, x):
    with torch.no_grad():
        return x.mul_(function(norm_of(x)))


@called(input_stays, "tanh")
def large_values_of_the_input_cut(module, x):
    for block in x:
        block.values[..., -1:].clamp_(-1, 1)
    return module(x)


parameters_stay = "parameters_stay"


@called(parameters_stay, "linear", "sequential_mlp")
def weights_normalised_in_the_forward(module, x):
    for parameter in module.parameters():
        if parameter.dim() == 2:
            parameter.data /= parameter.data.norm().clamp(min=1)
    return module(x)


@called(parameters_stay, "linear", "module_map_linear")
def bias_follows_the_output(module, x):
    y = module(x)
    for parameter in module.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.5
    return y


same_output = "the_same_input_gives_the_same_output"


@built(same_output, "linear", "tanh", "sequential_mlp")
def counts_its_calls(recipe, module):
    calls = []

    def forward(module, x):
        calls.append(x)
        return of_values(lambda v: v + (len(calls) - 1) / 8, module(x))

    return Around(module, forward)


@built(same_output, "layer_norm", "invariant_layer_norm")
def running_statistics(recipe, module):
    def forward(norm, means, x):
        means.append(x.mean() if x.numel() else 0)
        return affine(norm, x - sum(means) / len(means) / 2 ** len(means))

    for norm in all_of(module, _LayerNorm):
        norm.forward = functools.partial(forward, norm, [])
    return module


@built(same_output, "silu_in_place", "equivariant_mlp")
def scaled_by_the_number_of_calls(recipe, module):
    calls = []

    def forward(module, x):
        calls.append(x)
        return of_values(lambda v: v * len(calls), module(x))

    return Around(module, forward)


@called(same_output, "linear", "silu")
def drops_values_by_chance(module, x):
    return of_values(lambda v: torch.nn.functional.dropout(v, 0.5), module(x))


@built(same_output, "linear")
def samples_reversed_at_every_second_call(recipe, module):
    calls = []

    def forward(module, x):
        calls.append(x)
        if len(calls) % 2:
            return module(x)

        def reverse(block):
            samples = Labels(block.samples.names, block.samples.values.flip(0))
            return changed(block, values=block.values.flip(0), samples=samples)

        return each(reverse, module(x))

    return Around(module, forward)


random_stays = "random_numbers_stay"


@called(random_stays, "linear", "tanh", "sequential_mlp")
def draws_a_number(module, x):
    torch.rand(())
    return module(x)


@called(random_stays, "silu", "silu_in_place", "layer_norm")
def drops_nothing_by_chance(module, x):
    return of_values(lambda v: v + 0 * torch.rand_like(v), module(x))


@called(random_stays, "module_map_mlp")
def seeds_torch(module, x):
    torch.manual_seed(0)
    return module(x)


# --- calculus

chain_rule = "explicit_gradients_are_refused_or_right_by_the_chain_rule"


def of_gradients(change, module, x):
    """The output with gradients of the values ``change(gradient of the output, of the input)``."""
    y = module(x)
    blocks = []
    for before, after in zip(x, y, strict=True):
        block = changed(after)
        for parameter, gradient in after.gradients():
            values = change(gradient.values, before.gradient(parameter).values)
            block.add_gradient(parameter, changed(gradient, values=values))
        blocks.append(block)
    return TensorMap(y.keys, blocks)


@called(chain_rule, "linear", "tanh", "relu", "silu", "module_map_tanh", "invariant_silu", "layer_norm")
def gradients_as_they_came(module, x):
    return of_gradients(lambda g, before: before if g.shape == before.shape else g, module, x)


@called(chain_rule, "linear")
def gradients_doubled(module, x):
    return of_gradients(lambda g, before: 2 * g, module, x)


@built(
    chain_rule,
    "linear",
    "module_map_linear",
    "module_map_tanh",
    "sequential_tanh",
    "invariant_tanh",
    "layer_norm",
    "equivariant_tanh",
)
def modules_applied_to_gradients(recipe, module):
    _, module_map = modules_of(module)

    def forward(module, x):
        y = module(x)
        blocks = []
        for key, before, after in zip(y.keys, x, y, strict=True):
            block = changed(after)
            torch_module = module_map.module_list[module_map.in_keys.position(key)]
            for parameter, gradient in after.gradients():
                values = torch_module(before.gradient(parameter).values)
                block.add_gradient(parameter, changed(gradient, values=values))
            blocks.append(block)
        return TensorMap(y.keys, blocks)

    return Around(module, forward)


@called(chain_rule, "linear", "module_map_mlp")
def only_the_first_direction(module, x):
    y = module(x)
    blocks = []
    for after in y:
        block = changed(after)
        for parameter, gradient in after.gradients():
            values = gradient.values.clone()
            if len(gradient.components) > len(after.components):
                values[:, 1:] = 0
            block.add_gradient(parameter, changed(gradient, values=values))
        blocks.append(block)
    return TensorMap(y.keys, blocks)


@called(chain_rule, "silu_in_place")
def in_place_not_refused(module, x):
    """The values are overwritten, and the gradients those of what is there then."""
    y = module(of_values(lambda v: v, x))
    again = nn.SiLU(x.keys)(x)
    blocks = []
    for after, other in zip(y, again, strict=True):
        block = changed(after)
        for parameter, gradient in other.gradients():
            block.add_gradient(parameter, changed(gradient, properties=block.properties))
        blocks.append(block)
    return TensorMap(y.keys, blocks)


def with_gradients_of(wrong, module):
    """What a module returns, with the explicit gradients that another one makes."""

    def forward(module, x):
        blocks = []
        for block, other in zip(module(of_values(lambda v: v, x)), wrong(x), strict=True):
            block = changed(block)
            for parameter, gradient in other.gradients():
                block.add_gradient(parameter, changed(gradient))
            blocks.append(block)
        return TensorMap(x.keys, blocks)

    return Around(module, forward)


@built(chain_rule, "layer_norm", "layer_norm_no_mean", "layer_norm_no_bias")
def gradients_with_constant_statistics(recipe, module):
    for norm in all_of(module, _LayerNorm):
        norm.forward = lambda x, norm=norm: affine(norm, statistics_detached(norm, x))
    return with_gradients_of(module, Reference().build(recipe))


@built(chain_rule, "equivariant_tanh", "equivariant_mlp")
def gradients_with_a_constant_factor(recipe, module):
    for part in all_of(module, CovariantTransform):
        part.forward = functools.partial(factor_detached, part.module)
    return with_gradients_of(module, Reference().build(recipe))


@called(chain_rule, "linear", "sequential_mlp", "relu")
def gradients_dropped(module, x):
    return each(changed, module(x))


@called(chain_rule, "silu")
def only_the_first_gradient(module, x):
    y = module(x)
    blocks = []
    for after in y:
        block = changed(after)
        for parameter, gradient in list(after.gradients())[:1]:
            block.add_gradient(parameter, changed(gradient))
        blocks.append(block)
    return TensorMap(y.keys, blocks)


@called(chain_rule, "tanh", "module_map_mlp")
def gradients_at_the_first_sample(module, x):
    y = module(of_first_sample(x))
    blocks = []
    for plain, after, before in zip(module(of_values(lambda v: v, x)), y, x, strict=True):
        block = changed(plain)
        for parameter, gradient in after.gradients():
            samples = before.gradient(parameter).samples
            block.add_gradient(parameter, changed(gradient, samples=samples))
        blocks.append(block)
    return TensorMap(y.keys, blocks)


def of_first_sample(x):
    """The map with the values of the first sample everywhere, gradients kept."""
    blocks = []
    for before in x:
        block = changed(before, values=before.values[:1].expand(before.shape).contiguous())
        for parameter, gradient in before.gradients():
            block.add_gradient(parameter, changed(gradient))
        blocks.append(block)
    return TensorMap(x.keys, blocks)


@called(chain_rule, "linear_no_bias")
def gradients_of_other_samples(module, x):
    y = module(x)
    blocks = []
    for after in y:
        block = changed(after)
        for parameter, gradient in after.gradients():
            rows = gradient.samples.values.clone()
            rows[:, 0] = rows[:, 0].flip(0)
            if len(set(map(tuple, rows.tolist()))) == len(rows):
                gradient = changed(gradient, samples=Labels(gradient.samples.names, rows))
            block.add_gradient(parameter, changed(gradient))
        blocks.append(block)
    return TensorMap(y.keys, blocks)


# --- encoding


class _Adapter(Reference):
    def __init__(self):
        self.name = type(self).__name__


def adapter(of):
    """An adapter that loses something on the way."""
    BROKEN_ADAPTERS.append(of())
    return of


@adapter
class LosesGradients(_Adapter):
    def encode(self, tensor):
        return each(changed, tensor)


@adapter
class LosesTheSecondGradient(_Adapter):
    def decode(self, tensor):
        blocks = []
        for before in tensor:
            block = changed(before)
            for parameter, gradient in list(before.gradients())[:1]:
                block.add_gradient(parameter, changed(gradient))
            blocks.append(block)
        return TensorMap(tensor.keys, blocks)


def swapped(labels):
    return Labels(labels.names, labels.values.flip(1))


@adapter
class SwapsColumnsOfLabels(_Adapter):
    def encode(self, tensor):
        def of_block(before):
            block = changed(
                before, samples=swapped(before.samples), properties=swapped(before.properties)
            )
            for parameter, gradient in before.gradients():
                block.add_gradient(parameter, changed(gradient, properties=swapped(gradient.properties)))
            return block

        return each(of_block, tensor)


@adapter
class CastsToFloat32(_Adapter):
    def encode(self, tensor):
        def of_block(before):
            block = changed(before, values=before.values.float())
            for parameter, gradient in before.gradients():
                block.add_gradient(parameter, changed(gradient, values=gradient.values.float()))
            return block

        return each(of_block, tensor)


@adapter
class CastsToFloat32WithoutGradients(_Adapter):
    def encode(self, tensor):
        return each(lambda b: b if b.has_any_gradient() else changed(b, values=b.values.float()), tensor)


@adapter
class DoublesGradients(_Adapter):
    def encode(self, tensor):
        def of_block(before):
            block = changed(before)
            for parameter, gradient in before.gradients():
                block.add_gradient(parameter, changed(gradient, values=2 * gradient.values))
            return block

        return each(of_block, tensor)


@adapter
class ReversesKeys(_Adapter):
    def encode(self, tensor):
        keys = Labels(tensor.keys.names, tensor.keys.values.flip(0))
        return TensorMap(keys, list(tensor)[::-1])


@adapter
class KeepsKeysIn16Bits(_Adapter):
    def decode(self, tensor):
        rows = tensor.keys.values.to(torch.int16).to(torch.int32)
        if len(set(map(tuple, rows.tolist()))) < len(rows):
            return tensor
        return TensorMap(Labels(tensor.keys.names, rows), list(tensor))


@adapter
class CountsComponents(_Adapter):
    def encode(self, tensor):
        def count(labels):
            return Labels.range(labels.names[0], len(labels))

        def of_block(before):
            if before.has_any_gradient():
                return before
            return changed(before, components=[count(c) for c in before.components])

        return each(of_block, tensor)


@adapter
class RefusesMapsWithoutBlocks(_Adapter):
    def encode(self, tensor):
        tensor.block(0)
        return tensor


@adapter
class ZeroesTheInput(_Adapter):
    def encode(self, tensor):
        for block in tensor:
            block.values.zero_()
        return tensor
