"""TensorMap: a block-sparse array, blocks by key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch

from . import moves
from .block import TensorBlock, _dtype_and_device, _in_brackets, _in_parentheses, block_source
from .labels import Labels, LabelsEntry, labels_source
from .printing import LONGEST, counted, type_of

_new = object.__new__
#: The info of a map that says nothing of itself: these dictionaries are replaced, never changed.
_NOTHING: dict[str, str] = {}
Selection = int | Labels | LabelsEntry | Mapping[str, int]


class TensorMap:
    """Blocks, each of them with a key: ``blocks[i]`` belongs to the row ``i`` of ``keys``.

    All blocks have the same names of dimensions on every axis, the same gradients (of the same
    names), the same dtype and device; their labels and sizes differ. The values are not copied.

    A map may say something of itself, by pairs of texts (:meth:`set_info`). They stay through copies,
    conversions, moves of keys, files and modules; what computes other values, as sums and products
    do, gives a map that says nothing.

    Raises TypeError for something other than labels and blocks, and ValueError where keys and
    blocks are not equally many or blocks don't fit each other, naming both.

    Source: the interface of ``metatensor.torch.TensorMap``.
    """

    __slots__ = ("_blocks", "_info", "_keys")

    def __init__(self, keys: Labels, blocks: Sequence[TensorBlock]) -> None:
        if not isinstance(keys, Labels):
            raise TypeError(f"keys must be Labels, got {type_of(keys)}")
        if not isinstance(blocks, (list, tuple)):
            raise TypeError(f"blocks must be a list of TensorBlock, got {type_of(blocks)}")
        for i, block in enumerate(blocks):
            if not isinstance(block, TensorBlock):
                raise TypeError(f"blocks[{i}] must be a TensorBlock, got {type_of(block)}")
        if len(keys) != len(blocks):
            raise ValueError(
                f"keys have {counted(len(keys), 'entry')}, got {counted(len(blocks), 'block')}"
            )
        for key, block in zip(keys, blocks, strict=True):
            what = _mismatch(blocks[0], block)
            if what:
                raise ValueError(
                    f"all blocks of a TensorMap must have the same {what[0]}, got {what[1]} in the "
                    f"block {keys[0].print()} and {what[2]} in the block {key.print()}"
                )
        if blocks and keys.device != blocks[0].device:
            raise ValueError(
                f"keys are on {keys.device} but the blocks on {blocks[0].device}; "
                f'move them with .to("{blocks[0].device}")'
            )
        self._keys = keys
        self._blocks = tuple(block._adopted() for block in blocks)
        self._info = _NOTHING

    @staticmethod
    def _unchecked(
        keys: Labels, blocks: Sequence[TensorBlock], info: dict[str, str] = _NOTHING
    ) -> TensorMap:
        """A map of blocks that are known to fit, and marked as part of it. ``info`` is shared."""
        tensor = _new(TensorMap)
        tensor._keys = keys
        tensor._blocks = tuple(blocks)
        tensor._info = info
        return tensor

    @property
    def keys(self) -> Labels:
        """Labels of the blocks."""
        return self._keys

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[TensorBlock]:
        return iter(self._blocks)

    def items(self) -> list[tuple[LabelsEntry, TensorBlock]]:
        """The keys with their blocks."""
        return list(zip(self._keys, self._blocks, strict=True))

    def __getitem__(self, selection: Selection) -> TensorBlock:
        """One block; the same as :meth:`block`."""
        return self.block(selection)

    def block_by_id(self, index: int) -> TensorBlock:
        """The block at a position. Raises IndexError where there is none."""
        if not 0 <= index < len(self._blocks):
            raise IndexError(f"no block {index} in a TensorMap of {counted(len(self), 'block')}")
        return self._blocks[index]

    def blocks_by_id(self, indices: Sequence[int]) -> list[TensorBlock]:
        """The blocks at these positions. Raises IndexError where there is none at one of them."""
        return [self.block_by_id(index) for index in indices]

    def block(self, selection: Selection | None = None) -> TensorBlock:
        """The one block that matches the selection: a position, or values of some key dimensions.

        Raises IndexError for a position out of range, and ValueError where no block or more than one
        matches, or a dimension isn't one of the keys'.
        """
        if isinstance(selection, int):
            return self.block_by_id(selection)
        found = self.blocks(selection)
        if len(found) != 1:
            wanted = "all blocks" if selection is None else _printed(_as_dict(selection))
            raise ValueError(f"{wanted} must match one block, but {len(found)} of the {len(self)} do")
        return found[0]

    def blocks(self, selection: Selection | Sequence[int] | None = None) -> list[TensorBlock]:
        """The blocks that match the selection; those at a list of positions; all of them without one.
        Raises as :meth:`block`."""
        if selection is None:
            return list(self._blocks)
        if isinstance(selection, (list, tuple)) and all(isinstance(index, int) for index in selection):
            return self.blocks_by_id(selection)
        if isinstance(selection, int):
            return [self.block_by_id(selection)]
        if isinstance(selection, LabelsEntry) and selection._names == self._keys._names:
            position = self._keys.position(selection)
            return [] if position is None else [self._blocks[position]]
        wanted = _as_dict(selection)
        unknown = [name for name in wanted if name not in self._keys._names]
        if unknown:
            raise ValueError(f"no dimension {unknown[0]!r} in the keys, which have {self._keys.names}")
        return [b for key, b in self.items() if all(key[n] == v for n, v in wanted.items())]

    @property
    def sample_names(self) -> list[str]:
        """Names of the samples' dimensions; empty where there are no blocks."""
        return self._blocks[0].samples.names if self._blocks else []

    @property
    def component_names(self) -> list[str]:
        """Names of the components; empty where there are no blocks."""
        return [c.names[0] for c in self._blocks[0]._components] if self._blocks else []

    @property
    def property_names(self) -> list[str]:
        """Names of the properties' dimensions; empty where there are no blocks."""
        return self._blocks[0].properties.names if self._blocks else []

    @property
    def device(self) -> torch.device:
        """The device of values and labels."""
        return self._keys.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the values; torch's default where there are no blocks."""
        return self._blocks[0].dtype if self._blocks else torch.get_default_dtype()

    def set_info(self, key: str, value: str) -> None:
        """Say something of the map: what ``key`` is, from now on. Raises TypeError where one of them is
        no string.

        Source: the documentation of ``metatensor.torch.TensorMap.set_info``.
        """
        for name, text in (("key", key), ("value", value)):
            if not isinstance(text, str):
                raise TypeError(
                    f"{name} of the info must be a string, got {text!r} of type {type(text).__name__}"
                )
        self._info = {**self._info, key: value}

    def get_info(self, key: str) -> str | None:
        """What was said by :meth:`set_info` of this key, or None."""
        return self._info.get(key)

    def info(self) -> dict[str, str]:
        """All that the map says of itself, as a dictionary of its own."""
        return dict(self._info)

    def copy(self, deep: bool = True) -> TensorMap:
        """The map with values copied (and detached, as in metatensor) or, where not ``deep``, shared."""
        return self._map_blocks(lambda block: block.copy(deep))

    def to(
        self,
        *args: str | torch.device | torch.dtype,
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
        non_blocking: bool = False,
    ) -> TensorMap:
        """The map with values of this dtype on this device, gradients and labels with them.

        The arguments are those of ``torch.Tensor.to``: a dtype, a device, both in either order, or by
        name. What is there already is shared. Raises TypeError for anything else.
        """
        dtype, device = _dtype_and_device(args, dtype, device)
        return self._map_blocks(
            lambda block: block.to(dtype=dtype, device=device, non_blocking=non_blocking),
            self._keys if device is None else self._keys.to(device),
        )

    def pin_memory(self) -> TensorMap:
        """The map with values in pinned memory, as torch's loaders ask."""
        return self._map_blocks(TensorBlock.pin_memory)

    def keys_to_samples(
        self,
        keys_to_move: str | Sequence[str] | Labels,
        fill_value: float | complex = 0,
        sort_samples: bool = True,
    ) -> TensorMap:
        """The blocks whose keys differ in ``keys_to_move`` only, one below the other.

        The moved dimensions come last in the samples: sorted where ``sort_samples`` is true, else in
        the order of the blocks. Properties that a block doesn't have are ``fill_value``. Raises as
        :func:`tmref.moves.keys_to_samples`, which says more.
        """
        moved = moves.keys_to_samples(self._keys, self._blocks, keys_to_move, fill_value, sort_samples)
        return TensorMap._unchecked(*moved, self._info)

    def keys_to_properties(
        self,
        keys_to_move: str | Sequence[str] | Labels,
        fill_value: float | complex = 0,
        sort_samples: bool = True,
    ) -> TensorMap:
        """The blocks whose keys differ in ``keys_to_move`` only, side by side.

        The moved dimensions come first in the properties, with the values of the blocks' keys or,
        where ``keys_to_move`` are Labels that have entries, with these. Samples that a block doesn't
        have are ``fill_value``. Raises as :func:`tmref.moves.keys_to_properties`, which says more.
        """
        moved = moves.keys_to_properties(
            self._keys, self._blocks, keys_to_move, fill_value, sort_samples
        )
        return TensorMap._unchecked(*moved, self._info)

    def _map_blocks(
        self, function: Callable[[TensorBlock], TensorBlock], keys: Labels | None = None
    ) -> TensorMap:
        """The map with ``function`` of every block, which gives new blocks that fit each other, and with
        ``keys`` where there are other ones."""
        blocks = [function(block) for block in self._blocks]
        for block in blocks:
            block._owned = True
        return TensorMap._unchecked(self._keys if keys is None else keys, blocks, self._info)

    def print(self, max_keys: int = -1) -> str:
        """The map in words, with at most ``max_keys`` of its blocks (-1: all)."""
        keys, blocks = self._keys._entries(), self._blocks
        if 0 <= max_keys < len(blocks):
            keys, blocks = keys[:max_keys], blocks[:max_keys]
        widths = [max(map(len, map(str, column)), default=0) for column in zip(*keys, strict=True)]
        cells = [
            "".join(f" {value:^{width}} " for value, width in zip(key, widths, strict=True))
            for key in keys
        ]
        lines = [
            f"      {cell}  => TensorBlock with shape {_in_parentheses(block.shape)}"
            for cell, block in zip(cells, blocks, strict=True)
        ]
        if len(blocks) < len(self._blocks):
            width = sum(w + 2 for w in widths) if keys else 2 * len(self._keys._names)
            lines.append(" " * (7 + width) + "...")
        head = [
            f"TensorMap with {counted(len(self), 'block')}",
            f"    keys: {_in_brackets(self._keys._names)}",
        ]
        return "\n".join([*head, "    blocks:", *lines])

    def __str__(self) -> str:
        return self.print(max_keys=7)

    def __repr__(self) -> str:
        return map_source(self, longest=LONGEST)


