"""What a law is: a short function of ``(f, x, draw)`` that returns its two sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..catalog import TRAITS, Row

#: How many examples a law is tried on for every row.
EXAMPLES = 10


@dataclass(frozen=True)
class Law:
    """A property that every module with the ``traits`` has. ``sides(f, x, draw)`` returns what must be
    equal, or None where nothing is left to compare (a refusal that is allowed).

    ``maps`` are options of :func:`tmref.strategies.tensor_maps` for ``x``, ``recipes`` those of
    :func:`tmref.strategies.recipes` for ``f``. Where ``copied``, the sides are the same numbers and not
    two computations of them: no rounding excuses a difference.
    """

    sides: Callable[..., tuple[Any, Any] | None]
    traits: frozenset[str]
    maps: Mapping[str, Any]
    recipes: Mapping[str, Any]
    copied: bool = False

    @property
    def name(self) -> str:
        """The law as a sentence, with underscores."""
        return self.sides.__name__

    @property
    def demand(self) -> str:
        """What it demands, and its source: the docstring."""
        return " ".join((self.sides.__doc__ or "").split())

    def applies_to(self, row: Row) -> bool:
        """Whether the row has the traits that the law is about."""
        return self.traits <= row.traits


def law(
    *traits: str,
    maps: Mapping[str, Any] | None = None,
    recipes: Mapping[str, Any] | None = None,
    copied: bool = False,
) -> Callable[[Callable[..., Any]], Law]:
    """Make a function a law on modules with these traits, for maps and recipes of these options.

    Unless ``maps`` say something else, maps have at least one block.
    """
    unknown = set(traits) - set(TRAITS)
    if unknown:
        raise ValueError(f"no trait {sorted(unknown)}, there are {list(TRAITS)}")
    options = {"min_blocks": 1, **(maps or {})}
    return lambda sides: Law(sides, frozenset(traits), options, recipes or {}, copied)
