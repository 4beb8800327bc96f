import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tmref import Labels, implementations
from tmref.catalog import INVARIANT, ROWS, Call, invariances, make_torch, recipe
from tmref.catalog.kinds.equivariant import CovariantTwin
from tmref.catalog.kinds.layer_norm import LayerNormTwin
from tmref.strategies import recipes, tensor_maps

pytestmark = pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")

FEW = settings(max_examples=15, database=None, deadline=None, derandomize=True)
TWO = Labels.range("k", 2)
#: A covariant key, and an invariant one.
SPHERICAL = Labels(["o3_lambda", "o3_sigma"], torch.tensor([[1, 1], [0, 1]]))
WIDTHS = [[3, 2, 2, 2], [1, 4, 4, 4]]
ROW = {row.name: row for row in ROWS}
rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def keys_of(row):
    """The two keys that recipes are made for: covariant and invariant where the row's maps are."""
    return SPHERICAL if row.maps.get("spherical") else TWO


def widths_of(row):
    """The sizes before, between and after the layers, for each of two keys."""
    sizes = [[3 if row.maps.get("one_width") else width[0]] for width in WIDTHS]
    for i, layer in enumerate(row.layers):
        for size, width in zip(sizes, WIDTHS, strict=True):
            size.append(width[i + 1] if layer.resizes and not row.keeps_sizes else size[-1])
    return sizes


@pytest.fixture
def made():
    """made(row): a recipe for two keys, its parameters counting from 0."""

    def make(row, **options):
        widths, count = widths_of(row), itertools.count()
        invariant = invariances(row, keys_of(row), options.get("invariant_keys"))
        parameters = [
            [
                tuple(
                    torch.full(shape, float(next(count)))
                    for shape in layer.parameter_shapes(*sizes, is_invariant)
                )
                for layer, *sizes in zip(row.layers, width, width[1:], strict=False)
            ]
            for width, is_invariant in zip(widths, invariant, strict=True)
        ]
        return recipe(row, keys_of(row), torch.float32, widths, parameters, **options)

    return make


def calls(call):
    """A call and all those in its arguments."""
    yield call
    for arg in call.args:
        for item in arg if isinstance(arg, list) else [arg]:
            if isinstance(item, Call):
                yield from calls(item)


def types_of(row, invariant):
    """The names of the classes of the layers' twins for one key."""
    return [
        "Identity" if layer.by_invariance and not invariant and not layer.resizes else layer.base
        for layer in row.layers
    ]


@rows
def test_twins_are_made_of_the_layers_of_the_row(row, made):
    found = made(row)
    assert len(found.twins) == 2
    invariant = [False, True] if row.maps.get("spherical") else [True, True]
    for twin, width, is_invariant in zip(found.twins, widths_of(row), invariant, strict=True):
        module = make_torch(twin)
        if row.keeps_sizes and not is_invariant:
            assert isinstance(module, CovariantTwin)
        inner = module.module if isinstance(module, CovariantTwin) else module
        parts = list(inner) if isinstance(inner, torch.nn.Sequential) else [inner]
        assert [type(part).__name__.removesuffix("Twin") for part in parts] == types_of(
            row, is_invariant
        )
        assert module(torch.ones(5, 3, width[0])).shape == (5, 3, width[-1])
        own = twin.args[0].parameters if isinstance(module, CovariantTwin) else twin.parameters
        assert all(torch.equal(p, v) for p, v in zip(module.parameters(), own, strict=True))


def biases(module):
    return [part.bias is not None for part in module.modules() if hasattr(part, "bias")]


def test_the_twin_of_a_covariant_key_has_no_bias(made):
    covariant, invariant = map(make_torch, made(ROW["equivariant_linear"]).twins)
    assert (biases(covariant), biases(invariant)) == ([False], [True])
    covariant, invariant = map(make_torch, made(ROW["sequential_equivariant"]).twins)
    assert (biases(covariant), biases(invariant)) == ([False] * 2, [True] * 2)
    # the factor of the values may have one
    assert [biases(make_torch(twin)) for twin in made(ROW["equivariant_mlp"]).twins] == [[True]] * 2


