"""Slices, splits and filters: what is left, of gradients of gradients, too, and what is refused."""

import pytest
import torch

import tmref
from tmref import (
    Labels,
    TensorBlock,
    TensorMap,
    drop_blocks,
    drop_empty_blocks,
    filter_blocks,
    remove_gradients,
    slice_block,
    split,
    split_block,
)


@pytest.mark.parametrize(
    ("remove", "left"),
    [
        (None, []),
        ([], ["positions", "cell"]),
        (["cell"], ["positions"]),
        (("positions", "other"), ["cell"]),
        (["positions", "cell"], []),
    ],
)
def test_gradients_are_removed(remove, left, two_blocks, mts, to_mts):
    tensor = two_blocks()
    result = remove_gradients(tensor, remove)
    for block, old in zip(result, tensor, strict=True):
        assert block.values is old.values
        assert block.gradients_list() == left
        assert all(block.gradient(p).values is old.gradient(p).values for p in left)
    if remove != []:  # whose type TorchScript can't infer
        theirs = mts.remove_gradients(to_mts(tensor), remove if remove is None else list(remove))
        assert sorted(theirs.block(0).gradients_list()) == sorted(left)


def test_what_gradients_can_be_removed(two_blocks, refused):
    with refused(TypeError, "tensor must be a TensorMap, got TensorBlock"):
        remove_gradients(two_blocks()[0])
    with refused(TypeError, "remove must be a list of strings, got 'cell' of type str"):
        remove_gradients(two_blocks(), "cell")


KEYS = Labels(["a", "b"], torch.tensor([[0, 1], [1, 1], [1, 2]]))


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ("a b", [[0, 1], [1, 1], [1, 2]]),
        ("a b", [[1, 2], [7, 7], [0, 1]]),
        ("b a", [[2, 1], [1, 0]]),
        ("a", [[1]]),
        ("b", [[2], [1]]),
        ("b", [[5]]),
        ("a", []),
    ],
)
@pytest.mark.parametrize("copy", [True, False])
def test_filtered_blocks_agree_with_metatensor(copy, names, values, labels, block, mts, to_mts):
    tensor = TensorMap(KEYS, [block(2, 3, 4), block(3, 3, 1), block(1, 1, 1)])
    selection = labels(names, values)
    ours, theirs = (
        filter_blocks(tensor, selection, copy),
        mts.filter_blocks(to_mts(tensor), to_mts(selection), copy),
    )
    assert to_mts(ours.keys) == theirs.keys
    assert [tuple(b.shape) for b in ours] == [tuple(b.values.shape) for b in theirs.blocks()]
    for key, found in ours.items():
        assert torch.equal(found.values, tensor[key].values)
        assert (found.values is tensor[key].values) is not copy


def test_what_cannot_be_filtered_is_refused(two_blocks, refused):
    with refused(TypeError, "tensor must be a TensorMap, got int"):
        filter_blocks(5, KEYS)
    with refused(TypeError, "keys must be Labels, got list"):
        filter_blocks(two_blocks(), [0, 1])
    with refused(TypeError, "copy must be a bool, got 1 of type int"):
        filter_blocks(two_blocks(), KEYS, 1)
    with refused(ValueError, "no dimension 'c' in these labels, which have ['a', 'b']"):
        filter_blocks(two_blocks(), Labels("c", torch.tensor([[0]])))


def nested():
    """A block of three samples, whose gradient has a gradient."""
    properties = Labels("p", torch.tensor([[7], [5]]))

    def part(names, rows):
        values = torch.arange(2.0 * len(rows)).reshape(-1, 2)
        return TensorBlock(values, Labels(names, torch.tensor(rows)), [], properties)

    block, gradient = part(["s", "a"], [[0, 0], [0, 1], [1, 0]]), part(["sample", "i"], [[0, 9], [2, 9]])
    gradient.add_gradient("strain", part(["sample", "j"], [[1, 4], [0, 3], [1, 3]]))
    block.add_gradient("positions", gradient)
    return block


