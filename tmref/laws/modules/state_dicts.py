"""Laws of state dicts: how the state of a module is saved and loaded."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from hypothesis import strategies as st

from ...catalog import Call, Recipe, invariances
from ...compare import Refused, compare
from ...labels import Labels
from ...strategies import recipes
from ...tensor_map import TensorMap
from ..edits import another, with_an_unknown_entry, with_keys
from ..law import data_law, law
from ..outcomes import NO_PARAMETERS, NO_STATE, Nothing
from ..premises import MODULE, TWIN, WRITTEN, is_written
from ..session import ModuleSession, Session
from ._ways import STATES


def _in_order(f: ModuleSession) -> Recipe:
    return another(f.written, range(len(f.recipe.in_keys)))


#: How the state dict of a module gets from one to another.
_STATES = tuple(way.format(of="module") for way in STATES)


@law("deterministic", needs=[TWIN, WRITTEN], ways=_STATES)
def a_state_dict_gives_the_same_function(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Loaded into a module made alike, with other parameters and properties, a state dict makes it the
    same function, whichever way it came there. [torch] load_state_dict; [doc] Module: buffers are part
    of the state dict."""
    f.make("other", _in_order(f))
    f.run(draw(st.sampled_from(f.ways), label="how"))
    options = draw(st.sampled_from(["", ", strict=True", ", strict=False", ", assign=True"]), label="by")
    f.run(f"list(other.load_state_dict(state{options}))")
    before = f(x)
    return f.run("y = other(x)", x=x), before


