"""check_module, check_function and parametrize_module_with_laws, as other test-suites use them."""

import enum
import os
import re
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

import tmref
from tmref.implementations import Known, load
from tmref.implementations.reference import Reference
from tmref.laws import (
    UnexpectedVerdicts,
    check_function,
    check_implementation,
    check_module,
    parametrize_module_with_laws,
    parametrize_with_laws,
)
from tmref.laws.examples import EXAMPLES
from tmref.strategies import labels_of
from tmref.verdicts import ERROR, FAIL, PASS, SHOWS_NOTHING, UNTESTED

ALL_KEPT = ["keeps_keys", "keeps_samples", "keeps_components"]


def linear(x):
    widths = [len(block.properties) for block in x]
    return tmref.nn.Linear(x.keys, widths, 2, dtype=x.dtype)


def linear_twin(key, block):
    return torch.nn.Linear(len(block.properties), 2, dtype=block.dtype)


def every_trait_that_holds():
    return [*ALL_KEPT, "pure", "per_block", "per_sample", "keyed", "linear", "deterministic", "seeded"]


def test_a_module_with_its_twin_and_traits_passes_and_names_what_is_not_declared(capsys):
    verdicts = check_module(linear, twin=linear_twin, traits=["linear", *ALL_KEPT])
    laws = {v.law: v for v in verdicts}
    assert laws["linear_up_to_its_bias"].verdict == PASS
    of_derivatives = "derivatives_are_those_of_plain_torch"
    assert laws[of_derivatives].examples == EXAMPLES[of_derivatives]
    assert "every_value_stands_for_itself" not in laws
    held, *broken = capsys.readouterr().out.splitlines()
    expected = "label_free, pure, per_block, per_sample, keyed, seeded"
    assert held == f"linear: held but not declared: {expected}"
    assert broken[0] == "linear: did not hold:"
    assert "    pointwise, by every_value_stands_for_itself" in broken


def test_where_nothing_is_declared_a_broken_law_is_blamed_on_the_trait_that_it_is_about(capsys):
    check_module(linear, twin=linear_twin, effort=0.05)
    held, *broken = capsys.readouterr().out.splitlines()
    few = "on the few examples of effort=0.05, try without it before you declare"
    assert held.startswith(f"linear: held but not declared {few}: ")
    assert {"deterministic", "linear", "per_block", "per_sample"} <= set(held.split(": ")[2].split(", "))
    assert "    pointwise, by every_value_stands_for_itself" in broken


def test_a_module_that_changes_its_input_passes_where_it_does_not_promise_otherwise(capsys):
    def in_place(x):
        return tmref.nn.ReLU(x.keys, in_place=True)

    laws = {v.law for v in check_module(in_place, traits=["keeps_keys"])}
    assert "the_input_stays" not in laws
    held, title, *broken = capsys.readouterr().out.splitlines()
    assert "pure" not in held
    assert "pointwise" in held
    assert title == "in_place: did not hold:"
    assert any(line.startswith("    pure, by ") and "the_input_stays" in line for line in broken)
    with pytest.raises(AssertionError, match=r"the_input_stays.* \(in_place\): fail"):
        check_module(in_place, traits=["keeps_keys", "pure"])


def test_without_a_twin_laws_of_torch_are_untested_and_say_so():
    verdicts = check_module(linear, traits=["keeps_keys"], effort=0.05)
    of_values = next(v for v in verdicts if v.law == "values_are_those_of_plain_torch")
    assert (of_values.verdict, of_values.examples) == (UNTESTED, 0)
    assert of_values.message == "there is no twin in plain torch to compare with"


def test_a_declared_trait_that_does_not_hold_is_a_failure_with_its_smallest_example():
    def tanh(x):
        return tmref.nn.Tanh(x.keys)

    with pytest.raises(AssertionError, match="linear_up_to_its_bias") as error:
        check_module(tanh, traits=["linear"])
    text = str(error.value)
    assert text.startswith("1 of ")
    assert "\ndef tanh(x):\n    return tmref.nn.Tanh(x.keys)\nbuild = tanh\n" in text
    assert text.count("TensorBlock(") == 3  # of build, which is one of the four calls', 0, and the sum


