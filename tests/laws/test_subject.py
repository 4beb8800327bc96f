"""Modules and functions of one's own: how they are called and made, and which maps they are given."""

import re
from collections import namedtuple
from types import MappingProxyType

import metatensor.learn
import metatensor.torch.learn
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

import tmref
from tmref.catalog import ROWS
from tmref.implementations import Known
from tmref.implementations.reference import Reference
from tmref.laws import (
    LAWS,
    UnexpectedVerdicts,
    aggregates,
    check_function,
    check_implementation,
    check_module,
    own,
    row_of_function,
    row_of_module,
)
from tmref.laws.checks import cases
from tmref.laws.premises import WRITTEN
from tmref.laws.subject import SLOW
from tmref.strategies import like, make_strategies_namespace, systems_and_atoms, tensor_maps
from tmref.verdicts import FAIL, PASS, UNTESTED

ALL_KEPT = ["keeps_keys", "keeps_samples", "keeps_components"]


def linear(x):
    widths = [len(block.properties) for block in x]
    return tmref.nn.Linear(x.keys, widths, 2, dtype=x.dtype)


def linear_twin(key, block):
    return torch.nn.Linear(len(block.properties), 2, dtype=block.dtype)


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

    verdicts = check_module(InPlace, traits=["pure"], on_fail=None, **CALLED)
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
    assert {v.verdict for v in verdicts.values()} <= {PASS, UNTESTED}
    assert verdicts["blocks_do_not_influence_each_other"].verdict == PASS
    names = verdicts["names_of_samples_components_and_properties_mean_nothing"]
    assert (names.verdict, names.expected) == (UNTESTED, True)
    assert "of other labels than those its further inputs are made for" in names.message


class Counter:
    """An object of another library, that is changed by whoever is given it."""

    def __init__(self, number):
        self.number = number


def test_further_inputs_may_be_objects_of_other_libraries(tmp_path, only):
    only("the_same_input_gives_the_same_output")

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
    monkeypatch.setattr("tmref.laws.subject.perf_counter", lambda: now[0])
    keys = st.just(tmref.Labels.range("key", 1))
    options = {"maps": {"keys": keys, "max_properties": 1}, "traits": ["keeps_keys"]}
    verdicts = check_module(build, **options)
    assert {v.verdict for v in verdicts} <= {PASS, UNTESTED}
    of_two_dtypes_and_sizes = 8  # and with labels of properties
    assert (len(built) < 40 * of_two_dtypes_and_sizes) == bool(seconds)


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
    verdicts = check_implementation(WithKnown(), on_fail=None)
    known = {v.law: v.known for v in verdicts if v.verdict == FAIL}
    assert known == {
        "the_input_stays": "it works in place: to save memory",
        "explicit_gradients_stay": None,
        "what_is_no_number_stays": None,
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
    assert {v.verdict for v in verdicts} <= {PASS, UNTESTED}
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
        (tensor_maps(min_blocks=2), PASS),
        (tensor_maps().map(tmref.TensorMap.copy), PASS),
        (tensor_maps(max_blocks=1).map(tmref.TensorMap.copy), UNTESTED),
    ):
        traits = ["keeps_keys", "per_block"]
        options = {"inputs": inputs, "traits": traits, "effort": 0.05, "on_fail": None}
        found = check_module(lambda x: Watched(), **options)[0]
        assert found.verdict == verdict
    with pytest.raises(ValueError, match=r"per_block .* can't be tested: it is about at least 2 blocks"):
        check_module(
            lambda x: Watched(), inputs=tensor_maps(max_blocks=1), traits=["per_block", "keeps_keys"]
        )


def test_what_laws_make_of_what_was_drawn_may_be_refused(only):
    only("samples_do_not_influence_each_other", "blocks_and_samples_have_no_order")

    class InOrder(Watched):
        def forward(self, x):
            for block in x:
                systems = block.samples.column("system").tolist()
                if systems != sorted(systems):
                    raise ValueError("systems must be in order")
            return super().forward(x)

    traits = ["keeps_keys", "keeps_samples", "per_block", "per_sample"]
    verdicts = check_module(lambda x: InOrder(), inputs=ATOMS, traits=traits, effort=0.3)
    assert {v.verdict for v in verdicts} <= {PASS, UNTESTED}
    (said,) = {v.message for v in verdicts if v.law == "samples_do_not_influence_each_other"}
    refused = r"maps (that were not drawn|without samples) are refused"
    because = "the module can't be called: ValueError: systems must be in order"
    assert re.fullmatch(f"{refused}: {because}", said)


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


