import dataclasses
import json
import math
from collections.abc import Mapping

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.vendor.pretty import pretty

import tmref
from tmref import Labels, TensorBlock, TensorMap, catalog, with_gradients
from tmref.block import block_source
from tmref.catalog import ROWS, Call, Recipe, Row
from tmref.implementations import load
from tmref.labels import labels_source
from tmref.printing import LONGEST, counted, source_of, tensor_source, type_of
from tmref.strategies import (
    array_values,
    components,
    dtypes,
    keys,
    labels,
    layouts,
    permutations,
    recipes,
    rotations,
    tensor_blocks,
    tensor_maps,
)
from tmref.tensor_map import map_source

SOME = settings(max_examples=100, database=None, deadline=None, derandomize=True)
FEW = settings(max_examples=10, database=None, deadline=None, derandomize=True)

KINDS = {type(kind) for row in ROWS for kind in (row.kind, *row.layers)}
#: What reprs are written in.
NAMES = {
    **{name: getattr(tmref, name) for name in tmref.__all__},
    "torch": torch,
    "row": catalog.row,
    **{kind.__name__: kind for kind in (Call, Recipe, Row, *KINDS)},
}
#: Values of all kinds, wherever they lie.
EVERYTHING = {
    "dtypes": dtypes(allow_half=True, allow_integers=True, allow_complex=True),
    "wide": True,
    "allow_nan": True,
    "allow_infinity": True,
    "allow_subnormal": True,
    "layouts": layouts(),
    "requires_grad": st.booleans(),
}
SHAPES = [(), (0,), (1,), (3,), (2, 2), (1, 3), (2, 0, 1), (2, 3, 2)]
OF_EIGHTHS = {name: EVERYTHING[name] for name in ("dtypes", "layouts", "requires_grad")}


def evaluated(code):
    return eval(code, dict(NAMES))


def bits(values):
    """All that can be told of the numbers, -0.0 included, but NaN are all the same."""
    plain = values.new_empty(values.numel()).copy_(values.detach().flatten())
    if plain.is_complex():
        plain = torch.view_as_real(plain)
    plain = torch.where(plain.isnan(), plain.new_full((), 7), plain), plain.isnan()
    return [part.view(torch.uint8).tolist() for part in plain]


def described(x):
    """All that is to be the same of a thing that is built again, as what Python compares."""
    if isinstance(x, torch.Tensor):
        about = [x.dtype, x.shape, x.device, x.requires_grad, x.is_conj(), x.is_neg()]
        if x.numel():
            about.append([stride for n, stride in zip(x.shape, x.stride(), strict=True) if n > 1])
        if x.numel() and not x.is_meta:
            steps = [(n - 1) * stride for n, stride in zip(x.shape, x.stride(), strict=True)]
            about.append(bits(x.detach().as_strided((1 + x.storage_offset() + sum(steps),), (1,), 0)))
        return [*about, x.storage_offset() if x.numel() else 0]
    if isinstance(x, Labels):
        rows = x.to("cpu").values
        return [x.names, rows.tolist(), rows.dtype, x.device]
    if isinstance(x, TensorBlock):
        gradients = [[parameter, described(gradient)] for parameter, gradient in x.gradients()]
        return [*map(described, (x.values, x.samples, x.components, x.properties)), gradients]
    if isinstance(x, TensorMap):
        return [described(x.keys), *map(described, x)]
    if isinstance(x, Mapping):
        return [[key, described(value)] for key, value in x.items()]
    if isinstance(x, (list, tuple)):
        return [type(x), *map(described, x)]
    if dataclasses.is_dataclass(x):
        return [type(x), *(described(getattr(x, field.name)) for field in dataclasses.fields(x))]
    return x


def check_rebuilt(x):
    code = source_of(x)
    assert described(evaluated(code)) == described(x)
    if not isinstance(x, (torch.Tensor, list)):
        assert code == repr(x) == pretty(x)


# --- what is drawn is rebuilt


