"""Maps, blocks and labels in metatensor's format: `.mts` files, and the same bytes in memory.

Labels are one `npy` array of shape ``(entries,)``, its dtype a field of 32-bit integers for each
dimension. A block is a zip archive, not compressed, of ``values.npy``, ``samples.npy``,
``components/0.npy``, ..., ``properties.npy`` and, for every gradient, the same under
``gradients/<parameter>/`` without properties, which are the block's. A map has ``keys.npy`` and its
blocks under ``blocks/0/``, ``blocks/1/``, ..., and where it says something of itself ``info.json``, an
object of strings; other entries of an archive are not read.

Source: "Serialization format" of the metatensor documentation.
"""

from __future__ import annotations

import ast
import io
import json
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar, cast

import numpy as np
import torch

from .block import TensorBlock
from .labels import Labels
from .printing import type_of
from .tensor_map import TensorMap

Data = TypeVar("Data", TensorMap, TensorBlock, Labels)
Entry = TypeVar("Entry")

_DTYPES = {
    getattr(torch, name): np.dtype(name)
    for name in (
        *("float16", "float32", "float64", "complex64", "complex128"),
        *("int8", "int16", "int32", "int64", "uint8", "bool"),
    )
}

#: the kinds of data, and what reads each
_KINDS = {
    TensorMap: "a TensorMap, which load reads",
    TensorBlock: "a TensorBlock, which load_block reads",
    Labels: "Labels, which load_labels reads",
}

#: the entry of what a map says of itself
_INFO = "info.json"

#: how the length of the header of a npy array is written, by the version of the format
_LENGTHS = {b"\x01": "<H", b"\x02": "<I", b"\x03": "<I"}

#: a gradient: the path of its block, and its parameter
_GRADIENT = re.compile(r"(.*)gradients/([^/]+)/values\.npy")

#: constant, so that the same data gives the same bytes
_DATE = (2000, 1, 1, 0, 0, 0)

