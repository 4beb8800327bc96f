"""Deliberately broken implementations: the reference with one planted defect each.

``MUTANTS`` has them by law, ``BROKEN_ADAPTERS`` those whose encoding is broken. The tests load this
file by its path, and so does ``tmref check``.
"""

from dataclasses import dataclass

import torch

from tmref import Labels, TensorBlock, TensorMap
from tmref.implementations.reference import Reference

MUTANTS = []
BROKEN_ADAPTERS = []


@dataclass(frozen=True)
class Planted:
    """A defect that the law finds on the row."""

    law: str
    row: str
    implementation: Reference

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


def built(law, *rows):
    """A defect of the module that ``(recipe, module)`` returns."""

    def register(build):
        mutant = Mutant(build.__name__, build)
        MUTANTS.extend(Planted(law, row, mutant) for row in rows)
        return build

    return register


def called(law, *rows):
    """A defect of what ``(module, x)`` returns."""

    def register(forward):
        mutant = Mutant(forward.__name__, lambda recipe, module: Around(module, forward))
        MUTANTS.extend(Planted(law, row, mutant) for row in rows)
        return forward

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


@called(no_blocks, "relu", "linear", "sequential_linear")
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


@called(components_survive, "linear", "sequential_tanh")
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


@called(properties_asked_for, "linear", "tanh", "sequential_mlp")
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


# --- structure

per_block = "blocks_do_not_influence_each_other"


@called(per_block, "linear", "tanh", "sequential_mlp")
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


linear = "linear_up_to_its_bias"


@called(linear, "linear", "module_map_linear", "sequential_linear")
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


@built(unknown_key, "linear", "silu", "module_map_mlp", "sequential_mlp")
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


@built(by_name, "linear", "tanh", "module_map_mlp", "sequential_tanh")
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


@built(by_layer, "sequential_linear", "sequential_tanh", "sequential_mlp")
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


@built(input_stays, "silu")
def in_place_not_asked_for(recipe, module):
    for activation in modules_of(module)[0]:
        activation.inplace = True
    return module


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


@called(same_output, "relu")
def adds_to_its_input(module, x):
    y = module(x)
    for block in x:
        block.values.add_(1)
    return y


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


@called(random_stays, "silu")
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


@called(chain_rule, "linear", "tanh", "relu", "silu", "module_map_tanh")
def gradients_as_they_came(module, x):
    return of_gradients(lambda g, before: before if g.shape == before.shape else g, module, x)


@called(chain_rule, "linear")
def gradients_doubled(module, x):
    return of_gradients(lambda g, before: 2 * g, module, x)


@built(chain_rule, "linear", "module_map_linear", "module_map_tanh", "sequential_tanh")
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
