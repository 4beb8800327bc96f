import itertools
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tmref import Labels, TensorBlock, TensorMap, equal_metadata, implementations
from tmref.catalog import INVARIANT, ROWS, ArgumentStyle, Call, invariances, make_torch, recipe
from tmref.catalog.kinds.equivariant import CovariantTwin
from tmref.strategies import dyadic_numbers, like, recipes, tensor_maps, unit_bound
from tmref.strategies.numbers import MAX_DEPTH, MAX_FEATURES

pytestmark = pytest.mark.filterwarnings(
    "ignore:Initializing zero-element tensors:UserWarning",
    "ignore:The inner type of a container is lost:UserWarning",  # metatensor and empty lists
    "ignore:var.*degrees of freedom is <= 0:UserWarning",  # layer norms of no properties
)

FEW = settings(max_examples=8, database=None, deadline=None, derandomize=True)
ROW = {row.name: row for row in ROWS}
rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
exact_rows = pytest.mark.parametrize("row", [row for row in ROWS if row.exact], ids=lambda row: row.name)

TWO = Labels.range("k", 2)
#: Two covariant keys, one of them by its sign alone, and an invariant one.
SPHERICAL = Labels(["o3_lambda", "o3_sigma"], torch.tensor([[1, 1], [0, -1], [0, 1]]))
by_invariance = pytest.mark.parametrize(
    "row", [row for row in ROWS if row.by_invariance], ids=lambda row: row.name
)


def a_map(dtype=torch.float32, widths=(2, 2)):
    blocks = [
        TensorBlock(torch.ones(1, n, dtype=dtype), Labels.range("s", 1), [], Labels.range("p", n))
        for n in widths
    ]
    return TensorMap(TWO, blocks)


def a_spherical_map(width=2):
    """A map of the keys SPHERICAL, of one sample and so many properties everywhere."""
    blocks = []
    for o3_lambda, _ in SPHERICAL.values.tolist():
        mu = Labels("o3_mu", torch.arange(-o3_lambda, o3_lambda + 1).reshape(-1, 1))
        values = torch.ones(1, len(mu), width)
        blocks.append(TensorBlock(values, Labels.range("s", 1), [mu], Labels.range("p", width)))
    return TensorMap(SPHERICAL, blocks)


@st.composite
def with_recipe(draw, row, shuffled_layers=False, **options):
    x = draw(tensor_maps(**{**row.maps, **options}))
    return x, draw(recipes(row, x, shuffled_layers=shuffled_layers))


def layers(made):
    """The calls of a recipe that make its layers."""
    return made.call.args[1:] if made.row.module == "Sequential" else (made.call,)


def kwargs(made):
    return layers(made)[0].kwargs


def calls(call):
    """A call and all those in its arguments."""
    yield call
    for arg in call.args:
        for item in arg if isinstance(arg, list) else [arg]:
            if isinstance(item, Call):
                yield from calls(item)


def parameters_of(call):
    """The parameters of a call and of those in its arguments."""
    return [p for c in calls(call) for p in c.parameters or ()]


def selections(made):
    """The invariant_keys of every call that could have them; None where they are left out."""
    return [
        call.kwargs.get("invariant_keys")
        for call in (made.call, *layers(made))
        if call.name.startswith(("Invariant", "Equivariant"))
    ]


# --- what is drawn


