import functools
import math
import random
import re

import pytest
import torch
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

import tmref
from tmref import Labels, TensorBlock, TensorMap, implementations
from tmref import strategies as tm
from tmref.rotations import O3_NAMES
from tmref.strategies import (
    array_values,
    components,
    dimension_names,
    dtypes,
    keys,
    layouts,
    like,
    properties,
    samples,
    spherical_components,
    spherical_keys,
    tensor_blocks,
    tensor_maps,
    unit_bound,
)

SOME = settings(max_examples=50, database=None, deadline=None, derandomize=True)
SMALLEST, LARGEST = -(2**31), 2**31 - 1
BAD_BOUNDS = [0, -1, 128, True, 2.0]


def gradients(x):
    return [gradient for block in x for _, gradient in block.gradients()]


def shapes(x):
    return [tuple(block.shape) for block in x]


def extra_components(block, gradient):
    return len(gradient.components) - len(block.components)


def sample_rows(gradient):
    return gradient.samples.values[:, 0].tolist()


# --- what is drawn


@pytest.mark.parametrize(
    "predicate",
    [
        lambda x: len(x) == 0,
        lambda x: len(x) == 1,
        lambda x: len(x) == 4,
        lambda x: any(len(b.samples) == 0 for b in x),
        lambda x: any(len(b.samples) == 4 for b in x),
        lambda x: any(len(b.properties) == 0 for b in x),
        lambda x: any(len(b.properties) == 4 for b in x),
        lambda x: len(x) and not x.component_names,
        lambda x: len(x.component_names) == 1,
        lambda x: len(x.component_names) == 2,
        lambda x: any((b.samples.values < 0).any() for b in x),
        lambda x: (x.keys.values == SMALLEST).any(),
        lambda x: (x.keys.values == LARGEST).any(),
        lambda x: any((b.samples.values == SMALLEST).any() for b in x),
        lambda x: any((b.samples.values == LARGEST).any() for b in x),
        lambda x: any((b.properties.values == SMALLEST).any() for b in x),
        lambda x: any((b.properties.values == LARGEST).any() for b in x),
        lambda x: any((c.values == LARGEST).any() for b in x for c in b.components),
        lambda x: len(x) > 1 and len(x.keys.names) == 2,
        lambda x: len(x) > 1 and len(x.keys.names) == 3,
        lambda x: len(x) > 1 and x.keys.values.tolist() != sorted(x.keys.values.tolist()),
        lambda x: len({len(b.samples) for b in x}) > 1,
        lambda x: len({len(b.properties) for b in x}) > 1,
        lambda x: len({tuple(map(len, b.components)) for b in x}) > 1,
        lambda x: len(x) and x.dtype == torch.float32,
        lambda x: len(x) and x.dtype == torch.float64,
        lambda x: any((b.values == 3).any() for b in x),
        lambda x: any((b.values == -3).any() for b in x),
        lambda x: any((b.values.remainder(0.25) != 0).any() for b in x),
        lambda x: len(x) == 4 and len(set(shapes(x))) == 1 and x[0].values.numel() > 1,
        lambda x: len(x) == 4 and len(set(properties_of(x))) == 1 and len(set(shapes(x))) == 4,
        lambda x: any(len(b) > 1 and not b.values[0].any() and b.values[1:].all() for b in x),
    ],
    ids=[
        "no blocks",
        "one block",
        "four blocks",
        "no samples",
        "four samples",
        "no properties",
        "four properties",
        "no components",
        "one component",
        "two components",
        "negative",
        "smallest key",
        "largest key",
        "smallest sample",
        "largest sample",
        "smallest property",
        "largest property",
        "largest component",
        "keys of two dimensions",
        "keys of three dimensions",
        "unsorted keys",
        "different samples",
        "different properties",
        "different components",
        "float32",
        "float64",
        "largest value",
        "smallest value",
        "eighths",
        "one shape",
        "one width",
        "zeros before other samples",
    ],
)
def test_maps_reach(predicate, first):
    assert predicate(first(tensor_maps(), predicate, 1000))


def test_blocks_of_one_shape_and_of_one_width_are_no_rarity(drawn):
    maps = drawn(tensor_maps(min_blocks=3), 120)
    assert sum(len(set(shapes(x))) == 1 for x in maps) > 12
    assert sum(len(set(properties_of(x))) == 1 < len(set(shapes(x))) for x in maps) > 6
    assert sum(len(set(properties_of(x))) > 1 for x in maps) > 24
    one_shape = [x for x in maps if len(set(shapes(x))) == 1 and x[0].values.numel() > 1]
    # labels and values are each block's own
    assert any(len({(b.samples, b.properties) for b in x}) == len(x) for x in one_shape)
    assert any(not torch.equal(x[0].values, x[1].values) for x in one_shape)


def test_a_first_sample_of_zeros_is_no_rarity(drawn):
    strategy = tensor_maps(min_blocks=1, min_samples=2, min_properties=4)
    blocks = [block for x in drawn(strategy, 120) for block in x if block.values.any()]
    hollow = [block for block in blocks if not block.values[0].any()]
    assert 0.06 * len(blocks) < len(hollow) < 0.25 * len(blocks)


@pytest.mark.parametrize(
    "predicate",
    [
        lambda x: any(len(g) == 0 for g in gradients(x)) and any(len(b) for b in x),
        lambda x: any(len(g) == 3 for g in gradients(x)),
        lambda x: any(extra_components(b, g) == 0 for b in x for _, g in b.gradients()),
        lambda x: any(extra_components(b, g) == 1 for b in x for _, g in b.gradients()),
        lambda x: any(
            extra_components(b, g) == 2 and b.components and g.values.numel()
            for b in x
            for _, g in b.gradients()
        ),
        lambda x: any(len(set(sample_rows(g))) < len(g) for g in gradients(x)),
        lambda x: any(0 < len(set(sample_rows(g))) < len(b) for b in x for _, g in b.gradients()),
        lambda x: any(max(sample_rows(g), default=0) == 3 for g in gradients(x)),
        lambda x: any((g.samples.values == LARGEST).any() for g in gradients(x)),
        lambda x: len(x) > 1 and x[0].gradients_list() == ["positions"],
        lambda x: len(x) > 1 and x[0].gradients_list() == ["positions", "cell"],
        lambda x: len({len(g) for g in gradients(x)}) == 3,
        lambda x: gradients(x) and x.dtype == torch.float32,
        lambda x: any(bool((g.values != 0).any()) for g in gradients(x)),
    ],
    ids=[
        "no rows",
        "three rows",
        "no component more",
        "one component more",
        "two components more",
        "several rows for one sample",
        "no row for some sample",
        "a row for the last sample",
        "largest label",
        "one parameter",
        "two parameters",
        "different numbers of rows",
        "float32",
        "other values than zero",
    ],
)
def test_gradients_reach(predicate, first):
    assert predicate(first(tensor_maps(max_gradients=2), predicate, 2000))


