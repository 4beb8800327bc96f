"""Modules that are copied, converted or moved wrongly."""

import copy

import torch

from mutants.planting import all_of, called, changing, module_of, modules_of, override
from tmref import TensorMap
from tmref.nn.module_map import ModuleMap


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
