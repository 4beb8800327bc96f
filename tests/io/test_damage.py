"""Damaged and hostile files: an error or the right value, in bounded memory and time."""

import io
import json
import random
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

import tmref
from tmref import Labels, TensorBlock, TensorMap
from tmref.io import MOST_MEMORY, maps, npy
from tmref.io.archive import MOST_UNPACKED, packed

FLAVOURS = ("stored", "deflated", "numpy")


@pytest.fixture
def small(with_gradient, rewritten, written_bytes):
    """small(flavour): a map of all that there can be, and a file of it."""
    block = tmref.block_from_array(torch.tensor([[[1.0, -0.0]], [[float("nan"), 2.0]]]))
    axes = Labels.range("sample", 1), block.components, block.properties
    block.add_gradient("cell", with_gradient(TensorBlock(torch.ones(1, 1, 2), *axes), [0]))
    tensor = tmref.with_info(TensorMap(Labels.range("key", 1), [block]), {"a": "b"})

    def by_numpy(data):
        import metatensor

        buffer = io.BytesIO()
        core = metatensor.io.load_buffer(written_bytes(data))
        metatensor.save(buffer, core, use_numpy=True)
        return buffer.getvalue()

    write = {
        "stored": written_bytes,
        "deflated": lambda data: rewritten(data, compression=zipfile.ZIP_DEFLATED),
        "numpy": by_numpy,
    }
    return lambda flavour: (tensor, write[flavour](tensor))


@pytest.fixture
def same_or_refused(parts):
    """same_or_refused(file, data): whether reading it gives the same; else it is refused in words."""

    def check(content, data):
        try:
            found = tmref.load_buffer(content)
        except ValueError as error:
            assert str(error).startswith("the buffer doesn't contain a valid TensorMap: ")  # noqa: PT017
            return False
        assert parts(found) == parts(data)
        return True

    return check


def others(byte):
    """What a byte may become: each bit another, and the extremes."""
    return sorted({*(byte ^ 1 << bit for bit in range(8)), 0, 255, (byte + 1) % 256} - {byte})


# --- changed


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_some_changed_bytes_are_refused_or_change_nothing(flavour, small, same_or_refused):
    data, content = small(flavour)
    assert same_or_refused(content, data)
    choose = random.Random(0)
    for _ in range(1500):
        changed = bytearray(content)
        place = choose.randrange(len(content))
        changed[place] = choose.choice(others(content[place]))
        same_or_refused(changed, data)


@pytest.mark.slow
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_changed_byte_is_refused_or_changes_nothing(flavour, small, same_or_refused):
    data, content = small(flavour)
    for place, byte in enumerate(content):
        for new in others(byte):
            changed = bytearray(content)
            changed[place] = new
            same_or_refused(changed, data)


def test_changed_bytes_of_the_directory_are_refused(small, same_or_refused):
    """All but those that nobody reads: version, time and attributes."""
    data, content = small("stored")
    ignored = {4, 5, 6, 7, 12, 13, 14, 15, 36, 37, 38, 39, 40, 41}
    place = content.index(b"PK\1\2")
    end = content.index(b"PK\5\6")
    while place < end:
        size = 46 + content[place + 28]
        for i in range(size):
            changed = bytearray(content)
            changed[place + i] ^= 1
            assert same_or_refused(changed, data) == (i in ignored)
        place += size


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_truncation_is_refused(flavour, small, same_or_refused):
    data, content = small(flavour)
    for size in range(len(content)):
        assert not same_or_refused(content[:size], data)
        assert not same_or_refused(content[len(content) - size :], data)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_bytes_inserted_or_left_out_are_refused(flavour, small, same_or_refused):
    data, content = small(flavour)
    choose = random.Random(1)
    for _ in range(500):
        place, size = choose.randrange(len(content) + 1), choose.choice([1, 2, 64])
        more = bytes(choose.randrange(256) for _ in range(size))
        assert not same_or_refused(content[:place] + more + content[place:], data)
        if place < len(content):
            assert not same_or_refused(content[:place] + content[place + size :], data)