@pytest.mark.parametrize(
    ("predicate", "options"),
    [
        (lambda r: kwargs(r)["in_keys"] == TWO == r.in_keys, {}),
        (lambda r: kwargs(r)["in_keys"].values.tolist() == [[1], [0]] == r.in_keys.values.tolist(), {}),
        (lambda r: kwargs(r)["in_features"] == 2, {}),
        (lambda r: kwargs(r)["in_features"] == [2, 2], {}),
        (lambda r: kwargs(r)["in_features"] == [1, 2], {"widths": (2, 1)}),
        (lambda r: kwargs(r)["in_features"] == 0, {"widths": (0, 0)}),
        (lambda r: isinstance(kwargs(r).get("out_features"), int), {}),
        (lambda r: isinstance(kwargs(r).get("out_features"), list), {}),
        (lambda r: kwargs(r).get("out_features") == 0, {}),
        (lambda r: kwargs(r).get("out_features") == [0, 4], {}),
        (lambda r: "out_features" not in kwargs(r) and "out_properties" in kwargs(r), {}),
        (lambda r: "out_features" in kwargs(r) and "out_properties" in kwargs(r), {}),
        (lambda r: "out_properties" not in kwargs(r), {}),
        (lambda r: "dtype" not in kwargs(r), {}),
        (lambda r: kwargs(r).get("dtype") == torch.float32, {}),
        (lambda r: kwargs(r).get("dtype") == torch.float64, {"dtype": torch.float64}),
        (lambda r: r.properties[0] != r.properties[1] and len(r.properties[0].names) == 2, {}),
        (lambda r: any(bool((p.values < 0).any()) for p in r.properties if len(p)), {}),
        (lambda r: any(bool((p == 3).any()) for p in r.call.parameters), {}),
        (lambda r: any(bool((p == -3).any()) for p in r.call.parameters), {}),
    ],
    ids=[
        "keys in order",
        "keys permuted",
        "in_features once",
        "in_features as a list",
        "in_features in the order of the keys",
        "no in_features",
        "out_features once",
        "out_features as a list",
        "no out_features",
        "different out_features",
        "out_features left out",
        "out_features and out_properties",
        "out_properties left out",
        "dtype left out",
        "dtype written",
        "the other dtype",
        "out_properties of their own",
        "negative out_properties",
        "largest parameter",
        "smallest parameter",
    ],
)
def test_recipes_of_linear_reach(predicate, options, first):
    assert predicate(first(recipes(ROW["linear"], a_map(**options)), predicate, 2000))


@pytest.mark.parametrize("name", ["relu", "tanh", "module_map_linear", "sequential_linear"])
@pytest.mark.parametrize("given", [True, False])
def test_recipes_reach_out_properties_given_and_not(name, given, first):
    made = first(
        recipes(ROW[name], a_map()), lambda r: ("out_properties" in layers(r)[-1].kwargs) == given
    )
    if not given:
        assert all(p.names == ["_"] for p in made.properties)


@pytest.mark.parametrize("shuffled", [True, False])
def test_layers_are_shuffled_where_it_is_asked_for(shuffled, drawn):
    strategy = recipes(ROW["sequential_mlp"], a_map(), shuffled_layers=shuffled)
    orders = [
        [layer.kwargs["in_keys"] for layer in layers(r)] + [r.in_keys] for r in drawn(strategy, 50)
    ]
    assert any(len(set(order)) > 1 for order in orders) == shuffled
    assert len({order[-1] for order in orders}) == 2


def test_bias_is_off_in_its_own_row_only(drawn):
    for made in drawn(recipes(ROW["linear_no_bias"], a_map()), 20):
        assert kwargs(made)["bias"] is False
        assert all(p.dim() == 2 for p in made.call.parameters)
    for made in drawn(recipes(ROW["linear"], a_map()), 20):
        assert "bias" not in kwargs(made)
        assert [p.dim() for p in made.call.parameters] == [2, 1, 2, 1]


def test_hidden_layers_have_widths_of_their_own(drawn):
    made = drawn(recipes(ROW["sequential_mlp"], a_map(), shuffled_layers=False), 100)
    hidden = [[twin.args[0].args[1] for twin in r.twins] for r in made]
    assert {n for pair in hidden for n in pair} == {0, 1, 2, 3, 4}
    assert any(a != b for a, b in hidden)


@pytest.mark.parametrize("size", [0, 1, 7])
def test_recipes_fit_maps_of_any_number_of_keys(size, drawn):
    names = Labels.range("k", size)
    blocks = [a_map()[0].copy() for _ in range(size)]
    for made in drawn(recipes(ROW["linear"], TensorMap(names, blocks)), 10):
        assert sorted(made.in_keys.values.tolist()) == names.values.tolist()


# --- what is invariant


