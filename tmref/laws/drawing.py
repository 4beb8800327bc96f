"""How examples are drawn: by which settings of Hypothesis, and plain ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any
from unittest import SkipTest

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.database import ExampleDatabase

from .. import strategies
from ..catalog import Recipe, Row
from ..implementations import Example, Implementation
from ..strategies._internals import drawn
from ..strategies._settings import settings_of_our_own
from ..tensor_map import TensorMap
from .law import Law
from .premises import is_plain
from .subject import OwnRow, own_recipes

Recipes = Callable[..., "st.SearchStrategy[Recipe]"]


def recipes_of_row(
    implementation: Implementation, row: Row, x: TensorMap, **options: Any
) -> st.SearchStrategy[Recipe]:
    """How the row's modules are made for a map: those of the catalog by its ``options``."""
    if isinstance(row, OwnRow):
        return own_recipes(row, x, implementation)
    return strategies.recipes(row, x, **options)


def drawing_settings(
    examples: int,
    database: ExampleDatabase | None,
    shrink: bool,
    only_what_is_kept: bool = False,
    **changes: Any,
) -> settings:
    """Those for so many examples, drawn or, where only these are wanted, kept in the database."""
    return settings_of_our_own(
        max_examples=examples,
        database=database,
        phases=[
            Phase.reuse if only_what_is_kept else Phase.generate,
            *([Phase.shrink] if shrink else []),
        ],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        **changes,
    )


class Enough(SkipTest):
    """An example compared something, and one is enough."""


def plain_example(law: Law, row: Row, recipes: Recipes) -> Example:
    """A map of the law's inputs with nothing empty, where there is one, and a recipe for it."""
    found: list[Example] = []

    @seed(0)
    @settings(drawing_settings(20, None, shrink=False), phases=[Phase.generate])
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        x = drawn(data, law.inputs(row).maps())
        found.append(Example(drawn(data, recipes(row, x, **law.recipes)), x, {}))
        if is_plain(x):
            raise Enough("one is enough")

    with contextlib.suppress(Enough):
        draw()
    return found[-1] if is_plain(found[-1].x) else found[0]
