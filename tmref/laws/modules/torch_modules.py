"""Laws of torch's modules in a ModuleMap: one call of the map is one call of each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...catalog import Call
from ...strategies import tensor_maps
from ...tensor_map import TensorMap
from ..edits import with_values
from ..law import data_law
from ..session import Session
from ..twin import random_numbers_kept

#: Maps with nothing empty: torch's modules don't take everything.
_FULL: dict[str, Any] = {
    "min_blocks": 1,
    "min_samples": 2,
    "min_properties": 1,
    "bound": 24,
    "dtypes": st.sampled_from((torch.float32, torch.float64)),
}


def _modules(draw: Any, x: TensorMap, kinds: dict[str, Callable[[TensorBlock], Call]]) -> list[Call]:
    """A module for every block."""
    calls = []
    for i, block in enumerate(x):
        kind = draw(st.sampled_from(sorted(kinds)), label=f"kind_{i}")
        calls.append(kinds[kind](block))
    return calls


def _linear(block: TensorBlock) -> Call:
    return Call("torch.nn.Linear", (len(block.properties), 2), {"dtype": block.dtype})


#: Modules with a state, or that draw random numbers, or where samples meet. Of 1 to 2 components, the
#: first is the channel.
_STATEFUL: dict[str, Callable[[TensorBlock], Call]] = {
    "batch_norm": lambda block: Call(
        "torch.nn.BatchNorm1d" if block.values.dim() < 4 else "torch.nn.BatchNorm2d",
        (block.shape[1],),
        {"dtype": block.dtype},
    ),
    "batch_norm_average": lambda block: Call(
        "torch.nn.BatchNorm1d" if block.values.dim() < 4 else "torch.nn.BatchNorm2d",
        (block.shape[1],),
        {"momentum": None, "dtype": block.dtype},
    ),
    "dropout": lambda block: Call("torch.nn.Dropout", (0.5,)),
    "alpha_dropout": lambda block: Call("torch.nn.AlphaDropout", (0.25,)),
    "random_relu": lambda block: Call("torch.nn.RReLU"),
    "softmax": lambda block: Call("torch.nn.Softmax", (0,)),
    "linear": _linear,
}


@data_law("any_module_map", maps=_FULL, rounded=True)
def one_forward_is_one_forward_of_every_module(f: Session, x: Any, draw: Any) -> Any:
    """A ModuleMap calls the module of every block once: outputs, running statistics and what is left of
    the random numbers are those of one call of each, in training and in evaluation. [doc] the module
    at position i is applied to the block of the i-th key; train() and eval() reach it [torch]."""
    calls = _modules(draw, x, _STATEFUL)
    modes = draw(st.lists(st.booleans(), min_size=1, max_size=3), label="modes")
    f.run("torch.manual_seed(0)", keys=x.keys, x=x)
    f.run("module = nn.ModuleMap(keys, modules)", modules=calls)
    twins = f.plain("modules")
    outputs, expected = [], []
    for mode in modes:
        with random_numbers_kept(f.device):
            values = [t.train(mode)(block.values) for t, block in zip(twins, x, strict=True)]
            expected += [[value.detach() for value in values], eval(f.random_state)]
        outputs.append(f.run(f"y = module.train({mode})(x)"))
        outputs.append(f.run(f.random_state))
    states = f.run("[one.state_dict() for one in modules]")
    outputs = [[b.values for b in y] if isinstance(y, TensorMap) else y for y in outputs]
    return [outputs, states], [expected, [dict(twin.state_dict()) for twin in twins]]


#: What a hook does, and the code that registers it.
_HOOKS = {
    "forward": "one.register_forward_hook(lambda m, x, y: calls.append('forward') or -y)",
    "pre": "one.register_forward_pre_hook(lambda m, x: calls.append('pre') or (2 * x[0],))",
    "backward": "one.register_full_backward_hook(lambda m, x, y: calls.append('backward'))",
}


@data_law("any_module_map", maps=_FULL, rounded=True)
def hooks_of_modules_are_called(f: Session, x: Any, draw: Any) -> Any:
    """Hooks of the modules in a ModuleMap are called, once in a forward or backward, and what they
    return is used. [torch] modules are called, which runs their hooks; to call forward "silently
    ignores them"."""
    hook = draw(st.sampled_from(sorted(_HOOKS)), label="hook")
    f.run("torch.manual_seed(0)", keys=x.keys, x=x)
    f.run("module = nn.ModuleMap(keys, modules)", modules=[_linear(block) for block in x])
    f.run(f"calls = []\nfor one in modules:\n    {_HOOKS[hook]}")
    twins = f.plain("modules")
    y = f.run("y = module(x)")
    if hook == "backward":
        f.run("sum(y.block(i).values.sum() for i in range(len(x.keys))).backward()")
    found = f.run("[list(calls), y]")  # before the hooks of the twins, which are copies, append to them
    values = [twin(block.values) for twin, block in zip(twins, x, strict=True)]
    return found, [[hook] * len(x), with_values(y, values)]