@by_invariance
@pytest.mark.parametrize(
    "selection",
    [None, INVARIANT, Labels("o3_lambda", torch.tensor([[0]]))],
    ids=["left out", "the default", "by o3_lambda alone"],
)
def test_invariant_keys_are_left_out_and_written(row, selection, first):
    made = first(
        recipes(row, a_spherical_map()), lambda r: all(given == selection for given in selections(r))
    )
    assert len(selections(made)) > 0
    expected = [key["o3_lambda"] == 0 for key in made.in_keys]
    if selection is None or selection is INVARIANT:
        expected = [key["o3_lambda"] == 0 and key["o3_sigma"] == 1 for key in made.in_keys]
    assert invariances(row, made.in_keys, selection) == expected
    modules = [make_torch(twin) for twin in made.twins]
    if row.keeps_sizes:
        assert [not isinstance(module, CovariantTwin) for module in modules] == expected
    if row.name == "equivariant_linear":
        assert [module.bias is not None for module in modules] == expected
    if row.module.startswith("Invariant"):
        assert [not isinstance(module, torch.nn.Identity) for module in modules] == expected


@rows
def test_invariant_keys_are_one_selection_for_all_layers(row, drawn):
    x = a_spherical_map() if row.by_invariance else a_map()
    found = [selections(made) for made in drawn(recipes(row, x), 30)]
    assert all(len(set(of_one)) <= 1 for of_one in found)
    if row.by_invariance:
        assert len({of_one[0] for of_one in found}) == 3
    else:
        assert not any(given for of_one in found for given in of_one)


def shape(p):
    return tuple(p.shape)


@pytest.mark.parametrize(
    ("name", "covariant", "invariant"),
    [
        ("invariant_relu", [], []),
        ("invariant_silu", [], []),
        ("invariant_tanh", [], []),
        ("invariant_layer_norm", [], [(2,), (2,)]),
        ("equivariant_tanh", [], []),
        ("equivariant_mlp", [(2, 2), (2,)], [(2, 2), (2,)]),
        ("layer_norm", [(2,), (2,)], [(2,), (2,)]),
        ("layer_norm_no_bias", [(2,)], [(2,)]),
        ("layer_norm_no_affine", [], []),
        ("silu_in_place", [], []),
    ],
)
def test_parameters_are_drawn_only_where_there_are_any(name, covariant, invariant, drawn):
    for made in drawn(recipes(ROW[name], a_spherical_map()), 20):
        selection = next(iter(selections(made)), None)
        is_invariant = invariances(ROW[name], made.in_keys, selection)
        expected = [invariant if is_one else covariant for is_one in is_invariant]
        assert [list(map(shape, parameters_of(twin))) for twin in made.twins] == expected
        of_call = [shape(p) for p in parameters_of(made.call)]
        # a list of modules in the arguments has the parameters of the twins
        assert of_call == list(itertools.chain.from_iterable(expected))


@pytest.mark.parametrize("name", ["equivariant_linear", "sequential_equivariant"])
def test_weights_are_for_all_and_biases_for_invariant_keys(name, drawn):
    seen = set()
    for made in drawn(recipes(ROW[name], a_spherical_map()), 40):
        number = sum(layer.resizes for layer in ROW[name].layers)
        is_invariant = invariances(ROW[name], made.in_keys, selections(made)[0])
        expected = [[2, 1] * number if is_one else [2] * number for is_one in is_invariant]
        assert [[p.dim() for p in parameters_of(twin)] for twin in made.twins] == expected
        seen.add(sum(is_invariant))
    assert seen == {1, 2}


@pytest.mark.parametrize("name", ["equivariant_tanh", "equivariant_mlp"])
def test_transformations_keep_their_features(name, drawn):
    seen = set()
    for x, made in drawn(with_recipe(ROW[name], min_blocks=1), 60):
        widths = [len(x[key].properties) for key in made.in_keys]
        assert list(map(len, made.properties)) == widths
        sizes = {name: made.call.kwargs.get(name) for name in ("in_features", "out_features")}
        for size in sizes.values():
            assert size is None or widths == ([size] * len(widths) if isinstance(size, int) else size)
        seen.update((name, type(size)) for name, size in sizes.items())
        assert sizes["out_features"] is not None or "out_properties" in made.call.kwargs
    of_both = {(name, kind) for name in ("in_features", "out_features") for kind in (int, list)}
    assert seen == {*of_both, ("out_features", type(None))}


