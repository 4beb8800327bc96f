"""Module: a torch module that may keep labels, blocks and maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from ..block import TensorBlock
from ..io import load_block_buffer, load_buffer, load_labels_buffer, save_buffer
from ..labels import Labels
from ..printing import type_of
from ..tensor_map import TensorMap

_NAME = {kind: f"metatensor.{kind.__name__}" for kind in (Labels, TensorBlock, TensorMap)}
_LOAD: dict[str, Callable[[Any], Any]] = {
    "metatensor.Labels": load_labels_buffer,
    "metatensor.TensorBlock": load_block_buffer,
    "metatensor.TensorMap": load_buffer,
}


class Buffer:
    """Labels, a block, a map or a nest of them, to be registered where it is assigned to a module.

    ``self.name = Buffer(data)`` in a :class:`Module` is ``self.register_buffer("name", data)``.
    ``persistent`` says whether it is part of the state dict. What can't be registered raises there.

    Source: the documentation of ``metatensor.learn.nn.Buffer``.
    """

    def __init__(self, value: Any, persistent: bool = True) -> None:
        self.data = value
        self.persistent = persistent


def submodule(name: str) -> property:
    """A property that is the submodule of this name: torch finds one after all else, which takes as long
    as a tenth of a small block's forward."""
    return property(lambda module: module._modules[name], doc=f"The submodule ``{name}``.")


class Module(torch.nn.Module):
    """A torch.nn.Module whose buffers may be Labels, TensorBlock and TensorMap as well as tensors, and
    dictionaries, lists and tuples of them, nested.

    They follow ``.to()`` and its like as torch's buffers do: values of floating dtypes are converted,
    everything is moved, labels keep their integers. In a state dict the persistent ones stand under
    ``_extra_state``, in metatensor-learn's format, so that state dicts are exchanged with it; so is
    the empty buffer ``_mts_helper`` that its modules have.

    :meth:`register_buffer` and assignments raise TypeError for other things. A state dict that is
    refused raises RuntimeError, and changes nothing.

    Source: the documentation of ``metatensor.learn.nn.Module``, and of ``torch.nn.Module``.
    """

    def __init__(self) -> None:
        super().__init__()
        #: the names of the buffers that are no tensors, and whether they are persistent
        self._data_buffers: dict[str, bool] = {}
        super().register_buffer("_mts_helper", torch.zeros(0))

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Make ``tensor`` a buffer of this name: a tensor, or Labels, TensorBlock, TensorMap, None, or
        a nest of dictionaries, lists and tuples of them.

        Raises TypeError for anything else, and KeyError for a name that is taken or that torch
        doesn't take.
        """
        if isinstance(tensor, Buffer):
            tensor = tensor.data
        if isinstance(tensor, torch.Tensor):
            super().register_buffer(name, tensor, persistent=persistent)
            return
        _check_data(name, tensor)
        # torch's own checks of the name, for a buffer that is none of its own in the end
        super().register_buffer(name, None)
        del self._buffers[name]
        self._data_buffers[name] = persistent
        self.__dict__[name] = tensor

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Buffer):
            self.register_buffer(name, value.data, value.persistent)
            return
        if name in self.__dict__.get("_data_buffers", ()):
            _check_data(name, value)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._data_buffers.pop(name, None)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Module:
        super()._apply(fn, recurse)
        for name in self._data_buffers:
            self.__dict__[name] = _apply(self.__dict__[name], fn)
        return self

    def get_extra_state(self) -> dict[str, Any]:
        """The persistent buffers that are no tensors, by name, each as ``(kind, file, empty)``: what it
        is, the bytes of its file (uint8), and an empty tensor of its dtype on its device."""
        found = {name: self.__dict__[name] for name, kept in self._data_buffers.items() if kept}
        return {name: _encoded(value) for name, value in found.items() if value is not None}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Give the buffers of these names the values of :meth:`get_extra_state`, with the dtype and on
        the device that they have here; other names are left out. Raises ValueError where a value
        can't be read, and changes nothing then. A module that takes its buffers with its parameters, as
        a ModuleMap that has some does, takes none here: :meth:`load_state_dict` has both."""
        self.__dict__.update(self._arranged(self._decoded(state), {}, ""))

    def _decoded(self, state: Mapping[str, Any], assign: bool = False) -> dict[str, Any]:
        """The values of the buffers that the state has, as they are here or, where ``assign``, there.

        Raises ValueError where one can't be read.
        """
        if not isinstance(state, Mapping):
            raise ValueError(f"_extra_state must be a dictionary, got {type(state).__name__}")
        return {
            name: _decoded(name, state[name], None if assign else self.__dict__[name])
            for name in self._data_buffers
            if name in state
        }

    def _arranged(
        self, found: dict[str, Any], state_dict: dict[str, Any], prefix: str
    ) -> dict[str, Any]:
        """The values to be taken for the buffers, out of those found in a state dict, of which the
        entries under ``prefix`` may be renamed. Raises ValueError where they can't be this module's."""
        return found

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """As torch's, with the buffers that are no tensors.

        What is refused changes nothing: what was there is kept until all is loaded, which takes the
        memory of one module more.
        """
        restore = _saved(self)
        try:
            return super().load_state_dict(state_dict, strict, assign)
        except Exception:
            restore()
            raise

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        entry = f"{prefix}_extra_state"
        state = state_dict.get(entry, {})
        try:
            assign = local_metadata.get("assign_to_params_buffers", False)
            found = self._arranged(self._decoded(state, assign), state_dict, prefix)
        except ValueError as error:
            error_msgs.append(f"{entry} is not loaded: {error}")
            found = {}
        else:
            if strict and entry in state_dict:
                missing_keys += [prefix + name for name in self.get_extra_state() if name not in state]
                unexpected_keys += [prefix + name for name in state if name not in self._data_buffers]
        super()._load_from_state_dict(
            {**state_dict, entry: {}} if entry in state_dict else state_dict,
            prefix,
            local_metadata,
            strict,
            missing_keys,
            unexpected_keys,
            error_msgs,
        )
        self.__dict__.update(found)


