"""Calls that are not yet made: how modules, labels, blocks and maps are made, as plain data."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..labels import Labels
from ..printing import PrintedAsSource


@dataclass(frozen=True, repr=False)
class Call(PrintedAsSource):
    """A call that is not yet made: ``name(*args, **kwargs)``.

    The name is that of a class of plain torch with its module (``torch.nn.Linear``, or a twin of a
    kind's), one of an implementation's constructors of data (``Labels``, ``TensorBlock``,
    ``TensorMap``), or else one of its ``nn``; ``add_gradient(block, parameter, gradient)`` is the block
    with that gradient.
    Arguments are numbers, dtypes, tensors, labels, blocks, maps, further calls, and lists of them; one
    that is left out stays left out. ``parameters`` are what the module's are set to, in its own order;
    None leaves the initial ones.
    """

    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[torch.Tensor, ...] | None = None

    @property
    def is_torch(self) -> bool:
        """Whether it is a module of plain torch that is made."""
        return "." in self.name

    @property
    def sets_parameters(self) -> bool:
        """Whether it, or a call in its arguments, sets parameters."""

        def sets(arg: Any) -> bool:
            return any(map(sets, arg)) if isinstance(arg, list) else _sets_parameters(arg)

        return self.parameters is not None or any(map(sets, self.args))

    def __call__(self) -> torch.nn.Module:
        """Make the module, where it is plain torch."""
        return make_torch(self)

    def with_initial_parameters(self) -> Call:
        """The same call, and the calls in its arguments, with no parameters set."""

        def initial(arg: Any) -> Any:
            if isinstance(arg, list):
                return [initial(item) for item in arg]
            return arg.with_initial_parameters() if isinstance(arg, Call) else arg

        return dataclasses.replace(self, args=tuple(map(initial, self.args)), parameters=None)

    def with_arguments(self, change: Callable[[str, Any], Any]) -> Call:
        """The same call, and the calls that it takes, with ``change(name, value)`` in the place of every
        other argument. Labels by position are named ``in_keys``, what else is has an empty name."""

        def changed(name: str, value: Any) -> Any:
            return value.with_arguments(change) if isinstance(value, Call) else change(name, value)

        args = tuple(changed("in_keys" if isinstance(a, Labels) else "", a) for a in self.args)
        kwargs = {name: changed(name, value) for name, value in self.kwargs.items()}
        return dataclasses.replace(self, args=args, kwargs=kwargs)


def _sets_parameters(arg: Any) -> bool:
    return isinstance(arg, Call) and arg.sets_parameters


@dataclass(frozen=True, repr=False)
class Deferred(PrintedAsSource):
    """A function without arguments that makes a call: what is invalid has a name before it is made."""

    call: Call


def call_of(kind: type[torch.nn.Module], *args: Any, **kwargs: Any) -> Call:
    """The call of a class of plain torch, which can be imported."""
    return Call(f"{kind.__module__}.{kind.__qualname__}", args, kwargs)


def make_torch(call: Call) -> torch.nn.Module:
    """Make a call of plain torch, and set its parameters."""
    args = [make_torch(arg) if isinstance(arg, Call) else arg for arg in call.args]
    home, _, name = call.name.rpartition(".")
    module: torch.nn.Module = getattr(importlib.import_module(home), name)(*args, **call.kwargs)
    if call.parameters is not None:
        set_parameters(list(module.parameters()), call.parameters)
    return module


def set_parameters(parameters: Sequence[torch.nn.Parameter], values: Sequence[torch.Tensor]) -> None:
    """Give parameters their values. Raises ValueError where their number or shapes differ."""
    shapes = [[tuple(v.shape) for v in tensors] for tensors in (parameters, values)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"the module has parameters of the shapes {shapes[0]}, but its twin in plain torch, key "
            f"by key, {shapes[1]}"
        )
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)
