import pytest
import torch

from tmref import Labels, TensorBlock, TensorMap
from tmref.nn import (
    EquivariantLinear,
    EquivariantTransformation,
    InvariantReLU,
    InvariantSiLU,
    InvariantTanh,
    Linear,
)

ONE = Labels.range("k", 1)
#: the second one is invariant; the second and the third are by their o3_lambda alone
O3 = Labels(["o3_lambda", "o3_sigma"], torch.tensor([[1, 1], [0, 1], [0, -1], [2, 1]]))
LAMBDA_0 = Labels("o3_lambda", torch.tensor([[0]]))
F64 = torch.float64

every_selection = pytest.mark.parametrize(
    ("invariant_keys", "invariant"),
    [
        (None, [False, True, False, False]),
        (LAMBDA_0, [False, True, True, False]),
        (Labels(["o3_sigma", "o3_lambda"], torch.tensor([[1, 2], [5, 5]])), [False] * 3 + [True]),
        (Labels.empty("o3_sigma"), [False] * 4),
    ],
    ids=["default", "lambda", "permuted", "none"],
)


@pytest.fixture
def four(block):
    """A map for the keys O3, with 2 l + 1 components."""
    return TensorMap(O3, [block(3, 2 * int(key[0]) + 1, 4, seed=i) for i, key in enumerate(O3)])


@pytest.fixture
def like_theirs(mts):
    """Gives a module of metatensor's the parameters of ours."""

    def copied(ours, theirs):
        names = [name for name, _ in theirs.named_parameters()]
        assert [name for name, _ in ours.named_parameters()] == names
        with torch.no_grad():
            for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
                other.copy_(mine)
        return theirs

    return copied


def map_of(values, key=(1, 1)):
    """A map of one block, with a key of O3's dimensions."""
    axes = [Labels.range(f"axis_{i}", n) for i, n in enumerate(values.shape)]
    keys = Labels(O3.names, torch.tensor([key]))
    return TensorMap(keys, [TensorBlock(values, axes[0], axes[1:-1], axes[-1])])


def unknown_dimension(name, selected, have):
    return (
        f"invariant_keys select by {selected}, but in_keys have no {name!r}, they have {have}; "
        "give invariant_keys of dimensions that in_keys have"
    )


INVARIANT_KINDS = {
    "EquivariantLinear": lambda keys, *args: EquivariantLinear(keys, 4, 3, None, *args),
    "InvariantReLU": lambda keys, *args: InvariantReLU(keys, None, *args),
    "InvariantSiLU": lambda keys, *args: InvariantSiLU(keys, None, *args),
    "InvariantTanh": lambda keys, *args: InvariantTanh(keys, None, *args),
    "EquivariantTransformation": lambda keys, *args: EquivariantTransformation(
        [torch.nn.Tanh() for _ in O3], keys, 4, None, None, *args
    ),
}
every_kind = pytest.mark.parametrize("kind", INVARIANT_KINDS)


@every_kind
def test_keys_that_cannot_be_selected_are_refused(kind, refused):
    build = INVARIANT_KINDS[kind]
    names = ["o3_lambda", "o3_sigma"]
    with refused(ValueError, unknown_dimension("o3_lambda", names, ["k"])):
        build(Labels.range("k", 4))
    with refused(ValueError, unknown_dimension("o3_sigma", names, ["o3_lambda"])):
        build(Labels.range("o3_lambda", 4))
    with refused(ValueError, unknown_dimension("n", ["n"], names)):
        build(O3, Labels.range("n", 1))
    with refused(TypeError, "invariant_keys must be Labels, got tuple"):
        build(O3, (0, 1))
    with refused(TypeError, "in_keys must be Labels, got str"):
        build("o3_lambda")


@every_kind
def test_no_blocks(kind):
    x = TensorMap(Labels.empty(O3.names), [])
    assert len(INVARIANT_KINDS[kind](O3)(x)) == 0


# --- EquivariantLinear