def test_parts_of_files_in_another_order_are_refused_or_change_nothing(small, same_or_refused):
    data, content = small("stored")
    choose = random.Random(2)
    for _ in range(500):
        a, b, c = sorted(choose.sample(range(len(content)), 3))
        same_or_refused(content[:a] + content[b:c] + content[a:b] + content[c:], data)


def test_every_change_of_labels_is_refused_or_other_labels(written_bytes):
    """They have no CRC: what can't be seen is another number, or another letter of a name."""
    content = written_bytes(Labels(["ab", "c"], torch.tensor([[0, 1], [2, 3]])))
    for size in range(len(content)):
        with pytest.raises(ValueError, match=r"^the buffer doesn't contain a valid Labels: "):
            tmref.load_labels_buffer(content[:size])
    outcomes = {True: 0, False: 0}
    for place, byte in enumerate(content):
        for new in others(byte):
            changed = bytearray(content)
            changed[place] = new
            try:
                assert tmref.load_labels_buffer(changed).values.shape == (2, 2)
            except ValueError as error:
                assert str(error).startswith("the buffer doesn't contain a valid Labels: ")  # noqa: PT017
                outcomes[False] += 1
            else:
                outcomes[True] += 1
    assert min(outcomes.values()) > 100


# --- hostile


def header(text):
    return b"\x93NUMPY\2\0" + struct.pack("<I", len(text)) + text


def of_names(names, entries):
    fields = ", ".join(f"('{name}', '<i4')" for name in names)
    text = f"{{'descr': [{fields}], 'fortran_order': False, 'shape': ({entries},), }}\n"
    return header(text.encode()) + bytes(4 * entries * len(names))


def by_numpy(array):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array)
    return buffer.getvalue()


def joined(members):
    return {name: b"".join(pieces) for name, pieces in members.items()}


def stored(members):
    return b"".join(packed({name: [content] for name, content in members.items()}))


