"""Functions on blocks and maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .block import TensorBlock
from .labels import Labels
from .tensor_map import TensorMap

_PARTS = ("samples", "components", "properties")


def block_from_array(array: torch.Tensor) -> TensorBlock:
    """A block of the values ``array``, each axis labelled by 0, 1, 2, ...

    The first axis are samples named ``sample``, the last one properties named ``property``, the ones
    between components named ``component_1``, ``component_2``, ...; the values are not copied.

    Raises TypeError for something other than a tensor, ValueError for fewer than two axes.

    Source: the documentation of ``metatensor.block_from_array`` without its optional names.
    """
    if not isinstance(array, torch.Tensor):
        raise TypeError(f"array must be a torch.Tensor, got {type(array).__name__}")
    if array.dim() < 2:
        raise ValueError(
            "array must have at least two axes, samples and properties, "
            f"got the shape {tuple(array.shape)}"
        )
    names = ["sample", *(f"component_{i}" for i in range(1, array.dim() - 1)), "property"]
    samples, *components, properties = (
        Labels.range(name, size).to(array.device) for name, size in zip(names, array.shape, strict=True)
    )
    return TensorBlock(array, samples, components, properties)


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
    for name, tensor in (("tensor_1", tensor_1), ("tensor_2", tensor_2)):
        if not isinstance(tensor, TensorMap):
            raise TypeError(f"{name} must be a TensorMap, got {type(tensor).__name__}")
    parts = _PARTS if check == "all" else check
    if not isinstance(parts, (list, tuple)) or not all(part in _PARTS for part in parts):
        raise ValueError(f'check must be "all" or a list of {list(_PARTS)}, got {check!r}')
    if tensor_1.keys.names != tensor_2.keys.names or len(tensor_1) != len(tensor_2):
        return False
    return all(
        key in tensor_2.keys and _equal_block(block, tensor_2[key], parts, check_gradients)
        for key, block in tensor_1.items()
    )


def _equal_block(a: TensorBlock, b: TensorBlock, parts: Sequence[str], gradients: bool) -> bool:
    if any(getattr(a, part) != getattr(b, part) for part in parts):
        return False
    if not gradients:
        return True
    return set(a.gradients_list()) == set(b.gradients_list()) and all(
        _equal_block(gradient, b.gradient(parameter), parts, gradients)
        for parameter, gradient in a.gradients()
    )
