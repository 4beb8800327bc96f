"""Laws of copies, conversions, moves and modes of modules."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ...compare import Refused
from ..edits import by_twin, output_of_twin
from ..law import law
from ..outcomes import NO_PARAMETERS, Nothing
from ..premises import MODULE, TWIN, is_written
from ..session import ModuleSession
from ._ways import CONVERSIONS, COPIES, MOVES


@law("deterministic", needs=[MODULE], ways=COPIES)
def a_copy_is_the_same_function(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A deep copy of a module, or one that was pickled or saved as a whole, gives the same. [torch]
    modules are copied, pickled and saved whole."""
    before = f(x)
    f.run(draw(st.sampled_from(f.ways), label="how"))
    return f.run("y = other(x)", x=x), before


@law("deterministic", needs=[MODULE], ways=COPIES, copied=True)
def a_copy_has_its_own_parameters(f: ModuleSession, x: Any, draw: Any) -> Any:
    """What becomes of a copy makes no difference to the module, and the other way round: to its values,
    labels or dtype. [torch] a deep copy shares nothing."""
    before = f(x)
    f.run(draw(st.sampled_from(f.ways), label="how"))
    a, b = draw(st.permutations(["module", "other"]), label="changed")
    f.run(f"with torch.no_grad():\n    for p in {a}.parameters():\n        p.fill_(7)")
    f.run(f"{a}.half()")
    return f.run(f"y = {b}(x)", x=x), before


@law(needs=[MODULE, TWIN], copied=True)
def parameters_are_converted_as_torchs_are(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Conversions and moves return the module, and its parameters are those of torch's modules after
    the same. [torch] Module.to, .double() and its like."""
    how = st.lists(st.sampled_from([*CONVERSIONS, *MOVES]), min_size=1, max_size=3)
    twin, same = f.twin, []
    for conversion in draw(how, label="conversions"):
        same.append(f.run(f"module{conversion} is module"))
        eval(f"modules{conversion}", {"modules": twin.modules, "torch": torch})
    found, expected = f.parameters(), twin.parameters()
    devices = f.look(f"[str(p.device) for p in {f.parameters_code}]")
    on = [str(p.device) for p in expected.values()]
    return [same, found, devices], [[True] * len(same), expected, on]


@law("deterministic", needs=[MODULE, TWIN])
def a_converted_module_is_plain_torchs(f: ModuleSession, x: Any, draw: Any) -> Any:
    """After a conversion to the other precision a module is plain torch's on such maps, with the same
    properties; and after the one back, too. [torch] Module.double() and .float()."""
    there, back = [".float()", ".double()"][:: 1 if x.dtype == torch.float64 else -1]
    twin = f.twin
    f.run(f"list(module{there}.parameters())")
    eval(f"modules{there}", {"modules": twin.modules})
    if draw(st.booleans(), label="and_back"):
        f.run(f"list(module{back}.parameters())")
        eval(f"modules{back}", {"modules": twin.modules})
        there = back
    x = x.to(dtype=torch.float32 if there == ".float()" else torch.float64)
    y = f(x)
    return y, by_twin(f, y, x) if f.recipe.properties is None else output_of_twin(f, x)


@law("deterministic", needs=[MODULE])
def a_module_comes_back_from_meta(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A module that was on the meta device, and was given its state dict again, is the same, unless it
    refuses to go there. [torch] Module.to_empty, or load_state_dict(assign=True), after .to("meta")."""
    if f.run("any(m._non_persistent_buffers_set for m in module.modules())"):
        return Nothing("some of its buffers are not part of the state dict")
    before = f(x)
    f.run("state = copy.deepcopy(module.state_dict())")
    moved = f.attempt_to_run("module.to('meta') is module")
    if isinstance(moved, Refused):
        return moved
    if draw(st.booleans(), label="assigned"):
        f.run("list(module.load_state_dict(state, assign=True))")
        return f(x), before
    emptied = f.attempt_to_run(f"module.to_empty(device='{f.device}') is module")
    if isinstance(emptied, Refused):
        return emptied
    f.run("list(module.load_state_dict(state))")
    return f(x), before


@law("deterministic", needs=[MODULE])
def modes_are_those_of_every_part(f: ModuleSession, x: Any, draw: Any) -> Any:
    """eval() and train() return the module, set all of its parts, and make no difference to the output.
    [torch] Module.train; Linear and activations are the same in both modes."""
    before = f(x)
    modes = draw(
        st.lists(st.sampled_from(["eval()", "train()", "train(False)"]), min_size=1), label="modes"
    )
    for mode in modes:
        f.run(f"same = module.{mode} is module")
    found = f.run("[m.training for m in module.modules()]")
    right = [modes[-1] == "train()"] * len(found)
    return [found, f.run("same"), f(x)], [right, True, before]


@law("deterministic", "keeps_keys", needs=[MODULE, TWIN])
def frozen_parameters_need_no_derivatives(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Frozen, all parameters need no derivatives, and neither does the output; unfrozen again, both
    do as in plain torch. [torch] Module.requires_grad_."""
    frozen = draw(st.booleans(), label="frozen")
    f.run(_with_gradients(f, False))
    f.twin.modules.requires_grad_(not frozen)
    if not frozen:
        f.run(_with_gradients(f, True))
    found = f.look(f"[p.requires_grad for p in {f.parameters_code}]")
    f(x)
    needs = f.look("[block.values.requires_grad for block in y.blocks()]")
    expected = [values.requires_grad for values in f.twin(x)]
    return [found, needs], [[not frozen] * len(found), expected]


@law("deterministic", needs=[MODULE])
def a_frozen_module_gives_the_same(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Frozen or not, the output is the same. [torch] requires_grad says what autograd does, not what a
    module computes."""
    before = f(x)
    f.run(_with_gradients(f, False))
    return f(x), before


def _with_gradients(f: ModuleSession, are_needed: bool) -> str:
    """The code that says whether derivatives are needed; torch doesn't offer it of modules that are
    scripted, but of their parameters."""
    if isinstance(f.module, torch.jit.ScriptModule):
        return f"[p.requires_grad_({are_needed}) for p in module.parameters()] is not None"
    return f"module.requires_grad_({are_needed}) is module"


@law("keeps_keys", needs=[MODULE])
def zero_grad_leaves_no_derivatives(f: ModuleSession, x: Any, draw: Any) -> Any:
    """After zero_grad() no parameter has a derivative. [torch] Module.zero_grad."""
    if not f.parameters():
        return NO_PARAMETERS
    differentiated = f.attempt_to_run(
        "y = module(x)\nloss = sum(y.block(i).values.sum() for i in range(len(y.keys)))\n"
        "if loss.requires_grad:\n    loss.backward()",
        x=x,
    )
    if isinstance(differentiated, Refused):  # as of a module that writes to what autograd needs
        return differentiated
    f.run("module.zero_grad()")
    grads = f.look(f"[p.grad for p in {f.parameters_code}]")
    return grads, [None] * len(grads)


@law(needs=[MODULE])
def a_module_can_be_printed(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A module prints as its class, with its parts in parentheses. [torch] Module.__repr__: one of one's
    own may say anything."""
    if not is_written(f.recipe.row) and type(f.module).__repr__ is not torch.nn.Module.__repr__:
        f.run("repr(module) + str(module)")
        return Nothing("it prints in words of its own")
    f.run("str(module) + module.extra_repr() + f'{module}'")
    name = f.run("name = type(module).__name__")
    return f.run("repr(module).partition('(')[0]"), name
