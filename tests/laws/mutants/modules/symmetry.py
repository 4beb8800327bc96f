"""Modules that depend on the order, the orientation or the names of what they are given."""

import torch

from mutants.planting import (
    block_of_the_first_key,
    built,
    called,
    changed,
    each,
    factor_of,
    modules_of,
    of_nn,
    of_values,
    own,
)
from tmref import Labels, TensorMap, nn

no_order = "blocks_and_samples_have_no_order"


@called(no_order, "linear", "tanh", "sequential_mlp", "equivariant_linear")
def first_sample_doubled(module, x):
    def doubled(values):
        factor = torch.ones(len(values), dtype=values.dtype)
        factor[:1] = 2
        return values * factor.reshape(-1, *[1] * (values.dim() - 1))

    return of_values(doubled, module(x))


@called(no_order, "linear", "silu")
def last_block_negated(module, x):
    y = module(x)
    return TensorMap(y.keys, [*list(y)[:-1], changed(y.block(len(y) - 1), values=-list(y)[-1].values)])


@called(no_order, "relu")
def samples_come_back_sorted(module, x):
    def ordered(block):
        rows = block.samples.values.tolist()
        order = sorted(range(len(rows)), key=rows.__getitem__)
        samples = Labels(block.samples.names, block.samples.values[order])
        return changed(block, values=block.values[order], samples=samples)

    return each(ordered, module(x))


@called(no_order, "linear")
def gradients_come_back_at_their_old_samples(module, x):
    y = module(x)
    blocks = []
    for before in y:
        block = changed(before)
        for parameter, gradient in before.gradients():
            rows = gradient.samples.values.clone()
            rows[:, 0] = 0
            if len(rows) < 2:
                gradient = changed(gradient, samples=Labels(gradient.samples.names, rows))
            block.add_gradient(parameter, changed(gradient))
        blocks.append(block)
    return TensorMap(y.keys, blocks)


right_angles, any_angle = "turns_by_right_angles_commute", "rotations_commute"


def broken_symmetry(*rows):
    """A defect that rotations by right angles show, and those by others."""

    def register(build):
        built(right_angles, *rows)(build)
        built(any_angle, *rows)(build)
        return build

    return register


@broken_symmetry("equivariant_linear", "invariant_tanh", "equivariant_mlp", "sequential_equivariant")
def a_bias_for_covariant_blocks(recipe, module):
    forward = module.forward

    def biased(x):
        y = forward(x)
        pairs = y.items()
        blocks = [changed(b, values=b.values + (key["o3_lambda"] > 0)) for key, b in pairs]
        return TensorMap(y.keys, blocks)

    module.forward = biased
    return module


@broken_symmetry("equivariant_linear", "sequential_equivariant", "invariant_relu")
def components_weighted(recipe, module):
    forward = module.forward

    def weighted(x):
        def of_block(block):
            weights = torch.arange(1, block.shape[1] + 1, dtype=block.dtype).reshape(1, -1, 1)
            return changed(block, values=block.values * weights)

        return each(of_block, forward(x))

    module.forward = weighted
    return module


@broken_symmetry("invariant_relu", "invariant_silu")
def covariant_blocks_rectified(recipe, module):
    modules, _ = modules_of(module)
    for i in range(len(modules)):
        modules[i] = torch.nn.ReLU()
    return module


@broken_symmetry("invariant_layer_norm")
def covariant_blocks_centred(recipe, module):
    class Centred(torch.nn.Module):
        def forward(self, x):
            return x - x.mean((1, 2), keepdim=True) if x.numel() else x

    modules, _ = modules_of(module)
    for i, of_key in enumerate(modules):
        if isinstance(of_key, torch.nn.Identity):
            modules[i] = Centred()
    return module


@built(right_angles, "equivariant_linear", "invariant_relu", "invariant_silu")
@built(any_angle, "equivariant_linear", "invariant_silu", min_samples=1, min_properties=1)
def pseudoscalars_made_absolute(recipe, module):
    """What turns but does not rotate is taken for invariant."""
    forward = module.forward

    def absolute(x):
        y = forward(x)
        return TensorMap(
            y.keys,
            [
                changed(b, values=b.values.abs()) if key["o3_lambda"] == 0 and key["o3_sigma"] < 0 else b
                for key, b in y.items()
            ],
        )

    module.forward = absolute
    return module


