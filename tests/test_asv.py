"""The suite of asv: how many cells it times, that all of it runs, whose measuring it is."""

import json
import math
import os
import shutil
import subprocess
import sys

import pytest
from asv.util import load_json

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


def _said_by(repository, code):
    """What code prints beside the suite."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    folder = repository / "asv_benchmarks"
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_what_is_timed_was_done_before(repository):
    """asv calls setup before every call: it may make nothing anew."""
    code = """
import torch
from benchmarks import modules

of = modules.Linear()
of.setup("batched", 16, 1)
run, number = of.run, of.number
(linear,) = [c.cell_contents for c in run.__closure__ if isinstance(c.cell_contents, torch.nn.Module)]
print("_known" in linear.module_map.__dict__, number > 1)
of.setup("batched", 16, 1)
print(of.run is run, of.number == number)
of.setup("batched", 16, 100)
print(of.run is run)
"""
    assert _said_by(repository, code).split() == ["True", "True", "True", "True", "False"]


def test_results_are_dropped_for_other_code_and_not_for_other_words(repository, tmp_path):
    texts = (
        '''"""One."""\n\ndef f():\n    """Two."""\n    return 1  # three\n''',
        '''"""Another."""\n\ndef f():\n    """Of it."""\n\n    return 1\n''',
        "def f():\n    return 1\n",
        '''"""One."""\n\ndef f():\n    """Two."""\n    return 2  # three\n''',
    )
    for i, text in enumerate(texts):
        (tmp_path / f"{i}.py").write_text(text)
    code = f"""
from benchmarks.common import version_of

for i in range(4):
    print(version_of("{tmp_path}/" + str(i) + ".py", "work"))
print(version_of("{tmp_path}/0.py", "work", "timing"))
"""
    first, other_words, no_words, other_code, other_modules = _said_by(repository, code).split()
    assert first == other_words == no_words
    assert len({first, other_code, other_modules}) == 3


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_asv_runs_it(repository, tmp_path):
    """A part of each kind, once, in this environment: nothing fails, and nothing is skipped."""
    # asv writes what it knows of the machine and the suite beside the results
    folder = repository / "asv_benchmarks"
    config = load_json(folder / "asv.conf.json", js_comments=True)
    for name in ("repo", "benchmark_dir", "env_dir", "html_dir"):
        config[name] = str(folder / config[name])
    config["results_dir"] = str(tmp_path / "results")
    (tmp_path / "asv.conf.json").write_text(json.dumps(config))
    counts = r"Counts.track_\w+\('(reference|batched)', 'linear', 'forward'"
    parts = "Moves|Files|time_labels|peakmem|timeraw_import$"
    which = rf"{parts}|{counts}|time_forward\('batched', 16, 1\)|track_ratio\('(tanh|layer_norm)"
    asv = (sys.executable, "-m", "asv", "--config", str(tmp_path / "asv.conf.json"))
    options = {
        "cwd": repository,
        "env": {**os.environ, "HOME": str(tmp_path)},  # asv keeps what it knows of the machine there
        "capture_output": True,
        "text": True,
    }
    subprocess.run([*asv, "machine", "--yes"], check=True, **options)
    run = ("run", "--python=same", "--quick", "--dry-run", "--show-stderr", "--bench", which)
    found = subprocess.run([*asv, *run], check=False, **options)
    said = found.stdout + found.stderr
    assert found.returncode == 0, said
    for word in ("failed", "skipped"):
        assert word not in said, said
    for name in (
        "time_keys_to_samples",
        "time_forward",
        "track_waits",
        "peakmem",
        "timeraw_import",
        "track_ratio",
    ):
        assert name in said


INSTRUCTIONS = """
import json
from pathlib import Path
from types import SimpleNamespace
from benchmarks import counts

asked = []

def under_valgrind(arguments, environment):
    script, todo = arguments
    asked.append([Path(script).name, environment["PYTHONPATH"], todo])
    cells = json.loads(todo)["cells"]
    found = {label: {"instructions": dict.fromkeys(names, 7)} for label, *_ in cells}
    return SimpleNamespace(returncode=0, stdout="said\\n" + json.dumps(found), stderr="")

names = counts.Instructions.params[0]
cell = ("batched", "linear", "forward")
counts.counts.under_valgrind = under_valgrind
benchmark = counts.Instructions()
for why in ("not here", ""):
    counts.counts.no_valgrind = lambda: why
    cache = benchmark.setup_cache()
    try:
        benchmark.setup(cache, *cell)
    except NotImplementedError as error:
        print(repr(error), len(asked))
((script, home, todo),) = asked
print(script, home == json.loads(todo)["home"], benchmark.track_instructions(cache, *cell))
"""


def test_instructions_are_tracked_where_valgrind_is(repository):
    assert _said_by(repository, INSTRUCTIONS).splitlines() == [
        "NotImplementedError('not here') 0",
        "measure_commit.py True 7",
    ]


ON_A_GPU = """
import json
from benchmarks import device
from tmref.bench.device import OnDevice, Profile
from tmref.bench.work import AGAIN, TORCH, Cell

cell = Cell("linear", 1, 1)
device.timing.rounds = lambda work, device: {TORCH: [1.0, 1.0], AGAIN: [1.0, 1.0], "batched": [2.0, 2.0]}
device.working = lambda *_: (dict.fromkeys((TORCH, AGAIN, "batched")), {"reference": ValueError("no")})
of = {TORCH: OnDevice(1, 2, 3, 0), "batched": OnDevice(5, 6, None, 8)}
device.device.measure_on_device = lambda *_: of
may_profile = True

def profiles(*_):
    if not may_profile:
        raise RuntimeError("not here")
    return {TORCH: Profile(4, 5), "batched": Profile(7, 9)}

device.device.profiles = profiles
device.CELLS = {"a": cell}
benchmark = device.OnDevice()
skipped = []
for cuda, name in ((False, "batched"), (True, "batched"), (True, "reference"), (True, "nosuch")):
    device.torch.cuda.is_available = lambda: cuda
    cache = benchmark.setup_cache()
    try:
        benchmark.setup(cache, "a", name)
    except (NotImplementedError, RuntimeError) as error:
        skipped.append(repr(error))
cache = benchmark.setup_cache()
benchmark.setup(cache, "a", "batched")
found = {what: getattr(benchmark, "track_" + what)(cache, "a", "batched") for what in device.UNITS}
may_profile = False
cache = benchmark.setup_cache()
benchmark.setup(cache, "a", "batched")
found["busy"] = [found["busy"], benchmark.track_busy(cache, "a", "batched")]
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
    assert skipped == [
        "NotImplementedError('torch finds no CUDA device')",
        "RuntimeError('ValueError: no')",
        "NotImplementedError('nosuch is not installed')",
    ]
    nan = pytest.approx(math.nan, nan_ok=True)
    assert found == {
        "ratio": 2.0,
        "spread": 0.0,
        "host": 5,
        "elapsed": 6,
        "graph": nan,
        "busy": [7, nan],
        "kernels": 9,
        "waits": 8,
    }
