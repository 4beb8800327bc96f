import io
import random
import re
import warnings
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings

import tmref
from tmref import Labels, TensorBlock, TensorMap
from tmref.io import of_buffer, to_buffer
from tmref.strategies import tensor_maps

EXPANSIONS = {"spherical-expansion": 12, "core-data": 27, "qm7-spherical-expansion": 45}  # blocks

DTYPES = [
    *(torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128),
    *(torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.bool),
]

LABELS = Labels(["a", "b"], torch.tensor([[0, 1], [-5, 2**31 - 1]]))


def parts(x):
    """All there is in a map, a block or labels of either library, numbers as bytes."""
    if hasattr(x, "keys"):
        return parts(x.keys), [parts(block) for block in x.blocks()]
    if not hasattr(x, "properties"):
        return tuple(x.names), as_bytes(x.values)
    axes = [x.samples, *x.components, x.properties]
    gradients = {parameter: parts(x.gradient(parameter)) for parameter in x.gradients_list()}
    return [parts(labels) for labels in axes], as_bytes(x.values), gradients


def as_bytes(values):
    array = values.detach().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    return array.dtype.str, array.shape, array.tobytes()


@pytest.fixture
def nested(block, with_gradient):
    """A map with gradients of gradients, and blocks that are empty."""
    keys = Labels(["l", "species"], torch.tensor([[0, 1], [1, -6]]))

    def of(size):
        whole = block(size, 3, 2)
        gradient = TensorBlock(
            torch.randn(size, 2, 3, 2, dtype=torch.float64),
            Labels.range("sample", size),
            [Labels.range("xyz", 2), *whole.components],
            whole.properties,
        )
        whole.add_gradient("positions", with_gradient(gradient, list(range(size)), parameter="cell"))
        return whole

    return TensorMap(keys, [of(2), of(0)])


@pytest.fixture(
    params=[
        *(("made", name) for name in EXPANSIONS),
        *(("real", name) for name in EXPANSIONS),
        ("made", "nested"),
        *(("made", dtype) for dtype in DTYPES),
    ],
    ids=lambda param: f"{param[0]}-{param[1]}",
)
def path(request, written, nested, shared):
    """A file of a map that metatensor wrote: now, or long ago."""
    origin, what = request.param
    if origin == "real":
        return shared(f"data/{what}.mts")
    if isinstance(what, torch.dtype):
        values = [(3 * torch.randn(size, 2, 3)).to(what) for size in (2, 0, 4)]
        return written(TensorMap(Labels.range("key", 3), list(map(tmref.block_from_array, values))))
    return written(nested if what == "nested" else what)


# --- files of metatensor's


def test_files_are_read_as_metatensor_reads_them(path, mts):
    expected = parts(mts.load(str(path)))
    assert parts(tmref.load(path)) == expected
    assert parts(tmref.load(str(path))) == expected
    with open(path, "rb") as file:
        assert parts(tmref.load(file)) == expected


@pytest.mark.parametrize("name", EXPANSIONS)
def test_expansions_are_made_with_the_shapes_of_real_ones(name, shared, expansion):
    def shapes(tensor):
        return {
            tuple(key.values.tolist()): (
                axes(block),
                {parameter: axes(gradient) for parameter, gradient in block.gradients()},
            )
            for key, block in tensor.items()
        }

    def axes(block):
        labels = [block.samples, *block.components, block.properties]
        return [(names, len(axis)) for axis in labels for names in [tuple(axis.names)]]

    real = tmref.load(shared(f"data/{name}.mts"))
    assert len(real) == EXPANSIONS[name]
    assert shapes(expansion(name)) == shapes(real)


def test_what_is_written_is_read_by_metatensor(path, mts, tmp_path):
    import metatensor

    tensor = tmref.load(path)
    for data, name in ((tensor, "load"), (tensor[0], "load_block"), (tensor.keys, "load_labels")):
        file = tmp_path / "data.mts"
        tmref.save(file, data)
        assert parts(getattr(tmref, name)(file)) == parts(data)
        assert parts(getattr(mts, name)(str(file))) == parts(data)
        assert parts(getattr(metatensor, name)(str(file))) == parts(data)


