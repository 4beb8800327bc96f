"""Modules whose explicit gradients are no derivatives."""

import functools

import torch

from mutants.modules.derivatives import factor_detached, statistics_detached
from mutants.planting import (
    Around,
    affine,
    all_of,
    built,
    called,
    changed,
    each,
    modules_of,
    of_nn,
    of_values,
    own,
    summed,
    summed_gradient,
)
from tmref import Labels, TensorBlock, TensorMap, nn
from tmref.implementations.reference import Reference
from tmref.nn.covariant import CovariantTransform
from tmref.nn.gradients import push_through
from tmref.nn.layer_norm import _LayerNorm

chain_rule = "explicit_gradients_are_refused_or_right_by_the_chain_rule"


def of_gradients(change, module, x):
    """The output with gradients of the values ``change(gradient of the output, of the input)``."""
    y = module(x)
    blocks = []
    for before, after in zip(x, y, strict=True):
        block = changed(after)
        for parameter, gradient in after.gradients():
            values = change(gradient.values, before.gradient(parameter).values)
            block.add_gradient(parameter, changed(gradient, values=values))
        blocks.append(block)
    return TensorMap(y.keys, blocks)


@called(chain_rule, "linear", "tanh", "relu", "silu", "module_map_tanh", "invariant_silu", "layer_norm")
def gradients_as_they_came(module, x):
    return of_gradients(lambda g, before: before if g.shape == before.shape else g, module, x)


@called(chain_rule, "linear")
def gradients_doubled(module, x):
    return of_gradients(lambda g, before: 2 * g, module, x)


@built(
    chain_rule,
    "linear",
    "module_map_linear",
    "module_map_tanh",
    "sequential_tanh",
    "invariant_tanh",
    "layer_norm",
    "equivariant_tanh",
)
def modules_applied_to_gradients(recipe, module):
    _, module_map = modules_of(module)

    def forward(module, x):
        y = module(x)
        blocks = []
        for key, before, after in zip(y.keys, x, y, strict=True):
            block = changed(after)
            torch_module = module_map.module_list[module_map.in_keys.position(key)]
            for parameter, gradient in after.gradients():
                values = torch_module(before.gradient(parameter).values)
                block.add_gradient(parameter, changed(gradient, values=values))
            blocks.append(block)
        return TensorMap(y.keys, blocks)

    return Around(module, forward)


@called(chain_rule, "linear", "module_map_mlp")
def only_the_first_direction(module, x):
    y = module(x)
    blocks = []
    for after in y:
        block = changed(after)
        for parameter, gradient in after.gradients():
            values = gradient.values.clone()
            if len(gradient.components) > len(after.components):
                values[:, 1:] = 0
            block.add_gradient(parameter, changed(gradient, values=values))
        blocks.append(block)
    return TensorMap(y.keys, blocks)


@called(chain_rule, "silu_in_place")
def in_place_not_refused(module, x):
    """The values are overwritten, and the gradients those of what is there then."""
    y = module(of_values(lambda v: v, x))
    again = nn.SiLU(x.keys)(x)
    blocks = []
    for after, other in zip(y, again, strict=True):
        block = changed(after)
        for parameter, gradient in other.gradients():
            block.add_gradient(parameter, changed(gradient, properties=block.properties))
        blocks.append(block)
    return TensorMap(y.keys, blocks)


def with_gradients_of(wrong, module):
    """What a module returns, with the explicit gradients that another one makes."""

    def forward(module, x):
        blocks = []
        for block, other in zip(module(of_values(lambda v: v, x)), wrong(x), strict=True):
            block = changed(block)
            for parameter, gradient in other.gradients():
                block.add_gradient(parameter, changed(gradient))
            blocks.append(block)
        return TensorMap(x.keys, blocks)

    return Around(module, forward)


@built(chain_rule, "layer_norm", "layer_norm_no_mean", "layer_norm_no_bias")
def gradients_with_constant_statistics(recipe, module):
    for norm in all_of(module, _LayerNorm):
        norm.forward = lambda x, norm=norm: affine(norm, statistics_detached(norm, x))
    return with_gradients_of(module, Reference().build(recipe))


