"""Modules whose state dicts lose something, or take it for something else."""

import copy

import torch

from mutants.planting import changing, module_of, modules_of, of_nn, override
from tmref.nn.module_map import ModuleMap


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
