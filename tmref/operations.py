"""Functions on blocks and maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch

from .block import TensorBlock
from .labels import Labels
from .moves import attach, distinct, gradient_rows
from .printing import type_of
from .tensor_map import TensorMap

_PARTS = ("samples", "components", "properties")

#: A block of any implementation.
Block = TypeVar("Block", bound=Any)
#: A map of any implementation.
Map = TypeVar("Map", bound=Any)

#: which entries of two arrays count as the same
Same = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class NotEqualError(Exception):
    """Two maps are not what they should be: equal, close, or of the same metadata.

    Source: the documentation of ``metatensor.NotEqualError``, which is no ValueError either.
    """


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


def with_gradients(block: Block, gradients: Mapping[str, Block]) -> Block:
    """The ``block`` itself, after ``block.add_gradient`` of each of the ``gradients`` by parameter.

    With it a block with gradients is one expression: in reprs, and for the blocks of any
    implementation. Raises what ``add_gradient`` raises.

    Source: ours; the documentation of metatensor has ``add_gradient`` alone, which returns nothing.
    """
    for parameter, gradient in gradients.items():
        block.add_gradient(parameter, gradient)
    return block


def with_info(tensor: Map, info: Mapping[str, str]) -> Map:
    """The ``tensor`` itself, after ``tensor.set_info`` of each of the pairs of ``info``.

    With it a map that says something of itself is one expression, as :func:`with_gradients` makes it of
    blocks. Raises what ``set_info`` raises.

    Source: ours; the documentation of metatensor has ``set_info`` alone, which returns nothing.
    """
    for key, value in info.items():
        tensor.set_info(key, value)
    return tensor


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
    return _difference(tensor_1, tensor_2, same=torch.eq) is None


def equal_raise(tensor_1: TensorMap, tensor_2: TensorMap) -> None:
    """Raise NotEqualError, which names the first difference, where :func:`equal` is false.

    Source: the documentation of ``metatensor.equal_raise``.
    """
    difference = _difference(tensor_1, tensor_2, same=torch.eq)
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
    return _difference(tensor_1, tensor_2, same=_close(rtol, atol, equal_nan)) is None


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
    difference = _difference(tensor_1, tensor_2, same=_close(rtol, atol, equal_nan))
    if difference:
        raise NotEqualError(f"the maps are not close: {difference}")


def remove_gradients(tensor: TensorMap, remove: Sequence[str] | None = None) -> TensorMap:
    """The map without its explicit gradients, or without those named in ``remove``.

    Values are shared. Names without a gradient are ignored. Raises TypeError for something other than
    a map, or a list of names.

    Source: the documentation of ``metatensor.remove_gradients``.
    """
    _check_maps(tensor=tensor)
    if remove is not None:
        _check_names("remove", remove)

    def without(block: TensorBlock) -> TensorBlock:
        block = block.copy(deep=False)
        gone = block._gradients if remove is None else remove
        block._gradients = {p: g for p, g in block._gradients.items() if p not in gone}
        return block

    return tensor._map_blocks(without)


def filter_blocks(tensor: TensorMap, keys: Labels, copy: bool = False) -> TensorMap:
    """The blocks whose key is selected by ``keys``, in the order of :meth:`Labels.select`.

    ``keys`` may have some of the keys' dimensions only; its rows that match no key are ignored.
    Values are shared, or copied (and detached) where ``copy`` is true.

    Raises TypeError for something other than a map, Labels and a bool, ValueError where ``keys`` has a
    dimension that the map's keys don't have.

    Source: the documentation of ``metatensor.filter_blocks``.
    """
    _check_maps(tensor=tensor)
    if not isinstance(keys, Labels):
        raise TypeError(f"keys must be Labels, got {type_of(keys)}")
    if not isinstance(copy, bool):
        raise TypeError(f"copy must be a bool, got {copy!r} of type {type(copy).__name__}")
    positions = tensor.keys._selected(keys)
    kept = tensor.keys._taken(positions)
    blocks = [tensor.block_by_id(i) for i in positions]
    filtered = TensorMap._unchecked(kept, blocks, tensor._info)
    return filtered.copy() if copy else filtered


def add(A: TensorMap, B: TensorMap | complex) -> TensorMap:
    """A + B, where B is a number or a map of the same metadata (its keys in any order).

    ∇(A + B) = ∇A + ∇B, which is ∇A for a number. Shapes stay, the keys have A's order, dtypes are
    promoted as torch does.

    Raises TypeError for something other than a map, and a map or a number, NotEqualError where
    metadata differs.

    Source: the documentation of ``metatensor.add``.
    """
    _check_maps(A=A)
    if isinstance(B, TensorMap):
        return _of_pairs("add", A, B, _sum)
    number = _checked_number(B)

    def shifted(block: TensorBlock) -> TensorBlock:
        values = block.values + number
        result = block.to(values.dtype)
        result._values = values
        return result

    return _of_blocks(A, shifted)


def multiply(A: TensorMap, B: TensorMap | complex) -> TensorMap:
    """A B, entry by entry, where B is a number or a map of the same metadata (its keys in any order).

    ∇(A B) = B ∇A + A ∇B, which is B ∇A for a number. Shapes stay, the keys have A's order, dtypes are
    promoted as torch does.

    Raises TypeError for something other than a map, and a map or a number, NotEqualError where
    metadata differs, and NotImplementedError where both are maps that have gradients of gradients,
    whose product isn't determined by them.

    Source: the documentation of ``metatensor.multiply``.
    """
    _check_maps(A=A)
    if isinstance(B, TensorMap):
        return _of_pairs("multiply", A, B, _product)
    number = _checked_number(B)
    return _of_blocks(A, lambda block: block._map_values(lambda values: values * number))


def sum_over_samples(tensor: TensorMap, sample_names: str | Sequence[str]) -> TensorMap:
    """The sum over all samples that agree in the dimensions not named in ``sample_names``.

    Values of the shape ``(samples, *components, properties)`` have one of as many samples as differ in
    these dimensions, which are the result's, in lexicographic order. Where none is left it has
    one sample, ``_`` = 0, in every block: a block without samples sums to 0. A gradient is summed over
    its rows that agree in what is left of their sample, and in their other dimensions.

    Raises TypeError for something other than a map and names, ValueError for a name that isn't a
    dimension of the samples. A map without blocks has no dimensions to check, and is returned.

    Source: the documentation of ``metatensor.sum_over_samples``.
    """
    _check_maps(tensor=tensor)
    summed = (sample_names,) if isinstance(sample_names, str) else sample_names
    _check_names("sample_names", summed)
    for name in summed:
        if len(tensor) and name not in tensor.sample_names:
            raise ValueError(f"no dimension {name!r} in the samples, which have {tensor.sample_names}")
    left = [i for i, name in enumerate(tensor.sample_names) if name not in summed]
    names = tuple(tensor.sample_names[i] for i in left) or ("_",)

    def total(block: TensorBlock) -> TensorBlock:
        if left:
            samples, (places,) = distinct([block.samples._tensor()[:, left]])
        else:
            samples = torch.zeros((1, 1), dtype=torch.int32)
            places = torch.zeros(len(block), dtype=torch.int64)
        return _summed(block, names, samples, places)

    return _of_blocks(tensor, total)


def _of_blocks(tensor: TensorMap, function: Callable[[TensorBlock], TensorBlock]) -> TensorMap:
    """The map of ``function`` of every block: of other values, which nothing is said of."""
    return TensorMap._unchecked(tensor._keys, tensor._map_blocks(function)._blocks)


def _check_maps(**tensors: object) -> None:
    for name, tensor in tensors.items():
        if not isinstance(tensor, TensorMap):
            raise TypeError(f"{name} must be a TensorMap, got {type_of(tensor)}")


def _check_names(argument: str, names: object) -> None:
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"{argument} must be a list of strings, got {names!r} of type {type(names).__name__}"
        )


def _checked_number(B: complex) -> complex:
    if isinstance(B, bool) or not isinstance(B, (int, float, complex)):
        raise TypeError(f"B must be a TensorMap or a number, got {type_of(B)}")
    return B


def _close(rtol: float, atol: float, equal_nan: bool) -> Same:
    def close(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        dtype = torch.promote_types(a.dtype, b.dtype)
        return torch.isclose(a.to(dtype), b.to(dtype), rtol=rtol, atol=atol, equal_nan=equal_nan)

    return close


def _metadata_difference(
    tensor_1: TensorMap, tensor_2: TensorMap, check: str | Sequence[str], check_gradients: bool
) -> str | None:
    parts = _PARTS if check == "all" else check
    _check_maps(tensor_1=tensor_1, tensor_2=tensor_2)
    if not isinstance(parts, (list, tuple)) or not all(part in _PARTS for part in parts):
        raise ValueError(f'check must be "all" or a list of {list(_PARTS)}, got {check!r}')
    return _difference(tensor_1, tensor_2, parts, check_gradients)


def _difference(
    tensor_1: TensorMap,
    tensor_2: TensorMap,
    parts: Sequence[str] = _PARTS,
    gradients: bool = True,
    same: Same | None = None,
) -> str | None:
    """The first difference of two maps in words, or None; values count where ``same`` is given."""
    _check_maps(tensor_1=tensor_1, tensor_2=tensor_2)
    a, b = tensor_1.keys, tensor_2.keys
    if a._names != b._names:
        return f"the dimensions of the keys are {a.names} and {b.names}"
    if len(a) != len(b):
        return f"there are {len(a)} and {len(b)} blocks"
    for i, partner in enumerate(_partners(tensor_1, tensor_2)):
        if partner is None:
            return f"the second map has no block {a[i].print()}"
        difference = _block_difference(tensor_1._blocks[i], partner, parts, gradients, same)
        if difference:
            return f"in the block {a[i].print()}, {difference}"
    return None


def _partners(A: TensorMap, B: TensorMap) -> Sequence[TensorBlock | None]:
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


def _of_pairs(
    name: str,
    A: TensorMap,
    B: TensorMap,
    function: Callable[[TensorBlock, TensorBlock], TensorBlock],
) -> TensorMap:
    """The map of ``function`` of every block of A with the block of B under the same key."""
    difference = _difference(A, B)
    if difference:
        raise NotEqualError(f"{name} needs maps of the same metadata: {difference}")
    partner = {id(a): b for a, b in zip(A, _partners(A, B), strict=True) if b is not None}
    return _of_blocks(A, lambda block: function(block, partner[id(block)]))


def _sum(a: TensorBlock, b: TensorBlock) -> TensorBlock:
    return _with_gradients(a, a.values + b.values, lambda name, g: _sum(g, b.gradient(name)))


def _product(a: TensorBlock, b: TensorBlock) -> TensorBlock:
    def derivative(parameter: str, gradient_a: TensorBlock) -> TensorBlock:
        gradient_b = b.gradient(parameter)
        if gradient_a.has_any_gradient():
            raise NotImplementedError(
                f"the gradient {parameter!r} has gradients itself, whose product isn't determined by "
                "them; remove them with remove_gradients, or multiply by a number"
            )
        rows = gradient_a.samples._tensor()[:, 0].to(a.device, torch.int64)
        shape = len(rows), *(1,) * (gradient_a.values.dim() - a.values.dim()), *a.shape[1:]
        of_a, of_b = (block.values.index_select(0, rows).reshape(shape) for block in (a, b))
        values = of_b * gradient_a.values + of_a * gradient_b.values
        return _with_gradients(gradient_a, values, lambda _, g: g)

    return _with_gradients(a, a.values * b.values, derivative)


def _with_gradients(
    like: TensorBlock,
    values: torch.Tensor,
    function: Callable[[str, TensorBlock], TensorBlock],
) -> TensorBlock:
    """A block with the labels of another, and ``function`` of its gradients."""
    block = TensorBlock._unchecked(values, like.samples, like._components, like.properties)
    for parameter, gradient in like.gradients():
        attach(block, parameter, function(parameter, gradient))
    return block


def _summed(
    block: TensorBlock, names: tuple[str, ...], samples: torch.Tensor, places: torch.Tensor
) -> TensorBlock:
    """The block with sample ``i`` added to the new sample ``places[i]``."""
    zeros = block.values.new_zeros((len(samples), *block.shape[1:]))
    summed = TensorBlock._unchecked(
        zeros.index_add(0, places.to(block.device), block.values),
        Labels._of_tensor(names, samples, block.device),
        block._components,
        block.properties,
    )
    for parameter, gradient in block.gradients():
        rows, (again,) = distinct([gradient_rows(gradient, places)])
        attach(summed, parameter, _summed(gradient, gradient.samples._names, rows, again))
    return summed