@SOME
@given(array_values(shapes=st.sampled_from(SHAPES), **EVERYTHING))
def test_tensors_are_rebuilt(values):
    check_rebuilt(values)


@SOME
@given(array_values(**OF_EIGHTHS))
def test_tensors_of_small_numbers_are_rebuilt(values):
    check_rebuilt(values)


@SOME
@given(array_values(devices=st.just("meta"), **EVERYTHING))
def test_tensors_on_meta_are_rebuilt(values):
    check_rebuilt(values)


@SOME
@given(st.one_of(labels(), keys(min_size=1), labels(max_size=12), components()))
def test_labels_are_rebuilt(x):
    check_rebuilt(x)


@FEW
@given(st.one_of(labels(), keys()))
def test_labels_on_meta_are_rebuilt(x):
    check_rebuilt(x.to("meta"))


@SOME
@given(tensor_blocks(max_gradients=2, **EVERYTHING))
def test_blocks_are_rebuilt(block):
    check_rebuilt(block)


@pytest.mark.parametrize("options", [{}, OF_EIGHTHS, EVERYTHING, {"devices": st.just("meta")}])
@pytest.mark.parametrize("spherical", [False, True])
def test_maps_are_rebuilt(options, spherical):
    strategy = tensor_maps(spherical=spherical, max_blocks=2, max_gradients=1, **options)
    settings(SOME, max_examples=30)(given(strategy)(check_rebuilt))()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_recipes_are_rebuilt(row):
    @FEW
    @given(st.data())
    def check(data):
        made = data.draw(recipes(row, data.draw(tensor_maps(**{**row.maps, "max_blocks": 2}))))
        check_rebuilt(made)
        check_rebuilt(made.call)
        check_rebuilt(made.with_initial_parameters(7))

    check()


@FEW
@given(st.data())
def test_permutations_and_rotations_are_rebuilt(data):
    check_rebuilt(data.draw(permutations(data.draw(tensor_maps()))))
    check_rebuilt(data.draw(rotations()))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_rows_of_the_catalog_are_named(row):
    assert repr(row) == f"row({row.name!r})"
    assert evaluated(repr(row)) is row


@pytest.mark.parametrize("row", [row for row in ROWS if not row.maps], ids=lambda row: row.name)
def test_rows_of_ones_own_are_rebuilt(row):
    own = dataclasses.replace(row, name="my own")
    assert repr(own).startswith("Row('my own', ")
    assert evaluated(repr(own)) == own
    assert evaluated(repr(own)) != row


# --- a wrong source would be noticed


ONES = torch.tensor([1.0, 2.0])


@pytest.mark.parametrize(
    ("x", "wrong"),
    [
        (ONES, "torch.tensor([1.0, 2.125])"),
        (ONES, "torch.tensor([1.0, 2.0], dtype=torch.float64)"),
        (ONES, "torch.tensor([[1.0, 2.0]])"),
        (ONES, "torch.tensor([1.0, 2.0]).requires_grad_()"),
        (ONES, "torch._neg_view(torch.tensor([-1.0, -2.0]))"),
        (ONES, "torch.tensor([1.0, 7.0, 2.0]).as_strided((2,), (2,), 0)"),
        (ONES, "torch.tensor([7.0, 1.0, 2.0]).as_strided((2,), (1,), 1)"),
        (ONES, 'torch.empty((2,), device="meta")'),
        (torch.tensor([0.0]), "torch.tensor([-0.0])"),
        (torch.tensor([torch.nan]), "torch.tensor([torch.inf])"),
        (torch.ones(2, 2), "torch.ones(2, 1).expand(2, 2)"),
        (torch.tensor([1j]), "torch.tensor([-1j]).conj()"),
        (ONES.as_strided((1,), (1,), 1), "torch.tensor([5.0, 2.0]).as_strided((1,), (1,), 1)"),
        (torch.empty((2, 0)), "torch.empty((0, 2))"),
        (Labels.range("a", 2), 'Labels.range("b", 2)'),
        (Labels.range("a", 2), 'Labels("a", torch.tensor([[1], [0]]))'),
        (Labels.range("a", 2), 'Labels.range("a", 2).to("meta")'),
        (Call("Tanh", parameters=(ONES,)), "Call('Tanh')"),
        (Call("Tanh", kwargs={"n": 1}), "Call('Tanh', kwargs={'n': 2})"),
    ],
)
def test_what_is_not_the_same_is_noticed(x, wrong):
    assert described(evaluated(wrong)) != described(x)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [(".conj()", ""), ("torch._neg_view", ""), (".requires_grad_()", ""), (", dtype=torch.float64", "")],
)
def test_a_wrong_source_of_drawn_values_is_noticed(right, wrong, monkeypatch):
    def broken(tensor, longest=None):
        return tensor_source(tensor, longest).replace(right, wrong)

    monkeypatch.setattr("tmref.printing.tensor_source", broken)
    with pytest.raises(AssertionError):
        settings(SOME, max_examples=2000, report_multiple_bugs=False)(
            given(array_values(**EVERYTHING))(check_rebuilt)
        )()


