"""The catalog: a row for every module and option that is judged, its twin in plain torch, its traits."""

from .calls import Call, Deferred, call_of, make_torch, set_parameters
from .kind import ArgumentStyle, Composite, Kind, Layer, with_options
from .recipes import INVARIANT, Recipe, invariances, recipe
from .row import OF_ONE_WIDTH, SPHERICAL, Row, module_row
from .rows import DATA, ROWS, row, rows_like
from .traits import CONCESSIONS, OF_NAMES, TRAITS, Trait, aggregates, with_implied

__all__ = [
    "CONCESSIONS",
    "DATA",
    "INVARIANT",
    "OF_NAMES",
    "OF_ONE_WIDTH",
    "ROWS",
    "SPHERICAL",
    "TRAITS",
    "ArgumentStyle",
    "Call",
    "Composite",
    "Deferred",
    "Kind",
    "Layer",
    "Recipe",
    "Row",
    "Trait",
    "aggregates",
    "call_of",
    "invariances",
    "make_torch",
    "module_row",
    "recipe",
    "row",
    "rows_like",
    "set_parameters",
    "with_implied",
    "with_options",
]
