"""torch.compile of the modules: one graph, the results of eager mode, whatever maps come."""

import runpy
from pathlib import Path

import pytest
import torch

from tmref import Labels, TensorMap
from tmref.nn import Linear, ModuleMap, ReLU

shared = runpy.run_path(str(Path(__file__).with_name("test_torch_modules.py")))
build, covariant, loss_of, requires_grad = (
    shared[name] for name in ("build", "covariant", "loss_of", "requires_grad")
)
KEYS, MODULES, module, x = (shared[name] for name in ("KEYS", "MODULES", "module", "x"))


@pytest.fixture(autouse=True)
def _fresh():
    """No test sees what another one compiled."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def check(same):
    """Asserts that a compiled module does what the module does, to values, metadata and gradients."""

    def close(a, b):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)

    def run(function, parameters, x):
        x = requires_grad(x)
        out = function(x)
        inputs = [block.values for block in x] + parameters
        if not len(x):
            return out, []
        return out, torch.autograd.grad(loss_of(out), inputs, allow_unused=True)

    def check(compiled, module, x):
        parameters = list(module.parameters())
        found, gradients = run(compiled, parameters, x)
        expected, expected_gradients = run(module, parameters, x)
        assert type(found) is TensorMap
        assert found.keys == x.keys
        for a, b, values in zip(found, expected, x, strict=True):
            close(a.values, b.values)
            assert (a.samples, a.components, a.properties) == (b.samples, b.components, b.properties)
            assert a.samples == values.samples
        for a, b in zip(gradients, expected_gradients, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                close(a, b)

    return check


def with_keys(x, keys):
    """The blocks of x under the keys given, wherever these have them."""
    positions = [x.keys.position(key) for key in keys]
    return TensorMap(keys, [x[i].copy(deep=False) for i in positions])


@pytest.mark.parametrize("module", MODULES, indirect=True)
def test_one_graph_forward_and_backward(module, x, check):
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    check(compiled, module, x)
    check(compiled, module, covariant(seed=1))


@pytest.mark.parametrize("module", ["Sequential", "EquivariantTransformation"], indirect=True)
def test_aot_autograd(module, x, check):
    check(torch.compile(module, fullgraph=True, backend="aot_eager"), module, x)


@pytest.mark.slow
# torch loads decompositions by torch.jit, which it has deprecated
@pytest.mark.filterwarnings(r"ignore:`torch\.jit\.script_method` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("module", ["Sequential"], indirect=True)
def test_inductor(module, x, check):
    check(torch.compile(module, fullgraph=True), module, x)


@pytest.mark.parametrize("module", ["Sequential", "Sequential of others"], indirect=True)
def test_nothing_breaks_the_graph(module, x):
    explained = torch._dynamo.explain(module)(x)
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)


@pytest.mark.parametrize("module", ["Linear", "ModuleMap"], indirect=True)
def test_other_maps_after_the_first(module, x, check, permuted):
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    rows = KEYS.values
    others = [
        x,
        with_keys(x, Labels(KEYS.names, rows.clone())),  # equal keys, another object
        with_keys(x, Labels(KEYS.names, rows[[1, 2, 0]])),
        with_keys(x, Labels(KEYS.names, rows[[2]])),
        with_keys(x, permuted(KEYS)),
        x,
    ]
    for other in others:
        check(compiled, module, other)


@pytest.mark.parametrize("module", ["LayerNorm", "EquivariantTransformation"], indirect=True)
def test_other_samples_after_the_first(module, x, check):
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    check(compiled, module, x)
    check(compiled, module, covariant(first=7))  # as many, others
    check(compiled, module, covariant(samples=(5, 7, 6)))
    check(compiled, module, covariant(samples=(9, 2, 3), first=2))
    check(compiled, module, covariant(samples=(1, 0, 1)))


def test_a_map_without_blocks(x, check):
    module = build("Linear")
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    check(compiled, module, x)
    check(compiled, module, TensorMap(Labels.empty(KEYS.names), []))


def test_out_properties_are_those_of_the_key(x, check):
    properties = [Labels("p", 10 * i + torch.arange(4)[:, None]) for i in range(3)]
    module = ModuleMap(KEYS, [torch.nn.Tanh() for _ in KEYS], properties)
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    check(compiled, module, x)
    check(compiled, module, with_keys(x, Labels(KEYS.names, KEYS.values[[2, 0]])))


@pytest.mark.parametrize("first", [True, False])
def test_an_unknown_key_is_refused_still(first, x):
    module = build("Linear")
    compiled = torch.compile(module, backend="eager")
    if first:
        compiled(x)
    other = TensorMap(Labels(KEYS.names, torch.tensor([[0, 1], [1, 1], [2, 1]])), x.copy().blocks())
    with pytest.raises(
        ValueError, match=r"^the map has a block \(o3_lambda=2, o3_sigma=1\), but there is no module"
    ):
        compiled(other)


def test_other_parameters_and_modules_after_the_first(x, check):
    module = build("Linear")
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    check(compiled, module, x)
    with torch.no_grad():
        [p.mul_(2) for p in module.parameters()]
    check(compiled, module, x)
    module.module_map.module_list[1] = torch.nn.Tanh()
    check(compiled, module, x)
    module.load_state_dict(module.state_dict())
    check(compiled, module, x)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_nothing_is_poisoned(backend, same):
    widths = {"eager": 37, "aot_eager": 41}[backend], 43  # which no other test has seen
    x = covariant(properties=widths[0])
    module = ReLU(KEYS)
    out = torch.compile(module, fullgraph=True, backend=backend)(x)
    tensors = out, module(x), module(covariant(properties=widths[1]))
    for width, tensor in zip((widths[0], *widths), tensors, strict=True):
        for block in tensor:
            for labels in (block.samples, *block.components, block.properties, tensor.keys):
                assert type(labels.values) is torch.Tensor
            assert torch.equal(block.properties.values, torch.arange(width, dtype=torch.int32)[:, None])
    assert type(KEYS.values) is torch.Tensor
    same(module(x), out)


def test_labels_may_be_read_in_a_compiled_function(x):
    def first_samples(x):
        return [block.samples.values[:, 0] * block.values.sum() for block in x]

    compiled = torch.compile(first_samples, backend="eager")
    for tensor in (x, covariant(first=5)):
        found = compiled(tensor)
        assert all(torch.equal(a, b) for a, b in zip(found, first_samples(tensor), strict=True))
    assert all(type(block.samples.values) is torch.Tensor for block in x)


def test_module_compile(x, check):
    module = Linear(KEYS, 4, 2, dtype=torch.float64)
    twin = Linear(KEYS, 4, 2, dtype=torch.float64)
    twin.load_state_dict(module.state_dict())
    module.compile(fullgraph=True, backend="eager")
    found, expected = module(x), twin(x)
    assert all(torch.equal(a.values, b.values) for a, b in zip(found, expected, strict=True))
    check(torch.compile(module, backend="eager"), module, x)
