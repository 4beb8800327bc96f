"""Joins: where rows go, what gradients of gradients become, and what is refused."""

import pytest
import torch

import tmref
from tmref import Labels, NotEqualError, TensorBlock, TensorMap, join, join_blocks

KEYS = Labels.range("key", 1)


def made(samples, properties, start=0.0, *, names=("s", "a"), rows=(), dtype=torch.float64):
    """A block of counted values, with a gradient of the rows, which has one itself."""
    labels = Labels(list(names), torch.tensor(samples, dtype=torch.int32).reshape(-1, len(names)))
    columns = Labels("p", torch.tensor(properties, dtype=torch.int32).reshape(-1, 1))

    def values(n):
        return start + torch.arange(n * len(columns), dtype=dtype).reshape(n, len(columns))

    block = TensorBlock(values(len(labels)), labels, [], columns)
    if rows:
        samples = Labels(["sample", "atom"], torch.tensor(rows))
        gradient = TensorBlock(values(len(rows)), samples, [], columns)
        last = Labels(["sample", "strain"], torch.tensor([[len(rows) - 1, 5]]))
        gradient.add_gradient("strain", TensorBlock(values(1), last, [], columns))
        block.add_gradient("positions", gradient)
    return block


def of(*blocks):
    return TensorMap(Labels.range("key", len(blocks)), list(blocks))


def test_samples_go_below_each_other_and_gradients_with_them():
    first = made([[0, 0], [0, 1]], [4], rows=[[1, 7]])
    second = made([[1, 0]], [4], 10.0, rows=[[0, 7], [0, 8]])
    y = join_blocks([first, second], "samples")
    assert y.samples.values.tolist() == [[0, 0], [0, 1], [1, 0]]
    assert y.values.tolist() == [[0], [1], [10]]
    gradient = y.gradient("positions")
    assert gradient.samples.values.tolist() == [[1, 7], [2, 7], [2, 8]]
    assert gradient.values.tolist() == [[0], [10], [11]]
    assert gradient.gradient("strain").samples.values.tolist() == [[0, 5], [2, 5]]
    assert gradient.gradient("strain").values.tolist() == [[0], [10]]


def test_properties_go_beside_each_other_and_lacking_gradients_are_zero():
    first = made([[0, 0], [0, 1]], [4], 1.0, rows=[[1, 7]])
    second = made([[0, 0], [0, 1]], [3, 5], 10.0, rows=[[0, 7], [1, 7]])
    y = join_blocks([first, second], "properties")
    assert y.properties.values.tolist() == [[4], [3], [5]]
    assert y.values.tolist() == [[1, 10, 11], [2, 12, 13]]
    gradient = y.gradient("positions")
    assert gradient.samples.values.tolist() == [[1, 7], [0, 7]]
    assert gradient.values.tolist() == [[1, 12, 13], [0, 10, 11]]
    strain = gradient.gradient("strain")
    assert strain.samples.values.tolist() == [[0, 5]]
    assert strain.values.tolist() == [[1, 10, 11]]


def test_the_added_dimension_is_the_number_of_the_map_also_of_one():
    x = of(made([[3, 0]], [4]))
    for many in (1, 3):
        y = join([x] * many, "samples", add_dimension="of")
        assert y.sample_names == ["s", "a", "of"]
        assert y[0].samples.values.tolist() == [[3, 0, i] for i in range(many)]


def test_properties_of_different_names_are_numbered_where_a_map_lacks_the_key_too():
    a = of(made([[0, 0]], [4]), made([[0, 0]], [5, 6]))
    b = tmref.rename_dimension(of(made([[0, 0]], [7])), "properties", "p", "q")
    y = join([b, a], "properties", "union")
    assert y.property_names == ["joined_index", "property"]
    assert [block.properties.values.tolist() for block in y] == [[[0, 0], [1, 0]], [[1, 0], [1, 1]]]


def test_keys_of_all_maps_or_of_any():
    a, b = of(made([[0, 0]], [4]), made([[1, 0]], [4])), of(made([[2, 0]], [4]))
    turned = TensorMap(Labels("key", torch.tensor([[1], [0]])), a.blocks()[::-1])
    assert join([turned, b], "samples", "union").keys.values.tolist() == [[1], [0]]
    assert join([turned, b], "samples", "intersection")[0].samples.values.tolist() == [[0, 0], [2, 0]]
    assert join([a, turned], "samples", add_dimension="of").keys == a.keys
    empty = TensorMap(Labels.empty("key"), [])
    assert len(join([empty, empty], "samples")) == len(join([a, empty], "samples", "intersection")) == 0
    assert tmref.equal(join([empty, a], "samples", "union"), a)


