"""Whatever bytes are read as a map, a block or labels, they are refused in words or give one of them.

    python tests/io/fuzz.py -max_total_time=60 -seed=1 [FOLDER]

Inputs are made by atheris, which prefers those that reach other lines of tmref.io. An input is read as
it is, and as an entry of an archive that is otherwise right, which its CRC would keep from being read.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["tmref.io"]):
    import tmref.io
import torch

import tmref
from tmref.io import archive, maps, npy

READERS = (tmref.load_buffer, tmref.load_block_buffer, tmref.load_labels_buffer)


def a_map():
    block = tmref.block_from_array(torch.arange(6.0).reshape(2, 1, 3))
    gradient = tmref.TensorBlock(
        torch.ones(1, 1, 3), tmref.Labels.range("sample", 1), block.components, block.properties
    )
    block.add_gradient("g", gradient)
    return tmref.with_info(tmref.TensorMap(tmref.Labels.range("key", 1), [block]), {"unit": "eV"})


MAP = a_map()
ENTRIES = {name: b"".join(pieces) for name, pieces in maps.members(MAP).items()}


def read(data):
    for reader in READERS:
        try:
            found = reader(data)
        except ValueError as error:
            assert str(error).startswith("the buffer doesn't contain a valid ")  # noqa: PT017
        else:
            tmref.save_buffer(found)


def test(data):
    read(data)
    for parse in (npy.values, npy.labels):
        with contextlib.suppress(ValueError):
            parse(data)
    if data:
        name = sorted(ENTRIES)[data[0] % len(ENTRIES)]
        read(b"".join(archive.packed({n: [c] for n, c in {**ENTRIES, name: data[1:]}.items()})))


def seeds():
    """What the inputs are made from."""
    for data in (MAP, MAP[0], MAP.keys):
        yield tmref.save_buffer(data).numpy().tobytes()
    for i, name in enumerate(sorted(ENTRIES)):
        yield bytes([i]) + ENTRIES[name]


if __name__ == "__main__":
    if "--seeds" in sys.argv:
        print(*(seed.hex() for seed in seeds()), sep="\n")
    else:
        atheris.Setup(sys.argv, test)
        atheris.Fuzz()