def _saved(root: torch.nn.Module) -> Callable[[], None]:
    """A function that gives all parameters and buffers under ``root`` what they are now."""
    parts: list[tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, Any]]]] = [
        (
            module.__dict__,
            {name: module.__dict__[name] for name in getattr(module, "_data_buffers", ())},
            {"_parameters": dict(module._parameters), "_buffers": dict(module._buffers)},
        )
        for module in root.modules()
    ]
    tensors = {
        id(tensor): tensor
        for _, _, registered in parts
        for of_kind in registered.values()
        for tensor in of_kind.values()
        if tensor is not None
    }
    values = [
        (tensor, type(tensor), None if is_lazy(tensor) else tensor.detach().clone())
        for tensor in tensors.values()
    ]

    def restore() -> None:
        for attributes, data, registered in parts:
            attributes.update(data)
            for where, theirs in registered.items():
                attributes[where].update(theirs)
        with torch.no_grad():
            for tensor, kind, value in values:
                if value is not None:
                    tensor.copy_(value)
                elif not is_lazy(tensor):  # it was made of what was loaded
                    tensor.data, tensor.__class__ = tensor.new_empty(0), kind

    return restore


def _check_data(path: str, value: Any) -> None:
    """Raise TypeError where something is neither labels, block or map, nor a nest of them, nor None."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_data(f"{path}[{key!r}]", item)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            _check_data(f"{path}[{i}]", item)
    elif value is not None and type(value) not in _NAME:
        raise TypeError(
            f"the buffer {path} must be a tensor, Labels, a TensorBlock, a TensorMap, None, or a "
            f"dictionary, list or tuple of these but tensors, got {type_of(value)}"
        )


def _nested(value: Any, function: Callable[[Any], Any]) -> Any:
    """A nest with ``function`` of the things in it."""
    if isinstance(value, dict):
        return {key: _nested(item, function) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_nested(item, function) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value if value is None else function(value)


def _apply(value: Any, fn: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """A nest after ``fn`` was applied to all values in it, and the labels went where they are."""

    def applied(data: Labels | TensorBlock | TensorMap) -> Labels | TensorBlock | TensorMap:
        device = fn(torch.empty(0, device=data.device)).device
        if isinstance(data, Labels):
            return data.to(device)
        if isinstance(data, TensorBlock):
            return data._map_values(fn)._with_labels_on(device)
        return data._map_blocks(
            lambda block: block._map_values(fn)._with_labels_on(device), data.keys.to(device)
        )

    return _nested(value, applied)


def _encoded(value: Any) -> Any:
    """A nest as it stands in a state dict."""

    def encoded(data: Labels | TensorBlock | TensorMap) -> tuple[str, torch.Tensor, torch.Tensor]:
        dtype = torch.int32 if isinstance(data, Labels) else data.dtype
        empty = torch.empty(0, dtype=dtype, device=data.device)
        content = save_buffer(data if isinstance(data, Labels) else _storable(data))
        return _NAME[type(data)], content, empty

    return _nested(value, encoded)


def _storable(data: TensorBlock | TensorMap) -> TensorBlock | TensorMap:
    """The data with values that a file can have: the empty tensor beside it knows what they were."""

    def on_host(values: torch.Tensor) -> torch.Tensor:
        if values.is_meta:
            values = torch.zeros_like(values, device="cpu")
        return values.float() if values.dtype == torch.bfloat16 else values

    if isinstance(data, TensorBlock):
        return data._map_values(on_host)
    return data._map_blocks(lambda block: block._map_values(on_host))


def _decoded(path: str, value: Any, here: Any) -> Any:
    """What :func:`_encoded` made something of, with dtype and device of what is ``here`` in its place.

    Raises ValueError where it is nothing of that.
    """
    if value is None:
        return None
    if isinstance(value, dict):
        within = here if isinstance(here, dict) else {}
        return {k: _decoded(f"{path}[{k!r}]", item, within.get(k)) for k, item in value.items()}
    if isinstance(value, (list, tuple)) and not _is_encoded(value):
        of = here if isinstance(here, (list, tuple)) and len(here) == len(value) else [None] * len(value)
        pairs = enumerate(zip(value, of, strict=True))
        items = [_decoded(f"{path}[{i}]", item, there) for i, (item, there) in pairs]
        return items if isinstance(value, list) else tuple(items)
    if not _is_encoded(value):
        raise ValueError(
            f"{path} must be (kind, file, empty tensor), or a nest of that, got {type(value).__name__}"
        )
    name, buffer, empty = value
    if name not in _LOAD:
        raise ValueError(f"{path} is {name!r}, expected one of {', '.join(_LOAD)}")
    if not isinstance(empty, torch.Tensor):
        raise ValueError(f"{path} must have an empty tensor at last, got {type(empty).__name__}")
    try:
        data = _LOAD[name](buffer)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    like = here if type(here) is type(data) else empty
    if isinstance(data, Labels):
        return data.to(like.device)
    return data.to(dtype=like.dtype, device=like.device)


def _is_encoded(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and isinstance(value[0], str)
