import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tmref.labels
from tmref import Labels, LabelsEntry

INT = torch.zeros((0, 1), dtype=torch.int32)


def rows(*values):
    return torch.tensor(values, dtype=torch.int32)


# --- construction


def test_names_and_values():
    labels = Labels(["system", "atom"], rows([0, 1], [0, 5]))
    assert labels.names == ["system", "atom"]
    assert labels.values.tolist() == [[0, 1], [0, 5]]
    assert labels.values.dtype == torch.int32
    assert labels.device == torch.device("cpu")
    assert len(labels) == 2


def test_one_name_may_be_a_string():
    assert Labels("atom", rows([3])) == Labels(["atom"], rows([3]))
    assert Labels(("a", "b"), rows([3, 4])).names == ["a", "b"]


SIGNED = [torch.int8, torch.int16, torch.int32, torch.int64]
UNSIGNED = [torch.uint8, torch.uint16, torch.uint32, torch.uint64]


@pytest.mark.parametrize("dtype", SIGNED + UNSIGNED, ids=str)
def test_any_integers_become_32_bit_ones(dtype):
    labels = Labels("a", torch.tensor([[3], [7]], dtype=dtype))
    assert labels.values.dtype == torch.int32
    assert labels == Labels("a", rows([3], [7]))


@pytest.mark.parametrize("dtype", SIGNED + UNSIGNED, ids=str)
def test_values_may_lie_anyhow_in_memory(dtype):
    values = torch.tensor([[1, 2], [3, 4], [5, 6]]).to(dtype)
    wide = torch.zeros(6, 4).to(dtype)
    wide[::2, ::2] = values
    of_the_same = torch.tensor([[8]]).to(dtype).expand(1, 2)
    for lying in (values, values.T, wide[::2, ::2], values[1:, 1:], of_the_same):
        names = [f"d{i}" for i in range(lying.shape[1])]
        assert Labels(names, lying).values.tolist() == lying.tolist()


@pytest.mark.parametrize("dtype", SIGNED, ids=str)
def test_values_that_are_lazily_negated_are_those_that_they_print(dtype):
    values = torch._neg_view(torch.tensor([[1, -2], [3, 0]], dtype=dtype))
    assert Labels(["a", "b"], values).values.tolist() == values.tolist() == [[-1, 2], [-3, 0]]
    assert LabelsEntry(["a", "b"], values[0]).values.tolist() == [-1, 2]
    assert Labels(["a", "b"], values).position(values[1]) == 1


@pytest.mark.parametrize("dtype", SIGNED, ids=str)
def test_zeros_without_memory_are_zeros(dtype):
    assert Labels("a", torch._efficientzerotensor((1, 1), dtype=dtype)) == Labels("a", rows([0]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.complex64, torch.bool], ids=str)
def test_values_of_no_entries_may_have_any_dtype(dtype):
    labels = Labels(["a", "b"], torch.empty((0, 2), dtype=dtype))
    assert labels == Labels.empty(["a", "b"])
    assert labels.values.dtype == torch.int32


@pytest.mark.parametrize(
    ("names", "values", "error", "message"),
    [
        (5, INT, TypeError, "names must be a string or a list of strings, got 5 of type int"),
        ([1], INT, TypeError, "names must be a string or a list of strings, got [1] of type list"),
        (None, INT, TypeError, "names must be a string or a list of strings, got None of type NoneType"),
        ([], INT, ValueError, "names must have at least one dimension, got an empty list"),
        *(
            (
                bad,
                INT,
                ValueError,
                f"names must be identifiers of ASCII letters, digits and _, got {bad!r}",
            )
            for bad in ("", "1a", "a b", "a.b", "é", "a\n")
        ),
        (
            ["a", "b", "a"],
            rows([0, 0, 0]),
            ValueError,
            "names must be distinct, got 'a' twice in ['a', 'b', 'a']",
        ),
        (
            "a",
            [[0]],
            TypeError,
            "values must be a torch.Tensor of integers, got list; make one with torch.tensor(values)",
        ),
        (
            "a",
            np.array([[0]]),
            TypeError,
            "values must be a torch.Tensor of integers, got ndarray; make one with torch.tensor(values)",
        ),
        *(
            ("a", torch.zeros(1, 1, dtype=d), TypeError, f"values must be integers, got a tensor of {d}")
            for d in (torch.bool, torch.float32, torch.complex64)
        ),
        (
            "a",
            rows([0]).to_sparse(),
            TypeError,
            "values must be a dense tensor, got one of torch.sparse_coo; use .to_dense()",
        ),
        (
            ["a", "b"],
            torch.empty(0, 1),
            ValueError,
            "values must have the shape (entries, 2), a column for each of ['a', 'b'], got (0, 1)",
        ),
        (
            ["a", "b"],
            rows([0]),
            ValueError,
            "values must have the shape (entries, 2), a column for each of ['a', 'b'], got (1, 1)",
        ),
        (
            "a",
            rows(0, 1),
            ValueError,
            "values must have the shape (entries, 1), a column for each of ['a'], got (2,)",
        ),
        (
            "a",
            torch.zeros((2, 1), dtype=torch.int32, device="meta"),
            ValueError,
            "values on the meta device have no rows to read; build Labels on the cpu and move them "
            'with .to("meta")',
        ),
        (
            ["a", "b"],
            rows([0, 0], [1, 0], [2, 0], [1, 0], [2, 0]),
            ValueError,
            "the rows of Labels must be distinct, but the row [1, 0] of ['a', 'b'] stands at 1 and "
            "again at 3",
        ),
    ],
)
def test_what_makes_no_labels_is_refused(names, values, error, message, refused):
    with refused(error, message):
        Labels(names, values)


