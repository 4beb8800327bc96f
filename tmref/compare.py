"""Two sides of a law: equal, or the first difference in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from .block import TensorBlock
from .labels import Labels
from .printing import counted, type_of
from .tensor_map import TensorMap

#: A side may be this many times as far from the float64 result as plain torch's own module is,
TORCH_ERRORS = 4
#: and this many eps times the magnitude of the terms summed beyond it.
EPSILONS = 16


@dataclass(frozen=True)
class Tolerance:
    """How far two sides may be apart where their arithmetic rounds.

    ``torch_error`` is how far plain torch is from the float64 result, ``terms`` an upper bound of the
    magnitude of the terms summed, both in the units of the values.
    """

    torch_error: float
    terms: float

    def of(self, dtype: torch.dtype) -> float:
        """The largest difference that two values of this dtype may have."""
        return TORCH_ERRORS * self.torch_error + EPSILONS * torch.finfo(dtype).eps * self.terms


@dataclass(frozen=True)
class Refused:
    """A side that is no result: the implementation raised ``error``, or should have raised something.
    Two of them are equal, whatever was raised."""

    error: BaseException | None = None


@dataclass(frozen=True)
class Difference:
    """Where two sides differ first: ``path`` is Python that leads there from the left side."""

    path: str
    left: Any
    right: Any
    words: str


def compare(left: Any, right: Any, tolerance: Tolerance | None = None) -> Difference | None:
    """The first difference of two sides, or None where they are equal.

    Sides are maps, labels, tensors, numbers, None, and lists and dictionaries of them. Tensors are
    equal where dtype, shape and every number are: -0 is 0, and NaN is NaN. With a tolerance, numbers
    may differ by what it allows; nothing else may.
    """
    return next(_differences("", left, right, tolerance), None)


def _differences(path: str, left: Any, right: Any, tolerance: Tolerance | None) -> Iterator[Difference]:
    if left is right or (isinstance(left, Refused) and isinstance(right, Refused)):
        return
    if type(left) is not type(right) and not (
        isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor)
    ):
        what = f"{_article(left)}, where {_article(right)} was expected"
        yield Difference(path, left, right, _at(path, f"is {what}"))
    elif isinstance(left, torch.Tensor):
        yield from _of_tensors(path, left, right, tolerance)
    elif isinstance(left, TensorMap):
        yield from _differences(f"{path}.keys", left.keys, right.keys, tolerance)
        for i, (a, b) in enumerate(zip(left, right, strict=True)):
            yield from _differences(f"{path}.block({i})", a, b, tolerance)
    elif isinstance(left, TensorBlock):
        yield from _of_blocks(path, left, right, tolerance)
    elif isinstance(left, Labels):
        if left != right:
            words = f"are {_labels(left)}, where {_labels(right)} were expected"
            yield Difference(path, left, right, _at(path, words))
        elif left.device != right.device:
            words = f"are on {left.device}, expected on {right.device}"
            yield Difference(path, left, right, _at(path, words))
    elif isinstance(left, Mapping):
        if list(left) != list(right):
            words = f"has the names {list(left)}, expected {list(right)}"
            yield Difference(path, left, right, _at(path, words))
            return
        for name in left:
            yield from _differences(f"{path}[{name!r}]", left[name], right[name], tolerance)
    elif isinstance(left, (list, tuple)):
        if len(left) != len(right):
            plain = all(isinstance(item, (str, int)) for item in (*left, *right))
            found, expected = (left, right) if plain else (len(left), len(right))
            words = (
                f"is {found}, expected {expected}"
                if plain
                else f"has {counted(len(left), 'entry')}, expected {expected}"
            )
            yield Difference(path, left, right, _at(path, words))
            return
        for i, (a, b) in enumerate(zip(left, right, strict=True)):
            yield from _differences(f"{path}[{i}]", a, b, tolerance)
    elif isinstance(left, float):
        # nobody knows of which precision a number is that is no tensor any more
        allowed = 0.0 if tolerance is None else tolerance.of(torch.float32)
        both_nan = left != left and right != right
        if left != right and not both_nan and not abs(left - right) <= allowed:
            yield Difference(path, left, right, _at(path, f"is {left!r}, expected {right!r}"))
    elif left != right:
        yield Difference(path, left, right, _at(path, f"is {left!r}, expected {right!r}"))


def _of_blocks(
    path: str, left: TensorBlock, right: TensorBlock, tolerance: Tolerance | None
) -> Iterator[Difference]:
    yield from _differences(f"{path}.samples", left.samples, right.samples, tolerance)
    if len(left.components) != len(right.components):
        words = f"has {counted(len(left.components), 'component')}, expected {len(right.components)}"
        yield Difference(f"{path}.components", left, right, _at(path, words))
        return
    for i, (a, b) in enumerate(zip(left.components, right.components, strict=True)):
        yield from _differences(f"{path}.components[{i}]", a, b, tolerance)
    yield from _differences(f"{path}.properties", left.properties, right.properties, tolerance)
    yield from _differences(f"{path}.values", left.values, right.values, tolerance)
    parameters = left.gradients_list(), right.gradients_list()
    if set(parameters[0]) != set(parameters[1]):
        words = f"has gradients with respect to {parameters[0]}, expected {parameters[1]}"
        yield Difference(f"{path}.gradients_list()", left, right, _at(path, words))
        return
    for name in parameters[1]:
        gradients = left.gradient(name), right.gradient(name)
        yield from _differences(f'{path}.gradient("{name}")', *gradients, tolerance)


def _of_tensors(
    path: str, left: torch.Tensor, right: torch.Tensor, tolerance: Tolerance | None
) -> Iterator[Difference]:
    left, right = left.detach(), right.detach()
    for what in ("dtype", "shape", "device"):
        a, b = getattr(left, what), getattr(right, what)
        if a != b:
            a, b = (tuple(a), tuple(b)) if what == "shape" else (a, b)
            yield Difference(path, left, right, _at(path, f"has the {what} {a}, expected {b}"))
            return
    equal = (left == right) | ((left != left) & (right != right))
    if not (left.is_floating_point() or left.is_complex()):
        tolerance = None
    if tolerance is not None:
        equal |= (left - right).abs() <= tolerance.of(left.dtype)
    if not bool(equal.all()):
        where = (~equal).nonzero()[0].tolist()
        a, b = left[tuple(where)].item(), right[tuple(where)].item()
        words = f"is {a!r} at {where}, expected {b!r} ({left.dtype}, shape {tuple(left.shape)})"
        if tolerance is not None:
            words += f"; {tolerance.of(left.dtype):.3g} apart would do"
        yield Difference(path, left, right, _at(path, words))


def _labels(labels: Labels) -> str:
    return f"{labels.names} {labels.values.tolist()}"


def _article(value: Any) -> str:
    if isinstance(value, Refused):
        return "a refusal"
    return "nothing" if value is None else f"a {type_of(value)}"


def _at(path: str, words: str) -> str:
    return f"{path.removeprefix('.') or ('they' if words.startswith('are ') else 'it')} {words}"
