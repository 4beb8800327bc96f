"""Modules that lose metadata, or make some up."""

import torch

from mutants.planting import Around, built, called, changed, each, modules_of, of_nn, of_values, own
from tmref import Labels, TensorBlock, TensorMap, nn

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


@called("explicit_gradients_are_not_left_out", "tanh")
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


@own("properties_survive", "keeping")
def properties_counted_anew(module, x):
    counted = (Labels.range("_", len(block.properties)) for block in x)
    return each(lambda block: changed(block, properties=next(counted)), module(x))


@own("properties_survive", "keeping")
def properties_of_the_first_block_for_all_of_its_size(module, x):
    first = x.block(0).properties
    return each(
        lambda b: changed(b, properties=first) if len(b.properties) == len(first) else b, module(x)
    )
