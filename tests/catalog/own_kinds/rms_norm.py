"""RMSNorm as a kind: all that tmref is told of it."""

import torch

from tmref.catalog import Layer, call_of, module_row


class RMSNormTwin(torch.nn.Module):
    """y = x / √(mean(x²) + eps) · w, written out: the mean over the properties."""

    def __init__(self, features, *, eps=1e-5, elementwise_affine=True, dtype=None):
        super().__init__()
        self.eps = eps
        ones = torch.ones(features, dtype=dtype)
        self.weight = torch.nn.Parameter(ones) if elementwise_affine else None

    def root(self, x):
        return (x.square().mean(-1, keepdim=True) + self.eps).sqrt()

    def forward(self, x):
        y = x / self.root(x)
        return y if self.weight is None else y * self.weight


class RMSNorm(Layer):
    """Every sample and component divided by the root of the mean square of its properties."""

    sized = True
    shared = {"eps": (0.5, 2.0), "elementwise_affine": (True, False)}  # noqa: RUF012
    typed = dict.fromkeys(shared, "[torch] RMSNorm: eps is a float, elementwise_affine a bool")

    def plain(self, before, after, dtype, invariant):
        return call_of(RMSNormTwin, before, **self.options, dtype=dtype)

    def parameter_shapes(self, before, after, invariant=True):
        return ((before,),) if self.options.get("elementwise_affine", True) else ()

    def bounds(self, module, x, terms, least=0.0):
        found = terms.clamp(min=least).amax(-1, keepdim=True) if x.numel() else terms
        found = found / module.root(x) * (1 + (x / module.root(x)).abs())
        if module.weight is not None:
            found = found * module.weight.detach().abs().clamp(min=least)
        return [found]


ROWS = (module_row("rms_norm", RMSNorm("RMSNorm"), "seeded", "sized"),)
