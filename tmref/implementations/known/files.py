"""What is known to be wrong with metatensor's files, in each of both flavours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ...block import TensorBlock
from ...labels import Labels
from ...tensor_map import TensorMap
from .. import Example, Known
from .data import lies

_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)


def _block(values: torch.Tensor, *, gradient: bool = False) -> TensorBlock:
    """A block of the values, with a gradient of ones or without."""
    block = TensorBlock(values, Labels.range("s", 1), [], Labels.range("p", 1))
    if gradient:
        of_sample = Labels.range("sample", 1)
        block.add_gradient("g", TensorBlock(torch.ones(1, 1), of_sample, [], block.properties))
    return block


def _values(how: Callable[[torch.Tensor], bool], values: torch.Tensor, reason: str) -> Known:
    """Values that are so can't be loaded, or are others then."""
    return Known(
        law="values_that_are_saved_can_be_loaded",
        rows=("tensor_block",),
        when=lambda recipe, x: lies(x, how),
        example=lambda row: Example(None, _block(values), {}),
        reason=reason,
    )


def _name(character: str, name: str, reason: str) -> Known:
    return Known(
        law="gradients_that_are_saved_are_loaded_by_their_names",
        rows=("tensor_block",),
        when=lambda recipe, x: True,
        draws=lambda drawn: any(character in name for name in drawn["names"]),
        example=lambda row: Example(
            None,
            _block(torch.ones(1, 1)),
            {"names": [name], "gradient": _block(torch.ones(1, 1), gradient=True).gradient("g")},
        ),
        reason=reason,
    )


def _has_gradients(recipe: Any, x: Any) -> bool:
    return any(block.has_any_gradient() for block in ([x] if isinstance(x, TensorBlock) else x))


def _renamed(row: str, kind: str, place: int) -> Known:
    """A gradient whose entry has another name in the directory, by one bit at a place."""

    def example(of_row: str) -> Example:
        block = _block(torch.ones(1, 1), gradient=True)
        x = block if row == "tensor_block" else TensorMap(Labels.range("key", 1), [block])
        return Example(None, x, {"place": place, "bit": 0, "in_directory": True})

    return Known(
        law=f"a_changed_byte_in_the_file_of_a_{kind}_is_noticed",
        rows=(row,),
        when=_has_gradients,
        draws=lambda drawn: drawn["in_directory"],
        example=example,
        reason="gradients are lost where one bit of a file's directory is changed: entries of names "
        "that nobody asks for are ignored [doc]",
    )


def _zero_byte(row: str, kind: str, place: int) -> Known:
    """A space at a place in the header of an entry that becomes a zero byte."""

    def example(of_row: str) -> Example:
        block = _block(torch.ones(1, 1))
        x = block if row == "tensor_block" else TensorMap(Labels.range("key", 1), [block])
        return Example(None, x, {"place": place, "bit": 5, "in_directory": False, "byte": 0})

    return Known(
        law=f"a_changed_byte_in_the_file_of_a_{kind}_is_noticed",
        rows=(row,),
        when=lambda recipe, x: True,
        draws=lambda drawn: drawn["byte"] == 0 and not drawn["in_directory"],
        example=example,
        reason="a zero byte in the header of an entry aborts the process: an error that has it in its "
        "words can't be told, SIGABRT [doc]",
    )


_NEGATED = (
    "lazily negated or conjugate values are saved as they stand in memory: the numbers that come back "
    "are their negatives or conjugates [torch]"
)
_BOTH: tuple[Known, ...] = (
    _renamed("tensor_block", "block", 1278),
    _renamed("tensor_map", "map", 1603),
    _zero_byte("tensor_block", "block", 71),
    _zero_byte("tensor_map", "map", 69),
    _name(
        "/",
        "a/b",
        "gradients with a / in their name are saved and can't be loaded: it divides the path of their "
        "entry [doc]",
    ),
    _name(
        "\0", "a\0b", "names of gradients end at a zero byte in files: 'a\\0b' comes back as 'a' [doc]"
    ),
    Known(
        law="labels_of_more_rows_than_their_file_has_are_refused",
        rows=("labels",),
        when=lambda recipe, x: True,
        draws=lambda drawn: drawn["more"] >= 10**15,
        example=lambda row: Example(None, Labels.range("key", 1), {"more": 10**15}),
        reason="labels whose file states very many rows abort the process: memory is asked for all of "
        "them before the file is read, SIGABRT [doc]",
    ),
)

LEARN: tuple[Known, ...] = (
    *_BOTH,
    _values(torch.Tensor.is_neg, torch._neg_view(torch.tensor([[-1.0]])), _NEGATED),
)
TORCH: tuple[Known, ...] = (
    *_BOTH,
    _values(
        lambda values: values.is_neg() or values.is_conj(),
        torch._neg_view(torch.tensor([[-1.0]])),
        _NEGATED,
    ),
    _values(
        lambda values: values.dtype in _UNSIGNED,
        torch.ones(1, 1, dtype=torch.uint16),
        "values of uint16, uint32 and uint64 are saved and can't be loaded: an error says that the "
        "dtype is unsupported [doc]",
    ),
)
