"""Arithmetic: derivatives against autograd, metatensor's numbers, and what is refused."""

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
    block_from_array,
    equal,
    multiply,
    remove_gradients,
    sum_over_samples,
)
from tmref.compare import compare
from tmref.implementations import load
from tmref.strategies import like, tensor_maps

UNARY = {
    "pow 3": lambda x: tmref.pow(x, 3),
    "pow 1": lambda x: tmref.pow(x, 1),
    "pow 0": lambda x: tmref.pow(x, 0),
    "abs": tmref.abs,
    "divide by 4": lambda x: tmref.divide(x, 4),
    "subtract 1.5": lambda x: tmref.subtract(x, 1.5),
}
BINARY = {"divide": tmref.divide, "subtract": tmref.subtract, "multiply": tmref.multiply}
WHOLE = Labels.single()
PEER = load("metatensor-torch")
few = settings(derandomize=True, database=None, deadline=None, max_examples=50)


def along(x, shift):
    """The map whose values are moved by a step along their own explicit gradients."""
    blocks = []
    for block in x:
        values = block.values.clone()
        gradient = block.gradient("positions")
        rows = gradient.samples.values[:, 0].long()
        values = values.index_add(0, rows, shift * gradient.values)
        blocks.append(TensorBlock(values, block.samples, block.components, block.properties))
    return TensorMap(x.keys, blocks)


def graded(*values, by=1.0, dtype=torch.float64):
    """A map of one block of one sample, whose gradient is ``by`` for every value."""
    values = torch.tensor([values], dtype=dtype)
    properties = Labels.range("p", values.shape[1])
    block = TensorBlock(values, Labels.range("s", 1), [], properties)
    gradient = torch.full_like(values, by)
    block.add_gradient("positions", TensorBlock(gradient, Labels.range("sample", 1), [], properties))
    return TensorMap(WHOLE, [block])


def derivative(operation, *maps):
    """The derivative along the explicit gradients, by autograd."""

    def moved(shift):
        return operation(*(along(x, shift) for x in maps))[0].values

    zero = torch.zeros((), dtype=torch.float64)
    return torch.func.jvp(moved, (zero,), (torch.ones_like(zero),))[1]


@pytest.mark.parametrize("operation", UNARY.values(), ids=list(UNARY))
def test_gradients_of_one_map_are_those_of_autograd(operation):
    x = graded(2.0, -0.5, 1.25, by=1.5)
    expected = derivative(operation, x)
    assert torch.allclose(operation(x)[0].gradient("positions").values, expected, rtol=1e-14)


@pytest.mark.parametrize("operation", BINARY.values(), ids=list(BINARY))
def test_gradients_of_two_maps_are_those_of_autograd(operation):
    a, b = graded(2.0, -0.5, by=1.5), graded(0.75, 3.0, by=-0.25)
    expected = derivative(operation, a, b)
    assert torch.allclose(operation(a, b)[0].gradient("positions").values, expected, rtol=1e-14)


def test_where_there_is_no_derivative_it_is_torchs():
    x = graded(0.0)
    assert tmref.abs(x)[0].gradient("positions").values.tolist() == [[0.0]]
    assert tmref.pow(x, 0)[0].gradient("positions").values.tolist() == [[0.0]]
    assert tmref.pow(x, 0)[0].values.tolist() == [[1.0]]


def test_absolute_values_of_complex_numbers_are_real():
    z = graded(3 + 4j, by=1j, dtype=torch.complex128)
    y = tmref.abs(z)[0]
    assert y.values.tolist() == [[5.0]]
    # d|z| = Re(conj(z) dz) / |z| = Re((3 - 4i) i) / 5
    assert y.gradient("positions").values.tolist() == [[0.8]]


def test_division_makes_floating_numbers_of_integers():
    x = graded(3, by=1, dtype=torch.int64)
    assert tmref.divide(x, 2)[0].values.tolist() == [[1.5]]
    assert tmref.pow(x, 2)[0].dtype == torch.int64


