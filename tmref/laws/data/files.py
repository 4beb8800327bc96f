"""Laws of files: what is saved to one comes back from it, and what is damaged is noticed."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ...compare import Refused
from ...strategies import dtypes, gradients, labels, layouts, tensor_blocks, tensor_maps
from ..law import data_law
from ..session import Session
from ._common import converted


def _ways(kind: str, load: str) -> list[str]:
    """How data of a kind is saved to a file and loaded again, by functions and by methods."""
    ways = []
    for save in ("files.save(path, x)", "x.save(path)"):
        for loaded in (f"files.{load}(path)", f"{kind}.load(path)"):
            # metatensor's core gives arrays of numpy unless it is told otherwise
            for made in ("y", "y.to(arrays='torch')")[: 1 if kind == "Labels" else 2]:
                ways.append(
                    "with tempfile.TemporaryDirectory() as folder:\n"
                    "    path = os.path.join(folder, 'x.mts')\n"
                    f"    {save}\n"
                    f"    y = {loaded}\n"
                    f"y = {made}"
                )
    return [*ways, *_ways_of_bytes(kind, load)]


def _ways_of_bytes(kind: str, load: str) -> list[str]:
    """How data of a kind is saved to an open file and loaded again, the latter by the last line."""
    return [
        "file = io.BytesIO()\n"
        "files.save(file, x)\n"
        "content = bytearray(file.getvalue())\n"
        f"y = files.{load}(io.BytesIO(content)){made}"
        for made in ("", ".to(arrays='torch')")[: 1 if kind == "Labels" else 2]
    ]


_LABELS = _ways_of_bytes("Labels", "load_labels")
_BLOCKS = _ways_of_bytes("TensorBlock", "load_block")
_MAPS = _ways_of_bytes("TensorMap", "load")


@data_law("labels", labels(), ways=_ways("Labels", "load_labels"))
def labels_come_back_from_a_file(f: Session, x: Any, draw: Any) -> Any:
    """They are those that were saved, and saving leaves them as they were. [doc] Labels.save: "Save
    these Labels to a file, this is equivalent to metatensor.torch.save"; load: "Load a serialized Labels
    from the file"."""
    f.run(draw(st.sampled_from(f.ways), label="way"), x=x)
    return f.run("[y, x]"), [x, x]


@data_law("tensor_block", tensor_blocks(max_gradients=2), ways=_ways("TensorBlock", "load_block"))
def blocks_come_back_from_a_file(f: Session, x: Any, draw: Any) -> Any:
    """They are those that were saved, gradients included, and saving leaves them as they were. [doc]
    TensorBlock.save: "Save this TensorBlock to a file, this is equivalent to metatensor.torch.save";
    load: "Load a serialized TensorBlock from the file"."""
    f.run(draw(st.sampled_from(f.ways), label="way"), x=x)
    return f.run("[y, x]"), [x, x]


@data_law("tensor_map", tensor_maps(max_gradients=2), ways=_ways("TensorMap", "load"))
def maps_come_back_from_a_file(f: Session, x: Any, draw: Any) -> Any:
    """They are those that were saved, gradients included. [doc] TensorMap.save: "Save this TensorMap to
    a file, this is equivalent to metatensor.torch.save"; load: "Load a serialized TensorMap from the
    file"."""
    f.run(draw(st.sampled_from(f.ways), label="way"), x=x)
    return f.run("[y, x]"), [x, x]


#: Blocks of all dtypes that there may be, however they lie in memory.
_OF_ALL_DTYPES = tensor_blocks(
    max_gradients=1,
    dtypes=dtypes(allow_half=True, allow_integers=True, allow_complex=True),
    layouts=layouts(),
    requires_grad=st.booleans(),
) | st.builds(
    converted,
    tensor_blocks(max_gradients=1, dtypes=st.just(torch.int64)),
    st.sampled_from([torch.bool, torch.uint16, torch.uint32, torch.uint64]),
)


@data_law("tensor_block", _OF_ALL_DTYPES, ways=_BLOCKS)
def values_that_are_saved_can_be_loaded(f: Session, x: Any, draw: Any) -> Any:
    """Of whatever dtype they are, and however they lie in memory: what isn't refused when it is saved
    isn't when it is loaded, and has the numbers that it prints. [doc] load_block: "Load a previously
    saved TensorBlock from the given file"."""
    return _loaded_if_saved(f, x=x) or (f.run("y"), converted(x, x.dtype))


@data_law("tensor_block", tensor_blocks(), ways=_BLOCKS)
def gradients_that_are_saved_are_loaded_by_their_names(f: Session, x: Any, draw: Any) -> Any:
    """They have the names that they had, where these aren't refused when they are saved. [doc]
    TensorBlock.gradients_list: "list of parameters with gradients in this block"; load_block: "Load a
    previously saved TensorBlock from the given file"."""
    names = draw(st.lists(_NAMES, min_size=1, max_size=2, unique=True), label="names")
    gradient = draw(gradients(x), label="gradient")
    code = "for name in names:\n    x.add_gradient(name, gradient)"
    added = f.attempt_to_run(code, x=x, names=names, gradient=gradient)
    if isinstance(added, Refused):
        return added
    return _loaded_if_saved(f) or (f.run("sorted(y.gradients_list())"), sorted(names))


