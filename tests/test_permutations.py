"""Permutations of blocks and samples: a group that acts on maps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tmref import Labels, Permutation, TensorMap, equal, equal_metadata
from tmref.strategies import permutations, tensor_maps

SOME = settings(max_examples=60, database=None, deadline=None, derandomize=True)


def identity(x):
    return Permutation(tuple(range(len(x))), tuple(tuple(range(len(block))) for block in x))


def product(p, q):
    """p q, the permutation q and then p."""
    samples = []
    for i, order in zip(p.keys, p.samples, strict=True):
        samples.append(tuple(q.samples[i][j] for j in order))
    return Permutation(tuple(q.keys[i] for i in p.keys), tuple(samples))


def inverse(p):
    at = [p.keys.index(i) for i in range(len(p.keys))]
    return Permutation(
        tuple(at), tuple(tuple(p.samples[i].index(j) for j in range(len(p.samples[i]))) for i in at)
    )


def gradient_rows(block, parameter="positions"):
    """What a gradient says: the sample differentiated, the rest of its label, and the numbers."""
    gradient = block.gradient(parameter)
    rows = [tuple(row) for row in gradient.samples.values.tolist()]
    return {
        (tuple(block.samples[row[0]]), row[1:], str(values))
        for row, values in zip(rows, gradient.values.tolist(), strict=True)
    }


with_permutations = given(
    tensor_maps(max_gradients=2).flatmap(
        lambda x: st.tuples(st.just(x), permutations(x), st.randoms(use_true_random=False))
    )
)


def another(p, rng):
    """A permutation of what p gives."""
    keys = rng.sample(range(len(p.keys)), len(p.keys))
    return Permutation(
        tuple(keys),
        tuple(tuple(rng.sample(range(len(s)), len(s))) for s in (p.samples[i] for i in keys)),
    )


# --- a group


@SOME
@with_permutations
def test_the_identity_changes_nothing(drawn):
    x, _, _ = drawn
    assert equal(identity(x)(x), x)


@SOME
@with_permutations
def test_products_act_one_after_the_other(drawn):
    x, q, rng = drawn
    p = another(q, rng)
    assert equal(p(q(x)), product(p, q)(x))


@SOME
@with_permutations
def test_what_is_undone_is_as_it_was(drawn):
    x, p, _ = drawn
    for back in (inverse(p)(p(x)), p(inverse(p)(x)) if fits(inverse(p), x) else x):
        assert equal(back, x)


def fits(p, x):
    sizes = dict(zip(p.keys, map(len, p.samples), strict=True))
    return [len(block) for block in x] == [sizes[i] for i in range(len(sizes))]


def test_the_laws_of_a_group_would_notice_a_wrong_product():
    p = Permutation((1, 2, 0), ((), (), ()))
    q = Permutation((1, 0, 2), ((), (), ()))
    assert product(p, q) != product(q, p)
    assert product(p, inverse(p)) == product(inverse(p), p) == Permutation((0, 1, 2), ((), (), ()))


# --- what it does


def test_blocks_and_samples_are_where_it_says(block, tensor_map):
    x = tensor_map(Labels.range("key", 3), block(2, 1), block(3, 1, seed=1), block(1, 1, seed=2))
    y = Permutation((1, 2, 0), ((2, 0, 1), (0,), (1, 0)))(x)
    assert y.keys.values.tolist() == [[1], [2], [0]]
    assert [b.samples.values.flatten().tolist() for b in y] == [[2, 0, 1], [0], [1, 0]]
    expected = [x[1].values[[2, 0, 1]], x[2].values, x[0].values[[1, 0]]]
    assert all(torch.equal(b.values, v) for b, v in zip(y, expected, strict=True))


@SOME
@with_permutations
def test_every_number_keeps_its_labels(drawn):
    x, p, _ = drawn
    y = p(x)
    for key, block in x.items():
        moved = y[y.keys.position(key)]
        assert (moved.components, moved.properties) == (block.components, block.properties)
        for i, entry in enumerate(block.samples):
            assert torch.equal(moved.values[moved.samples.position(entry)], block.values[i])
        assert moved.gradients_list() == block.gradients_list()
        for parameter in block.gradients_list():
            assert gradient_rows(moved, parameter) == gradient_rows(block, parameter)
            assert len(moved.gradient(parameter)) == len(block.gradient(parameter))


def test_rows_of_gradients_stay_and_follow_their_samples(block, with_gradient, tensor_map):
    x = tensor_map(Labels.range("key", 1), with_gradient(block(3, 2), [0, 0, 2], 3))
    gradient = Permutation((0,), ((2, 0, 1),))(x)[0].gradient("positions")
    assert gradient.samples.values.tolist() == [[1, 0], [1, 1], [0, 2]]
    assert torch.equal(gradient.values, x[0].gradient("positions").values)
    assert gradient.components == x[0].gradient("positions").components


def test_gradients_of_gradients_keep_their_rows(block, with_gradient, tensor_map):
    inner = with_gradient(block(1, 2), [0]).gradient("positions")
    deepest = with_gradient(block(1, 2, seed=3), [0], seed=4).gradient("positions")
    inner = inner.copy()
    inner.add_gradient("cell", deepest)
    outer = block(2, 2)
    outer.add_gradient("positions", inner)
    x = tensor_map(Labels.range("key", 1), outer)
    moved = Permutation((0,), ((1, 0),))(x)[0].gradient("positions")
    assert moved.samples.values.tolist() == [[1, 0]]
    assert moved.gradients_list() == ["cell"]
    assert moved.gradient("cell").samples == deepest.samples
    assert torch.equal(moved.gradient("cell").values, deepest.values)


def test_it_acts_on_other_maps_of_its_sizes(block, tensor_map):
    p = Permutation((1, 0), ((0, 1), (0,)))
    x = tensor_map(Labels.range("key", 2), block(1, 3), block(2, 1))
    y = tensor_map(Labels("other", torch.tensor([[7], [5]])), block(1, 0, seed=5), block(2, 4, seed=6))
    assert p(x).keys.values.tolist() == [[1], [0]]
    assert p(y).keys.values.tolist() == [[5], [7]]


def test_a_map_of_no_blocks_has_one_permutation():
    x = TensorMap(Labels.empty(["key", "other"]), [])
    assert Permutation()(x).keys == x.keys
    assert len(Permutation()(x)) == 0


def test_the_map_it_acts_on_stays_as_it_is(block, with_gradient, tensor_map):
    x = tensor_map(Labels.range("key", 1), with_gradient(block(3, 2), [0, 2], 3))
    before = repr(x)
    y = Permutation((0,), ((0, 1, 2),))(x)
    for made in (y[0], y[0].gradient("positions")):
        made.values.zero_()
    assert repr(x) == before
    assert repr(y) != before


def test_autograd_goes_through(block, with_gradient, tensor_map):
    x = tensor_map(
        Labels.range("key", 2), with_gradient(block(3, 2), [0, 2], 3), with_gradient(block(2, 2), [], 3)
    )
    leaves = [v.requires_grad_() for b in x for v in (b.values, b.gradient("positions").values)]
    y = Permutation((1, 0), ((1, 0), (2, 0, 1)))(x)
    weights = torch.arange(1.0, 7, dtype=torch.float64).reshape(3, 2)
    total = (
        (y[1].values * weights).sum()
        + 5 * y[0].values.sum()
        + 7 * y[1].gradient("positions").values.sum()
    )
    total.backward()
    assert leaves[0].grad.tolist() == weights[[1, 2, 0]].tolist()
    assert bool((leaves[1].grad == 7).all())
    assert bool((leaves[2].grad == 5).all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.int8, torch.bool, torch.complex64])
def test_dtypes_and_devices_stay(dtype, block, tensor_map):
    x = tensor_map(Labels.range("key", 1), block(2, 1)).to(dtype=dtype)
    p = Permutation((0,), ((1, 0),))
    assert p(x)[0].dtype == dtype
    assert p(x)[0].values.tolist() == x[0].values.flip(0).tolist()
    moved = p(x.to(device="meta"))
    assert (moved.keys.device.type, moved[0].device.type) == ("meta", "meta")
    assert equal_metadata(moved, p(x).to(device="meta"))


def test_gradients_on_the_meta_device_follow(block, with_gradient, tensor_map):
    x = tensor_map(Labels.range("key", 1), with_gradient(block(3, 2), [0, 2], 3))
    p = Permutation((0,), ((2, 0, 1),))
    gradient = p(x.to(device="meta"))[0].gradient("positions")
    assert gradient.samples.device.type == gradient.device.type == "meta"
    assert gradient.samples == p(x)[0].gradient("positions").samples


# --- as a value


def test_permutations_compare_and_hash_by_value():
    one, same = Permutation((1, 0), ((), (0,))), Permutation((1, 0), ((), (0,)))
    assert one == same
    assert len({one, same, Permutation((0, 1), ((), (0,)))}) == 2


@pytest.mark.parametrize(
    ("permutation", "code"),
    [
        (Permutation(), "Permutation(())"),
        (Permutation((0,), ((),)), "Permutation((0,), samples=((),))"),
        (Permutation((1, 0), ((1, 0), (0,))), "Permutation((1, 0), samples=((1, 0), (0,)))"),
    ],
)
def test_the_repr_is_code_that_makes_it(permutation, code):
    assert repr(permutation) == code
    assert eval(code) == permutation


# --- what is refused


@pytest.mark.parametrize(
    ("keys", "samples", "message"),
    [
        ((0, 0), ((), ()), "keys must be 0, 1, 2, ... in some order, got (0, 0)"),
        ((1, 2), ((), ()), "keys must be 0, 1, 2, ... in some order, got (1, 2)"),
        ((-1, 0), ((), ()), "keys must be 0, 1, 2, ... in some order, got (-1, 0)"),
        ((0,), ((0, 2),), "samples must be 0, 1, 2, ... in some order, got (0, 2)"),
        ((0, 1), ((0,), (1,)), "samples must be 0, 1, 2, ... in some order, got (1,)"),
        ((0, 1), ((0,),), "samples must be of as many blocks as there are keys, 2, got 1"),
        ((), ((0,),), "samples must be of as many blocks as there are keys, 0, got 1"),
    ],
)
def test_what_is_no_permutation_is_refused(keys, samples, message, refused):
    with refused(ValueError, message):
        Permutation(keys, samples)


@pytest.mark.parametrize(
    ("permutation", "expected"),
    [
        (Permutation((1, 0), ((0,), (0, 1))), "[2, 1], got blocks of [1, 2]"),
        (Permutation((0, 1), ((0,), (0, 1, 2))), "[1, 3], got blocks of [1, 2]"),
        (Permutation((0,), ((0,),)), "[1], got blocks of [1, 2]"),
        (Permutation(), "[], got blocks of [1, 2]"),
    ],
)
def test_maps_of_other_sizes_are_refused(permutation, expected, block, tensor_map, refused):
    x = tensor_map(Labels.range("key", 2), block(1, 1), block(2, 1))
    with refused(
        ValueError, f"the permutation is for blocks of {expected.replace(', got', ' samples, got')}"
    ):
        permutation(x)
