"""What a law can be tried on: where its premises hold, and by which of its ways."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..catalog import Recipe, Row
from ..compare import Refused
from ..implementations import Implementation
from .drawing import Recipes, plain_example
from .errors import in_words
from .law import Law
from .outcomes import AllRefused, NotOffered, Raised
from .premises import is_written, plain_data
from .session import ModuleSession, Session


def require(law: Law, implementation: Implementation, row: Row, recipe: Recipe | None) -> None:
    """Raise NotOffered where a premise of the law doesn't hold."""
    for premise in law.needs:
        why_not = premise.why_not(implementation, row, recipe)
        if why_not is not None:
            raise NotOffered(why_not)


def offered_ways(law: Law, row: Row, implementation: Implementation, recipes: Recipes) -> Sequence[str]:
    """The ways of the law that are not refused for a plain map. Raises AllRefused where all are."""
    if not law.ways or (is_written(row) and any(premise.claimed for premise in law.needs)):
        return law.ways
    if law.of_data:
        x = plain_data()[row.module]
        return _offered(law, lambda: Session(implementation), x)
    plain = plain_example(law, row, recipes)
    assert plain.recipe is not None
    made = functools.partial(ModuleSession, implementation, plain.recipe)
    try:
        made()
    except Raised:
        return law.ways  # the law will meet it again, and say so
    return _offered(law, made, plain.x)


def _offered(law: Law, made: Callable[[], Session], x: Any) -> Sequence[str]:
    tried = {way: _tried(made(), way, x) for way in law.ways}
    found = [way for way, result in tried.items() if not isinstance(result, Refused)]
    if not found:
        first = in_words(next(iter(tried.values())).error)
        raise AllRefused(f"no way is offered: {first} (for {law.ways[0]!r}, of {len(tried)})")
    return found


def _tried(session: Session, way: str, x: Any) -> Any:
    """What a way gives, or Refused: what can't be read is none that is offered."""
    try:
        return session.attempt_to_run(way, x=x)
    except Raised as raised:
        error = raised.__cause__
        return Refused(error if isinstance(error, Exception) else None)
