"""The reference with blocks of equal shape run as one: many small products are one batched product."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar, TypeVar

import torch

import tmref
from tmref.nn.covariant import CovariantTransform
from tmref.nn.gradients import check_gradients, push_gradients
from tmref.nn.labelled import labelled, labelled_alike
from tmref.printing import type_of
from tmref.tensor_map import TensorMap

from ..reference import Reference
from .plan import Kinds, lying_beside_each_other

#: From so many blocks on they are run as one, up to so many values in a block, with products and
#: without, and up to so many numbers in a parameter: what is saved is the cost of calls, what is paid is
#: a copy of values. Chosen on a CPU, by ``make speed``.
LEAST_BLOCKS, MOST_VALUES, MOST_VALUES_WITHOUT_PRODUCTS, MOST_IN_A_PARAMETER = 16, 2**12, 2**10, 2**13

#: Of so many selections of modules it is remembered what can be run as one.
_MOST_KNOWN = 16
#: What a module keeps of its calls, and no copy of it has.
_CACHES = ("_known", "_before")

_lock = threading.RLock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # in the child there is no thread that would release it
    os.register_at_fork(after_in_child=_renew_lock)

_Module = TypeVar("_Module", bound=torch.nn.Module)


def batched(module: _Module) -> _Module:
    """The same module with the same parameters, which runs blocks of equal shape as one.

    Every ModuleMap in it becomes a :class:`BatchedModuleMap`; subclasses of yours stay what they are.
    Parameters and buffers are shared with ``module``, not copied: training one trains the other, and
    state dicts are the same. It is for the whole: layers that are batched before a tmref.nn.Sequential
    is made of them are called one after the other, not composed key by key.

    Raises TypeError for what is no module, ValueError where there is no tmref.nn.ModuleMap in it: of
    other libraries' modules it knows nothing.
    """
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module to be batched, got {type_of(module)}")
    if not any(isinstance(part, tmref.nn.ModuleMap) for part in module.modules()):
        raise ValueError(
            "module must have a tmref.nn.ModuleMap in it to be batched, as modules of tmref.nn have, "
            f"got {type_of(module)}"
        )
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return _batch(copy.deepcopy(module, shared), BatchedModuleMap)


def _batch(module: _Module, kind: type[BatchedModuleMap]) -> _Module:
    """The module itself, after every ModuleMap in it has become a batched one."""
    for part in module.modules():
        if type(part) is tmref.nn.ModuleMap:
            part.__class__ = kind
        if isinstance(part, BatchedModuleMap):
            part.prepare()
    return module


class BatchedModuleMap(tmref.nn.ModuleMap):
    """y[k] = modules[k](x[k]) for every key k, blocks of equal components and properties with modules of
    one kind as one.

    The samples of such blocks are put below each other, with zeros where blocks have fewer than others;
    a product of each block is one batched product. Linear, the layer norms and activations of tmref, and
    what torch.nn.Sequential and EquivariantTransformation make of them are run so, in float32 and
    float64, where it pays: for many small blocks (:meth:`most_values`). What has hooks, changes its
    input in place, or is any other module is called block by block, and so is everything under autocast.

    Parameters stay the modules' own, but when it is made or moved, their memory becomes
    one tensor's, where nobody else has a hold of it (:mod:`.beside`): of what was copied, unpickled or
    loaded, in the first forward after that. No other forward moves anything. torch.utils.swap_tensors,
    and what goes by it, refuses such parameters.

    Arguments, shapes and errors are :class:`tmref.nn.ModuleMap`'s. Values are the same up to rounding;
    blocks of the output may share memory with each other, never with the input, and so may gradients by
    the input's values.

    For autograd, what is run as one is one: a backward from one block and then another needs
    ``retain_graph=True``, and parameters of blocks that a loss does not depend on get gradients of zero,
    not None; an optimizer with weight decay tells these apart. Zero times what isn't finite is NaN, for
    such parameters where values of their blocks aren't, and for those of blocks that are filled up where
    other parameters aren't. Where only some of the blocks, or of the modules, require gradients, they
    are called block by block.
    """

    least_blocks: ClassVar[int] = LEAST_BLOCKS
    #: Whether some of the modules are run as one from the second time on only.
    waits: ClassVar[bool] = True

    @functools.wraps(tmref.nn.ModuleMap.__init__)  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepare()

    @classmethod
    def most_values(cls, blocks: int, module: torch.nn.Module) -> int:
        """Up to how many values each of so many blocks are run as one sooner than one after the other,
        where their modules are like ``module``."""
        is_large = any(parameter.numel() > MOST_IN_A_PARAMETER for parameter in module.parameters())
        if blocks < cls.least_blocks or is_large:
            return 0
        products = (torch.nn.Linear, CovariantTransform)
        has_products = any(isinstance(part, products) for part in module.modules())
        return MOST_VALUES if has_products else MOST_VALUES_WITHOUT_PRODUCTS

    def forward(self, tensor: TensorMap) -> TensorMap:
        """The map of ``modules[k](x[k])``, keys in the order of ``tensor``."""
        modules, properties = self._of_blocks(tensor)
        check_gradients(modules, tensor)
        outputs = self._outputs(list(modules), [block._values for block in tensor._blocks])
        with_labels = labelled_alike if isinstance(outputs, tuple) else labelled
        return push_gradients(modules, tensor, with_labels(outputs, tensor, properties))

    def _outputs(
        self, modules: list[torch.nn.Module], values: list[torch.Tensor]
    ) -> Sequence[torch.Tensor]:
        """What the modules make of the values, as one where it pays: a tuple where they are the parts of
        one tensor."""
        is_wide = values and values[0].dtype in (torch.float32, torch.float64)
        # where module_list is no longer what it was made as, the loop is as tmref's own
        may_pay = len(modules) == len(values) >= self.least_blocks and is_wide
        kinds = None
        if may_pay and not torch._C._is_any_autocast_enabled():
            # what is compiled depends on no call before
            is_compiling = torch.compiler.is_compiling()
            kinds = Kinds(modules, self.most_values) if is_compiling else self._kinds(modules)
        if kinds is None:
            return [module(x) for module, x in zip(modules, values)]  # noqa: B905, see above
        return kinds.plan([value.shape for value in values])(modules, values)

    def _kinds(self, modules: list[torch.nn.Module]) -> Kinds | None:
        """What can be run as one of these modules. It is kept, as that of the modules before; None where
        they are some of all, for the first time: they may never come again."""
        if "_is_unprepared" in self.__dict__:
            with _lock:  # other threads wait: what they would read is given back
                if "_is_unprepared" in self.__dict__:
                    self.prepare()
                    del self.__dict__["_is_unprepared"]
        known: Kinds | None = self.__dict__.get("_known")
        if known and known.still_of(modules):
            return known
        before: dict[tuple[int, ...], Kinds | None] = self.__dict__.get("_before", {})
        these = tuple(map(id, modules))
        is_new = these not in before and len(modules) < len(self.module_list)
        kinds = before.get(these)
        if kinds is None or not kinds.still_of(modules):
            waits = is_new and self.waits and not _must_be_done_again()
            kinds = None if waits else Kinds(modules, self.most_values)
        latest = [(ids, of) for ids, of in list(before.items()) if ids != these][1 - _MOST_KNOWN :]
        self.__dict__["_before"] = {**dict(latest), these: kinds}  # for other threads: never changed
        if kinds is not None:
            self.__dict__["_known"] = kinds
        return kinds

    def prepare(self) -> None:
        """Bring the parameters together that can be used as one tensor then."""
        for name in _CACHES:
            self.__dict__.pop(name, None)
        lying_beside_each_other(list(self.module_list), self.most_values)

    def _apply(
        self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True
    ) -> BatchedModuleMap:
        super()._apply(fn, recurse)
        self.prepare()
        return self

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        # what is assigned, instead of copied, lies elsewhere: where what it was loaded from is, for now
        self.__dict__["_is_unprepared"] = True

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _CACHES}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__["_is_unprepared"] = True  # what unpickles it still has a hold of its memory


def _must_be_done_again() -> bool:
    """Whether hooks keep what autograd saves, as a checkpoint's do: its second forward has to save as
    many tensors as the first. What torch before 2.8 doesn't tell."""
    top = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)
    return top is not None and top(False) is not None


