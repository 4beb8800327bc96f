"""Settings of Hypothesis that are the same wherever a search runs."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, settings


def settings_of_our_own(**changes: Any) -> settings:
    """Hypothesis' defaults with these changes, whatever profile is loaded: an implementation, a
    continuous integration or somebody's configuration may have loaded any. No database, no deadline."""
    every = {
        "max_examples": 100,
        "derandomize": False,
        "database": None,
        "deadline": None,
        "verbosity": Verbosity.normal,
        "phases": tuple(Phase),
        "stateful_step_count": 50,
        "report_multiple_bugs": False,
        # nothing that is found may depend on the speed of the machine
        "suppress_health_check": (HealthCheck.too_slow,),
        "print_blob": False,
        "backend": "hypothesis",
    }
    return settings(**{**every, **changes})
