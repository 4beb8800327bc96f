"""Implementations that take what they must refuse."""

import dataclasses

import torch

from mutants.planting import (
    MUTANTS,
    Around,
    Planted,
    called,
    changed,
    each,
    of_blocks,
    of_labels,
    of_maps,
    of_nn,
)
from tmref import Labels, TensorBlock, TensorMap, nn
from tmref.catalog import Call
from tmref.implementations.reference import Reference


class Lenient(Reference):
    """The reference, whose calls are mended by ``mend(call)`` before they are made."""

    def __init__(self, mend):
        self.name = mend.__name__
        self._mend = mend

    def make(self, call):
        return super().make(self._mend(call))


def lenient(law, *rows):
    """A defect of what ``(call)`` returns: another call."""

    def register(mend):
        MUTANTS.extend(Planted(law, row, Lenient(mend)) for row in rows)
        return mend

    return register


def with_args(call, *args):
    return dataclasses.replace(call, args=args)


impossible_labels = "labels_that_can_not_be_are_refused"


@lenient(impossible_labels, "labels")
def rows_made_unique(call):
    names, values, *_ = call.args
    if isinstance(values, torch.Tensor) and values.dim() == 2 and len(values):
        rows = list(dict.fromkeys(map(tuple, values.tolist())))
        values = torch.tensor(rows, dtype=values.dtype)
    return with_args(call, names, values)


@lenient(impossible_labels, "labels")
def wrapped_to_32_bits(call):
    names, values, *_ = call.args
    fits = isinstance(values, torch.Tensor) and values.dtype == torch.int64
    return with_args(call, names, values.to(torch.int32) if fits else values)


@lenient(impossible_labels, "labels")
def rounded_to_integers(call):
    names, values, *_ = call.args
    rounds = isinstance(values, torch.Tensor) and values.is_floating_point()
    return with_args(call, names, values.to(torch.int32) if rounds else values)


@lenient(impossible_labels, "labels")
def names_made_strings(call):
    names, values, *_ = call.args
    return with_args(call, [f"_{name}" for name in names], values)


@lenient(impossible_labels, "labels")
def lists_made_tensors(call):
    names, values, *_ = call.args
    return with_args(call, names, torch.tensor(values) if isinstance(values, list) else values)


impossible_blocks = "blocks_that_can_not_be_are_refused"


@lenient(impossible_blocks, "tensor_block")
def as_many_samples_as_rows(call):
    if call.name != "TensorBlock":
        return call
    values, samples, *rest = call.args
    if isinstance(samples, Labels) and values.dim() and len(samples) > len(values):
        samples = Labels(samples.names, samples.values[: len(values)])
    return with_args(call, values, samples, *rest)


@lenient(impossible_blocks, "tensor_block")
def gradients_converted(call):
    if call.name != "add_gradient":
        return call
    block, parameter, gradient = call.args
    return with_args(call, block, parameter, gradient.to(block.dtype))


@lenient(impossible_blocks, "tensor_block")
def gradients_of_samples_counted_modulo(call):
    if call.name != "add_gradient" or not len(call.args[0]):
        return call
    block, parameter, gradient = call.args
    rows = gradient.samples.values.clone()
    rows[:, 0] = rows[:, 0] % len(block)
    rows[:, -1] = torch.arange(len(rows))
    samples = Labels(gradient.samples.names, rows) if rows.shape[1] > 1 else gradient.samples
    return with_args(call, block, parameter, changed(gradient, samples=samples))


@lenient(impossible_blocks, "tensor_block")
def gradients_replaced(call):
    if call.name != "add_gradient":
        return call
    block, *rest = call.args
    return with_args(call, changed(block), *rest)


impossible_maps = "maps_that_can_not_be_are_refused"


@lenient(impossible_maps, "tensor_map")
def further_blocks_left_out(call):
    keys, blocks = call.args
    return with_args(call, keys, blocks[: len(keys)] if isinstance(keys, Labels) else blocks)


@lenient(impossible_maps, "tensor_map")
def blocks_converted(call):
    keys, blocks = call.args
    first = blocks[0].dtype if blocks and isinstance(blocks[0], TensorBlock) else None
    if first is None or not all(isinstance(block, TensorBlock) for block in blocks):
        return call
    return with_args(call, keys, [block.to(first) for block in blocks])