def test_gradients_are_there_where_they_are_asked_for_and_only_there(drawn):
    assert all(not gradients(x) for x in drawn(tensor_maps(), 50))
    for x in drawn(tensor_maps(max_gradients=1), 50):
        assert all(block.gradients_list() == ["positions"] for block in x)


@pytest.mark.parametrize(
    "predicate",
    [
        lambda b: len(b.samples) == 0 and len(b.properties) > 0,
        lambda b: len(b.samples) > 0 and len(b.properties) == 0,
        lambda b: len(b.samples) > 2 and len(b.properties) > 2,
        lambda b: len(b.components) == 2 and len(b.samples) > 0 and bool(b.values.any()),
        lambda b: len(b.components) == 0 and bool(b.values.any()),
        lambda b: b.dtype == torch.float32 and bool(b.values.any()),
        lambda b: b.dtype == torch.float64 and bool(b.values.any()),
    ],
)
def test_blocks_reach(predicate, first):
    assert predicate(first(tensor_blocks(), predicate))


# --- spherical maps, and those of one width


def is_invariant(key):
    return (key["o3_lambda"], key["o3_sigma"]) == (0, 1)


def properties_of(x):
    """The number of properties of every block."""
    return [len(block.properties) for block in x]


@pytest.mark.parametrize(
    "predicate",
    [
        lambda x: len(x) == 0,
        lambda x: len(x) == 4,
        lambda x: {is_invariant(key) for key in x.keys} == {True, False},
        lambda x: len(x) and not any(map(is_invariant, x.keys)),
        lambda x: len(x) and all(map(is_invariant, x.keys)),
        lambda x: {tuple(key)[:2] for key in x.keys} >= {(0, 1), (0, -1)},
        lambda x: {0, 1, 2} < {key["o3_lambda"] for key in x.keys},
        lambda x: {key["o3_lambda"] for key in x.keys} >= {3, 4},
        lambda x: len(x) and len(x.keys.names) == 4,
        lambda x: any(key["o3_lambda"] == 2 and bool(b.values.any()) for key, b in x.items()),
        lambda x: len({len(b.samples) for b in x}) > 1,
        lambda x: any(len(b.samples) == 0 for b in x),
        lambda x: any(len(b.properties) == 0 for b in x),
        lambda x: len(set(properties_of(x))) > 1,
        lambda x: len(x) and x.dtype == torch.float32,
        lambda x: any(
            bool((b.values == 0).all(1).any()) and bool(b.values.any()) and b.shape[1] > 1 for b in x
        ),
    ],
    ids=[
        "no blocks",
        "four blocks",
        "invariant and covariant",
        "covariant only",
        "invariant only",
        "scalar and pseudoscalar",
        "several o3_lambda",
        "large o3_lambda",
        "further dimensions",
        "values of o3_lambda 2",
        "different samples",
        "no samples",
        "no properties",
        "different properties",
        "float32",
        "a norm of zero beside another",
    ],
)
def test_spherical_maps_reach(predicate, first):
    assert predicate(first(tensor_maps(spherical=True), predicate, 2000))


@SOME
@given(x=tensor_maps(spherical=True, max_gradients=1))
def test_spherical_maps_are_valid_and_have_one_component_of_their_own_size(checked, written, x):
    assert written(checked(x)) == written(x)
    for key, block in x.items():
        assert [component.names for component in block.components] == [["o3_mu"]]
        o3_lambda = key["o3_lambda"]
        expected = [[mu] for mu in range(-o3_lambda, o3_lambda + 1)]
        assert block.components[0].values.tolist() == expected
        for _, gradient in block.gradients():
            assert gradient.components[-1] == block.components[0]


def test_only_spherical_maps_are_spherical(drawn):
    for x in drawn(tensor_maps(), 100):
        assert "o3_sigma" not in x.keys.names


def test_spherical_maps_can_have_keys_of_ones_own(drawn):
    own = spherical_keys(min_size=6, max_size=6)
    for x in drawn(tensor_maps(keys=own, spherical=True), 20):
        assert [block.shape[1] for block in x] == [2 * key["o3_lambda"] + 1 for key in x.keys]
        assert len(x) == 6


@pytest.mark.parametrize("spherical", [True, False])
def test_maps_of_one_width_have_as_many_properties_everywhere(spherical, drawn):
    options = {"spherical": spherical, "min_blocks": 2}
    maps = drawn(tensor_maps(one_width=True, **options), 150)
    assert {len(set(properties_of(x))) for x in maps} == {1}
    assert {properties_of(x)[0] for x in maps} == {0, 1, 2, 3, 4}
    # labels are each block's own
    assert any(len({block.properties for block in x}) > 1 for x in maps)
    assert any(len(set(properties_of(x))) > 1 for x in drawn(tensor_maps(**options), 50))


def test_one_width_is_within_the_sizes_asked_for(drawn):
    maps = drawn(tensor_maps(one_width=True, min_blocks=2, min_properties=2, max_properties=3), 60)
    assert {n for x in maps for n in properties_of(x)} == {2, 3}
    assert {len(set(properties_of(x))) for x in maps} == {1}


@pytest.mark.parametrize("spherical", [True, False])
@pytest.mark.parametrize(("low", "high"), [(0, 0), (1, 1), (0, 2), (2, 5), (4, 4), (10, 10)])
def test_maps_have_the_number_of_blocks_asked_for(low, high, spherical, drawn):
    strategy = tensor_maps(min_blocks=low, max_blocks=high, spherical=spherical)
    assert {len(x) for x in drawn(strategy, 80)} == set(range(low, high + 1))


