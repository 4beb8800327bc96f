"""What the tests of files share: maps to write, what is in them, archives that say something else."""

import io
import zipfile

import numpy as np
import pytest
import torch

import tmref
from tmref import Labels, TensorBlock, TensorMap
from tmref.io.npy import DTYPES

_READ = {
    TensorMap: tmref.load_buffer,
    TensorBlock: tmref.load_block_buffer,
    Labels: tmref.load_labels_buffer,
}


@pytest.fixture(scope="session")
def read():
    """read(cls, buffer): the map, block or labels in it."""
    return lambda cls, buffer: _READ[cls](buffer)


@pytest.fixture(scope="session")
def written_bytes():
    """written_bytes(data): what ``save`` writes."""
    return lambda data: tmref.save_buffer(data).numpy().tobytes()


@pytest.fixture(scope="session")
def parts():
    """parts(data): all there is in a map, a block or labels of any library, numbers as bytes."""

    def of(x):
        if hasattr(x, "keys"):
            return of(x.keys), dict(x.info()), [of(block) for block in x.blocks()]
        if not hasattr(x, "properties"):
            return tuple(x.names), as_bytes(x.values)
        axes = [x.samples, *x.components, x.properties]
        gradients = {parameter: of(x.gradient(parameter)) for parameter in x.gradients_list()}
        return [of(labels) for labels in axes], as_bytes(x.values), gradients

    def as_bytes(values):
        is_torch = isinstance(values, torch.Tensor)
        array = values.detach().numpy(force=True) if is_torch else np.asarray(values)
        return array.dtype.str, array.shape, array.tobytes()

    return of


@pytest.fixture
def nested(block, with_gradient):
    """A map with gradients of gradients, and blocks that are empty, which says something of itself."""
    keys = Labels(["l", "species"], torch.tensor([[0, 1], [1, -6]]))

    def of(size):
        whole = block(size, 3, 2)
        gradient = TensorBlock(
            torch.randn(size, 2, 3, 2, dtype=torch.float64),
            Labels.range("sample", size),
            [Labels.range("xyz", 2), *whole.components],
            whole.properties,
        )
        whole.add_gradient("positions", with_gradient(gradient, list(range(size)), parameter="cell"))
        return whole

    return tmref.with_info(TensorMap(keys, [of(2), of(0)]), {"unit": "eV"})


@pytest.fixture
def two_by_three():
    """A block of zeros of two samples and three properties."""
    return tmref.block_from_array(torch.zeros(2, 3))


@pytest.fixture(params=DTYPES.values(), ids=str)
def dtype(request):
    """Each dtype that files can have."""
    return request.param


@pytest.fixture
def any_bits():
    """any_bits(dtype, *shape): numbers of any bits that they can have, NaN of all payloads included."""

    def build(dtype, *shape, seed=0):
        generator = torch.Generator().manual_seed(seed)
        size = dtype.itemsize
        bits = torch.randint(0, 256, (*shape, size), dtype=torch.uint8, generator=generator)
        return (bits & 1 if dtype is torch.bool else bits).view(dtype)[..., 0]

    return build


@pytest.fixture(scope="session")
def rewritten(written_bytes):
    """rewritten(data, change, compression): its archive by zipfile, after ``change`` of a dictionary of
    the bytes of the entries."""

    def rewrite(data, change=lambda _: None, compression=zipfile.ZIP_STORED):
        with zipfile.ZipFile(io.BytesIO(written_bytes(data))) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        change(entries)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    return rewrite
