"""Strategies for parts of a map, and for what acts on maps: permutations and rotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tmref import TensorMap
from tmref.permutations import Permutation
from tmref.rotations import O3_NAMES, Rotation

from ._options import check_flags, check_map
from ._strategy import Draw, strategy
from .axes import checked_o3_names
from .numbers import check_size


@strategy
def sub_maps(tensor: TensorMap, *, min_blocks: int = 0) -> Callable[[Draw], TensorMap]:
    """Maps of some of the blocks of ``tensor``, at least ``min_blocks``, in its order, of its values.

    Shrinks towards few blocks, the first ones. Raises InvalidArgument for what is no map, and a
    ``min_blocks`` that is no int, or more than there are.

    >>> x = find(tensor_maps(), lambda x: len(x) == 3)
    >>> find(sub_maps(x), lambda part: len(part) == 1).keys
    Labels.range("key", 1)
    """
    check_map("sub_maps", tensor)
    check_size("min_blocks", min_blocks, 0, len(tensor))
    count = len(tensor)

    def draw_sub_map(draw: Draw) -> TensorMap:
        data = draw.bytes("blocks", count, exact=True)
        taken = {i for i in range(count) if data.pick((False, True))}
        for i in range(count):
            if len(taken) < min_blocks:
                taken.add(i)
        return TensorMap(tensor.keys._taken(sorted(taken)), [tensor.block(i) for i in sorted(taken)])

    return draw_sub_map


@strategy
def permutations(
    tensor: TensorMap, *, keys: bool = True, samples: bool = True
) -> Callable[[Draw], Permutation]:
    """Permutations of the blocks of ``tensor`` where ``keys`` is True, and of the samples of each where
    ``samples`` is: functions p, so that ``p(x)`` is the permuted map.

    What keeps samples apart commutes with them: ``f(p(x))`` equals ``p(f(x))``. Shrinks towards the
    permutation that changes nothing. Raises InvalidArgument for what is no map, and a flag that is no
    bool.

    >>> x = find(tensor_maps(), lambda x: len(x) == 2)
    >>> find(permutations(x), lambda p: p(x).keys != x.keys)
    Permutation((1, 0), samples=((), ()))
    """
    check_map("permutations", tensor)
    check_flags(keys=keys, samples=samples)

    def draw_permutation(draw: Draw) -> Permutation:
        sizes = [len(block) for block in tensor]
        data = draw.bytes("orders", sum(sizes) + len(sizes), exact=True)
        order = data.pick_order(len(sizes)) if keys else tuple(range(len(sizes)))
        # block by block, so that they stay what they are while the order of the blocks shrinks
        of_blocks = [data.pick_order(size) if samples else tuple(range(size)) for size in sizes]
        return Permutation(order, tuple(of_blocks[i] for i in order))

    return draw_permutation


@strategy
def rotations(
    *, inversions: bool = True, o3_names: Sequence[str] = O3_NAMES
) -> Callable[[Draw], Rotation]:
    """Rotations of space, and where ``inversions`` is True those with an inversion: functions R, so that
    ``R(x)`` is the rotated map of spherical tensors, whose dimensions are called ``o3_names``.

    What is equivariant commutes with them: ``f(R(x))`` equals ``R(f(x))``, up to rounding. Their
    quaternions are small integers. Shrinks towards the identity, then half and quarter turns. Raises
    InvalidArgument for names that are no three, and a flag that is no bool.

    >>> find(rotations(inversions=False), lambda R: R.quaternion != (1, 0, 0, 0))
    Rotation((0, 1, 0, 0))
    """
    check_flags(inversions=inversions)
    names = checked_o3_names(o3_names)

    def draw_rotation(draw: Draw) -> Rotation:
        data = draw.bytes("rotation", 5, exact=True)
        inversion = data.pick((False, True)) and inversions
        w, x, y, z = (data.pick(_TURNS) for _ in range(4))
        return Rotation((w if x or y or z else 1, x, y, z), inversion, names)

    return draw_rotation


_TURNS = (0, 0, 1, -1, 2, -2, 3, -3)