@pytest.mark.parametrize(
    ("predicate", "options", "expected"),
    [
        (lambda x: True, {}, []),
        (lambda x: True, {"min_blocks": 1}, [((0, 1), (0, 1, 0))]),
        (lambda x: True, {"min_blocks": 2}, [((0, 1), (0, 1, 0)), ((0, -1), (0, 1, 0))]),
        (lambda x: any(not is_invariant(key) for key in x.keys), {}, [((0, -1), (0, 1, 0))]),
        (lambda x: any(b.shape[1] == 5 for b in x), {}, [((2, 1), (0, 5, 0))]),
        (lambda x: any(bool(b.values.any()) for b in x), {}, [((0, 1), (1, 1, 1))]),
        (
            lambda x: any(bool(b.values.any()) for b in x),
            {"one_width": True, "min_blocks": 2},
            [((0, 1), (0, 1, 1)), ((0, -1), (1, 1, 1))],
        ),
    ],
)
def test_spherical_maps_shrink_to_few_small_invariant_blocks(predicate, options, expected, minimal):
    x = minimal(tensor_maps(spherical=True, **options), predicate)
    assert [(tuple(key), tuple(block.shape)) for key, block in x.items()] == expected
    assert x.keys.names == ["o3_lambda", "o3_sigma"]


def test_most_maps_are_not_zeros(drawn):
    maps = drawn(tensor_maps(keys=keys(min_size=1), min_samples=1, min_properties=1), 300)
    assert sum(not any(bool(block.values.any()) for block in x) for x in maps) <= 60
    blocks = [block for x in maps for block in x]
    assert sum(not bool(block.values.any()) for block in blocks) <= 0.2 * len(blocks)


# --- what is shrunk


@pytest.mark.parametrize(
    ("predicate", "options", "expected"),
    [
        (lambda x: True, {}, []),
        (lambda x: len(x) == 1, {}, [(0, 0)]),
        (lambda x: len(x) == 2, {}, [(0, 0), (0, 0)]),
        (lambda x: any(len(b) == 2 for b in x), {}, [(2, 0)]),
        (lambda x: any(len(b.properties) > 2 for b in x), {}, [(0, 3)]),
        (lambda x: bool(x.component_names), {}, [(0, 1, 0)]),
        (lambda x: len(x.component_names) == 2, {}, [(0, 1, 1, 0)]),
        (lambda x: any(len(g) for g in gradients(x)), {"max_gradients": 2}, [(1, 0)]),
        (lambda x: len(x) == 1, {"min_samples": 1, "min_properties": 2}, [(1, 2)]),
    ],
)
def test_maps_shrink_to_few_small_blocks_counted_from_0(predicate, options, expected, minimal):
    x = minimal(tensor_maps(**options), predicate)
    assert [tuple(block.shape) for block in x] == expected
    assert x.keys.names == ["key"]
    assert x.keys.values.tolist() == [[i] for i in range(len(expected))]
    for block in x:
        assert [*block.samples.names, *block.properties.names] == ["system", "n"]
        assert x.component_names == ["xyz", "o3_mu"][: block.values.dim() - 2]
        for labels in (block.samples, *block.components, block.properties):
            assert labels.values.tolist() == [[i] for i in range(len(labels))]
        assert block.values.dtype == torch.float32
        assert not bool(block.values.any())


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (lambda v: v != 0, [1]),
        (lambda v: v < 0, [-1]),
        (lambda v: v != v.round(), [0.5]),
        (lambda v: v > 1, [i / 8 for i in range(9, 17)]),  # what is least by its own neighbours
    ],
)
def test_a_value_shrinks_to_a_simple_one_in_a_map_of_one(predicate, expected, minimal):
    x = minimal(tensor_maps(), lambda x: any(bool(predicate(b.values).any()) for b in x))
    assert (x.keys.names, x.keys.values.tolist()) == (["key"], [[0]])
    (block,) = x
    assert tuple(block.shape) == (1, 1)
    assert block.values.item() in expected
    assert (block.samples.values.item(), block.properties.values.item()) == (0, 0)


def test_a_row_of_a_gradient_shrinks_to_the_first_one(minimal):
    x = minimal(tensor_maps(max_gradients=2), lambda x: any(len(g) for g in gradients(x)))
    (gradient,) = gradients(x)
    assert (gradient.samples.names, gradient.samples.values.tolist()) == (["sample"], [[0]])
    assert tuple(gradient.shape) == (1, 0)
    assert x[0].gradients_list() == ["positions"]


@pytest.mark.parametrize("extreme", [SMALLEST, LARGEST])
def test_an_extreme_key_shrinks_to_itself_alone(extreme, minimal):
    x = minimal(tensor_maps(), lambda x: bool((x.keys.values == extreme).any()))
    assert (x.keys.names, x.keys.values.tolist()) == (["key"], [[extreme]])
    assert tuple(x[0].shape) == (0, 0)


# --- what is valid


@SOME
@given(x=tensor_maps(max_gradients=2))
def test_maps_pass_the_checks(checked, written, x):
    assert written(checked(x)) == written(x)


@SOME
@given(block=tensor_blocks())
def test_blocks_pass_the_checks(checked, block):
    again = checked(block)
    assert torch.equal(again.values, block.values)
    assert not block.has_any_gradient()


@SOME
@given(x=tensor_maps(max_gradients=2))
def test_values_are_multiples_of_an_eighth_within_the_bound(tensors_of, x):
    for values in tensors_of(x):
        assert values.dtype == x.dtype
        assert torch.equal(8 * values, (8 * values).round())
        assert bool((values.abs() <= unit_bound() / 8).all())


@pytest.mark.parametrize(
    ("strategy", "bound"),
    [
        (tensor_maps(bound=2, max_gradients=1), 2),
        (tensor_maps(max_properties=8), unit_bound(features=8)),
        (tensor_blocks(bound=2).map(lambda block: [block]), 2),
        (tensor_maps(keys=keys(min_size=1), max_properties=9).flatmap(like), unit_bound(features=4)),
        (tensor_maps().flatmap(lambda x: like(x, bound=2)), 2),
    ],
    ids=["maps", "wide maps", "blocks", "like", "like with a bound"],
)
def test_the_bound_is_kept_and_reached(strategy, bound, drawn, tensors_of):
    values = [v for x in drawn(strategy, 100) for v in tensors_of(x) if v.numel()]
    assert max(float(v.abs().max()) for v in values) == bound / 8


