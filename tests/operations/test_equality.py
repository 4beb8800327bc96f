"""What counts as equal, as close and as the same metadata; the first difference is named."""

import itertools

import pytest
import torch

from tmref import (
    Labels,
    NotEqualError,
    TensorBlock,
    TensorMap,
    allclose,
    allclose_raise,
    block_from_array,
    equal,
    equal_metadata,
    equal_metadata_raise,
    equal_raise,
    multiply,
)

PARTS = ("samples", "components", "properties")
ONE = TensorMap(Labels.range("k", 1), [block_from_array(torch.tensor([[1.0, 2.0], [0.0, 5.0]]))])


@pytest.mark.parametrize("check_gradients", [True, False])
@pytest.mark.parametrize(
    "check",
    ["all", *(list(c) for n in (1, 2, 3) for c in itertools.combinations(PARTS, n))],
    ids=str,
)
def test_equal_metadata_agrees_with_metatensor(check, check_gradients, maps, mts, to_mts):
    theirs = {name: to_mts(tensor) for name, tensor in maps.items()}
    outcomes = set()
    for a, b in itertools.product(maps, maps):
        expected = mts.equal_metadata(theirs[a], theirs[b], check, check_gradients)
        assert equal_metadata(maps[a], maps[b], check, check_gradients) is expected, (a, b)
        outcomes.add(expected)
    assert outcomes == {True, False}


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        ("plain", True),
        ("values", True),
        ("dtype", True),
        ("order of keys", True),
        ("another key", False),
        ("names of keys", False),
        ("fewer keys", False),
        ("no keys", False),
        ("order of samples", False),
        ("samples", False),
        ("components", False),
        ("properties", False),
        ("blocks exchanged", False),
    ],
)
def test_what_counts_as_equal(other, equal, maps):
    assert equal_metadata(maps["plain"], maps[other]) is equal
    assert equal_metadata(maps[other], maps["plain"]) is equal


@pytest.mark.parametrize("part", PARTS)
def test_only_the_parts_asked_for_count(part, maps):
    for other in PARTS:
        assert equal_metadata(maps["plain"], maps[other], check=[part]) is (part != other)
    assert equal_metadata(maps["plain"], maps[part], check=[])


@pytest.mark.parametrize(
    "other", ["gradients' parameter", "gradients' samples", "gradients' components", "no gradients"]
)
def test_gradients_count_unless_told_otherwise(other, maps):
    assert not equal_metadata(maps["gradients"], maps[other])
    assert equal_metadata(maps["gradients"], maps[other], check_gradients=False)
    assert equal_metadata(maps["gradients"], maps["gradients' values"])


def test_what_cannot_be_compared_is_refused(maps, refused):
    with refused(TypeError, "tensor_1 must be a TensorMap, got str"):
        equal_metadata("map", maps["plain"])
    with refused(TypeError, "tensor_2 must be a TensorMap, got TensorBlock"):
        equal_metadata(maps["plain"], maps["plain"][0])


@pytest.mark.parametrize("check", ["samples", "everything", ["samples", "values"], ["all"], 5, None])
def test_an_unknown_part_is_refused(check, maps, refused):
    message = (
        f"check must be \"all\" or a list of ['samples', 'components', 'properties'], got {check!r}"
    )
    with refused(ValueError, message):
        equal_metadata(maps["plain"], maps["plain"], check=check)


def test_a_map_with_the_same_labels_is_not_compared_entry_by_entry(maps, monkeypatch):
    again = maps["gradients"].copy()
    monkeypatch.setattr(Labels, "_entries", lambda self: pytest.fail("rows were read"))
    assert equal_metadata(maps["gradients"], again)


def test_equal_agrees_with_metatensor(maps, mts, to_mts):
    theirs = {name: to_mts(tensor) for name, tensor in maps.items()}
    outcomes = []
    for a, b in itertools.product(maps, maps):
        expected = mts.equal(theirs[a], theirs[b])
        assert equal(maps[a], maps[b]) is expected, (a, b)
        if maps[a].dtype == maps[b].dtype:  # metatensor refuses others
            assert allclose(maps[a], maps[b]) is mts.allclose(theirs[a], theirs[b]), (a, b)
        outcomes.append(expected)
    assert len(maps) <= sum(outcomes) < len(outcomes)


