"""Modules are torch modules: hooks, parametrizations, lazy modules, copies, optimizers.

MODULES, with what is around it, is what other files test, too: they take it from here.
"""

import copy
import io
import pickle

import pytest
import torch
from torch.nn.utils import parametrizations, prune

from tmref import Labels, TensorBlock, TensorMap
from tmref.nn import (
    EquivariantLinear,
    EquivariantTransformation,
    InvariantLayerNorm,
    InvariantSiLU,
    LayerNorm,
    Linear,
    ModuleMap,
    ReLU,
    Sequential,
    Tanh,
)
from tmref.nn.covariant import CovariantTransform

#: An invariant key and two covariant ones, a vector and a pseudovector.
KEYS = Labels(["o3_lambda", "o3_sigma"], torch.tensor([[0, 1], [1, 1], [1, -1]]))


def covariant(keys=KEYS, samples=(2, 3, 4), properties=4, dtype=torch.float64, seed=0, first=0):
    """A map of random values with 2λ + 1 components; the samples count from ``first``."""
    generator = torch.Generator().manual_seed(seed)
    blocks = []
    for key, n in zip(keys, samples, strict=False):
        size = 2 * key["o3_lambda"] + 1
        values = torch.randn(n, size, properties, generator=generator, dtype=torch.float64).to(dtype)
        labels = Labels("system", first + torch.arange(n).reshape(n, 1))
        blocks.append(
            TensorBlock(values, labels, [Labels.range("o3_mu", size)], Labels.range("n", properties))
        )
    return TensorMap(keys, blocks)


def _mlp(n):
    return torch.nn.Sequential(torch.nn.Linear(n, n), torch.nn.Tanh())


def _from_1(n):
    return Labels("p", torch.arange(n, device="cpu").reshape(n, 1) + 1)


#: name: a module on maps with these keys and n properties
MODULES = {
    "Linear": lambda keys, n: Linear(keys, n, [2, 3, 4][: len(keys)]),
    "EquivariantLinear": lambda keys, n: EquivariantLinear(keys, n, 3),
    "ReLU": lambda keys, n: ReLU(keys),
    "InvariantSiLU": lambda keys, n: InvariantSiLU(keys),
    "Tanh": lambda keys, n: Tanh(keys, [_from_1(n)] * len(keys)),
    "LayerNorm": lambda keys, n: LayerNorm(keys, n),
    "LayerNorm without mean": lambda keys, n: LayerNorm(keys, n, mean=False),
    "InvariantLayerNorm": lambda keys, n: InvariantLayerNorm(keys, n),
    "ModuleMap": lambda keys, n: ModuleMap(keys, [_mlp(n) for _ in keys], [_from_1(n)] * len(keys)),
    "Sequential": lambda keys, n: Sequential(
        keys, Linear(keys, n, 3), Tanh(keys), LayerNorm(keys, 3), EquivariantLinear(keys, 3, 2)
    ),
    "Sequential of others": lambda keys, n: Sequential(keys, Linear(keys, n, 3), torch.nn.Identity()),
    "EquivariantTransformation": lambda keys, n: EquivariantTransformation(
        [_mlp(n) for _ in keys], keys, n
    ),
}


def build(name, keys=KEYS, n=4, dtype=torch.float64, seed=0):
    """A module with random parameters."""
    module = MODULES[name](keys, n).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64))
    return module


def inner(module):
    """torch's modules in a module, one for each of the keys."""
    if isinstance(module, ModuleMap):
        return module.module_list
    return inner(module.layers[0] if hasattr(module, "layers") else module.module_map)


def plain(module):
    """What a module does to values, by torch's functions alone."""
    if isinstance(module, torch.nn.Sequential):
        functions = [plain(m) for m in module]

        def composed(x):
            for function in functions:
                x = function(x)
            return x

        return composed
    if isinstance(module, CovariantTransform):
        f = plain(module.module)
        return lambda x: f(torch.linalg.vector_norm(x, dim=1, keepdim=True)) * x
    if hasattr(module, "elementwise_affine"):
        return lambda x: _plain_layer_norm(x, module)
    return module