@built(chain_rule, "equivariant_tanh", "equivariant_mlp")
def gradients_with_a_constant_factor(recipe, module):
    for part in all_of(module, CovariantTransform):
        part.forward = functools.partial(factor_detached, part.module)
    return with_gradients_of(module, Reference().build(recipe))


@called(chain_rule, "linear", "sequential_mlp", "relu")
def gradients_dropped(module, x):
    return each(changed, module(x))


@called(chain_rule, "silu")
def only_the_first_gradient(module, x):
    y = module(x)
    blocks = []
    for after in y:
        block = changed(after)
        for parameter, gradient in list(after.gradients())[:1]:
            block.add_gradient(parameter, changed(gradient))
        blocks.append(block)
    return TensorMap(y.keys, blocks)


@called(chain_rule, "tanh", "module_map_mlp")
def gradients_at_the_first_sample(module, x):
    y = module(of_first_sample(x))
    blocks = []
    for plain, after, before in zip(module(of_values(lambda v: v, x)), y, x, strict=True):
        block = changed(plain)
        for parameter, gradient in after.gradients():
            samples = before.gradient(parameter).samples
            block.add_gradient(parameter, changed(gradient, samples=samples))
        blocks.append(block)
    return TensorMap(y.keys, blocks)


def of_first_sample(x):
    """The map with the values of the first sample everywhere, gradients kept."""
    blocks = []
    for before in x:
        block = changed(before, values=before.values[:1].expand(before.shape).contiguous())
        for parameter, gradient in before.gradients():
            block.add_gradient(parameter, changed(gradient))
        blocks.append(block)
    return TensorMap(x.keys, blocks)


@called(chain_rule, "linear_no_bias")
def gradients_of_other_samples(module, x):
    y = module(x)
    blocks = []
    for after in y:
        block = changed(after)
        for parameter, gradient in after.gradients():
            rows = gradient.samples.values.clone()
            rows[:, 0] = rows[:, 0].flip(0)
            if len(set(map(tuple, rows.tolist()))) == len(rows):
                gradient = changed(gradient, samples=Labels(gradient.samples.names, rows))
            block.add_gradient(parameter, changed(gradient))
        blocks.append(block)
    return TensorMap(y.keys, blocks)


def module_map_class(forward):
    """The class of ModuleMap with ``forward(self, tensor)``."""
    return type("ModuleMap", (nn.ModuleMap,), {"forward": forward})


def applied_to_gradients(self, tensor):
    """The modules of a ModuleMap, applied to the gradients, too."""
    y = nn.ModuleMap.forward(self, without_gradients(tensor))
    blocks = []
    for i, before, after in zip(self._positions(tensor.keys), tensor, y, strict=True):
        block = changed(after)
        for parameter, gradient in before.gradients():
            values = self.module_list[i](gradient.values)
            labels = gradient.samples, gradient.components, block.properties
            block.add_gradient(parameter, TensorBlock(values, *labels))
        blocks.append(block)
    return TensorMap(y.keys, blocks)


def without_gradients(x):
    return of_values(lambda v: v, x)


in_a_sequential = "explicit_gradients_are_refused_or_right_in_a_sequential"


def sequential_with(forward):
    """The class of Sequential with ``forward(self, tensor)``."""
    return {"Sequential": type("Sequential", (nn.Sequential,), {"forward": forward})}


@of_nn(in_a_sequential, "linear", "tanh", "layer_norm", "module_map_tanh", "sequential_mlp")
def modules_applied_to_gradients_in_a_sequential():
    return sequential_with(lambda self, x: applied_to_gradients(self.module_map, x))


@of_nn(in_a_sequential, "linear", "silu", "sequential_tanh", "invariant_tanh")
def gradients_lost_in_a_sequential():
    return sequential_with(lambda self, x: nn.Sequential.forward(self, without_gradients(x)))


@of_nn(in_a_sequential, "linear", "relu", "equivariant_tanh")
def gradients_as_they_were_in_a_sequential():
    def forward(self, x):
        y = nn.Sequential.forward(self, without_gradients(x))
        blocks = []
        for before, after in zip(x, y, strict=True):
            block = changed(after)
            for parameter, gradient in before.gradients():
                if gradient.shape[-1] == after.shape[-1]:
                    block.add_gradient(parameter, changed(gradient, properties=block.properties))
            blocks.append(block)
        return TensorMap(y.keys, blocks)

    return sequential_with(forward)


