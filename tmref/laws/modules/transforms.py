"""Laws of transforms: what torch can make of a module, where an implementation offers it."""

from __future__ import annotations

from typing import Any

import torch

from ..edits import by_twin
from ..law import law
from ..outcomes import NO_PARAMETERS
from ..premises import MODULE, TWIN, ability
from ..session import ModuleSession

_SCRIPTED = "scripted = torch.jit.script(module)"


@law("keyed", needs=[MODULE, TWIN])
def a_functional_call_uses_the_parameters_given(f: ModuleSession, x: Any, draw: Any) -> Any:
    """torch.func.functional_call with other parameters gives what the torch modules give with these,
    and leaves the module's own as they were. [torch] "replacing the module parameters and buffers
    with the provided ones"."""
    before = {name: p.detach().clone() for name, p in f.parameters().items()}
    y = f.run(
        "y = torch.func.functional_call("
        "module, {name: 2 * p for name, p in module.named_parameters()}, (x,))",
        x=x,
    )
    _double(f)
    return [y, f.parameters()], [by_twin(f, y, x), before]


@law(
    *("keeps_keys", "keyed", "pure"),
    needs=[MODULE, TWIN, ability("transforms")],
    tried=True,
    derived=True,
)
def transforms_of_functions_go_through_modules(f: ModuleSession, x: Any, draw: Any) -> Any:
    """torch.vmap over stacked parameters gives the stacked values of every block, and torch.func.grad
    the derivatives. [torch] torch.func's transforms take functions of tensors, as functional_call
    makes of a module; they say that they need operations of torch alone."""
    if not f.twin.parameters():
        return NO_PARAMETERS
    f.run(
        "def values(parameters):\n"
        "    y = torch.func.functional_call(module, parameters, (x,))\n"
        "    return [y.block(i).values for i in range(len(x.keys))]",
        x=x,
    )
    f.run("given = {name: p.detach() for name, p in module.named_parameters()}")
    f.run("stacked = {name: torch.stack([p, 2 * p]) for name, p in given.items()}")
    stacks = f.run("result = torch.vmap(values)(stacked)")
    f.run("total = lambda parameters: sum(v.sum() for v in values(parameters))")
    found = f.run("found = list(torch.func.grad(total)(given).values())")
    once = f.twin(x)
    total = sum((value.sum() for value in once), torch.zeros(()))
    expected = torch.autograd.grad(total, list(f.twin.parameters().values()), materialize_grads=True)
    _double(f)
    twice = f.twin(x)
    both = [torch.stack(values) for values in zip(once, twice, strict=True)]
    return [stacks, found], [both, list(expected)]


def _double(f: ModuleSession) -> None:
    """Multiply the parameters of the twin by 2."""
    with torch.no_grad():
        for parameter in f.twin.parameters().values():
            parameter.mul_(2)


@law(
    *("composed", "deterministic", "keeps_keys"),
    needs=[MODULE, TWIN, ability("compiles")],
    tried=True,
    derived=True,
)
def a_compiled_module_does_what_the_module_does(f: ModuleSession, x: Any, draw: Any) -> Any:
    """torch.compile gives a module of the same outputs, for other values too, and of the same
    derivatives. [torch] torch.compile optimizes a module; eager mode says what it returns."""
    other = draw(f.like(x), label="other")
    expected = [f(x), f(other)]
    f.run("torch.compiler.reset()")
    f.run('compiled = torch.compile(module, backend="aot_eager")')
    found = [f.run("y = compiled(x)", x=x), f.run("y = compiled(x)", x=other)]
    f.run("sum(y.block(i).values.sum() for i in range(len(x.keys))).backward()")
    sum((value.sum() for value in f.twin(other)), torch.zeros(())).backward()
    return [found, _gradients(f.parameters())], [expected, _gradients(f.twin.parameters())]


def _gradients(parameters: dict[str, torch.Tensor]) -> dict[str, torch.Tensor | None]:
    return {name: parameter.grad for name, parameter in parameters.items()}


@law("composed", "deterministic", needs=[MODULE, ability("exports")], tried=True)
def an_exported_program_does_what_the_module_does(f: ModuleSession, x: Any, draw: Any) -> Any:
    """torch.export gives a program of the same outputs, for other values of the same labels too, before
    and after it was saved. [torch] torch.export: a program that "represents the computation of the
    function"."""
    other = draw(f.like(x), label="other")
    expected = f(other)
    f.run("program = torch.export.export(module, (x,), strict=False)", x=x)
    found = [f.run("y = program.module()(x)", x=other)]
    f.run("file = io.BytesIO()")
    f.run("torch.export.save(program, file)")
    f.run("file = io.BytesIO(file.getvalue())")
    found.append(f.run("y = torch.export.load(file).module()(x)", x=other))
    return found, [expected, expected]


@law("keyed", "deterministic", needs=[MODULE, ability("scripts")], ways=[_SCRIPTED])
def a_scripted_module_does_what_the_module_does(f: ModuleSession, x: Any, draw: Any) -> Any:
    """torch.jit.script gives a module of the same outputs, before and after it was saved. [torch]
    TorchScript keeps the meaning of the Python that it compiles."""
    expected = f(x)
    f.run(_SCRIPTED)
    y = f.run("y = scripted(x)", x=x)
    f.run("file = io.BytesIO()")
    f.run("torch.jit.save(scripted, file)")
    f.run("file = io.BytesIO(file.getvalue())")
    f.run("loaded = torch.jit.load(file)")
    z = f.run("y = loaded(x)", x=x)
    return [y, z], [expected, expected]
