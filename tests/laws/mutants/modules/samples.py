"""Modules that take samples for others, or for what they aren't."""

import torch

from mutants.planting import changed, each, own, squared_distance, summed, sums_over_atoms
from tmref import Labels

one_sample = "what_shares_the_rest_is_one_sample"
splitting = "splitting_by_the_rest_commutes"
no_order = "groups_have_no_order"


@own(one_sample, "of_sums")
def a_system_that_is_not_there(module, x):
    def with_another(block):
        block = summed(block)
        other = next(n for n in range(len(block) + 1) if [n] not in block.samples.values.tolist())
        systems = torch.tensor([*block.samples.values.tolist(), [other]])
        values = torch.cat([block.values, block.values.new_zeros((1, *block.shape[1:]))])
        return changed(block, values=values, samples=Labels("system", systems))

    return each(with_another, x)


@own(one_sample, "of_sums")
def the_atoms_stay(module, x):
    return each(changed, x)


@own(splitting, "of_sums")
def the_mean_of_all_systems_added(module, x):
    def with_mean(block):
        mean = block.values.mean(0, keepdim=True) if len(block) else block.values
        return changed(block, values=block.values + mean)

    return each(with_mean, sums_over_atoms(module, x))


@own(splitting, "of_sums")
def every_sum_under_the_next_system(module, x):
    return each(lambda block: changed(block, values=block.values.roll(1, 0)), sums_over_atoms(module, x))


@own(no_order, "of_sums")
def the_first_of_every_system_counts_twice(module, x):
    def doubled(block):
        systems = block.samples.values[:, 0].tolist()
        factors = [2 if system not in systems[:i] else 1 for i, system in enumerate(systems)]
        factor = torch.tensor(factors, dtype=block.dtype).reshape(-1, *[1] * (block.values.dim() - 1))
        return summed(changed(block, values=block.values * factor))

    return each(doubled, x)


@own("samples_of_all_inputs_may_change_their_order", "of_two")
def the_first_sample_counts_twice(module, x, other):
    first = sum((a.values[:1] - b.values[:1]).square().sum() for a, b in zip(x, other, strict=True))
    return squared_distance(module, x, other) + first


@own("samples_of_one_input_are_found_by_their_labels", "of_two")
@own("other_samples_in_one_input_are_refused", "of_two")
def matched_by_position(module, x, other):
    return sum((a.values - b.values).square().sum() for a, b in zip(x, other, strict=True))


@own("blocks_of_one_input_are_found_by_their_keys", "of_two")
def blocks_matched_by_position(module, x, other):
    pairs = list(zip(x, other, strict=True))
    if any(sorted(a.samples.values.tolist()) != sorted(b.samples.values.tolist()) for a, b in pairs):
        raise ValueError("the maps have other samples")
    return sum(a.values.sum() ** 2 * b.values.sum() for a, b in pairs)


@own("other_samples_in_one_input_are_refused", "of_two")
def samples_counted_only(module, x, other):
    for a, b in zip(x, other, strict=True):
        if sorted(a.samples.values[1:].tolist()) != sorted(b.samples.values[1:].tolist()):
            raise ValueError("the maps have other samples")
    return sum((a.values - b.values).square().sum() for a, b in zip(x, other, strict=True))
