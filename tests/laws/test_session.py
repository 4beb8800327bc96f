"""What laws do with an implementation: lines of code, which are what scripts print."""

import pytest
import torch

import tmref
from tmref import Labels, TensorBlock, TensorMap
from tmref.compare import Refused
from tmref.implementations import load
from tmref.implementations.reference import implementation as reference
from tmref.laws.outcomes import NotOffered, Raised
from tmref.laws.session import Session, copied
from tmref.strategies.values import LAYOUTS, laid_out

NAMES = ("reference", "metatensor-learn", "metatensor-torch")
by_name = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def x(block):
    return TensorMap(Labels.range("key", 2), [block(2, 3), block(1, 2)])


@by_name
def test_what_is_given_is_encoded_and_what_comes_back_is_decoded(name, x):
    f = Session(load(name))
    assert f.run("x.keys", x=x) == x.keys
    assert type(f["x"]) is load(name).TensorMap or f["x"]._type().name() == "TensorMap"
    block = f.run("x.block(1)")
    assert block.samples == x.block(1).samples
    assert torch.equal(block.values, x.block(1).values)
    assert f.run("{'a': [x.keys], 'b': (len(x), None)}") == {"a": [x.keys], "b": (2, None)}


@by_name
def test_labels_of_numpy_and_of_torch_both_come_back_as_tensors(name):
    f = Session(load(name))
    values = f.run("a.values", a=Labels.range("n", 3))
    assert values.tolist() == [[0], [1], [2]]
    assert isinstance(values, torch.Tensor)


def test_names_stay_for_later_lines():
    f = Session(reference)
    assert f.run("a = 2 * n", n=3) == 6
    assert f.run("a + n") == 9
    f.run("import math\nb = math.floor(a / 4)")
    assert f["b"] == 1
    assert [step.code for step in f.steps][:2] == ["a = 2 * n", "a + n"]


def test_what_a_line_does_to_what_it_is_given_stays_there(x):
    f = Session(reference)
    before = x.copy()
    f.run("x.block(0).values.zero_()", x=x)
    assert torch.equal(x.block(0).values, before.block(0).values)
    assert torch.equal(f.steps[0].given["x"].block(0).values, before.block(0).values)
    assert not f["x"].block(0).values.any()


def test_what_raises_is_refused_or_an_error_with_its_line():
    f = Session(reference)
    refused = f.attempt_to_run("[][0]")
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, IndexError)
    with pytest.raises(Raised, match=r"'\[\]\[0\]' can't be done"):
        f.run("[][0]")


def test_what_is_not_offered():
    assert Session(reference).offered("name") == "reference"
    with pytest.raises(NotOffered, match="reference does not offer it: telepathy"):
        Session(reference).offered("telepathy")


# --- what is given is copied


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64, torch.int32])
def test_what_is_copied_lies_in_memory_as_it_did(layout, dtype):
    values = laid_out(torch.arange(6).reshape(2, 3).to(dtype), layout)
    copy = copied(values)
    assert torch.equal(copy, values)
    assert copy.untyped_storage().data_ptr() != values.untyped_storage().data_ptr()
    for of in ("is_conj", "is_neg", "stride", "storage_offset"):
        assert getattr(copy, of)() == getattr(values, of)()
    block = TensorBlock(values, Labels.range("s", 2), [], Labels.range("p", 3))
    x = tmref.with_info(TensorMap(Labels.range("key", 1), [block]), {"unit": "eV"})
    (again,) = copied([x])
    assert again[0].values.is_neg() == values.is_neg()
    assert again[0].values.stride() == values.stride()
    assert again.info() == {"unit": "eV"}


def test_a_copy_that_lies_anyhow_has_the_graph():
    values = torch.ones(2, 2, requires_grad=True)
    copied(values[:, :1]).sum().backward()
    assert values.grad.tolist() == [[1, 0], [1, 0]]
