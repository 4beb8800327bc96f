import itertools
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from tmref import Labels
from tmref.strategies import (
    components,
    dimension_names,
    keys,
    label_values,
    labels,
    properties,
    samples,
    spherical_components,
    spherical_keys,
)

MANY = settings(max_examples=60, database=None, deadline=None, derandomize=True)
SMALLEST, LARGEST = -(2**31), 2**31 - 1
AXES = {"labels": labels, "keys": keys, "samples": samples, "properties": properties}
axes = pytest.mark.parametrize("axis", AXES.values(), ids=AXES)


# --- what is drawn


@axes
@pytest.mark.parametrize(
    "predicate",
    [
        lambda x: len(x) == 0,
        lambda x: len(x) == 1,
        lambda x: len(x) == 4,
        lambda x: len(x.names) == 1,
        lambda x: len(x.names) == 2,
        lambda x: len(x) > 0 and bool((x.values < 0).any()),
        lambda x: bool((x.values == SMALLEST).any()),
        lambda x: bool((x.values == LARGEST).any()),
        lambda x: bool((x.values.to(torch.int64).abs() > 2**24).any()),
        lambda x: x.values.tolist() != sorted(x.values.tolist()),
        lambda x: len(x) > 1 and x.values.tolist() == sorted(x.values.tolist()),
        lambda x: len(x) > 1 and bool((x.values[0, :-1] == x.values[1, :-1]).all()),
        lambda x: len(x.names) == 2 and x.names != sorted(x.names),
    ],
    ids=[
        "none",
        "one",
        "four",
        "one dimension",
        "two dimensions",
        "negative",
        "smallest",
        "largest",
        "beyond float32",
        "unsorted",
        "sorted",
        "equal but for the last",
        "names unsorted",
    ],
)
def test_labels_reach(axis, predicate, first):
    assert predicate(first(axis(), predicate))


@pytest.mark.parametrize("axis", [labels, keys])
def test_keys_have_up_to_three_dimensions(axis, first):
    assert len(first(axis(), lambda x: len(x.names) == 3).names) == 3


@axes
@MANY
@given(data=st.data())
def test_labels_pass_the_checks_and_have_the_size_asked_for(axis, data):
    low, high = sorted(data.draw(st.tuples(*[st.integers(0, 20)] * 2)))
    drawn = data.draw(axis(min_size=low, max_size=high))
    assert low <= len(drawn) <= high
    assert Labels(drawn.names, drawn.values) == drawn
    assert drawn.values.dtype == torch.int32


@pytest.mark.parametrize(
    "predicate",
    [
        lambda x: x == [],
        lambda x: len(x) == 1,
        lambda x: len(x) == 2,
        lambda x: any(len(c) == 1 for c in x),
        lambda x: any(len(c) == 3 for c in x),
        lambda x: len(x) == 2 and len(x[0]) != len(x[1]),
        lambda x: any(bool((c.values == SMALLEST).any()) for c in x),
        lambda x: any(bool((c.values == LARGEST).any()) for c in x),
    ],
)
def test_components_reach(predicate, first):
    assert predicate(first(components(), predicate))


@MANY
@given(data=st.data())
def test_components_pass_the_checks_and_have_the_sizes_asked_for(data):
    number, size = data.draw(st.tuples(st.integers(0, 3), st.integers(1, 9)))
    drawn = data.draw(components(max_components=number, max_size=size))
    assert len(drawn) <= number
    assert len({c.names[0] for c in drawn}) == len(drawn)
    for component in drawn:
        assert 1 <= len(component) <= size
        assert len(component.names) == 1
        assert Labels(component.names, component.values) == component


@MANY
@given(data=st.data())
def test_names_are_distinct_ones_of_the_alphabet(data):
    low, high = sorted(data.draw(st.tuples(*[st.integers(0, 4)] * 2)))
    drawn = data.draw(dimension_names(alphabet="abcd", min_size=low, max_size=high))
    assert low <= len(drawn) <= high
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set("abcd")


