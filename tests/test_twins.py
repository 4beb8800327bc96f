"""The twins of plain torch that torch.nn has no module of: against torch's, and formulas by hand."""

import math

import pytest
import torch

from tmref.catalog.kinds.equivariant import CovariantTwin
from tmref.catalog.kinds.layer_norm import LayerNorm, LayerNormTwin

EPS = LayerNormTwin(1).eps


def random(*shape, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, dtype=torch.float64, generator=generator)


def with_random_parameters(module, seed=1):
    """The module with other parameters than the initial ones, negative ones among them."""
    for i, parameter in enumerate(module.parameters()):
        parameter.data = random(*parameter.shape, seed=seed + i)
    return module


# --- LayerNorm

AFFINE = [
    {},
    {"bias": False},
    {"elementwise_affine": False},
    {"elementwise_affine": False, "bias": False},
]
affine = pytest.mark.parametrize("options", AFFINE, ids=lambda o: " ".join(o) or "all")


@affine
@pytest.mark.parametrize("shape", [(4, 3), (1, 1), (0, 3), (5, 2)], ids=str)
def test_without_components_a_layer_norm_is_torchs(options, shape):
    twin = with_random_parameters(LayerNormTwin(shape[-1], **options, dtype=torch.float64))
    theirs = torch.nn.LayerNorm(shape[-1], **options, dtype=torch.float64)
    theirs.load_state_dict(twin.state_dict())
    ours, x = [random(*shape).requires_grad_() for _ in "12"]
    y, z = twin(ours), theirs(x)
    torch.testing.assert_close(y, z)
    cotangent = random(*shape, seed=7)
    found = torch.autograd.grad(y, [ours, *twin.parameters()], cotangent)
    torch.testing.assert_close(found, torch.autograd.grad(z, [x, *theirs.parameters()], cotangent))


def test_with_the_same_parameters_everywhere_it_is_torchs_of_all_axes():
    x = random(4, 3, 2)
    torch.testing.assert_close(
        LayerNormTwin(2, dtype=torch.float64)(x), torch.nn.functional.layer_norm(x, (3, 2))
    )


@pytest.mark.parametrize("mean", [True, False])
@affine
@pytest.mark.parametrize("shape", [(3, 2), (2, 3, 2), (2, 1, 3), (2, 2, 3, 2), (2, 1, 1)], ids=str)
def test_a_layer_norm_by_hand(options, mean, shape):
    twin = with_random_parameters(LayerNormTwin(shape[-1], **options, mean=mean, dtype=torch.float64))
    x = random(*shape, scale=3)
    y = twin(x)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    for sample, of_sample in zip(x, y, strict=True):
        numbers = sample.flatten().tolist()
        mu = sum(numbers) / len(numbers)
        root = math.sqrt(sum((n - mu) ** 2 for n in numbers) / len(numbers) + EPS)
        for row, of_row in zip(
            sample.reshape(-1, shape[-1]), of_sample.reshape(-1, shape[-1]), strict=True
        ):
            for p, (value, found) in enumerate(zip(row.tolist(), of_row.tolist(), strict=True)):
                expected = (value - mu if mean else value) / root
                if twin.weight is not None:
                    expected *= twin.weight[p].item()
                if twin.bias is not None:
                    expected += twin.bias[p].item()
                assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_a_layer_norm_in_numbers():
    x = torch.tensor([[[3.0, -1.0], [1.0, 1.0]]], dtype=torch.float64)  # mean 1, variance 2
    root = math.sqrt(2 + 1e-5)
    of_mean = torch.tensor([[[2 / root, -2 / root], [0.0, 0.0]]], dtype=torch.float64)
    torch.testing.assert_close(LayerNormTwin(2, dtype=torch.float64)(x), of_mean)
    torch.testing.assert_close(LayerNormTwin(2, mean=False, dtype=torch.float64)(x), x / root)


