"""What importing tmref does to a process: seen in another one."""

import json
import sys

import pytest

import tmref

UNWANTED = (
    "hypothesis",
    "pytest",
    "_pytest",
    "rich",
    "metatensor",
    "metatensor_torch",
    "asv",
    "dask",
    "redis",
)


@pytest.fixture
def imported_by(run_python):
    """The names of the modules that code imports, beside torch and its own."""

    def run(code):
        done = run_python(
            "import json, sys, torch, torch.func\n"
            f"before = set(sys.modules)\n{code}\n"
            "print(json.dumps([sorted(before), sorted(set(sys.modules) - before)]))"
        )
        assert done.returncode == 0, done.stderr
        torchs, others = json.loads(done.stdout)
        assert set(torchs).isdisjoint(UNWANTED)
        return set(others)

    return run


def test_importing_tmref_imports_tmref_only(imported_by):
    modules = imported_by("import tmref")
    assert {"tmref", "tmref.nn"} <= modules
    assert modules.isdisjoint(UNWANTED)
    assert {name.partition(".")[0] for name in modules} <= {"tmref", *sys.stdlib_module_names}


def test_what_must_not_be_imported_would_be_noticed(imported_by):
    modules = imported_by("import tmref, hypothesis, pytest, rich")
    assert modules.intersection(UNWANTED) == {"hypothesis", "pytest", "_pytest", "rich"}


@pytest.mark.parametrize("module", [tmref, tmref.nn], ids=lambda module: module.__name__)
def test_the_public_names(module):
    assert len(set(module.__all__)) == len(module.__all__)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_strategies_by_their_bare_name_are_refused(run_python):
    done = run_python("import strategies")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert "tmref.strategies" in last


def test_strategies_by_their_full_name_are_not(run_python):
    done = run_python("import tmref.strategies")
    assert done.returncode == 0, done.stderr
