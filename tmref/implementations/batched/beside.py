"""The parameters of many modules as one tensor, in whose memory they lie beside each other."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch.utils.dlpack import from_dlpack, to_dlpack

_View = Callable[[torch.Tensor], torch.Tensor]
#: Two threads may call a module for the first time.
_ONE_AT_A_TIME = threading.Lock()


class Beside:
    """The parameters of one name of modules that are like each other, as one tensor.

    They stay the modules' own: the same objects, of the same names and values, with a storage each. But
    these lie in the memory of one tensor, in the order of ``modules``, so that ``members`` that follow
    each other are a tensor without a copy. Where some have other memory since, as after ``.to()``, they
    are brought together anew.
    They are copied at every call where somebody else has a hold of their memory (tied parameters, arrays
    of numpy, other processes), where the members don't follow each other, and where torch traces or
    transforms what is called.
    """

    def __init__(
        self, modules: Sequence[torch.nn.Module], members: Sequence[int], name: str, view: _View
    ) -> None:
        self._name = name
        self._view = view
        self._all = [module._parameters for module in modules]
        self._members = [self._all[i] for i in members]
        self._range = slice(members[0], members[-1] + 1)
        self._follow = list(members) == list(range(members[0], members[-1] + 1))
        self._memory: _Memory | None = None
        self._refused = 0

    def __call__(self, x: torch.Tensor) -> Any:
        """The ``view`` of those of the members, for the values ``x``; None where they have none.

        Raises RuntimeError where only some have one, where they don't go with the values, and where
        autograd records and only some of them require gradients: together, all would.
        """
        found: list[Any] = [parameters[self._name] for parameters in self._members]
        if found[0] is None and all(parameter is None for parameter in found):
            return None
        if not self._follow or _is_transformed():
            return self._view(_copied(found, x))
        if self._memory is None or not self._memory.is_of(found):
            self._memory = self._brought_together(found)
            if self._memory is None:
                return self._view(_copied(found, x))
            self._refused = 0
        _check_like(self._memory.plain, x)
        return self._memory.recorded if records(found) else self._memory.plain

    def _brought_together(self, members: list[torch.nn.Parameter]) -> _Memory | None:
        # who has a hold of their memory may let go; it is seen after 1, 2, 4, ... calls
        self._refused += 1
        if self._refused & (self._refused - 1):
            return None
        with _ONE_AT_A_TIME:
            whole = beside_each_other([parameters[self._name] for parameters in self._all])
        return whole and _Memory(whole, self._range, members, self._view)

    def guard(self, y: torch.Tensor) -> None:
        """Have a backward through ``y`` raise RuntimeError where a parameter was changed since.

        Autograd looks at the tensor that was used, which does not know of what is written to the
        parameters.
        """
        if self._memory is None or _is_transformed() or not y.requires_grad:
            return
        members, versions = self._memory.members, self._memory.versions()

        def check(gradient: torch.Tensor) -> None:
            if [parameter._version for parameter in members] != versions:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an "
                    "inplace operation: a parameter, since the forward"
                )

        y.register_hook(check)


class Whole:
    """A tensor in whose memory parameters lie, and what they had ``before``: another thread may still be
    reading there."""

    def __init__(self, tensor: torch.Tensor, before: list[torch.Tensor]) -> None:
        self.tensor = tensor
        self._before = before
        self._parts = list(tensor.unbind())

    def is_of(self, parameters: Sequence[Any]) -> bool:
        """Whether they are its parts, in their order."""
        return _places(parameters) == _places(self._parts)


#: The wholes that are in use, by where their parts lie.
_WHOLES: WeakValueDictionary[int, Whole] = WeakValueDictionary()


class _Memory:
    """The part of a whole in which the members lie."""

    def __init__(
        self, whole: Whole, where: slice, members: list[torch.nn.Parameter], view: _View
    ) -> None:
        self.members = members
        self._whole = whole
        self._memory = memory = whole.tensor[where]
        self._places = _places(members)
        self._view = view
        self._recorded: torch.Tensor | None = None
        self.plain = view(memory)

    @property
    def recorded(self) -> torch.Tensor:
        """The view with its graph, from the parameters on. It is made once: no node of it keeps anything
        that a backward would free."""
        if self._recorded is None:
            self._recorded = self._view(_Joined.apply(self._memory, *self.members))
        return self._recorded

    def is_of(self, parameters: list[Any]) -> bool:
        """Whether these are its parameters, and still lie in it."""
        are_members = all(map(operator.is_, parameters, self.members))
        return are_members and _places(parameters) == self._places

    def versions(self) -> list[int]:
        """How often each parameter has been written to."""
        return [parameter._version for parameter in self.members]


def _places(parameters: Sequence[Any]) -> tuple[list[int], list[tuple[int, ...]], list[int]]:
    """Where in memory their numbers are: what torch.Tensor.is_set_to compares, with an operator."""
    return (
        list(map(torch.Tensor.data_ptr, parameters)),
        list(map(torch.Tensor.stride, parameters)),
        list(map(torch.Tensor.numel, parameters)),
    )


class _Joined(torch.autograd.Function):
    """The tensor that has the parameters in its memory."""

    @staticmethod
    def forward(ctx: Any, memory: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        return memory.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        return None, *gradients[0].unbind()


def beside_each_other(parameters: Sequence[Any]) -> Whole | None:
    """The whole, of shape ``(parameters, ...)``, that has them in its memory.

    They lie like that, or are brought there; None, and nothing is changed, where they can't be.
    """
    if not all(map(_can_be_moved, parameters)):
        return None
    like = [(parameter.shape, parameter.dtype, parameter.device) for parameter in parameters]
    if like.count(like[0]) < len(like) or len(set(map(id, parameters))) < len(parameters):
        return None
    found = _WHOLES.get(parameters[0].data_ptr())
    if found is not None and found.is_of(parameters):
        return found
    if not all(map(_has_its_own_memory, parameters)):
        return None
    with torch.inference_mode(False), torch.no_grad():
        before = [parameter.data for parameter in parameters]
        memory = torch.stack(before)
        if type(memory) is not torch.Tensor:  # in a mode of torch that makes others of them
            return None
        try:
            places = [from_dlpack(to_dlpack(part)) for part in memory.unbind()]
        except (BufferError, RuntimeError):  # of a device that can't
            return None
        # A storage each, which begins where its part does: the parameter changes nothing but its storage,
        # and a thread that reads it meanwhile finds its numbers in the old one or in the new one. Between
        # a storage of all and a place in that it would find those of another parameter.
        for parameter, place in zip(parameters, places, strict=True):
            parameter.data = place
    whole = Whole(memory, before)
    _WHOLES.update((place.data_ptr(), whole) for place in places)
    return whole


def put_together(tensors: list[torch.Tensor]) -> torch.Tensor:
    """Tensors of one shape and dtype below each other: copied, or, where they lie like that and autograd
    is off, as they are.

    Raises RuntimeError where autograd records for some of them only: together, all would require
    gradients.
    """
    if not records(tensors) and not torch.is_grad_enabled() and not _is_transformed():
        found = _as_they_lie(tensors)
        if found is not None:
            return found.flatten(0, 1)
    return torch.cat(tensors)


def _as_they_lie(tensors: Sequence[torch.Tensor]) -> torch.Tensor | None:
    """The tensor of shape ``(tensors, ...)``, without a graph, in whose memory they lie beside each
    other; None where they don't."""
    first, start, step = tensors[0].detach(), tensors[0].data_ptr(), tensors[0].nbytes
    if step == 0 or tensors[-1].data_ptr() != start + step * (len(tensors) - 1):
        return None
    storage = first.untyped_storage()
    if start + step * len(tensors) > storage.data_ptr() + storage.nbytes():
        return None
    starts = [tensor.data_ptr() for tensor in tensors]
    if starts != list(range(start, start + step * len(tensors), step)):
        return None
    if not all(map(torch.Tensor.is_contiguous, tensors)):
        return None
    return first.as_strided((len(tensors), *first.shape), (first.numel(), *first.stride()))


