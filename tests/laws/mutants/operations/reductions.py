"""Broken reductions."""

import torch

import tmref
from mutants.planting import changed, each, of_operations
from tmref import Labels, TensorBlock, TensorMap

AXES = ("samples", "properties")
WORDS = {"sum": "sum", "mean": "mean", "var": "variance", "std": "deviation"}


def law_of(name, axis):
    return f"a_{WORDS[name]}_over_{axis}_is_that_of_their_numbers"


def of_reductions(names=tuple(WORDS), axes=AXES):
    """A defect of several reductions: what the function makes of ``(right, axis, x, names)``."""

    def register(function):
        for axis in axes:
            for name in names:

                def wrong(right, x, of_dimensions, axis=axis):
                    return function(right, axis, x, of_dimensions)

                wrong.__name__ = function.__name__
                of_operations(law_of(name, axis), f"{name}_over_{axis}")(wrong)
        return function

    return register


def names_on(x, axis):
    return x.sample_names if axis == "samples" else x.property_names


@of_reductions()
def only_the_first_name_counts(right, axis, x, names):
    return right(x, names if isinstance(names, str) else names[:1])


@of_reductions()
def reduced_without_gradients(right, axis, x, names):
    return each(changed, right(x, names))


@of_reductions(axes=["samples"])
def blocks_without_samples_are_not_reduced(right, axis, x, names):
    """As reductions once were: blocks without samples came back as they are."""
    pairs = zip(x, right(x, names), strict=True)
    return TensorMap(x.keys, [reduced if len(block) else block for block, reduced in pairs])


@of_reductions(axes=["samples"])
def blocks_without_samples_are_an_error(right, axis, x, names):
    """As it was before: the rows of no samples were looked at (metatensor, pull request 164)."""
    y = right(x, names)
    for block in x:
        if not len(block):
            block.samples[0]
    return y


@of_reductions(["var", "std"], ["samples"])
def gradients_without_rows_are_an_error(right, axis, x, names):
    """As it was for sums (metatensor, issue 158)."""
    for block in x:
        for _, gradient in block.gradients():
            gradient.values.amax(0)
    return right(x, names)


@of_reductions(["mean"])
def a_mean_is_a_sum(right, axis, x, names):
    """As it was for one block (metatensor, issue 854)."""
    return (tmref.sum_over_samples if axis == "samples" else tmref.sum_over_properties)(x, names)


@of_reductions(["var", "std"])
def the_difference_of_large_squares(right, axis, x, names):
    """As it was in the values' dtype (metatensor, issue 908)."""
    mean = tmref.mean_over_samples if axis == "samples" else tmref.mean_over_properties
    y = right(x, names)
    without = tmref.remove_gradients(x)
    squares = mean(tmref.multiply(without, without), names)
    for block, square, of_block in zip(y, squares, mean(without, names), strict=True):
        variance = square.values - of_block.values.square()
        block._values = variance if "var" in right.__name__ else variance.sqrt()
    return y


@of_reductions()
def the_input_is_emptied(right, axis, x, names):
    y = right(x, names)
    y = y.copy()
    for block in x:
        block.values.zero_()
    return y


@of_reductions(["mean", "var", "std"], ["samples"])
def divided_by_the_number_of_rows_of_the_gradient(right, axis, x, names):
    """As metatensor 0.5 does it: rows that aren't there don't count."""
    y = right(x, names)
    counts = tmref.sum_over_samples(_ones(x), names)
    for block, of_rows in zip(y, counts, strict=True):
        for parameter, gradient in block.gradients():
            rows = of_rows.gradient(parameter)
            samples = of_rows.values[gradient.samples.values[:, 0].long()]
            gradient.values.mul_(samples.reshape(-1, *(1,) * (gradient.values.dim() - 1)) / rows.values)
    return y


