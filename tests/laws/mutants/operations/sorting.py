"""Broken sorting."""

import torch

import tmref
from mutants.planting import changed, each, of_operations
from tmref import Labels, TensorBlock, TensorMap

sorting = "sorting_moves_numbers_with_their_labels"


@of_operations(sorting, "sort")
def gradients_refer_to_the_samples_as_they_were(sort, tensor, axes="all", descending=False):
    """metatensor#470"""
    y = sort(tensor, axes, descending)
    before = dict(zip(tensor.keys._entries(), tensor, strict=True))

    def unmoved(row, block):
        made = changed(block)
        for name, gradient in block.gradients():
            of = before[row].gradient(name)
            fits = of.components == gradient.components and of.properties == gradient.properties
            made.add_gradient(name, changed(of) if fits else gradient)
        return made

    return TensorMap(y.keys, [unmoved(row, b) for row, b in zip(y.keys._entries(), y, strict=True)])


@of_operations(sorting, "sort")
def empty_blocks_can_not_be_sorted(sort, tensor, *options):
    """metatensor#839"""
    if any(len(block) == 0 for block in tensor):
        raise ValueError("zero-size array")
    return sort(tensor, *options)


@of_operations(sorting, "sort")
def labels_are_sorted_and_numbers_stay(sort, tensor, *options):
    y = sort(tensor, *options)
    values = {row: block.values for row, block in zip(tensor.keys._entries(), tensor, strict=True)}
    return TensorMap(
        y.keys,
        [_with_values(b, values[row]) for row, b in zip(y.keys._entries(), y, strict=True)],
    )


@of_operations(sorting, "sort")
def keys_are_sorted_and_blocks_stay(sort, tensor, *options):
    y = sort(tensor, *options)
    blocks = dict(zip(y.keys._entries(), y, strict=True))
    return TensorMap(y.keys, [blocks[row] for row in tensor.keys._entries()])


@of_operations(sorting, "sort")
def the_list_of_axes_is_used_up(sort, tensor, axes="all", descending=False):
    y = sort(tensor, list(axes) if isinstance(axes, list) else axes, descending)
    if isinstance(axes, list) and "keys" in axes:
        axes.remove("keys")
    return y


def _with_values(block, values):
    made = changed(block, values=values)
    for name, gradient in block.gradients():
        made.add_gradient(name, gradient)
    return made


def _by_weights(rows):
    """The order of the rows by the sum of max**i times the i-th value, of 64 bits."""
    most = max(1, int(rows.max())) if len(rows) else 1
    weights = torch.tensor([most**i % 2**62 for i in range(rows.shape[1])])
    return (rows.long() * weights).sum(1).argsort(stable=True)


def _with_keys_in(y, rows):
    return tmref.filter_blocks(y, Labels(y.keys.names, rows)) if len(y) else y


@of_operations(sorting, "sort")
def keys_by_powers_of_the_largest_number(sort, tensor, axes="all", descending=False):
    """metatensor#642"""
    y = sort(tensor, axes, descending)
    if axes != "all" and "keys" not in axes:
        return y
    order = _by_weights(tensor.keys.values)
    return _with_keys_in(y, tensor.keys.values[order.flip(0) if descending else order])


@of_operations(sorting, "sort")
def samples_by_powers_of_the_largest_number(sort, tensor, axes="all", descending=False):
    """metatensor#642"""
    y = sort(tensor, axes, descending)
    if axes != "all" and "samples" not in axes:
        return y

    def by_weights(block):
        order = _by_weights(block.samples.values)
        return tmref.slice_block(block, "samples", order.flip(0) if descending else order)

    return each(by_weights, y)


@of_operations(sorting, "sort")
def properties_by_their_first_dimension(sort, tensor, axes="all", descending=False):
    rest = [axis for axis in ("keys", "samples", "components") if axes == "all" or axis in axes]
    y = sort(tensor, rest, descending)
    if axes != "all" and "properties" not in axes:
        return y
    return each(
        lambda b: tmref.slice_block(
            b, "properties", b.properties.values[:, 0].argsort(descending=descending, stable=True)
        ),
        y,
    )


@of_operations(sorting, "sort")
def never_descending(sort, tensor, axes="all", descending=False):
    return sort(tensor, axes)


@of_operations(sorting, "sort")
def properties_of_blocks_without_samples_stay(sort, tensor, axes="all", descending=False):
    y = sort(tensor, axes, descending)
    before = dict(zip(tensor.keys._entries(), tensor, strict=True))
    return TensorMap(
        y.keys,
        [b if len(b) else before[row] for row, b in zip(y.keys._entries(), y, strict=True)],
    )


def _resorted(gradient, order):
    rows = gradient.samples.values
    return TensorBlock(
        gradient.values[order],
        Labels(gradient.samples.names, rows[order]),
        gradient.components,
        gradient.properties,
    )


def _with_gradients_sorted(y, order):
    def resorted(block):
        made = changed(block)
        for name, gradient in block.gradients():
            made.add_gradient(name, _resorted(gradient, order(gradient.samples.values)))
        return made

    return each(resorted, y)


@of_operations(sorting, "sort")
def gradients_stay_in_the_order_of_other_dimensions(sort, *args):
    return _with_gradients_sorted(sort(*args), lambda rows: rows[:, -1].argsort(stable=True))


@of_operations(sorting, "sort")
def gradients_are_in_the_opposite_order(sort, *args):
    return _with_gradients_sorted(sort(*args), lambda rows: torch.arange(len(rows)).flip(0))
