"""Laws of the life of a module: whatever is done to it, in whatever order, plain torch does the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st

from ...tensor_map import TensorMap
from ..edits import another, output_of_twin
from ..law import law
from ..premises import TWIN, WRITTEN
from ..session import ModuleSession

#: What is done to a module, and to the list of its twins: a line of code for both.
_DONE: dict[str, str] = {
    "nothing": "{}.zero_grad()",
    "trained": "{}.train()",
    "evaluated": "{}.eval()",
    "frozen": "{}.requires_grad_(False)",
    "unfrozen": "{}.requires_grad_(True)",
    "converted": "{}.float().double()",
    "halved": "{}.half().to(torch.float64)",
    "moved": "{0}.to('cpu').to('{1}')",
    "negated": "with torch.no_grad():\n    for p in {}.parameters():\n        p.neg_()",
}
#: What makes another module of it, which must be the same.
_REMADE: dict[str, str] = {
    "copied": "module = copy.deepcopy(module)",
    "pickled": "module = pickle.loads(pickle.dumps(module))",
    "saved": "file = io.BytesIO()\ntorch.save(module, file)\nfile.seek(0)\n"
    "module = torch.load(file, weights_only=False)",
    "reloaded": "state = copy.deepcopy(module.state_dict())\nlist(module.load_state_dict(state))",
}
_SAVE = "saved = [p.detach().clone() for p in {}.parameters()]\n"
_STEP = """optimizer = torch.optim.SGD({}.parameters(), lr=0.125)
optimizer.zero_grad()
if loss.requires_grad:
    loss.backward()
optimizer.step()"""
_RESTORE = """with torch.no_grad():
    for p, value in zip({}.parameters(), saved):
        p.copy_(value)"""
_LOSS = "y = module(x)\nloss = sum(y.block(i).values.sum() for i in range(len(y.keys)))\n"

_ACTIONS = st.sampled_from([*_DONE, *_REMADE, "stepped", "stepped", "loaded"])


@law(
    *("deterministic", "keeps_keys"),
    maps={"dtypes": (torch.float64,)},
    needs=[TWIN, WRITTEN],
    derived=True,
)
def whatever_is_done_plain_torch_does_the_same(f: ModuleSession, x: Any, draw: Any) -> Any:
    """After every one of a list of actions, parameters and output are those of plain torch's modules, to
    which the same was done: steps of SGD, conversions, copies, pickling, saving and loading, freezing,
    modes, and writing to parameters. [torch] what torch.nn.Module and torch.optim do."""
    twins = f.twin.modules
    found, expected = [], []
    for action in draw(st.lists(_ACTIONS, min_size=1, max_size=5), label="actions"):
        if action == "stepped" and len(f.parameters()):
            f.run(_LOSS + _SAVE.format("module") + _STEP.format("module"), x=x)
            restore = _step(f, x)
        elif action == "loaded":
            f.make("fresh", another(f.written, range(len(f.recipe.in_keys))))
            f.run("list(fresh.load_state_dict(module.state_dict()))")
            f.run("module = fresh")
            twins.requires_grad_(True).train()
            restore = None
        elif action in _REMADE:
            f.run(_REMADE[action])
            restore = None
        elif action in _DONE:
            f.run(_DONE[action].format("module", f.device))
            exec(_DONE[action].format("twins", f.device), {"twins": twins, "torch": torch})
            restore = None
        else:
            continue
        y = f(x)
        values = f.look(f"[p.detach().clone() for p in {f.parameters_code}]")
        needing = f.look(f"[p.requires_grad for p in {f.parameters_code}]")
        needing_too = f.look("[block.values.requires_grad for block in y.blocks()]")
        found.append([values, needing, needing_too, y])
        right = output_of_twin(f, x)
        expected.append([*_state(f.twin.parameters(), right), right])
        if restore is not None:  # what is trained on and on has more and more digits
            f.run(_RESTORE.format("module"))
            restore()
    return found, expected


def _step(f: ModuleSession, x: TensorMap) -> Callable[[], None]:
    """Take the step in plain torch. Returns what takes it back."""
    names = {"twins": f.twin.modules, "torch": torch, "loss": sum(y.sum() for y in f.twin(x))}
    exec(_SAVE.format("twins") + _STEP.format("twins"), names)
    return lambda: exec(_RESTORE.format("twins"), names)


def _state(parameters: dict[str, torch.Tensor], y: TensorMap) -> list[Any]:
    """The parameters as they are now, and which of them, and of the output, need derivatives."""
    values = [p.detach().clone() for p in parameters.values()]
    needing = [p.requires_grad for p in parameters.values()]
    return [values, needing, [block.values.requires_grad for block in y]]