def test_a_declared_trait_that_cannot_be_tested_is_a_failure():
    with pytest.raises(AssertionError, match=r"the trait seeded .*: untested: there is no twin"):
        check_module(linear, traits=["seeded"], effort=0.05)


def test_a_twin_that_is_another_module_is_a_failure():
    def other(key, block):
        return torch.nn.Sequential(torch.nn.Tanh(), linear_twin(key, block))

    with pytest.raises(AssertionError, match="values_are_those_of_plain_torch"):
        check_module(linear, twin=other, effort=0.1)


def test_a_twin_with_other_parameters_is_a_failure_that_names_both():
    def other(key, block):
        return torch.nn.Linear(len(block.properties), 2, bias=False, dtype=block.dtype)

    with pytest.raises(AssertionError, match=r"the module has parameters of the shapes .* but its twin"):
        check_module(linear, twin=other)


def test_a_module_that_cannot_be_built_is_a_failure_with_its_error():
    def broken(x):
        raise RuntimeError("not today")

    words = "the module can't be made: RuntimeError: not today"
    with pytest.raises(UnexpectedVerdicts, match=words) as error:
        check_module(broken, traits=["keeps_keys"])
    assert [v.law for v in error.value.verdicts] == ["it_can_be_made_and_called"]


def test_a_module_that_fits_few_maps_is_one_failure_with_the_source_of_its_lambda():
    with pytest.raises(UnexpectedVerdicts, match="the module can't be called: RuntimeError") as error:
        check_module(lambda x: tmref.nn.ModuleMap(x.keys, [torch.nn.Linear(5, 1) for _ in x]))
    assert [v.verdict for v in error.value.verdicts] == [ERROR]
    source = "build = lambda x: tmref.nn.ModuleMap(x.keys, [torch.nn.Linear(5, 1) for _ in x])"
    assert source in str(error.value)


def test_an_error_has_all_verdicts_and_those_that_are_unexpected():
    with pytest.raises(UnexpectedVerdicts) as error:
        check_module(linear, traits=["keeps_keys", "pointwise"], effort=0.05)
    assert [v.law for v in error.value.unexpected] == ["every_value_stands_for_itself"]
    assert len(error.value.verdicts) > 10
    assert PASS in {v.verdict for v in error.value.verdicts}


@pytest.mark.parametrize("on_fail", ["warn", None])
def test_a_failure_may_be_a_warning_or_just_a_verdict(on_fail):
    options = {"traits": ["keeps_keys", "pointwise"], "effort": 0.05, "on_fail": on_fail}
    with pytest.warns(UserWarning, match="every_value_stands") if on_fail else nullcontext():
        verdicts = check_module(linear, **options)
    assert {v.law for v in verdicts if v.verdict == FAIL} == {"every_value_stands_for_itself"}


@pytest.mark.parametrize(
    "check",
    [
        lambda: check_module(linear, on_fail="log"),
        lambda: check_implementation("reference", on_fail="log"),
    ],
)
def test_other_ways_to_answer_are_refused(check):
    with pytest.raises(ValueError, match=r'^on_fail must be "raise", "warn" or None, got \'log\'$'):
        check()


def test_laws_may_be_expected_to_fail_with_a_reason():
    expected = {"every_value_stands_for_itself": "sums over properties"}
    options = {"traits": ["keeps_keys", "pointwise"], "effort": 0.05}
    verdicts = check_module(linear, expected_failed_laws=expected, **options)
    (known,) = (v for v in verdicts if v.known)
    assert (known.law, known.known, known.verdict) == (*expected.popitem(), FAIL)


def test_a_law_that_is_expected_to_fail_and_does_not_is_a_failure():
    expected = {"keys_survive_in_order": "no reason at all"}
    words = r"it is expected to fail \(no reason at all\), and didn't: it is pass; take it out"
    with pytest.raises(UnexpectedVerdicts, match=words):
        check_module(linear, traits=["keeps_keys"], expected_failed_laws=expected, effort=0.05)
    expected = {"every_value_stands_for_itself": "sums over properties"}
    with pytest.raises(UnexpectedVerdicts, match="but needs traits that are not declared; take it out"):
        check_module(linear, traits=["keeps_keys"], expected_failed_laws=expected, effort=0.05)