@called(in_a_sequential, "linear_no_bias", "layer_norm_no_mean")
def gradients_of_the_first_block_alone(module, x):
    y = module(x)
    blocks = [y.block(0)] if len(y) else []
    for after in list(y)[1:]:
        block = changed(after)
        for parameter, gradient in after.gradients():
            block.add_gradient(parameter, changed(gradient, values=torch.zeros_like(gradient.values)))
        blocks.append(block)
    return TensorMap(y.keys, blocks)


twice = "gradients_of_gradients_are_refused_or_right"


def carried(second):
    """The output with ``second(gradient of the output, of the input)`` for its second gradients."""

    def forward(module, x):
        first = []
        for before in x:
            block = changed(before)
            for parameter, gradient in before.gradients():
                block.add_gradient(parameter, changed(gradient))
            first.append(block)
        y = module(TensorMap(x.keys, first))
        blocks = []
        for before, after in zip(x, y, strict=True):
            block = changed(after)
            for parameter, gradient in after.gradients():
                of_block = changed(gradient)
                for name, of_gradient in before.gradient(parameter).gradients():
                    values = second(of_gradient.values, gradient.values)
                    if values is not None:
                        labels = of_gradient.samples, gradient.components, gradient.properties
                        of_block.add_gradient(name, TensorBlock(values, *labels))
                block.add_gradient(parameter, of_block)
            blocks.append(block)
        return TensorMap(y.keys, blocks)

    forward.__name__ = second.__name__
    return forward


@called(twice, "linear", "tanh", "layer_norm", "equivariant_tanh", "sequential_mlp")
@carried
def gradients_of_gradients_lost(before, after):
    return None


@called(twice, "linear", "silu", "module_map_tanh", "relu")
@carried
def gradients_of_gradients_are_those_of_gradients(before, after):
    return after


@called(twice, "module_map_linear", "equivariant_linear")
@carried
def zeros_for_gradients_of_gradients(before, after):
    return torch.zeros_like(after)


any_module = "explicit_gradients_are_refused_or_right_for_any_module"


@of_nn(any_module, "any_module_map")
def any_module_applied_to_gradients():
    return {"ModuleMap": module_map_class(applied_to_gradients)}


def pushed_without(reason):
    """A ModuleMap that refuses gradients for no other reason than ``reason(module)``."""

    def forward(self, tensor):
        y = nn.ModuleMap.forward(self, without_gradients(tensor))
        for i, before, after in zip(self._positions(tensor.keys), tensor, y, strict=True):
            module = self.module_list[i]
            if before.has_any_gradient() and reason(module):
                raise ValueError(reason(module))
            push_through(module, before, after)
        return y

    return {"ModuleMap": module_map_class(forward)}


@of_nn(any_module, "any_module_map")
def any_module_is_per_sample():
    return pushed_without(lambda module: None)


@of_nn(any_module, "any_module_map")
def subclasses_are_taken_for_their_class():
    """The forward of torch's own class, for gradients."""

    def forward(self, tensor):
        y = nn.ModuleMap.forward(self, without_gradients(tensor))
        for i, before, after in zip(self._positions(tensor.keys), tensor, y, strict=True):
            module = self.module_list[i]
            if not isinstance(module, (torch.nn.Linear, torch.nn.Sequential)):
                continue
            push_through(torch.nn.Identity(), before, after)
        return y

    return {"ModuleMap": module_map_class(forward)}


@of_nn(any_module, "any_module_map")
def gradients_lost_for_any_module():
    return {
        "ModuleMap": module_map_class(lambda self, x: nn.ModuleMap.forward(self, without_gradients(x)))
    }


@of_nn(any_module, "any_module_map")
def modules_in_a_sequential_are_not_looked_at():
    known = (torch.nn.Linear, torch.nn.Sequential)
    return pushed_without(lambda m: None if isinstance(m, known) else "it is not known")


