import copy
import pickle

import pytest
import torch

from tmref import Labels, TensorBlock

S, C, P = Labels.range("s", 2), Labels.range("c", 3), Labels.range("p", 4)
EMPTY = Labels.empty("c")
TWO_NAMES = Labels(["a", "b"], torch.tensor([[0, 0], [1, 1], [2, 2]]))
VALUES = torch.zeros(2, 4)


def test_a_block_is_an_array_with_labels():
    values = torch.randn(2, 3, 4, dtype=torch.float64)
    block = TensorBlock(values, S, [C], P)
    assert block.values is values
    assert block.samples is S
    assert block.components == [C]
    assert block.properties is P
    assert block.shape == (2, 3, 4)
    assert block.dtype == torch.float64
    assert block.device == torch.device("cpu")
    assert len(block) == 2
    assert not block.has_any_gradient()
    assert block.gradients_list() == []
    assert block.gradients() == []


@pytest.mark.parametrize("shape", [(0, 4), (2, 0), (0, 3, 0), (0, 0)])
def test_zero_samples_and_properties_are_ordinary(shape, block):
    assert block(*shape).shape == shape


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[0.0]], S, [], P), TypeError, "values must be a torch.Tensor, got list"),
        ((VALUES, S, C, P), TypeError, "components must be a list of Labels, got Labels"),
        ((VALUES, S, None, P), TypeError, "components must be a list of Labels, got NoneType"),
        ((VALUES, "s", [], P), TypeError, "samples must be Labels, got str"),
        ((VALUES, S, [C, 1], P), TypeError, "components[1] must be Labels, got int"),
        ((VALUES, S, [], [P]), TypeError, "properties must be Labels, got list"),
        (
            (VALUES, S, [C], P),
            ValueError,
            "values have the shape (2, 4), but samples, components and properties have (2, 3, 4) "
            "entries",
        ),
        (
            (VALUES, P, [], S),
            ValueError,
            "values have the shape (2, 4), but samples, components and properties have (4, 2) entries",
        ),
        (
            (torch.zeros(()), S, [], P),
            ValueError,
            "values have the shape (), but samples, components and properties have (2, 4) entries",
        ),
        (
            (VALUES, S.to("meta"), [], P),
            ValueError,
            'values are on cpu but samples on meta; move them with .to("cpu")',
        ),
        (
            (torch.zeros(2, 3, 4), S, [C.to("meta")], P),
            ValueError,
            'values are on cpu but components[0] on meta; move them with .to("cpu")',
        ),
        (
            (torch.zeros(2, 4, device="meta"), S.to("meta"), [], P),
            ValueError,
            'values are on meta but properties on cpu; move them with .to("meta")',
        ),
        (
            (torch.zeros(2, 0, 4), S, [EMPTY], P),
            ValueError,
            "components[0] must have one dimension and at least one entry, got the dimensions ['c'] and "
            "0 entries",
        ),
        (
            (torch.zeros(2, 3, 3, 4), S, [C, TWO_NAMES], P),
            ValueError,
            "components[1] must have one dimension and at least one entry, got the dimensions "
            "['a', 'b'] and 3 entries",
        ),
        (
            (torch.zeros(2, 3, 3, 4), S, [C, C], P),
            ValueError,
            "components must have different names, got ['c', 'c']",
        ),
    ],
)
def test_what_makes_no_block_is_refused(arguments, error, message, refused):
    with refused(error, message):
        TensorBlock(*arguments)


def test_the_list_of_components_is_copied():
    components = [C]
    block = TensorBlock(torch.zeros(2, 3, 4), S, components, P)
    components.append(C)
    block.components.append(C)
    assert block.components == [C]


# --- gradients


def gradient_of(block, values=None, samples=None, components=None, properties=None, **kwargs):
    """A gradient with one row, which fits the block but for what is given."""
    samples = Labels(["sample"], torch.tensor([[0]])) if samples is None else samples
    components = block.components if components is None else components
    properties = block.properties if properties is None else properties
    shape = (len(samples), *(len(c) for c in components), len(properties))
    return TensorBlock(torch.zeros(shape, **kwargs), samples, components, properties)


def test_gradients_by_parameter(block, with_gradient):
    whole = with_gradient(block(2, 3, 4), [1, 1, 0], 5)
    with_gradient(whole, [], parameter="cell")
    assert whole.has_any_gradient()
    assert whole.gradients_list() == ["positions", "cell"]
    assert [whole.has_gradient(name) for name in ("cell", "positions", "cel", "")] == [True] * 2 + [
        False
    ] * 2
    assert [name for name, _ in whole.gradients()] == ["positions", "cell"]
    assert whole.gradient("positions").shape == (3, 5, 3, 4)
    assert whole.gradient("cell").shape == (0, 3, 4)
    assert whole.gradients()[1][1] is whole.gradient("cell")
    assert [c.names for c in whole.gradient("positions").components] == [["xyz_0"], ["component_0"]]


