"""Modules that change what a forward is to leave as it was."""

import functools
import io
import os
import random
import sys
import threading
import time
import warnings

import hypothesis
import numpy as np
import torch

from mutants.planting import (
    Around,
    affine,
    all_but_the_first,
    all_of,
    built,
    called,
    changed,
    each,
    factor_of,
    layer_norm,
    modules_of,
    norm_of,
    of_values,
    own,
    squared_distance,
    variance,
)
from tmref import Labels, TensorMap
from tmref.nn.layer_norm import _LayerNorm

input_stays = "the_input_stays"


@called(input_stays, "relu", "module_map_mlp")
def input_rectified(module, x):
    for block in x:
        block.values.relu_()
    return module(x)


@called(input_stays, "linear", "sequential_linear")
def input_doubled_afterwards(module, x):
    y = module(x)
    for block in x:
        block.values.mul_(2)
    return y


@built(input_stays, "silu", "invariant_silu")
def in_place_not_asked_for(recipe, module):
    for activation in all_of(module, torch.nn.SiLU):
        activation.inplace = True
    return module


@called(input_stays, "relu")
def adds_to_its_input(module, x):
    y = module(x)
    for block in x:
        block.values.add_(1)
    return y


@layer_norm(input_stays, "layer_norm", "layer_norm_no_mean", "sequential_layer_norm")
def mean_subtracted_in_place(norm, x):
    x -= x.mean(all_but_the_first(x), keepdim=True)
    return x / torch.sqrt(variance(x) + norm.eps)


@layer_norm(input_stays, "layer_norm_no_mean")
def divided_in_place(norm, x):
    """What metatensor does."""
    x /= torch.sqrt(variance(x) + norm.eps)
    return x


@factor_of(input_stays, "equivariant_tanh", "equivariant_mlp")
def multiplied_in_place(function, x):
    with torch.no_grad():
        return x.mul_(function(norm_of(x)))


@called(input_stays, "tanh")
def large_values_of_the_input_cut(module, x):
    for block in x:
        block.values[..., -1:].clamp_(-1, 1)
    return module(x)


parameters_stay = "parameters_stay"


@called(parameters_stay, "linear", "sequential_mlp")
def weights_normalised_in_the_forward(module, x):
    for parameter in module.parameters():
        if parameter.dim() == 2:
            parameter.data /= parameter.data.norm().clamp(min=1)
    return module(x)


@called(parameters_stay, "linear", "module_map_linear")
def bias_follows_the_output(module, x):
    y = module(x)
    for parameter in module.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.5
    return y


same_output = "the_same_input_gives_the_same_output"


@built(same_output, "linear", "tanh", "sequential_mlp")
def counts_its_calls(recipe, module):
    calls = []

    def forward(module, x):
        calls.append(x)
        return of_values(lambda v: v + (len(calls) - 1) / 8, module(x))

    return Around(module, forward)


@built(same_output, "layer_norm", "invariant_layer_norm")
def running_statistics(recipe, module):
    def forward(norm, means, x):
        means.append(x.mean() if x.numel() else 0)
        return affine(norm, x - sum(means) / len(means) / 2 ** len(means))

    for norm in all_of(module, _LayerNorm):
        norm.forward = functools.partial(forward, norm, [])
    return module


@built(same_output, "silu_in_place", "equivariant_mlp")
def scaled_by_the_number_of_calls(recipe, module):
    calls = []

    def forward(module, x):
        calls.append(x)
        return of_values(lambda v: v * len(calls), module(x))

    return Around(module, forward)


@called(same_output, "linear", "silu")
def drops_values_by_chance(module, x):
    return of_values(lambda v: torch.nn.functional.dropout(v, 0.5), module(x))


@built(same_output, "linear")
def samples_reversed_at_every_second_call(recipe, module):
    calls = []

    def forward(module, x):
        calls.append(x)
        if len(calls) % 2:
            return module(x)

        def reverse(block):
            samples = Labels(block.samples.names, block.samples.values.flip(0))
            return changed(block, values=block.values.flip(0), samples=samples)

        return each(reverse, module(x))

    return Around(module, forward)


random_stays = "random_numbers_stay"


@called(random_stays, "linear", "tanh", "sequential_mlp")
def draws_a_number(module, x):
    torch.rand(())
    return module(x)


