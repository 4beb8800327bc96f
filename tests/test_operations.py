import itertools

import pytest
import torch

from tmref import Labels, TensorBlock, TensorMap, block_from_array, equal_metadata

PARTS = ("samples", "components", "properties")


# --- block_from_array


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


# --- equal_metadata


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


@pytest.mark.parametrize("check_gradients", [True, False])
@pytest.mark.parametrize(
    "check",
    ["all", *(list(c) for n in (1, 2, 3) for c in itertools.combinations(PARTS, n))],
    ids=str,
)
def test_equal_metadata_agrees_with_metatensor(check, check_gradients, maps, mts, to_mts):
    theirs = {name: to_mts(tensor) for name, tensor in maps.items()}
    outcomes = set()
    for a, b in itertools.product(maps, maps):
        expected = mts.equal_metadata(theirs[a], theirs[b], check, check_gradients)
        assert equal_metadata(maps[a], maps[b], check, check_gradients) is expected, (a, b)
        outcomes.add(expected)
    assert outcomes == {True, False}


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        ("plain", True),
        ("values", True),
        ("dtype", True),
        ("order of keys", True),
        ("another key", False),
        ("names of keys", False),
        ("fewer keys", False),
        ("no keys", False),
        ("order of samples", False),
        ("samples", False),
        ("components", False),
        ("properties", False),
        ("blocks exchanged", False),
    ],
)
def test_what_counts_as_equal(other, equal, maps):
    assert equal_metadata(maps["plain"], maps[other]) is equal
    assert equal_metadata(maps[other], maps["plain"]) is equal


@pytest.mark.parametrize("part", PARTS)
def test_only_the_parts_asked_for_count(part, maps):
    for other in PARTS:
        assert equal_metadata(maps["plain"], maps[other], check=[part]) is (part != other)
    assert equal_metadata(maps["plain"], maps[part], check=[])


@pytest.mark.parametrize(
    "other", ["gradients' parameter", "gradients' samples", "gradients' components", "no gradients"]
)
def test_gradients_count_unless_told_otherwise(other, maps):
    assert not equal_metadata(maps["gradients"], maps[other])
    assert equal_metadata(maps["gradients"], maps[other], check_gradients=False)
    assert equal_metadata(maps["gradients"], maps["gradients' values"])


def test_what_cannot_be_compared_is_refused(maps, refused):
    with refused(TypeError, "tensor_1 must be a TensorMap, got str"):
        equal_metadata("map", maps["plain"])
    with refused(TypeError, "tensor_2 must be a TensorMap, got TensorBlock"):
        equal_metadata(maps["plain"], maps["plain"][0])


@pytest.mark.parametrize("check", ["samples", "everything", ["samples", "values"], ["all"], 5, None])
def test_an_unknown_part_is_refused(check, maps, refused):
    message = (
        f"check must be \"all\" or a list of ['samples', 'components', 'properties'], got {check!r}"
    )
    with refused(ValueError, message):
        equal_metadata(maps["plain"], maps["plain"], check=check)
