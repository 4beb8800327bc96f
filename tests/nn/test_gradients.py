"""Explicit gradients: what a module does to ∂x/∂p, against finite differences and autograd."""

import pytest
import torch

from tmref import Labels, TensorBlock, TensorMap
from tmref.nn import Linear, ModuleMap, ReLU, Sequential, SiLU, Tanh

ONE = Labels.range("k", 1)
F64 = torch.float64


class Square(torch.nn.Module):
    """A function of every value by itself, which says so."""

    per_sample = True

    def forward(self, x):
        return x * x


class Scaled(Linear):
    """A layer that is more than its module_map, so that Sequential calls one layer after the other."""

    def forward(self, tensor):
        return super().forward(tensor)


MODULES = {
    "Linear": lambda: Linear(ONE, 4, 3, dtype=F64),
    "Linear without bias": lambda: Linear(ONE, 4, 3, bias=False, dtype=F64),
    "Linear to nothing": lambda: Linear(ONE, 4, out_properties=[Labels.empty("p")], dtype=F64),
    "ReLU": lambda: ReLU(ONE),
    "SiLU": lambda: SiLU(ONE),
    "Tanh": lambda: Tanh(ONE),
    "Identity": lambda: ModuleMap(ONE, [torch.nn.Identity()]),
    "torch's Sequential": lambda: ModuleMap(
        ONE,
        [torch.nn.Sequential(torch.nn.Tanh(), torch.nn.Sequential(torch.nn.Linear(4, 2, dtype=F64)))],
    ),
    "per_sample": lambda: ModuleMap(ONE, [Square()]),
    "Sequential": lambda: Sequential(
        ONE, Linear(ONE, 4, 5, dtype=F64), SiLU(ONE), Linear(ONE, 5, 3, dtype=F64)
    ),
    "mixed Sequential": lambda: Sequential(
        ONE, Scaled(ONE, 4, 5, dtype=F64), Tanh(ONE), Linear(ONE, 5, 3, dtype=F64)
    ),
    "empty Sequential": lambda: Sequential(ONE),
}


@pytest.fixture(params=MODULES)
def module(request):
    torch.manual_seed(0)
    if request.param == "Linear to nothing":
        with pytest.warns(UserWarning, match="Initializing zero-element tensors"):
            return MODULES[request.param]()
    return MODULES[request.param]()


def map_of(block):
    return TensorMap(ONE, [block])


def plain(module, values):
    """The module as a function of values alone, one array to the other, no gradients."""
    axes = [Labels.range(f"axis_{i}", n) for i, n in enumerate(values.shape)]
    return module(map_of(TensorBlock(values, axes[0], axes[1:-1], axes[-1])))[0].values


def directions(block, gradient):
    """The rows of a gradient one by one: sample, place among the extra axes, direction."""
    extra = gradient.shape[1 : 1 + gradient.values.dim() - block.values.dim()]
    flat = gradient.values.reshape(len(gradient), extra.numel(), *block.shape[1:])
    for i, sample in enumerate(gradient.samples.column("sample").tolist()):
        for j in range(extra.numel()):
            yield sample, (i, j), flat[i, j]


# --- values


@pytest.mark.parametrize("rows", [[0, 1, 2], [2, 0, 0, 1, 0], [1], []], ids=str)
@pytest.mark.parametrize("extra", [(), (3,), (3, 2)], ids=str)
@pytest.mark.parametrize("shape", [(3, 4), (3, 2, 4)], ids=str)
def test_gradients_against_finite_differences(module, shape, extra, rows, block, with_gradient, valid):
    x = map_of(with_gradient(block(*shape), rows, *extra))
    out = module(x)
    gradient = out[0].gradient("positions")
    assert gradient.shape == (len(rows), *extra, *out[0].shape[1:])
    found = gradient.values.reshape(len(rows), torch.Size(extra).numel(), *out[0].shape[1:])
    h = 1e-6
    for sample, where, direction in directions(x[0], x[0].gradient("positions")):
        at = x[0].values[sample : sample + 1]
        ahead, behind = plain(module, at + h * direction), plain(module, at - h * direction)
        assert torch.allclose(found[where], (ahead - behind)[0] / (2 * h), rtol=1e-7, atol=1e-8)
    valid(out)