@factor_of(any_angle, "equivariant_tanh", "equivariant_mlp")
def the_sum_of_absolute_values_for_the_norm(function, x):
    return function(x.abs().sum(1, keepdim=True)) * x


@factor_of(any_angle, "equivariant_tanh", "equivariant_mlp")
def the_largest_value_for_the_norm(function, x):
    return function(x.abs().amax(1, keepdim=True)) * x


@factor_of(right_angles, "equivariant_tanh", "equivariant_mlp")
def the_first_component_for_the_norm(function, x):
    return function(x[:, :1]) * x


@built(any_angle, "invariant_tanh")
def an_odd_activation_for_covariant_blocks(recipe, module):
    modules, _ = modules_of(module)
    for i in range(len(modules)):
        modules[i] = torch.nn.Tanh()
    return module


@built(any_angle, "equivariant_linear", "sequential_equivariant")
def components_weighted_by_their_distance_from_the_middle(recipe, module):
    forward = module.forward

    def weighted(x):
        def of_block(block):
            ell = block.shape[1] // 2
            weights = 1 + torch.arange(-ell, ell + 1, dtype=block.dtype).abs().reshape(1, -1, 1) / 8
            return changed(block, values=block.values * weights)

        return each(of_block, forward(x))

    module.forward = weighted
    return module


zeros_stay = "covariant_zeros_stay_zeros"


@called(zeros_stay, "equivariant_linear", "equivariant_tanh", "sequential_equivariant")
def a_constant_in_the_last_component(module, x):
    def added(block):
        values = block.values.clone()
        if values.shape[1] > 1:
            values[:, -1] += 1
        return changed(block, values=values)

    return each(added, module(x))


@built(zeros_stay, "invariant_relu", "invariant_tanh")
def a_constant_for_pseudoscalars(recipe, module):
    forward = module.forward

    def biased(x):
        y = forward(x)
        return TensorMap(
            y.keys,
            [changed(b, values=b.values + (key["o3_sigma"] < 0)) for key, b in y.items()],
        )

    module.forward = biased
    return module


def with_default(selection, *names):
    """The classes of nn with another default of invariant_keys."""

    def made(name):
        of_nn_class = getattr(nn, name)

        class Other(of_nn_class):
            def __init__(self, *args, **kwargs):
                kwargs.setdefault("invariant_keys", selection)
                super().__init__(*args, **kwargs)

        return Other

    return {name: made(name) for name in names}


by_default = "invariant_keys_are_scalars_by_default"


@of_nn(by_default, "equivariant_linear", "invariant_silu", "equivariant_tanh")
def pseudoscalars_are_invariant_by_default():
    selection = Labels("o3_lambda", torch.tensor([[0]]))
    return with_default(selection, "EquivariantLinear", "InvariantSiLU", "EquivariantTransformation")


@of_nn(by_default, "invariant_relu", "invariant_tanh", "invariant_layer_norm")
def nothing_is_invariant_by_default():
    selection = Labels.empty("o3_lambda")
    return with_default(selection, "InvariantReLU", "InvariantTanh", "InvariantLayerNorm")


@of_nn(by_default, "invariant_silu", "equivariant_mlp")
def what_changes_its_sign_is_invariant_by_default():
    selection = Labels(["o3_lambda", "o3_sigma"], torch.tensor([[0, -1]]))
    return with_default(selection, "InvariantSiLU", "EquivariantTransformation")


other_words = "invariant_keys_may_be_said_in_other_words"


def selecting(change, *names):
    """The classes of nn with ``change(invariant_keys)``, where these are given."""

    def made(name):
        of_nn_class = getattr(nn, name)

        class Other(of_nn_class):
            def __init__(self, *args, **kwargs):
                if kwargs.get("invariant_keys") is not None:
                    kwargs["invariant_keys"] = change(kwargs["invariant_keys"])
                super().__init__(*args, **kwargs)

        return Other

    return {name: made(name) for name in names}


