"""Modules that lose, or take for something else, what they are to keep, and custom modules that do."""

import copy
from types import SimpleNamespace

import torch
from mutants import MUTANTS, Planted, all_of, built, called, modules_of, of_nn

import tmref.nn
from tmref import Labels, TensorBlock, TensorMap
from tmref.implementations.reference import Reference
from tmref.nn import module as of_module
from tmref.nn.module import Buffer, Module
from tmref.nn.module_map import ModuleMap

# --- modules of the catalog ---------------------------------------------------------------------------


def changing(*laws):
    """A defect of a module, for the laws, each with the rows that it is on."""

    def register(build):
        for law, rows in laws:
            built(law, *rows)(build)
        return build

    return register


def override(module, name, function):
    """The module with a method ``function(super, *args)`` of its own, which copies keep."""
    kind = type(module)

    def method(self, *args, **kwargs):
        return function(getattr(super(made, self), name), *args, **kwargs)

    made = type(kind.__name__, (kind,), {name: method})
    module.__class__ = made
    return module


@changing(
    ("a_state_dict_gives_the_same_function", ["linear", "sequential_mlp"]),
    ("what_is_loaded_is_the_state_dict_afterwards", ["linear", "layer_norm"]),
)
def loads_the_first_parameter_only(recipe, module):
    def load(super_, state, *args, **kwargs):
        own = module_of(super_).state_dict()
        named = [name for name, _ in module_of(super_).named_parameters()]
        return super_({**state, **{name: own[name] for name in named[1:]}}, *args, **kwargs)

    return override(module, "load_state_dict", load)


def module_of(method):
    """The module that a method is of."""
    return method.__self__


@changing(
    ("a_state_dict_gives_the_same_function", ["tanh", "linear", "module_map_mlp"]),
    ("what_is_loaded_is_the_state_dict_afterwards", ["relu"]),
)
def properties_are_not_loaded(recipe, module):
    _, module_map = modules_of(module)
    own = module_map._out_properties

    def load(super_, state, *args, **kwargs):
        loaded = super_(state, *args, **kwargs)
        modules_of(module_of(super_))[1]._out_properties = own
        return loaded

    return override(module, "load_state_dict", load)


@changing(
    ("a_loaded_module_keeps_its_own_memory", ["linear", "module_map_linear"]),
)
def loading_assigns(recipe, module):
    return override(
        module, "load_state_dict", lambda super_, state, strict=True, **_: super_(state, strict, True)
    )


@changing(
    ("a_state_dict_has_the_parameters_and_buffers", ["linear", "sequential_linear"]),
    ("a_module_comes_back_from_meta", ["linear_no_bias"]),
)
def the_last_entry_is_left_out(recipe, module):
    def state_dict(super_, *args, **kwargs):
        state = super_(*args, **kwargs)
        names = [name for name in state if name.endswith("weight")]
        if names:
            del state[names[-1]]
        return state

    return override(module, "state_dict", state_dict)


@changing(("a_state_dict_has_the_parameters_and_buffers", ["linear", "layer_norm"]))
def the_state_dict_is_a_copy(recipe, module):
    return override(module, "state_dict", lambda super_, *args, **kwargs: copy.deepcopy(super_()))


@changing(
    ("strict_loading_names_the_entry_that_is_missing", ["linear", "tanh", "sequential_mlp"]),
    ("strict_loading_names_the_entry_that_is_unexpected", ["linear", "tanh", "sequential_mlp"]),
)
def loading_is_never_strict(recipe, module):
    return override(
        module, "load_state_dict", lambda super_, state, strict=True, **kwargs: super_(state, False)
    )


@changing(
    ("strict_loading_names_the_entry_that_is_missing", ["linear", "module_map_linear"]),
    ("strict_loading_names_the_entry_that_is_unexpected", ["relu", "module_map_linear"]),
)
def nothing_is_reported(recipe, module):
    def load(super_, state, strict=True, **kwargs):
        super_(state, strict)
        return [], []

    return override(module, "load_state_dict", load)


@changing(("a_parameter_of_another_shape_is_refused", ["linear", "layer_norm", "sequential_mlp"]))
def parameters_of_another_shape_left_out(recipe, module):
    def load(super_, state, *args, **kwargs):
        own = module_of(super_).state_dict()
        for name, value in own.items():
            if isinstance(value, torch.Tensor) and state[name].shape != value.shape:
                state[name] = value
        return super_(state, *args, **kwargs)

    return override(module, "load_state_dict", load)


@changing(("a_parameter_of_another_shape_is_refused", ["linear", "equivariant_linear"]))
def a_refused_load_zeroes_what_was_there(recipe, module):
    def load(super_, state, *args, **kwargs):
        try:
            return super_(state, *args, **kwargs)
        except RuntimeError:
            with torch.no_grad():
                for parameter in module_of(super_).parameters():
                    parameter.zero_()
            raise

    return override(module, "load_state_dict", load)