@every_selection
def test_the_bias_is_of_invariant_keys_only(invariant_keys, invariant, four, valid):
    module = EquivariantLinear(O3, 4, [1, 2, 3, 4], invariant_keys=invariant_keys, dtype=F64)
    linears = module.module_map.module_list
    assert [linear.bias is not None for linear in linears] == invariant
    out = module(four)
    for a, b, linear in zip(out, four, linears, strict=True):
        expected = b.values @ linear.weight.T
        if linear.bias is not None:
            assert linear.bias.abs().min() > 0
            expected = expected + linear.bias
        assert torch.allclose(a.values, expected, rtol=1e-12, atol=1e-14)
        assert a.components == b.components
    valid(out)


@pytest.mark.parametrize(
    ("bias", "expected"),
    [
        (False, [False] * 4),
        (True, [False, True, True, False]),
        ([True, False, True, True], [False, False, True, False]),
        ((True, False), [False, True, False, False]),
        ([False, True], [False, False, True, False]),
    ],
    ids=str,
)
def test_a_bias_for_each_key_or_each_invariant_key(bias, expected):
    module = EquivariantLinear(O3, 4, 3, invariant_keys=LAMBDA_0, bias=bias)
    assert [linear.bias is not None for linear in module.module_map.module_list] == expected


def test_equivariant_linear_begins_as_torchs_does():
    torch.manual_seed(7)
    module = EquivariantLinear(O3, [2, 3, 4, 5], [5, 2, 3, 1])
    torch.manual_seed(7)
    sizes = [(2, 5, False), (3, 2, True), (4, 3, False), (5, 1, False)]
    twins = [torch.nn.Linear(n, m, bias=bias) for n, m, bias in sizes]
    for mine, twin in zip(module.module_map.module_list, twins, strict=True):
        assert type(mine) is torch.nn.Linear
        assert mine.state_dict().keys() == twin.state_dict().keys()
        assert all(torch.equal(v, twin.state_dict()[n]) for n, v in mine.state_dict().items())


@every_selection
def test_equivariant_linear_is_metatensors(invariant_keys, invariant, four, to_mts, mts, like_theirs):
    properties = [Labels("p", torch.arange(n).reshape(n, 1) + 2) for n in (1, 2, 3, 4)]
    theirs_selected = None if invariant_keys is None else to_mts(invariant_keys)
    bias = [True, False, True, True]
    ours = EquivariantLinear(O3, 4, None, properties, invariant_keys, dtype=F64)
    theirs = mts.learn.nn.EquivariantLinear(
        to_mts(O3), 4, None, [to_mts(p) for p in properties], theirs_selected, dtype=F64
    )
    assert mts.operations.allclose(
        to_mts(ours(four)), like_theirs(ours, theirs)(to_mts(four)), rtol=1e-13, atol=1e-14
    )
    per_invariant_key = [b for b, is_one in zip(bias, invariant, strict=True) if is_one]
    ours, theirs = (
        kind(keys, 4, 2, None, selected, bias=per_invariant_key)
        for kind, keys, selected in (
            (EquivariantLinear, O3, invariant_keys),
            (mts.learn.nn.EquivariantLinear, to_mts(O3), theirs_selected),
        )
    )
    like_theirs(ours, theirs)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"out_features": None},
            ValueError,
            "a linear layer needs out_features or out_properties, got neither",
        ),
        (
            {"bias": 1},
            TypeError,
            "bias must be bool or a list of bool, one for each key, got 1 of type int",
        ),
        (
            {"bias": ["yes"]},
            TypeError,
            "bias must be bool or a list of bool, one for each key, got 'yes' of type str",
        ),
        (
            {"bias": [True] * 3},
            ValueError,
            "bias must have one value for each of the 4 keys, got 3",
        ),
        (
            {"in_features": [4, 4]},
            ValueError,
            "in_features must have one value for each of the 4 keys, got 2",
        ),
        (
            {"out_features": -1},
            ValueError,
            "out_features must be at least 0, got -1 for the key (o3_lambda=1, o3_sigma=1)",
        ),
        (
            {"out_properties": [ONE] * 4},
            ValueError,
            "out_features is 3 for the key (o3_lambda=1, o3_sigma=1), but its out_properties have 1 "
            "entries; give one of them, or let them agree",
        ),
        (
            {"out_properties": ONE},
            TypeError,
            "out_properties must be a list of Labels, one for each key, got Labels",
        ),
    ],
)
def test_arguments_of_equivariant_linear_are_checked(arguments, error, message, refused):
    with refused(error, message):
        EquivariantLinear(**{"in_keys": O3, "in_features": 4, "out_features": 3, **arguments})


