"""torch.func on the modules: maps are pytrees whose leaves are values."""

import copy
import runpy
from pathlib import Path

import pytest
import torch
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, stack_module_state, vmap
from torch.utils._pytree import tree_leaves, tree_map

from tmref import Labels, TensorMap

shared = runpy.run_path(str(Path(__file__).with_name("test_torch_modules.py")))
build, covariant, inner, loss_of, plain, requires_grad = (
    shared[name] for name in ("build", "covariant", "inner", "loss_of", "plain", "requires_grad")
)
KEYS, MODULES, module, plain_values = (
    shared[name] for name in ("KEYS", "MODULES", "module", "plain_values")
)
WITH_PARAMETERS = [name for name in MODULES if name not in ("ReLU", "InvariantSiLU", "Tanh")]


@pytest.fixture
def x():
    """A small map: its Jacobians are cheap."""
    return covariant(samples=(2, 1, 1))


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def parameters_of(module):
    return dict(module.named_parameters())


# --- parameters


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_functional_call_uses_other_parameters(name, x, same):
    module, other = build(name), build(name, seed=1)
    expected = module(x)
    same(functional_call(module, parameters_of(other), (x,)), other(x))
    same(module(x), expected)


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_grad_over_parameters(name, x):
    module = build(name)
    found = grad(lambda p: loss_of(functional_call(module, p, (x,))))(parameters_of(module))
    loss_of(plain_values(module, x)).backward()
    assert list(found) == list(parameters_of(module))
    for name, p in module.named_parameters():
        close(found[name], p.grad)


@pytest.mark.parametrize("name", ["Linear", "LayerNorm", "EquivariantTransformation"])
def test_hessian_over_parameters(name, x):
    module = build(name)
    p = parameters_of(module)
    found = hessian(lambda p: loss_of(functional_call(module, p, (x,))))(p)
    values = list(p.values())
    gradients = torch.autograd.grad(loss_of(plain_values(module, x)), values, create_graph=True)
    total = 0.0
    for (row, of_row), gradient in zip(found.items(), gradients, strict=True):
        for (column, entry), value in zip(of_row.items(), values, strict=True):
            expected = [
                torch.autograd.grad(g, value, retain_graph=True, allow_unused=True)[0]
                if g.requires_grad
                else None
                for g in gradient.flatten()
            ]
            expected = [torch.zeros_like(value) if e is None else e for e in expected]
            close(entry, torch.stack(expected).reshape(entry.shape))
            assert entry.shape == p[row].shape + p[column].shape
            total += float(entry.detach().abs().sum())
    assert total > 0


@pytest.mark.parametrize("on", ["cpu", "meta"])
@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_vmap_over_stacked_parameters(on, name, x):
    modules = [build(name, seed=seed) for seed in range(3)]
    parameters, buffers = stack_module_state(modules)
    base = copy.deepcopy(modules[0]).to(on)
    out = vmap(lambda p, b: functional_call(base, (p, b), (x,)))(parameters, buffers)
    assert type(out) is TensorMap
    for i, module in enumerate(modules):
        for a, b in zip(out, module(x), strict=True):
            close(a.values[i], b.values)
            assert a.properties == b.properties
            assert a.device == a.properties.device == torch.device("cpu")


# --- values


def test_grad_over_values(module, x):
    found = grad(lambda x: loss_of(module(x)))(x)
    assert type(found) is TensorMap
    x = requires_grad(x)
    loss_of(plain_values(module, x)).backward()
    for a, b in zip(found, x, strict=True):
        close(a.values, b.values.grad)
        assert (a.samples, a.components, a.properties) == (b.samples, b.components, b.properties)


@pytest.mark.parametrize("jacobian", [jacrev, jacfwd], ids=["jacrev", "jacfwd"])
def test_jacobians_over_values(jacobian, module, x):
    found = jacobian(module)(x)
    for i, (row, m) in enumerate(zip(found, inner(module), strict=True)):
        # where values of the output would stand is a map like the input
        assert type(row.values) is TensorMap
        assert row.values.keys == x.keys
        for j, (block, given) in enumerate(zip(row.values, x, strict=True)):
            expected = torch.autograd.functional.jacobian(plain(m), given.values.clone())
            if i == j:
                close(block.values, expected)
            else:
                assert not block.values.any()


