"""What is taken for rounding, and what is not."""

import dataclasses
import types

import pytest
import torch
from mutants.planting import Changed

from tmref import Labels, TensorBlock, TensorMap, catalog, nn
from tmref.catalog.kinds.activations import Activation
from tmref.catalog.kinds.layer_norm import LayerNorm
from tmref.catalog.kinds.sequential import Sequential
from tmref.compare import Tolerance, compare
from tmref.implementations.reference import Reference, implementation
from tmref.laws import LAWS, Law
from tmref.laws.edits import with_values
from tmref.laws.runner import check
from tmref.laws.session import ModuleSession
from tmref.laws.tolerance import magnitude, tolerance_for
from tmref.laws.trying import Draw
from tmref.verdicts import FAIL, PASS

LAW = "values_are_those_of_plain_torch"


def relative(amount):
    """A relative error of this amount, in the dtype that it is for."""

    def change(values):
        error = amount[values.dtype]
        return values * (1 + error)

    return change


ERRORS = {
    torch.float32: {torch.float32: 1e-3, torch.float64: 0.0},
    torch.float64: {torch.float32: 0.0, torch.float64: 1e-9},
}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("row", ["tanh", "silu", "module_map_tanh"])
def test_an_error_is_caught(laws, rows, row, dtype, seed):
    subject = Changed(relative(ERRORS[dtype]))
    verdict = check(laws[LAW], rows[row], subject, hypothesis_seed=seed, shrink=False)
    assert verdict.verdict == FAIL
    assert f"({dtype}, shape" in verdict.message
    assert " apart would do" in verdict.message


SMALL = {
    torch.float32: {torch.float32: 1e-4, torch.float64: 0.0},
    torch.float64: {torch.float32: 0.0, torch.float64: 1e-12},
}
NORMS = [row.name for row in catalog.ROWS if "normalised" in row.traits]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("row", NORMS)
def test_a_small_error_of_a_layer_norm_is_caught(laws, rows, row, dtype, seed):
    subject = Changed(relative(SMALL[dtype]))
    # as many as the law asks for on the rows that share their code
    options = {"examples": laws[LAW].examples, "hypothesis_seed": seed, "shrink": False}
    verdict = check(laws[LAW], rows[row], subject, **options)
    assert verdict.verdict == FAIL
    assert f"({dtype}, shape" in verdict.message


SLOW = (
    pytest.param(row, marks=pytest.mark.slow) for row in ("silu", "module_map_mlp", "sequential_tanh")
)


@pytest.mark.parametrize("row", ["tanh", *SLOW])
def test_the_last_bit_is_not(laws, rows, row):
    floating = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
    noise = {dtype: torch.finfo(dtype).eps for dtype in floating}
    for law in laws.values():
        # the change leaves gradients out, can't be pickled, and makes the largest number infinite
        unfit = "gradients", "a_copy", "whatever_is_done", "largest"
        if law.applies_to(rows[row]) and not any(word in law.name for word in unfit):
            verdict = check(law, rows[row], Changed(relative(noise)))
            assert verdict.expected, (law.name, verdict.message)


@pytest.mark.parametrize("row", ["tanh", "module_map_mlp", "linear"])
def test_another_order_of_computation_is_not_an_error(laws, rows, row):
    class OneSampleAfterTheOther(Reference):
        """Each sample by itself, the last one first."""

        def build(self, recipe):
            module = super().build(recipe)
            for part in [m for m in module.modules() if isinstance(m, torch.nn.ModuleList)]:
                for i, inner in enumerate(part):
                    part[i] = Reversed(inner)
            return module

    verdict = check(laws[LAW], rows[row], OneSampleAfterTheOther())
    assert (verdict.verdict, verdict.message) == (PASS, None)


