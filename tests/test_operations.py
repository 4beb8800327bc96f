import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tmref
from tmref import (
    Labels,
    NotEqualError,
    TensorBlock,
    TensorMap,
    add,
    allclose,
    allclose_raise,
    block_from_array,
    equal,
    equal_metadata,
    equal_metadata_raise,
    equal_raise,
    filter_blocks,
    multiply,
    remove_gradients,
    sum_over_samples,
)
from tmref.strategies import like, tensor_maps

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


few = settings(derandomize=True, database=None, deadline=None, max_examples=50)


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


def test_a_map_with_the_same_labels_is_not_compared_entry_by_entry(maps, monkeypatch):
    again = maps["gradients"].copy()
    monkeypatch.setattr(Labels, "_entries", lambda self: pytest.fail("rows were read"))
    assert equal_metadata(maps["gradients"], again)


# --- equal, allclose, and where the difference is


def test_equal_agrees_with_metatensor(maps, mts, to_mts):
    theirs = {name: to_mts(tensor) for name, tensor in maps.items()}
    outcomes = []
    for a, b in itertools.product(maps, maps):
        expected = mts.equal(theirs[a], theirs[b])
        assert equal(maps[a], maps[b]) is expected, (a, b)
        if maps[a].dtype == maps[b].dtype:  # metatensor refuses others
            assert allclose(maps[a], maps[b]) is mts.allclose(theirs[a], theirs[b]), (a, b)
        outcomes.append(expected)
    assert len(maps) <= sum(outcomes) < len(outcomes)


ONE = TensorMap(Labels.range("k", 1), [block_from_array(torch.tensor([[1.0, 2.0], [0.0, 5.0]]))])


def changed(by):
    block = ONE[0]
    values = block.values + torch.tensor([[0.0, 0.0], [0.0, by]])
    return TensorMap(ONE.keys, [TensorBlock(values, block.samples, [], block.properties)])


@pytest.mark.parametrize("by", [0.0, 1e-6, 1e-3, 1.0, float("nan")])
@pytest.mark.parametrize(
    "tolerances", [{}, {"rtol": 1e-3}, {"atol": 1e-2}, {"equal_nan": True}], ids=str
)
def test_allclose_agrees_with_metatensor(by, tolerances, mts, to_mts):
    other = changed(by)
    for a, b in ((ONE, other), (other, ONE), (other, other)):
        expected = mts.allclose(to_mts(a), to_mts(b), **tolerances)
        assert allclose(a, b, **tolerances) is expected
        assert equal(a, b) is mts.equal(to_mts(a), to_mts(b))


def test_dtypes_do_not_count():
    double = ONE.to(torch.float64)
    assert equal(ONE, double)
    assert allclose(ONE, double)
    assert not allclose(ONE, multiply(double, 1 + 1e-9))
    assert allclose(ONE, multiply(double, 1 + 1e-9), rtol=1e-8)


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ("another key", "the second map has no block (a=1, b=1)"),
        ("names of keys", "the dimensions of the keys are ['a', 'b'] and ['a', 'c']"),
        ("fewer keys", "there are 2 and 1 blocks"),
        (
            "order of samples",
            "in the block (a=0, b=1), the samples are 2 of ['system'], but not the same ones in the "
            "same order",
        ),
        (
            "components",
            "in the block (a=0, b=1), the components are [3 of ['component_0']], but not the same ones "
            "in the same order",
        ),
        (
            "blocks exchanged",
            "in the block (a=0, b=1), the samples are 2 of ['system'] and 3 of ['system']",
        ),
        ("gradients", "in the block (a=0, b=1), the gradients are [] and ['positions']"),
    ],
)
def test_the_first_difference_is_named(other, difference, maps, refused):
    pair = maps["no gradients" if other == "gradients" else "plain"], maps[other]
    with refused(NotEqualError, f"the maps have different metadata: {difference}"):
        equal_metadata_raise(*pair)
    with refused(NotEqualError, f"the maps are not equal: {difference}"):
        equal_raise(*pair)
    with refused(NotEqualError, f"the maps are not close: {difference}"):
        allclose_raise(*pair)


def test_a_difference_in_gradients_is_named(maps, refused):
    start = "in the block (a=0, b=1), in the gradient 'positions', "
    difference = "the samples are 2 of ['sample', 'atom'], but not the same ones in the same order"
    with refused(NotEqualError, f"the maps have different metadata: {start}{difference}"):
        equal_metadata_raise(maps["gradients"], maps["gradients' samples"])
    equal_metadata_raise(maps["gradients"], maps["gradients' samples"], check_gradients=False)
    equal_metadata_raise(maps["gradients"], maps["gradients' samples"], ["components"])
    with refused(NotEqualError, f"the maps are not equal: {start}72 of 72 values differ"):
        equal_raise(maps["gradients"], maps["gradients' values"])