# --- how it is written


STEPS = torch.arange(6.0)
SQUARE = STEPS.reshape(2, 3)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (torch.tensor(2.5), "torch.tensor(2.5)"),
        (torch.tensor([1, -2]), "torch.tensor([1, -2])"),
        (torch.tensor([True, False]), "torch.tensor([True, False])"),
        (torch.tensor([1 + 2j, 3]), "torch.tensor([(1+2j), (3+0j)])"),
        (torch.tensor([[0.1, 1e20]]), "torch.tensor([[0.1, 1e+20]])"),
        (torch.tensor([0.1]).double(), "torch.tensor([0.10000000149011612], dtype=torch.float64)"),
        (torch.tensor([0.1]).half(), "torch.tensor([0.1], dtype=torch.float16)"),
        (torch.tensor([1.5]).bfloat16(), "torch.tensor([1.5], dtype=torch.bfloat16)"),
        (torch.tensor([1], dtype=torch.uint8), "torch.tensor([1], dtype=torch.uint8)"),
        (
            torch.tensor([math.nan, math.inf, -math.inf]),
            "torch.tensor([torch.nan, torch.inf, -torch.inf])",
        ),
        (
            torch.tensor([complex(math.nan, -math.inf)]),
            "torch.tensor([complex(torch.nan, -torch.inf)])",
        ),
        (torch.tensor([0.0, -0.0]), "torch.tensor([0.0, -0.0])"),
        (torch.tensor([-0.0, 0.0]), "torch.tensor([-0.0, 0.0])"),
        (torch.tensor([complex(0, -1)]), "torch.tensor([complex(0.0, -1.0)])"),
        (
            torch.tensor([complex(-0.0, 0.0)] * 2),
            "torch.full((2,), complex(-0.0, 0.0))",
        ),
        (torch.tensor([complex(1, -0.0)]), "torch.tensor([complex(1.0, -0.0)])"),
        (torch.zeros(2, 3), "torch.zeros((2, 3))"),
        (torch.zeros(1), "torch.tensor([0.0])"),
        (torch.zeros(9, dtype=torch.int64), "torch.full((9,), 0)"),
        (torch.zeros(9, dtype=torch.float64), "torch.zeros((9,), dtype=torch.float64)"),
        (torch.full((2, 3), -1.5), "torch.full((2, 3), -1.5)"),
        (torch.full((9,), 1j), "torch.full((9,), 1j)"),
        (torch.ones(9, dtype=torch.bool), "torch.full((9,), True)"),
        (torch.empty(2, 0), "torch.empty((2, 0))"),
        (torch.empty(0, dtype=torch.int64), "torch.empty((0,), dtype=torch.int64)"),
        (torch.empty(2, 3, device="meta"), 'torch.empty((2, 3), device="meta")'),
        (torch.empty(3, 2, device="meta").T, 'torch.empty((3, 2), device="meta").permute(1, 0)'),
        (SQUARE.T, "torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]).permute(1, 0)"),
        (
            SQUARE[:, ::2],
            "torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).as_strided((2, 2), (3, 2), 0)",
        ),
        (STEPS[1:3], "torch.tensor([0.0, 1.0, 2.0]).as_strided((2,), (1,), 1)"),
        (STEPS[2], "torch.tensor([0.0, 1.0, 2.0]).as_strided((), (), 2)"),
        (torch.tensor([[1.0, 2.0]]).expand(3, 2), "torch.tensor([[1.0, 2.0]]).expand(3, 2)"),
        (torch.tensor([1.0]).expand(4), "torch.tensor([1.0]).expand(4,)"),
        (torch.tensor([1 + 2j]).conj(), "torch.tensor([(1+2j)]).conj()"),
        (torch._neg_view(torch.tensor([1.0])), "torch._neg_view(torch.tensor([1.0]))"),
        (torch.zeros(3).requires_grad_(), "torch.zeros((3,)).requires_grad_()"),
    ],
)
def test_tensors_are_written_shortly(tensor, expected):
    assert source_of(tensor) == tensor_source(tensor) == expected
    assert described(evaluated(expected)) == described(tensor)


