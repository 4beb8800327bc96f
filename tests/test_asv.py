"""The suite of asv: how many cells it times, that all of it runs, whose measuring it is."""

import json
import os
import shutil
import subprocess
import sys

import pytest

# in a process of its own: the suite puts the checkout's tmref.bench in the place of the installed one
COUNT = """
import itertools, json, math
from benchmarks import counts, data, device, modules

counted, files = {}, set()
for module in (counts, data, device, modules):
    for name, found in vars(module).items():
        if name.startswith("timeraw_"):
            counted[name] = 1
        if isinstance(found, type) and found.__module__ == module.__name__:
            params = found.params if isinstance(found.params[0], (list, tuple)) else [found.params]
            for method in vars(found):
                if method.startswith(("time_", "track_", "peakmem_")):
                    counted[method] = math.prod(map(len, params))
print(json.dumps(counted))
"""


@pytest.fixture(scope="module")
def suite(repository):
    """How many cells every benchmark has."""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COUNT],
        cwd=repository / "asv_benchmarks",
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_at_most_120_cells_are_timed(suite):
    counted = suite
    timed = sum(count for name, count in counted.items() if name.startswith("time"))
    assert 80 <= timed <= 120
    for name in ("track_ratio", "track_operators", "track_peak_bytes", "track_kernels", "time_load"):
        assert counted[name] > 1


def test_the_measuring_is_that_of_the_checkout(repository, tmp_path):
    """Where another tmref is installed than that of the checkout."""
    for name in ("tmref", "strategies"):
        shutil.copytree(repository / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    origins = (
        "import benchmarks, tmref, tmref.bench.timing as timing; print(tmref.__file__, timing.__file__)"
    )
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", origins],
        cwd=repository / "asv_benchmarks",
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    tmref, timing = found.stdout.split()
    assert tmref == str(tmp_path / "tmref" / "__init__.py")
    assert timing == str(repository / "tmref" / "bench" / "timing.py")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_asv_runs_it(repository, tmp_path):
    """A part of each kind, once, in this environment: nothing fails, and nothing is skipped."""
    which = "Moves|Files|Data.time_labels|Counts.track|Rows.peakmem|timeraw_import$|Ratios.track_ratio"
    asv = (sys.executable, "-m", "asv", "--config", "asv_benchmarks/asv.conf.json")
    options = {
        "cwd": repository,
        "env": {**os.environ, "HOME": str(tmp_path)},  # asv keeps what it knows of the machine there
        "capture_output": True,
        "text": True,
    }
    subprocess.run([*asv, "machine", "--yes"], check=True, **options)
    run = ("run", "--python=same", "--quick", "--dry-run", "--bench", which)
    found = subprocess.run([*asv, *run], check=False, **options)
    said = found.stdout + found.stderr
    assert found.returncode == 0, said
    for word in ("failed", "skipped", "n/a"):
        assert word not in said, said
    for name in ("time_keys_to_samples", "track_waits", "peakmem", "timeraw_import", "track_ratio"):
        assert name in said


ON_A_GPU = """
import json, math
from benchmarks import device
from tmref.bench.device import OnDevice
from tmref.bench.work import AGAIN, TORCH, Cell

cell = Cell("linear", 1, 1)
device.timing.rounds = lambda work, device: {TORCH: [1.0, 1.0], AGAIN: [1.0, 1.0], "batched": [2.0, 2.0]}
device.subjects = lambda *_: None
of = {TORCH: OnDevice(1, 2, 3, 0), "batched": OnDevice(5, 6, None, 8)}
device.device.measure_on_device = lambda *_: of
device.device.kernels = lambda *_: {TORCH: 4, "batched": 7}
device.CELLS = {"a": cell}
benchmark = device.OnDevice()
skipped = []
for cuda, name in ((False, "batched"), (True, "batched"), (True, "reference")):
    device.torch.cuda.is_available = lambda: cuda
    cache = benchmark.setup_cache()
    try:
        benchmark.setup(cache, "a", name)
    except NotImplementedError as error:
        skipped.append(str(error))
cache = benchmark.setup_cache()
found = {what: getattr(benchmark, "track_" + what)(cache, "a", "batched") for what in device.UNITS}
found["graph"] = math.isnan(found["graph"])
print(json.dumps([skipped, found]))
"""


def test_on_a_gpu_each_number_is_tracked(repository):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ON_A_GPU],
        cwd=repository / "asv_benchmarks",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    skipped, found = json.loads(done.stdout)
    assert skipped == ["torch finds no CUDA device", "reference is not installed"]
    assert found == {
        "ratio": 2.0,
        "spread": 0.0,
        "host": 5,
        "device": 6,
        "graph": True,
        "kernels": 7,
        "waits": 8,
    }
