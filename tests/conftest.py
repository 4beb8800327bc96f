"""Builders that the tests of the reference share."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tmref import Labels, TensorBlock, TensorMap

# Where a variable such as CI is set Hypothesis has other defaults: the tests are the same everywhere.
settings.load_profile("default")


@pytest.fixture
def labels():
    """labels("a b", [[0, 1], [2, 3]])"""

    def build(names, rows):
        names = names.split()
        return Labels(names, torch.tensor(rows, dtype=torch.int32).reshape(-1, len(names)))

    return build


@pytest.fixture
def block():
    """A block of random values of the shape given, its axes labelled from 0."""

    def build(*shape, dtype=torch.float64, seed=0):
        values = torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))
        samples, *components, properties = shape
        return TensorBlock(
            values,
            Labels.range("system", samples),
            [Labels.range(f"component_{i}", size) for i, size in enumerate(components)],
            Labels.range("feature", properties),
        )

    return build


@pytest.fixture
def with_gradient():
    """The block with a gradient of random values added: a row for each of the samples in ``rows``."""

    def build(block, rows, *extra, parameter="positions", seed=1):
        generator = torch.Generator().manual_seed(seed)
        values = torch.randn(len(rows), *extra, *block.shape[1:], dtype=block.dtype, generator=generator)
        samples = torch.tensor([[row, i] for i, row in enumerate(rows)], dtype=torch.int32)
        gradient = TensorBlock(
            values,
            Labels(["sample", "atom"], samples.reshape(-1, 2)),
            [Labels.range(f"xyz_{i}", size) for i, size in enumerate(extra)] + block.components,
            block.properties,
        )
        block.add_gradient(parameter, gradient)
        return block

    return build


@pytest.fixture
def tensor_map():
    """tensor_map(keys, *blocks)"""

    def build(keys, *blocks):
        return TensorMap(keys, list(blocks))

    return build


@pytest.fixture
def refused():
    """``with refused(ValueError, message)``: that class, and exactly that message."""

    def build(error, message):
        return pytest.raises(error, match=f"^{re.escape(message)}$")

    return build


@pytest.fixture(scope="session")
def mts():
    """metatensor.torch, which TorchScript's deprecation makes warn when it is imported."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        import metatensor.torch
        import metatensor.torch.learn
        import metatensor.torch.operations

    return metatensor.torch


@pytest.fixture
def to_mts(mts):
    """The same labels, block or map in metatensor.torch's types."""

    def convert(x):
        if isinstance(x, Labels):
            return mts.Labels(x.names, x.values)
        if isinstance(x, TensorMap):
            return mts.TensorMap(convert(x.keys), [convert(block) for block in x])
        components = [convert(c) for c in x.components]
        block = mts.TensorBlock(x.values, convert(x.samples), components, convert(x.properties))
        for parameter, gradient in x.gradients():
            block.add_gradient(parameter, convert(gradient))
        return block

    return convert


@pytest.fixture(scope="session")
def repository():
    """The root of the repository."""
    return Path(__file__).parent.parent


@pytest.fixture
def run_python(repository):
    """Runs code in another python: from the root of the repository, one thread, warnings are errors."""

    def run(code):
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=repository,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    return run