def test_what_was_computed_is_written_as_its_numbers():
    assert source_of(2 * ONES.clone().requires_grad_()) == "torch.tensor([2.0, 4.0])"


def test_memory_that_is_mostly_other_numbers_is_left_out():
    column = torch.arange(100.0).reshape(5, 20)[:2, 0]
    assert source_of(column) == "torch.tensor([0.0, 20.0])"
    assert source_of(torch.arange(100.0)[98:]) == "torch.tensor([98.0, 99.0])"


@SOME
@given(array_values(dtypes=dtypes(allow_half=True, allow_integers=True)))
def test_no_source_is_longer_than_all_numbers_and_the_dtype(values):
    if values.numel():
        assert len(source_of(values)) <= len(f"torch.tensor({values.tolist()}, dtype={values.dtype})")


@pytest.mark.parametrize(
    ("names", "rows", "expected"),
    [
        ("a", [[0], [1], [2]], 'Labels.range("a", 3)'),
        ("a", [], 'Labels.range("a", 0)'),
        ("a", [[5]], 'Labels("a", torch.tensor([[5]]))'),
        ("a", [[-2], [-1], [0], [1], [2]], 'Labels("a", torch.arange(-2, 3).reshape(-1, 1))'),
        ("a", [[-1], [0], [1]], 'Labels("a", torch.tensor([[-1], [0], [1]]))'),
        ("a", [[1], [0]], 'Labels("a", torch.tensor([[1], [0]]))'),
        ("a b", [[0, 1], [1, 0]], 'Labels(["a", "b"], torch.tensor([[0, 1], [1, 0]]))'),
        ("a b", [], 'Labels(["a", "b"], torch.empty((0, 2), dtype=torch.int32))'),
    ],
)
def test_labels_are_written_shortly(names, rows, expected, labels):
    x = labels(names, rows)
    assert repr(x) == source_of(x) == labels_source(x) == expected
    assert described(evaluated(expected)) == described(x)
    assert repr(x.to("meta")) == f'{expected}.to("meta")'


@pytest.mark.parametrize(
    ("names", "rows", "expected"),
    [
        ("a", [[0], [1]], 'Labels.range("a", 2)'),
        ("a", [[5]], 'Labels("a", np.array([[5]]))'),
        ("a", [[n] for n in range(1, 9)], 'Labels("a", np.arange(1, 9).reshape(-1, 1))'),
        ("a b", [], 'Labels(["a", "b"], np.empty((0, 2), dtype=np.int32))'),
    ],
)
def test_labels_are_written_with_the_arrays_of_an_implementation(names, rows, expected, labels):
    assert labels_source(labels(names, rows), "np.array") == expected


def a_block(**gradients):
    axis = Labels.range("mu", 1)
    block = TensorBlock(torch.zeros(1, 1, 2), Labels.range("s", 1), [axis], Labels.range("p", 2))
    return with_gradients(block, gradients)


