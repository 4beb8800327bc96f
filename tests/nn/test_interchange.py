"""State dicts to and from metatensor's modules, in both flavours."""

import io
import warnings

import pytest
import torch

from tmref import Labels, TensorBlock, TensorMap, implementations, nn

#: the second one is invariant
O3 = Labels(["o3_lambda", "o3_sigma"], torch.tensor([[1, 1], [0, 1], [0, -1], [2, 1]]))
F64 = torch.float64


@pytest.fixture(scope="session", params=["metatensor-learn", "metatensor-torch"])
def peer(request):
    """metatensor's modules: on its core's labels and blocks, or on metatensor.torch's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        # metatensor.learn before metatensor.torch.learn, which would be it otherwise
        return [implementations.load(n) for n in ("metatensor-learn", "metatensor-torch")][
            request.param == "metatensor-torch"
        ]


def saved(module):
    """The state dict of a module, after a file."""
    stream = io.BytesIO()
    torch.save(module.state_dict(), stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


def readable(peer, state):
    """A state dict of ours as a peer reads it.

    metatensor.torch reads the bytes of labels, blocks and maps from a tensor of uint8 only, as ours
    are; metatensor's core from what numpy takes for a buffer only. So nothing suits both, and neither
    do they read each other's.
    """
    if peer.name == "metatensor-torch":
        return state

    def converted(value):
        if isinstance(value, dict):
            return {key: converted(item) for key, item in value.items()}
        if isinstance(value, tuple) and len(value) == 3 and isinstance(value[0], str):
            return value[0], bytes(value[1].numpy()), value[2]
        if isinstance(value, (list, tuple)):
            return type(value)(converted(item) for item in value)
        return value

    return {
        name: converted(value) if name.endswith("_extra_state") else value
        for name, value in state.items()
    }


def drawn(module, seed):
    """The module with random parameters, positive weights of norms among them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 + torch.rand(parameter.shape, generator=generator, dtype=F64))
    return module


def _properties(labels, keys, n):
    """Properties that tell by their first entry which key they are of."""
    return [labels(Labels("p", torch.arange(n).reshape(n, 1) + 10 * k[0] + k[1])) for k in keys]


#: how each is made: from the classes, the function that converts labels, and the keys
KINDS = {
    "Linear": lambda nn, to, keys: nn.Linear(
        to(keys), 4, out_properties=_properties(to, keys, 3), dtype=F64
    ),
    "Linear of no properties": lambda nn, to, keys: nn.Linear(
        to(keys), 4, 3, bias=[True] * 4, dtype=F64
    ),
    "EquivariantLinear": lambda nn, to, keys: nn.EquivariantLinear(
        to(keys), 4, out_properties=_properties(to, keys, 3), dtype=F64
    ),
    "LayerNorm": lambda nn, to, keys: nn.LayerNorm(
        to(keys), 4, _properties(to, keys, 4), mean=False, dtype=F64
    ),
    "InvariantLayerNorm": lambda nn, to, keys: nn.InvariantLayerNorm(
        to(keys), 4, _properties(to, keys, 4), dtype=F64
    ),
    "ReLU": lambda nn, to, keys: nn.ReLU(to(keys), _properties(to, keys, 4)),
    "InvariantTanh": lambda nn, to, keys: nn.InvariantTanh(to(keys), _properties(to, keys, 4)),
    "Sequential": lambda nn, to, keys: nn.Sequential(
        to(keys),
        nn.Linear(to(keys), 4, 5, dtype=F64),
        nn.SiLU(to(keys)),
        nn.LayerNorm(to(keys), 5, dtype=F64),
        nn.Linear(to(keys), 5, out_properties=_properties(to, keys, 2), dtype=F64),
    ),
    "ModuleMap": lambda nn, to, keys: nn.ModuleMap(
        to(keys),
        [torch.nn.Sequential(torch.nn.Linear(4, 3, dtype=F64), torch.nn.Tanh()) for _ in keys],
        _properties(to, keys, 3),
    ),
    "EquivariantTransformation": lambda nn, to, keys: nn.EquivariantTransformation(
        [torch.nn.Linear(4, 4, dtype=F64) for _ in keys],
        to(keys),
        4,
        out_properties=_properties(to, keys, 4),
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
#: orders of the keys that leave the invariant one in its place
every_order = pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]], ids=["same", "permuted"])


