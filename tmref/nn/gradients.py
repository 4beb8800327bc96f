"""Explicit gradients through a module, by the chain rule."""

from __future__ import annotations

import functools
import warnings

import torch

from ..block import TensorBlock
from .covariant import CovariantTransform

#: torch's modules that are deterministic functions of each sample by itself.
_PER_SAMPLE = (
    torch.nn.Identity,
    torch.nn.Linear,
    torch.nn.ReLU,
    torch.nn.SiLU,
    torch.nn.Tanh,
)

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def why_no_gradients(module: torch.nn.Module) -> str | None:
    """The reason why explicit gradients can't go through ``module``, or None where they can.

    They can where the module is a deterministic function of each sample by itself, changes nothing
    in place, and can be called a second time without anybody noticing. That is known of torch's own
    modules in exactly their types, and of modules composed of them by torch.nn.Sequential; any other
    module says it of itself by an attribute ``per_sample = True``.
    """
    for part in module.modules():
        if any(getattr(part, hooks) for hooks in _HOOKS):
            return f"{type(part).__name__} has hooks, which would be called twice"
        if getattr(part, "inplace", False):
            return f"{type(part).__name__} changes its input in place"
    return _why_not_per_sample(module)


def _why_not_per_sample(module: torch.nn.Module) -> str | None:
    if type(module) in (torch.nn.Sequential, CovariantTransform):
        return next(filter(None, map(_why_not_per_sample, module.children())), None)
    if type(module) in _PER_SAMPLE or getattr(module, "per_sample", False) is True:
        return None
    return (
        f"{type(module).__name__} is not known to treat every sample by itself; if it does, and "
        "deterministically, say so by setting its attribute per_sample = True"
    )


def push_forward(module: torch.nn.Module, block: TensorBlock, gradient: TensorBlock) -> torch.Tensor:
    """∂f(x)/∂p = Df(x) ∂x/∂p, for every row of ``gradient`` at the sample that it belongs to.

    The axes that the gradient has beyond the block's are folded into the rows, so it takes one
    ``torch.func.jvp``. Returns values of the shape ``(*gradient.shape[:-1], out_features)``.
    """
    extra = gradient.values.dim() - block.values.dim()
    directions = gradient.shape[1 : 1 + extra].numel()
    rows = gradient.samples._tensor()[:, 0].to(block.device, torch.long, non_blocking=True)
    primal = block.values[rows].repeat_interleave(directions, dim=0)
    tangent = gradient.values.reshape(primal.shape)
    _load_jvp()
    if torch.is_inference_mode_enabled():
        # before torch 2.13, tangents are lost in inference mode
        with torch.inference_mode(False), torch.no_grad():
            pushed = torch.func.jvp(module, (primal.clone(),), (tangent.clone(),))[1]
    else:
        pushed = torch.func.jvp(module, (primal,), (tangent,))[1]
    return pushed.reshape(*gradient.shape[:-1], pushed.shape[-1])


@functools.cache
def _load_jvp() -> None:
    """Have torch load its forward derivatives, for which it uses what it deprecates itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.", category=DeprecationWarning)
        torch.func.jvp(torch.sin, (torch.zeros(1),), (torch.ones(1),))
