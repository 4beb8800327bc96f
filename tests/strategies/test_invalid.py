import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tmref import Labels, TensorBlock, TensorMap, equal
from tmref.catalog import ROWS, Call
from tmref.implementations import load
from tmref.implementations.reference import Reference, implementation
from tmref.strategies import (
    Invalid,
    invalid_blocks,
    invalid_labels,
    invalid_maps,
    invalid_recipes,
    tensor_maps,
)
from tmref.strategies.invalid import BLOCKS, LABELS, MAPS
from tmref.strategies.invalid_modules import RECIPES

pytestmark = pytest.mark.filterwarnings(
    "ignore:Initializing zero-element tensors:UserWarning",
    "ignore:The inner type of a container is lost:UserWarning",  # metatensor and empty lists
    "ignore:var.*degrees of freedom is <= 0:UserWarning",  # layer norms of no properties
)

MANY = settings(max_examples=100, database=None, deadline=None, derandomize=True)
FEW = settings(MANY, max_examples=20)
ROW = {row.name: row for row in ROWS}
rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
DATA = {"labels": invalid_labels(), "blocks": invalid_blocks(), "maps": invalid_maps()}
data = pytest.mark.parametrize("strategy", DATA.values(), ids=DATA)

#: What only the values of a map can show: the module can be made.
AT_THE_CALL = {
    "in_features_that_are_not_there",
    "parameters_of_another_dtype",
    "out_properties_of_another_length",
    "a_module_of_other_in_features",
    "a_module_that_changes_the_shape",
    "covariant_blocks_without_components",
}
#: What torch itself may refuse, with an error of its own.
BY_TORCH = {
    "in_features_that_are_not_there",
    "parameters_of_another_dtype",
    "a_module_of_other_in_features",
}


def of_row(row, **options):
    """What is invalid for a row, on any map that the row takes."""
    return tensor_maps(**{**row.maps, **options}).flatmap(lambda x: invalid_recipes(row, x))


def check_refused(invalid, by=implementation):
    """Fails unless it raises a TypeError or ValueError that says why."""
    allowed = (TypeError, ValueError, *([RuntimeError] if invalid.kind in BY_TORCH else []))
    case = f"{invalid.kind}: {invalid.reason}"
    try:
        given = invalid.attempt(by)
    except allowed as error:
        message = str(error)
    except Exception as error:
        pytest.fail(f"{case}; it raised {error!r}")
    else:
        pytest.fail(f"{case}; it gave {given}")
    assert len(message) > 20, f"{case}; it says {message!r} only"


# --- the reference refuses


@data
def test_the_reference_refuses_data(strategy):
    @MANY
    @given(strategy)
    def check(invalid):
        assert invalid.x is None
        check_refused(invalid)

    check()


@rows
def test_the_reference_refuses_modules(row):
    @FEW
    @given(of_row(row))
    def check(invalid):
        assert invalid.x is not None
        check_refused(invalid)

    check()


@rows
def test_the_reference_refuses_modules_where_they_are_made(row):
    @FEW
    @given(of_row(row))
    def check(invalid):
        if invalid.kind not in AT_THE_CALL:
            with pytest.raises((TypeError, ValueError)):
                implementation.make(invalid.call)

    check()


@rows
def test_every_row_can_be_invalid_on_a_map_without_blocks(row, drawn):
    options = {"min_blocks": 0, "max_blocks": 0}
    for invalid in drawn(of_row(row, **options), 10):
        assert len(invalid.x) == 0
        check_refused(invalid)


# --- what is drawn


def kinds(table):
    return pytest.mark.parametrize("kind", [defect.name for defect in table])


@kinds([*LABELS, *BLOCKS, *MAPS])
def test_every_kind_of_invalid_data_occurs_in_1000_examples(kind, first):
    tables = zip((LABELS, BLOCKS, MAPS), DATA.values(), strict=True)
    strategy = next(s for table, s in tables if kind in [defect.name for defect in table])
    assert first(strategy, lambda invalid: invalid.kind == kind, 1000).kind == kind


#: Rows whose modules can have a defect that those of "linear" can't.
ROW_OF = {
    "invariant_keys_of_unknown_dimensions": "invariant_relu",
    "another_number_of_modules": "module_map_tanh",
    "a_module_that_is_none": "module_map_tanh",
    "a_module_of_other_in_features": "module_map_mlp",
    "a_module_that_changes_the_shape": "equivariant_tanh",
    "covariant_blocks_without_components": "equivariant_mlp",
    "a_layer_that_is_no_module": "sequential_tanh",
    "an_option_of_another_type": "layer_norm",
}


