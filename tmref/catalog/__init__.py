"""The catalog: a row for every module and option that is judged, its twin in plain torch, its traits."""

from .calls import Call, Deferred, make_torch, set_parameters
from .layers import ArgumentStyle, Layer
from .recipes import Recipe, invariances, recipe
from .rows import DATA, ROWS, Row, row, rows_like
from .traits import TRAITS

__all__ = [
    "DATA",
    "ROWS",
    "TRAITS",
    "ArgumentStyle",
    "Call",
    "Deferred",
    "Layer",
    "Recipe",
    "Row",
    "invariances",
    "make_torch",
    "recipe",
    "row",
    "rows_like",
    "set_parameters",
]
