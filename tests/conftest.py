"""Builders that the tests of the reference share."""

import importlib.util
import json
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


@pytest.fixture(scope="session")
def wrong_tanh():
    """The code of a library, ``mine``, whose Tanh is wrong for some maps: it takes some examples to find
    it."""
    return """
from tmref.implementations.reference import Reference

class Mine(Reference):
    name = "mine"
    def make(self, call):
        module = super().make(call)
        forward = module.forward
        if call.name == "Tanh":
            module.forward = lambda x: x if any(len(b) > 2 for b in x) else forward(x)
        return module

mine = Mine()
"""


@pytest.fixture(scope="session")
def built(repository, tmp_path_factory):
    """The folder with the wheel and the sdist; tests that share it are in the group ``packaging``."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", folder, repository]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def benchmark_script(repository, monkeypatch):
    """benchmark_script("speed") is asv_benchmarks/speed.py, as a module that is gone after the test."""

    def load(name):
        path = repository / "asv_benchmarks" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)  # dataclasses look there
        spec.loader.exec_module(module)
        return module

    return load


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
def shared(repository):
    """The path of a file in ../shared; the test is skipped where it isn't at hand."""

    def path(name):
        found = repository.parent / "shared" / name
        if not found.exists():
            pytest.skip(f"there is no ../shared/{name} beside the repository")
        return found

    return path


@pytest.fixture(scope="session")
def expansion(repository):
    """expansion("core-data"): a map of random values, of the shapes in data/expansions.json."""
    shapes = json.loads((repository / "tests" / "data" / "expansions.json").read_text())

    def build(name):
        of_name, generator = shapes[name], torch.Generator().manual_seed(0)
        degrees = range(of_name["max_lambda"] + 1)
        sizes = [(o3_lambda, *pair) for o3_lambda in degrees for pair in of_name["pairs"]]
        names = ["o3_lambda", "o3_sigma", "center_type", "neighbor_type"]
        keys = Labels(names, torch.tensor([[size[0], 1, *size[1:3]] for size in sizes]))
        return TensorMap(keys, [expanded(of_name, generator, *size) for size in sizes])

    def expanded(of_name, generator, o3_lambda, center, neighbor, n_samples, n_rows):
        def made(samples, *axes):
            shape = (len(samples), *map(len, axes), 2 * o3_lambda + 1, of_name["properties"])
            values = torch.randn(shape, dtype=torch.float64, generator=generator)
            return TensorBlock(values, samples, [*axes, mu], Labels.range("n", of_name["properties"]))

        mu = Labels(["o3_mu"], torch.arange(-o3_lambda, o3_lambda + 1).reshape(-1, 1))
        atoms = torch.arange(n_samples)
        block = made(Labels(["system", "atom"], torch.stack([atoms // 4, atoms % 4], 1)))
        rows = torch.arange(n_rows)
        sample = rows % n_samples
        moved = torch.stack([sample, sample // 4, rows // n_samples], 1)
        positions = made(Labels(["sample", "system", "atom"], moved), Labels.range("xyz", 3))
        block.add_gradient("positions", positions)
        if of_name["strain"]:
            axes = (Labels.range("xyz_1", 3), Labels.range("xyz_2", 3))
            block.add_gradient("strain", made(Labels.range("sample", n_samples), *axes))
        return block

    return build


@pytest.fixture
def written(expansion, to_mts, tmp_path_factory):
    """The path of a file that metatensor wrote: of a map, or of the expansion of this name."""

    def write(data):
        path = tmp_path_factory.mktemp("written") / "map.mts"
        mts_map = to_mts(expansion(data) if isinstance(data, str) else data)
        mts_map.save(str(path))
        return path

    return write


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