@kinds(RECIPES)
def test_every_kind_of_invalid_module_occurs_in_1000_examples(kind, first):
    strategy = of_row(ROW[ROW_OF.get(kind, "linear")])
    assert first(strategy, lambda invalid: invalid.kind == kind, 1000).kind == kind


@pytest.mark.parametrize("row", ["layer_norm", "invariant_layer_norm", "equivariant_linear"])
def test_sizes_of_all_rows_that_have_them_are_broken(row, first):
    expected = {"a_size_that_is_no_int", "a_negative_size", "sizes_of_another_length"}
    for kind in expected | {"in_features_that_are_not_there", "parameters_of_another_dtype"}:
        assert first(of_row(ROW[row]), lambda invalid, kind=kind: invalid.kind == kind, 1000)


@pytest.mark.parametrize("table", [LABELS, BLOCKS, MAPS, RECIPES])
def test_every_defect_is_listed_once_with_its_source(table):
    names = [defect.name for defect in table]
    assert len(set(names)) == len(names)
    assert all(re.match(r"\[(doc|maths|torch|ours)\] \S", defect.source) for defect in table)


@data
def test_no_examples_are_discarded(strategy, discarded):
    assert discarded(lambda draw: draw(strategy), 200) == 0


@rows
def test_no_invalid_modules_are_discarded(row, discarded):
    assert discarded(lambda draw: draw(of_row(row)), 40) < 0.01


@pytest.mark.parametrize("name", DATA)
def test_what_is_drawn_is_drawn_again(name, drawn):
    reasons = [[invalid.reason for invalid in drawn(DATA[name], 20)] for _ in range(2)]
    assert reasons[0] == reasons[1]


def test_invalid_labels_shrink_to_two_equal_rows(minimal):
    found = minimal(invalid_labels(), lambda invalid: True)
    assert (found.kind, found.reason) == ("repeated_rows", "rows 0 and 1 are both (0,)")
    assert found.call.args[1].tolist() == [[0], [0]]


# --- the reasons are true


def integers(invalid):
    return [int(number) for number in re.findall(r"-?\d+", invalid.reason)]


def is_int32(value):
    return math.isfinite(value) and value == int(value) and -(2**31) <= value < 2**31


def is_name(name):
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None


def value_is_wrong(invalid, names, values):
    row, column = integers(invalid)[:2]
    return not is_int32(values[row, column].item()) and f"{values[row, column].item()}" in invalid.reason


def lengths(samples, components, properties):
    return (len(samples), *map(len, components), len(properties))


def axis_is_wrong(axis):
    def check(invalid, values, *axes):
        given, wanted = integers(invalid)[-2:]
        i = axis if axis in (0, -1) else 1 + integers(invalid)[0]
        found = lengths(*axes)
        return found[i] == given != wanted == values.shape[i] and len(found) == values.dim()

    return check


def gradient_is_wrong(differ):
    def check(invalid, block, parameter, gradient):
        return isinstance(block, TensorBlock) and differ(invalid, block, gradient)

    return check


def blocks_differ(what):
    """Two blocks differ, in ``what`` they have; the one that the reason names from all others."""

    def check(invalid, keys, blocks):
        i = integers(invalid)[0]
        have = [what(block) for block in blocks]
        others = have[:i] + have[i + 1 :]
        return len(keys) == len(blocks) and all(other != have[i] for other in others)

    return check


def names_of(components):
    return [c.names for c in components]


def of_gradient(block):
    (_, gradient), *rest = block.gradients()
    assert not rest
    return gradient.samples.names, names_of(gradient.components)


