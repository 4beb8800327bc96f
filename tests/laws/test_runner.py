"""What the runner makes of known failures, of what can't be tried, of noise, and of errors."""

import dataclasses
import importlib
import importlib.metadata
import re
import sys
import warnings
from math import ceil
from types import SimpleNamespace

import pytest
import torch
from hypothesis.database import InMemoryExampleDatabase
from hypothesis.errors import InvalidArgument
from mutants.planting import Changed

from tmref import Labels, TensorBlock, TensorMap, catalog, nn
from tmref.catalog import ArgumentStyle
from tmref.compare import Refused
from tmref.implementations import Example, Known
from tmref.implementations.reference import Reference, implementation
from tmref.laws import LAWS, row_of_module, runner
from tmref.laws.checks import Case
from tmref.laws.law import law
from tmref.laws.runner import check
from tmref.laws.session import ModuleSession
from tmref.strategies import recipes
from tmref.verdicts import ERROR, FAIL, PASS, UNTESTED

LAW = "values_are_those_of_plain_torch"


def only(row, value):
    """One block of one value, and the module of one key and one feature."""
    keys = Labels.range("key", 1)
    block = TensorBlock(torch.tensor([[value]]), Labels.range("system", 1), [], Labels.range("n", 1))
    parameters = [[tuple(torch.ones(s) for s in layer.parameter_shapes(1, 1)) for layer in row.layers]]
    widths = [[1] * (len(row.layers) + 1)]
    recipe = catalog.recipe(row, keys, torch.float32, widths, parameters, styles=[ArgumentStyle()])
    return Example(recipe, TensorMap(keys, [block]), {})


def large(recipe, x):
    """Whether a value is larger than 1."""
    return any(bool((block.values > 1).any()) for block in x)


def known(rows, *, example=2.0, when=large, law=LAW, **more):
    reason = "large values are lost"
    return Known(law, ("relu",), when, lambda name: only(rows[name], example), reason, **more)


@pytest.fixture
def check_relu(laws, rows):
    """The verdict on a change of ReLU's output with known failures."""

    def verdict(change, *entries, **options):
        subject = Changed(change)
        subject.known = entries
        return check(laws[LAW], rows["relu"], subject, **options)

    return verdict


def test_a_known_failure_of_a_class_that_is_not_there_is_none(laws, rows):
    class Without(Reference):
        nn = SimpleNamespace(**{name: getattr(nn, name) for name in nn.__all__ if name != "ReLU"})
        known = (known(rows),)

    verdict = Case(Without(), laws[LAW], rows["relu"]).check()
    assert (verdict.verdict, verdict.offered) == (UNTESTED, False)
    assert verdict.message == "not offered: nn has no ReLU"


def test_what_the_example_of_a_known_failure_lacks_is_said(laws, rows):
    law = "one_seed_gives_the_initial_parameters_of_torch"
    subject = Changed(lambda v: v)
    subject.known = (
        Known(law, ("linear",), large, lambda name: only(rows[name], 2.0), "seeds are lost"),
    )
    words = (
        "the law draws 'seed', which the example of the known failure has not: give it draws={'seed': "
    )
    with pytest.raises(InvalidArgument, match=re.escape(words)):
        check(laws[law], rows["linear"], subject)


def test_a_known_failure_is_in_versions_of_the_package_that_it_is_in(laws, rows):
    subject = Changed(lambda v: v)
    here = importlib.metadata.version("torch")
    for versions, status in ((["0.1", here], FAIL), (["0.1"], PASS)):
        entry = dataclasses.replace(known(rows), versions=versions, package="torch")
        subject.known = (entry,)
        verdict = check(laws[LAW], rows["relu"], subject)
        assert verdict.verdict == status
    assert verdict.mended == f"mended in torch {here}: large values are lost"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rows": "relu"}, "rows must be a list of rows, got 'relu': write ('relu',)"),
        ({"versions": None}, "versions must be a list of versions, as texts, got None"),
        ({"versions": [1.0]}, "versions must be a list of versions, as texts, got [1.0]"),
        ({"law": None}, "law must be the name of a law, got None"),
        ({"reason": None}, "reason must say in words what is wrong, got None"),
    ],
)
def test_what_is_no_known_failure_is_refused(rows, options, words):
    with pytest.raises(TypeError, match=re.escape(words)):
        dataclasses.replace(known(rows), **options)