@pytest.mark.parametrize("value", [2**31, 2**32, 2**32 + 5, -(2**31) - 1, 2**63 - 1, -(2**63)])
def test_values_beyond_32_bits_are_refused_never_wrapped(value, refused):
    message = f"values must fit in 32 bits, from -2147483648 to 2147483647, got {value}"
    with refused(ValueError, message):
        Labels("a", torch.tensor([[0], [value]]))


def test_values_beyond_32_bits_are_refused_on_both_sides(refused):
    message = f"values must fit in 32 bits, from -2147483648 to 2147483647, got {-(2**40)}"
    with refused(ValueError, message):
        Labels("a", torch.tensor([[2**31], [-(2**40)]]))


@pytest.mark.parametrize(
    ("dtype", "value"),
    [(torch.uint32, 2**31), (torch.uint32, 2**32 - 1), (torch.uint64, 2**31), (torch.uint64, 2**64 - 1)],
)
def test_unsigned_values_beyond_32_bits_are_refused_never_wrapped(dtype, value, refused):
    message = f"values must fit in 32 bits, from -2147483648 to 2147483647, got {value}"
    with refused(ValueError, message):
        Labels("a", torch.tensor([[0], [value]], dtype=dtype))


@pytest.mark.parametrize("value", [2**31 - 1, -(2**31)])
def test_the_outermost_32_bit_values_are_kept(value):
    labels = Labels("a", torch.tensor([[value]]))
    assert labels.values.tolist() == [[value]]
    assert labels[0]["a"] == value
    assert labels.position([value]) == 0


def test_single_empty_range():
    assert Labels.single() == Labels(["_"], rows([0]))
    assert Labels.range("p", 3) == Labels(["p"], rows([0], [1], [2]))
    assert Labels.range("p", 0) == Labels.empty("p")
    assert Labels.empty(["a", "b"]).names == ["a", "b"]
    assert Labels.empty(["a", "b"]).values.shape == (0, 2)
    assert Labels.empty(["a", "b"]).values.dtype == torch.int32


@pytest.mark.parametrize(
    ("name", "end", "error", "message"),
    [
        ("a", 2.0, TypeError, "end must be an int, got 2.0 of type float"),
        ("a", True, TypeError, "end must be an int, got True of type bool"),
        ("a", -1, ValueError, "end must be at least 0, got -1"),
        ("1a", 2, ValueError, "names must be identifiers of ASCII letters, digits and _, got '1a'"),
        (3, 2, TypeError, "name must be a string, got 3 of type int"),
        (["a", "b"], 2, TypeError, "name must be a string, got ['a', 'b'] of type list"),
    ],
)
def test_what_makes_no_range_is_refused(name, end, error, message, refused):
    with refused(error, message):
        Labels.range(name, end)


def test_empty_checks_its_names(refused):
    with refused(ValueError, "names must be distinct, got 'a' twice in ['a', 'a']"):
        Labels.empty(["a", "a"])


# --- immutability


def test_labels_keep_their_rows_when_their_source_changes():
    source = rows([0], [1])
    labels = Labels("a", source)
    before = hash(labels)
    source += 7
    assert labels.values.tolist() == [[0], [1]]
    assert labels == Labels.range("a", 2)
    assert hash(labels) == before
    assert labels.position([1]) == 1
    assert labels.position([7]) is None


def test_labels_keep_their_rows_when_a_numpy_array_behind_their_source_changes():
    source = np.array([[0], [1]], dtype=np.int32)
    labels = Labels("a", torch.from_numpy(source))
    source += 7
    assert labels.values.tolist() == [[0], [1]]


def test_labels_keep_their_rows_when_what_they_gave_out_changes():
    labels = Labels(["a", "b"], rows([0, 1], [2, 3]))
    labels.values.fill_(9)
    labels.column("a").fill_(9)
    labels.names.append("c")
    labels[0].values.fill_(9)
    labels[0].names.append("c")
    assert labels.values.tolist() == [[0, 1], [2, 3]]
    assert labels.column("a").tolist() == [0, 2]
    assert labels.names == ["a", "b"]
    assert labels[0].values.tolist() == [0, 1]
    assert labels[0].names == ["a", "b"]
    assert labels == Labels(["a", "b"], rows([0, 1], [2, 3]))


def test_the_list_of_names_is_copied():
    names = ["a", "b"]
    labels = Labels(names, rows([0, 1]))
    names[0] = "z"
    assert labels.names == ["a", "b"]


def test_values_are_copied_once():
    labels = Labels("a", rows([0], [1]))
    assert labels.values is labels.values


@pytest.mark.parametrize(
    "make",
    [
        lambda: Labels("a", torch.tensor([[0], [1], [2]])),
        lambda: Labels("a", rows([0], [1], [2])),
        lambda: Labels.range("a", 3),
    ],
    ids=["int64", "int32", "range"],
)
@pytest.mark.parametrize("read_in_inference_mode", [True, False])
def test_labels_of_inference_mode_are_ordinary_ones(make, read_in_inference_mode):
    with torch.inference_mode():
        labels = make()
        if read_in_inference_mode:
            labels.values.fill_(9)
    assert labels.values.tolist() == [[0], [1], [2]]
    labels.values.fill_(9)
    assert labels.values.tolist() == [[0], [1], [2]]
    assert labels.values is labels.values
    assert not labels.values.is_inference()
    assert labels == Labels.range("a", 3)
    assert hash(labels) == hash(Labels.range("a", 3))
    assert labels.position([2]) == 2


def test_inference_mode_reads_labels_made_outside():
    labels = Labels("a", rows([0], [1]))
    with torch.inference_mode():
        first = labels.values
        assert labels.values is first
        first.fill_(9)
        assert labels.values.tolist() == [[0], [1]]
        assert labels.position([1]) == 1


# --- devices


def test_rows_stay_on_the_host():
    labels = Labels(["a", "b"], rows([0, 1], [2, 3]))
    moved = labels.to("meta")
    assert moved.device == moved.values.device == moved[0].device == torch.device("meta")
    assert moved.values.shape == (2, 2)
    assert moved == labels
    assert hash(moved) == hash(labels)
    assert moved.position([2, 3]) == 1
    assert moved.print() == labels.print()
    assert moved.to("cpu").values.tolist() == [[0, 1], [2, 3]]
    assert labels.to("cpu") is labels


def test_a_default_device_has_no_say_where_rows_are():
    with torch.device("meta"):
        made = Labels.range("a", 2), Labels.empty("a"), Labels.single()
    for labels in made:
        assert labels.device == torch.device("cpu")
        assert labels.values.device == torch.device("cpu")
    assert made[0].position([1]) == 1


# --- entries


def test_entries_by_position():
    labels = Labels(["a", "b"], rows([0, 1], [2, 3], [4, 5]))
    assert tuple(labels[1]) == (2, 3)
    assert labels.entry(2) == labels[-1] == labels[2]
    assert labels[0] == labels[-3]
    assert labels[0].device == labels.device


@pytest.mark.parametrize("index", [2, -3, 10])
def test_no_entry_beyond_the_ends(index, refused):
    with refused(IndexError, f"no entry {index} in Labels with 2 entries"):
        Labels.range("a", 2)[index]


def test_an_entry_is_at_an_integer():
    with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
        Labels.range("a", 2)[1.0]


def test_columns_by_name():
    labels = Labels(["a", "b"], rows([0, 1], [2, 3]))
    assert labels["b"].tolist() == labels.column("b").tolist() == [1, 3]
    assert labels["b"].dtype == torch.int32


def test_iteration_gives_entries_in_order():
    labels = Labels(["a", "b"], rows([4, 1], [2, 3]))
    assert [tuple(entry) for entry in labels] == [(4, 1), (2, 3)]
    assert all(isinstance(entry, LabelsEntry) for entry in labels)
    assert list(labels) == [labels[0], labels[1]]
    assert list(Labels.empty("a")) == []


def test_an_entry_is_a_named_tuple():
    entry = LabelsEntry(["a", "b"], rows(5, 6))
    assert entry.names == ["a", "b"]
    assert entry.values.tolist() == [5, 6]
    assert entry.values.dtype == torch.int32
    assert entry.device == torch.device("cpu")
    assert len(entry) == 2
    assert list(entry) == [5, 6]
    assert entry["b"] == entry[1] == entry[-1] == 6
    assert entry == Labels(["a", "b"], rows([5, 6]))[0]


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (
            [5],
            TypeError,
            "values must be a torch.Tensor of integers, got list; make one with torch.tensor(values)",
        ),
        (
            rows(5, 6),
            ValueError,
            "values must have the shape (entries, 1), a column for each of ['a'], got (1, 2)",
        ),
        (
            torch.tensor([2**31]),
            ValueError,
            "values must fit in 32 bits, from -2147483648 to 2147483647, got 2147483648",
        ),
    ],
)
def test_what_makes_no_entry_is_refused(values, error, message, refused):
    with refused(error, message):
        LabelsEntry("a", values)


@pytest.mark.parametrize("of", [Labels(["a", "b"], rows([0, 1])), LabelsEntry(["a", "b"], rows(0, 1))])
def test_unknown_dimensions_are_refused_by_name(of, refused):
    with refused(ValueError, "no dimension 'c' in these labels, which have ['a', 'b']"):
        of["c"]


def test_an_entry_has_no_value_beyond_its_end():
    with pytest.raises(IndexError):
        LabelsEntry(["a", "b"], rows(0, 1))[2]


# --- lookup


def test_position_of_values():
    labels = Labels(["a", "b"], rows([0, 1], [1, 0], [-2, 3]))
    assert labels.position([1, 0]) == 1
    assert labels.position((-2, 3)) == 2
    assert labels.position(torch.tensor([0, 1])) == 0
    assert labels.position([9, 9]) is None
    assert labels.position([2**40, 0]) is None
    assert [1, 0] in labels
    assert [9, 9] not in labels
    assert Labels.empty("a").position([0]) is None


