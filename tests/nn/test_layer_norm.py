import itertools

import pytest
import torch

from tmref import Labels, TensorBlock, TensorMap
from tmref.nn import InvariantLayerNorm, LayerNorm

ONE = Labels.range("k", 1)
O3 = Labels(["o3_lambda", "o3_sigma"], torch.tensor([[1, 1], [0, 1], [0, -1], [2, 1]]))
F64 = torch.float64

#: mean, elementwise_affine, bias
OPTIONS = list(itertools.product([True, False], repeat=3))
SHAPES = [(5, 4), (3, 2, 4), (3, 2, 5, 4), (1, 1), (4, 1, 3)]

every_option = pytest.mark.parametrize(
    ("mean", "affine", "bias"), OPTIONS, ids=lambda on: "yes" if on else "no"
)
every_kind = pytest.mark.parametrize("kind", [LayerNorm, InvariantLayerNorm], ids=lambda k: k.__name__)


def options(mean, affine, bias):
    return {"mean": mean, "elementwise_affine": affine, "bias": bias, "dtype": F64}


def drawn(module, seed=0):
    """The module with random parameters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=F64))
    return module


def by_hand(x, norm, mean=True, eps=1e-5):
    """The formula, sample by sample, with the parameters of a norm."""
    rows = []
    for row in x:
        n = row.numel()
        mu = sum(row.flatten()) / n
        variance = sum((row.flatten() - mu) ** 2) / n
        y = (row - mu if mean else row) / (variance + eps) ** 0.5
        if norm.weight is not None:
            y = y * norm.weight
        rows.append(y if norm.bias is None else y + norm.bias)
    return torch.stack(rows)


# --- values


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("eps", [1e-5, 0.3])
@every_option
def test_the_formula(mean, affine, bias, eps, shape, only, valid):
    x = only(*shape)
    before = x[0].values.clone()
    module = drawn(LayerNorm(ONE, shape[-1], eps=eps, **options(mean, affine, bias)))
    out = module(x)
    expected = by_hand(before, module.module_map.module_list[0], mean, eps)
    assert torch.allclose(out[0].values, expected, rtol=1e-10, atol=1e-12)
    assert torch.equal(x[0].values, before)
    assert (out[0].samples, out[0].components) == (x[0].samples, x[0].components)
    assert out[0].properties == Labels.range("_", shape[-1])
    valid(out)


def test_without_a_mean_the_variance_is_about_the_mean_all_the_same():
    values = torch.tensor([[3.0, 5.0]], dtype=F64)
    x = TensorMap(ONE, [TensorBlock(values, ONE, [], Labels.range("p", 2))])
    assert torch.equal(LayerNorm(ONE, 2, eps=0.0, mean=False, dtype=F64)(x)[0].values, values)
    centred = LayerNorm(ONE, 2, eps=0.0, dtype=F64)(x)[0].values
    assert torch.equal(centred, torch.tensor([[-1.0, 1.0]], dtype=F64))


@pytest.mark.parametrize(("affine", "bias"), [(True, True), (True, False), (False, False)])
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_without_components_it_is_torchs(affine, bias, eps, only):
    x = only(5, 4)
    module = drawn(LayerNorm(ONE, 4, eps=eps, **options(True, affine, bias)))
    twin = torch.nn.LayerNorm(4, eps, elementwise_affine=affine, bias=bias, dtype=F64)
    assert [p.shape for p in twin.parameters()] == [p.shape for p in module.parameters()]
    with torch.no_grad():
        for mine, other in zip(module.parameters(), twin.parameters(), strict=True):
            other.copy_(mine)
    assert torch.equal(module(x)[0].values, twin(x[0].values))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("eps", [1e-5, 0.3])
@every_kind
@every_option
def test_values_agree_with_metatensor(kind, mean, affine, bias, eps, seed, block, to_mts, mts):
    shapes = [(3, 4), (2, 3, 4), (1, 2, 3, 4)][seed]
    x = TensorMap(O3, [block(*shapes, seed=10 * seed + i) for i in range(4)])
    arguments = {"eps": eps, **options(mean, affine, bias)}
    properties = [Labels("p", torch.arange(4).reshape(4, 1) + i) for i in range(4)]
    ours = drawn(kind(O3, 4, properties, **arguments), seed)
    theirs = getattr(mts.learn.nn, kind.__name__)(
        to_mts(O3), 4, [to_mts(p) for p in properties], **arguments
    )
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.copy_(mine)
    expected = theirs(to_mts(x.copy()))  # a copy: it overwrites its input where mean is False
    assert mts.operations.allclose(to_mts(ours(x)), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("scale", [1, 500])
@pytest.mark.parametrize("shape", [(5, 8), (5, 3, 8)], ids=str)
def test_narrow_dtypes(shape, scale, dtype, mean, block):
    x = block(*shape)
    x = TensorBlock((x.values * scale).to(dtype), x.samples, x.components, x.properties)
    narrow, wide = (LayerNorm(ONE, 8, mean=mean, dtype=d) for d in (dtype, F64))
    out = narrow(TensorMap(ONE, [x]))[0].values
    expected = wide(TensorMap(ONE, [x.to(F64)]))[0].values
    if mean and len(shape) == 2:
        torchs = torch.nn.functional.layer_norm(x.values, (8,))
        assert (torchs - expected).abs().max() < 4 * torch.finfo(dtype).eps
    assert out.dtype == dtype
    assert (out - expected).abs().max() < 4 * torch.finfo(dtype).eps


# --- one for each key


@pytest.fixture
def four(block):
    """A map for the keys O3: blocks of 2, 3, 4 and 5 properties, all with a component."""
    return TensorMap(O3, [block(3, 2, 2 + i, seed=i) for i in range(4)])


PER_KEY = {
    "in_features": [2, 3, 4, 5],
    "eps": [0.1, 0.2, 0.3, 0.4],
    "elementwise_affine": [True, True, False, True],
    "bias": [True, False, True, False],
    "mean": [True, False, True, False],
}


@pytest.mark.parametrize("sequence", [list, tuple])
def test_a_list_has_one_for_each_key(sequence, four):
    module = drawn(LayerNorm(O3, dtype=F64, **{n: sequence(v) for n, v in PER_KEY.items()}))
    norms = module.module_map.module_list
    assert [norm.weight is not None for norm in norms] == [True, True, False, True]
    assert [norm.bias is not None for norm in norms] == [True, False, False, False]
    for a, b, norm, mean, eps in zip(
        module(four), four, norms, PER_KEY["mean"], PER_KEY["eps"], strict=True
    ):
        assert torch.allclose(a.values, by_hand(b.values, norm, mean, eps), rtol=1e-10)


LAMBDA_0 = Labels("o3_lambda", torch.tensor([[0]]))


@pytest.mark.parametrize("invariant_keys", [None, LAMBDA_0], ids=["default", "o3_lambda=0"])
@pytest.mark.parametrize("per", ["key", "invariant key"])
def test_a_list_has_one_for_each_key_or_each_invariant_key(per, invariant_keys, four):
    where = [1] if invariant_keys is None else [1, 2]
    given = PER_KEY
    if per == "invariant key":
        given = {name: [values[i] for i in where] for name, values in PER_KEY.items()}
    module = drawn(InvariantLayerNorm(O3, invariant_keys=invariant_keys, dtype=F64, **given))
    norms = module.module_map.module_list
    out = module(four)
    for i, (a, b, norm) in enumerate(zip(out, four, norms, strict=True)):
        if i in where:
            expected = by_hand(b.values, norm, PER_KEY["mean"][i], PER_KEY["eps"][i])
            assert (norm.weight is None) == (not PER_KEY["elementwise_affine"][i])
            assert not torch.allclose(expected, b.values)
        else:
            assert type(norm) is torch.nn.Identity
            expected = b.values
        assert torch.allclose(a.values, expected, rtol=1e-10)


def test_invariant_keys_may_have_all_dimensions_in_any_order(four):
    chosen = Labels(["o3_sigma", "o3_lambda"], torch.tensor([[1, 2], [-1, 0], [7, 7]]))
    norms = InvariantLayerNorm(O3, [2, 3, 4, 5], invariant_keys=chosen, dtype=F64).module_map.module_list
    assert [type(norm) is torch.nn.Identity for norm in norms] == [True, True, False, False]


def test_no_invariant_keys(four):
    keys = Labels(O3.names, O3.values[[0, 3]])
    module = InvariantLayerNorm(keys, [], eps=[], mean=[])
    assert list(module.parameters()) == []
    x = TensorMap(keys, [four[0].copy(), four[3].copy()])
    assert all(torch.equal(a.values, b.values) for a, b in zip(module(x), x, strict=True))


@every_kind
def test_out_properties_are_those_of_the_key(kind, block, selected):
    properties = [Labels("p", torch.arange(4).reshape(4, 1) + i) for i in range(4)]
    x = TensorMap(O3, [block(2, 4, seed=i) for i in range(4)])
    module = kind(O3, 4, properties, dtype=F64)
    assert [b.properties for b in module(x)] == properties
    assert [b.properties for b in module(selected(x, [2, 0]))] == [properties[2], properties[0]]
    assert [b.properties for b in kind(O3, 4, dtype=F64)(x)] == [Labels.range("_", 4)] * 4


# --- parameters


@every_kind
def test_parameters(kind, mts, to_mts):
    given = {"elementwise_affine": True, "bias": False}
    ours = kind(O3, 3, **given)
    theirs = getattr(mts.learn.nn, kind.__name__)(to_mts(O3), 3, **given)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    first = 0 if kind is LayerNorm else 1
    full = dict(kind(O3, 3).named_parameters())
    names = [f"module_map.module_list.{first}.{name}" for name in ("weight", "bias")]
    assert list(full)[:2] == names
    assert [full[name].tolist() for name in names] == [[1, 1, 1], [0, 0, 0]]
    assert len(full) == (8 if kind is LayerNorm else 2)
    assert {p.dtype for p in full.values()} == {torch.get_default_dtype()}


@every_kind
def test_dtype_and_device(kind):
    parameters = list(kind(O3, 3, dtype=torch.float16, device="meta").parameters())
    assert {(p.dtype, p.device.type) for p in parameters} == {(torch.float16, "meta")}


def test_options_are_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        LayerNorm(ONE, 3, None, 1e-5)
    with pytest.raises(TypeError, match="positional"):
        InvariantLayerNorm(O3, 3, None, None, 1e-5)


def test_reset_parameters_and_repr():
    module = drawn(LayerNorm(ONE, 2, eps=0.5)).module_map.module_list[0]
    module.reset_parameters()
    assert [module.weight.tolist(), module.bias.tolist()] == [[1, 1], [0, 0]]
    assert repr(module) == "_LayerNorm(eps=0.5, elementwise_affine=True)"


# --- refusals

INT = "must be int or a list of int, one for each key, got"
BOOL = "must be bool or a list of bool, one for each key, got"
FLOAT = "must be float or a list of float, one for each key, got"


@every_kind
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"in_keys": "k"}, TypeError, "in_keys must be Labels, got str"),
        ({"in_features": True}, TypeError, f"in_features {INT} True of type bool"),
        ({"in_features": 2.0}, TypeError, f"in_features {INT} 2.0 of type float"),
        ({"in_features": None}, TypeError, f"in_features {INT} None of type NoneType"),
        ({"in_features": [3, 3, 3, "3"]}, TypeError, f"in_features {INT} '3' of type str"),
        (
            {"in_features": -1},
            ValueError,
            "in_features must be at least 0, got -1 for the key {first}",
        ),
        (
            {"in_features": [3] * 3},
            ValueError,
            "in_features must have one value for each of the 4 keys, got 3",
        ),
        (
            {"in_features": []},
            ValueError,
            "in_features must have one value for each of the 4 keys, got 0",
        ),
        ({"eps": 1}, TypeError, f"eps {FLOAT} 1 of type int"),
        ({"eps": "small"}, TypeError, f"eps {FLOAT} 'small' of type str"),
        ({"eps": [0.1] * 5}, ValueError, "eps must have one value for each of the 4 keys, got 5"),
        *(
            ({name: value}, error, f"{name} {message}")
            for name in ("elementwise_affine", "bias", "mean")
            for value, error, message in [
                (1, TypeError, f"{BOOL} 1 of type int"),
                (None, TypeError, f"{BOOL} None of type NoneType"),
                ([True, True, "no", True], TypeError, f"{BOOL} 'no' of type str"),
                ([True] * 3, ValueError, "must have one value for each of the 4 keys, got 3"),
            ]
        ),
        (
            {"out_properties": ONE},
            TypeError,
            "out_properties must be a list of Labels, one for each key, got Labels",
        ),
        (
            {"out_properties": [ONE]},
            ValueError,
            "out_properties must have one value for each of the 4 keys, got 1",
        ),
    ],
)
def test_arguments_that_cannot_work_are_refused(kind, arguments, error, message, refused):
    first = O3[0 if kind is LayerNorm else 1].print()
    with refused(error, message.format(first=first)):
        kind(**{"in_keys": O3, "in_features": 3, **arguments})


def test_a_negative_size_of_the_list_is_refused_by_its_key(refused):
    message = "in_features must be at least 0, got -5 for the key (o3_lambda=0, o3_sigma=-1)"
    with refused(ValueError, message):
        LayerNorm(O3, [1, 2, -5, 3])
    with refused(ValueError, message):
        InvariantLayerNorm(O3, [2, -5], invariant_keys=LAMBDA_0)


def test_invariant_keys_that_cannot_select_are_refused(refused):
    message = (
        "invariant_keys select by ['o3_lambda', 'o3_sigma'], but in_keys have no 'o3_lambda', they have "
        "['k']; give invariant_keys of dimensions that in_keys have"
    )
    with refused(ValueError, message):
        InvariantLayerNorm(ONE, 3)
    message = (
        "invariant_keys select by ['o3_lambda', 'n'], but in_keys have no 'n', they have "
        "['o3_lambda', 'o3_sigma']; give invariant_keys of dimensions that in_keys have"
    )
    with refused(ValueError, message):
        InvariantLayerNorm(O3, 3, invariant_keys=Labels(["o3_lambda", "n"], torch.tensor([[0, 1]])))
    with refused(TypeError, "invariant_keys must be Labels, got list"):
        InvariantLayerNorm(O3, 3, invariant_keys=[0])


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("shape", [(2, 5), (2, 4, 5), (0, 1)], ids=str)
def test_another_width_is_refused(shape, mean, only, refused):
    with refused(ValueError, f"the layer norm is of 4 features, got {shape[-1]}"):
        LayerNorm(ONE, 4, mean=mean, dtype=F64)(only(*shape))


def test_covariant_blocks_may_have_any_width(four):
    out = InvariantLayerNorm(O3, 3, dtype=F64)(four)
    for key, y, x in zip(O3, out, four, strict=True):
        assert (y.values is x.values) == (x.shape[-1] != 3), key


# --- sizes


@every_option
@pytest.mark.parametrize("shape", [(0, 4), (0, 3, 4), (2, 0), (2, 3, 0), (0, 0)], ids=str)
def test_no_values(shape, mean, affine, bias, only, valid):
    x = only(*shape)
    out = LayerNorm(ONE, shape[-1], **options(mean, affine, bias))(x)
    assert out[0].shape == shape
    valid(out)


@every_kind
def test_no_blocks(kind):
    x = TensorMap(Labels.empty(O3.names), [])
    assert len(kind(O3, 4)(x)) == 0
    assert len(kind(Labels.empty(O3.names), 4)(x)) == 0


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("shape", [(3, 2, 4), (3, 4)], ids=str)
def test_a_constant_sample_has_no_variance(mean, shape):
    values = torch.full(shape, 2.0, dtype=F64, requires_grad=True)
    axes = [Labels.range(f"axis_{i}", n) for i, n in enumerate(shape)]
    x = TensorMap(ONE, [TensorBlock(values, axes[0], axes[1:-1], axes[-1])])
    out = LayerNorm(ONE, 4, eps=0.25, mean=mean, dtype=F64)(x)[0].values
    assert torch.equal(out, torch.full(shape, 0.0 if mean else 4.0, dtype=F64))
    (gradient,) = torch.autograd.grad(out.sum(), values)
    assert gradient.isfinite().all()


# --- derivatives


def plain(module, values):
    """The module as a function of values alone."""
    axes = [Labels.range(f"axis_{i}", n) for i, n in enumerate(values.shape)]
    return module(TensorMap(ONE, [TensorBlock(values, axes[0], axes[1:-1], axes[-1])]))[0].values


@every_option
@pytest.mark.parametrize("shape", [(2, 3), (2, 2, 3)], ids=str)
def test_first_and_second_derivatives(shape, mean, affine, bias, block):
    module = drawn(LayerNorm(ONE, 3, eps=0.1, **options(mean, affine, bias)))
    names = [name for name, _ in module.named_parameters()]
    parameters = [p.detach().requires_grad_() for p in module.parameters()]
    x = block(*shape).values.requires_grad_()

    def function(x, *parameters):
        class Called(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.module = module

            def forward(self, x):
                return plain(self.module, x)

        replaced = {f"module.{n}": p for n, p in zip(names, parameters, strict=True)}
        return torch.func.functional_call(Called(), replaced, (x,))

    assert torch.autograd.gradcheck(function, (x, *parameters))
    assert torch.autograd.gradgradcheck(function, (x, *parameters))


@every_option
@pytest.mark.parametrize("rows", [[2, 0, 0, 1], [1], []], ids=str)
@pytest.mark.parametrize("extra", [(), (3,), (3, 2)], ids=str)
@pytest.mark.parametrize("shape", [(3, 4), (3, 2, 4)], ids=str)
def test_explicit_gradients(shape, extra, rows, mean, affine, bias, block, with_gradient, valid):
    module = drawn(LayerNorm(ONE, 4, **options(mean, affine, bias)))
    x = TensorMap(ONE, [with_gradient(block(*shape), rows, *extra)])
    out = module(x)
    assert torch.equal(out[0].values, plain(module, x[0].values))
    given, found = (t[0].gradient("positions") for t in (x, out))
    assert found.shape == given.shape
    assert (found.samples, found.components) == (given.samples, given.components)
    assert found.properties == out[0].properties
    of_sample = [slice(s, s + 1) for s in range(3)]
    h = 1e-5
    for i, row in enumerate(rows):
        at = x[0].values[of_sample[row]]
        jacobian = torch.autograd.functional.jacobian(lambda v: plain(module, v), at).reshape(
            at.numel(), at.numel()
        )
        directions = given.values[i].reshape(-1, at.numel())
        pushed = found.values[i].reshape(-1, at.numel())
        assert torch.allclose(pushed, directions @ jacobian.T, rtol=1e-10, atol=1e-12)
        for direction, one in zip(directions, pushed, strict=True):
            step = h * direction.reshape(at.shape)
            difference = plain(module, at + step) - plain(module, at - step)
            assert torch.allclose(one, difference.flatten() / (2 * h), rtol=1e-6, atol=1e-7)
    valid(out)


def test_explicit_gradients_of_covariant_blocks_stay(block, with_gradient, same):
    x = TensorMap(O3, [with_gradient(block(3, 2, 4, seed=i), [1, 2], 3, seed=i) for i in range(4)])
    out = InvariantLayerNorm(O3, 4, dtype=F64)(x)
    for i in (0, 2, 3):
        assert torch.equal(out[i].gradient("positions").values, x[i].gradient("positions").values)
    assert not torch.allclose(out[1].gradient("positions").values, x[1].gradient("positions").values)


@every_kind
def test_gradients_of_gradients_are_refused(kind, block, with_gradient, refused):
    inner = block(1, 4)
    gradient = TensorBlock(inner.values, Labels.range("sample", 1), inner.components, inner.properties)
    gradient.add_gradient(
        "cell", TensorBlock(inner.values, Labels.range("sample", 1), [], inner.properties)
    )
    x = block(3, 4)
    x.add_gradient("positions", gradient)
    keys = Labels(O3.names, O3.values[1:2])
    message = (
        "the gradient with respect to 'positions' of the block (o3_lambda=0, o3_sigma=1) can't go "
        "through the module: it has gradients itself, and gradients of gradients are not supported. "
        "Remove the gradients from the map, or compute them from the output by autograd"
    )
    with refused(ValueError, message):
        kind(keys, 4, dtype=F64)(TensorMap(keys, [x]))