# --- what a seed tries


def test_a_seed_tries_the_same_whatever_modules_are_loaded(laws, rows, tmp_path, monkeypatch):
    found, of_source = [], runner.Draw
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


# --- known failures


def test_a_known_failure_is_expected(check_relu, rows):
    verdict = check_relu(lambda v: v.clamp(max=1), known(rows))
    assert (verdict.verdict, verdict.known, verdict.expected) == (FAIL, "large values are lost", True)
    assert (
        verdict.message == "block(0).values is 1.0 at [0, 0], expected 2.0 (torch.float32, shape (1, 1))"
    )
    assert "torch.tensor([[2.0]])" in verdict.counterexample
    assert 1 < verdict.examples <= 16  # its share of the law's, and the pinned one


def test_a_known_failure_that_passes_is_mended(check_relu, rows):
    verdict = check_relu(lambda v: v, known(rows))
    assert (verdict.verdict, verdict.known, verdict.expected) == (FAIL, None, False)
    assert verdict.message == "mended: delete the entry of the known failure: large values are lost"


@pytest.mark.parametrize(
    ("versions", "change", "expected"),
    [
        # the version that is tried is 0.1.0
        (("0.1.0",), "broken", (FAIL, "large values are lost", None)),
        (("0.0.9",), "broken", (FAIL, "large values are lost", None)),
        (("0.1.0", "0.0.9"), "mended", (FAIL, None, "mended in 0.1.0: large values are lost")),
        (("0.0.9",), "mended", (PASS, None, "mended in 0.1.0: large values are lost")),
        (("0.0.8", "0.0.9"), "mended", (PASS, None, "mended in 0.1.0: large values are lost")),
        (("0.2",), "mended", (PASS, None, "not there in 0.1.0: large values are lost")),
        (("of May",), "mended", (PASS, None, "mended in 0.1.0: large values are lost")),
    ],
)
def test_a_known_failure_may_be_mended_in_a_version_that_it_does_not_name(
    versions, change, expected, check_relu, rows
):
    changes = {"broken": lambda v: v.clamp(max=1), "mended": lambda v: v}
    entry = known(rows, versions=versions)
    for verdict in (
        check_relu(changes[change], entry),
        runner.replay(entry_law(entry), rows["relu"], subject(changes[change]), entry),
    ):
        assert (verdict.verdict, verdict.known, verdict.mended) == expected
        assert verdict.expected is (expected[:2] != (FAIL, None))


def entry_law(entry):
    return next(law for law in LAWS if law.name == entry.law)


def subject(change):
    return Changed(change)


def test_where_a_known_failure_is_mended_the_law_is_searched_everywhere(check_relu, rows):
    """Its inputs, which the search leaves out elsewhere, have another failure."""
    entry = known(rows, when=lambda recipe, x: True, versions=("0.0.9",))
    assert check_relu(lambda v: v, entry).examples > 1
    assert check_relu(lambda v: v.clamp(max=1), dataclasses.replace(entry, versions=())).examples == 1


def test_what_is_mended_for_its_example_alone_is_known(check_relu, rows):
    entry = known(rows, versions=("0.0.9",))
    verdict = check_relu(lambda v: v if v.numel() == 1 else v.clamp(max=1), entry)
    assert (verdict.verdict, verdict.known, verdict.mended) == (FAIL, entry.reason, None)
    other = check_relu(lambda v: v if v.numel() == 1 else v + 1, entry)
    assert (other.verdict, other.known, other.expected) == (FAIL, None, False)


