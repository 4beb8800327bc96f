"""Explicit gradients through a module, by the chain rule."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable

import torch

from ..block import TensorBlock
from ..moves import attach
from ..tensor_map import TensorMap
from .covariant import CovariantTransform
from .hooks import has_hooks

#: Modules of torch that are known to be deterministic functions of each sample by itself.
_PER_SAMPLE = (
    torch.nn.Identity,
    torch.nn.Linear,
    torch.nn.ReLU,
    torch.nn.SiLU,
    torch.nn.Tanh,
)


def why_no_gradients(module: torch.nn.Module) -> str | None:
    """The reason why explicit gradients can't go through ``module``, or None where they can.

    They can where the module is a deterministic function of each sample by itself, changes nothing
    in place, and can be called a second time without anybody noticing. That is known of torch's
    Identity, Linear, ReLU, SiLU and Tanh, in exactly these types, and of what torch.nn.Sequential and
    :class:`CovariantTransform` make of them; any other module says it of itself by an attribute
    ``per_sample = True``.
    """
    for part in module.modules():
        if has_hooks(part):
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


def check_gradients(modules: Iterable[torch.nn.Module], tensor: TensorMap) -> None:
    """Raise ValueError where a block has gradients that can't go through its module."""
    if not _has_gradients(tensor):
        return
    for module, (key, block) in zip(modules, tensor.items(), strict=True):
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


def push_gradients(
    modules: Iterable[torch.nn.Module], tensor: TensorMap, output: TensorMap
) -> TensorMap:
    """The new map ``output`` with what the modules make of the gradients of ``tensor``."""
    if _has_gradients(tensor):
        for module, block, result in zip(modules, tensor, output, strict=True):
            push_through(module, block, result)
    return output


def push_through(module: torch.nn.Module, block: TensorBlock, result: TensorBlock) -> None:
    """Add to ``result`` what the module makes of the gradients of ``block``."""
    for parameter, gradient in block.gradients():
        values = push_forward(module, block, gradient)
        labels = gradient._samples, gradient._components, result._properties
        attach(result, parameter, TensorBlock._unchecked(values, *labels))


def _has_gradients(tensor: TensorMap) -> bool:
    """Whether the blocks have gradients, of which all have the same."""
    return len(tensor._blocks) > 0 and tensor._blocks[0].has_any_gradient()


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