def deflated(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def keys(count):
    return b"".join(npy.of_labels(Labels.range("key", count)))


ONE = joined(maps.members(tmref.block_from_array(torch.zeros(1, 1))))
LARGE = joined(maps.members(tmref.block_from_array(torch.zeros(1000, 300))))
OF_ONE = {"keys.npy": keys(1), **{f"blocks/0/{name}": content for name, content in ONE.items()}}
REPEATED = np.array([*range(3000), 2999], [("a", "<i4")])
DEEP = {
    f"{'gradients//' * depth}{name}": content
    for depth in range(100)
    for name, content in {
        **ONE,
        "samples.npy": b"".join(npy.of_labels(Labels.range("sample", 1))),
    }.items()
    if not depth or name != "properties.npy"
}
HOSTILE = {
    "labels": (tmref.load_labels_buffer, lambda: keys(200_000)),
    "keys without blocks": (tmref.load_buffer, lambda: stored({"keys.npy": keys(200_000)})),
    "a row that occurs twice": (tmref.load_labels_buffer, lambda: by_numpy(REPEATED)),
    "names": (tmref.load_labels_buffer, lambda: of_names([f"a{i}" for i in range(50_000)], 1)),
    "names without entries": (
        tmref.load_labels_buffer,
        lambda: of_names([f"a{i}" for i in range(50_000)], 0),
    ),
    "the same name": (tmref.load_labels_buffer, lambda: of_names(["a"] * 50_000, 0)),
    "a header of spaces": (
        tmref.load_labels_buffer,
        lambda: header(b"{'descr': '<f8'" + b" " * 2_000_000),
    ),
    "a header of brackets": (tmref.load_labels_buffer, lambda: header(b"[" * 2_000_000)),
    "numbers of another order": (
        tmref.load_block_buffer,
        lambda: stored(
            {**LARGE, "values.npy": by_numpy(np.asfortranarray(np.ones((1000, 300), ">f4")))}
        ),
    ),
    "zeros, deflated": (
        tmref.load_block_buffer,
        lambda: deflated({**LARGE, "values.npy": by_numpy(np.zeros((1000, 300)))}),
    ),
    "blocks": (
        tmref.load_buffer,
        lambda: stored(
            {
                "keys.npy": keys(1000),
                **{f"blocks/{i}/{name}": content for i in range(1000) for name, content in ONE.items()},
            }
        ),
    ),
    "entries": (tmref.load_buffer, lambda: stored({**OF_ONE, **{str(i): b"" for i in range(3000)}})),
    "gradients": (
        tmref.load_buffer,
        lambda: stored({**OF_ONE, **{f"gradients/{i}/values.npy": b"" for i in range(3000)}}),
    ),
    "long names": (
        tmref.load_buffer,
        lambda: stored(
            {**OF_ONE, **{"gradients/x/" * 5000 + f"{i}/values.npy": b"" for i in range(20)}}
        ),
    ),
    "gradients of gradients": (tmref.load_block_buffer, lambda: stored(DEEP)),
    "texts": (
        tmref.load_buffer,
        lambda: stored(
            {**OF_ONE, "info.json": json.dumps({str(i): "" for i in range(50_000)}).encode()}
        ),
    ),
    "objects": (
        tmref.load_buffer,
        lambda: stored({**OF_ONE, "info.json": b"[" + b"{}," * 300_000 + b"{}]"}),
    ),
    "lists": (tmref.load_buffer, lambda: stored({**OF_ONE, "info.json": b"[" * 1_000_000})),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_memory_and_time_are_proportional_to_the_size(what):
    """The law that :mod:`tmref.io` states, of the file or what it unpacks to."""
    load, make = HOSTILE[what]
    content = make()
    size = len(content)
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = max(size, sum(entry.file_size for entry in archive.infolist()))

    def refused_or_read():
        try:
            load(content)
        except ValueError as error:
            assert str(error).startswith("the buffer doesn't contain a valid ")  # noqa: PT017

    before = time.process_time()
    refused_or_read()
    assert time.process_time() - before < 0.5 + 2e-6 * size
    tracemalloc.start()
    try:
        refused_or_read()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY * size + 2**20


def test_what_would_unpack_to_more_is_refused_before(run_python):
    """2 MB that unpack to 2 GB, where there is memory for no tenth of it."""
    done = run_python(r"""
import resource, struct, zlib, torch, tmref
packing = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
content = 2000 * (packing.compress(bytes(2**20)) + packing.flush(zlib.Z_FULL_FLUSH)) + b"\3\0"
name = b"values.npy"
what = struct.pack("<5H3I2H", 20, 0, 8, 0, 0x2821, 0, len(content), 2000 * 2**20, len(name), 0)
directory = b"PK\1\2\x2e\3" + what + bytes(14) + name
end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(directory), len(content) + 40, 0)
file = b"PK\3\4" + what + name + content + directory + end
with open("/proc/self/statm") as statm:
    now = int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 200 * 2**20,) * 2)
try:
    tmref.load_block_buffer(file)
except ValueError as error:
    print(error)
""")
    assert done.stderr == ""
    assert f"would unpack to 2097152000, more than {MOST_UNPACKED} times that" in done.stdout


# --- fuzzed


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_minute_of_a_fuzzer_finds_nothing(tmp_path, repository):
    pytest.importorskip("atheris", reason="there is no atheris for this system: pip install atheris")
    command = [sys.executable, str(repository / "tests" / "io" / "fuzz.py")]
    made = subprocess.run([*command, "--seeds"], capture_output=True, text=True, check=True)
    for i, line in enumerate(made.stdout.split()):
        (tmp_path / f"seed_{i}").write_bytes(bytes.fromhex(line))
    options = ["-max_total_time=60", "-seed=1", "-rss_limit_mb=2048", "-timeout=10", "-max_len=4096"]
    done = subprocess.run(
        [*command, *options, str(tmp_path)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert "Done " in done.stderr