def test_position_of_an_entry_goes_by_the_names():
    labels = Labels(["a", "b"], rows([0, 1], [1, 0]))
    assert labels.position(labels[1]) == 1
    permuted = LabelsEntry(["b", "a"], rows(1, 0))
    assert labels.position(permuted) == 0
    assert permuted in labels


@pytest.mark.parametrize("names", [["a", "c"], ["c", "d"], ["a"], ["a", "b", "c"]])
def test_an_entry_with_other_dimensions_is_nowhere(names):
    labels = Labels(["a", "b"], rows([0, 0]))
    entry = LabelsEntry(names, torch.zeros(len(names), dtype=torch.int32))
    assert labels.position(entry) is None
    assert entry not in labels


@pytest.mark.parametrize("values", [[1], [1, 2, 3], []])
def test_position_needs_a_value_for_each_dimension(values, refused):
    labels = Labels(["a", "b"], rows([0, 0]))
    message = f"an entry of these Labels has 2 values ['a', 'b'], got {len(values)}: {values}"
    with refused(ValueError, message):
        labels.position(values)


# --- equality


def test_labels_are_equal_by_names_and_rows_in_order():
    labels = Labels(["a", "b"], rows([0, 1], [2, 3]))
    same = Labels(["a", "b"], torch.tensor([[0, 1], [2, 3]]))
    assert labels == same
    assert hash(labels) == hash(same)
    assert len({labels, same}) == 1
    for other in (
        Labels(["a", "c"], rows([0, 1], [2, 3])),
        Labels(["b", "a"], rows([1, 0], [3, 2])),
        Labels(["a", "b"], rows([2, 3], [0, 1])),
        Labels(["a", "b"], rows([0, 1])),
        Labels(["a", "b"], rows([0, 1], [2, 4])),
        Labels.empty(["a", "b"]),
        "labels",
        [[0, 1], [2, 3]],
        None,
    ):
        assert labels != other


def test_entries_are_equal_by_names_and_values():
    entry = LabelsEntry(["a", "b"], rows(0, 1))
    same = Labels(["a", "b"], rows([5, 5], [0, 1]))[1]
    assert entry == same
    assert hash(entry) == hash(same)
    assert {entry: "found"}[same] == "found"
    for other in (
        LabelsEntry(["a", "c"], rows(0, 1)),
        LabelsEntry(["b", "a"], rows(1, 0)),
        LabelsEntry(["a", "b"], rows(0, 2)),
        (0, 1),
    ):
        assert entry != other


# --- print and copies


def test_print():
    labels = Labels(["atom", "l"], rows([0, 100], [1, 2], [2, -3], [3, 4]))
    assert labels.print() == " atom   l\n  0    100\n  1     2\n  2    -3\n  3     4"
    assert labels.print(3) == " atom   l\n  0    100\n  1     2\n   ...\n  3     4"
    assert labels.print(1, indent=2) == " atom   l\n    0    100\n     ...\n    3     4"
    assert labels.print(0) == labels.print(1) == labels.print(2)
    assert labels.print(4) == labels.print(9) == labels.print(-1) == labels.print()
    assert Labels.empty(["a", "b"]).print() == " a  b"
    assert str(Labels.range("p", 2)) == "Labels\n    p\n    0\n    1"
    assert repr(Labels.range("p", 2)) == 'Labels.range("p", 2)'
    assert str(Labels.range("p", 30)) == "Labels\n    p\n    0\n    1\n      ...\n    28\n    29"


def test_print_of_an_entry():
    entry = LabelsEntry(["a", "b"], rows(0, -1))
    assert entry.print() == "(a=0, b=-1)"
    assert repr(entry) == "LabelsEntry(a=0, b=-1)"


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))],
    ids=["copy", "deepcopy", "pickle"],
)
@pytest.mark.parametrize(
    "original",
    [Labels(["a", "b"], rows([0, 1], [2, 3])), LabelsEntry(["a", "b"], rows(0, 1)), Labels.empty("a")],
    ids=["Labels", "LabelsEntry", "empty"],
)
def test_copies_are_equal(original, duplicate):
    hash(original)
    again = duplicate(original)
    assert again == original
    assert hash(again) == hash(original)
    assert again.values.tolist() == original.values.tolist()
    assert again.names == original.names
    if isinstance(again, Labels) and len(again):
        assert again.position([2, 3]) == 1


# --- agreement with metatensor.torch


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (["a"], [[0], [1]]),
        (["a", "b"], [[0, 1], [1, 0]]),
        (["a"], [[-5], [2**31 - 1]]),
        (["_x1"], [[1]]),
        (["a"], [[1], [1]]),
        (["a", "a"], [[1, 1]]),
        (["1a"], [[1]]),
        (["a b"], [[1]]),
        ([""], [[1]]),
        (["a", "b"], [[1]]),
        (["a"], [1]),
        (["a"], [[1.0]]),
    ],
)
def test_labels_are_refused_where_metatensor_refuses_them(names, values, mts):
    def outcome(kind):
        try:
            labels = kind(names, torch.tensor(values))
        except (ValueError, TypeError, RuntimeError):
            return "refused"
        return labels.names, labels.values.tolist(), [labels.position(row) for row in labels.values]

    assert outcome(Labels) == outcome(mts.Labels)