def test_one_known_failure_that_is_mended_says_nothing_of_another(check_relu, rows):
    mended = known(rows, example=1.5, versions=("0.0.9",))
    there = dataclasses.replace(known(rows, example=3.0), reason="larger values are lost")
    verdict = check_relu(lambda v: torch.where(v > 2, 0, v), mended, there)
    assert (verdict.verdict, verdict.known) == (FAIL, "larger values are lost")
    assert verdict.mended == f"mended in 0.1.0: {mended.reason}"


#: The law of explicit gradients, which may be refused.
OF_GRADIENTS = "explicit_gradients_are_refused_or_right_by_the_chain_rule"


class RefusesGradients(Reference):
    """The reference, whose modules refuse what they once did wrong."""

    def build(self, recipe):
        made = super().build(recipe)
        forward = made.forward

        def refusing(x):
            if any(block.has_any_gradient() for block in x):
                raise ValueError("no explicit gradients")
            return forward(x)

        made.forward = refusing
        return made


def gradients_of_ones(row):
    """One block of one value and its gradient, and the module for it."""
    example = only(row, 1.0)
    block = example.x.block(0).copy()
    one = block.values, Labels.range("sample", 1), [], block.properties
    block.add_gradient("positions", TensorBlock(*one))
    return dataclasses.replace(example, x=TensorMap(example.x.keys, [block]))


@pytest.mark.parametrize(
    ("versions", "verdict", "words"),
    [
        ((), FAIL, "mended, refused now: delete the entry of the known failure: it is wrong"),
        (("0.1.0",), FAIL, "mended, refused now: delete the entry of the known failure: it is wrong"),
        (("0.0.9",), UNTESTED, "it is refused: ValueError: no explicit gradients"),
    ],
)
def test_a_known_failure_that_is_refused_now_is_mended(versions, verdict, words, laws, rows):
    def has_gradients(recipe, x):
        return any(block.has_any_gradient() for block in x)

    def example(name):
        return gradients_of_ones(rows[name])

    subject = RefusesGradients()
    entry = Known(OF_GRADIENTS, ("linear",), has_gradients, example, "it is wrong", versions=versions)
    subject.known = (entry,)
    found = check(laws[OF_GRADIENTS], rows["linear"], subject, examples=10)
    assert (found.verdict, found.message, found.known) == (verdict, words, None)
    assert found.mended == "mended in 0.1.0, refused now: it is wrong"
    assert (found.refused, found.offered) == ((True, False) if verdict == UNTESTED else (False, True))
    alone = runner.replay(laws[OF_GRADIENTS], rows["linear"], subject, entry)
    assert (alone.mended, alone.verdict) == (found.mended, FAIL if verdict == FAIL else PASS)


def test_what_is_refused_is_told_from_what_is_not_there(laws, rows):
    refused = check(laws[OF_GRADIENTS], rows["linear"], RefusesGradients(), examples=10)
    absent = check(
        laws["a_scripted_module_does_what_the_module_does"], rows["linear"], implementation, examples=10
    )
    assert [(v.offered, v.refused) for v in (refused, absent)] == [(False, True), (False, False)]


def test_what_breaks_before_the_law_draws_is_no_known_failure_of_what_it_draws(check_relu, rows):
    """Such as a module that can't be called in another version."""
    entry = known(rows, when=lambda recipe, x: True, draws=lambda drawn: drawn["order"] > 0)
    verdict = check_relu(raising, entry)
    assert (verdict.verdict, verdict.known) == (ERROR, None)
    assert verdict.message == "the module can't be called: ValueError: not today"
    wrong = known(rows, when=lambda recipe, x: {}["no such key"])
    with pytest.raises(KeyError, match="no such key"):
        check_relu(raising, wrong)