def test_samples_are_taken_with_their_gradients_and_these_with_theirs():
    y = slice_block(nested(), "samples", Labels("a", torch.tensor([[0], [8]])))
    assert y.samples.values.tolist() == [[0, 0], [1, 0]]
    assert y.gradient("positions").samples.values.tolist() == [[0, 9], [1, 9]]
    y = slice_block(nested(), "samples", torch.tensor([-1, 1]))
    assert y.values.tolist() == [[4, 5], [2, 3]]
    gradient = y.gradient("positions")
    assert gradient.samples.values.tolist() == [[0, 9]]
    assert gradient.gradient("strain").samples.values.tolist() == [[0, 4], [0, 3]]
    assert gradient.gradient("strain").values.tolist() == [[0, 1], [4, 5]]


def test_properties_are_taken_of_gradients_too():
    y = slice_block(nested(), "properties", [1, 0])
    for part in (y, y.gradient("positions"), y.gradient("positions").gradient("strain")):
        assert part.properties == Labels("p", torch.tensor([[5], [7]]))
        assert part.values[0].tolist() == [1, 0]


def test_selections_of_a_split_may_be_of_any_kind():
    x = TensorMap(Labels.range("key", 1), [nested()])
    x.set_info("of", "it")
    kinds = [Labels("a", torch.tensor([[1]])), [0], torch.tensor([], dtype=torch.int64), ()]
    parts = split(x, "samples", kinds)
    assert [len(part[0]) for part in parts] == [1, 1, 0, 0]
    assert parts[0].info() == x.info()
    assert [len(block) for block in split_block(x[0], "samples", kinds)] == [1, 1, 0, 0]
    assert split(x, "samples", []) == []


def test_blocks_are_dropped_by_some_dimensions_and_where_they_are_empty(block):
    x = TensorMap(KEYS, [block(2, 3, 4), block(0, 3, 1), block(1, 1, 0)])
    y = drop_blocks(x, Labels("a", torch.tensor([[1]])))
    assert y.keys.values.tolist() == [[0, 1]]
    assert y[0].values is x[0].values
    y = drop_empty_blocks(x, copy=True)
    assert y.keys.values.tolist() == [[0, 1]]
    assert y[0].values is not x[0].values


def test_what_cannot_be_sliced_is_refused(refused):
    x = TensorMap(Labels.range("key", 1), [nested()])
    with refused(TypeError, "tensor must be a TensorMap, got TensorBlock"):
        tmref.slice(x[0], "samples", [0])
    with refused(TypeError, "block must be a TensorBlock, got TensorMap"):
        slice_block(x, "samples", [0])
    with refused(ValueError, "axis must be 'samples' or 'properties', got 'keys'"):
        tmref.slice(x, "keys", [0])
    with refused(TypeError, "a selection must be Labels, a tensor or a list of integers, got int"):
        tmref.slice(x, "samples", 0)
    with refused(TypeError, "a selection must be Labels, a tensor or a list of integers, got list"):
        tmref.slice(x, "samples", [True])
    with refused(ValueError, "a selection must be a tensor of one axis, got the shape (1, 1)"):
        tmref.slice(x, "samples", torch.zeros((1, 1), dtype=torch.int64))
    with refused(
        TypeError, "a selection must be a tensor of positions, integers, got one of torch.bool"
    ):
        tmref.slice(x, "samples", torch.tensor([True]))
    with refused(ValueError, "no dimension 'b' in these labels, which have ['s', 'a']"):
        tmref.slice(x, "samples", Labels.range("b", 1))
    with refused(IndexError, "no entry 3 in the samples of a block, which has 3"):
        tmref.slice(x, "samples", [0, 3])
    with refused(
        ValueError,
        "positions must be distinct, as samples are, but of the 3 of a block some are there twice in "
        "[0, -3]",
    ):
        tmref.slice(x, "samples", [0, -3])
    with refused(TypeError, "selections must be a list of selections, got Labels"):
        split(x, "samples", Labels.range("a", 1))
    with refused(TypeError, "copy must be a bool, got 1 of type int"):
        drop_empty_blocks(x, 1)
