import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from tmref.strategies import dyadic_numbers, dyadic_tensors, unit_bound

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
        (lambda n: not (2 * n).is_integer(), 0.25),
        (lambda n: not (4 * n).is_integer() and n < 0, -0.125),
    ],
)
def test_numbers_shrink_to_whole_small_positive_ones(minimal, predicate, expected):
    assert minimal(dyadic_numbers(), predicate) == expected


# --- tensors


@MANY
@given(
    st.tuples(
        st.lists(st.integers(0, 4), max_size=4).map(tuple),
        st.sampled_from([torch.float64, torch.float32, torch.float16]),
        st.integers(1, 127),
    ).flatmap(lambda a: st.tuples(st.just(a), dyadic_tensors(a[0], dtype=a[1], bound=a[2])))
)
def test_tensors_have_their_shape_and_dtype_and_multiples_of_an_eighth_within_the_bound(drawn):
    (shape, dtype, bound), tensor = drawn
    assert (tuple(tensor.shape), tensor.dtype) == (shape, dtype)
    units = 8 * tensor.to(torch.float64)
    assert torch.equal(units, units.round())
    assert bool((units.abs() <= bound).all())


def test_every_place_of_a_tensor_gets_every_number(drawn):
    tensors = torch.stack(drawn(dyadic_tensors((17,), bound=2), 300))
    for place in tensors.T:
        assert {8 * v for v in place.tolist()} == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize("shape", [(8,), (2, 4), (5, 5)])
def test_tensors_are_not_mostly_zeros(drawn, shape):
    tensors = drawn(dyadic_tensors(shape), 300)
    assert sum(not bool(t.any()) for t in tensors) <= 60
    assert sum(bool((t == 0).any()) for t in tensors) < 300
    full = [t for t in tensors if bool(t.any())]
    assert sum(bool((t == 0).float().mean() < 0.5) for t in full) > len(full) / 2


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (lambda t: True, [0, 0, 0]),
        (lambda t: bool((t < 0).any()), [-1, 0, 0]),
        (lambda t: bool((t > 0).all()), [1, 1, 1]),
        (lambda t: float(t[1]) < 0, [0, -1, 0]),
        (lambda t: bool((t != t.round()).any()), [0.5, 0, 0]),
        (lambda t: float(t[0]) > 0 > float(t[2]), [1, 0, -1]),
    ],
)
def test_every_value_of_a_tensor_shrinks_by_itself(minimal, predicate, expected):
    assert minimal(dyadic_tensors((3,)), predicate).tolist() == expected


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
@pytest.mark.parametrize("strategy", [dyadic_numbers, lambda bound: dyadic_tensors((2,), bound=bound)])
def test_bad_bounds_are_refused(strategy, bound, refused):
    with refused(InvalidArgument, f"bound={bound!r} must be an int from 1 to 127"):
        strategy(bound=bound)


@pytest.mark.parametrize("size", [-1, True, 2.0])
def test_bad_shapes_are_refused(size, refused):
    with refused(InvalidArgument, f"shape={size!r} must be an int of at least 0"):
        dyadic_tensors((2, size))


@pytest.mark.parametrize("name", ["features", "depth"])
@pytest.mark.parametrize("size", [-1, True, 2.0, None])
def test_bad_sizes_of_the_budget_are_refused(name, size, refused):
    with refused(InvalidArgument, f"{name}={size!r} must be an int of at least 0"):
        unit_bound(**{name: size})
