"""Modules that do wrong with the data that they hold."""

import copy

import torch

from mutants.planting import custom
from tmref import Labels, TensorBlock
from tmref.nn import module as of_module
from tmref.nn.module import Buffer, Module


def nested(value, function):
    """A nest with ``function`` of its tuples, innermost first."""
    if isinstance(value, dict):
        return {key: nested(item, function) for key, item in value.items()}
    if isinstance(value, list):
        return [nested(item, function) for item in value]
    return function(tuple(nested(i, function) for i in value)) if isinstance(value, tuple) else value


@custom("what_is_registered_is_the_attribute", "buffers_are_saved_and_loaded")
class TuplesAreLists(Module):
    def register_buffer(self, name, tensor, persistent=True):
        super().register_buffer(name, nested(tensor, list), persistent)


@custom("what_is_registered_is_the_attribute")
class EmptyIsNothing(Module):
    def register_buffer(self, name, tensor, persistent=True):
        super().register_buffer(name, emptied(tensor), persistent)


def emptied(value):
    """A nest with None for what is empty in it."""
    if isinstance(value, dict):
        return {key: emptied(item) for key, item in value.items()} or None
    if isinstance(value, (list, tuple)):
        return type(value)(map(emptied, value)) or None
    return value


class _Kept(Module):
    """Some of the data is not converted."""

    def kept(self, name, value):
        return False

    def _apply(self, fn, recurse=True):
        before = {name: self.__dict__[name] for name in self._data_buffers}
        super()._apply(fn, recurse)
        self.__dict__.update({n: v for n, v in before.items() if self.kept(n, v)})
        return self


@custom("buffers_are_converted_as_torchs_are")
class NestsAreNotConverted(_Kept):
    def kept(self, name, value):
        return isinstance(value, (tuple, list, dict))


@custom("buffers_are_converted_as_torchs_are")
class BlocksAreNotConverted(_Kept):
    def kept(self, name, value):
        return "TensorBlock(" in repr(value) and "TensorMap(" not in repr(value)


@custom("buffers_are_converted_as_torchs_are")
class WhatIsNotPersistentIsNotConverted(_Kept):
    def kept(self, name, value):
        return not self._data_buffers[name]


@custom("buffers_are_converted_as_torchs_are")
class ConversionsReturnNothing(Module):
    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)


@custom("conversions_leave_what_torchs_leave", "moving_to_a_device_keeps_the_dtype")
class AllIsOfTheHelpersDtype(Module):
    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        dtype = self._mts_helper.dtype
        for name in self._data_buffers:
            self.__dict__[name] = of_module._nested(
                self.__dict__[name],
                lambda data: data if isinstance(data, Labels) else data.to(dtype=dtype),
            )
        return self


@custom("conversions_leave_what_was_registered", "a_copy_of_buffers_is_its_own")
class ConvertedInPlace(Module):
    def __deepcopy__(self, memo):
        new = copy.copy(self)
        new.__dict__ = dict(self.__dict__)
        return new

    def _apply(self, fn, recurse=True):
        before = dict(self.__dict__)
        super()._apply(fn, recurse)
        for name in self._data_buffers:
            of_module._nested(before[name], lambda data: _overwrite(data, fn))
        return self


def _overwrite(data, fn):
    if isinstance(data, Labels):
        return data
    for block in [data] if isinstance(data, TensorBlock) else data._blocks:
        block._values = fn(block._values)
    return data


@custom("tensors_are_torchs_buffers")
class TensorsArePersistent(Module):
    def register_buffer(self, name, tensor, persistent=True):
        tensor = tensor.data if isinstance(tensor, Buffer) else tensor
        super().register_buffer(name, tensor, persistent or isinstance(tensor, torch.Tensor))

    def __setattr__(self, name, value):
        if isinstance(value, Buffer):
            self.register_buffer(name, value.data, value.persistent)
        else:
            super().__setattr__(name, value)


