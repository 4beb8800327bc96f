"""Laws of state: what a module keeps, and how it is saved, loaded, copied, converted and moved."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from hypothesis import strategies as st

from ..block import TensorBlock
from ..catalog import Call, Recipe, invariances
from ..compare import Refused, compare
from ..labels import Labels
from ..strategies import dtypes, recipes
from ..tensor_map import TensorMap
from .law import data_law, law
from .maps import with_keys
from .structure import _with_an_unknown_row
from .subject import Data, Subject

# --- modules of the catalog ---------------------------------------------------------------------------

#: How a state dict gets from one module to another; it is called ``state`` then.
_STATES = (
    "state = {of}.state_dict()",
    "state = copy.deepcopy({of}.state_dict())",
    "state = pickle.loads(pickle.dumps({of}.state_dict()))",
    "file = io.BytesIO()\ntorch.save({of}.state_dict(), file)\nfile.seek(0)\nstate = torch.load(file)",
)
#: How a whole module is copied.
_COPIES = (
    "other = copy.deepcopy(module)",
    "other = pickle.loads(pickle.dumps(module))",
    "file = io.BytesIO()\ntorch.save(module, file)\nfile.seek(0)\n"
    "other = torch.load(file, weights_only=False)",
)
_CONVERSIONS = (
    ".double()",
    ".float()",
    ".half()",
    ".bfloat16()",
    ".to(torch.float64)",
    ".to(dtype=torch.float16)",
    ".to('cpu', torch.float32)",
    ".to(torch.zeros(1, dtype=torch.float64))",
    ".type(torch.float64)",
)
#: What changes no dtype.
_MOVES = (".cpu()", ".to('cpu')", ".to(device='cpu')", ".to(torch.device('cpu'), non_blocking=True)")


def another(recipe: Recipe, order: Sequence[int]) -> Recipe:
    """The same module with other parameters and properties, its keys in another order: the i-th is the
    ``order[i]``-th of before."""

    def listed(items: Sequence[Any]) -> list[Any]:
        return [items[i] for i in order]

    def of_argument(name: str, value: Any) -> Any:
        if name == "in_keys":
            return Labels(value.names, value.values[list(order)])
        if name == "out_properties":
            value = [_disguised_labels(labels) for labels in value]
        return listed(value) if isinstance(value, list) else value

    assert recipe.twins is not None
    twins = tuple(_with_other_parameters(twin) for twin in listed(recipe.twins))
    return dataclasses.replace(
        recipe,
        call=dataclasses.replace(
            recipe.call.with_initial_parameters().with_arguments(of_argument),
            parameters=tuple(p for twin in twins for p in _parameters(twin)),
        ),
        in_keys=of_argument("in_keys", recipe.in_keys),
        twins=twins,
        properties=None,
    )


def _with_other_parameters(twin: Call) -> Call:
    args = tuple(_with_other_parameters(arg) if isinstance(arg, Call) else arg for arg in twin.args)
    parameters = None if twin.parameters is None else tuple(1 - p for p in twin.parameters)
    return dataclasses.replace(twin, args=args, parameters=parameters)


def _parameters(twin: Call) -> tuple[torch.Tensor, ...]:
    """The parameters of a twin: its own, or those of what it is around."""
    if twin.parameters is not None:
        return twin.parameters
    return tuple(p for arg in twin.args if isinstance(arg, Call) for p in _parameters(arg))


def _in_order(f: Subject) -> Recipe:
    f.twin  # noqa: B018, without one there is no telling its parameters
    return another(f.written, range(len(f.recipe.in_keys)))


@law("deterministic", examples=50)
def a_state_dict_gives_the_same_function(f: Subject, x: Any, draw: Any) -> Any:
    """Loaded into a module made alike, with other parameters and properties, a state dict makes it the
    same function, whichever way it came there. [torch] load_state_dict; [doc] Module: buffers are part
    of the state dict."""
    f.make("other", _in_order(f))
    f.run(draw(st.sampled_from(_STATES), label="how").format(of="module"))
    options = draw(st.sampled_from(["", ", strict=True", ", strict=False", ", assign=True"]), label="by")
    f.run(f"list(other.load_state_dict(state{options}))")
    before = f(x)
    return f.run("y = other(x)", x=x), before


@law("deterministic", copied=True, examples=50)
def what_is_loaded_is_the_state_dict_afterwards(f: Subject, x: Any, draw: Any) -> Any:
    """The state dict of a module is the one that was loaded into it, name by name, and nothing is said
    to be missing or unexpected. [torch] load_state_dict copies the entries."""
    f.make("other", _in_order(f))
    f.run(draw(st.sampled_from(_STATES), label="how").format(of="module"))
    reported = f.run("reported = list(other.load_state_dict(state))")
    return [reported, f.run("dict(other.state_dict())")], [[[], []], f.run("dict(module.state_dict())")]


@law("deterministic", copied=True, examples=50)
def a_loaded_module_keeps_its_own_memory(f: Subject, x: Any, draw: Any) -> Any:
    """What becomes of the module that was loaded from makes no difference afterwards. [torch] without
    assign, load_state_dict copies."""
    f.make("other", _in_order(f))
    f.run("list(other.load_state_dict(module.state_dict()))")
    before = f.run("y = other(x)", x=x)
    f.run("with torch.no_grad():\n    for p in module.parameters():\n        p.fill_(7)")
    return f.run("z = other(x)", x=x), before


@law("deterministic", copied=True, examples=50)
def a_state_dict_has_the_parameters_and_buffers(f: Subject, x: Any, draw: Any) -> Any:
    """A state dict has every parameter under its name, and every buffer: the very memory. [torch]
    state_dict: "References to entire state of the module"."""
    f.run("state = module.state_dict()")
    named = "[*module.named_parameters(), *module.named_buffers()]"
    names = f.run(f"[name for name, _ in {named}]")
    missing = f.run(f"[name for name, _ in {named} if name not in state]")
    others = f.run(f"[n for n, t in {named} if n in state and state[n].data_ptr() != t.data_ptr()]")
    tensors = f.run("[n for n, value in state.items() if isinstance(value, torch.Tensor)]")
    return [missing, others, sorted(tensors)], [[], [], sorted(set(names))]


@law("deterministic", copied=True, examples=50)
def strict_loading_names_the_entry_that_is_missing(f: Subject, x: Any, draw: Any) -> Any:
    """Without one of its entries a state dict is refused where loading is strict, and else the entry is
    named, and only it. [torch] load_state_dict: strict, missing_keys."""
    names = f.run("names = list(module.state_dict())")
    name = names[draw(st.integers(0, len(names) - 1), label="left_out")]
    f.run(f"state = module.state_dict()\ndel state[{name!r}]")
    strict = f.attempt_to_run("list(module.load_state_dict(state))")
    if not isinstance(strict, Refused):
        return strict, Refused()
    return f.run("list(module.load_state_dict(state, strict=False))"), [[name], []]


@law("deterministic", copied=True, examples=50)
def strict_loading_names_the_entry_that_is_unexpected(f: Subject, x: Any, draw: Any) -> Any:
    """With an entry more a state dict is refused where loading is strict, and else the entry is named,
    and only it. [torch] load_state_dict: strict, unexpected_keys."""
    prefixes = f.run("[name + '.' if name else '' for name, _ in module.named_modules()]")
    name = draw(st.sampled_from(prefixes), label="prefix") + "unknown"
    f.run(f"state = module.state_dict()\nstate[{name!r}] = torch.zeros(1)")
    strict = f.attempt_to_run("list(module.load_state_dict(state))")
    if not isinstance(strict, Refused):
        return strict, Refused()
    return f.run("list(module.load_state_dict(state, strict=False))"), [[], [name]]


@law("deterministic", examples=50)
def a_parameter_of_another_shape_is_refused(f: Subject, x: Any, draw: Any) -> Any:
    """A state dict with a parameter of another shape is refused, strict or not, and the module is what
    it was: the other entries are its own. [torch] load_state_dict: a RuntimeError for a size
    mismatch."""
    names = f.run("names = [name for name, _ in module.named_parameters()]")
    before = f(x)
    if not names:
        return None
    name = draw(st.sampled_from(names), label="of")
    f.run(f"state = module.state_dict()\nstate[{name!r}] = torch.ones(*state[{name!r}].shape, 3)")
    strict = draw(st.booleans(), label="strict")
    loaded = f.attempt_to_run(f"list(module.load_state_dict(state, strict={strict}))")
    if not isinstance(loaded, Refused):
        return loaded, Refused()
    return f(x), before


@law("keyed", "deterministic", maps={"min_blocks": 2, "one_width": True}, examples=50)
def loading_goes_by_key(f: Subject, x: Any, draw: Any) -> Any:
    """Loaded from a module whose keys are in another order, every block goes through what was the
    module of its own key there, with its properties; where that is refused, through that or the one it
    had. [doc] ModuleMap: the block of the i-th key gets the i-th module, and its keys are part of the
    state dict."""
    f.twin  # noqa: B018
    order = draw(_orders(f.written.parts), label="order")
    f.make("other", another(f.written, order))
    before, theirs = f(x), f.run("theirs = other(x)", x=x)
    return _after_loading(f, x, before, theirs, draw(st.booleans(), label="strict"))


@law("keyed", "deterministic", examples=50)
def loading_other_keys_gives_no_block_the_module_of_another(f: Subject, x: Any, draw: Any) -> Any:
    """Loaded from a module for other keys, a module is that one, or where that is refused, what it was:
    no block goes through what was made for another key. [doc] ModuleMap: the block of the i-th key gets
    the i-th module, and its keys are part of the state dict."""
    old = f.recipe.in_keys
    others = _with_an_unknown_row(old)
    if f.written.row.by_invariance:
        others |= _with_another_pair(old)
    keys = draw(others, label="keys")
    other = _for_keys(f.written, keys)
    draw(st.just(_kinds(other) == _kinds(f.written)), label="alike")
    f.make("other", other)
    rows = dict(zip(old._rows(), keys._rows(), strict=True))
    renamed = Labels(old.names, torch.tensor([rows[key] for key in x.keys._rows()], dtype=torch.int32))
    there = with_keys(x, renamed)
    before, theirs = f(x), f.run("theirs = other(x)", x=there)
    if isinstance(f.attempt_to_run("list(module.load_state_dict(other.state_dict()))"), Refused):
        return f(x), before
    return f(there), theirs


def _orders(made: list[Any]) -> st.SearchStrategy[list[int]]:
    """Orders of keys; some of them change places of those only whose modules are made alike."""
    every = list(range(len(made)))
    swaps = [(i, j) for i in every for j in every[:i] if made[i] == made[j]]

    def swapped(pair: tuple[int, int]) -> list[int]:
        return [sum(pair) - i if i in pair else i for i in every]

    orders = st.permutations(every)
    return st.sampled_from(swaps).map(swapped) | orders if swaps else orders


@st.composite
def _with_another_pair(draw: Any, known: Labels) -> Labels:
    """Keys of spherical tensors with other o3_lambda and o3_sigma in one of them."""
    row = draw(st.integers(0, len(known) - 1))
    columns = [known.names.index(name) for name in ("o3_lambda", "o3_sigma")]
    values = known.values.clone()
    for pair in draw(st.permutations([(0, 1), (1, 1), (0, -1), (2, -1), (3, 1)])):
        new = known.values[row].clone()
        new[columns] = torch.tensor(pair, dtype=torch.int32)
        if new.tolist() not in known.values.tolist():
            values[row] = new
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


@law("keyed", "deterministic", examples=50)
def loading_other_sizes_leaves_a_module_that_works(f: Subject, x: Any, draw: Any) -> Any:
    """Loaded from a module of other sizes, properties, or keys in another order, a module is that one;
    where that is refused, it still works, its blocks with the properties that they had here or there.
    [torch] load_state_dict: a RuntimeError, if anything; [doc] its keys and properties are part of the
    state dict."""
    other = draw(recipes(f.written.row, x), label="other")
    draw(st.just(other.parts == f.written.parts), label="alike")
    draw(st.just(_has_properties(f.written) > _has_properties(other)), label="without_properties")
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


def _after_loading(f: Subject, x: TensorMap, before: TensorMap, theirs: TensorMap, strict: bool) -> Any:
    """The output after a state dict was loaded from ``other``, and what it may be."""
    loaded = f.attempt_to_run(f"list(module.load_state_dict(other.state_dict(), strict={strict}))")
    y = f(x)
    if not isinstance(loaded, Refused):
        return y, theirs
    pairs = zip(y, before, theirs, strict=True)
    blocks = [new if compare(got, new) is None else old for got, old, new in pairs]
    return y, TensorMap(before.keys, blocks)


@law("deterministic", examples=50)
def a_copy_is_the_same_function(f: Subject, x: Any, draw: Any) -> Any:
    """A deep copy of a module, or one that was pickled or saved as a whole, gives the same. [torch]
    modules are copied, pickled and saved whole."""
    before = f(x)
    f.run(draw(st.sampled_from(_COPIES), label="how"))
    return f.run("y = other(x)", x=x), before


@law("deterministic", copied=True, examples=50)
def a_copy_has_its_own_parameters(f: Subject, x: Any, draw: Any) -> Any:
    """What becomes of a copy makes no difference to the module, and the other way round: to its values,
    labels or dtype. [torch] a deep copy shares nothing."""
    before = f(x)
    f.run(draw(st.sampled_from(_COPIES), label="how"))
    a, b = draw(st.permutations(["module", "other"]), label="changed")
    f.run(f"with torch.no_grad():\n    for p in {a}.parameters():\n        p.fill_(7)")
    f.run(f"{a}.half()")
    return f.run(f"y = {b}(x)", x=x), before


@law(copied=True, examples=50)
def parameters_are_converted_as_torchs_are(f: Subject, x: Any, draw: Any) -> Any:
    """Conversions and moves return the module, and its parameters are those of torch's modules after
    the same. [torch] Module.to, .double() and its like."""
    how = st.lists(st.sampled_from([*_CONVERSIONS, *_MOVES]), min_size=1, max_size=3)
    twin, same = f.twin, []
    for conversion in draw(how, label="conversions"):
        same.append(f.run(f"module{conversion} is module"))
        eval(f"modules{conversion}", {"modules": twin.modules, "torch": torch})
    found, expected = f.parameters(), twin.parameters()
    devices = [[str(p.device) for p in of.values()] for of in (found, expected)]
    return [same, found, devices[0]], [[True] * len(same), expected, devices[1]]


@law("deterministic", examples=50)
def a_converted_module_is_plain_torchs(f: Subject, x: Any, draw: Any) -> Any:
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
    return f(x), _of_twin(f, x)


def _of_twin(f: Subject, x: TensorMap) -> TensorMap:
    properties = dict(zip(f.recipe.in_keys, f.properties, strict=True))
    pairs = zip(f.twin(x), x.items(), strict=True)
    blocks = [TensorBlock(v, b.samples, b.components, properties[key]) for v, (key, b) in pairs]
    return TensorMap(x.keys, blocks)


@law("deterministic", examples=50)
def a_module_comes_back_from_meta(f: Subject, x: Any, draw: Any) -> Any:
    """A module that was on the meta device, and was given its state dict again, is the same, unless it
    refuses to go there. [torch] Module.to_empty, or load_state_dict(assign=True), after .to("meta")."""
    before = f(x)
    f.run("state = copy.deepcopy(module.state_dict())")
    if isinstance(f.attempt_to_run("module.to('meta') is module"), Refused):
        return None
    if draw(st.booleans(), label="assigned"):
        f.run("list(module.load_state_dict(state, assign=True))")
    elif isinstance(f.attempt_to_run(f"module.to_empty(device='{f.device}') is module"), Refused):
        return None
    else:
        f.run("list(module.load_state_dict(state))")
    return f(x), before


@law("deterministic", examples=50)
def modes_are_those_of_every_part(f: Subject, x: Any, draw: Any) -> Any:
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


@law("deterministic", examples=50)
def frozen_parameters_need_no_derivatives(f: Subject, x: Any, draw: Any) -> Any:
    """Frozen, all parameters need no derivatives, and neither does the output; unfrozen again, both
    do as in plain torch. [torch] Module.requires_grad_."""
    frozen = draw(st.booleans(), label="frozen")
    f.run("module.requires_grad_(False) is module")
    f.twin.modules.requires_grad_(not frozen)
    if not frozen:
        f.run("module.requires_grad_(True) is module")
    found = [p.requires_grad for p in f.parameters().values()]
    y = f(x)
    needs = [block.values.requires_grad for block in y]
    expected = [values.requires_grad for values in f.twin(x)]
    return [found, needs], [[not frozen] * len(found), expected]


@law("deterministic", examples=50)
def a_frozen_module_gives_the_same(f: Subject, x: Any, draw: Any) -> Any:
    """Frozen or not, the output is the same. [torch] requires_grad says what autograd does, not what a
    module computes."""
    before = f(x)
    f.run("module.requires_grad_(False) is module")
    return f(x), before


@law("deterministic", examples=50)
def zero_grad_leaves_no_derivatives(f: Subject, x: Any, draw: Any) -> Any:
    """After zero_grad() no parameter has a derivative. [torch] Module.zero_grad."""
    f.run(
        "y = module(x)\nloss = sum(y.block(i).values.sum() for i in range(len(y.keys)))\n"
        "if loss.requires_grad:\n    loss.backward()",
        x=x,
    )
    f.run("module.zero_grad()")
    grads = [p.grad for p in f.parameters().values()]
    return grads, [None] * len(grads)


@law("deterministic", examples=50)
def a_module_can_be_printed(f: Subject, x: Any, draw: Any) -> Any:
    """A module prints as its class, with its parts in parentheses. [torch] Module.__repr__."""
    start = f.run("repr(module).partition('(')[0]")
    f.run("str(module) + module.extra_repr() + f'{module}'")
    return start, f.run("type(module).__name__")


# --- custom modules with data of their own -----------------------------------------------------------

#: How data is registered, where ``persistent`` says whether it is part of the state dict,
_REGISTERED = (
    "self.register_buffer(name, value, persistent=persistent)",
    "self.register_buffer(name, value, persistent)",
    "setattr(self, name, nn.Buffer(value, persistent))",
    "setattr(self, name, nn.Buffer(value, persistent=persistent))",
)
#: and where it is.
_REGISTERED_BY_DEFAULT = ("self.register_buffer(name, value)", "setattr(self, name, nn.Buffer(value))")

_HOLDER = """class Holder(nn.Module):
    def __init__(self, persistent=True, **values):
        super().__init__()
        for name, value in values.items():
            {}"""

#: The module itself, or one of plain torch that it is a part of, and the way from there to it.
_WITHIN = (
    ("holder", ""),
    ("torch.nn.ModuleList([holder])", "[0]"),
    ("torch.nn.Sequential(torch.nn.Tanh(), torch.nn.ModuleDict({'a': holder}))", "[1]['a']"),
)


def _nests(leaves: Sequence[str] = ("x", "x.keys", "x.block(0)", "x.block(0).samples")) -> Any:
    """The code of nests of a map, of its keys, of a block of it and labels of that, or of nothing."""
    empty = st.sampled_from(["[]", "{}", "()"])

    def nest(inner: Any) -> Any:
        items = st.lists(inner, min_size=1, max_size=3)
        return st.one_of(
            items.map(lambda codes: f"[{', '.join(codes)}]"),
            items.map(lambda codes: f"({', '.join(codes)},)"),
            items.map(lambda codes: f"{{{', '.join(f'{i!r}: {c}' for i, c in _named(codes))}}}"),
        )

    leaf = st.sampled_from(leaves)
    deep = st.recursive(leaf | leaf | empty, nest, max_leaves=4).filter(lambda code: "x" in code)
    return leaf | nest(leaf | empty | leaf).filter(lambda code: "x" in code) | deep | empty


def _named(codes: Sequence[str]) -> list[tuple[str | int, str]]:
    return list(zip(("a", 1, "b"), codes, strict=False))


def _code(nest: str, x: TensorMap) -> str:
    """The code for this map: where it has no blocks, with itself in their place."""
    if len(x):
        return nest
    return nest.replace("x.block(0).samples", "x.keys").replace("x.block(0)", "x")


def _value(code: str, x: TensorMap) -> Any:
    return eval(code, {"x": x})


def _each(nest: Any, function: Callable[[Any], Any]) -> Any:
    """A nest with ``function`` of the data in it."""
    if isinstance(nest, dict):
        return {key: _each(item, function) for key, item in nest.items()}
    if isinstance(nest, (list, tuple)):
        return type(nest)(_each(item, function) for item in nest)
    return function(nest)


def _of_values(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Any], Any]:
    """The function of the values of maps and blocks, gradients' included; labels stay."""

    def of_data(data: Any) -> Any:
        if isinstance(data, TensorMap):
            return TensorMap(data.keys, [block._map_values(function) for block in data])
        return data._map_values(function) if isinstance(data, TensorBlock) else data

    return of_data