def test_metadata_of_gradients(block, with_gradient):
    x = map_of(with_gradient(block(3, 2, 4), [2, 0, 0], 3))
    properties = Labels("p", torch.tensor([[5], [7]]))
    for module, expected in (
        (Linear(ONE, 4, 2, dtype=F64), Labels.range("_", 2)),
        (Linear(ONE, 4, out_properties=[properties], dtype=F64), properties),
    ):
        gradient = module(x)[0].gradient("positions")
        assert gradient.samples == x[0].gradient("positions").samples
        assert gradient.components == x[0].gradient("positions").components
        assert gradient.properties == expected
        assert gradient.dtype == F64


def test_the_bias_has_no_part_in_gradients(block, with_gradient):
    x = map_of(with_gradient(block(3, 4), [2, 0], 3))
    module = Linear(ONE, 4, 2, dtype=F64)
    weight = module.module_map.module_list[0].weight
    expected = x[0].gradient("positions").values @ weight.T
    assert torch.allclose(module(x)[0].gradient("positions").values, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "derivative"),
    [
        (ReLU, lambda x: (x > 0).to(x)),
        (Tanh, lambda x: 1 - torch.tanh(x) ** 2),
        (SiLU, lambda x: torch.sigmoid(x) * (1 + x * (1 - torch.sigmoid(x)))),
    ],
    ids=lambda p: getattr(p, "__name__", ""),
)
def test_closed_forms(kind, derivative, block, with_gradient):
    rows = [2, 0, 0, 1]
    x = map_of(with_gradient(block(3, 2, 4), rows, 3))
    found = kind(ONE)(x)[0].gradient("positions").values
    expected = derivative(x[0].values)[rows].unsqueeze(1) * x[0].gradient("positions").values
    assert torch.allclose(found, expected, rtol=1e-12)


def test_values_are_those_of_an_ordinary_call(module, block, with_gradient):
    x = block(3, 4)
    expected = module(map_of(x.copy()))[0].values
    assert torch.equal(module(map_of(with_gradient(x, [0, 2], 3)))[0].values, expected)


def test_several_parameters(module, block, with_gradient):
    x = block(3, 4)
    both = with_gradient(with_gradient(x.copy(), [2, 0], 3), [1], parameter="cell", seed=5)
    out = module(map_of(both))
    assert out[0].gradients_list() == ["positions", "cell"]
    for parameter, rows, extra, seed in (("positions", [2, 0], (3,), 1), ("cell", [1], (), 5)):
        alone = with_gradient(x.copy(), rows, *extra, parameter=parameter, seed=seed)
        expected = module(map_of(alone))[0].gradient(parameter).values
        assert torch.equal(out[0].gradient(parameter).values, expected)


def test_several_blocks_go_to_their_own_modules(keys, block, with_gradient, selected):
    x = TensorMap(keys, [with_gradient(block(n, 4, seed=n), [0, n - 1], 3) for n in (2, 3, 4)])
    module = Linear(keys, 4, 2, dtype=F64)
    for order in ([0, 1, 2], [2, 0]):
        tensor = selected(x, order)
        for i, a, b in zip(order, module(tensor), tensor, strict=True):
            weight = module.module_map.module_list[i].weight
            expected = b.gradient("positions").values @ weight.T
            assert torch.allclose(a.gradient("positions").values, expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(0, 4), (3, 4)], ids=str)
def test_no_rows(module, shape, block, with_gradient):
    out = module(map_of(with_gradient(block(*shape), [], 3)))
    assert out[0].gradient("positions").shape == (0, 3, out[0].shape[-1])