# --- activations of invariant blocks

ACTIVATIONS = {
    InvariantReLU: lambda x: torch.where(x > 0, x, torch.zeros_like(x)),
    InvariantSiLU: lambda x: x / (1 + torch.exp(-x)),
    InvariantTanh: lambda x: (torch.exp(x) - torch.exp(-x)) / (torch.exp(x) + torch.exp(-x)),
}
every_activation = pytest.mark.parametrize("kind", ACTIVATIONS, ids=lambda kind: kind.__name__)
in_place_ones = pytest.mark.parametrize(
    "kind", [InvariantReLU, InvariantSiLU], ids=lambda kind: kind.__name__
)


@every_activation
@every_selection
def test_covariant_blocks_stay(kind, invariant_keys, invariant, four, valid):
    before = four.copy()
    out = kind(O3, None, invariant_keys)(four)
    for a, b, is_one in zip(out, before, invariant, strict=True):
        changed = ACTIVATIONS[kind](b.values)
        assert not torch.allclose(changed, b.values)
        assert torch.allclose(a.values, changed if is_one else b.values, rtol=1e-13, atol=0)
        assert (a.samples, a.components) == (b.samples, b.components)
        assert a.properties == Labels.range("_", 4)
    assert all(torch.equal(a.values, b.values) for a, b in zip(four, before, strict=True))
    valid(out)


@every_activation
@every_selection
def test_activations_agree_with_metatensor(kind, invariant_keys, invariant, four, to_mts, mts):
    properties = [Labels("p", torch.arange(4).reshape(4, 1) + i) for i in range(4)]
    theirs = getattr(mts.learn.nn, kind.__name__)(
        to_mts(O3),
        [to_mts(p) for p in properties],
        None if invariant_keys is None else to_mts(invariant_keys),
    )
    ours = kind(O3, properties, invariant_keys)
    assert mts.operations.equal(to_mts(ours(four)), theirs(to_mts(four)))
    assert list(ours.state_dict()) == list(theirs.state_dict())


@in_place_ones
def test_in_place_overwrites_invariant_blocks(kind, four):
    before = four.copy()
    out = kind(O3, in_place=True)(four)
    for i, (a, b, then) in enumerate(zip(out, four, before, strict=True)):
        assert a.values is b.values
        expected = ACTIVATIONS[kind](then.values) if i == 1 else then.values
        assert torch.allclose(b.values, expected, rtol=1e-13, atol=0)


@in_place_ones
def test_in_place_is_off_unless_asked_for(kind, four):
    assert kind(O3)(four)[1].values is not four[1].values
    with pytest.raises(TypeError, match="positional"):
        kind(O3, None, None, True)


def test_tanh_has_no_in_place():
    with pytest.raises(TypeError, match="in_place"):
        InvariantTanh(O3, in_place=True)


@every_activation
def test_explicit_gradients_of_activations(kind, block, with_gradient):
    x = TensorMap(O3, [with_gradient(block(3, 2, 4, seed=i), [2, 0], 3, seed=i) for i in range(4)])
    out = kind(O3)(x)
    for i, (a, b) in enumerate(zip(out, x, strict=True)):
        given, found = (one.gradient("positions").values for one in (b, a))
        if i != 1:
            assert torch.equal(found, given)
            continue
        values = b.values.clone().requires_grad_()
        (slope,) = torch.autograd.grad(ACTIVATIONS[kind](values).sum(), values)
        assert torch.allclose(found, slope[[2, 0]].unsqueeze(1) * given, rtol=1e-12)


# --- EquivariantTransformation

FUNCTIONS = {
    "Tanh": lambda n: torch.nn.Tanh(),
    "SiLU": lambda n: torch.nn.SiLU(),
    "Linear": lambda n: torch.nn.Linear(n, n, dtype=F64),
    "mlp": lambda n: torch.nn.Sequential(
        torch.nn.Linear(n, 7, dtype=F64), torch.nn.SiLU(), torch.nn.Linear(7, n, dtype=F64)
    ),
}
every_function = pytest.mark.parametrize("function", FUNCTIONS)


def transformation(function, keys=O3, n=4, **kwargs):
    torch.manual_seed(2)
    return EquivariantTransformation([FUNCTIONS[function](n) for _ in keys], keys, n, **kwargs)