def test_a_law_that_is_expected_to_fail_has_to_exist():
    message = "there is no law 'the_input_stay'; did you mean 'the_input_stays'?"
    with pytest.raises(ValueError, match=re.escape(message)):
        check_module(linear, expected_failed_laws={"the_input_stay": "why"})
    with pytest.raises(ValueError, match="there is no law 'xyz'; tmref list laws has them all"):
        check_module(linear, expected_failed_laws={"xyz": "why"})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["metatensor-learn", "metatensor-torch"])
def test_what_is_known_of_a_class_is_known_of_what_is_made_of_it(name):
    nn = load(name).nn

    def outer(x):
        return torch.nn.Sequential(linear_of(x))

    def linear_of(x):
        return nn.ModuleMap(x.keys, [twin(None, block) for block in x])

    def twin(key, block):
        return torch.nn.Linear(len(block.properties), 2, dtype=block.values.dtype)

    traits = [trait for trait in every_trait_that_holds() if trait != "seeded"]
    options = {"twin": twin, "traits": traits, "implementation": name}
    verdicts = {v.law: v for v in check_module(outer, **options)}
    chain_rule = verdicts["explicit_gradients_are_refused_or_right_by_the_chain_rule"]
    assert chain_rule.known.startswith("modules are applied to explicit gradients as to values: biases")
    assert (chain_rule.verdict, chain_rule.status) == (FAIL, "known")
    assert ".add_gradient(" in chain_rule.reproducer
    by_name = verdicts["keys_are_matched_by_the_names_of_their_dimensions"]
    assert by_name.known.startswith("keys are looked up by their values alone")


class Adds(torch.nn.Module):
    """It calls its part, and adds 1 to its input, which isn't pure, where that has so many ``blocks`` or
    more."""

    def __init__(self, blocks, part=None):
        super().__init__()
        self.blocks, self.part = blocks, part

    def forward(self, x):
        if self.part is not None:
            self.part(x)
        if len(x) >= self.blocks:
            for block in x:
                block.values.add_(1)
        return x


class Counting(Adds):
    """The class of the implementation that something is known of."""


class AddsUncalled(Adds):
    """Its part is never called."""

    def forward(self, x):
        part, self.part = self.part, None
        try:
            return super().forward(x)
        finally:
            self.part = part


class Faulty(Reference):
    """Its Tanh adds to its input; ``rows`` are those that the failure is known of."""

    def __init__(self, rows, when=lambda recipe, x: len(x) > 1):
        super().__init__()
        self.nn = SimpleNamespace(**{**vars(tmref.nn), "Tanh": Counting})
        self.known = (Known("the_input_stays", rows, when, None, "two blocks: why"),)


NEVER = 100


@pytest.mark.parametrize(
    ("made", "rows", "known"),
    [
        (lambda x: Adds(NEVER, Counting(2)), ["tanh"], True),
        (lambda x: Adds(2, Counting(2)), ["tanh"], True),  # which of them it is nobody can tell
        (lambda x: Adds(2, Counting(NEVER)), ["tanh"], False),  # the part does it right
        (lambda x: AddsUncalled(2, Counting(2)), ["tanh"], False),
        (lambda x: Adds(2, tmref.nn.ReLU(x.keys)), ["tanh"], False),  # the class is no part of it
        (lambda x: Adds(NEVER, Counting(1)), ["tanh"], False),  # where it isn't known, it fails, too
        (lambda x: Adds(NEVER, Counting(2)), [], False),
        (lambda x: Adds(NEVER, Counting(2)), ["relu"], False),
    ],
)
def test_a_known_failure_excuses_what_its_class_does_by_itself_and_no_other(made, rows, known):
    options = {"traits": ["pure"], "implementation": Faulty(rows), "effort": 0.2, "on_fail": None}
    found = {v.law: v for v in check_module(made, **options)}["the_input_stays"]
    assert (found.verdict, found.known) == (FAIL, "two blocks: why" if known else None)
    assert found.reproducer


def test_a_known_failure_of_some_options_excuses_nothing():
    class OfLayerNorm(Reference):
        nn = SimpleNamespace(**{**vars(tmref.nn), "LayerNorm": Counting})
        known = (Known("the_input_stays", ["layer_norm"], lambda recipe, x: True, None, "why"),)

    options = {"traits": ["pure"], "implementation": OfLayerNorm(), "effort": 0.2, "on_fail": None}
    verdicts = check_module(lambda x: Adds(NEVER, Counting(1)), **options)
    assert {v.law: v.known for v in verdicts if v.verdict == FAIL}["the_input_stays"] is None


