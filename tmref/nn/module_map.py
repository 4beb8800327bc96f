"""ModuleMap: one torch module for every key."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from ..block import TensorBlock
from ..labels import Labels, LabelsEntry
from ..printing import type_of
from ..tensor_map import TensorMap
from ._arguments import checked_keys, checked_properties
from .gradients import push_forward, why_no_gradients
from .module import Module


class ModuleMap(Module):
    """y[k] = modules[k](x[k]) for every key k of the map.

    Blocks find their module by the named values of their key, in whatever order; a map may have
    fewer keys than the module. The values of a block have the shape ``(samples, *components,
    in_features)``; a module may change the last size only. Samples, components and keys are kept;
    the properties are ``out_properties[k]``, without them one dimension ``_`` counting from 0.
    Explicit gradients are transformed by the chain rule.

    Raises TypeError or ValueError for arguments that don't fit each other. The forward raises
    ValueError for a block with another key, where a module returns another shape than it may, and
    where a block has gradients that can't go through its module (:mod:`tmref.nn.gradients`).

    Source: the documentation of ``metatensor.learn.nn.ModuleMap``.
    """

    _in_keys: Labels
    _out_properties: list[Labels] | None
    #: What returns the outputs of the modules for their blocks, where they are not called one by one.
    _call_modules: Callable[[Collection[Any], Sequence[TensorBlock]], Sequence[Any]] | None = None

    def __init__(
        self,
        in_keys: Labels,
        modules: Sequence[torch.nn.Module],
        out_properties: Sequence[Labels] | None = None,
    ) -> None:
        super().__init__()
        checked_keys(in_keys)
        if not isinstance(modules, (list, tuple, torch.nn.ModuleList)):
            raise TypeError(f"modules must be a list of torch.nn.Module, got {type(modules).__name__}")
        for module in modules:
            if not isinstance(module, torch.nn.Module):
                raise TypeError(
                    f"modules must be a list of torch.nn.Module, got {type(module).__name__} in it"
                )
        if len(modules) != len(in_keys):
            raise ValueError(
                f"modules must have one module for each of the {len(in_keys)} keys, got {len(modules)}"
            )
        self.register_buffer("_in_keys", in_keys)
        self.register_buffer("_out_properties", checked_properties(out_properties, in_keys))
        self.module_list = torch.nn.ModuleList(modules)

    @classmethod
    def from_module(
        cls,
        in_keys: Labels,
        module: torch.nn.Module,
        out_properties: Sequence[Labels] | None = None,
    ) -> ModuleMap:
        """A copy of ``module`` for every key. Raises as the constructor does."""
        return cls(in_keys, [copy.deepcopy(module) for _ in checked_keys(in_keys)], out_properties)

    @property
    def in_keys(self) -> Labels:
        """The keys that there is a module for."""
        return self._in_keys

    @property
    def out_properties(self) -> list[Labels] | None:
        """The properties of the output for every key, or None for the default."""
        return None if self._out_properties is None else list(self._out_properties)

    def forward(self, tensor: TensorMap) -> TensorMap:
        """The map of ``modules[k](x[k])``, keys in the order of ``tensor``."""
        if not isinstance(tensor, TensorMap):
            raise TypeError(f"the input must be a TensorMap, got {type_of(tensor)}")
        keys, blocks, in_keys = tensor._keys, tensor._blocks, self._in_keys
        # not self.module_list: that lookup costs as much as a small block does
        modules: Collection[Any] = self.__dict__["_modules"]["module_list"]._modules.values()
        properties: Iterable[Labels | None] = self._out_properties or itertools.repeat(None)
        if keys is not in_keys and (keys._content != in_keys._content or keys._names != in_keys._names):
            positions = self._positions(keys)
            modules = [self.module_list[i] for i in positions]
            if self._out_properties:
                properties = [self._out_properties[i] for i in positions]
        has_gradients = blocks and blocks[0]._gradients
        if has_gradients:
            for module, (key, block) in zip(modules, tensor.items(), strict=True):
                _check_gradients(module, key, block)
        new_block = TensorBlock._unchecked  # looked up once: the loop costs what small blocks do
        out: list[TensorBlock] = []
        dtype: object = "of the first block"
        default: Labels | None = None
        outputs: Sequence[Any]
        if (
            self._call_modules is None
        ):  # here, and not behind another call: a block alone is as short as that
            outputs = [module(block._values) for module, block in zip(modules, blocks)]  # noqa: B905
        else:
            outputs = self._call_modules(modules, blocks)
        for values, block, labels in zip(outputs, blocks, properties):  # noqa: B905, repeat() is endless
            if getattr(values, "dtype", None) is not dtype:
                dtype = _dtype_of(values, block, keys, out)
            shape, samples, components = values.shape, block._samples, block._components
            fits = len(shape) == 2 + len(components) and shape[0] == samples._length
            if not fits or (components and not _fit(components, shape)):
                raise ValueError(_wrong_shape(keys[len(out)], block, values))
            if labels is None:
                if default is None or default._length != shape[-1]:
                    default = _default_properties(shape[-1], keys._device)
                labels = default
            elif labels._length != shape[-1]:
                raise ValueError(_wrong_width(keys[len(out)], labels, shape[-1]))
            elif labels._device != keys._device:
                labels = labels.to(keys._device)
            out.append(new_block(values, samples, components, labels, True))
        if has_gradients:
            for module, block, result in zip(modules, blocks, out, strict=True):
                _push_gradients(module, block, result)
        return TensorMap._unchecked(keys, out, tensor._info)

    def _positions(self, keys: Labels, given: str = "the map has a block") -> list[int]:
        """Where every key is in ``in_keys``. Raises ValueError where one isn't, ``given`` as it says."""
        positions = []
        for key in keys:
            position = self._in_keys.position(key)
            if position is None:
                known = ", ".join(k.print() for k in self._in_keys)
                raise ValueError(
                    f"{given} {key.print()}, but there is no module for it; "
                    f"there are modules for {known or 'no keys'}"
                )
            positions.append(position)
        return positions

    def _arranged(
        self, found: dict[str, Any], state_dict: dict[str, Any], prefix: str
    ) -> dict[str, Any]:
        """Keys stay as they are, in their order: what stands in another order in the state dict is
        brought into this one. Properties are taken where all weights can be, since they must fit."""
        keys, properties = found.get("_in_keys", self._in_keys), found.get("_out_properties")
        if not isinstance(keys, Labels):
            raise ValueError(f"_in_keys must be Labels, got {type_of(keys)}")
        if keys._names != self._in_keys._names or set(keys._entries()) != set(self._in_keys._entries()):
            raise ValueError(
                f"it is of modules for {', '.join(key.print() for key in keys) or 'no keys'}, and here "
                f"are modules for {', '.join(key.print() for key in self._in_keys) or 'no keys'}"
            )
        try:
            checked_properties(properties, keys)
        except (TypeError, ValueError) as error:
            raise ValueError(f"_{error}") from error
        order = [keys._position_of_entry()[row] for row in self._in_keys._entries()]
        _rename(state_dict, f"{prefix}module_list.", {str(j): str(i) for i, j in enumerate(order)})
        for name, own in self.module_list.state_dict(keep_vars=True).items():
            given = state_dict.get(f"{prefix}module_list.{name}")
            if isinstance(own, torch.Tensor) and not (
                isinstance(given, torch.Tensor) and (is_lazy(own) or given.shape == own.shape)
            ):
                return {}
        return {} if properties is None else {"_out_properties": [properties[i] for i in order]}


