"""Modules that change what a forward is to leave as it was."""

import random
import threading
import time

import numpy as np
import torch
from mutants import built, called, changed, each, modules_of

from tmref import TensorMap


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


@called("what_is_set_for_all_of_torch_stays", "linear", "relu")
def turns_derivatives_on(module, x):
    torch.set_grad_enabled(True)
    return module(x)


@called("what_is_set_for_all_of_torch_stays", "tanh", "sequential_mlp")
def turns_derivatives_off(module, x):
    y = module(x)
    torch.set_grad_enabled(False)
    return y


@built("what_is_set_for_all_of_torch_stays", "layer_norm")
def draws_numbers_of_numpy_where_it_is_made(recipe, module):
    np.random.default_rng()
    np.random.random()
    return module


@built("what_is_set_for_all_of_torch_stays", "module_map_tanh")
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
