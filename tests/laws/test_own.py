"""check_module, check_function and parametrize_module_with_laws, as other test-suites use them."""

import re
from contextlib import nullcontext
from types import MappingProxyType, SimpleNamespace

import pytest
import torch
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

import tmref
from tmref.catalog import ROWS
from tmref.implementations import Known, load
from tmref.implementations.reference import Reference
from tmref.laws import (
    LAWS,
    UnexpectedVerdicts,
    aggregates,
    check_function,
    check_implementation,
    check_module,
    own,
    parametrize_module_with_laws,
    parametrize_with_laws,
    row_of_function,
    row_of_module,
)
from tmref.laws.checks import cases
from tmref.laws.premises import WRITTEN
from tmref.laws.subject import SLOW
from tmref.strategies import like, systems_and_atoms, tensor_maps
from tmref.verdicts import ERROR, FAIL, PASS, UNTESTED

ALL_KEPT = ["keeps_keys", "keeps_samples", "keeps_components"]


def linear(x):
    widths = [len(block.properties) for block in x]
    return tmref.nn.Linear(x.keys, widths, 2, dtype=x.dtype)


def linear_twin(key, block):
    return torch.nn.Linear(len(block.properties), 2, dtype=block.dtype)


def every_trait_that_holds():
    return [*ALL_KEPT, "pure", "per_block", "per_sample", "keyed", "linear", "deterministic", "seeded"]


def test_a_module_with_its_twin_and_traits_passes_and_names_what_is_not_declared(capsys):
    verdicts = check_module(linear, twin=linear_twin, traits=["linear", *ALL_KEPT], effort=0.1)
    laws = {v.law: v for v in verdicts}
    assert laws["linear_up_to_its_bias"].verdict == PASS
    assert laws["derivatives_are_those_of_plain_torch"].examples == 10
    assert "every_value_stands_for_itself" not in laws
    held, *broken = capsys.readouterr().out.splitlines()
    expected = "label_free, pure, per_block, per_sample, keyed, seeded"
    assert held == f"linear: held but not declared: {expected}"
    assert broken[0] == "linear: did not hold:"
    assert "    pointwise, by every_value_stands_for_itself" in broken


def test_where_nothing_is_declared_a_broken_law_is_blamed_on_the_trait_that_it_is_about(capsys):
    check_module(linear, twin=linear_twin, effort=0.05)
    held, *broken = capsys.readouterr().out.splitlines()
    assert {"deterministic", "linear", "per_block", "per_sample"} <= set(held.split(": ")[2].split(", "))
    assert "    pointwise, by every_value_stands_for_itself" in broken


def test_a_module_that_changes_its_input_passes_where_it_does_not_promise_otherwise(capsys):
    def in_place(x):
        return tmref.nn.ReLU(x.keys, in_place=True)

    laws = {v.law for v in check_module(in_place, traits=["keeps_keys"], effort=0.05)}
    assert "the_input_stays" not in laws
    held, title, *broken = capsys.readouterr().out.splitlines()
    assert "pure" not in held
    assert "pointwise" in held
    assert title == "in_place: did not hold:"
    assert any(line.startswith("    pure, by ") and "the_input_stays" in line for line in broken)
    with pytest.raises(AssertionError, match=r"the_input_stays \(in_place\): fail"):
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
    assert text.count("TensorBlock(") == 5  # one block for build, and one in each of the four calls


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
    options = {"twin": twin, "traits": traits, "implementation": name, "effort": 0.05}
    verdicts = {v.law: v for v in check_module(outer, **options)}
    chain_rule = verdicts["explicit_gradients_are_refused_or_right_by_the_chain_rule"]
    assert chain_rule.known.startswith("ModuleMap applies the module itself to explicit gradients")
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


def test_a_part_that_is_right_excuses_no_wrong_gradients():
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

    check_module(counting, implementation=Faulty(["tanh"], lambda recipe, x: True), effort=0.1)
    assert "the_input_stays" not in capsys.readouterr().out
    check_module(counting, effort=0.1)
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
        check_module(lambda x: First(), traits=["keeps_keys", "per_sample"])


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
    with pytest.raises(AssertionError, match="need other traits, too: keeps_keys, keeps_samples"):
        check_module(linear, traits=["per_sample"], effort=0.02)


def test_an_unknown_trait_is_refused_and_those_there_are_named():
    with pytest.raises(ValueError, match=r"there is no trait 'lineal'; there are keeps_keys, .*seeded"):
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


# --- what is called in another way