@pytest.fixture
def four(block):
    """A map for the keys O3."""
    return TensorMap(O3, [block(3, 2 * int(key[0]) + 1, 4, seed=i) for i, key in enumerate(O3)])


def own(labels):
    return labels


@every_kind
@every_order
def test_theirs_is_loaded(kind, order, peer, four):
    keys = Labels(O3.names, O3.values[order])
    theirs = drawn(KINDS[kind](peer.nn, peer.labels, keys), 1)
    ours = drawn(KINDS[kind](nn, own, O3), 2)
    result = ours.load_state_dict(saved(theirs), strict=True)
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    expected = peer.decode(theirs(peer.encode(four.copy())))
    close(ours(four), expected)


@every_kind
@every_order
def test_ours_is_loaded_by_theirs(kind, order, peer, four):
    keys = Labels(O3.names, O3.values[order])
    ours = drawn(KINDS[kind](nn, own, keys), 1)
    theirs = drawn(KINDS[kind](peer.nn, peer.labels, O3), 2)
    result = theirs.load_state_dict(readable(peer, saved(ours)), strict=True)
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    close(peer.decode(theirs(peer.encode(four.copy()))), ours(four))


@every_kind
def test_the_state_dicts_have_the_same_names(kind, peer):
    ours, theirs = KINDS[kind](nn, own, O3), KINDS[kind](peer.nn, peer.labels, O3)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        mine = ours.state_dict()[name]
        if isinstance(value, torch.Tensor):
            assert (mine.shape, mine.dtype) == (value.shape, value.dtype)
        else:
            assert skeleton(mine) == skeleton(value)


@every_kind
def test_nothing_is_the_same_before_it_is_loaded(kind, four):
    """The tests above can fail: other parameters, or other properties, give another map."""
    ours, other = (drawn(KINDS[kind](nn, own, O3), seed) for seed in (1, 2))
    if not list(ours.parameters()):
        assert not any(parameter.numel() for parameter in other.parameters())
        return
    with pytest.raises(AssertionError):
        close(ours(four), other(four))


def close(a, b):
    assert a.keys == b.keys
    for one, other in zip(a, b, strict=True):
        assert torch.allclose(one.values, other.values, rtol=1e-11, atol=1e-12)
        assert (one.samples, one.components) == (other.samples, other.components)
        assert one.properties == other.properties


def skeleton(value):
    """An extra state but for the bytes in it: those of zip archives need not be the same."""
    if isinstance(value, dict):
        return {key: skeleton(item) for key, item in value.items()}
    if isinstance(value, tuple) and len(value) == 3 and isinstance(value[0], str):
        return value[0], value[2].shape, value[2].dtype, value[2].device
    if isinstance(value, (list, tuple)):
        return type(value), [skeleton(item) for item in value]
    return value


# --- a module of one's own


