"""A report of a run that was cut short: what it has, and whether what is missing can be added to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .places import has_content
from .verdicts import Results, part_of, read


class Misfit(ValueError):
    """A report was made with something else; the message says what, and has the remedy."""


def begun(path: Path) -> Results | None:
    """What a run left that writes its report to this place, wherever it was when it was cut short; None
    where there is nothing yet. Raises ValueError where it is damaged."""
    for place in (part_of(path), path):  # where both are there, the first is newer
        if has_content(place):
            return read(place)
    return None


def require_fit(path: Path, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises Misfit where verdicts depend on something that differs between two headers."""
    found = list(_differences(was, now))
    if found:
        raise Misfit(
            f"{path} doesn't fit, nothing was tried: {'; '.join(found)}. Leave out options that differ, "
            "since what is left out is taken from it, bring back what else does, or begin anew with "
            "--report"
        )


def _differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What differs, in words. The number of threads may: laws run on one."""
    yield from of_each(was.get("implementations", {}), now["implementations"])
    yield from made_otherwise(was, now)
    for part in ("laws", "rows"):
        others = sorted({*was.get(part, ())} ^ {*now[part]})
        if others:
            yield f"{part} are others than they were: {', '.join(others)}"


def made_otherwise(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What differs between two headers of what verdicts were made with, in words."""
    for part in ("versions", "settings"):
        yield from of_each(was.get(part, {}), now.get(part, {}))
    for name in ("device", "processor", "seed"):
        yield from of_each({name: was.get(name)}, {name: now.get(name)})


def of_each(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What differs between two settings of the same names, in words."""
    for name in {**was, **now}:
        before, after = was.get(name), now.get(name)
        if before != after:
            yield f"{name} was {_word(before)}, is {_word(after)}"


def _word(value: Any) -> str:
    """A setting in a message: nothing where there is none."""
    return "nothing" if value in (None, "") else str(value)
