"""The lines of code that laws run, for the scripts that show a failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy
import torch

from ..tensor_map import TensorMap

#: What the code of a law may use without importing it, and a script imports where it uses it.
IMPORTS = (
    *("copy", "gc", "hypothesis", "io", "os", "pickle", "random", "sys", "tempfile", "threading"),
    *("time", "warnings", "weakref"),
)
#: What the code of a law may use without importing it; scripts import what of it they use.
MODULES: Mapping[str, Any] = {
    "torch": torch,
    "np": numpy,
    **{name: import_module(name) for name in IMPORTS},
}


@dataclass(frozen=True)
class Step:
    """A line of code that a law ran, for the script that shows a failure.

    ``given`` is what names stood for it was given just before, ``name`` the one of its ``result``;
    ``after`` is what became of its x. Where it ``may_be_refused``, an exception would not have broken
    the law; where it only ``looks``, nothing changes without it.
    """

    code: str
    given: Mapping[str, Any]
    name: str
    result: Any
    after: Any = None
    cotangents: TensorMap | None = None
    may_be_refused: bool = False
    looks: bool = False
    #: What the values of the result were then.
    then: Any = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "then", _tensors(self.result))

    @property
    def has_changed(self) -> bool:
        """Whether something that was done later has changed the result."""
        return bool(self.then != _tensors(self.result))

    @property
    def ran(self) -> bool:
        """Whether it is a line, and not what only has a name: a module that was made, or parameters."""
        return self.code != self.name


def _tensors(result: Any) -> list[tuple[int, int]]:
    """Which tensors are the values of a map, and how often each was written to."""
    blocks = list(result) if isinstance(result, TensorMap) else []
    values = [part.values for b in blocks for part in (b, *(g for _, g in b.gradients()))]
    return [(id(v), 0 if v.is_inference() else v._version) for v in values]


#: The calls that make what is called in another way than with a map alone.
OF_ONES_OWN = ("Called", "Function")
#: The line that calls the module.
CALL = "y = module(x)"