def _as_torch(conversion: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """What a conversion makes of a buffer of a torch.nn.Module."""

    def converted(values: torch.Tensor) -> torch.Tensor:
        module = torch.nn.Module()
        module.register_buffer("values", values)
        eval(f"module{conversion}", {"module": module, "torch": torch})
        return module.get_buffer("values")

    return converted


def _disguised_labels(labels: Labels) -> Labels:
    return Labels(labels.names, labels.values ^ 1)


def _disguised(x: TensorMap) -> TensorMap:
    """A map of the same shapes, where all else is different: labels and values."""

    def of_block(block: TensorBlock) -> TensorBlock:
        new = TensorBlock(
            1 - block.values if block.dtype != torch.bool else ~block.values,
            _disguised_labels(block.samples),
            [_disguised_labels(component) for component in block.components],
            _disguised_labels(block.properties),
        )
        for parameter, gradient in block.gradients():
            components = gradient.components
            extra = len(components) - len(block.components)
            components = [*components[:extra], *new.components]
            values = 1 - gradient.values
            new.add_gradient(
                parameter, TensorBlock(values, gradient.samples, components, new.properties)
            )
        return new

    return TensorMap(_disguised_labels(x.keys), [of_block(block) for block in x])


def _refused(result: Any) -> Any:
    """Nothing to compare where it was refused, and else that it wasn't."""
    return None if isinstance(result, Refused) else (result, Refused())


def _define(f: Data, draw: Any, *, persistent: bool = True) -> None:
    """Define ``Holder``, a module that registers what it is given by name."""
    ways = (*_REGISTERED, *(_REGISTERED_BY_DEFAULT if persistent else ()))
    f.run(_HOLDER.format(draw(st.sampled_from(ways), label="registered")))


def _hold(f: Data, x: TensorMap, draw: Any, *, nests: Any = None, persistent: bool = True) -> str:
    """Make ``holder``, a module whose ``value`` is a nest of parts of ``x``. Returns the nest's code."""
    _define(f, draw, persistent=persistent)
    code = _code(draw(_nests() if nests is None else nests, label="nest"), x)
    f.run(f"value = {code}", x=x)
    f.run(f"holder = Holder(persistent={persistent}, value=value)")
    return code


_FLOATS = {
    "dtypes": dtypes(allow_half=True),
    "max_gradients": 1,
    "min_blocks": 1,
    "max_blocks": 2,
}
_ANY_DTYPE = {
    "dtypes": dtypes(allow_half=True, allow_integers=True, allow_complex=True),
    "max_blocks": 2,
}
#: The dtypes that a file can have.
_STORED = {
    "dtypes": dtypes(allow_half=True, allow_integers=True, allow_complex=True).filter(
        lambda dtype: dtype != torch.bfloat16
    ),
    "max_gradients": 1,
    "max_blocks": 2,
}


_NOT_DOUBLE = st.sampled_from((torch.float32, torch.float16))


@data_law("any_module", maps=_ANY_DTYPE)
def what_is_registered_is_the_attribute(f: Data, x: Any, draw: Any) -> Any:
    """Labels, blocks and maps that are registered as buffers, and lists, tuples and dictionaries of
    them, nested and empty, are attributes of the module as they are. [doc] Module.register_buffer:
    "arbitrarily nested dict, list, or tuple of metatensor values"."""
    code = _hold(f, x, draw, persistent=draw(st.booleans(), label="persistent"))
    return f.run("holder.value"), _value(code, x)


@data_law("any_module", maps=_FLOATS)
def buffers_are_converted_as_torchs_are(f: Data, x: Any, draw: Any) -> Any:
    """Conversions give the values of maps and blocks in buffers another dtype, gradients' included, at
    any depth, persistent or not, and leave labels; they return the module. [doc] Module: "properly
    moved to other dtype and devices when calling .to(), .cuda(), .float()"."""
    code = _hold(f, x, draw, persistent=draw(st.booleans(), label="persistent"))
    within, path = draw(st.sampled_from(_WITHIN), label="within")
    how = draw(st.sampled_from(_CONVERSIONS), label="conversion")
    f.run(f"outer = {within}")
    y = f.run(f"y = outer{how}{path}.value")
    return y, _each(_value(code, x), _of_values(_as_torch(how)))


@data_law("any_module", maps=_ANY_DTYPE, examples=50)
def conversions_leave_what_torchs_leave(f: Data, x: Any, draw: Any) -> Any:
    """Conversions leave integers what they are, and complex numbers where torch does. [torch]
    Module.to: "floating point or complex parameters and buffers"; .double(): floating point ones."""
    code = _hold(f, x, draw, nests=_nests(("x", "x.block(0)")))
    how = draw(st.sampled_from(_CONVERSIONS), label="conversion")
    y = f.run(f"y = holder{how}.value")
    return y, _each(_value(code, x), _of_values(_as_torch(how)))


@data_law("any_module", maps=_ANY_DTYPE, examples=50)
def moves_keep_the_dtype(f: Data, x: Any, draw: Any) -> Any:
    """Moves change no dtype. [torch] Module.to(device) and .cpu() leave dtypes unchanged."""
    code = _hold(f, x, draw)
    return f.run(f"y = holder{draw(st.sampled_from(_MOVES), label='move')}.value"), _value(code, x)


@data_law("any_module", maps=_FLOATS, examples=50)
def conversions_leave_what_was_registered(f: Data, x: Any, draw: Any) -> Any:
    """A conversion leaves the map that was registered as it was: the module has a new one. [torch]
    Module.to replaces buffers, it doesn't change their tensors."""
    _hold(f, x, draw)
    f.run(f"y = holder{draw(st.sampled_from(_CONVERSIONS), label='conversion')}.value")
    return f.run("x"), x


@data_law("any_module", maps=_STORED)
def buffers_are_saved_and_loaded(f: Data, x: Any, draw: Any) -> Any:
    """Loaded into a module with other data of the same shapes, a state dict gives its buffers: labels
    and values. [doc] Module: "We also handle the corresponding data in state_dict() and
    load_state_dict()"."""
    code = _hold(f, x, draw)
    within, _ = draw(st.sampled_from(_WITHIN), label="within")
    f.run(f"outer = {within}")
    f.run(f"other = Holder(value={code})", x=_disguised(x))
    f.run(f"into = {within.replace('holder', 'other')}")
    f.run(draw(st.sampled_from(_STATES), label="how").format(of="outer"))
    f.run("reported = list(into.load_state_dict(state))")
    return [f.run("reported"), f.run("other.value")], [[[], []], _value(code, x)]


@data_law("any_module", maps=_FLOATS, examples=50)
def converted_buffers_are_saved_and_loaded(f: Data, x: Any, draw: Any) -> Any:
    """After a conversion, a state dict is loaded into a module that was converted alike, whatever the
    dtype. [torch] state_dict and load_state_dict are for buffers of every dtype that a conversion
    gives."""
    _define(f, draw)
    code = _code(draw(_nests(), label="nest"), x)
    how = draw(st.sampled_from((".bfloat16()", ".half()", ".double()")), label="conversion")
    f.run(f"other = Holder(value={code}){how}", x=_disguised(x))
    f.run(f"holder = Holder(value={code}){how}", x=x)
    f.run("reported = list(other.load_state_dict(holder.state_dict()))")
    return f.run("y = other.value"), _each(_value(code, x), _of_values(_as_torch(how)))


@data_law("any_module", maps={**_STORED, "dtypes": _NOT_DOUBLE}, examples=50)
def loading_keeps_the_dtype_of_buffers_or_assigns_it(f: Data, x: Any, draw: Any) -> Any:
    """Loaded values of maps and blocks have the dtype that they had in the module, or, with assign=True,
    that of the state dict. [torch] load_state_dict: where assign is False, "the properties of the
    tensors in the current module are preserved", where True those "of the Tensors in the state dict"."""
    _define(f, draw)
    code = _code(draw(_nests(), label="nest"), x)
    f.run(f"holder, other = Holder(value={code}), Holder(value={code}).double()", x=x)
    f.run("reported = list(other.load_state_dict(holder.state_dict()))")
    kept = f.run("y = other.value")
    f.run("reported = list(other.load_state_dict(holder.state_dict(), assign=True))")
    taken, value = f.run("z = other.value"), _value(code, x)
    return [kept, taken], [_each(value, _of_values(torch.Tensor.double)), value]


@data_law("any_module", maps=_STORED)
def buffers_that_are_not_persistent_are_no_state(f: Data, x: Any, draw: Any) -> Any:
    """What is not persistent is not part of the state dict: loading one leaves it, and nothing is
    missing or unexpected. [doc] register_buffer: "whether the buffer is part of the module's
    state_dict"."""
    code = _hold(f, x, draw, persistent=False)
    y = _disguised(x)
    f.run(f"other = Holder(persistent=False, value={code})", x=y)
    f.run("reported = list(other.load_state_dict(holder.state_dict()))")
    return [f.run("reported"), f.run("other.value")], [[[], []], _value(code, y)]


@data_law("any_module", maps=_STORED)
def buffers_are_loaded_by_name(f: Data, x: Any, draw: Any) -> Any:
    """Of several buffers, each is loaded under its own name; one that is None stays so. [torch]
    load_state_dict goes by name, and a buffer that is None is no part of it."""
    _define(f, draw)
    a, b = (_code(draw(_nests(), label=label), x) for label in ("a", "b"))
    y = _disguised(x)
    f.run("x = x", x=x)
    f.run("y = y", y=y)
    there = {"a": a, "none": "None", "b": b.replace("x", "y"), "t": "torch.ones(2)"}
    here = {"b": b, "t": "torch.zeros(2)", "none": "None", "a": a.replace("x", "y")}
    f.run(f"holder = Holder({', '.join(f'{n}={c}' for n, c in there.items())})")
    f.run(f"other = Holder({', '.join(f'{n}={c}' for n, c in here.items())})")
    f.run("reported = list(other.load_state_dict(holder.state_dict()))")
    found = [f.run(code) for code in ("reported", "other.a", "other.b", "other.none", "other.t")]
    return found, [[[], []], _value(a, x), _value(b, y), None, torch.ones(2)]


@data_law("any_module", maps=_STORED, examples=50)
def strict_loading_notices_buffers(f: Data, x: Any, draw: Any) -> Any:
    """A state dict with a buffer that the module doesn't have, or without one that it has, is refused
    where loading is strict. [torch] load_state_dict: strict."""
    _define(f, draw)
    code = _code(draw(_nests(), label="nest"), x)
    names = ["value=value", "value=value, more=value"]
    one, other = draw(st.permutations(names), label="buffers")
    f.run(f"value = {code}", x=x)
    f.run(f"holder = Holder({one})\nother = Holder({other})")
    return _refused(f.attempt_to_run("list(other.load_state_dict(holder.state_dict()))"))


@data_law("any_module", maps=_STORED, examples=50)
def other_loading_leaves_the_rest(f: Data, x: Any, draw: Any) -> Any:
    """Where loading isn't strict, buffers that the state dict hasn't stay, and those of one name are
    loaded. [torch] load_state_dict: strict."""
    _define(f, draw)
    code = _code(draw(_nests(), label="nest"), x)
    y = _disguised(x)
    f.run(f"there = {code}", x=x)
    f.run(f"here = {code}", x=y)
    f.run("holder = Holder(shared=there, theirs=there)\nother = Holder(shared=here, own=here)")
    f.run("list(other.load_state_dict(holder.state_dict(), strict=False)) is None")
    return [f.run("other.shared"), f.run("other.own")], [_value(code, x), _value(code, y)]


@data_law("any_module", maps=_STORED, examples=20)
def other_loading_adds_nothing(f: Data, x: Any, draw: Any) -> Any:
    """Where loading isn't strict, buffers that the module hasn't are left out. [torch] load_state_dict:
    unexpected keys are ignored."""
    _define(f, draw)
    code = _code(draw(_nests(), label="nest"), x)
    f.run(f"holder, other = Holder(shared={code}, theirs={code}), Holder(shared={code})", x=x)
    f.run("list(other.load_state_dict(holder.state_dict(), strict=False)) is None")
    return f.run("hasattr(other, 'theirs')"), False


#: Nests with something else in them, most of them with data beside it.
_AROUND = (
    "({}, x)",
    "(x.keys, {})",
    "[x, {}]",
    "[{}, x.keys]",
    "{{'a': x, 'b': {}}}",
    "{{'b': {}, 'a': x.keys}}",
    "[x.keys, [{}]]",
    "({},)",
    "[{}]",
    "{{1: {}}}",
)


@data_law("any_module", maps=_FLOATS)
def what_is_no_data_is_refused_or_kept(f: Data, x: Any, draw: Any) -> Any:
    """Where something else is registered, alone or within a nest, that is refused; or else it is what
    it was after a conversion, after loading, or these are refused. [doc] Module.register_buffer:
    tensors, metatensor values, and nests of these."""
    _define(f, draw)
    foreign = draw(st.sampled_from(["3", "'a'", "None"]), label="foreign")
    code = draw(st.sampled_from(_AROUND), label="nest").format(foreign)
    if isinstance(f.attempt_to_run(f"holder = Holder(value={code})", x=x), Refused):
        return None
    expected = _value(code, x)
    if draw(st.booleans(), label="converted"):
        y = f.attempt_to_run("y = holder.double().value")
        expected = _each(expected, _of_values(torch.Tensor.double))
    else:
        f.run("other = Holder(value=None)")
        loaded = f.attempt_to_run("list(other.load_state_dict(holder.state_dict()))")
        y = loaded if isinstance(loaded, Refused) else f.run("y = other.value")
    return None if isinstance(y, Refused) else (y, expected)


@data_law("any_module", maps={"max_blocks": 2}, examples=50)
def tensors_in_nests_are_refused_or_buffers(f: Data, x: Any, draw: Any) -> Any:
    """A tensor within a nest is refused, when it is registered or later, or converted as a buffer is.
    [doc] Module.register_buffer: nests are "of metatensor values"; [torch] buffers are converted."""
    _define(f, draw)
    code = draw(st.sampled_from(_AROUND), label="nest").format("torch.ones(2)")
    if isinstance(f.attempt_to_run(f"holder = Holder(value={code})", x=x), Refused):
        return None
    y = f.attempt_to_run("y = holder.double().value")
    expected = eval(code, {"x": x, "torch": torch})
    converted = _each(expected, lambda v: v.double() if isinstance(v, torch.Tensor) else _doubled(v))
    return None if isinstance(y, Refused) else (y, converted)


def _doubled(data: Any) -> Any:
    return _of_values(torch.Tensor.double)(data)


#: A class with something of every kind under the name ``taken``.
_TAKEN = {
    "a parameter": "self.taken = torch.nn.Parameter(torch.ones(1))",
    "a module": "self.taken = torch.nn.Tanh()",
    "an attribute": "self.taken = 3",
}
_TAKES = """class Takes(nn.Module):
    def __init__(self, name, value):
        super().__init__()
        {}
        self.register_buffer(name, value)"""


@data_law("any_module", maps={"min_blocks": 1, "max_blocks": 2}, examples=50)
def names_of_parts_are_refused(f: Data, x: Any, draw: Any) -> Any:
    """The name of a parameter or a module is refused for a buffer. [torch] register_buffer: a KeyError
    where an attribute of that name exists."""
    code = _code(draw(_nests(), label="nest"), x)
    by = draw(st.sampled_from(["a parameter", "a module"]), label="by")
    f.run(_TAKES.format(_TAKEN[by]))
    f.run(f"value = {code}", x=x)
    return _refused(f.attempt_to_run("holder = Takes('taken', value)"))


@data_law("any_module", maps={"min_blocks": 1, "max_blocks": 2}, examples=50)
def names_that_torch_refuses_are_refused(f: Data, x: Any, draw: Any) -> Any:
    """A name that is taken by another attribute or a method, that is empty or has a dot, is refused for
    a buffer. [torch] register_buffer: a KeyError."""
    code = _code(draw(_nests(), label="nest"), x)
    f.run(_TAKES.format(_TAKEN["an attribute"]))
    f.run(f"value = {code}", x=x)
    name = draw(st.sampled_from(["taken", "forward", "training", "a.b", ""]), label="name")
    return _refused(f.attempt_to_run(f"holder = Takes({name!r}, value)"))


@data_law("any_module", maps=_STORED, examples=50)
def a_name_is_one_buffer(f: Data, x: Any, draw: Any) -> Any:
    """Registered again, a name stands for the new value, or that is refused and it stands for the old
    one: in the attribute, and in the state dict. [torch] names in a state dict are unique."""
    _define(f, draw)
    old, new = (_code(draw(_nests(), label=label), x) for label in ("old", "new"))
    y = _disguised(x)
    f.run(f"old = {old}", x=x)
    f.run(f"new = {new}", x=y)
    f.run("holder = Holder(value=old)")
    again = f.attempt_to_run("holder.register_buffer('value', new)")
    expected = _value(old, x) if isinstance(again, Refused) else _value(new, y)
    f.run("other = Holder(value=new)")
    f.run("list(other.load_state_dict(holder.state_dict()))")
    return [f.run("holder.value"), f.run("other.value")], [expected, expected]


@data_law("any_module", examples=20)
def what_is_neither_tensor_nor_data_is_refused(f: Data, x: Any, draw: Any) -> Any:
    """What is neither a tensor, nor data, nor a container, is refused for a buffer. [doc]
    Module.register_buffer: a tensor, metatensor values, or nests of them; [torch] a TypeError."""
    _define(f, draw)
    values = st.sampled_from(["3", "'a'", "{1}", "torch.float32", "object()", "torch.nn.Tanh()"])
    return _refused(f.attempt_to_run(f"holder = Holder(value={draw(values, label='value')})"))


@data_law("any_module", examples=50)
def tensors_are_torchs_buffers(f: Data, x: Any, draw: Any) -> Any:
    """A tensor is a buffer as it is of a torch.nn.Module: under its name, part of the state dict where
    it is persistent, and converted. [doc] register_buffer: the same as torch's for a tensor."""
    persistent = draw(st.booleans(), label="persistent")
    values = draw(_TENSORS, label="values")
    _define(f, draw, persistent=persistent)
    f.run(f"holder = Holder(persistent={persistent}, value=values)", values=values)
    is_it = f.run("dict(holder.named_buffers())['value'] is values")
    kept = f.run("'value' in holder.state_dict()")
    how = draw(st.sampled_from(_CONVERSIONS), label="conversion")
    found = f.run(f"y = holder{how}.value")
    return [is_it, kept, found], [True, persistent, _as_torch(how)(values)]


_TENSORS = st.sampled_from(
    [torch.ones(2), torch.zeros(0, dtype=torch.int64), torch.tensor([1, 2]), torch.tensor([1.5 + 1j])]
)


#: Containers of empty ones: no document says whether they can be registered.
_NESTED_EMPTY = ("[[]]", "([], {'a': ()})")


@data_law("any_module", maps=_STORED, examples=50)
def a_new_value_takes_the_place_of_the_old(f: Data, x: Any, draw: Any) -> Any:
    """What is assigned to a buffer takes its place: it is converted, saved and loaded. [torch] a tensor
    that is assigned to a buffer is the buffer."""
    _hold(f, x, draw)
    y = _disguised(x)
    new = _code(draw(_nests() | st.sampled_from([*_NESTED_EMPTY, "None"]), label="new"), x)
    f.run(f"holder.value = {new}", x=y)
    now = f.run("holder.value")
    f.run(f"other = Holder(value={'[]' if new in _NESTED_EMPTY else new})", x=x)
    f.run("list(other.load_state_dict(holder.state_dict()))")
    expected = _value(new, y)
    return [now, f.run("other.value"), f.run("holder.half().value is None")], [
        expected,
        expected,
        expected is None,
    ]


@data_law("any_module", maps={"max_blocks": 2}, examples=50)
def a_buffer_that_is_deleted_is_gone(f: Data, x: Any, draw: Any) -> Any:
    """Without a buffer that was deleted, a module is converted and loaded as one that never had it.
    [torch] del module.name removes a buffer."""
    _define(f, draw)
    code = _code(draw(_nests(), label="nest"), x)
    f.run(f"value = {code}", x=x)
    f.run("holder = Holder(kept=value, gone=value)\nother = Holder(kept=value)")
    f.run("del holder.gone\nholder.double()")
    reported = f.run("reported = list(other.load_state_dict(holder.state_dict()))")
    return [reported, f.run("hasattr(holder, 'gone')")], [[[], []], False]


@data_law("any_module", maps=_STORED, examples=50)
def a_copy_of_buffers_is_its_own(f: Data, x: Any, draw: Any) -> Any:
    """A deep copy has the same buffers, and what becomes of the copy makes no difference to the module.
    [torch] a deep copy shares nothing."""
    code = _hold(f, x, draw)
    f.run("other = copy.deepcopy(holder)")
    copied = f.run("other.value")
    f.run("other.half()\nother.value = None")
    return [copied, f.run("holder.value")], [_value(code, x)] * 2


@data_law("any_module", maps=_ANY_DTYPE, examples=50)
def modules_with_buffers_print(f: Data, x: Any, draw: Any) -> Any:
    """A module prints as its class with its parts, whatever its buffers. [torch] Module.__repr__."""
    _hold(f, x, draw)
    return f.run("repr(torch.nn.ModuleList([holder]))"), "ModuleList(\n  (0): Holder()\n)"


@data_law("any_module", maps={"max_blocks": 2}, examples=50)
def parts_are_registered_beside_buffers(f: Data, x: Any, draw: Any) -> Any:
    """Parameters, tensors, modules and attributes of a custom module are what they are in torch's,
    beside buffers of data. [torch] Module.__setattr__."""
    code = _code(draw(_nests(), label="nest"), x)
    f.run(
        "class Custom(nn.Module):\n"
        "    def __init__(self, value):\n"
        "        super().__init__()\n"
        "        self.weight = torch.nn.Parameter(torch.ones(2))\n"
        "        self.value = nn.Buffer(value)\n"
        "        self.linear = torch.nn.Linear(1, 1)\n"
        "        self.register_buffer('t', torch.ones(1))\n"
        "        self.number = 3"
    )
    f.run(f"custom = Custom({code})", x=x)
    found = [
        f.run("[name for name, _ in custom.named_parameters()]"),
        f.run("[name for name, _ in custom.named_children()]"),
        f.run("'t' in dict(custom.named_buffers())"),
        f.run("custom.number"),
        f.run("{'weight', 't', 'linear.weight', 'linear.bias'} <= set(custom.state_dict())"),
        f.run("custom.value"),
    ]
    expected = [["weight", "linear.weight", "linear.bias"], ["linear"], True, 3, True, _value(code, x)]
    return found, expected


@data_law("any_module", maps={"max_blocks": 1}, examples=20)
def parts_stay_where_only_the_module_is_emptied(f: Data, x: Any, draw: Any) -> Any:
    """to_empty with recurse=False leaves the parts of a module where they are. [torch] Module.to_empty:
    recurse is "whether parameters and buffers of submodules should be recursively moved"."""
    _define(f, draw)
    f.run("holder = Holder(value=torch.ones(2))\nholder.part = torch.nn.Linear(1, 1)")
    f.run("holder.to_empty(device='meta', recurse=False) is holder")
    return f.run("[holder.value.is_meta, holder.part.weight.is_meta]"), [True, False]


@data_law("any_module_map", maps={"min_blocks": 1, "min_properties": 1}, examples=20)
def lazy_modules_are_made_by_what_is_loaded(f: Data, x: Any, draw: Any) -> Any:
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
