"""The parameters of many modules as one tensor, in whose memory they lie beside each other."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd import forward_ad
from torch.utils.dlpack import from_dlpack, to_dlpack  # type: ignore[attr-defined]
from torch.utils.weak import WeakTensorKeyDictionary

_View = Callable[[torch.Tensor], torch.Tensor]


class Whole:
    """A tensor in whose memory parameters lie beside each other, each with a storage of its own."""

    def __init__(self, tensor: torch.Tensor, parts: Sequence[torch.Tensor]) -> None:
        self.tensor = tensor
        self._places = _places(parts)

    def part(self, start: int, parameters: Sequence[Any]) -> torch.Tensor | None:
        """The part from the place ``start`` on in which the parameters lie, in their order; None where
        they lie elsewhere."""
        end = start + len(parameters)
        of_part = [of_all[start:end] for of_all in self._places]
        return self.tensor[start:end] if _places(parameters) == of_part else None


#: Of parameters that were brought together, in which whole that was, and at which place.
_WHOLES = WeakTensorKeyDictionary()


class Beside:
    """The parameters of one name of modules that are like each other, as one tensor.

    They stay the modules' own: the same objects, of the same names and values. Where they have been
    brought together (:func:`bring_together`), in this order, that tensor is no copy; elsewhere, and
    where torch traces or transforms what is called, they are copied at every call. Nothing is moved
    here: other threads, and graphs of a device, may be using the parameters.
    """

    def __init__(self, modules: Sequence[torch.nn.Module], name: str, view: _View) -> None:
        self._name = name
        self._view = view
        self._parameters = [module._parameters for module in modules]
        self._memory: _Memory | None = None

    def __call__(self, x: torch.Tensor) -> Any:
        """The ``view`` of the parameters, for the values ``x``; None where there are none.

        Raises RuntimeError where only some have one, where they don't go with the values, and where
        autograd records and only some of them require gradients: together, all would; and what the view
        raises.
        """
        found: list[Any] = [parameters[self._name] for parameters in self._parameters]
        if found[0] is None and all(parameter is None for parameter in found):
            return None
        if _is_transformed():
            return self._view(_copied(found, x))
        memory = self._memory
        if memory is None or not memory.is_of(found):
            self._memory = memory = _Memory.of(found, self._view)
            if memory is None:
                return self._view(_copied(found, x))
        _check_like(memory.plain, x)
        return memory.recorded if records(found) else memory.plain

    def guard(self, y: torch.Tensor) -> None:
        """Have a backward through ``y`` raise RuntimeError where a parameter was changed since.

        Autograd looks at the tensor that was used, which does not know of what is written to the
        parameters.
        """
        memory = self._memory
        if memory is None or _is_transformed() or not y.requires_grad:
            return
        members, versions = memory.members, memory.versions()

        def check(gradient: torch.Tensor) -> None:
            if [parameter._version for parameter in members] != versions:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an "
                    "inplace operation: a parameter, since the forward"
                )

        y.register_hook(check)


class _Memory:
    """The part of a whole in which the members lie."""

    def __init__(self, part: torch.Tensor, members: list[torch.nn.Parameter], view: _View) -> None:
        self.members = members
        self._part = part
        self._places = _places(members)
        self._view = view
        self._recorded: torch.Tensor | None = None
        self.plain = view(part)

    @classmethod
    def of(cls, members: list[Any], view: _View) -> _Memory | None:
        """That of these members, where they have been brought together in this order."""
        if any(member is None for member in members):
            return None
        whole, start = _WHOLES.get(members[0], (None, 0))
        part = whole and whole.part(start, members)
        return None if part is None else cls(part, members, view)

    @property
    def recorded(self) -> torch.Tensor:
        """The view with its graph, from the parameters on. It is made once: no node of it keeps anything
        that a backward would free."""
        if self._recorded is None:
            self._recorded = self._view(_Joined.apply(self._part, *self.members))
        return self._recorded

    def is_of(self, parameters: list[Any]) -> bool:
        """Whether these are its parameters, and still lie in it."""
        are_members = all(map(operator.is_, parameters, self.members))
        return are_members and _places(parameters) == self._places

    def versions(self) -> list[int]:
        """How often each parameter has been written to."""
        return [parameter._version for parameter in self.members]


def _places(parameters: Sequence[Any]) -> list[list[Any]]:
    """Where in memory their numbers are: what torch.Tensor.is_set_to compares, with an operator."""
    return [
        list(map(torch.Tensor.data_ptr, parameters)),
        list(map(torch.Tensor.stride, parameters)),
        list(map(torch.Tensor.numel, parameters)),
    ]


class _Joined(torch.autograd.Function):
    """The tensor that has the parameters in its memory."""

    @staticmethod
    def forward(ctx: Any, memory: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        return memory.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        parts = gradients[0].unbind()
        # what is differentiated once more is anybody's to change, which such views can't be
        return None, *(map(torch.clone, parts) if torch.is_grad_enabled() else parts)


def bring_together(parameters: Sequence[Any]) -> None:
    """Have parameters lie beside each other in the memory of one tensor, in their order.

    They stay where they are where somebody else has a hold of their memory (tied parameters, arrays of
    numpy, other processes), and where they are not alike. As with ``.to()``, nobody else is to write to
    them meanwhile.
    """
    if not all(map(_can_be_moved, parameters)) or _is_transformed():
        return
    like = [(parameter.shape, parameter.dtype, parameter.device) for parameter in parameters]
    if like.count(like[0]) < len(like) or len(set(map(id, parameters))) < len(parameters):
        return
    whole, start = _WHOLES.get(parameters[0], (None, 0))
    if whole is not None and whole.part(start, parameters) is not None:
        return
    if not all(map(_has_its_own_memory, parameters)):
        return
    with torch.inference_mode(False), torch.no_grad():
        memory = torch.stack([parameter.data for parameter in parameters])
        if type(memory) is not torch.Tensor:  # in a mode of torch that makes others of them
            return
        try:
            # a storage each: a pickle of one has not the memory of all, and another thread that reads it
            # finds its numbers in its old storage or in its new one, both of which begin with them
            places = [from_dlpack(to_dlpack(part)) for part in memory.unbind()]
        except (BufferError, RuntimeError):  # of a device that can't
            return
        for parameter, place in zip(parameters, places, strict=True):
            parameter.data = place
    whole = Whole(memory, parameters)
    for i, parameter in enumerate(parameters):
        _WHOLES[parameter] = whole, i


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
    if not all(map(torch.Tensor.is_contiguous, tensors)) or any(map(torch.Tensor.is_neg, tensors)):
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
    """How many have a hold of its memory, as torch and Python count them."""
    storage = tensor.untyped_storage()
    return torch._C._storage_Use_Count(storage._cdata) + sys.getrefcount(storage)


_ALONE = _holders(torch.empty(1))


def _has_its_own_memory(parameter: torch.Tensor) -> bool:
    """Whether its memory is of its size and torch's own, and nobody else is seen to hold it."""
    whole, start = _WHOLES.get(parameter, (None, 0))
    storage = parameter.untyped_storage()
    is_torchs = storage.resizable() or (whole and whole.part(start, [parameter]) is not None)
    del storage  # which is a hold
    return (
        bool(is_torchs)
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
    """Whether torch compiles, exports, maps or differentiates what is called: it sees what is done to
    tensors, not where they lie."""
    return (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )
