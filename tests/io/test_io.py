"""Maps, blocks and labels are saved and loaded by paths, open files and buffers."""

import io
import os
import re
import threading
from pathlib import Path

import pytest
import torch

import tmref
from tmref import Labels, TensorBlock, TensorMap

LABELS = Labels(["a", "b"], torch.tensor([[0, 1], [-5, 2**31 - 1]]))


def test_what_is_read_can_be_changed(nested, tmp_path):
    tmref.save(tmp_path / "map.mts", nested)
    tensor = tmref.load(tmp_path / "map.mts")
    before = tensor[0].values.clone()
    tensor[0].values.zero_()
    assert not tensor[0].values.any()
    assert torch.equal(tmref.load(tmp_path / "map.mts")[0].values, before)


def test_the_same_data_gives_the_same_bytes(nested):
    assert torch.equal(tmref.save_buffer(nested), tmref.save_buffer(nested.copy()))


def test_files_may_be_open_ones(nested, tmp_path, parts):
    with open(tmp_path / "open", "wb") as file:
        tmref.save(file, nested)
    assert parts(tmref.load(tmp_path / "open")) == parts(nested)
    memory = io.BytesIO()
    tmref.save(memory, LABELS)
    assert tmref.load_labels(io.BytesIO(memory.getvalue())) == LABELS


def test_an_open_file_may_take_a_part_of_it(nested, parts):
    class Slow(io.RawIOBase):
        content = b""

        def writable(self):
            return True

        def write(self, more):
            self.content += bytes(more[:100])
            return min(len(more), 100)

    file = Slow()
    tmref.save(file, nested)
    assert parts(tmref.load_buffer(file.content)) == parts(nested)


def test_a_file_is_overwritten(tmp_path):
    tmref.save(tmp_path / "labels", Labels.range("a", 100))
    tmref.save(str(tmp_path / "labels"), LABELS)
    assert tmref.load_labels(tmp_path / "labels") == LABELS
    assert os.listdir(tmp_path) == ["labels"]


def test_a_file_may_be_replaced_by_what_was_read_of_it(nested, tmp_path, parts):
    for _ in range(2):
        tmref.save(tmp_path / "map.mts", nested)
        nested = tmref.load(tmp_path / "map.mts")
    assert parts(tmref.load(tmp_path / "map.mts")) == parts(nested)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(lambda content: content, id="bytes"),
        pytest.param(bytearray, id="bytearray"),
        pytest.param(memoryview, id="memoryview"),
        pytest.param(lambda content: memoryview(content * 2)[: len(content)], id="part"),
        pytest.param(lambda content: torch.tensor(list(content), dtype=torch.uint8), id="tensor"),
        pytest.param(
            lambda content: torch.tensor(list(content), dtype=torch.uint8).repeat_interleave(2)[::2],
            id="strided",
        ),
    ],
)
def test_buffers_may_be_bytes_and_tensors(given, nested, written_bytes, parts):
    for data, read in (
        (nested, tmref.load_buffer),
        (nested[0], tmref.load_block_buffer),
        (LABELS, tmref.load_labels_buffer),
    ):
        assert parts(read(given(written_bytes(data)))) == parts(data)


def test_a_buffer_is_a_tensor_of_its_own():
    buffer = tmref.save_buffer(LABELS)
    assert (buffer.dtype, buffer.dim(), buffer.is_contiguous()) == (torch.uint8, 1, True)
    buffer.zero_()
    assert tmref.load_labels_buffer(tmref.save_buffer(LABELS)) == LABELS


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
    reason = "it is no zip archive"
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


def test_one_kind_is_not_the_other(nested, refused, read):
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
                    read(cls, tmref.save_buffer(data))


def test_a_file_of_labels_names_what_reads_it(tmp_path, refused):
    file = tmp_path / "labels.mts"
    tmref.save(file, LABELS)
    message = f"{str(file)!r} doesn't contain a valid TensorMap: it has Labels, which load_labels reads"
    with refused(ValueError, message):
        tmref.load(file)


def test_other_buffers_are_refused(refused):
    start = "buffer must be bytes or a tensor of uint8 of one axis, got"
    with refused(TypeError, f"{start} str"):
        tmref.load_buffer("bytes")
    with refused(TypeError, f"{start} torch.int8, 1 axes"):
        tmref.load_block_buffer(torch.zeros(3, dtype=torch.int8))
    with refused(TypeError, f"{start} torch.uint8, 2 axes"):
        tmref.load_labels_buffer(torch.zeros(3, 1, dtype=torch.uint8))


# --- what can't be written


def test_other_data_is_refused_before_anything_is_written(tmp_path, refused):
    for save in (tmref.save_buffer, lambda data: tmref.save(tmp_path / "data", data)):
        with refused(TypeError, "data must be a TensorMap, a TensorBlock or Labels, got list"):
            save([LABELS])
    assert not os.listdir(tmp_path)


def test_a_place_that_is_none_is_an_error_of_the_system(tmp_path):
    for place in (tmp_path / "folder" / "map.mts", Path("no/such/folder/map.mts")):
        with pytest.raises(FileNotFoundError, match=rf"{re.escape(repr(str(place)))}$"):
            tmref.save(place, LABELS)
    with pytest.raises(IsADirectoryError):
        tmref.save(tmp_path, LABELS)
    assert not os.listdir(tmp_path)


def test_a_full_disk_leaves_the_file_before(tmp_path, run_python):
    """What a process may write at most is the same to it as a disk that is full."""
    file = tmp_path / "labels.mts"
    tmref.save(file, LABELS)
    done = run_python(f"""
import resource, signal, torch, tmref
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
tmref.save({str(file)!r}, tmref.block_from_array(torch.zeros(100, 100)))
""")
    assert "OSError: [Errno 27] File too large" in done.stderr
    assert tmref.load_labels(file) == LABELS
    assert os.listdir(tmp_path) == ["labels.mts"]


def test_of_many_writers_at_once_one_is_the_last(tmp_path):
    file = tmp_path / "block.mts"
    blocks = [tmref.block_from_array(torch.full((300, 300), float(i))) for i in range(8)]

    def write(block):
        for _ in range(10):
            tmref.save(file, block)

    threads = [threading.Thread(target=write, args=(block,)) for block in blocks]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if file.exists():
            values = tmref.load_block(file).values
            assert values.eq(values[0, 0]).all()
    assert os.listdir(tmp_path) == ["block.mts"]
