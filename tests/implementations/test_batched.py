"""Blocks of equal shape that are run as one: what is batched, what isn't, and that nobody can tell."""

import copy
import pickle
import platform
import re
import subprocess
import sys

import pytest
import torch
from torch.autograd import forward_ad
from torch.utils._python_dispatch import TorchDispatchMode

import tmref
from tmref import Labels, TensorMap, block_from_array
from tmref.catalog import row
from tmref.implementations import load
from tmref.implementations.batched import (
    LEAST_BLOCKS,
    MOST_IN_A_PARAMETER,
    MOST_VALUES,
    MOST_VALUES_WITHOUT_PRODUCTS,
    BatchedModuleMap,
    always,
    batched,
    plan,
)
from tmref.implementations.batched.beside import Beside
from tmref.laws import LAWS, runner
from tmref.laws.checks import Case, cases

nn = tmref.nn


class Operators(TorchDispatchMode):
    """The names of the operators that are called."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


def products(module, x):
    """How many products of matrices a forward takes."""
    with Operators() as operators:
        module(x)
    return sum(name in ("addmm", "mm", "bmm", "baddbmm") for name in operators.names)


def keys(n):
    return Labels(["o3_lambda", "o3_sigma", "k"], torch.tensor([[1, 1, i] for i in range(n)]))


def tensor(*shapes, dtype=torch.float32):
    torch.manual_seed(0)
    blocks = [block_from_array(torch.randn(shape, dtype=dtype)) for shape in shapes]
    return TensorMap(keys(len(shapes)), blocks)


def of_equal_shape(n=LEAST_BLOCKS, shape=(3, 4)):
    return tensor(*[shape] * n)


def assert_like(module, reference, x):
    for block, expected in zip(module(x), reference(x), strict=True):
        torch.testing.assert_close(block.values, expected.values)


@pytest.fixture
def linear():
    """A layer of as many modules as are batched, and the batched one, which has run once."""
    torch.manual_seed(1)
    reference = nn.Linear(keys(LEAST_BLOCKS), 4, 2)
    module = batched(reference)
    module(of_equal_shape())
    return reference, module


def test_parameters_are_shared_and_the_module_given_stays(linear):
    reference, module = linear
    assert type(reference.module_map) is nn.ModuleMap
    assert type(module.module_map) is BatchedModuleMap
    pairs = zip(reference.parameters(), module.parameters(), strict=True)
    assert all(one is other for one, other in pairs)
    assert list(reference.state_dict()) == list(module.state_dict())
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    x = of_equal_shape()
    before = [block.values.detach().clone() for block in reference(x)]
    sum(block.values.sum() for block in module(x)).backward()
    optimizer.step()
    assert not any(torch.equal(b.values, old) for b, old in zip(reference(x), before, strict=True))
    assert_like(module, reference, x)


@pytest.mark.parametrize(("given", "words"), [(None, "got NoneType"), (nn.Linear, "got type")])
def test_what_is_no_module_is_refused(given, words):
    with pytest.raises(TypeError, match=f"module must be a torch.nn.Module to be batched, {words}"):
        batched(given)


def test_what_has_no_map_of_modules_of_tmref_is_refused():
    of_metatensor = load("metatensor-torch")
    theirs = of_metatensor.nn.Linear(of_metatensor.Labels.range("k", 2), 2, 2)
    for given in (torch.nn.Linear(2, 2), theirs):
        with pytest.raises(ValueError, match=r"a tmref.nn.ModuleMap in it to be batched, .* got Linear"):
            batched(given)


def test_as_many_operators_for_any_number_of_blocks():
    counts = []
    for n in (LEAST_BLOCKS, 4 * LEAST_BLOCKS):
        module = nn.Linear(keys(n), 4, 2)
        x = of_equal_shape(n)
        assert products(module, x) == n
        as_one = batched(module)
        assert products(as_one, x) == 1
        with Operators() as operators:
            as_one(x)
        counts.append(len(operators.names))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (lambda k: nn.Linear(k, 4, 2, bias=False), (3, 4)),
        (lambda k: nn.Linear(k, 4, 2), (3, 5, 6, 4)),
        (lambda k: nn.ReLU(k), (3, 4)),
        (lambda k: nn.SiLU(k), (3, 5, 4)),
        (lambda k: nn.Tanh(k), (3, 4)),
        (lambda k: nn.LayerNorm(k, 4), (3, 4)),
        (lambda k: nn.LayerNorm(k, 4, mean=False), (3, 5, 4)),
        (lambda k: nn.LayerNorm(k, 4, bias=False), (3, 5, 4)),
        (lambda k: nn.LayerNorm(k, 4, elementwise_affine=False), (3, 5, 4)),
        (lambda k: nn.Sequential(k, nn.Linear(k, 4, 8), nn.LayerNorm(k, 8), nn.Tanh(k)), (3, 5, 4)),
        (lambda k: nn.EquivariantTransformation([mlp() for _ in k], k, 4), (3, 5, 4)),
        (lambda k: nn.ModuleMap(k, [torch.nn.Sequential(mlp(), mlp()) for _ in k]), (3, 4)),
    ],
)
def test_every_kind_is_run_as_one_and_is_what_the_loop_is(module, shape):
    torch.manual_seed(2)
    reference = module(keys(LEAST_BLOCKS))
    for parameter in reference.parameters():
        torch.nn.init.normal_(parameter)
    x = of_equal_shape(shape=shape)
    as_one = batched(reference)
    assert_like(as_one, reference, x)
    counts = []
    for made in (reference, as_one):
        with Operators() as operators:
            made(x)
        counts.append(len(operators.names))
    assert counts[1] < counts[0]


def mlp():
    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.SiLU(), torch.nn.Linear(4, 4))


@pytest.mark.parametrize("covariant", [False, True])
@pytest.mark.parametrize("order", ["laba", "aal", "ala", "la(a)"])
def test_a_module_that_is_there_twice_is_run_twice(covariant, order):
    def repeated():
        linear, act = torch.nn.Linear(4, 4), torch.nn.SiLU()
        of = {"l": linear, "b": torch.nn.Linear(4, 4), "a": act, "(": torch.nn.Sequential(act, linear)}
        return torch.nn.Sequential(*(of[letter] for letter in order if letter != ")"))

    torch.manual_seed(2)
    k, x = keys(LEAST_BLOCKS), of_equal_shape(shape=(3, 5, 4))
    modules = [repeated() for _ in k]
    reference = nn.EquivariantTransformation(modules, k, 4) if covariant else nn.ModuleMap(k, modules)
    module = batched(reference)
    assert_like(module, reference, x)
    assert products(module, x) == sum(letter in "lb(" for letter in order)


def test_a_child_that_was_taken_away_is_left_to_the_loop():
    modules = [mlp() for _ in range(LEAST_BLOCKS)]
    for module in modules:
        module.register_module("1", None)
    reference = nn.ModuleMap(keys(LEAST_BLOCKS), modules)
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        batched(reference)(of_equal_shape())


def test_errors_are_those_of_the_loop():
    reference = nn.EquivariantTransformation([mlp() for _ in keys(LEAST_BLOCKS)], keys(LEAST_BLOCKS), 4)
    for shape in ((3, 4), (3, 5, 5)):
        said = []
        for module in (reference, batched(reference)):
            with pytest.raises((ValueError, RuntimeError)) as error:
                module(of_equal_shape(shape=shape))
            said.append(str(error.value))
        assert said[0] == said[1]


def two_layers(keys, features):
    return nn.Sequential(keys, nn.Linear(keys, features, 4), nn.Tanh(keys))


def test_groups_are_of_equal_shapes_and_kinds_in_any_order():
    shapes = [(3, 4), (50, 4), (2, 4)] * LEAST_BLOCKS
    shapes[2::3] = [(200 + i, 4) for i in range(LEAST_BLOCKS)]  # none like another
    shapes[2] = (0, 4)
    x = tensor(*shapes)
    reference = nn.Linear(x.keys, 4, 2)
    module = batched(reference)
    assert products(module, x) == 2 + LEAST_BLOCKS
    assert_like(module, reference, x)
    by_kind = nn.EquivariantLinear(x.keys, 4, [2, 3] * (len(x) // 2) + [2] * (len(x) % 2))
    assert_like(batched(by_kind), by_kind, x)


UNEQUAL = {
    "linear": lambda k: nn.Linear(k, 4, 2),
    "layer_norm": lambda k: nn.LayerNorm(k, 4),
    "tanh": nn.Tanh,
    "sequential": lambda k: nn.Sequential(
        k, nn.Linear(k, 4, 8), nn.LayerNorm(k, 8, mean=False), nn.ReLU(k)
    ),
    "equivariant": lambda k: nn.EquivariantTransformation([mlp() for _ in k], k, 4),
}


@pytest.mark.parametrize(
    ("name", "components"),
    [(name, (5,)) for name in UNEQUAL] + [(name, ()) for name in UNEQUAL if name != "equivariant"],
)
def test_unequal_numbers_of_samples_are_run_as_one(name, components):
    make = UNEQUAL[name]
    shapes = [(2 + i % 4, *components, 4) for i in range(LEAST_BLOCKS)]
    x = tensor(*shapes, (0, *components, 4), dtype=torch.float64)
    reference = make(x.keys).double()
    for parameter in reference.parameters():
        torch.nn.init.normal_(parameter)
    module = batched(reference)
    assert_like(module, reference, x)
    counts = []
    for made in (reference, module):
        with Operators() as operators:
            made(x)
        counts.append(len(operators.names))
    assert counts[1] < counts[0]
    found = []
    for made in (reference, module):
        given = [block.values.clone().requires_grad_() for block in x]
        y = made(TensorMap(x.keys, list(map(block_from_array, given))))
        sum(block.values.sin().sum() for block in y).backward()
        found.append([v.grad for v in (*given, *reference.parameters())])
        reference.zero_grad()
    torch.testing.assert_close(*found)


def test_what_is_not_finite_for_zeros_is_not_filled_up_with_them():
    x = tensor(*[(2 + i % 4, 4) for i in range(LEAST_BLOCKS)])
    reference = nn.LayerNorm(x.keys, 4, eps=0.0)
    for made in (reference, batched(reference)):
        sum(block.values.sum() for block in made(x)).backward()
    assert all(parameter.grad.isfinite().all() for parameter in reference.parameters())


def test_parameters_of_a_block_without_samples_have_no_part_in_anything():
    x = tensor(*[(2 + i % 4, 4) for i in range(LEAST_BLOCKS)], (0, 4))
    reference = nn.Sequential(x.keys, nn.Linear(x.keys, 4, 2), nn.Tanh(x.keys))
    torch.nn.init.constant_(list(reference.parameters())[-2], torch.inf)
    for made in (reference, batched(reference)):
        sum(block.values.sum() for block in made(x)).backward()
        assert all(parameter.grad.isfinite().all() for parameter in reference.parameters())


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda k: nn.Linear(k, 4, 2), "bias"),
        (lambda k: nn.LayerNorm(k, 4), "bias"),
        (lambda k: nn.LayerNorm(k, 4), "weight"),
    ],
)
@pytest.mark.parametrize("was_called", [False, True])
def test_parameters_that_are_broadcast_are_those_of_their_block(make, name, was_called):
    x = of_equal_shape(LEAST_BLOCKS, shape=(LEAST_BLOCKS, 4))
    reference = make(x.keys)
    module = batched(reference)
    if was_called:
        module(x)
    for made in (reference, module):
        for i, part in enumerate(parts(made)):
            setattr(part, name, torch.nn.Parameter(torch.tensor(float(i + 1))))
    assert_like(module, reference, x)


def test_a_weight_of_one_axis_is_refused_as_the_loop_refuses_it(linear):
    reference, module = linear
    for made in (reference, module):
        for part in parts(made):
            part.weight, part.bias = torch.nn.Parameter(torch.ones(4)), None
        with pytest.raises(ValueError, match=re.escape("(3, out_features), got (3,)")):
            made(of_equal_shape())


def test_few_samples_among_many_are_not_filled_up():
    x = tensor(*[(2, 4)] * LEAST_BLOCKS, *[(4, 4)] * LEAST_BLOCKS)
    reference = nn.Linear(x.keys, 4, 2)
    assert products(batched(reference), x) == 1
    x = tensor(*[(2, 4)] * LEAST_BLOCKS, (400, 4))
    reference = nn.Linear(x.keys, 4, 2)
    module = batched(reference)
    assert products(module, x) == 2
    assert_like(module, reference, x)


def test_other_shapes_and_fewer_blocks_than_before(linear):
    reference, module = linear
    for x in (
        of_equal_shape(shape=(5, 4)),
        tensor(*[(2, 4)] * (LEAST_BLOCKS - 1), (3, 4)),
        tensor((2, 4), (3, 4)),
        of_equal_shape(),
    ):
        assert_like(module, reference, x)


@pytest.mark.parametrize(
    ("blocks", "samples", "features", "module", "as_one"),
    [
        (LEAST_BLOCKS, 1, 4, nn.Linear, True),
        (LEAST_BLOCKS - 1, 1, 4, nn.Linear, False),
        (LEAST_BLOCKS, MOST_VALUES // 4, 4, nn.Linear, True),
        (LEAST_BLOCKS, MOST_VALUES // 4 + 1, 4, nn.Linear, False),
        (LEAST_BLOCKS, MOST_VALUES // 4, 4, two_layers, True),
        (LEAST_BLOCKS, MOST_VALUES // 4 + 1, 4, two_layers, False),
        (LEAST_BLOCKS, 1, MOST_IN_A_PARAMETER // 4, nn.Linear, True),
        (LEAST_BLOCKS, 1, MOST_IN_A_PARAMETER // 4 + 1, nn.Linear, False),
        (LEAST_BLOCKS, MOST_VALUES_WITHOUT_PRODUCTS // 4, 4, nn.LayerNorm, True),
        (LEAST_BLOCKS, MOST_VALUES_WITHOUT_PRODUCTS // 4 + 1, 4, nn.LayerNorm, False),
    ],
)
def test_it_is_batched_where_that_pays(blocks, samples, features, module, as_one):
    x = of_equal_shape(blocks, (samples, features))
    made = batched(module(x.keys, features, *([4] if module is nn.Linear else [])))
    made(x)  # brings the parameters together
    with Operators() as operators:
        made(x)
    assert (len(operators.names) < blocks) == as_one


class Doubled(torch.nn.Module):
    """A parametrization."""

    def forward(self, x):
        return 2 * x


def hooked(module):
    module.register_forward_hook(lambda module, args, output: output + 1)


def with_another_forward(module):
    module.forward = lambda x: torch.nn.functional.linear(x, module.weight) + 3


def parametrized(module):
    torch.nn.utils.parametrize.register_parametrization(module, "weight", Doubled())


def with_a_tensor_for_a_parameter(module):
    weight = 3 * module.weight.detach()
    del module.weight
    module.weight = weight


def without_bias(module):
    module.bias = None


def with_new_parameters(module):
    module.weight = torch.nn.Parameter(torch.ones(2, 4))


@pytest.mark.parametrize(
    "change",
    [
        hooked,
        with_another_forward,
        parametrized,
        with_a_tensor_for_a_parameter,
        without_bias,
        with_new_parameters,
    ],
)
def test_what_is_changed_after_a_forward_is_noticed(linear, change):
    _, module = linear
    for part in module.module_map.module_list:
        change(part)
    loop = [part(block.values) for part, block in zip(parts(module), of_equal_shape(), strict=True)]
    for block, expected in zip(module(of_equal_shape()), loop, strict=True):
        torch.testing.assert_close(block.values, expected)


@pytest.mark.parametrize(
    "change", [hooked, with_another_forward, parametrized, with_a_tensor_for_a_parameter, without_bias]
)
@pytest.mark.parametrize("which", [0, 3])
def test_what_is_changed_in_one_module_is_noticed(linear, change, which):
    _, module = linear
    change(parts(module)[which])
    loop = [part(block.values) for part, block in zip(parts(module), of_equal_shape(), strict=True)]
    for block, expected in zip(module(of_equal_shape()), loop, strict=True):
        torch.testing.assert_close(block.values, expected)


def parts(module):
    return list(getattr(module, "module_map", module).module_list)


def test_replaced_children_and_attributes_are_noticed():
    def change_eps(module):
        parts(module)[1][1].eps = 1.0

    def change_child(module):
        parts(module)[1][0] = torch.nn.Linear(4, 4)

    def change_all(module):
        module.module_list[2] = torch.nn.Identity()

    def take_weights(module):
        for part in parts(module):
            part[1].weight = None

    def take_weights_and_biases(module):
        for part in parts(module):
            part[1].weight = part[1].bias = None

    def fill_what_is_empty(module):
        for part in parts(module):
            part[2].append(torch.nn.Tanh())

    x = of_equal_shape()
    changes = (
        change_eps,
        change_child,
        change_all,
        take_weights,
        take_weights_and_biases,
        fill_what_is_empty,
    )
    for change in changes:
        modules = [
            torch.nn.Sequential(torch.nn.Linear(4, 4), norm, torch.nn.Sequential())
            for norm in nn.LayerNorm(x.keys, 4).module_map.module_list
        ]
        for part in modules:
            torch.nn.init.normal_(part[1].bias)
        module = batched(nn.ModuleMap(x.keys, modules))
        module(x)
        change(module)
        loop = [part(block.values) for part, block in zip(parts(module), x, strict=True)]
        for block, expected in zip(module(x), loop, strict=True):
            torch.testing.assert_close(block.values, expected)


def test_in_place_and_global_hooks_and_autocast_are_left_to_the_loop(linear):
    _, module = linear
    x = of_equal_shape()
    in_place = batched(nn.ReLU(x.keys, in_place=True))
    in_place(x)
    assert all(block.values.min() == 0 for block in x)
    called = []
    handle = torch.nn.modules.module.register_module_forward_hook(
        lambda module, args, output: called.append(type(module))
    )
    try:
        module(of_equal_shape())
    finally:
        handle.remove()
    assert called.count(torch.nn.Linear) == LEAST_BLOCKS
    with torch.autocast("cpu", torch.bfloat16):
        assert module(of_equal_shape()).dtype == torch.bfloat16
        assert products(module, of_equal_shape()) == LEAST_BLOCKS


def test_other_modules_are_called_block_by_block():
    k = keys(LEAST_BLOCKS)
    for foreign in (torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.5), torch.nn.GELU()):
        reference = nn.ModuleMap.from_module(k, foreign)
        x = of_equal_shape()
        torch.manual_seed(3)
        expected = copy.deepcopy(reference)(x)
        torch.manual_seed(3)
        for block, other in zip(batched(reference)(x), expected, strict=True):
            assert torch.equal(block.values, other.values)


def test_what_does_not_fit_is_refused_as_the_loop_refuses_it(linear):
    reference, module = linear
    wrong = [tensor(*[(3, 4)] * LEAST_BLOCKS, dtype=torch.float64), of_equal_shape(shape=(3, 5))]
    for x in wrong:
        messages = []
        for made in (reference, module):
            with pytest.raises(RuntimeError) as refused:
                made(x)
            messages.append(str(refused.value))
        assert messages[0] == messages[1]
    parts(module)[3].double()
    with pytest.raises(RuntimeError, match="dtype"):
        module(of_equal_shape())
    with pytest.raises(RuntimeError, match="dtype"):  # what is stacked would be promoted to float64
        module(tensor(*[(3, 4)] * LEAST_BLOCKS, dtype=torch.float64))


def test_derivatives_of_first_and_second_order():
    x = of_equal_shape(shape=(2, 3, 4))
    module = batched(nn.EquivariantTransformation([mlp() for _ in x.keys], x.keys, 4)).double()
    parameters = [p for part in parts(module)[:2] for p in part.parameters()]

    def function(values, *given):
        blocks = [block_from_array(values)] * LEAST_BLOCKS
        names = [name for name, p in module.named_parameters() if any(p is q for q in parameters)]
        replaced = dict(zip(names, given, strict=True))
        y = torch.func.functional_call(module, replaced, (TensorMap(x.keys, blocks),))
        return y.block(0).values, y.block(1).values

    values = torch.randn(1, 2, 4, dtype=torch.float64, requires_grad=True)
    given = [p.detach().clone().requires_grad_() for p in parameters]
    assert torch.autograd.gradcheck(function, (values, *given))
    assert torch.autograd.gradgradcheck(function, (values, *given))


def test_outputs_may_be_changed_in_place_where_those_of_the_loop_may(linear):
    _, module = linear
    y = module(of_equal_shape())
    for block in y:
        block.values.mul_(2)
    sum(block.values.sum() for block in y).backward()
    torch.testing.assert_close(parts(module)[0].bias.grad, torch.full((2,), 6.0))
    covariant = nn.EquivariantTransformation([torch.nn.Tanh()] * LEAST_BLOCKS, keys(LEAST_BLOCKS), 4)
    values = [torch.ones(3, 5, 4, requires_grad=True) for _ in range(LEAST_BLOCKS)]
    y = batched(covariant)(TensorMap(keys(LEAST_BLOCKS), [block_from_array(v) for v in values]))
    y.block(0).values.mul_(2)
    # the loop's backward raises here, since autograd keeps what tanh returns
    tanh = batched(nn.Tanh(keys(LEAST_BLOCKS)))
    x = TensorMap(
        keys(LEAST_BLOCKS),
        [block_from_array(torch.ones(3, 4, requires_grad=True)) for _ in range(LEAST_BLOCKS)],
    )
    with pytest.raises(RuntimeError, match="modified inplace"):
        tanh(x).block(0).values.mul_(2)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.SiLU, nn.Tanh])
def test_outputs_that_autograd_does_not_keep_may_be_changed_in_place(activation):
    module = batched(activation(keys(LEAST_BLOCKS)))
    factor = torch.tensor(2.0, requires_grad=True)
    x = of_equal_shape()
    with torch.no_grad():
        outputs = [module(x)]
    for y in (*outputs, module(x)):
        y.block(0).values.mul_(factor)
        assert y.block(0).values.requires_grad


def test_several_blocks_are_one_for_autograd_as_is_documented(linear):
    reference, module = linear
    for block in reference(of_equal_shape()):
        block.values.sum().backward()
    y = module(of_equal_shape())
    y.block(0).values.sum().backward(retain_graph=True)
    y.block(1).values.sum().backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.block(2).values.sum().backward()
    module.zero_grad()
    module(of_equal_shape()).block(0).values.sum().backward()
    assert parts(module)[0].bias.grad.tolist() == [3, 3]
    assert parts(module)[1].bias.grad.tolist() == [0, 0]


@pytest.mark.parametrize("which", ["weight", "bias", "values"])
def test_where_only_some_require_gradients_it_is_a_loop(linear, which):
    reference, module = linear
    x = of_equal_shape()
    if which == "values":
        module.requires_grad_(False)
        x.block(0).values.requires_grad_()
    else:
        getattr(parts(module)[0], which).requires_grad_(False)
    assert products(module, x) == LEAST_BLOCKS
    needed = [block.values.requires_grad for block in module(x)]
    assert needed == [block.values.requires_grad for block in reference(x)]
    with torch.no_grad():
        assert products(module, x) == 1


def test_what_is_run_as_one_is_made_once_for_maps_of_any_samples(monkeypatch):
    made = []
    as_one = plan.AsOne
    monkeypatch.setattr(plan, "AsOne", lambda *given: (made.append(len(given[0])), as_one(*given))[1])
    monkeypatch.setattr(plan, "_MOST_FOUND", 2)
    n = LEAST_BLOCKS
    reference = nn.Linear(keys(n + 2), 4, 2)
    module = batched(reference)
    for samples in (3, 4, 3, 5):
        assert_like(module, reference, of_equal_shape(n + 2, shape=(samples, 4)))
    assert made == [n + 2]
    some = [tensor(*[(400, 4)] * i, *[(3, 4)] * n, *[(400, 4)] * (2 - i)) for i in (0, 1, 2)]
    for x in (*some, *some):
        assert_like(module, reference, x)
    assert made == [n + 2, n, n, n, n, n, n]


def test_a_checkpoint_of_some_of_the_blocks_saves_the_same_the_second_time():
    reference, x = nn.Linear(keys(2 * LEAST_BLOCKS), 4, 2), of_equal_shape()
    found = []
    for module in (reference, batched(reference)):
        given = [block.values.clone().requires_grad_() for block in x]
        tensors = TensorMap(x.keys, list(map(block_from_array, given)))
        y = torch.utils.checkpoint.checkpoint(module, tensors, use_reentrant=False)
        sum(block.values.square().sum() for block in y).backward()
        found.append([*(block.values for block in y), *(v.grad for v in given)])
    torch.testing.assert_close(*found)


FAULTS = """
import resource
import threading
import torch
from tmref.implementations.batched import plan