@pytest.mark.parametrize("expected", [("a",), ("b",), ("a", "b"), ("b", "a")])
def test_names_come_in_every_order(expected, first):
    assert first(dimension_names(alphabet="ab", max_size=2), lambda n: n == expected) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {1, 2, 3}),
        ({"min_size": 0}, {0, 1, 2, 3}),
        ({"min_size": 4}, {4}),
        ({"alphabet": "ab"}, {1, 2}),
        ({"alphabet": "", "min_size": 0}, {0}),
        ({"alphabet": "abcde", "min_size": 2}, {2, 3}),
    ],
)
def test_names_are_up_to_three(options, expected, drawn):
    assert {len(names) for names in drawn(dimension_names(**options), 100)} == expected


def test_names_shrink_to_few_and_the_first_ones(minimal):
    assert minimal(dimension_names(), lambda names: True) == ("key",)
    assert minimal(dimension_names(), lambda names: len(names) == 2) == ("key", "o3_lambda")
    assert minimal(dimension_names(alphabet="ab", max_size=2), lambda n: n != ("a",)) == ("b",)


@axes
def test_labels_have_the_names_asked_for(axis, drawn):
    options = {"names": st.sampled_from([("b", "a"), ["c"]]), "min_size": 1}
    assert {tuple(x.names) for x in drawn(axis(**options), 40)} == {("b", "a"), ("c",)}


@axes
def test_labels_have_the_values_asked_for(axis, drawn):
    found = drawn(axis(values=st.integers(5, 100), min_size=1), 60)
    values = {value for x in found for value in x.values.flatten().tolist()}
    assert min(values) >= 5
    assert max(values) <= 104  # four rows, each counted up from the one before
    assert len(values) > 20
    assert {len(x) for x in found} == {1, 2, 3, 4}


@axes
@pytest.mark.parametrize(
    ("value", "expected"),
    [(7, [[7], [8], [9]]), (LARGEST, [[LARGEST], [SMALLEST], [SMALLEST + 1]])],
)
def test_rows_that_repeat_are_counted_up(axis, value, expected, drawn):
    options = {"names": st.just(["a"]), "values": st.just(value), "min_size": 3, "max_size": 3}
    assert all(x.values.tolist() == expected for x in drawn(axis(**options), 2))


@axes
def test_only_the_last_value_of_rows_that_repeat_is_counted_up(axis, drawn):
    options = {"names": st.just(["a", "b"]), "values": st.just(1), "min_size": 2, "max_size": 2}
    assert all(x.values.tolist() == [[1, 1], [1, 2]] for x in drawn(axis(**options), 2))


@axes
def test_labels_of_drawn_values_shrink_to_few_small_ones(axis, minimal):
    found = minimal(axis(values=st.integers(3, 9)), lambda x: len(x) == 2)
    assert found.values.tolist() == [[3], [4]]


@MANY
@given(label_values())
def test_values_of_labels_fit_in_32_bits(value):
    assert isinstance(value, int)
    assert SMALLEST <= value <= LARGEST


@pytest.mark.parametrize("expected", [0, 9, -1, 128, 2**24, LARGEST, SMALLEST])
def test_values_of_labels_reach(expected, first):
    assert first(label_values(), lambda v: v == expected, 2000) == expected


@MANY
@given(data=st.data())
def test_values_of_labels_are_within_the_bounds(data):
    low, high = sorted(data.draw(st.tuples(*[label_values()] * 2)))
    drawn = data.draw(label_values(min_value=low, max_value=high))
    assert isinstance(drawn, int)
    assert low <= drawn <= high


@pytest.mark.parametrize(("low", "high"), [(0, 3), (-5, -2), (1, 6), (7, 7), (-300, 300)])
def test_the_bounds_of_values_of_labels_are_reached(low, high, drawn):
    found = drawn(label_values(min_value=low, max_value=high), 500)
    assert (min(found), max(found)) == (low, high)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"min_value": 3}, 3),
        ({"max_value": -3}, -3),
        ({"min_value": -7, "max_value": 7}, 0),
        ({"min_value": LARGEST}, LARGEST),
    ],
)
def test_bounded_values_of_labels_shrink_to_what_is_nearest_to_0(options, expected, minimal):
    assert minimal(label_values(**options), lambda value: True) == expected