def test_a_part_that_is_right_excuses_no_wrong_gradients(only):
    only("explicit_gradients_are_refused_or_right_by_the_chain_rule")

    class Tripled(torch.nn.Module):
        def __init__(self, x):
            super().__init__()
            layers = [torch.nn.Linear(len(b.properties), 2, bias=False, dtype=b.values.dtype) for b in x]
            self.part = nn.ModuleMap(x.keys, layers)

        def forward(self, x):
            y = self.part(x)
            for block in y:
                for _, gradient in block.gradients():
                    gradient.values.mul_(3)
            return y

    nn = load("metatensor-torch").nn
    traits = [*ALL_KEPT, "deterministic", "per_block", "per_sample"]
    options = {"traits": traits, "implementation": "metatensor-torch", "effort": 0.1, "on_fail": None}
    verdicts = check_module(Tripled, **options)
    wrong = {v.law: v.known for v in verdicts if v.verdict == FAIL}
    assert wrong == {"explicit_gradients_are_refused_or_right_by_the_chain_rule": None}


def test_a_known_failure_that_asks_for_arguments_excuses_nothing():
    subject = Faulty(["tanh"], when=lambda recipe, x: recipe.call.kwargs["bias"])
    options = {"traits": ["pure"], "implementation": subject, "effort": 0.1, "on_fail": None}
    verdicts = check_module(lambda x: Adds(NEVER, Counting(1)), **options)
    assert {v.law: v.known for v in verdicts if v.verdict == FAIL}["the_input_stays"] is None


def test_a_known_failure_says_nothing_of_a_trait(capsys):
    def counting(x):
        return Counting(1)

    check_module(counting, implementation=Faulty(["tanh"], lambda recipe, x: True))
    assert "the_input_stays" not in capsys.readouterr().out
    check_module(counting)
    assert "the_input_stays" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"traits": "pure"}, "traits must be a list of names, got 'pure'"),
        (
            {"expected_failed_laws": ["the_input_stays"]},
            "expected_failed_laws must be a dictionary of reasons by law, got ['the_input_stays']",
        ),
    ],
)
def test_arguments_of_other_types_are_refused(options, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        check_module(linear, **options)


def test_keys_that_are_no_strategy_are_refused_with_the_remedy():
    keys = tmref.Labels.range("key", 1)
    with pytest.raises(InvalidArgument, match=r"must be a strategy; for one value: hypothesis\.strat"):
        check_module(linear, maps={"keys": keys})


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ({"keys": st.just(3)}, "keys must give tmref's Labels, got a int: 3"),
        ({"keys": st.just(tmref.Labels.range("key", 2)), "max_blocks": 1}, "none that is allowed"),
    ],
)
def test_where_no_map_can_be_drawn_that_is_all_that_is_said(maps, words):
    with pytest.raises(UnexpectedVerdicts, match=words) as error:
        check_module(linear, maps=maps)
    assert [v.verdict for v in error.value.verdicts] == [UNTESTED]


def test_a_law_that_excludes_what_is_taken_is_no_reason_to_stop():
    verdicts = check_module(lambda x: tmref.nn.Tanh(x.keys), maps={"max_samples": 0}, effort=0.02)
    assert {v.verdict for v in verdicts} == {PASS, UNTESTED}


def test_what_build_gives_has_to_be_a_module():
    words = r"TypeError: build\(x\) must give a torch\.nn\.Module, got a builtin_function_or_method\n"
    with pytest.raises(UnexpectedVerdicts, match=words) as error:
        check_module(lambda x: torch.neg)
    assert len(error.value.verdicts) == 1


@pytest.mark.parametrize(
    ("does", "helps"),
    [
        ("raise ValueError('one block')", True),
        ("raise SystemExit(3)", False),
        ("raise KeyboardInterrupt", False),
        ("return None", False),
        ("os._exit(3)", False),
    ],
)
def test_other_maps_are_no_remedy_for_what_is_no_exception(does, helps):
    class Does(torch.nn.Module):
        def forward(self, x):
            exec(f"def does():\n    {does}", names := {"os": os})
            return names["does"]()

    (verdict,) = check_module(lambda x: Does(), on_fail=None, timeout=30)
    assert verdict.verdict == ERROR
    assert ("say maps={...}" in verdict.message) == helps