A_BLOCK = (
    'TensorBlock(torch.zeros((1, 1, 2)), Labels.range("s", 1), [Labels.range("mu", 1)], '
    'Labels.range("p", 2))'
)
A_GRADIENT = A_BLOCK.replace('"s"', '"sample"')


def a_gradient():
    block = a_block()
    return TensorBlock(block.values, Labels.range("sample", 1), block.components, block.properties)


def test_blocks_are_written_shortly():
    assert repr(a_block()) == source_of(a_block()) == block_source(a_block()) == A_BLOCK
    plain = TensorBlock(torch.empty(0, 0), Labels.range("s", 0), [], Labels.range("p", 0))
    expected = 'TensorBlock(torch.empty((0, 0)), Labels.range("s", 0), [], Labels.range("p", 0))'
    assert repr(plain) == expected


def test_gradients_are_written_where_they_are_asked_for():
    block = a_block(positions=a_gradient(), cell=a_gradient())
    of = f'{{"positions": {A_GRADIENT}, "cell": {A_GRADIENT}}}'
    assert repr(block) == block_source(block) == f"with_gradients({A_BLOCK}, {of})"
    assert block_source(block, gradients=False) == A_BLOCK
    assert described(evaluated(repr(block))) == described(block)
    assert repr(block.gradient("cell")) == A_GRADIENT


def test_maps_are_written_shortly():
    x = TensorMap(Labels.range("k", 2), [a_block(), a_block()])
    assert (
        repr(x)
        == source_of(x)
        == map_source(x)
        == (f'TensorMap(Labels.range("k", 2), [{A_BLOCK}, {A_BLOCK}])')
    )
    assert repr(TensorMap(Labels.range("k", 0), [])) == 'TensorMap(Labels.range("k", 0), [])'


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (Call("Tanh"), "Call('Tanh')"),
        (Call("Tanh", (1,)), "Call('Tanh', args=(1,))"),
        (Call("Tanh", parameters=()), "Call('Tanh', parameters=())"),
        (
            Call("Linear", (2, [Call("ReLU")]), {"dtype": torch.float64}, (torch.zeros(2, 2),)),
            "Call('Linear', args=(2, [Call('ReLU')]), kwargs={'dtype': torch.float64}, "
            "parameters=(torch.zeros((2, 2)),))",
        ),
        ((1,), "(1,)"),
        ((), "()"),
        ([ONES, {"a": (ONES, "x")}], None),
        (None, "None"),
        (torch.float16, "torch.float16"),
    ],
)
def test_calls_and_containers_are_written_shortly(x, expected):
    if expected is None:
        expected = "[torch.tensor([1.0, 2.0]), {'a': (torch.tensor([1.0, 2.0]), 'x')}]"
    assert source_of(x) == expected
    assert described(evaluated(expected)) == described(x)


def test_defaults_of_recipes_are_left_out():
    call = Call("Tanh")
    made = Recipe(catalog.row("tanh"), call, Labels.range("k", 1), None, None)
    start = "Recipe(row('tanh'), call=Call('Tanh'), in_keys=Labels.range(\"k\", 1), "
    assert repr(made) == f"{start}twins=None, properties=None)"
    assert repr(dataclasses.replace(made, seed=3)) == f"{start}twins=None, properties=None, seed=3)"


# --- what is long


def a_large_block(n):
    axis = Labels("p", 3 * torch.arange(n).reshape(-1, 1))
    return TensorBlock(torch.arange(float(n)).reshape(1, n), Labels.range("s", 1), [], axis)


def test_reprs_have_all_of_a_thousand_numbers():
    block = a_large_block(LONGEST)
    assert "<" not in repr(block)
    assert described(evaluated(repr(block))) == described(block)


def test_reprs_name_the_shape_of_more_numbers():
    block = a_large_block(LONGEST + 1)
    assert repr(block) == (
        "TensorBlock(<tensor of shape (1, 1001), torch.float32>, "
        'Labels.range("s", 1), [], Labels("p", <tensor of shape (1001, 1), torch.int32>))'
    )
    x = TensorMap(Labels.range("k", 1), [block])
    assert repr(x) == f'TensorMap(Labels.range("k", 1), [{block!r}])'
    assert repr(Call("Linear", parameters=(block.values,))) == (
        "Call('Linear', parameters=(<tensor of shape (1, 1001), torch.float32>,))"
    )


