"""Blocks of arrays: as metatensor makes them, how their axes are named, and what is refused."""

import pytest
import torch

from tmref import Labels, block_from_array


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 5, 1, 4), (0, 3), (2, 0), (0, 1, 0)])
def test_block_from_array_agrees_with_metatensor(shape, mts):
    array = torch.randn(shape)
    ours, theirs = block_from_array(array), mts.block_from_array(array)
    assert ours.values is array
    for mine, other in zip(
        [ours.samples, *ours.components, ours.properties],
        [theirs.samples, *theirs.components, theirs.properties],
        strict=True,
    ):
        assert mine.names == other.names
        assert mine.values.tolist() == other.values.tolist()


def test_block_from_array_names_its_axes():
    block = block_from_array(torch.zeros(2, 3, 4, 5))
    assert block.samples == Labels.range("sample", 2)
    assert block.components == [Labels.range("component_1", 3), Labels.range("component_2", 4)]
    assert block.properties == Labels.range("property", 5)


def test_block_from_array_is_where_the_array_is():
    block = block_from_array(torch.zeros(2, 3, device="meta"))
    assert block.device == block.samples.device == block.properties.device == torch.device("meta")


def test_what_makes_no_block_is_refused(refused):
    with refused(TypeError, "array must be a torch.Tensor, got list"):
        block_from_array([[1.0]])
    for shape in [(), (3,)]:
        message = f"array must have at least two axes, samples and properties, got the shape {shape}"
        with refused(ValueError, message):
            block_from_array(torch.zeros(shape))