@law(needs=[TWIN, WRITTEN], ways=_STATES, copied=True)
def what_is_loaded_is_the_state_dict_afterwards(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The state dict of a module is the one that was loaded into it, name by name, and nothing is said
    to be missing or unexpected. [torch] load_state_dict copies the entries."""
    f.make("other", _in_order(f))
    f.run(draw(st.sampled_from(f.ways), label="how"))
    reported = f.run("reported = list(other.load_state_dict(state))")
    return [reported, f.run("dict(other.state_dict())")], [[[], []], f.run("dict(module.state_dict())")]


@law("deterministic", needs=[TWIN, WRITTEN], copied=True)
def a_loaded_module_keeps_its_own_memory(f: ModuleSession, x: Any, draw: Any) -> Any:
    """What becomes of the module that was loaded from makes no difference afterwards. [torch] without
    assign, load_state_dict copies."""
    f.make("other", _in_order(f))
    f.run("list(other.load_state_dict(module.state_dict()))")
    before = f.run("y = other(x)", x=x)
    f.run("with torch.no_grad():\n    for p in module.parameters():\n        p.fill_(7)")
    return f.run("z = other(x)", x=x), before


_OWN_WAY = Nothing("it saves its state in a way of its own")


def _saves_in_its_own_way(f: ModuleSession) -> bool:
    """Whether a module of one's own has changed, as torch lets it, what its entries are called."""
    as_torch_does = torch.nn.Module.state_dict, torch.nn.Module._save_to_state_dict
    return not is_written(f.recipe.row) and any(
        part._state_dict_hooks
        or part._state_dict_pre_hooks
        or (type(part).state_dict, type(part)._save_to_state_dict) != as_torch_does
        for part in f.module.modules()
    )


@law(needs=[MODULE], copied=True)
def a_state_dict_has_the_parameters_and_buffers(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A state dict has every parameter under its names, and every persistent buffer: the very memory.
    [torch] state_dict: "References to entire state of the module"; "Both parameters and persistent
    buffers"."""
    if _saves_in_its_own_way(f):
        return _OWN_WAY
    f.run("state = module.state_dict()")
    f.run(_NAMED)
    named = "named"
    names = f.run(f"[name for name, _ in {named}]")
    if not names:
        return NO_STATE
    missing = f.run(f"[name for name, _ in {named} if name not in state]")
    others = f.run(f"[n for n, t in {named} if n in state and state[n].data_ptr() != t.data_ptr()]")
    is_other = "isinstance(value, torch.Tensor) and not n.endswith('_extra_state')"
    tensors = f.run(f"[n for n, value in state.items() if {is_other}]")
    return [missing, others, sorted(tensors)], [[], [], sorted(set(names))]


#: All parameters, under each of their names, and buffers but those that are not persistent.
_NAMED = """\
parts = [(name + "." if name else "", m) for name, m in module.named_modules(remove_duplicate=False)]
left_out = {prefix + name for prefix, m in parts for name in m._non_persistent_buffers_set}
named = [*module.named_parameters(remove_duplicate=False)]
named += [(n, b) for n, b in module.named_buffers(remove_duplicate=False) if n not in left_out]"""


@law(needs=[MODULE], copied=True)
def strict_loading_names_the_entry_that_is_missing(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Without one of its entries a state dict is refused where loading is strict, and else the entry is
    named, and only it. [torch] load_state_dict: strict, missing_keys."""
    if _saves_in_its_own_way(f):
        return _OWN_WAY
    names = f.run("names = list(module.state_dict())")
    if not names:
        return NO_STATE
    name = names[draw(st.integers(0, len(names) - 1), label="left_out")]
    f.run(f"state = module.state_dict()\ndel state[{name!r}]")
    strict = f.attempt_to_run("list(module.load_state_dict(state))")
    if not isinstance(strict, Refused):
        return strict, Refused()
    return f.run("list(module.load_state_dict(state, strict=False))"), [[name], []]


@law(needs=[MODULE], copied=True)
def strict_loading_names_the_entry_that_is_unexpected(f: ModuleSession, x: Any, draw: Any) -> Any:
    """With an entry more a state dict is refused where loading is strict, and else the entry is named,
    and only it. [torch] load_state_dict: strict, unexpected_keys."""
    prefixes = f.run("[name + '.' if name else '' for name, _ in module.named_modules()]")
    name = draw(st.sampled_from(prefixes), label="prefix") + "unknown"
    f.run(f"state = module.state_dict()\nstate[{name!r}] = torch.zeros(1)")
    strict = f.attempt_to_run("list(module.load_state_dict(state))")
    if not isinstance(strict, Refused):
        return strict, Refused()
    return f.run("list(module.load_state_dict(state, strict=False))"), [[], [name]]


@law("deterministic", needs=[MODULE])
def a_parameter_of_another_shape_is_refused(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A state dict with a parameter of another shape is refused, strict or not, and the module is what
    it was: the other entries are its own. [torch] load_state_dict: a RuntimeError for a size
    mismatch."""
    names = f.run("names = [name for name, _ in module.named_parameters()]")
    if not names:
        return NO_PARAMETERS
    before = f(x)
    name = draw(st.sampled_from(names), label="of")
    f.run(f"state = module.state_dict()\nstate[{name!r}] = torch.ones(*state[{name!r}].shape, 3)")
    strict = draw(st.booleans(), label="strict")
    loaded = f.attempt_to_run(f"list(module.load_state_dict(state, strict={strict}))")
    if not isinstance(loaded, Refused):
        return loaded, Refused()
    return f(x), before


@law(
    *("keyed", "deterministic", "keeps_keys"),
    maps={"min_blocks": 2, "one_width": True},
    needs=[TWIN, WRITTEN],
)
def loading_goes_by_key(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Loaded from a module whose keys are in another order, every block goes through what was the
    module of its own key there, with its properties; where that is refused, through that or the one it
    had. [doc] ModuleMap: the block of the i-th key gets the i-th module, and its keys are part of the
    state dict."""
    order = draw(_orders(f.written.parts), label="order")
    f.make("other", another(f.written, order))
    before, theirs = f(x), f.run("theirs = other(x)", x=x)
    return _after_loading(f, x, before, theirs, draw(st.booleans(), label="strict"))


@law("keyed", "deterministic", "keeps_keys", needs=[WRITTEN])
def loading_other_keys_gives_no_block_the_module_of_another(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Loaded from a module for other keys, a module is that one, or where that is refused, what it was:
    no block goes through what was made for another key. [doc] ModuleMap: the block of the i-th key gets
    the i-th module, and its keys are part of the state dict."""
    old = f.recipe.in_keys
    others = with_an_unknown_entry(old)
    if f.written.row.by_invariance:
        others |= _with_another_pair(old)
    keys = draw(others, label="keys")
    other = _for_keys(f.written, keys)
    f.note(alike=_kinds(other) == _kinds(f.written))
    f.make("other", other)
    new = dict(zip(old._entries(), keys._entries(), strict=True))
    entries = torch.tensor([new[key] for key in x.keys._entries()], dtype=torch.int32)
    there = with_keys(x, Labels(old.names, entries))
    before, theirs = f(x), f.run("theirs = other(x)", x=there)
    if isinstance(f.attempt_to_run("list(module.load_state_dict(other.state_dict()))"), Refused):
        return f(x), before
    return f(there), theirs


def _orders(made: list[Any]) -> st.SearchStrategy[list[int]]:
    """Orders of keys; some of them change places of those only whose modules are made alike."""
    every = list(range(len(made)))
    swaps = [(i, j) for i in every for j in every[:i] if made[i] == made[j]]

    def swapped(pair: tuple[int, int]) -> list[int]:
        i, j = pair
        places = {i: j, j: i}
        return [places.get(k, k) for k in every]

    orders = st.permutations(every)
    return st.sampled_from(swaps).map(swapped) | orders if swaps else orders


@st.composite
def _with_another_pair(draw: Any, known: Labels) -> Labels:
    """Keys of spherical tensors with other o3_lambda and o3_sigma in one of them."""
    which = draw(st.integers(0, len(known) - 1))
    columns = [known.names.index(name) for name in ("o3_lambda", "o3_sigma")]
    values = known.values.clone()
    for pair in draw(st.permutations([(0, 1), (1, 1), (0, -1), (2, -1), (3, 1)])):
        new = known.values[which].clone()
        new[columns] = torch.tensor(pair, dtype=torch.int32)
        if new.tolist() not in known.values.tolist():
            values[which] = new
            break
    return Labels(known.names, values)


def _for_keys(recipe: Recipe, keys: Labels) -> Recipe:
    """The same module for other keys, with initial parameters."""
    recipe = recipe.with_initial_parameters(1)
    call = recipe.call.with_arguments(lambda name, value: keys if name == "in_keys" else value)
    return dataclasses.replace(recipe, call=call, in_keys=keys, twins=None, properties=None)


def _kinds(recipe: Recipe) -> list[bool]:
    """For every key whether its module is that of an invariant one."""
    (selection, *_) = [s for s in _selections(recipe.call) if s is not None] or [None]
    return invariances(recipe.row, recipe.in_keys, selection)


@law("keyed", "deterministic", "keeps_keys", needs=[WRITTEN])
def loading_other_sizes_leaves_a_module_that_works(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Loaded from a module of other sizes, properties, or keys in another order, a module is that one;
    where that is refused, it still works, its blocks with the properties that they had here or there.
    [torch] load_state_dict: a RuntimeError, if anything; [doc] its keys and properties are part of the
    state dict."""
    other = draw(recipes(f.written.row, x), label="other")
    without_properties = _has_properties(f.written) and not _has_properties(other)
    f.note(alike=other.parts == f.written.parts, without_properties=without_properties)
    f.make("other", other)
    before, theirs = f(x), f.run("theirs = other(x)", x=x)
    loaded = f.attempt_to_run("list(module.load_state_dict(other.state_dict()))")
    y = f(x)
    if not isinstance(loaded, Refused) and _selections(other.call) == _selections(f.written.call):
        return y, theirs
    found = [block.properties for block in y]
    expected = [
        b.properties if got == b.properties else a.properties
        for got, a, b in zip(found, before, theirs, strict=True)
    ]
    return found, expected


def _has_properties(recipe: Recipe) -> bool:
    calls = [recipe.call, *(arg for arg in recipe.call.args if isinstance(arg, Call))]
    return any("out_properties" in call.kwargs for call in calls)


def _selections(call: Call) -> list[Any]:
    """What selects the invariant keys of a module's layers: no state dict has it."""
    return [call.kwargs.get("invariant_keys")] + [
        selection for arg in call.args if isinstance(arg, Call) for selection in _selections(arg)
    ]


def _after_loading(
    f: ModuleSession, x: TensorMap, before: TensorMap, theirs: TensorMap, strict: bool
) -> Any:
    """The output after a state dict was loaded from ``other``, and what it may be."""
    loaded = f.attempt_to_run(f"list(module.load_state_dict(other.state_dict(), strict={strict}))")
    y = f(x)
    if not isinstance(loaded, Refused):
        return y, theirs
    pairs = zip(y, before, theirs, strict=True)
    blocks = [new if compare(got, new) is None else old for got, old, new in pairs]
    return y, TensorMap(before.keys, blocks)


@data_law("any_module_map", maps={"min_blocks": 1, "min_properties": 1}, rounded=True)
def lazy_modules_are_made_by_what_is_loaded(f: Session, x: Any, draw: Any) -> Any:
    """Loaded into a ModuleMap of lazy modules, the state dict of one that is made makes them, and gives
    the same function. [torch] lazy modules take a state dict, and have the shapes of its parameters."""
    sizes = [len(block.properties) for block in x]
    linear = [Call("torch.nn.Linear", (size, 2), {"dtype": x.dtype}) for size in sizes]
    lazy = [Call("torch.nn.LazyLinear", (2,), {"dtype": x.dtype}) for _ in sizes]
    f.run("made = nn.ModuleMap(keys, modules)", keys=x.keys, modules=linear)
    f.run("module = nn.ModuleMap(keys, modules)", modules=lazy)
    f.run("reported = list(module.load_state_dict(made.state_dict()))")
    expected = f.run("y = made(x)", x=x)
    return f.run("y = module(x)"), expected