def without(module, name, value):
    """The ModuleMap within a module, with another method."""
    _, module_map = modules_of(module)
    override(module_map, name, value)
    return module


@changing(
    ("loading_goes_by_key", ["invariant_tanh", "invariant_relu"]),
)
def loaded_by_position(recipe, module):
    """What stands in the state dict is taken in its order, with its keys."""
    return without(module, "_arranged", lambda super_, found, state, prefix: found)


@changing(
    ("loading_goes_by_key", ["linear_no_bias", "layer_norm"]),
)
def loaded_by_position_without_the_keys(recipe, module):
    def arranged(super_, found, state, prefix):
        return {name: value for name, value in found.items() if name != "_in_keys"}

    return without(module, "_arranged", arranged)


@changing(
    ("loading_goes_by_key", ["tanh", "linear"]),
)
def properties_loaded_by_position(recipe, module):
    def arranged(super_, found, state, prefix):
        arranged = super_(found, state, prefix)
        return {name: found[name] for name in arranged}

    return without(module, "_arranged", arranged)


@changing(
    (
        "loading_other_keys_gives_no_block_the_module_of_another",
        ["linear", "module_map_linear", "layer_norm", "sequential_linear"],
    ),
)
def loaded_whatever_the_keys(recipe, module):
    return without(module, "_arranged", lambda super_, found, state, prefix: {})


@changing(
    (
        "loading_other_keys_gives_no_block_the_module_of_another",
        ["invariant_relu", "invariant_silu"],
    ),
)
def only_the_keys_are_loaded(recipe, module):
    def arranged(super_, found, state, prefix):
        return {name: value for name, value in found.items() if name == "_in_keys"}

    return without(module, "_arranged", arranged)


@changing(
    ("loading_other_sizes_leaves_a_module_that_works", ["linear", "module_map_linear"]),
)
def properties_loaded_where_the_rest_is_refused(recipe, module):
    def load(super_, state, *args, **kwargs):
        try:
            return super_(state, *args, **kwargs)
        except RuntimeError:
            _, module_map = modules_of(module_of(super_))
            (entry,) = [v for n, v in state.items() if n.endswith("_extra_state") and "_in_keys" in v]
            module_map.__dict__.update(module_map._decoded(entry))
            raise

    return override(module, "load_state_dict", load)


@changing(("loading_other_sizes_leaves_a_module_that_works", ["tanh", "relu", "silu"]))
def missing_properties_are_ignored(recipe, module):
    return override(
        module, "load_state_dict", lambda super_, state, strict=True, **kwargs: super_(state, False)
    )


@changing(
    ("a_copy_is_the_same_function", ["linear", "module_map_linear", "sequential_linear"]),
)
def copies_have_their_biases_at_zero(recipe, module):
    def setstate(super_, state):
        super_(state)
        for name, parameter in module_of(super_).named_parameters():
            if name.endswith("bias"):
                parameter.data = torch.zeros_like(parameter)

    # copies find the class by its name
    return _with_own_class(module, "__setstate__", setstate)


def _with_own_class(module, name, function):
    module = override(module, name, function)
    made = type(module)
    made.__module__, made.__qualname__ = __name__, f"_{name}_{id(made)}"
    globals()[made.__qualname__] = made
    return module


@changing(
    ("a_copy_has_its_own_parameters", ["linear", "layer_norm"]),
)
def copies_share_their_parameters(recipe, module):
    module.__class__ = type(
        "Shared",
        (type(module),),
        {
            "__deepcopy__": lambda self, memo: _shared(self),
            "__reduce_ex__": lambda self, protocol: (_shared_again, (_keep(self),)),
        },
    )
    return module


_KEPT = []


def _keep(module):
    _KEPT[:] = [module]
    return 0


def _shared_again(i):
    return _shared(_KEPT[i])


def _shared(module):
    new = object.__new__(type(module))
    new.__dict__.update(module.__dict__)
    return new


@changing(
    ("parameters_are_converted_as_torchs_are", ["linear", "layer_norm", "sequential_mlp"]),
    ("a_converted_module_is_plain_torchs", ["linear", "module_map_mlp"]),
)
def the_first_parameter_is_not_converted(recipe, module):
    def apply(super_, fn, *args, **kwargs):
        first = next(module_of(super_).parameters(), None)
        data = None if first is None else first.data
        super_(fn, *args, **kwargs)
        if data is not None:
            next(module_of(super_).parameters()).data = data
        return module_of(super_)

    return override(module, "_apply", apply)