@pytest.mark.parametrize(
    "names", [["a"], ["a", "b"], ["system", "atom"], ["o3_lambda", "x", "neighbor_1_type"]]
)
@pytest.mark.parametrize("entries", [0, 1, 2, 3, 4, 5, 12])
def test_labels_are_printed_as_metatensor_prints_them(entries, names, mts):
    numbers = [0, 7, -1, 12, -345, 6789, 2**31 - 1, -(2**31), 10, 11]
    values = [[i, *(numbers[(i * 3 + k) % 10] for k in range(len(names) - 1))] for i in range(entries)]
    values = torch.tensor(values, dtype=torch.int32).reshape(entries, len(names)) * 1001
    ours, theirs = Labels(names, values), mts.Labels(names, values)
    assert str(ours) == str(theirs)
    assert "Labels\n   " + ours.print(-1, 3) == repr(theirs)
    assert eval(repr(ours)) == ours
    for max_entries in range(-1, 7):
        for indent in (0, 3):
            assert ours.print(max_entries, indent) == theirs.print(max_entries, indent)


# --- select


SELECTIONS = {
    "one dimension": (["a"], [[0], [7]], [0, 1, 4]),
    "two of three": (["a", "b"], [[1, 2], [0, 1]], [0, 3, 4]),
    "two, permuted": (["b", "a"], [[2, 1], [1, 0]], [0, 3, 4]),
    "in the order of the selection": (["a", "b", "c"], [[0, 1, 5], [9, 9, 9], [0, 1, 2]], [4, 0]),
    "permuted, in the order of the labels": (["c", "b", "a"], [[5, 1, 0], [2, 1, 0]], [0, 4]),
    "all": (["a"], [[1], [0]], [0, 1, 2, 3, 4]),
    "nothing found": (["c"], [[7]], []),
    "no entries": (["c"], [], []),
    "no entries of all dimensions": (["a", "b", "c"], [], []),
}


@pytest.mark.parametrize(("names", "values", "expected"), SELECTIONS.values(), ids=list(SELECTIONS))
def test_select(names, values, expected, mts):
    some = ["a", "b", "c"], rows([0, 1, 2], [0, 2, 2], [1, 1, 2], [1, 2, 0], [0, 1, 5])
    values = torch.tensor(values, dtype=torch.int32).reshape(-1, len(names))
    positions = Labels(*some).select(Labels(names, values))
    assert positions.tolist() == expected
    assert positions.dtype == torch.int64
    theirs = mts.Labels(*some).select(mts.Labels(names, values))
    assert theirs.tolist() == expected
    assert theirs.dtype == positions.dtype
    assert theirs.shape == positions.shape


def test_select_is_where_the_labels_are():
    labels = Labels.range("a", 3).to("meta")
    positions = labels.select(Labels("a", rows([2], [0])))
    assert positions.device == torch.device("meta")
    assert positions.shape == (2,)


def test_select_refuses_what_it_cannot_find(refused, mts):
    labels = Labels(["a", "b"], rows([0, 1]))
    with refused(TypeError, "selection must be Labels, got list"):
        labels.select([0])
    for unknown in (Labels("c", rows([0])), Labels(["a", "c"], rows([0, 0])), Labels.empty("c")):
        with refused(ValueError, "no dimension 'c' in these labels, which have ['a', 'b']"):
            labels.select(unknown)
        with pytest.raises(RuntimeError, match="'c' in selection is not part of these Labels"):
            mts.Labels(["a", "b"], labels.values).select(mts.Labels(unknown.names, unknown.values))


# --- sets


