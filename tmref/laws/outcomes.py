"""What ends a law before it has its two sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from unittest import SkipTest


class Raised(Exception):
    """The implementation raised where it must not; ``__cause__`` is what it raised."""


class Untested(SkipTest):
    """The law can't be tried; the message says why. Hypothesis lets skips through at once: there is
    nothing to shrink."""


class NotOffered(Untested):
    """The law is about something that the implementation does not offer."""


class AllRefused(NotOffered):
    """The implementation refuses whatever the law is about."""


class NotTaken(Exception):
    """What a law makes of its input is none that the row takes; the message says why."""


class Unlike(Exception):
    """What came back is so unlike what is expected that nothing further can be compared: these are the
    ``sides`` that differ."""

    def __init__(self, found: Any, expected: Any) -> None:
        super().__init__("what came back is unlike what is expected")
        self.sides = [found], [expected]  # which have no name, but that of what they are part of


@dataclass(frozen=True)
class Nothing:
    """What a law returns that has nothing to compare in an example, and won't have in one like it;
    ``is_refusal`` where that is since the implementation refuses the example, as it may."""

    reason: str
    is_refusal: bool = False


NO_STATE = Nothing("the module has no state: neither parameters nor buffers")
NO_PARAMETERS = Nothing("the module has no parameters")
NOT_A_MAP = Nothing("its output is no map")