def test_a_lazy_module_is_refused_with_a_remedy_that_works():
    class Lazy(torch.nn.Module):
        def __init__(self, x):
            super().__init__()
            self.layers = torch.nn.ModuleList(torch.nn.LazyLinear(2, dtype=x.dtype) for _ in x)

        def forward(self, x):
            return tmref.nn.ModuleMap(x.keys, list(self.layers))(x)

    with pytest.raises(
        UnexpectedVerdicts, match=r"lazy parameters, .*: def build\(x\): module = \.\.\.; module"
    ):
        check_module(Lazy)

    def build(x):
        module = Lazy(x)
        module(x)
        return module

    assert PASS in {v.verdict for v in check_module(build, effort=0.02)}


@pytest.mark.parametrize("effort", [0, -1, float("nan"), float("inf")])
def test_an_effort_has_to_be_a_number_above_0(effort):
    for check in (
        lambda: check_module(linear, effort=effort),
        lambda: check_implementation("reference", effort=effort),
        lambda: parametrize_with_laws("reference", effort=effort),
        lambda: parametrize_module_with_laws(linear, effort=effort),
    ):
        with pytest.raises(ValueError, match=f"^effort must be a number above 0, got {effort}$"):
            check()


def test_a_twin_that_can_not_be_called_is_one_failure_with_its_own_remedy():
    words = r"the twin can't be called: RuntimeError: .*\ntwin\(key, block\) makes a torch module"
    with pytest.raises(UnexpectedVerdicts, match=words) as error:
        check_module(lambda x: tmref.nn.Tanh(x.keys), twin=lambda *_: torch.nn.Unflatten(1, (7,)))
    assert len(error.value.verdicts) == 1
    assert "implementation=" not in str(error.value)


def test_a_module_that_returns_fewer_blocks_is_a_failure_not_a_crash():
    class First(torch.nn.Module):
        def forward(self, x):
            return tmref.TensorMap(tmref.Labels(x.keys.names, x.keys.values[:1]), [x.block(0)])

    with pytest.raises(AssertionError, match=r"keys_survive_in_order \(<lambda>\): fail"):
        check_module(lambda x: First(), traits=["keeps_keys"])


def test_a_sample_that_is_lost_is_shown_by_name_and_by_a_script_that_ends_with_it():
    class Drops(torch.nn.Module):
        def forward(self, x):
            blocks = []
            for b in x:
                samples = tmref.Labels(b.samples.names, b.samples.values[:2])
                blocks.append(tmref.TensorBlock(b.values[:2], samples, b.components, b.properties))
            return tmref.TensorMap(x.keys, blocks)

    traits = ["keeps_keys", "keeps_samples"]
    verdicts = check_module(lambda x: Drops(), traits=traits, on_fail=None, effort=0.1)
    (lost,) = (v for v in verdicts if v.law == "samples_survive")
    assert lost.message.startswith("y.block(0).samples are ")
    namespace = {}
    *lines, last = lost.reproducer.strip().splitlines()
    exec("\n".join(lines), namespace)
    assert last.startswith("assert (y.block(0).samples.names, y.block(0).samples.values.tolist()) == ")
    with pytest.raises(AssertionError):
        exec(last, namespace)


def test_the_script_of_a_module_of_another_dtype_fails_as_the_check_did():
    """Parameters are set in the dtype that the module has: the script mends nothing."""

    def build(x):
        return tmref.nn.ModuleMap(x.keys, [torch.nn.Linear(len(b.properties), 2) for b in x])

    found = check_module(build, maps={"dtypes": st.just(torch.float64)}, on_fail=None, effort=0.1)
    (wrong,) = (v for v in found if not v.expected)
    assert "must have the same dtype" in wrong.message
    with pytest.raises(RuntimeError, match="must have the same dtype"):
        exec(wrong.reproducer, {})


