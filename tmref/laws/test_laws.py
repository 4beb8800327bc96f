"""The one test: a law on a row of an implementation. The plugin parametrizes it and records verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from tmref.laws.checks import Case
from tmref.verdicts import FAIL, PASS, UNTESTED


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Laws run on one thread: their tensors are small, and there may be workers beside this one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_law(tmref_case: Case, record_property: Callable[[str, object], None]) -> None:
    verdict = tmref_case.check()
    record_property("tmref", vars(verdict))
    if verdict.verdict == UNTESTED:
        pytest.skip(verdict.message or "untested")
    if verdict.known:
        pytest.xfail(verdict.known)
    if verdict.verdict != PASS:
        word = "broken" if verdict.verdict == FAIL else "error"
        pytest.fail(f"{word}: {verdict.message}\n\n{verdict.reproducer or ''}", pytrace=False)