def _as_dict(
    selection: Labels | LabelsEntry | Mapping[str, int] | Sequence[int],
) -> dict[str, int]:
    if isinstance(selection, Mapping):
        return dict(selection)
    if isinstance(selection, Labels):
        if len(selection) != 1:
            raise ValueError(f"Labels that select blocks must have one entry, got {len(selection)}")
        selection = selection[0]
    if not isinstance(selection, LabelsEntry):
        raise TypeError(
            "a block is selected by an int, a LabelsEntry, Labels of one entry or a dictionary, "
            f"got {type_of(selection)}"
        )
    return dict(zip(selection._names, selection._row, strict=True))


def _printed(values: Mapping[str, int]) -> str:
    return "(" + ", ".join(f"{name}={value}" for name, value in values.items()) + ")"


def _mismatch(first: TensorBlock, block: TensorBlock) -> tuple[str, object, object] | None:
    """What keeps two blocks from being in one map: its name, and what each of them has."""
    for what, of in (
        ("dtype", lambda b: b.dtype),
        ("device", lambda b: b.device),
        ("sample names", lambda b: b.samples.names),
        ("component names", lambda b: [c.names[0] for c in b._components]),
        ("property names", lambda b: b.properties.names),
        ("gradients", lambda b: sorted(b._gradients)),
    ):
        left, right = of(first), of(block)
        if left != right:
            return what, left, right
    for parameter in first._gradients:
        found = _mismatch(first._gradients[parameter], block._gradients[parameter])
        if found:
            return f"{found[0]} of the gradient {parameter!r}", *found[1:]
    return None


def map_source(tensor: TensorMap, array: str = "torch.tensor", longest: int | None = None) -> str:
    """The code of a map."""
    blocks = ", ".join(block_source(block, array, longest) for block in tensor)
    code = f"TensorMap({labels_source(tensor.keys, array, longest)}, [{blocks}])"
    return f"with_info({code}, {tensor._info!r})" if tensor._info else code