def test_a_module_of_another_librarys_types_is_one_failure_that_names_the_option(mts):
    def of_metatensor(x):
        return mts.learn.nn.Tanh(x.keys)

    with pytest.raises(UnexpectedVerdicts, match=r"a map of reference's types: .* implementation=") as e:
        check_module(of_metatensor)
    assert len(e.value.unexpected) == 1


def test_maps_can_be_restricted():
    def not_empty(x):
        assert all(len(block) for block in x)
        return tmref.nn.ReLU(x.keys)

    check_module(not_empty, traits=["keeps_keys"], maps={"min_samples": 1}, effort=0.1)
    with pytest.raises(AssertionError, match="can't be made"):
        check_module(not_empty, traits=["keeps_keys"], maps={"min_samples": 0})


def test_a_trait_whose_laws_need_others_names_them():
    words = (
        "the trait per_sample of linear can't be tested: its laws need other traits, too: keeps_keys, "
        "keeps_samples; leave the trait out, or say what is missing"
    )
    for declare in (check_module, parametrize_module_with_laws):
        with pytest.raises(ValueError, match=re.escape(words)):
            declare(linear, traits=["per_sample"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"traits": ["invariant"], "maps": {"spherical": False}}, "about maps that are spherical"),
        ({"traits": ["invariant"], "maps": {"component_names": st.just(())}}, "no map can be drawn"),
        ({"traits": ["matches_labels"]}, "its laws need further inputs"),
        ({"traits": ["per_block", "keeps_keys"], "maps": {"max_blocks": 1}}, "at least 2 blocks"),
    ],
)
def test_a_trait_that_no_map_can_test_is_refused(options, words):
    with pytest.raises(ValueError, match=rf"the trait .* can't be tested: .*{words}"):
        check_module(linear, **options)


def test_a_law_that_is_expected_to_fail_must_be_about_the_module_in_all_ways_to_check_it():
    expected = {"samples_survive": "they don't"}
    with pytest.raises(ValueError, match="samples_survive needs traits that are not declared"):
        parametrize_module_with_laws(linear, traits=["keeps_keys"], expected_failed_laws=expected)


def test_where_nothing_is_declared_and_nothing_needs_no_trait_what_holds_is_printed_all_the_same(capsys):
    def norms(x):
        blocks = []
        for b in x:
            if b.has_any_gradient():
                raise ValueError("no gradients, please")
            labels = b.samples, [], b.properties
            blocks.append(tmref.TensorBlock(b.values.square().sum(1), *labels))
        return tmref.TensorMap(x.keys, blocks)

    check_function(norms, maps={"spherical": True, "max_gradients": 0}, effort=0.05)
    (held, *_) = capsys.readouterr().out.splitlines()
    assert {"keeps_keys", "keeps_samples", "invariant"} <= set(held.split(": ")[2].split(", "))


def test_what_no_law_could_be_tried_on_is_a_failure(only):
    only("values_are_those_of_plain_torch")
    with pytest.raises(AssertionError, match=r"every law .*: untested: there is no twin"):
        check_module(linear, effort=0.05)


def test_laws_that_have_no_maps_are_named(capsys, only):
    only("an_unknown_key_never_gets_the_module_of_another", "maps_on_meta_are_refused_or_stay_there")
    keys = st.just(tmref.Labels("center_type", torch.tensor([[1], [8]])))
    check_module(linear, traits=["keyed", "keeps_keys"], maps={"keys": keys}, effort=0.1)
    said = capsys.readouterr().out
    assert "linear: not tried, for want of maps:\n" in said
    law = "    an_unknown_key_never_gets_the_module_of_another"
    assert f"{law}: it takes no maps with other keys" in said


def test_a_key_that_is_not_known_is_drawn_from_the_keys_that_are_taken(only):
    only("an_unknown_key_never_gets_the_module_of_another")

    class Falls(torch.nn.Module):
        """Unknown types get the module of the first one."""

        def __init__(self, x):
            super().__init__()
            self.module, self.keys = linear(x), x.keys

        def forward(self, x):
            at = [max(0, self.keys.position(key) or 0) for key in x.keys]
            keys = tmref.Labels(self.keys.names, self.keys.values[at])
            outputs = [
                self.module(
                    tmref.TensorMap(tmref.Labels(keys.names, keys.values[i : i + 1]), [b])
                ).block(0)
                for i, b in enumerate(
                    tmref.TensorBlock(b.values, b.samples, b.components, b.properties) for b in x
                )
            ]
            return tmref.TensorMap(x.keys, outputs)

    options = {"keys": labels_of(dimensions={"center_type": (1, 9)}), "one_width": True}
    with pytest.raises(AssertionError, match="an_unknown_key_never_gets_the_module_of_another"):
        check_module(Falls, traits=["keyed", "keeps_keys"], maps=options, effort=0.3)


