"""Modules of half, complex and mixed precision do what torch's own do, and refuse what they refuse."""

import runpy
from pathlib import Path

import pytest
import torch

from tmref import TensorMap
from tmref.nn import Linear, ModuleMap

shared = runpy.run_path(str(Path(__file__).with_name("test_torch_modules.py")))
build, covariant, inner, loss_of, plain_values = (
    shared[name] for name in ("build", "covariant", "inner", "loss_of", "plain_values")
)
KEYS, MODULES = shared["KEYS"], shared["MODULES"]

HALF = [torch.float16, torch.bfloat16]
COMPLEX = [torch.complex64, torch.complex128]


@pytest.fixture(params=list(MODULES))
def name(request):
    """The name of each of the modules."""
    return request.param


def exact(values):
    """Values as torch can compare them with float64."""
    return values.to(torch.complex128 if values.is_complex() else torch.float64)


def outcome(function):
    """What a function returns, or the error that it raises."""
    try:
        return function()
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("samples", [(2, 3, 4), (40, 30, 20)], ids=["small", "large"])
@pytest.mark.parametrize("dtype", [*HALF, torch.float32], ids=str)
def test_real_dtypes(dtype, samples, name):
    x = covariant(samples=samples, properties=8, dtype=dtype)
    module = build(name, n=8, dtype=dtype)
    # what it should be: the same parameters and values, which are rounded already, in float64
    reference = build(name, n=8, dtype=dtype).double()
    expected = plain_values(reference, x.to(torch.float64))
    out, theirs = module(x), plain_values(module, x)
    assert out.dtype == dtype
    assert {v.dtype for v in theirs} == {dtype}
    for i, (block, plain, right) in enumerate(zip(out, theirs, expected, strict=True)):
        mine = (block.values.double() - right).abs().max()
        others = (plain.double() - right).abs().max()
        if "without mean" in name:  # for which torch has no module
            others = 2 * others
        assert mine <= others, f"error {mine} against {others} in block {i}"


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_gradients_of_half_precision(dtype, name):
    def gradients(forward, module, x):
        inputs = [b.values.requires_grad_() for b in x] + list(module.parameters())
        return torch.autograd.grad(loss_of(forward(module, x)), inputs)

    module, reference = build(name, dtype=dtype), build(name, dtype=dtype).double()
    found = gradients(lambda m, x: m(x), module, covariant(dtype=dtype))
    theirs = gradients(plain_values, module, covariant(dtype=dtype))
    right = gradients(plain_values, reference, covariant(dtype=dtype).to(torch.float64))
    for a, b, c in zip(found, theirs, right, strict=True):
        assert a.dtype == dtype
        rounding = torch.finfo(dtype).eps * c.abs().max()
        assert (a.double() - c).abs().max() <= 2 * (b.double() - c).abs().max() + rounding


# torch: "Complex modules are a new feature under active development"
@pytest.mark.filterwarnings("ignore:Complex modules are a new feature:UserWarning")
@pytest.mark.parametrize("dtype", COMPLEX, ids=str)
def test_complex_dtypes(dtype, name):
    module = build(name).to(dtype)
    x = covariant()
    for i, block in enumerate(x):
        block.values.mul_(1 + i)
    x = TensorMap(KEYS, [_times(b, 0.5 + 1j) for b in x.to(dtype)])
    found, expected = outcome(lambda: module(x)), outcome(lambda: plain_values(module, x))
    if isinstance(expected, tuple) or name == "LayerNorm without mean":
        assert isinstance(found, tuple), "torch's refuses, this one doesn't"
        return
    assert isinstance(found, TensorMap), f"torch's doesn't refuse, this one: {found}"
    for block, values in zip(found, expected, strict=True):
        assert block.values.dtype == values.dtype
        torch.testing.assert_close(block.values, values)
    assert any(values.imag.abs().max() > 0.1 for values in expected)


def _times(block, factor):
    block = block.copy()
    block.values.mul_(factor)
    return block


