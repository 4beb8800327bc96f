import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from tmref import Labels, Permutation, Rotation, TensorMap, allclose, equal, equal_metadata, nn
from tmref.strategies import keys, permutations, rotations, sub_maps, tensor_maps

pytestmark = pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")

SOME = settings(max_examples=30, database=None, deadline=None, derandomize=True)
NOTHING = TensorMap(Labels.empty("key"), [])


@pytest.fixture
def three(block, tensor_map):
    """A map of three blocks of 2, 0 and 3 samples."""
    return tensor_map(Labels.range("key", 3), block(2, 1), block(0, 1), block(3, 1))


def linear(x, cls=nn.Linear):
    """A module of random parameters that fits x, in float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return cls(
            in_keys=x.keys,
            in_features=[len(block.properties) for block in x],
            out_features=[2 for _ in x],
            dtype=torch.float64,
        )


# --- parts of a map


def test_every_part_of_a_map_is_drawn_and_nothing_else(three, drawn):
    parts = drawn(sub_maps(three), 100)
    found = {tuple(part.keys.column("key").tolist()) for part in parts}
    assert found == {taken for n in range(4) for taken in itertools.combinations(range(3), n)}
    for part in parts:
        for key, block in part.items():
            assert block.values is three.block(key).values
            assert repr(block) == repr(three.block(key))


@SOME
@given(tensor_maps(max_gradients=2).flatmap(lambda x: st.tuples(st.just(x), sub_maps(x))))
def test_parts_of_maps_are_valid(checked, drawn):
    x, part = drawn
    checked(part)
    assert part.keys.names == x.keys.names
    assert [b.gradients_list() for b in part] == [x.block(key).gradients_list() for key in part.keys]


@pytest.mark.parametrize("min_blocks", [0, 1, 2, 3])
def test_parts_have_the_number_of_blocks_asked_for(min_blocks, three, drawn):
    parts = drawn(sub_maps(three, min_blocks=min_blocks), 60)
    assert {len(part) for part in parts} == set(range(min_blocks, 4))


@pytest.mark.parametrize(
    ("least", "predicate", "expected"),
    [
        (0, lambda part: True, []),
        (2, lambda part: True, [0, 1]),
        (0, lambda part: len(part) == 2, [0, 1]),
        (0, lambda part: any(len(block) == 3 for block in part), [2]),
        (2, lambda part: any(len(block) == 3 for block in part), [0, 2]),
    ],
)
def test_parts_shrink_to_few_blocks_the_first_ones(least, predicate, expected, three, minimal):
    part = minimal(sub_maps(three, min_blocks=least), predicate)
    assert part.keys.column("key").tolist() == expected


def test_the_part_of_a_map_on_another_device_is_there_too(three, drawn):
    for part in drawn(sub_maps(three.to(device="meta")), 10):
        assert part.keys.device.type == "meta"


@pytest.mark.parametrize("bad", [4, -1, True, 1.0, None])
def test_parts_that_there_are_not_are_refused(bad, three, refused):
    with refused(InvalidArgument, f"min_blocks={bad!r} must be an int from 0 to 3"):
        sub_maps(three, min_blocks=bad)


def test_a_map_of_no_blocks_has_one_part(drawn):
    assert {len(part) for part in drawn(sub_maps(NOTHING), 3)} == {0}


# --- permutations


def test_all_permutations_of_blocks_and_samples_are_drawn(three, drawn):
    found = drawn(permutations(three), 300)
    assert {p.keys for p in found} == set(itertools.permutations(range(3)))
    for i, size in enumerate([2, 0, 3]):
        orders = {p.samples[p.keys.index(i)] for p in found}
        assert orders == set(itertools.permutations(range(size)))


@pytest.mark.parametrize(
    ("options", "number_of_keys", "number_of_samples"),
    [({"keys": False}, 1, 12), ({"samples": False}, 6, 1), ({"keys": False, "samples": False}, 1, 1)],
)
def test_keys_and_samples_stay_where_asked_for(options, number_of_keys, number_of_samples, three, drawn):
    found = drawn(permutations(three, **options), 150)
    assert len({p.keys for p in found}) == number_of_keys
    of_blocks = {tuple(p.samples[p.keys.index(i)] for i in range(3)) for p in found}
    assert len(of_blocks) == number_of_samples


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (lambda p: True, "Permutation((0, 1, 2), samples=((0, 1), (), (0, 1, 2)))"),
        (lambda p: p.keys[0] != 0, "Permutation((1, 0, 2), samples=((), (0, 1), (0, 1, 2)))"),
        (lambda p: p.keys[0] == 2, "Permutation((2, 0, 1), samples=((0, 1, 2), (0, 1), ()))"),
        (lambda p: (1, 0) in p.samples, "Permutation((0, 1, 2), samples=((1, 0), (), (0, 1, 2)))"),
    ],
)
def test_permutations_shrink_to_what_changes_nothing(predicate, expected, three, minimal):
    found = minimal(permutations(three), predicate)
    assert repr(found) == expected
    assert eval(expected) == found


def test_the_first_permutation_is_the_identity(three, drawn):
    (first,) = drawn(permutations(three), 1)
    assert equal(first(three), three)


def test_a_map_of_no_blocks_has_the_identity_only(drawn):
    assert set(drawn(permutations(NOTHING), 3)) == {Permutation()}


@st.composite
def with_permutation(draw, **options):
    x = draw(tensor_maps(dtypes=st.just(torch.float64), max_gradients=2, **options))
    return x, draw(permutations(x))


@SOME
@given(with_permutation(min_blocks=2))
def test_permutations_commute_with_a_linear_module(drawn):
    x, p = drawn
    f = linear(x)
    assert allclose(f(p(x)), p(f(x)), rtol=1e-12, atol=1e-12)


def test_what_mixes_samples_does_not_commute(first):
    def cumulative(x):
        return TensorMap(x.keys, [b._map_values(lambda values: values.cumsum(0)) for b in x])

    def differs(drawn):
        x, p = drawn
        return not equal(cumulative(p(x)), p(cumulative(x)))

    assert first(with_permutation(), differs)


@SOME
@given(with_permutation())
def test_permuted_maps_are_valid(checked, drawn):
    x, p = drawn
    y = checked(p(x))
    assert sorted(y.keys.values.tolist()) == sorted(x.keys.values.tolist())
    assert [len(b) for b in y] == [len(x.block(key)) for key in y.keys]


# --- rotations


SPHERICAL = {"spherical": True, "dtypes": st.just(torch.float64), "min_blocks": 1}


def test_rotations_are_by_small_integers(drawn):
    found = drawn(rotations(), 300)
    assert {type(v) for r in found for v in r.quaternion} == {int}
    assert {v for r in found for v in r.quaternion} == {0, 1, -1, 2, -2, 3, -3}
    assert {r.inversion for r in found} == {True, False}
    assert len({r.quaternion for r in found}) > 150


def test_rotations_without_inversions_have_none(drawn):
    assert not any(r.inversion for r in drawn(rotations(inversions=False), 100))


def turn(axis, sign):
    quaternion = [1, 0, 0, 0]
    quaternion[axis] = sign
    return tuple(quaternion)


@pytest.mark.parametrize(
    "quaternion",
    [
        (1, 0, 0, 0),
        *(turn(axis, sign) for axis in (1, 2, 3) for sign in (1, -1)),
        (0, 1, 0, 0),
        (0, 0, 1, 0),
        (0, 0, 0, 1),
    ],
)
def test_half_and_quarter_turns_are_reached(quaternion, first):
    expected = Rotation(quaternion).matrix()

    def is_it(r):
        return torch.allclose(r.matrix(), expected, atol=1e-12)

    assert is_it(first(rotations(inversions=False), is_it, 3000))


def test_the_inversion_alone_is_reached(minimal):
    found = minimal(rotations(), lambda r: r.inversion)
    assert found == Rotation(inversion=True)
    assert torch.equal(found.matrix(), -torch.eye(3, dtype=torch.float64))


def test_the_first_rotation_is_the_identity(drawn):
    assert drawn(rotations(), 1) == [Rotation()]


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (lambda r: True, "Rotation((1, 0, 0, 0))"),
        (lambda r: r.inversion, "Rotation((1, 0, 0, 0), inversion=True)"),
        (lambda r: r.quaternion[0] == 0, "Rotation((0, 1, 0, 0))"),
        (lambda r: r.quaternion[3] != 0, "Rotation((0, 0, 0, 1))"),
        (lambda r: 0 not in r.quaternion, "Rotation((1, 1, 1, 1))"),
        (lambda r: r.quaternion[2] < -2, "Rotation((0, 0, -3, 0))"),
    ],
)
def test_rotations_shrink_to_simple_ones(predicate, expected, minimal):
    found = minimal(rotations(), predicate)
    assert repr(found) == expected
    assert eval(expected) == found


@SOME
@given(x=tensor_maps(max_gradients=1, **SPHERICAL), r=rotations())
def test_rotations_commute_with_an_equivariant_linear_module(x, r):
    f = linear(x, nn.EquivariantLinear)
    assert allclose(f(r(x)), r(f(x)), rtol=1e-10, atol=1e-10)
    assert equal_metadata(r(x), x)


def test_rotations_do_not_commute_with_a_bias_everywhere(first):
    def differs(drawn):
        x, r = drawn
        f = linear(x)
        return not allclose(f(r(x)), r(f(x)), rtol=1e-3, atol=1e-3)

    assert first(st.tuples(tensor_maps(**SPHERICAL), rotations()), differs)


def test_gradients_are_rotated_too(first):
    x = first(
        tensor_maps(max_gradients=1, **SPHERICAL),
        lambda x: any(
            k["o3_lambda"] == 1 and b.gradient("positions").values.any() for k, b in x.items()
        ),
    )
    r = Rotation((0, 1, 1, 1))
    for (key, block), rotated in zip(x.items(), r(x), strict=True):
        if key["o3_lambda"] == 1:
            before, after = (b.gradient("positions").values for b in (block, rotated))
            expected = torch.einsum("mn,...np->...mp", r.wigner(1), before)
            torch.testing.assert_close(after, expected)


# --- how they are drawn


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (rotations(), "rotations()"),
        (rotations(inversions=False), "rotations(inversions=False)"),
        (sub_maps(NOTHING, min_blocks=0), 'sub_maps(TensorMap(Labels.range("key", 0), [])'),
        (permutations(NOTHING, keys=False), 'permutations(TensorMap(Labels.range("key", 0), [])'),
    ],
)
def test_strategies_print_as_the_call_that_makes_them(strategy, expected):
    assert repr(strategy).startswith(expected)


@pytest.mark.parametrize("act", [sub_maps, permutations, lambda x: rotations()])
def test_hardly_a_draw_is_discarded(act, discarded):
    strategy = tensor_maps(keys=keys(max_size=4))
    assert discarded(lambda draw: draw(act(draw(strategy))), 100) <= 0.01