def test_a_sum_over_atoms_is_an_aggregate_of_maps_with_atoms(only):
    only("what_shares_the_rest_is_one_sample", "splitting_by_the_rest_commutes")

    def summed(x):
        return tmref.sum_over_samples(x, ["atom"])

    traits = ["keeps_keys", aggregates("atom")]
    found = {v.law: v.verdict for v in check_function(summed, traits=traits, effort=0.1)}
    assert set(found.values()) <= {PASS, UNTESTED}
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


# --- what is said of what can't be used


def nothing(x, **given):
    """What a loss of no meaning gives."""
    return torch.zeros(())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"self": like}, "given has the name 'self': it must be that of an argument of the call"),
        ({"module": like}, "given has the name 'module'"),
        ({1: like}, "given has the name 1"),
        ({"n": 3}, r"given\['n'\] must be a strategy, or a function of x that returns one, got 3"),
    ],
)
def test_further_inputs_that_are_none_are_refused(given, words):
    with pytest.raises(InvalidArgument, match=words):
        check_function(nothing, given=given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: like, r"that returns a strategy, and raised TypeError: .* takes 0 positional"),
        (lambda x: torch.ones(3), r"that returns a strategy, and gave a Tensor; for one value: .*just"),
        (st.nothing(), "no map that the law is about could be drawn: n gave none"),
    ],
)
def test_what_gives_no_further_input_is_said(given, words):
    with pytest.raises(AssertionError, match=words):
        check_function(nothing, given={"n": given}, effort=0.1)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"call": 3}, TypeError, "call must be a function, got 3"),
        ({"twin": 3}, TypeError, "twin must be a function, got 3"),
        ({"parameters": 3}, TypeError, "parameters must be a function, got 3"),
        ({"traits": [["keeps_keys"]]}, TypeError, r"got \['keeps_keys'\] in it"),
        ({"traits": [aggregates("atom"), aggregates("pair")]}, ValueError, "say all dimensions in one"),
        ({"call": lambda module, x: None}, AssertionError, "it returns nothing, where a map, labels"),
        ({"call": lambda module, x: "hello"}, AssertionError, "it returns a str, where a map, labels"),
        (
            {"parameters": lambda m: [1, 2]},
            AssertionError,
            "must give a list of parameters, got 1 in it",
        ),
        ({"parameters": lambda m: None}, AssertionError, "must give a list of parameters, got None"),
    ],
)
def test_options_of_a_call_that_are_none_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        check_module(linear, effort=0.1, **options)


def test_a_dimension_that_no_sample_has_is_named():
    with pytest.raises(AssertionError, match="samples have no dimension 'atoms'"):
        check_function(
            lambda x: x,
            traits=["keeps_keys", aggregates("atoms")],
            maps={"sample_names": st.just(("system", "atom"))},
            effort=0.05,
        )
    with pytest.raises(ValueError, match="aggregates takes each dimension once"):
        aggregates("atom", "atom")


# --- what is right, and was once said to be wrong


Pair = namedtuple("Pair", ["first", "second"])


@pytest.mark.parametrize(
    "given",
    [
        make_strategies_namespace("metatensor-torch").tensor_maps(),
        st.just(np.ones(3)),
        st.just([make_strategies_namespace("metatensor-torch")]),
        st.builds(Pair, st.integers(), like(tmref.TensorMap(tmref.Labels.range("key", 0), []))),
    ],
    ids=["map of theirs", "array", "object", "namedtuple"],
)
def test_further_inputs_of_any_kind_stay(given, only):
    only("further_inputs_stay")
    options = {"given": {"n": given}, "implementation": "metatensor-torch", "effort": 0.1}
    (verdict,) = check_function(lambda x, n: x, traits=["pure"], **options)
    assert (verdict.verdict, verdict.message) == (PASS, None)


def of_nested_targets(prediction, targets):
    (target,) = targets["energy"]
    error = torch.zeros((), dtype=torch.float64)
    for key, block in prediction.items():
        other = target.block(key)
        if block.samples != other.samples:
            raise ValueError("prediction and target have other labels")
        error = error + (block.values - other.values).square().sum()
    return error


def of_nested_targets_by_position(prediction, targets):
    (target,) = targets["energy"]
    return sum((a.values - b.values).square().sum() for a, b in zip(prediction, target, strict=True))


