"""Archives: what metatensor and zipfile write is read, all else that zip allows is refused."""

import functools
import io
import re
import struct
import time
import warnings
import zipfile
import zlib

import pytest

from tmref.io.archive import MOST_UNPACKED, entries, packed

CONTENT = {"a.npy": b"first", "b/c.npy": b"second"}


def of(members):
    return b"".join(packed({name: [content] for name, content in members.items()}))


def by_zipfile(members, compression=zipfile.ZIP_STORED, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of zipfile, that a name occurs twice
        for name, content in members:
            with file.open(name, "w", **options) as entry:
                entry.write(content)
    return buffer.getvalue()


def read(content):
    return {name: bytes(entry.read()) for name, entry in entries(memoryview(content)).items()}


def changed(content, signature, offset, new, occurrence=0):
    """The archive with other bytes behind a signature."""
    place = [m.start() for m in re.finditer(re.escape(signature), content)][occurrence] + offset
    return content[:place] + new + content[place + len(new) :]


LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"


# --- what is read


def test_what_is_written_is_read():
    assert read(of(CONTENT)) == CONTENT
    with zipfile.ZipFile(io.BytesIO(of(CONTENT))) as file:
        assert file.testzip() is None
        assert {name: file.read(name) for name in file.namelist()} == CONTENT
    assert read(of({})) == {}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("force_zip64", [False, True])
def test_what_zipfile_writes_is_read(compression, force_zip64):
    members = {**CONTENT, "é": b"", "zeros": bytes(300), "": b"x"}
    assert read(by_zipfile(members.items(), compression, force_zip64=force_zip64)) == members


def test_entries_may_be_given_in_pieces():
    whole = b"".join(packed({"a": [b"one", memoryview(b""), bytearray(b"two")], "b": []}))
    assert read(whole) == {"a": b"onetwo", "b": b""}


def test_what_is_large_is_written_as_what_is_large(monkeypatch):
    """The directory of an archive of more than 4 GiB, or of one where that is less."""
    large = {f"{i}": bytes(60) for i in range(9)}
    monkeypatch.setattr("tmref.io.archive._TOO_LARGE", 500)
    content = of(large)
    assert read(content) == large
    assert content.count(struct.pack("<4sQ", b"PK\6\6", 44)) == 1
    for size in range(len(content)):
        with pytest.raises(ValueError, match=r"^it is "):
            entries(memoryview(content)[:size])


# --- what isn't


ZEROS = 64 * 2**20


@functools.cache
def bomb(claimed=ZEROS):
    """64 kB that unpack to 64 MB, or to what they say."""
    packing = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    content = packing.compress(bytes(ZEROS)) + packing.flush()
    what = struct.pack("<5H3I2H", 20, 0, 8, 0, 0x2821, 0, len(content), claimed, 1, 0)
    directory = CENTRAL + b"\x2e\x03" + what + bytes(14) + b"x"
    end = struct.pack("<4s4H2IH", END, 0, 0, 1, 1, len(directory), len(content) + 31, 0)
    return LOCAL + what + b"x" + content + directory + end


STORED, ZIPPED = of(CONTENT), by_zipfile(CONTENT.items())
DEFLATED = by_zipfile([("a", bytes(1000))], zipfile.ZIP_DEFLATED)
FLAGS = "of encryption, sizes behind it or others that aren't read"
ELSEWHERE = "it doesn't stand where the archive says"
OTHERWISE = "what the directory says of it isn't what stands before it"
EXTRA = "it has extra fields, others than sizes that need them"
UNFIT = "it is a zip archive whose end doesn't fit what stands before it"
CUT = "it is a zip archive that is cut, or that something was added to"


def unseekable():
    class Pipe(io.RawIOBase):
        content = b""

        def writable(self):
            return True

        def write(self, more):
            self.content += bytes(more)
            return len(more)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as file:
        file.writestr("a.npy", b"x")
    return pipe.content


def with_extra():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        info = zipfile.ZipInfo("a.npy")
        info.extra = struct.pack("<2H4s", 0x5455, 4, b"time")
        file.writestr(info, b"x")
    return buffer.getvalue()


def with_comment(of_entry):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        info = zipfile.ZipInfo("a.npy")
        info.comment = b"words" if of_entry else b""
        file.comment = b"" if of_entry else b"words"
        file.writestr(info, b"x")
    return buffer.getvalue()


def gap():
    """Between the entries and the directory, which says where it is."""
    at = ZIPPED.index(CENTRAL)
    content = ZIPPED[:at] + b"gap" + ZIPPED[at:]
    return changed(content, END, 16, struct.pack("<I", at + 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "it is no zip archive", id="empty"),
        pytest.param(b"Rar!" + bytes(100), "it is no zip archive", id="foreign"),
        pytest.param(b"x" + STORED, "it is no zip archive", id="prepended"),
        pytest.param(STORED[:-1], CUT, id="cut"),
        pytest.param(b"PK", CUT, id="two bytes"),
        pytest.param(STORED + b"x", CUT, id="appended"),
        pytest.param(with_comment(False), CUT, id="comment"),
        pytest.param(with_comment(True), f"'a.npy' can't be read: {ELSEWHERE}", id="comment of entry"),
        pytest.param(STORED + STORED, UNFIT, id="twice"),
        pytest.param(STORED[2:4] + STORED, "it is no zip archive", id="shifted"),
        pytest.param(gap(), "it has bytes that are part of no entry", id="gap"),
        pytest.param(
            by_zipfile([("a", b""), ("a", b"x")]), "it has the entry 'a' twice", id="entry twice"
        ),
        pytest.param(
            unseekable(), f"'a.npy' can't be read: it has the flags 0x8, {FLAGS}", id="descriptor"
        ),
        pytest.param(with_extra(), f"'a.npy' can't be read: {EXTRA}", id="extra fields"),
        pytest.param(
            changed(changed(ZIPPED, LOCAL, 6, b"\1"), CENTRAL, 8, b"\1"),
            f"'a.npy' can't be read: it has the flags 0x1, {FLAGS}",
            id="encrypted",
        ),
        pytest.param(
            by_zipfile(CONTENT.items(), zipfile.ZIP_BZIP2),
            "'a.npy' can't be read: it is compressed by method 12, neither stored nor deflated",
            id="bzip2",
        ),
        pytest.param(
            by_zipfile(CONTENT.items(), zipfile.ZIP_LZMA),
            f"'a.npy' can't be read: it has the flags 0x2, {FLAGS}",
            id="lzma",
        ),
        pytest.param(
            changed(ZIPPED, CENTRAL, 16, b"x"), f"'a.npy' can't be read: {OTHERWISE}", id="crc there"
        ),
        pytest.param(
            changed(ZIPPED, LOCAL, 14, b"x"), f"'a.npy' can't be read: {OTHERWISE}", id="crc here"
        ),
        pytest.param(
            changed(ZIPPED, LOCAL, 18, b"x"), f"'a.npy' can't be read: {OTHERWISE}", id="size here"
        ),
        pytest.param(
            changed(ZIPPED, LOCAL, 30, b"A"),
            "'a.npy' can't be read: another one stands where the archive says that it is",
            id="name here",
        ),
        pytest.param(
            changed(ZIPPED, CENTRAL, 46, b"A"),
            "'A.npy' can't be read: another one stands where the archive says that it is",
            id="name there",
        ),
        pytest.param(
            changed(ZIPPED, CENTRAL, 46, b"\xff"),
            r"it has an entry whose name can't be decoded, b'\xff.npy'",
            id="bytes for a name",
        ),
        pytest.param(
            changed(ZIPPED, CENTRAL, 42, bytes(4), 1),
            f"'b/c.npy' can't be read: {ELSEWHERE}",
            id="overlap",
        ),
        pytest.param(
            changed(ZIPPED, CENTRAL, 34, b"\1"), f"'a.npy' can't be read: {ELSEWHERE}", id="another disk"
        ),
        pytest.param(changed(ZIPPED, END, 4, b"\1"), UNFIT, id="end on another disk"),
        pytest.param(changed(ZIPPED, END, 8, b"\1"), UNFIT, id="fewer entries here"),
        pytest.param(
            changed(ZIPPED, END, 8, b"\1\0\1\0"),
            "it has bytes that are part of no entry",
            id="fewer entries",
        ),
        pytest.param(changed(ZIPPED, END, 8, b"\3\0\3\0"), "its directory is cut", id="more entries"),
        pytest.param(changed(ZIPPED, END, 12, b"x"), UNFIT, id="size of the directory"),
        pytest.param(
            changed(ZIPPED, END, 8, b"\xff\xff\xff\xff"),
            "its directory is cut",
            id="no zip64 end",
        ),
        pytest.param(
            changed(STORED, b"a.npy\1\0", 7, b"\x11"),
            f"'a.npy' can't be read: {EXTRA}",
            id="zip64 length",
        ),
        pytest.param(
            changed(STORED, b"a.npy\1\0", 9, b"\xff" * 7),
            f"'a.npy' can't be read: {OTHERWISE}",
            id="zip64 size",
        ),
        pytest.param(
            changed(STORED, b"a.npy\1\0", 5, b"\2"), f"'a.npy' can't be read: {EXTRA}", id="zip64 kind"
        ),
        pytest.param(
            bomb(),
            f"it has {len(bomb())} bytes and would unpack to {ZEROS}, "
            f"more than {MOST_UNPACKED} times that",
            id="bomb",
        ),
    ],
)
def test_all_else_is_refused(content, message, refused):
    with refused(ValueError, message):
        entries(memoryview(content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (STORED.replace(b"second", b"secund"), "its bytes aren't those that were written, by their CRC"),
        (bomb(1000), "it doesn't unpack to the 1000 bytes that the archive says"),
        (
            changed(changed(DEFLATED, CENTRAL, 24, b"\xe9"), LOCAL, 22, b"\xe9"),
            "it doesn't unpack to the 1001 bytes that the archive says",
        ),
        (
            changed(changed(DEFLATED, CENTRAL, 24, b"\xe7"), LOCAL, 22, b"\xe7"),
            "it doesn't unpack to the 999 bytes that the archive says",
        ),
    ],
    ids=["crc", "bomb", "less", "more"],
)
def test_entries_that_are_others_than_they_say_are_refused(content, message, refused):
    *_, last = entries(memoryview(content)).values()
    before = time.process_time()
    with refused(ValueError, message):
        last.read()
    assert time.process_time() - before < 0.1


def test_what_is_not_deflated_is_refused(refused):
    content = changed(DEFLATED, LOCAL, 31, b"\xff")
    with refused(
        ValueError, "it can't be unpacked: Error -3 while decompressing data: invalid block type"
    ):
        entries(memoryview(content))["a"].read()


def test_names_that_are_too_long_are_refused(refused):
    message = f"names of entries have at most 65535 bytes, '{'é' * 47}...{'é' * 48}' has more"
    with refused(ValueError, message):
        packed({"é" * 32768: []})
    assert read(of({"x" * 65535: b"y"})) == {"x" * 65535: b"y"}