class _AlwaysBatchedModuleMap(BatchedModuleMap):
    """Decides for one product wherever there can be one, so that laws meet it in every example."""

    least_blocks = 1
    waits = False

    @classmethod
    def most_values(cls, blocks: int, module: torch.nn.Module) -> int:
        return sys.maxsize


@contextlib.contextmanager
def _plain(layers: Sequence[Any], kind: type[BatchedModuleMap]) -> Iterator[None]:
    """Meanwhile their batched ModuleMaps are plain ones, which tmref.nn.Sequential composes by key."""
    modules = [
        part for layer in layers if isinstance(layer, torch.nn.Module) for part in layer.modules()
    ]
    were_batched: list[torch.nn.Module] = [part for part in modules if type(part) is kind]
    for part in were_batched:
        part.__class__ = tmref.nn.ModuleMap
    try:
        yield
    finally:
        for part in were_batched:
            part.__class__ = kind


def _namespace(kind: type[BatchedModuleMap]) -> SimpleNamespace:
    """What is in tmref.nn, with ``kind`` for every ModuleMap."""

    def making(name: str) -> Callable[..., torch.nn.Module]:
        made: type[torch.nn.Module] = getattr(tmref.nn, name)

        @functools.wraps(made, updated=())
        def make(*args: Any, **kwargs: Any) -> torch.nn.Module:
            with _plain(args, kind):
                module = made(*args, **kwargs)
            return _batch(module, kind)

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