@SOME
@given(x=tensor_maps(max_gradients=2))
def test_metatensor_torch_accepts_maps(mts, written, x):
    implementation = implementations.load("metatensor-torch")
    encoded = implementation.encode(x)
    assert isinstance(encoded, torch.ScriptObject)
    assert written(implementation.decode(encoded)) == written(x)


def test_maps_have_the_sizes_asked_for(drawn):
    sizes = {"min_samples": 1, "max_samples": 2, "min_properties": 5, "max_properties": 6}
    maps = drawn(tensor_maps(keys=keys(min_size=2, max_size=3), **sizes), 60)
    assert {len(x) for x in maps} == {2, 3}
    assert {len(b.samples) for x in maps for b in x} == {1, 2}
    assert {len(b.properties) for x in maps for b in x} == {5, 6}


def test_blocks_have_the_axes_asked_for(drawn):
    for block in drawn(tensor_blocks(properties=properties(min_size=7, max_size=7)), 20):
        assert block.shape[-1] == 7


@pytest.mark.parametrize("axis", ["samples", "components", "properties"])
def test_blocks_have_the_labels_drawn(axis, drawn):
    own = {
        "samples": samples(names=st.just(["own"])),
        "components": spherical_components(max_lambda=1),
        "properties": properties(names=st.just(["own"])),
    }
    for block in drawn(tensor_blocks(**{axis: own[axis]}), 20):
        if axis == "components":
            (component,) = block.components
            assert component.names == ["o3_mu"]
            assert len(component) in (1, 3)
        else:
            assert getattr(block, axis).names == ["own"]


def test_blocks_have_the_gradients_asked_for(drawn, checked):
    blocks = drawn(tensor_blocks(max_gradients=2), 100)
    assert {tuple(b.gradients_list()) for b in blocks} == {("positions",), ("positions", "cell")}
    assert any(bool(g.values.any()) for b in blocks for _, g in b.gradients())
    for block in blocks:
        checked(block)
    assert not any(b.has_any_gradient() for b in drawn(tensor_blocks(), 30))


@pytest.mark.parametrize("max_lambda", [0, 1, 4])
def test_maps_have_every_o3_lambda_up_to_the_largest(max_lambda, drawn):
    maps = drawn(tensor_maps(spherical=True, max_lambda=max_lambda, max_blocks=2), 120)
    assert {key["o3_lambda"] for x in maps for key in x.keys} == set(range(max_lambda + 1))


# --- names


NAMES = {"sample_names": 1, "component_names": 0, "property_names": 1}


def names_of(block, option):
    """The names that an option is about."""
    if option == "component_names":
        return tuple(component.names[0] for component in block.components)
    return tuple((block.samples if option == "sample_names" else block.properties).names)


@pytest.mark.parametrize("option", NAMES)
def test_maps_have_the_names_drawn(option, drawn, checked):
    drawn_names = dimension_names(alphabet=["a", "b"], min_size=NAMES[option], max_size=2)
    maps = drawn(tensor_maps(min_blocks=2, max_gradients=1, **{option: drawn_names}), 100)
    found = set()
    for x in maps:
        (names,) = {names_of(block, option) for block in x}
        found.add(names)
        checked(x)
    every = {("a",), ("b",), ("a", "b"), ("b", "a")}
    assert found == (every if NAMES[option] else {(), *every})


def test_one_name_is_given_by_itself(first):
    names = {option: st.just("own") for option in NAMES}
    x = first(tensor_maps(**names), lambda x: len(x) > 1)
    assert {names_of(block, option) for block in x for option in NAMES} == {("own",)}


def test_components_have_as_many_entries_as_ever_whatever_their_number(drawn):
    five = st.just(("a", "b", "c", "d", "e"))
    maps = drawn(tensor_maps(component_names=five, min_blocks=1), 60)
    assert {len(c) for x in maps for b in x for c in b.components} == {1, 2, 3}
    assert {len(b.components) for x in maps for b in x} == {5}


@pytest.mark.parametrize(
    ("option", "names", "message"),
    [
        ("sample_names", ("a", "a"), "names must be distinct, got 'a' twice in ['a', 'a']"),
        ("component_names", ("a", "a"), "names must be distinct, got 'a' twice in ['a', 'a']"),
        ("property_names", (), "names must have at least one dimension, got an empty list"),
        (
            "property_names",
            ("1",),
            "names must be identifiers of ASCII letters, digits and _, got '1'",
        ),
    ],
)
def test_names_that_labels_cannot_have_are_refused(option, names, message, first):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}\n"):
        first(tensor_maps(min_blocks=1, **{option: st.just(names)}), bool)


# --- options of values


#: What takes the options of values, as strategies of a list of blocks; the latter have their dtype.
OF_VALUES = {
    "maps": lambda **how: tensor_maps(min_blocks=1, max_gradients=1, **how),
    "blocks": lambda **how: tensor_blocks(max_gradients=2, **how).map(lambda block: [block]),
    "like": lambda **how: tensor_maps(min_blocks=1, max_gradients=1).flatmap(lambda x: like(x, **how)),
    "gradients": lambda **how: tensor_blocks(samples=samples(min_size=1)).flatmap(
        lambda block: tm.gradients(block, **how).map(lambda gradient: [gradient])
    ),
}
of_values = pytest.mark.parametrize("strategy", OF_VALUES.values(), ids=OF_VALUES)
#: They take dtypes and devices, too.
of_kinds = pytest.mark.parametrize("strategy", [OF_VALUES[name] for name in ("maps", "blocks")])


def numbers(blocks, tensors_of):
    return [float(v) for values in tensors_of(blocks) for v in values.detach().flatten().tolist()]


