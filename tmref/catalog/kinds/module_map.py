"""ModuleMap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..calls import Call
from ..kind import Composite, Parts
from ..row import Row, module_row
from .activations import Activation
from .linear import Linear


@dataclass(frozen=True, repr=False)
class ModuleMap(Composite):
    """A list of torch's modules, one for each key."""

    name: str = "ModuleMap"

    keys_at: ClassVar[int | None] = 0
    modules_at: ClassVar[int | None] = 1
    says_how_many_modules: ClassVar[bool] = True

    def call(self, parts: Parts) -> Call:
        modules = [self.twin(*of_key) for of_key in parts.ordered(parts.of_keys(), parts.in_keys)]
        return Call(self.name, (parts.in_keys, modules), parts.given(parts.in_keys, by_invariance=False))


ROWS: tuple[Row, ...] = (
    module_row("module_map_linear", ModuleMap(of=(Linear("Linear"),)), "linear"),
    module_row("module_map_tanh", ModuleMap(of=(Activation("Tanh"),)), "pointwise"),
    module_row("module_map_mlp", ModuleMap(of=(Linear("Linear"), Activation("SiLU"), Linear("Linear")))),
)
