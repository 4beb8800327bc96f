"""Modules of one's own: how one is made for a map, and its twin in plain torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import strategies as st

from ..block import TensorBlock
from ..catalog import Call, Recipe, Row, set_parameters
from ..implementations import Implementation
from ..labels import LabelsEntry
from ..strategies import array_values
from ..tensor_map import TensorMap
from .twin import quiet

#: What makes the plain torch module of one block.
Twins = Callable[[LabelsEntry, TensorBlock], torch.nn.Module]


@dataclass(frozen=True)
class _Twin:
    """The plain torch module of one block, with parameters of its own or the initial ones."""

    make: Twins
    key: LabelsEntry
    block: TensorBlock
    parameters: tuple[torch.Tensor, ...] | None = None

    def __call__(self) -> torch.nn.Module:
        module = self.make(self.key, self.block)
        if self.parameters is not None:
            set_parameters(list(module.parameters()), self.parameters)
        return module

    def with_initial_parameters(self) -> _Twin:
        return dataclasses.replace(self, parameters=None)


@st.composite
def own_recipes(
    draw: st.DrawFn, row: Row, x: TensorMap, implementation: Implementation, twin: Twins | None
) -> Recipe:
    """The one way to make the module, with drawn parameters."""
    call = Call("build", (x,))
    twins = None if twin is None else tuple(_Twin(twin, key, block) for key, block in x.items())
    try:
        with quiet():
            modules = [implementation.make(call)] if twins is None else [make() for make in twins]
            made = [list(module.parameters()) for module in modules]
            sizes = [p.numel() for of_key in made for p in of_key]
    except Exception:
        return Recipe(row, call, x.keys, twins, None)  # the law will meet it again, and say so
    numbers = draw(array_values(shapes=st.just((sum(sizes),)), dtypes=st.just(x.dtype)))
    pieces = iter(numbers.split(sizes)) if sizes else iter(())
    values = [tuple(next(pieces).reshape(p.shape).clone() for p in of_key) for of_key in made]
    call = dataclasses.replace(call, parameters=tuple(v for of_key in values for v in of_key))
    if twins is None:
        return Recipe(row, call, x.keys, None, None)
    with_values = (dataclasses.replace(t, parameters=v) for t, v in zip(twins, values, strict=True))
    return Recipe(row, call, x.keys, tuple(with_values), None)