@of_values
@pytest.mark.parametrize(
    ("option", "reached"),
    [
        ({"wide": True}, lambda v: abs(v) > 1e30),
        ({"allow_nan": True}, lambda v: v != v),
        ({"allow_infinity": True}, lambda v: v == -math.inf),
        ({"allow_subnormal": True}, lambda v: 0 < abs(v) < torch.finfo(torch.float32).smallest_normal),
    ],
)
def test_values_reach_what_they_are_allowed(option, reached, strategy, first, tensors_of):
    first(strategy(**option), lambda blocks: any(map(reached, numbers(blocks, tensors_of))))


@of_values
def test_values_are_finite_and_small_unless_more_is_allowed(strategy, drawn, tensors_of):
    for blocks in drawn(strategy(), 50):
        assert all(v == 0 or 1 / 8 <= abs(v) <= 3 for v in numbers(blocks, tensors_of))


@of_kinds
@pytest.mark.parametrize(
    ("of_dtypes", "expected"),
    [
        (None, {torch.float32, torch.float64}),
        (st.just(torch.float16), {torch.float16}),
        (st.sampled_from([torch.complex64, torch.int8]), {torch.complex64, torch.int8}),
        (dtypes(allow_half=True, allow_complex=True), None),
    ],
)
def test_maps_and_blocks_have_the_dtypes_drawn(of_dtypes, expected, strategy, drawn, tensors_of):
    both = torch.float32, torch.float64
    every = {*both, torch.float16, torch.bfloat16, torch.complex64, torch.complex128}
    found = [{v.dtype for v in tensors_of(blocks)} for blocks in drawn(strategy(dtypes=of_dtypes), 300)]
    assert all(len(of_one) == 1 for of_one in found)
    assert set().union(*found) == (every if expected is None else expected)


@of_kinds
def test_maps_and_blocks_are_on_the_devices_drawn(strategy, drawn, tensors_of):
    for blocks in drawn(strategy(devices=st.just("meta")), 20):
        assert {v.device.type for v in tensors_of(blocks)} == {"meta"}
    devices = st.sampled_from([torch.device("cpu"), torch.device("meta")])
    several = [{v.device.type for v in tensors_of(b)} for b in drawn(strategy(devices=devices), 20)]
    assert {len(of_one) for of_one in several} == {1}
    assert set().union(*several) == {"cpu", "meta"}


@pytest.mark.parametrize("own", [None, keys()], ids=["keys drawn", "keys given"])
def test_the_labels_of_a_map_are_on_its_device(own, drawn):
    maps = drawn(tensor_maps(keys=own, max_gradients=1, devices=st.just("meta")), 25)
    assert {len(x) for x in maps} >= {0, 1, 2}
    for x in maps:
        assert x.keys.device.type == "meta"
        for block in [*x, *gradients(x)]:
            for labels in (block.samples, *block.components, block.properties):
                assert labels.device.type == "meta"
            TensorBlock(block.values, block.samples, block.components, block.properties)
        for other in drawn(like(x), 2):
            assert tmref.equal_metadata(other, x)
            assert all(block.device.type == "meta" for block in other)


@of_values
def test_values_lie_in_memory_as_drawn(strategy, first, tensors_of):
    def transposed(values):
        return values.dim() > 1 and not values.is_contiguous() and values.mT.is_contiguous()

    for layout, seen in {
        "transposed": transposed,
        "strided": lambda values: values.numel() and values.stride(-1) == 2,
        "expanded": lambda values: len(values) > 1 and values.numel() and values.stride(0) == 0,
        "offset": lambda values: values.storage_offset() == 3,
        "negative": lambda values: values.is_neg(),
    }.items():
        first(strategy(layouts=st.just(layout)), lambda x, seen=seen: any(map(seen, tensors_of(x))))


@of_values
def test_layouts_change_no_number(strategy, drawn, tensors_of):
    def lists(**how):
        return [[v.tolist() for v in tensors_of(x)] for x in drawn(strategy(**how), 25)]

    plain = lists(layouts=st.just("contiguous"))
    assert lists(layouts=st.just("strided")) == plain
    assert lists(layouts=st.just("transposed")) == plain
    assert lists(layouts=st.just("expanded")) != plain


@of_values
def test_values_require_grad_where_it_is_drawn(strategy, drawn, tensors_of):
    for blocks in drawn(strategy(requires_grad=st.just(True), layouts=layouts()), 30):
        assert all(v.requires_grad and v.is_leaf for v in tensors_of(blocks))
    both = [
        v.requires_grad for x in drawn(strategy(requires_grad=st.booleans()), 30) for v in tensors_of(x)
    ]
    assert set(both) == {True, False}
    assert not any(v.requires_grad for x in drawn(strategy(), 30) for v in tensors_of(x))


ONE = tmref.block_from_array(torch.zeros(1, 1))
MADE = {
    "maps": tensor_maps,
    "blocks": tensor_blocks,
    "like": functools.partial(like, TensorMap(Labels.single(), [ONE])),
    "gradients": functools.partial(tm.gradients, ONE),
}
made = pytest.mark.parametrize("make", MADE.values(), ids=MADE)


@made
@pytest.mark.parametrize(
    ("option", "message"),
    [
        *(
            (
                {name: "own"},
                f"{name}='own' must be a strategy; for one value: hypothesis.strategies.just('own')",
            )
            for name in ("layouts", "requires_grad")
        ),
        *(
            ({name: 1}, f"{name}=1 must be True or False")
            for name in ("allow_nan", "allow_infinity", "allow_subnormal")
        ),
        (
            {"wide": 1},
            "wide=1 must be True, False, or two magnitudes, the smaller one first: (1e-3, 1e6)",
        ),
        (
            {"wide": True, "bound": 3},
            "bound=3 is of multiples of 1/8; wide numbers have magnitudes: give one only",
        ),
        *(({"bound": bad}, f"bound={bad!r} must be an int from 1 to 127") for bad in BAD_BOUNDS),
    ],
)
def test_bad_options_of_values_are_refused(option, message, make, refused):
    with refused(InvalidArgument, message):
        make(**option)


@made
def test_an_option_that_does_not_exist_is_refused_by_name(make):
    with pytest.raises(InvalidArgument, match=r"^\w+ has no option 'bonds'; did you mean 'bound'\?$"):
        make(bonds=3)