@pytest.mark.parametrize("module", ["Tanh", "LayerNorm", "EquivariantTransformation"], indirect=True)
def test_hessians_over_values(module, x):
    found = hessian(lambda x: loss_of(module(x)))(x)
    for i, (row, block) in enumerate(zip(found, x, strict=True)):
        factor, m = i + 1, plain(inner(module)[i])

        def loss(v, factor=factor, m=m):
            return (factor * m(v).sin()).pow(2).sum()

        close(row.values[i].values, torch.autograd.functional.hessian(loss, block.values.clone()))
        others = [b.values for j, b in enumerate(row.values) if j != i]
        assert not any(v.any() for v in others)


def test_jvp_over_values(module, x):
    direction = tree_map(torch.cos, x)
    out, pushed = jvp(module, (x,), (direction,))
    assert type(pushed) is TensorMap
    for a, m, block, tangent in zip(pushed, inner(module), x, direction, strict=True):
        expected = torch.autograd.functional.jvp(plain(m), block.values.clone(), tangent.values)[1]
        close(a.values, expected)
    close([b.values for b in out], [b.values for b in module(x)])


def test_vmap_over_stacked_values(module, x):
    maps = [x, tree_map(lambda v: 2 * v, x), tree_map(torch.sin, x)]
    stacked = tree_map(lambda *values: torch.stack(values), *maps)
    out = vmap(module)(stacked)
    for i, one in enumerate(maps):
        for a, b in zip(out, module(one), strict=True):
            close(a.values[i], b.values)
            assert (a.samples, a.components, a.properties) == (b.samples, b.components, b.properties)


def test_vmap_over_other_axes(x):
    module = build("Linear")
    maps = [x, tree_map(torch.sin, x)]
    stacked = tree_map(lambda *values: torch.stack(values, -1), *maps)
    out = vmap(module, in_dims=-1, out_dims=1)(stacked)
    for i, one in enumerate(maps):
        close([b.values[:, i] for b in out], [b.values for b in module(one)])


@pytest.mark.parametrize("name", ["Sequential", "EquivariantTransformation"])
def test_gradients_of_every_map_by_itself(name, x):
    module = build(name)
    maps = [x, tree_map(torch.sin, x)]
    stacked = tree_map(lambda *values: torch.stack(values), *maps)
    loss = lambda p, x: loss_of(functional_call(module, p, (x,)))  # noqa: E731
    p = parameters_of(module)
    found = vmap(grad(loss), in_dims=(None, 0))(p, stacked)
    for i, one in enumerate(maps):
        for a, b in zip(tree_leaves(found), tree_leaves(grad(loss)(p, one)), strict=True):
            close(a[i], b)


def test_maps_of_other_labels_are_not_mixed(x):
    with pytest.raises(ValueError, match="context"):
        tree_map(torch.add, x, covariant(samples=(2, 1, 1), first=1))


def test_random_modules_draw_for_every_map(x):
    from tmref.nn import ModuleMap

    module = ModuleMap(KEYS, [torch.nn.Dropout(0.5) for _ in KEYS])
    stacked = tree_map(lambda v: torch.stack([v] * 4), x)
    out = vmap(module, randomness="different")(stacked)
    assert len({tuple((out[0].values[i] == 0).flatten().tolist()) for i in range(4)}) > 1
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(module)(stacked)


@pytest.mark.parametrize("rows", [[2, 0], [1]], ids=str)
def test_transforms_of_fewer_keys(rows, x):
    module = build("ModuleMap")
    keys = Labels(KEYS.names, KEYS.values[rows])
    some = TensorMap(keys, [x[i].copy() for i in rows])
    found = grad(lambda x: loss_of(module(x)))(some)
    for n, (i, a) in enumerate(zip(rows, found, strict=True)):
        v = some[n].values.clone().requires_grad_()
        ((n + 1) * plain(inner(module)[i])(v).sin()).pow(2).sum().backward()
        close(a.values, v.grad)