@data_law("tensor_block", tensor_blocks(max_gradients=2), ways=_BLOCKS)
def a_changed_byte_in_the_file_of_a_block_is_noticed(f: Session, x: Any, draw: Any) -> Any:
    """The file is refused or has the block that was saved, never another one: it is a zip archive, with
    a checksum of each entry. [doc] load_block: "Load a previously saved TensorBlock from the given
    file"."""
    return _one_bit_changed(f, x, draw)


@data_law("tensor_map", tensor_maps(max_gradients=2), ways=_MAPS)
def a_changed_byte_in_the_file_of_a_map_is_noticed(f: Session, x: Any, draw: Any) -> Any:
    """The file is refused or has the map that was saved, never another one: it is a zip archive, with a
    checksum of each entry. [doc] load: "Load a previously saved TensorMap from the given file"; "a ZIP
    file without compression"."""
    return _one_bit_changed(f, x, draw)


@data_law("labels", labels(), ways=_LABELS)
def a_truncated_file_of_labels_is_refused(f: Session, x: Any, draw: Any) -> Any:
    """Of whatever size: such labels were never saved. [doc] load_labels: "Load previously saved Labels
    from the given file"."""
    return _truncated(f, x, draw)


@data_law("tensor_block", tensor_blocks(max_gradients=1), ways=_BLOCKS)
def a_truncated_file_of_a_block_is_refused(f: Session, x: Any, draw: Any) -> Any:
    """Of whatever size: such a block was never saved. [doc] load_block: "Load a previously saved
    TensorBlock from the given file"."""
    return _truncated(f, x, draw)


@data_law("tensor_map", tensor_maps(max_gradients=1), ways=_MAPS)
def a_truncated_file_of_a_map_is_refused(f: Session, x: Any, draw: Any) -> Any:
    """Of whatever size: such a map was never saved. [doc] load: "Load a previously saved TensorMap from
    the given file"."""
    return _truncated(f, x, draw)


@data_law("labels", labels(), ways=_LABELS)
def labels_of_more_rows_than_their_file_has_are_refused(f: Session, x: Any, draw: Any) -> Any:
    """By an exception: nothing is made up, and the process goes on. [doc] load_labels: "Load previously
    saved Labels from the given file"."""
    rows = draw(st.sampled_from([1, 2, 10**6, 10**15]), label="more") + len(x)
    f.run(_MORE_ROWS, x=x, rows=rows)
    loading = "files.load_labels(io.BytesIO(file.getvalue() + entries.tobytes()))"
    return f.run(_loaded_apart(loading)), 0


#: Names of parameters; a file's entries have them in their paths.
_NAMES = st.sampled_from(["positions", "cell", "a b", "é", "..", "values", "", "a/b", "a\0b"])
_MORE_ROWS = """\
file = io.BytesIO()
files.save(file, x)
entries = np.load(io.BytesIO(file.getvalue()))
header = {**np.lib.format.header_data_from_array_1_0(entries), 'shape': (rows,)}
file = io.BytesIO()
np.lib.format.write_array_header_1_0(file, header)"""


def _loaded_apart(loading: str) -> str:
    """The code that loads in another process, which it may end: its status is 0 where that is refused, 1
    where it isn't."""
    return (
        "child = os.fork()\n"
        "if not child:\n"
        "    os.close(2)\n"
        "    try:\n"
        f"        {loading}\n"
        "    except Exception:\n"
        "        os._exit(0)\n"
        "    os._exit(1)\n"
        "status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])"
    )


def _loaded_if_saved(f: Session, **given: Any) -> Any:
    """The refusal to save x, where it is refused; it is loaded as y else."""
    saving, loading = f.ways[-1].rsplit("\n", 1)
    saved = f.attempt_to_run(saving, **given)
    if isinstance(saved, Refused):
        return saved
    f.run(loading)
    return None


def _one_bit_changed(f: Session, x: Any, draw: Any) -> Any:
    """What comes back of a file of which a bit is changed, and what must."""
    saving, loading = f.ways[-1].rsplit("\n", 1)
    f.run(saving, x=x)
    content = bytes(f["content"])
    # entries stand in front of the directory, which is the smaller part
    directory, last = max(0, content.find(b"PK\1\2")), len(content) - 1
    place = draw(st.integers(0, last) | st.integers(directory, last), label="place")
    bit = draw(st.integers(0, 7), label="bit")
    f.note(in_directory=place >= directory, byte=content[place] ^ 1 << bit)
    f.run("content[place] ^= 1 << bit", place=place, bit=bit)
    status = f.look(_loaded_apart(loading))
    if status not in (0, 1):
        return status, 0
    y = f.attempt_to_run(loading)
    return y, y if isinstance(y, Refused) else x


def _truncated(f: Session, x: Any, draw: Any) -> Any:
    """What comes back of a part of a file, and that it must be refused."""
    saving, loading = f.ways[-1].rsplit("\n", 1)
    f.run(saving, x=x)
    last = len(f["content"]) - 1
    size = draw(st.integers(0, last) | st.integers(max(0, last - 8), last), label="size")
    return f.attempt_to_run(f"del content[size:]\n{loading}", size=size), Refused()
