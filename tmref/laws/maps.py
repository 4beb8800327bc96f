"""Maps made of maps: what laws say about them in one word each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..block import TensorBlock
from ..catalog import Recipe
from ..compare import Refused
from ..labels import Labels
from ..tensor_map import TensorMap
from .subject import Subject


def with_values(x: TensorMap, values: Sequence[torch.Tensor]) -> TensorMap:
    """The map ``x`` with other values of the same shapes, and without gradients."""
    pairs = zip(x, values, strict=True)
    return TensorMap(
        x.keys,
        [TensorBlock(v, b.samples, b.components, b.properties) for b, v in pairs],
    )


def map_values(function: Callable[..., torch.Tensor], *maps: TensorMap) -> TensorMap:
    """The first map with ``function`` of the values of all of them, block by block."""
    values = ([block.values for block in tensor] for tensor in maps)
    return with_values(maps[0], list(map(function, *values)))


def with_keys(x: TensorMap, keys: Labels) -> TensorMap:
    """The blocks of ``x`` under other keys."""
    return TensorMap(keys, list(x))


def accepted(f: Subject, x: TensorMap) -> tuple[TensorMap, TensorMap]:
    """The map and what the module makes of it; without its gradients, where they are refused."""
    y = f.attempt(x)
    if not isinstance(y, Refused):
        return x, y
    plain = with_values(x, [block.values for block in x])
    return plain, f(plain)


def zeros_like(x: TensorMap) -> TensorMap:
    """The map with zeros for values, and without gradients."""
    return map_values(torch.zeros_like, x)


def take_samples(x: TensorMap, rows: Sequence[Sequence[int]]) -> TensorMap:
    """The map with the samples at ``rows[i]`` of the block ``i``, and without gradients."""
    blocks = []
    for block, where in zip(x, rows, strict=True):
        index = torch.tensor(list(where), dtype=torch.int64)
        samples = Labels(block.samples.names, block.samples.values.cpu()[index]).to(block.device)
        values = block.values[index.to(block.device)]
        blocks.append(TensorBlock(values, samples, block.components, block.properties))
    return TensorMap(x.keys, blocks)


def require_grad(x: TensorMap) -> TensorMap:
    """The map with values that autograd differentiates by."""
    return map_values(lambda values: values.detach().clone().requires_grad_(), x)


@dataclass(frozen=True)
class Relabelling:
    """Labels with new ``names`` of dimensions by the old ones, these in an ``order`` (of the old names),
    and values with the ``shift`` of their dimension added, modulo 2³².

    Dimensions that the labels don't have are passed over: it acts on all labels that select by each
    other alike.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    shift: Mapping[str, int] = field(default_factory=dict)

    def __call__(self, labels: Labels) -> Labels:
        """The labels, made anew."""
        old = [name for name in self.order if name in labels.names] or labels.names
        columns = [
            _wrapped(labels.column(name).to(torch.int64) + self.shift.get(name, 0)) for name in old
        ]
        return Labels([self.names.get(name, name) for name in old], torch.stack(columns, 1))


def _wrapped(values: torch.Tensor) -> torch.Tensor:
    return (values + 2**31).remainder(2**32) - 2**31


def relabelled(recipe: Recipe, new: Relabelling) -> Recipe:
    """The recipe for other keys: those that select them have other names, too."""

    def of_argument(name: str, value: Any) -> Any:
        return new(value) if isinstance(value, Labels) else value  # properties are in lists

    call = recipe.call.with_arguments(of_argument)
    return dataclasses.replace(recipe, call=call, in_keys=new(recipe.in_keys))