def test_how_many_values_differ(refused):
    with refused(NotEqualError, "the maps are not equal: in the block (k=0), 1 of 4 values differ"):
        equal_raise(ONE, changed(1e-3))
    with refused(NotEqualError, "the maps are not close: in the block (k=0), 1 of 4 values differ"):
        allclose_raise(ONE, changed(1e-3))
    allclose_raise(ONE, changed(1e-3), 1e-3)
    allclose_raise(ONE, changed(1e-3), 0.0, 1e-2)
    allclose_raise(changed(float("nan")), changed(float("nan")), equal_nan=True)
    equal_raise(ONE, ONE)


def test_the_error_is_no_other(mts):
    assert NotEqualError.__bases__ == mts.NotEqualError.__bases__ == (Exception,)


@pytest.mark.parametrize(
    "compare",
    [equal, equal_raise, allclose, allclose_raise, equal_metadata_raise],
    ids=lambda f: f.__name__,
)
def test_only_maps_are_compared(compare, refused):
    with refused(TypeError, "tensor_1 must be a TensorMap, got int"):
        compare(5, ONE)
    with refused(TypeError, "tensor_2 must be a TensorMap, got TensorBlock"):
        compare(ONE, ONE[0])


# --- what operations have in common


def frozen(tensor):
    """Everything in a map, to see later whether it is still the same."""
    return tensor.copy(), [id(v) for v in all_values(tensor)]


def all_values(tensor):
    return [v for b in tensor for v in (b.values, *(g.values for _, g in b.gradients()))]


@pytest.fixture
def graded(block, with_gradient):
    """Two blocks with gradients with respect to positions and cell."""

    def build(seed=0, dtype=torch.float64):
        def of(size, shift):
            whole = block(size, 3, 2, dtype=dtype, seed=seed + shift)
            whole = with_gradient(whole, [0, 0, size - 1], 3, seed=seed + shift + 1)
            return with_gradient(whole, [size - 1], 2, 2, parameter="cell", seed=seed + shift + 2)

        return TensorMap(Labels(["a", "b"], torch.tensor([[0, 1], [1, 1]])), [of(2, 0), of(3, 10)])

    return build


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
def test_operations_leave_their_input_as_it_is(operation, graded):
    tensor = graded()
    before, identities = frozen(tensor)
    operation(tensor)
    assert [id(v) for v in all_values(tensor)] == identities
    equal_raise(tensor, before)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_a_map_without_blocks_stays_one(operation):
    empty = TensorMap(Labels.empty(["a", "b"]), [])
    assert equal(operation(empty), empty)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_results_are_owned_and_where_their_input_is(operation, graded):
    result = operation(graded().to("meta"))
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
def test_derivatives_of_operations(operation, graded):
    tensors = graded(0), graded(50)
    inputs = [v.clone().requires_grad_() for t in tensors for v in all_values(t)]
    half = len(inputs) // 2

    def function(*values):
        maps = [arranged(t, v) for t, v in zip(tensors, (values[:half], values[half:]), strict=True)]
        return tuple(all_values(operation(*maps)))

    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)


# --- add, multiply


@pytest.mark.parametrize("other", [2, -0.5, "map"])
@pytest.mark.parametrize("name", ["add", "multiply"])
def test_arithmetic_agrees_with_metatensor(name, other, graded, mts, to_mts, as_ours):
    a = graded()
    b = reordered(graded(7)) if other == "map" else other
    ours = {"add": add, "multiply": multiply}[name](a, b)
    theirs = getattr(mts, name)(to_mts(a), to_mts(b) if other == "map" else b)
    equal_raise(ours, as_ours(theirs))
    assert ours.keys == a.keys


@pytest.fixture
def as_ours():
    """A map of metatensor.torch's in tmref's types."""

    def convert(x):
        if hasattr(x, "keys"):
            return TensorMap(convert(x.keys), [convert(block) for block in x.blocks()])
        if not hasattr(x, "properties"):
            return Labels(x.names, x.values)
        block = TensorBlock(
            x.values, convert(x.samples), [convert(c) for c in x.components], convert(x.properties)
        )
        for parameter in sorted(x.gradients_list()):
            block.add_gradient(parameter, convert(x.gradient(parameter)))
        return block

    return convert