def test_no_properties(block, with_gradient):
    x = map_of(with_gradient(block(3, 0), [1, 2], 3))
    assert Tanh(ONE)(x)[0].gradient("positions").shape == (2, 3, 0)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_are_right_where_autograd_is_off(mode, module, block, with_gradient):
    x = map_of(with_gradient(block(3, 4), [2, 0, 0], 3))
    expected = module(x)[0].gradient("positions").values
    with mode():
        inside = map_of(with_gradient(block(3, 4), [2, 0, 0], 3))
        for tensor in (x, inside):
            found = module(tensor)[0].gradient("positions").values
            assert torch.allclose(found, expected, rtol=1e-12)


def test_the_input_is_not_changed(module, block, with_gradient, same):
    x = map_of(with_gradient(block(3, 4), [2, 0, 0], 3))
    before = x.copy()
    module(x)
    same(x, before)


# --- against autograd, of a function of positions


def test_forces_of_a_small_model():
    """x[s] = φ(R[s]): the explicit gradients of the output are autograd's derivatives by R."""
    torch.manual_seed(1)
    positions = torch.randn(3, 2, 3, dtype=F64, requires_grad=True)  # sample, atom, xyz

    def features(r):
        return torch.stack([r.prod(1).sum(-1), r[:, 0].sin().sum(-1), (r[:, 0] * r[:, 1]).sum(-1)], -1)

    def jacobian(y):
        """∂y[s, p] / ∂R[s, atom, xyz] as rows (s, atom), xyz, p."""
        rows = [
            torch.autograd.grad(column.sum(), positions, retain_graph=True)[0] for column in y.unbind(1)
        ]
        return torch.stack(rows, -1).reshape(6, 3, -1)

    x = features(positions)
    samples = torch.cartesian_prod(torch.arange(3), torch.arange(2))
    block = TensorBlock(x, Labels.range("system", 3), [], Labels.range("n", 3))
    gradient = TensorBlock(
        jacobian(x), Labels(["sample", "atom"], samples), [Labels.range("xyz", 3)], block.properties
    )
    block.add_gradient("positions", gradient)
    module = Sequential(
        ONE, Linear(ONE, 3, 8, dtype=F64), Tanh(ONE), Linear(ONE, 8, 8, dtype=F64), SiLU(ONE),
        Linear(ONE, 8, 2, dtype=F64),
    )  # fmt: skip
    out = module(map_of(block))[0]
    assert torch.allclose(out.gradient("positions").values, jacobian(out.values), rtol=1e-11, atol=1e-13)


# --- training on explicit gradients


def models():
    torch.manual_seed(2)
    return {
        "Linear": (Linear(ONE, 4, 3, dtype=F64), lambda m: m.module_map.module_list[0]),
        "Sequential": (
            Sequential(ONE, Linear(ONE, 4, 5, dtype=F64), Tanh(ONE), Linear(ONE, 5, 3, dtype=F64)),
            lambda m: m.module_map.module_list[0],
        ),
    }


@pytest.mark.parametrize("name", ["Linear", "Sequential"])
def test_a_loss_on_gradients_trains_the_weights(name, block, with_gradient):
    module, twin_of = models()[name]
    rows = [2, 0, 0, 1]
    given = with_gradient(block(3, 4), rows, 3)
    values = given.values.clone().requires_grad_()
    gradients = given.gradient("positions").values.clone().requires_grad_()
    x = TensorBlock(values, given.samples, [], given.properties)
    labels = given.gradient("positions")
    x.add_gradient("positions", TensorBlock(gradients, labels.samples, labels.components, x.properties))

    def loss(out, pushed):
        return (out**2).sum() + (pushed**3).sum()

    out = module(map_of(x))[0]
    wanted = [*module.parameters(), values, gradients]
    found = torch.autograd.grad(
        loss(out.values, out.gradient("positions").values), wanted, allow_unused=True
    )
    # the same by autograd's reverse mode alone, twice
    twin = twin_of(module)
    at = values[rows].repeat_interleave(3, 0)
    _, pushed = torch.autograd.functional.jvp(
        twin, at, gradients.reshape(at.shape), create_graph=True, strict=False
    )
    expected = torch.autograd.grad(loss(twin(values), pushed), wanted, allow_unused=True)
    for a, b in zip(found, expected, strict=True):
        assert a.abs().max() > 0
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


