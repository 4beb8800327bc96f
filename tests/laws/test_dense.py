"""The dense twin: what it keeps of a map, and where it puts rows that are renamed, dropped or merged."""

import torch
from hypothesis import given

from tmref import Labels, TensorBlock
from tmref.compare import compare
from tmref.laws.dense import PROPERTIES, SAMPLES, Dense, split, to_map, twins, united
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


def test_components_of_what_has_no_numbers_do_not_count():
    first = Dense.of(BLOCK)
    other = TensorBlock(
        torch.zeros(0, 2, 1), Labels.empty("s"), [Labels.range("c", 2)], Labels.range("p", 1)
    )
    more = TensorBlock(
        torch.ones(1, 1, 1), Labels.range("s", 1), [Labels.range("c", 1)], Labels.range("p", 1)
    )
    assert united([Dense.of(other), Dense.of(more)]).rows[1] == ((0,),)
    assert united([Dense.of(other)] * 2, like=Dense.of(more)).rows[1] == ((0,), (1,))
    assert united([first, first]).rows == first.rows


def test_rows_are_added_and_put_in_order():
    block = Dense.of(BLOCK).with_rows(PROPERTIES, [(1,), (7,)], fill=5).to_block()
    assert block.properties.values.tolist() == [[1], [7]]
    assert block.values.tolist() == [[2, 5], [8, 5]]
    assert block.gradient("g").values.tolist() == [[0.5, 5], [0.25, 5], [8, 5]]


def test_samples_keep_their_order_where_it_is_promised():
    samples = Labels(["s", "a"], torch.tensor([[3, 0], [3, 1]]))
    other = TensorBlock(torch.zeros(2, 2), samples, [], Labels.range("p", 2))
    assert Dense.of(BLOCK).to_block(other).samples == samples
    assert Dense.of(BLOCK).to_block(other, ordered=True).samples == BLOCK.samples


def test_a_gradient_has_the_order_of_its_values_where_the_other_block_has_none():
    properties = Labels("p", torch.tensor([[1], [0]]))
    other = TensorBlock(torch.zeros(2, 2), BLOCK.samples, [], properties)
    made = Dense.of(BLOCK).to_block(other)
    assert made.gradient("g").properties == made.properties == properties
    assert made.gradient("g").values.tolist() == [[0.5, 1], [0.25, 2], [8, 4]]


def test_keys_are_split_by_some_of_their_dimensions():
    names, groups = split(["a", "b"], {(0, 1): "x", (2, 1): "y", (0, 3): "z"}, ["a"])
    assert names == ["b"]
    assert groups == {(1,): [((0,), "x"), ((2,), "y")], (3,): [((0,), "z")]}


def test_rows_are_sorted():
    block = Dense.of(BLOCK)
    assert block.sorted(SAMPLES).rows[SAMPLES] == ((3, 0), (3, 1))
    down = block.sorted(PROPERTIES, descending=True).to_block()
    assert down.values.tolist() == [[2, 1], [8, 4]]
    assert down.gradient("g").values.tolist() == [[0.5, 1], [0.25, 2], [8, 4]]