def test_gradients_share_their_values():
    block = TensorBlock(VALUES, S, [], P)
    gradient = gradient_of(block)
    block.add_gradient("q", gradient)
    assert block.gradient("q").values is gradient.values


def test_gradients_may_have_gradients(block, with_gradient):
    whole = block(2, 4)
    gradient = gradient_of(whole, dtype=torch.float64)
    gradient.add_gradient("r", gradient_of(gradient, dtype=torch.float64))
    whole.add_gradient("q", gradient)
    assert whole.gradient("q").gradients_list() == ["r"]


def test_an_unknown_gradient_is_refused_by_name(block, with_gradient, refused):
    with refused(ValueError, "no gradient with respect to 'cell', the block has ['positions']"):
        with_gradient(block(2, 4), [0]).gradient("cell")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"samples": Labels(["system"], torch.tensor([[0]]))},
            "the first dimension of a gradient's samples must be 'sample', got ['system']",
        ),
        (
            {"samples": Labels(["atom", "sample"], torch.tensor([[0, 0]]))},
            "the first dimension of a gradient's samples must be 'sample', got ['atom', 'sample']",
        ),
        (
            {"samples": Labels(["sample"], torch.tensor([[1], [2]]))},
            "'sample' of the gradient must be rows of the values' 2 samples, got 1 to 2",
        ),
        (
            {"samples": Labels(["sample"], torch.tensor([[-1], [0]]))},
            "'sample' of the gradient must be rows of the values' 2 samples, got -1 to 0",
        ),
        (
            {"components": []},
            "the components of a gradient must end with the components of the values, "
            "got [] for [['component_0']]",
        ),
        (
            {"components": [Labels.range("component_0", 3), Labels.range("xyz", 3)]},
            "the components of a gradient must end with the components of the values, "
            "got [['component_0'], ['xyz']] for [['component_0']]",
        ),
        (
            {"components": [Labels.range("component_0", 2)]},
            "the components of a gradient must end with the components of the values, "
            "got [['component_0']] for [['component_0']]",
        ),
        (
            {"properties": Labels.range("other", 4)},
            "the properties of a gradient must be those of the values",
        ),
        (
            {"dtype": torch.float32},
            "the gradient is torch.float32 on cpu, the values are torch.float64 on cpu",
        ),
    ],
)
def test_a_gradient_that_does_not_fit_is_refused(changes, message, block, refused):
    whole = block(2, 3, 4)
    gradient = gradient_of(whole, **{"dtype": torch.float64, **changes})
    with refused(ValueError, message):
        whole.add_gradient("q", gradient)
    assert not whole.has_any_gradient()


def test_a_gradient_on_another_device_is_refused(block, refused):
    whole = block(2, 4)
    meta = TensorBlock(
        torch.zeros(1, 4, device="meta", dtype=torch.float64),
        Labels.range("sample", 1).to("meta"),
        [],
        whole.properties.to("meta"),
    )
    message = "the gradient is torch.float64 on meta, the values are torch.float64 on cpu"
    with refused(ValueError, message):
        whole.add_gradient("q", meta)


def test_what_is_no_gradient_is_refused(block, refused):
    whole = block(2, 4)
    with refused(TypeError, "parameter must be a string, got 3 of type int"):
        whole.add_gradient(3, gradient_of(whole))
    with refused(TypeError, "gradient must be a TensorBlock, got Tensor"):
        whole.add_gradient("q", torch.zeros(2, 4))


def test_a_second_gradient_of_one_parameter_is_refused(block, with_gradient, refused):
    whole = with_gradient(block(2, 4), [0])
    with refused(ValueError, "the block has a gradient with respect to 'positions' already"):
        with_gradient(whole, [1])
    assert len(whole.gradient("positions")) == 1


# --- ownership: what is part of a map or of another block keeps its structure


OWNED = (
    "this block is part of a TensorMap or a gradient, whose structure is fixed; "
    "add the gradient before, or to a block.copy()"
)


