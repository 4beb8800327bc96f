"""Plain torch beside a module: the same computation, on the CPU or on a device."""

from __future__ import annotations

import copy
import operator
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..block import TensorBlock
from ..catalog import Recipe
from ..implementations import CPU, with_items
from ..labels import Labels, LabelsEntry
from ..tensor_map import TensorMap
from .interrupts import is_not_of_what_is_judged
from .outcomes import Raised


def on_cpu(value: Any) -> Any:
    """Data and tensors, and lists and dictionaries of them, on the CPU; what is there is itself."""
    if isinstance(value, (torch.Tensor, Labels, TensorBlock, TensorMap)):
        return value if value.device == CPU else value.to(CPU)
    if isinstance(value, (list, tuple)):
        items: Any = list(map(on_cpu, value))
        return value if all(map(operator.is_, items, value)) else with_items(value, items)
    if isinstance(value, dict):
        items = {name: on_cpu(item) for name, item in value.items()}
        return value if all(items[name] is value[name] for name in value) else items
    return value


def random_numbers_kept(device: torch.device) -> Any:
    """A context after which the random numbers of the CPU and of the device are what they were."""
    devices = [] if device == CPU else [device]
    return torch.random.fork_rng(devices=devices, device_type=device.type)


def called_from_cpu(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """The module, moved to a device, that takes and gives tensors on the CPU."""
    if device != CPU:
        module.to(device)
        module.register_forward_pre_hook(lambda _, given: tuple(value.to(device) for value in given))
        module.register_forward_hook(lambda _, given, value: value.to(CPU))
    return module


class Twin:
    """The same modules in plain torch, one for each key, with the same parameters.

    They compute on the ``device``, and take and give tensors on the CPU.
    """

    def __init__(self, recipe: Recipe, device: torch.device = CPU) -> None:
        assert recipe.twins is not None
        self.in_keys = recipe.in_keys
        self.device = device
        with quiet():
            torch.default_generator.manual_seed(recipe.seed)
            try:
                self.modules = torch.nn.ModuleList(twin() for twin in recipe.twins)
            except BaseException as error:
                if is_not_of_what_is_judged(error):
                    raise
                raise Raised("the twin can't be made") from error
            for module in self.modules:
                called_from_cpu(module, device)

    def module(self, key: LabelsEntry) -> torch.nn.Module:
        """The module of a key."""
        position = self.in_keys.position(key)
        assert position is not None, f"no twin for {key}"
        return self.modules[position]

    def __call__(self, x: TensorMap) -> list[torch.Tensor]:
        """The values that plain torch gives for every block of ``x``. Raises Raised where it raises."""
        try:
            return [self.module(key)(block.values) for key, block in x.items()]
        except BaseException as error:
            if is_not_of_what_is_judged(error):
                raise
            raise Raised("the twin can't be called") from error

    def in_float64(self) -> Twin:
        """The same modules as they are now, in float64, on the CPU."""
        found = copy.deepcopy(self)
        if self.device != CPU:
            found.device = CPU
            for module in found.modules:  # what called_from_cpu has registered
                module._forward_pre_hooks.clear()
                module._forward_hooks.clear()
        found.modules.cpu().double()
        return found

    def returns_the_input(self, x: TensorMap) -> list[bool]:
        """For every block whether plain torch returns the memory that it is given."""
        # without the hooks, which copy where the twin computes elsewhere
        pairs = ((b.values.to(self.device), self.module(key).forward) for key, b in x.items())
        return [_memory(forward(values)) == _memory(values) for values, forward in pairs]

    def parameters(self) -> dict[str, torch.Tensor]:
        """The parameters by their names."""
        return dict(self.modules.named_parameters())


def _memory(values: torch.Tensor) -> int:
    return values.untyped_storage().data_ptr()


def differentiate(
    outputs: list[torch.Tensor],
    x: TensorMap,
    parameters: Mapping[str, torch.Tensor],
    cotangents: Sequence[torch.Tensor],
) -> dict[str, torch.Tensor]:
    """The derivatives of the sum of ``outputs`` times ``cotangents``, by name.

    Where there is no dependence, they are zeros.
    """
    by = {f"x[{i}]": block.values for i, block in enumerate(x)} | dict(parameters)
    pairs = [(y, c) for y, c in zip(outputs, cotangents, strict=True) if y.requires_grad]
    if not pairs or not by:
        return {name: torch.zeros_like(value) for name, value in by.items()}
    found = torch.autograd.grad(
        [y for y, _ in pairs], list(by.values()), [c for _, c in pairs], allow_unused=True
    )
    return {
        name: torch.zeros_like(value) if grad is None else grad
        for (name, value), grad in zip(by.items(), found, strict=True)
    }


class quiet(warnings.catch_warnings):
    """Without warnings: what is warned of is done, and no refusal, where filters make errors of them."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