class Reversed(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        if not len(x):
            return self.inner(x)
        return torch.stack([self.inner(row) for row in x.flip(0)]).flip(0)


class RoundedOtherwise(nn.ModuleMap):
    """The last digit is another one, as where a product is added up in another order."""

    def forward(self, tensor):
        output = super().forward(tensor)
        return with_values(output, [b.values * (1 + torch.finfo(b.dtype).eps) for b in output])


def test_parameters_of_torch_are_no_small_integers(laws, rows):
    """Products with them are rounded, by one library otherwise than by another."""
    subject = Reference()
    subject.nn = types.SimpleNamespace(**{**vars(nn), "ModuleMap": RoundedOtherwise})
    law, sides = laws["from_module_makes_copies"], []

    def watched(f, x, draw):
        sides.append(law.sides(f, x, draw))
        return sides[-1]

    watched.__name__ = law.name
    watched_law = dataclasses.replace(law, sides=watched)
    verdict = check(watched_law, rows["any_module_map"], subject, examples=50)
    assert (verdict.verdict, verdict.message) == (PASS, None)
    assert any(compare(*pair) is not None for pair in sides)


# --- what is copied and not computed


@pytest.mark.parametrize(
    "law",
    [law for law in LAWS if law.copied and any(law.applies_to(row) for row in catalog.ROWS)],
    ids=lambda law: law.name,
)
def test_rounding_excuses_nothing_where_nothing_is_computed(law):
    """One bit of difference between the sides, on a row whose values round, is a failure."""
    assert isinstance(law, Law)
    rows = [row for row in catalog.ROWS if law.applies_to(row) and not row.exact]
    row = next((row for row in rows if "sized" in row.traits), rows[0])  # of parameters, if possible

    def sides(f, x, draw):
        left, right = law.sides(f, x, draw)
        return [left, torch.tensor([1.0])], [right, torch.nextafter(torch.ones(1), 2 * torch.ones(1))]

    sides.__name__ = law.name
    verdict = check(dataclasses.replace(law, sides=sides), row, implementation)
    assert (verdict.verdict, "expected 1.0000001" in verdict.message) == (FAIL, True)
    computed = dataclasses.replace(law, sides=sides, copied=False)
    assert check(computed, row, implementation).verdict == PASS


def test_what_is_copied_is_known_of_the_laws_of_purity(laws):
    names = ("the_input_stays", "parameters_stay", "random_numbers_stay")
    assert all(laws[name].copied for name in names)


# --- what counts, and what doesn't


TWO = Labels.range("k", 2)
SEEN = dataclasses.replace(LAWS[0], sides=lambda f, x, draw: None, copied=False)


def a_map(*blocks, keys=TWO, gradient=None):
    """A map of blocks of these values."""
    made = []
    for values in blocks:
        values = torch.tensor(values, dtype=torch.float32)
        samples, properties = (Labels.range(n, size) for n, size in zip("sp", values.shape, strict=True))
        made.append(TensorBlock(values, samples, [], properties))
        if gradient is not None:
            at = Labels.range("sample", 1)
            values = torch.full((1, len(properties)), gradient)
            made[-1].add_gradient("g", TensorBlock(values, at, [], properties))
    return TensorMap(keys, made)


def a_session(name="linear", weights=(2.0, -3.0), biases=(0.5, -0.25), **options):
    """A module of one feature for two keys, with these parameters."""
    row = catalog.row(name)
    parameters = [
        [(torch.full((1, 1), weight), torch.full((1,), bias)) for layer in row.layers if layer.resizes]
        for weight, bias in zip(weights, biases, strict=True)
    ]
    of_layers = [
        [next(pairs) if layer.resizes else () for layer in row.layers] for pairs in map(iter, parameters)
    ]
    widths = [[1] * (len(row.layers) + 1)] * 2
    recipe = catalog.recipe(row, TWO, torch.float32, widths, of_layers, **options)
    return ModuleSession(implementation, recipe)


def terms_of(session, sides=(), law=SEEN, **factors):
    return tolerance_for(session, law, sides, factors).terms


SMALL_MAP, LARGE_MAP = a_map([[1.0]], [[1.0]]), a_map([[1.0]], [[-64.0], [8.0]])
#: 3 · 64 + 1/4
LARGEST = 192.25


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("y = module(x)", "x"),
        ("y = module(wide)", "wide"),
        ("z = [module(v) for v in several]", "several"),
    ],
)
def test_an_input_counts_under_any_name(code, name):
    session = a_session()
    session.run(code, **{name: [SMALL_MAP, LARGE_MAP] if name == "several" else LARGE_MAP})
    assert terms_of(session) == LARGEST


def test_the_same_data_is_allowed_the_same_under_any_name():
    row = catalog.row("layer_norm")
    x = a_map([[1.0, 2.0]], [[1.0, 3.0]])
    ones = [[(torch.ones(2), torch.ones(2))]] * 2
    recipe = catalog.recipe(row, TWO, torch.float32, [[2, 2]] * 2, ones)
    found = []
    for code, name in (("y = module(x)", "x"), ("y = module(other)", "other")):
        session = ModuleSession(implementation, recipe)
        session.run(code, **{name: x})
        found.append(tolerance_for(session, SEEN, ()).of(torch.float32))
    assert found[0] == found[1] < 1e-4


