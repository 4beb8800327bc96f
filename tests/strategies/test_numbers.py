import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from tmref.strategies import array_values, dyadic_numbers, unit_bound

MANY = settings(max_examples=100, database=None, deadline=None, derandomize=True)
NO_BOUNDS = [0, -1, 128, True, 2.0, "3"]


# --- single numbers


@MANY
@given(st.integers(1, 127).flatmap(lambda b: st.tuples(st.just(b), dyadic_numbers(bound=b))))
def test_numbers_are_multiples_of_an_eighth_within_the_bound(drawn):
    bound, number = drawn
    assert isinstance(number, float)
    assert (8 * number).is_integer()
    assert abs(number) <= bound / 8


@pytest.mark.parametrize("units", [-24, -23, -8, -1, 0, 1, 12, 24])
def test_every_number_within_the_default_bound_is_drawn(first, units):
    assert unit_bound() == 24
    assert first(dyadic_numbers(), lambda number: number == units / 8) == units / 8


@pytest.mark.parametrize("number", [127 / 8, -127 / 8])
def test_the_largest_bound_is_reached(first, number):
    assert first(dyadic_numbers(bound=127), lambda n: n == number, 2000) == number


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (lambda n: True, 0.0),
        (lambda n: n != 0, 1.0),
        (lambda n: n < 0, -1.0),
        (lambda n: not n.is_integer(), 0.5),
        (lambda n: not n.is_integer() and n < 0, -0.5),
        (lambda n: n > 2, 3.0),
        (lambda n: n < -1.5, -2.0),
        (lambda n: abs(n) == 0.25, 0.25),
        (lambda n: abs(n) == 1.125, 1.125),
    ],
)
def test_numbers_shrink_to_whole_small_positive_ones(minimal, predicate, expected):
    assert minimal(dyadic_numbers(), predicate) == expected


# --- the budget


def worst(bound, features, depth):
    """The sums, in units of 1/8, 1/8**2, ..., where every number is +bound: nothing cancels."""
    row = [bound] * features
    for layer in range(1, depth + 1):
        bias = bound * 8**layer  # bound / 8 in units of 1 / 8 ** (layer + 1)
        row = [sum(v * w for v, w in zip(row, [bound] * features, strict=True)) + bias for _ in row]
    return max(row, default=0)


@pytest.mark.parametrize(
    ("features", "depth"), [*itertools.product([1, 2, 4, 8, 100], [0, 1, 2]), (4, 3), (1, 5)]
)
def test_the_bound_is_the_largest_that_leaves_a_factor_of_64(features, depth):
    bound = unit_bound(features=features, depth=depth)
    assert 1 <= bound <= 127
    assert worst(bound, features, depth) < 2**24 / 64
    assert bound == 127 or worst(bound + 1, features, depth) >= 2**24 / 64


def test_the_default_is_two_layers_of_four_features():
    assert unit_bound() == unit_bound(features=4, depth=2) == 24
    assert unit_bound(features=4, depth=1) > 24 > unit_bound(features=8, depth=2)


@pytest.mark.parametrize(("features", "depth"), [(508, 2), (4, 7)])
def test_where_nothing_is_exact_the_bound_is_one(features, depth):
    assert worst(1, features, depth) >= 2**24 / 64
    assert unit_bound(features=features, depth=depth) == 1


# --- options


@pytest.mark.parametrize("bound", NO_BOUNDS)
@pytest.mark.parametrize("strategy", [dyadic_numbers, array_values])
def test_bad_bounds_are_refused(strategy, bound, refused):
    with refused(InvalidArgument, f"bound={bound!r} must be an int from 1 to 127"):
        strategy(bound=bound)


@pytest.mark.parametrize("name", ["features", "depth"])
@pytest.mark.parametrize("size", [-1, True, 2.0, None])
def test_bad_sizes_of_the_budget_are_refused(name, size, refused):
    with refused(InvalidArgument, f"{name}={size!r} must be an int of at least 0"):
        unit_bound(**{name: size})