def test_a_loss_on_gradients_alone_leaves_the_last_bias_alone(block, with_gradient):
    module = Sequential(ONE, Linear(ONE, 4, 5, dtype=F64), Tanh(ONE), Linear(ONE, 5, 3, dtype=F64))
    module(map_of(with_gradient(block(3, 4), [0, 1], 3)))[0].gradient(
        "positions"
    ).values.sum().backward()
    first, _, last = module.module_map.module_list[0]
    assert first.weight.grad.abs().max() > 0
    assert first.bias.grad.abs().max() > 0
    assert last.weight.grad.abs().max() > 0
    assert last.bias.grad is None or not last.bias.grad.any()


# --- refusals


def refusal(reason, key="(k=0)", parameter="positions"):
    return (
        f"the gradient with respect to {parameter!r} of the block {key} can't go through the module: "
        f"{reason}. Remove the gradients from the map, or compute them from the output by autograd"
    )


def unknown(name):
    return (
        f"{name} is not known to treat every sample by itself; if it does, and deterministically, say "
        "so by setting its attribute per_sample = True"
    )


class OwnLinear(torch.nn.Linear):
    """A subclass may do anything."""


def parametrized():
    linear = torch.nn.Linear(4, 4, dtype=F64)
    torch.nn.utils.parametrize.register_parametrization(linear, "weight", torch.nn.Identity())
    return linear


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: torch.nn.BatchNorm1d(4, dtype=F64), unknown("BatchNorm1d")),
        (torch.nn.Dropout, unknown("Dropout")),
        (torch.nn.RReLU, unknown("RReLU")),
        (lambda: OwnLinear(4, 4, dtype=F64), unknown("OwnLinear")),
        (parametrized, unknown("ParametrizedLinear")),
        (lambda: torch.nn.Sequential(torch.nn.Tanh(), torch.nn.Dropout()), unknown("Dropout")),
        (
            lambda: torch.nn.Sequential(torch.nn.Sequential(torch.nn.Softmax(0)), torch.nn.Tanh()),
            unknown("Softmax"),
        ),
        (lambda: torch.nn.ReLU(inplace=True), "ReLU changes its input in place"),
        (
            lambda: torch.nn.Sequential(torch.nn.Tanh(), torch.nn.SiLU(inplace=True)),
            "SiLU changes its input in place",
        ),
    ],
)
def test_modules_that_gradients_cannot_go_through_are_refused(
    make, reason, block, with_gradient, refused
):
    module = ModuleMap(ONE, [make()])
    x = map_of(with_gradient(block(3, 4), [0, 1], 3))
    with refused(ValueError, refusal(reason)):
        module(x)
    assert module(map_of(block(3, 4)))[0].shape == (3, 4)


@pytest.mark.parametrize("per_sample", [None, False, 1])
def test_a_refused_module_is_not_called(per_sample, block, with_gradient, calls, refused):
    module = ModuleMap(ONE, [calls(torch.tanh, per_sample)])
    with refused(ValueError, refusal(unknown("Calls"))):
        module(map_of(with_gradient(block(3, 4), [0, 1], 3)))
    assert module.module_list[0].count == 0


def test_no_module_is_called_where_one_is_refused(block, with_gradient, calls, refused):
    keys = Labels.range("k", 2)
    module = ModuleMap(keys, [calls(torch.tanh, per_sample=True), torch.nn.Dropout()])
    blocks = [with_gradient(block(3, 4), [0], 3) for _ in range(2)]
    with refused(ValueError, refusal(unknown("Dropout"), key="(k=1)")):
        module(TensorMap(keys, blocks))
    assert module.module_list[0].count == 0


def test_statistics_of_a_refused_module_stay(block, with_gradient):
    norm = torch.nn.BatchNorm1d(4, dtype=F64)
    with pytest.raises(ValueError, match="BatchNorm1d is not known"):
        ModuleMap(ONE, [norm])(map_of(with_gradient(block(3, 4), [0])))
    assert norm.num_batches_tracked == 0
    assert not norm.running_mean.any()


