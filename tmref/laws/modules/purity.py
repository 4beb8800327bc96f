"""Laws of purity: what a forward leaves as it was."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...labels import Labels
from ...tensor_map import TensorMap
from .. import process
from ..edits import kept, with_values
from ..law import law
from ..outcomes import NO_PARAMETERS
from ..premises import FURTHER_INPUTS, MODULE, TWIN
from ..session import ModuleSession
from ..steps import Step


@law("pure", copied=True)
def the_input_stays(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A forward leaves its input as it was: values and labels. [torch] without in_place, a forward
    never changes its input."""
    before = x.copy()
    f(x)
    return f.input_afterwards(), before


@law("pure", maps={"max_gradients": 2}, copied=True)
def explicit_gradients_stay(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A forward leaves the explicit gradients of its input as they were, and its values, whether it
    takes or refuses them. [torch] without in_place, a forward never changes its input."""
    before = x.copy()
    f.attempt(x)
    return f.input_afterwards(), before


@law("pure", maps={"min_blocks": 1, "allow_nan": True, "allow_infinity": True}, copied=True)
def what_is_no_number_stays(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A forward leaves NaN and infinities in its input where they are, whether it takes or refuses them:
    they say what is missing, and others read it, too. [torch] without in_place, a forward never changes
    its input."""
    before = x.copy()
    f.attempt(x)
    return f.input_afterwards(), before


@law("pure", needs=[FURTHER_INPUTS], copied=True)
def further_inputs_stay(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A forward leaves what it is given besides the map as it was: maps, labels, tensors and plain
    values in it. [torch] without in_place, a forward never changes its input."""
    before = kept(f, _data(f.look("module.given")))
    f(x)
    return _data(f.look("module.given")), before


def _data(value: Any) -> Any:
    """The data in a nest of dictionaries, lists and tuples; None for all else."""
    if isinstance(value, dict):
        return {name: _data(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return list(map(_data, value))
    data = (TensorMap, TensorBlock, Labels, torch.Tensor, int, float, str)
    return value if isinstance(value, data) else None


@law(needs=[MODULE], copied=True)
def parameters_stay(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A forward leaves the parameters as they were. [torch] a forward never changes parameters."""
    before = {name: p.detach().clone() for name, p in f.parameters().items()}
    if not before:
        return NO_PARAMETERS
    f(x)
    return f.parameters(), before


#: Everything that a module is made of, and what it is set to.
_OF_MODULE = (
    "list(module.state_dict().values()), [name for name, _ in module.named_modules()], "
    "[m.training for m in module.modules()], [p.requires_grad for p in module.parameters()], "
    "[p.grad for p in module.parameters()], list(module.buffers())"
)


@law("deterministic", needs=[MODULE], copied=True)
def the_module_stays(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A forward leaves what the module is made of as it was: its state dict, labels among it, its
    parts, buffers, and what it is set to. [torch] Linear and activations have no state that a forward
    changes."""
    f.run(draw(st.sampled_from(["module.eval()", "module.train()"]), label="mode") + " is module")
    before = f.run(f"before = copy.deepcopy(({_OF_MODULE}))")
    f(x)
    return f.run(f"after = ({_OF_MODULE})"), before


@law("deterministic")
def the_same_input_gives_the_same_output(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Called twice, a module returns the same labels and values, each time. [torch] Linear and
    activations have no state that a forward changes."""
    first = kept(f, f(x))
    return f(x), first


@law("deterministic")
def what_came_before_makes_no_difference(f: ModuleSession, x: Any, draw: Any) -> Any:
    """After a call on another map the output is that of a module that was never called, and the output
    of the call before stays what it was. [torch] Linear and activations have no state that a forward
    changes."""
    other = draw(f.like(x), label="other")
    f.make("fresh", f.recipe)
    expected = f.run("y = fresh(x)", x=x)
    before = kept(f, f.run("first = module(x)", x=other))
    return [f(x), f.run("first")], [expected, before]


@law("deterministic", copied=True)
def a_call_in_another_dtype_leaves_no_trace(f: ModuleSession, x: Any, draw: Any) -> Any:
    """After a call on a map of another dtype, whether it was taken or refused, the output is what it was
    before, to the last digit. [torch] a forward never changes parameters or buffers of a module without
    state."""
    other = torch.float64 if x.dtype == torch.float32 else torch.float32
    before = kept(f, f(x))
    f.attempt_to_run("z = module(x)", x=x.to(dtype=other))
    return f(x), before


#: Where random numbers of other libraries stand.
_OF_OTHERS = (
    "others = [np.random.get_state()[1].tobytes(), np.random.get_state()[2], hash(random.getstate())]"
)


@law("deterministic", copied=True)
def random_numbers_stay(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A forward draws no random numbers from the global state of torch, numpy or Python, and whoever
    makes a module none from that of numpy or Python. [torch] Linear and activations draw none, and are
    made with those of torch."""
    of_others = f.run(_OF_OTHERS)
    f.make("other", f.recipe)
    of_torch = f.run(f.random_state)
    f(x)
    return [f.run(f.random_state), f.run(_OF_OTHERS)], [of_torch, of_others]


@law(copied=True)
def what_is_set_for_the_whole_process_stays(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Making a module and calling it leaves what is set for the whole process as it was: torch's grad
    mode, default dtype and device, threads, autocast and the like, its modes and its hooks on all
    modules, seeds of torch, numpy and Python, warnings, the working directory, the environment, clocks,
    standard streams. What the first call alone sets is allowed, as an import there may do; a call that
    sets it again, where it was set back, is not. Random numbers may be drawn; a seed may not be set.
    [torch] no module sets them."""
    with process.kept():
        f.output_for(x)
    process.set_afresh()  # f was made, and may have set something
    f.run(f"grad = torch.set_grad_enabled({draw(st.booleans(), label='grad')})")
    before = process.settings()
    f.make("other", f.recipe)
    changed = process.first_change(before, process.settings())
    if changed is not None:
        f.steps.insert(-1, Step(f"before = {changed}", {}, "before", None))
        f.steps.append(Step(f"assert {changed} == before", {}, "", None))
        return _changed(changed, before, process.settings())
    f.run(_ONCE, x=x, seed=process.seed, settings=process.settings)
    before, after = f["before"], f["after"]
    changed = process.first_change(before, after)
    if changed is not None:
        code = f"before = {changed}\ny = module(x)\nassert {changed} == before"
        f.steps[-1] = Step(code, {"x": x}, "", None)
        return _changed(changed, before, after)
    f.steps.pop()  # it showed nothing
    f.run(_TWICE, x=x, seed=process.seed, numbers=process.numbers)
    for seed, numbers in process.RANDOM.items():
        if f["first"][numbers] == f["second"][numbers]:
            f.steps[-1] = Step(_SEEDED.format(seed=seed, numbers=numbers), {"x": x}, "", None)
            return f"each call sets the seed, as by {seed}", "no call sets a seed"
    return True, True


_ONCE = """seed(1)
before = settings()
y = module(x)
after = settings()
done = True"""
_TWICE = """seed(1)
y = module(x)
first = numbers()
seed(2)
y = module(x)
second = numbers()
done = True"""
#: Random numbers go on from another seed elsewhere, unless a call sets its own.
_SEEDED = """def numbers_after(number):
    {seed}(number)
    module(x)
    return {numbers}
assert numbers_after(2) != numbers_after(1)"""


def _changed(code: str, before: Any, after: Any) -> tuple[Any, Any]:
    """What is set after and before, in words, by the code that reads it: of long words those around the
    first difference, without which they would be equal."""
    now, then = (repr(process.read(code, found)) for found in (after, before))
    if now == then:
        now = f"another {now}"
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(now, then, strict=False))
    first = max(0, len(list(same)) - 50)
    shown = [f"{'…' * (first > 0)}{words[first:][:100]}" for words in (now, then)]
    return {code: shown[0]}, {code: shown[1]}


_IN_THREADS = """import concurrent.futures
sys.setswitchinterval(1e-6)
barrier = threading.Barrier(4)
def call(i):
    barrier.wait()
    return [module([one, other][i % 2]) for _ in range(8)][-1]
results = list(concurrent.futures.ThreadPoolExecutor(4).map(call, range(4)))"""


@law("deterministic", "pure")
def the_same_in_several_threads(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Called on different maps in several threads at once, a module gives what it gives on each of
    them alone. [torch] a forward keeps nothing in the module that another could overwrite."""
    other = draw(f.like(x), label="other")
    interval = sys.getswitchinterval()
    try:  # threads take turns as often as they can
        # under a name of its own: what threads did to it isn't what the module is compared on
        together = f.run(_IN_THREADS, one=x, other=other)
    finally:
        sys.setswitchinterval(interval)
    return together, [f(x), f(other)] * 2


_OVERWRITE = """with torch.no_grad():
    for i in range(len({name}.keys)):
        {name}.block(i).values.mul_(2).add_(1)"""


@law(*("deterministic", "keeps_keys", "pure"), needs=[TWIN], tried=True, copied=True)
def writing_to_the_output_leaves_the_input(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where plain torch returns values of their own, writing to those of the output leaves the input
    as it was. [torch] what Linear and activations return shares no memory with their input."""
    before, shared = x.copy(), f.twin.returns_the_input(x)
    f(x)
    f.run(_OVERWRITE.format(name="y"))
    after = f.run("x")
    values = [a if s else b for a, b, s in zip(_values(after), _values(before), shared, strict=True)]
    return after, with_values(before, values)


@law(*("deterministic", "keeps_keys", "pure"), needs=[TWIN], tried=True, copied=True)
def writing_to_the_input_leaves_the_output(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where plain torch returns values of their own, writing to those of the input leaves the output
    as it was. [torch] what Linear and activations return shares no memory with their input."""
    shared, y = f.twin.returns_the_input(x), f(x)
    before = _values(kept(f, y))
    f.run(_OVERWRITE.format(name="x"))
    after = f.run("y")
    values = [a if s else b for a, b, s in zip(_values(after), before, shared, strict=True)]
    return after, with_values(y, values)


def _values(x: TensorMap) -> list[torch.Tensor]:
    return [block.values for block in x]


_CALL_AND_FORGET = """import gc, weakref
y = module(x)
seen = [weakref.ref(z.block(i).values) for z in (x, y) for i in range(len(z.keys))]
del x, y
if any(reference() is not None for reference in seen):
    gc.collect()
left = sum(reference() is not None for reference in seen)"""


@law("deterministic", "keeps_keys")
def memory_is_given_back(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Once nobody has the input and the output any more, their values are no longer there. [torch] a
    module keeps nothing of a forward."""
    return f.run(_CALL_AND_FORGET, x=x), 0