TRUE = {
    "repeated_rows": lambda i, names, values: torch.equal(*values[integers(i)[:2]]),
    "repeated_names": lambda i, names, values: len({names[k] for k in integers(i)[:2]}) == 1,
    "another_number_of_names": lambda i, names, values: (
        integers(i) == [len(names), values.shape[1]] and len(names) != values.shape[1]
    ),
    "values_of_another_number_of_dimensions": lambda i, names, values: (
        integers(i) == [values.dim(), 2] and values.dim() != 2
    ),
    "values_that_are_not_whole": value_is_wrong,
    "values_beyond_32_bits": value_is_wrong,
    "values_that_are_no_tensor": lambda i, names, values: not isinstance(values, torch.Tensor),
    "a_name_that_is_no_identifier": lambda i, names, values: not is_name(names[integers(i)[0]]),
    "a_name_that_is_no_string": lambda i, names, values: not isinstance(names[integers(i)[0]], str),
    "samples_of_another_length": axis_is_wrong(0),
    "a_component_of_another_length": axis_is_wrong(1),
    "properties_of_another_length": axis_is_wrong(-1),
    "another_number_of_components": lambda i, values, samples, components, properties: (
        integers(i) == [len(components), values.dim()] and len(components) + 2 != values.dim()
    ),
    "block_values_of_fewer_than_two_dimensions": lambda i, values, *axes: (
        integers(i) == [values.dim()] and values.dim() < 2
    ),
    "components_of_one_name": lambda i, values, samples, components, properties: (
        components[integers(i)[0]].names == components[integers(i)[1]].names
        and lengths(samples, components, properties) == tuple(values.shape)
    ),
    "a_component_of_two_dimensions": lambda i, values, samples, components, properties: (
        len(components[integers(i)[0]].names) == 2
        and lengths(samples, components, properties) == tuple(values.shape)
    ),
    "a_component_without_entries": lambda i, values, samples, components, properties: (
        len(components[integers(i)[0]]) == 0
        and lengths(samples, components, properties) == tuple(values.shape)
    ),
    "an_axis_without_labels": lambda i, values, samples, components, properties: (
        not isinstance(components, list)
        or not all(isinstance(axis, Labels) for axis in (samples, *components, properties))
    ),
    "gradient_samples_without_sample": gradient_is_wrong(
        lambda i, block, gradient: gradient.samples.names[0] != "sample"
    ),
    "a_gradient_of_no_sample": gradient_is_wrong(
        lambda i, block, gradient: (
            int(gradient.samples.values[integers(i)[0], 0]) == integers(i)[1]
            and integers(i)[1] not in range(len(block))
        )
    ),
    "a_gradient_of_other_properties": gradient_is_wrong(
        lambda i, block, gradient: gradient.properties != block.properties
    ),
    "a_gradient_of_other_components": gradient_is_wrong(
        lambda i, block, gradient: gradient.components[-len(block.components) :] != block.components
    ),
    "a_gradient_of_another_dtype": gradient_is_wrong(
        lambda i, block, gradient: gradient.dtype != block.dtype
    ),
    "a_gradient_that_is_there": gradient_is_wrong(
        lambda i, block, gradient: block.gradients_list() == ["positions"]
    ),
    "a_parameter_that_is_no_string": lambda i, block, parameter, gradient: (
        not isinstance(parameter, str)
    ),
    "another_number_of_blocks": lambda i, keys, blocks: (
        integers(i) == [len(blocks), len(keys)] and len(blocks) != len(keys)
    ),
    "a_block_of_other_sample_names": blocks_differ(lambda block: block.samples.names),
    "a_block_of_other_components": blocks_differ(lambda block: names_of(block.components)),
    "a_block_of_other_property_names": blocks_differ(lambda block: block.properties.names),
    "a_block_of_another_dtype": blocks_differ(lambda block: block.dtype),
    "a_block_of_other_gradients": blocks_differ(lambda block: block.gradients_list()),
    "a_gradient_of_other_names": blocks_differ(of_gradient),
    "parts_of_a_map_of_another_type": lambda i, keys, blocks: (
        not isinstance(keys, Labels) or not all(isinstance(block, TensorBlock) for block in blocks)
    ),
}


def test_there_is_a_check_of_the_reason_for_every_kind_of_data():
    assert list(TRUE) == [defect.name for defect in (*LABELS, *BLOCKS, *MAPS)]


@data
def test_the_reasons_of_data_are_true(strategy):
    @MANY
    @given(strategy)
    def check(invalid):
        assert TRUE[invalid.kind](invalid, *invalid.call.args), invalid.reason

    check()


def test_the_reasons_of_modules_are_true(drawn):
    for invalid in drawn(st.sampled_from(ROWS).flatmap(of_row), 300):
        keys, call, numbers = invalid.x.keys, invalid.call, integers(invalid)
        last = call.args[-1] if call.name == "Sequential" else call
        if invalid.kind in ("too_few_out_properties", "too_many_out_properties"):
            given = last.kwargs["out_properties"]
            assert numbers == [len(given), len(keys)]
            assert (len(given) < len(keys)) == (invalid.kind == "too_few_out_properties")
        elif invalid.kind == "another_number_of_modules":
            given = call.args[0 if call.name == "EquivariantTransformation" else 1]
            assert numbers == [len(given), len(keys)]
            assert numbers[0] != numbers[1]
        elif invalid.kind == "sizes_of_another_length":
            assert numbers[0] not in numbers[1:] or call.name != "InvariantLayerNorm"
            assert numbers[0] != numbers[1] == len(keys)
        elif invalid.kind == "out_properties_of_another_length":
            k, given, wanted = numbers
            assert given == len(last.kwargs["out_properties"][k]) != wanted
        elif invalid.kind == "covariant_blocks_without_components":
            assert all(not block.components for block in invalid.x)
            assert 0 < numbers[0] <= len(keys)


