"""What modules of one kind do to the values of their blocks, as one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from tmref.catalog import ROWS
from tmref.catalog.kinds.activations import Activation
from tmref.nn.covariant import CovariantTransform
from tmref.nn.layer_norm import _LayerNorm, normalised

from .beside import Beside, put_together, records

#: What the catalog knows of activations, by their classes in torch.nn.
ACTIVATIONS = {row.kind.of_torch: row.kind for row in ROWS if isinstance(row.kind, Activation)}

#: From so much on the third derivatives of a layer norm of zeros, eps to the power of -3.5, are finite.
_LEAST_EPS = 1e-10


class AsOne:
    """What modules of one kind make of the values of a block each.

    Blocks have the same components and properties. Those of fewer samples than others are filled up with
    zeros where the modules have parameters: every part is as large as the others then.
    """

    def __init__(self, modules: Sequence[torch.nn.Module]) -> None:
        self._has_parameters = False
        #: whether results for zeros are finite, so that gradients of zero stay zero
        self.may_be_filled = True
        self._on_all = self._one_after_the_other(modules)
        activation = ACTIVATIONS.get(type(steps(modules[0])[-1]))
        self._keeps_result = activation is not None and activation.keeps_result

    def __call__(self, values: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """The results for blocks of equally many samples."""
        return self._split(self._on_all(put_together(values)), len(values[0]))

    def of_unequal(self, values: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """The results for blocks of any numbers of samples."""
        records(values)
        counts = list(map(len, values))
        if not self._has_parameters:
            return self._split(self._on_all(torch.cat(values)), counts)
        lacking = [max(counts) - count for count in counts]
        zeros = values[0].new_zeros(sum(lacking), *values[0].shape[1:]).split_with_sizes(lacking)
        filled = [part for pair in zip(values, zeros, strict=True) for part in pair]
        sizes = [size for pair in zip(counts, lacking, strict=True) for size in pair]
        return self._split(self._on_all(torch.cat(filled)), sizes)[::2]

    def _split(self, y: torch.Tensor, sizes: Any) -> tuple[torch.Tensor, ...]:
        # What is split safely can't be changed in place afterwards. Where autograd keeps the result
        # itself, as torch does for these, nobody may change it; elsewhere it is anybody's.
        if self._keeps_result and y.requires_grad:
            return torch.split(y, sizes)
        if isinstance(sizes, int):
            return torch.unsafe_split(y, sizes)
        return torch.unsafe_split_with_sizes(y, sizes)

    def _one_after_the_other(
        self, modules: Sequence[torch.nn.Module]
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        """The function of the values of all blocks, one below the other."""
        of_steps = zip(*map(steps, modules), strict=True)
        functions = [self._on_all_of(step) for step in of_steps]

        def on_all(x: torch.Tensor) -> torch.Tensor:
            for function in functions:
                x = function(x)
            return x

        return on_all

    def _on_all_of(self, modules: Sequence[Any]) -> Callable[[torch.Tensor], torch.Tensor]:
        first: Any = modules[0]
        if isinstance(first, CovariantTransform):
            of_norms = [next(module.children()) for module in modules]
            return CovariantTransform(_Calls(self._one_after_the_other(of_norms)))
        if not isinstance(first, (torch.nn.Linear, _LayerNorm)):
            return first
        is_linear = isinstance(first, torch.nn.Linear)
        weight = Beside(modules, "weight", _transposed if is_linear else _per_block)
        bias = Beside(modules, "bias", _per_block)
        self._has_parameters = True
        if is_linear:
            return _Linears(len(modules), weight, bias)
        eps: Any = first.eps
        self.may_be_filled &= bool(eps >= _LEAST_EPS)
        return _LayerNorms(len(modules), weight, bias, first)


def steps(module: Any) -> list[Any]:
    """The modules that it calls one after the other; one that it has twice, twice."""
    if isinstance(module, torch.nn.Sequential):
        return [step for child in module._modules.values() for step in steps(child)]
    return [] if isinstance(module, torch.nn.Identity) else [module]


class _Calls(torch.nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.forward = function


def _transposed(weights: torch.Tensor) -> torch.Tensor:
    _check_axes(weights, 3)
    return weights.mT


def _per_block(parameters: torch.Tensor) -> torch.Tensor:
    _check_axes(parameters, 2)
    return parameters.unsqueeze(1)


def _check_axes(parameters: torch.Tensor, axes: int) -> None:
    # others of as many numbers would be broadcast: a module may have got another one since it was seen
    if parameters.dim() != axes:
        raise RuntimeError(f"the parameters have {parameters.dim() - 1} axes, not {axes - 1}")


def _in_parts(x: torch.Tensor, count: int) -> torch.Tensor:
    """The rows of so many parts, of shape ``(count, rows, x.shape[-1])``, none of which may be empty for
    torch to find their number by itself."""
    return x.reshape(count, math.prod(x.shape[:-1]) // count, x.shape[-1])


class _Linears:
    """y[i] = x[i] W[i]ᵀ + b[i] for the i-th of the parts of the rows."""

    def __init__(self, count: int, weight: Beside, bias: Beside) -> None:
        self._count, self._weight, self._bias = count, weight, bias

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self._weight(x), self._bias(x)
        rows = _in_parts(x, self._count)
        y = rows @ weight if bias is None else torch.baddbmm(bias, rows, weight)
        if x.requires_grad:
            self._weight.guard(y)
        return y.reshape(*x.shape[:-1], y.shape[-1])


class _LayerNorms:
    """The layer norm with w[i] and b[i] for the i-th of the parts of the samples."""

    def __init__(self, count: int, weight: Beside, bias: Beside, of: Any) -> None:
        self._count, self._weight, self._bias = count, weight, bias
        self._of = of

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self._weight(x), self._bias(x)
        if x.shape[-1] != self._of.in_features:
            raise ValueError("the layer norms are of other features")
        y = normalised(x, self._of.eps, self._of.mean)
        if weight is None:
            return y
        rows = _in_parts(y, self._count)
        z = rows * weight if bias is None else torch.addcmul(bias, rows, weight)
        if x.requires_grad:
            self._weight.guard(z)
        return z.reshape(x.shape)
