"""Dimensions of labels: where they stand, whose gradients have them, and what is refused."""

import pytest
import torch

import tmref
from tmref import Labels, TensorBlock, TensorMap

SAMPLES = Labels(["sample", "atom"], torch.tensor([[3, 1], [3, 2]]))


@pytest.fixture
def x():
    """A map with components, and a gradient, whose samples are called as those of the values."""
    properties = Labels(["n", "l"], torch.tensor([[0, 5], [1, 6]]))
    block = TensorBlock(torch.ones(2, 1, 2), SAMPLES, [Labels.range("c", 1)], properties)
    rows = Labels(["sample", "atom"], torch.tensor([[1, 8]]))
    components = [Labels.range("xyz", 3), Labels.range("c", 1)]
    block.add_gradient("positions", TensorBlock(torch.ones(1, 3, 1, 2), rows, components, properties))
    x = TensorMap(Labels(["a", "b"], torch.tensor([[0, 7]])), [block])
    x.set_info("of", "it")
    return x


def test_a_dimension_is_inserted_in_the_axis_alone(x):
    y = tmref.insert_dimension(x, "samples", 1, "new", torch.tensor([5, 4], dtype=torch.uint8))
    assert y.sample_names == ["sample", "new", "atom"]
    assert y[0].samples.values.tolist() == [[3, 5, 1], [3, 4, 2]]
    assert y[0].gradient("positions").samples.names == ["sample", "atom"]
    y = tmref.append_dimension(x, "properties", "new", -(2**31))
    for block in (y[0], y[0].gradient("positions")):
        assert block.properties.names == ["n", "l", "new"]
        assert block.properties.values.tolist() == [[0, 5, -(2**31)], [1, 6, -(2**31)]]
    y = tmref.append_dimension(x, "keys", "new", 2)
    assert y.keys == Labels(["a", "b", "new"], torch.tensor([[0, 7, 2]]))
    assert y[0].values is x[0].values
    assert y.info() == x.info()


def test_dimensions_are_permuted_and_removed(x):
    y = tmref.permute_dimensions(x, "keys", [1, 0])
    assert y.keys == Labels(["b", "a"], torch.tensor([[7, 0]]))
    y = tmref.remove_dimension(x, "properties", "n")
    assert y[0].properties == y[0].gradient("positions").properties
    assert y[0].properties == Labels("l", torch.tensor([[5], [6]]))


def test_the_sample_of_gradients_keeps_its_name_and_what_is_called_alike_is_renamed(x):
    y = tmref.rename_dimension(x, "samples", "sample", "system")
    assert y.sample_names == ["system", "atom"]
    assert y[0].gradient("positions").samples.names == ["sample", "atom"]
    y = tmref.rename_dimension(x, "samples", "atom", "i")
    assert y[0].gradient("positions").samples.names == ["sample", "i"]
    assert x[0].gradient("positions").samples.names == ["sample", "atom"]


def test_components_are_renamed_with_those_of_gradients_or_in_these_alone(x):
    y = tmref.rename_dimension(x, "components", "c", "new")
    assert y.component_names == ["new"]
    assert [c.names for c in y[0].gradient("positions").components] == [["xyz"], ["new"]]
    y = tmref.rename_dimension(x, "components", "xyz", "new")
    assert y.component_names == ["c"]
    assert [c.names for c in y[0].gradient("positions").components] == [["new"], ["c"]]


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (
            "insert_dimension",
            ("components", 0, "n", 1),
            ValueError,
            "axis must be 'keys', 'samples' or 'properties', got 'components'",
        ),
        (
            "insert_dimension",
            ("keys", 3, "n", 1),
            ValueError,
            "index must be from 0 to 2, for ['a', 'b'], got 3",
        ),
        (
            "insert_dimension",
            ("keys", True, "n", 1),
            TypeError,
            "index must be an integer, got True of type bool",
        ),
        (
            "append_dimension",
            ("keys", "n", 2**31),
            ValueError,
            "values must fit in 32 bits, got 2147483648",
        ),
        (
            "append_dimension",
            ("keys", "n", "5"),
            TypeError,
            "values must be an integer, got '5' of type str",
        ),
        (
            "append_dimension",
            ("keys", "n", torch.tensor([1.0])),
            TypeError,
            "values must be signed integers or uint8, got a tensor of torch.float32",
        ),
        (
            "append_dimension",
            ("keys", "n", torch.tensor([1, 2])),
            ValueError,
            "values must have one entry for each of the 1 of ['a', 'b'], got the shape (2,); "
            "an integer is for all entries",
        ),
        (
            "append_dimension",
            ("keys", "n", torch.tensor([2**40])),
            ValueError,
            "values must fit in 32 bits, from -2147483648 to 2147483647, got 1099511627776",
        ),
        (
            "append_dimension",
            ("keys", "a", 1),
            ValueError,
            "names must be distinct, got 'a' twice in ['a', 'b', 'a']",
        ),
        (
            "permute_dimensions",
            ("keys", [0, 0]),
            ValueError,
            "dimensions_indexes must be an order of the 2 dimensions ['a', 'b'] of the keys, got [0, 0]",
        ),
        ("permute_dimensions", ("keys", 1), TypeError, "dimensions_indexes must be a list, got int"),
        (
            "remove_dimension",
            ("samples", "c"),
            ValueError,
            "no dimension 'c' in the samples, which have ['sample', 'atom']",
        ),
        (
            "remove_dimension",
            ("keys", 0),
            TypeError,
            "the name of a dimension must be a string, got int",
        ),
        (
            "remove_dimension",
            ("samples", "atom"),
            ValueError,
            "the rows of Labels must be distinct, but the row [3] of ['sample'] stands at 0 "
            "and again at 1",
        ),
        (
            "rename_dimension",
            ("components", "z", "y"),
            ValueError,
            "no dimension 'z' in the components, which have ['c', 'xyz']",
        ),
        (
            "rename_dimension",
            ("components", "c", "xyz"),
            ValueError,
            "the components have the dimension already: ['xyz', 'c'] can't be ['xyz', 'xyz']",
        ),
        (
            "rename_dimension",
            ("rows", "a", "b"),
            ValueError,
            "axis must be 'keys', 'samples', 'properties' or 'components', got 'rows'",
        ),
    ],
)
def test_what_cannot_be_is_refused(function, arguments, error, message, x, refused):
    with refused(error, message):
        getattr(tmref, function)(x, *arguments)


def test_the_only_dimension_stays(x, refused):
    one = tmref.remove_dimension(x, "keys", "b")
    with refused(ValueError, "'a' is the only dimension of the keys, which can't have none"):
        tmref.remove_dimension(one, "keys", "a")