def _can_be_moved(parameter: Any) -> bool:
    return (
        type(parameter) is torch.nn.Parameter
        and parameter.layout is torch.strided
        and parameter.is_contiguous()
        and not parameter.is_meta
        and not parameter.is_inference()
    )


def _holders(tensor: torch.Tensor) -> int:
    """How many have a hold of its memory, as torch counts them."""
    storage = tensor.untyped_storage()
    return torch._C._storage_Use_Count(storage._cdata)


_ALONE = _holders(torch.empty(1))


def _has_its_own_memory(parameter: torch.Tensor) -> bool:
    """Whether its memory is of its size, and nobody else is seen to have a hold of it."""
    return (
        parameter.data_ptr() not in _WHOLES
        and parameter.untyped_storage().nbytes() == parameter.nbytes
        and not (parameter.is_cpu and parameter.is_shared())
        and _holders(parameter) == _ALONE
    )


def _copied(tensors: list[Any], x: torch.Tensor) -> torch.Tensor:
    """The tensors beside each other, copied."""
    if any(tensor is None for tensor in tensors):
        raise RuntimeError("only some of the modules have a parameter of the name")
    for tensor in tensors:  # torch promotes the dtypes that it stacks
        _check_like(tensor, x)
    records(tensors)
    return torch.stack(tensors)


def _check_like(parameter: torch.Tensor, x: torch.Tensor) -> None:
    # empty products of two devices torch makes somewhere
    if parameter.dtype != x.dtype or parameter.device != x.device:
        raise RuntimeError("the parameters do not go with the values")


def records(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether autograd records what is done to the tensors.

    Raises RuntimeError where it does so for some of them only: together, all would require gradients.
    """
    if not torch.is_grad_enabled():
        return False
    needed = [tensor.requires_grad for tensor in tensors]
    if True in needed and False in needed:
        raise RuntimeError("only some require gradients")
    return needed[0]


def _is_transformed() -> bool:
    """Whether torch compiles, exports, maps or differentiates what is called as a function."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
