"""What a script ends in where a law has no sides that it could compare: what the output lacks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import torch

from ..compare import Refused
from ..tensor_map import TensorMap
from .session import ModuleSession, Session
from .shown import Place, Shown
from .steps import Step

#: A line, or the last of several, that calls the module with the map.
_CALL = re.compile(r"(?:^|\n\s+)(\w+) = (?:module|torch\.nn\.Sequential\(module\))\(x\)$")


def missing(session: Session | None, words: str) -> Shown | None:
    """What the first output that lacks something lacks of what is promised, or what the ``words`` of an
    exception are about; None where that can't be told. The session's steps end there."""
    if not isinstance(session, ModuleSession):
        return None
    for i, name, x, y in _calls(session):
        shown = _labels(session, i, name, x, y)
        line = None if shown is not None else _values(session, i, name, x, y, words)
        if shown is None and line is None:
            continue
        del session.steps[i + 1 :]
        session.steps[i] = dataclasses.replace(session.steps[i], cotangents=None)
        if line is not None:
            session.steps.append(Step(line, {}, "", None))
        return shown
    return None


def _calls(session: ModuleSession) -> Iterator[tuple[int, str, TensorMap, TensorMap]]:
    """The steps that gave a name to what the module makes of a map, and both maps."""
    x = None
    for i, step in enumerate(list(session.steps)):
        x = step.given.get("x", x)
        if step.name == "module" or re.match(r"module\b.* = ", step.code):
            return  # it is another one from here on
        called = _CALL.search(step.code)
        if called and isinstance(x, TensorMap) and isinstance(step.result, TensorMap):
            yield i, called[1], x, step.result


def _labels(session: ModuleSession, i: int, name: str, x: TensorMap, y: TensorMap) -> Shown | None:
    """The labels that are promised to be those of the input, and are others."""
    traits = session.recipe.row.traits
    if "keeps_keys" not in traits:
        return None
    if y.keys != x.keys:
        return Shown(Place(i, name, ".keys"), y.keys, x.keys, 0.0)
    for n, (found, expected) in enumerate(zip(y, x, strict=True)):
        for what in ("samples", "properties"):
            left, right = getattr(found, what), getattr(expected, what)
            if f"keeps_{what}" in traits and left != right:
                return Shown(Place(i, name, f".block({n}).{what}"), left, right, 0.0)
        if "keeps_components" in traits and len(found.components) != len(expected.components):
            return Shown(Place(i, name, f".block({n}).components"), found, expected, 0.0)
    return None


def _values(
    session: ModuleSession, i: int, name: str, x: TensorMap, y: TensorMap, words: str
) -> str | None:
    """The line that asserts what an exception misses: a dtype, or what is needed for derivatives."""
    if len(x.keys) != len(y.keys):
        return None
    for n, (found, expected) in enumerate(zip(y, x, strict=True)):
        dtypes = [found.dtype, expected.dtype]
        if dtypes[0] != dtypes[1] and all(re.search(rf"{dtype}\b", words) for dtype in dtypes):
            return f"assert {name}.block({n}).values.dtype == {dtypes[1]}"
    if not re.search("not require grad", words):
        return None
    code = session.parameters_code
    if session.steps[i].cotangents is not None and not all(_recorded(session)):
        return f"assert all(parameter.requires_grad for parameter in {code})"
    recorded = any(block.values.requires_grad for block in x)
    cut_off = [n for n, block in enumerate(y) if not block.values.requires_grad]
    if not recorded or not cut_off:
        return None
    step = session.steps[i]
    given = x._map_blocks(lambda block: block._map_values(_leaf))
    session.steps[i] = dataclasses.replace(step, given={**step.given, "x": given})
    return f"assert {name}.block({cut_off[0]}).values.requires_grad"


def _recorded(session: ModuleSession) -> list[bool]:
    """Which parameters need derivatives."""
    return [value.requires_grad for value in session.implementation.parameters(session.module)]


def _leaf(values: torch.Tensor) -> torch.Tensor:
    return values.detach().clone().requires_grad_()


def of_no_data(output: Any, words: str) -> str | None:
    """The line that fails where the module returned this, which can't be judged; None where that can't
    be told from what can."""
    if output is None:
        return f"assert y is not None, {words!r}"
    if isinstance(output, (dict, list, tuple, Refused)):
        return None
    return f"assert type(y).__name__ != {type(output).__name__!r}, {words!r}"
