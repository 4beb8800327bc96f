"""The broken implementations, and the laws and rows by their names."""

import importlib.util
import pkgutil
import sys
from pathlib import Path

import pytest
from hypothesis import Phase

from tmref.catalog import DATA, ROWS
from tmref.laws import LAWS, own, smoke
from tmref.laws.runner import check
from tmref.strategies._settings import settings_of_our_own


def _loaded(name):
    """A package beside this file: test-suites imported by importlib have no other way."""
    path = Path(__file__).parent / name
    spec = importlib.util.spec_from_file_location(
        name, path / "__init__.py", submodule_search_locations=[str(path)]
    )
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


for _, name, _ in pkgutil.walk_packages(_loaded("mutants").__path__, "mutants."):
    importlib.import_module(name)  # each adds its own to the lists
_PLANTED = sys.modules["mutants.planting"]


def pytest_generate_tests(metafunc):
    if "planted" in metafunc.fixturenames:
        metafunc.parametrize("planted", _PLANTED.MUTANTS, ids=str)
    if "scripted" in metafunc.fixturenames:
        metafunc.parametrize("scripted", list(_of_each_family()), ids=str)
    if "adapter" in metafunc.fixturenames:
        adapters = _PLANTED.BROKEN_ADAPTERS
        metafunc.parametrize("adapter", adapters, ids=[adapter.name for adapter in adapters])


def _of_each_family():
    """The planted defects: but the first of each family they are for slow tests."""
    families = {law.name: law.family for law in LAWS}
    seen = set()
    for planted in _PLANTED.MUTANTS:
        family = families[planted.law]
        yield pytest.param(planted, marks=[pytest.mark.slow] * (family in seen))
        seen.add(family)


@pytest.fixture(scope="session")
def mutants():
    """The lists of broken implementations."""
    return _PLANTED


@pytest.fixture(scope="session")
def script_of():
    """The script of the verdict on a planted defect, for a law and a row."""
    return sys.modules["mutants.running"].Script


@pytest.fixture(scope="session")
def laws():
    """The laws by their names."""
    return {law.name: law for law in LAWS}


@pytest.fixture(scope="session")
def rows():
    """The rows of the catalog by their names."""
    return {row.name: row for row in (*DATA, *ROWS, *_PLANTED.OWN_ROWS)}


@pytest.fixture
def without_shrinking(monkeypatch):
    """The smoke law stops at the first failure: what is found is the same, and the tests are fast."""

    def settings(**options):
        return settings_of_our_own(**{**options, "phases": [Phase.generate]})

    monkeypatch.setattr(smoke, "settings_of_our_own", settings)


@pytest.fixture
def only(monkeypatch):
    """What has check_module and check_function try no laws but those of these names."""

    def choose(*names):
        monkeypatch.setattr(own, "LAWS", [law for law in LAWS if law.name in names])

    return choose


@pytest.fixture
def check_relu(laws, rows):
    """The verdict on a change of ReLU's output with known failures."""

    def verdict(change, *entries, **options):
        subject = _PLANTED.Changed(change)
        subject.known = entries
        return check(laws["values_are_those_of_plain_torch"], rows["relu"], subject, **options)

    return verdict
