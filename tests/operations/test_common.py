"""What operations have in common: inputs stay, results are owned, derivatives are those of autograd."""

import pytest
import torch

import tmref
from tmref import (
    Labels,
    TensorBlock,
    TensorMap,
    add,
    equal,
    equal_raise,
    filter_blocks,
    multiply,
    remove_gradients,
    sum_over_samples,
)


def frozen(tensor):
    """Everything in a map, to see later whether it is still the same."""
    return tensor.copy(), [id(v) for v in all_values(tensor)]


def all_values(tensor):
    return [v for b in tensor for v in (b.values, *(g.values for _, g in b.gradients()))]


def reordered(tensor):
    rows = tensor.keys.to("cpu").values.flip(0)
    return TensorMap(Labels(tensor.keys.names, rows).to(tensor.device), tensor.blocks()[::-1])


OPERATIONS = {
    "add 2": lambda t: add(t, 2),
    "add": lambda t: add(t, reordered(t)),
    "multiply by 2": lambda t: multiply(t, 2),
    "multiply": lambda t: multiply(t, reordered(t)),
    "remove_gradients": remove_gradients,
    "filter_blocks": lambda t: filter_blocks(t, t.keys),
    "sum_over_samples": lambda t: sum_over_samples(t, t.sample_names),
    "drop_blocks": lambda t: tmref.drop_blocks(t, Labels("a", torch.tensor([[5]]))),
    "drop_empty_blocks": tmref.drop_empty_blocks,
    "slice": lambda t: tmref.slice(t, "samples", [0]),
    "split": lambda t: tmref.split(t, "properties", [Labels("feature", torch.tensor([[1]]))])[0],
    "sort": lambda t: tmref.sort(t, descending=True),
    "join samples": lambda t: tmref.join([t, reordered(t)], "samples", add_dimension="of"),
    "join properties": lambda t: tmref.join([t, reordered(t)], "properties", add_dimension="of"),
    "append_dimension": lambda t: tmref.append_dimension(t, "samples", "new", 1),
    "rename_dimension": lambda t: tmref.rename_dimension(t, "properties", "feature", "n"),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_operations_leave_their_input_as_it_is(operation, two_blocks):
    tensor = two_blocks()
    before, identities = frozen(tensor)
    operation(tensor)
    assert [id(v) for v in all_values(tensor)] == identities
    equal_raise(tensor, before)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_a_map_without_blocks_stays_one(operation):
    empty = TensorMap(Labels.empty(["a", "b"]), [])
    assert equal(operation(empty), empty)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_results_are_owned_and_where_their_input_is(operation, two_blocks):
    result = operation(two_blocks().to("meta"))
    for block in result:
        for part in (block, *(g for _, g in block.gradients())):
            for labels in (part.samples, *part.components, part.properties):
                assert labels.device == part.device == torch.device("meta")
            with pytest.raises(ValueError, match="part of a TensorMap or a gradient"):
                part.add_gradient("z", part)
    assert result.keys.device == torch.device("meta")


def arranged(tensor, values):
    """The map with other values, in the order of ``all_values``."""
    values = iter(values)
    blocks = []
    for old in tensor:
        new = TensorBlock(next(values), old.samples, old.components, old.properties)
        for parameter, g in old.gradients():
            new.add_gradient(parameter, TensorBlock(next(values), g.samples, g.components, g.properties))
        blocks.append(new)
    return TensorMap(tensor.keys, blocks)


@pytest.mark.parametrize(
    "operation",
    [
        lambda a, b: add(a, reordered(b)),
        lambda a, b: multiply(a, reordered(b)),
        lambda a, b: add(multiply(a, 3), 2.5),
        lambda a, b: sum_over_samples(a, "system"),
        lambda a, b: filter_blocks(remove_gradients(a, ["cell"]), Labels("a", torch.tensor([[1]]))),
        lambda a, b: tmref.sort(tmref.join([a, reordered(b)], "samples", add_dimension="of")),
        lambda a, b: tmref.join([a, reordered(b)], "properties", add_dimension="of"),
        lambda a, b: tmref.slice(tmref.slice(a, "samples", [1, 0]), "properties", [1]),
    ],
    ids=[
        *("add", "multiply", "numbers", "sum_over_samples", "filter and remove"),
        *("join samples and sort", "join properties", "slice"),
    ],
)
def test_derivatives_of_operations(operation, two_blocks):
    tensors = two_blocks(0), two_blocks(50)
    inputs = [v.clone().requires_grad_() for t in tensors for v in all_values(t)]
    half = len(inputs) // 2

    def function(*values):
        maps = [arranged(t, v) for t, v in zip(tensors, (values[:half], values[half:]), strict=True)]
        return tuple(all_values(operation(*maps)))

    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)
