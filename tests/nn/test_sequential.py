import copy
import pickle

import pytest
import torch

from tmref import Labels, TensorMap
from tmref.nn import Linear, ModuleMap, ReLU, Sequential, SiLU, Tanh

ONE = Labels.range("k", 1)
TWO = Labels.range("k", 2)


def linear(keys, n_in, n_out=None, **kwargs):
    return Linear(keys, n_in, n_out, dtype=torch.float64, **kwargs)


class Shifted(Linear):
    """A layer whose forward does more than its module_map."""

    def forward(self, tensor):
        shifted = tensor.copy()
        for block in shifted:
            block.values.add_(1)
        return super().forward(shifted)


class Doubled(ModuleMap):
    """A ModuleMap whose forward does more."""

    def forward(self, tensor):
        out = super().forward(tensor).copy()
        for block in out:
            block.values.mul_(2)
        return out


class Renamed(torch.nn.Module):
    """Something else that maps a TensorMap to a TensorMap, with other keys."""

    def forward(self, tensor):
        return TensorMap(Labels("z", tensor.keys.values), tensor.copy(deep=False).blocks())


# --- composition


def test_composition_of_layers(keys, three, same, valid):
    layers = linear(keys, 4, 5), ReLU(keys), linear(keys, 5, [1, 2, 3])
    out = Sequential(keys, *layers)(three)
    same(out, layers[2](layers[1](layers[0](three))))
    valid(out)


def test_layers_are_composed_by_key_whatever_their_order(keys, three, same, selected, permuted):
    reordered = Labels(keys.names, keys.values[[2, 0, 1]])
    more = Labels(["species", "l"], torch.tensor([[9, 9], [6, 1], [1, 1], [1, 0]]))
    properties = [Labels("p", torch.tensor([[i], [5]])) for i in range(4)]
    layers = (
        linear(reordered, 4, 5),
        Tanh(permuted(keys)),
        linear(more, 5, out_properties=properties),
    )
    for in_keys in (keys, reordered, permuted(keys)):
        module = Sequential(in_keys, *layers)
        for order in ([0, 1, 2], [2, 0, 1], [1]):
            x = selected(three, order)
            same(module(x), layers[2](layers[1](layers[0](x))))
    assert [b.properties for b in module(three)] == [properties[i] for i in (3, 2, 1)]


def test_the_properties_are_those_of_the_last_layer(only):
    hidden, last = Labels.range("hidden", 4), Labels.range("last", 2)
    first = linear(ONE, 4, out_properties=[hidden])
    assert Sequential(ONE, first)(only(2, 4))[0].properties == hidden
    assert Sequential(ONE, first, Tanh(ONE))(only(2, 4))[0].properties == Labels.range("_", 4)
    module = Sequential(ONE, first, linear(ONE, 4, out_properties=[last]))
    assert module(only(2, 4))[0].properties == last
    assert Sequential(ONE, first, Tanh(ONE, [hidden]))(only(2, 4))[0].properties == hidden


def test_parameters_are_named_as_metatensor_names_them(mts, to_mts):
    ours = Sequential(TWO, Linear(TWO, 4, 5), ReLU(TWO), Linear(TWO, 5, 3, bias=False))
    nn, keys = mts.learn.nn, to_mts(TWO)
    theirs = nn.Sequential(keys, nn.Linear(keys, 4, 5), nn.ReLU(keys), nn.Linear(keys, 5, 3, bias=False))
    names = [name for name, _ in theirs.named_parameters()]
    assert [name for name, _ in ours.named_parameters()] == names
    assert names[0] == "module_map.module_list.0.0.weight"
    # the names of the state dict are exactly metatensor's: helpers and extra states among them
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert set(names) <= set(ours.state_dict())


def test_values_agree_with_metatensor(mts, to_mts, keys, three):
    properties = [Labels.range("p", n) for n in (1, 2, 3)]
    ours = Sequential(keys, linear(keys, 4, 5), SiLU(keys), linear(keys, 5, out_properties=properties))
    nn, in_keys = mts.learn.nn, to_mts(keys)
    theirs = nn.Sequential(
        in_keys,
        nn.Linear(in_keys, 4, 5),
        nn.SiLU(in_keys),
        nn.Linear(in_keys, 5, out_properties=[*map(to_mts, properties)]),
    ).to(torch.float64)
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.copy_(mine)
    assert mts.operations.equal(to_mts(ours(three)), theirs(to_mts(three)))