@few
@given(st.data(), tensor_maps(max_gradients=2))
def test_products_have_the_derivative_of_a_product(data, tensor):
    """With B as constant as A, d(A B) = 2 A dA."""
    other = data.draw(like(remove_gradients(tensor)))
    square = multiply(tensor, tensor)
    for block, result in zip(tensor, square, strict=True):
        assert torch.equal(result.values, block.values**2)
        for parameter, gradient in block.gradients():
            for row, (sample, *_) in enumerate(gradient.samples.values.tolist()):
                expected = 2 * block.values[sample] * gradient.values[row]
                assert torch.equal(result.gradient(parameter).values[row], expected)
    without = remove_gradients(tensor)
    assert equal(add(without, other), add(other, without))
    assert equal(multiply(without, other), multiply(other, without))


def test_numbers_keep_integers():
    """metatensor makes float32 of them."""
    tensor = TensorMap(Labels.single(), [block_from_array(torch.tensor([[2**40, 3]]))])
    assert add(tensor, 1)[0].values.tolist() == [[2**40 + 1, 3 + 1]]
    assert multiply(tensor, 3)[0].values.tolist() == [[3 * 2**40, 9]]
    assert multiply(tensor, 3)[0].dtype == torch.int64


@pytest.mark.parametrize("number", [0.5, 1j])
def test_gradients_have_the_dtype_of_the_values(number, block, with_gradient):
    whole = with_gradient(block(2, 3, dtype=torch.float32), [0])
    tensor = TensorMap(Labels.single(), [whole.to(torch.int64 if number == 0.5 else torch.float32)])
    for operation in (add, multiply):
        result = operation(tensor, number)[0]
        assert result.dtype == result.gradient("positions").dtype
        assert result.dtype == torch.result_type(tensor[0].values, number)


def test_linear_operations_keep_gradients_of_gradients(block, with_gradient, refused):
    def build():
        gradient = TensorBlock(
            torch.tensor([[1.0]]).double(), Labels.range("sample", 1), [], Labels.range("feature", 1)
        )
        whole = block(2, 1)
        whole.add_gradient("x", with_gradient(gradient, [0, 0], parameter="y"))
        return TensorMap(Labels.single(), [whole])

    def second(tensor):
        return tensor[0].gradient("x").gradient("y").values

    tensor = build()
    assert torch.equal(second(add(tensor, build())), 2 * second(tensor))
    assert torch.equal(second(add(tensor, 5)), second(tensor))
    assert torch.equal(second(multiply(tensor, 5)), 5 * second(tensor))
    assert torch.equal(second(sum_over_samples(tensor, "system")), second(tensor))
    message = (
        "the gradient 'x' has gradients itself, and what becomes of them isn't determined by them; "
        "remove them with remove_gradients, or multiply by a number"
    )
    with refused(NotImplementedError, message):
        multiply(tensor, tensor)


@pytest.mark.parametrize("operation", [add, multiply], ids=lambda f: f.__name__)
def test_what_cannot_be_combined_is_refused(operation, graded, maps, refused):
    with refused(TypeError, "A must be a TensorMap, got int"):
        operation(2, graded())
    for wrong, name in ((True, "bool"), ("2", "str"), (torch.tensor(2.0), "Tensor")):
        with refused(TypeError, f"B must be a TensorMap or a number, got {name}"):
            operation(graded(), wrong)
    start = f"{operation.__name__} needs maps of the same metadata: "
    with refused(NotEqualError, f"{start}there are 2 and 1 blocks"):
        operation(maps["plain"], maps["fewer keys"])
    difference = "in the block (a=0, b=1), the gradients are ['positions'] and []"
    with refused(NotEqualError, start + difference):
        operation(maps["gradients"], maps["no gradients"])


# --- arithmetic of random maps


@few
@given(st.data(), tensor_maps(max_gradients=2, min_properties=1))  # metatensor fails without properties
def test_arithmetic_of_random_maps_agrees_with_metatensor(mts, data, tensor):
    number = data.draw(st.sampled_from([2, -0.25]))
    theirs = in_mts(mts, tensor)
    for name, ours in (("add", add), ("multiply", multiply)):
        operation = getattr(mts, name)
        assert mts.equal(in_mts(mts, ours(tensor, number)), operation(theirs, number))
        assert mts.equal(in_mts(mts, ours(tensor, tensor)), operation(theirs, theirs))


def in_mts(mts, x):
    if isinstance(x, Labels):
        return mts.Labels(x.names, x.values)
    if isinstance(x, TensorMap):
        return mts.TensorMap(in_mts(mts, x.keys), [in_mts(mts, block) for block in x])
    axes = [in_mts(mts, labels) for labels in (x.samples, *x.components, x.properties)]
    block = mts.TensorBlock(x.values, axes[0], axes[1:-1], axes[-1])
    for parameter, gradient in x.gradients():
        block.add_gradient(parameter, in_mts(mts, gradient))
    return block