@lenient(impossible_maps, "tensor_map")
def names_of_samples_not_compared(call):
    keys, blocks = call.args
    if not all(isinstance(block, TensorBlock) for block in blocks):
        return call
    numbered = [changed(block, samples=Labels.range("sample", len(block))) for block in blocks]
    return with_args(call, keys, numbered)


missing_in_labels = "what_labels_do_not_have_is_refused"


@of_labels(missing_in_labels)
class UnknownColumnsAreTheFirst(Labels):
    def column(self, dimension):
        return super().column(dimension if dimension in self.names else self.names[0])


@of_labels(missing_in_labels)
class EntriesGoRound(Labels):
    def entry(self, index):
        return super().entry(index % len(self))


@of_labels(missing_in_labels)
class UnknownNamesAreIgnored(Labels):
    def select(self, selection):
        if set(selection.names) - set(self.names):
            return torch.arange(len(self))
        return super().select(selection)


@of_blocks("what_blocks_do_not_have_is_refused")
class NoneForAGradient(TensorBlock):
    def gradient(self, parameter):
        return self._gradients.get(parameter)


missing_in_maps = "what_maps_do_not_have_is_refused"


@of_maps(missing_in_maps)
class TheFirstOfSeveral(TensorMap):
    def block(self, selection=None):
        return self.blocks(selection)[0]


@of_maps(missing_in_maps)
class PositionsGoRound(TensorMap):
    def block_by_id(self, index):
        return super().block_by_id(index % len(self))


@of_maps(missing_in_maps)
class UnknownDimensionsAreIgnored(TensorMap):
    def blocks(self, selection=None):
        if isinstance(selection, dict):
            selection = {name: v for name, v in selection.items() if name in self.keys.names}
        return super().blocks(selection)


@of_maps(missing_in_maps)
class LabelsMayHaveEntries(TensorMap):
    def keys_to_samples(self, moved, *args, **options):
        return super().keys_to_samples(getattr(moved, "names", moved), *args, **options)


impossible_modules = "modules_that_can_not_work_are_refused"


def changed_arguments(*names):
    """The kwargs that are changed, in every layer of the call."""

    def register(change):
        def mend(call):
            args = tuple(mend(arg) if isinstance(arg, Call) else arg for arg in call.args)
            kwargs = {n: change(v) if n in names else v for n, v in call.kwargs.items()}
            return dataclasses.replace(call, args=args, kwargs=kwargs)

        mend.__name__ = change.__name__
        return mend

    return register


@lenient(impossible_modules, "linear", "layer_norm", "equivariant_linear")
@changed_arguments("in_features", "out_features")
def sizes_made_integers(value):
    return [int(v) for v in value] if isinstance(value, list) else int(value)


@lenient(impossible_modules, "relu", "module_map_tanh", "invariant_tanh")
@changed_arguments("out_properties")
def properties_that_do_not_fit_left_out(value):
    return None


class Forgiving(Reference):
    """Modules that return zeros where they must raise."""

    name = "forgiving"

    def make(self, call):
        made = super().make(call)
        is_whole = isinstance(made, torch.nn.Module) and not call.is_torch
        return Around(made, zeros_for_an_error) if is_whole else made


def zeros_for_an_error(module, x):
    try:
        return module(x)
    except (RuntimeError, ValueError):
        return each(lambda block: changed(block, values=block.values * 0), x)


MUTANTS.extend(
    Planted(impossible_modules, row, Forgiving())
    for row in ("linear", "equivariant_mlp", "module_map_linear", "layer_norm")
)


@lenient(impossible_modules, "module_map_tanh", "equivariant_tanh")
def further_modules_made(call):
    if call.name not in ("ModuleMap", "EquivariantTransformation"):
        return call
    where = 1 if call.name == "ModuleMap" else 0
    args = list(call.args)
    if isinstance(args[1 - where], Labels):
        size = len(args[1 - where])
        args[where] = (args[where] + [Call("torch.nn.Tanh")] * size)[:size]
    return with_args(call, *args)


other_dtypes = "values_of_another_dtype_than_the_parameters_are_refused"


