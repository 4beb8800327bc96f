"""Laws of derivatives: autograd gives what it gives for plain torch."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ...operations import block_from_array
from ...strategies import like
from ...tensor_map import TensorMap
from ..edits import by_twin, map_values, require_grad, with_values
from ..law import law
from ..outcomes import NO_PARAMETERS
from ..premises import MODULE, TWIN
from ..session import ModuleSession
from ..twin import differentiate


@law("keeps_keys", needs=[TWIN], derived=True)
def derivatives_are_those_of_plain_torch(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Autograd's derivatives by the input's values and by the parameters are those of the torch
    modules, for any cotangents. [torch] a module on maps is built of differentiable operations."""
    x = require_grad(x)
    twins = f.twin(x)
    outputs = TensorMap(x.keys, list(map(block_from_array, twins)))
    cotangents = draw(like(outputs), label="cotangents", factor=True)
    of_outputs = [block.values for block in cotangents]
    expected = differentiate(twins, x, f.twin.parameters(), of_outputs)
    return f.derivatives(x, cotangents), expected


@law("keeps_keys", "pure", needs=[TWIN], tried=True, derived=True)
def second_derivatives_are_those_of_plain_torch(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The derivatives of derivatives by the input, by the input and by the parameters, are those of the
    torch modules. [torch] what is differentiable is so twice, as for training on forces."""
    if f.recipe.row.keeps_sizes:  # at zero vectors, x f(|x|) has no second derivative
        x = map_values(lambda v: torch.where(v == 0, 1, v), x)
    f.run("inputs = [x.block(i).values.requires_grad_() for i in range(len(x.keys))]", x=x)
    y = f.run("y = module(x)")
    cotangents = [b.values for b in draw(like(y), label="cotangents", factor=True)]
    directions = [b.values for b in draw(like(x), label="directions", factor=True)]
    f.run("outputs = [y.block(i).values for i in range(len(x.keys))]")
    f.run(_FIRST, cotangents=cotangents)
    f.run(_TOTAL, directions=directions)
    twins = require_grad(x)
    names: dict[str, Any] = {
        "torch": torch,
        "inputs": [block.values for block in twins],
        "outputs": f.twin(twins),
        "cotangents": cotangents,
        "directions": directions,
    }
    exec(f"{_FIRST}\n{_TOTAL}", names)
    names["parameters"] = list(f.twin.parameters().values())
    exec(_SECOND.format("parameters"), names)
    return f.run(_SECOND.format(f.parameters_code)), names["second"]


_FIRST = "first = torch.autograd.grad(outputs, inputs, cotangents, create_graph=True)"
#: The 0 makes it depend on the inputs where the first derivatives don't.
_TOTAL = "total = sum((g * d).sum() + 0 * v.sum() for g, d, v in zip(first, directions, inputs))"


_SECOND = "second = torch.autograd.grad(total, [*inputs, *{}], materialize_grads=True)"


@law("keeps_keys", "pure", maps={"min_blocks": 2}, needs=[TWIN])
def outputs_require_gradients_where_those_of_plain_torch_do(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The values of a block require gradients where its input or a parameter of its module does, and
    never without grad mode. [torch] requires_grad, torch.no_grad and torch.inference_mode."""
    mode = draw(st.sampled_from(("enable_grad",) * 2 + ("no_grad", "inference_mode")), label="mode")
    is_frozen = draw(st.booleans(), label="is_frozen")
    given = draw(st.lists(st.integers(0, len(x) - 1), unique=True), label="given")
    f.run(f"module.requires_grad_({not is_frozen})")
    f.run("for i in given:\n    x.block(i).values.requires_grad_()", x=x, given=given)
    f.run(f"with torch.{mode}():\n    y = module(x)")
    flags = f.look("[y.block(i).values.requires_grad for i in range(len(x.keys))]")
    f.twin.modules.requires_grad_(not is_frozen)
    values = [block.values.detach().clone().requires_grad_(i in given) for i, block in enumerate(x)]
    with getattr(torch, mode)():
        return flags, [value.requires_grad for value in f.twin(with_values(x, values))]


@law(maps={"dtypes": (torch.float64,)}, needs=[MODULE, TWIN], derived=True)
def steps_of_an_optimizer_are_those_on_plain_torch(f: ModuleSession, x: Any, draw: Any) -> Any:
    """After steps of SGD, the parameters and the output are those of the torch modules after the same
    steps. [torch] optimizers change the parameters of a module, and the next forward uses them."""
    if not f.twin.parameters():
        return NO_PARAMETERS
    steps = draw(st.integers(1, 2), label="steps")
    f.run("y = module(x)", x=x)
    f.run("optimizer = torch.optim.SGD(module.parameters(), lr=0.125)")
    f.run(
        "for _ in range(steps):\n"
        "    optimizer.zero_grad()\n"
        "    y = module(x)\n"
        "    sum(y.block(i).values.sum() for i in range(len(x.keys))).backward()\n"
        "    optimizer.step()",
        steps=steps,
    )
    y = f.run("y = module(x)")
    optimizer = torch.optim.SGD(f.twin.modules.parameters(), lr=0.125)
    values = [block.values.detach().clone() for block in x]
    for _ in range(steps):
        optimizer.zero_grad()
        sum(value.sum() for value in f.twin(with_values(x, values))).backward()  # type: ignore[union-attr]
        optimizer.step()
    return [f.parameters(), y], [f.twin.parameters(), by_twin(f, y, x)]
