"""Which blocks of a map are run as one."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.modules import module as _of_torch

from tmref.nn.covariant import CovariantTransform
from tmref.nn.hooks import HOOKS, has_hooks
from tmref.nn.layer_norm import _LayerNorm

from .as_one import ACTIVATIONS, AsOne, steps
from .beside import bring_together

#: The modules that are run as one where these attributes are equal.
_ATTRIBUTES: dict[type[torch.nn.Module], tuple[str, ...]] = {
    **{of_torch: tuple(getattr(of_torch, "__constants__", ())) for of_torch in ACTIVATIONS},
    torch.nn.Identity: (),
    torch.nn.Linear: (),
    torch.nn.Sequential: (),
    CovariantTransform: (),
    _LayerNorm: ("in_features", "eps", "mean"),
}
#: How many axes their parameters, weight and bias, have; None for one that isn't there.
_AXES: dict[type[torch.nn.Module], set[tuple[int | None, ...]]] = {
    torch.nn.Linear: {(2, 1), (2, None)},
    _LayerNorm: {(1, 1), (1, None), (None, None)},
}
#: Those of all modules; torch 2.3 has no function that says whether there are any.
_HOOKS_OF_ALL = [getattr(_of_torch, f"_global{hooks}") for hooks in HOOKS]
#: Blocks are filled up to at most so many times their values, and are smaller by as much than those that
#: needn't be. Chosen on a CPU, by ``make speed``.
MOST_FILLED = 2
#: From so many values on, their memory may be given back to the system after a forward; what is larger
#: than such a piece, in bytes, always is (glibc's DEFAULT_MMAP_THRESHOLD_MAX, malloc.c, is 32 MiB).
_MANY_VALUES, _LARGEST_PIECE = 2**14, 2**25 - 2**16
#: So many groups of modules are remembered; there are many where keys come and go.
_MOST_FOUND = 128


class Kinds:
    """Which of some modules can be run as one: those of equal kinds that are not None."""

    def __init__(self, modules: list[torch.nn.Module], most_values: Callable[..., int]) -> None:
        self.modules = modules
        self.kinds = list(map(_kind, modules))
        self._most_values = most_values
        self._found: dict[tuple[int, ...], tuple[int, AsOne | None]] = {}
        #: what the kinds depend on
        self._parts = [
            part
            for module, kind in zip(modules, self.kinds, strict=True)
            for part in (module.modules() if kind else ())
        ]
        self._hooks = [getattr(part, name) for part in self._parts for name in HOOKS]
        self._dictionaries = [part.__dict__ for part in self._parts]
        self._attributes = [
            (part.__dict__, name) for part in self._parts for name in _ATTRIBUTES[type(part)]
        ]
        may_have_children = (torch.nn.Sequential, CovariantTransform)
        self._parents = [part._modules for part in self._parts if isinstance(part, may_have_children)]
        self._facts = self._as_they_are()
        self._plan: Plan | None = None

    def plan(self, shapes: list[torch.Size]) -> Plan:
        """What is run as one where the values have these shapes; the last one is kept."""
        plan = self._plan
        if plan is None or plan.shapes != shapes:
            self._plan = plan = Plan(self, shapes)
        return plan

    def as_one(self, *positions: int) -> tuple[int, AsOne | None]:
        """Up to how many values a block the modules there, of one kind, are run as one, and how.

        It is kept: the samples of maps differ from batch to batch, the modules don't.
        """
        if positions not in self._found:
            if len(self._found) == _MOST_FOUND:
                self._found.clear()
            modules = [self.modules[i] for i in positions]
            most = self._most_values(len(modules), modules[0]) if steps(modules[0]) else 0
            self._found[positions] = most, AsOne(modules) if most else None
        return self._found[positions]

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


def lying_beside_each_other(modules: Sequence[torch.nn.Module], most_values: Callable[..., int]) -> None:
    """Bring the parameters of those modules together that may be run as one."""
    of_kind: dict[Any, list[torch.nn.Module]] = {}
    for module in modules:
        of_kind.setdefault(_kind(module), []).append(module)
    for kind, alike in of_kind.items():
        if kind is not None and most_values(len(alike), alike[0]):
            of_each = [module.named_parameters(remove_duplicate=False) for module in alike]
            for of_name in zip(*of_each, strict=True):
                bring_together([parameter for _, parameter in of_name])


def _kind(module: torch.nn.Module) -> Any:
    """What two modules have in common that are run as one, or None where it is run by itself."""
    kind = type(module)
    children = [None if child is None else _kind(child) for child in module._modules.values()]
    if kind not in _ATTRIBUTES or None in children or "forward" in module.__dict__:
        return None
    if has_hooks(module) or getattr(module, "inplace", False):
        return None
    options = [getattr(module, name) for name in _ATTRIBUTES[kind]]
    parameters = [(name, None if p is None else p.shape) for name, p in module._parameters.items()]
    if kind in _AXES and tuple(map(_axes, module._parameters.values())) not in _AXES[kind]:
        return None  # one of them is no parameter any more, or one that is broadcast
    return kind, tuple(options), tuple(parameters), tuple(children)


def _axes(parameter: torch.Tensor | None) -> int | None:
    return None if parameter is None else parameter.dim()


#: What makes the values of some blocks of those of others.
_Function = Callable[[list[torch.Tensor]], Sequence[torch.Tensor]]


class Plan:
    """What is run as one: groups of positions with their function, None for what is called by itself."""

    def __init__(self, kinds: Kinds, shapes: list[torch.Size]) -> None:
        self.shapes = shapes
        found: dict[Any, list[int]] = {}
        for i, (kind, shape) in enumerate(zip(kinds.kinds, shapes, strict=True)):
            found.setdefault((kind, shape[1:]), []).append(i)
        self._groups: list[tuple[list[int], _Function | None]] = []
        for (kind, _), positions in found.items():
            self._groups += _groups(kinds, positions, shapes) if kind else ()
        as_one = {i for positions, _ in self._groups for i in positions}
        alone = [i for i in range(len(shapes)) if i not in as_one]
        if alone:
            self._groups.append((alone, None))
        make_room(sum(shapes[i].numel() for i in as_one))

    def __call__(
        self, modules: list[torch.nn.Module], values: list[torch.Tensor]
    ) -> Sequence[torch.Tensor]:
        """What the modules make of the values: a tuple where all are the parts of one tensor."""
        if len(self._groups) == 1:  # of all, in their order
            return _called(self._groups[0][1], modules, values)
        outputs: list[Any] = [None] * len(values)
        for positions, function in self._groups:
            of_group = [modules[i] for i in positions]
            results = _called(function, of_group, [values[i] for i in positions])
            for i, result in zip(positions, results, strict=True):
                outputs[i] = result
        return outputs


def make_room(values: int) -> None:
    """Have glibc keep the memory of so many values for the next forward, where they are many.

    It gives the end of its heap back to the system, to be asked for again page by page, where that is
    more than twice the largest piece that was given back before: just what is put together and what is
    made of it. So a larger piece is given back, once.
    """
    if values > _MANY_VALUES and not torch.compiler.is_compiling():
        torch.empty(min(4 * 8 * values, _LARGEST_PIECE), dtype=torch.uint8, device="cpu")


def _called(
    function: _Function | None, modules: list[torch.nn.Module], values: list[torch.Tensor]
) -> Sequence[Any]:
    if function is not None and not any(_HOOKS_OF_ALL):
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
    # without samples a module gets no gradients, whatever its parameters make of zeros
    positions = [i for i in positions if shapes[i].numel()]
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
        if shapes[same[0]].numel() <= most and function is not None:
            groups.append((same, function))
    return groups