@pytest.mark.parametrize("inputs", [(SMALL_MAP, LARGE_MAP), (LARGE_MAP, SMALL_MAP)])
def test_all_inputs_count_whichever_is_last(inputs):
    session = a_session()
    for x in inputs:
        session(x)
    assert terms_of(session) == LARGEST
    assert terms_of(a_session()) == 0


@pytest.mark.parametrize("blocks", [([[-64.0]], [[1.0]]), ([[1.0]], [[-64.0]])])
def test_all_blocks_count_with_their_own_module(blocks):
    session = a_session(weights=(3.0, 3.0), biases=(-0.25, 0.25))
    session(a_map(*blocks))
    assert terms_of(session) == LARGEST


def test_blocks_of_other_keys_are_passed_over():
    session = a_session()
    keys = Labels("k", torch.tensor([[7], [1]]))
    session.attempt(a_map([[1024.0]], [[-64.0]], keys=keys))
    assert terms_of(session) == LARGEST


def test_what_is_changed_afterwards_counts_as_it_was():
    session = a_session()
    x = a_map([[1.0]], [[-64.0]])
    session(x)
    x.block(1).values.zero_()
    assert terms_of(session) == LARGEST


@pytest.mark.parametrize("which", range(4))
def test_the_parameters_count_as_they_are_now_all_of_them(which):
    session = a_session(weights=(1.0, 1.0), biases=(1.0, 1.0))
    session(a_map([[1.0]], [[1.0]]))
    assert terms_of(session) == 2
    with torch.no_grad():
        list(session.twin.parameters().values())[which].fill_(-5)
    assert terms_of(session) == 6


def test_sides_count_by_themselves():
    session = a_session()
    session(LARGE_MAP)
    assert terms_of(session, [torch.tensor([-100.0])]) == LARGEST
    assert terms_of(session, [[{"a": torch.tensor([1.0, -1000.0])}]]) == 1000


def test_only_factors_count_of_what_is_drawn_and_all_of_them():
    session = a_session()
    session(LARGE_MAP)
    assert terms_of(session, a=-2.0) == 2 * LARGEST
    assert terms_of(session, a=0.125) == LARGEST
    assert terms_of(session, a=-3) == 3 * LARGEST
    assert terms_of(session, a=2.0, cotangents=a_map([[1.0]], [[-3.0]])) == 6 * LARGEST
    draw = Draw(lambda strategy, label: {"amount": 2**31, "a": 2.0}[label])
    assert (draw(None, label="amount"), draw(None, label="a", factor=True)) == (2**31, 2.0)
    assert (draw.drawn, draw.factors) == ({"amount": 2**31, "a": 2.0}, {"a": 2.0})


def test_label_values_that_are_drawn_excuse_nothing(laws, rows):
    """Moved labels may be huge: what is wrong in the values is found all the same."""
    for name in (
        "integers_of_keys_mean_nothing",
        "integers_of_samples_components_and_properties_mean_nothing",
    ):
        law = laws[name]

        def sides(f, x, draw, law=law):
            left, right = law.sides(f, x, draw)
            return left, with_values(right, [1.001 * block.values for block in right])

        sides.__name__ = name
        wrong = dataclasses.replace(law, sides=sides)
        for seed in (0, 1, 2):
            options = {"hypothesis_seed": seed, "shrink": False}
            assert check(wrong, rows["tanh"], implementation, **options).verdict == FAIL


def test_a_relative_law_is_allowed_nothing_for_its_input():
    session = a_session()
    session(LARGE_MAP)
    law = dataclasses.replace(SEEN, relative=True)
    assert tolerance_for(session, law, [torch.tensor([0.5])]) == Tolerance(0.0, 1.0)
    assert tolerance_for(session, law, [torch.tensor([4.0])], {"a": 3.0}) == Tolerance(0.0, 12.0)


def test_derivatives_have_all_factors_but_one():
    """So that none of them counts less than 1; sides and explicit gradients are factors, too."""
    law = dataclasses.replace(SEEN, derived=True)
    session = a_session(weights=(0.125, 0.25), biases=(0.0, 0.0))
    session(a_map([[0.125]], [[0.25]]))
    assert terms_of(session) == 0.0625
    # with 1 for each weight, bias and value
    assert terms_of(session, law=law) == 2
    assert terms_of(session, [torch.tensor([5.0])], law) == 10
    session(a_map([[0.125]], [[0.25]], gradient=-3.0))
    assert terms_of(session, [torch.tensor([5.0])], law) == 30
    assert terms_of(session, [torch.tensor([5.0])]) == 30