def test_layer_norms_of_one_width_are_told_it_once(drawn):
    strategy = with_recipe(ROW["invariant_layer_norm"], min_blocks=2)
    for x, made in drawn(strategy, 30):
        assert made.call.kwargs["in_features"] == len(x[0].properties)


def test_in_place_is_in_its_own_row_only(drawn):
    for name in ("silu", "silu_in_place"):
        found = [kwargs(made).get("in_place") for made in drawn(recipes(ROW[name], a_map()), 10)]
        assert set(found) == {True if name == "silu_in_place" else None}


# --- what is shrunk


@by_invariance
def test_recipes_shrink_to_invariant_keys_left_out(row, minimal):
    assert set(selections(minimal(recipes(row, a_spherical_map()), lambda r: True))) == {None}


def test_recipes_shrink_to_the_order_of_the_map(minimal):
    made = minimal(recipes(ROW["linear"], a_map()), lambda r: True)
    assert made.in_keys == TWO
    assert {name: kwargs(made)[name] for name in ("in_features", "out_features")} == {
        "in_features": 2,
        "out_features": 0,
    }
    assert "out_properties" not in kwargs(made)


def test_the_parameters_of_recipes_shrink_to_zeros_but_one(minimal):
    made = minimal(
        recipes(ROW["linear"], a_map()), lambda r: any(bool(p.any()) for p in r.call.parameters)
    )
    values = torch.cat([p.flatten() for p in made.call.parameters])
    assert sorted(values.tolist()) == [0] * (len(values) - 1) + [1]
    assert made.in_keys == TWO


# --- what is valid


@rows
@pytest.mark.parametrize("name", ["reference", "metatensor-torch"])
def test_modules_of_recipes_can_be_made_and_called(row, name):
    implementation = implementations.load(name)

    @FEW
    @given(with_recipe(row, min_blocks=1))
    def check(drawn):
        x, made = drawn
        twins = dict(zip(made.in_keys, made.twins, strict=True))
        # beforehand: where it is in place, the input is something else afterwards
        expected = {key: make_torch(twins[key])(block.values) for key, block in x.items()}
        y = implementation.decode(implementation.build(made)(implementation.encode(x)))
        assert y.keys == x.keys
        by_key = dict(zip(made.in_keys, made.properties, strict=True))
        for key in x.keys:
            assert y[key].properties == by_key[key]
            assert y.dtype == x.dtype
            torch.testing.assert_close(y[key].values, expected[key], rtol=1e-5, atol=1e-5)

    check()


@rows
def test_parameters_are_multiples_of_an_eighth_within_the_bound(row):
    @FEW
    @given(with_recipe(row, max_properties=6))
    def check(drawn):
        x, made = drawn
        features = max([MAX_FEATURES, *(len(block.properties) for block in x)])
        for p in itertools.chain.from_iterable(map(parameters_of, made.twins)):
            assert p.dtype == x.dtype
            assert torch.equal(8 * p, (8 * p).round())
            assert bool((8 * p.abs() <= unit_bound(features=features)).all())

    check()


# --- exact numbers


