"""Maps and blocks as the entries of an archive.

A block is ``values.npy``, ``samples.npy``, ``components/0.npy``, ..., ``properties.npy`` and, for every
gradient, the same under ``gradients/<parameter>/`` without properties, which are the block's. A map is
``keys.npy``, its blocks under ``blocks/0/``, ``blocks/1/``, ..., and where it says something of itself
``info.json``, an object of strings. There are no other entries.

Source: "Serialization format" of the metatensor documentation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from ..block import TensorBlock
from ..labels import Labels
from ..tensor_map import TensorMap
from . import npy
from .archive import Buffer, Entry, shown

T = TypeVar("T")

_KEYS, _INFO = "keys.npy", "info.json"
#: the values of a gradient: the path of its block, and its parameter
_GRADIENT = re.compile(r"((?:.*/)?)gradients/([^/]*)/values\.npy", re.DOTALL)

#: what numpy and json raise for something malformed
_MALFORMED = (ValueError, OverflowError, RecursionError)


def read_map(entries: Mapping[str, Entry]) -> TensorMap:
    """The map of the entries of an archive.

    Raises ValueError for an entry that is missing, can't be read, doesn't fit the others, or is none of
    a map, naming it.
    """
    reader = _Reader(entries)
    keys = reader.labels(_KEYS)
    blocks = [reader.block(f"blocks/{i}/") for i in range(len(keys))]
    info = reader.parsed(_INFO, _info) if _INFO in entries else {}
    reader.require_all_read("map")
    tensor = TensorMap(keys, blocks)
    tensor._info = info
    return tensor


def read_block(entries: Mapping[str, Entry]) -> TensorBlock:
    """The block of the entries of an archive. Raises as :func:`read_map`."""
    reader = _Reader(entries)
    block = reader.block("")
    reader.require_all_read("block")
    return block


def members(data: TensorMap | TensorBlock) -> dict[str, Sequence[Buffer]]:
    """What :func:`read_map` and :func:`read_block` read: bytes of entries, in pieces, by their names.

    Raises ValueError for a dtype that can't be saved, for parameters that are no part of a path, and for
    texts of the info that aren't of UTF-8 or have a NUL.
    """
    found: dict[str, Sequence[Buffer]] = {}
    if isinstance(data, TensorBlock):
        _collect(found, "", data)
        return found
    found[_KEYS] = npy.of_labels(data.keys)
    for i, block in enumerate(data):
        _collect(found, f"blocks/{i}/", block)
    if info := data.info():
        _check_texts(info)
        found[_INFO] = [json.dumps(info, indent=2, ensure_ascii=False, sort_keys=True).encode()]
    return found


def kind_of(entries: Mapping[str, Entry]) -> type[TensorMap | TensorBlock] | None:
    """What the entries look like."""
    return TensorMap if _KEYS in entries else TensorBlock if "values.npy" in entries else None


class _Reader:
    """What is in the entries of an archive, and which of them are left."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._kind = {TensorMap: "map", TensorBlock: "block", None: None}[kind_of(entries)]
        self._left = dict(entries)
        self._gradients: dict[str, list[str]] = {}
        for name in entries:
            if match := _GRADIENT.fullmatch(name):
                self._gradients.setdefault(match[1], []).append(match[2])
        # labels that occur again and again are the same ones
        self._labels: dict[bytes, Labels] = {}

    def block(self, path: str, properties: Labels | None = None) -> TensorBlock:
        """The block under a path; ``properties`` are those of a gradient."""
        values = self.parsed(f"{path}values.npy", npy.values)
        samples = self.labels(f"{path}samples.npy")
        components = [self.labels(f"{path}components/{i}.npy") for i in range(values.dim() - 2)]
        if properties is None:
            properties = self.labels(f"{path}properties.npy")
        try:
            block = TensorBlock(values, samples, components, properties)
        except ValueError as error:
            raise ValueError(f"{path}: {error}" if path else str(error)) from error
        for parameter in self._gradients.get(path, []):
            below = f"{path}gradients/{parameter}/"
            gradient = self.block(below, properties)
            try:
                block.add_gradient(parameter, gradient)
            except ValueError as error:
                raise ValueError(f"{below}: {error}") from error
        return block

    def labels(self, name: str) -> Labels:
        """The labels that are an entry."""
        return self.parsed(name, self._same_labels)

    def _same_labels(self, content: Buffer) -> Labels:
        content = bytes(content)
        if content not in self._labels:
            self._labels[content] = npy.labels(content)
        return self._labels[content]

    def parsed(self, name: str, parse: Callable[[Buffer], T]) -> T:
        """What ``parse`` makes of the bytes of an entry."""
        if name not in self._left:
            raise ValueError(
                f"no entry {shown(name)}" + (f" in what looks like a {self._kind}" if self._kind else "")
            )
        try:
            return parse(self._left.pop(name).read())
        except _MALFORMED as error:
            raise ValueError(f"{shown(name)} can't be read: {error}") from error

    def require_all_read(self, kind: str) -> None:
        """Raises ValueError where there is an entry that wasn't read."""
        for name in self._left:
            raise ValueError(f"the entry {shown(name)} is no part of the {kind}")


def _info(content: Buffer) -> dict[str, str]:
    """What a map says of itself."""

    def of_pairs(pairs: list[tuple[str, object]]) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, value in pairs:
            if not isinstance(value, str):
                raise ValueError(
                    f"its values must be strings, got {type(value).__name__} for {shown(key)}"
                )
            if key in found:
                raise ValueError(f"it has {shown(key)} twice")
            found[key] = value
        return found

    text = bytes(content).decode()
    info = json.loads(text, object_pairs_hook=of_pairs)
    if not isinstance(info, dict):
        raise ValueError(f"it must be an object of strings, got {type(info).__name__}")
    _check_texts(info)
    return info


def _check_texts(info: Mapping[str, str]) -> None:
    """Raises ValueError for texts that aren't of UTF-8, as half a pair of surrogates, or that end early
    for metatensor."""
    for text in (*info, *info.values()):
        text.encode()
        if "\0" in text:
            raise ValueError(f"texts of the info have no NUL, got {shown(text)}")


def _collect(found: dict[str, Sequence[Buffer]], path: str, block: TensorBlock) -> None:
    """Put the entries of a block among the others."""
    found[f"{path}values.npy"] = npy.of_values(block.values)
    found[f"{path}samples.npy"] = npy.of_labels(block.samples)
    for i, component in enumerate(block.components):
        found[f"{path}components/{i}.npy"] = npy.of_labels(component)
    if block._parameter is None:
        found[f"{path}properties.npy"] = npy.of_labels(block.properties)
    for parameter, gradient in sorted(block.gradients()):
        if "/" in parameter or "\0" in parameter:
            raise ValueError(
                f"the name of a gradient to save is part of a path, without / and NUL, got {parameter!r}"
            )
        _collect(found, f"{path}gradients/{parameter}/", gradient)
