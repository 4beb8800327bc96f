"""Maps, blocks and labels in metatensor's format: `.mts` files, and the same bytes in memory.

Labels are one ``npy`` array, maps and blocks zip archives of such arrays, not compressed: bytes and
names are those that metatensor writes. Archives of deflated entries are read, too.

Files may be damaged or hostile. Nothing is unpickled or evaluated. Of an archive every byte is
accounted for: its entries are all there is, each is read and has its CRC, so that a changed byte gives
an error or changes nothing that is read. (Labels alone have no CRC.) What an archive unpacks to is known
before, and is at most ``archive.MOST_UNPACKED`` times its size. Beside the file, reading takes 1 MiB and
at most ``MOST_MEMORY`` bytes for each byte of it or, where that is more, of what it unpacks to; and time
in proportion.

Source: "Serialization format" of the metatensor documentation.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar, cast

import torch

from ..block import TensorBlock
from ..labels import Labels
from ..places import write
from ..printing import type_of
from ..tensor_map import TensorMap
from . import maps, npy
from .archive import Buffer, entries, packed

Data = TypeVar("Data", TensorMap, TensorBlock, Labels)

#: How many bytes reading takes at most for each byte of a file: that many for names and rows of labels,
#: 2 for values.
MOST_MEMORY = 40

#: the kinds of data, and what reads each
_KINDS = {
    TensorMap: "a TensorMap, which load reads",
    TensorBlock: "a TensorBlock, which load_block reads",
    Labels: "Labels, which load_labels reads",
}


def load(file: str | os.PathLike[str] | IO[bytes]) -> TensorMap:
    """The map in a ``.mts`` file, given by its path or opened for reading bytes.

    Values are on the CPU. Raises FileNotFoundError where there is no file, and ValueError where it
    isn't the archive of a map, naming the file and what is wrong in it.

    Source: the documentation of ``metatensor.torch.load``.
    """
    return _parsed(TensorMap, *_content(file))


def load_block(file: str | os.PathLike[str] | IO[bytes]) -> TensorBlock:
    """The block in a file; all else, and what it raises, as :func:`load`.

    Source: the documentation of ``metatensor.torch.load_block``.
    """
    return _parsed(TensorBlock, *_content(file))


def load_labels(file: str | os.PathLike[str] | IO[bytes]) -> Labels:
    """The labels in a file; all else, and what it raises, as :func:`load`.

    Source: the documentation of ``metatensor.torch.load_labels``.
    """
    return _parsed(Labels, *_content(file))


def load_buffer(buffer: torch.Tensor | Buffer) -> TensorMap:
    """The map in the bytes that :func:`save_buffer` gave: a tensor of uint8 of one axis, or bytes.

    Raises TypeError for other buffers, and ValueError as :func:`load`.

    Source: the documentation of ``metatensor.torch.load_buffer``.
    """
    return _parsed(TensorMap, _bytes(buffer), "the buffer")


def load_block_buffer(buffer: torch.Tensor | Buffer) -> TensorBlock:
    """The block in a buffer; all else, and what it raises, as :func:`load_buffer`.

    Source: the documentation of ``metatensor.torch.load_block_buffer``.
    """
    return _parsed(TensorBlock, _bytes(buffer), "the buffer")


def load_labels_buffer(buffer: torch.Tensor | Buffer) -> Labels:
    """The labels in a buffer; all else, and what it raises, as :func:`load_buffer`.

    Source: the documentation of ``metatensor.torch.load_labels_buffer``.
    """
    return _parsed(Labels, _bytes(buffer), "the buffer")


def save(file: str | os.PathLike[str] | IO[bytes], data: TensorMap | TensorBlock | Labels) -> None:
    """Write a map, a block or labels to a file, given by its path or opened for writing bytes.

    A path is taken as it is. Its file is replaced when the new one is whole: whatever happens meanwhile,
    one of them is there. Links stay links, and permissions those of the file before. An open file is
    written from where it stands. Raises as :func:`save_buffer`, before anything is written, and OSError
    where nothing can be.

    Source: the documentation of ``metatensor.torch.save``.
    """
    pieces = _pieces(data)
    if isinstance(file, (str, os.PathLike)):
        write(Path(file), pieces)
        return
    content = memoryview(b"".join(pieces))
    while content:
        # an unbuffered file may take a part of it
        content = content[file.write(content) :]


def save_buffer(data: TensorMap | TensorBlock | Labels) -> torch.Tensor:
    """What :func:`save` writes, as a tensor of uint8 of shape ``(bytes,)``.

    Values are detached and come to the CPU. Raises TypeError for other data, and ValueError for a
    dtype that the format doesn't have, such as bfloat16, or a gradient whose name can't be in a path.

    Source: the documentation of ``metatensor.torch.save_buffer``.
    """
    return torch.frombuffer(bytearray().join(_pieces(data)), dtype=torch.uint8)


def _pieces(data: TensorMap | TensorBlock | Labels) -> list[Buffer]:
    """The bytes of a file, in pieces."""
    if isinstance(data, Labels):
        return npy.of_labels(data)
    if not isinstance(data, (TensorMap, TensorBlock)):
        raise TypeError(f"data must be a TensorMap, a TensorBlock or Labels, got {type_of(data)}")
    return packed(maps.members(data))


def _content(file: str | os.PathLike[str] | IO[bytes]) -> tuple[bytes, str]:
    """The bytes in a file, and what it is called."""
    if isinstance(file, (str, os.PathLike)):
        return Path(file).read_bytes(), repr(os.fspath(file))
    if not hasattr(file, "read"):
        raise TypeError(
            f"file must be a path or a file opened for reading bytes, got {type(file).__name__}"
        )
    content = file.read()
    if not isinstance(content, bytes):
        raise TypeError(
            f'file must be opened for reading bytes ("rb"), it gave {type(content).__name__}'
        )
    return content, repr(file.name) if hasattr(file, "name") else "the file"


def _bytes(buffer: torch.Tensor | Buffer) -> Buffer:
    if isinstance(buffer, torch.Tensor) and buffer.dtype == torch.uint8 and buffer.dim() == 1:
        return buffer.detach().cpu().contiguous().numpy(force=True).data
    if isinstance(buffer, memoryview):
        return buffer.tobytes()
    if not isinstance(buffer, (bytes, bytearray)):
        is_tensor = isinstance(buffer, torch.Tensor)
        given = f"{buffer.dtype}, {buffer.dim()} axes" if is_tensor else type(buffer).__name__
        raise TypeError(f"buffer must be bytes or a tensor of uint8 of one axis, got {given}")
    return buffer


def _parsed(cls: type[Data], content: Buffer, file: str) -> Data:
    readers: dict[type, Callable[[memoryview], TensorMap | TensorBlock | Labels]] = {
        Labels: npy.labels,
        TensorBlock: lambda content: maps.read_block(entries(content)),
        TensorMap: lambda content: maps.read_map(entries(content)),
    }
    try:
        return cast(Data, readers[cls](memoryview(content)))
    except (ValueError, RecursionError) as error:
        found = _kind_of(memoryview(content))
        why = error if found in (None, cls) else f"it has {_KINDS[found]}"
        raise ValueError(f"{file} doesn't contain a valid {cls.__name__}: {why}") from error


def _kind_of(content: memoryview) -> type[TensorMap | TensorBlock | Labels] | None:
    """What the bytes look like."""
    if npy.is_npy(content):
        return Labels
    try:
        return maps.kind_of(entries(content))
    except ValueError:
        return None
