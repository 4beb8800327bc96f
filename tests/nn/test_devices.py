"""Modules and maps on other devices: the meta device is one that every machine has."""

import runpy
from pathlib import Path

import pytest
import torch

from tmref import Labels, TensorMap
from tmref.nn import EquivariantLinear, InvariantLayerNorm, LayerNorm, Linear, ModuleMap

shared = runpy.run_path(str(Path(__file__).with_name("test_torch_modules.py")))
build, covariant, inner = (shared[name] for name in ("build", "covariant", "inner"))
KEYS, MODULES, module, x = (shared[name] for name in ("KEYS", "MODULES", "module", "x"))

WITH_DEVICE = {
    "Linear": lambda **kwargs: Linear(KEYS, 4, 3, **kwargs),
    "EquivariantLinear": lambda **kwargs: EquivariantLinear(KEYS, 4, 3, **kwargs),
    "LayerNorm": lambda **kwargs: LayerNorm(KEYS, 4, **kwargs),
    "InvariantLayerNorm": lambda **kwargs: InvariantLayerNorm(KEYS, 4, **kwargs),
}


def all_labels(tensor):
    return [
        tensor.keys,
        *(labels for b in tensor for labels in (b.samples, *b.components, b.properties)),
    ]


def devices_of(tensor):
    """The devices of all values and labels."""
    found = {labels.device.type for labels in all_labels(tensor)}
    found |= {labels.values.device.type for labels in all_labels(tensor)}
    return found | {b.values.device.type for b in tensor} | {b.device.type for b in tensor}


def metadata(tensor):
    return all_labels(tensor), [tuple(b.shape) for b in tensor]


@pytest.fixture
def restored(request, same):
    """Asserts that a module without memory can be given that of another one, and does the same then."""

    def check(empty, module, x):
        empty = empty.to_empty(device="cpu")
        empty.load_state_dict(module.state_dict())
        same(empty(x), module(x))
        assert devices_of(empty(x)) == {"cpu"}

    return check


# --- construction


@pytest.mark.parametrize("build_with", WITH_DEVICE.values(), ids=list(WITH_DEVICE))
@pytest.mark.parametrize("device", ["meta", torch.device("meta")], ids=str)
def test_made_on_a_device(build_with, device, x, restored):
    module = build_with(device=device, dtype=torch.float64)
    assert {p.device.type for p in module.parameters()} == {"meta"}
    out = module(x.to("meta"))
    assert devices_of(out) == {"meta"}
    whole = build_with(dtype=torch.float64)
    assert metadata(out) == metadata(whole(x))
    restored(module, whole, x)


@pytest.mark.parametrize("how", ["context", "default"])
@pytest.mark.parametrize("name", MODULES)
def test_made_where_another_device_is_the_default(how, name, x, restored):
    if how == "context":
        with torch.device("meta"):
            module = MODULES[name](KEYS, 4).double()
            out = module(x.to("meta"))
            again = module(x.to("meta"))
    else:
        before = torch.get_default_device()
        torch.set_default_device("meta")
        try:
            module = MODULES[name](KEYS, 4).double()
            out = module(x.to("meta"))
            again = module(x.to("meta"))
        finally:
            torch.set_default_device(before)
    assert torch.zeros(0).device.type == "cpu"
    assert {p.device.type for p in module.parameters()} <= {"meta"}
    assert devices_of(out) == devices_of(again) == {"meta"}
    whole = build(name)
    assert metadata(out) == metadata(whole(x))
    restored(module, whole, x)


@pytest.mark.parametrize("name", MODULES)
def test_values_stay_on_their_device_whatever_the_default_is(name, x, same):
    module = build(name)
    expected = module(x)
    with torch.device("meta"):
        out = module(x)
        assert devices_of(out) == {"cpu"}
        state = module.state_dict()
        again = Labels.range("_", 3)
        assert again.values.tolist() == [[0], [1], [2]]
        assert Labels.empty("p").values.device.type == "cpu"
    same(out, expected)
    other = build(name, seed=1)
    other.load_state_dict(state)
    same(other(x), expected)


# --- moved


@pytest.mark.parametrize("name", MODULES)
def test_moved_and_back(name, x, restored):
    module, whole = build(name), build(name)
    expected = metadata(module(x))
    assert module.to("meta") is module
    assert {p.device.type for p in module.parameters()} <= {"meta"}
    assert {b.device.type for b in module.buffers()} <= {"meta"}
    out = module(x.to("meta"))
    assert devices_of(out) == {"meta"}
    assert metadata(out) == expected
    restored(module, whole, x)


def test_keys_and_properties_move_with_the_module():
    properties = [Labels("p", 10 * i + torch.arange(4)[:, None]) for i in range(3)]
    module = ModuleMap(KEYS, [torch.nn.Linear(4, 4) for _ in KEYS], properties)
    for device in ("meta", "cpu"):
        module.to_empty(device=device)
        assert (module.in_keys, module.out_properties) == (KEYS, properties)
        assert module.in_keys.device.type == device
        assert {labels.device.type for labels in module.out_properties} == {device}
        assert module.in_keys.position([1, -1]) == 2
    assert torch.equal(module.out_properties[2].values, properties[2].values)


@pytest.mark.parametrize("name", ["ReLU", "Tanh", "InvariantSiLU"])
def test_labels_are_where_the_values_are(name, x):
    """Without parameters a module takes maps on any device, wherever it is itself."""
    module = build(name)
    for device in ("cpu", "meta", "cpu"):
        for where in ("cpu", "meta"):
            out = module.to_empty(device=where)(x.to(device))
            assert devices_of(out) == {device}
            assert out.keys == x.keys


@pytest.mark.parametrize("name", ["Linear", "LayerNorm"])
def test_a_map_on_another_device_is_torchs_error(name, x):
    module = build(name).to("meta")
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        module(x)


def test_fewer_keys_on_another_device(x):
    module = build("ModuleMap").to("meta")
    keys = Labels(KEYS.names, KEYS.values[[2, 0]])
    out = module(TensorMap(keys, [x[2].copy(), x[0].copy()]).to("meta"))
    assert devices_of(out) == {"meta"}
    assert out.keys == keys
    assert len(inner(module)) == 3


def test_assigning_a_state_dict_to_a_module_on_meta(x, same):
    whole = build("Sequential")
    module = build("Sequential", seed=1).to("meta")
    module.load_state_dict(whole.state_dict(), assign=True)
    same(module(x), whole(x))