def test_random_numbers_of_a_refused_module_are_not_drawn(block, with_gradient):
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="Dropout is not known"):
        ModuleMap(ONE, [torch.nn.Dropout()])(map_of(with_gradient(block(3, 4), [0])))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_module_that_says_it_is_per_sample_is_trusted(block, with_gradient, calls):
    x = map_of(with_gradient(block(3, 4), [0, 2, 2], 3))
    out = ModuleMap(ONE, [calls(torch.tanh, per_sample=True)])(x)
    expected = Tanh(ONE)(x)[0].gradient("positions").values
    assert torch.allclose(out[0].gradient("positions").values, expected, rtol=1e-13)


@pytest.mark.parametrize(
    "hook",
    [
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
    ],
)
@pytest.mark.parametrize("inside", [False, True], ids=["itself", "inside"])
def test_hooks_are_refused_and_not_called(hook, inside, block, with_gradient, refused):
    linear = torch.nn.Linear(4, 3, dtype=F64)
    seen = []
    getattr(linear, hook)(lambda *_: seen.append("called"))
    module = ModuleMap(ONE, [torch.nn.Sequential(linear, torch.nn.Tanh()) if inside else linear])
    with refused(ValueError, refusal("Linear has hooks, which would be called twice")):
        module(map_of(with_gradient(block(3, 4), [0, 1], 3)))
    assert seen == []


def test_a_removed_hook_is_no_reason(block, with_gradient):
    linear = torch.nn.Linear(4, 3, dtype=F64)
    linear.register_forward_hook(lambda *_: None).remove()
    x = map_of(with_gradient(block(3, 4), [0]))
    assert ModuleMap(ONE, [linear])(x)[0].has_any_gradient()


@pytest.mark.parametrize("kind", [ReLU, SiLU])
def test_in_place_is_refused_and_nothing_changed(kind, block, with_gradient, refused, same):
    x = map_of(with_gradient(block(3, 4), [0, 1], 3))
    before = x.copy()
    with refused(ValueError, refusal(f"{kind.__name__} changes its input in place")):
        kind(ONE, in_place=True)(x)
    same(x, before)


def test_in_place_inside_a_sequential_is_refused(block, with_gradient, refused):
    module = Sequential(ONE, Linear(ONE, 4, 3, dtype=F64), ReLU(ONE, in_place=True))
    with refused(ValueError, refusal("ReLU changes its input in place")):
        module(map_of(with_gradient(block(3, 4), [0, 1], 3)))


def test_gradients_of_gradients_are_refused(block, with_gradient, calls, refused):
    x = block(3, 4)
    gradient = TensorBlock(torch.zeros(2, 4, dtype=F64), Labels.range("sample", 2), [], x.properties)
    x.add_gradient("cell", with_gradient(gradient, [0, 1]))
    reason = "it has gradients itself, and gradients of gradients are not supported"
    recorder = calls(torch.tanh, per_sample=True)
    for module in (Linear(ONE, 4, 3, dtype=F64), ModuleMap(ONE, [recorder])):
        with refused(ValueError, refusal(reason, parameter="cell")):
            module(map_of(x))
    assert recorder.count == 0


def test_the_block_and_the_parameter_are_named(keys, block, with_gradient, refused):
    blocks = [with_gradient(block(3, 4), [0], parameter="cell") for _ in range(3)]
    module = ModuleMap(keys, [torch.nn.Tanh(), torch.nn.Dropout(), torch.nn.Tanh()])
    message = refusal(unknown("Dropout"), key="(l=1, species=1)", parameter="cell")
    with refused(ValueError, message):
        module(TensorMap(keys, blocks))


def test_modules_without_gradients_before_them_are_not_refused(keys, block, with_gradient, selected):
    blocks = [with_gradient(block(3, 4), [0]) for _ in range(3)]
    module = ModuleMap(keys, [torch.nn.Tanh(), torch.nn.Dropout(), torch.nn.Tanh()])
    assert len(module(selected(TensorMap(keys, blocks), [2, 0]))) == 2
