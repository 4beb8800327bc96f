import dataclasses
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tmref import Labels, implementations, nn
from tmref.catalog import ROWS, TRAITS, Call, make_torch, recipe, set_parameters
from tmref.strategies import keys, recipes, tensor_maps

pytestmark = pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")

FEW = settings(max_examples=15, database=None, deadline=None, derandomize=True)
TWO = Labels.range("k", 2)
WIDTHS = [[3, 2, 2, 2], [1, 4, 4, 4]]
rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def widths_of(row):
    """The sizes before, between and after the layers, for each of two keys."""
    sizes = [[width[0]] for width in WIDTHS]
    for i, layer in enumerate(row.layers):
        for size, width in zip(sizes, WIDTHS, strict=True):
            size.append(width[i + 1] if layer.resizes else size[-1])
    return sizes


@pytest.fixture
def made():
    """made(row): a recipe for two keys, its parameters counting from 0."""

    def make(row, **options):
        widths, count = widths_of(row), itertools.count()
        parameters = [
            [
                tuple(torch.full(shape, float(next(count))) for shape in layer.parameter_shapes(*sizes))
                for layer, *sizes in zip(row.layers, width, width[1:], strict=False)
            ]
            for width in widths
        ]
        return recipe(row, TWO, torch.float32, widths, parameters, **options)

    return make


def calls(call):
    """A call and all those in its arguments."""
    yield call
    for arg in call.args:
        for item in arg if isinstance(arg, list) else [arg]:
            if isinstance(item, Call):
                yield from calls(item)


# --- the table


def test_names_of_rows_are_unique_identifiers():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name.islower() for name in names)


@rows
def test_rows_have_known_traits(row):
    assert row.traits
    assert row.traits <= set(TRAITS)


@pytest.mark.parametrize("trait", TRAITS)
def test_traits_have_rows_and_words(trait):
    assert any(trait in row.traits for row in ROWS)
    assert len(TRAITS[trait].split()) > 3


@rows
def test_rows_name_modules_of_the_reference_and_of_torch(row):
    assert row.module in nn.__all__
    assert row.layers
    for layer in row.layers:
        assert issubclass(getattr(torch.nn, layer.name), torch.nn.Module)
    if row.module not in ("ModuleMap", "Sequential"):
        assert [layer.name for layer in row.layers] == [row.module]


def test_rows_are_plain_data():
    assert all(dataclasses.replace(row) == row for row in ROWS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        ROWS[0].name = "another"


def test_the_exact_rows_are_those_of_sums_and_products():
    names = {row.name for row in ROWS if row.exact}
    assert {"linear", "linear_no_bias", "relu", "sequential_linear", "sequential_mlp"} <= names
    assert names.isdisjoint({"silu", "tanh", "module_map_tanh", "module_map_mlp", "sequential_tanh"})


# --- recipes


@rows
def test_twins_are_made_of_the_layers_of_the_row(row, made):
    found = made(row)
    assert len(found.twins) == 2
    for twin, width in zip(found.twins, widths_of(row), strict=True):
        module = make_torch(twin)
        parts = list(module) if isinstance(module, torch.nn.Sequential) else [module]
        assert [type(part).__name__ for part in parts] == [layer.name for layer in row.layers]
        assert module(torch.ones(5, width[0])).shape == (5, width[-1])
        assert all(torch.equal(p, v) for p, v in zip(module.parameters(), twin.parameters, strict=True))


@rows
def test_the_reference_has_the_parameters_of_the_twins_in_their_order(row):
    reference = implementations.load("reference")

    @FEW
    @given(st.data())
    def check(data):
        x = data.draw(tensor_maps(keys=keys(min_size=1)))
        drawn = data.draw(recipes(row, x, shuffled_layers=True))
        theirs = reference.parameters(reference.build(drawn))
        twins = [p for twin in drawn.twins for p in make_torch(twin).parameters()]
        assert [p.dtype for p in theirs] == [p.dtype for p in twins]
        assert all(torch.equal(a, b) for a, b in zip(theirs, twins, strict=True))

    check()


@rows
def test_keys_in_another_order_keep_their_twins_and_properties(row, made):
    reverse = Labels("k", torch.tensor([[1], [0]]))
    plain, turned = made(row), made(row, in_keys=reverse)
    assert turned.in_keys == reverse
    assert turned.properties == plain.properties[::-1]
    for a, b in zip(plain.twins, turned.twins[::-1], strict=True):
        assert all(torch.equal(p, q) for p, q in zip(a.parameters, b.parameters, strict=True))


@rows
def test_recipes_without_properties_have_the_default(row, made):
    assert made(row).properties == tuple(Labels.range("_", w[-1]) for w in widths_of(row))
    properties = [Labels.range("n", width[-1]) for width in widths_of(row)]
    assert made(row, properties=properties).properties == tuple(properties)


@rows
def test_initial_parameters_are_nobody_s_but_torch_s(row, made):
    before = made(row)
    initial = before.with_initial_parameters(3)
    assert (initial.seed, before.seed) == (3, 0)
    assert all(c.parameters is None for c in calls(initial.call))
    assert all(c.parameters is None for twin in initial.twins for c in calls(twin))
    assert (initial.row, initial.in_keys, initial.properties) == (row, before.in_keys, before.properties)
    if any(layer.parameter_shapes(1, 1) for layer in row.layers):
        assert any(c.parameters for c in calls(before.call))


@pytest.mark.parametrize("row", [r for r in ROWS if "seeded" in r.traits], ids=lambda row: row.name)
def test_initial_parameters_are_those_of_the_twins_after_the_same_seed(row, made):
    initial = made(row).with_initial_parameters(3)
    torch.manual_seed(initial.seed)
    theirs = list(implementations.load("reference").build(initial).parameters())
    torch.manual_seed(initial.seed)
    twins = [p for twin in initial.twins for p in make_torch(twin).parameters()]
    assert all(torch.equal(a, b) for a, b in zip(theirs, twins, strict=True))


# --- setting parameters


def test_parameters_are_set_in_place():
    module = torch.nn.Linear(2, 1)
    before = list(module.parameters())
    set_parameters(before, (torch.tensor([[1.0, 2.0]]), torch.tensor([3.0])))
    assert module.weight is before[0]
    assert (module.weight.tolist(), module.bias.tolist()) == ([[1, 2]], [3])
    assert module.weight.requires_grad


@pytest.mark.parametrize(
    ("values", "theirs"),
    [
        ((), "[]"),
        ((torch.zeros(1, 2),), "[(1, 2)]"),
        ((torch.zeros(2, 1), torch.zeros(1)), "[(2, 1), (1,)]"),
        ((torch.zeros(1), torch.zeros(1, 2)), "[(1,), (1, 2)]"),
    ],
)
def test_parameters_of_other_shapes_are_refused_and_nothing_is_set(values, theirs, refused):
    module = torch.nn.Linear(2, 1)
    before = [p.clone() for p in module.parameters()]
    message = (
        "the module has parameters of the shapes [(1, 2), (1,)], but its twin in plain torch, key by "
        f"key, {theirs}"
    )
    with refused(ValueError, message):
        set_parameters(list(module.parameters()), values)
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


# --- what it imports


def test_the_catalog_imports_no_hypothesis(run_python):
    done = run_python(
        "import sys, tmref.catalog\n"
        "print(sorted({'hypothesis', 'pytest', 'tmref.strategies'} & set(sys.modules)))"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
