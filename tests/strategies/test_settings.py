"""Settings of Hypothesis that no profile changes."""

import hypothesis
import pytest
from hypothesis import Phase, Verbosity, settings

from tmref.strategies._settings import settings_of_our_own

#: What a profile may say of everything that there is.
OTHER = {
    "max_examples": 7,
    "derandomize": True,
    "database": hypothesis.database.InMemoryExampleDatabase(),
    "deadline": 1,
    "verbosity": Verbosity.quiet,
    "phases": (Phase.generate,),
    "stateful_step_count": 3,
    "report_multiple_bugs": True,
    "suppress_health_check": list(hypothesis.HealthCheck),
    "print_blob": True,
}


def values(of):
    names = [name for name in dir(of) if not name.startswith("_") and not callable(getattr(of, name))]
    return {name: getattr(of, name) for name in names if name != "show_changed"}


@pytest.fixture
def other_profile():
    before = settings.get_current_profile_name()
    settings.register_profile("other", database=None, derandomize=True)
    settings.register_profile("other", **{**OTHER, "database": None})
    settings.load_profile("other")
    yield
    settings.load_profile(before)


def test_no_profile_changes_them(other_profile):
    under_theirs = values(settings_of_our_own())
    theirs = values(settings())
    settings.load_profile("default")
    assert under_theirs == values(settings_of_our_own())
    for name in set(OTHER) - {"database"}:
        assert under_theirs[name] != theirs[name], f"the profile has the same {name}"


def test_every_setting_is_given():
    assert set(values(settings())) == set(values(settings_of_our_own()))
    assert set(values(settings())) <= {*OTHER, "backend"}


def test_changes_are_taken():
    assert settings_of_our_own(max_examples=3).max_examples == 3