def _plain_layer_norm(x, m):
    shape = x.shape[1:]
    if m.mean:
        return torch.nn.functional.layer_norm(
            x, shape, m.weight.expand(shape), m.bias.expand(shape), m.eps
        )
    variance = x.var((1, 2), correction=0, keepdim=True)
    return x / torch.sqrt(variance + m.eps) * m.weight + m.bias


def plain_values(module, x):
    """The values of the blocks of module(x), by torch's functions alone."""
    return [plain(m)(b.values) for m, b in zip(inner(module), x, strict=True)]


def requires_grad(x):
    """The map with values that are new leaves of autograd's graph."""
    x = x.copy()
    for block in x:
        block.values.requires_grad_()
    return x


def loss_of(x):
    """A number that depends on all values, differently."""
    values = x if isinstance(x, list) else [block.values for block in x]
    return sum(((i + 1) * v.sin()).pow(2).sum() for i, v in enumerate(values))


@pytest.fixture(params=list(MODULES))
def module(request):
    """Each of the modules."""
    return build(request.param)


@pytest.fixture
def x():
    """A map for them."""
    return covariant()


# --- the modules do what torch's do: what the other tests build upon


def test_values_are_those_of_plain_torch(module, x):
    out = module(x)
    for block, values in zip(out, plain_values(module, x), strict=True):
        torch.testing.assert_close(block.values, values, rtol=1e-12, atol=1e-13)


# --- hooks


@pytest.mark.parametrize("of", ["outer", "module_map", "inner"])
def test_forward_hooks_run_once_for_every_forward(of, module, x, same):
    expected = module(x)
    hooked = {"outer": [module], "inner": list(inner(module))}
    hooked["module_map"] = [m for m in module.modules() if isinstance(m, ModuleMap)]
    calls = []
    for m in hooked[of]:
        m.register_forward_pre_hook(lambda m, args: calls.append(("before", id(m))))
        m.register_forward_hook(lambda m, args, out: calls.append(("after", id(m))))
    same(module(x), expected)
    assert calls == [(when, id(m)) for m in hooked[of] for when in ("before", "after")]


def test_full_backward_hooks_of_inner_modules_run_once(module, x):
    x = requires_grad(x)
    expected = torch.autograd.grad(loss_of(module(x)), [b.values for b in x])
    calls = []
    hooked = [m for m in inner(module) if not isinstance(m, torch.nn.Identity)]
    for m in hooked:
        m.register_full_backward_pre_hook(lambda m, grads: calls.append(("before", id(m))))
        m.register_full_backward_hook(lambda m, into, out: calls.append(("after", id(m))))
    found = torch.autograd.grad(loss_of(module(x)), [b.values for b in x])
    assert sorted(calls) == sorted((when, id(m)) for m in hooked for when in ("before", "after"))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", ["Linear", "Sequential", "EquivariantTransformation"])
def test_hooks_may_replace_the_map(name, x):
    module = build(name)
    module.register_forward_pre_hook(lambda m, args: (args[0].to(torch.float32),))
    module.register_forward_hook(lambda m, args, out: out.to(torch.float16))
    assert module.float()(x).dtype == torch.float16


# --- parametrizations, pruning


@pytest.mark.parametrize(
    "parametrize",
    [parametrizations.weight_norm, parametrizations.orthogonal, parametrizations.spectral_norm],
)
def test_parametrizations_of_inner_modules(parametrize, x, same):
    module = build("Linear").eval()
    for m in module.module_map.module_list:
        parametrize(m)
    module.eval()
    for block, m, given in zip(module(x), module.module_map.module_list, x, strict=True):
        assert torch.allclose(block.values, given.values @ m.weight.mT + m.bias, rtol=1e-12)
        assert torch.nn.utils.parametrize.is_parametrized(m, "weight")
    names = {name for name, _ in module.named_parameters()}
    assert any(name.startswith("module_map.module_list.2.parametrizations.weight") for name in names)
    loss_of(module(x)).backward()
    assert all(p.grad is not None for p in module.parameters() if p.requires_grad)
    again = build("Linear", seed=1)
    for m in again.module_map.module_list:
        parametrize(m)
    again.eval().load_state_dict(module.state_dict())
    same(again(x), module(x))