@every_function
@every_selection
def test_the_formula(invariant_keys, invariant, function, four, valid):
    torch.manual_seed(1)
    functions = [FUNCTIONS[function](4) for _ in O3]
    out = EquivariantTransformation(functions, O3, 4, invariant_keys=invariant_keys)(four)
    for a, b, is_one, f in zip(out, four, invariant, functions, strict=True):
        norm = sum(b.values[:, m] ** 2 for m in range(b.shape[1])) ** 0.5
        expected = f(b.values) if is_one else f(norm.unsqueeze(1)) * b.values
        assert torch.allclose(a.values, expected, rtol=1e-12, atol=1e-14)
        assert (a.samples, a.components) == (b.samples, b.components)
        assert a.properties == Labels.range("_", 4)
    valid(out)


@every_function
def test_the_norm_is_over_all_components(function, block):
    x = block(3, 2, 5, 4)
    keys = Labels(O3.names, O3.values[:1])
    module = transformation(function, keys)
    norm = (x.values**2).flatten(1, 2).sum(1).sqrt()[:, None, None]
    expected = module.module_map.module_list[0].module(norm) * x.values
    assert torch.allclose(module(TensorMap(keys, [x]))[0].values, expected, rtol=1e-12)


def test_parameters(mts, to_mts):
    ours = transformation("mlp")
    theirs = mts.learn.nn.EquivariantTransformation(
        [FUNCTIONS["mlp"](4) for _ in O3], to_mts(O3), 4, out_features=4
    )
    assert list(ours.state_dict()) == list(theirs.state_dict())
    names = [name for name, _ in ours.named_parameters()]
    assert names[0] == "module_map.module_list.0.module.0.weight"
    assert names[4] == "module_map.module_list.1.0.weight"
    assert len(names) == 16


def test_the_modules_are_those_given():
    functions = [torch.nn.Tanh() for _ in O3]
    module = EquivariantTransformation(functions, O3, 4)
    found = [getattr(part, "module", part) for part in module.module_map.module_list]
    assert all(a is b for a, b in zip(found, functions, strict=True))


@every_function
@every_selection
def test_transformations_agree_with_metatensor(
    invariant_keys, invariant, function, four, to_mts, mts, like_theirs
):
    properties = [Labels("p", torch.arange(4).reshape(4, 1) + i) for i in range(4)]
    ours = transformation(function, out_properties=properties, invariant_keys=invariant_keys)
    theirs = mts.learn.nn.EquivariantTransformation(
        [FUNCTIONS[function](4) for _ in O3],
        to_mts(O3),
        4,
        out_properties=[to_mts(p) for p in properties],
        invariant_keys=None if invariant_keys is None else to_mts(invariant_keys),
    )
    like_theirs(ours, theirs)
    found, expected = [], []
    for module, convert, into in ((ours, lambda x: x, found), (theirs, to_mts, expected)):
        x = four.copy()
        for block in x:
            block.values.requires_grad_()
        out = module(convert(x))
        into += [out[i].values for i in range(4)]
        total = sum((y**2).sum() for y in into)
        values = [block.values for block in x]
        gradients = torch.autograd.grad(total, values, create_graph=True)
        into += gradients
        into += torch.autograd.grad(sum((g**2).sum() for g in gradients), values)
    assert len(found) == 12
    for mine, other in zip(found, expected, strict=True):
        assert torch.allclose(mine, other, rtol=1e-11, atol=1e-12)


@every_function
@pytest.mark.parametrize("shape", [(2, 3, 2), (1, 2, 3, 2)], ids=str)
@pytest.mark.parametrize("key", [(1, 1), (0, 1)], ids=["covariant", "invariant"])
def test_first_and_second_derivatives(key, shape, function, block):
    keys = Labels(O3.names, torch.tensor([key]))
    module = transformation(function, keys, 2)
    x = block(*shape).values.requires_grad_()

    def call(x):
        return module(map_of(x, key))[0].values

    assert torch.autograd.gradcheck(call, x)
    assert torch.autograd.gradgradcheck(call, x)


# the norm of nothing

ZEROS = {
    "all": lambda x: torch.zeros_like(x),
    "a sample": lambda x: torch.cat([torch.zeros_like(x[:1]), x[1:]]),
    "a property": lambda x: torch.cat([x[..., 1:], torch.zeros_like(x[..., :1])], -1),
}


