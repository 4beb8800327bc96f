"""The dense twin: what it keeps of a map, and where it puts rows that are renamed, dropped or merged."""

import torch
from hypothesis import given

from tmref import Labels, TensorBlock
from tmref.compare import compare
from tmref.laws.dense import PROPERTIES, SAMPLES, Dense, to_map, twins, united
from tmref.strategies import tensor_maps

BLOCK = TensorBlock(
    torch.tensor([[1.0, 2.0], [4.0, 8.0]]),
    Labels(["s", "a"], torch.tensor([[3, 1], [3, 0]])),
    [],
    Labels.range("p", 2),
)
BLOCK.add_gradient(
    "g",
    TensorBlock(
        torch.tensor([[1.0, 0.5], [2.0, 0.25], [4.0, 8.0]]),
        Labels(["sample", "atom"], torch.tensor([[0, 7], [1, 7], [1, 8]])),
        [],
        Labels.range("p", 2),
    ),
)


@given(tensor_maps(max_gradients=1))
def test_a_map_is_its_twin(x):
    assert compare(to_map(x.keys.names, twins(x), x), x) is None


def test_rows_are_in_the_order_of_another_block_where_it_has_the_same():
    other = TensorBlock(
        torch.zeros(2, 2),
        Labels(["s", "a"], torch.tensor([[3, 0], [3, 1]])),
        [],
        Labels("p", torch.tensor([[5], [6]])),
    )
    made = Dense.of(BLOCK).to_block(other)
    assert made.samples == other.samples
    assert made.properties == BLOCK.properties
    assert made.values.tolist() == [[4, 8], [1, 2]]
    assert made.gradient("g").samples.values.tolist() == [[0, 7], [0, 8], [1, 7]]


def test_numbers_that_come_to_the_same_place_are_added():
    summed = Dense.of(BLOCK).moved(SAMPLES, lambda row: row[:1], ["s"]).to_block()
    assert summed.samples == Labels("s", torch.tensor([[3]]))
    assert summed.values.tolist() == [[5, 10]]
    assert summed.gradient("g").samples.values.tolist() == [[0, 7], [0, 8]]
    assert summed.gradient("g").values.tolist() == [[3, 0.75], [4, 8]]


def test_rows_without_a_place_are_left_out_of_gradients_too():
    cut = Dense.of(BLOCK).moved(SAMPLES, lambda row: row if row[1] else None).to_block()
    assert cut.values.tolist() == [[1, 2]]
    assert cut.gradient("g").samples.values.tolist() == [[0, 7]]
    last = Dense.of(BLOCK).moved(PROPERTIES, lambda row: row if row[0] else None).to_block()
    assert last.values.tolist() == [[2], [8]]
    assert last.gradient("g").values.tolist() == [[0.5], [0.25], [8]]


def test_what_no_block_has_is_filled():
    block = Dense.of(BLOCK)
    other = block.moved(SAMPLES, lambda row: (row[0], 5) if row[1] else None)
    other = other.moved(PROPERTIES, lambda row: (row[0] + 1,))
    both = united([block, other], fill=-1).to_block()
    assert both.samples.values.tolist() == [[3, 1], [3, 0], [3, 5]]
    assert both.values.tolist() == [[1, 2, -1], [4, 8, -1], [-1, 1, 2]]


def test_rows_are_sorted():
    block = Dense.of(BLOCK)
    assert block.sorted(SAMPLES).rows[SAMPLES] == ((3, 0), (3, 1))
    down = block.sorted(PROPERTIES, descending=True).to_block()
    assert down.values.tolist() == [[2, 1], [8, 4]]
    assert down.gradient("g").values.tolist() == [[0.5, 1], [0.25, 2], [8, 4]]