def wrong_blocks_of_one_map_among_others(x):
    return {"first": x, "second": [tmref.TensorMap(x.keys, list(reversed(list(x))))]}


def test_blocks_are_found_by_their_keys_in_all_maps_that_come_back(only):
    only("blocks_are_found_by_their_keys")
    options = {"traits": ["deterministic"], "maps": {"one_width": True}, "effort": 0.5}
    with pytest.raises(AssertionError, match=r"blocks_are_found_by_their_keys .*\['second'\]\[0\]"):
        check_function(wrong_blocks_of_one_map_among_others, **options)


def test_gradients_are_left_out_of_no_map_that_comes_back(only):
    only("explicit_gradients_are_not_left_out")

    def two(x):
        without = [tmref.TensorBlock(b.values, b.samples, b.components, b.properties) for b in x]
        return {"kept": x, "lost": tmref.TensorMap(x.keys, without)}

    with pytest.raises(AssertionError, match=r"gradients\[\d\] is \[\], expected \['positions'"):
        check_function(two, traits=["deterministic"], effort=0.5)


def test_what_does_not_depend_on_the_map_has_no_gradients_to_leave_out(only):
    only("explicit_gradients_are_not_left_out", "the_same_input_gives_the_same_output")

    def constant(x, number):
        labels = tmref.Labels.single()
        return tmref.TensorMap(
            labels, [tmref.TensorBlock(torch.full((1, 1), number), labels, [], labels)]
        )

    given = {"number": st.just(2.0)}
    verdicts = check_function(constant, traits=["deterministic"], given=given, effort=0.3)
    assert {v.law: v.message for v in verdicts}["explicit_gradients_are_not_left_out"] == (
        "its output is the same for other values"
    )


def test_an_unknown_trait_is_refused_and_those_there_are_named():
    with pytest.raises(ValueError, match=r"there is no trait 'lineal'; did you mean 'linear'"):
        check_module(linear, traits=["lineal"])


def test_all_traits_that_hold_may_be_declared_but_keyed_needs_properties():
    traits = every_trait_that_holds()
    verdicts = check_module(linear, twin=linear_twin, traits=traits, effort=0.05)
    untested = {v.law: v.message for v in verdicts if v.verdict == UNTESTED}
    assert untested["properties_are_those_asked_for"] == (
        "nobody says which properties the output must have"
    )
    assert untested["integers_of_keys_mean_nothing"] == "nobody says which arguments the module has"
    assert {v.verdict for v in verdicts} == {PASS, UNTESTED}


# --- laws as tests


def test_a_module_as_tests_of_a_suite_of_ones_own(pytester):
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    pytester.makepyfile(
        """
        import tmref
        from tmref.laws import parametrize_module_with_laws

        @parametrize_module_with_laws(
            lambda x: tmref.nn.ReLU(x.keys, in_place=True),
            traits=["keeps_keys", "pure"],
            expected_failed_laws={"parameters_stay": "for a reason"},
            effort=0.1,
        )
        def test_relu(check):
            assert check().law
        """
    )
    result = pytester.runpytest_inprocess("-k", "stay or it_can_be or keys_survive", "-n0", "-rA")
    for name in ("it_can_be_made_and_called", "keys_survive_in_order", "explicit_gradients_stay"):
        result.stdout.fnmatch_lines([f"PASSED *::test_relu?{name}?"])
    for name in ("the_input_stays", "parameters_stay"):
        result.stdout.fnmatch_lines([f"FAILED *::test_relu?{name}?*"])


