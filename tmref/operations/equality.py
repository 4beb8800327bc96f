"""Whether two maps are the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ..block import TensorBlock
from ..labels import Labels
from ..tensor_map import TensorMap
from ._common import check_maps

_PARTS = ("samples", "components", "properties")

#: Which entries of two arrays count as the same.
Same = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class NotEqualError(Exception):
    """Two maps are not what they should be: equal, close, or of the same metadata.

    Source: the documentation of ``metatensor.NotEqualError``, which is no ValueError either.
    """


def equal_metadata(
    tensor_1: TensorMap,
    tensor_2: TensorMap,
    check: str | Sequence[str] = "all",
    check_gradients: bool = True,
) -> bool:
    """Whether two maps have the same keys, and blocks of the same metadata under them.

    The keys are compared as sets; the parts of the blocks named in ``check`` (``samples``,
    ``components``, ``properties``, or all of them by ``"all"``) in order. Gradients' metadata counts
    where ``check_gradients`` is true. Values, dtypes and devices never count.

    Raises TypeError for something other than two maps, ValueError for an unknown part.

    Source: the documentation of ``metatensor.equal_metadata``.
    """
    return _metadata_difference(tensor_1, tensor_2, check, check_gradients) is None


def equal_metadata_raise(
    tensor_1: TensorMap,
    tensor_2: TensorMap,
    check: str | Sequence[str] = "all",
    check_gradients: bool = True,
) -> None:
    """Raise NotEqualError, which names the first difference, where :func:`equal_metadata` is false.

    Source: the documentation of ``metatensor.equal_metadata_raise``.
    """
    difference = _metadata_difference(tensor_1, tensor_2, check, check_gradients)
    if difference:
        raise NotEqualError(f"the maps have different metadata: {difference}")


def equal(tensor_1: TensorMap, tensor_2: TensorMap) -> bool:
    """Whether two maps have the same metadata (:func:`equal_metadata`) and the same numbers.

    Gradients count. Dtypes don't: 1 equals 1.0. NaN equals nothing. Raises TypeError for something
    other than two maps.

    Source: the documentation of ``metatensor.equal``.
    """
    return difference_of(tensor_1, tensor_2, same=torch.eq) is None


def equal_raise(tensor_1: TensorMap, tensor_2: TensorMap) -> None:
    """Raise NotEqualError, which names the first difference, where :func:`equal` is false.

    Source: the documentation of ``metatensor.equal_raise``.
    """
    difference = difference_of(tensor_1, tensor_2, same=torch.eq)
    if difference:
        raise NotEqualError(f"the maps are not equal: {difference}")


def allclose(
    tensor_1: TensorMap,
    tensor_2: TensorMap,
    rtol: float = 1e-13,
    atol: float = 1e-12,
    equal_nan: bool = False,
) -> bool:
    """Whether two maps have the same metadata, and ``|x₁ - x₂| ≤ atol + rtol |x₂|`` everywhere.

    Gradients count, too. Two NaN are close where ``equal_nan`` is true. Raises TypeError for something
    other than two maps.

    Source: the documentation of ``metatensor.allclose``.
    """
    return difference_of(tensor_1, tensor_2, same=_close(rtol, atol, equal_nan)) is None


def allclose_raise(
    tensor_1: TensorMap,
    tensor_2: TensorMap,
    rtol: float = 1e-13,
    atol: float = 1e-12,
    equal_nan: bool = False,
) -> None:
    """Raise NotEqualError, which names the first difference, where :func:`allclose` is false.

    Source: the documentation of ``metatensor.allclose_raise``.
    """
    difference = difference_of(tensor_1, tensor_2, same=_close(rtol, atol, equal_nan))
    if difference:
        raise NotEqualError(f"the maps are not close: {difference}")


def _close(rtol: float, atol: float, equal_nan: bool) -> Same:
    def close(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        dtype = torch.promote_types(a.dtype, b.dtype)
        return torch.isclose(a.to(dtype), b.to(dtype), rtol=rtol, atol=atol, equal_nan=equal_nan)

    return close


def _metadata_difference(
    tensor_1: TensorMap, tensor_2: TensorMap, check: str | Sequence[str], check_gradients: bool
) -> str | None:
    parts = _PARTS if check == "all" else check
    check_maps(tensor_1=tensor_1, tensor_2=tensor_2)
    if not isinstance(parts, (list, tuple)) or not all(part in _PARTS for part in parts):
        raise ValueError(f'check must be "all" or a list of {list(_PARTS)}, got {check!r}')
    return difference_of(tensor_1, tensor_2, parts, check_gradients)


def difference_of(
    tensor_1: TensorMap,
    tensor_2: TensorMap,
    parts: Sequence[str] = _PARTS,
    gradients: bool = True,
    same: Same | None = None,
) -> str | None:
    """The first difference of two maps in words, or None; values count where ``same`` is given."""
    check_maps(tensor_1=tensor_1, tensor_2=tensor_2)
    a, b = tensor_1.keys, tensor_2.keys
    if a._names != b._names:
        return f"the dimensions of the keys are {a.names} and {b.names}"
    if len(a) != len(b):
        return f"there are {len(a)} and {len(b)} blocks"
    for i, partner in enumerate(partners(tensor_1, tensor_2)):
        if partner is None:
            return f"the second map has no block {a[i].print()}"
        difference = _block_difference(tensor_1._blocks[i], partner, parts, gradients, same)
        if difference:
            return f"in the block {a[i].print()}, {difference}"
    return None


def partners(A: TensorMap, B: TensorMap) -> Sequence[TensorBlock | None]:
    """The block of B under each key of A, whose dimensions are the same, or None."""
    if A.keys == B.keys:
        return B._blocks
    block = dict(zip(B.keys._entries(), B._blocks, strict=True))
    return [block.get(row) for row in A.keys._entries()]


def _block_difference(
    a: TensorBlock, b: TensorBlock, parts: Sequence[str], gradients: bool, same: Same | None
) -> str | None:
    for part in parts:
        left, right = getattr(a, f"_{part}"), getattr(b, f"_{part}")
        if left != right:
            left, right = _in_words(left), _in_words(right)
            if left == right:
                return f"the {part} are {left}, but not the same ones in the same order"
            return f"the {part} are {left} and {right}"
    if same is not None:
        equal = same(a.values, b.values)
        if not equal.all():
            return f"{int((~equal).sum())} of {equal.numel()} values differ"
    if not gradients:
        return None
    if set(a._gradients) != set(b._gradients):
        return f"the gradients are {sorted(a._gradients)} and {sorted(b._gradients)}"
    for parameter, gradient in a._gradients.items():
        found = _block_difference(gradient, b._gradients[parameter], parts, gradients, same)
        if found:
            return f"in the gradient {parameter!r}, {found}"
    return None


def _in_words(labels: Labels | tuple[Labels, ...]) -> str:
    if isinstance(labels, Labels):
        return f"{len(labels)} of {labels.names}"
    return f"[{', '.join(map(_in_words, labels))}]"