#: what zipfile, numpy and the classes themselves raise for something malformed
_MALFORMED = (
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    MemoryError,
    OverflowError,
    SyntaxError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def load(file: str | os.PathLike[str] | IO[bytes]) -> TensorMap:
    """The map in a ``.mts`` file, given by its path or opened for reading bytes.

    Values are on the CPU. Raises FileNotFoundError where there is no file, and ValueError where it
    isn't the archive of a map, naming the file and what is missing.

    Source: the documentation of ``metatensor.load``.
    """
    return _read(TensorMap, file)


def load_block(file: str | os.PathLike[str] | IO[bytes]) -> TensorBlock:
    """The block in a file; all else, and what it raises, as :func:`load`.

    Source: the documentation of ``metatensor.load_block``.
    """
    return _read(TensorBlock, file)


def load_labels(file: str | os.PathLike[str] | IO[bytes]) -> Labels:
    """The labels in a file; all else, and what it raises, as :func:`load`.

    Source: the documentation of ``metatensor.load_labels``.
    """
    return _read(Labels, file)


def save(file: str | os.PathLike[str] | IO[bytes], data: TensorMap | TensorBlock | Labels) -> None:
    """Write a map, a block or labels to a file, given by its path or opened for writing bytes.

    A path is taken as it is, its file is overwritten. Raises as :func:`to_buffer`, before anything
    is written.

    Source: the documentation of ``metatensor.save``.
    """
    content = to_buffer(data)
    if isinstance(file, (str, os.PathLike)):
        Path(file).write_bytes(content)
    else:
        file.write(content)


def to_buffer(data: TensorMap | TensorBlock | Labels) -> bytes:
    """What :func:`save` writes, as bytes.

    Values are detached and come to the CPU. Raises TypeError for other data, and ValueError for a
    dtype that the format doesn't have, such as bfloat16.
    """
    if isinstance(data, Labels):
        return _npy(_structured(data))
    arrays: dict[str, np.ndarray] = {}
    info: dict[str, str] = {}
    if isinstance(data, TensorMap):
        info = data.info()
        arrays["keys"] = _structured(data.keys)
        for i, block in enumerate(data):
            _collect(arrays, f"blocks/{i}/", block)
    elif isinstance(data, TensorBlock):
        _collect(arrays, "", data)
    else:
        raise TypeError(f"data must be a TensorMap, a TensorBlock or Labels, got {type_of(data)}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _DATE), _npy(array))
        if info:
            text = json.dumps(info, indent=2, ensure_ascii=False, sort_keys=True)
            archive.writestr(zipfile.ZipInfo(_INFO, _DATE), text.encode())
    return buffer.getvalue()


def of_buffer(cls: type[Data], buffer: bytes | bytearray | memoryview | torch.Tensor) -> Data:
    """The map, block or labels (as ``cls`` says) in the bytes that :func:`to_buffer` gave.

    ``buffer`` may be a tensor of uint8. Raises TypeError for other classes and buffers, ValueError
    where it doesn't contain such data.
    """
    if isinstance(buffer, torch.Tensor) and buffer.dtype == torch.uint8:
        buffer = buffer.cpu().numpy(force=True).tobytes()
    if not isinstance(buffer, (bytes, bytearray, memoryview)):
        given = buffer.dtype if isinstance(buffer, torch.Tensor) else type(buffer).__name__
        raise TypeError(f"buffer must be bytes or a tensor of uint8, got {given}")
    return _parsed(cls, bytes(buffer), "the buffer")


def _read(cls: type[Data], file: str | os.PathLike[str] | IO[bytes]) -> Data:
    if isinstance(file, (str, os.PathLike)):
        return _parsed(cls, Path(file).read_bytes(), repr(os.fspath(file)))
    if not hasattr(file, "read"):
        raise TypeError(
            f"file must be a path or a file opened for reading bytes, got {type(file).__name__}"
        )
    content = file.read()
    if not isinstance(content, bytes):
        raise TypeError(
            f'file must be opened for reading bytes ("rb"), it gave {type(content).__name__}'
        )
    return _parsed(cls, content, repr(file.name) if hasattr(file, "name") else "the file")


def _parsed(cls: type[Data], content: bytes, file: str) -> Data:
    if cls not in _KINDS:
        raise TypeError(f"cls must be TensorMap, TensorBlock or Labels, got {cls!r}")
    data: TensorMap | TensorBlock | Labels
    try:
        if cls is Labels:
            data = _labels(_array(content))
        else:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                entries = _Entries(archive)
                data = entries.map() if cls is TensorMap else entries.block("")
        return cast(Data, data)
    except _MALFORMED as error:
        found = _kind_of(content)
        why = error if found in (None, cls) else f"it has {_KINDS[found]}"
        raise ValueError(f"{file} doesn't contain a valid {cls.__name__}: {why}") from error


def _kind_of(content: bytes) -> type[TensorMap | TensorBlock | Labels] | None:
    """What the bytes look like."""
    if content.startswith(b"\x93NUMPY"):
        return Labels
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except _MALFORMED:
        return None
    return TensorMap if "keys.npy" in names else TensorBlock if "values.npy" in names else None


class _Entries:
    """The entries of an archive."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = set(archive.namelist())
        self._gradients: dict[str, list[str]] = {}
        for name in archive.namelist():
            if match := _GRADIENT.fullmatch(name):
                self._gradients.setdefault(match[1], []).append(match[2])

    def map(self) -> TensorMap:
        keys = self._labels("keys")
        tensor = TensorMap(keys, [self.block(f"blocks/{i}/") for i in range(len(keys))])
        if _INFO in self._names:
            tensor._info = self._parsed(_INFO, _info)
        return tensor

    def block(self, path: str, properties: Labels | None = None) -> TensorBlock:
        """The block under a path; ``properties`` are those of a gradient."""
        values = _tensor(self._array(f"{path}values"))
        components = [self._labels(f"{path}components/{i}") for i in range(values.dim() - 2)]
        if properties is None:
            properties = self._labels(f"{path}properties")
        block = TensorBlock(values, self._labels(f"{path}samples"), components, properties)
        for parameter in self._gradients.get(path, []):
            block.add_gradient(parameter, self.block(f"{path}gradients/{parameter}/", properties))
        return block

    def _array(self, path: str) -> np.ndarray:
        name = f"{path}.npy"
        if name not in self._names:
            kind = "map" if "keys.npy" in self._names else "block" if "values.npy" in self._names else ""
            raise ValueError(f"no entry {name!r}" + (f" in what looks like a {kind}" if kind else ""))
        return self._parsed(name, _array)

    def _parsed(self, name: str, parse: Callable[[bytes], Entry]) -> Entry:
        method = self._archive.getinfo(name).compress_type
        if method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name!r} is compressed by method {method}, neither stored nor deflated")
        try:
            return parse(self._archive.read(name))
        except _MALFORMED as error:
            raise ValueError(f"{name!r} can't be read: {error}") from error

    def _labels(self, path: str) -> Labels:
        array = self._array(path)
        try:
            return _labels(array)
        except _MALFORMED as error:
            raise ValueError(f"{path + '.npy'!r} has no labels: {error}") from error


def _info(content: bytes) -> dict[str, str]:
    """What a map says of itself."""
    info = json.loads(content)
    if not isinstance(info, dict) or not all(isinstance(value, str) for value in info.values()):
        raise ValueError(f"it must be an object of strings, got {info!r}")
    return info


def _array(content: bytes) -> np.ndarray:
    """The array in the bytes of a ``npy`` file, in the machine's byte order, writable."""
    version = content[6:7]
    if content[:6] != b"\x93NUMPY" or version not in _LENGTHS:
        raise ValueError(
            f"it doesn't begin as a npy array of version 1, 2 or 3, but with {content[:8]!r}"
        )
    length = struct.Struct(_LENGTHS[version])
    start = 8 + length.size
    end = start + length.unpack_from(content, 8)[0]
    header = ast.literal_eval(content[start:end].decode())
    dtype, shape = np.dtype(header["descr"]), header["shape"]
    if dtype.hasobject or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"an array of shape {shape} and {dtype} isn't one of numbers")
    size, found = dtype.itemsize * math.prod(shape), len(content) - end
    if size != found:
        raise ValueError(f"an array of shape {shape} and {dtype} has {size} bytes, got {found}")
    array = np.ndarray(shape, dtype, content, end, order="F" if header["fortran_order"] else "C")
    return np.array(array, dtype.newbyteorder("="), order="C")


def _npy(array: np.ndarray) -> bytes:
    dtype = array.dtype
    # metatensor reads bytes and booleans as "<i1", "<u1" and "<b1", where numpy has "|" for "<"
    header = {
        "descr": dtype.descr if dtype.names else dtype.str.replace("|", "<"),
        "fortran_order": False,
        "shape": array.shape,
    }
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + array.tobytes()


def _tensor(array: np.ndarray) -> torch.Tensor:
    if array.dtype not in _DTYPES.values():
        raise ValueError(f"values of {array.dtype} aren't of the dtypes {_known_dtypes()}")
    return torch.from_numpy(array)


def _labels(array: np.ndarray) -> Labels:
    names, dtype = array.dtype.names, array.dtype
    if array.ndim != 1 or not names or any(dtype[name] != np.int32 for name in names):
        raise ValueError(
            f"labels are an array of one axis whose dtype has fields of int32, got {array.ndim} axes "
            f"of {dtype}"
        )
    return Labels(names, torch.from_numpy(np.stack([array[name] for name in names], 1)))


def _structured(labels: Labels) -> np.ndarray:
    """Labels as an array of shape ``(entries,)`` with a field for each dimension."""
    dtype = np.dtype([(name, "<i4") for name in labels.names])
    return labels._tensor().numpy().astype("<i4").view(dtype).reshape(len(labels))


def _collect(arrays: dict[str, np.ndarray], path: str, block: TensorBlock) -> None:
    """Put the arrays of a block among the others, by the names of their entries."""
    if block.dtype not in _DTYPES:
        raise ValueError(
            f"values of {block.dtype} can't be saved, convert them with .to() to one of "
            f"{_known_dtypes()}"
        )
    arrays[f"{path}values"] = block.values.detach().cpu().numpy(force=True)
    arrays[f"{path}samples"] = _structured(block.samples)
    for i, component in enumerate(block.components):
        arrays[f"{path}components/{i}"] = _structured(component)
    if block._parameter is None:
        arrays[f"{path}properties"] = _structured(block.properties)
    for parameter, gradient in block.gradients():
        if not parameter or "/" in parameter:
            raise ValueError(
                f"the name of a gradient to save must have letters and no /, got {parameter!r}"
            )
        _collect(arrays, f"{path}gradients/{parameter}/", gradient)


def _known_dtypes() -> str:
    return ", ".join(str(dtype).removeprefix("torch.") for dtype in _DTYPES)
