"""Distinct metadata: of all blocks, of gradients, of none, and what is refused."""

import torch

from tmref import Labels, TensorBlock, TensorMap, unique_metadata, unique_metadata_block


def block(rows, atoms=()):
    samples = Labels(["s", "a"], torch.tensor(rows, dtype=torch.int32).reshape(-1, 2))
    made = TensorBlock(torch.zeros(len(samples), 1), samples, [], Labels.range("p", 1))
    rows = Labels(["sample", "atom"], torch.tensor([[0, i] for i in atoms]).reshape(-1, 2))
    made.add_gradient("g", TensorBlock(torch.zeros(len(rows), 1), rows, [], made.properties))
    return made


X = TensorMap(
    Labels.range("key", 3),
    [block([[2, 1], [-1, 1], [2**31 - 1, 0]], [9, 4]), block([[2, 5]], [4, 3]), block([])],
)


def test_rows_are_distinct_and_in_order():
    assert unique_metadata(X, "samples", "s") == Labels("s", torch.tensor([[-1], [2], [2**31 - 1]]))
    found = unique_metadata(X, "samples", ("a", "s"))
    rows = [[0, 2**31 - 1], [1, -1], [1, 2], [5, 2]]
    assert found == Labels(["a", "s"], torch.tensor(rows))
    assert unique_metadata(X, "samples", ["atom"], "g").values.tolist() == [[3], [4], [9]]
    assert unique_metadata(X, "properties", "p", gradient="g") == Labels.range("p", 1)
    assert unique_metadata_block(X[1], "samples", "atom", "g").values.tolist() == [[3], [4]]


def test_there_are_none_where_there_are_no_entries():
    assert unique_metadata_block(X[2], "samples", ["a", "s"]) == Labels.empty(["a", "s"])
    assert unique_metadata(TensorMap(Labels.empty("key"), []), "samples", "s") == Labels.empty("s")
    assert unique_metadata(X.to("meta"), "samples", "s").device.type == "meta"


def test_what_there_is_no_metadata_of_is_refused(refused):
    with refused(TypeError, "tensor must be a TensorMap, got TensorBlock"):
        unique_metadata(X[0], "samples", "s")
    with refused(TypeError, "block must be a TensorBlock, got TensorMap"):
        unique_metadata_block(X, "samples", "s")
    with refused(ValueError, "axis must be 'samples' or 'properties', got 'keys'"):
        unique_metadata(X, "keys", "key")
    with refused(TypeError, "names must be a list of strings, got 5 of type int"):
        unique_metadata(X, "samples", 5)
    with refused(ValueError, "no dimension 'b' in the samples, which have ['s', 'a']"):
        unique_metadata(X, "samples", "b")
    with refused(ValueError, "names must be distinct, got 's' twice in ['s', 's']"):
        unique_metadata(X, "samples", ["s", "s"])
    with refused(ValueError, "no gradient with respect to 'h', the block has ['g']"):
        unique_metadata(X, "samples", "s", "h")
