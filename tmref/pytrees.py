"""Blocks and maps taken apart: as pytrees for torch.func and torch.export, and by pickle.

The leaves are values, those of gradients included; labels, and what a map says of itself, are context,
compared by equality. Nothing is checked where a block or a map is put together again: transforms put
placeholders into them.
``torch.load(weights_only=True)`` reads what ``torch.save`` wrote of them (torch >= 2.4).
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.fx import _pytree as pytree_of_fx
from torch.utils import _pytree as pytree

from .block import TensorBlock
from .labels import Labels
from .tensor_map import TensorMap


def _flatten_map(tensor: TensorMap) -> tuple[list[Any], Any]:
    # keys alone where there is nothing else: in the words of torch.export they then print as they are
    info = tuple(sorted(tensor._info.items()))
    return list(tensor._blocks), (tensor._keys, *info) if info else tensor._keys


def _unflatten_map(blocks: Iterable[Any], context: Any) -> TensorMap:
    keys, *info = context if isinstance(context, tuple) else (context,)
    return TensorMap._unchecked(keys, list(blocks), dict(info))


def _map_with_paths(tensor: TensorMap) -> tuple[list[tuple[Any, Any]], Any]:
    blocks, context = _flatten_map(tensor)
    return [(pytree.SequenceKey(i), block) for i, block in enumerate(blocks)], context


def _flatten_block(block: TensorBlock) -> tuple[list[Any], tuple[Any, ...]]:
    labels = block._samples, block._components, block._properties
    context = *labels, block._owned, block._parameter, tuple(block._gradients)
    return [block._values, *block._gradients.values()], context


def _unflatten_block(children: Iterable[Any], context: tuple[Any, ...]) -> TensorBlock:
    samples, components, properties, owned, parameter, gradients = context
    values, *of_gradients = children
    block = TensorBlock._unchecked(values, samples, components, properties, owned)
    block._parameter = parameter
    if gradients:
        block._gradients = dict(zip(gradients, of_gradients, strict=True))
    return block


def _block_with_paths(block: TensorBlock) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
    (values, *gradients), context = _flatten_block(block)
    paths: list[Any] = [pytree.MappingKey(parameter) for parameter in block._gradients]
    return [(pytree.GetAttrKey("values"), values), *zip(paths, gradients, strict=True)], context


def _children_by(flatten: Callable[[Any], tuple[list[Any], Any]]) -> Callable[[Any, Any], list[Any]]:
    return lambda data, spec: flatten(data)[0]


def _dump(context: Any) -> Any:
    """The context in types that JSON has; labels are a dictionary."""
    if isinstance(context, Labels):
        rows = [list(row) for row in context._entries()]
        return {"names": context.names, "values": rows, "device": str(context.device)}
    return [_dump(item) for item in context] if isinstance(context, tuple) else context


def _load(dumped: Any) -> Any:
    """The context that was dumped."""
    if isinstance(dumped, dict):
        names = tuple(dumped["names"])
        rows = torch.tensor(dumped["values"], dtype=torch.int32).reshape(-1, len(names))
        return Labels._of_tensor(names, rows, torch.device(dumped["device"]))
    return tuple(map(_load, dumped)) if isinstance(dumped, list) else dumped


def _labels(names: tuple[str, ...], content: str, device: str) -> Labels:
    return Labels._unchecked(names, content.encode("latin-1"), torch.device(device))


def _reduced_labels(labels: Labels) -> tuple[Any, ...]:
    # a string of bytes: what torch.save makes of empty bytes is nothing that weights_only reads
    content = labels._content.decode("latin-1")
    return _labels, (labels._names, content, str(labels._device))


def register() -> None:
    """Tell torch's pytrees, pickle and torch.load how labels, blocks and maps are taken apart."""
    for kind, flatten, unflatten, with_paths in (
        (TensorMap, _flatten_map, _unflatten_map, _map_with_paths),
        (TensorBlock, _flatten_block, _unflatten_block, _block_with_paths),
    ):
        pytree.register_pytree_node(
            kind,
            flatten,
            unflatten,
            serialized_type_name=f"tmref.{kind.__name__}",
            to_dumpable_context=_dump,
            from_dumpable_context=_load,
            flatten_with_keys_fn=with_paths,
        )
        # exported programs ask here for what they are called with (torch < 2.4)
        pytree_of_fx.register_pytree_flatten_spec(kind, _children_by(flatten))
    copyreg.pickle(Labels, _reduced_labels)
    copyreg.pickle(TensorBlock, lambda block: (_unflatten_block, _flatten_block(block)))
    copyreg.pickle(TensorMap, lambda tensor: (_unflatten_map, _flatten_map(tensor)))
    if hasattr(torch.serialization, "add_safe_globals"):  # torch >= 2.4
        torch.serialization.add_safe_globals([_labels, _unflatten_block, _unflatten_map])
