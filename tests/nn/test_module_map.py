import pytest
import torch
from hypothesis import find

import tmref
from tmref import Labels, TensorMap
from tmref.catalog import ROWS
from tmref.implementations.reference import implementation as reference
from tmref.nn import Linear, ModuleMap
from tmref.strategies import recipes, tensor_maps

ONE = Labels.range("k", 1)
TWO = Labels.range("k", 2)
IDENTITY = torch.nn.Identity()


@pytest.fixture
def scaled(keys, calls):
    """A module that multiplies the block of the i-th key by i + 1."""
    return ModuleMap(keys, [calls(lambda x, i=i: (i + 1) * x) for i in range(3)])


# --- construction


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[0]], [IDENTITY]), TypeError, "in_keys must be Labels, got list"),
        ((ONE, IDENTITY), TypeError, "modules must be a list of torch.nn.Module, got Identity"),
        ((ONE, None), TypeError, "modules must be a list of torch.nn.Module, got NoneType"),
        (
            (TWO, [IDENTITY, torch.tanh]),
            TypeError,
            "modules must be a list of torch.nn.Module, got builtin_function_or_method in it",
        ),
        (
            (TWO, [IDENTITY]),
            ValueError,
            "modules must have one module for each of the 2 keys, got 1",
        ),
        (
            (ONE, [IDENTITY], Labels.range("p", 2)),
            TypeError,
            "out_properties must be a list of Labels, one for each key, got Labels",
        ),
        (
            (ONE, [IDENTITY], 3),
            TypeError,
            "out_properties must be a list of Labels, one for each key, got int",
        ),
        (
            (ONE, [IDENTITY], [TWO, TWO]),
            ValueError,
            "out_properties must have one value for each of the 1 keys, got 2",
        ),
        (
            (ONE, [IDENTITY], ["p"]),
            TypeError,
            "out_properties must be a list of Labels, one for each key, got 'p' of type str",
        ),
    ],
)
def test_arguments_that_cannot_work_are_refused(arguments, error, message, refused):
    with refused(error, message):
        ModuleMap(*arguments)


def test_from_module_refuses_too(refused):
    with refused(TypeError, "in_keys must be Labels, got str"):
        ModuleMap.from_module("k", IDENTITY)
    with refused(TypeError, "modules must be a list of torch.nn.Module, got str in it"):
        ModuleMap.from_module(ONE, "tanh")


def test_attributes(keys):
    modules = [torch.nn.Identity() for _ in range(3)]
    properties = [Labels.range("p", n) for n in (1, 2, 3)]
    module = ModuleMap(keys, tuple(modules), tuple(properties))
    assert module.in_keys == keys
    assert module.out_properties == properties
    assert [a is b for a, b in zip(module.module_list, modules, strict=True)] == [True] * 3
    module.out_properties.append(keys)
    assert module.out_properties == properties
    assert ModuleMap(keys, torch.nn.ModuleList(modules)).out_properties is None


def test_from_module_copies_the_module(keys):
    linear = torch.nn.Linear(4, 2)
    module = ModuleMap.from_module(keys, linear)
    copies = [*module.module_list, linear]
    assert len({id(m.weight) for m in copies}) == 4
    assert all(torch.equal(m.weight, linear.weight) for m in copies)


# --- blocks are matched by named key values


def test_every_block_goes_to_the_module_of_its_key(three, scaled):
    out = scaled(three)
    assert out.keys == three.keys
    for i, (a, b) in enumerate(zip(out, three, strict=True)):
        assert torch.equal(a.values, (i + 1) * b.values)
        assert (a.samples, a.components) == (b.samples, b.components)
    assert [m.count for m in scaled.module_list] == [1, 1, 1]


@pytest.mark.parametrize("order", [[2, 0, 1], [1, 0, 2], [2], [1, 0], []], ids=str)
@pytest.mark.parametrize("reverse_names", [False, True])
def test_the_order_of_keys_does_not_matter(order, reverse_names, three, scaled, selected, permuted):
    tensor = selected(three, order)
    if reverse_names:
        tensor = TensorMap(permuted(tensor.keys), tensor.copy(deep=False).blocks())
    out = scaled(tensor)
    assert out.keys == tensor.keys
    for i, a, b in zip(order, out, tensor, strict=True):
        assert torch.equal(a.values, (i + 1) * b.values)


@pytest.mark.parametrize("order", [[2, 0, 1], [1, 0]], ids=str)
def test_properties_go_by_the_key_too(order, three, keys, selected):
    properties = [Labels(f"p_{i}", torch.arange(4).reshape(4, 1) + i) for i in range(3)]
    properties = [Labels("p", p.values) for p in properties]
    module = ModuleMap.from_module(keys, torch.nn.Identity(), properties)
    out = module(selected(three, order))
    assert [b.properties for b in out] == [properties[i] for i in order]


