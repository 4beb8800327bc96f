"""Modules that lose metadata, or make something of it."""

import torch
from mutants import built, called, changed, each, modules_of, of_nn, of_values

from tmref import Labels, TensorBlock, TensorMap, nn

asked_for = "properties_are_those_asked_for"


@called(asked_for, "linear", "tanh", "sequential_mlp")
def all_blocks_lost(module, x):
    return TensorMap(Labels.empty(x.keys.names), [])


@called(asked_for, "relu")
def the_last_block_lost(module, x):
    y = module(x)
    return TensorMap(Labels(y.keys.names, y.keys.values[:-1]), list(y)[:-1])


def with_gradients(change, y):
    """The map with ``change(parameter, gradient)`` for its gradients: a parameter and a gradient, or
    None."""
    blocks = []
    for before in y:
        block = changed(before)
        for pair in before.gradients():
            new = change(*pair)
            if new is not None:
                block.add_gradient(*new)
        blocks.append(block)
    return TensorMap(y.keys, blocks)


gradients_keep = "gradients_keep_their_labels"


@called(gradients_keep, "linear", "tanh", "sequential_mlp")
def samples_of_gradients_reversed(module, x):
    def reversed_rows(parameter, gradient):
        samples = Labels(gradient.samples.names, gradient.samples.values.flip(0))
        return parameter, changed(gradient, values=gradient.values.flip(0), samples=samples)

    return with_gradients(reversed_rows, module(x))


@called(gradients_keep, "linear", "silu")
def samples_of_gradients_numbered(module, x):
    def numbered(parameter, gradient):
        rows = gradient.samples.values.clone()
        if rows.shape[1] > 1:
            rows[:, 1] = torch.arange(len(rows))
        return parameter, changed(gradient, samples=Labels(gradient.samples.names, rows))

    return with_gradients(numbered, module(x))


@called(gradients_keep, "module_map_linear", "equivariant_linear")
def directions_of_gradients_renamed(module, x):
    def renamed(parameter, gradient):
        components = [
            Labels("xyz_1", c.values) if c.names == ["direction_1"] else c for c in gradient.components
        ]
        return parameter, changed(gradient, components=components)

    return with_gradients(renamed, module(x))


@called(gradients_keep, "linear")
def parameters_of_gradients_renamed(module, x):
    return with_gradients(lambda parameter, gradient: (f"d_{parameter}", changed(gradient)), module(x))


@called(gradients_keep, "linear_no_bias", "layer_norm")
def the_gradient_by_the_cell_lost(module, x):
    def without(parameter, gradient):
        return None if parameter == "cell" else (parameter, changed(gradient))

    return with_gradients(without, module(x))


@called(gradients_keep, "tanh")
def gradients_without_rows_lost(module, x):
    def with_rows(parameter, gradient):
        return (parameter, changed(gradient)) if len(gradient) else None

    y = module(x)
    return with_gradients(with_rows, y)


on_meta = "maps_on_meta_are_refused_or_stay_there"


def on_meta_only(change):
    """What ``change`` makes of the output for maps on meta."""

    def forward(module, x):
        y = module(x)
        return change(y) if x.device.type == "meta" else y

    forward.__name__ = change.__name__
    return forward


@called(on_meta, "linear", "tanh", "sequential_mlp")
@on_meta_only
def brought_to_the_host(y):
    return TensorMap(y.keys.to("cpu"), [_on_host(block) for block in y])


def _on_host(block):
    values = torch.zeros(block.shape, dtype=block.dtype)
    labels = block.samples.to("cpu"), [c.to("cpu") for c in block.components], block.properties.to("cpu")
    return TensorBlock._unchecked(values, labels[0], tuple(labels[1]), labels[2])


@called(on_meta, "linear", "relu")
@on_meta_only
def properties_left_on_the_host(y):
    blocks = [
        TensorBlock._unchecked(b.values, b.samples, tuple(b.components), b.properties.to("cpu"), True)
        for b in y
    ]
    return TensorMap._unchecked(y.keys, blocks)


@called(on_meta, "linear", "layer_norm")
@on_meta_only
def single_precision_on_meta(y):
    return of_values(torch.Tensor.float, y)


@called(on_meta, "linear_no_bias")
@on_meta_only
def a_sample_less_on_meta(y):
    return each(
        lambda b: TensorBlock._unchecked(
            b.values[:-1], b.samples, tuple(b.components), b.properties, True
        ),
        y,
    )


@called(on_meta, "tanh", "silu")
@on_meta_only
def samples_left_on_the_host(y):
    blocks = [
        TensorBlock._unchecked(b.values, b.samples.to("cpu"), tuple(b.components), b.properties, True)
        for b in y
    ]
    return TensorMap._unchecked(y.keys, blocks)


constructors = "the_output_is_what_the_constructors_take"


@called(constructors, "linear", "tanh", "sequential_mlp")
def properties_all_alike(module, x):
    def alike(block):
        rows = torch.zeros_like(block.properties.values)
        properties = Labels._of_tensor(block.properties._names, rows, block.device)
        return TensorBlock._unchecked(
            block.values, block.samples, tuple(block.components), properties, True
        )

    y = module(x)
    return TensorMap._unchecked(y.keys, [alike(block) for block in y])