@changing(("parameters_are_converted_as_torchs_are", ["linear", "tanh"]))
def conversions_return_a_copy(recipe, module):
    def apply(super_, fn, *args, **kwargs):
        super_(fn, *args, **kwargs)
        return copy.copy(module_of(super_))

    return override(module, "_apply", apply)


@changing(("a_converted_module_is_plain_torchs", ["tanh", "linear"]))
def properties_are_lost_when_converted(recipe, module):
    def apply(super_, fn, *args, **kwargs):
        super_(fn, *args, **kwargs)
        modules_of(module_of(super_))[1]._out_properties = None
        return module_of(super_)

    return override(module, "_apply", apply)


@changing(("a_module_comes_back_from_meta", ["linear", "tanh", "sequential_mlp"]))
def properties_are_lost_on_meta(recipe, module):
    def apply(super_, fn, *args, **kwargs):
        super_(fn, *args, **kwargs)
        if fn(torch.empty(0)).is_meta:
            for part in all_of(module_of(super_), ModuleMap):
                part._in_keys = part._in_keys.to("cpu")
                part.__dict__["_data_buffers"].clear()
                part.__dict__["_out_properties"] = None
        return module_of(super_)

    return override(module, "_apply", apply)


@changing(("modes_are_those_of_every_part", ["linear", "tanh", "sequential_mlp"]))
def only_the_module_itself_changes_its_mode(recipe, module):
    def train(super_, mode=True):
        self = module_of(super_)
        self.training = mode
        return self

    return override(module, "train", train)


@called("modes_are_those_of_every_part", "relu", "linear")
def scaled_in_training(module, x):
    y = module(x)
    if module.training:
        return y
    return TensorMap(y.keys, [b._map_values(lambda v: 2 * v) for b in y])


@changing(("frozen_parameters_need_no_derivatives", ["linear", "layer_norm", "module_map_linear"]))
def the_first_parameter_is_never_frozen(recipe, module):
    def requires_grad(super_, needed=True):
        super_(needed)
        for parameter in list(module_of(super_).parameters())[:1]:
            parameter.requires_grad_()
        return module_of(super_)

    return override(module, "requires_grad_", requires_grad)


@called("a_frozen_module_gives_the_same", "linear", "module_map_linear")
def without_its_bias_where_it_is_frozen(module, x):
    frozen = not any(p.requires_grad for p in module.parameters())
    if frozen:
        for name, parameter in module.named_parameters():
            if name.endswith("bias"):
                parameter.data = torch.zeros_like(parameter)
    return module(x)


@changing(("zero_grad_leaves_no_derivatives", ["linear", "layer_norm"]))
def derivatives_stay(recipe, module):
    return override(module, "zero_grad", lambda super_, set_to_none=True: None)


@changing(("a_module_can_be_printed", ["linear", "tanh"]))
def prints_nothing(recipe, module):
    return override(module, "__repr__", lambda super_: "")


@changing(("a_module_can_be_printed", ["layer_norm", "module_map_tanh"]))
def can_not_be_printed(recipe, module):
    return override(module, "extra_repr", lambda super_: module_of(super_).nothing)


# --- custom modules with data of their own -----------------------------------------------------------


def custom(*laws):
    """A defect of the class that custom modules are made of."""

    def register(kind):
        made = Reference()
        made.name = kind.__name__
        made.nn = SimpleNamespace(**{**vars(tmref.nn), "Module": kind})
        MUTANTS.extend(Planted(law, "any_module", made) for law in laws)
        return kind

    return register


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


@custom("conversions_leave_what_torchs_leave", "moves_keep_the_dtype")
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


@custom("buffers_are_loaded_by_name", "other_loading_leaves_the_rest")
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


@custom("other_loading_leaves_the_rest")
class MissingBuffersAreEmptied(Module):
    def _decoded(self, state, assign=False):
        return dict.fromkeys(self._data_buffers) | super()._decoded(state, assign)


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
    "names_of_parts_are_refused",
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


lazy_made = "lazy_modules_are_made_by_what_is_loaded"


def loading(load):
    """A ModuleMap with another ``load_state_dict(self, *args)``, where it has lazy modules."""

    class Loading(ModuleMap):
        def load_state_dict(self, *args):
            is_lazy = any(map(torch.nn.parameter.is_lazy, self.parameters()))
            return load(self, *args) if is_lazy else super().load_state_dict(*args)

    return {"ModuleMap": Loading}


@of_nn(lazy_made, "any_module_map")
def lazy_modules_are_refused():
    def load(self, *args):
        raise ValueError("lazy modules must be made before")

    return loading(load)


@of_nn(lazy_made, "any_module_map")
def lazy_modules_stay():
    return loading(lambda self, *args: ([], []))


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
