"""Maps and blocks as entries: what is missing, too much, or doesn't fit is refused, by name."""

import pytest
import torch

import tmref
from tmref import Labels, TensorMap
from tmref.io import npy


def file_of(data):
    return b"".join(npy.of_labels(data) if isinstance(data, Labels) else npy.of_values(data))


@pytest.fixture
def refused_of(rewritten, refused):
    """refused_of(data, change, message): reading the archive after ``change`` of its entries is refused,
    by this message and all that tells one kind from another."""

    def check(data, change, message):
        kind = type(data)
        read = tmref.load_buffer if kind is TensorMap else tmref.load_block_buffer
        with refused(ValueError, f"the buffer doesn't contain a valid {kind.__name__}: {message}"):
            read(rewritten(data, change))

    return check


@pytest.mark.parametrize(
    "entry",
    [
        "keys",
        "blocks/1/values",
        "blocks/0/samples",
        "blocks/1/components/0",
        "blocks/0/properties",
        "blocks/0/gradients/positions/samples",
        "blocks/0/gradients/positions/gradients/cell/components/1",
    ],
)
def test_a_missing_entry_is_named(entry, nested, refused_of):
    kind = "" if entry == "keys" else " in what looks like a map"
    refused_of(nested, lambda entries: entries.pop(f"{entry}.npy"), f"no entry '{entry}.npy'{kind}")


@pytest.mark.parametrize(
    "name",
    [
        *("blocks/2/values.npy", "blocks/00/values.npy", "blocks/-1/values.npy", "blocks/٠/values.npy"),
        *("blocks/", "blocks/0/", "/keys.npy", "./keys.npy", "KEYS.NPY", "keys.npy ", "Info.json"),
        *("blocks\\0\\values.npy", "blocks/0/components/1.npy", "blocks/0/components/00.npy", "readme"),
        *("properties.npy", "blocks/0/Values.npy", "blocks/0/gradients/positions/properties.npy"),
        *("blocks/0/gradients/cell/samples.npy", "blocks/0/gradients/a/b/values.npy"),
        "blocks/0/gradients/positions/gradients/cell/gradients/values.npy",
    ],
)
def test_an_entry_that_nobody_reads_is_refused(name, nested, refused_of):
    refused_of(
        nested, lambda entries: entries.update({name: b""}), f"the entry {name!r} is no part of the map"
    )


def test_gradients_without_values_are_no_map_without_gradients(nested, refused_of):
    name = "blocks/0/gradients/positions"

    def change(entries):
        entries[f"{name}/Values.npy"] = entries.pop(f"{name}/values.npy")

    refused_of(nested, change, f"the entry '{name}/samples.npy' is no part of the map")


def test_info_is_no_part_of_a_block(two_by_three, refused_of):
    message = "the entry 'info.json' is no part of the block"
    refused_of(two_by_three, lambda entries: entries.update({"info.json": b"{}"}), message)


def test_blocks_and_keys_are_equally_many(nested, refused_of):
    more = file_of(Labels(["l", "species"], torch.arange(6).reshape(3, 2)))
    message = "no entry 'blocks/2/values.npy' in what looks like a map"
    refused_of(nested, lambda entries: entries.update({"keys.npy": more}), message)
    fewer = file_of(Labels(["l", "species"], torch.tensor([[0, 1]])))
    message = "the entry 'blocks/1/values.npy' is no part of the map"
    refused_of(nested, lambda entries: entries.update({"keys.npy": fewer}), message)