def test_what_is_long_inside_of_gradients_and_views_is_abbreviated():
    wide = torch.zeros(1, 1001)
    block = TensorBlock(wide, Labels.range("s", 1), [], Labels.range("p", 1001))
    gradient = TensorBlock(wide, Labels.range("sample", 1), [], block.properties)
    assert len(repr(with_gradients(block, {"cell": gradient}))) < 400
    for view in (wide.T, wide.cfloat().conj(), torch._neg_view(wide), wide[:, 1:].expand(2, 1000)):
        assert source_of(view).startswith(f"<tensor of shape {tuple(view.shape)}, ")


def test_sources_that_are_asked_for_are_never_abbreviated():
    block = a_large_block(LONGEST + 1)
    x = TensorMap(Labels.range("k", 1), [block])
    for thing, code in (
        (block.values, tensor_source(block.values)),
        (block.properties, labels_source(block.properties)),
        (block, block_source(block)),
        (x, map_source(x)),
        ([block.values], source_of([block.values], None)),
    ):
        assert described(evaluated(code)) == described(thing)
    assert json.loads(tensor_source(block.values)[len("torch.tensor(") : -1]) == block.values.tolist()


# --- types in the words of errors


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (5, "int"),
        (None, "NoneType"),
        (torch.ones(1), "Tensor"),
        (Labels.single(), "Labels"),
        (TensorMap(Labels.empty("a"), []), "TensorMap"),
        (type("Labels", (), {"__module__": "package.labels"})(), "Labels of package, not of tmref"),
    ],
    ids=["int", "None", "tensor", "labels", "map", "of another package"],
)
def test_a_type_is_named(value, words):
    assert type_of(value) == words


@pytest.mark.parametrize("adapter", ["metatensor-torch", "metatensor-learn"])
def test_the_types_of_metatensor_are_named_with_what_converts_them(adapter, refused):
    implementation = load(adapter)
    library = {"metatensor-torch": "metatensor.torch", "metatensor-learn": "metatensor"}[adapter]
    x = TensorMap(Labels.range("key", 1), [tmref.block_from_array(torch.ones(1, 1))])
    theirs = implementation.encode(x)
    convert = f"convert with tmref.implementations.load({adapter!r}).to_ours()"
    for value, kind in (
        (theirs.keys, "Labels"),
        (theirs, "TensorMap"),
        (theirs.block(0), "TensorBlock"),
    ):
        assert type_of(value) == f"{kind} of {library}, not of tmref; {convert}"
        assert type_of(implementation.to_ours(value)) == kind
    assert type_of(theirs.keys[0]) == f"LabelsEntry of {library}, not of tmref"
    with refused(TypeError, f"keys must be Labels, got Labels of {library}, not of tmref; {convert}"):
        TensorMap(theirs.keys, [])
    message = f"in_keys must be Labels, got Labels of {library}, not of tmref; {convert}"
    with refused(TypeError, message):
        tmref.nn.Tanh(theirs.keys)
    message = f"the input must be a TensorMap, got TensorMap of {library}, not of tmref; {convert}"
    with refused(TypeError, message):
        tmref.nn.Tanh(x.keys)(theirs)


@pytest.mark.parametrize(
    ("number", "noun", "verb", "words"),
    [
        (1, "row", "", "1 row"),
        (0, "row", "", "0 rows"),
        (2, "entry", "", "2 entries"),
        (1, "entry", "is", "1 entry is"),
        (2, "more law", "is", "2 more laws are"),
        (1, "case", "was", "1 case was"),
        (3, "case", "was", "3 cases were"),
    ],
)
def test_numbers_of_things_are_said_in_their_grammar(number, noun, verb, words):
    assert counted(number, noun, verb) == words
