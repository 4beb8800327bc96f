"""What the benchmarks share: the subjects, work that is skipped where something is missing, versions."""

from __future__ import annotations

import ast
import functools
import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import tmref.bench
from tmref.bench import timing
from tmref.bench.work import EXPANSION, TORCH, Cell, Work, made_map, subjects
from tmref.implementations import Implementation, UnknownImplementation, load

IMPLEMENTATIONS = ("reference", "batched", "metatensor-learn", "metatensor-torch")
SUBJECTS = (TORCH, *IMPLEMENTATIONS)
#: A sample of asv is of calls that take so many seconds together.
SAMPLE = 0.01


def work_of(cell: Cell, name: str) -> Work:
    """The work of a cell by one subject; NotImplementedError, which asv skips, where there is none."""
    torch.set_num_threads(1)
    if name != TORCH:
        implementation(name)
    return subjects(cell, [] if name == TORCH else [name])[name]


@functools.cache
def warm(cell: Cell, name: str) -> tuple[Work, int]:
    """The work of a cell by one subject, which has been done before, and how often it is in a sample.

    It is made once: asv calls setup before each of those calls, which are timed one by one.
    """
    work = work_of(cell, name)
    return work, timing.loops(work, SAMPLE)


def implementation(name: str) -> Implementation:
    """That of a name; NotImplementedError, which asv skips, where it is not installed."""
    try:
        return load(name)
    except UnknownImplementation as error:
        raise NotImplementedError(str(error)) from error


def expansion(name: str) -> Any:
    """A map of 36 blocks like a spherical expansion's, an implementation's own."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return implementation(name).encode(made_map(Cell("linear", 36, 20, form=EXPANSION)))


def measured(cache: dict[str, Any], name: str) -> Any:
    """What the cache has of a subject. Raises RuntimeError where it is what went wrong there, and
    NotImplementedError, which asv skips, where there is nothing."""
    if name not in cache:
        raise NotImplementedError(f"{name} is not installed")
    if isinstance(cache[name], str):
        raise RuntimeError(cache[name])
    return cache[name]


def tracked(what: str, unit: str) -> Callable[..., float]:
    """A benchmark that reads a number which its setup has found in a cache."""

    def track(self: Any, cache: Any, *params: str) -> float:
        number: float = self.numbers.get(what, math.nan)
        return number

    track.unit = unit  # type: ignore[attr-defined]
    return track


def version_of(file: str, *measuring: str) -> str:
    """What asv knows results by that can be compared: those of one way of measuring them.

    It changes with the code, not the comments and docstrings, of a file of benchmarks, of this one, and
    of the modules of tmref.bench that are named.
    """
    names = [f"{name}.py" for name in measuring]
    paths = [Path(folder) / name for folder in tmref.bench.__path__ for name in names]
    return hashlib.sha256("".join(map(_code, (Path(file), Path(__file__), *paths))).encode()).hexdigest()


def _code(path: Path) -> str:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
