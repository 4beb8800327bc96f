"""What the runner makes of what can't be tried, of noise, and of errors."""

import dataclasses
import importlib
import importlib.metadata
import re
import sys
import warnings
from math import ceil

import pytest
import torch
from hypothesis.database import InMemoryExampleDatabase
from mutants.planting import Changed, ReturnsNone, one_value

from tmref import Labels, TensorMap
from tmref.implementations.reference import Reference, implementation
from tmref.laws import row_of_module, runner
from tmref.laws.runner import check
from tmref.laws.session import ModuleSession
from tmref.laws.trying import Draw
from tmref.strategies import recipes
from tmref.verdicts import ERROR, FAIL, PASS, UNTESTED

LAW = "values_are_those_of_plain_torch"


# --- what a seed tries


def test_a_seed_tries_the_same_whatever_modules_are_loaded(laws, rows, tmp_path, monkeypatch):
    found, of_source = [], Draw
    monkeypatch.setattr(runner, "Draw", lambda source: found.append(of_source(source)) or found[-1])

    def tried():
        found.clear()
        law = laws["one_seed_gives_the_initial_parameters_of_torch"]
        check(law, rows["linear"], implementation, examples=50, hypothesis_seed=0)
        return [draw.drawn["seed"] for draw in found]

    before = tried()
    # Hypothesis draws constants that it finds in the sources of the modules that are the user's own
    constants = ", ".join(map(str, range(1000, 2000)))
    (tmp_path / "with_constants.py").write_text(f"CONSTANTS = [{constants}]")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "with_constants", raising=False)
    importlib.import_module("with_constants")
    after = tried()
    assert len(before) == 50
    assert after == before


# --- examples that are kept


def test_what_is_kept_is_tried_first_and_takes_the_place_of_none_that_is_drawn(check_relu):
    kept, blank = InMemoryExampleDatabase(), InMemoryExampleDatabase()
    options = {"examples": 1, "shrink": False}
    assert check_relu(lambda v: v + 1, database=kept, examples=20).verdict == FAIL
    assert any(kept.data.values())
    right = [check_relu(lambda v: v, database=one, **options) for one in (kept, blank)]
    assert [(v.verdict, v.examples) for v in right] == [(PASS, 1)] * 2
    tried = []
    for one in (kept, blank):
        assert check_relu(lambda v: v + 1, database=kept, examples=20).verdict == FAIL
        check_relu(lambda v: tried[-1].append(v) or v, database=[tried.append([]), one][1], **options)
    of_kept, of_blank = map(len, tried)
    assert of_kept > of_blank > 0


# --- what a module does to its input


def test_what_a_module_does_to_its_input_is_seen_afterwards_and_nowhere_else(rows):
    example = one_value(rows["silu_in_place"], 2.0)
    subject = ModuleSession(implementation, example.recipe)
    y = subject(example.x)
    assert example.x[0].values.item() == subject.steps[-1].given["x"][0].values.item() == 2
    assert subject.input_afterwards()[0].values.item() == y[0].values.item() != 2
    assert subject(example.x)[0].values.item() == y[0].values.item()


def test_in_place_is_no_failure_where_it_was_asked_for(laws, rows):
    row = rows["silu_in_place"]
    assert not laws["the_input_stays"].applies_to(row)
    for name in (LAW, "derivatives_are_those_of_plain_torch", "the_same_input_gives_the_same_output"):
        verdict = check(laws[name], row, implementation)
        assert (verdict.verdict, verdict.message) == (PASS, None)
    pure = dataclasses.replace(row, traits=row.traits | {"pure"})
    verdict = check(laws["the_input_stays"], pure, implementation)
    assert (verdict.verdict, verdict.message[:16]) == (FAIL, "block(0).values ")


# --- what isn't tested


def test_without_a_twin_it_is_untested(laws, rows):
    def without_twins(row, x, **options):
        of_row = recipes(row, x, **options)
        return of_row.map(lambda recipe: dataclasses.replace(recipe, twins=None))

    verdict = check(laws[LAW], rows["linear"], implementation, recipes=without_twins)
    assert (verdict.verdict, verdict.examples, verdict.expected) == (UNTESTED, 0, True)
    assert verdict.message == "there is no twin in plain torch to compare with"


def test_without_known_properties_it_is_untested(laws, rows):
    def without_properties(row, x, **options):
        of_row = recipes(row, x, **options)
        return of_row.map(lambda recipe: dataclasses.replace(recipe, properties=None))

    law = laws["properties_are_those_asked_for"]
    verdict = check(law, rows["linear"], implementation, recipes=without_properties)
    assert (verdict.verdict, verdict.message) == (
        UNTESTED,
        "nobody says which properties the output must have",
    )


def test_without_examples_it_is_untested(laws, rows, monkeypatch):
    def nothing(*args):
        return lambda test: lambda: None

    monkeypatch.setattr(runner, "given", nothing)
    monkeypatch.setattr(runner, "seed", lambda seed: lambda test: test)
    verdict = check(laws[LAW], rows["linear"], implementation)
    assert (verdict.verdict, verdict.message) == (UNTESTED, "no example exercised the law")


# --- random numbers


def test_the_global_random_state_stays(laws, rows):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    check(laws["one_seed_gives_the_initial_parameters_of_torch"], rows["linear"], implementation)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_global_random_state_stays_where_a_law_is_broken(laws, rows):
    before = torch.get_rng_state()
    verdict = check(laws[LAW], rows["relu"], Changed(lambda v: v + torch.rand(())))
    assert verdict.verdict != PASS
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("change", [lambda v: v, lambda v: v.clamp(max=1)])
def test_one_seed_gives_one_verdict(check_relu, change):
    torch.rand(3)
    first = check_relu(change, hypothesis_seed=3)
    torch.rand(5)
    second = check_relu(change, hypothesis_seed=3)
    first.seconds = second.seconds = 0
    assert first == second