def changed(by):
    block = ONE[0]
    values = block.values + torch.tensor([[0.0, 0.0], [0.0, by]])
    return TensorMap(ONE.keys, [TensorBlock(values, block.samples, [], block.properties)])


@pytest.mark.parametrize("by", [0.0, 1e-6, 1e-3, 1.0, float("nan")])
@pytest.mark.parametrize(
    "tolerances", [{}, {"rtol": 1e-3}, {"atol": 1e-2}, {"equal_nan": True}], ids=str
)
def test_allclose_agrees_with_metatensor(by, tolerances, mts, to_mts):
    other = changed(by)
    for a, b in ((ONE, other), (other, ONE), (other, other)):
        expected = mts.allclose(to_mts(a), to_mts(b), **tolerances)
        assert allclose(a, b, **tolerances) is expected
        assert equal(a, b) is mts.equal(to_mts(a), to_mts(b))


def test_dtypes_do_not_count():
    double = ONE.to(torch.float64)
    assert equal(ONE, double)
    assert allclose(ONE, double)
    assert not allclose(ONE, multiply(double, 1 + 1e-9))
    assert allclose(ONE, multiply(double, 1 + 1e-9), rtol=1e-8)


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ("another key", "the second map has no block (a=1, b=1)"),
        ("names of keys", "the dimensions of the keys are ['a', 'b'] and ['a', 'c']"),
        ("fewer keys", "there are 2 and 1 blocks"),
        (
            "order of samples",
            "in the block (a=0, b=1), the samples are 2 of ['system'], but not the same ones in the "
            "same order",
        ),
        (
            "components",
            "in the block (a=0, b=1), the components are [3 of ['component_0']], but not the same ones "
            "in the same order",
        ),
        (
            "blocks exchanged",
            "in the block (a=0, b=1), the samples are 2 of ['system'] and 3 of ['system']",
        ),
        ("gradients", "in the block (a=0, b=1), the gradients are [] and ['positions']"),
    ],
)
def test_the_first_difference_is_named(other, difference, maps, refused):
    pair = maps["no gradients" if other == "gradients" else "plain"], maps[other]
    with refused(NotEqualError, f"the maps have different metadata: {difference}"):
        equal_metadata_raise(*pair)
    with refused(NotEqualError, f"the maps are not equal: {difference}"):
        equal_raise(*pair)
    with refused(NotEqualError, f"the maps are not close: {difference}"):
        allclose_raise(*pair)


def test_a_difference_in_gradients_is_named(maps, refused):
    start = "in the block (a=0, b=1), in the gradient 'positions', "
    difference = "the samples are 2 of ['sample', 'atom'], but not the same ones in the same order"
    with refused(NotEqualError, f"the maps have different metadata: {start}{difference}"):
        equal_metadata_raise(maps["gradients"], maps["gradients' samples"])
    equal_metadata_raise(maps["gradients"], maps["gradients' samples"], check_gradients=False)
    equal_metadata_raise(maps["gradients"], maps["gradients' samples"], ["components"])
    with refused(NotEqualError, f"the maps are not equal: {start}72 of 72 values differ"):
        equal_raise(maps["gradients"], maps["gradients' values"])


def test_how_many_values_differ(refused):
    with refused(NotEqualError, "the maps are not equal: in the block (k=0), 1 of 4 values differ"):
        equal_raise(ONE, changed(1e-3))
    with refused(NotEqualError, "the maps are not close: in the block (k=0), 1 of 4 values differ"):
        allclose_raise(ONE, changed(1e-3))
    allclose_raise(ONE, changed(1e-3), 1e-3)
    allclose_raise(ONE, changed(1e-3), 0.0, 1e-2)
    allclose_raise(changed(float("nan")), changed(float("nan")), equal_nan=True)
    equal_raise(ONE, ONE)


def test_the_error_is_no_other(mts):
    assert NotEqualError.__bases__ == mts.NotEqualError.__bases__ == (Exception,)


@pytest.mark.parametrize(
    "compare",
    [equal, equal_raise, allclose, allclose_raise, equal_metadata_raise],
    ids=lambda f: f.__name__,
)
def test_only_maps_are_compared(compare, refused):
    with refused(TypeError, "tensor_1 must be a TensorMap, got int"):
        compare(5, ONE)
    with refused(TypeError, "tensor_2 must be a TensorMap, got TensorBlock"):
        compare(ONE, ONE[0])