@settings(deadline=None, max_examples=30)
@given(st.data(), tensor_maps(min_blocks=1, max_gradients=1, min_samples=1, min_properties=1))
def test_numbers_are_metatensors(data, x):
    other = data.draw(like(x))
    other = tmref.add(tmref.abs(other), 1)
    theirs, their_other = (PEER.encode(y) for y in (x, other))
    if not all(g.values.numel() for b in x for _, g in b.gradients()):
        return  # which metatensor can't
    for name in ("subtract", "divide"):
        found = getattr(tmref, name)(x, other)
        expected = PEER.decode(getattr(PEER.operations, name)(theirs, their_other))
        assert tmref.allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert compare(tmref.pow(x, 2), PEER.decode(PEER.operations.pow(theirs, 2))) is None
    assert compare(tmref.abs(x), PEER.decode(PEER.operations.abs(theirs))) is None


def test_a_dot_is_a_product_of_matrices():
    x = graded(1.0, 2.0, by=3.0)
    other = TensorBlock(
        torch.tensor([[1.0, 0.0], [2.0, 1.0]]).double(),
        Labels(["a", "b"], torch.tensor([[5, 6], [7, 8]])),
        [],
        Labels.range("p", 2),
    )
    y = tmref.dot(x, TensorMap(WHOLE, [other]))[0]
    assert y.properties == other.samples
    assert y.values.tolist() == [[1.0, 4.0]]
    assert y.gradient("positions").values.tolist() == [[3.0, 9.0]]


def test_what_has_no_dot_is_refused(refused):
    x = graded(1.0, 2.0)
    with refused(TypeError, "tensor_2 must be a TensorMap, got float"):
        tmref.dot(x, 1.0)
    message = "the second map of a dot must have no gradients, got (1, 2) with gradients"
    with refused(ValueError, message):
        tmref.dot(x, x)
    message = (
        "dot needs maps of the same keys and properties: in the block (_=0), the properties are 2 of "
        "['p'] and 1 of ['p']"
    )
    with refused(NotEqualError, message):
        tmref.dot(x, tmref.remove_gradients(graded(1.0)))


@pytest.mark.parametrize("other", [2, -0.5, "map"])
@pytest.mark.parametrize("name", ["add", "multiply"])
def test_arithmetic_agrees_with_metatensor(name, other, two_blocks):
    a, b = two_blocks(), other
    if other == "map":
        b = two_blocks(7)
        b = TensorMap(Labels(b.keys.names, b.keys.values.flip(0)), b.blocks()[::-1])
    ours = getattr(tmref, name)(a, b)
    theirs = getattr(PEER.operations, name)(PEER.encode(a), PEER.to_theirs(b))
    tmref.equal_raise(ours, PEER.decode(theirs))
    assert ours.keys == a.keys


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


@few
@given(st.data(), tensor_maps(max_gradients=2, min_properties=1))  # metatensor fails without properties
def test_arithmetic_of_random_maps_agrees_with_metatensor(data, tensor):
    number = data.draw(st.sampled_from([2, -0.25]))
    theirs = PEER.encode(tensor)
    for name in ("add", "multiply"):
        ours, operation = getattr(tmref, name), getattr(PEER.operations, name)
        assert tmref.equal(ours(tensor, number), PEER.decode(operation(theirs, number)))
        assert tmref.equal(ours(tensor, tensor), PEER.decode(operation(theirs, theirs)))


@pytest.mark.parametrize(
    "operation", [add, multiply, tmref.subtract, tmref.divide], ids=lambda f: f.__name__
)
def test_what_cannot_be_combined_is_refused(operation, two_blocks, maps, refused):
    with refused(TypeError, "A must be a TensorMap, got int"):
        operation(2, two_blocks())
    for wrong, name in ((True, "bool"), ("2", "str"), (torch.tensor(2.0), "Tensor")):
        with refused(TypeError, f"B must be a TensorMap or a number, got {name}"):
            operation(two_blocks(), wrong)
    start = f"{operation.__name__} needs maps of the same metadata: "
    with refused(NotEqualError, f"{start}there are 2 and 1 blocks"):
        operation(maps["plain"], maps["fewer keys"])
    difference = "in the block (a=0, b=1), the gradients are ['positions'] and []"
    with refused(NotEqualError, start + difference):
        operation(maps["gradients"], maps["no gradients"])


def test_exponents_are_numbers(refused):
    with refused(TypeError, "B must be a number, got TensorMap"):
        tmref.pow(graded(1.0), graded(1.0))
    with refused(TypeError, "B must be a number, got str"):
        tmref.pow(graded(1.0), "2")