def test_a_block_of_an_unknown_key_is_refused_by_name(three, keys, scaled, block, refused):
    other = Labels(keys.names, torch.tensor([[1, 1], [1, 7], [0, 1]]))
    message = (
        "the map has a block (l=1, species=7), but there is no module for it; there are modules for "
        "(l=0, species=1), (l=1, species=1), (l=1, species=6)"
    )
    with refused(ValueError, message):
        scaled(TensorMap(other, three.copy().blocks()))
    assert [m.count for m in scaled.module_list] == [0, 0, 0]


@pytest.mark.parametrize(
    ("names", "printed"),
    [
        (["l", "center"], "(l=0, center=1)"),
        (["species", "l"], "(species=0, l=1)"),
        (["l", "species", "n"], "(l=0, species=1, n=0)"),
        (["l"], "(l=0)"),
    ],
)
def test_blocks_of_other_key_dimensions_are_refused_by_name(names, printed, scaled, block, refused):
    row = torch.tensor([[0, 1, 0][: len(names)]])
    message = (
        f"the map has a block {printed}, but there is no module for it; there are modules for "
        "(l=0, species=1), (l=1, species=1), (l=1, species=6)"
    )
    with refused(ValueError, message):
        scaled(TensorMap(Labels(names, row), [block(2, 4)]))


def test_a_module_without_keys_knows_no_block(only, refused):
    module = ModuleMap(Labels.empty("k"), [])
    message = "the map has a block (k=0), but there is no module for it; there are modules for no keys"
    with refused(ValueError, message):
        module(only(2, 4))


@pytest.mark.parametrize("given", [torch.zeros(2, 4), None, [1]], ids=["Tensor", "NoneType", "list"])
def test_only_maps_are_accepted(given, scaled, refused):
    with refused(TypeError, f"the input must be a TensorMap, got {type(given).__name__}"):
        scaled(given)


def test_a_block_is_no_map(scaled, block, refused):
    with refused(TypeError, "the input must be a TensorMap, got TensorBlock"):
        scaled(block(2, 4))


# --- sizes


@pytest.mark.parametrize("names", [["l", "species"], ["species", "l"]])
def test_a_map_without_blocks_gives_one(names, scaled):
    keys = Labels.empty(names)
    out = scaled(TensorMap(keys, []))
    assert len(out) == 0
    assert out.keys == keys


@pytest.mark.parametrize("shape", [(0, 4), (2, 0), (0, 0), (1, 1), (0, 3, 4), (3, 2, 5, 4)])
def test_any_size_is_ordinary(shape, only, valid):
    x = only(*shape)
    out = ModuleMap.from_module(x.keys, torch.nn.Tanh())(x)
    assert torch.equal(out[0].values, torch.tanh(x[0].values))
    assert out[0].components == x[0].components
    valid(out)


# --- properties


@pytest.mark.parametrize("width", [0, 1, 3])
def test_default_properties_count_from_0(width, only, calls, valid):
    x = only(2, 3, 4)
    out = ModuleMap(ONE, [calls(lambda x: x[..., :1].expand(2, 3, width))])(x)
    assert out[0].properties == Labels.range("_", width)
    valid(out)


def test_out_properties_are_the_properties(only, valid):
    properties = Labels(["n", "m"], torch.tensor([[0, 1], [0, 2], [5, 1], [9, 9]]))
    out = ModuleMap(ONE, [torch.nn.Tanh()], [properties])(only(2, 4))
    assert out[0].properties is properties
    valid(out)


def test_out_properties_of_another_length_than_the_width_are_refused(only, refused):
    module = ModuleMap(ONE, [torch.nn.Tanh()], [Labels.range("p", 3)])
    message = "the module of (k=0) returned 4 properties, but its out_properties have 3 entries"
    with refused(ValueError, message):
        module(only(2, 4))


# --- what a module may return


@pytest.mark.parametrize(
    ("function", "given"),
    [
        (lambda x: x[:1], "(1, 3, 4)"),
        (lambda x: x[:, :2], "(2, 2, 4)"),
        (lambda x: x.flatten(1), "(2, 12)"),
        (lambda x: x.sum(-1), "(2, 3)"),
        (lambda x: x.sum(), "()"),
        (lambda x: x.unsqueeze(-1), "(2, 3, 4, 1)"),
        (lambda x: x.transpose(0, 1), "(3, 2, 4)"),
        (lambda x: None, "NoneType"),
        (lambda x: (x, x), "tuple"),
        (lambda x: x.numpy(), "ndarray"),
    ],
)
def test_another_shape_than_a_module_may_return_is_refused(function, given, only, calls, refused):
    module = ModuleMap(ONE, [calls(function)])
    message = f"the module of (k=0) must return a tensor of the shape (2, 3, out_features), got {given}"
    with refused(ValueError, message):
        module(only(2, 3, 4))


# --- a forward changes nothing, and calls the modules


def test_the_input_is_not_changed(three, keys, same):
    before = three.copy()
    ModuleMap.from_module(keys, torch.nn.Linear(4, 3, dtype=torch.float64))(three)
    same(three, before)


