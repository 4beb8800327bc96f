"""What functions that try laws answer: verdicts, or an error that has them and says what is wrong."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from ..printing import counted, meant
from ..renamed import name_now
from ..verdicts import ERROR, FAIL, Verdict, alike

OnFail = Literal["raise", "warn"] | None


class UnexpectedVerdicts(AssertionError):
    """Some of the ``verdicts`` are not as expected: these are ``unexpected``."""

    def __init__(self, verdicts: Sequence[Verdict], unexpected: Sequence[Verdict]) -> None:
        self.verdicts = list(verdicts)
        self.unexpected = list(unexpected)
        number = f"{len(unexpected)} of {counted(len(verdicts), 'verdict')}"
        is_not = "is not as it" if len(unexpected) == 1 else "are not as they"
        texts = [f"{number} {is_not} should be", *map(_text, alike(unexpected))]
        super().__init__("\n\n".join(texts))


def _text(found: Sequence[Verdict]) -> str:
    """One cause in words, with all laws and rows that it is the cause for."""
    laws = ", ".join(dict.fromkeys(v.law for v in found))
    rows = ", ".join(dict.fromkeys(v.row for v in found))
    first = found[0]
    return f"{laws} ({rows}): {first.verdict}: {first.message}\n\n{first.reproducer or ''}".rstrip()


def answer(verdicts: list[Verdict], unexpected: Sequence[Verdict], on_fail: OnFail) -> list[Verdict]:
    """The verdicts, where all are as expected; else what ``on_fail`` says: "raise" UnexpectedVerdicts,
    "warn" with its words, or None, nothing."""
    __tracebackhide__ = True
    if unexpected and on_fail is not None:
        error = UnexpectedVerdicts(verdicts, unexpected)
        if on_fail == "raise":
            raise error
        warnings.warn(str(error), stacklevel=3)
    return verdicts


def checked(on_fail: OnFail) -> OnFail:
    """Raises ValueError where this is none of the ways."""
    if on_fail not in ("raise", "warn", None):
        raise ValueError(f'on_fail must be "raise", "warn" or None, got {on_fail!r}')
    return on_fail


def law_names(expected: Mapping[str, str], there: Collection[str], among: str = "") -> Mapping[str, str]:
    """Laws that are expected to fail, with reasons; ``among`` says which are there. Raises TypeError
    where it is no dictionary of words, and ValueError for a law that does not exist. One that was
    renamed has its name of now in what is returned."""
    if not isinstance(expected, Mapping):
        raise TypeError(f"expected_failed_laws must be a dictionary of reasons by law, got {expected!r}")
    for name, reason in expected.items():
        if not isinstance(reason, str) or not reason:
            raise TypeError(
                f"expected_failed_laws[{name!r}] must be the reason in words, got {reason!r}"
            )
        if not isinstance(name, str):
            raise TypeError(f"expected_failed_laws must have laws by name, got {name!r}")
        if name_now(name) not in there:
            remedy = meant(name, there, "tmref list laws has them all")
            raise ValueError(f"expected_failed_laws: there is no law {name!r}{among}; {remedy}")
    return {name_now(name): reason for name, reason in expected.items()}


def with_expected(verdict: Verdict, expected: Mapping[str, str]) -> Verdict:
    """The verdict, a known failure where its law, or its law on its row, is expected to fail and does;
    and a failure where it is expected to and doesn't."""
    reason = expected.get(f"{verdict.law}[{verdict.row}]", expected.get(verdict.law))
    if reason is None:
        return verdict
    if verdict.verdict in (FAIL, ERROR):
        return dataclasses.replace(verdict, known=reason)
    is_now = "refused now" if verdict.refused else verdict.verdict
    words = f"it is expected to fail ({reason}), and didn't: it is {is_now}"
    message = f"{words}; take it out of expected_failed_laws"
    return dataclasses.replace(
        verdict, verdict=FAIL, message=message, known=None, offered=True, refused=False
    )