class Scaler(torch.nn.Module):
    """Two maps and more are scaled: values times a buffer and the number of every map's system."""

    def __init__(self, x):
        super().__init__()
        self.register_buffer("scale", torch.tensor(2.0, dtype=torch.float64))

    def forward(self, factor, tensors):
        return {name: self.scaled(factor, x) for name, x in tensors.items()}

    def scaled(self, factor, x):
        if any(b.has_any_gradient() for b in x):
            raise ValueError("no explicit gradients, please")
        blocks = [
            tmref.TensorBlock(
                b.values * self.scale.to(b.dtype) * factor, b.samples, b.components, b.properties
            )
            for b in x
        ]
        return tmref.TensorMap(x.keys, blocks)


CALLED = {
    "call": lambda module, x, factor: module(factor, {"t": x})["t"],
    "given": {"factor": st.sampled_from([1, 2])},
}
SCALES = [*ALL_KEPT, "keeps_properties", "pure", "per_block", "per_sample", "linear", "pointwise"]


def test_a_module_may_take_more_and_give_more_than_a_map():
    verdicts = {v.law: v for v in check_module(Scaler, traits=SCALES, effort=0.05, **CALLED)}
    assert {v.verdict for v in verdicts.values()} == {PASS, UNTESTED}
    for name in ("samples_survive", "linear_up_to_its_bias", "a_copy_is_the_same_function"):
        assert verdicts[name].verdict == PASS
    assert verdicts["a_state_dict_has_the_parameters_and_buffers"].verdict == PASS


def test_a_module_that_is_called_in_another_way_is_shown_by_a_script_that_runs_alone():
    class InPlace(Scaler):
        def scaled(self, factor, x):
            for block in x:
                block.values.mul_(factor + 1)
            return x

    verdicts = check_module(InPlace, traits=["pure"], effort=0.05, on_fail=None, **CALLED)
    script = next(v.reproducer for v in verdicts if v.law == "the_input_stays")
    assert "factor = 1\nmodule = Called(build(x), factor=factor)\n" in script
    assert "call = lambda module, x, factor: module(factor, {'t': x})['t']" in script
    with pytest.raises(AssertionError):
        exec(script, {"__name__": "script"})
    exec(script.replace("block.values.mul_(factor + 1)", "pass"), {"__name__": "script"})


@pytest.mark.parametrize("wrong", [False, True])
def test_what_it_gives_may_be_a_dictionary_of_anything(wrong):
    class Many(torch.nn.Module):
        calls = 0

        def forward(self, x):
            self.calls += wrong
            return {
                "keys": x.keys,
                "maps": [x, (x,)],
                "sum": sum(float(b.values.sum()) for b in x) + self.calls,
                "none": None,
            }

    traits = ["deterministic", "pure"]
    verdicts = {
        v.law: v for v in check_module(lambda x: Many(), traits=traits, on_fail=None, effort=0.1)
    }
    expected = FAIL if wrong else PASS
    assert verdicts["the_same_input_gives_the_same_output"].verdict == expected
    assert {v.verdict for v in verdicts.values()} == {PASS, UNTESTED} | ({FAIL} if wrong else set())


def test_what_is_made_for_the_labels_of_a_map_is_given_with_no_other():
    class Weighted(torch.nn.Module):
        def forward(self, x, weights):
            blocks = []
            for block, weight in zip(x, weights, strict=True):
                if block.has_any_gradient():
                    raise ValueError("no explicit gradients, please")
                values = block.values * weight.reshape(-1, *[1] * (block.values.dim() - 1))
                labels = block.samples, block.components, block.properties
                blocks.append(tmref.TensorBlock(values, *labels))
            return tmref.TensorMap(x.keys, blocks)

    def weights(x):
        return st.just([torch.arange(len(block)).to(x.dtype) for block in x])

    options = {"traits": [*SCALES[:-1], "label_free"], "given": {"weights": weights}, "effort": 0.1}
    verdicts = {v.law: v for v in check_module(lambda x: Weighted(), **options)}
    assert {v.verdict for v in verdicts.values()} == {PASS, UNTESTED}
    assert verdicts["blocks_do_not_influence_each_other"].verdict == PASS
    names = verdicts["names_of_samples_components_and_properties_mean_nothing"]
    assert (names.verdict, names.expected) == (UNTESTED, True)
    assert "of other labels than those its further inputs are made for" in names.message


class Counter:
    """An object of another library, that is changed by whoever is given it."""

    def __init__(self, number):
        self.number = number