def test_what_is_not_offered_is_no_pass_although_all_its_inputs_are_known_to_fail(laws, rows):
    class WithoutReLU(Reference):
        nn = SimpleNamespace(Linear=nn.Linear)

    subject = WithoutReLU()
    for versions in ((), ("0.0.9",), ("0.1.0",)):
        subject.known = (known(rows, when=lambda recipe, x: True, versions=versions),)
        verdict = check(laws[LAW], rows["relu"], subject)
        assert (verdict.verdict, verdict.examples) == (UNTESTED, 0)
        assert (verdict.offered, verdict.message) == (False, "not offered: nn has no ReLU")


def test_versions_are_a_list(rows):
    words = r"versions must be a list of versions, got '0\.7': write \('0\.7',\)"
    with pytest.raises(TypeError, match=words):
        known(rows, versions="0.7")


@law()
def it_is_refused(f, x, draw):
    """A refusal is right. [maths]"""
    result = f.attempt(x)
    return result if isinstance(result, Refused) else (True, False)


@law()
def any_answer_will_do(f, x, draw):
    """The output is looked at by nobody. [maths]"""
    f(x)
    return True, True


def raising(values):
    raise ValueError("not today")


class ReturnsNone(Reference):
    name = "returns None"

    def build(self, recipe):
        made = super().build(recipe)
        made.forward = lambda x: None
        return made


@pytest.mark.parametrize(
    ("of", "subject", "verdict", "words"),
    [
        (it_is_refused, Changed(raising), ERROR, "the module can't be called: ValueError: not today"),
        (any_answer_will_do, ReturnsNone(), FAIL, "it returned None, which is no map: "),
    ],
)
def test_a_known_failure_is_not_mended_where_the_module_can_not_be_called(
    of, subject, verdict, words, rows
):
    subject.known = (known(rows, law=of.name),)
    found = check(of, rows["relu"], subject)
    assert (found.verdict, found.known) == (verdict, None)
    assert found.message.startswith(words)
    assert "y = module(x)" in found.reproducer


def test_a_failure_elsewhere_is_new(check_relu, rows):
    entry = known(rows, example=3.0, when=lambda recipe, x: x.dtype == torch.float32)
    verdict = check_relu(lambda v: v.clamp(max=1), entry)
    assert (verdict.verdict, verdict.known, verdict.expected) == (FAIL, None, False)
    assert re.search(r"values is 1\.0 at .* expected [12]\..*float64", verdict.message)


def test_an_example_that_its_own_when_excludes_is_reported(check_relu, rows):
    verdict = check_relu(lambda v: v.clamp(max=1), known(rows, example=0.5))
    assert (verdict.verdict, verdict.known) == (FAIL, None)
    assert verdict.message == (
        "the example of a known failure is none by its own `when`: large values are lost"
    )


def test_a_known_failure_of_another_law_excuses_nothing(check_relu, rows):
    verdict = check_relu(lambda v: v.clamp(max=1), known(rows, law="samples_survive"))
    assert (verdict.verdict, verdict.known) == (FAIL, None)


def test_every_known_failure_is_replayed(check_relu, rows):
    verdict = check_relu(lambda v: v.clamp(max=1), known(rows), known(rows, example=0.5))
    assert "is none by its own `when`" in verdict.message
    assert not verdict.expected


def test_where_all_is_known_the_example_alone_decides(check_relu, rows):
    everywhere = known(rows, when=lambda recipe, x: True)
    verdict = check_relu(lambda v: v.clamp(max=1), everywhere)
    assert (verdict.verdict, verdict.known is not None, verdict.examples) == (FAIL, True, 1)


# --- what a module does to its input


def test_what_a_module_does_to_its_input_is_seen_afterwards_and_nowhere_else(rows):
    example = only(rows["silu_in_place"], 2.0)
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
    monkeypatch.setattr(runner, "settings", lambda **options: lambda test: test)
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