def test_half_of_the_values_of_labels_are_digits(drawn):
    single = drawn(label_values(), 500)
    in_labels = [v for x in drawn(keys(min_size=1), 300) for v in x.values.flatten().tolist()]
    for values in (single, in_labels):
        assert 0.35 < sum(0 <= v < 10 for v in values) / len(values) < 0.75


# --- spherical keys


def spherical_pairs(x):
    """The o3_lambda and o3_sigma of every key."""
    return [(key["o3_lambda"], key["o3_sigma"]) for key in x]


@pytest.mark.parametrize(
    "predicate",
    [
        lambda x: len(x) == 0,
        lambda x: len(x) == 1,
        lambda x: len(x) == 4,
        lambda x: {0, 1, 2} <= {pair[0] for pair in spherical_pairs(x)},
        lambda x: (3, 1) in spherical_pairs(x),
        lambda x: (3, -1) in spherical_pairs(x),
        lambda x: (4, 1) in spherical_pairs(x),
        lambda x: (4, -1) in spherical_pairs(x),
        lambda x: {pair[1] for pair in spherical_pairs(x)} == {-1, 1},
        lambda x: {(0, 1), (0, -1)} <= set(spherical_pairs(x)),
        lambda x: (0, 1) in spherical_pairs(x) and len(set(spherical_pairs(x))) > 1,
        lambda x: len(x) > 1 and (0, 1) not in spherical_pairs(x),
        lambda x: len(x) > 1 and set(spherical_pairs(x)) == {(0, 1)},
        lambda x: len(x) and x.names == ["o3_lambda", "o3_sigma"],
        lambda x: len(x) and x.names == ["o3_lambda", "o3_sigma", "center_type"],
        lambda x: len(x) and x.names == ["o3_lambda", "o3_sigma", "center_type", "neighbor_type"],
        lambda x: len(x) and x.names == ["center_type", "o3_lambda", "o3_sigma"],
        lambda x: "center_type" in x.names and any(key["center_type"] < 0 for key in x),
        lambda x: len(x) > len(set(spherical_pairs(x))),
        lambda x: bool((x.values == SMALLEST).any()),
        lambda x: bool((x.values == LARGEST).any()),
        lambda x: x.values.tolist() != sorted(x.values.tolist()),
        lambda x: len(x) > 1 and x.values.tolist() == sorted(x.values.tolist()),
    ],
    ids=[
        "none",
        "one",
        "four",
        "several o3_lambda",
        "of 3 and 1",
        "of 3 and -1",
        "of 4 and 1",
        "of 4 and -1",
        "both o3_sigma",
        "scalar and pseudoscalar",
        "invariant and covariant",
        "covariant only",
        "invariant only",
        "no further dimension",
        "one further dimension",
        "two further dimensions",
        "the further dimension first",
        "negative",
        "keys that differ in a further dimension",
        "smallest",
        "largest",
        "unsorted",
        "sorted",
    ],
)
def test_spherical_keys_reach(predicate, first):
    assert predicate(first(spherical_keys(), predicate, 1000))


@MANY
@given(data=st.data())
def test_spherical_keys_pass_the_checks_and_are_what_is_asked_for(data):
    max_lambda = data.draw(st.integers(0, 4))
    low, high = sorted(data.draw(st.tuples(*[st.integers(0, 2 * (max_lambda + 1))] * 2)))
    drawn = data.draw(spherical_keys(min_size=low, max_size=high, max_lambda=max_lambda))
    assert low <= len(drawn) <= high
    assert Labels(drawn.names, drawn.values) == drawn
    assert drawn.values.dtype == torch.int32
    assert [name for name in drawn.names if name.startswith("o3_")] == ["o3_lambda", "o3_sigma"]
    for o3_lambda, o3_sigma in spherical_pairs(drawn):
        assert 0 <= o3_lambda <= max_lambda
        assert o3_sigma in (1, -1)