@pytest.mark.parametrize(
    "row", [ROW["sequential_linear"], ROW["sequential_mlp"]], ids=lambda row: row.name
)
def test_float32_is_exact_through_two_layers(row, drawn):
    reference = implementations.load("reference")

    @st.composite
    def case(draw):
        options = {"min_blocks": 1, "max_blocks": 2, "min_samples": 1, "min_properties": 2}
        x, made = draw(with_recipe(row, dtypes=st.just(torch.float32), **options))
        return x, draw(like(x)), draw(dyadic_numbers()), made

    seen = 0.0
    for x, y, a, made in drawn(case(), 50):
        module = reference.build(made)
        for key, block in x.items():
            twin = make_torch(made.twins[list(made.in_keys).index(key)]).double()
            wide, other = block.values.double(), y[key].values.double()

            def of(values, key=key, module=module, x=x):
                return module(with_one(x, key, values)).block(key).values

            assert torch.equal(of(block.values).double(), twin(wide))
            left = of(a * block.values + y[key].values)
            assert torch.equal(left.double(), twin(a * wide + other))
            right = a * of(block.values) + of(y[key].values)
            assert torch.equal(right.double(), a * twin(wide) + twin(other))
            seen = max([seen, *left.detach().abs().flatten().tolist()])
    assert seen > 50


def with_one(x, key, values):
    """The map of one block: that of ``key``, with other values."""
    block = x[key]
    one = TensorBlock(values, block.samples, block.components, block.properties)
    return TensorMap(Labels(x.keys.names, key.values.reshape(1, -1)), [one])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("o3_lambda", [0, 1], ids=["invariant", "covariant"])
@exact_rows
def test_the_worst_of_sums_is_exact_in_float32(row, o3_lambda, sign):
    keys = Labels(["o3_lambda", "o3_sigma"], torch.tensor([[o3_lambda, 1]]))
    (invariant,) = invariances(row, keys, None)
    top = unit_bound() / 8
    widths = [[MAX_FEATURES] * (len(row.layers) + 1)]
    shapes = [layer.parameter_shapes(MAX_FEATURES, MAX_FEATURES, invariant) for layer in row.layers]
    parameters = [[tuple(torch.full(s, top) for s in of_layer) for of_layer in shapes]]
    made = recipe(row, keys, torch.float32, widths, parameters)
    twin = make_torch(made.twins[0])

    def exact(value):
        """What the layers make of a row of equal numbers, in exact arithmetic."""
        for layer in row.layers:
            if layer.base == "ReLU":
                value = max(value, Fraction(0)) if invariant else value
            else:
                has_bias = layer.options.get("bias", True) and invariant
                bias = Fraction(top) if has_bias else 0
                value = MAX_FEATURES * value * Fraction(top) + bias
        return value

    def of(value):
        (number,) = set(twin(torch.full((1, MAX_FEATURES), value)).flatten().tolist())
        return number

    x, y = sign * top, sign * (top - 0.125)
    assert Fraction(of(x)) == exact(Fraction(x))
    # a x + b y with the largest factors, as the laws of linear maps combine them
    inside = of(top * x + top * y)
    assert Fraction(inside) == exact(Fraction(top) * (Fraction(x) + Fraction(y)))
    outside = torch.tensor([top]) * of(x) + torch.tensor([top]) * of(y)
    assert Fraction(outside.item()) == Fraction(top) * (exact(Fraction(x)) + exact(Fraction(y)))


def test_no_row_is_deeper_than_the_budget():
    assert max(sum(layer.resizes for layer in row.layers) for row in ROWS if row.exact) == MAX_DEPTH


# --- how they are drawn


@rows
def test_hardly_a_draw_is_discarded(row, discarded):
    assert discarded(lambda draw: draw(with_recipe(row)), 40) <= 0.01


@pytest.mark.parametrize("name", ["linear", "sequential_mlp", "sequential_equivariant"])
def test_one_seed_gives_the_same_recipes_again(name, drawn):
    strategy = with_recipe(ROW[name], shuffled_layers=True)
    runs = [[repr(r) + repr([r.call.args, r.properties]) for _, r in drawn(strategy, 30)] for _ in "12"]
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 15


def test_recipes_keep_the_map(drawn):
    x = a_map()
    before = x.copy()
    for made in drawn(recipes(ROW["sequential_mlp"], x), 20):
        assert isinstance(made.call, Call)
    assert equal_metadata(x, before)
    assert all(torch.equal(a.values, b.values) for a, b in zip(x, before, strict=True))


def test_how_arguments_are_written_by_default():
    assert ArgumentStyle() == ArgumentStyle(True, True, True, True)