# --- like


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"spherical": True},
        {"dtypes": st.just(torch.complex64)},
        {"dtypes": st.just(torch.int16)},
    ],
)
def test_like_keeps_all_but_values(options, drawn, checked):
    differ = 0
    for x in drawn(tensor_maps(max_gradients=2, **options), 15):
        for other in drawn(like(x), 4):
            checked(other)
            assert tmref.equal_metadata(other, x)
            assert [b.gradients_list() for b in other] == [b.gradients_list() for b in x]
            assert [b.dtype for b in other] == [b.dtype for b in x]
            differ += not tmref.equal(other, x)
            differ += any(map(differs, gradients(other), gradients(x)))
    assert differ > 30


def differs(one, other):
    return not torch.equal(one.values, other.values)


def test_like_keeps_gradients_of_gradients(with_gradient, block, tensor_map, minimal):
    inner = with_gradient(block(2, 3), [1], 2)
    inner = TensorBlock(inner.values, Labels.range("sample", 2), [], inner.properties)
    inner.add_gradient("cell", with_gradient(block(2, 3), [1], 2).gradient("positions"))
    outer = block(2, 3)
    outer.add_gradient("positions", inner)
    x = tensor_map(Labels.range("key", 1), outer)

    def deepest(y):
        return y[0].gradient("positions").gradient("cell")

    y = minimal(like(x), lambda y: bool((deepest(y).values > 0).any()))
    assert tmref.equal_metadata(y, x)
    assert sorted(deepest(y).values.flatten().tolist()) == [0.0] * 5 + [1.0]
    assert not y[0].values.any()


def test_like_shrinks_to_zeros(block, with_gradient, tensor_map, minimal):
    x = tensor_map(Labels.range("key", 2), *(with_gradient(block(2, 3), [0, 1]) for _ in range(2)))
    zeros = minimal(like(x), lambda y: True)
    assert not any(bool(block.values.any()) for block in [*zeros, *gradients(zeros)])
    one = minimal(like(x), lambda y: bool(y[1].values.any()))
    values = [block.values.flatten().tolist() for block in [*one, *gradients(one)]]
    assert sorted(v for of_block in values for v in of_block) == [0.0] * 23 + [1.0]
    assert 1 in values[1]


@pytest.mark.parametrize("option", ["dtypes", "devices"])
def test_what_is_like_another_has_its_dtype_and_device(option, first, refused):
    x = first(tensor_maps(), lambda x: len(x) == 1)
    message = f"the map has {option} of its own: leave the option '{option}' out"
    with refused(TypeError, message):
        like(x, **{option: st.just("own")})
    message = f"a gradient has the block's {option}: leave the option '{option}' out"
    with refused(TypeError, message):
        tm.gradients(x[0], **{option: st.just("own")})


# --- gradients of a block


@pytest.fixture
def of_a_block(block):
    """of_a_block(): a block of three samples, one component of 2 and two properties."""
    return block(3, 2, 2)


@pytest.mark.parametrize(
    ("options", "rows", "extra"),
    [
        ({}, {0, 1, 2, 3}, {0, 1, 2}),
        ({"max_rows": 0}, {0}, {0, 1, 2}),
        ({"max_rows": 1}, {0, 1}, {0, 1, 2}),
        ({"max_rows": 7}, set(range(8)), {0, 1, 2}),
        ({"max_components": 0}, {0, 1, 2, 3}, {0}),
        ({"max_components": 1}, {0, 1, 2, 3}, {0, 1}),
    ],
)
def test_gradients_of_a_block_have_what_is_asked_for(options, rows, extra, of_a_block, drawn, checked):
    found = drawn(tm.gradients(of_a_block, **options), 200)
    assert {len(g) for g in found} == rows
    assert {extra_components(of_a_block, g) for g in found} == extra
    assert {len(c) for g in found for c in g.components[:-1]} == ({1, 2, 3} if max(extra) else set())
    assert {row for g in found for row in sample_rows(g)} == ({0, 1, 2} if max(rows) else set())
    assert {tuple(g.samples.names) for g in found} == {("sample",), ("sample", "atom")}
    for gradient in found:
        assert gradient.dtype == torch.float64
        again = of_a_block.copy()
        again.add_gradient("positions", checked(gradient))
        assert sample_rows(gradient) == sorted(sample_rows(gradient))


@pytest.mark.parametrize("size", [0, 1, 20])
def test_every_sample_of_a_block_has_gradients(size, block, drawn):
    found = drawn(tm.gradients(block(size, 1)), 250)
    assert {row for g in found for row in sample_rows(g)} == set(range(size))


def test_a_gradient_has_gradients_of_its_own(of_a_block, first, checked):
    def two_more(gradient):
        return len(gradient) and extra_components(of_a_block, gradient) == 2

    gradient = first(tm.gradients(of_a_block), two_more)
    further = first(tm.gradients(gradient), lambda g: len(g) and extra_components(gradient, g) == 2)
    gradient.add_gradient("cell", checked(further))
    of_a_block.add_gradient("positions", checked(gradient))
    names = [component.names[0] for component in further.components]
    assert names == ["direction_3", "direction_4", "direction_1", "direction_2", "component_0"]


def test_gradients_are_where_the_block_is(of_a_block, drawn):
    moved = of_a_block.to(dtype=torch.float16, device="meta")
    for gradient in drawn(tm.gradients(moved), 30):
        assert (gradient.dtype, gradient.device.type) == (torch.float16, "meta")
        moved.copy().add_gradient("positions", gradient)


@pytest.mark.parametrize(
    ("predicate", "shape", "rows"),
    [
        (lambda g: True, (0, 2, 2), []),
        (lambda g: len(g) == 1, (1, 2, 2), [[0]]),
        (lambda g: len(g) == 2, (2, 2, 2), [[0], [1]]),
        (lambda g: 2 in sample_rows(g), (1, 2, 2), [[2]]),
        (lambda g: len(g.components) == 2, (0, 1, 2, 2), []),
        (lambda g: bool((g.samples.values == LARGEST).any()), (1, 2, 2), [[0, LARGEST]]),
    ],
)
def test_gradients_of_a_block_shrink_to_few_rows(predicate, shape, rows, of_a_block, minimal):
    gradient = minimal(tm.gradients(of_a_block), predicate)
    assert (tuple(gradient.shape), gradient.samples.values.tolist()) == (shape, rows)
    assert not gradient.values.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(
            ({"max_rows": bad}, f"max_rows={bad!r} must be an int of at least 0")
            for bad in (-1, True, 1.0)
        ),
        *(
            ({"max_components": bad}, f"max_components={bad!r} must be an int from 0 to 2")
            for bad in (-1, 3, True)
        ),
    ],
)
def test_bad_options_of_gradients_are_refused(options, message, of_a_block, refused):
    with refused(InvalidArgument, message):
        tm.gradients(of_a_block, **options)


