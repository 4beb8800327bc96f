"""Sequentials that are not their layers one after the other."""

import torch

from mutants.planting import Around, built, changed, each, modules_of, of_nn, of_values
from tmref import Labels, TensorMap, nn
from tmref.implementations.reference import Reference
from tmref.nn import sequential

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


def sequential_of(compose):
    """The class of Sequential whose forward is ``compose(layers, x)``, and refuses nothing."""

    class Sequential(nn.Sequential):
        def __init__(self, in_keys, *layers):
            super().__init__(in_keys, *layers)
            self._given = layers

        def forward(self, tensor):
            return compose(self._given, tensor)

    return {"Sequential": Sequential}


one_after_the_other = "a_sequential_is_its_layers_one_after_the_other"
nested = "sequentials_may_be_nested"
of_one = "a_sequential_of_one_module_is_that_module"


def applied(layers, x):
    for layer in layers:
        x = layer(x)
    return x


@of_nn(one_after_the_other, "sequential_linear", "sequential_tanh", "sequential_mlp")
def the_last_layer_twice():
    return sequential_of(lambda layers, x: applied(layers, x) if len(layers) < 2 else doubled(layers, x))


def doubled(layers, x):
    return of_values(lambda v: 2 * v, applied(layers, x))


@of_nn(one_after_the_other, "sequential_layer_norm", "sequential_equivariant")
def the_layer_in_the_middle_left_out():
    def without(layers, x):
        if len(layers) < 3:
            return applied(layers, x)
        middle = layers[1](layers[0](x))
        return layers[2](each(lambda b: changed(b, values=b.values.abs()), middle))

    return sequential_of(without)


@of_nn(nested, "sequential_linear", "sequential_mlp", "sequential_tanh")
def only_the_first_of_what_is_nested():
    class Sequential(nn.Sequential):
        def __init__(self, in_keys, *layers):
            inner = isinstance(layers[0], nn.Sequential)
            super().__init__(in_keys, *layers)
            self._doubled = inner

        def forward(self, tensor):
            y = super().forward(tensor)
            return of_values(lambda v: 2 * v, y) if self._doubled else y

    return {"Sequential": Sequential}


@of_nn(nested, "sequential_linear", "sequential_layer_norm")
def nested_ones_are_refused():
    class Sequential(nn.Sequential):
        def __init__(self, in_keys, *layers):
            if any(isinstance(layer, nn.Sequential) for layer in layers):
                raise TypeError("no Sequential in a Sequential")
            super().__init__(in_keys, *layers)

    return {"Sequential": Sequential}


@of_nn(of_one, "module_map_linear", "module_map_tanh")
def module_maps_refused():
    class Sequential(nn.Sequential):
        def __init__(self, in_keys, *layers):
            if not all(hasattr(layer, "module_map") for layer in layers):
                raise AttributeError("module_map")
            super().__init__(in_keys, *layers)

    return {"Sequential": Sequential}


@of_nn(of_one, "linear", "tanh")
def properties_of_a_single_layer_lost():
    def renumbered(layers, x):
        return each(
            lambda b: changed(b, properties=Labels.range("_", len(b.properties))), applied(layers, x)
        )

    return sequential_of(renumbered)


@of_nn(of_one, "linear", "relu", "layer_norm")
def the_first_of_the_keys_is_for_all():
    class Sequential(nn.Sequential):
        def __init__(self, in_keys, *layers):
            super().__init__(in_keys, *layers)
            modules = self.module_map.module_list
            self._first = modules[0]

        def forward(self, tensor):
            y = super().forward(tensor)
            return of_values(lambda v: v + 1, y) if len(tensor) > 1 else y

    return {"Sequential": Sequential}


@of_nn("a_sequential_does_what_the_forward_of_a_layer_does", "any_module_map")
def layers_are_their_module_maps():
    class Sequential(nn.Sequential):
        def __init__(self, in_keys, *layers):
            torch.nn.Module.__init__(self)
            self.module_map = sequential._composed(in_keys, [layer.module_map for layer in layers])

        def forward(self, tensor):
            return self.module_map(tensor)

    return {"Sequential": Sequential}


hooks_of_layers = "a_sequential_calls_the_hooks_of_its_layers"


@of_nn(hooks_of_layers, "any_module_map")
def a_sequential_without_the_hooks_of_its_layers():
    class Unhooked(nn.Sequential):
        def __init__(self, in_keys, *layers):
            super().__init__(in_keys, *(layer.module_map for layer in layers))

    return {"Sequential": Unhooked}


@of_nn(hooks_of_layers, "any_module_map")
def a_sequential_that_calls_twice():
    class Twice(nn.Sequential):
        def forward(self, x):
            super().forward(x)
            return super().forward(x)

    return {"Sequential": Twice}


@of_nn(hooks_of_layers, "any_module_map")
def a_sequential_that_refuses_hooks():
    class Refusing(nn.Sequential):
        def __init__(self, in_keys, *layers):
            if any(layer._forward_hooks for layer in layers):
                raise ValueError("a layer has hooks")
            super().__init__(in_keys, *layers)

    return {"Sequential": Refusing}