def test_maps_within_further_inputs_are_matched_by_their_labels(only):
    only(*(law.name for law in LAWS if "matches_labels" in law.traits))
    given = {"targets": lambda x: st.fixed_dictionaries({"energy": st.tuples(like(x))})}
    options = {"traits": ["matches_labels", "deterministic"], "given": given, "on_fail": None}
    verdicts = check_function(of_nested_targets, effort=0.5, **options)
    assert {v.verdict for v in verdicts} == {PASS}
    wrong = check_function(of_nested_targets_by_position, effort=0.5, **options)
    assert {v.law for v in wrong if v.verdict == FAIL} == {
        "samples_of_one_input_are_found_by_their_labels",
        "blocks_of_one_input_are_found_by_their_keys",
        "other_samples_in_one_input_are_refused",
    }


def mapped(x, change):
    blocks = []
    for b in x:
        if b.has_any_gradient():
            raise ValueError("no explicit gradients, please")
        labels = b.samples, b.components, b.properties
        blocks.append(tmref.TensorBlock(change(b.values), *labels))
    return tmref.TensorMap(x.keys, blocks)


def shifted(x):
    return mapped(x, lambda values: 0.8042 * values - 37758.13)


def shifted_and_bent(x):
    return mapped(x, lambda values: 0.8042 * values - 37758.13 + 0.01 * values**2)


def determinants(x):
    return tmref.TensorMap(
        x.keys,
        [
            tmref.TensorBlock(
                torch.linalg.det(torch.einsum("imp,imq->ipq", b.values, b.values)).reshape(-1, 1),
                b.samples,
                [],
                tmref.Labels.range("determinant", 1),
            )
            for b in x
        ],
    )


@pytest.mark.parametrize("seed", range(3))
def test_rounding_is_no_failure_where_terms_are_larger_than_what_they_sum_to(seed, only):
    only("linear_up_to_its_bias", "rotations_change_nothing", "turns_by_right_angles_change_nothing")
    options = {"seed": seed, "on_fail": None}
    (verdict,) = check_function(shifted, traits=["linear"], **options)
    assert verdict.verdict == PASS, verdict.message
    (verdict,) = check_function(shifted_and_bent, traits=["linear"], effort=3, **options)
    assert verdict.verdict == FAIL
    verdicts = check_function(
        determinants,
        traits=["invariant"],
        maps={"spherical": True, "max_gradients": 0},
        **options,
    )
    assert {v.verdict for v in verdicts} == {PASS}


class Normalised(torch.nn.Module):
    """A layer norm as it is written by hand: more exact than torch's where there is one feature."""

    def __init__(self, n, dtype):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(n, dtype=dtype))
        self.bias = torch.nn.Parameter(torch.zeros(n, dtype=dtype))

    def forward(self, values):
        centred = values - values.mean(-1, keepdim=True)
        deviation = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return centred / deviation * self.weight + self.bias


@pytest.mark.parametrize("seed", range(3))
def test_derivatives_that_are_more_exact_than_torchs_are_no_failure(seed, only):
    only("derivatives_are_those_of_plain_torch", "steps_of_an_optimizer_are_those_on_plain_torch")

    def build(x):
        layers = [Normalised(len(b.properties), b.dtype) for b in x]
        return tmref.nn.ModuleMap(x.keys, layers)

    def twin(key, block):
        return torch.nn.LayerNorm(len(block.properties), dtype=block.dtype)

    verdicts = check_module(build, twin=twin, traits=["keeps_keys"], seed=seed, on_fail=None)
    assert {v.law: v.message for v in verdicts if v.verdict != PASS} == {}


def test_a_sum_over_all_samples_may_name_its_one_sample_as_it_likes(only):
    only("what_shares_the_rest_is_one_sample", "splitting_by_the_rest_commutes", "groups_have_no_order")

    def total(x):
        return mapped_to(x, lambda values: values.sum(0, keepdim=True))

    def mapped_to(x, change):
        one = tmref.Labels.single()
        return tmref.TensorMap(
            x.keys, [tmref.TensorBlock(change(b.values), one, b.components, b.properties) for b in x]
        )

    maps = {"sample_names": st.just(("system", "atom"))}
    traits = ["keeps_keys", aggregates("system", "atom")]
    verdicts = check_function(total, traits=traits, maps=maps, effort=0.3)
    assert {v.verdict for v in verdicts} == {PASS, UNTESTED}


def test_a_module_of_torchscript_can_be_frozen(only):
    only("a_frozen_module_gives_the_same")
    (verdict,) = check_module(scripted, traits=["deterministic"], implementation="metatensor-torch")
    assert verdict.verdict == PASS, verdict.message


def scripted(x):
    return torch.jit.script(metatensor.torch.learn.nn.ReLU(x.keys))
