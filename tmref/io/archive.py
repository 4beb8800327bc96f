"""Zip archives that are nothing but their entries: each once, one after the other, then the directory.

What zip allows besides (a comment, something in front of it, behind it or between its entries, entries
that overlap, that are encrypted or followed by their sizes) is refused: every byte is part of an entry,
and what the directory says of an entry is what stands before it.

Source: PKWARE's APPNOTE.TXT 6.3.10; what is written, the behaviour of metatensor-core 0.2.6.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from reprlib import Repr

#: How many bytes all entries together may have for each byte of their archive.
MOST_UNPACKED = 100

STORED, DEFLATED = 0, 8

#: before an entry: signature, version, flags, method, time, date, CRC, sizes packed and unpacked, length
#: of the name and of what else there is
_LOCAL = struct.Struct("<4s5H3I2H")
#: in the directory: the same, with the version of the writer in front of the version; then the length of
#: a comment, disk, attributes inside and outside, offset
_CENTRAL = struct.Struct("<4s6H3I5H2I")
#: at the end: signature, disks, entries on this disk and all, size and offset of the directory,
#: length of a comment
_END = struct.Struct("<4s4H2IH")
#: before that, where a number there is too large for it: signature, size of the rest, versions, disks,
#: as at the end; and where that stands
_LARGE_END = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")

_LOCAL_SIGNATURE, _CENTRAL_SIGNATURE, _END_SIGNATURE = b"PK\3\4", b"PK\1\2", b"PK\5\6"
_LARGE_END_SIGNATURE, _LOCATOR_SIGNATURE = b"PK\6\6", b"PK\6\7"

#: stands for a number that doesn't fit, and is among the extra fields
_TOO_MANY, _TOO_LARGE = 0xFFFF, 0xFFFFFFFF

#: the flag of a name that isn't ASCII
_UTF8 = 0x800

#: 2000-01-01, so that the same data gives the same bytes; a version and attributes of Unix, as
#: metatensor's
_DATE, _WRITER, _VERSION, _LARGE_VERSION, _ATTRIBUTES = 0x2821, 0x32E, 20, 45, 0x81A40000

_shortened = Repr()
_shortened.maxstring = 100
shown = _shortened.repr

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Entry:
    """An entry as it stands in its archive."""

    name: str
    method: int
    crc: int
    size: int
    packed: memoryview

    def read(self) -> Buffer:
        """Its bytes. Raises ValueError where they are fewer or more than it says, or other ones."""
        content: Buffer = self.packed
        if self.method == DEFLATED:
            unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                # one byte more than it has, for the end to be found
                content = unpacking.decompress(self.packed, self.size + 1)
            except zlib.error as error:
                raise ValueError(f"it can't be unpacked: {error}") from error
            if not unpacking.eof or unpacking.unused_data or len(content) != self.size:
                raise ValueError(f"it doesn't unpack to the {self.size} bytes that the archive says")
        if zlib.crc32(content) != self.crc:
            raise ValueError("its bytes aren't those that were written, by their CRC")
        return content


def entries(content: memoryview) -> dict[str, Entry]:
    """The entries of an archive by their names, none of them unpacked.

    Raises ValueError for what is no archive of this kind, for one cut or changed, for entries that are
    neither stored nor deflated, and where all unpack to more than ``MOST_UNPACKED`` times its size.
    """
    count, start, end = _directory(content)
    found: dict[str, Entry] = {}
    at, offset = start, 0
    for _ in range(count):
        try:
            entry, at, offset = _entry(content, at, offset)
        except struct.error:
            raise ValueError("its directory is cut") from None
        if entry.name in found:
            raise ValueError(f"it has the entry {shown(entry.name)} twice")
        found[entry.name] = entry
    if (at, offset) != (end, start):
        raise ValueError("it has bytes that are part of no entry")
    size = sum(entry.size for entry in found.values())
    if size > MOST_UNPACKED * len(content):
        raise ValueError(
            f"it has {len(content)} bytes and would unpack to {size}, "
            f"more than {MOST_UNPACKED} times that"
        )
    return found


def packed(members: Mapping[str, Sequence[Buffer]]) -> list[Buffer]:
    """The bytes, in pieces, of an archive of entries by their names, each given in pieces of bytes.

    They are those that metatensor writes. Raises ValueError for a name of more than 65535 bytes.
    """
    pieces: list[Buffer] = []
    directory: list[bytes] = []
    offset = 0
    for path, parts in members.items():
        name = path.encode()
        if len(name) > _TOO_MANY:
            raise ValueError(f"names of entries have at most {_TOO_MANY} bytes, {shown(path)} has more")
        crc, size = 0, 0
        for part in parts:
            crc, size = zlib.crc32(part, crc), size + len(part)
        flags = 0 if path.isascii() else _UTF8
        what = (flags, STORED, 0, _DATE, crc)
        # as metatensor does, the sizes before an entry are always those for large ones
        sizes = _TOO_LARGE, _TOO_LARGE, len(name), 20
        pieces += [
            _LOCAL.pack(_LOCAL_SIGNATURE, _VERSION, *what, *sizes),
            name,
            _extra(size, size),
            *parts,
        ]
        large = [number for number in (size, size, offset) if number >= _TOO_LARGE]
        extra = _extra(*large) if large else b""
        fitting = [min(number, _TOO_LARGE) for number in (size, size, offset)]
        directory += [
            _CENTRAL.pack(
                *(_CENTRAL_SIGNATURE, _WRITER, _LARGE_VERSION if large else _VERSION, *what),
                *(*fitting[:2], len(name), len(extra), 0, 0, 0, _ATTRIBUTES, fitting[2]),
            ),
            name,
            extra,
        ]
        offset += _LOCAL.size + len(name) + 20 + size
    return [*pieces, *directory, _end(len(members), sum(map(len, directory)), offset)]


def _end(count: int, size: int, offset: int) -> bytes:
    """What stands behind the directory."""
    counts, places = min(count, _TOO_MANY), (min(size, _TOO_LARGE), min(offset, _TOO_LARGE))
    end = _END.pack(_END_SIGNATURE, 0, 0, counts, counts, *places, 0)
    if (counts, *places) == (count, size, offset):
        return end
    rest = _LARGE_END.size - 12
    versions = _WRITER & 0xFF, _WRITER & 0xFF
    large = _LARGE_END.pack(_LARGE_END_SIGNATURE, rest, *versions, 0, 0, count, count, size, offset)
    return large + _LOCATOR.pack(_LOCATOR_SIGNATURE, 0, offset + size, 1) + end


def _directory(content: memoryview) -> tuple[int, int, int]:
    """How many entries there are, and where their directory begins and ends."""
    last = len(content) - _END.size
    if bytes(content[:2]) != b"PK":
        raise ValueError("it is no zip archive")
    if last < 0 or content[last : last + 4] != _END_SIGNATURE:
        raise ValueError("it is a zip archive that is cut, or that something was added to")
    _, *disks, here, count, size, offset, comment = _END.unpack_from(content, last)
    locator = last - _LOCATOR.size
    last_large = locator - _LARGE_END.size
    # the largest numbers may be meant, too: so are 65535 entries of metatensor's
    may_be_large = _TOO_MANY in (here, count) or _TOO_LARGE in (size, offset)
    if may_be_large and last_large >= 0 and content[locator : locator + 4] == _LOCATOR_SIGNATURE:
        last = last_large
        where = _LOCATOR.unpack_from(content, locator)
        signature, rest, _, _, *disks, here, count, size, offset = _LARGE_END.unpack_from(content, last)
        expected = _LARGE_END_SIGNATURE, _LARGE_END.size - 12
        if where != (_LOCATOR_SIGNATURE, 0, last, 1) or (signature, rest) != expected:
            raise ValueError("it is a zip archive without its end")
    if any(disks) or here != count or comment or offset + size != last:
        raise ValueError("it is a zip archive whose end doesn't fit what stands before it")
    return count, offset, last


def _entry(content: memoryview, at: int, offset: int) -> tuple[Entry, int, int]:
    """The entry whose line in the directory is ``at`` a place, and which must be at ``offset``, with the
    places of the next line and the next entry."""
    central = _CENTRAL.unpack_from(content, at)
    _, _, _, flags, method, _, _, crc, packed, size, *lengths, disk, _, _, begin = central
    at += _CENTRAL.size
    name = bytes(content[at : at + lengths[0]])
    path = _path(name, flags)
    try:
        extra = content[at + lengths[0] : at + sum(lengths[:2])]
        size, packed, begin = _sizes(extra, size, packed, begin)
        if central[0] != _CENTRAL_SIGNATURE or lengths[2] or disk or begin != offset:
            raise ValueError("it doesn't stand where the archive says")
        local = _LOCAL.unpack_from(content, offset)
        start = offset + _LOCAL.size
        extra = content[start + local[-2] : start + local[-2] + local[-1]]
        here = *local[2:4], local[6], *_sizes(extra, local[8], local[7])
        if local[0] != _LOCAL_SIGNATURE or content[start : start + local[-2]] != name:
            raise ValueError("another one stands where the archive says that it is")
        if flags not in (0, _UTF8):
            raise ValueError(
                f"it has the flags {flags:#x}, of encryption, sizes behind it or others that aren't read"
            )
        if method not in (STORED, DEFLATED):
            raise ValueError(f"it is compressed by method {method}, neither stored nor deflated")
        if here != (flags, method, crc, size, packed) or (method == STORED and size != packed):
            raise ValueError("what the directory says of it isn't what stands before it")
        start += sum(local[-2:])
        end = start + packed
        if end > len(content):
            raise ValueError("it is cut")
    except ValueError as error:
        raise ValueError(f"{shown(path)} can't be read: {error}") from None
    return Entry(path, method, crc, size, content[start:end]), at + sum(lengths), end


def _path(name: bytes, flags: int) -> str:
    """The name of an entry."""
    try:
        return name.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        raise ValueError(f"it has an entry whose name can't be decoded, {shown(name)}") from None


def _sizes(extra: memoryview, *sizes: int) -> tuple[int, ...]:
    """Numbers of a header, the large ones of them as they stand among the extra fields."""
    large = sizes.count(_TOO_LARGE)
    if len(extra) != (4 + 8 * large if large else 0):
        raise ValueError("it has extra fields, others than sizes that need them")
    if not large:
        return sizes
    kind, length, *numbers = struct.unpack(f"<2H{large}Q", extra)
    if (kind, length) != (1, 8 * large):
        raise ValueError("it has extra fields, others than sizes that need them")
    following = iter(numbers)
    return tuple(next(following) if size == _TOO_LARGE else size for size in sizes)


def _extra(*sizes: int) -> bytes:
    """The extra fields of large numbers."""
    return struct.pack(f"<2H{len(sizes)}Q", 1, 8 * len(sizes), *sizes)
