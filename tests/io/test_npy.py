"""Arrays as npy files: what is read, and what is refused of a header before anything else is done."""

import io
import time
import warnings

import numpy as np
import pytest
import torch

import tmref
from tmref import Labels
from tmref.io import npy

DTYPES = ", ".join(
    [
        *("float16", "float32", "float64", "complex64", "complex128", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64", "bool"),
    ]
)


def file_of(array, version=None):
    """What numpy writes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of numpy, that version 2 is rarely read
        np.lib.format.write_array(buffer, array, version)
    return buffer.getvalue()


def of_header(text, body=b"", version=1):
    """A file of this header."""
    text = text.encode() if isinstance(text, str) else text
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + body


def header(descr="'<f8'", order="False", shape="(2, 3)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


# --- what is read


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [">f8", "<f8", ">f4", ">i2", ">c16", ">u8", "|i1", "|b1"])
def test_arrays_of_other_orders_are_converted(dtype, order, version):
    array = np.arange(6).reshape(2, 3).astype(dtype, order=order)
    values = npy.values(file_of(array, version))
    assert values.tolist() == array.tolist()
    assert values.dtype == getattr(torch, array.dtype.name)
    assert values.is_contiguous()


def test_the_bits_of_another_byte_order_stay(dtype, any_bits):
    array = any_bits(dtype, 4, 5).numpy()
    again = npy.values(file_of(array.astype(array.dtype.newbyteorder(">"))))
    assert again.numpy().tobytes() == array.tobytes()


def test_labels_of_another_byte_order_are_converted():
    array = np.array([(0, 1), (2, 3)], dtype=[("a", ">i4"), ("b", ">i4")])
    assert npy.labels(file_of(array)) == Labels(["a", "b"], torch.tensor([[0, 1], [2, 3]]))


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_no_numbers_are_numbers(shape):
    assert npy.values(file_of(np.zeros(shape))).shape == shape


def test_what_is_read_is_its_own_and_can_be_changed():
    content = bytearray(file_of(np.zeros((2, 3))))
    values = npy.values(content)
    content[-48:] = b"x" * 48
    values += 1
    assert values.eq(1).all()


# --- what isn't


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it doesn't begin as a npy array of version 1, 2 or 3, but with b''"),
        (b"abc", "it doesn't begin as a npy array of version 1, 2 or 3, but with b'abc'"),
        (
            b"\x93NUMPY\1",
            r"it doesn't begin as a npy array of version 1, 2 or 3, but with b'\x93NUMPY\x01'",
        ),
        (
            b"\x93NUMPY\4\0abcd",
            r"it doesn't begin as a npy array of version 1, 2 or 3, but with b'\x93NUMPY\x04\x00'",
        ),
        (
            b"\x93NUMPY\1\1abcd",
            r"it doesn't begin as a npy array of version 1, 2 or 3, but with b'\x93NUMPY\x01\x01'",
        ),
        (b"\x93NUMPY\1\0a", "its header is cut"),
        (
            b"\x93NUMPY\1\0\xff\xff{'descr'",
            """its header isn't as metatensor or numpy write it, it begins with b"{'descr'\"""",
        ),
        (
            file_of(np.zeros((2, 3)))[:-8],
            "an array of shape (2, 3) and float64 has 48 bytes, got 40",
        ),
        (
            file_of(np.zeros((2, 3))) + b"x",
            "an array of shape (2, 3) and float64 has 48 bytes, got 49",
        ),
        (file_of(np.zeros((2, 3), "S3")), f"values of '|S3' aren't of the dtypes {DTYPES}"),
        (
            file_of(np.zeros(3, [("a", "<i4")])),
            f"values of [('a', '<i4')] aren't of the dtypes {DTYPES}",
        ),
        (of_header(header("'|f8'"), bytes(48)), f"values of '|f8' aren't of the dtypes {DTYPES}"),
        (of_header(header("''"), bytes(48)), f"values of '' aren't of the dtypes {DTYPES}"),
        (
            of_header(header("'<b1'", shape="(1, 2)"), b"\1\2"),
            "booleans are bytes of 0 and 1, got others",
        ),
        (
            of_header(header(shape="(1000000000000000000, 1000000000000000000)")),
            "an array of shape (1000000000000000000, 1000000000000000000) and float64 has "
            "8000000000000000000000000000000000000 bytes, got 0",
        ),
    ],
)
def test_values_that_are_none_are_refused(content, message, refused):
    with refused(ValueError, message):
        npy.values(content)