def test_a_block_in_a_map_takes_no_gradient(block, with_gradient, tensor_map, refused):
    whole = with_gradient(block(2, 4), [0])
    tensor = tensor_map(Labels.single(), whole)
    for inside in (tensor[0], tensor.block(), next(iter(tensor)), tensor.items()[0][1]):
        with refused(ValueError, OWNED):
            inside.add_gradient("q", gradient_of(inside, dtype=torch.float64))
    gradient = tensor[0].gradient("positions")
    with refused(ValueError, OWNED):
        gradient.add_gradient("q", gradient_of(gradient, dtype=torch.float64))


def test_a_gradient_of_a_block_takes_no_gradient(block, with_gradient, refused):
    for whole in (with_gradient(block(2, 4), [0]), with_gradient(block(2, 4), [0]).copy()):
        gradient = whole.gradient("positions")
        with refused(ValueError, OWNED):
            gradient.add_gradient("q", gradient_of(gradient, dtype=torch.float64))


def test_what_is_added_to_a_block_later_is_in_no_map(block, with_gradient, tensor_map):
    whole = block(2, 4)
    tensor = tensor_map(Labels.single(), whole)
    with_gradient(whole, [0])
    assert whole.has_any_gradient()
    assert not tensor[0].has_any_gradient()


@pytest.mark.parametrize("deep", [True, False])
def test_a_copy_of_a_block_in_a_map_takes_gradients(deep, block, with_gradient, tensor_map):
    tensor = tensor_map(Labels.single(), block(2, 4))
    again = with_gradient(tensor[0].copy(deep), [0])
    assert again.has_any_gradient()
    assert not tensor[0].has_any_gradient()


# --- copies


def test_a_deep_copy_shares_no_values(block, with_gradient):
    whole = with_gradient(block(2, 3, 4), [0, 1], 2)
    again = whole.copy()
    assert torch.equal(again.values, whole.values)
    again.values.zero_()
    again.gradient("positions").values.zero_()
    assert whole.values.abs().min() > 0
    assert whole.gradient("positions").values.abs().min() > 0
    assert (again.samples, again.components, again.properties) == (
        whole.samples,
        whole.components,
        whole.properties,
    )


def test_a_deep_copy_is_detached():
    block = TensorBlock(torch.zeros(2, 4, requires_grad=True), S, [], P)
    assert not block.copy().values.requires_grad
    assert block.copy(deep=False).values.requires_grad


def test_a_shallow_copy_shares_values(block, with_gradient):
    whole = with_gradient(block(2, 4), [0, 1])
    again = whole.copy(deep=False)
    assert again is not whole
    assert again.values is whole.values
    assert again.gradient("positions").values is whole.gradient("positions").values


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"]
)
def test_copies_by_the_standard_library(duplicate, block, with_gradient):
    whole = with_gradient(block(2, 3, 4), [0, 1], 2)
    again = duplicate(whole)
    assert torch.equal(again.values, whole.values)
    assert torch.equal(again.gradient("positions").values, whole.gradient("positions").values)
    assert again.gradient("positions").samples == whole.gradient("positions").samples
    assert (again.samples, again.components, again.properties) == (
        whole.samples,
        whole.components,
        whole.properties,
    )
    again.values.zero_()
    assert whole.values.abs().min() > 0


def test_print(block, with_gradient):
    whole = with_gradient(block(2, 3, 4), [0], 5)
    assert str(whole) == whole.print()
    assert str(whole) == (
        "TensorBlock with shape (2, 3, 4)\n"
        "    samples: [system]\n"
        "    components: [component_0]\n"
        "    properties: [feature]\n"
        "\n"
        "    gradients:\n"
        "        positions => TensorBlock with shape (1, 5, 3, 4)"
    )
    assert str(whole.gradient("positions")) == (
        "TensorBlock gradient for 'positions', with shape (1, 5, 3, 4)\n"
        "    samples: [sample, atom]\n"
        "    components: [xyz_0, component_0]\n"
        "    properties: [feature]"
    )
    assert str(block(2, 0)) == (
        "TensorBlock with shape (2, 0)\n    samples: [system]\n    properties: [feature]"
    )


@pytest.mark.parametrize("shape", [(2, 4), (0, 3, 4), (2, 1, 3, 0)], ids=str)
def test_blocks_are_printed_as_metatensor_prints_them(shape, block, with_gradient, to_mts):
    whole = block(*shape)
    assert str(whole) == str(to_mts(whole)) == repr(to_mts(whole))
    whole = with_gradient(whole, [], 5, 2)
    for ours, theirs in (
        (whole, to_mts(whole)),
        (whole.gradient("positions"), to_mts(whole).gradient("positions")),
    ):
        assert str(ours) == str(theirs) == repr(theirs)


# --- to