def _custom(base, to_labels, to_block, to_map, buffers):
    """A module with buffers of ours, in the types of another implementation."""

    def convert(value):
        if isinstance(value, dict):
            return {key: convert(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(convert(item) for item in value)
        if isinstance(value, Labels):
            return to_labels(value)
        return to_block(value) if isinstance(value, TensorBlock) else to_map(value)

    class Custom(base):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(2, 2)
            for name, value in buffers.items():
                self.register_buffer(name, None if value is None else convert(value))

    return Custom()


@pytest.fixture
def buffers(block, with_gradient):
    """buffers(dtype, seed): labels, a block, a map and nests of them."""

    def build(dtype, seed):
        def one(i):
            x = with_gradient(block(3, 2, 4, seed=seed + i), [2, 0], 3, seed=seed)
            return x.to(dtype)

        row = Labels(["n", "m"], torch.tensor([[seed, 1], [7, seed]]))
        return {
            "labels": row,
            "block": one(0),
            "map": TensorMap(O3, [one(i) for i in range(4)]),
            "nest": {"a": [row, one(4)], "b": (TensorMap(Labels.range("k", 1), [one(5)]), [])},
            "tuple": (row, row),
            "empty": [],
            "nothing": None,
        }

    return build


def contents(value):
    """All that a buffer of ours is, to be compared by ==."""
    if isinstance(value, TensorMap):
        return value.keys, [contents(block) for block in value]
    if isinstance(value, TensorBlock):
        axes = value.samples, *value.components, value.properties
        gradients = {parameter: contents(g) for parameter, g in value.gradients()}
        return value.values.tolist(), value.dtype, axes, gradients
    if isinstance(value, dict):
        return {key: contents(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [contents(item) for item in value]
    return value


def ours_of(value):
    """A nest of theirs in our types."""
    if isinstance(value, dict):
        return {key: ours_of(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(ours_of(item) for item in value)
    if value is None:
        return None
    if hasattr(value, "keys"):
        return TensorMap(ours_of(value.keys), [ours_of(value.block_by_id(i)) for i in range(len(value))])
    if hasattr(value, "names"):
        rows = torch.tensor(value.values.tolist(), dtype=torch.int32).reshape(-1, len(value.names))
        return Labels(list(value.names), rows)
    axes = [ours_of(axis) for axis in (value.samples, *value.components, value.properties)]
    block = TensorBlock(value.values, axes[0], axes[1:-1], axes[-1])
    for parameter, gradient in value.gradients():
        block.add_gradient(parameter, ours_of(gradient))
    return block


def modules(peer, given, others):
    theirs = _custom(peer.nn.Module, peer.labels, peer.encode_block, peer.encode, given)
    return theirs, _custom(nn.Module, own, own, own, others)


@pytest.mark.parametrize("dtype", [F64, torch.float32, torch.float16], ids=str)
def test_buffers_of_theirs_are_loaded(dtype, peer, buffers):
    theirs, ours = modules(peer, buffers(dtype, 1), buffers(dtype, 2))
    result = ours.load_state_dict(saved(theirs), strict=True)
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    for name, value in buffers(dtype, 1).items():
        assert contents(getattr(ours, name)) == contents(value)
    assert torch.equal(ours.linear.weight, theirs.linear.weight)


@pytest.mark.parametrize("dtype", [F64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_buffers_of_ours_are_loaded_by_theirs(dtype, peer, buffers):
    theirs, ours = modules(peer, buffers(torch.float32, 2), buffers(dtype, 1))
    result = theirs.load_state_dict(readable(peer, saved(ours)), strict=True)
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    for name, value in buffers(dtype, 1).items():
        assert contents(ours_of(getattr(theirs, name))) == contents(value)


def test_entries_are_as_theirs(peer, buffers):
    theirs, ours = (m.state_dict() for m in modules(peer, buffers(F64, 1), buffers(F64, 1)))
    assert list(ours) == list(theirs)
    assert skeleton(ours["_extra_state"]) == skeleton(theirs["_extra_state"])


def test_buffers_change_and_come_back(peer, buffers):
    """Theirs to ours, and ours to theirs again."""
    theirs, ours = modules(peer, buffers(F64, 1), buffers(F64, 2))
    ours.load_state_dict(saved(theirs))
    again = modules(peer, buffers(F64, 3), {})[0]
    again.load_state_dict(readable(peer, saved(ours)))
    for name, value in buffers(F64, 1).items():
        assert contents(ours_of(getattr(again, name))) == contents(value)
