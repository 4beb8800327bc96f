"""Laws of constructors: what modules are made of, by their arguments and by the seed."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from hypothesis import strategies as st

from ...catalog import Call, invariances, with_options
from ...compare import Refused
from ..edits import with_values
from ..law import law
from ..outcomes import NotOffered
from ..premises import MODULE, TWIN, WRITTEN
from ..session import ModuleSession
from ..twin import Twin, called_from_cpu, quiet


@law("seeded", needs=[MODULE, TWIN])
def one_seed_gives_the_initial_parameters_of_torch(f: ModuleSession, x: Any, draw: Any) -> Any:
    """After the same seed, the initial parameters are those that torch.nn.Linear draws for one key
    after the other, and the ones and zeros of torch.nn.LayerNorm. [torch] modules are initialised when
    they are made, from the global random state."""
    seed = draw(st.integers(0, 2**31), label="seed")
    recipe = f.recipe.with_initial_parameters(seed)
    f.make("again", recipe)
    return f.parameters("again"), Twin(recipe, f.device).parameters()


@law("sized", needs=[TWIN, WRITTEN])
def parameters_have_the_dtype_and_the_device_asked_for(f: ModuleSession, x: Any, draw: Any) -> Any:
    """dtype and device are those of all parameters; without them, torch's defaults are. [torch]
    device and dtype of torch.nn.Linear and torch.nn.LayerNorm."""
    options: dict[str, Any] = {}
    dtype = draw(st.sampled_from((None, *_FLOATING)), label="dtype")
    device = draw(st.sampled_from((None, "cpu", "meta")), label="device")
    if dtype is not None:
        options["dtype"] = dtype
    if device is not None:
        options["device"] = device
    twins = [with_options(twin, {"dtype": None, **options}) for twin in _twins_of(f)]
    call = with_options(_initial(f.written.call), options, without="dtype")
    found = f.run("[[str(p.dtype), str(p.device), list(p.shape)] for p in made.parameters()]", made=call)
    parameters = [p for twin in twins for p in _torch_made(f, twin).parameters()]
    return found, [[str(p.dtype), str(p.device), list(p.shape)] for p in parameters]


_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@law("sized", maps={"min_blocks": 2, "min_properties": 1}, needs=[TWIN, WRITTEN])
def options_of_layers_are_those_of_torch(f: ModuleSession, x: Any, draw: Any) -> Any:
    """bias, eps and elementwise_affine mean what they mean for torch.nn.Linear and torch.nn.LayerNorm;
    mean says whether the mean is subtracted. A list with one for every key, or for every invariant
    one, is refused or goes key by key. [doc] "Refer to the torch.nn.LayerNorm documentation for a more
    detailed description of the other parameters"; equivariant layers have a bias for invariant keys."""
    recipe = f.written
    twins = _twins_of(f)
    selection = recipe.call.kwargs.get("invariant_keys")
    invariant = invariances(recipe.row, recipe.in_keys, selection)
    options: dict[str, Any] = {}
    of_keys: list[dict[str, Any]] = [{} for _ in twins]
    is_listed = draw(st.booleans(), label="is_listed")
    for name, choices in recipe.row.kind.shared.items():
        one_for = sum(invariant) if is_listed else 1
        drawn = [draw(st.sampled_from(choices), label=f"{name}_{i}") for i in range(one_for)]
        options[name] = drawn if is_listed else drawn[0]
        values = iter(drawn)
        for is_invariant, of_key in zip(invariant, of_keys, strict=True):
            if is_invariant:
                of_key[name] = next(values) if is_listed else drawn[0]
    call = with_options(_initial(recipe.call), options)
    refused = f.attempt_to_run("parameters = list(made.parameters())", made=call)
    if isinstance(refused, Refused):
        if not is_listed:
            f.run("list(made.parameters())", made=call)
        return refused
    f.run(_SET)
    y = f.run("y = made(x)", x=x)
    names: dict[str, Any] = {"torch": torch}
    made = [_torch_made(f, with_options(t, of)) for t, of in zip(twins, of_keys, strict=True)]
    names["parameters"] = [p for twin in made for p in twin.parameters()]
    exec(_SET, names)
    of_row = dict(zip(recipe.in_keys, made, strict=True))
    expected = [of_row[key](block.values) for key, block in x.items()]
    shapes = f.run("[list(p.shape) for p in parameters]")
    return [shapes, y], [[list(p.shape) for p in names["parameters"]], with_values(y, expected)]


#: Parameters of multiples of 1/8 that are all different.
_SET = (
    "with torch.no_grad():\n"
    "    for i, p in enumerate(parameters):\n"
    "        p.copy_(torch.arange(p.numel()).reshape(p.shape) / 8 + i)"
)


@law("may_overwrite", "deterministic", "keeps_keys", needs=[WRITTEN], copied=True)
def in_place_overwrites_the_input_as_torch_does(f: ModuleSession, x: Any, draw: Any) -> Any:
    """With in_place=True the values of the input are those of the output afterwards; with False, and
    without it, they stay. [torch] inplace of torch.nn.ReLU and torch.nn.SiLU, by default False."""
    found, expected = [], []
    for name, in_place in (("by_default", None), ("out_of_place", False), ("in_place", True)):
        options = {} if in_place is None else {"in_place": in_place}
        made = with_options(f.written.call, options)
        y = f.run(f"y = {name}(x)", **{name: made, "x": x})
        found.append(f.look("x"))
        values = [(b if in_place else a).values for a, b in zip(x, y, strict=True)]
        expected.append(with_values(x, values))
    return found, expected


def _twins_of(f: ModuleSession) -> list[Call]:
    """The calls of the torch modules, in the order of in_keys."""
    twins = f.recipe.twins
    if twins is None or not all(isinstance(twin, Call) for twin in twins):
        raise NotOffered("there are no options known")
    return [_initial(twin) for twin in twins]


def _initial(call: Call) -> Call:
    return call.with_initial_parameters()


def _torch_made(f: ModuleSession, call: Call) -> torch.nn.Module:
    """The torch module of a call that may say the device; else it is a twin of f's."""
    kwargs = dict(call.kwargs)
    device = kwargs.pop("device", None)
    with quiet(), torch.device(device or "cpu"):
        module: torch.nn.Module = dataclasses.replace(call, kwargs=kwargs)()
    return module if device else called_from_cpu(module, f.device)
