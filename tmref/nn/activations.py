"""Activations: a function of every value by itself, in all blocks or in the invariant ones."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from ..labels import Labels
from ._arguments import which_are_invariant
from .module_map import Delegating, ModuleMap


class _Activation(Delegating):
    """One activation of torch's for every key. Raises as :class:`ModuleMap` does."""

    def __init__(
        self,
        activation: torch.nn.Module,
        in_keys: Labels,
        out_properties: Sequence[Labels] | None,
    ) -> None:
        super().__init__()
        self.module_map = ModuleMap.from_module(in_keys, activation, out_properties)


class _InvariantActivation(Delegating):
    """One activation of torch's for every invariant key, the identity for the others."""

    def __init__(
        self,
        activation: torch.nn.Module,
        in_keys: Labels,
        out_properties: Sequence[Labels] | None,
        invariant_keys: Labels | None,
    ) -> None:
        super().__init__()
        modules = [
            copy.deepcopy(activation) if is_invariant else torch.nn.Identity()
            for is_invariant in which_are_invariant(in_keys, invariant_keys)
        ]
        self.module_map = ModuleMap(in_keys, modules, out_properties)


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


class InvariantReLU(_InvariantActivation):
    """y = max(x, 0), value by value, for invariant keys; y = x for covariant ones.

    ``invariant_keys`` select the invariant ones of ``in_keys``; without them, those of ``o3_lambda`` 0
    and ``o3_sigma`` 1. Shapes, properties, ``in_place`` and errors as for :class:`ReLU`; raises
    ValueError where ``in_keys`` haven't the dimensions of ``invariant_keys``, too.

    Source: the documentation of ``metatensor.learn.nn.InvariantReLU``.
    """

    def __init__(
        self,
        in_keys: Labels,
        out_properties: Sequence[Labels] | None = None,
        invariant_keys: Labels | None = None,
        *,
        in_place: bool = False,
    ) -> None:
        super().__init__(torch.nn.ReLU(in_place), in_keys, out_properties, invariant_keys)


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


class InvariantSiLU(_InvariantActivation):
    """y = x / (1 + exp(-x)), value by value, for invariant keys; y = x for covariant ones.

    Shapes, properties, ``invariant_keys``, ``in_place`` and errors as for :class:`InvariantReLU`.

    Source: the documentation of ``metatensor.learn.nn.InvariantSiLU``.
    """

    def __init__(
        self,
        in_keys: Labels,
        out_properties: Sequence[Labels] | None = None,
        invariant_keys: Labels | None = None,
        *,
        in_place: bool = False,
    ) -> None:
        super().__init__(torch.nn.SiLU(in_place), in_keys, out_properties, invariant_keys)


class Tanh(_Activation):
    """y = tanh(x), value by value.

    Shapes, properties and errors as for :class:`ReLU`.

    Source: the documentation of ``metatensor.learn.nn.Tanh`` and of ``torch.nn.Tanh``.
    """

    def __init__(self, in_keys: Labels, out_properties: Sequence[Labels] | None = None) -> None:
        super().__init__(torch.nn.Tanh(), in_keys, out_properties)


class InvariantTanh(_InvariantActivation):
    """y = tanh(x), value by value, for invariant keys; y = x for covariant ones.

    Shapes, properties, ``invariant_keys`` and errors as for :class:`InvariantReLU`.

    Source: the documentation of ``metatensor.learn.nn.InvariantTanh``.
    """

    def __init__(
        self,
        in_keys: Labels,
        out_properties: Sequence[Labels] | None = None,
        invariant_keys: Labels | None = None,
    ) -> None:
        super().__init__(torch.nn.Tanh(), in_keys, out_properties, invariant_keys)
