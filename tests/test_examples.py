"""The examples: modules that people write, judged rightly, and their defects found."""

import functools
import json
import re
import runpy
import subprocess
import sys

import pytest

import tmref.laws

SEEDS = (0, 1, 2)
#: Examples that are also run in a hurry.
QUICK = ("loss",)

#: For every example a defect that was met in modules of this kind, and the laws that find it.
DEFECTS = {
    "scaler: precision is lost for good by one call in float32": (
        "scale = self.scale.to(block.values.dtype)",
        "self.scale = self.scale.to(block.values.dtype); scale = self.scale",
        {"a_call_in_another_dtype_leaves_no_trace"},
    ),
    "sum_over_atoms: explicit gradients are left out without a word": (
        'raise ValueError("explicit gradients are not summed")',
        "pass",
        {"explicit_gradients_are_not_left_out"},
    ),
    "invariants: it crashes for no samples": (
        "values = block.values.square()",
        "values = block.values.square(); values[0]",
        {"it_can_be_made_and_called"},
    ),
    "loss: samples are matched by position": (
        'raise ValueError("prediction and target have other labels")',
        "pass",
        {"samples_of_one_input_are_found_by_their_labels", "other_samples_in_one_input_are_refused"},
    ),
    "several_maps: the input is overwritten": (
        "values = -block.values",
        "values = block.values.neg_()",
        {"the_input_stays"},
    ),
    "shared_weight: rows of gradients are matched by position": (
        'which = gradient.samples.column("sample").to(torch.int64)',
        "which = torch.arange(len(gradient.samples))",
        {"explicit_gradients_are_refused_or_right_by_the_chain_rule"},
    ),
    "by_type: keys are ignored": (
        'values = self.mlps[str(int(key["center_type"]))](block.values)',
        "values = list(self.mlps.values())[len(blocks)](block.values)",
        {"blocks_are_found_by_their_keys"},
    ),
}


@pytest.fixture
def examples(repository):
    """The files of the examples by their names."""
    found = sorted((repository / "examples").glob("test_*.py"))
    return {path.stem.removeprefix("test_"): path for path in found}


NAMES = [name.partition(":")[0] for name in DEFECTS]


def test_every_example_has_a_defect(examples):
    assert sorted(examples) == sorted(NAMES)


@pytest.mark.parametrize(
    ("name", "effort", "seed"),
    [
        *((name, 0.05, 0) for name in QUICK),
        *(pytest.param(name, 1, seed, marks=pytest.mark.slow) for name in NAMES for seed in SEEDS),
    ],
)
def test_a_module_that_is_right_is_found_to_be_right(name, effort, seed, examples, mts, monkeypatch):
    options = {"effort": effort, "seed": seed}
    for check in ("check_module", "check_function"):
        monkeypatch.setattr(tmref.laws, check, functools.partial(getattr(tmref.laws, check), **options))
    tests = runpy.run_path(str(examples[name]))
    for test in [value for name, value in tests.items() if name.startswith("test_")]:
        test()


#: What is run after an example with its defect: it prints the laws that are broken, and scripts.
_JUDGED = """

import functools, json
from tmref.laws import UnexpectedVerdicts
options = {{"effort": 0.5, "seed": {seed}}}
for name in ("check_module", "check_function"):
    if name in globals():
        globals()[name] = functools.partial(globals()[name], **options)
for name, test in list(globals().items()):
    if name.startswith("test_"):
        try:
            test()
        except UnexpectedVerdicts as error:
            for verdict in error.unexpected:
                print("found", json.dumps([verdict.law, verdict.reproducer]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("defect", DEFECTS)
def test_its_defect_is_found_and_shown_without_tmref(defect, seed, examples, mts, tmp_path):
    right, wrong, laws = DEFECTS[defect]
    source = examples[defect.partition(":")[0]].read_text(encoding="utf-8")
    assert source.count(right) == 1
    planted = tmp_path / "planted.py"
    planted.write_text(source.replace(right, wrong) + _JUDGED.format(seed=seed), encoding="utf-8")
    printed = _run(planted).stdout
    found = dict(map(json.loads, re.findall(r"^found (.*)$", printed, re.MULTILINE)))
    assert laws <= set(found)
    for law in laws:
        script = tmp_path / "script.py"
        script.write_text(found[law], encoding="utf-8")
        assert "tmref" not in found[law]
        done = _run(script)
        assert (done.returncode, "Error" in done.stderr) == (1, True), found[law]


def _run(path):
    return subprocess.run(
        [sys.executable, "-W", "ignore", str(path)], capture_output=True, text=True, timeout=300
    )


def test_training_on_files_finds_what_they_were_made_of(repository, tmp_path):
    losses = runpy.run_path(str(repository / "examples" / "train_on_files.py"))["train"](tmp_path)
    assert len(list(tmp_path.glob("*.mts"))) == 12
    assert losses[-1] < losses[0] / 100