def test_all_pairs_of_spherical_keys_can_be_asked_for(drawn):
    for x in drawn(spherical_keys(min_size=10, max_size=10), 40):
        assert len(x) == 10
        if len(x.names) == 2:
            pairs = [(o3_lambda, o3_sigma) for o3_lambda in range(5) for o3_sigma in (-1, 1)]
            assert sorted(spherical_pairs(x)) == pairs


def test_spherical_keys_of_o3_lambda_0_alone(drawn):
    found = drawn(spherical_keys(min_size=1, max_size=2, max_lambda=0), 40)
    assert {pair for x in found for pair in spherical_pairs(x)} == {(0, 1), (0, -1)}


def test_every_pair_is_drawn_and_small_o3_lambda_are_frequent(drawn):
    pairs = [pair for x in drawn(spherical_keys(min_size=1), 300) for pair in spherical_pairs(x)]
    share = {(a, b): pairs.count((a, b)) / len(pairs) for a in range(5) for b in (1, -1)}
    assert min(share.values()) > 0.005
    for o3_sigma in (1, -1):
        assert 0.4 > share[0, o3_sigma] > share[1, o3_sigma] > share[4, o3_sigma]


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (lambda x: True, []),
        (lambda x: len(x) == 1, [[0, 1]]),
        (lambda x: len(x) == 2, [[0, 1], [0, -1]]),
        (lambda x: len(x) == 4, [[0, 1], [0, -1], [1, 1], [1, -1]]),
        (lambda x: len(x) == 1 and spherical_pairs(x)[0][1] == -1, [[0, -1]]),
        (lambda x: len(x) == 1 and spherical_pairs(x)[0][0] == 2, [[2, 1]]),
        (lambda x: (2, -1) in spherical_pairs(x), [[2, -1]]),
        (lambda x: (0, -1) in spherical_pairs(x), [[0, -1]]),
        (lambda x: (4, 1) in spherical_pairs(x), [[4, 1]]),
        (lambda x: len(x) and len(x.names) == 4, [[0, 1, 0, 0]]),
    ],
    ids=[
        "none",
        "one",
        "two",
        "four",
        "pseudoscalar",
        "of 2",
        "of 2 and -1",
        "of 0 and -1",
        "of 4",
        "more dimensions",
    ],
)
def test_spherical_keys_shrink_to_few_invariant_ones(predicate, expected, minimal):
    found = minimal(spherical_keys(), predicate)
    assert found.values.tolist() == expected
    assert found.names[:2] == ["o3_lambda", "o3_sigma"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_size": 5}, "min_size=5 must be at most max_size=4"),
        ({"min_size": -1}, "min_size=-1 must be an int of at least 0"),
        ({"max_size": True}, "max_size=True must be an int of at least 0"),
        ({"max_lambda": -1}, "max_lambda=-1 must be an int of at least 0"),
        ({"max_lambda": 1.0}, "max_lambda=1.0 must be an int of at least 0"),
        ({"max_lambda": True}, "max_lambda=True must be an int of at least 0"),
        (
            {"max_size": 11},
            "max_size=11 must be at most 10, the pairs of o3_lambda and o3_sigma up to max_lambda=4",
        ),
        (
            {"max_size": 7, "max_lambda": 2},
            "max_size=7 must be at most 6, the pairs of o3_lambda and o3_sigma up to max_lambda=2",
        ),
        (
            {"max_lambda": 0},
            "max_size=4 must be at most 2, the pairs of o3_lambda and o3_sigma up to max_lambda=0",
        ),
    ],
)
def test_bad_options_of_spherical_keys_are_refused(options, message, refused):
    with refused(InvalidArgument, message):
        spherical_keys(**options)


# --- spherical components


@pytest.mark.parametrize("o3_lambda", range(5))
def test_spherical_components_are_one_axis_from_minus_lambda_to_lambda(o3_lambda, first):
    (axis,) = first(spherical_components(), lambda axes: len(axes[0]) == 2 * o3_lambda + 1, 100)
    assert axis.names == ["o3_mu"]
    assert axis.values.flatten().tolist() == list(range(-o3_lambda, o3_lambda + 1))


