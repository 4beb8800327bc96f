"""Modules whose data is saved or loaded wrongly."""

import torch

from mutants.planting import custom
from tmref import Labels
from tmref.nn import module as of_module
from tmref.nn.module import Module


@custom("buffers_are_saved_and_loaded", "buffers_are_loaded_by_name")
class TheLastBufferIsNotSaved(Module):
    def get_extra_state(self):
        return dict(list(super().get_extra_state().items())[:-1])


@custom("buffers_are_saved_and_loaded")
class OnlyValuesAreLoaded(Module):
    def _decoded(self, state, assign=False):
        found = super()._decoded(state, assign)
        return {n: with_labels_of(self.__dict__[n], v) for n, v in found.items()}


def with_labels_of(here, there):
    """A nest with the labels of another one of its form."""
    if isinstance(there, dict):
        return {key: with_labels_of(here[key], item) for key, item in there.items()}
    if isinstance(there, (list, tuple)):
        return type(there)(map(with_labels_of, here, there))
    return here if isinstance(there, Labels) else there


@custom("buffers_are_saved_and_loaded")
class NestsAreNotSaved(Module):
    def get_extra_state(self):
        return {n: v for n, v in super().get_extra_state().items() if not isinstance(v, (list, dict))}


@custom("buffers_that_are_not_persistent_are_no_state")
class AllArePersistent(Module):
    def register_buffer(self, name, tensor, persistent=True):
        super().register_buffer(name, tensor)


@custom("buffers_are_loaded_by_name", "non_strict_loading_keeps_other_buffers")
class LoadedByPosition(Module):
    def _decoded(self, state, assign=False):
        named = dict(zip(self._data_buffers, state.values(), strict=False))
        return super()._decoded(named, assign)


@custom("strict_loading_notices_buffers", "other_loading_adds_nothing")
class UnknownBuffersAreAdded(Module):
    def _load_from_state_dict(self, state_dict, prefix, metadata, strict, *lists):
        super()._load_from_state_dict(state_dict, prefix, metadata, False, *lists)
        for name in set(state_dict.get(f"{prefix}_extra_state", {})) - set(self._data_buffers):
            self.__dict__[name] = None


@custom("non_strict_loading_keeps_other_buffers")
class MissingBuffersAreEmptied(Module):
    def _decoded(self, state, assign=False):
        return dict.fromkeys(self._data_buffers) | super()._decoded(state, assign)


dtypes_when_loading = "loading_keeps_the_dtype_of_buffers_or_assigns_it"


@custom(dtypes_when_loading)
class LoadedAsInTheStateDict(Module):
    def _decoded(self, state, assign=False):
        return super()._decoded(state, True)


@custom(dtypes_when_loading)
class NeverAssigned(Module):
    def _decoded(self, state, assign=False):
        return super()._decoded(state)


@custom(dtypes_when_loading)
class NestsAsInTheStateDict(Module):
    def _decoded(self, state, assign=False):
        there = super()._decoded(state, True)
        nests = {name: v for name, v in there.items() if isinstance(v, (list, tuple, dict))}
        return super()._decoded(state, assign) | nests


converted_and_saved = "converted_buffers_are_saved_and_loaded"


@custom(converted_and_saved)
class HalfPrecisionIsNotSaved(Module):
    def get_extra_state(self):
        found = super().get_extra_state()
        if any(empty.dtype == torch.bfloat16 for _, _, empty in of_nest(found)):
            raise RuntimeError("bfloat16 can't be saved")
        return found


def of_nest(value):
    """What stands in a nest of a state dict."""
    if isinstance(value, dict):
        return [item for nest in value.values() for item in of_nest(nest)]
    if of_module._is_encoded(value):
        return [value]
    return [item for nest in value or () for item in of_nest(nest)]


@custom(converted_and_saved)
class LoadedInSinglePrecision(Module):
    def _decoded(self, state, assign=False):
        found = super()._decoded(state, assign)
        return {n: of_module._apply(v, torch.Tensor.float) for n, v in found.items()}