def test_what_metatensor_writes_is_read(path, mts, tmp_path):
    theirs = mts.load(str(path))
    for data, cls in ((theirs, TensorMap), (theirs[0], TensorBlock), (theirs.keys, Labels)):
        assert parts(of_buffer(cls, data.save_buffer())) == parts(data)
        assert parts(of_buffer(cls, memoryview(data.save_buffer().numpy()))) == parts(data)


def test_buffers_go_to_metatensor(path, mts):
    tensor = tmref.load(path)
    for data in (tensor, tensor[0], tensor.keys):
        buffer = torch.frombuffer(bytearray(to_buffer(data)), dtype=torch.uint8)
        assert parts(getattr(mts, type(data).__name__).load_buffer(buffer)) == parts(data)


# --- all there is comes back


@settings(derandomize=True, database=None, deadline=None, max_examples=50)
@given(tensor_maps(max_gradients=2))
def test_maps_come_back(mts, tensor):
    buffer = to_buffer(tensor)
    assert parts(of_buffer(TensorMap, buffer)) == parts(tensor)
    theirs = mts.TensorMap.load_buffer(torch.frombuffer(bytearray(buffer), dtype=torch.uint8))
    assert parts(theirs) == parts(tensor)


def test_gradients_of_gradients_come_back(nested, mts):
    buffer = to_buffer(nested)
    assert parts(of_buffer(TensorMap, buffer)) == parts(nested)
    theirs = mts.TensorMap.load_buffer(torch.frombuffer(bytearray(buffer), dtype=torch.uint8))
    assert parts(theirs) == parts(nested)
    assert parts(of_buffer(TensorMap, theirs.save_buffer())) == parts(nested)
    gradient = of_buffer(TensorMap, buffer)[0].gradient("positions")
    assert gradient.gradients_list() == ["cell"]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes_come_back(dtype, mts):
    block = tmref.block_from_array((torch.randn(2, 3, 2) * 3).to(dtype))
    buffer = torch.frombuffer(bytearray(to_buffer(block)), dtype=torch.uint8)
    assert parts(of_buffer(TensorBlock, buffer)) == parts(block)
    theirs = mts.TensorBlock.load_buffer(buffer)
    assert parts(theirs) == parts(block)
    assert parts(of_buffer(TensorBlock, theirs.save_buffer())) == parts(block)


@pytest.mark.parametrize(
    "labels", [LABELS, Labels.empty("a"), Labels.single(), Labels.empty(["a", "b"])], ids=repr
)
def test_labels_come_back(labels, mts):
    buffer = to_buffer(labels)
    assert of_buffer(Labels, buffer) == labels
    tensor = torch.frombuffer(bytearray(buffer), dtype=torch.uint8)
    assert parts(mts.Labels.load_buffer(tensor)) == parts(labels)
    assert of_buffer(Labels, tensor) == labels


def test_a_map_without_blocks_comes_back(mts):
    tensor = TensorMap(Labels.empty(["a", "b"]), [])
    buffer = torch.frombuffer(bytearray(to_buffer(tensor)), dtype=torch.uint8)
    assert parts(of_buffer(TensorMap, buffer)) == parts(tensor)
    assert parts(mts.TensorMap.load_buffer(buffer)) == parts(tensor)


INFO = {"unit": "eV", "é": 'ü\n"', "empty": ""}


def test_what_a_map_says_of_itself_is_exchanged_with_metatensor(nested, mts, to_mts):
    x = tmref.with_info(nested.copy(), INFO)
    ours, theirs = to_buffer(x), to_mts(x)
    for key, value in INFO.items():
        theirs.set_info(key, value)
    buffer = torch.frombuffer(bytearray(ours), dtype=torch.uint8)
    assert dict(mts.TensorMap.load_buffer(buffer).info()) == INFO
    assert of_buffer(TensorMap, theirs.save_buffer()).info() == INFO
    entries = [zipfile.ZipFile(io.BytesIO(b)) for b in (ours, theirs.save_buffer().numpy().tobytes())]
    assert entries[0].read("info.json") == entries[1].read("info.json")
    assert "info.json" not in zipfile.ZipFile(io.BytesIO(to_buffer(nested))).namelist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "'info.json' can't be read: it must be an object of strings, got []"),
        (b'{"a": 1}', "'info.json' can't be read: it must be an object of strings, got {'a': 1}"),
        (b"{", "'info.json' can't be read: Expecting property name enclosed in double quotes: line 1"),
        (b'{"a": "\xff"}', "'info.json' can't be read: 'utf-8' codec can't decode"),
    ],
    ids=["list", "number", "cut", "bytes"],
)
def test_info_that_is_none_is_refused(content, message, nested):
    buffer = rewritten(nested, lambda entries: entries.update({"info.json": content}))
    message = f"the buffer doesn't contain a valid TensorMap: {message}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        of_buffer(TensorMap, buffer)


