import copy
import pickle

import pytest
import torch

from tmref import Labels, TensorMap
from tmref.nn import Linear

ONE = Labels.range("k", 1)
TWO = Labels.range("k", 2)
P = [Labels.range("p", 2), Labels.range("p", 3)]


# --- construction


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"in_keys": "k"}, TypeError, "in_keys must be Labels, got str"),
        (
            {"out_features": None},
            ValueError,
            "a linear layer needs out_features or out_properties, got neither",
        ),
        *(
            ({name: value}, error, f"{name} {message}")
            for name in ("in_features", "out_features")
            for value, error, message in [
                (-1, ValueError, "must be at least 0, got -1 for the key (k=0)"),
                ([2, -3], ValueError, "must be at least 0, got -3 for the key (k=1)"),
                (
                    True,
                    TypeError,
                    "must be int or a list of int, one for each key, got True of type bool",
                ),
                (
                    2.0,
                    TypeError,
                    "must be int or a list of int, one for each key, got 2.0 of type float",
                ),
                ("2", TypeError, "must be int or a list of int, one for each key, got '2' of type str"),
                (
                    [2, 2.5],
                    TypeError,
                    "must be int or a list of int, one for each key, got 2.5 of type float",
                ),
                (
                    [2, None],
                    TypeError,
                    "must be int or a list of int, one for each key, got None of type NoneType",
                ),
                ([2], ValueError, "must have one value for each of the 2 keys, got 1"),
                ([2, 2, 2], ValueError, "must have one value for each of the 2 keys, got 3"),
                ([], ValueError, "must have one value for each of the 2 keys, got 0"),
            ]
        ),
        (
            {"in_features": None},
            TypeError,
            "in_features must be int or a list of int, one for each key, got None of type NoneType",
        ),
        (
            {"out_properties": P},
            ValueError,
            "out_features is 2 for the key (k=1), but its out_properties have 3 entries; give one of "
            "them, or let them agree",
        ),
        (
            {"out_features": None, "out_properties": P[0]},
            TypeError,
            "out_properties must be a list of Labels, one for each key, got Labels",
        ),
        (
            {"out_features": None, "out_properties": P[:1]},
            ValueError,
            "out_properties must have one value for each of the 2 keys, got 1",
        ),
        (
            {"out_features": None, "out_properties": [P[0], 3]},
            TypeError,
            "out_properties must be a list of Labels, one for each key, got 3 of type int",
        ),
        (
            {"out_features": None, "out_properties": iter(P)},
            TypeError,
            "out_properties must be a list of Labels, one for each key, got list_iterator",
        ),
        (
            {"bias": 1},
            TypeError,
            "bias must be bool or a list of bool, one for each key, got 1 of type int",
        ),
        (
            {"bias": None},
            TypeError,
            "bias must be bool or a list of bool, one for each key, got None of type NoneType",
        ),
        (
            {"bias": [True, "no"]},
            TypeError,
            "bias must be bool or a list of bool, one for each key, got 'no' of type str",
        ),
        ({"bias": [True]}, ValueError, "bias must have one value for each of the 2 keys, got 1"),
    ],
)
def test_arguments_that_cannot_work_are_refused(arguments, error, message, refused):
    with refused(error, message):
        Linear(**{"in_keys": TWO, "in_features": 2, "out_features": 2, **arguments})


def test_values_that_no_key_uses_are_checked_too(refused):
    message = "in_features must be int or a list of int, one for each key, got 'two' of type str"
    with refused(TypeError, message):
        Linear(Labels.empty("k"), "two", 2)


def test_bias_device_and_dtype_are_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        Linear(ONE, 2, 2, None, False)


@pytest.mark.parametrize(
    ("arguments", "sizes"),
    [
        ({"in_features": 4, "out_features": 3}, [(4, 3), (4, 3)]),
        ({"in_features": [4, 5], "out_features": (3, 2)}, [(4, 3), (5, 2)]),
        ({"in_features": 4, "out_properties": P}, [(4, 2), (4, 3)]),
        ({"in_features": 4, "out_features": [2, 3], "out_properties": tuple(P)}, [(4, 2), (4, 3)]),
    ],
)
def test_sizes(arguments, sizes):
    modules = Linear(TWO, **arguments).module_map.module_list
    assert [(m.in_features, m.out_features) for m in modules] == sizes
    assert all(type(m) is torch.nn.Linear for m in modules)


def test_bias_for_each_key():
    module = Linear(TWO, 4, 3, bias=[True, False]).module_map.module_list
    assert [m.bias is not None for m in module] == [True, False]
    assert all(m.bias is None for m in Linear(TWO, 4, 3, bias=False).module_map.module_list)
    assert all(m.bias is not None for m in Linear(TWO, 4, 3).module_map.module_list)


def test_dtype_and_device():
    parameters = list(Linear(TWO, 4, 3, dtype=torch.float64, device="meta").parameters())
    assert {(p.dtype, p.device.type) for p in parameters} == {(torch.float64, "meta")}
    assert {p.dtype for p in Linear(TWO, 4, 3).parameters()} == {torch.get_default_dtype()}