def test_pruning_an_inner_module(x):
    module = build("Linear")
    first = module.module_map.module_list[0]
    prune.l1_unstructured(first, "weight", amount=3)
    assert int((first.weight == 0).sum()) == 3
    expected = torch.nn.functional.linear(x[0].values, first.weight, first.bias)
    assert torch.equal(module(x)[0].values, expected)
    assert "module_map.module_list.0.weight_mask" in module.state_dict()


def test_a_pruned_module_loads_its_state_dict():
    """It can't be deep-copied: its weight is computed."""
    module = build("Linear")
    prune.l1_unstructured(module.module_map.module_list[0], "weight", amount=3)
    state = {name: copy.deepcopy(value) for name, value in module.state_dict().items()}
    with torch.no_grad():
        [p.zero_() for p in module.parameters()]
    module.load_state_dict(state)
    assert torch.equal(
        module.module_map.module_list[0].weight_orig, state["module_map.module_list.0.weight_orig"]
    )


# --- lazy modules, batch norm, dropout


@pytest.mark.parametrize("kind", ["list", "from_module"])
def test_lazy_modules_are_made_by_the_first_forward(kind, x):
    def lazy():
        if kind == "from_module":
            return ModuleMap.from_module(KEYS, torch.nn.LazyLinear(3, dtype=torch.float64))
        return ModuleMap(KEYS, [torch.nn.LazyLinear(3, dtype=torch.float64) for _ in KEYS])

    module = lazy()
    before = module.state_dict()
    assert type(before["module_list.0.weight"]) is torch.nn.UninitializedParameter
    module.load_state_dict(before)  # a lazy one into a lazy one
    out = module(x)
    assert [block.shape[-1] for block in out] == [3, 3, 3]
    assert [type(m) for m in module.module_list] == [torch.nn.Linear] * 3
    assert [m.weight.shape for m in module.module_list] == [(3, 4)] * 3
    other = lazy()
    other.load_state_dict(module.state_dict())  # one that is made into a lazy one
    for a, b, m, given in zip(out, other(x), module.module_list, x, strict=True):
        assert torch.equal(a.values, b.values)
        assert torch.equal(a.values, m(given.values))


def test_lazy_modules_with_buffers_load_state_dicts():
    module = ModuleMap(KEYS, [torch.nn.LazyBatchNorm1d() for _ in KEYS])
    module.load_state_dict(module.state_dict())
    made = ModuleMap(KEYS, [torch.nn.BatchNorm1d(4) for _ in KEYS])
    module.load_state_dict(made.state_dict())
    assert module.module_list[0].running_mean.shape == (4,)


def _two(samples=5, properties=4):
    blocks = []
    for seed in range(2):
        values = torch.randn(samples, properties, generator=torch.Generator().manual_seed(seed))
        blocks.append(
            TensorBlock(values, Labels.range("system", samples), [], Labels.range("n", properties))
        )
    return TensorMap(Labels.range("k", 2), blocks)


@pytest.mark.parametrize(
    "make", [lambda: torch.nn.BatchNorm1d(4), torch.nn.LazyBatchNorm1d], ids=["BatchNorm1d", "lazy"]
)
def test_one_forward_is_one_forward_for_running_statistics(make):
    x = _two()
    module = ModuleMap(x.keys, [make() for _ in x])
    twins = [make() for _ in x]
    for _ in range(3):
        out = module(x)
        expected = [twin(block.values) for twin, block in zip(twins, x, strict=True)]
        assert all(torch.equal(a.values, b) for a, b in zip(out, expected, strict=True))
    for mine, twin in zip(module.module_list, twins, strict=True):
        assert int(mine.num_batches_tracked) == 3
        assert torch.equal(mine.running_mean, twin.running_mean)
        assert torch.equal(mine.running_var, twin.running_var)
    module.eval()
    [twin.eval() for twin in twins]
    for a, twin, block in zip(module(x), twins, x, strict=True):
        assert torch.equal(a.values, twin(block.values))
    assert int(module.module_list[0].num_batches_tracked) == 3


def test_dropout_draws_as_plain_torch_does_and_not_in_eval():
    x = _two()
    module = ModuleMap.from_module(x.keys, torch.nn.Dropout(0.5))
    torch.manual_seed(3)
    out = module(x)
    torch.manual_seed(3)
    twin = torch.nn.Dropout(0.5)
    for a, block in zip(out, x, strict=True):
        assert torch.equal(a.values, twin(block.values))
    assert (out[0].values == 0).any()
    for a, block in zip(module.eval()(x), x, strict=True):
        assert torch.equal(a.values, block.values)


