"""The broken implementations, and the laws and rows by their names."""

import importlib.util
import sys
from pathlib import Path

import hypothesis
import pytest
from hypothesis import Phase

from tmref.catalog import DATA, ROWS
from tmref.laws import LAWS, smoke


def _loaded(name):
    """A file beside this one as a module: test-suites imported by importlib have no other way."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


_MUTANTS = _loaded("mutants")
for path in sorted(Path(__file__).parent.glob("mutants_*.py")):  # each adds its own to the lists
    _loaded(path.stem)


def pytest_generate_tests(metafunc):
    if "planted" in metafunc.fixturenames:
        metafunc.parametrize("planted", _MUTANTS.MUTANTS, ids=str)
    if "adapter" in metafunc.fixturenames:
        adapters = _MUTANTS.BROKEN_ADAPTERS
        metafunc.parametrize("adapter", adapters, ids=[adapter.name for adapter in adapters])


@pytest.fixture(scope="session")
def mutants():
    """The module of broken implementations."""
    return _MUTANTS


@pytest.fixture(scope="session")
def laws():
    """The laws by their names."""
    return {law.name: law for law in LAWS}


@pytest.fixture(scope="session")
def rows():
    """The rows of the catalog by their names."""
    return {row.name: row for row in (*DATA, *ROWS)}


@pytest.fixture
def without_shrinking(monkeypatch):
    """The smoke law stops at the first failure: what is found is the same, and the tests are fast."""

    def settings(**options):
        return hypothesis.settings(**{**options, "phases": [Phase.generate]})

    monkeypatch.setattr(smoke, "settings", settings)
