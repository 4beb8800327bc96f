"""ModuleMap: one torch module for every key."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from ..labels import Labels
from ..printing import type_of
from ..tensor_map import TensorMap
from ._arguments import check_modules, checked_keys, checked_properties
from .gradients import check_gradients, push_gradients
from .labelled import labelled
from .module import Module, submodule


class ModuleMap(Module):
    """y[k] = modules[k](x[k]) for every key k of the map.

    Blocks find their module by the named values of their key, in whatever order; a map may have
    fewer keys than the module. The values of a block have the shape ``(samples, *components,
    in_features)``; a module may change the last size only. Samples, components and keys are kept;
    the properties are ``out_properties[k]``, without them one dimension ``_`` counting from 0.
    Explicit gradients are transformed by the chain rule.

    Raises TypeError or ValueError for arguments that don't fit each other. The forward raises
    TypeError for what is no map, and ValueError for a block with another key, where a module returns
    another shape than it may, another dtype than the others or another number of properties than are
    given, and where a block has gradients that can't go through its module
    (:mod:`tmref.nn.gradients`).

    Source: the documentation of ``metatensor.learn.nn.ModuleMap``.
    """

    _in_keys: Labels
    _out_properties: list[Labels] | None
    module_list = submodule("module_list")

    def __init__(
        self,
        in_keys: Labels,
        modules: Sequence[torch.nn.Module],
        out_properties: Sequence[Labels] | None = None,
    ) -> None:
        super().__init__()
        check_modules(modules, checked_keys(in_keys))
        self.register_buffer("_in_keys", in_keys)
        self.register_buffer("_out_properties", checked_properties(out_properties, in_keys))
        self.module_list = torch.nn.ModuleList(modules)

    @classmethod
    def from_module(
        cls,
        in_keys: Labels,
        module: torch.nn.Module,
        out_properties: Sequence[Labels] | None = None,
    ) -> ModuleMap:
        """A copy of ``module`` for every key. Raises as the constructor does."""
        return cls(in_keys, [copy.deepcopy(module) for _ in checked_keys(in_keys)], out_properties)

    @property
    def in_keys(self) -> Labels:
        """The keys that there is a module for."""
        return self._in_keys

    @property
    def out_properties(self) -> list[Labels] | None:
        """The properties of the output for every key, or None for the default."""
        return None if self._out_properties is None else list(self._out_properties)

    def forward(self, tensor: TensorMap) -> TensorMap:
        """The map of ``modules[k](x[k])``, keys in the order of ``tensor``."""
        modules, properties = self._of_blocks(tensor)
        check_gradients(modules, tensor)
        outputs = [module(block.values) for module, block in zip(modules, tensor)]  # noqa: B905, it takes time
        return push_gradients(modules, tensor, labelled(outputs, tensor, properties))

    def _of_blocks(self, tensor: TensorMap) -> tuple[Iterable[torch.nn.Module], Sequence[Labels | None]]:
        """The module of every block, and the properties of its output."""
        if not isinstance(tensor, TensorMap):
            raise TypeError(f"the input must be a TensorMap, got {type_of(tensor)}")
        properties: Sequence[Labels | None] = self._out_properties or [None] * len(self._in_keys)
        if tensor.keys == self._in_keys:
            return self.module_list, properties
        positions = self._positions(tensor.keys)
        return [self.module_list[i] for i in positions], [properties[i] for i in positions]

    def _positions(self, keys: Labels, given: str = "the map has a block") -> list[int]:
        """Where every key is in ``in_keys``. Raises ValueError where one isn't, ``given`` as it says."""
        positions = []
        for key in keys:
            position = self._in_keys.position(key)
            if position is None:
                known = ", ".join(k.print() for k in self._in_keys)
                raise ValueError(
                    f"{given} {key.print()}, but there is no module for it; "
                    f"there are modules for {known or 'no keys'}"
                )
            positions.append(position)
        return positions

    def _arranged(
        self, found: dict[str, Any], state_dict: dict[str, Any], prefix: str
    ) -> dict[str, Any]:
        """Keys stay as they are, in their order: what stands in another order in the state dict is
        brought into this one. Properties are taken where all weights can be, since they must fit."""
        keys, properties = found.get("_in_keys", self._in_keys), found.get("_out_properties")
        if not isinstance(keys, Labels):
            raise ValueError(f"_in_keys must be Labels, got {type_of(keys)}")
        if keys._names != self._in_keys._names or set(keys._entries()) != set(self._in_keys._entries()):
            raise ValueError(
                f"it is of modules for {', '.join(key.print() for key in keys) or 'no keys'}, and here "
                f"are modules for {', '.join(key.print() for key in self._in_keys) or 'no keys'}"
            )
        try:
            checked_properties(properties, keys)
        except (TypeError, ValueError) as error:
            raise ValueError(f"_{error}") from error
        order = [keys._position_of_entry()[row] for row in self._in_keys._entries()]
        _rename(state_dict, f"{prefix}module_list.", {str(j): str(i) for i, j in enumerate(order)})
        for name, own in self.module_list.state_dict(keep_vars=True).items():
            given = state_dict.get(f"{prefix}module_list.{name}")
            if isinstance(own, torch.Tensor) and not (
                isinstance(given, torch.Tensor) and (is_lazy(own) or given.shape == own.shape)
            ):
                return {}
        return {} if properties is None else {"_out_properties": [properties[i] for i in order]}


def _rename(entries: dict[str, Any], prefix: str, new: Mapping[str, str]) -> None:
    """Rename, in place, what follows ``prefix`` in the names of entries, up to the next dot."""
    renamed = {name: entries.pop(name) for name in list(entries) if name.startswith(prefix)}
    for name, value in renamed.items():
        head, dot, tail = name[len(prefix) :].partition(".")
        entries[f"{prefix}{new.get(head, head)}{dot}{tail}"] = value


class Delegating(Module):
    """A module that is what its ``module_map`` does: a subclass makes it in ``__init__``."""

    module_map = submodule("module_map")

    def forward(self, tensor: TensorMap) -> TensorMap:
        """The map that ``module_map`` makes of ``tensor``."""
        return self.module_map(tensor)
