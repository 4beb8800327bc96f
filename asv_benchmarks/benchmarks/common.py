"""What the benchmarks share: the subjects, work that is skipped where something is missing, versions."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

import tmref.bench
from tmref.bench.work import EXPANSION, TORCH, Cell, Work, made_map, subjects
from tmref.implementations import Implementation, UnknownImplementation, load

IMPLEMENTATIONS = ("reference", "batched", "metatensor-learn", "metatensor-torch")
SUBJECTS = (TORCH, *IMPLEMENTATIONS)
#: The modules of tmref.bench that numbers depend on.
MEASURING = ("counts", "device", "timing", "work")


def work_of(cell: Cell, name: str) -> Work:
    """The work of a cell by one subject; NotImplementedError, which asv skips, where there is none."""
    torch.set_num_threads(1)
    if name != TORCH:
        implementation(name)
    return subjects(cell, [] if name == TORCH else [name])[name]


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


def installed() -> list[str]:
    """The implementations that are there."""
    found = []
    for name in IMPLEMENTATIONS:
        try:
            load(name)
        except UnknownImplementation:
            continue
        found.append(name)
    return found


def version_of(file: str) -> str:
    """What asv knows results by that can be compared: those of one way of measuring them."""
    measuring = [Path(folder) / f"{name}.py" for folder in tmref.bench.__path__ for name in MEASURING]
    texts = [path.read_bytes() for path in (Path(file), *measuring)]
    return hashlib.sha256(b"".join(texts)).hexdigest()
