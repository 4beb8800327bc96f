"""Every row of the catalog by every implementation, for the loop while developing: `make bench-rows`.

In an ordinary run each is done once, and nothing is timed.
"""

import pytest
import torch

from tmref.bench.work import BACKWARD, FORWARD, TORCH, Cell, subjects
from tmref.catalog import ROWS
from tmref.implementations import UnknownImplementation

NAMES = (
    "reference",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in (TORCH, "batched", "metatensor-learn", "metatensor-torch")
    ),
)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


CELLS = [
    Cell(row.name, 16, 10, mode)
    for row in ROWS
    for mode in (FORWARD, BACKWARD)
    if mode == FORWARD or "pure" in row.traits
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.row}, {cell.mode}")
def test_row(benchmark, cell, name):
    """16 blocks of 10 samples, 32 features."""
    benchmark.group = f"{cell.row}, {cell.mode}"
    try:
        work = subjects(cell, [] if name == TORCH else [name])[name]
    except UnknownImplementation as error:
        pytest.skip(str(error))
    benchmark(work)
