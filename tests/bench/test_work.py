"""The work that is timed: all subjects compute the same, on maps of the sizes asked for."""

import itertools

import pytest
import torch

import tmref
from tmref.bench.counts import operators
from tmref.bench.work import (
    AGAIN,
    BACKWARD,
    COMPILED,
    EXPANSION,
    FORWARD,
    INFERENCE,
    TORCH,
    Cell,
    grid,
    made_map,
    made_recipe,
    plain_module,
    subjects,
)
from tmref.catalog import ROWS
from tmref.implementations import UnknownImplementation, load
from tmref.laws import row_of_module
from tmref.strategies import like

NAMES = ("reference", "batched", "metatensor-learn", "metatensor-torch")


@pytest.mark.parametrize("row", [row.name for row in ROWS])
def test_all_subjects_compute_the_same(row):
    cell = Cell(row, 16, 3, features=4)
    torch.manual_seed(0)
    x = made_map(cell)
    recipe = made_recipe(cell, x)
    plain = [plain_module(twin) for twin in recipe.twins]
    expected = [module(block.values.clone()) for module, block in zip(plain, x, strict=True)]
    for name in NAMES:
        implementation = load(name)
        copied = x.copy()  # there is a row that overwrites its input
        y = implementation.decode(implementation.build(recipe)(implementation.encode(copied)))
        for block, values in zip(y, expected, strict=True):
            torch.testing.assert_close(block.values, values)


@pytest.mark.parametrize("mode", [FORWARD, INFERENCE, BACKWARD])
@pytest.mark.parametrize("row", ["linear", "relu", "invariant_layer_norm", "equivariant_mlp"])
def test_work_may_be_done_again_and_again(row, mode):
    work = subjects(Cell(row, 64, 2, mode, features=4), NAMES)
    assert list(work) == [TORCH, AGAIN, *NAMES]
    for do in work.values():
        do()
        do()


def test_modes_are_what_they_say():
    for name, recorded in itertools.product(("reference", TORCH), (True, False)):
        work = subjects(Cell("linear", 2, 3, FORWARD if recorded else INFERENCE), ["reference"])
        y = work[name]()
        values = y[0] if name == TORCH else y.block(0).values
        assert values.requires_grad == recorded
        assert values.is_inference() != recorded


@pytest.mark.parametrize("row", ["linear", "relu"])
def test_backward_differentiates_all_blocks(row, monkeypatch):
    work = subjects(Cell(row, 2, 3, BACKWARD), ["reference"])["reference"]
    differentiated = []
    monkeypatch.setattr(torch.autograd, "backward", lambda values, ones: differentiated.extend(values))
    work()
    assert [y.requires_grad for y in differentiated] == [True, True]


def test_a_backward_does_the_same_for_the_first_and_for_others():
    work = subjects(Cell("relu", 2, 3, BACKWARD), ["reference"], copies=2)
    called = [operators(do) for do in (work["reference"], work[TORCH], work["reference"])]
    assert called[0]["aten.add_.Tensor"] == 2
    assert called[0] == called[1] == called[2]


@pytest.mark.slow
# torch loads decompositions by torch.jit, which it has deprecated
@pytest.mark.filterwarnings(r"ignore:`torch\.jit\.script_method` is deprecated:DeprecationWarning")
def test_compiled_work_is_compiled():
    counters = torch._dynamo.utils.counters
    for name, do in subjects(Cell("linear", 2, 3, COMPILED), ["reference", "batched"]).items():
        counters.clear()
        do()
        # what plain torch has compiled already is there again
        assert counters["stats"]["unique_graphs"] == (name != AGAIN), name
        assert not counters["graph_break"], name


def test_maps_have_the_sizes_asked_for():
    x = made_map(Cell("linear", 5, 3, features=7))
    assert [tuple(block.shape) for block in x] == [(3, 7)] * 5
    x = made_map(Cell("equivariant_mlp", 5, 3, features=7))
    assert [tuple(block.shape) for block in x] == [(3, 2 * i + 1, 7) for i in (0, 1, 2, 3, 0)]


def test_a_spherical_expansion_is_like_a_real_one(expansion):
    """As metatensor's core-data.mts has them: 2λ + 1 components, and samples of three sizes."""
    real = expansion("core-data")
    made = made_map(Cell("linear", 36, 20, form=EXPANSION))
    for x in (real, made):
        for key, block in x.items():
            assert block.shape[1] == 2 * key["o3_lambda"] + 1
        assert len({len(block.samples) for block in x}) == 3
    sizes = [len(block.samples) for block in made]
    assert sum(sizes) == 36 * 20
    assert (min(sizes), max(sizes)) == (10, 30)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nosuch", 1, 1), "there is no row 'nosuch'; there are linear"),
        (("linear", 0, 1), "blocks must be at least 1, got 0"),
        (("linear", 1, -1), "samples must be at least 1, got -1"),
        (("linear", 1, 1, "sideways"), "there is no mode 'sideways'; there are forward, inference"),
        (("silu_in_place", 1, 1, BACKWARD), "overwrites its input"),
    ],
)
def test_what_can_not_be_timed_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Cell(*arguments)


def test_unknown_implementations_are_refused():
    with pytest.raises(UnknownImplementation):
        subjects(Cell("linear", 1, 1), ["nosuch"])


def test_a_grid_has_all_combinations():
    cells = grid(["linear", "tanh"], [1, 2], [3], [FORWARD, INFERENCE])
    assert len(set(cells)) == 8
    assert str(cells[0]) == "linear, forward, 1 block × 3 samples"


def own_row(**options):
    """A linear layer of one's own for every block, for the spherical or other maps of these options."""

    def layer(block):
        return torch.nn.Linear(len(block.properties), 2, bias=False, dtype=block.values.dtype)

    return row_of_module(
        lambda x: tmref.nn.ModuleMap(x.keys, [layer(block) for block in x]),
        name="mine",
        traits=["pure"],
        **{"twin": lambda key, block: layer(block), **options},
    )


@pytest.mark.parametrize("maps", [{}, {"spherical": True}])
@pytest.mark.parametrize("mode", [FORWARD, INFERENCE, BACKWARD])
def test_a_module_of_ones_own_is_timed_beside_its_twin(mode, maps):
    cell = Cell("mine", 4, 3, mode, features=4, rows=[own_row(maps=maps)])
    x = made_map(cell)
    assert [b.components != [] for b in x] == [bool(maps)] * 4
    work = subjects(cell, ["reference"])
    assert set(work) == {TORCH, AGAIN, "reference"}
    if mode != BACKWARD:
        for expected, found in zip(work[TORCH](), work["reference"](), strict=True):
            torch.testing.assert_close(found.values, expected)
    else:
        work["reference"]()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"twin": None}, "mine has no twin in plain torch: there is nothing to compare it with"),
        ({"given": {"other": like}}, "mine has further inputs: there is nothing to compare it with"),
    ],
)
def test_a_module_without_a_twin_is_not_timed(options, words):
    cell = Cell("mine", 1, 1, rows=[own_row(**options)])
    with pytest.raises(ValueError, match=words):
        subjects(cell, ["reference"])
