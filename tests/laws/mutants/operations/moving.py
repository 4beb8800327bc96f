"""Operations on blocks that aren't those on maps, and what autograd can't go through."""

import tmref
from mutants.planting import of_operations

blocks = "blocks_are_changed_as_maps_are"
derivatives = "derivatives_go_where_the_numbers_come_from"


@of_operations(blocks, "sort_block")
def blocks_are_sorted_upwards(sort_block, block, *args, **options):
    return sort_block(block)


@of_operations(blocks, "slice_block")
def blocks_are_cut_along_samples(slice_block, block, axis, selection):
    try:
        return slice_block(block, "samples", selection)
    except ValueError:
        return slice_block(block, axis, selection)


@of_operations(blocks, "split_block")
def parts_of_blocks_are_the_block(split_block, block, axis, selections):
    return [block for _ in selections]


@of_operations(blocks, "join_blocks")
def blocks_are_joined_backwards(join_blocks, blocks, *args):
    return join_blocks(blocks[::-1], *args)


@of_operations(blocks, "unique_metadata_block")
def metadata_of_blocks_lacks_the_last_row(unique_metadata_block, *args):
    found = unique_metadata_block(*args)
    return found._taken(range(max(0, len(found) - 1)))


@of_operations(derivatives, "sort")
@of_operations(derivatives, "join")
def what_is_moved_is_detached(right, *args, **options):
    y = right(*args, **options)
    return y._map_blocks(lambda block: block._map_values(lambda v: v.detach().requires_grad_()))


@of_operations(derivatives, "slice")
def what_is_left_counts_twice(slice, *args):
    return tmref.multiply(slice(*args), 2.0)
