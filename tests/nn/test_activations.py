import pytest
import torch

from tmref import Labels, TensorMap
from tmref.nn import ReLU, SiLU, Tanh

ONE = Labels.range("k", 1)

FUNCTIONS = {
    ReLU: lambda x: torch.where(x > 0, x, torch.zeros_like(x)),
    SiLU: lambda x: x / (1 + torch.exp(-x)),
    Tanh: lambda x: (torch.exp(x) - torch.exp(-x)) / (torch.exp(x) + torch.exp(-x)),
}

every_activation = pytest.mark.parametrize("kind", FUNCTIONS, ids=lambda kind: kind.__name__)
in_place_ones = pytest.mark.parametrize("kind", [ReLU, SiLU], ids=lambda kind: kind.__name__)


@every_activation
@pytest.mark.parametrize("shape", [(5, 4), (5, 3, 4), (0, 4), (5, 0)], ids=str)
def test_values_one_by_one(kind, shape, only, valid):
    x = only(*shape)
    before = x[0].values.clone()
    out = kind(x.keys)(x)
    assert torch.allclose(out[0].values, FUNCTIONS[kind](before), rtol=1e-13, atol=0)
    assert torch.equal(x[0].values, before)
    assert out[0].samples == x[0].samples
    assert out[0].components == x[0].components
    assert out[0].properties == Labels.range("_", shape[-1])
    valid(out)


@every_activation
def test_out_properties_are_those_of_the_key(kind, keys, three, selected):
    properties = [Labels("p", torch.arange(4).reshape(4, 1) + i) for i in range(3)]
    module = kind(keys, properties)
    assert [b.properties for b in module(three)] == properties
    assert [b.properties for b in module(selected(three, [2, 0]))] == [properties[2], properties[0]]


@every_activation
def test_no_blocks(kind, keys):
    out = kind(keys)(TensorMap(Labels.empty(keys.names), []))
    assert len(out) == 0


@every_activation
def test_there_is_nothing_to_train(kind, keys, mts, to_mts):
    module = kind(keys)
    assert list(module.parameters()) == []
    # what a module of metatensor's keeps, by exactly the same names: an empty helper, and the labels
    helpers = ["_mts_helper", "_extra_state"]
    assert list(module.state_dict()) == [*helpers, *(f"module_map.{name}" for name in helpers)]
    assert list(module.state_dict()) == list(
        getattr(mts.learn.nn, kind.__name__)(to_mts(keys)).state_dict()
    )


@every_activation
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((["k"],), TypeError, "in_keys must be Labels, got list"),
        ((None,), TypeError, "in_keys must be Labels, got NoneType"),
        (
            (ONE, Labels.range("p", 4)),
            TypeError,
            "out_properties must be a list of Labels, one for each key, got Labels",
        ),
        (
            (ONE, []),
            ValueError,
            "out_properties must have one value for each of the 1 keys, got 0",
        ),
        (
            (ONE, [4]),
            TypeError,
            "out_properties must be a list of Labels, one for each key, got 4 of type int",
        ),
    ],
)
def test_arguments_that_cannot_work_are_refused(kind, arguments, error, message, refused):
    with refused(error, message):
        kind(*arguments)


@every_activation
def test_out_properties_of_another_length_than_the_width_are_refused(kind, only, refused):
    message = "the module of (k=0) returned 4 properties, but its out_properties have 3 entries"
    with refused(ValueError, message):
        kind(ONE, [Labels.range("p", 3)])(only(2, 4))


@every_activation
def test_values_agree_with_metatensor(kind, keys, three, to_mts, mts):
    theirs = getattr(mts.learn.nn, kind.__name__)(to_mts(keys))
    assert mts.operations.equal(to_mts(kind(keys)(three)), theirs(to_mts(three)))


# --- in place, as torch does it


@in_place_ones
def test_in_place_overwrites_the_input(kind, only):
    x = only(5, 4)
    before = x[0].values.clone()
    out = kind(ONE, in_place=True)(x)
    assert out[0].values is x[0].values
    assert torch.allclose(x[0].values, FUNCTIONS[kind](before), rtol=1e-13, atol=0)
    assert x[0].properties == Labels.range("feature", 4)
    assert out[0].properties == Labels.range("_", 4)


@in_place_ones
def test_in_place_is_off_unless_asked_for(kind, only):
    x = only(5, 4)
    assert kind(ONE)(x)[0].values is not x[0].values
    with pytest.raises(TypeError, match="positional"):
        kind(ONE, None, True)


@in_place_ones
def test_in_place_is_refused_by_torch_for_what_is_differentiated(kind, only):
    x = only(5, 4)
    x[0].values.requires_grad_()
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        kind(ONE, in_place=True)(x)


def test_tanh_has_no_in_place():
    with pytest.raises(TypeError, match="in_place"):
        Tanh(ONE, in_place=True)