class _Lenient(Module):
    """What is no data is accepted."""

    def register_buffer(self, name, tensor, persistent=True):
        if isinstance(tensor, torch.Tensor):
            super().register_buffer(name, tensor, persistent)
        else:
            self._data_buffers[name] = persistent
            self.__dict__[name] = tensor

    def _apply(self, fn, recurse=True):
        before = dict(self.__dict__)
        kept, self.__dict__["_data_buffers"] = self._data_buffers, {}
        super()._apply(fn, recurse)
        self.__dict__["_data_buffers"] = kept
        for name in kept:
            self.__dict__[name] = of_module._nested(before[name], lambda v: _applied(v, fn))
        return self

    def get_extra_state(self):
        found = {n: _cleaned(self.__dict__[n]) for n in self._data_buffers}
        return {n: of_module._encoded(v) for n, v in found.items() if v is not None}


def _applied(value, fn):
    return of_module._apply(value, fn) if type(value) in of_module._NAME else value


def _cleaned(value):
    return of_module._nested(value, lambda v: v if type(v) in of_module._NAME else None)


@custom(
    "what_is_no_data_is_refused_or_kept",
    "what_is_neither_tensor_nor_data_is_refused",
    "tensors_in_nests_are_refused_or_buffers",
    "names_that_torch_refuses_are_refused",
    "a_buffer_cannot_take_the_name_of_a_part",
)
class AnythingIsAccepted(_Lenient):
    pass


@custom("names_that_torch_refuses_are_refused")
class NamesWithDotsAreAccepted(Module):
    def register_buffer(self, name, tensor, persistent=True):
        if "." in name or not name:
            return
        super().register_buffer(name, tensor, persistent)


@custom("a_name_is_one_buffer")
class RefusedButReplaced(Module):
    def register_buffer(self, name, tensor, persistent=True):
        if name in self.__dict__.get("_data_buffers", ()):
            self.__dict__[name] = tensor
        super().register_buffer(name, tensor, persistent)


@custom("a_name_is_one_buffer")
class ASecondValueIsNotSaved(Module):
    def register_buffer(self, name, tensor, persistent=True):
        if name in self.__dict__.get("_data_buffers", ()):
            self.__dict__[name] = tensor
            self.__dict__["_first"] = dict(self._data_buffers)
            self._data_buffers.clear()
            return
        super().register_buffer(name, tensor, persistent)


@custom("a_new_value_takes_the_place_of_the_old")
class TheFirstValueIsSaved(Module):
    def register_buffer(self, name, tensor, persistent=True):
        super().register_buffer(name, tensor, persistent)
        self.__dict__.setdefault("_first", {})[name] = self.__dict__.get(name)

    def get_extra_state(self):
        now = dict(self.__dict__)
        self.__dict__.update(self.__dict__.get("_first", {}))
        state = super().get_extra_state()
        self.__dict__.update(now)
        return state


@custom("a_buffer_that_is_deleted_is_gone")
class DeletedBuffersAreListed(Module):
    def __delattr__(self, name):
        torch.nn.Module.__delattr__(self, name)


@custom("modules_with_buffers_print")
class PrintsItsBuffers(Module):
    def extra_repr(self):
        return ", ".join(self._data_buffers)


@custom("parts_are_registered_beside_buffers")
class ParametersAreAttributes(Module):
    def __setattr__(self, name, value):
        if isinstance(value, torch.nn.Parameter):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)


@custom("parts_are_registered_beside_buffers")
class ModulesAreAttributes(Module):
    def __setattr__(self, name, value):
        if isinstance(value, torch.nn.Linear):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)


@custom("parts_stay_where_only_the_module_is_emptied")
class PartsAreAlwaysMeant(Module):
    def _apply(self, fn, recurse=True):
        return super()._apply(fn)


@custom("parts_stay_where_only_the_module_is_emptied")
class OnlyPartsAreMeant(Module):
    def _apply(self, fn, recurse=True):
        for part in self.children():
            part._apply(fn)
        return self
