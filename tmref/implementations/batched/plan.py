"""Which blocks of a map are run as one."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.modules.module import _has_any_global_hook

from tmref.nn.covariant import CovariantTransform
from tmref.nn.layer_norm import _LayerNorm

from .as_one import ACTIVATIONS, AsOne, steps

#: The modules that are run as one where these attributes are equal.
_ATTRIBUTES: dict[type[torch.nn.Module], tuple[str, ...]] = {
    **{of_torch: tuple(getattr(of_torch, "__constants__", ())) for of_torch in ACTIVATIONS},
    torch.nn.Identity: (),
    torch.nn.Linear: (),
    torch.nn.Sequential: (),
    CovariantTransform: (),
    _LayerNorm: ("in_features", "eps", "mean"),
}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
#: Blocks are filled up to at most so many times their values, and are smaller by as much than those that
#: needn't be. Chosen on a CPU, by ``make speed``.
MOST_FILLED = 2
#: So many groups of modules are remembered; there are many where keys come and go.
_MOST_FOUND = 128


class Kinds:
    """Which of some modules, out of ``everyone``, can be run as one: those of equal kinds that are not
    None."""

    def __init__(
        self,
        modules: list[torch.nn.Module],
        everyone: Sequence[torch.nn.Module],
        most_values: Callable[..., int],
    ) -> None:
        self.modules = modules
        self._everyone = everyone
        self.kinds = list(map(_kind, modules))
        self._most_values = most_values
        self._found: dict[tuple[int, ...], tuple[int, AsOne | None]] = {}
        #: what the kinds depend on
        self._parts = [
            part
            for module, kind in zip(modules, self.kinds, strict=True)
            for part in (module.modules() if kind else ())
        ]
        self._hooks = [getattr(part, name) for part in self._parts for name in _HOOKS]
        self._dictionaries = [part.__dict__ for part in self._parts]
        self._attributes = [
            (part.__dict__, name) for part in self._parts for name in _ATTRIBUTES[type(part)]
        ]
        may_have_children = (torch.nn.Sequential, CovariantTransform)
        self._parents = [part._modules for part in self._parts if isinstance(part, may_have_children)]
        self._facts = self._as_they_are()

    def as_one(self, *positions: int) -> tuple[int, AsOne | None]:
        """Up to how many values a block the modules there, of one kind, are run as one, and how.

        It is kept: the samples of maps differ from batch to batch, the modules don't.
        """
        if positions not in self._found:
            if len(self._found) == _MOST_FOUND:
                self._found.clear()
            module = self.modules[positions[0]]
            most = self._most_values(len(positions), module) if steps(module) else 0
            self._found[positions] = most, self._made(positions) if most else None
        return self._found[positions]

    def _made(self, positions: tuple[int, ...]) -> AsOne:
        alike = [module for module in self._everyone if _kind(module) == self.kinds[positions[0]]]
        where = {id(module): i for i, module in enumerate(alike)}
        return AsOne(alike, [where[id(self.modules[i])] for i in positions])

    def _as_they_are(self) -> Any:
        return (
            list(map(type, self._parts)),
            [attributes[name] for attributes, name in self._attributes],
            [list(children.values()) for children in self._parents],
        )

    def still_of(self, modules: list[torch.nn.Module]) -> bool:
        """Whether it is of these modules, and nothing has changed since."""
        return (
            self.modules == modules
            and not any(self._hooks)
            and True not in map(operator.contains, self._dictionaries, itertools.repeat("forward"))
            and self._as_they_are() == self._facts
        )


def _kind(module: torch.nn.Module) -> Any:
    """What two modules have in common that are run as one, or None where it is run by itself."""
    kind = type(module)
    children = [None if child is None else _kind(child) for child in module._modules.values()]
    if kind not in _ATTRIBUTES or None in children or "forward" in module.__dict__:
        return None
    if any(getattr(module, hooks) for hooks in _HOOKS) or getattr(module, "inplace", False):
        return None
    options = [getattr(module, name) for name in _ATTRIBUTES[kind]]
    parameters = [(name, None if p is None else p.shape) for name, p in module._parameters.items()]
    if kind in (torch.nn.Linear, _LayerNorm) and len(parameters) != 2:
        return None  # one of them is no parameter anymore
    return kind, tuple(options), tuple(parameters), tuple(children)


#: What makes the values of some blocks of those of others.
_Function = Callable[[list[torch.Tensor]], Sequence[torch.Tensor]]


@dataclass(frozen=True)
class Plan:
    """What is run as one: groups of positions with their function, None for what is called by itself."""

    kinds: Kinds
    shapes: list[torch.Size]
    groups: list[tuple[list[int], _Function | None]]

    @classmethod
    def of(cls, kinds: Kinds, shapes: list[torch.Size]) -> Plan:
        found: dict[Any, list[int]] = {}
        for i, (kind, shape) in enumerate(zip(kinds.kinds, shapes, strict=True)):
            found.setdefault((kind, shape[1:]), []).append(i)
        groups: list[tuple[list[int], _Function | None]] = []
        for (kind, _), positions in found.items():
            groups += _groups(kinds, positions, shapes) if kind else ()
        as_one = {i for positions, _ in groups for i in positions}
        alone = [i for i in range(len(shapes)) if i not in as_one]
        return cls(kinds, shapes, [*groups, (alone, None)] if alone else groups)

    def __call__(self, values: list[torch.Tensor]) -> Sequence[Any]:
        if len(self.groups) == 1:  # of all, in their order
            return self._run(self.kinds.modules, values, self.groups[0][1])
        outputs: list[Any] = [None] * len(values)
        for positions, function in self.groups:
            modules = [self.kinds.modules[i] for i in positions]
            results = self._run(modules, [values[i] for i in positions], function)
            for i, result in zip(positions, results, strict=True):
                outputs[i] = result
        return outputs

    def _run(
        self, modules: list[torch.nn.Module], values: list[torch.Tensor], function: _Function | None
    ) -> Sequence[Any]:
        if function is not None and not _has_any_global_hook():
            try:
                return function(values)
            except (KeyError, RuntimeError, ValueError):
                pass  # the modules say themselves what is wrong
        return [module(x) for module, x in zip(modules, values, strict=True)]


def _groups(
    kinds: Kinds, positions: list[int], shapes: list[torch.Size]
) -> list[tuple[list[int], _Function | None]]:
    """What is run as one of blocks of one kind, components and properties: all, where they have equally
    many samples or it pays to fill them up, or those of each number of samples."""
    of_count: dict[int, list[int]] = {}
    for i in positions:
        of_count.setdefault(shapes[i][0], []).append(i)
    sizes = [shapes[i].numel() for i in positions]
    if len(of_count) > 1 and len(sizes) * max(sizes) <= MOST_FILLED * sum(sizes):
        most, function = kinds.as_one(*positions)
        if function is not None and function.may_be_filled and max(sizes) <= most // MOST_FILLED:
            return [(positions, function.of_unequal)]
    groups: list[tuple[list[int], _Function | None]] = []
    for same in of_count.values():
        most, function = kinds.as_one(*same)
        if 0 < shapes[same[0]].numel() <= most:
            groups.append((same, function))
    return groups