@every_function
@pytest.mark.parametrize("dtype", [F64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("where", ZEROS)
@pytest.mark.parametrize("shape", [(3, 3, 2), (3, 2, 3, 2)], ids=str)
def test_where_values_are_zero_all_derivatives_are_finite(shape, where, dtype, function, block):
    module = transformation(function, Labels(O3.names, O3.values[:1]), 2).to(dtype)
    values = ZEROS[where](block(*shape).values).to(dtype).requires_grad_()
    is_zero = (values == 0).all(dim=1, keepdim=True).expand_as(values)
    if len(shape) == 4:
        is_zero = (values == 0).flatten(1, 2).all(dim=1)[:, None, None].expand_as(values)
    assert is_zero.any()

    f = module.module_map.module_list[0].module
    out = module(map_of(values))[0].values
    assert out.dtype == dtype
    assert (out[is_zero] == 0).all()
    weights = torch.arange(1, out.numel() + 1, dtype=dtype).reshape(shape) / out.numel()
    (first,) = torch.autograd.grad((weights * out).sum(), values, create_graph=True)
    assert first.isfinite().all()
    (second,) = torch.autograd.grad((weights * first).sum(), values, create_graph=True)
    assert second.isfinite().all()
    if second.requires_grad:
        (third,) = torch.autograd.grad((weights * second).sum(), values)
        assert third.isfinite().all()
    if where != "all" or dtype != F64:
        return
    # f(|x|) x has the derivative f(0) where x is 0
    factor = f(torch.zeros_like(values[:, :1] if len(shape) == 3 else values[:, :1, :1]))
    assert torch.allclose(first, weights * factor, rtol=1e-12)


@pytest.mark.parametrize(("dtype", "tiny"), [(torch.float32, 1e-25), (F64, 1e-180)], ids=str)
def test_where_the_norm_is_computed_as_zero_it_is_for_derivatives(dtype, tiny):
    module = transformation("Tanh", Labels(O3.names, O3.values[:1]), 1).to(dtype)
    values = torch.full((1, 3, 1), tiny, dtype=dtype, requires_grad=True)
    out = module(map_of(values))[0].values
    (first,) = torch.autograd.grad(out.sum(), values, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), values)
    assert first.tolist() == second.tolist() == torch.zeros(1, 3, 1).tolist()


@pytest.mark.parametrize("where", ["a sample", "a property"])
def test_zeros_do_not_change_what_is_beside_them(where, block, to_mts, mts):
    values = ZEROS[where](block(3, 3, 2).values)
    keys = Labels(O3.names, O3.values[:1])
    ours = transformation("SiLU", keys, 2)
    theirs = mts.learn.nn.EquivariantTransformation([torch.nn.SiLU()], to_mts(keys), 2, out_features=2)
    found = []
    for module, convert in ((ours, lambda x: x), (theirs, to_mts)):
        x = values.clone().requires_grad_()
        out = module(convert(map_of(x)))[0].values
        found.append((out, *torch.autograd.grad((out**2).sum(), x)))
    for mine, other in zip(*found, strict=True):
        assert torch.allclose(mine, other, rtol=1e-12, atol=1e-14)


def test_second_derivatives_of_what_is_beside_a_zero(block):
    values = block(3, 3, 2).values
    module = transformation("SiLU", Labels(O3.names, O3.values[:1]), 2)

    def second(x):
        x = x.clone().requires_grad_()
        out = module(map_of(x))[0].values
        (first,) = torch.autograd.grad((out**2).sum(), x, create_graph=True)
        return torch.autograd.grad((first**2).sum(), x)[0]

    assert torch.allclose(second(ZEROS["a sample"](values))[1:], second(values)[1:], rtol=1e-12)


# explicit gradients


@every_function
@pytest.mark.parametrize("rows", [[2, 0, 0, 1], [1], []], ids=str)
@pytest.mark.parametrize("extra", [(), (3,), (2, 2)], ids=str)
@pytest.mark.parametrize("shape", [(3, 3, 4), (3, 2, 3, 4)], ids=str)
@pytest.mark.parametrize("key", [(1, 1), (0, 1)], ids=["covariant", "invariant"])
def test_explicit_gradients(key, shape, extra, rows, function, block, with_gradient, valid):
    keys = Labels(O3.names, torch.tensor([key]))
    module = transformation(function, keys)
    x = TensorMap(keys, [with_gradient(block(*shape), rows, *extra)])
    out = module(x)

    def call(values):
        return module(map_of(values, key))[0].values

    assert torch.equal(out[0].values, call(x[0].values))
    given, found = (t[0].gradient("positions") for t in (x, out))
    assert (found.shape, found.samples, found.components) == (
        given.shape,
        given.samples,
        given.components,
    )
    for i, row in enumerate(rows):
        at = x[0].values[row : row + 1]
        n = at.numel()
        jacobian = torch.autograd.functional.jacobian(call, at).reshape(n, n)
        expected = given.values[i].reshape(-1, n) @ jacobian.T
        assert torch.allclose(found.values[i].reshape(-1, n), expected, rtol=1e-10, atol=1e-12)
    valid(out)


def test_explicit_gradients_at_zero_are_finite(block, with_gradient):
    x = block(3, 3, 4)
    x.values.zero_()
    keys = Labels(O3.names, O3.values[:1])
    out = transformation("Linear", keys)(TensorMap(keys, [with_gradient(x, [0, 2], 3)]))
    f = transformation("Linear", keys).module_map.module_list[0].module
    given = with_gradient(block(3, 3, 4), [0, 2], 3).gradient("positions").values
    found = out[0].gradient("positions").values
    assert torch.allclose(found, f.bias * given, rtol=1e-12)


def test_what_is_not_per_sample_is_refused(block, with_gradient, refused):
    keys = Labels(O3.names, O3.values[:1])
    module = EquivariantTransformation([torch.nn.Softmax(-1)], keys, 4)
    message = (
        "the gradient with respect to 'positions' of the block (o3_lambda=1, o3_sigma=1) can't go "
        "through the module: Softmax is not known to treat every sample by itself; if it does, and "
        "deterministically, say so by setting its attribute per_sample = True. Remove the gradients "
        "from the map, or compute them from the output by autograd"
    )
    with refused(ValueError, message):
        module(TensorMap(keys, [with_gradient(block(3, 3, 4), [0])]))


# equivariance


def _orthogonal(seed, n=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(n, n, dtype=F64, generator=generator))[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["EquivariantTransformation", "EquivariantLinear", "InvariantTanh"])
def test_rotated_input_gives_rotated_output(kind, seed, block):
    rotation = _orthogonal(seed)
    torch.manual_seed(seed)
    keys = Labels(O3.names, O3.values[:3])
    module = {
        "EquivariantTransformation": lambda: EquivariantTransformation(
            [FUNCTIONS["mlp"](4) for _ in keys], keys, 4
        ),
        "EquivariantLinear": lambda: EquivariantLinear(keys, 4, 5, dtype=F64),
        "InvariantTanh": lambda: InvariantTanh(keys),
    }[kind]()
    x = TensorMap(keys, [block(3, n, 4, seed=seed + n) for n in (3, 1, 1)])

    def rotated(tensor):
        again = tensor.copy(deep=False).blocks()
        turned = torch.einsum("ab,sbp->sap", rotation, again[0].values)
        again[0] = TensorBlock(turned, again[0].samples, again[0].components, again[0].properties)
        return TensorMap(keys, again)

    expected, found = rotated(module(x)), module(rotated(x))
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a.values, b.values, rtol=1e-11, atol=1e-12)
    assert not torch.allclose(expected[0].values, module(x)[0].values)


