"""The reference with blocks of equal shape run as one: many small products are one batched product."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar, TypeVar

import torch
from torch.nn.modules.module import _has_any_global_hook

import tmref
from tmref.catalog import ROWS
from tmref.catalog.kinds.activations import Activation
from tmref.nn.covariant import CovariantTransform
from tmref.nn.gradients import check_gradients, push_gradients
from tmref.nn.labelled import labelled
from tmref.nn.layer_norm import _LayerNorm, normalised
from tmref.tensor_map import TensorMap

from .reference import Reference

#: From so many blocks on they are run as one, up to so many values in a block, with products and
#: without, half of that in the fewest blocks with a single layer, and up to so many numbers in a
#: parameter: what is saved is the cost of calls, what is paid is a copy of values and parameters.
#: Chosen on a CPU, by ``make speed``.
LEAST_BLOCKS, MOST_VALUES, MOST_VALUES_WITHOUT_PRODUCTS, MOST_IN_A_PARAMETER = 16, 2**12, 2**10, 2**13

_Module = TypeVar("_Module", bound=torch.nn.Module)
#: What makes the values of some blocks of those of others.
_Function = Callable[[list[torch.Tensor]], Sequence[torch.Tensor]]


def batched(module: _Module) -> _Module:
    """The same module with the same parameters, which runs blocks of equal shape as one.

    Every ModuleMap in it becomes a :class:`BatchedModuleMap`; subclasses of yours stay what they are.
    Parameters and buffers are shared with ``module``, not copied: training one trains the other, and
    state dicts are the same. It is for the whole: a tmref.nn.Sequential makes a plain ModuleMap of the
    layers that it is given, batched or not.
    """
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return _batch(copy.deepcopy(module, shared), BatchedModuleMap)


def _batch(module: _Module, kind: type[BatchedModuleMap]) -> _Module:
    """The module itself, after every ModuleMap in it has become a batched one."""
    for part in module.modules():
        if type(part) is tmref.nn.ModuleMap:
            part.__class__ = kind
    return module


class BatchedModuleMap(tmref.nn.ModuleMap):
    """y[k] = modules[k](x[k]) for every key k, blocks of equal shape with modules of one kind as one.

    The samples of such blocks are put below each other, the parameters beside each other; a product of
    each block is one batched product. Linear, the layer norms and activations of tmref, and what
    torch.nn.Sequential and EquivariantTransformation make of them are run so, in float32 and float64,
    where it pays: for many small blocks (:meth:`most_values`). What has hooks, changes its input in
    place, or is any other module is called block by block, and so is everything under autocast.

    Arguments, shapes and errors are :class:`tmref.nn.ModuleMap`'s. Values are the same up to rounding;
    blocks of the output may share memory with each other, never with the input.

    For autograd, what is run as one is one: a backward from one block and then another needs
    ``retain_graph=True``, and parameters of blocks that a loss does not depend on get gradients of zero,
    not None; an optimizer with weight decay tells these apart. Where only some of the blocks, or of the
    modules, require gradients, they are called block by block.
    """

    least_blocks: ClassVar[int] = LEAST_BLOCKS

    @classmethod
    def most_values(cls, blocks: int, module: torch.nn.Module) -> int:
        """Up to how many values each of so many blocks are run as one sooner than one after the other,
        where their modules are like ``module``."""
        is_large = any(parameter.numel() > MOST_IN_A_PARAMETER for parameter in module.parameters())
        if blocks < cls.least_blocks or is_large:
            return 0
        products = (torch.nn.Linear, CovariantTransform)
        has_products = any(isinstance(part, products) for part in module.modules())
        most = MOST_VALUES if has_products else MOST_VALUES_WITHOUT_PRODUCTS
        # the fewer calls are saved, the less the memory of the copies may cost
        calls = blocks * len(_steps(module))
        return min(most, most * calls // (2 * cls.least_blocks))

    def forward(self, tensor: TensorMap) -> TensorMap:
        """The map of ``modules[k](x[k])``, keys in the order of ``tensor``."""
        modules, properties = self._of_blocks(tensor)
        check_gradients(modules, tensor)
        outputs = self._outputs(list(modules), [block.values for block in tensor])
        return push_gradients(modules, tensor, labelled(outputs, tensor, properties))

    def _outputs(
        self, modules: list[torch.nn.Module], values: list[torch.Tensor]
    ) -> Sequence[torch.Tensor]:
        """What the modules make of the values, as one where it pays."""
        is_wide = values and values[0].dtype in (torch.float32, torch.float64)
        if len(values) < self.least_blocks or not is_wide or torch._C._is_any_autocast_enabled():
            return [module(x) for module, x in zip(modules, values, strict=True)]
        shapes = [value.shape for value in values]
        # what is compiled depends on no call before
        plan: _Plan | None = None if torch.compiler.is_compiling() else self.__dict__.get("_plan")
        kinds = (
            plan.kinds if plan and plan.kinds.still_of(modules) else _Kinds(modules, self.most_values)
        )
        if plan is None or plan.kinds is not kinds or plan.shapes != shapes:
            plan = _Plan.of(kinds, shapes)
            if not torch.compiler.is_compiling():
                self.__dict__["_plan"] = plan
        return plan(values)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_plan"}


#: What the catalog knows of activations, by their classes in torch.nn.
_ACTIVATIONS = {row.kind.of_torch: row.kind for row in ROWS if isinstance(row.kind, Activation)}
#: The modules that are run as one where these attributes are equal.
_ATTRIBUTES: dict[type[torch.nn.Module], tuple[str, ...]] = {
    **{of_torch: tuple(getattr(of_torch, "__constants__", ())) for of_torch in _ACTIVATIONS},
    torch.nn.Identity: (),
    torch.nn.Linear: (),
    torch.nn.Sequential: (),
    CovariantTransform: (),
    _LayerNorm: ("in_features", "eps", "mean"),
}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
#: So many groups of modules are remembered; there are many where keys come and go.
_MOST_FOUND = 128


class _Kinds:
    """Which of some modules can be run as one: those of equal kinds that are not None."""

    def __init__(self, modules: list[torch.nn.Module], most_values: Callable[..., int]) -> None:
        self.modules = modules
        self.kinds = list(map(_kind, modules))
        self._most_values = most_values
        self._found: dict[tuple[int, ...], tuple[int, _Function | None]] = {}
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

    def as_one(self, *positions: int) -> tuple[int, _Function | None]:
        """Up to how many values a block the modules there, of one kind, are run as one, and how.

        It is kept: the samples of maps differ from batch to batch, the modules don't.
        """
        if positions not in self._found:
            if len(self._found) == _MOST_FOUND:
                self._found.clear()
            modules = [self.modules[i] for i in positions]
            most = self._most_values(len(modules), modules[0])
            self._found[positions] = most, _split_after(modules) if most else None
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


@dataclass(frozen=True)
class _Plan:
    """What is run as one: groups of positions with their function, None for what is called by itself."""

    kinds: _Kinds
    shapes: list[torch.Size]
    groups: list[tuple[list[int], _Function | None]]

    @classmethod
    def of(cls, kinds: _Kinds, shapes: list[torch.Size]) -> _Plan:
        found: dict[Any, list[int]] = {}
        for i, of_block in enumerate(zip(kinds.kinds, shapes, strict=True)):
            found.setdefault(of_block, []).append(i)
        groups: list[tuple[list[int], _Function | None]] = []
        for (kind, shape), positions in found.items():
            most, function = kinds.as_one(*positions) if kind else (0, None)
            groups.append((positions, function if 0 < shape.numel() <= most else None))
        return cls(kinds, shapes, groups)

    def __call__(self, values: list[torch.Tensor]) -> Sequence[Any]:
        if len(self.groups) == 1:
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
            # the modules say themselves what is wrong
            with contextlib.suppress(KeyError, RuntimeError, ValueError):
                return function(values)
        return [module(x) for module, x in zip(modules, values, strict=True)]


#: What is done to the values of all blocks, one below the other.
_OnAll = Callable[[torch.Tensor], torch.Tensor]


def _split_after(modules: list[torch.nn.Module]) -> _Function | None:
    """The function of the values of modules of one kind; None where it is the identity."""
    steps = _steps(modules[0])
    if not steps:
        return None
    on_all, activation = _on_all(modules), _ACTIVATIONS.get(type(steps[-1]))
    keeps_result = activation is not None and activation.keeps_result

    def function(values: list[torch.Tensor]) -> Sequence[torch.Tensor]:
        y = on_all(_put_together(torch.cat, values))
        # What is split safely can't be changed in place afterwards. Where autograd keeps the result
        # itself, as torch does for these, nobody may change it; elsewhere it is anybody's.
        split = torch.split if keeps_result and y.requires_grad else torch.unsafe_split
        return split(y, len(values[0]))

    return function


def _steps(module: Any) -> list[Any]:
    """The modules that it calls one after the other; one that it has twice, twice."""
    if isinstance(module, torch.nn.Sequential):
        return [step for child in module._modules.values() for step in _steps(child)]
    return [] if isinstance(module, torch.nn.Identity) else [module]


def _on_all(modules: list[torch.nn.Module]) -> _OnAll:
    """What modules of one kind do to equally many samples each, which stand below each other."""
    functions = [_step_on_all(list(step)) for step in zip(*map(_steps, modules), strict=True)]

    def one_after_the_other(x: torch.Tensor) -> torch.Tensor:
        for function in functions:
            x = function(x)
        return x

    return one_after_the_other


def _step_on_all(modules: list[torch.nn.Module]) -> _OnAll:
    first = modules[0]
    if isinstance(first, CovariantTransform):
        of_norms = [next(module.children()) for module in modules]
        return CovariantTransform(_Calls(_on_all(of_norms)))
    if isinstance(first, torch.nn.Linear):
        return _Linears(modules)
    return _LayerNorms(modules) if isinstance(first, _LayerNorm) else first


class _Calls(torch.nn.Module):
    """A function as a module."""

    def __init__(self, function: _OnAll) -> None:
        super().__init__()
        self.forward = function


class _Parameters:
    """The parameters of modules that are like each other, where the modules have them now."""

    def __init__(self, modules: list[torch.nn.Module]) -> None:
        self._of_modules = [module._parameters for module in modules]

    def __call__(self, name: str, x: torch.Tensor) -> Any:
        """Those of a name for the values ``x``, beside each other; None where there are none."""
        tensors: list[Any] = [parameters[name] for parameters in self._of_modules]
        if all(tensor is None for tensor in tensors):
            return None
        dtypes = [None if tensor is None else tensor.dtype for tensor in tensors]
        # torch promotes the dtypes that it stacks, and empty products of two devices it makes somewhere
        if dtypes.count(x.dtype) < len(dtypes) or tensors[0].device != x.device:
            raise RuntimeError("the modules differ, or their parameters do not go with the values")
        return _put_together(torch.stack, tensors)


def _put_together(put: Callable[..., torch.Tensor], tensors: list[torch.Tensor]) -> torch.Tensor:
    """What torch.stack or torch.cat makes of them. Raises RuntimeError where autograd records, and only
    some of them require gradients: together, all would."""
    if torch.is_grad_enabled() and len({tensor.requires_grad for tensor in tensors}) > 1:
        raise RuntimeError("only some require gradients")
    return put(tensors)


class _Linears:
    """y[i] = x[i] W[i]ᵀ + b[i] for the i-th part of the rows."""

    def __init__(self, modules: list[torch.nn.Module]) -> None:
        self._count = len(modules)
        self._parameters = _Parameters(modules)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        weight, bias = (self._parameters(name, x) for name in ("weight", "bias"))
        rows = x.reshape(self._count, x.shape[:-1].numel() // self._count, x.shape[-1])
        y = rows @ weight.mT if bias is None else torch.baddbmm(bias.unsqueeze(1), rows, weight.mT)
        return y.reshape(*x.shape[:-1], y.shape[-1])


class _LayerNorms:
    """The layer norm with w[i] and b[i] for the i-th part of the samples."""

    def __init__(self, modules: list[torch.nn.Module]) -> None:
        of: Any = modules[0]
        self._count = len(modules)
        self._parameters = _Parameters(modules)
        self._of = of

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        weight, bias = (self._parameters(name, x) for name in ("weight", "bias"))
        if x.shape[-1] != self._of.in_features:
            raise ValueError("the layer norms are of other features")
        y = normalised(x, self._of.eps, self._of.mean)
        if weight is None and bias is not None:
            raise RuntimeError("a layer norm has a bias and no weight")
        if weight is None:
            return y
        y = y.reshape(self._count, x.shape[:-1].numel() // self._count, x.shape[-1])
        weight = weight.unsqueeze(1)
        y = y * weight if bias is None else torch.addcmul(bias.unsqueeze(1), y, weight)
        return y.reshape(x.shape)


class _AlwaysBatchedModuleMap(BatchedModuleMap):
    """Decides for one product wherever there can be one, so that laws meet it in every example."""

    least_blocks = 1

    @classmethod
    def most_values(cls, blocks: int, module: torch.nn.Module) -> int:
        return sys.maxsize


def _composable(value: Any) -> Any:
    """What tmref.nn.Sequential composes key by key: a plain ModuleMap for one that is batched."""
    if not isinstance(value, BatchedModuleMap):
        return value
    plain: tmref.nn.ModuleMap = copy.copy(value)
    plain.__class__ = tmref.nn.ModuleMap
    return plain


def _namespace(kind: type[BatchedModuleMap]) -> SimpleNamespace:
    """What is in tmref.nn, with ``kind`` for every ModuleMap."""

    def making(name: str) -> Callable[..., torch.nn.Module]:
        made: type[torch.nn.Module] = getattr(tmref.nn, name)

        @functools.wraps(made, updated=())
        def make(*args: Any, **kwargs: Any) -> torch.nn.Module:
            return _batch(made(*map(_composable, args), **kwargs), kind)

        return make

    kept: dict[Any, Any] = {tmref.nn.Buffer: tmref.nn.Buffer, tmref.nn.Module: tmref.nn.Module}
    kept[tmref.nn.ModuleMap] = kind
    classes = {name: getattr(tmref.nn, name) for name in tmref.nn.__all__}
    return SimpleNamespace(**{n: kept.get(of) or making(n) for n, of in classes.items()})


nn, always_nn = _namespace(BatchedModuleMap), _namespace(_AlwaysBatchedModuleMap)


class Batched(Reference):
    """tmref's own modules, batched: where that pays, or ``always``."""

    def __init__(self, always: bool = False) -> None:
        namespace = "always_nn as nn" if always else "nn"
        self.name = "always-batched" if always else "batched"
        self.nn = always_nn if always else nn
        self.imports = (
            "import torch",
            "from tmref import Labels, TensorBlock, TensorMap",
            f"from tmref.implementations.batched import {namespace}",
        )


implementation, always = Batched(), Batched(always=True)