def test_values_may_be_views_and_have_a_graph(block):
    values = torch.randn(4, 3, dtype=torch.complex128, requires_grad=True)
    for view in (values.T, values.conj(), values[::2], values.conj().imag):
        view_block = tmref.block_from_array(view)
        again = of_buffer(TensorBlock, to_buffer(view_block))
        assert torch.equal(again.values, view)
        assert not again.values.requires_grad


def test_what_is_read_can_be_changed(path):
    tensor = tmref.load(path)
    before = tensor[0].values.clone()
    tensor[0].values.zero_()
    assert not tensor[0].values.any()
    assert torch.equal(tmref.load(path)[0].values, before)


def test_the_same_data_gives_the_same_bytes(nested):
    assert to_buffer(nested) == to_buffer(nested.copy())


def test_files_may_be_open_ones(nested, tmp_path):
    with open(tmp_path / "open", "wb") as file:
        tmref.save(file, nested)
    assert parts(tmref.load(tmp_path / "open")) == parts(nested)
    memory = io.BytesIO()
    tmref.save(memory, LABELS)
    assert tmref.load_labels(io.BytesIO(memory.getvalue())) == LABELS


def test_a_file_is_overwritten(tmp_path):
    tmref.save(tmp_path / "labels", Labels.range("a", 100))
    tmref.save(str(tmp_path / "labels"), LABELS)
    assert tmref.load_labels(tmp_path / "labels") == LABELS


# --- other ways to write the same


def rewritten(data, change, compression=zipfile.ZIP_STORED):
    """An archive after ``change`` of a dictionary of the bytes of its entries."""
    with zipfile.ZipFile(io.BytesIO(to_buffer(data))) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def npy(array, version=None):
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of numpy, that version 2 is rarely read
        np.lib.format.write_array(buffer, array, version)
    return buffer.getvalue()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [">f8", "<f8", ">f4", ">i2", ">c16"])
def test_arrays_of_other_orders_are_converted(dtype, order, version):
    array = np.arange(6).reshape(2, 3).astype(dtype, order=order)
    block = tmref.block_from_array(torch.zeros(2, 3))
    buffer = rewritten(block, lambda entries: entries.update({"values.npy": npy(array, version)}))
    values = of_buffer(TensorBlock, buffer).values
    assert values.tolist() == array.tolist()
    assert values.dtype == getattr(torch, array.dtype.name)
    assert values.is_contiguous()


def test_labels_of_another_byte_order_are_converted():
    array = np.array([(0, 1), (2, 3)], dtype=[("a", ">i4"), ("b", "<i4")])
    assert of_buffer(Labels, npy(array)) == Labels(["a", "b"], torch.tensor([[0, 1], [2, 3]]))


def test_other_compressions_are_refused(refused):
    block = tmref.block_from_array(torch.zeros(2, 3))
    buffer = rewritten(block, lambda _: None, zipfile.ZIP_BZIP2)
    message = "'values.npy' is compressed by method 12, neither stored nor deflated"
    with refused(ValueError, f"the buffer doesn't contain a valid TensorBlock: {message}"):
        of_buffer(TensorBlock, buffer)


def test_compressed_archives_and_other_entries_are_read(nested):
    def more(entries):
        entries["info.json"] = b"{}"

    buffer = rewritten(nested, more, zipfile.ZIP_DEFLATED)
    assert parts(of_buffer(TensorMap, buffer)) == parts(nested)


# --- what can't be read


@pytest.mark.parametrize("read", [tmref.load, tmref.load_block, tmref.load_labels])
def test_a_missing_file(read, tmp_path):
    for file in (tmp_path / "missing.mts", str(tmp_path / "missing.mts")):
        with pytest.raises(FileNotFoundError, match=r"missing\.mts"):
            read(file)