# --- by their types


@pytest.mark.parametrize(
    ("of_type", "strategy"),
    [
        (tmref.Labels, tm.labels()),
        (tmref.LabelsEntry, tm.labels(min_size=1).map(lambda x: x[0])),
        (TensorBlock, tensor_blocks()),
        (TensorMap, tensor_maps()),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_types_have_their_strategies(of_type, strategy, drawn):
    found = drawn(st.from_type(of_type), 50)
    assert {type(x) for x in found} == {of_type}
    assert list(map(repr, found)) == list(map(repr, drawn(strategy, 50)))


def test_what_a_function_is_annotated_with_is_inferred():
    @SOME
    @given(...)
    def collect(x: TensorMap, entry: tmref.LabelsEntry):
        seen.append((type(x), type(entry)))

    seen = []
    collect()
    assert set(seen) == {(TensorMap, tmref.LabelsEntry)}


def test_importing_the_strategies_registers_types_and_importing_tmref_does_not(run_python):
    done = run_python(
        """if True:
        import sys, tmref
        print("hypothesis" in sys.modules)
        from hypothesis import strategies as st
        types = [tmref.Labels, tmref.LabelsEntry, tmref.TensorBlock, tmref.TensorMap]
        print(*["labels(" in repr(st.from_type(t)) for t in types])
        import tmref.strategies
        for t in types:
            print(repr(st.from_type(t)).partition("(")[0])
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False"] * 5 + ["labels", "labels", "tensor_blocks", "tensor_maps"]


# --- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_samples": 5}, "min_samples=5 must be at most max_samples=4"),
        ({"min_properties": 5}, "min_properties=5 must be at most max_properties=4"),
        ({"min_blocks": 5}, "min_blocks=5 must be at most max_blocks=4"),
        ({"min_blocks": 2, "max_blocks": 1}, "min_blocks=2 must be at most max_blocks=1"),
        (
            {"max_blocks": 11, "spherical": True},
            "max_blocks=11 must be at most 10, the pairs of o3_lambda and o3_sigma up to max_lambda=4",
        ),
        (
            {"max_lambda": 0, "spherical": True},
            "max_blocks=4 must be at most 2, the pairs of o3_lambda and o3_sigma up to max_lambda=0",
        ),
        (
            {"component_names": st.just(("a",)), "spherical": True},
            "component_names are o3_mu where spherical=True: leave one of them out",
        ),
        *(
            ({name: 3}, f"{name}=3 must be a strategy; for one value: hypothesis.strategies.just(3)")
            for name in ("keys", *NAMES, "dtypes", "devices")
        ),
        *(
            ({name: bad}, f"{name}={bad!r} must be an int of at least 0")
            for name in (
                "min_samples",
                "max_samples",
                "min_properties",
                "max_properties",
                "min_blocks",
                "max_blocks",
                "max_lambda",
            )
            for bad in (-1, True, 2.0, "3", None)
        ),
        *(
            ({"max_gradients": bad}, f"max_gradients={bad!r} must be an int from 0 to 2")
            for bad in (-1, 3, True, 1.0, None)
        ),
        (
            {"gradient_names": "strain"},
            "gradient_names='strain' must be a list of names; for one name: ['strain']",
        ),
        *(
            ({"gradient_names": bad}, f"gradient_names={bad!r} must be a list of names")
            for bad in (3, None, ("strain", 3))
        ),
        ({"gradient_names": ("a", "a")}, "gradient_names=('a', 'a') must be distinct"),
        *(
            (
                {"gradient_samples": bad},
                f"gradient_samples={bad!r} must be a list of lists of names: [('sample', 'atom')]",
            )
            for bad in ("sample", ["sample"], [], 3, None, [3])
        ),
        (
            {"gradient_samples": [("sample",), ("sample", "an atom")]},
            "gradient_samples[1]=('sample', 'an atom'): names must be identifiers of ASCII letters, "
            "digits and _, got 'an atom'",
        ),
        (
            {"gradient_samples": [("sample", "sample")]},
            "gradient_samples[0]=('sample', 'sample'): names must be distinct, got 'sample' twice in "
            "['sample', 'sample']",
        ),
    ],
)
def test_bad_options_of_maps_are_refused(options, message, refused):
    with refused(InvalidArgument, message):
        tensor_maps(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(
            ({name: 3}, f"{name}=3 must be a strategy; for one value: hypothesis.strategies.just(3)")
            for name in ("samples", "components", "properties", "dtypes")
        ),
        *(
            ({"max_gradients": bad}, f"max_gradients={bad!r} must be an int from 0 to 2")
            for bad in (-1, 3, True, 1.0)
        ),
    ],
)
def test_bad_options_of_blocks_are_refused(options, message, refused):
    with refused(InvalidArgument, message):
        tensor_blocks(**options)


XYZ = Labels.range("xyz", 3)
NO_COMPONENTS = [
    (XYZ, f"must give lists of tmref's Labels, got {XYZ!r}; for one component: [labels]"),
    (3, "must give lists of tmref's Labels, got 3"),
    ([3], "must give lists of tmref's Labels, got [3]"),
    ([XYZ, XYZ], "gave the names ['xyz', 'xyz']; each must have another one"),
    *(
        ([XYZ, bad], f"gave {bad!r}; each must have one dimension and at least one entry")
        for bad in (Labels.empty("a"), Labels(["a", "b"], torch.tensor([[0, 1]])))
    ),
]


@pytest.mark.parametrize(("given", "words"), NO_COMPONENTS)
@pytest.mark.parametrize("strategy", [tensor_maps, tensor_blocks])
def test_components_that_no_block_can_have_are_refused(strategy, given, words, drawn):
    message = re.escape(f"components {words}")
    with pytest.raises(InvalidArgument, match=rf"^{message}(\n|$)"):
        drawn(strategy(components=st.just(given)), 20)


@pytest.mark.parametrize(("given", "words"), NO_COMPONENTS)
def test_components_that_no_gradient_can_have_are_refused(given, words, drawn):
    message = re.escape(f"gradient_components {words}")
    with pytest.raises(InvalidArgument, match=rf"^{message}(\n|$)"):
        drawn(tensor_maps(max_gradients=1, gradient_components=st.just(given)), 20)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"components": st.just([XYZ])}, "xyz"),
        ({"component_names": st.just(["xyz"])}, "xyz"),
        ({"spherical": True}, "o3_mu"),
    ],
)
def test_components_of_a_gradient_that_its_block_has_are_refused(options, name, drawn):
    of_gradients = [Labels.range("other", 2), Labels.range(name, 2)]
    message = re.escape(
        f"gradient_components gave the names ['other', '{name}'] for a block with the components "
        f"['{name}'], which its gradients have, too; each must have another name"
    )
    strategy = tensor_maps(max_gradients=1, gradient_components=st.just(of_gradients), **options)
    with pytest.raises(InvalidArgument, match=rf"^{message}(\n|$)"):
        drawn(strategy, 20)


@pytest.mark.parametrize("axis", ["samples", "properties"])
@pytest.mark.parametrize("strategy", [tensor_maps, tensor_blocks])
def test_labels_of_an_axis_that_are_none_are_refused(strategy, axis, drawn):
    message = re.escape(f"{axis} must give tmref's Labels, got [{XYZ!r}]")
    with pytest.raises(InvalidArgument, match=rf"^{message}(\n|$)"):
        drawn(strategy(**{axis: st.just([XYZ])}), 20)


@pytest.mark.parametrize("o3_names", [O3_NAMES, ("l", "sigma", "m")])
def test_spherical_keys_of_negative_lambda_are_refused(o3_names, drawn):
    keys = Labels(o3_names[:2], torch.tensor([[0, 1], [-2, 1], [-1, -1]]))
    strategy = tensor_maps(spherical=True, o3_names=o3_names, keys=st.just(keys))
    message = f"keys gave {keys!r}; where spherical=True {o3_names[0]} must be at least 0, got -2"
    with pytest.raises(InvalidArgument, match=rf"^{re.escape(message)}(\n|$)"):
        drawn(strategy, 1)


# --- how they are drawn


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_gradients": 2},
        {"max_properties": 20},
        {"spherical": True},
        {"spherical": True, "one_width": True, "min_blocks": 2},
        {"spherical": True, "min_blocks": 8, "max_blocks": 10},
        {"min_blocks": 5, "max_blocks": 8, "max_samples": 8},
        {"keys": keys(), "sample_names": dimension_names(), "property_names": dimension_names()},
        {"wide": True, "allow_nan": True, "layouts": layouts(), "requires_grad": st.booleans()},
        {"dtypes": dtypes(allow_half=True, allow_integers=True, allow_complex=True)},
    ],
)
def test_hardly_a_draw_is_discarded(options, discarded):
    assert discarded(lambda draw: draw(tensor_maps(**options)), 100) <= 0.01


@pytest.mark.parametrize(
    "strategy",
    [
        tensor_blocks(components=components(max_components=3), max_gradients=2),
        tensor_blocks().flatmap(tm.gradients),
        tensor_maps(max_gradients=2).flatmap(like),
    ],
    ids=["blocks", "gradients", "like"],
)
def test_hardly_a_draw_of_blocks_is_discarded(strategy, discarded):
    assert discarded(lambda draw: draw(strategy), 100) <= 0.01


def test_what_is_discarded_would_be_noticed(discarded):
    def draw_few(draw):
        return draw(array_values(shapes=st.just((1,))).filter(lambda t: t.item() == t.round().item()))

    assert discarded(draw_few, 100) > 0.01


@pytest.mark.parametrize("options", [{}, {"spherical": True, "one_width": True}])
def test_one_seed_gives_the_same_maps_again(options, drawn, written):
    strategy = tensor_maps(max_gradients=2, **options)
    runs = [[written(x) for x in drawn(strategy, 60)] for _ in range(2)]
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 30


def test_one_seed_gives_the_same_maps_in_other_processes(run_python, monkeypatch):
    code = """if True:
        from hypothesis import given, seed, settings
        from tmref.strategies import tensor_maps

        @seed(0)
        @settings(max_examples=15, database=None, deadline=None)
        @given(tensor_maps(max_gradients=2))
        def show(x):
            for b in x:
                gradients = [(name, g, g.samples, g.values) for name, g in b.gradients()]
                print(x, b.samples, b.components, b.properties, b.values, gradients)

        show()
    """
    outputs = []
    for hash_seed in "12":
        monkeypatch.setenv("PYTHONHASHSEED", hash_seed)
        done = run_python(code)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) > 1000


# --- torch's random state


def test_random_numbers_of_torch_are_the_same_in_every_example():
    torch.manual_seed(7)
    drawn = []

    @seed(0)
    @settings(max_examples=10, database=None, deadline=None)
    @given(tensor_maps())
    def draw(x):
        drawn.append(torch.rand(3).tolist())

    draw()
    assert len(drawn) == 10
    assert drawn == drawn[:1] * 10
    torch.manual_seed(8)
    draw()
    assert drawn == drawn[:1] * 20


def test_the_random_state_of_torch_is_restored():
    torch.manual_seed(7)
    state = torch.get_rng_state()
    expected = torch.rand(3)
    torch.set_rng_state(state)

    @settings(max_examples=5, database=None, deadline=None)
    @given(tensor_maps())
    def draw(x):
        torch.rand(random.randint(1, 9))

    draw()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(torch.rand(3), expected)


def test_maps_of_more_numbers_than_an_example_has_room_for(drawn):
    large = tensor_maps(
        min_blocks=2, min_samples=300, max_samples=400, min_properties=40, max_properties=50
    )
    maps = drawn(large, 6)
    assert all(len(b) >= 300 and len(b.properties) >= 40 for x in maps for b in x)
    assert sum(any(bool(b.values.any()) for b in x) for x in maps) > 3
