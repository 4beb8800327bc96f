"""Modules that depend on what they must not depend on."""

import torch

from mutants.planting import (
    Around,
    built,
    called,
    centred,
    changed,
    each,
    factor_of,
    layer_norm,
    modules_of,
    of_values,
    variance,
)
from tmref import Labels, TensorMap
from tmref.nn.covariant import CovariantTransform

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


fewer_blocks = "fewer_blocks_are_refused_or_give_the_same"


@built(fewer_blocks, "linear", "module_map_linear", "sequential_mlp")
def modules_by_position(recipe, module):
    _, of_keys = modules_of(module)
    known = of_keys.in_keys

    def positions(keys, given=""):
        found = [known.position(key) for key in keys]
        return found if len(keys) == len(known) else list(range(len(keys)))

    of_keys._positions = positions
    return module


@called(fewer_blocks, "relu", "tanh", "layer_norm")
def divided_by_the_number_of_blocks(module, x):
    y = module(x)
    return of_values(lambda v: v / len(x), y)


@built(fewer_blocks, "linear", "equivariant_tanh")
def blocks_that_are_missing_are_made(recipe, module):
    def forward(module, x):
        y = module(x)
        if len(x) in (0, len(recipe.in_keys)):
            return y
        missing = [key for key in recipe.in_keys if key not in x.keys]
        rows = torch.cat([x.keys.values, torch.tensor([list(key) for key in missing])[:1]])
        keys = Labels(x.keys.names, rows.to(torch.int32))
        return TensorMap(keys, [*y, changed(y.block(0))])

    return called_with(module, forward)


def called_with(module, forward):
    """The module with ``forward(module, x)`` for its forward."""
    inner = module.forward
    module.forward = lambda x: forward(inner, x)
    return module


@called("blocks_are_found_by_their_keys", "linear", "tanh", "sequential_mlp")
def the_i_th_block_times_i(module, x):
    blocks = [changed(b, values=(i + 1) * b.values) for i, b in enumerate(module(x))]
    return TensorMap(x.keys, blocks)


@called("blocks_are_found_by_their_keys", "relu", "module_map_linear")
def keys_of_the_input_sorted(module, x):
    keys = Labels(x.keys.names, torch.tensor(sorted(x.keys.values.tolist()), dtype=torch.int32))
    return TensorMap(keys, list(module(x)))


@called("fewer_blocks_are_refused_or_give_the_same", "tanh", "linear")
def times_the_number_of_blocks(module, x):
    return of_values(lambda values: len(x) * values, module(x))


@called("blocks_may_change_their_keys", "relu", "tanh")
def negated_for_the_first_key(module, x):
    first = min(x.keys.values.tolist())
    signs = [-1 if key == first else 1 for key in x.keys.values.tolist()]
    y = module(x)
    blocks = [changed(b, values=sign * b.values) for sign, b in zip(signs, y, strict=True)]
    return TensorMap(y.keys, blocks)


@called("blocks_may_change_their_keys", "relu", "tanh")
def negated_for_the_first_o3_lambda(module, x):
    if "o3_lambda" not in x.keys.names:
        return module(x)
    of_lambda = x.keys.column("o3_lambda").tolist()
    signs = [-1 if value == min(of_lambda) else 1 for value in of_lambda]
    y = module(x)
    blocks = [changed(b, values=sign * b.values) for sign, b in zip(signs, y, strict=True)]
    return TensorMap(y.keys, blocks)