torch.set_num_threads(1)  # others would have a part of the heap


def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        pieces = [torch.ones(256, 100, 32) for _ in range(3)]  # what is put together, and made of it
        del pieces
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 10


def with_and_without():
    faults()
    print(faults())
    plan.make_room(256 * 100 * 32)
    faults()
    print(faults())


alone = threading.Thread(target=with_and_without)  # with a heap that nothing else lies in
alone.start()
alone.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is about glibc's malloc")
def test_memory_of_large_maps_is_kept_for_the_next_forward(monkeypatch):
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    without, with_room = map(int, done.stdout.split())
    assert with_room < 100 < 1000 < without
    asked = []
    monkeypatch.setattr(plan, "make_room", asked.append)
    x = tensor(*[(3, 4)] * LEAST_BLOCKS, (400, 4))
    batched(nn.Linear(x.keys, 4, 2))(x)
    assert asked == [LEAST_BLOCKS * 12]


def test_copies_and_pickles_have_no_plan_and_work(linear):
    reference, module = linear
    assert_like(module, reference, of_equal_shape())
    assert {"_known", "_before"} <= module.module_map.__dict__.keys()
    for copied in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert type(copied.module_map) is BatchedModuleMap
        assert not {"_known", "_before"} & copied.module_map.__dict__.keys()
        assert_like(copied, reference, of_equal_shape())


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors is a no-op")
def test_it_compiles_and_exports_what_is_empty_in_between():
    k = keys(LEAST_BLOCKS)
    reference = nn.Sequential(k, nn.Linear(k, 4, 0), nn.Linear(k, 0, 2))
    x = of_equal_shape()
    assert_like(batched(reference), reference, x)
    assert_like(torch.compile(batched(reference), backend="aot_eager"), reference, x)
    assert_like(torch.export.export(batched(reference), (x,)).module(), reference, x)