def _ones(x):
    """Ones for the samples and for the rows of gradients."""

    def of(block):
        made = TensorBlock(
            torch.ones(len(block), 1, dtype=block.dtype), block.samples, [], Labels.single()
        )
        for parameter, gradient in block.gradients():
            made.add_gradient(parameter, of(gradient))
        return made

    return each(of, x)


@of_reductions(["mean", "var", "std"], ["properties"])
def divided_along_the_first_component(right, axis, x, names):
    """As metatensor 0.5 does it, an error most often."""
    y = right(x, names)
    counts = tmref.sum_over_properties(x._map_blocks(lambda b: b._map_values(torch.ones_like)), names)
    for block, count in zip(y, counts, strict=True):
        if block.components and block.values.numel():
            number = count.values[(0,) * (block.values.dim() - 1)]
            shape = [1, -1, *[1] * (block.values.dim() - 2)]
            block._values = changed(block, values=block.values * number / number.reshape(shape)).values
    return y


@of_reductions(["var", "std"])
def divided_by_one_less(right, axis, x, names):
    """As the estimate from a sample is."""
    y = right(x, names)
    function = tmref.sum_over_samples if axis == "samples" else tmref.sum_over_properties
    ones = function(x._map_blocks(lambda b: b._map_values(torch.ones_like)), names)
    for block, count in zip(y, ones, strict=True):
        number = count.values
        block._values = torch.where(number > 1, block.values * number / (number - 1), block.values)
    return y


@of_reductions(["std"])
def without_the_first_term(right, axis, x, names):
    """As in TorchScript with metatensor-operations 0.5: E[X ∇X] is left out."""
    y = right(x, names)
    of = [(tmref.mean_over_samples, tmref.mean_over_properties)[axis == "properties"]]
    mean = of[0](x, names)
    for block, averaged in zip(y, mean, strict=True):
        for parameter, gradient in block.gradients():
            other = averaged.gradient(parameter)
            rows = gradient.samples.values[:, 0].long()
            shape = len(rows), *(1,) * (gradient.values.dim() - block.values.dim()), *block.shape[1:]
            ratio = (averaged.values / block.values)[rows].reshape(shape)
            gradient._values = (-ratio * other.values).nan_to_num(0, 0, 0)
    return y


@of_reductions(["var"])
def half_the_derivative_of_a_square(right, axis, x, names):
    y = right(x, names)
    for block in y:
        for _, gradient in block.gradients():
            gradient.values.mul_(0.5)
    return y


autograd = "autograd_goes_through_reductions"


def of_every(law, names=tuple(WORDS), axes=AXES):
    """A defect of reductions that another law finds."""

    def register(function):
        for axis in axes:
            for name in names:
                wrong = type(function)(function.__code__, function.__globals__, function.__name__)
                of_operations(law, f"{name}_over_{axis}")(wrong)
        return function

    return register


@of_every(autograd)
def values_are_detached(right, x, names):
    return right(x._map_blocks(lambda block: block._map_values(torch.detach)), names)


@of_every(autograd, ["std"])
def the_derivative_of_the_variance(right, x, names):
    y = right(x, names)
    for block in y:
        square = block.values.square()
        block._values = block.values.detach() + square - square.detach()
    return y


nowhere = "a_reduction_over_no_dimension_is_refused"


@of_every(nowhere, axes=["samples"])
def what_is_not_there_is_left_out_of_samples(right, x, names):
    names = [names] if isinstance(names, str) else names
    return right(x, [name for name in names if name in x.sample_names])


@of_every(nowhere, axes=["properties"])
def what_is_not_there_is_left_out_of_properties(right, x, names):
    names = [names] if isinstance(names, str) else names
    return right(x, [name for name in names if name in x.property_names])


@of_every(nowhere, ["sum"], ["samples"])
def a_part_of_a_name_is_a_name(right, x, names):
    names = [names] if isinstance(names, str) else names
    whole = [there for name in names for there in x.sample_names if name and name in there]
    return right(x, whole)