# --- modules that are exchanged or shared


def test_a_module_that_is_replaced_takes_effect(x):
    module = build("Linear")
    module(x)
    module.module_map.module_list[1] = torch.nn.Tanh()
    out = module(x)
    assert torch.equal(out[1].values, torch.tanh(x[1].values))
    assert out[1].properties == Labels.range("_", 4)
    assert out[0].shape[-1] == 2


def test_one_module_for_all_keys(x):
    shared = torch.nn.Linear(4, 3, dtype=torch.float64)
    module = ModuleMap(KEYS, [shared] * 3)
    assert [name for name, _ in module.named_parameters()] == [
        "module_list.0.weight",
        "module_list.0.bias",
    ]
    assert len(module.state_dict()) == 6 + len(ModuleMap(KEYS, [torch.nn.Identity()] * 3).state_dict())
    loss_of(module(x)).backward()
    found = shared.weight.grad.clone()
    shared.weight.grad = None
    loss_of([shared(block.values) for block in x]).backward()
    assert torch.equal(found, shared.weight.grad)
    again = copy.deepcopy(module)
    assert again.module_list[0] is again.module_list[2]


# --- copies


def _saved(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), _saved],
    ids=["deepcopy", "pickle", "save"],
)
def test_copies_do_the_same_and_share_nothing(duplicate, module, x, same):
    expected = module(x)
    again = duplicate(module)
    same(again(x), expected)
    assert type(again) is type(module)
    assert [name for name, _ in again.named_parameters()] == [
        name for name, _ in module.named_parameters()
    ]
    with torch.no_grad():
        for p in again.parameters():
            p.fill_(float("nan"))
    same(module(x), expected)


def test_a_state_dict_goes_through_a_file(module, x, same, request):
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    name = request.node.callspec.params["module"]
    again = build(name, seed=1)
    again.load_state_dict(torch.load(file, weights_only=True))
    same(again(x), module(x))


def test_hooks_of_load_state_dict_run_once():
    module = build("Linear")
    calls = []
    module.register_load_state_dict_pre_hook(lambda *args: calls.append("before"))
    module.register_load_state_dict_post_hook(lambda *args: calls.append("after"))
    module.load_state_dict(module.state_dict())
    assert calls == ["before", "after"]


# --- training


def test_parameters_are_those_of_the_inner_modules(module):
    names = [name for name, _ in inner(module).named_parameters()]
    assert [name.split("module_list.")[1] for name, _ in module.named_parameters()] == names
    assert {id(p) for p in module.parameters()} == {id(p) for p in inner(module).parameters()}


def test_frozen_modules_still_let_gradients_through(module, x):
    module.requires_grad_(False)
    assert not any(b.values.requires_grad for b in module(x))
    x = requires_grad(x)
    loss_of(module(x)).backward()
    assert all(p.grad is None for p in module.parameters())
    assert all(b.values.grad is not None for b in x)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
        lambda p: torch.optim.AdamW(p, lr=0.01),
    ],
    ids=["SGD", "AdamW"],
)
@pytest.mark.parametrize(
    "name", ["Linear", "LayerNorm", "Sequential", "Sequential of others", "EquivariantTransformation"]
)
def test_steps_of_an_optimizer_are_those_of_plain_torch(optimizer, name, x):
    module, twin = build(name), build(name)
    one, other = optimizer(module.parameters()), optimizer(twin.parameters())
    losses = []
    for _ in range(5):
        for o, out in ((one, lambda: module(x)), (other, lambda: plain_values(twin, x))):
            o.zero_grad()
            losses.append(loss_of(out()))
            losses[-1].backward()
            o.step()
    assert losses[0] != losses[2]
    for mine, theirs in zip(module.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)


def test_inference_mode(module, x, same):
    expected = module(x)
    with torch.inference_mode():
        out = module(x)
    for block, given in zip(out, x, strict=True):
        assert block.values.is_inference() == (block.values is not given.values)
        assert not block.properties.values.is_inference()
    same(out, expected)
    same(module(x), expected)