@pytest.mark.parametrize(
    ("name", "shapes", "mean"),
    [
        ("layer_norm", [(3,), (3,)], True),
        ("layer_norm_no_bias", [(3,)], True),
        ("layer_norm_no_affine", [], True),
        ("layer_norm_no_mean", [(3,), (3,)], False),
    ],
)
def test_options_of_layer_norms_reach_their_twins(name, shapes, mean, made):
    twin = make_torch(made(ROW[name]).twins[0])
    assert isinstance(twin, LayerNormTwin)
    assert ([tuple(p.shape) for p in twin.parameters()], twin.mean) == (shapes, mean)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (None, [False, False, True, False]),
        (INVARIANT, [False, False, True, False]),
        (Labels("o3_lambda", torch.tensor([[0]])), [False, True, True, False]),
        (Labels("o3_sigma", torch.tensor([[-1]])), [False, True, False, True]),
        (Labels("o3_sigma", torch.tensor([[-1], [1]])), [True] * 4),
        (Labels.empty("o3_lambda"), [False] * 4),
    ],
    ids=["left out", "the default", "by o3_lambda", "by o3_sigma", "all", "none"],
)
def test_what_is_invariant_is_what_is_selected(selection, expected):
    names = ["o3_lambda", "o3_sigma", "center_type"]
    keys = Labels(names, torch.tensor([[1, 1, 6], [0, -1, 6], [0, 1, 1], [2, -1, 1]]))
    assert invariances(ROW["invariant_relu"], keys, selection) == expected
    assert invariances(ROW["equivariant_mlp"], keys, selection) == expected
    assert invariances(ROW["relu"], keys, selection) == [True] * 4
    assert invariances(ROW["relu"], TWO, selection) == [True] * 2


@pytest.mark.parametrize("row", [r for r in ROWS if r.by_invariance], ids=lambda row: row.name)
def test_the_selection_is_given_to_the_layers_it_is_for(row, made):
    selection = Labels("o3_lambda", torch.tensor([[1]]))
    plain, selected = made(row), made(row, invariant_keys=selection)
    assert all("invariant_keys" not in call.kwargs for call in calls(plain.call))
    given = [c for c in calls(selected.call) if "invariant_keys" in c.kwargs]
    assert all(call.kwargs["invariant_keys"] is selection for call in given)
    assert len(given) == (1 if row.keeps_sizes else sum(layer.by_invariance for layer in row.layers))
    # what was covariant is invariant, and the other way round
    kinds = [[type(m).__name__ for m in make_torch(t).modules()] for t in plain.twins]
    turned = [[type(m).__name__ for m in make_torch(t).modules()] for t in selected.twins]
    assert kinds[0] == turned[1]
    assert kinds[1] == turned[0]


def test_the_sizes_of_a_transformation_are_its_features(made):
    call = made(ROW["equivariant_mlp"]).call
    assert (call.kwargs["in_features"], call.kwargs["out_features"]) == ([3, 1], [3, 1])
    assert [inner.name for inner in call.args[0]] == ["torch.nn.Sequential"] * 2


def test_in_place_is_an_option_of_the_call(made):
    assert made(ROW["silu_in_place"]).call.kwargs["in_place"] is True
    assert "in_place" not in made(ROW["silu"]).call.kwargs


@rows
def test_the_reference_has_the_parameters_of_the_twins_in_their_order(row):
    reference = implementations.load("reference")

    @FEW
    @given(st.data())
    def check(data):
        x = data.draw(tensor_maps(**row.maps, min_blocks=1))
        drawn = data.draw(recipes(row, x, shuffled_layers=True))
        theirs = reference.parameters(reference.build(drawn))
        twins = [p for twin in drawn.twins for p in make_torch(twin).parameters()]
        assert [p.dtype for p in theirs] == [p.dtype for p in twins]
        assert all(torch.equal(a, b) for a, b in zip(theirs, twins, strict=True))

    check()


def parameters_of(twin):
    """The parameters that a twin is made with, where it is a factor of the values, too."""
    return [p for call in calls(twin) for p in call.parameters or ()]


@rows
def test_keys_in_another_order_keep_their_twins_and_properties(row, made):
    reverse = Labels(keys_of(row).names, keys_of(row).values.flip(0))
    plain, turned = made(row), made(row, in_keys=reverse)
    assert turned.in_keys == reverse
    assert turned.properties == plain.properties[::-1]
    for a, b in zip(plain.twins, turned.twins[::-1], strict=True):
        assert a.name == b.name
        pairs = zip(parameters_of(a), parameters_of(b), strict=True)
        assert all(torch.equal(p, q) for p, q in pairs)


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
