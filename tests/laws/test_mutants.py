"""Every law catches the defects that are planted for it, whatever the seed."""

import re

import pytest
import torch
from mutants.running import made_by

from tmref.implementations.reference import implementation as reference
from tmref.laws import LAWS
from tmref.laws.runner import check, smoke
from tmref.verdicts import ERROR, FAIL, PASS

SEEDS = (0, 1, 2)
seeds = pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in SEEDS[1:])]
)
#: Fewer than a law is tried on by default, over all the rows that share the code of a defect.
ENOUGH = 20


@pytest.mark.parametrize("law", LAWS, ids=[law.name for law in LAWS])
def test_every_law_has_a_mutant(law, mutants):
    laws = {planted.law for planted in mutants.MUTANTS}
    assert law.name in laws, "it has no planted defect: docs/contributing/mutant.md says how one is made"


@seeds
def test_a_defect_is_caught(planted, seed, laws, rows):
    law, row = laws[planted.law], planted.narrowed(rows[planted.row])
    # as many as it asks for on the rows that share their code
    options = {"examples": law.examples, "hypothesis_seed": seed, "shrink": False}
    assert check(law, row, planted.implementation, **options).verdict in (FAIL, ERROR)


@pytest.mark.timeout(1200)  # hundreds of laws at once
@seeds
def test_the_reference_passes_where_defects_are_caught(seed, mutants, laws, rows):
    bad = {}
    of_cells = {(planted.law, planted.row): planted for planted in mutants.MUTANTS}
    for (law, row), planted in sorted(of_cells.items(), key=lambda item: item[0]):
        examples = ENOUGH if seed else 4  # the quick one
        options = {"examples": examples, "hypothesis_seed": seed}
        verdict = check(laws[law], rows[row], planted.right, **options)
        if verdict.verdict != PASS and verdict.offered:
            bad[law, row] = verdict.message
    assert bad == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_an_adapter_that_loses_something_fails_the_smoke_law(adapter, seed, without_shrinking):
    smoke.cache_clear()
    assert smoke(adapter, seed).verdict in (FAIL, ERROR)


def test_the_reference_passes_the_smoke_law():
    smoke.cache_clear()
    verdict = smoke(reference)
    assert (verdict.verdict, verdict.examples, verdict.message) == (PASS, 40, None)


@pytest.mark.parametrize(
    ("planted_at", "message", "blocks", "shape"),
    [
        (
            ("keys_survive_in_order", "keys_and_blocks_reversed", "linear"),
            "they are ['key'] [[1], [0]], where ['key'] [[0], [1]] were expected",
            2,
            (0, 0),
        ),
        (
            ("a_map_without_blocks_gives_one_without_blocks", "index_error_for_no_blocks", "relu"),
            "the module can't be called: IndexError: no block 0 in a TensorMap of 0 blocks",
            0,
            None,
        ),
        (
            ("samples_survive", "sample_values_counted", "linear"),
            "y.block(0).samples are ['system'] [[0]], where ['system'] [[1]] were expected",
            1,
            (1, 0),
        ),
        (
            ("values_are_those_of_plain_torch", "bias_dropped", "linear"),
            "block(0).values is 0.0 at [0, 0], expected 1.0 (torch.float32, shape (1, 1))",
            1,
            (1, 0),
        ),
        (
            ("derivatives_are_those_of_plain_torch", "input_detached", "tanh"),
            "inputs[0].grad is 0.0 at [0, 0], expected 1.0 (torch.float32, shape (1, 1)); "
            "1.91e-06 apart would do",
            1,
            (1, 1),
        ),
        (
            ("the_input_stays", "input_doubled_afterwards", "linear"),
            "block(0).values is 2.0 at [0, 0], expected 1.0 (torch.float32, shape (1, 1))",
            1,
            (1, 1),
        ),
        (
            ("the_same_input_gives_the_same_output", "counts_its_calls", "tanh"),
            "block(0).values is 0.125 at [0, 0], expected 0.0 (torch.float32, shape (1, 1)); "
            "2.38e-07 apart would do",
            1,
            (1, 1),
        ),
        (
            (
                "explicit_gradients_are_refused_or_right_by_the_chain_rule",
                "modules_applied_to_gradients",
                "module_map_linear",
            ),
            'block(0).gradient("positions").values is 1.0 at [0, 0], expected 0.0 '
            "(torch.float32, shape (1, 1))",
            1,
            (1, 0),
        ),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) and len(value) == 3 else None,
)
def test_a_counterexample_is_the_smallest_and_its_code_makes_it(
    planted_at, message, blocks, shape, mutants, laws, rows
):
    (planted,) = [p for p in mutants.MUTANTS if (p.law, p.implementation.name, p.row) == planted_at]
    verdicts = [
        check(
            laws[planted.law],
            rows[planted.row],
            planted.implementation,
            examples=ENOUGH,
            hypothesis_seed=seed,
        )
        for seed in SEEDS
    ]
    # for some defects there are others that no smaller step leads away from
    (verdict, *_) = [verdict for verdict in verdicts if verdict.message == message]
    made = made_by(verdict.counterexample)
    assert len(made["x"]) == blocks
    assert all(tuple(block.shape) == shape for block in made["x"])
    assert isinstance(made["module"], torch.nn.Module)
    compile(verdict.reproducer, "<reproducer>", "exec")
    name, law, row = planted.implementation.name, planted.law, planted.row
    assert verdict.reproducer.startswith(f"# {name} 0.1.0, {row}: {law}\n# {message}\n")
    assert re.search(r"^ *y\d? = module\(x\d?\)$", verdict.reproducer, re.MULTILINE)


def test_the_counterexample_is_this_text(mutants, laws, rows):
    (planted,) = [p for p in mutants.MUTANTS if p.implementation.name == "large_values_of_the_input_cut"]
    options = {"examples": ENOUGH, "hypothesis_seed": 1}
    verdict = check(laws[planted.law], rows[planted.row], planted.implementation, **options)
    assert verdict.counterexample == (
        'x = TensorMap(Labels.range("key", 1), [TensorBlock(torch.tensor([[2.0]]), '
        'Labels.range("system", 1), [], Labels.range("n", 1))])\n'
        'module = nn.Tanh(in_keys=Labels.range("key", 1))'
    )


def test_an_adapters_counterexample_is_small(mutants):
    (adapter,) = [a for a in mutants.BROKEN_ADAPTERS if a.name == "ReversesKeys"]
    smoke.cache_clear()
    verdict = smoke(adapter)
    assert verdict.message == "keys are ['key'] [[1], [0]], where ['key'] [[0], [1]] were expected"
    assert [tuple(block.shape) for block in made_by(verdict.counterexample)["x"]] == [(0, 0)] * 2
