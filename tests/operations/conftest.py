"""Maps that the tests of operations share."""

import pytest
import torch

from tmref import Labels, TensorBlock, TensorMap


def pair(first, second, keys=((0, 1), (1, 1))):
    return TensorMap(Labels(["a", "b"], torch.tensor(keys)), [first, second])


def relabelled(block, samples=None, components=None, properties=None, values=None):
    again = TensorBlock(
        block.values if values is None else values,
        samples or block.samples,
        components or block.components,
        properties or block.properties,
    )
    for parameter, gradient in block.gradients():
        again.add_gradient(parameter, relabelled(gradient, properties=properties))
    return again


@pytest.fixture
def maps(block, with_gradient):
    """Maps by what is different in them."""

    def gradient(rows=(0, 1), extra=3, **kwargs):
        return [with_gradient(block(2, 3, 4), rows, extra, **kwargs) for _ in range(2)]

    one, two = block(2, 3, 4), block(3, 3, 1)
    reversed_rows = torch.tensor([[1], [0]])
    return {
        "plain": pair(one, two),
        "values": pair(relabelled(one, values=one.values + 1), two),
        "dtype": pair(block(2, 3, 4, dtype=torch.float32), block(3, 3, 1, dtype=torch.float32)),
        "order of keys": pair(two, one, ((1, 1), (0, 1))),
        "another key": pair(one, two, ((0, 1), (1, 2))),
        "blocks exchanged": pair(two, one),
        "names of keys": TensorMap(Labels(["a", "c"], torch.tensor([[0, 1], [1, 1]])), [one, two]),
        "names of keys permuted": TensorMap(
            Labels(["b", "a"], torch.tensor([[1, 0], [1, 1]])), [one, two]
        ),
        "fewer keys": TensorMap(Labels(["a", "b"], torch.tensor([[0, 1]])), [one]),
        "no keys": TensorMap(Labels.empty(["a", "b"]), []),
        "order of samples": pair(relabelled(one, samples=Labels("system", reversed_rows)), two),
        "samples": pair(one, relabelled(two, samples=Labels("system", torch.tensor([[0], [1], [9]])))),
        "components": pair(
            relabelled(one, components=[Labels("component_0", torch.tensor([[0], [1], [5]]))]), two
        ),
        "properties": pair(one, relabelled(two, properties=Labels("feature", torch.tensor([[4]])))),
        "gradients": pair(*gradient()),
        "gradients' values": pair(*gradient(seed=9)),
        "gradients' parameter": pair(*gradient(parameter="cell")),
        "gradients' samples": pair(*gradient(rows=(1, 0))),
        "gradients' components": pair(*gradient(extra=2)),
        "no gradients": pair(block(2, 3, 4), block(2, 3, 4)),
    }


@pytest.fixture
def two_blocks(block, with_gradient):
    """Two blocks with gradients with respect to positions and cell."""

    def build(seed=0):
        def of(size, shift):
            whole = block(size, 3, 2, seed=seed + shift)
            whole = with_gradient(whole, [0, 0, size - 1], 3, seed=seed + shift + 1)
            return with_gradient(whole, [size - 1], 2, 2, parameter="cell", seed=seed + shift + 2)

        return TensorMap(Labels(["a", "b"], torch.tensor([[0, 1], [1, 1]])), [of(2, 0), of(3, 10)])

    return build