def test_the_slope_of_an_activation_counts_as_one():
    x = torch.tensor([[0.125]])
    (bounds,) = Activation("Tanh").bounds(torch.nn.Tanh(), x, 2 * x)
    (slopes,) = Activation("Tanh").bounds(torch.nn.Tanh(), x, 2 * x, 1.0)
    assert (bounds.item(), slopes.item()) == (0.25, 1)


def test_derivatives_count_the_terms_of_every_layer():
    law = dataclasses.replace(SEEN, derived=True)
    session = a_session("module_map_mlp", weights=(1.0, 1.0), biases=(0.0, 0.0))
    with torch.no_grad():
        for name, parameter in session.twin.parameters().items():
            parameter.fill_({"0.0.weight": 4.0}.get(name, 0.0))
    session(a_map([[64.0]], [[1.0]]))
    assert terms_of(session) == 0
    assert terms_of(session, law=law) == 258  # 4 · 64 + 1, and through weights of 1 that plus 1


def test_derivatives_count_the_terms_before_a_layer_norm_that_makes_them_small():
    row = catalog.module_row("own", Sequential(of=(Activation("ReLU"), LayerNorm("LayerNorm"))))
    ones = [[(), (torch.ones(2), torch.ones(2))]] * 2
    recipe = catalog.recipe(row, TWO, torch.float32, [[2, 2, 2]] * 2, ones)
    session = ModuleSession(implementation, recipe)
    session(a_map([[1000.0, -1000.0]], [[1000.0, -1000.0]]))
    assert terms_of(session) == pytest.approx(2 * 1000 / 500 * 2 + 1)
    assert terms_of(session, law=dataclasses.replace(SEEN, derived=True)) == 1000


@pytest.mark.parametrize("blocks", [([[0.1]], [[0.0]]), ([[0.0]], [[0.1]])])
def test_the_error_of_plain_torch_is_the_largest_there_is(blocks):
    recipe = catalog.recipe(catalog.row("tanh"), TWO, torch.float32, [[1, 1]] * 2, [[()]] * 2)
    session = ModuleSession(implementation, recipe)
    session(a_map(*blocks))
    session(a_map([[0.0]], [[0.0]]))
    values = torch.tensor([0.1])
    expected = (values.tanh().double() - values.double().tanh()).abs().item()
    assert 0 < tolerance_for(session, SEEN, ()).torch_error == expected


def test_without_a_twin_nobody_bounds_the_terms():
    session = a_session()
    session.recipe = dataclasses.replace(session.recipe, twins=None)
    session(LARGE_MAP)
    sides = [torch.tensor([5.0])]
    largest = magnitude(session.steps[0].result)
    assert largest > 5
    tolerance = tolerance_for(session, SEEN, sides, {"a": 2.0})
    assert tolerance.terms == 2 * largest * 64
    assert 0 < tolerance.torch_error < 1e-4


def test_of_a_module_of_ones_own_absolute_values_bound_the_terms():
    """Where a twin is given for it: its parts have parameters and values of no sign."""
    kind = catalog.Kind("build")
    module = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[4.0, -4.0], [-4.0, 4.0]]))
        module[1].weight.copy_(torch.tensor([[1.0, -1.0]]))
    x = torch.tensor([[-2.0, 2.0]])
    bounds = kind.bounds(module, x, x.abs())
    assert magnitude(bounds) == magnitude(bounds[-1]) == 32
    assert module[0].weight.tolist() == [[4, -4], [-4, 4]]


@pytest.mark.parametrize(
    ("value", "largest"),
    [
        (torch.tensor([1.0, -3.0, 2.0]), 3),
        (torch.tensor([torch.inf, -2.0, torch.nan]), 2),
        (torch.tensor([torch.inf]), 0),
        (torch.ones(0), 0),
        (torch.tensor([-7]), 0),
        (torch.tensor([3 - 4j]), 5),
        ([1.0, [2.0, -5.0]], 5),
        ((-1.0, 0.5), 1),
        ([7, True, 0.5], 0.5),
        (float("inf"), 0),
        ({"a": 1.0, "b": [-4.0]}, 4),
        ([], 0),
        (None, 0),
        ("9", 0),
        (a_map([[1.0]], [[-2.0]]), 2),
        (a_map([[1.0]], [[-2.0]], gradient=-3.0), 3),
    ],
    ids=str,
)
def test_a_magnitude_is_that_of_the_largest_finite_number(value, largest):
    assert magnitude(value) == largest