@pytest.mark.parametrize(
    ("of_module", "of_map"),
    [
        (torch.float32, torch.float64),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.bfloat16),
        (torch.float64, torch.int64),
        (torch.float64, torch.bool),
    ],
    ids=str,
)
def test_values_of_another_dtype_than_the_parameters(of_module, of_map, name):
    module = build(name, dtype=of_module)
    x = covariant().to(of_map)
    found, expected = outcome(lambda: module(x)), outcome(lambda: plain_values(module, x))
    if isinstance(expected, tuple) and "without mean" not in name:
        assert isinstance(found, tuple)
        assert found[0] is expected[0] or found[0] is ValueError
    elif name == "LayerNorm without mean":  # for which torch has no module: as torch's with it
        assert isinstance(found, tuple) or found.dtype == of_map
    elif len({v.dtype for v in expected}) == 1:
        assert found.dtype == expected[0].dtype
    else:
        assert found[0] is ValueError
        assert found[1].startswith("the modules must return values of one dtype, got ")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_autocast(dtype, name):
    module, x = build(name, dtype=torch.float32), covariant(dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = outcome(lambda: module(x)), plain_values(module, x)
    dtypes = {v.dtype for v in expected}
    if name == "EquivariantTransformation":  # of one dtype, that of the module of the invariants
        dtypes = {expected[0].dtype}
    if name == "LayerNorm without mean":  # for which torch has no module: as it came
        dtypes = {dtype}
    if len(dtypes) > 1:  # a map can't have both
        assert found[0] is ValueError
        assert found[1].startswith("the modules must return values of one dtype, got ")
        return
    assert {found.dtype} == dtypes
    for block, values in zip(found, expected, strict=True):
        torch.testing.assert_close(block.values, values.to(found.dtype), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("name", ["Linear", "EquivariantLinear", "ModuleMap"])
def test_autocast_of_linear_layers_is_exactly_torchs(name):
    module, x = build(name, dtype=torch.float32), covariant(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        out, expected = module(x), plain_values(module, x)
    assert out.dtype == torch.bfloat16
    assert all(torch.equal(b.values, v) for b, v in zip(out, expected, strict=True))
    loss_of(out.to(torch.float32)).backward()
    assert all(p.grad.dtype == torch.float32 for p in module.parameters())


@pytest.mark.parametrize("position", [1, 2])
def test_modules_that_return_mixed_dtypes_are_refused(position, refused):
    class To(torch.nn.Module):
        def __init__(self, dtype):
            super().__init__()
            self.dtype = dtype

        def forward(self, x):
            return x.to(self.dtype)

    dtypes = [torch.float32] * 3
    dtypes[position] = torch.float64
    module = ModuleMap(KEYS, [To(dtype) for dtype in dtypes])
    key = ["", "(o3_lambda=1, o3_sigma=1)", "(o3_lambda=1, o3_sigma=-1)"][position]
    message = (
        "the modules must return values of one dtype, got torch.float32 from that of "
        f"(o3_lambda=0, o3_sigma=1) and torch.float64 from that of {key}"
    )
    with refused(ValueError, message):
        module(covariant())


def test_the_default_dtype_is_that_of_parameters():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        module = Linear(KEYS, 4, 2)
    finally:
        torch.set_default_dtype(before)
    assert {p.dtype for p in module.parameters()} == {torch.float64}
    assert module(covariant()).dtype == torch.float64


@pytest.mark.parametrize("method", ["half", "bfloat16", "double", "float"])
def test_conversions_leave_keys_and_properties_alone(method, name):
    module = build(name)
    x = covariant()
    before = [(b.properties, b.properties.values.dtype) for b in module(x)]
    converted = getattr(module, method)()
    dtype = getattr(torch.zeros(0), method)().dtype
    out = converted(x.to(dtype))
    assert out.dtype == dtype
    assert [(b.properties, b.properties.values.dtype) for b in out] == before
    assert len(inner(module)) == len(KEYS)
