import copy
import io
import pickle
from collections import namedtuple

import pytest
import torch

import tmref
from tmref import Labels, TensorBlock, TensorMap
from tmref.nn import (
    Buffer,
    EquivariantTransformation,
    InvariantLayerNorm,
    InvariantReLU,
    LayerNorm,
    Linear,
    Module,
    ModuleMap,
    Tanh,
)

ONE = Labels.range("k", 1)
TWO = Labels.range("k", 2)
LABELS = Labels(["n", "m"], torch.tensor([[0, 1], [5, 7], [2, 2]]))


class Keeper(Module):
    """A module with the buffers given."""

    def __init__(self, **buffers):
        super().__init__()
        for name, value in buffers.items():
            self.register_buffer(name, value)


@pytest.fixture
def data(block, with_gradient):
    """One of everything: labels, a block with a gradient, one of integers, a map, and a nest of them."""

    def build(dtype=torch.float64):
        def one(seed):
            generator = torch.Generator().manual_seed(seed)
            values = torch.randn(2, 3, 4, dtype=torch.float64, generator=generator).to(dtype)
            x = TensorBlock(values, Labels.range("s", 2), [Labels.range("c", 3)], Labels.range("p", 4))
            gradient = torch.randn(1, 3, 4, dtype=torch.float64, generator=generator).to(dtype)
            samples = Labels(["sample", "atom"], torch.tensor([[1, 0]]))
            x.add_gradient("positions", TensorBlock(gradient, samples, x.components, x.properties))
            return x

        integers = TensorBlock(
            torch.tensor([[7, 2**40]]), Labels.range("s", 1), [], Labels.range("p", 2)
        )
        return {
            "labels": LABELS,
            "block": one(0),
            "integers": integers,
            "map": TensorMap(TWO, [one(1), one(2)]),
            "no_blocks": TensorMap(Labels.empty("k"), []),
            "nothing": None,
            "empty": {},
            "nest": {"a": [LABELS, one(3)], 4: (TensorMap(ONE, [one(4)]), None, []), "b": {"c": ()}},
        }

    return build