def test_what_is_invalid_without_blocks_binds_nobody_but_where_it_is_seen(drawn):
    for invalid in drawn(st.sampled_from(ROWS).flatmap(lambda row: of_row(row, max_blocks=0)), 100):
        if invalid.kind in ("in_keys_that_are_no_labels", "too_many_out_properties"):
            assert invalid.source.startswith("[ours]")
        assert not invalid.source.startswith("[maths]")


# --- implementations that are wrong are noticed


class AcceptingAll(Reference):
    def make(self, call):
        return lambda x: x


class RaisingAssertions(Reference):
    def make(self, call):
        raise AssertionError(f"this is no message that is meant for anybody: {call.name}")


class Wrapping(Reference):
    """Labels beyond 32 bits are wrapped into others."""

    def array(self, rows):
        return rows if rows.is_floating_point() else rows.to(torch.int32)


class Padding(Reference):
    """Lists of out_properties that are too long are cut."""

    def make(self, call):
        kwargs = dict(call.kwargs)
        if isinstance(kwargs.get("out_properties"), list) and isinstance(kwargs["in_keys"], Labels):
            kwargs["out_properties"] = kwargs["out_properties"][: len(kwargs["in_keys"])]
        return super().make(Call(call.name, call.args, kwargs, call.parameters))


@pytest.mark.parametrize("wrong", [AcceptingAll(), RaisingAssertions()], ids=["accept", "assert"])
@pytest.mark.parametrize("strategy", [*DATA.values(), of_row(ROW["relu"])], ids=[*DATA, "modules"])
def test_who_accepts_all_or_asserts_is_noticed(wrong, strategy, drawn):
    for invalid in drawn(strategy, 10):
        with pytest.raises(pytest.fail.Exception):
            check_refused(invalid, wrong)


def is_noticed(wrong, kind):
    def check(invalid):
        try:
            check_refused(invalid, wrong)
        except pytest.fail.Exception:
            assert invalid.kind == kind
            return True
        return False

    return check


def test_who_wraps_labels_is_noticed(minimal):
    found = minimal(invalid_labels(), is_noticed(Wrapping(), "values_beyond_32_bits"))
    assert found.reason == "the value in row 0 and column 0 is 2147483648"


def test_who_takes_too_many_properties_is_noticed(first):
    assert first(of_row(ROW["relu"]), is_noticed(Padding(), "too_many_out_properties"))


# --- raw constructors by calls


@pytest.fixture(params=["reference", "metatensor-learn", "metatensor-torch"])
def anyone(request):
    return load(request.param)


def test_calls_make_data(anyone):
    values, samples = torch.ones(2, 1), Labels("s", torch.tensor([[3], [4]]))
    properties = Call("Labels", (["n"], torch.tensor([[7]])))
    block = Call("TensorBlock", (values, samples, [], properties))
    gradient = TensorBlock(
        torch.ones(1, 1), Labels.range("sample", 1), [], Labels("n", torch.tensor([[7]]))
    )
    with_gradient = Call("add_gradient", (block, "positions", gradient))
    made = anyone.decode(anyone.make(Call("TensorMap", (Labels.single(), [with_gradient]))))
    expected = TensorBlock(values, samples, [], gradient.properties)
    expected.add_gradient("positions", gradient)
    assert equal(made, TensorMap(Labels.single(), [expected]))


def test_calls_leave_blocks_and_maps_as_they_are(anyone):
    block = TensorBlock(torch.ones(1, 1), Labels.range("s", 1), [], Labels.range("n", 1))
    gradient = TensorBlock(torch.ones(1, 1), Labels.range("sample", 1), [], Labels.range("n", 1))
    for _ in range(2):
        made = anyone.make(Call("add_gradient", (block, "positions", gradient)))
        assert list(made.gradients_list()) == ["positions"]
        assert not block.has_any_gradient()
    tensor = TensorMap(Labels.single(), [block])
    again = anyone.make(Call("TensorMap", (tensor.keys, list(tensor))))
    assert equal(anyone.decode(again), tensor)


def test_labels_made_by_a_call_do_not_change_with_the_values(anyone):
    values = torch.tensor([[3]], dtype=torch.int32)
    made = anyone.make(Call("Labels", (["a"], values)))
    values[0, 0] = 5
    assert made.values.tolist() == [[3]]


def test_a_thing_that_is_valid_is_returned():
    call = Call("ReLU", (), {"in_keys": Labels.range("k", 0)})
    x = TensorMap(Labels.range("k", 0), [])
    assert equal(Invalid("", "", call, x).attempt(implementation), x)
    assert Invalid("", "", Call("Labels", (["a"], torch.tensor([[1]])))).attempt(
        implementation
    ) == Labels("a", torch.tensor([[1]]))