def test_the_parameters_of_a_layer_norm_start_at_one_and_zero():
    twin = LayerNormTwin(3, dtype=torch.float64)
    assert {name: p.tolist() for name, p in twin.named_parameters()} == {
        "weight": [1, 1, 1],
        "bias": [0, 0, 0],
    }
    assert {p.dtype for p in twin.parameters()} == {torch.float64}
    assert {p.dtype for p in LayerNormTwin(3).parameters()} == {torch.float32}


@affine
def test_a_layer_norm_has_the_parameters_that_torchs_has(options):
    names = [name for name, _ in LayerNormTwin(3, **options).named_parameters()]
    assert names == [name for name, _ in torch.nn.LayerNorm(3, **options).named_parameters()]


@pytest.mark.parametrize("shape", [(2, 0), (0, 0), (2, 3, 0), (0, 3, 2)], ids=str)
@pytest.mark.parametrize("mean", [True, False])
def test_nothing_is_normed_to_nothing(shape, mean):
    y = LayerNormTwin(shape[-1], mean=mean)(torch.zeros(shape))
    assert y.shape == shape


def layer_norms():
    """Layer norms of random values and parameters: of all options, and variances from 0 to large."""
    for seed in range(60):
        components = [(), (1,), (3,), (2, 3)][seed % 4]
        width = 1 + seed % 3
        options = AFFINE[seed // 4 % 4]
        twin = LayerNormTwin(width, **options, mean=bool(seed // 2 % 2), dtype=torch.float64)
        x = random(2, *components, width, seed=seed, scale=[1e-4, 1e-2, 1.0, 30.0][seed // 3 % 4])
        if seed % 5 == 0:
            x = x[:1, ..., :1].expand_as(x).clone()  # less variance
        yield with_random_parameters(twin, seed=seed), x


def bounded(twin, x, least=0.0):
    """The bounds of the kind, for values that are what they are: as a tensor."""
    (found,) = LayerNorm("LayerNorm").bounds(twin, x, x.abs(), least)
    return found


def largest(twin, x):
    """The largest bound of a derivative."""
    return bounded(twin, x, 1.0).max().item()


def test_the_bound_bounds_the_values_and_what_is_summed_for_them():
    for twin, x in layer_norms():
        y, bound = twin(x), bounded(twin, x)
        assert bound.shape == y.shape
        assert bool((y.abs() <= bound).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_bound_bounds_the_rounding(dtype):
    """Of values that are rounded themselves: what comes of it is a few eps times the bound."""
    eps, found = torch.finfo(dtype).eps, []
    for twin, x in layer_norms():
        rounded = twin(x.to(dtype).double())
        found.append(((rounded - twin(x)).abs() / bounded(twin, x)).max().item() / eps)
    assert 0.01 < max(found) < 1


def test_the_bound_is_small_where_the_variance_is_not():
    x = torch.tensor([[1.0, -1.0], [2.0, -2.0]], dtype=torch.float64)
    twin = LayerNormTwin(2, dtype=torch.float64)
    assert bounded(twin, x).max().item() < 5
    twin.weight.data.mul_(3)
    twin.bias.data.sub_(7)
    assert bounded(twin, x).max().item() < 3 * 5 + 7


def jacobians(twin, x):
    """The derivatives of all values by the input, and by each of the parameters."""

    def of(values, *parameters):
        named = dict(zip(dict(twin.named_parameters()), parameters, strict=True))
        return torch.func.functional_call(twin, named, (values,))

    return torch.autograd.functional.jacobian(of, (x, *twin.parameters()))


def test_the_bound_bounds_every_derivative_by_the_input():
    for twin, x in layer_norms():
        assert jacobians(twin, x)[0].abs().max().item() <= largest(twin, x)


def test_the_bound_bounds_every_derivative_by_the_parameters():
    for twin, x in layer_norms():
        for derivative in jacobians(twin, x)[1:]:
            assert derivative.abs().max().item() <= largest(twin, x)


def test_the_bound_is_no_more_than_the_factor_of_a_variance_of_zero():
    """It is reached but for a factor of 4 where it is the tightest there can be."""
    twin = LayerNormTwin(1, dtype=torch.float64)
    x = torch.full((1, 1), 8.0, dtype=torch.float64)
    assert bounded(twin, x).item() == pytest.approx(2 * 8 / math.sqrt(EPS))
    assert bounded(twin, torch.zeros(1, 1, dtype=torch.float64)).item() == 0
    assert largest(twin, torch.zeros(1, 1, dtype=torch.float64)) == pytest.approx(2 / math.sqrt(EPS))


# --- Covariant


@pytest.mark.parametrize("shape", [(3, 2, 4), (1, 1, 1), (2, 3, 2, 2), (0, 3, 2), (2, 3, 0)], ids=str)
def test_a_covariant_block_by_hand(shape):
    x = random(*shape)
    y = CovariantTwin(torch.nn.Tanh())(x)
    assert y.shape == x.shape
    for sample, of_sample in zip(x, y, strict=True):
        for p in range(shape[-1]):
            numbers = sample[..., p].flatten().tolist()
            factor = math.tanh(math.sqrt(sum(n * n for n in numbers)))
            torch.testing.assert_close(of_sample[..., p], factor * sample[..., p])


def test_the_module_of_a_covariant_block_mixes_properties():
    linear = with_random_parameters(torch.nn.Linear(2, 2, dtype=torch.float64))
    x = random(4, 3, 2)
    norms = torch.stack([x[..., p].square().sum(1).sqrt() for p in range(2)], 1)
    factors = norms @ linear.weight.T + linear.bias
    expected = torch.stack([factors[:, p, None] * x[..., p] for p in range(2)], 2)
    torch.testing.assert_close(CovariantTwin(linear)(x), expected)


def test_a_covariant_block_of_one_component_is_its_magnitude():
    x = torch.tensor([[[2.0]], [[-2.0]], [[0.0]]], dtype=torch.float64)
    expected = torch.tensor([math.tanh(2) * 2, math.tanh(2) * -2, 0], dtype=torch.float64)
    assert torch.equal(CovariantTwin(torch.nn.Tanh())(x).flatten(), expected)


def test_what_is_rotated_before_is_rotated_after():
    twin = CovariantTwin(torch.nn.Tanh())
    rotation = torch.linalg.qr(random(3, 3, seed=3)).Q
    x = random(4, 3, 2)
    rotated = torch.einsum("ij,sjp->sip", rotation, x)
    torch.testing.assert_close(twin(rotated), torch.einsum("ij,sjp->sip", rotation, twin(x)))


def test_the_derivatives_of_a_covariant_block_are_those_of_finite_differences():
    x = random(2, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(CovariantTwin(torch.nn.Tanh()), x)


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_where_the_norm_is_zero_its_derivative_is_taken_to_be_zero(shift):
    class Shifted(torch.nn.Module):
        def forward(self, norm):
            return norm + shift

    x = torch.tensor([[[0.0, 3.0], [0.0, 4.0]]], dtype=torch.float64, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian(CovariantTwin(Shifted()), x)[0, :, :, 0]
    # y = (‖x‖ + s) x: the derivative at 0 is s, with no NaN anywhere, also in the second one
    assert torch.equal(jacobian[:, 0, :, 0], shift * torch.eye(2, dtype=torch.float64))
    assert not bool(jacobian[:, 0, :, 1].any())
    hessian = torch.autograd.functional.hessian(lambda v: CovariantTwin(Shifted())(v).sum(), x)
    assert bool(hessian.isfinite().all())


def test_the_parameters_of_a_covariant_block_are_those_of_its_module():
    linear = torch.nn.Linear(2, 2)
    assert [name for name, _ in CovariantTwin(linear).named_parameters()] == [
        "module.weight",
        "module.bias",
    ]