@pytest.mark.parametrize("max_lambda", [0, 1, 7])
def test_spherical_components_are_up_to_max_lambda(max_lambda, drawn):
    sizes = {len(axis) for (axis,) in drawn(spherical_components(max_lambda=max_lambda), 100)}
    assert sizes == {2 * o3_lambda + 1 for o3_lambda in range(max_lambda + 1)}


@pytest.mark.parametrize(("more_than", "expected"), [(0, [0]), (1, [-1, 0, 1]), (3, [-2, -1, 0, 1, 2])])
def test_spherical_components_shrink_to_the_invariant_one(more_than, expected, minimal):
    (axis,) = minimal(spherical_components(), lambda axes: len(axes[0]) > more_than)
    assert axis.values.flatten().tolist() == expected


@pytest.mark.parametrize("bad", [-1, True, 1.0, None])
def test_bad_options_of_spherical_components_are_refused(bad, refused):
    with refused(InvalidArgument, f"max_lambda={bad!r} must be an int of at least 0"):
        spherical_components(max_lambda=bad)


# --- what is shrunk


@axes
def test_labels_that_are_not_sorted_shrink_to_two(axis, minimal):
    found = minimal(axis(), lambda x: x.values.tolist() != sorted(x.values.tolist()))
    assert found.values.tolist() in ([[1], [0]], [[0], [-1]])


@axes
@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (lambda x: True, []),
        (lambda x: len(x) == 1, [[0]]),
        (lambda x: len(x) > 2, [[0], [1], [2]]),
        (lambda x: len(x) > 0 and bool((x.values < 0).any()), [[-1]]),
        (lambda x: len(x) > 0 and bool((x.values > 9).any()), [[15]]),
        (lambda x: len(x) == 1 and len(x.names) == 2, [[0, 0]]),
        (lambda x: 0 not in x.values and len(x) > 0, [[1]]),
    ],
)
def test_labels_shrink_to_few_entries_counted_from_0(axis, predicate, expected, minimal):
    found = minimal(axis(), predicate)
    assert found.values.tolist() == expected
    first_names = {labels: "key", keys: "key", samples: "system", properties: "n"}
    assert found.names[0] == first_names[axis]


@axes
def test_two_entries_of_two_dimensions_shrink_to_one_more_in_one_place(axis, minimal):
    found = minimal(axis(), lambda x: len(x) == 2 and len(x.names) == 2)
    # a key that is drawn twice is left out, an entry of other labels counts up
    assert found.values.tolist() == ([[0, 0], [1, 0]] if axis is keys else [[0, 0], [0, 1]])


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (lambda x: True, []),
        (lambda x: x, [("xyz", [[0]])]),
        (lambda x: len(x) == 2, [("xyz", [[0]]), ("o3_mu", [[0]])]),
        (lambda x: any(len(c) > 1 for c in x), [("xyz", [[0], [1]])]),
    ],
)
def test_components_shrink_to_few_of_one_entry(predicate, expected, minimal):
    found = minimal(components(), predicate)
    assert [(c.names[0], c.values.tolist()) for c in found] == expected


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (lambda column: 2 in column, [[2]]),
        (lambda column: 9 in column, [[9]]),
        (lambda column: any(value < -1 for value in column), [[-2]]),
        (lambda column: SMALLEST in column, [[SMALLEST]]),
        (lambda column: any(a > b + 1 > 0 for a, b in itertools.pairwise(column)), [[2], [0]]),
    ],
)
def test_any_key_can_be_taken_away(predicate, expected, minimal):
    found = minimal(keys(), lambda x: predicate(x.values[:, 0].tolist()))
    assert found.values.tolist() == expected


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [(lambda v: v != 0, 1), (lambda v: v < 0, -1), (lambda v: v > 9, 15), (lambda v: v < -100, -128)],
)
def test_values_of_labels_shrink_to_0(predicate, expected, minimal):
    assert minimal(label_values(), predicate) == expected


# --- options


