"""What ends a law before it has its two sides."""

from __future__ import annotations

from unittest import SkipTest


class Raised(Exception):
    """The implementation raised where it must not; ``__cause__`` is what it raised."""


class Untested(SkipTest):
    """The law can't be tried; the message says why. Hypothesis lets skips through at once: there is
    nothing to shrink."""


class NotOffered(Untested):
    """The law is about something that the implementation does not offer."""
