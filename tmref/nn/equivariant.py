"""Any function of invariants, in a form that keeps covariant blocks covariant."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..labels import Labels
from ._arguments import (
    check_modules,
    checked_properties,
    out_sizes,
    sizes_per_key,
    which_are_invariant,
)
from .covariant import CovariantTransform
from .module_map import Delegating, ModuleMap


class EquivariantTransformation(Delegating):
    """y[k] = f[k](x[k]) for invariant keys k, y[k] = f[k](‖x[k]‖) · x[k] for covariant ones.

    The norm is over the components, for every sample and property: it doesn't rotate, so neither
    does what is made of it. ``modules`` have one f for each of ``in_keys``, a module on values of the
    shape ``(samples, 1, ..., in_features)`` that keeps it. ``invariant_keys`` select the invariant
    ones of ``in_keys``; without them, those of ``o3_lambda`` 0 and ``o3_sigma`` 1. The parameters of
    f are ``module_map.module_list.<i>.<name>`` for invariant keys, and
    ``module_map.module_list.<i>.module.<name>`` for covariant ones. ``out_features`` may be left out;
    the properties are ``out_properties``, without them one dimension ``_`` counting from 0.

    At zero the norm has no derivative; it is taken to be 0 in all orders, as torch takes the first.

    Raises TypeError or ValueError for arguments that don't fit each other; the forward raises as
    :class:`ModuleMap`'s does, and ValueError for covariant blocks without components or an f that
    changes the shape.

    Source: the documentation of ``metatensor.learn.nn.EquivariantTransformation``.
    """

    def __init__(
        self,
        modules: Sequence[torch.nn.Module],
        in_keys: Labels,
        in_features: int | Sequence[int],
        out_features: int | Sequence[int] | None = None,
        out_properties: Sequence[Labels] | None = None,
        invariant_keys: Labels | None = None,
    ) -> None:
        super().__init__()
        invariant = which_are_invariant(in_keys, invariant_keys)
        sizes_per_key("in_features", in_features, in_keys)
        properties = checked_properties(out_properties, in_keys)
        if out_features is not None:
            out_sizes(out_features, properties, in_keys)
        check_modules(modules, in_keys)
        self.module_map = ModuleMap(
            in_keys,
            [
                module if is_invariant else CovariantTransform(module)
                for is_invariant, module in zip(invariant, modules, strict=True)
            ],
            properties,
        )
