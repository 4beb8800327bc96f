"""Laws of purity: what a forward leaves as it was."""

from __future__ import annotations

from typing import Any

import torch

from .law import law
from .maps import with_values
from .subject import Subject


@law("pure", copied=True)
def the_input_stays(f: Subject, x: Any, draw: Any) -> Any:
    """A forward leaves its input as it was: values and labels. [torch] without in_place, a forward
    never changes its input."""
    before = x.copy()
    f(x)
    return f.input_afterwards(), before


@law(copied=True)
def parameters_stay(f: Subject, x: Any, draw: Any) -> Any:
    """A forward leaves the parameters as they were. [torch] a forward never changes parameters."""
    before = {name: p.detach().clone() for name, p in f.parameters().items()}
    f(x)
    return f.parameters(), before


@law("deterministic")
def the_same_input_gives_the_same_output(f: Subject, x: Any, draw: Any) -> Any:
    """Called twice, a module returns the same labels and values, each time. [torch] Linear and
    activations have no state that a forward changes."""
    first = f(x)
    values = [block.values.detach().clone() for block in first]
    return f(x), with_values(first, values)


@law("deterministic", copied=True)
def random_numbers_stay(f: Subject, x: Any, draw: Any) -> Any:
    """A forward draws no random numbers from torch's global state. [torch] Linear and activations
    draw none."""
    before = torch.get_rng_state()
    f(x)
    return torch.get_rng_state(), before