goes_through = "explicit_gradients_go_through"


@called(goes_through, "linear", "tanh", "sequential_mlp", "layer_norm")
def all_gradients_are_refused(module, x):
    if any(block.has_any_gradient() for block in x):
        raise ValueError("there are gradients")
    return module(x)


@called(goes_through, "module_map_mlp", "equivariant_tanh")
def second_gradients_are_lost(module, x):
    def with_one(block):
        one = changed(block)
        for parameter, gradient in list(block.gradients())[:1]:
            one.add_gradient(parameter, gradient)
        return one

    return module(TensorMap(x.keys, [with_one(block) for block in x]))


hooked = "a_hook_is_called_once_for_a_block_with_gradients"


@of_nn(hooked, "any_module_map")
def modules_called_again_for_gradients():
    def forward(self, x):
        for module, block in zip(self.module_list, x, strict=True):
            for _ in block.gradients_list():
                module(block.values)
        return nn.ModuleMap.forward(self, without_gradients(x))

    return {"ModuleMap": module_map_class(forward)}


@of_nn(hooked, "any_module_map")
def modules_not_called_for_gradients():
    def forward(self, x):
        if any(block.has_any_gradient() for block in x):
            return of_values(lambda v: v, x)
        return nn.ModuleMap.forward(self, x)

    return {"ModuleMap": module_map_class(forward)}


@called("explicit_gradients_are_not_left_out", "linear", "tanh", "module_map_linear")
def gradients_left_out(module, x):
    return each(changed, module(x))


@called("explicit_gradients_are_not_left_out", "linear", "sequential_linear")
def gradients_left_out_of_the_last_block(module, x):
    *blocks, last = module(x)
    return TensorMap(x.keys, [*blocks, changed(last)])


@called("explicit_gradients_are_not_left_out", "linear")
def one_gradient_of_two_left_out(module, x):
    def with_the_first(block):
        made = changed(block)
        for parameter, gradient in list(block.gradients())[:1]:
            made.add_gradient(parameter, changed(gradient))
        return made

    return each(with_the_first, module(x))


of_output = "explicit_gradients_are_derivatives_of_the_output"


def sums_with_other_gradients(change, x):
    """The sums over atoms, with ``change(gradient of the sums, of the input)`` for gradients."""

    def of_block(block):
        right = summed(block)
        made = changed(right)
        for parameter, gradient in right.gradients():
            made.add_gradient(parameter, change(gradient, block.gradient(parameter)))
        return made

    return each(of_block, x)


@own(of_output, "of_sums")
def gradients_of_sums_doubled(module, x):
    return sums_with_other_gradients(lambda g, _: changed(g, values=2 * g.values), x)


@own(of_output, "of_sums")
def a_row_of_the_sums_gradient_missing(module, x):
    def without_the_last(gradient, _):
        samples = Labels(gradient.samples.names, gradient.samples.values[:-1])
        return changed(gradient, values=gradient.values[:-1], samples=samples)

    return sums_with_other_gradients(without_the_last, x)


@own(of_output, "of_sums")
def rows_of_the_sums_gradient_by_position(module, x):
    def of_block(block):
        right = summed(block)
        made = changed(right)
        for parameter, gradient in block.gradients():
            positions = torch.arange(len(block)).flip(0) % max(1, len(right))
            made.add_gradient(parameter, summed_gradient(gradient, positions))
        return made

    return each(of_block, x)


@own(of_output, "of_norms")
def gradients_of_norms_summed(module, x):
    def of_block(block):
        made = changed(block, values=block.values.square().sum(1), components=[])
        for parameter, g in block.gradients():
            at = g.values.dim() - block.values.dim() + 1
            labels = g.samples, g.components[:-1], g.properties
            made.add_gradient(parameter, TensorBlock(g.values.sum(at), *labels))
        return made

    return each(of_block, x)


@own("explicit_gradients_are_not_left_out", "leaving_out")
def gradients_that_were_to_be_left_out(module, x):
    return x


@own("what_has_no_gradients_gives_the_same", "leaving_out")
def counts_the_gradients(module, x):
    return each(lambda b: changed(b, values=b.values + len(b.gradients_list())), x)
