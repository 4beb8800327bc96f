"""ModuleMaps that give a block the module of another, or what is no block."""

import copy

import torch

from mutants.planting import all_of, changed, each, of_nn
from tmref import Labels, TensorBlock, TensorMap, nn
from tmref.nn.covariant import CovariantTransform

in_its_place = "the_module_of_a_key_is_the_one_in_its_place"


def module_map_with(**methods):
    """ModuleMap with other methods."""
    return {"ModuleMap": type("ModuleMap", (nn.ModuleMap,), methods)}


@of_nn(in_its_place, "any_module_map")
def modules_in_the_order_of_the_map():
    return module_map_with(_positions=lambda self, keys, given="": list(range(len(keys))))


@of_nn(in_its_place, "any_module_map")
def modules_in_the_order_of_sorted_keys():
    def positions(self, keys, given=""):
        order = sorted(list(key) for key in self.in_keys)
        return [order.index(list(key)) for key in keys]

    return module_map_with(_positions=positions)


@of_nn(in_its_place, "any_module_map")
def properties_in_the_order_of_the_map():
    def forward(self, tensor):
        y = nn.ModuleMap.forward(self, tensor)
        labels = self.out_properties
        if labels is None or [len(p) for p in labels] != [len(b.properties) for b in y]:
            return y
        pairs = zip(y, labels, strict=True)
        return TensorMap(y.keys, [changed(b, properties=p) for b, p in pairs])

    return module_map_with(forward=forward)


@of_nn(in_its_place, "any_module_map")
def the_properties_of_the_first_key_for_all():
    def forward(self, tensor):
        y = nn.ModuleMap.forward(self, tensor)
        if self.out_properties is None:
            return y
        first = self.out_properties[0] if self.out_properties else None
        return each(lambda b: changed(b, properties=first) if len(first) == len(b.properties) else b, y)

    return module_map_with(forward=forward)


given_twice = "a_module_given_twice_is_one_module"


@of_nn(given_twice, "any_module_map")
def modules_copied():
    def init(self, in_keys, modules, out_properties=None):
        nn.ModuleMap.__init__(self, in_keys, [copy.deepcopy(m) for m in modules], out_properties)

    return module_map_with(__init__=init)


@of_nn(given_twice, "any_module_map")
def modules_copied_where_they_repeat():
    def init(self, in_keys, modules, out_properties=None):
        given = [m if m not in modules[:i] else copy.deepcopy(m) for i, m in enumerate(modules)]
        nn.ModuleMap.__init__(self, in_keys, given, out_properties)

    return module_map_with(__init__=init)


for_every_key = "from_module_makes_one_for_every_key"


@of_nn(for_every_key, "any_module_map")
def the_same_module_for_every_key():
    def from_module(cls, in_keys, module, out_properties=None):
        return cls(in_keys, [module for _ in in_keys], out_properties)

    return module_map_with(from_module=classmethod(from_module))


@of_nn(for_every_key, "any_module_map")
def properties_forgotten_by_from_module():
    def from_module(cls, in_keys, module, out_properties=None):
        return cls(in_keys, [copy.deepcopy(module) for _ in in_keys])

    return module_map_with(from_module=classmethod(from_module))


@of_nn(for_every_key, "any_module_map")
def modules_in_the_opposite_order():
    def from_module(cls, in_keys, module, out_properties=None):
        return cls(in_keys, [copy.deepcopy(module) for _ in in_keys], out_properties)

    def parameters(self, recurse=True):
        return reversed(list(nn.ModuleMap.parameters(self, recurse)))

    return module_map_with(from_module=classmethod(from_module), parameters=parameters)


no_block = "what_is_no_block_is_refused"


def unchecked(self, tensor, values_of=lambda values, block: values):
    """What the modules return, as it is."""
    positions = self._positions(tensor.keys)
    blocks = []
    for block, i in zip(tensor, positions, strict=True):
        values = values_of(self.module_list[i](block.values), block)
        properties = Labels.range("_", values.shape[-1] if values.dim() else 0)
        blocks.append(
            TensorBlock._unchecked(values, block.samples, tuple(block.components), properties, True)
        )
    return TensorMap._unchecked(tensor.keys, blocks)


@of_nn(no_block, "any_module_map")
def nothing_is_checked():
    return module_map_with(forward=unchecked)


@of_nn(no_block, "any_module_map")
def dtypes_are_not_checked():
    def forward(self, tensor):
        y = unchecked(self, tensor, lambda v, block: v if v.shape == block.shape else block.values[:, 0])
        for before, after in zip(tensor, y, strict=True):
            if before.shape != after.shape:
                raise ValueError("another shape")
        return y

    return module_map_with(forward=forward)


@of_nn(no_block, "any_module_map")
def samples_are_broadcast():
    def fit(values, block):
        if values.shape[1:-1] != block.shape[1:-1]:
            raise ValueError("other components")
        return values[: len(block)]

    return module_map_with(forward=lambda self, tensor: unchecked(self, tensor, fit))


@of_nn("properties_of_another_number_are_refused", "any_module_map")
def properties_cut_to_their_number():
    def forward(self, tensor):
        given = self._out_properties
        self._out_properties = None
        y = nn.ModuleMap.forward(self, tensor)
        self._out_properties = given
        return y

    return module_map_with(forward=forward)


@of_nn("properties_of_another_number_are_refused", "any_module_map")
def properties_that_are_too_many():
    def forward(self, tensor):
        positions = self._positions(tensor.keys)
        blocks = []
        for block, i in zip(tensor, positions, strict=True):
            values, labels = self.module_list[i](block.values), self.out_properties[i]
            if len(labels) < values.shape[-1]:
                raise ValueError("too few properties")
            blocks.append(
                TensorBlock._unchecked(values, block.samples, tuple(block.components), labels, True)
            )
        return TensorMap._unchecked(tensor.keys, blocks)

    return module_map_with(forward=forward)


several_components = "the_norm_of_a_covariant_block_is_over_all_its_components"


def with_norms(norm):
    """An EquivariantTransformation whose covariant blocks have another norm."""

    class Transformation(nn.EquivariantTransformation):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            for part in all_of(self, CovariantTransform):
                part.forward = lambda x, part=part: part.module(norm(x)) * x

    return {"EquivariantTransformation": Transformation}


@of_nn(several_components, "any_module_map")
def the_norm_over_the_first_component():
    return with_norms(lambda x: torch.linalg.vector_norm(x, dim=1, keepdim=True))


@of_nn(several_components, "any_module_map")
def the_norm_of_ones_where_something_is_zero():
    def norm(x):
        return torch.linalg.vector_norm(torch.where(x == 0, 1, x), dim=(1, 2), keepdim=True)

    return with_norms(norm)


sizes_of_keys = "sizes_of_layer_norms_are_those_of_the_keys"


def with_sizes(change):
    """An InvariantLayerNorm of other sizes than those that are given."""

    class Norm(nn.InvariantLayerNorm):
        def __init__(self, in_keys, in_features, **kwargs):
            super().__init__(in_keys, change(in_features), **kwargs)

    return {"InvariantLayerNorm": Norm}


@of_nn(sizes_of_keys, "any_module_map")
def sizes_in_the_opposite_order():
    return with_sizes(lambda sizes: sizes[::-1])


@of_nn(sizes_of_keys, "any_module_map")
def the_size_of_the_first_key():
    return with_sizes(lambda sizes: sizes[0])
