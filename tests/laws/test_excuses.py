"""What the runner makes of known failures."""

import dataclasses
import importlib
import importlib.metadata
import re
from types import SimpleNamespace

import pytest
import torch
from hypothesis.errors import InvalidArgument
from mutants.planting import Changed, ReturnsNone, one_value

from tmref import Labels, TensorBlock, TensorMap, nn
from tmref.compare import Refused
from tmref.implementations import Known
from tmref.implementations.reference import Reference, implementation
from tmref.laws import LAWS, runner
from tmref.laws.checks import Case
from tmref.laws.law import law
from tmref.laws.runner import check
from tmref.verdicts import ERROR, FAIL, PASS, UNTESTED

LAW = "values_are_those_of_plain_torch"


def large(recipe, x):
    """Whether a value is larger than 1."""
    return any(bool((block.values > 1).any()) for block in x)


def known(rows, *, example=2.0, when=large, law=LAW, **more):
    reason = "large values are lost"
    return Known(law, ("relu",), when, lambda name: one_value(rows[name], example), reason, **more)


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
        Known(law, ("linear",), large, lambda name: one_value(rows[name], 2.0), "seeds are lost"),
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
    example = one_value(row, 1.0)
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
