"""Where a script has what a law compares: the places of its two sides in what lines gave."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..block import TensorBlock
from ..compare import Difference, Refused
from ..tensor_map import TensorMap
from .edits import KEPT, TAKEN
from .steps import Step


@dataclass(frozen=True)
class Place:
    """What the path leads to in what a step gave a name; of its ``rows`` these alone, where there are
    some; a copy, where it is ``kept`` as it was then."""

    step: int
    name: str
    path: str
    rows: tuple[int, ...] | None = None
    kept: bool = False


@dataclass(frozen=True)
class Shown:
    """What a script compares: what is at a place, and was ``found`` to differ, and what was expected,
    which is at ``other``, where lines have given that, too; and how far apart they may be."""

    place: Place
    found: Any
    expected: Any
    tolerance: float
    other: Place | None = None

    @property
    def places(self) -> list[Place]:
        """Both places, or the one that there is."""
        return [self.place] if self.other is None else [self.place, self.other]

    def steps(self, steps: Sequence[Step]) -> Sequence[Step]:
        """The steps up to what is shown; all of them, where later ones have changed it."""
        if any(steps[place.step].has_changed and not place.kept for place in self.places):
            return steps
        return steps[: max(place.step for place in self.places) + 1]


def shown(
    steps: Sequence[Step], given: Any, sides: tuple[Any, Any], difference: Difference, tolerance: float
) -> Shown | None:
    """Where the steps have the sides of a law that differ; None where they haven't the left one. What is
    part of what was ``given``, to them or before, is no result of theirs."""
    found, expected = difference.left, difference.right
    if isinstance(expected, Refused) and not difference.path:
        return Shown(Place(len(steps) - 1, "", ""), found, expected, tolerance)
    place = _place(sides[0], difference.path, steps)
    if place is None:
        return None
    other = None
    if type(expected) is type(found):
        inputs = [given, *(step.given for step in steps)]
        other = _place(sides[1], difference.path, steps, inputs)
    if other is not None and other.step == place.step:
        other = None
    return Shown(place, found, expected, tolerance, other)


#: What is one and the same wherever it stands.
_CONSTANTS = (bool, int, str, float, type(None))


def _place(
    side: Any, path: str, steps: Sequence[Step], given: Sequence[Any] | None = None
) -> Place | None:
    """Where the steps have what is on the path; None where it is part of what was ``given``, unless that
    doesn't matter."""
    wanted = re.findall(r"block\((\d+)\)", path) or re.findall(r"\[(\d+)\]", path)
    for part, rest, rows, kept in _parts(side, path):
        found = _found(part, steps[:kept], [f".block({number})" for number in wanted])
        if found is None:
            continue
        number, name, to_it = found
        if given is not None and (isinstance(part, _CONSTANTS) or _is_part(part, rest, given)):
            continue
        to_it = to_it.removesuffix(".values") if rest == ".samples" and rows is not None else to_it
        return Place(number, name, to_it + rest, rows, kept is not None)
    return None


def _found(part: Any, steps: Sequence[Step], wanted: Sequence[str]) -> tuple[int, str, str] | None:
    """The step that gave it last, the name, and the path from there: one through a block that is wanted,
    where several blocks share it."""
    for i, step in reversed(list(enumerate(steps))):
        for name, value in ((step.name, step.result), ("x", step.after)):
            if value is None and (name == "x" or not name):
                continue
            paths = list(paths_to(part, value))
            if paths:
                return i, name, min(paths, key=lambda p: not any(block in p for block in wanted))
    return None


def _is_part(part: Any, rest: str, given: Sequence[Any]) -> bool:
    """Whether what is at the rest of the path from a part is part of what was given."""
    at = part
    for name in re.findall(r"\.(\w+)", rest):
        at = getattr(at, name, None) if name not in ("block", "gradient") else None
    return at is not None and any(next(paths_to(at, value), None) is not None for value in given)


#: A part of a side, the rest of the path, the rows of it, and after how many steps it was kept.
_Part = tuple[Any, str, tuple[int, ...] | None, int | None]


def _parts(side: Any, path: str) -> Iterator[_Part]:
    """A side of a law, and what of it is on the path to the difference; of values that were put into
    another order, or kept, those that they were made of."""
    yield side, path, None, None
    name = re.match(r"\['([^']*)'\]", path)
    if name is not None and isinstance(side, Mapping):
        yield from _parts(side[name[1]], path[name.end() :])
    if not path and isinstance(side, torch.Tensor):
        yield from _origins(side, "")
    position = re.match(r"(?:\.block\((\d+)\)|\[(\d+)\])", path)
    if position is None:
        return
    rest = path[position.end() :]
    if isinstance(side, TensorMap):
        block = side.block(int(position[1]))
        if rest in (".values", ".samples"):
            yield from _origins(block.values, rest.removeprefix(".values"))
        yield block, rest, None, None
        if rest == ".values":
            yield block.values, "", None, None
        gradient = re.fullmatch(r'\.gradient\("(.*)"\)\.values', rest)
        if gradient is not None and gradient[1] in block.gradients_list():
            values = block.gradient(gradient[1]).values
            yield from _origins(values, "")
            yield values, "", None, None
        yield _Beside(block.values, rest), "", None, None
    elif isinstance(side, (list, tuple)):
        yield from _parts(side[int(position[2])], rest)


@dataclass(frozen=True)
class _Beside:
    """What is at the rest of a path from the block that has these values."""

    values: torch.Tensor
    rest: str


def _origins(values: torch.Tensor, rest: str) -> Iterator[_Part]:
    """What values were made of by taking rows of others, or by keeping them."""
    taken = getattr(values, TAKEN, None)
    origin, rows = values, None
    if taken is not None:
        origin, rows = taken.values, tuple(taken.rows)
        if rows == tuple(range(len(origin))):
            rows = None  # all of them
    kept = getattr(origin, KEPT, None)
    if kept is not None and not rest:
        yield kept.values, rest, rows, kept.steps
    if taken is not None:
        yield origin, rest, rows, None


def paths_to(part: Any, whole: Any) -> Iterator[str]:
    """The Python that leads from a whole to this part of it, by every way: "" to itself, and to the keys
    and blocks of a map, to the values and labels of its blocks."""
    if isinstance(part, _Beside):
        for path in paths_to(part.values, whole):
            if path.endswith(".values"):
                yield path.removesuffix(".values") + part.rest
        return
    if part is whole:
        yield ""
        return
    if isinstance(whole, TensorMap):
        inside = [(".keys", whole.keys), *((f".block({i})", block) for i, block in enumerate(whole))]
    elif isinstance(whole, TensorBlock):
        inside = [(f".{name}", getattr(whole, name)) for name in ("values", "samples", "properties")]
        inside += [(f".components[{i}]", labels) for i, labels in enumerate(whole.components)]
        inside += [(f'.gradient("{name}")', gradient) for name, gradient in whole.gradients()]
    elif isinstance(whole, Mapping):
        inside = [(f"[{name!r}]", value) for name, value in whole.items()]
    elif isinstance(whole, torch.nn.Parameter):
        inside = [(".grad", whole.grad)]
    elif isinstance(whole, (list, tuple)):
        inside = [(f"[{i}]", value) for i, value in enumerate(whole)]
    else:
        return
    for first, value in inside:
        for rest in paths_to(part, value):
            yield first + rest