def test_the_output_has_blocks_of_its_own(with_gradient, block):
    x = TensorMap(ONE, [with_gradient(block(2, 4), [0])])
    out = ModuleMap.from_module(ONE, torch.nn.Tanh())(x)
    assert out[0].gradients_list() == ["positions"]
    assert out[0] is not x[0]
    assert out[0].gradient("positions") is not x[0].gradient("positions")


def test_blocks_of_the_output_are_owned(only):
    out = ModuleMap.from_module(ONE, torch.nn.Tanh())(only(2, 4))
    with pytest.raises(ValueError, match="part of a TensorMap"):
        out[0].add_gradient("q", out[0])


def test_hooks_of_wrapped_modules_run_exactly_once(only):
    linear = torch.nn.Linear(4, 3, dtype=torch.float64)
    seen = []
    linear.register_forward_pre_hook(lambda module, args: seen.append("before"))
    linear.register_forward_hook(lambda module, args, out: seen.append("after"))
    linear.register_full_backward_hook(lambda module, grad_in, grad_out: seen.append("backward"))
    x = only(2, 4)
    x[0].values.requires_grad_()
    out = ModuleMap(ONE, [linear])(x)
    assert seen == ["before", "after"]
    out[0].values.sum().backward()
    assert seen == ["before", "after", "backward"]


def test_a_hook_may_change_the_output(only):
    linear = torch.nn.Linear(4, 3, dtype=torch.float64)
    linear.register_forward_hook(lambda module, args, out: 2 * out)
    x = only(2, 4)
    out = ModuleMap(ONE, [linear])(x)
    expected = 2 * torch.nn.functional.linear(x[0].values, linear.weight, linear.bias)
    assert torch.equal(out[0].values, expected)


def test_parametrizations_count(only):
    class Negative(torch.nn.Module):
        def forward(self, weight):
            return -weight.abs()

    x = only(2, 4)
    module = Linear(ONE, 4, 3, bias=False, dtype=torch.float64)
    inner = module.module_map.module_list[0]
    weight = inner.weight.detach().clone()
    torch.nn.utils.parametrize.register_parametrization(inner, "weight", Negative())
    assert torch.equal(module(x)[0].values, x[0].values @ -weight.abs().T)


def test_running_statistics_are_updated_once(only):
    norm = torch.nn.BatchNorm1d(4, dtype=torch.float64)
    ModuleMap(ONE, [norm])(only(5, 4))
    assert norm.num_batches_tracked == 1


def test_random_numbers_are_those_of_torch(only):
    x = only(50, 4)
    module = ModuleMap.from_module(ONE, torch.nn.Dropout(0.5))
    torch.manual_seed(3)
    out = module(x)[0].values
    torch.manual_seed(3)
    assert torch.equal(out, torch.nn.functional.dropout(x[0].values, 0.5))
    assert torch.equal(module.eval()(x)[0].values, x[0].values)


def test_autograd_goes_through(only):
    x = only(3, 4)
    x[0].values.requires_grad_()
    linear = torch.nn.Linear(4, 2, dtype=torch.float64)
    ModuleMap(ONE, [linear])(x)[0].values.sum().backward()
    assert torch.allclose(linear.weight.grad, x[0].values.detach().sum(0).expand(2, 4), rtol=1e-14)
    assert torch.allclose(x[0].values.grad, linear.weight.detach().sum(0).expand(3, 4), rtol=1e-14)


def test_parameters_stand_under_module_list(keys, mts, to_mts):
    module = ModuleMap.from_module(keys, torch.nn.Linear(2, 2))
    names = [f"module_list.{i}.{name}" for i in range(3) for name in ("weight", "bias")]
    assert [name for name, _ in module.named_parameters()] == names
    # beside them, exactly what metatensor's has: an empty helper, and the labels
    assert list(module.state_dict()) == ["_mts_helper", "_extra_state", *names]
    theirs = mts.learn.nn.ModuleMap.from_module(to_mts(keys), torch.nn.Linear(2, 2))
    assert list(module.state_dict()) == list(theirs.state_dict())


def test_properties_of_different_dimensions_are_refused(refused):
    keys = Labels.range("k", 2)
    message = (
        "out_properties must have the same dimensions for all keys, as the blocks of a map do, "
        "got ['n'] and ['m']"
    )
    with refused(ValueError, message):
        ModuleMap.from_module(keys, torch.nn.Tanh(), [Labels.range("n", 1), Labels.range("m", 1)])


# --- what maps say of themselves


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors is a no-op")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_the_input_says_of_itself_the_output_says(row):
    x = find(tensor_maps(**row.maps, min_properties=1), lambda x: len(x) > 1)
    module = reference.build(find(recipes(row, x), lambda recipe: True))
    assert module(x).info() == {}
    assert module(tmref.with_info(x, {"unit": "eV"})).info() == {"unit": "eV"}
