"""Composition of modules on maps."""

from __future__ import annotations

from typing import cast

import torch

from ..labels import Labels
from ..printing import type_of
from ..tensor_map import TensorMap
from ._arguments import checked_keys
from .hooks import has_hooks
from .module import Module
from .module_map import Delegating, ModuleMap


class Sequential(Module):
    """y = f_n(... f_2(f_1(x))), for whatever modules map a TensorMap to a TensorMap.

    Layers made of a :class:`ModuleMap` are composed key by key, whatever the order of the keys that
    each was made with: the parameters are ``module_map.module_list.<i>.<layer>.<name>`` with ``i``
    counting ``in_keys``, and the properties are those of the last layer. Where some layer is another
    module, they are called one after the other (``layers.<layer>...``). Shapes are those that the layers
    make of each other's; without layers it is the identity.

    Raises TypeError where ``in_keys`` aren't labels or a layer is no module, and ValueError where one
    of the layers that are composed has no module for one of ``in_keys``; the forward raises as
    :class:`ModuleMap`'s does.

    Source: the documentation of ``metatensor.learn.nn.Sequential`` and of ``torch.nn.Sequential``.
    """

    def __init__(self, in_keys: Labels, *args: torch.nn.Module) -> None:
        super().__init__()
        checked_keys(in_keys)
        for layer in args:
            if not isinstance(layer, torch.nn.Module):
                raise TypeError(
                    "the layers of Sequential must be torch.nn.Module on TensorMaps, "
                    f"got {type(layer).__name__}"
                )
        maps = [m for m in map(_module_map, args) if m is not None]
        if args and len(maps) == len(args):
            self.module_map = _composed(in_keys, maps)
        else:
            self.layers = torch.nn.ModuleList(args)

    def forward(self, tensor: TensorMap) -> TensorMap:
        """The map that the layers make of ``tensor``, one after the other."""
        if "module_map" in self._modules:
            return self.module_map(tensor)
        if not isinstance(tensor, TensorMap):
            raise TypeError(f"the input must be a TensorMap, got {type_of(tensor)}")
        for layer in self.layers:
            tensor = layer(tensor)
        return tensor


def _module_map(layer: torch.nn.Module) -> ModuleMap | None:
    """The ModuleMap that is all there is to a layer, or None: a subclass or a hook may do more."""
    forward = type(layer).forward
    if has_hooks(layer) or "forward" in layer.__dict__:
        return None
    if forward is ModuleMap.forward:
        return cast(ModuleMap, layer)
    within = layer._modules.get("module_map")
    if forward in (Delegating.forward, Sequential.forward) and within is not None:
        return _module_map(within)
    return None


def _composed(in_keys: Labels, maps: list[ModuleMap]) -> ModuleMap:
    """One ModuleMap of ``torch.nn.Sequential``, each with the modules of one key."""
    positions = [layer._positions(in_keys, "in_keys have the entry") for layer in maps]
    modules = [
        torch.nn.Sequential(
            *(layer.module_list[where[i]] for layer, where in zip(maps, positions, strict=True))
        )
        for i in range(len(in_keys))
    ]
    properties = maps[-1].out_properties
    if properties is not None:
        properties = [properties[position] for position in positions[-1]]
    return ModuleMap(in_keys, modules, properties)