@axes
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_size": 5}, "min_size=5 must be at most max_size=4"),
        ({"min_size": 2, "max_size": 1}, "min_size=2 must be at most max_size=1"),
        ({"min_size": -1}, "min_size=-1 must be an int of at least 0"),
        ({"max_size": -1}, "max_size=-1 must be an int of at least 0"),
        ({"min_size": True}, "min_size=True must be an int of at least 0"),
        ({"max_size": True}, "max_size=True must be an int of at least 0"),
        ({"max_size": 2.0}, "max_size=2.0 must be an int of at least 0"),
        ({"max_size": None}, "max_size=None must be an int of at least 0"),
    ],
)
def test_bad_sizes_of_labels_are_refused(axis, options, message, refused):
    with refused(InvalidArgument, message):
        axis(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_size": 5}, "max_size=5 must be at most the 4 names of the alphabet"),
        ({"min_size": 4, "max_size": 3}, "min_size=4 must be at most max_size=3"),
        ({"min_size": 5}, "max_size=5 must be at most the 4 names of the alphabet"),
        ({"min_size": -1}, "min_size=-1 must be an int of at least 0"),
        ({"max_size": True}, "max_size=True must be an int of at least 0"),
        ({"alphabet": ["a"], "max_size": 2}, "max_size=2 must be at most the 1 names of the alphabet"),
        ({"alphabet": ["a", "b", "a"]}, "alphabet=['a', 'b', 'a'] must have distinct names"),
        *(
            (
                {"alphabet": bad},
                f"alphabet={bad!r} must be a list of names of ASCII letters, digits and _",
            )
            for bad in (3, ["a b"], ["a", 3], [["a"]], "a b")
        ),
    ],
)
def test_bad_options_of_names_are_refused(options, message, refused):
    with refused(InvalidArgument, message):
        dimension_names(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_components": -1}, "max_components=-1 must be an int from 0 to 3"),
        ({"max_components": 4}, "max_components=4 must be an int from 0 to 3"),
        ({"max_components": True}, "max_components=True must be an int from 0 to 3"),
        ({"max_size": 0}, "max_size=0 must be an int of at least 1"),
        ({"max_size": True}, "max_size=True must be an int of at least 1"),
    ],
)
def test_bad_options_of_components_are_refused(options, message, refused):
    with refused(InvalidArgument, message):
        components(**options)


@axes
@pytest.mark.parametrize("name", ["names", "values"])
@pytest.mark.parametrize("bad", [["a"], 3, "a"])
def test_options_of_labels_that_are_no_strategies_are_refused(axis, name, bad, refused):
    remedy = f"must be a strategy; for one value: hypothesis.strategies.just({bad!r})"
    with refused(InvalidArgument, f"{name}={bad!r} {remedy}"):
        axis(**{name: bad})


@axes
@pytest.mark.parametrize("bad", [["a", "a"], ["0"], []])
def test_names_that_labels_refuse_are_refused(axis, bad, drawn):
    with pytest.raises(ValueError, match=r"^names must "):
        drawn(axis(names=st.just(bad)), 1)


@axes
@pytest.mark.parametrize("bad", [2**31, -(2**31) - 1, 1.0, "1", None])
def test_values_that_labels_refuse_are_refused(axis, bad, drawn):
    message = re.escape(f"values gave {bad!r}, which is no 32-bit integer")
    with pytest.raises(InvalidArgument, match=rf"^{message}(\n|$)"):
        drawn(axis(values=st.just(bad), min_size=1), 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_value": 2**31}, "min_value=2147483648 must be a 32-bit integer"),
        ({"max_value": 2**31}, "max_value=2147483648 must be a 32-bit integer"),
        ({"min_value": -(2**31) - 1}, "min_value=-2147483649 must be a 32-bit integer"),
        ({"max_value": 2.0}, "max_value=2.0 must be a 32-bit integer"),
        ({"min_value": True}, "min_value=True must be a 32-bit integer"),
        ({"min_value": None}, "min_value=None must be a 32-bit integer"),
        ({"min_value": 4, "max_value": 3}, "min_value=4 must be at most max_value=3"),
    ],
)
def test_bad_bounds_of_values_of_labels_are_refused(options, message, refused):
    with refused(InvalidArgument, message):
        label_values(**options)