def test_the_parameters_are_those_of_the_layers(keys):
    layers = linear(keys, 4, 5), linear(keys, 5, 3)
    module = Sequential(keys, *layers)
    mine = {id(p) for p in module.parameters()}
    assert mine == {id(p) for layer in layers for p in layer.parameters()}
    assert len(mine) == 12


def test_the_same_layer_twice(only, same):
    x, layer = only(3, 4), linear(ONE, 4, 4)
    same(Sequential(ONE, layer, layer)(x), layer(layer(x)))


def test_empty_it_is_the_identity(three, keys):
    assert Sequential(keys)(three) is three


def test_empty_it_refuses_what_is_no_map(keys):
    with pytest.raises(TypeError, match="the input must be a TensorMap, got int"):
        Sequential(keys)(5)


def test_no_blocks(keys):
    x = TensorMap(Labels.empty(keys.names), [])
    assert len(Sequential(keys, linear(keys, 4, 3), Tanh(keys))(x)) == 0


def test_nested(keys, three, same):
    a, b, c = linear(keys, 4, 5), SiLU(keys), linear(keys, 5, 2)
    expected = c(b(a(three)))
    for module in (
        Sequential(keys, Sequential(keys, a, b), c),
        Sequential(keys, a, Sequential(keys, b, c)),
        Sequential(keys, Sequential(keys), a, b, Sequential(keys), c),
        Sequential(keys, Sequential(keys, Sequential(keys, a), b), Sequential(keys), c),
    ):
        same(module(three), expected)


def test_hooks_of_wrapped_modules_run_exactly_once(only):
    a, b = linear(ONE, 4, 5), linear(ONE, 5, 3)
    seen = []
    for name, layer in (("a", a), ("b", b)):
        layer.module_map.module_list[0].register_forward_hook(lambda *_, name=name: seen.append(name))
    Sequential(ONE, a, Tanh(ONE), b)(only(2, 4))
    assert seen == ["a", "b"]


# --- layers that are more than their module_map


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("kind", ["subclass", "ModuleMap", "foreign"])
def test_layers_of_ones_own_are_called(kind, position, only, same):
    x = only(3, 4)
    own = {
        "subclass": lambda: Shifted(ONE, 4, 4, dtype=torch.float64),
        "ModuleMap": lambda: Doubled.from_module(ONE, torch.nn.Tanh()),
        "foreign": torch.nn.Identity,
    }[kind]()
    layers = [linear(ONE, 4, 4), Tanh(ONE)]
    layers.insert(position, own)
    expected = x
    for layer in layers:
        expected = layer(expected)
    same(Sequential(ONE, *layers)(x), expected)
    # what the layer of one's own does is seen
    if kind != "foreign":
        layers[position] = (
            ModuleMap(ONE, [torch.nn.Tanh()]) if kind == "ModuleMap" else linear(ONE, 4, 4)
        )
        if kind == "subclass":
            layers[position].load_state_dict(own.state_dict())
        assert not torch.allclose(Sequential(ONE, *layers)(x)[0].values, expected[0].values)


def test_a_layer_may_change_the_keys(only, same):
    x, z = only(3, 4), Labels.range("z", 1)
    a, b = linear(ONE, 4, 5), linear(z, 5, 2)
    same(Sequential(ONE, a, Renamed(), b)(x), b(Renamed()(a(x))))


