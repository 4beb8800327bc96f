"""What a law is: a short function of ``(f, x, draw)`` that returns its two sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any

from hypothesis import strategies as st

from ..catalog import DATA, ROWS, TRAITS, Row, rows_like
from .examples import EXAMPLES as MEASURED
from .premises import Inputs, Premise, inputs

#: How many examples a law is tried on of which nobody has measured what it needs, divided over the rows
#: that share their code.
EXAMPLES = 100
#: A row is tried on no fewer, but where modules are compiled: it may have what it doesn't share.
_OF_A_ROW = 3


@dataclass(frozen=True)
class Law:
    """A property that every module with the ``traits`` has. ``sides(f, x, draw)`` returns what must be
    equal: two sides that were refused are. Where it compares nothing, it returns the refusal, which it
    allows; Nothing, with the reason; or None, where another example would have something to compare.

    ``maps`` are options of :func:`tmref.strategies.tensor_maps` for ``x``, beyond what the row says;
    ``needs`` what else it needs to say anything. ``ways`` are lines of code, of which ``f.ways`` has
    those that the implementation doesn't refuse for a plain map. Where it is ``tried``, modules of one's
    own may refuse what it does with them: nobody promised it. ``recipes`` are options of
    :func:`tmref.strategies.recipes` for ``f``. Where ``copied``, the sides are the same numbers and not
    two computations of them: no rounding excuses a difference. Where ``rounded``, the law itself rounds:
    a difference may be excused where the module's arithmetic is exact, too. Where ``derived``, the sides
    are derivatives, or made of them; where ``relative``, the law divides what it compares, so that
    rounding is that of the sides, whatever the input is. What is known of classes by the law
    ``known_as`` is known by this one, too. A law of data is about no module of the catalog: its ``x`` is
    drawn from ``given``, where there is one. ``examples`` is how many it is tried on, divided over the
    rows that share their code. Where the order of what comes back is nobody's promise, scripts expect it
    ``as_it_came``: they can't say without tmref what is the same in another.
    """

    sides: Callable[..., Any]
    traits: frozenset[str]
    maps: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[Premise, ...] = ()
    ways: tuple[str, ...] = ()
    tried: bool = False
    recipes: Mapping[str, Any] = field(default_factory=dict)
    copied: bool = False
    rounded: bool = False
    examples: int = EXAMPLES
    of_data: bool = False
    derived: bool = False
    relative: bool = False
    given: st.SearchStrategy[Any] | None = None
    known_as: str = ""
    as_it_came: bool = False

    @property
    def name(self) -> str:
        """The law as a sentence, with underscores."""
        return self.sides.__name__

    @property
    def family(self) -> str:
        """The family it belongs to: the file that it is in."""
        return self.sides.__module__.rpartition(".")[2]

    @property
    def demand(self) -> str:
        """What it demands, and its source: the docstring."""
        return " ".join((self.sides.__doc__ or "").split())

    def applies_to(self, row: Row) -> bool:
        """Whether the row has the traits that the law is about, and is what it needs."""
        if not all(premise.rows(row) for premise in self.needs):
            return False
        return self.of_data == row.is_data and self.traits <= row.traits

    def examples_on(self, row: Row, effort: float = 1, rows: Sequence[Row] = ROWS) -> int:
        """How many examples it is tried on for this row: its share, among ``rows``, but no fewer than
        few, times the effort, at least one. Raises ValueError where the effort is no number above 0."""
        if isinstance(effort, bool) or not isinstance(effort, (int, float)) or not 0 < effort < inf:
            raise ValueError(f"effort must be a number above 0, got {effort!r}")
        share = [like for like in rows_like(row, rows) if self.applies_to(like)]
        least = 1 if self.family == "transforms" else min(self.examples, _OF_A_ROW)
        return max(1, ceil(max(self.examples / max(1, len(share)), least) * effort))

    def inputs(self, row: Row) -> Inputs:
        """The maps that the row takes and the law is about: what ``x`` is drawn from, unless it is
        ``given``."""
        return inputs(row, self.maps)


def law(
    *traits: str,
    maps: Mapping[str, Any] | None = None,
    needs: Sequence[Premise] = (),
    ways: Sequence[str] = (),
    tried: bool = False,
    recipes: Mapping[str, Any] | None = None,
    copied: bool = False,
    rounded: bool = False,
    derived: bool = False,
    relative: bool = False,
    known_as: str = "",
    examples: int | None = None,
) -> Callable[[Callable[..., Any]], Law]:
    """Make a function a law on modules with these traits, for maps and recipes of these options, that is
    tried on so many ``examples``; on as many as it needs, where that has been measured.

    Unless ``maps`` say something else, maps have at least one block.
    """
    unknown = set(traits) - set(TRAITS)
    if unknown:
        raise ValueError(f"no trait {sorted(unknown)}, there are {list(TRAITS)}")
    options = {"min_blocks": 1, **(maps or {})}
    how: dict[str, Any] = {
        "recipes": recipes or {},
        "copied": copied,
        "rounded": rounded,
        "derived": derived,
        "relative": relative,
        "known_as": known_as,
    }
    premises: dict[str, Any] = {"needs": tuple(needs), "ways": tuple(ways), "tried": tried}
    return lambda sides: Law(
        sides, frozenset(traits), options, **premises, **how, examples=_number(examples, sides)
    )


def _number(examples: int | None, sides: Callable[..., Any]) -> int:
    return MEASURED.get(sides.__name__, EXAMPLES) if examples is None else examples


def data_law(
    kind: str,
    given: st.SearchStrategy[Any] | None = None,
    *,
    maps: Mapping[str, Any] | None = None,
    ways: Sequence[str] = (),
    as_it_came: bool = False,
    rounded: bool = False,
    examples: int | None = None,
) -> Callable[[Callable[..., Any]], Law]:
    """Make a function a law on a kind of data, one of :data:`tmref.catalog.DATA`: no module of the
    catalog is made. Its ``x`` is drawn from ``given``, or is a map of the options ``maps``. Where it is
    ``rounded``, what is compared is computed, and rounding excuses a difference.
    """
    kinds = [row.name for row in DATA]
    if kind not in kinds:
        raise ValueError(f"no kind of data {kind!r}, there are {kinds}")
    how: dict[str, Any] = {"ways": tuple(ways), "given": given, "of_data": True}
    how |= {"copied": not rounded, "rounded": rounded, "as_it_came": as_it_came}
    return lambda sides: Law(
        sides, frozenset({kind}), maps or {}, **how, examples=_number(examples, sides)
    )
