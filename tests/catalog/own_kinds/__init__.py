"""An implementation that has GELU and RMSNorm beside what the reference has, and rows of them."""

from types import SimpleNamespace

import torch

import tmref.nn
from tmref import Labels
from tmref.implementations.reference import Reference

from . import gelu, rms_norm


class GELU(tmref.nn.Module):
    """torch.nn.GELU for every key."""

    def __init__(self, in_keys, out_properties=None, *, approximate="none"):
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f"approximate must be 'none' or 'tanh', got {approximate!r}")
        modules = [_per_sample(torch.nn.GELU(approximate)) for _ in _checked(in_keys)]
        self.module_map = tmref.nn.ModuleMap(in_keys, modules, out_properties)

    def forward(self, tensor):
        return self.module_map(tensor)


class RMSNorm(tmref.nn.Module):
    """torch.nn.RMSNorm for every key."""

    def __init__(
        self,
        in_keys,
        in_features,
        out_properties=None,
        *,
        eps=1e-5,
        elementwise_affine=True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        given = {"in_features": (in_features, int), "eps": (eps, float)}
        given["elementwise_affine"] = elementwise_affine, bool
        features, epsilons, affine = (_each(*of, len(_checked(in_keys))) for of in given.values())
        modules = [
            _per_sample(_RMSNorm(n, e, a, device=device, dtype=dtype))
            for n, e, a in zip(features, epsilons, affine, strict=True)
        ]
        self.module_map = tmref.nn.ModuleMap(in_keys, modules, out_properties)

    def forward(self, tensor):
        return self.module_map(tensor)


class _RMSNorm(torch.nn.RMSNorm):
    """torch's, but values of another dtype than the weight's are refused, as its other norms do."""

    def forward(self, x):
        if self.weight is not None and self.weight.dtype != x.dtype and not torch.is_autocast_enabled():
            raise ValueError(f"the weight is of {self.weight.dtype}, and the values are of {x.dtype}")
        return super().forward(x)


def _per_sample(module):
    module.per_sample = True
    return module


def _checked(in_keys):
    if not isinstance(in_keys, Labels):
        raise TypeError(f"in_keys must be Labels, got {type(in_keys).__name__}")
    return in_keys


def _each(value, kind, count):
    """One value for each key, of its type, and no negative one."""
    values = value if isinstance(value, list) else [value] * count
    if len(values) != count:
        raise ValueError(f"there must be one value for each of {count} keys, got {len(values)}")
    for item in [*values, *([] if isinstance(value, list) else [value])]:
        if type(item) is not kind or item < 0:
            raise TypeError(f"it must be {kind.__name__}, and not negative, got {item!r}")
    return values


class OwnKinds(Reference):
    """The reference, and two modules more, of which it has two rows more."""

    name = "own-kinds"
    nn = SimpleNamespace(**vars(tmref.nn), GELU=GELU, RMSNorm=RMSNorm)
    imports = ("import torch", "from own_kinds import *")
    rows = (*Reference.rows, *gelu.ROWS, *rms_norm.ROWS)


implementation = OwnKinds()
