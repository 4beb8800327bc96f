"""Arrays of numbers, and labels, as ``npy`` files.

A header says dtype, order and shape; the numbers follow. Labels are an array of shape ``(entries,)``,
its dtype a field of 32-bit integers for each dimension. Headers are matched as metatensor and numpy
write them, and nothing of them is evaluated: there are no objects to unpickle.

Source: numpy.lib.format; "Serialization format" of the metatensor documentation; what is written, the
behaviour of metatensor-core 0.2.6.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass

import numpy as np
import torch

from ..labels import Labels
from .archive import Buffer

_MAGIC = b"\x93NUMPY"
#: how the length of a header is written, by the version of the format
_LENGTHS = {b"\1\0": struct.Struct("<H"), b"\2\0": struct.Struct("<I"), b"\3\0": struct.Struct("<I")}
#: headers are padded so that numbers begin at a multiple of it
_ALIGNMENT = 64

#: the dtypes of values, by how they are written
DTYPES = {
    **{f"f{size}": getattr(torch, f"float{8 * size}") for size in (2, 4, 8)},
    **{f"c{size}": getattr(torch, f"complex{8 * size}") for size in (8, 16)},
    **{f"i{size}": getattr(torch, f"int{8 * size}") for size in (1, 2, 4, 8)},
    **{f"u{size}": getattr(torch, f"uint{8 * size}") for size in (1, 2, 4, 8)},
    "b1": torch.bool,
}
_CODES = {dtype: code for code, dtype in DTYPES.items()}

_HEADER = re.compile(
    rb"\{ ?'descr': ('[^']*'|\[(?:\('[^']*', '[^']*'\)(?:, ?)?)+\]), "
    rb"'fortran_order': (True|False), "
    # as many axes as numpy has at most, of as many entries as 64 bits can say
    rb"'shape': \(((?:[0-9]{1,19}(?:, ?|(?=\)))){0,64})\)(?:, ?| )?\} *\n"
)
_FIELD = re.compile(r"\('([^']*)', '([^']*)'\)")
_NUMBER = re.compile(rb"[0-9]+")


@dataclass(frozen=True)
class _Array:
    """What a file says of its array, and the bytes of the numbers."""

    #: as it is written, in quotes, or the list of the fields
    dtype: str
    is_fortran: bool
    shape: tuple[int, ...]
    body: memoryview

    def require_size(self, itemsize: int, dtype: object) -> None:
        size, found = itemsize * math.prod(self.shape), len(self.body)
        if size != found:
            raise ValueError(f"an array of shape {self.shape} and {dtype} has {size} bytes, got {found}")


def values(content: Buffer) -> torch.Tensor:
    """The numbers in the bytes of a file, a tensor of its own, contiguous.

    Raises ValueError for what is no such file, has other dtypes, or a size that doesn't fit its shape.
    """
    array = _parsed(content)
    order, code = array.dtype[1:2], array.dtype[2:-1]
    if code not in DTYPES or order not in ("<>|" if code[1:] == "1" else "<>"):
        raise ValueError(f"values of {array.dtype} aren't of the dtypes {known_dtypes()}")
    dtype = np.dtype(order + code)
    array.require_size(dtype.itemsize, dtype)
    if code == "b1" and np.frombuffer(array.body, np.uint8).max(initial=0) > 1:
        raise ValueError("booleans are bytes of 0 and 1, got others")
    flat = np.frombuffer(array.body, dtype)
    shaped = flat.reshape(array.shape, order="F" if array.is_fortran else "C")
    return torch.from_numpy(np.array(shaped, dtype.newbyteorder("="), order="C"))


def labels(content: Buffer) -> Labels:
    """The labels in the bytes of a file.

    Raises ValueError for what is no such file, or no labels: other fields than 32-bit integers, a size
    that doesn't fit, names that are none, rows that occur twice.
    """
    array = _parsed(content)
    dtypes = {field[2] for field in _FIELD.finditer(array.dtype)}
    if len(array.shape) != 1 or dtypes not in ({"<i4"}, {">i4"}):
        raise ValueError(
            "labels are an array of one axis whose dtype has fields of int32, all of one byte order, "
            f"got {len(array.shape)} axes of {array.dtype}"
        )
    names = [field[1] for field in _FIELD.finditer(array.dtype)]
    array.require_size(4 * len(names), array.dtype)
    rows = np.frombuffer(array.body, dtypes.pop()).reshape(-1, len(names))
    return Labels(names, torch.from_numpy(rows.astype(np.int32)))


def of_values(tensor: torch.Tensor) -> list[Buffer]:
    """The bytes, in pieces, of a file of the numbers of a tensor, however they lie in memory.

    They are detached and come to the CPU. Raises ValueError for a dtype that the format doesn't have,
    such as bfloat16.
    """
    if tensor.dtype not in _CODES:
        raise ValueError(
            f"values of {tensor.dtype} can't be saved, convert them with .to() to one of "
            f"{known_dtypes()}"
        )
    array = tensor.detach().cpu().numpy(force=True)
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return [_header(f"'<{_CODES[tensor.dtype]}'", tensor.shape), _memory(little)]


def of_labels(labels: Labels) -> list[Buffer]:
    """The bytes, in pieces, of a file of labels."""
    fields = "".join(f"('{name}', '<i4'), " for name in labels.names)
    rows = labels._tensor().numpy().astype("<i4", copy=False)
    return [_header(f"[{fields}]", (len(labels),)), _memory(rows)]


def is_npy(content: Buffer) -> bool:
    """Whether the bytes begin as those of a file do."""
    return content[: len(_MAGIC)] == _MAGIC


def known_dtypes() -> str:
    """The dtypes of values that a file can have."""
    return ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES.values())


def _parsed(content: Buffer) -> _Array:
    version = bytes(content[6:8])
    if not is_npy(content) or version not in _LENGTHS:
        raise ValueError(
            f"it doesn't begin as a npy array of version 1, 2 or 3, but with {bytes(content[:8])!r}"
        )
    length = _LENGTHS[version]
    start = 8 + length.size
    if len(content) < start:
        raise ValueError("its header is cut")
    end = start + length.unpack_from(content, 8)[0]
    match = _HEADER.fullmatch(content, start, min(end, len(content)))
    if end > len(content) or not match:
        shown = bytes(content[start : min(end, start + 100)])
        raise ValueError(f"its header isn't as metatensor or numpy write it, it begins with {shown!r}")
    dtype, order, shape = match.groups()
    sizes = tuple(map(int, _NUMBER.findall(shape)))
    return _Array(dtype.decode(), order == b"True", sizes, memoryview(content)[end:])


def _header(dtype: str, shape: tuple[int, ...]) -> bytes:
    sizes = "".join(f"{size}, " for size in shape)
    text = f"{{ 'descr': {dtype}, 'fortran_order': False, 'shape': ({sizes}) }}".encode()
    for version, length in _LENGTHS.items():
        start = 8 + length.size
        # one space at least, as metatensor does
        size = len(text) + 1 + _ALIGNMENT - (start + len(text) + 1) % _ALIGNMENT
        if size < 1 << 8 * length.size:
            return _MAGIC + version + length.pack(size) + text.ljust(size - 1) + b"\n"
    raise ValueError(f"a header has less than 4 GiB, got one of {len(text)} bytes")


def _memory(array: np.ndarray) -> Buffer:
    return array.reshape(-1).view(np.uint8).data