def test_parameters_of_mixed_layers_are_registered(keys):
    a, b = linear(keys, 4, 5), Shifted(keys, 5, 3)
    module = Sequential(keys, a, b)
    expected = {id(p) for layer in (a, b) for p in layer.parameters()}
    assert {id(p) for p in module.parameters()} == expected
    names = [name for name, _ in module.named_parameters()]
    assert names[0] == "layers.0.module_map.module_list.0.weight"
    assert len(names) == len(expected)
    assert set(names) <= set(module.state_dict())


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("within", [True, False])
def test_hooks_of_a_layer_run(before, within, only):
    layer, seen = linear(ONE, 4, 3), []
    hooked = layer.module_map if within else layer
    register = hooked.register_forward_pre_hook if before else hooked.register_forward_hook
    register(lambda *_: seen.append("called"))
    Sequential(ONE, layer, Tanh(ONE))(only(2, 4))
    assert seen == ["called"]


@pytest.mark.parametrize("within", [True, False])
def test_a_forward_of_an_instance_and_a_subclass_within_a_layer_are_called(within, only, same):
    class Doubling(ModuleMap):
        def forward(self, tensor):
            return super().forward(tensor).copy()._map_blocks(lambda b: b._map_values(lambda v: 2 * v))

    layer, x = linear(ONE, 4, 3), only(2, 4)
    if within:
        layer.module_map = Doubling(ONE, list(layer.module_map.module_list))
    else:
        forward = Doubling(ONE, list(layer.module_map.module_list))
        layer.forward = lambda tensor: forward(tensor)
    same(Sequential(ONE, layer, Tanh(ONE))(x), Tanh(ONE)(layer(x)))
    assert not torch.equal(layer(x)[0].values, linear(ONE, 4, 3)(x)[0].values)


# --- refusals


def test_arguments_that_cannot_work_are_refused(refused):
    with refused(TypeError, "in_keys must be Labels, got Linear"):
        Sequential(Linear(ONE, 2, 2))
    message = "the layers of Sequential must be torch.nn.Module on TensorMaps, got {}"
    with refused(TypeError, message.format("list")):
        Sequential(ONE, [Linear(ONE, 2, 2), ReLU(ONE)])
    with refused(TypeError, message.format("type")):
        Sequential(ONE, Linear(ONE, 2, 2), ReLU)
    with refused(TypeError, message.format("builtin_function_or_method")):
        Sequential(ONE, Linear(ONE, 2, 2), torch.tanh)


def test_a_layer_that_lacks_a_key_is_refused(refused):
    message = "in_keys have the entry (k=1), but there is no module for it; there are modules for (k=0)"
    with refused(ValueError, message):
        Sequential(TWO, Linear(TWO, 2, 2), ReLU(ONE))


def test_a_layer_of_other_dimensions_is_refused(refused):
    message = "in_keys have the entry (k=0), but there is no module for it; there are modules for (z=0)"
    with refused(ValueError, message):
        Sequential(ONE, Linear(ONE, 2, 2), ReLU(Labels.range("z", 1)))


def test_a_block_of_an_unknown_key_is_refused_by_name(three, block, refused):
    module = Sequential(ONE, linear(ONE, 4, 3), Tanh(ONE))
    message = (
        "the map has a block (l=0, species=1), but there is no module for it; "
        "there are modules for (k=0)"
    )
    with refused(ValueError, message):
        module(three)
    message = "the map has a block (k=1), but there is no module for it; there are modules for (k=0)"
    with refused(ValueError, message):
        module(TensorMap(TWO, [block(2, 4), block(2, 4)]))


def test_a_key_that_only_a_layer_knows_is_refused(block):
    module = Sequential(ONE, linear(TWO, 4, 3))
    with pytest.raises(ValueError, match=r"^the map has a block \(k=1\)"):
        module(TensorMap(TWO, [block(2, 4), block(2, 4)]))


def test_only_maps_are_accepted(refused):
    module = Sequential(ONE, linear(ONE, 4, 3))
    with refused(TypeError, "the input must be a TensorMap, got Tensor"):
        module(torch.zeros(2, 4))


# --- copies


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"]
)
@pytest.mark.parametrize("kind", [Linear, Shifted], ids=["composed", "mixed"])
def test_copies(kind, duplicate, keys, three, same):
    module = Sequential(keys, linear(keys, 4, 5), Tanh(keys), kind(keys, 5, 2, dtype=torch.float64))
    again = duplicate(module)
    same(again(three), module(three))
    assert not {id(p) for p in again.parameters()} & {id(p) for p in module.parameters()}