@data_law("any_module_map", maps=_FULL)
def modules_may_stand_in_several_places(f: Session, x: Any, draw: Any) -> Any:
    """A module that stands in several places, for one block or for many, is called in each of them.
    [torch] Sequential chains its modules in the order they are given, the same one as often as it is
    given; a module may be a child of several others."""
    f.run("torch.manual_seed(0)", keys=x.keys, x=x)
    square = [Call("torch.nn.Linear", (len(b.properties),) * 2, {"dtype": b.dtype}) for b in x]
    f.run("relu = torch.nn.ReLU()", modules=square)
    # of small integers, so that products are exact
    f.run("for one in modules:\n    for p in one.parameters():\n        p.data = p.data.mul_(3).round()")
    f.run("modules = [torch.nn.Sequential(one, relu, one, relu) for one in modules]")
    f.run("module = nn.ModuleMap(keys, modules)")
    twins = f.plain("modules")
    y = f.run("y = module(x)")
    return y, with_values(y, [twin(block.values) for twin, block in zip(twins, x, strict=True)])


@data_law("any_module_map", maps=_FULL, rounded=True)
def parametrizations_of_modules_are_used(f: Session, x: Any, draw: Any) -> Any:
    """A parametrized weight is computed anew, and once, in every forward. [torch] parametrizations
    make an attribute a function of parameters; spectral_norm's state takes a step for each use."""
    name = draw(st.sampled_from(("weight_norm", "spectral_norm")), label="name")
    f.run("torch.manual_seed(0)", keys=x.keys, x=x)
    f.run("module = nn.ModuleMap(keys, modules)", modules=[_linear(block) for block in x])
    f.run(f"for one in modules:\n    torch.nn.utils.parametrizations.{name}(one)")
    twins = f.plain("modules")
    first = f.run("y = module(x)")
    doubled = "with torch.no_grad():\n    for one in modules:\n        for p in one.parameters():\n"
    f.run(f"{doubled}            p.mul_(2)")
    second = f.run("y = module(x)")
    expected = [with_values(first, [t(b.values) for t, b in zip(twins, x, strict=True)])]
    with torch.no_grad():
        for twin in twins:
            for parameter in twin.parameters():
                parameter.mul_(2)
    expected.append(with_values(second, [t(b.values) for t, b in zip(twins, x, strict=True)]))
    states = f.run("[one.state_dict() for one in modules]")
    return [first, second, states], [*expected, [dict(twin.state_dict()) for twin in twins]]


@data_law("any_module_map", maps=_FULL, rounded=True)
def lazy_modules_are_made_by_the_first_forward(f: Session, x: Any, draw: Any) -> Any:
    """Lazy modules get their parameters from the first block that they are called with. [torch]
    torch.nn.LazyLinear infers in_features from the first input, by a hook of its call."""
    out_features = draw(st.integers(1, 3), label="out_features")
    calls = [Call("torch.nn.LazyLinear", (out_features,), {"dtype": x.dtype}) for _ in x]
    f.run("module = nn.ModuleMap(keys, modules)", keys=x.keys, modules=calls)
    twins = f.plain("modules")
    f.run("torch.manual_seed(0)", x=x)
    y = f.run("y = module(x)")
    torch.manual_seed(0)
    return y, with_values(y, [twin(block.values) for twin, block in zip(twins, x, strict=True)])


@data_law("any_module_map", tensor_maps(**{**_FULL, "one_width": True}), rounded=True)
def from_module_makes_copies(f: Session, x: Any, draw: Any) -> Any:
    """ModuleMap.from_module gives every key a module as the one given, with parameters of its own:
    what is done to the one given, or to that of another key, changes nothing. [doc] from_module
    applies "the same type of module on each tensor block"."""
    f.run("torch.manual_seed(0)", keys=x.keys, x=x)
    f.run("module = nn.ModuleMap.from_module(keys, given)", given=_linear(x.block(0)))
    twin = f.plain("given")
    expected = [twin(block.values).detach() for block in x]
    first = f.run("y = module(x)")
    changed = draw(st.integers(0, len(x) - 1), label="changed")
    f.run("with torch.no_grad():\n    for p in given.parameters():\n        p.fill_(7)")
    code = f"list(module.parameters())[2 * {changed} : 2 * {changed} + 2]"
    f.run(f"with torch.no_grad():\n    for p in {code}:\n        p.zero_()")
    second = f.run("y = module(x)")
    zeroed = [torch.zeros_like(v) if i == changed else v for i, v in enumerate(expected)]
    return [first, second], [with_values(first, expected), with_values(second, zeroed)]