def test_what_is_no_file_is_refused(refused):
    with refused(TypeError, "file must be a path or a file opened for reading bytes, got int"):
        tmref.load(5)
    with refused(TypeError, 'file must be opened for reading bytes ("rb"), it gave str'):
        tmref.load(io.StringIO("text"))


def test_what_is_no_archive_is_refused(tmp_path, refused):
    file = tmp_path / "text.mts"
    file.write_bytes(b"abc")
    reason = "File is not a zip file"
    with refused(ValueError, f"{str(file)!r} doesn't contain a valid TensorMap: {reason}"):
        tmref.load(file)
    with refused(ValueError, f"{str(file)!r} doesn't contain a valid TensorBlock: {reason}"):
        tmref.load_block(str(file))
    with open(file, "rb") as opened:
        message = (
            f"{str(file)!r} doesn't contain a valid Labels: it doesn't begin as a npy array of version "
            "1, 2 or 3, but with b'abc'"
        )
        with refused(ValueError, message):
            tmref.load_labels(opened)
    with refused(ValueError, f"the file doesn't contain a valid TensorMap: {reason}"):
        tmref.load(io.BytesIO(b""))


def test_one_kind_is_not_the_other(nested, refused):
    start = "the buffer doesn't contain a valid"
    of_kind = {
        TensorMap: (nested, "a TensorMap, which load reads"),
        TensorBlock: (nested[0], "a TensorBlock, which load_block reads"),
        Labels: (nested.keys, "Labels, which load_labels reads"),
    }
    for cls in of_kind:
        for other, (data, words) in of_kind.items():
            if other is not cls:
                with refused(ValueError, f"{start} {cls.__name__}: it has {words}"):
                    of_buffer(cls, to_buffer(data))


def test_a_file_of_labels_names_what_reads_it(tmp_path, refused):
    file = tmp_path / "labels.mts"
    tmref.save(file, LABELS)
    message = f"{str(file)!r} doesn't contain a valid TensorMap: it has Labels, which load_labels reads"
    with refused(ValueError, message):
        tmref.load(file)


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
def test_a_missing_entry_is_named(entry, nested, refused):
    buffer = rewritten(nested, lambda entries: entries.pop(f"{entry}.npy"))
    kind = "" if entry == "keys" else " in what looks like a map"
    message = f"the buffer doesn't contain a valid TensorMap: no entry '{entry}.npy'{kind}"
    with refused(ValueError, message):
        of_buffer(TensorMap, buffer)


@pytest.mark.parametrize(
    ("entry", "array", "message"),
    [
        (
            "values",
            npy(np.zeros((2, 3)))[:-8],
            "'values.npy' can't be read: an array of shape (2, 3) and float64 has 48 bytes, got 40",
        ),
        (
            "values",
            npy(np.zeros((2, 3))) + b"x",
            "'values.npy' can't be read: an array of shape (2, 3) and float64 has 48 bytes, got 49",
        ),
        (
            "values",
            npy(np.zeros((2, 3), dtype="S3")),
            "values of |S3 aren't of the dtypes float16, float32, float64, complex64, complex128, int8, "
            "int16, int32, int64, uint8, bool",
        ),
        (
            "values",
            npy(np.zeros((2, 2))),
            "values have the shape (2, 2), but samples, components and properties have (2, 3) entries",
        ),
        (
            "samples",
            npy(np.zeros(2, dtype=np.int32)),
            "'samples.npy' has no labels: labels are an array of one axis whose dtype has fields of "
            "int32, got 1 axes of int32",
        ),
        (
            "samples",
            npy(np.zeros(2, dtype=[("a", "<i8")])),
            "'samples.npy' has no labels: labels are an array of one axis whose dtype has fields of "
            "int32, got 1 axes of [('a', '<i8')]",
        ),
        (
            "samples",
            npy(np.zeros(2, dtype=[("a", "<i4")])),
            "'samples.npy' has no labels: the rows of Labels must be distinct, but the row [0] of ['a'] "
            "stands at 0 and again at 1",
        ),
    ],
)
def test_a_malformed_entry_is_named(entry, array, message, refused):
    block = tmref.block_from_array(torch.zeros(2, 3))
    buffer = rewritten(block, lambda entries: entries.update({f"{entry}.npy": array}))
    with refused(ValueError, f"the buffer doesn't contain a valid TensorBlock: {message}"):
        of_buffer(TensorBlock, buffer)