def _rename(entries: dict[str, Any], prefix: str, new: Mapping[str, str]) -> None:
    """Rename, in place, what follows ``prefix`` in the names of entries, up to the next dot."""
    renamed = {name: entries.pop(name) for name in list(entries) if name.startswith(prefix)}
    for name, value in renamed.items():
        head, dot, tail = name[len(prefix) :].partition(".")
        entries[f"{prefix}{new.get(head, head)}{dot}{tail}"] = value


class Delegating(Module):
    """A module that is what its ``module_map`` does: a subclass makes it in ``__init__``."""

    module_map: ModuleMap

    def forward(self, tensor: TensorMap) -> TensorMap:
        """The map that ``module_map`` makes of ``tensor``."""
        return self.__dict__["_modules"]["module_map"](tensor)


def _wrong_shape(key: LabelsEntry, block: TensorBlock, values: object) -> str:
    given = tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__
    return (
        f"the module of {key.print()} must return a tensor of the shape "
        f"({', '.join(map(str, block.shape[:-1]))}, out_features), got {given}"
    )


def _wrong_width(key: LabelsEntry, properties: Labels, width: int) -> str:
    return (
        f"the module of {key.print()} returned {width} properties, but its out_properties have "
        f"{len(properties)} entries"
    )


def _fit(components: tuple[Labels, ...], shape: torch.Size) -> bool:
    for axis, component in enumerate(components, 1):  # noqa: SIM110, all() takes twice as long
        if shape[axis] != component._length:
            return False
    return True


def _dtype_of(values: object, block: TensorBlock, keys: Labels, out: list[TensorBlock]) -> torch.dtype:
    """The dtype of the values. Raises ValueError where it isn't that of the blocks before."""
    if not isinstance(values, torch.Tensor):
        raise ValueError(_wrong_shape(keys[len(out)], block, values))
    if out and values.dtype != out[0].dtype:
        raise ValueError(
            f"the modules must return values of one dtype, got {out[0].dtype} from that of "
            f"{keys[0].print()} and {values.dtype} from that of {keys[len(out)].print()}"
        )
    return values.dtype


def _check_gradients(module: torch.nn.Module, key: LabelsEntry, block: TensorBlock) -> None:
    """Raise ValueError where the block has gradients that can't go through the module."""
    for parameter, gradient in block.gradients():
        reason = why_no_gradients(module)
        if gradient.has_any_gradient():
            reason = "it has gradients itself, and gradients of gradients are not supported"
        if reason:
            raise ValueError(
                f"the gradient with respect to {parameter!r} of the block {key.print()} can't go "
                f"through the module: {reason}. Remove the gradients from the map, or compute "
                "them from the output by autograd"
            )


def _push_gradients(module: torch.nn.Module, block: TensorBlock, out: TensorBlock) -> None:
    """Add to ``out`` what the module makes of the gradients of ``block``."""
    for parameter, gradient in block.gradients():
        pushed = TensorBlock._unchecked(
            push_forward(module, block, gradient),
            gradient._samples,
            gradient._components,
            out._properties,
            True,
        )
        pushed._parameter = parameter
        out._gradients = {**out._gradients, parameter: pushed}


@functools.lru_cache(maxsize=256)
def _numbered(width: int, device: torch.device) -> Labels:
    return Labels.range("_", width).to(device)


def _default_properties(width: int, device: torch.device) -> Labels:
    return _numbered(width, device)


# What torch.compiler.assume_constant_result does, which would import torch.compile's half of torch: the
# labels are found when a forward is compiled, not traced.
_default_properties._dynamo_marked_constant = True  # type: ignore[attr-defined]