def test_it_compiles_in_one_graph_and_exports(linear):
    reference, _ = linear
    x = of_equal_shape()
    compiled = torch.compile(batched(reference), fullgraph=True, backend="eager")
    assert_like(compiled, reference, x)
    exported = torch.export.export(batched(reference), (x,))
    assert_like(exported.module(), reference, x)
    assert sum("baddbmm" in str(node.target) for node in exported.graph.nodes) == 1


def test_what_is_compiled_does_not_depend_on_calls_before(linear):
    _, module = linear
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    compiled, x = torch.compile(module, fullgraph=True, backend=backend, dynamic=False), of_equal_shape()
    for samples in (4, 5, 6):
        module(of_equal_shape(shape=(samples, 4)))
        compiled(x)
    assert len(graphs) == 1


def test_forward_derivatives_without_recording_are_those_of_the_loop(linear):
    found = []
    for module in linear:
        with torch.no_grad(), forward_ad.dual_level():
            dual = forward_ad.make_dual(torch.ones(3 * LEAST_BLOCKS, 4), torch.ones(3 * LEAST_BLOCKS, 4))
            y = module(TensorMap(keys(LEAST_BLOCKS), list(map(block_from_array, dual.split(3)))))
            found.append([forward_ad.unpack_dual(block.values).tangent for block in y])
    torch.testing.assert_close(*found)
    assert found[0][0].abs().sum() > 0


