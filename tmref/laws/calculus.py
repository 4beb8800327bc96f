"""Laws of calculus: explicit gradients."""

from __future__ import annotations

from typing import Any

import torch

from ..block import TensorBlock
from ..compare import Refused
from ..labels import Labels
from ..tensor_map import TensorMap
from .law import law
from .subject import Subject


@law("per_block", "per_sample", maps={"max_gradients": 2})
def explicit_gradients_are_refused_or_right_by_the_chain_rule(f: Subject, x: Any, draw: Any) -> Any:
    """A map with explicit gradients is refused, or the gradients of the output are the derivatives of
    its values: at every sample, the module's Jacobian (by autograd) times the gradient of the input.
    [maths] the chain rule."""
    y = f.attempt(x)
    if isinstance(y, Refused):
        return None
    blocks = [TensorBlock(b.values, b.samples, b.components, b.properties) for b in y]
    for parameter in x.block(0).gradients_list():
        gradients = [block.gradient(parameter) for block in x]
        for out, gradient, pushed in zip(
            blocks, gradients, _pushed_forward(f, x, gradients), strict=True
        ):
            shape = (*gradient.shape[:-1], len(out.properties))
            labels = gradient.samples, gradient.components, out.properties
            out.add_gradient(parameter, TensorBlock(pushed.reshape(shape), *labels))
    return y, TensorMap(y.keys, blocks)


def _pushed_forward(f: Subject, x: TensorMap, gradients: list[TensorBlock]) -> list[torch.Tensor]:
    """The module's Jacobian times every row of the gradients, a sample of its own for each.

    A vector times the Jacobian is linear in the vector, so that differentiating by the vector gives
    the Jacobian times another: it takes autograd alone.
    """
    inputs, tangents = [], []
    for block, gradient in zip(x, gradients, strict=True):
        directions = gradient.shape[1 : gradient.values.dim() - block.values.dim() + 1].numel()
        rows = gradient.samples.values[:, 0].to(torch.int64).repeat_interleave(directions)
        values = block.values.detach()[rows].requires_grad_()
        samples = Labels.range("sample", len(rows)).to(block.device)
        inputs.append(TensorBlock(values, samples, block.components, block.properties))
        tangents.append(gradient.values.reshape(values.shape))
    outputs = [block.values for block in f(TensorMap(x.keys, inputs))]
    pushed = []
    for block, y, tangent in zip(inputs, outputs, tangents, strict=True):
        vector = torch.zeros_like(y).requires_grad_()
        (product,) = torch.autograd.grad(
            y, block.values, vector, create_graph=True, retain_graph=True, materialize_grads=True
        )
        if not product.requires_grad:
            pushed.append(torch.zeros_like(y))
            continue
        (jacobian_times_tangent,) = torch.autograd.grad(
            product, vector, tangent, retain_graph=True, materialize_grads=True
        )
        pushed.append(jacobian_times_tangent)
    return pushed
