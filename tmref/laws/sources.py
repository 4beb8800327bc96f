"""The code that a function was made by, for scripts: its source, and that of what it uses."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import sys
import textwrap
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch

_CONSTANTS = (bool, int, float, complex, str, bytes, type(None), torch.dtype)


def code_of(
    function: Callable[..., Any], name: str, there: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """The lines after which ``name`` is the function: an import where it can be imported, else its
    source after what it uses, but for the names that are ``there``; a comment where there is no source.
    """
    lines: dict[str, None] = {}
    _define(name, function, lines, set(), there or {})
    return tuple(lines)


def _define(
    name: str, value: Any, lines: dict[str, None], seen: set[str], there: Mapping[str, Any]
) -> None:
    """Add the lines that give the name to the value, each once."""
    if name in seen or there.get(name) is value:
        return
    seen.add(name)
    if (line := _import_of(name, value)) is not None:
        lines[line] = None
    elif isinstance(value, _CONSTANTS):
        lines[f"{name} = {value!r}"] = None
    elif (source := _source(value)) is not None:
        for used, what in _used(source, value).items():
            _define(used, what, lines, seen, there)
        own_name = value.__name__
        if own_name == "<lambda>":
            source = f"{name} = {source}"
        lines[source] = None
        if own_name not in (name, "<lambda>"):
            lines[f"{name} = {own_name}"] = None
    else:
        lines[f"# {name} is a {type(value).__name__} that was given"] = None


def _import_of(name: str, value: Any) -> str | None:
    """The line that imports a value under a name, where there is one."""
    if isinstance(value, ModuleType):
        parent, _, last = value.__name__.rpartition(".")
        line = f"from {parent} import {last}" if parent else f"import {last}"
        return line if last == name else f"{line} as {name}"
    module, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", "<")
    if module in (None, "__main__") or "<" in qualname:
        return None
    first, *rest = qualname.split(".")
    found = vars(sys.modules[module]).get(first) if module in sys.modules else None
    for attribute in rest:
        found = getattr(found, attribute, None)
    if found is not value and not rest:
        return None
    if rest:
        return f"from {module} import {first}\n{name} = {qualname}"
    return f"from {module} import {first}" + ("" if first == name else f" as {name}")


def _source(value: Any) -> str | None:
    """The source of a function or a class; None where there is none."""
    if not isinstance(value, (FunctionType, type)):
        return None
    if isinstance(value, FunctionType) and value.__name__ == "<lambda>":
        return _source_of_lambda(value.__code__)
    try:
        return textwrap.dedent(inspect.getsource(value)).rstrip()
    except (OSError, TypeError):
        return None


def _source_of_lambda(code: CodeType) -> str | None:
    """The expression alone: what stands around it in its lines may be anything."""
    text = "".join(linecache.getlines(code.co_filename))
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except SyntaxError:
        return None
    found = [n for n in nodes if isinstance(n, ast.Lambda) and n.lineno == code.co_firstlineno]
    if len(found) > 1 and hasattr(code, "co_positions"):  # since Python 3.11
        where = [(line, column) for line, _, column, _ in code.co_positions() if column]
        found = [n for n in found if all(_is_in(n.body, place) for place in where)]
        # the innermost: one around it has its place, too
        found = sorted(found, key=lambda n: n.col_offset)[-1:]
    return ast.unparse(found[0]) if len(found) == 1 else None


def _is_in(node: ast.expr, place: tuple[int | None, int]) -> bool:
    end = (node.end_lineno or 0, node.end_col_offset or 0)
    return (node.lineno, node.col_offset) <= (place[0] or 0, place[1]) < end


def _used(source: str, value: Any) -> Mapping[str, Any]:
    """What the names in a source stand for, but those of Python's own."""
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name)]
    stored = {n.id for n in nodes if isinstance(n.ctx, ast.Store)}
    names = [n.id for n in nodes if n.id not in stored]
    functions = [value] if isinstance(value, FunctionType) else []
    functions += (
        [f for f in vars(value).values() if isinstance(f, FunctionType)] if not functions else []
    )
    known: dict[str, Any] = {}
    for function in functions:
        known.update(function.__globals__)
    for function in functions:
        known.update(inspect.getclosurevars(function).nonlocals)
    return {
        name: known[name]
        for name in dict.fromkeys(names)
        if name in known and not hasattr(builtins, name)
    }
