"""Python that rebuilds tensors, and what has them in it: what reprs and scripts print.

Labels, blocks and maps know their own, in ``labels.py``, ``block.py`` and ``tensor_map.py``.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

#: A repr has at most so many numbers of a tensor, as torch's own has; beyond them it names the shape.
LONGEST = 1000

#: What converts the data of other libraries into ours.
_ADAPTERS = {"metatensor": "metatensor-learn", "metatensor.torch": "metatensor-torch"}

#: What torch.tensor gives numbers that nothing is said about.
_DEFAULTS = (torch.float32, torch.int64, torch.complex64, torch.bool)


def meant(name: str, known: Iterable[str], otherwise: str) -> str:
    """The remedy for a name that there is not: which of those that are known it may be, or another."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise


#: Verbs after one thing, and after several.
_VERBS = {"": "", "is": " are", "was": " were"}


def counted(number: int, noun: str, verb: str = "") -> str:
    """A number of things in words, with the ``verb`` that follows: 1 row is, 2 rows are, 0 entries."""
    if number == 1:
        return f"1 {noun} {verb}".rstrip()
    many = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number} {many}{_VERBS[verb]}"


class PrintedAsSource:
    """A dataclass that prints as the call that makes it, without what has its default, in its repr and
    where Hypothesis and IPython show it."""

    def __repr__(self) -> str:
        (first, *rest) = dataclasses.fields(self)  # type: ignore[arg-type]
        parts = [source_of(getattr(self, first.name))]
        for field in rest:
            value = getattr(self, field.name)
            if not _is_default(value, field):
                parts.append(f"{field.name}={source_of(value)}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


def _is_default(value: Any, field: dataclasses.Field[Any]) -> bool:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    # never compared where tensors may be in it
    simple = type(value) is type(default) and (isinstance(value, int) or not value)
    return value is default or (simple and value == default)


def type_of(value: object) -> str:
    """The type of a value in the words of an error: where it is another library's, of a name that tmref
    has, too, with the library and what converts it."""
    kind = type(value)
    name, library = kind.__name__, kind.__module__.partition(".")[0]
    if isinstance(value, torch.ScriptObject):  # its class is TorchScript's
        name, library = str(value._type()).rpartition(".")[2], "metatensor.torch"
    if library == "tmref" or name not in ("Labels", "LabelsEntry", "TensorBlock", "TensorMap"):
        return name
    words = f"{name} of {library}, not of tmref"
    if library not in _ADAPTERS or name == "LabelsEntry":
        return words
    return f"{words}; convert with tmref.implementations.load({_ADAPTERS[library]!r}).to_ours()"


def source_of(value: Any, longest: int | None = LONGEST) -> str:
    """The code of a value: tensors, dtypes, and lists, tuples and mappings of anything that has a repr
    of its own."""
    if isinstance(value, torch.Tensor):
        return tensor_source(value, longest)
    if isinstance(value, list):
        return f"[{', '.join(source_of(item, longest) for item in value)}]"
    if isinstance(value, tuple):
        comma = "," if len(value) == 1 else ""
        return f"({', '.join(source_of(item, longest) for item in value)}{comma})"
    if isinstance(value, Mapping):
        items = (f"{source_of(k, longest)}: {source_of(v, longest)}" for k, v in value.items())
        return f"{{{', '.join(items)}}}"
    return repr(value)


def tensor_source(tensor: torch.Tensor, longest: int | None = None) -> str:
    """The code of a tensor: its numbers, and dtype, device, strides, conjugate and negative bits and
    requires_grad where they are not torch's defaults.

    Of more than ``longest`` numbers it is the shape, in angle brackets.
    """
    code = _values_source(tensor.detach(), longest)
    return f"{code}.requires_grad_()" if tensor.requires_grad and tensor.is_leaf else code


def _values_source(tensor: torch.Tensor, longest: int | None) -> str:
    shape, strides = tuple(tensor.shape), tensor.stride()
    if longest is not None and tensor.numel() > longest:
        return f"<tensor of shape {shape}, {tensor.dtype}>"
    if tensor.is_conj():
        return f"{_values_source(tensor.conj(), longest)}.conj()"
    if tensor.is_neg():
        return f"torch._neg_view({_values_source(torch._neg_view(tensor), longest)})"
    if not tensor.numel():
        return _call("torch.empty", str(shape), tensor)
    repeated = [size > 1 and not stride for size, stride in zip(shape, strides, strict=True)]
    if any(repeated):
        once = tensor[tuple(slice(1) if again else slice(None) for again in repeated)]
        return f"{_values_source(once, longest)}.expand{shape}"
    # the stride of an axis of one entry means nothing
    order = sorted(range(tensor.dim()), key=lambda axis: (shape[axis] > 1, -strides[axis]))
    if not tensor.is_contiguous() and tensor.permute(order).is_contiguous():
        back = tuple(order.index(axis) for axis in range(tensor.dim()))
        return f"{_values_source(tensor.permute(order), longest)}.permute{back}"
    offset = tensor.storage_offset()
    used = offset + 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if (offset or not tensor.is_contiguous()) and used <= 4 * tensor.numel() + 8:
        flat = tensor.as_strided((used,), (1,), 0)
        return f"{_numbers_source(flat)}.as_strided({shape}, {strides}, {offset})"
    return _numbers_source(tensor)


def _numbers_source(tensor: torch.Tensor) -> str:
    """The shortest code of the numbers, in rows."""
    if tensor.device.type == "meta":
        return _call("torch.empty", str(tuple(tensor.shape)), tensor)
    codes = [_call("torch.tensor", _text(tensor), tensor)]
    first = tensor.flatten()[0]
    # -0.0 equals 0.0, and is something else
    parts = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    signs = torch.signbit(parts).reshape(tensor.numel(), -1)
    alike = bool((tensor == first).all()) and bool((signs == signs[0]).all())
    if tensor.numel() > 1 and alike:
        number = _text(first)
        codes.append(_call("torch.full", f"{tuple(tensor.shape)}, {number}", tensor))
        if number in ("0", "0.0", "0j", "False"):
            codes.append(_call("torch.zeros", str(tuple(tensor.shape)), tensor, (torch.float32,)))
    return min(codes, key=len)


def _call(
    name: str, arguments: str, tensor: torch.Tensor, defaults: tuple[torch.dtype, ...] = _DEFAULTS
) -> str:
    if name == "torch.empty":
        defaults = (torch.float32,)
    dtype = "" if tensor.dtype in defaults else f", dtype={tensor.dtype}"
    device = "" if tensor.device.type == "cpu" else f', device="{tensor.device}"'
    return f"{name}({arguments}{dtype}{device})"


def _text(tensor: torch.Tensor) -> str:
    """The numbers in nested brackets, each as short as its dtype allows."""
    if tensor.is_complex():
        return _nested(tensor.tolist(), _complex_text)
    tensor = tensor.cpu()
    if tensor.dtype in (torch.float32, torch.float16):
        numbers = tensor.numpy(force=True)
        return _special(_nested(numbers.tolist(), lambda v: repr(float(str(numbers.dtype.type(v))))))
    return _special(str(tensor.tolist()))


def _nested(items: Any, text: Any) -> str:
    if isinstance(items, list):
        return f"[{', '.join(_nested(item, text) for item in items)}]"
    return str(text(items))


def _special(text: str) -> str:
    return re.sub(r"\b(nan|inf)\b", r"torch.\1", text)


def _complex_text(number: complex) -> str:
    # a sum of its parts loses the sign of a zero
    negative_zero = any(part == 0 and np.signbit(part) for part in (number.real, number.imag))
    if np.isfinite(number) and not negative_zero and (number.real != 0 or number.imag >= 0):
        return repr(number)
    return _special(f"complex({number.real!r}, {number.imag!r})")
