"""Laws of torch: every block gets what the plain torch module gives."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..strategies import like
from .law import law
from .maps import require_grad, with_values
from .subject import Subject, Twin, differentiate


@law()
def values_are_those_of_plain_torch(f: Subject, x: Any, draw: Any) -> Any:
    """The values of a block are what the torch module of its key makes of them. [doc] the module at
    position i is applied to the block of the i-th key; blocks are matched by their keys, and
    Sequential applies its layers in order."""
    y = f(x)
    return y, with_values(y, f.twin(x))


@law()
def derivatives_are_those_of_plain_torch(f: Subject, x: Any, draw: Any) -> Any:
    """Autograd's derivatives by the input's values and by the parameters are those of the torch
    modules, for any cotangents. [torch] a module on maps is built of differentiable operations."""
    x = require_grad(x)
    twins = f.twin(x)
    cotangents = draw(like(with_values(f(x), twins)), label="cotangents")
    expected = differentiate(twins, x, f.twin.parameters(), cotangents)
    return f.derivatives(x, cotangents), expected


@law("seeded")
def one_seed_gives_the_initial_parameters_of_torch(f: Subject, x: Any, draw: Any) -> Any:
    """After the same seed, the initial parameters are those that torch.nn.Linear draws for one key
    after the other. [torch] modules are initialised when they are made, from the global random state."""
    seed = draw(st.integers(0, 2**31), label="seed")
    recipe = f.recipe.with_initial_parameters(seed)
    return f.again(recipe).parameters(), Twin(recipe).parameters()