class Promoting(Reference):
    """Modules that convert what they are given."""

    name = "promoting"

    def make(self, call):
        made = super().make(call)
        if isinstance(made, torch.nn.Module) and not call.is_torch:
            made.register_forward_pre_hook(converted)
        return made


def converted(module, args):
    (x,) = args
    dtypes = {parameter.dtype for parameter in module.parameters()}
    return (x.to(dtypes.pop()),) if len(dtypes) == 1 and isinstance(x, TensorMap) else None


MUTANTS.extend(
    Planted(other_dtypes, row, Promoting())
    for row in ("linear", "layer_norm", "layer_norm_no_mean", "invariant_layer_norm")
)


class Trying:
    """A layer that is left out where it raises."""

    def forward(self, x):
        try:
            return super().forward(x)
        except Exception:
            return x


@of_nn("refusals_survive_wrapping", "linear", "layer_norm", "module_map_linear")
def a_sequential_that_leaves_out_what_raises():
    return {"Sequential": type("Sequential", (Trying, nn.Sequential), {})}


@called("what_is_no_map_is_refused", "linear", "tanh", "sequential_mlp", "invariant_layer_norm")
def other_things_come_back(module, x):
    return module(x) if isinstance(x, TensorMap) else x


@called("what_is_no_map_is_refused", "relu", "module_map_tanh")
def blocks_are_taken(module, x):
    if isinstance(x, TensorBlock):
        return TensorMap(Labels.single(), [x])
    return module(x)


wrong_shapes = "modules_that_change_samples_or_components_are_refused"


def relabelled(block, values):
    axes = [Labels.range(f"axis_{i}", size) for i, size in enumerate(values.shape)]
    return TensorBlock(values, axes[0], axes[1:-1], axes[-1])


@of_nn(wrong_shapes, "any_module_map")
def a_module_map_that_labels_anew():
    class Anew(nn.ModuleMap):
        def forward(self, x):
            pairs = zip(self.module_list, x, strict=True)
            return TensorMap(x.keys, [relabelled(b, module(b.values)) for module, b in pairs])

    return {"ModuleMap": Anew}


@of_nn(wrong_shapes, "any_module_map")
def a_module_map_that_cuts_samples():
    class Cut(nn.ModuleMap):
        def forward(self, x):
            pairs = zip(self.module_list, x, strict=True)
            return TensorMap(x.keys, [cut(b, module(b.values)) for module, b in pairs])

    def cut(block, values):
        samples = Labels(block.samples.names, block.samples.values[: len(values)])
        return changed(block, values=values, samples=samples)

    return {"ModuleMap": Cut}


@of_nn("what_is_no_map_is_refused_without_layers", "any_module_map")
def a_sequential_that_gives_what_it_is_given():
    class Whatever(nn.Sequential):
        def forward(self, x):
            return super().forward(x) if "module_map" in self._modules else x

    return {"Sequential": Whatever}


at_once = "arguments_that_can_not_work_are_refused_at_once"


@lenient(at_once, "equivariant_tanh", "equivariant_mlp")
def sizes_that_make_no_difference(call):
    kwargs = {name: value for name, value in call.kwargs.items() if name != "out_features"}
    return dataclasses.replace(call, kwargs=kwargs)


@lenient(at_once, "linear", "tanh", "layer_norm", "invariant_relu", "module_map_tanh")
def properties_that_are_too_many(call):
    properties, keys = call.kwargs.get("out_properties"), in_keys_of(call)
    if not isinstance(properties, list) or not isinstance(keys, Labels):
        return call
    return dataclasses.replace(call, kwargs={**call.kwargs, "out_properties": properties[: len(keys)]})


def in_keys_of(call):
    return next((v for v in (*call.args, *call.kwargs.values()) if isinstance(v, Labels)), None)


@lenient(impossible_modules, "layer_norm", "layer_norm_no_bias", "invariant_layer_norm")
def options_of_any_type(call):
    right = {"eps": 1e-5, "elementwise_affine": True, "bias": True, "mean": True}
    kwargs = {n: right.get(n, v) if isinstance(v, str) else v for n, v in call.kwargs.items()}
    return dataclasses.replace(call, kwargs=kwargs)
