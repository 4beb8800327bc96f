"""Derivatives of the modules by autograd, of the first and the second order."""

import runpy
from pathlib import Path

import pytest
import torch
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from tmref import TensorBlock, TensorMap
from tmref.nn import ModuleMap

shared = runpy.run_path(str(Path(__file__).with_name("test_torch_modules.py")))
build, covariant, inner, loss_of, plain_values, requires_grad = (
    shared[name] for name in ("build", "covariant", "inner", "loss_of", "plain_values", "requires_grad")
)
KEYS, MODULES = shared["KEYS"], shared["MODULES"]


@pytest.fixture(params=list(MODULES))
def module(request):
    """Each of the modules, for 3 properties."""
    return build(request.param, n=3)


@pytest.fixture
def x():
    """A small map of 3 properties."""
    return covariant(samples=(2, 1, 1), properties=3)


@pytest.fixture
def function(module, x):
    """The values of the output as a function of values and parameters, and some of these."""
    names = [name for name, _ in module.named_parameters()]

    def function(*tensors):
        blocks = [
            TensorBlock(values, b.samples, b.components, b.properties)
            for values, b in zip(tensors[: len(x)], x, strict=True)
        ]
        parameters = dict(zip(names, tensors[len(x) :], strict=True))
        return tuple(b.values for b in functional_call(module, parameters, (TensorMap(KEYS, blocks),)))

    return function, [b.values for b in requires_grad(x)] + list(module.parameters())


def test_first_derivatives(function):
    f, inputs = function
    assert torch.autograd.gradcheck(f, inputs, check_forward_ad=True)


def test_second_derivatives(function):
    f, inputs = function
    assert torch.autograd.gradgradcheck(f, inputs, fast_mode=True)


def _second_order(module, x, forward):
    """First and second derivatives of a loss with respect to values and parameters."""
    x = requires_grad(x)
    inputs = [b.values for b in x] + list(module.parameters())
    first = torch.autograd.grad(loss_of(forward(x)), inputs, create_graph=True)
    second = torch.autograd.grad(sum(g.cos().sum() for g in first), inputs, allow_unused=True)
    return first, second


def test_derivatives_are_those_of_plain_torch(module, x):
    found = _second_order(module, x, module)
    expected = _second_order(module, x, lambda x: plain_values(module, x))
    for a, b in zip(found[0] + found[1], expected[0] + expected[1], strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)
    assert any(a is not None and a.any() for a in found[1])


@pytest.mark.parametrize("where", ["everywhere", "in one sample", "in one property"])
def test_derivatives_at_zero_are_finite(where, module, x):
    index = {"everywhere": ..., "in one sample": 0, "in one property": (..., 1)}[where]
    x = x.copy()
    for block in x:
        block.values[index] = 0
    x = requires_grad(x)
    inputs = [b.values for b in x] + list(module.parameters())
    out = module(x)
    assert all(b.values.isfinite().all() for b in out)
    with torch.autograd.set_detect_anomaly(True):  # it names the function that returns NaN
        first = torch.autograd.grad(loss_of(out), inputs, create_graph=True)
        second = torch.autograd.grad(
            sum((g + 1).pow(2).sum() for g in first), inputs, create_graph=True, allow_unused=True
        )
        second = [g for g in second if g is not None]
        connected = [g for g in second if g.requires_grad]
        third = (
            torch.autograd.grad(sum(g.pow(2).sum() for g in connected), inputs, allow_unused=True)
            if connected
            else []
        )
    for g in [*first, *second, *third]:
        assert g is None or g.isfinite().all()


def test_anomaly_mode_changes_nothing_and_finds_nan(x):
    module = build("Sequential", n=3)
    expected = _second_order(module, x, module)
    with torch.autograd.set_detect_anomaly(True):
        found = _second_order(module, x, module)
        assert all(torch.equal(a, b) for a, b in zip(found[0], expected[0], strict=True))
        bad = requires_grad(x)
        root = ModuleMap(KEYS, [_Root() for _ in KEYS])
        with (
            pytest.warns(UserWarning, match="Error detected in SqrtBackward0"),
            pytest.raises(RuntimeError, match="returned nan values"),
        ):
            loss_of(root(bad)).backward()


class _Root(torch.nn.Module):
    def forward(self, x):
        return torch.sqrt(x - x) * 0


def test_checkpoint_gives_the_same_and_runs_twice(module, x):
    calls = []
    for m in inner(module):
        m.register_forward_hook(lambda *args: calls.append(1))
    one, other = requires_grad(x), requires_grad(x)
    loss_of(module(one)).backward()
    expected = [p.grad.clone() for p in module.parameters()]
    module.zero_grad()
    assert len(calls) == 3
    with set_checkpoint_early_stop(False):
        out = checkpoint(module, other, use_reentrant=False)
    assert type(out) is TensorMap
    assert len(calls) == 6
    loss_of(out).backward()
    assert len(calls) == 9
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a.values.grad, b.values.grad)
    assert all(torch.equal(p.grad, e) for p, e in zip(module.parameters(), expected, strict=True))