def test_of_a_module_that_can_not_be_made_every_test_says_so_in_a_line():
    def broken(x):
        raise RuntimeError("not today")

    mark = parametrize_module_with_laws(broken, traits=["pure"]).mark
    first, second, *_ = mark.args[1]
    with pytest.raises(UnexpectedVerdicts, match="the module can't be made: RuntimeError: not today"):
        first()
    words = "it can't be tried: the module can't be made: RuntimeError: not today$"
    with pytest.raises(UnexpectedVerdicts, match=words):
        second()


# --- errors of use


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"maps": [1]}, "maps must be a dictionary, got [1]"),
        ({"given": [1]}, "given must be a dictionary, got [1]"),
        ({"traits": None}, "traits must be a list of names, got None"),
        ({"implementation": None}, "implementation must be a name or an Implementation, got None"),
        ({"seed": "a"}, "seed must be an int, got 'a'"),
        (
            {"expected_failed_laws": {"the_input_stays": None}},
            "expected_failed_laws['the_input_stays'] must be the reason in words, got None",
        ),
    ],
)
def test_options_of_other_types_are_refused_in_words(options, words):
    with pytest.raises(TypeError, match=f"^{re.escape(words)}$"):
        check_module(linear, **options)


class Named(str, enum.Enum):
    """Names that are more than texts."""

    ONE = "one"


@pytest.mark.parametrize("name", [np.str_("one"), Named.ONE])
def test_a_name_that_is_more_than_a_text_is_taken_as_that_text(name):
    row = tmref.laws.row_of_module(linear, name=name)
    assert (type(row.name), row.name) == (str, "one")


def test_what_makes_no_module_is_refused_in_words():
    with pytest.raises(TypeError, match=r"^name must be a text, got 3$"):
        tmref.laws.row_of_module(linear, name=3)
    with pytest.raises(TypeError, match=r"^what is judged is made, or called, by a function, got 3$"):
        check_module(3)
    with pytest.raises(TypeError, match=r"^build must make the module for a map, got a ReLU; say: lam"):
        check_module(torch.nn.ReLU())


def test_what_can_not_be_read_is_no_refusal():
    class Unreadable(Reference):
        def decode(self, tensor):
            raise ValueError("there is no such thing")

    verdicts = check_module(linear, implementation=Unreadable(), on_fail=None)
    words = "what 'y = module(x)' gives can't be read: ValueError: there is no such thing"
    assert [(v.verdict, v.message.splitlines()[0]) for v in verdicts] == [(ERROR, words)]
    assert verdicts[0].reproducer.endswith(f"\n{SHOWS_NOTHING}\n")


def test_a_class_under_two_names_is_one(mts, only):
    only("keys_are_matched_by_the_names_of_their_dimensions")
    from metatensor.torch.learn.nn import Linear

    def build(x):
        sizes = [len(block.properties) for block in x]
        return Linear(x.keys, sizes, 2, dtype=x.block(0).values.dtype)

    name = "keys_are_matched_by_the_names_of_their_dimensions"
    options = {"traits": ["keeps_keys", "keyed"], "implementation": "metatensor-torch", "effort": 0.1}
    options["twin"] = linear_twin
    found = {v.law: v for v in check_module(build, on_fail=None, **options)}[name]
    assert found.known.startswith("keys are looked up by their values alone")


def test_a_keyed_module_is_tried_without_a_twin():
    class OneWeight(torch.nn.Module):
        def __init__(self, x):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones((), dtype=x.dtype))

        def forward(self, x):
            if any(block.has_any_gradient() for block in x):
                raise ValueError("no explicit gradients, please")
            blocks = [
                tmref.TensorBlock(b.values * self.weight, b.samples, b.components, b.properties)
                for b in x
            ]
            return tmref.TensorMap(x.keys, blocks)

    found = check_module(OneWeight, traits=["keeps_keys", "keyed"], on_fail=None, effort=0.2)
    failed = {v.law for v in found if v.verdict == FAIL}
    assert "an_unknown_key_never_gets_the_module_of_another" in failed


def test_what_is_promised_is_tried_of_a_module_without_parameters():
    class NoEmpty(torch.nn.Module):
        def forward(self, x):
            for block in x:
                block.values[0]
            return x

    check_module(lambda x: NoEmpty(), effort=0.1)
    with pytest.raises(UnexpectedVerdicts, match="can't be called: IndexError"):
        check_module(lambda x: NoEmpty(), maps={"min_samples": 0}, effort=0.1)