def test_further_inputs_may_be_objects_of_other_libraries(tmp_path):
    class Adds(torch.nn.Module):
        def forward(self, x, counter):
            counter.number += 1
            blocks = [
                tmref.TensorBlock(b.values + counter.number, b.samples, b.components, b.properties)
                for b in x
            ]
            return tmref.TensorMap(x.keys, blocks)

    given = {"counter": st.builds(Counter, st.integers(1, 3))}
    options = {"traits": ["deterministic"], "given": given, "on_fail": None, "effort": 0.1}
    verdicts = {v.law: v for v in check_module(lambda x: Adds(), **options)}
    broken = verdicts["the_same_input_gives_the_same_output"]
    assert broken.verdict == FAIL
    assert "\ncounter = pickle.loads(b" in broken.reproducer
    with pytest.raises(AssertionError):
        exec(broken.reproducer, {"__name__": "script"})


def squared_error(x, target):
    return sum(((b.values - t.values) ** 2).sum() for b, t in zip(x, target, strict=True))


def test_a_function_is_judged_by_what_is_about_no_state():
    given = {"target": like}
    verdicts = check_function(squared_error, traits=["pure", "deterministic"], given=given, effort=0.1)
    laws = {v.law: v.verdict for v in verdicts}
    assert set(laws.values()) == {PASS, UNTESTED}
    assert laws["the_same_in_several_threads"] == PASS
    assert not {name for name in laws if "state_dict" in name or "copy" in name or "module" in name} - {
        law.name for law in LAWS if WRITTEN in law.needs
    }


def test_a_function_with_a_defect_is_shown_by_a_script_that_calls_it():
    def doubled(x):
        for block in x:
            block.values.mul_(2)
        return x

    verdicts = check_function(doubled, traits=["pure"], on_fail=None, effort=0.1)
    script = next(v.reproducer for v in verdicts if v.law == "the_input_stays")
    assert "return function(x, **self.given)" in script
    with pytest.raises(AssertionError):
        exec(script, {"__name__": "script"})


def test_a_function_may_have_a_twin():
    def negative(x):
        blocks = [
            tmref.TensorBlock(-b.values, b.samples, b.components, b.properties)
            for b in x
            if not b.has_any_gradient()
        ]
        return tmref.TensorMap(x.keys, blocks)

    class Negative(torch.nn.Module):
        def forward(self, x):
            return -x

    options = {"traits": ["linear", *ALL_KEPT], "effort": 0.1}
    verdicts = check_function(negative, twin=lambda key, block: Negative(), **options)
    assert {v.law: v.verdict for v in verdicts}["derivatives_are_those_of_plain_torch"] == PASS


def test_further_inputs_that_are_no_strategies_are_refused_with_the_remedy():
    words = r"given\['factor'\] must be a strategy, or a function of x that returns one, got 2; for one"
    with pytest.raises(InvalidArgument, match=words):
        check_module(Scaler, call=CALLED["call"], given={"factor": 2})


def test_parameters_may_stand_in_another_order():
    class BiasFirst(torch.nn.Module):
        def __init__(self, x):
            super().__init__()
            sizes = [len(block.properties) for block in x]
            self.biases = torch.nn.ParameterList([torch.zeros(2, dtype=x.dtype) for _ in sizes])
            self.weights = torch.nn.ParameterList([torch.zeros(2, n, dtype=x.dtype) for n in sizes])
            self.layers = tmref.nn.ModuleMap(x.keys, [torch.nn.Identity() for _ in x])

        def forward(self, x):
            blocks = [
                tmref.TensorBlock(
                    torch.nn.functional.linear(b.values, weight, bias),
                    b.samples,
                    b.components,
                    tmref.Labels.range("_", 2),
                )
                for b, weight, bias in zip(x, self.weights, self.biases, strict=True)
            ]
            return tmref.TensorMap(x.keys, blocks)

    def key_by_key(module):
        return [p for pair in zip(module.weights, module.biases, strict=True) for p in pair]

    name = "derivatives_are_those_of_plain_torch"
    options = {"twin": linear_twin, "traits": ["keeps_keys"], "effort": 0.1, "on_fail": None}
    options["maps"] = {"max_gradients": 0}
    found = {v.law: v for v in check_module(BiasFirst, parameters=key_by_key, **options)}
    assert found[name].verdict == PASS
    (failed,) = check_module(BiasFirst, **options)
    assert "the module has parameters of the shapes" in failed.message


