"""Sorting: lexicographic order of the largest numbers, gradients of gradients, and what is refused."""

import random

import pytest
import torch

from tmref import Labels, TensorBlock, TensorMap, sort, sort_block

LEAST, MOST = -(2**31), 2**31 - 1


def block(samples, gradient=(), further=()):
    labels = Labels(["s", "a"], torch.tensor(samples).reshape(-1, 2))
    properties = Labels("p", torch.tensor([[5], [3]]))
    component = Labels("xyz", torch.tensor([[2], [0], [1]]))

    def values(n, *shape):
        return torch.arange(n * 2 * torch.tensor(shape).prod()).reshape(n, *shape, 2).double()

    made = TensorBlock(values(len(labels), 1), labels, [Labels.range("c", 1)], properties)
    if gradient:
        rows = Labels(["sample", "atom"], torch.tensor(gradient))
        components = [component, Labels.range("c", 1)]
        of = TensorBlock(values(len(rows), 3, 1), rows, components, properties)
        if further:
            rows = Labels(["sample", "b"], torch.tensor(further))
            of.add_gradient("strain", TensorBlock(values(len(rows), 3, 1), rows, components, properties))
        made.add_gradient("positions", of)
    return made


@pytest.mark.parametrize("descending", [False, True])
def test_rows_are_in_the_order_of_tuples(descending):
    random.seed(0)
    numbers = [LEAST, LEAST + 1, -1, 0, 1, MOST - 1, MOST]
    rows = [[a, b, c] for a in numbers for b in numbers for c in numbers]
    random.shuffle(rows)
    labels = Labels(["a", "b", "c"], torch.tensor(rows))
    values = torch.arange(len(rows)).reshape(-1, 1)
    x = TensorMap(labels, [TensorBlock(v[None], Labels.single(), [], Labels.single()) for v in values])
    y = sort(x, "keys", descending)
    assert y.keys.values.tolist() == sorted(rows, reverse=descending)
    assert [rows[int(b.values)] for b in y] == y.keys.values.tolist()
    samples = sort_block(TensorBlock(values, labels, [], Labels.single()), descending=descending)
    assert samples.samples.values.tolist() == sorted(rows, reverse=descending)
    assert [rows[i] for i in samples.values.flatten().tolist()] == samples.samples.values.tolist()


def test_gradients_follow_their_samples_and_gradients_of_gradients_theirs():
    y = sort_block(
        block([[1, 0], [0, 9], [0, 2]], [[0, 4], [2, 1], [2, 0]], [[0, 1], [1, 1], [2, 0]]), "samples"
    )
    assert y.samples.values.tolist() == [[0, 2], [0, 9], [1, 0]]
    gradient = y.gradient("positions")
    assert gradient.samples.values.tolist() == [[0, 0], [0, 1], [2, 4]]
    assert gradient.values[:, 0, 0, 0].tolist() == [12, 6, 0]
    strain = gradient.gradient("strain")
    assert strain.samples.values.tolist() == [[0, 0], [1, 1], [2, 1]]
    assert strain.values[:, 0, 0, 0].tolist() == [12, 6, 0]


def test_only_the_axes_asked_for_are_sorted():
    x = block([[1, 0], [0, 0]], [[0, 4]])
    for axes in ("properties", ["properties"], ("properties",)):
        y = sort_block(x, axes)
        assert y.properties.values.tolist() == [[3], [5]]
        assert y.values[0, 0].tolist() == [1, 0]
        assert y.samples == x.samples
    components = sort_block(x, "components").gradient("positions")
    assert components.components[0].values.tolist() == [[0], [1], [2]]
    assert components.values[0, :, 0, 0].tolist() == [2, 4, 0]


def test_a_list_of_axes_stays_and_empty_blocks_are_sorted():
    axes = ["keys", "properties"]
    x = TensorMap(Labels("key", torch.tensor([[1], [0]])), [block([]), block([[0, 0]])])
    y = sort(x, axes)
    assert axes == ["keys", "properties"]
    assert [b.properties.values.tolist() for b in y] == [[[3], [5]]] * 2
    assert [len(b) for b in y] == [1, 0]


def test_a_sorted_map_says_what_the_map_said():
    x = TensorMap(Labels.range("key", 1), [block([[0, 0]])])
    x.set_info("a", "b")
    assert sort(x).info() == sort(x, "samples").info() == {"a": "b"}


def test_what_cannot_be_sorted_is_refused(refused):
    x = TensorMap(Labels.range("key", 1), [block([[0, 0]])])
    with refused(TypeError, "tensor must be a TensorMap, got TensorBlock"):
        sort(x[0])
    with refused(TypeError, "block must be a TensorBlock, got TensorMap"):
        sort_block(x)
    with refused(TypeError, "axes must be a list of strings, got 1 of type int"):
        sort(x, 1)
    with refused(TypeError, "descending must be a bool, got 1 of type int"):
        sort(x, "all", 1)
    with refused(
        ValueError, "axes must be \"all\" or some of ['samples', 'components', 'properties'], got 'keys'"
    ):
        sort_block(x[0], ["samples", "keys"])
