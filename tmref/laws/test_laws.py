"""The one test: a law on a row of an implementation. The plugin parametrizes it and records verdicts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tmref.laws.checks import Case
from tmref.verdicts import UNTESTED


def test_law(tmref_case: Case, record_property: Callable[[str, object], None]) -> None:
    verdict = tmref_case.check()
    record_property("tmref", vars(verdict))
    if not verdict.expected:
        pytest.fail(verdict.words, pytrace=False)
    if verdict.verdict == UNTESTED:
        pytest.skip(verdict.message or "untested")
    if verdict.known:
        pytest.xfail(verdict.known)