@pytest.mark.parametrize("seconds", [0, 2 * SLOW])
def test_what_is_slow_to_build_is_built_once_for_equal_maps(seconds, monkeypatch):
    built = []

    def build(x):
        now[0] += seconds
        built.append(x)
        return linear(x)

    now = [0.0]
    monkeypatch.setattr("tmref.laws.subject.time", SimpleNamespace(perf_counter=lambda: now[0]))
    keys = st.just(tmref.Labels.range("key", 1))
    options = {"maps": {"keys": keys, "max_properties": 1}, "traits": ["keeps_keys"], "effort": 0.1}
    verdicts = check_module(build, **options)
    assert {v.verdict for v in verdicts} == {PASS, UNTESTED}
    of_two_dtypes_and_sizes = 8  # and with labels of properties
    assert (len(built) < 40 * of_two_dtypes_and_sizes) == bool(seconds)


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


# --- rows of an implementation


class WithRows(Reference):
    """An adapter whose rows are its own modules and functions."""

    name = "with-rows"
    rows = (
        row_of_module(Scaler, name="scaler", traits=SCALES, **CALLED),
        row_of_function(squared_error, traits=["pure", "deterministic"], given={"target": like}),
    )


def test_an_implementation_has_rows_of_its_own(monkeypatch):
    monkeypatch.setattr("tmref.laws.checks.DATA", ())
    verdicts = check_implementation(WithRows(), effort=0.05)
    assert {v.row for v in verdicts} == {"-", "scaler", "squared_error"}
    found = {(v.row, v.law): v.verdict for v in verdicts}
    assert found["scaler", "linear_up_to_its_bias"] == PASS
    assert found["squared_error", "the_input_stays"] == PASS
    assert ("squared_error", "a_copy_is_the_same_function") not in found


def test_a_failure_may_be_known_of_a_row_of_ones_own(monkeypatch):
    class InPlace(Scaler):
        def scaled(self, factor, x):
            for block in x:
                block.values.mul_(2)
            return x

    row = row_of_module(InPlace, name="in_place", traits=["pure"], **CALLED)

    class WithKnown(WithRows):
        rows = (row,)
        known = (
            Known(
                law="the_input_stays",
                rows=["in_place"],
                when=lambda recipe, x: any(block.values.any() for block in x),
                example=lambda name: row.example(ones, factor=1),
                reason="it works in place: to save memory",
            ),
        )

    ones = tmref.TensorMap(
        tmref.Labels.range("key", 1),
        [tmref.TensorBlock(torch.ones(1, 1), tmref.Labels.single(), [], tmref.Labels.single())],
    )
    monkeypatch.setattr("tmref.laws.checks.DATA", ())
    verdicts = check_implementation(WithKnown(), effort=0.1, on_fail=None)
    known = {v.law: v.known for v in verdicts if v.verdict == FAIL}
    assert known == {
        "the_input_stays": "it works in place: to save memory",
        "explicit_gradients_stay": None,
    }


def test_an_implementation_narrows_the_maps_of_all_its_rows(monkeypatch):
    class Narrow(Reference):
        name = "narrow"
        rows = tuple(row for row in ROWS if row.name in ("tanh", "equivariant_tanh"))
        inputs = MappingProxyType({"min_samples": 1, "max_blocks": 2})

        def encode(self, tensor):
            seen.append(tensor)
            return super().encode(tensor)

    seen = []
    monkeypatch.setattr("tmref.laws.checks.DATA", ())
    _, *found = cases(Narrow(), effort=0.05)
    assert {v.verdict for v in (case.check() for case in found if case.law.family == "metadata")} <= {
        PASS,
        UNTESTED,
    }
    seen.clear()
    next(c for c in found if c.law.name == "keys_survive_in_order").check()
    assert seen
    assert all(len(x) <= 2 and all(len(block) for block in x) for x in seen)


# --- what maps there are


ATOMS = tensor_maps(samples=systems_and_atoms(), same_samples=True, max_blocks=2)


class Watched(torch.nn.Module):
    """It keeps the names of samples, and the number of blocks, of all maps that it is given."""

    seen = []  # noqa: RUF012

    def forward(self, x):
        self.seen.append((len(x), x[0].samples.names if len(x) else ["system", "atom"]))
        if any(block.has_any_gradient() for block in x):
            raise ValueError("no explicit gradients, please")
        return x


@pytest.mark.parametrize("inputs", [ATOMS, ATOMS.map(lambda x: x)])
def test_maps_come_from_a_strategy(inputs):
    Watched.seen.clear()
    traits = ["keeps_keys", "deterministic", "per_block", "per_sample", "keeps_samples"]
    verdicts = check_module(lambda x: Watched(), inputs=inputs, traits=traits, effort=0.1)
    assert {v.verdict for v in verdicts} == {PASS, UNTESTED}
    assert {v.law for v in verdicts if v.verdict == PASS} >= {
        "samples_do_not_influence_each_other",
        "keys_survive_in_order",
    }
    assert ["system", "atom"] in [names for _, names in Watched.seen]
    assert max(number for number, _ in Watched.seen) in (1, 2)


