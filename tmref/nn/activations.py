"""Activations: a function of every value by itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..labels import Labels
from ._arguments import checked_keys
from .module_map import ModuleMap, OfModuleMap


class _Activation(OfModuleMap):
    """One activation of torch's for every key. Raises as :class:`ModuleMap` does."""

    def __init__(
        self,
        activation: torch.nn.Module,
        in_keys: Labels,
        out_properties: Sequence[Labels] | None,
    ) -> None:
        super().__init__()
        checked_keys(in_keys)
        self.module_map = ModuleMap.from_module(in_keys, activation, out_properties)


class ReLU(_Activation):
    """y = max(x, 0), value by value.

    Shapes stay; the properties are ``out_properties``, without them one dimension ``_`` counting from
    0. ``in_place`` overwrites the values of the input, and explicit gradients are refused then.
    Raises TypeError or ValueError for arguments that don't fit each other; the forward raises as
    :class:`ModuleMap`'s does.

    Source: the documentation of ``metatensor.learn.nn.ReLU`` and of ``torch.nn.ReLU``.
    """

    def __init__(
        self,
        in_keys: Labels,
        out_properties: Sequence[Labels] | None = None,
        *,
        in_place: bool = False,
    ) -> None:
        super().__init__(torch.nn.ReLU(in_place), in_keys, out_properties)


class SiLU(_Activation):
    """y = x / (1 + exp(-x)), value by value.

    Shapes, properties, ``in_place`` and errors as for :class:`ReLU`.

    Source: the documentation of ``metatensor.learn.nn.SiLU`` and of ``torch.nn.SiLU``.
    """

    def __init__(
        self,
        in_keys: Labels,
        out_properties: Sequence[Labels] | None = None,
        *,
        in_place: bool = False,
    ) -> None:
        super().__init__(torch.nn.SiLU(in_place), in_keys, out_properties)


class Tanh(_Activation):
    """y = tanh(x), value by value.

    Shapes, properties and errors as for :class:`ReLU`.

    Source: the documentation of ``metatensor.learn.nn.Tanh`` and of ``torch.nn.Tanh``.
    """

    def __init__(self, in_keys: Labels, out_properties: Sequence[Labels] | None = None) -> None:
        super().__init__(torch.nn.Tanh(), in_keys, out_properties)
