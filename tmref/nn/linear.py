"""Linear layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..labels import Labels
from ._arguments import checked_keys, checked_properties, per_key, sizes_per_key
from .module_map import ModuleMap, OfModuleMap


class Linear(OfModuleMap):
    """y[k] = x[k] W[k]ᵀ + b[k] for every key k of the map.

    Values have the shape ``(samples, *components, in_features)`` before and ``(samples, *components,
    out_features)`` after. ``in_features``, ``out_features`` and ``bias`` are given once for all keys
    or as a list with one for each; ``out_features`` may be left out where ``out_properties`` are
    given. The parameters are those of one ``torch.nn.Linear`` for each key, initialised in the order
    of the keys, as ``module_map.module_list.<i>.weight`` and ``.bias``.

    Raises TypeError or ValueError for arguments that don't fit each other; the forward raises as
    :class:`ModuleMap`'s does.

    Source: the documentation of ``metatensor.learn.nn.Linear`` and of ``torch.nn.Linear``.
    """

    def __init__(
        self,
        in_keys: Labels,
        in_features: int | Sequence[int],
        out_features: int | Sequence[int] | None = None,
        out_properties: Sequence[Labels] | None = None,
        *,
        bias: bool | Sequence[bool] = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        checked_keys(in_keys)
        properties = checked_properties(out_properties, in_keys)
        if out_features is None:
            if properties is None:
                raise ValueError("Linear needs out_features or out_properties, got neither")
            out_features = [len(p) for p in properties]
        sizes_in = sizes_per_key("in_features", in_features, in_keys)
        sizes_out = sizes_per_key("out_features", out_features, in_keys)
        if properties is not None:
            for key, size, labels in zip(in_keys, sizes_out, properties, strict=True):
                if size != len(labels):
                    raise ValueError(
                        f"out_features is {size} for the key {key.print()}, but its out_properties "
                        f"have {len(labels)} entries; give one of them, or let them agree"
                    )
        biases = per_key("bias", bias, bool, in_keys)
        modules = [
            torch.nn.Linear(before, after, bias=b, device=device, dtype=dtype)
            for before, after, b in zip(sizes_in, sizes_out, biases, strict=True)
        ]
        self.module_map = ModuleMap(in_keys, modules, properties)