def test_the_number_of_examples_is_as_asked(check_relu, laws):
    # seven rows share the code
    assert check_relu(lambda v: v).examples == ceil(laws[LAW].examples / 7)
    assert check_relu(lambda v: v, examples=7).examples == 7


# --- errors


def test_what_fails_once_is_an_error(laws, rows):
    failed = []

    def change(values):
        if failed or not (values > 1).any():
            return values
        failed.append(values)
        return values * 2

    verdict = check(laws[LAW], rows["relu"], Changed(change))
    assert (verdict.verdict, verdict.expected) == (ERROR, False)
    assert verdict.message.startswith("the same example gave different verdicts when it was repeated")


def test_a_warning_is_no_refusal(laws, rows):
    class Warns(Reference):
        def build(self, recipe):
            warnings.warn("building", stacklevel=2)
            return super().build(recipe)

        def decode(self, tensor):
            warnings.warn("decoding", stacklevel=2)
            return super().decode(tensor)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for law in (laws[LAW], laws["explicit_gradients_are_refused_or_right_by_the_chain_rule"]):
            verdict = check(law, rows["linear"], Warns(), examples=5)
            assert (verdict.verdict, verdict.message) == (PASS, None)


class RaisesInBuild(Reference):
    name = "raises"

    def build(self, recipe):
        raise RuntimeError("no such layer\nand more words")


def test_an_error_at_construction_is_an_error_with_its_words(laws, rows):
    verdict = check(laws[LAW], rows["linear"], RaisesInBuild())
    assert (verdict.verdict, verdict.known) == (ERROR, None)
    assert verdict.message == "the module can't be made: RuntimeError: no such layer"
    assert verdict.counterexample.startswith("x = TensorMap(")
    compile(verdict.reproducer, "<reproducer>", "exec")


def test_an_error_at_the_call_is_an_error_with_its_words(check_relu):
    def change(values):
        raise ZeroDivisionError

    verdict = check_relu(change)
    assert (verdict.verdict, verdict.message) == (
        ERROR,
        "the module can't be called: ZeroDivisionError: ",
    )


def test_another_number_of_parameters_is_an_error(laws, rows):
    class Forgetful(Reference):
        def parameters(self, module):
            return super().parameters(module)[:-1]

    verdict = check(laws["parameters_stay"], rows["linear"], Forgetful())
    assert verdict.verdict == ERROR
    assert "the module has parameters of the shapes" in verdict.message


class LosesItsBlocks(Reference):
    name = "loses its blocks"

    def build(self, recipe):
        module = super().build(recipe)
        module.register_forward_hook(lambda module, args, y: TensorMap(Labels.empty("key"), []))
        return module


def test_an_output_that_no_law_can_speak_of_is_a_failure_too(laws, rows):
    noticed = [
        "keys_survive_in_order",
        "samples_survive",
        "components_survive",
        "properties_are_those_asked_for",
        "derivatives_are_those_of_plain_torch",
        "blocks_do_not_influence_each_other",
        "samples_do_not_influence_each_other",
        "every_value_stands_for_itself",
        "explicit_gradients_are_refused_or_right_by_the_chain_rule",
    ]
    verdicts = {
        name: check(laws[name], rows["tanh"], LosesItsBlocks(), examples=5) for name in (LAW, *noticed)
    }
    assert {v.verdict for v in verdicts.values()} == {FAIL}
    assert verdicts[LAW].message.startswith("y.keys are ['key'] [], where ['key'] [[0]")


def test_where_none_is_returned_each_law_of_derivatives_says_so_and_its_script_shows_it(laws, rows):
    about = [one for one in laws.values() if one.derived and one.family == "derivatives"]
    assert len(about) > 2
    for one in about:
        verdict = check(one, rows["linear"], ReturnsNone(), examples=5)
        assert verdict.verdict == FAIL, (one.name, verdict.message)
        assert verdict.message.startswith("it returned None, which is no map: "), one.name
        shown = ('assert hasattr(y, "block"), ', "sum(y.block(i)")
        assert any(line in verdict.reproducer for line in shown), one.name


def test_what_is_no_map_fails_in_the_scripts_of_laws_that_call_otherwise(laws, rows):
    for name in (
        "a_map_without_blocks_gives_one_without_blocks",
        "values_are_the_same_however_they_lie_in_memory",
        "autocast_casts_as_it_does_in_plain_torch",
    ):
        verdict = check(laws[name], rows["linear"], ReturnsNone(), examples=5)
        words = "assert hasattr(y, \"block\"), 'it returned None, which is no map'"
        assert (verdict.verdict, verdict.reproducer.splitlines()[-1]) == (FAIL, words)


@pytest.mark.parametrize(
    ("mib", "words"), [(16, r"memory grew by \d+ MiB with each example"), (0, None)]
)
def test_memory_that_grows_with_each_example_is_warned_of(mib, words, laws):
    kept = []

    class Keeps(torch.nn.Module):
        def forward(self, x):
            kept.append(torch.ones(mib * 2**18))
            return x

    row = row_of_module(lambda x: Keeps(), name="keeps")
    verdict = check(laws["the_input_stays"], row, row.subject(implementation), examples=20)
    assert verdict.verdict == PASS
    assert re.fullmatch(words, verdict.warning) if words else verdict.warning is None