@pytest.mark.parametrize(
    ("entry", "new", "message"),
    [
        (
            "blocks/0/values",
            torch.zeros(1, 3, 2, dtype=torch.float64),
            "blocks/0/: values have the shape (1, 3, 2), but samples, components and properties have "
            "(2, 3, 2) entries",
        ),
        (
            "blocks/0/values",
            torch.zeros(2, 3, 2),
            "blocks/0/gradients/positions/: the gradient is torch.float64 on cpu, the values are "
            "torch.float32 on cpu",
        ),
        (
            "blocks/0/gradients/positions/samples",
            Labels(["sample"], torch.tensor([[0], [2]])),
            "blocks/0/gradients/positions/: 'sample' of the gradient must be rows of the values' "
            "2 samples, got 0 to 2",
        ),
        (
            "blocks/0/gradients/positions/samples",
            Labels(["sample"], torch.tensor([[-1], [0]])),
            "blocks/0/gradients/positions/: 'sample' of the gradient must be rows of the values' "
            "2 samples, got -1 to 0",
        ),
        (
            "blocks/0/gradients/positions/samples",
            Labels.range("system", 2),
            "blocks/0/gradients/positions/: the first dimension of a gradient's samples must be "
            "'sample', got ['system']",
        ),
        (
            "blocks/1/properties",
            Labels.range("other", 2),
            "all blocks of a TensorMap must have the same property names, got ['feature'] in the block "
            "(l=0, species=1) and ['other'] in the block (l=1, species=-6)",
        ),
        (
            "blocks/0/samples",
            torch.zeros(2, dtype=torch.int32),
            "'blocks/0/samples.npy' can't be read: labels are an array of one axis whose dtype has "
            "fields of int32, all of one byte order, got 1 axes of '<i4'",
        ),
        (
            "blocks/0/values",
            torch.zeros(()),
            "blocks/0/: values have the shape (), but samples, components and properties have "
            "(2, 2) entries",
        ),
    ],
)
def test_an_entry_that_does_not_fit_is_named(entry, new, message, nested, refused_of):
    def change(entries):
        entries[f"{entry}.npy"] = file_of(new)
        if entry == "blocks/0/values" and new.dim() == 0:
            entries.pop("blocks/0/components/0.npy")

    refused_of(nested, change, message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "it must be an object of strings, got list"),
        (b'{"a": 1}', "its values must be strings, got int for 'a'"),
        (b'{"a": {"b": "c"}}', "its values must be strings, got dict for 'a'"),
        (b'{"a": "b", "a": "c"}', "it has 'a' twice"),
        (b"{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b'{"a": "\xff"}', "'utf-8' codec can't decode byte 0xff in position 7: invalid start byte"),
        (
            '{"a": "b"}'.encode("utf-16"),
            "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        (
            b'{"a": "\\ud800"}',
            "'utf-8' codec can't encode character '\\ud800' in position 0: surrogates not allowed",
        ),
        (b'{"a": "b\\u0000"}', r"texts of the info have no NUL, got 'b\x00'"),
        (
            b"[" * 100_000,
            "maximum recursion depth exceeded while decoding a JSON array from a unicode string",
        ),
    ],
    ids=["list", "number", "object", "twice", "cut", "bytes", "utf-16", "surrogate", "nul", "deep"],
)
def test_info_that_is_none_is_refused(content, message, nested, refused_of):
    message = f"'info.json' can't be read: {message}"
    refused_of(nested, lambda entries: entries.update({"info.json": content}), message)


def test_gradients_as_deep_as_nobody_wants_are_refused(rewritten, block):
    """A file of them takes a level of Python's stack for each."""
    entries, path = {}, ""
    for _ in range(1500):
        entries[f"{path}values.npy"] = file_of(torch.zeros(1, 1))
        entries[f"{path}samples.npy"] = file_of(Labels.range("sample", 1))
        path += "gradients/x/"
    whole = tmref.block_from_array(torch.zeros(1, 1))
    with pytest.raises(ValueError, match=r"doesn't contain a valid TensorBlock: .*recursion"):
        tmref.load_block_buffer(rewritten(whole, lambda found: found.update(entries)))


@pytest.mark.parametrize("parameter", ["a/b", "/", "a\0b"])
def test_parameters_that_are_no_part_of_a_path_are_refused(parameter, block, with_gradient, refused):
    message = f"the name of a gradient to save is part of a path, without / and NUL, got {parameter!r}"
    with refused(ValueError, message):
        tmref.save_buffer(with_gradient(block(2, 4), [0], parameter=parameter))


@pytest.mark.parametrize("info", [{"a\0": "b"}, {"a": "\0"}, {"a": "\ud800"}], ids=ascii)
def test_texts_that_metatensor_could_not_read_are_refused(info, nested):
    with pytest.raises(ValueError, match=r"^texts of the info have no NUL, got|surrogates not allowed$"):
        tmref.save_buffer(tmref.with_info(nested, info))


def test_labels_that_occur_again_are_read_once(expansion):
    again = tmref.load_buffer(tmref.save_buffer(expansion("spherical-expansion")))
    assert len({id(block.properties) for block in again}) == 1


def test_gradients_are_written_in_the_order_of_their_names(block, with_gradient):
    one, other = block(2, 3), block(2, 3)
    for name in ("a", "b"):
        with_gradient(one, [0], parameter=name)
    for name in ("b", "a"):
        with_gradient(other, [0], parameter=name)
    assert torch.equal(tmref.save_buffer(one), tmref.save_buffer(other))
