"""What the benchmarks share: the subjects, and work that is skipped where something is missing."""

from __future__ import annotations

import torch

from tmref.bench.work import TORCH, Cell, Work, subjects
from tmref.implementations import UnknownImplementation, load

IMPLEMENTATIONS = ("reference", "batched", "metatensor-learn", "metatensor-torch")
SUBJECTS = (TORCH, *IMPLEMENTATIONS)


def work_of(cell: Cell, name: str) -> Work:
    """The work of a cell by one subject; NotImplementedError, which asv skips, where there is none."""
    torch.set_num_threads(1)
    try:
        return subjects(cell, [] if name == TORCH else [name])[name]
    except UnknownImplementation as error:
        raise NotImplementedError(str(error)) from error


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