@called(random_stays, "silu", "silu_in_place", "layer_norm")
def drops_nothing_by_chance(module, x):
    return of_values(lambda v: v + 0 * torch.rand_like(v), module(x))


@called(random_stays, "module_map_mlp")
def seeds_torch(module, x):
    torch.manual_seed(0)
    return module(x)


@called("explicit_gradients_stay", "linear", "tanh", "module_map_mlp")
def gradients_of_the_input_doubled(module, x):
    for block in x:
        for _, gradient in block.gradients():
            gradient.values.mul_(2)
    return module(x)


@called("explicit_gradients_stay", "relu")
def values_of_the_input_changed_before_they_are_refused(module, x):
    if any(block.has_any_gradient() for block in x):
        for block in x:
            block.values.add_(1)
    return module(x)


@called("the_module_stays", "linear", "sequential_mlp")
def counts_its_calls_in_a_buffer(module, x):
    if "calls" not in module._buffers:
        module.register_buffer("calls", torch.zeros(1))
    module.calls += 1
    return module(x)


@called("the_module_stays", "linear", "module_map_linear")
def freezes_what_it_has_used(module, x):
    y = module(x)
    module.requires_grad_(False)
    return y


@called("the_module_stays", "tanh", "sequential_tanh")
def always_in_training_mode(module, x):
    return module.train()(x)


@built("the_module_stays", "linear", "sequential_linear")
def remembers_the_keys_it_was_called_on(recipe, module):
    _, module_map = modules_of(module)
    forward = module_map.forward

    def remembering(x):
        module_map._in_keys, y = x.keys, forward(x)
        return y

    module_map.forward = remembering
    return module


@called("what_came_before_makes_no_difference", "linear", "tanh", "module_map_mlp")
def the_first_output_kept_for_maps_of_the_same_keys(module, x):
    kept = module.__dict__.setdefault("kept", (x.keys, module(x)))
    return kept[1] if kept[0] == x.keys else module(x)


@called("what_came_before_makes_no_difference", "silu", "linear")
def outputs_share_their_memory(module, x):
    def shared(block):
        kept = module.__dict__.setdefault("kept", {})
        place = kept.setdefault(tuple(block.shape), block.values.detach())
        if place is not block.values:
            with torch.no_grad():
                place.copy_(block.values)
        return changed(block, values=place)

    return each(shared, module(x))


@called("what_is_set_for_the_whole_process_stays", "linear", "relu")
def turns_derivatives_on(module, x):
    torch.set_grad_enabled(True)
    return module(x)


@called("what_is_set_for_the_whole_process_stays", "tanh", "sequential_mlp")
def turns_derivatives_off(module, x):
    y = module(x)
    torch.set_grad_enabled(False)
    return y


@called("what_is_set_for_the_whole_process_stays", "linear", "module_map_tanh")
def calculates_in_float64_from_now_on(module, x):
    torch.set_default_dtype(torch.float64)
    return module(x)


@called("what_is_set_for_the_whole_process_stays", "tanh")
def takes_two_threads_from_now_on(module, x):
    torch.set_num_threads(2)
    return module(x)


@called("what_is_set_for_the_whole_process_stays", "silu")
def sets_a_variable_of_the_environment(module, x):
    os.environ["OF_A_MUTANT"] = "1"
    return module(x)


@called("what_is_set_for_the_whole_process_stays", "relu")
def goes_to_another_folder(module, x):
    os.chdir("/")
    return module(x)


@called("what_is_set_for_the_whole_process_stays", "linear")
def hides_warnings_from_now_on(module, x):
    warnings.simplefilter("ignore", FutureWarning)
    return module(x)


@called("what_is_set_for_the_whole_process_stays", "layer_norm")
def has_a_standard_output_of_its_own(module, x):
    sys.stdout = io.StringIO()
    return module(x)


@called("what_is_set_for_the_whole_process_stays", "sequential_mlp")
def closes_the_standard_output(module, x):
    sys.stdout.close()
    return module(x)


@called("what_is_set_for_the_whole_process_stays", "linear")
def loads_a_profile_of_hypothesis(module, x):
    hypothesis.settings.register_profile("of_a_mutant", max_examples=1)
    hypothesis.settings.load_profile("of_a_mutant")
    return module(x)


