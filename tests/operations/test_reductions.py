"""Sums, means, variances and deviations over samples and over properties."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tmref
from tmref import (
    Labels,
    TensorBlock,
    TensorMap,
    mean_over_properties,
    mean_over_samples,
    std_over_properties,
    std_over_samples,
    sum_over_properties,
    sum_over_samples,
    var_over_properties,
    var_over_samples,
)
from tmref.strategies import tensor_maps

few = settings(derandomize=True, database=None, deadline=None, max_examples=50)
EVERY = [
    *(sum_over_samples, mean_over_samples, var_over_samples, std_over_samples),
    *(sum_over_properties, mean_over_properties, var_over_properties, std_over_properties),
]
every = pytest.mark.parametrize("function", EVERY, ids=lambda function: function.__name__)


@pytest.fixture
def atoms():
    """Four atoms of the systems 3 and 1, and a gradient of three rows."""
    samples = Labels(["system", "atom"], torch.tensor([[3, 0], [1, 0], [3, 1], [1, 2]]))
    properties = Labels(["n", "l"], torch.tensor([[5, 1], [5, 0]]))
    values = torch.tensor([[1.0, 2], [10, 20], [100, 200], [1000, 2000]])
    block = TensorBlock(values, samples, [], properties)
    rows = Labels(["sample", "of"], torch.tensor([[2, 7], [0, 7], [0, 5]]))
    block.add_gradient("x", TensorBlock(values[:3], rows, [], properties))
    return TensorMap(Labels.single(), [block])


def test_sums(atoms):
    block = sum_over_samples(atoms, "atom")[0]
    assert block.samples == Labels("system", torch.tensor([[1], [3]]))
    assert block.values.tolist() == [[1010, 2020], [101, 202]]
    gradient = block.gradient("x")
    assert gradient.samples == Labels(["sample", "of"], torch.tensor([[1, 5], [1, 7]]))
    assert gradient.values.tolist() == [[100, 200], [11, 22]]
    assert gradient.print().startswith("TensorBlock gradient for 'x'")


def test_sums_over_everything(atoms):
    block = sum_over_samples(atoms, ["atom", "system"])[0]
    assert block.samples == Labels.single()
    assert block.values.tolist() == [[1111, 2222]]


def test_sums_over_nothing_sort(atoms):
    block = sum_over_samples(atoms, [])[0]
    assert block.samples.values.tolist() == [[1, 0], [1, 2], [3, 0], [3, 1]]
    assert block.gradient("x").samples.values.tolist() == [[2, 5], [2, 7], [3, 7]]


def test_sums_over_properties(atoms):
    block = sum_over_properties(atoms, "l")[0]
    assert block.properties == Labels("n", torch.tensor([[5]]))
    assert block.values.tolist() == [[3], [30], [300], [3000]]
    assert block.samples == atoms[0].samples
    assert block.gradient("x").values.tolist() == [[3], [30], [300]]
    assert block.gradient("x").properties == block.properties
    sorted_ones = sum_over_properties(atoms, "n")[0]
    assert sorted_ones.properties == Labels("l", torch.tensor([[0], [1]]))
    assert sorted_ones.values[0].tolist() == [2, 1]


def test_means_are_over_all_samples_whatever_rows_a_gradient_has(atoms):
    block = mean_over_samples(atoms, "atom")[0]
    assert block.values.tolist() == [[505, 1010], [50.5, 101]]
    assert block.gradient("x").values.tolist() == [[50, 100], [5.5, 11]]  # one row of two samples


@every
def test_a_block_without_samples_has_those_of_the_others(function, block):
    """metatensor refuses such a map."""
    tensor = TensorMap(Labels.range("k", 2), [block(0, 3), block(2, 3)])
    name = "system" if "samples" in function.__name__ else "feature"
    result = function(tensor, name)
    if name == "feature":
        assert [tuple(b.shape) for b in result] == [(0, 1), (2, 1)]
        return
    assert result[0].samples == result[1].samples == Labels.single()
    expected = 0.0 if function is sum_over_samples else float("nan")
    assert torch.equal(result[0].values.isnan(), torch.full((1, 3), expected != 0))


@every
def test_numbers_are_those_of_torch(function, block):
    x, name = block(5, 2, 3), function.__name__.partition("_")[0]
    axis = 0 if "samples" in function.__name__ else -1
    options = {"correction": 0} if name in ("var", "std") else {}
    expected = getattr(torch, name)(x.values, dim=axis, keepdim=True, **options)
    names = "system" if axis == 0 else "feature"
    result = function(TensorMap(Labels.single(), [x]), names)[0]
    torch.testing.assert_close(result.values, expected)
    assert result.components == x.components


@every
def test_explicit_gradients_are_autograds(function, block):
    """∂/∂t of the reduction at x + t g, where g is the gradient, of some of the samples."""
    x, rows, g = block(5, 2, 4), [0, 1, 3], block(3, 3, 2, 4, seed=5).values
    samples = Labels(["system", "atom"], torch.tensor([[1, 0], [0, 0], [0, 1], [1, 3], [1, 5]]))
    properties = Labels(["n", "l"], torch.tensor([[3, 0], [0, 0], [0, 1], [3, 4]]))

    def made(values):
        return TensorBlock(values, samples, x.components, properties)

    name = "atom" if "samples" in function.__name__ else "l"

    def reduced(t):
        moved = torch.zeros_like(x.values).index_add(
            0, torch.tensor(rows), torch.einsum("sdcp,d->scp", g, t)
        )
        return function(TensorMap(Labels.single(), [made(x.values + moved)]), name)[0].values

    with_it = made(x.values)
    directions = [Labels.range("d", 3), *x.components]
    of_rows = Labels("sample", torch.tensor(rows).reshape(-1, 1))
    with_it.add_gradient("t", TensorBlock(g, of_rows, directions, properties))
    found = function(TensorMap(Labels.single(), [with_it]), name)[0].gradient("t")
    expected = torch.autograd.functional.jacobian(reduced, torch.zeros(3, dtype=x.dtype))
    expected = expected.permute(0, 3, 1, 2)[found.samples.column("sample").long()]
    torch.testing.assert_close(found.values, expected)


@every
def test_derivatives_are_finite_where_all_are_equal(function, block):
    values = torch.ones(3, 2, dtype=torch.float64, requires_grad=True)
    x = TensorMap(Labels.single(), [tmref.block_from_array(values)])
    y = function(x, "sample" if "samples" in function.__name__ else "property")
    y[0].values.sum().backward()
    if "std" in function.__name__ or "var" in function.__name__:
        assert values.grad.tolist() == [[0, 0]] * 3
    assert values.grad.isfinite().all()


@every
def test_dtypes_and_devices_stay(function):
    x = TensorMap(Labels.single(), [tmref.block_from_array(torch.ones(3, 2, dtype=torch.float16))])
    name = "sample" if "samples" in function.__name__ else "property"
    assert function(x, name).dtype == torch.float16
    moved = function(x.to("meta"), name)[0]
    assert moved.device == moved.samples.device == moved.properties.device == torch.device("meta")


@few
@given(st.data(), tensor_maps(max_gradients=2))
def test_sums_agree_with_metatensor(mts, data, tensor):
    for function in (sum_over_samples, sum_over_properties):
        axis = "samples" if function is sum_over_samples else "properties"
        names = tensor.sample_names if axis == "samples" else tensor.property_names
        if not names:
            return
        chosen = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
        if not all(len(getattr(block, axis)) for block in tensor):
            continue  # metatensor refuses some of these
        theirs = getattr(mts, function.__name__)(in_mts(mts, tensor), chosen)
        assert mts.equal(in_mts(mts, function(tensor, chosen)), theirs)


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


@every
def test_a_map_without_blocks_is_one(function):
    nothing = TensorMap(Labels.empty("key"), [])
    assert len(function(nothing, "whatever")) == 0


@every
def test_what_cannot_be_reduced_is_refused(function, atoms, refused):
    axis = "sample" if "samples" in function.__name__ else "property"
    what = "samples" if axis == "sample" else "properties"
    there = atoms.sample_names if axis == "sample" else atoms.property_names
    with refused(TypeError, "tensor must be a TensorMap, got TensorBlock"):
        function(atoms[0], there[0])
    with refused(TypeError, f"{axis}_names must be a list of strings, got 5 of type int"):
        function(atoms, 5)
    with refused(ValueError, f"no dimension 'p' in the {what}, which have {there}"):
        function(atoms, [there[0], "p"])


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64])
@every
def test_numbers_that_have_no_mean_or_deviation_are_refused(function, dtype, refused):
    x = TensorMap(Labels.single(), [tmref.block_from_array(torch.ones(3, 2).to(dtype))])
    name = "sample" if "samples" in function.__name__ else "property"
    kind = function.__name__.partition("_")[0]
    remedy = f"got values of {dtype}; convert them with .to(torch.float64)"
    if kind in ("var", "std"):
        what = "variances and standard deviations are of real floating-point numbers"
        with refused(TypeError, f"{what}, {remedy}"):
            function(x, name)
    elif kind == "mean" and dtype == torch.int64:
        with refused(TypeError, f"a mean is of floating-point numbers, {remedy}"):
            function(x, name)
    else:
        assert function(x, name).dtype == dtype


@every
def test_gradients_of_gradients_are_reduced_or_refused(function, atoms, refused):
    gradient = atoms[0].gradient("x").copy()
    rows = Labels("sample", torch.tensor([[0], [1]]))
    gradient.add_gradient("z", TensorBlock(torch.ones(2, 2), rows, [], gradient.properties))
    block = TensorBlock(atoms[0].values, atoms[0].samples, [], atoms[0].properties)
    block.add_gradient("x", gradient)
    x, kind = TensorMap(Labels.single(), [block]), function.__name__.partition("_")[0]
    name = "atom" if "samples" in function.__name__ else "l"
    if kind in ("var", "std"):
        message = (
            "the gradient 'x' has gradients itself, and those of variances and standard deviations "
            "aren't determined by them alone; remove them with remove_gradients"
        )
        with refused(NotImplementedError, message):
            function(x, name)
        return
    found = function(x, name)[0].gradient("x").gradient("z").values
    # of two rows that become one, of two samples; or of two properties
    expected = {"sum": 2.0, "mean": 1.0}[kind]
    assert torch.equal(found, torch.full(found.shape, expected))