def test_values_that_are_negated_lazily_are_not_taken_as_they_lie():
    torch.manual_seed(0)
    whole = torch.randn(LEAST_BLOCKS, 1, 1, 2)
    negated = torch.view_as_complex(whole).conj().imag
    values = [part if i % 2 else whole[i, ..., 1] for i, part in enumerate(negated)]
    assert [v.is_neg() for v in values] == [bool(i % 2) for i in range(LEAST_BLOCKS)]
    x = TensorMap(keys(LEAST_BLOCKS), list(map(block_from_array, values)))
    reference = nn.Linear(x.keys, 1, 2)
    with torch.no_grad():
        assert_like(batched(reference), reference, x)


def test_derivatives_with_a_graph_may_be_changed_in_place(linear):
    found = []
    for module in linear:
        y = sum(block.values.square().sum() for block in module(of_equal_shape()))
        gradients = torch.autograd.grad(y, list(module.parameters()), create_graph=True)
        for gradient in gradients:
            gradient.mul_(2)
        sum(gradient.square().sum() for gradient in gradients).backward()
        found.append([*gradients, *(parameter.grad for parameter in module.parameters())])
        module.zero_grad()
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("given", [nn, load("batched").nn])
def test_a_list_of_modules_that_is_longer_or_shorter_than_the_keys(given):
    module, x = (
        given.ModuleMap(keys(LEAST_BLOCKS), [mlp() for _ in range(LEAST_BLOCKS)]),
        of_equal_shape(),
    )
    expected = module(x)
    module.module_list.append(mlp())
    assert_like(module, lambda x: expected, x)
    del module.module_list[-2:]
    with pytest.raises(ValueError, match=f"modules for {LEAST_BLOCKS - 1} of the {LEAST_BLOCKS} blocks"):
        module(x)