def test_laws_narrow_the_options_and_filter_what_is_drawn(monkeypatch):
    name = "blocks_do_not_influence_each_other"
    monkeypatch.setattr(own, "LAWS", [law for law in LAWS if law.name == name])
    for inputs, verdict in (
        (tensor_maps(max_blocks=1), UNTESTED),
        (tensor_maps(min_blocks=2), PASS),
        (tensor_maps().map(lambda x: x), PASS),
        (tensor_maps(max_blocks=1).map(lambda x: x), UNTESTED),
    ):
        traits = ["keeps_keys", "per_block"]
        options = {"inputs": inputs, "traits": traits, "effort": 0.05, "on_fail": None}
        (found,) = check_module(lambda x: Watched(), **options)
        assert found.verdict == verdict


def test_what_laws_make_of_what_was_drawn_may_be_refused():
    class InOrder(Watched):
        def forward(self, x):
            for block in x:
                systems = block.samples.column("system").tolist()
                if systems != sorted(systems):
                    raise ValueError("systems must be in order")
            return super().forward(x)

    traits = ["keeps_keys", "keeps_samples", "per_block", "per_sample"]
    verdicts = check_module(lambda x: InOrder(), inputs=ATOMS, traits=traits, effort=0.3)
    assert {v.verdict for v in verdicts} == {PASS, UNTESTED}
    (said,) = {v.message for v in verdicts if v.law == "samples_do_not_influence_each_other"}
    assert said == "maps that were not drawn are refused: the module can't be called: ValueError: " + (
        "systems must be in order"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inputs": 3}, "inputs=3 must be a strategy; for one value: hypothesis.strategies.just(3)"),
        ({"inputs": st.just(3)}, "inputs must give tmref's TensorMaps, got a int"),
        (
            {"inputs": tensor_maps(), "maps": {}},
            "maps are options, and inputs a strategy, of the same: leave one out",
        ),
    ],
)
def test_inputs_that_give_no_maps_are_refused(options, words):
    with pytest.raises((InvalidArgument, UnexpectedVerdicts), match=re.escape(words)):
        check_module(linear, **options)


# --- traits that are said by names


def test_traits_of_dimensions_need_their_names():
    with pytest.raises(ValueError, match=r"the trait aggregates is of dimensions: tmref\.laws\.aggreg"):
        check_module(linear, traits=["aggregates"])
    with pytest.raises(
        TypeError, match=r"aggregates takes the names of dimensions of samples, got \(1,\)"
    ):
        aggregates(1)


def test_a_sum_over_atoms_is_an_aggregate_of_maps_with_atoms():
    def summed(x):
        return tmref.sum_over_samples(x, ["atom"])

    traits = ["keeps_keys", aggregates("atom")]
    found = {v.law: v.verdict for v in check_function(summed, traits=traits, effort=0.1)}
    assert set(found.values()) == {PASS, UNTESTED}
    for name in ("what_shares_the_rest_is_one_sample", "splitting_by_the_rest_commutes"):
        assert found[name] == PASS


def test_gradients_that_are_left_out_are_declared():
    def plain(x):
        return tmref.TensorMap(
            x.keys, [tmref.TensorBlock(b.values, b.samples, b.components, b.properties) for b in x]
        )

    traits = ["keeps_keys", "keeps_samples", "keeps_components", "per_block", "per_sample"]
    with pytest.raises(UnexpectedVerdicts, match="explicit_gradients_are_not_left_out") as error:
        check_function(plain, traits=traits, effort=0.1)
    assert {v.law for v in error.value.unexpected} >= {"explicit_gradients_are_not_left_out"}
    declared = check_function(plain, traits=[*traits, "leaves_out_gradients"], effort=0.1)
    assert {v.verdict for v in declared} == {PASS, UNTESTED}


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


def test_what_makes_no_module_is_refused_in_words():
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


def test_a_class_under_two_names_is_one(mts):
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
    class NoEmpty(Watched):
        def forward(self, x):
            for block in x:
                block.values[0]
            return super().forward(x)

    check_module(lambda x: NoEmpty(), effort=0.1)
    with pytest.raises(UnexpectedVerdicts, match="can't be called: IndexError"):
        check_module(lambda x: NoEmpty(), maps={"min_samples": 0}, effort=0.1)