A = [[0, 1], [1, 2], [0, 3]]
B = [[0, 3], [1, 3], [1, 2]]
SETS = {
    "union": ([[0, 1], [1, 2], [0, 3], [1, 3]], [0, 1, 2], [2, 3, 1]),
    "intersection": ([[1, 2], [0, 3]], [-1, 0, 1], [1, -1, 0]),
    "difference": ([[0, 1]], [0, -1, -1]),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", ["tmref", "metatensor"])
def test_set_operations(name, kind, mts):
    labels = Labels if kind == "tmref" else mts.Labels
    a, b = labels(["x", "y"], rows(*A)), labels(["x", "y"], rows(*B))
    expected, *mappings = SETS[name]
    found, *found_mappings = getattr(a, f"{name}_and_mapping")(b)
    assert found.names == ["x", "y"]
    assert found.values.tolist() == expected
    assert [mapping.tolist() for mapping in found_mappings] == mappings
    assert {mapping.dtype for mapping in found_mappings} == {torch.int64}
    assert getattr(a, name)(b) == found


@pytest.fixture(params=["one by one", "all at once"])
def looked_up(request, monkeypatch):
    """Few entries are looked up as they are, and as many are."""
    if request.param == "all at once":
        monkeypatch.setattr(tmref.labels, "_FEW", -1)
        monkeypatch.setattr(tmref.labels, "_VERY_FEW", -1)


EXTREMES = [-(2**31), -1, 0, 1, 2**31 - 1]

some = settings(derandomize=True, database=None, deadline=None, max_examples=100)


@st.composite
def entries(draw, of=2):
    """Lists of distinct entries of one width, some of whose numbers are the ends of 32 bits."""
    width = draw(st.integers(1, 5))
    numbers = st.one_of(st.sampled_from(EXTREMES), st.integers(0, 2))
    return [draw(st.lists(st.tuples(*[numbers] * width), unique=True, max_size=9)) for _ in range(of)]


def labels_of(entries, width, kind=Labels):
    values = torch.tensor(entries, dtype=torch.int32).reshape(len(entries), width)
    return kind([f"d{i}" for i in range(width)], values)


def assert_set_operations(a, b):
    """Those of labels are those of Python's sets, in the order of the dictionary of both."""
    mine, theirs = (list(map(tuple, labels.values.tolist())) for labels in (a, b))
    expected = {
        "union": list(dict.fromkeys([*mine, *theirs])),
        "intersection": [entry for entry in mine if entry in set(theirs)],
        "difference": [entry for entry in mine if entry not in set(theirs)],
    }
    for name, found in expected.items():
        where = {entry: i for i, entry in enumerate(found)}
        labels, *mappings = getattr(a, f"{name}_and_mapping")(b)
        assert labels.names == a.names
        assert list(map(tuple, labels.values.tolist())) == found
        of = (mine, theirs)[: len(mappings)]
        assert [m.tolist() for m in mappings] == [[where.get(e, -1) for e in entries] for entries in of]
    assert a.select(b).tolist() == [mine.index(entry) for entry in theirs if entry in set(mine)]
    assert [a.position(entry) for entry in theirs] == [
        mine.index(entry) if entry in set(mine) else None for entry in theirs
    ]


@pytest.mark.usefixtures("looked_up")
def test_set_operations_are_those_of_sets():
    @some
    @given(entries())
    def check(drawn):
        width = next((len(entry) for entry in itertools.chain(*drawn)), 1)
        assert_set_operations(*(labels_of(part, width) for part in drawn))

    check()


@pytest.mark.parametrize("width", [1, 3, 5])
def test_set_operations_of_many_entries_are_those_of_sets(width):
    draw = np.random.default_rng(0)
    every = draw.integers(-(2**31), 2**31, (800, width)).tolist()
    corners = draw.permutation(list(itertools.product(EXTREMES, repeat=width)))[:500].tolist()
    a = labels_of([*every[:500], *corners[:300]], width)
    b = labels_of([*corners[200:][::-1], *every[400:]], width)
    assert_set_operations(a, b)
    assert_set_operations(b, a)
    assert_set_operations(a, labels_of(every[:3], width))
    assert_set_operations(a, labels_of([], width))
    assert_set_operations(labels_of([], width), a)


@pytest.mark.parametrize("entries", [2, 400])
@pytest.mark.parametrize("name", SETS)
def test_set_operations_of_the_same_labels(name, entries):
    labels = Labels.range("a", entries)
    found, *mappings = getattr(labels, f"{name}_and_mapping")(labels)
    none = name == "difference"
    assert found == (Labels.empty("a") if none else labels)
    assert [m.tolist() for m in mappings] == [[-1] * entries if none else list(range(entries))] * (
        1 if none else 2
    )


@some
@given(entries())
def test_set_operations_agree_with_metatensor(mts, drawn):
    width = next((len(entry) for entry in itertools.chain(*drawn)), 1)
    ours = [labels_of(part, width) for part in drawn]
    theirs = [labels_of(part, width, mts.Labels) for part in drawn]

    def of(pair, name):
        labels, *mappings = getattr(pair[0], f"{name}_and_mapping")(pair[1])
        return labels.names, labels.values.tolist(), [mapping.tolist() for mapping in mappings]

    for name in SETS:
        if name == "intersection" and len(ours[1]) < len(ours[0]):  # theirs has the order of the fewer
            found, expected = (pair[0].intersection(pair[1]).values.tolist() for pair in (ours, theirs))
            assert sorted(found) == sorted(expected)
        else:
            assert of(ours, name) == of(theirs, name)


def test_sets_are_where_the_first_labels_are():
    a, b = Labels("x", rows([0], [1])), Labels("x", rows([1], [2]))
    for name in SETS:
        found, *mappings = getattr(a.to("meta"), f"{name}_and_mapping")(b)
        assert {found.device, *(mapping.device for mapping in mappings)} == {torch.device("meta")}
        assert found == getattr(a, name)(b)


@pytest.mark.parametrize("name", SETS)
def test_set_operations_need_the_same_dimensions(name, refused, mts):
    labels = Labels(["a", "b", "c"], rows([0, 1, 2]))
    with refused(TypeError, "other must be Labels, got list"):
        getattr(labels, name)([[0, 1, 2]])
    message = (
        f"the {name} needs Labels of the same dimensions in the same order, got ['a', 'b', 'c'] and "
    )
    permuted = Labels(["c", "a", "b"], rows([2, 0, 1]))
    remedy = "['c', 'a', 'b']; other.permute([1, 2, 0]) has them in this order"
    assert permuted.permute([1, 2, 0]) == labels
    for other, words in ((Labels("a", rows([0])), "['a']"), (permuted, remedy)):
        for operation in (name, f"{name}_and_mapping"):
            with refused(ValueError, message + words):
                getattr(labels, operation)(other)
            with pytest.raises(RuntimeError, match="they have different dimensions"):
                getattr(mts.Labels(labels.names, labels.values), operation)(
                    mts.Labels(other.names, other.values)
                )


# --- dimensions


@pytest.fixture
def table():
    return Labels(["a", "b"], rows([0, 1], [2, 3], [0, 3]))


def test_a_dimension_is_appended_or_inserted(table):
    values = torch.tensor([7, 8, 9])
    assert table.append("c", values) == Labels(["a", "b", "c"], rows([0, 1, 7], [2, 3, 8], [0, 3, 9]))
    for index, expected in enumerate((["c", "a", "b"], ["a", "c", "b"], ["a", "b", "c"])):
        inserted = table.insert(index, "c", values)
        assert inserted.names == expected
        assert inserted["c"].tolist() == [7, 8, 9]
        assert [inserted[name].tolist() for name in "ab"] == [table[name].tolist() for name in "ab"]
        assert inserted.position(inserted[1]) == 1
    assert table.names == ["a", "b"]
    assert Labels.empty("a").append("b", torch.empty(0)) == Labels.empty(["a", "b"])


def test_dimensions_are_permuted(table):
    expected = Labels(["b", "a"], rows([1, 0], [3, 2], [3, 0]))
    assert table.permute([1, 0]) == table.permute((-1, 0)) == expected
    assert table.permute([0, 1]) == table
    assert table.permute([1, 0]).position([3, 0]) == 2


def test_a_dimension_is_removed(table):
    labels = Labels(["a", "b", "c"], rows([0, 1, 5], [2, 3, 5]))
    assert labels.remove("c") == Labels(["a", "b"], rows([0, 1], [2, 3]))
    assert labels.remove("a") == Labels(["b", "c"], rows([1, 5], [3, 5]))
    assert labels.remove("a").remove("c") == Labels("b", rows([1], [3]))


def test_a_dimension_is_renamed(table):
    assert table.rename("a", "c") == Labels(["c", "b"], table.values)
    assert table.rename("a", "a") == table


def test_changed_labels_stay_where_they_are(table):
    moved = table.to("meta")
    changed = [
        moved.append("c", torch.arange(3)),
        moved.insert(0, "c", torch.arange(3)),
        moved.permute([1, 0]),
        moved.append("c", torch.arange(3)).remove("a"),
        moved.rename("a", "c"),
    ]
    assert [labels.device.type for labels in changed] == ["meta"] * 5


MEMBERS = {
    "append": [
        (("a", torch.arange(3)), ValueError, "names must be distinct, got 'a' twice in ['a', 'b', 'a']"),
        (
            ("1", torch.arange(3)),
            ValueError,
            "names must be identifiers of ASCII letters, digits and _, got '1'",
        ),
        (
            (1, torch.arange(3)),
            TypeError,
            "names must be a string or a list of strings, got ['a', 'b', 1] of type list",
        ),
        (
            ("c", [1, 2, 3]),
            TypeError,
            "values must be a torch.Tensor of integers, got list; make one with torch.tensor(values)",
        ),
        (("c", torch.ones(3)), TypeError, "values must be integers, got a tensor of torch.float32"),
        (
            ("c", torch.arange(2)),
            ValueError,
            "values must have the shape (3,), one for each entry, got (2,)",
        ),
        (
            ("c", torch.arange(3).reshape(-1, 1)),
            ValueError,
            "values must have the shape (3,), one for each entry, got (3, 1)",
        ),
        (
            ("c", torch.tensor([1, 2, 2**31])),
            ValueError,
            "values must fit in 32 bits, from -2147483648 to 2147483647, got 2147483648",
        ),
    ],
    "insert": [
        (
            (index, "c", torch.arange(3)),
            IndexError,
            f"index must be from 0 to 2, the number of dimensions ['a', 'b'], got {index}",
        )
        for index in (3, -1)
    ],
    "permute": [
        (([1, 2],), IndexError, "no dimension 2 in these labels, which have 2: ['a', 'b']"),
        (([-3, 1],), IndexError, "no dimension -3 in these labels, which have 2: ['a', 'b']"),
        *(
            (
                (order,),
                ValueError,
                f"dimensions_indexes must be the numbers from 0 to 1, each once, got {order}",
            )
            for order in ([], [0], [1, 1], [0, 1, 0], [1, -1])
        ),
    ],
    "remove": [
        (("c",), ValueError, "no dimension 'c' in these labels, which have ['a', 'b']"),
        (
            ("b",),
            ValueError,
            "the dimension 'b' can't be removed: the rows of Labels must be distinct, but the row [0] "
            "of ['a'] stands at 0 and again at 2",
        ),
    ],
    "rename": [
        (("c", "d"), ValueError, "no dimension 'c' in these labels, which have ['a', 'b']"),
        (("a", "b"), ValueError, "names must be distinct, got 'b' twice in ['b', 'b']"),
        (("a", "1"), ValueError, "names must be identifiers of ASCII letters, digits and _, got '1'"),
    ],
}


@pytest.mark.parametrize(
    ("member", "arguments", "error", "message"),
    [(member, *case) for member, cases in MEMBERS.items() for case in cases],
)
def test_dimensions_that_cannot_be_changed_are_refused(
    table, member, arguments, error, message, refused, mts
):
    with refused(error, message):
        getattr(table, member)(*arguments)
    if "fit in 32 bits" not in message:  # metatensor makes another number of it
        with pytest.raises((RuntimeError, ValueError, IndexError)):
            getattr(mts.Labels(table.names, table.values), member)(*arguments)


def test_the_only_dimension_stays(refused):
    with refused(ValueError, "'a' is the only dimension of these labels, which need one"):
        Labels.range("a", 2).remove("a")


# --- many entries


@pytest.fixture(scope="module")
def many():
    """20000 entries in no order, and their values as lists."""
    numbers = torch.randperm(60000, generator=torch.Generator().manual_seed(0))[:20000]
    values = torch.stack([numbers // 300, numbers % 300 // 10, numbers % 10], 1)
    return Labels(["a", "b", "c"], values), values.tolist()


def test_many_entries_are_looked_up(many):
    labels, values = many
    where = {tuple(entry): i for i, entry in enumerate(values)}
    for entry in [*values[:50], [0, 0, 0], [199, 29, 9], [200, 0, 0], [-1, 0, 0], [2**40, 0, 0]]:
        assert labels.position(entry) == where.get(tuple(entry))
        assert (entry in labels) == (tuple(entry) in where)
    assert labels.position(LabelsEntry(["c", "b", "a"], torch.tensor(values[7][::-1]))) == 7
    assert labels._tuples is None


@pytest.mark.parametrize("dimensions", ["a", "ab", "cb", "cba", "abc"])
@pytest.mark.parametrize("size", [1, 10, 11, 2000])
def test_many_entries_are_selected(many, dimensions, size):
    labels, values = many
    columns = ["abc".index(name) for name in dimensions]
    part = [tuple(entry[c] for c in columns) for entry in values]
    wanted = list(dict.fromkeys([*part[-size:], (10**6,) * len(columns)]))
    found = labels.select(Labels(list(dimensions), torch.tensor(wanted))).tolist()
    if dimensions == "abc":
        assert found == [part.index(entry) for entry in wanted[:-1]]
    else:
        assert found == [i for i, entry in enumerate(part) if entry in set(wanted)]


def test_a_row_among_many_that_occurs_twice_is_refused(many, refused):
    labels, values = many
    values = torch.tensor([*values[:9999], values[5], *values[10000:], values[3]])
    message = (
        f"the rows of Labels must be distinct, but the row {values[5].tolist()} of ['a', 'b', 'c'] "
        "stands at 5 and again at 9999"
    )
    with refused(ValueError, message):
        Labels(labels.names, values)


def test_many_entries_are_printed_without_being_read(many):
    labels = many[0]
    assert len(str(labels).splitlines()) == 7
    assert repr(labels) == 'Labels(["a", "b", "c"], <tensor of shape (20000, 3), torch.int32>)'
    assert labels._tuples is None


def test_what_is_said_to_be_distinct_is_not_looked_at():
    values = rows([0, 1], [0, 1], [2, 3])
    for labels in (
        Labels(["a", "b"], values, assume_unique=True),
        Labels(["a", "b"], values, True),
    ):
        assert labels.values.tolist() == values.tolist()


# --- what is compiled


def apart(count):
    """Labels of so many entries, and others of a part of them and of as many more."""
    numbers = torch.arange(2 * count)
    values = torch.stack([numbers // 7, numbers % 7 * 10**6], 1)
    return Labels(["a", "b"], values[:count]), Labels(["a", "b"], values[count // 2 :].flip(0))


COMPILED = {
    "union": lambda a, b: a.union_and_mapping(b),
    "intersection": lambda a, b: a.intersection_and_mapping(b),
    "difference": lambda a, b: a.difference_and_mapping(b),
    "selection": lambda a, b: (a.select(b), a.select(Labels("b", rows([10**6], [0])))),
    "dimensions": lambda a, b: (
        a.insert(1, "c", torch.arange(len(a))),
        a.append("c", torch.arange(len(a))).remove("a"),
        a.permute([1, 0]),
        a.rename("a", "c"),
    ),
    "construction": lambda a, b: (Labels(["a", "b"], b.values.long()), str(a), a.position([0, 0])),
}


@pytest.mark.parametrize("count", [4, 400])
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_code_does_with_labels_what_the_code_does(name, count):
    labels = apart(count)

    def function(x):
        return [x + 1, *COMPILED[name](*labels)]

    torch._dynamo.reset()
    found = torch.compile(function, backend="eager")(torch.zeros(2))
    for a, b in zip(found, function(torch.zeros(2)), strict=True):
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


@pytest.mark.parametrize("count", [4, 400])
def test_a_lookup_is_no_part_of_a_graph(count):
    labels, other = apart(count)
    few = Labels("b", rows([10**6], [0]))

    def function(x):
        found = x + 1 if labels.position([0, 10**6]) == 1 and [-1, 0] not in labels else x
        return found, labels.select(few), labels.select(other)

    torch._dynamo.reset()
    found = torch.compile(function, backend="eager", fullgraph=True)(torch.zeros(2))
    assert all(map(torch.equal, found, function(torch.zeros(2))))