def test_a_module_that_is_made_as_a_batched_one_has_its_parameters_together(linear):
    layers = [torch.nn.Linear(4, 2) for _ in range(LEAST_BLOCKS)]
    made = BatchedModuleMap(keys(LEAST_BLOCKS), layers)
    for module in (made, linear[1].module_map):
        module(of_equal_shape())
        assert together(module)
        state = {name: value.clone() for name, value in module.state_dict().items() if "module" in name}
        module.load_state_dict(state, assign=True, strict=False)
        assert not together(module)
        del state
        module(of_equal_shape())
        assert together(module)


def together(module):
    weights = [part.weight for part in module.module_list]
    step = weights[0].nbytes
    return [w.data_ptr() - weights[0].data_ptr() for w in weights] == [
        i * step for i in range(len(weights))
    ]


def test_layers_that_are_batched_are_composed_by_constructors_and_stay_what_they_are():
    k = keys(2)
    namespace = load("batched").nn
    linear, moved = namespace.Linear(k, 4, 4), namespace.ModuleMap(k, [mlp(), mlp()])
    made = namespace.Sequential(k, linear, namespace.Sequential(k, moved), namespace.Tanh(k))
    assert isinstance(made.module_map, BatchedModuleMap)
    assert [type(m) for m in (linear.module_map, moved)] == [BatchedModuleMap] * 2
    assert made.module_map.module_list[0][0] is linear.module_map.module_list[0]
    one_by_one = nn.Sequential(k, linear, nn.Tanh(k))
    assert list(one_by_one.layers) == [linear, one_by_one.layers[1]]