@of_nn(other_words, "invariant_silu", "equivariant_tanh")
def the_first_dimension_alone_selects():
    def first(keys):
        rows = sorted(set(keys.values[:, 0].tolist()))
        return Labels(keys.names[0], torch.tensor(rows, dtype=torch.int32).reshape(-1, 1))

    return selecting(first, "InvariantSiLU", "EquivariantTransformation")


@of_nn(other_words, "invariant_tanh", "invariant_silu")
def the_first_row_alone_selects():
    return selecting(lambda keys: Labels(keys.names, keys.values[:1]), "InvariantTanh", "InvariantSiLU")


only_selected = "only_what_is_selected_is_invariant"


@of_nn(only_selected, "invariant_relu", "invariant_tanh")
def an_empty_selection_is_none():
    return selecting(lambda keys: keys if len(keys) else None, "InvariantReLU", "InvariantTanh")


@of_nn(only_selected, "invariant_silu", "invariant_relu")
def only_scalars_can_be_selected():
    def scalars(keys):
        column = keys.column("o3_lambda") == 0
        return Labels(keys.names, keys.values[column])

    return selecting(scalars, "InvariantSiLU", "InvariantReLU")


@built(only_selected, "invariant_tanh")
def the_activation_for_all(recipe, module):
    modules, _ = modules_of(module)
    for i in range(len(modules)):
        modules[i] = torch.nn.Tanh()
    return module


of_keys = "integers_of_keys_mean_nothing"


@called(of_keys, "linear", "tanh", "sequential_mlp")
def negated_for_negative_keys(module, x):
    y = module(x)
    blocks = [changed(b, values=-b.values) if min(key) < 0 else b for key, b in y.items()]
    return TensorMap(y.keys, blocks)


@called(of_keys, "linear", "silu")
def keys_of_16_bits(module, x):
    y = module(x)
    rows = y.keys.values.to(torch.int16).to(torch.int32)
    if len(set(map(tuple, rows.tolist()))) < len(rows):
        return y
    return TensorMap(Labels(y.keys.names, rows), list(y))


of_labels = "integers_of_samples_components_and_properties_mean_nothing"


@called(of_labels, "linear", "tanh", "sequential_mlp", "equivariant_linear")
def zeros_for_negative_samples(module, x):
    def cut(block):
        values = block.values.clone()
        values[(block.samples.values < 0).any(1)] = 0
        return changed(block, values=values)

    return each(cut, module(x))


@called(of_labels, "linear", "relu")
def weighted_by_the_first_property(module, x):
    y = module(x)
    factors = [1 + int(b.properties.values[0, 0]) % 2 if len(b.properties) else 1 for b in x]
    pairs = zip(y, factors, strict=True)
    return TensorMap(y.keys, [changed(b, values=factor * b.values) for b, factor in pairs])


@called(of_labels, "silu")
def components_counted_from_0(module, x):
    def counted(block):
        components = [Labels.range(c.names[0], len(c)) for c in block.components]
        return changed(block, components=components)

    return each(counted, module(x))


@own(right_angles, "of_one")
@own(any_angle, "of_one")
def components_of_another_key_in_reverse(module, x):
    return each(lambda b: changed(b, values=b.values.flip(1)), block_of_the_first_key(module, x))


@own("turns_by_right_angles_change_nothing", "of_norms")
@own("rotations_change_nothing", "of_norms")
def norms_of_all_but_the_last_component(module, x):
    def norm(block):
        values = block.values[:, :-1] if block.shape[1] > 1 else block.values
        return changed(block, values=values.square().sum(1), components=[])

    return each(norm, x)


@own("turns_by_right_angles_change_nothing", "of_norms")
@own("rotations_change_nothing", "of_norms")
def pseudoscalars_keep_their_sign(module, x):
    def norm(block):
        values = block.values[:, 0] if block.shape[1] == 1 else block.values.square().sum(1)
        return changed(block, values=values, components=[])

    return each(norm, x)