@pytest.mark.parametrize("shape", ["(-2, -3)", "(2.0, 3)", "5", "('a',)"])
def test_a_shape_that_is_none_is_refused(shape):
    old, new = b"'shape': (2, 3), }", f"'shape': {shape}, }}".encode()
    array = npy(np.zeros((2, 3)))
    assert old in array
    block = tmref.block_from_array(torch.zeros(2, 3))
    changed = array.replace(old + b" " * (len(new) - len(old)), new.ljust(len(old)))
    buffer = rewritten(block, lambda entries: entries.update({"values.npy": changed}))
    with pytest.raises(ValueError, match=r"'values\.npy' can't be read: "):
        of_buffer(TensorBlock, buffer)


def test_objects_are_never_unpickled(refused):
    array = io.BytesIO()
    np.lib.format.write_array(array, np.array([{}], dtype=object), allow_pickle=True)
    message = "an array of shape (1,) and object isn't one of numbers"
    with refused(ValueError, f"the buffer doesn't contain a valid Labels: {message}"):
        of_buffer(Labels, array.getvalue())


@pytest.mark.parametrize("cls", [TensorBlock, Labels], ids=lambda cls: cls.__name__)
def test_every_truncation_is_refused(cls, nested):
    buffer = to_buffer(nested[0] if cls is TensorBlock else nested.keys)
    for size in range(len(buffer)):
        with pytest.raises(ValueError, match=r"^the buffer doesn't contain a valid "):
            of_buffer(cls, buffer[:size])


@pytest.mark.parametrize("cls", [TensorBlock, Labels], ids=lambda cls: cls.__name__)
def test_changed_bytes_are_refused_or_other_data(cls, nested):
    buffer = to_buffer(nested[0] if cls is TensorBlock else nested.keys)
    choose = random.Random(0)
    outcomes = {True: 0, False: 0}
    for _ in range(1000):
        changed = bytearray(buffer)
        changed[choose.randrange(len(buffer))] = choose.randrange(256)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)  # python's own, of what a header says
                of_buffer(cls, changed)
        except ValueError as error:
            assert str(error).startswith("the buffer doesn't contain a valid ")  # noqa: PT017
            outcomes[False] += 1
        else:
            outcomes[True] += 1
    assert min(outcomes.values()) > 10


# --- what can't be written


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.uint16], ids=str)
def test_other_dtypes_are_refused_before_anything_is_written(dtype, tmp_path, refused, mts, to_mts):
    block = tmref.block_from_array(torch.zeros(2, 3, dtype=dtype))
    message = (
        f"values of {dtype} can't be saved, convert them with .to() to one of float16, float32, "
        "float64, complex64, complex128, int8, int16, int32, int64, uint8, bool"
    )
    with refused(ValueError, message):
        tmref.save(tmp_path / "block", block)
    assert not (tmp_path / "block").exists()
    with pytest.raises(RuntimeError, match="unsupported DL"):
        mts.TensorBlock.load_buffer(to_mts(block).save_buffer())


@pytest.mark.parametrize("parameter", ["", "a/b"])
def test_parameters_that_are_no_part_of_a_path_are_refused(parameter, block, with_gradient, refused):
    message = f"the name of a gradient to save must have letters and no /, got {parameter!r}"
    with refused(ValueError, message):
        to_buffer(with_gradient(block(2, 4), [0], parameter=parameter))


def test_other_data_is_refused(refused):
    with refused(TypeError, "data must be a TensorMap, a TensorBlock or Labels, got list"):
        to_buffer([LABELS])
    with refused(TypeError, "buffer must be bytes or a tensor of uint8, got str"):
        of_buffer(Labels, "bytes")
    with refused(TypeError, "buffer must be bytes or a tensor of uint8, got torch.int8"):
        of_buffer(Labels, torch.zeros(3, dtype=torch.int8))
    with refused(TypeError, "cls must be TensorMap, TensorBlock or Labels, got <class 'int'>"):
        of_buffer(int, b"")