def test_the_constructors_make_batched_modules():
    k = keys(2)
    for namespace in (load("batched").nn, always.nn):
        made = namespace.Sequential(k, namespace.Linear(k, 4, 4), namespace.ModuleMap(k, [mlp(), mlp()]))
        assert isinstance(made.module_map, BatchedModuleMap)
        assert isinstance(made, nn.Sequential)
        assert issubclass(namespace.Module, torch.nn.Module)
        from_module = namespace.ModuleMap.from_module(k, mlp())
        assert isinstance(from_module, BatchedModuleMap)


@pytest.mark.parametrize("case", [c for c in cases(always, effort=0.05) if c.law], ids=lambda c: c.name)
@pytest.mark.slow
def test_all_laws_hold_where_everything_is_batched(case):
    verdict = case.check()
    assert verdict.expected, verdict.reproducer or verdict.message


ONE_OF_EACH = ("linear", "layer_norm", "equivariant_mlp", "sequential_layer_norm")
SOME = (
    "values_are_those_of_plain_torch",
    "second_derivatives_are_those_of_plain_torch",
    "whatever_is_done_plain_torch_does_the_same",
    "maps_on_meta_are_refused_or_stay_there",
    "writing_to_the_output_leaves_the_input",
)


@pytest.mark.parametrize("name", ONE_OF_EACH)
@pytest.mark.parametrize("law", [law for law in LAWS if law.name in SOME], ids=lambda law: law.name)
def test_some_laws_hold_where_everything_is_batched(law, name):
    verdict = Case(always, law, row(name), 10).check()
    assert verdict.expected, verdict.reproducer or verdict.message


@pytest.mark.parametrize("name", ["linear", "sequential_mlp", "equivariant_mlp", "layer_norm"])
def test_laws_notice_parameters_of_another_block(monkeypatch, name):
    beside = Beside.__call__

    def rolled(self, x):
        found = beside(self, x)
        return found if found is None else found.roll(1, 0)

    monkeypatch.setattr(Beside, "__call__", rolled)
    law = next(law for law in LAWS if law.name == "values_are_those_of_plain_torch")
    assert runner.check(law, row(name), always, examples=100, shrink=False).verdict == "fail"