def test_a_layer_with_a_bias_does_not_rotate(block):
    """The test above can fail."""
    keys = Labels(O3.names, O3.values[:1])
    module, rotation = Linear(keys, 4, 5, dtype=F64), _orthogonal(0)
    values = block(3, 3, 4).values
    rotated = torch.einsum("ab,sbp->sap", rotation, values)
    expected = torch.einsum("ab,sbp->sap", rotation, module(map_of(values))[0].values)
    assert not torch.allclose(module(map_of(rotated))[0].values, expected)


# refusals


def test_covariant_blocks_without_components_are_refused(block, refused):
    keys = Labels(O3.names, O3.values[:1])
    message = "a covariant block must have components for its norm, got values of the shape (3, 4)"
    with refused(ValueError, message):
        transformation("Tanh", keys)(TensorMap(keys, [block(3, 4)]))


def test_invariant_blocks_need_no_components(block):
    keys = Labels(O3.names, O3.values[1:2])
    x = block(3, 4)
    out = transformation("Tanh", keys)(TensorMap(keys, [x]))
    assert torch.equal(out[0].values, torch.tanh(x.values))


@pytest.mark.parametrize(
    ("function", "given"),
    [
        (torch.nn.Linear(4, 1, dtype=F64), "(3, 1, 1)"),
        (torch.nn.Linear(4, 5, dtype=F64), "(3, 1, 5)"),
        (torch.nn.Flatten(), "(3, 4)"),
    ],
    ids=["narrower", "wider", "flat"],
)
def test_a_module_that_changes_the_shape_is_refused(function, given, block, refused):
    keys = Labels(O3.names, O3.values[:1])
    module = EquivariantTransformation([function], keys, 4)
    message = f"the module of a covariant block must keep the shape (3, 1, 4), got {given}"
    with refused(ValueError, message):
        module(TensorMap(keys, [block(3, 5, 4)]))