@called(constructors, "linear", "relu")
def samples_not_cut_with_the_values(module, x):
    y = module(x)
    blocks = [
        TensorBlock._unchecked(b.values[:1], b.samples, tuple(b.components), b.properties, True)
        for b in y
    ]
    return TensorMap._unchecked(y.keys, blocks)


@called(constructors, "module_map_mlp", "layer_norm")
def the_first_key_everywhere(module, x):
    y = module(x)
    rows = y.keys.values[:1].expand(len(y), -1).contiguous()
    keys = Labels._of_tensor(y.keys._names, rows, y.keys.device)
    return TensorMap._unchecked(keys, list(y))


@called(constructors, "linear")
def gradients_of_samples_that_are_not_there(module, x):
    y = module(x)
    blocks = []
    for before in y:
        block = changed(before)
        for parameter, gradient in before.gradients():
            rows = gradient.samples.values + torch.tensor(
                [len(before)] + [0] * (len(gradient.samples.names) - 1)
            )
            samples = Labels(gradient.samples.names, rows)
            of_block = changed(gradient, samples=samples)
            block._gradients = {**block._gradients, parameter: of_block}
        blocks.append(block)
    return TensorMap._unchecked(y.keys, blocks)


names_of_keys = "names_of_keys_mean_nothing"


@built(names_of_keys, "linear", "tanh", "equivariant_linear", "sequential_mlp")
def doubled_for_a_dimension_of_this_name(recipe, module):
    """The option to scale some of the blocks, forgotten."""
    forward = module.forward

    def doubled(x):
        factor = 2 if {"key", "center_type", "_"} & set(x.keys.names) else 1
        return of_values(lambda v: factor * v, forward(x))

    module.forward = doubled
    return module


@built(names_of_keys, "equivariant_linear")
def modules_by_the_first_column(recipe, module):
    _, module_map = modules_of(module)
    first = [next(iter(key)) for key in module_map.in_keys]
    module_map._positions = lambda keys, given="": [first.index(next(iter(key))) for key in keys]
    return module


@called(names_of_keys, "relu", "layer_norm")
def names_of_keys_sorted(module, x):
    y = module(x)
    names = sorted(y.keys.names)
    columns = [y.keys.names.index(name) for name in names]
    return TensorMap(Labels(names, y.keys.values[:, columns]), list(y))


other_names = "names_of_samples_components_and_properties_mean_nothing"


@called(other_names, "linear", "tanh", "sequential_mlp")
def doubled_for_atoms(module, x):
    y = module(x)
    return of_values(lambda v: 2 * v, y) if "atom" in y.block(0).samples.names else y


@called(other_names, "linear", "silu")
def vectors_turned_round(module, x):
    def turned(block):
        names = [c.names[0] for c in block.components]
        return (
            changed(block, values=block.values.flip(1 + names.index("xyz"))) if "xyz" in names else block
        )

    return each(turned, module(x))


@called(other_names, "linear", "equivariant_tanh")
def samples_by_the_order_of_their_rows(module, x):
    def ordered(block):
        rows = block.samples.values.tolist()
        order = sorted(range(len(rows)), key=rows.__getitem__)
        return changed(block, values=block.values[order])

    return each(ordered, module(x))


@called(other_names, "relu")
def properties_named_as_those_of_the_input(module, x):
    y = module(x)
    pairs = zip(y, x, strict=True)
    return TensorMap(y.keys, [changed(b, properties=of.properties) for b, of in pairs])


attributes = "keys_and_properties_of_a_module_are_those_given"


@of_nn(attributes, "any_module_map")
def keys_sorted_in_the_attribute():
    class ModuleMap(nn.ModuleMap):
        @property
        def in_keys(self):
            keys = self._in_keys
            order = sorted(range(len(keys)), key=lambda i: list(keys[i]))
            return Labels(keys.names, keys.values[order])

    return {"ModuleMap": ModuleMap}


@of_nn(attributes, "any_module_map")
def no_properties_in_the_attribute():
    class ModuleMap(nn.ModuleMap):
        out_properties = None

    return {"ModuleMap": ModuleMap}


@of_nn(attributes, "any_module_map")
def default_properties_in_the_attribute():
    class ModuleMap(nn.ModuleMap):
        @property
        def out_properties(self):
            return super().out_properties or [Labels.range("_", 1) for _ in self.in_keys]

    return {"ModuleMap": ModuleMap}


@of_nn("default_properties_are_32_bit_integers", "any_module_map")
def properties_of_64_bits():
    class Wide(Labels):
        @property
        def values(self):
            return super().values.to(torch.int64)

    class ModuleMap(nn.ModuleMap):
        def forward(self, tensor):
            y = super().forward(tensor)
            blocks = [changed(b, properties=Wide(b.properties.names, b.properties.values)) for b in y]
            return TensorMap(y.keys, blocks)

    return {"ModuleMap": ModuleMap}
