"""ModuleMap: one torch module for every key."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence

import torch

from ..block import TensorBlock
from ..labels import Labels, LabelsEntry
from ..tensor_map import TensorMap
from ._arguments import checked_keys, checked_properties
from .gradients import push_forward, why_no_gradients


class ModuleMap(torch.nn.Module):
    """y[k] = modules[k](x[k]) for every key k of the map.

    Blocks find their module by the named values of their key, in whatever order; a map may have
    fewer keys than the module. The values of a block have the shape ``(samples, *components,
    in_features)``; a module may change the last size only. Samples, components and keys are kept;
    the properties are ``out_properties[k]``, without them one dimension ``_`` counting from 0.
    Explicit gradients are transformed by the chain rule.

    Raises TypeError or ValueError for arguments that don't fit each other. The forward raises
    ValueError for a block with another key, where a module returns another shape than it may, and
    where a block has gradients that can't go through its module (:mod:`tmref.nn.gradients`).

    Source: the documentation of ``metatensor.learn.nn.ModuleMap``.
    """

    def __init__(
        self,
        in_keys: Labels,
        modules: Sequence[torch.nn.Module],
        out_properties: Sequence[Labels] | None = None,
    ) -> None:
        super().__init__()
        self._in_keys = checked_keys(in_keys)
        if not isinstance(modules, (list, tuple, torch.nn.ModuleList)):
            raise TypeError(f"modules must be a list of torch.nn.Module, got {type(modules).__name__}")
        for module in modules:
            if not isinstance(module, torch.nn.Module):
                raise TypeError(
                    f"modules must be a list of torch.nn.Module, got {type(module).__name__} in it"
                )
        if len(modules) != len(in_keys):
            raise ValueError(
                f"modules must have one module for each of the {len(in_keys)} keys, got {len(modules)}"
            )
        self._out_properties = checked_properties(out_properties, in_keys)
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
        if not isinstance(tensor, TensorMap):
            raise TypeError(f"the input must be a TensorMap, got {type(tensor).__name__}")
        pairs = list(zip(self._positions(tensor.keys), tensor, strict=True))
        for position, block in pairs:
            self._check_gradients(position, block)
        blocks = [self._forward_block(position, block) for position, block in pairs]
        return TensorMap._unchecked(tensor.keys, blocks)

    def _positions(self, keys: Labels, given: str = "the map has a block") -> Sequence[int]:
        """The module of every key. Raises ValueError for a key that has none, ``given`` as it says."""
        if keys == self._in_keys:
            return range(len(keys))
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

    def _check_gradients(self, position: int, block: TensorBlock) -> None:
        module, key = self.module_list[position], self._in_keys[position]
        for parameter, gradient in block.gradients():
            reason = why_no_gradients(module)
            if gradient.has_any_gradient():
                reason = "it has gradients itself, and gradients of gradients are not supported"
            if reason:
                raise ValueError(
                    f"the gradient with respect to {parameter!r} of the block {key.print()} can't go "
                    f"through the module: {reason}. Remove the gradients from the map, or compute "
                    "them from the output by autograd"
                )

    def _forward_block(self, position: int, block: TensorBlock) -> TensorBlock:
        module, key = self.module_list[position], self._in_keys[position]
        values = module(block.values)
        self._check_shape(values, block, key)
        properties = self._properties(position, values, key)
        out = TensorBlock._unchecked(values, block.samples, block._components, properties)
        for parameter, gradient in block.gradients():
            pushed = push_forward(module, block, gradient)
            out._gradients[parameter] = TensorBlock._unchecked(
                pushed, gradient.samples, gradient._components, properties
            )
            out._gradients[parameter]._owned = True
        return out

    def _check_shape(self, values: object, block: TensorBlock, key: LabelsEntry) -> None:
        given = tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__
        if not isinstance(values, torch.Tensor) or values.shape[:-1] != block.shape[:-1]:
            raise ValueError(
                f"the module of {key.print()} must return a tensor of the shape "
                f"({', '.join(map(str, block.shape[:-1]))}, out_features), got {given}"
            )

    def _properties(self, position: int, values: torch.Tensor, key: LabelsEntry) -> Labels:
        width = values.shape[-1]
        if self._out_properties is None:
            return _default_properties(width, values.device)
        properties = self._out_properties[position]
        if len(properties) != width:
            raise ValueError(
                f"the module of {key.print()} returned {width} properties, but its out_properties "
                f"have {len(properties)} entries"
            )
        return properties.to(values.device) if properties.device != values.device else properties


class OfModuleMap(torch.nn.Module):
    """A module that is what its ``module_map`` does: a subclass makes it in ``__init__``."""

    module_map: ModuleMap

    def forward(self, tensor: TensorMap) -> TensorMap:
        """The map that ``module_map`` makes of ``tensor``."""
        return self.module_map(tensor)


@functools.lru_cache(maxsize=256)
def _default_properties(width: int, device: torch.device) -> Labels:
    return Labels.range("_", width).to(device)