@pytest.mark.parametrize("axis", ["samples", "properties"])
def test_dtypes_are_promoted(axis):
    xs = [of(made([[0, 0]], [4], 0.5, dtype=dtype)) for dtype in (torch.float32, torch.float64)]
    assert join([xs[0].to(torch.int64), xs[1]], axis, add_dimension="of").dtype == torch.float64
    assert join_blocks([xs[0][0], xs[1][0]], axis, "of").values.flatten().tolist() == [0.5, 0.5]


def test_labels_of_a_joined_map_of_numbered_properties_stay():
    """A map whose properties are called so already is none whose names differ."""
    x = of(made([[0, 0]], [4]))
    y = join([x, tmref.rename_dimension(x, "properties", "p", "q")], "properties")
    again = join([y, y], "properties", add_dimension="of")
    assert again.property_names == ["joined_index", "property", "of"]


def test_what_cannot_be_joined_is_refused(refused):
    a = of(made([[0, 0]], [4]))
    with refused(TypeError, "tensors must be a list of TensorMap, got TensorMap"):
        join(a, "samples")
    with refused(TypeError, "tensors[1] must be a TensorMap, got TensorBlock"):
        join([a, a[0]], "samples")
    with refused(ValueError, "blocks must have at least one TensorBlock to join, got none"):
        join_blocks([], "samples")
    with refused(ValueError, "axis must be 'samples' or 'properties', got 'components'"):
        join([a], "components")
    with refused(
        ValueError, "different_keys must be one of ('error', 'intersection', 'union'), got 'all'"
    ):
        join([a], "samples", "all")
    with refused(TypeError, "add_dimension must be a string or None, got int"):
        join([a], "samples", add_dimension=1)
    with refused(ValueError, "add_dimension must be a new name, but samples have ['s', 'a'] already"):
        join([a], "samples", add_dimension="a")
    with refused(
        ValueError,
        "tensors must be on one device, got cpu and meta; move them with .to",
    ):
        join([a, a.to("meta")], "samples")
    with refused(
        ValueError,
        "samples to join must be distinct, but some of ['s', 'a'] are in several maps; "
        "add_dimension gives each of them the number of its map",
    ):
        join([a, a], "samples")
    with refused(
        ValueError,
        "samples to join must have the same names in the same order, got ['s', 'a'] and ['a', 's']; "
        "rename_dimension and permute_dimensions change them",
    ):
        join([a, tmref.permute_dimensions(a, "samples", [1, 0])], "samples")
    with refused(
        ValueError,
        "properties to join have different names, ['p'] and ['q'], so that they are numbered anew: "
        "there is nothing to add the dimension 'of' to",
    ):
        join([a, tmref.rename_dimension(a, "properties", "p", "q")], "properties", add_dimension="of")


def test_what_has_other_metadata_is_refused(refused):
    a, b = of(made([[0, 0]], [4], rows=[[0, 1]])), of(made([[1, 0]], [4, 5], rows=[[0, 1]]))
    with refused(
        NotEqualError, "maps to join must have keys of the same dimensions, got ['key'] and ['other']"
    ):
        join([a, tmref.rename_dimension(a, "keys", "key", "other")], "samples")
    with refused(
        NotEqualError,
        "maps to join must have the same keys, but [1] of ['key'] is not in all of them; "
        'different_keys="intersection" leaves it out, "union" joins what there is',
    ):
        join([a, of(a[0], a[0])], "samples", add_dimension="of")
    for axis, other in (("samples", "properties"), ("properties", "samples")):
        with refused(
            NotEqualError,
            f"what is joined must have the same {other}, in the same order, but they differ in blocks "
            "of the shapes (1, 1) and (1, 2)",
        ):
            join([a, b], axis)
    with refused(NotEqualError, "what is joined must have the same gradients, got ['positions'] and []"):
        join([a, tmref.remove_gradients(a)], "samples", add_dimension="of")
    with refused(
        NotEqualError,
        "samples of the gradient 'positions' to join must have the same names, "
        "got ['sample', 'atom'] and ['sample', 'a']",
    ):
        other = tmref.rename_dimension(a, "samples", "a", "atom")
        join([a, tmref.rename_dimension(other, "samples", "atom", "a")], "samples", add_dimension="of")