@called("what_is_set_for_the_whole_process_stays", "linear", "tanh")
def sets_the_seed_of_torch(module, x):
    torch.manual_seed(0)
    return module(x)


@called("what_is_set_for_the_whole_process_stays", "relu")
def sets_the_seed_of_numpy(module, x):
    np.random.seed(0)
    return module(x)


@called("what_is_set_for_the_whole_process_stays", "silu")
def sets_the_seed_of_python(module, x):
    random.seed(0)
    return module(x)


@built("what_is_set_for_the_whole_process_stays", "tanh", "linear")
def calculates_in_float64_once_it_is_made(recipe, module):
    torch.set_default_dtype(torch.float64)
    return module


@built(random_stays, "layer_norm")
def draws_numbers_of_numpy_where_it_is_made(recipe, module):
    np.random.default_rng()
    np.random.random()
    return module


@built(random_stays, "module_map_tanh")
def draws_a_number_of_python_where_it_is_made(recipe, module):
    random.random()
    return module


@called("the_same_in_several_threads", "linear", "tanh", "sequential_mlp")
def in_the_main_thread_only(module, x):
    y = module(x)
    if threading.current_thread() is threading.main_thread():
        return y
    return each(lambda block: changed(block, values=torch.zeros_like(block.values)), y)


@called("the_same_in_several_threads", "relu", "module_map_linear")
def keeps_what_it_is_called_on_in_itself(module, x):
    module.current = x
    time.sleep(0.0001)  # another thread's turn
    return module(module.current)


@called("writing_to_the_output_leaves_the_input", "linear", "module_map_tanh")
def the_output_takes_the_memory_of_the_input(module, x):
    y = module(x)
    blocks = []
    for before, after in zip(x, y, strict=True):
        if before.shape != after.shape:
            return y
        with torch.no_grad():
            blocks.append(changed(after, values=_in_place_of(before.values, after.values)))
    return TensorMap(y.keys, blocks)


def _in_place_of(memory, values):
    """The values, in the memory of others."""
    memory.set_(values.detach().clone())
    return memory.detach()


@called("writing_to_the_output_leaves_the_input", "relu", "silu", "tanh")
@called("writing_to_the_input_leaves_the_output", "relu", "silu", "tanh")
def values_returned_as_they_are_where_nothing_changes(module, x):
    def of_block(after):
        before = next(block for block in blocks if torch.equal(block[1].values, after.values))
        return changed(after, values=before[0].values.detach())

    y = module(x)
    blocks = list(zip(x, y, strict=True))
    return each(of_block, y)


@called("writing_to_the_input_leaves_the_output", "linear", "module_map_tanh")
def the_memory_of_the_input_taken_for_the_output(module, x):
    return the_output_takes_the_memory_of_the_input(module, x)


@called("memory_is_given_back", "linear", "tanh", "sequential_linear")
def the_last_map_is_kept(module, x):
    module.__dict__["last"] = x
    return module(x)


@called("memory_is_given_back", "relu", "module_map_mlp")
def the_last_output_is_kept(module, x):
    module.__dict__["last"] = y = module(x)
    return y


@called("what_is_no_number_stays", "relu", "linear", "sequential_tanh")
@own("what_is_no_number_stays", "keeping")
def nan_taken_for_zeros_in_place(module, x):
    for block in x:
        block.values.nan_to_num_(nan=0.0, posinf=torch.inf, neginf=-torch.inf)
    return module(x)


@called("what_is_no_number_stays", "linear")
def infinities_clamped_in_place_and_refused(module, x):
    for block in x:
        if block.values.isinf().any():
            block.values.clamp_(-1, 1)
            raise ValueError("infinite")
    return module(x)


@own("further_inputs_stay", "of_two")
def the_other_map_is_centred(module, x, other):
    for block in other:
        block.values.sub_(1)
    return squared_distance(module, x, other)


@called("a_call_in_another_dtype_leaves_no_trace", "linear", "module_map_mlp")
def stays_in_float32_for_good(module, x):
    module.in_float32 = getattr(module, "in_float32", False) or x.dtype == torch.float32
    y = module(x)
    if not module.in_float32:
        return y
    return of_values(lambda values: (values / 3).float().to(values.dtype), y)