@pytest.mark.parametrize(
    ("array", "given"),
    [
        (np.zeros(2, np.int32), "1 axes of '<i4'"),
        (np.zeros(2, [("a", "<i8")]), "1 axes of [('a', '<i8')]"),
        (np.zeros((2, 2), [("a", "<i4")]), "2 axes of [('a', '<i4')]"),
        (np.zeros(2, [("a", "<i4"), ("b", ">i4")]), "1 axes of [('a', '<i4'), ('b', '>i4')]"),
    ],
)
def test_labels_that_are_none_are_refused(array, given, refused):
    message = (
        "labels are an array of one axis whose dtype has fields of int32, all of one byte order, got "
    )
    with refused(ValueError, message + given):
        npy.labels(file_of(array))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "a"], "names must be distinct, got 'a' twice in ['a', 'a']"),
        ([""], "names must be identifiers of ASCII letters, digits and _, got ''"),
        (["é"], "names must be identifiers of ASCII letters, digits and _, got 'é'"),
    ],
)
def test_names_that_are_none_are_refused(names, message, refused):
    fields = ", ".join(f"('{name}', '<i4')" for name in names)
    content = of_header(header(f"[{fields}]", shape="(1,)"), bytes(4 * len(names)))
    with refused(ValueError, message):
        npy.labels(content)


def test_rows_that_occur_twice_are_refused(refused):
    message = "the rows of Labels must be distinct, but the row [0] of ['a'] stands at 0 and again at 1"
    with refused(ValueError, message):
        npy.labels(file_of(np.zeros(2, dtype=[("a", "<i4")])))


def test_fields_that_overlap_are_refused():
    """numpy's own way to say so, a dictionary, is no header here."""
    descr = "{'names': ['a', 'b'], 'formats': ['<i4', '<i4'], 'offsets': [0, 0], 'itemsize': 4}"
    with pytest.raises(ValueError, match=r"^its header isn't as metatensor or numpy write it"):
        npy.labels(of_header(header(descr, shape="(2,)"), bytes(8)))


@pytest.mark.parametrize(
    "text",
    [
        *(header(shape=shape) for shape in ("(-2, -3)", "(2.0, 3)", "5", "('a',)", "(2 3)", "(2,, 3)")),
        *(header(shape=f"({'1, ' * 65})"), header(shape=f"({'9' * 5000},)")),
        *(header(descr=descr) for descr in ("None", "'<f8", "[]", "[('a', '<i4', (2,))]", "float")),
        *(header(order=order) for order in ("None", "0", "true")),
        *("", "{}\n", "{'descr': '<f8'}\n", header()[:-1], header() + "x\n", header() * 2),
        *("[" * 60000, "(" * 60000, "-" * 60000, "{" * 60000 + header(), "9" * 60000),
        "__import__('os').abort()\n",
    ],
    ids=lambda text: text[:60],
)
def test_headers_are_matched_and_not_evaluated(text):
    content = of_header(text, bytes(48))
    for read in (npy.values, npy.labels):
        with pytest.raises(ValueError, match=r"^its header isn't as metatensor or numpy write it"):
            read(content)


def test_objects_are_never_unpickled(refused):
    class Attack:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    array = io.BytesIO()
    np.lib.format.write_array(array, np.array([[Attack()]], dtype=object), allow_pickle=True)
    with refused(ValueError, f"values of '|O' aren't of the dtypes {DTYPES}"):
        npy.values(array.getvalue())


@pytest.mark.parametrize(
    "text",
    [
        header() + " " * 2_000_000,
        header(descr="'" + "a" * 2_000_000),
        header(descr="[" + "('a', '<i4'), " * 150_000),
        header(shape="(" + "1, " * 700_000),
        "{'descr': " + " " * 2_000_000,
    ],
    ids=lambda text: text[:60],
)
def test_long_headers_take_no_time(text):
    before = time.process_time()
    with pytest.raises(ValueError, match=r"^its header isn't"):
        npy.values(of_header(text, version=2))
    assert time.process_time() - before < 1


# --- what is written


def test_the_header_is_one_that_numpy_reads(dtype):
    values = torch.zeros(2, 3).to(dtype)
    content = b"".join(npy.of_values(values))
    if values.element_size() == 1:
        content = content.replace(b"'<", b"'|")  # metatensor reads bytes and booleans as "<i1" alone
    assert np.array_equal(np.load(io.BytesIO(content), allow_pickle=False), values.numpy())
    labels = Labels(["a", "b"], torch.tensor([[1, 2]]))
    content = b"".join(npy.of_labels(labels))
    assert np.load(io.BytesIO(content), allow_pickle=False).tolist() == [(1, 2)]
    assert (len(content) - 8) % 64 == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.complex32, torch.float8_e5m2], ids=str)
def test_other_dtypes_are_refused(dtype, tmp_path, refused):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of torch, that complex32 is experimental
        block = tmref.block_from_array(torch.zeros(2, 3, dtype=dtype))
    message = f"values of {dtype} can't be saved, convert them with .to() to one of {DTYPES}"
    with refused(ValueError, message):
        tmref.save(tmp_path / "block", block)
    assert not list(tmp_path.iterdir())
