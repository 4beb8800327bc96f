"""Modules and maps that the tests of tmref.nn share."""

import warnings

import pytest
import torch

from tmref import Labels, TensorBlock, TensorMap


@pytest.fixture(scope="session", autouse=True)
def _first_jvp():
    """The first of a process makes torch load decompositions by torch.jit, which it has deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.script` is deprecated", DeprecationWarning)
        torch.func.jvp(torch.tanh, (torch.zeros(1),), (torch.zeros(1),))


@pytest.fixture
def keys():
    """Three keys of two dimensions."""
    return Labels(["l", "species"], torch.tensor([[0, 1], [1, 1], [1, 6]]))


@pytest.fixture
def three(keys, block):
    """A map with blocks of 2, 3 and 4 samples and 4 properties."""
    return TensorMap(keys, [block(n, 4, seed=n) for n in (2, 3, 4)])


@pytest.fixture
def only(block):
    """A map of one block of the shape given, with the key (k=0)."""

    def build(*shape, **kwargs):
        return TensorMap(Labels.range("k", 1), [block(*shape, **kwargs)])

    return build


@pytest.fixture
def selected():
    """The blocks of a map at some positions, in that order."""

    def select(tensor, positions):
        keys = Labels(tensor.keys.names, tensor.keys.values[positions])
        return TensorMap(keys, [tensor[i].copy(deep=False) for i in positions])

    return select


@pytest.fixture
def permuted():
    """The same labels with the names of their dimensions in reverse order."""

    def permute(labels):
        return Labels(labels.names[::-1], labels.values.flip(1))

    return permute


@pytest.fixture
def same():
    """Asserts that two maps are the same, values included; gradients' too."""

    def check_blocks(a, b):
        assert torch.equal(a.values, b.values)
        assert (a.samples, a.components, a.properties) == (b.samples, b.components, b.properties)
        assert a.gradients_list() == b.gradients_list()
        for parameter, gradient in a.gradients():
            check_blocks(gradient, b.gradient(parameter))

    def check(a, b):
        assert a.keys == b.keys
        for one, other in zip(a, b, strict=True):
            check_blocks(one, other)

    return check


class Calls(torch.nn.Module):
    """A function as a module that counts its calls."""

    def __init__(self, function, per_sample=None):
        super().__init__()
        self.function = function
        self.count = 0
        if per_sample is not None:
            self.per_sample = per_sample

    def forward(self, x):
        self.count += 1
        return self.function(x)


@pytest.fixture
def calls():
    """calls(function): a torch module that counts its calls."""
    return Calls


@pytest.fixture
def valid():
    """Asserts that the public constructors accept the parts of a map: nothing in it is inconsistent."""

    def rebuild(block):
        again = TensorBlock(block.values, block.samples, block.components, block.properties)
        for parameter, gradient in block.gradients():
            again.add_gradient(parameter, rebuild(gradient))
        return again

    def check(tensor):
        TensorMap(tensor.keys, [rebuild(block) for block in tensor])

    return check