# --- parameters


def test_parameters_are_named_as_metatensor_names_them(mts, to_mts):
    arguments = {"in_features": [4, 5], "out_features": 3, "bias": [True, False]}
    ours = Linear(TWO, **arguments)
    theirs = mts.learn.nn.Linear(to_mts(TWO), **arguments)
    names = [name for name, _ in theirs.named_parameters()]
    assert [name for name, _ in ours.named_parameters()] == names
    assert names[0] == "module_map.module_list.0.weight"
    # the names of the state dict are exactly metatensor's: helpers and extra states among them
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert set(names) <= set(ours.state_dict())


def test_a_seed_gives_the_initial_parameters_of_torch(keys):
    torch.manual_seed(7)
    module = Linear(keys, [2, 3, 4], [5, 2, 3], bias=[True, False, True])
    torch.manual_seed(7)
    twins = [torch.nn.Linear(2, 5), torch.nn.Linear(3, 2, bias=False), torch.nn.Linear(4, 3)]
    for mine, twin in zip(module.module_map.module_list, twins, strict=True):
        assert mine.state_dict().keys() == twin.state_dict().keys()
        assert all(torch.equal(v, twin.state_dict()[n]) for n, v in mine.state_dict().items())


# --- forward


def test_every_block_is_transformed_by_the_parameters_of_its_key(keys, three, valid):
    module = Linear(keys, 4, [1, 2, 3], dtype=torch.float64)
    out = module(three)
    for a, b, m in zip(out, three, module.module_map.module_list, strict=True):
        expected = torch.nn.functional.linear(b.values, m.weight, m.bias)
        assert torch.equal(a.values, expected)
        assert torch.allclose(a.values, b.values @ m.weight.T + m.bias, rtol=1e-12)
        assert a.samples == b.samples
        assert a.properties == Labels.range("_", m.out_features)
    valid(out)


def test_components_stay(only, valid):
    x = only(2, 3, 5, 4)
    module = Linear(x.keys, 4, 2, dtype=torch.float64)
    out = module(x)
    assert out[0].shape == (2, 3, 5, 2)
    assert out[0].components == x[0].components
    m = module.module_map.module_list[0]
    assert torch.allclose(out[0].values[1, 2, 4], m.weight @ x[0].values[1, 2, 4] + m.bias, rtol=1e-12)
    valid(out)


def test_out_properties_are_those_of_the_key(keys, three, selected):
    properties = [Labels("p", torch.tensor([[i], [7]])) for i in range(3)]
    module = Linear(keys, 4, out_properties=properties, dtype=torch.float64)
    assert [b.properties for b in module(three)] == properties
    assert [b.properties for b in module(selected(three, [2, 0]))] == [properties[2], properties[0]]


def test_no_samples(only, valid):
    out = Linear(ONE, 4, 3, dtype=torch.float64)(only(0, 4))
    assert out[0].shape == (0, 3)
    valid(out)


def test_no_properties(only, valid):
    with pytest.warns(UserWarning, match="Initializing zero-element tensors"):
        module = Linear(ONE, 0, 3, dtype=torch.float64)
    out = module(only(2, 0))
    assert torch.equal(out[0].values, module.module_map.module_list[0].bias.expand(2, 3))
    valid(out)
    with pytest.warns(UserWarning, match="Initializing zero-element tensors"):
        module = Linear(ONE, 4, out_properties=[Labels.empty("p")], dtype=torch.float64)
    out = module(only(2, 4))
    assert out[0].shape == (2, 0)
    assert out[0].properties == Labels.empty("p")


def test_no_keys():
    empty = Labels.empty("k")
    out = Linear(empty, 4, 3)(TensorMap(empty, []))
    assert out.keys == empty
    assert len(out) == 0


def test_another_width_is_torchs_error(only):
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Linear(ONE, 5, 3, dtype=torch.float64)(only(2, 4))


@pytest.mark.parametrize("bias", [True, False])
def test_values_agree_with_metatensor(bias, keys, three, to_mts, mts):
    properties = [Labels.range("p", n) for n in (1, 2, 3)]
    ours = Linear(keys, 4, out_properties=properties, bias=bias, dtype=torch.float64)
    theirs = mts.learn.nn.Linear(
        to_mts(keys), 4, out_properties=[*map(to_mts, properties)], bias=bias, dtype=torch.float64
    )
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.copy_(mine)
    assert mts.operations.equal(to_mts(ours(three)), theirs(to_mts(three)))


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"]
)
def test_copies(duplicate, keys, three, same):
    module = Linear(
        keys, 4, out_properties=[Labels.range("p", n) for n in (1, 2, 3)], dtype=torch.float64
    )
    again = duplicate(module)
    same(again(three), module(three))
    with torch.no_grad():
        next(again.parameters()).zero_()
    assert next(module.parameters()).abs().min() > 0


def test_a_negative_size_is_refused_without_keys_too():
    with pytest.raises(ValueError, match="in_features must be at least 0, got -1"):
        Linear(Labels.empty("k"), -1, 2)
