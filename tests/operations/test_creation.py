"""Maps of other values with the metadata of a map, and autograd's graph."""

import pytest
import torch

import tmref
from tmref import Labels, TensorBlock, TensorMap, empty_like, ones_like, random_uniform_like, zeros_like

FILLED = {
    zeros_like: lambda values: bool((values == 0).all()),
    ones_like: lambda values: bool((values == 1).all()),
    empty_like: lambda values: True,
    random_uniform_like: lambda values: bool(((values >= 0) & (values < 1)).all()),
}


@pytest.fixture
def x():
    labels = Labels.range("s", 2), [Labels.range("c", 3)], Labels.range("p", 2)
    block = TensorBlock(torch.full((2, 3, 2), 7.0), *labels)
    for name in ("positions", "cell"):
        gradient = TensorBlock(torch.full((1, 3, 2), 7.0), Labels.range("sample", 1), *labels[1:])
        block.add_gradient(name, gradient)
    return TensorMap(Labels.single(), [block])


@pytest.mark.parametrize("filled", FILLED, ids=lambda function: function.__name__)
def test_values_are_others_and_metadata_is_the_same(filled, x):
    y = filled(x)
    assert tmref.equal_metadata(x, y)
    parts = [y[0], *(gradient for _, gradient in y[0].gradients())]
    assert all(FILLED[filled](part.values) for part in parts)
    assert not any(part.values.requires_grad for part in parts)
    assert bool((x[0].values == 7).all())


@pytest.mark.parametrize("filled", FILLED, ids=lambda function: function.__name__)
@pytest.mark.parametrize(
    ("given", "kept"), [([], []), ("cell", ["cell"]), (["positions"], ["positions"])]
)
def test_gradients_are_those_asked_for(filled, given, kept, x):
    y = filled(x, gradients=given, requires_grad=True)
    assert y[0].gradients_list() == kept
    assert y[0].values.requires_grad
    assert y[0].values.is_leaf


def test_random_numbers_are_torchs(x):
    torch.manual_seed(3)
    first = tmref.random_uniform_like(x)[0].values
    assert not torch.equal(tmref.random_uniform_like(x)[0].values, first)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(2, 3, 2), first)


@pytest.mark.parametrize("filled", FILLED, ids=lambda function: function.__name__)
def test_unknown_gradients_are_refused(filled, x, refused):
    with refused(ValueError, "no gradient 'strain' in the map, which has ['positions', 'cell']"):
        filled(x, gradients="strain")
    with refused(TypeError, "gradients must be a list of strings, got 5 of type int"):
        filled(x, gradients=5)
    with refused(TypeError, "requires_grad must be a bool, got int"):
        filled(x, requires_grad=1)
    with refused(TypeError, "tensor must be a TensorMap, got TensorBlock"):
        filled(x[0])


def test_a_detached_map_shares_memory_and_no_graph(x):
    computed = tmref.multiply(tmref.requires_grad(x), 2)
    y = tmref.detach(computed)
    for part in (y[0], y[0].gradient("cell")):
        assert not part.values.requires_grad
    assert computed[0].values.requires_grad
    assert y[0].values.data_ptr() == computed[0].values.data_ptr()


def test_requires_grad_is_said_of_a_map_and_leaves_its_input(x):
    y = tmref.requires_grad(x)
    assert y[0].values.requires_grad
    assert y[0].gradient("positions").values.requires_grad
    assert not x[0].values.requires_grad
    assert not tmref.requires_grad(y, False)[0].values.requires_grad
    assert y[0].values.data_ptr() == x[0].values.data_ptr()