TANHS = [torch.nn.Tanh() for _ in O3]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"modules": TANHS[:3]},
            ValueError,
            "modules must have one module for each of the 4 keys, got 3",
        ),
        (
            {"modules": TANHS + TANHS},
            ValueError,
            "modules must have one module for each of the 4 keys, got 8",
        ),
        (
            {"modules": torch.nn.Tanh()},
            TypeError,
            "modules must be a list of torch.nn.Module, got Tanh",
        ),
        (
            {"modules": [*TANHS[:3], torch.tanh]},
            TypeError,
            "modules must be a list of torch.nn.Module, got builtin_function_or_method in it",
        ),
        (
            {"in_features": "4"},
            TypeError,
            "in_features must be int or a list of int, one for each key, got '4' of type str",
        ),
        (
            {"in_features": [4, 4]},
            ValueError,
            "in_features must have one value for each of the 4 keys, got 2",
        ),
        (
            {"in_features": [4, 4, -4, 4]},
            ValueError,
            "in_features must be at least 0, got -4 for the key (o3_lambda=0, o3_sigma=-1)",
        ),
        (
            {"out_features": 4.0},
            TypeError,
            "out_features must be int or a list of int, one for each key, got 4.0 of type float",
        ),
        (
            {"out_features": [4] * 5},
            ValueError,
            "out_features must have one value for each of the 4 keys, got 5",
        ),
        (
            {"out_features": 4, "out_properties": [ONE] * 4},
            ValueError,
            "out_features is 4 for the key (o3_lambda=1, o3_sigma=1), but its out_properties have 1 "
            "entries; give one of them, or let them agree",
        ),
        (
            {"out_properties": [ONE]},
            ValueError,
            "out_properties must have one value for each of the 4 keys, got 1",
        ),
        (
            {"out_properties": ONE},
            TypeError,
            "out_properties must be a list of Labels, one for each key, got Labels",
        ),
    ],
)
def test_arguments_of_a_transformation_are_checked(arguments, error, message, refused):
    with refused(error, message):
        EquivariantTransformation(**{"modules": TANHS, "in_keys": O3, "in_features": 4, **arguments})


def test_out_features_are_optional(four, same):
    properties = [Labels.range("p", 4)] * 4
    expected = EquivariantTransformation(TANHS, O3, 4)(four)
    same(EquivariantTransformation(TANHS, O3, 4, 4)(four), expected)
    same(EquivariantTransformation(tuple(TANHS), O3, [4] * 4, (4, 4, 4, 4))(four), expected)
    out = EquivariantTransformation(TANHS, O3, 4, out_properties=properties)(four)
    assert [block.properties for block in out] == properties
    assert all(torch.equal(a.values, b.values) for a, b in zip(out, expected, strict=True))


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 3, 0), (0, 2, 3, 4)], ids=str)
def test_no_values(shape, only, block, valid):
    keys = Labels(O3.names, O3.values[:1])
    out = transformation("Tanh", keys, shape[-1])(TensorMap(keys, [block(*shape)]))
    assert out[0].shape == shape
    valid(out)
