"""The workflow for other libraries does what it says: its steps are run in a shell, as a runner does."""

import os
import shutil
import subprocess
import sys

import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("packaging")]

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "my_library"
version = "1.0"

[tool.setuptools]
py-modules = ["my_library"]
"""
LIBRARY = """
import tmref


def doubled(x):
    return tmref.multiply(x, {})
"""
ADAPTER = """
import my_library
from tmref.implementations.reference import Reference
from tmref.laws import row_of_function


class MyLibrary(Reference):
    name, version, judges_data = "my-library", "1.0", False
    rows = (row_of_function(my_library.doubled, name="doubled", traits=["keeps_keys", "linear"]),)


implementation = MyLibrary()
"""


@pytest.fixture(scope="module")
def job(repository):
    """What the workflow does, and where."""
    text = (repository / "examples" / "ci" / "tmref.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["jobs"]["laws"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A repository of a library, with an adapter."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "my_library.py").write_text(LIBRARY.format(2))
    (folder / "my_adapter.py").write_text(ADAPTER)
    (folder / ".github").mkdir()
    return folder


@pytest.fixture(scope="module")
def run(job, folder, built, repository):
    """run(): the steps of the job in a shell, with an environment of its own: what each printed, which
    of them failed, and the summary."""
    place = folder.parent / "environment"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    (wheel,) = built.glob("*.whl")
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    setting = {
        **outside,
        **job["env"],
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "TMREF": f"tmref[check] @ {wheel.as_uri()}",
        "PIP_CONSTRAINT": (repository / "constraints.txt").as_uri(),
        "GITHUB_STEP_SUMMARY": str(folder.parent / "summary.md"),
    }
    del setting["PIP_EXTRA_INDEX_URL"]  # the wheel of torch is the one that is pinned

    def run():
        summary = folder.parent / "summary.md"
        summary.unlink(missing_ok=True)
        printed, failed = {}, []
        for step in job["steps"]:
            if "run" not in step or (failed and step.get("if") != "always()"):
                continue
            command = ["bash", "-e", "-c", step["run"]]
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, cwd=folder, env=setting
            )
            printed[step["name"]] = done.stdout + done.stderr
            failed += [step["name"]] * (done.returncode != 0)
        return printed, failed, summary.read_text() if summary.exists() else ""

    return run


def test_a_job_fails_where_a_law_breaks_that_was_not_broken_before(run, folder):
    printed, failed, summary = run()
    assert failed == ["compare"], printed
    assert summary.startswith("## tmref: as expected")
    assert ".github/tmref.jsonl can't be read" in printed["compare"]
    shutil.copy(folder / "tmref.jsonl", folder / ".github" / "tmref.jsonl")

    printed, failed, summary = run()
    assert failed == [], printed
    assert "tmref check: my_library is imported from " in printed["check"]
    assert "/site-packages/my_library.py, not from this folder" in printed["check"]
    assert "::notice" in printed["tell"]
    assert summary.startswith("## tmref: as expected")
    assert "Since the baseline, <code>my-library 1.0</code>:" in summary
    assert (folder / "tmref.html").stat().st_size > 10_000

    (folder / "my_library.py").write_text(LIBRARY.format("1 + 1"))
    assert run()[1] == []

    (folder / "my_library.py").write_text(LIBRARY.format("x"))  # squares are not linear
    printed, failed, summary = run()
    assert failed == ["compare"], printed
    assert "::error" in printed["tell"]
    assert " broken, of <code>my-library</code>" in summary
    assert "```python" in summary

    shutil.copy(folder / "tmref.jsonl", folder / ".github" / "tmref.jsonl")
    printed, failed, summary = run()
    assert failed == [], printed
    assert not summary.startswith("## tmref: as expected")