@pytest.mark.parametrize(
    ("args", "kwargs", "dtype", "device"),
    [
        ((), {}, torch.float64, "cpu"),
        ((torch.float32,), {}, torch.float32, "cpu"),
        (("meta",), {}, torch.float64, "meta"),
        ((torch.device("meta"), torch.float32), {}, torch.float32, "meta"),
        ((torch.float32, "meta"), {}, torch.float32, "meta"),
        ((), {"dtype": torch.float32}, torch.float32, "cpu"),
        ((), {"device": "meta", "dtype": torch.float32, "non_blocking": True}, torch.float32, "meta"),
        (("meta",), {"dtype": torch.float32}, torch.float32, "meta"),
    ],
    ids=str,
)
def test_to(args, kwargs, dtype, device, block, with_gradient):
    whole = with_gradient(block(2, 3, 4), [0, 1], 2)
    moved = whole.to(*args, **kwargs)
    for part, old in ((moved, whole), (moved.gradient("positions"), whole.gradient("positions"))):
        assert part.dtype == dtype
        assert part.device == torch.device(device)
        assert part.samples == old.samples
        assert part.properties == old.properties
        for labels in (part.samples, *part.components, part.properties):
            assert labels.device == torch.device(device)
        if device == "cpu":
            assert torch.equal(part.values, old.values.to(dtype))
    assert whole.dtype == torch.float64
    assert whole.device == whole.samples.device == torch.device("cpu")


def test_to_shares_what_is_there_and_is_differentiable(block):
    whole = block(2, 4)
    assert whole.to(torch.float64).values is whole.values
    whole.values.requires_grad_()
    whole.to(torch.float32).values.sum().backward()
    assert torch.equal(whole.values.grad, torch.ones_like(whole.values))


def test_to_takes_a_dtype_and_a_device(block, refused):
    start = "to takes one dtype and one device, by position or by name, got "
    with refused(TypeError, f"{start}3 of type int"):
        block(2, 4).to(3)
    with refused(TypeError, f"{start}'cpu' of type str beside others"):
        block(2, 4).to("meta", "cpu")
    with refused(TypeError, f"{start}torch.float32 of type dtype beside others"):
        block(2, 4).to(torch.float32, dtype=torch.float64)


# --- agreement with metatensor.torch


@pytest.mark.parametrize(
    ("shape", "samples", "components", "properties", "good"),
    [
        ((2, 4), S, [], P, True),
        ((2, 3, 4), S, [C], P, True),
        ((0, 0), Labels.empty("s"), [], Labels.empty("p"), True),
        ((2, 2), S, [], S, True),
        ((2, 3, 3), S, [C], C, True),
        ((2, 3), S, [], P, False),
        ((2, 3, 4), S, [], P, False),
        ((2, 4), S, [C], P, False),
        ((2, 0, 4), S, [EMPTY], P, False),
        ((2, 3, 4), S, [TWO_NAMES], P, False),
        ((2, 3, 3, 4), S, [C, C], P, False),
    ],
)
def test_blocks_are_refused_where_metatensor_refuses_them(
    shape, samples, components, properties, good, mts, to_mts
):
    def accepted(kind, convert):
        try:
            kind(torch.zeros(shape), convert(samples), [*map(convert, components)], convert(properties))
        except (ValueError, RuntimeError):
            return False
        return True

    assert accepted(TensorBlock, lambda labels: labels) is good
    assert accepted(mts.TensorBlock, to_mts) is good


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({"samples": Labels(["sample", "atom"], torch.tensor([[1, 0], [0, 5], [1, 2]]))}, True),
        ({"samples": Labels.empty("sample")}, True),
        ({"components": [Labels.range("xyz", 2), Labels.range("component_0", 3)]}, True),
        ({"samples": Labels(["system"], torch.tensor([[0]]))}, False),
        ({"samples": Labels(["sample"], torch.tensor([[2]]))}, False),
        ({"samples": Labels(["sample"], torch.tensor([[-1]]))}, False),
        ({"components": []}, False),
        ({"components": [Labels.range("component_0", 3), Labels.range("xyz", 2)]}, False),
        ({"properties": Labels.range("other", 4)}, False),
    ],
)
def test_gradients_are_refused_where_metatensor_refuses_them(changes, good, block, to_mts):
    def accepted(convert):
        whole = block(2, 3, 4)
        gradient = gradient_of(whole, **{"dtype": torch.float64, **changes})
        try:
            convert(whole).add_gradient("q", convert(gradient))
        except (ValueError, RuntimeError):
            return False
        return True

    assert accepted(lambda x: x) is good
    assert accepted(to_mts) is good
