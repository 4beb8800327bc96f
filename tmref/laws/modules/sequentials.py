"""Laws of Sequentials: their layers are applied one after the other."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import strategies as st

from ...block import TensorBlock
from ...compare import Refused
from ...tensor_map import TensorMap
from ..edits import labelled
from ..law import data_law, law
from ..premises import TWIN, WRITTEN
from ..session import ModuleSession, Session


@law("composed", needs=[TWIN, WRITTEN], recipes={"shuffled_layers": True})
def the_layers_of_a_sequential_go_by_key(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Layers that were made with their keys in another order are still applied by key, and so are
    their properties. [doc] Sequential applies its layers in order, and each of them goes by key."""
    y = f(x)
    properties = dict(zip(f.recipe.in_keys, f.properties, strict=True))
    twins = zip(f.twin(x), x.items(), strict=True)
    expected = [TensorBlock(v, b.samples, b.components, properties[key]) for v, (key, b) in twins]
    return y, TensorMap(x.keys, expected)


@law("composed", "deterministic", needs=[WRITTEN])
def a_sequential_is_its_layers_one_after_the_other(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The layers, called one after the other as modules of their own, give what the Sequential gives.
    [doc] Sequential "applies a list of ModuleMaps to the input in order"."""
    y = f(x)
    code = "x"
    for name in _make_layers(f):
        code = f"{name}({code})"
    return f.run(f"z = {code}"), y


@law("composed", "deterministic", needs=[WRITTEN])
def sequentials_may_be_nested(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Some of the layers in a Sequential of their own within it, or within torch.nn.Sequential, give the
    same. [maths] composition is associative; [torch] torch.nn.Sequential calls one module after the
    other."""
    y = f(x)
    layers = _make_layers(f)
    first = draw(st.integers(0, len(layers) - 1), label="first")
    last = draw(st.integers(first, len(layers) - 1), label="last")
    outer = draw(st.sampled_from(["nn.Sequential(in_keys, ", "torch.nn.Sequential("]), label="outer")
    inner = f"nn.Sequential(in_keys, {', '.join(layers[first : last + 1])})"
    code = outer + ", ".join([*layers[:first], inner, *layers[last + 1 :]]) + ")"
    return f.run(f"z = {code}(x)", in_keys=f.recipe.in_keys), y


def _make_layers(f: ModuleSession) -> list[str]:
    """Make the layers of a Sequential as modules of their own; the names that they have in the code."""
    made = []
    for name, call in zip(("one", "two", "three"), f.written.call.args[1:], strict=False):
        f.make(name, dataclasses.replace(f.written, call=call))
        made.append(name)
    return made


@law("deterministic", "keyed", needs=[WRITTEN])
def a_sequential_of_one_module_is_that_module(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A Sequential of a module gives what the module gives, properties included. [doc] Sequential takes
    "a list of ModuleMap objects that will be applied in order"."""
    y = f(x)
    return f.run("z = nn.Sequential(in_keys, module)(x)", in_keys=f.recipe.in_keys), y


_NEGATED = """\
class Negated(nn.ReLU):
    def forward(self, tensor):
        y = super().forward(tensor)
        blocks = [TensorBlock(-b.values, b.samples, b.components, b.properties) for b in y.blocks()]
        return TensorMap(y.keys, blocks)
y = nn.Sequential(x.keys, nn.ReLU(x.keys), Negated(x.keys))(x)"""


@data_law("any_module_map", maps={"min_blocks": 1})
def a_sequential_does_what_the_forward_of_a_layer_does(f: Session, x: Any, draw: Any) -> Any:
    """A layer of a class whose forward does more than the one that it inherits does so in a Sequential,
    too, or is refused. [doc] the layers "will be applied in order to the input tensor map"; [torch]
    torch.nn.Sequential calls the modules that it is given."""
    y = f.attempt_to_run(_NEGATED, x=x)
    if isinstance(y, Refused):
        return y
    return y, labelled(x, [-block.values.relu() for block in x])


@data_law("any_module_map", maps={"min_blocks": 1})
def a_sequential_calls_the_hooks_of_its_layers(f: Session, x: Any, draw: Any) -> Any:
    """A forward hook of a layer is called once in a forward of the Sequential that is made of it.
    [torch] a forward hook "will be called every time after forward() has computed an output", and so
    torch.nn.Sequential does."""
    f.run("hooked, calls = nn.Tanh(x.keys), []", x=x)
    f.run("hooked.register_forward_hook(lambda *given: calls.append(len(given))) is None")
    f.run("y = nn.Sequential(x.keys, hooked, nn.ReLU(x.keys))(x)")
    return f.run("len(calls)"), 1