def contents(value):
    """All that a buffer is, to be compared by ==."""
    if isinstance(value, TensorMap):
        return "map", value.keys, str(value.keys.device), [contents(block) for block in value]
    if isinstance(value, TensorBlock):
        values = value.values
        numbers = tuple(values.shape) if values.is_meta else values.tolist()
        labels = [value.samples, *value.components, value.properties]
        devices = {str(where) for where in [values.device, *(axis.device for axis in labels)]}
        gradients = {p: contents(g) for p, g in value.gradients()}
        return "block", numbers, values.dtype, devices, labels, gradients
    if isinstance(value, Labels):
        return "labels", value, str(value.device)
    if isinstance(value, dict):
        return {key: contents(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [contents(item) for item in value]
    assert value is None
    return None


def blocks_of(value):
    """All blocks and gradients in a nest."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple, TensorMap)):
        return [block for item in value for block in blocks_of(item)]
    if isinstance(value, TensorBlock):
        return [value, *(g for _, gradient in value.gradients() for g in blocks_of(gradient))]
    return []


def everything(module):
    """All that loading a state dict could change."""
    tensors = {name: (id(t), t.tolist()) for name, t in module.named_parameters()}
    buffers = {
        (path, name): contents(getattr(part, name))
        for path, part in module.named_modules()
        if isinstance(part, Module)
        for name in part._data_buffers
    }
    return tensors, buffers


def saved(module, weights_only=True):
    """The state dict of a module, after a file."""
    stream = io.BytesIO()
    torch.save(module.state_dict(), stream)
    stream.seek(0)
    return torch.load(stream, weights_only=weights_only)


# --- registration


def test_what_is_registered_is_an_attribute(data):
    module = Keeper(**data())
    for name, value in data().items():
        assert contents(getattr(module, name)) == contents(value)
    given = data()["block"]
    module.register_buffer("other", given)
    assert module.other is given


def test_buffer_is_short_for_register_buffer():
    class Short(Module):
        def __init__(self):
            super().__init__()
            self.kept = Buffer(LABELS)
            self.lost = Buffer([LABELS], persistent=False)
            self.tensor = Buffer(torch.ones(2))
            self.lost_tensor = Buffer(torch.ones(2), persistent=False)

    module = Short()
    assert module.kept is LABELS
    assert module.lost == [LABELS]
    assert list(module.state_dict()) == ["_mts_helper", "tensor", "_extra_state"]
    assert list(module.state_dict()["_extra_state"]) == ["kept"]
    assert [name for name, _ in module.named_buffers()] == ["_mts_helper", "tensor", "lost_tensor"]
    module.to("meta")
    assert {str(x.device) for x in (module.kept, *module.lost, module.tensor)} == {"meta"}


def test_register_buffer_takes_a_buffer_too():
    module = Keeper(x=Buffer(LABELS), y=Buffer(torch.ones(1)))
    assert module.x is LABELS
    assert module._buffers["y"] is module.y


def test_tensors_are_torchs():
    module, twin = Keeper(), torch.nn.Module()
    tensor = torch.ones(2)
    for one in (module, twin):
        one.register_buffer("kept", tensor)
        one.register_buffer("lost", torch.zeros(1), persistent=False)
    assert module.kept is twin.kept is tensor
    buffers = [(n, b.tolist()) for n, b in twin.named_buffers()]
    assert [(n, b.tolist()) for n, b in module.named_buffers()] == [("_mts_helper", []), *buffers]
    state = module.state_dict()
    assert list(state) == ["_mts_helper", "kept", "_extra_state"]
    assert state["_extra_state"] == {}
    assert state["_mts_helper"].shape == (0,)
    module.kept = torch.zeros(3)
    assert module._buffers["kept"].shape == (3,)


@pytest.mark.parametrize(
    ("value", "path", "kind"),
    [
        (5, "x", "int"),
        (0.5, "x", "float"),
        ("labels", "x", "str"),
        (LABELS[0], "x", "LabelsEntry"),
        (torch.nn.Identity(), "x", "Identity"),
        ([LABELS, torch.ones(1)], "x[1]", "Tensor"),
        ({"a": [LABELS, (None, 3)]}, "x['a'][1][1]", "int"),
        ({4: LABELS[0]}, "x[4]", "LabelsEntry"),
        ({LABELS}, "x", "set"),
    ],
)
@pytest.mark.parametrize("how", ["register_buffer", "Buffer", "assigned"])
def test_anything_else_is_refused(how, value, path, kind, refused):
    module = Keeper(x=LABELS) if how == "assigned" else Keeper()
    before = dict(module.__dict__), dict(module._data_buffers), dict(module._buffers)
    message = (
        f"the buffer {path} must be a tensor, Labels, a TensorBlock, a TensorMap, None, or a "
        f"dictionary, list or tuple of these but tensors, got {kind}"
    )
    with refused(TypeError, message):
        if how == "register_buffer":
            module.register_buffer("x", value)
        else:
            module.x = Buffer(value) if how == "Buffer" else value
    assert (module.__dict__, module._data_buffers, module._buffers) == before
    assert "x" not in module._modules


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("taken", KeyError),
        ("forward", KeyError),
        ("weight", KeyError),
        ("inner", KeyError),
        ("a.b", KeyError),
        ("", KeyError),
        (3, TypeError),
    ],
)
def test_names_that_torch_refuses_are_refused_as_torch_does(name, error):
    def module(kind):
        one = kind()
        one.taken = 1
        one.weight = torch.nn.Parameter(torch.ones(1))
        one.inner = torch.nn.Identity()
        return one

    with pytest.raises(error) as expected:
        module(torch.nn.Module).register_buffer(name, torch.ones(1))
    ours = module(Module)
    with pytest.raises(error) as raised:
        ours.register_buffer(name, LABELS)
    assert raised.value.args == expected.value.args
    assert list(ours._data_buffers) == []
    assert list(ours._buffers) == ["_mts_helper"]


@pytest.mark.parametrize("second", [LABELS, None, torch.ones(1)], ids=["Labels", "None", "Tensor"])
def test_a_buffer_is_registered_once(second):
    module = Keeper(x=TWO)
    with pytest.raises(KeyError, match="attribute 'x' already exists"):
        module.register_buffer("x", second)
    with pytest.raises(KeyError, match="attribute 'x' already exists"):
        module.x = Buffer(second)
    assert module.x is TWO


def test_nothing_is_registered_before_init():
    class Early(Module):
        def __init__(self):
            self.register_buffer("x", LABELS)

    with pytest.raises(AttributeError, match=r"before Module\.__init__"):
        Early()


# --- assignment and deletion


def test_a_new_value_takes_the_place_of_the_old(data):
    module = Keeper(x=LABELS)
    for value in data().values():
        module.x = value
        assert module.x is value
        assert list(module._data_buffers) == ["x"]
    module.x = TWO
    again = Keeper(x=None)
    again.load_state_dict(saved(module), strict=False)
    assert again.x == TWO


@pytest.mark.parametrize("value", [torch.ones(1), torch.nn.Parameter(torch.ones(1))], ids=["t", "p"])
def test_a_tensor_is_no_new_value(value, refused):
    module = Keeper(x=LABELS)
    message = (
        "the buffer x must be a tensor, Labels, a TensorBlock, a TensorMap, None, or a dictionary, "
        f"list or tuple of these but tensors, got {type(value).__name__}"
    )
    with refused(TypeError, message):
        module.x = value
    assert module.x is LABELS
    assert list(module.parameters()) == []


def test_deletion():
    module = Keeper(x=LABELS, y=torch.ones(1), z=TWO)
    del module.x, module.y
    assert not hasattr(module, "x")
    assert not hasattr(module, "y")
    assert list(module.state_dict()["_extra_state"]) == ["z"]
    module.to("meta")
    module.x = 5  # no buffer any more
    assert module.x == 5
    with pytest.raises(AttributeError, match="nothing"):
        del module.nothing


# --- conversion


@pytest.mark.parametrize(
    ("convert", "dtype"),
    [
        (lambda m: m.to(torch.float32), torch.float32),
        (lambda m: m.to(dtype=torch.bfloat16), torch.bfloat16),
        (lambda m: m.float(), torch.float32),
        (lambda m: m.double(), torch.float64),
        (lambda m: m.half(), torch.float16),
    ],
    ids=["to", "bfloat16", "float", "double", "half"],
)
@pytest.mark.parametrize("persistent", [True, False])
def test_floating_values_are_converted(convert, dtype, persistent, data):
    module, before = Keeper(), data()
    for name, value in before.items():
        module.register_buffer(name, value, persistent)
    assert convert(module) is module
    for name in ("block", "map", "nest"):
        assert len(blocks_of(getattr(module, name))) == len(blocks_of(before[name])) > 0
        for now, then in zip(blocks_of(getattr(module, name)), blocks_of(before[name]), strict=True):
            assert torch.equal(now.values, then.values.to(dtype))
            assert now.dtype == dtype
            assert (now.samples, now.components) == (then.samples, then.components)
            assert now.gradients_list() == then.gradients_list()
    assert [len(blocks_of(module.block)), len(blocks_of(module.map))] == [2, 4]
    for name in ("integers", "labels", "no_blocks", "nothing", "empty"):
        assert contents(getattr(module, name)) == contents(before[name])
    assert module.labels.values.dtype == torch.int32


def test_to_another_device(data):
    module = Keeper(**data()).to("meta")

    def devices(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, (list, tuple)):
            return {where for item in value for where in devices(item)}
        return set() if value is None else {str(value.device)}

    assert devices({name: getattr(module, name) for name in data()}) == {"meta"}
    for block in blocks_of({name: getattr(module, name) for name in data()}):
        axes = [block.samples, *block.components, block.properties]
        assert {str(where) for where in [block.values.device, *(a.device for a in axes)]} == {"meta"}
    assert module.labels == LABELS
    assert module._mts_helper.is_meta


@pytest.mark.parametrize("convert", [lambda m: m.to("meta").to_empty(device="cpu"), lambda m: m.cpu()])
def test_and_back(convert, data):
    module = convert(Keeper(**data()))
    for name, value in data().items():
        now, then = blocks_of(getattr(module, name)), blocks_of(value)
        assert [(b.shape, b.dtype, b.device, b.samples) for b in now] == [
            (b.shape, b.dtype, b.device, b.samples) for b in then
        ]
    assert contents(module.labels) == contents(LABELS)
    assert contents(module.nest["a"][0]) == contents(LABELS)
    assert contents(module.no_blocks) == contents(data()["no_blocks"])


def test_what_was_registered_is_not_changed(data):
    given = data()
    Keeper(**given).half().to("meta")
    assert contents(given) == contents(data())


def test_buffers_of_inner_modules_follow(data):
    inner = Keeper(**data())
    torch.nn.Sequential(Keeper(inner=None), torch.nn.ModuleDict({"a": inner})).to(torch.float32)
    assert {block.dtype for block in blocks_of(inner.nest)} == {torch.float32}


def test_a_named_tuple_is_a_tuple():
    Pair = namedtuple("Pair", "labels more")
    module = Keeper(x=Pair(LABELS, [TWO])).to("meta")
    assert tuple(module.x) == (LABELS, [TWO])
    assert str(module.x[0].device) == "meta"
    assert list(module.state_dict()["_extra_state"]) == ["x"]


# --- the state dict


def test_an_entry_is_kind_file_and_an_empty_tensor(data):
    given = data(torch.float32)
    extra = Keeper(**given, y=None).state_dict()["_extra_state"]
    assert list(extra) == [name for name in given if name != "nothing"]

    def check(entry, value):
        kind, content, empty = entry
        assert type(entry) is tuple
        assert kind == f"metatensor.{type(value).__name__}"
        assert content.dtype == torch.uint8
        assert torch.equal(content, tmref.save_buffer(value))
        dtype = torch.int32 if isinstance(value, Labels) else value.dtype
        assert (empty.shape, empty.dtype, str(empty.device)) == ((0,), dtype, "cpu")

    for name in ("labels", "block", "integers", "map", "no_blocks"):
        check(extra[name], given[name])
    assert extra["empty"] == {}
    nest = extra["nest"]
    assert list(nest) == ["a", 4, "b"]
    check(nest["a"][0], LABELS)
    check(nest["a"][1], given["nest"]["a"][1])
    check(nest[4][0], given["nest"][4][0])
    assert type(nest[4]) is tuple
    assert nest[4][1:] == (None, [])
    assert nest["b"] == {"c": ()}


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_saved_and_loaded(weights_only, dtype, data):
    module = Keeper(**data(dtype))
    state = saved(module, weights_only)
    other = Keeper(**{name: TWO for name in data() if name != "nothing"}, nothing=None)
    result = other.load_state_dict(state)
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    for name, value in data(dtype).items():
        assert contents(getattr(other, name)) == contents(value)


def test_what_is_on_the_meta_device_stays_there(data):
    module = Keeper(**data(torch.bfloat16)).to("meta")
    other = Keeper(**{name: None if x is None else TWO for name, x in data().items()}).to("meta")
    other.load_state_dict(saved(module))
    for name in data():
        assert contents(getattr(other, name)) == contents(getattr(module, name))
    assert other.map[0].values.is_meta
    assert other.map[0].dtype == torch.bfloat16


def test_what_is_on_the_meta_device_may_get_values(data):
    module = Keeper(**data()).to("meta")
    module.load_state_dict(saved(Keeper(**data())), assign=True)
    for name, value in data().items():
        assert contents(getattr(module, name)) == contents(value)
    assert not module._mts_helper.is_meta


def test_a_state_dict_is_a_copy(data):
    module = Keeper(**data())
    state = module.state_dict()
    with torch.no_grad():
        module.block.values.zero_()
    module.load_state_dict(state)
    assert contents(module.block) == contents(data()["block"])


def test_a_buffer_that_is_none_is_loaded():
    module = Keeper(x=None)
    module.load_state_dict(Keeper(x=[LABELS]).state_dict())
    assert module.x == [LABELS]


# --- strictness


@pytest.fixture
def missing_and_unexpected():
    """A module with inner ones, and a state dict that has other buffers in both."""
    module = torch.nn.Sequential(Keeper(a=LABELS, b=[TWO], c=None), Keeper(a=LABELS))
    module.add_module("inner", torch.nn.Sequential(Keeper(x=TWO)))
    other = torch.nn.Sequential(Keeper(a=TWO, d=TWO), Keeper(a=TWO))
    other.add_module("inner", torch.nn.Sequential(Keeper(y=LABELS, z={"a": TWO})))
    return module, saved(other)


@pytest.mark.parametrize("inside", [False, True], ids=["plain", "tmref"])
def test_strict_loading_names_what_differs(inside, missing_and_unexpected, refused):
    module, state = missing_and_unexpected
    prefix, name = "", "Sequential"
    if inside:
        outer = Keeper()
        outer.add_module("outer", module)
        module, prefix, name = outer, "outer.", "Keeper"
        state = {f"outer.{key}": value for key, value in state.items()}
        state.update(Keeper().state_dict())
    message = (
        f"Error(s) in loading state_dict for {name}:\n\t"
        f'Missing key(s) in state_dict: "{prefix}0.b", "{prefix}inner.0.x". \n\t'
        f'Unexpected key(s) in state_dict: "{prefix}0.d", "{prefix}inner.0.y", "{prefix}inner.0.z". '
    )
    with refused(RuntimeError, message):
        module.load_state_dict(state)


def test_other_loading_ignores_what_differs(missing_and_unexpected):
    module, state = missing_and_unexpected
    result = module.load_state_dict(state, strict=False)
    assert sorted(result.missing_keys) == ["0.b", "inner.0.x"]
    assert sorted(result.unexpected_keys) == ["0.d", "inner.0.y", "inner.0.z"]
    assert [module[0].a, module[0].b, module[0].c, module[1].a] == [TWO, [TWO], None, TWO]
    assert module.inner[0].x == TWO
    assert not hasattr(module[0], "d")
    assert not hasattr(module.inner[0], "y")


def test_buffers_that_are_not_persistent_are_neither():
    module, other = Keeper(), Keeper()
    module.register_buffer("x", LABELS, persistent=False)
    module.load_state_dict(other.state_dict())
    other.load_state_dict(module.state_dict())
    assert module.x is LABELS


def test_no_extra_state_at_all_is_missing(refused):
    module, state = Keeper(x=LABELS), Keeper(x=TWO).state_dict()
    del state["_extra_state"]
    message = (
        'Error(s) in loading state_dict for Keeper:\n\tMissing key(s) in state_dict: "_extra_state". '
    )
    with refused(RuntimeError, message):
        module.load_state_dict(state)
    module.load_state_dict(state, strict=False)
    assert module.x is LABELS


# --- what can't be read

FILE = tmref.save_buffer(LABELS)
EMPTY = torch.empty(0)
CORRUPT = {
    "a number": (5, "_extra_state must be a dictionary, got int"),
    "no entry": ({"x": 5}, "x must be (kind, file, empty tensor), or a nest of that, got int"),
    "no entry in a nest": (
        {"x": {"a": [("metatensor.Labels", FILE, EMPTY), "b"]}},
        "x['a'][1] must be (kind, file, empty tensor), or a nest of that, got str",
    ),
    "another kind": (
        {"x": ("metatensor.Tensor", FILE, EMPTY)},
        "x is 'metatensor.Tensor', expected one of metatensor.Labels, metatensor.TensorBlock, "
        "metatensor.TensorMap",
    ),
    "cut off": (
        {"x": ("metatensor.Labels", FILE[:-1], EMPTY)},
        "x: the buffer doesn't contain a valid Labels: an array of shape (3,) and "
        "[('n', '<i4'), ('m', '<i4'), ] has 24 bytes, got 23",
    ),
    "another file": (
        {"x": ("metatensor.TensorBlock", FILE, EMPTY)},
        "x: the buffer doesn't contain a valid TensorBlock: it has Labels, which load_labels reads",
    ),
}
NO_ENTRIES = {
    "a file of text": {"x": ("metatensor.Labels", "text", EMPTY)},
    "a file of floats": {"x": ("metatensor.Labels", FILE.float(), EMPTY)},
    "no empty tensor": {"x": ("metatensor.Labels", FILE, None)},
}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("what", CORRUPT)
def test_what_cannot_be_read_is_refused(what, strict, refused):
    extra, reason = CORRUPT[what]
    module = Keeper(x=TWO, y=torch.zeros(2))
    before = everything(module)
    state = {**Keeper(x=LABELS, y=torch.ones(2)).state_dict(), "_extra_state": extra}
    message = f"Error(s) in loading state_dict for Keeper:\n\t_extra_state is not loaded: {reason}"
    with refused(RuntimeError, message):
        module.load_state_dict(state, strict=strict)
    assert everything(module) == before
    assert module.y.tolist() == [0, 0]
    with refused(ValueError, reason):
        module.set_extra_state(extra)
    assert everything(module) == before


def test_the_extra_state_of_a_map_of_modules_is_taken_with_its_weights():
    one, other = (
        tmref.nn.Linear(TWO, 2, out_properties=[Labels(name, torch.tensor([[0]]))] * len(TWO))
        for name in ("a", "b")
    )
    one.module_map.set_extra_state(other.module_map.get_extra_state())
    assert one.module_map.out_properties[0].names == ["a"]
    one.load_state_dict(other.state_dict())
    assert one.module_map.out_properties[0].names == ["b"]


@pytest.mark.parametrize("what", NO_ENTRIES)
def test_what_is_no_entry_is_refused_likewise(what):
    module = Keeper(x=TWO)
    state = {**Keeper(x=LABELS).state_dict(), "_extra_state": NO_ENTRIES[what]}
    for one in (module, torch.nn.Sequential(module)):
        prefix = "" if one is module else "0."
        with pytest.raises(RuntimeError, match=rf"\n\t{prefix}_extra_state is not loaded: "):
            one.load_state_dict({prefix + name: value for name, value in state.items()})
        assert module.x is TWO


# --- what is refused changes nothing


def _linear(keys, width=3, **kwargs):
    properties = [Labels("p", torch.arange(width).reshape(-1, 1) + 10 * key[0]) for key in keys]
    return Linear(keys, 4, out_properties=properties, dtype=torch.float64, **kwargs)


def _permuted(keys):
    return Labels(keys.names, keys.values.flip(0))


def _refused_state(what):
    """A state dict, and what it is refused for by a linear layer of TWO."""
    torch.manual_seed(5)
    state = _linear(_permuted(TWO)).state_dict()
    extra = dict(state["module_map._extra_state"])
    if what == "wrong shape":
        state["module_map.module_list.1.weight"] = torch.zeros(3, 5)
        # the second in the order of the state dict is the first in the module's
        return state, "size mismatch for {}module_map.module_list.0.weight"
    if what == "corrupt":
        kind, content, empty = extra["_in_keys"]
        extra["_in_keys"] = kind, content[:-3], empty
        state["module_map._extra_state"] = extra
        return state, "the buffer doesn't contain a valid Labels: "
    if what == "other keys":
        return (
            _linear(Labels.range("k", 3)).state_dict(),
            "it is of modules for (k=0), (k=1), (k=2), and here are modules for (k=0), (k=1)",
        )
    if what == "fewer properties":
        extra["_out_properties"] = extra["_out_properties"][:1]
        state["module_map._extra_state"] = extra
        return state, "_out_properties must have one value for each of the 2 keys, got 1"
    if what == "other kinds":
        values = [TensorBlock(torch.zeros(1, 1), ONE, [], ONE) for _ in TWO]
        keeper = Keeper(_in_keys=TensorMap(TWO, values), _out_properties=[TWO, TWO])
        state["module_map._extra_state"] = keeper.get_extra_state()
        return state, "_in_keys"
    if what == "none":
        state["module_map._extra_state"] = {**extra, "_in_keys": None}
        return state, "_in_keys"
    if what == "missing weights":
        state = _linear(_permuted(TWO), 5).state_dict()
        for name in [name for name in state if "module_list" in name]:
            del state[name]
        return state, 'Missing key(s) in state_dict: "{}module_map.module_list.0.weight"'
    assert what == "unexpected"
    state["module_map.module_list.2.weight"] = torch.zeros(3, 4)
    return state, 'Unexpected key(s) in state_dict: "{}module_map.module_list.2.weight"'


REFUSED = [
    "wrong shape",
    "corrupt",
    "other keys",
    "fewer properties",
    "other kinds",
    "none",
    "missing weights",
    "unexpected",
]


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_a_refused_state_dict_changes_nothing(what, assign, nested):
    torch.manual_seed(1)
    module, prefix = _linear(TWO), ""
    state, reason = _refused_state(what)
    if nested:
        outer = Keeper(labels=LABELS)
        outer.other = torch.nn.Linear(2, 2)
        outer.inner = torch.nn.Sequential(module)
        theirs = {n: t.new_zeros(t.shape) for n, t in outer.other.state_dict(prefix="other.").items()}
        module, prefix = outer, "inner.0."
        state = {prefix + name: value for name, value in state.items()}
        state = {**Keeper(labels=TWO).state_dict(), **theirs, **state}
    before = everything(module)
    with pytest.raises(RuntimeError) as raised:
        module.load_state_dict(state, assign=assign)
    assert reason.format(prefix) in str(raised.value)
    assert everything(module) == before


@pytest.mark.parametrize("what", REFUSED)
def test_under_a_plain_root_keys_and_modules_fit_all_the_same(what, block):
    torch.manual_seed(1)
    module = _linear(TWO)
    state, reason = _refused_state(what)
    with pytest.raises(RuntimeError) as raised:
        torch.nn.Sequential(module).load_state_dict({f"0.{n}": v for n, v in state.items()})
    assert reason.format("0.") in str(raised.value)
    # whatever was loaded: it is a layer for these keys, with properties that fit
    out = module(TensorMap(TWO, [block(2, 4), block(2, 4)]))
    assert [b.properties.values.flatten().tolist() for b in out] == [[0, 1, 2], [10, 11, 12]]


# --- keys in another order

O3 = Labels(["o3_lambda", "o3_sigma"], torch.tensor([[0, 1], [1, 1], [2, 1]]))
PERMUTABLE = {
    "Linear": lambda keys: Linear(keys, 4, 3, dtype=torch.float64),
    "Linear with properties": _linear,
    "LayerNorm": lambda keys: LayerNorm(keys, 4, dtype=torch.float64),
    "Tanh": Tanh,
    "ModuleMap": lambda keys: ModuleMap.from_module(
        keys, torch.nn.Linear(4, 2, dtype=torch.float64), [Labels.range("p", 2)] * len(keys)
    ),
    # modules that know what they are for by their place only
    "InvariantReLU": InvariantReLU,
    "InvariantLayerNorm": lambda keys: InvariantLayerNorm(keys, 4, elementwise_affine=False),
    "EquivariantTransformation": lambda keys: EquivariantTransformation(
        [torch.nn.Tanh() for _ in keys], keys, 4
    ),
}


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2], [2, 0, 1]], ids=str)
@pytest.mark.parametrize("kind", PERMUTABLE)
def test_a_state_dict_of_permuted_keys_is_loaded_by_key(kind, order, block, same):
    x = TensorMap(O3, [block(2, 2 * i + 1, 4, seed=i) for i in range(3)])
    torch.manual_seed(3)
    saver = PERMUTABLE[kind](Labels(O3.names, O3.values[order]))
    with torch.no_grad():
        for i, parameter in enumerate(saver.parameters()):
            parameter.add_(i)
    loader = PERMUTABLE[kind](O3)
    loader.load_state_dict(saved(saver))
    same(loader(x), saver(x))


# --- copies


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"]
)
def test_copies(duplicate, data):
    module = Keeper(**data(), tensor=torch.ones(2))
    module.register_buffer("lost", [LABELS], persistent=False)
    again = duplicate(module)
    for name, value in data().items():
        assert contents(getattr(again, name)) == contents(value)
    mine = {b.values.data_ptr() for b in blocks_of([getattr(module, name) for name in data()])}
    theirs = {b.values.data_ptr() for b in blocks_of([getattr(again, name) for name in data()])}
    assert len(mine) == len(theirs) == 11
    assert not mine & theirs
    assert list(again.state_dict()) == list(module.state_dict())
    assert list(again.state_dict()["_extra_state"]) == list(module.state_dict()["_extra_state"])
    again.to("meta")
    assert str(again.lost[0].device) == "meta"
    assert contents(module.block) == contents(data()["block"])
    assert str(module.lost[0].device) == "cpu"
    # one doesn't know what the other registers
    again.register_buffer("new", LABELS)
    assert not hasattr(module, "new")
    module.register_buffer("new", TWO)
    assert module.new is TWO


def test_buffers_keep_what_they_say_of_themselves():
    x = tmref.with_info(TensorMap(Labels.empty("key"), []), {"unit": "eV"})
    module = Keeper(x=x)
    again = Keeper(x=TensorMap(Labels.empty("key"), []))
    again.load_state_dict(module.state_dict())
    assert again.x.info() == module.double().x.info() == {"unit": "eV"}
