"""Laws of buffers: labels, blocks and maps that a module of one's own keeps."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ...compare import Refused
from ..law import data_law
from ..session import Session
from ._holders import (
    ANY_DTYPE,
    FLOATS,
    STORED,
    WITHIN,
    as_torch,
    code_for,
    define_holder,
    disguised,
    each,
    make_holder,
    must_be_refused,
    nests,
    of_values,
    value_of,
)
from ._ways import CONVERSIONS, MOVES


@data_law("any_module", maps=ANY_DTYPE)
def what_is_registered_is_the_attribute(f: Session, x: Any, draw: Any) -> Any:
    """Labels, blocks and maps that are registered as buffers, and lists, tuples and dictionaries of
    them, nested and empty, are attributes of the module as they are. [doc] Module.register_buffer:
    "arbitrarily nested dict, list, or tuple of metatensor values"."""
    code = make_holder(f, x, draw, persistent=draw(st.booleans(), label="persistent"))
    return f.run("holder.value"), value_of(code, x)


@data_law("any_module", maps=FLOATS)
def buffers_are_converted_as_torchs_are(f: Session, x: Any, draw: Any) -> Any:
    """Conversions give the values of maps and blocks in buffers another dtype, gradients' included, at
    any depth, persistent or not, and leave labels; they return the module. [doc] Module: "properly
    moved to other dtype and devices when calling .to(), .cuda(), .float()"."""
    code = make_holder(f, x, draw, persistent=draw(st.booleans(), label="persistent"))
    within, path = draw(st.sampled_from(WITHIN), label="within")
    how = draw(st.sampled_from(CONVERSIONS), label="conversion")
    f.run(f"outer = {within}")
    y = f.run(f"y = outer{how}{path}.value")
    return y, each(value_of(code, x), of_values(as_torch(how)))


@data_law("any_module", maps=ANY_DTYPE)
def conversions_leave_what_torchs_leave(f: Session, x: Any, draw: Any) -> Any:
    """Conversions leave integers what they are, and complex numbers where torch does. [torch]
    Module.to: "floating point or complex parameters and buffers"; .double(): floating point ones."""
    code = make_holder(f, x, draw, nest=nests(("x", "x.block(0)")))
    how = draw(st.sampled_from(CONVERSIONS), label="conversion")
    y = f.run(f"y = holder{how}.value")
    return y, each(value_of(code, x), of_values(as_torch(how)))


@data_law("any_module", maps=ANY_DTYPE)
def moving_to_a_device_keeps_the_dtype(f: Session, x: Any, draw: Any) -> Any:
    """Moves change no dtype. [torch] Module.to(device) and .cpu() leave dtypes unchanged."""
    code = make_holder(f, x, draw)
    return f.run(f"y = holder{draw(st.sampled_from(MOVES), label='move')}.value"), value_of(code, x)


@data_law("any_module", maps=FLOATS)
def conversions_leave_what_was_registered(f: Session, x: Any, draw: Any) -> Any:
    """A conversion leaves the map that was registered as it was: the module has a new one. [torch]
    Module.to replaces buffers, it doesn't change their tensors."""
    make_holder(f, x, draw)
    f.run(f"y = holder{draw(st.sampled_from(CONVERSIONS), label='conversion')}.value")
    return f.run("x"), x


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


@data_law("any_module", maps=FLOATS)
def what_is_no_data_is_refused_or_kept(f: Session, x: Any, draw: Any) -> Any:
    """Where something else is registered, alone or within a nest, that is refused; or else it is what
    it was after a conversion, after loading, or these are refused. [doc] Module.register_buffer:
    tensors, metatensor values, and nests of these."""
    define_holder(f, draw)
    foreign = draw(st.sampled_from(["3", "'a'", "None"]), label="foreign")
    code = draw(st.sampled_from(_AROUND), label="nest").format(foreign)
    refused = f.attempt_to_run(f"holder = Holder(value={code})", x=x)
    if isinstance(refused, Refused):
        return refused
    expected = value_of(code, x)
    if draw(st.booleans(), label="converted"):
        y = f.attempt_to_run("y = holder.double().value")
        expected = each(expected, of_values(torch.Tensor.double))
    else:
        f.run("other = Holder(value=None)")
        loaded = f.attempt_to_run("list(other.load_state_dict(holder.state_dict()))")
        y = loaded if isinstance(loaded, Refused) else f.run("y = other.value")
    return y if isinstance(y, Refused) else (y, expected)


@data_law("any_module", maps={"max_blocks": 2})
def tensors_in_nests_are_refused_or_buffers(f: Session, x: Any, draw: Any) -> Any:
    """A tensor within a nest is refused, when it is registered or later, or converted as a buffer is.
    [doc] Module.register_buffer: nests are "of metatensor values"; [torch] buffers are converted."""
    define_holder(f, draw)
    code = draw(st.sampled_from(_AROUND), label="nest").format("torch.ones(2)")
    refused = f.attempt_to_run(f"holder = Holder(value={code})", x=x)
    if isinstance(refused, Refused):
        return refused
    y = f.attempt_to_run("y = holder.double().value")
    expected = eval(code, {"x": x, "torch": torch})
    converted = each(expected, lambda v: v.double() if isinstance(v, torch.Tensor) else _doubled(v))
    return y if isinstance(y, Refused) else (y, converted)


def _doubled(data: Any) -> Any:
    return of_values(torch.Tensor.double)(data)


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


@data_law("any_module", maps={"min_blocks": 1, "max_blocks": 2})
def a_buffer_cannot_take_the_name_of_a_part(f: Session, x: Any, draw: Any) -> Any:
    """The name of a parameter or a module is refused for a buffer. [torch] register_buffer: a KeyError
    where an attribute of that name exists."""
    code = code_for(draw(nests(), label="nest"), x)
    by = draw(st.sampled_from(["a parameter", "a module"]), label="by")
    f.run(_TAKES.format(_TAKEN[by]))
    f.run(f"value = {code}", x=x)
    return must_be_refused(f.attempt_to_run("holder = Takes('taken', value)"))


@data_law("any_module", maps={"min_blocks": 1, "max_blocks": 2})
def names_that_torch_refuses_are_refused(f: Session, x: Any, draw: Any) -> Any:
    """A name that is taken by another attribute or a method, that is empty or has a dot, is refused for
    a buffer. [torch] register_buffer: a KeyError."""
    code = code_for(draw(nests(), label="nest"), x)
    f.run(_TAKES.format(_TAKEN["an attribute"]))
    f.run(f"value = {code}", x=x)
    name = draw(st.sampled_from(["taken", "forward", "training", "a.b", ""]), label="name")
    return must_be_refused(f.attempt_to_run(f"holder = Takes({name!r}, value)"))


@data_law("any_module", maps=STORED)
def a_name_is_one_buffer(f: Session, x: Any, draw: Any) -> Any:
    """Registered again, a name stands for the new value, or that is refused and it stands for the old
    one: in the attribute, and in the state dict. [torch] names in a state dict are unique."""
    define_holder(f, draw)
    old, new = (code_for(draw(nests(), label=label), x) for label in ("old", "new"))
    y = disguised(x)
    f.run(f"old = {old}", x=x)
    f.run(f"new = {new}", x=y)
    f.run("holder = Holder(value=old)")
    again = f.attempt_to_run("holder.register_buffer('value', new)")
    expected = value_of(old, x) if isinstance(again, Refused) else value_of(new, y)
    f.run("other = Holder(value=new)")
    f.run("list(other.load_state_dict(holder.state_dict()))")
    return [f.run("holder.value"), f.run("other.value")], [expected, expected]


@data_law("any_module")
def what_is_neither_tensor_nor_data_is_refused(f: Session, x: Any, draw: Any) -> Any:
    """What is neither a tensor, nor data, nor a container, is refused for a buffer. [doc]
    Module.register_buffer: a tensor, metatensor values, or nests of them; [torch] a TypeError."""
    define_holder(f, draw)
    values = st.sampled_from(["3", "'a'", "{1}", "torch.float32", "object()", "torch.nn.Tanh()"])
    return must_be_refused(f.attempt_to_run(f"holder = Holder(value={draw(values, label='value')})"))


@data_law("any_module")
def tensors_are_torchs_buffers(f: Session, x: Any, draw: Any) -> Any:
    """A tensor is a buffer as it is of a torch.nn.Module: under its name, part of the state dict where
    it is persistent, and converted. [doc] register_buffer: the same as torch's for a tensor."""
    persistent = draw(st.booleans(), label="persistent")
    values = draw(_TENSORS, label="values")
    define_holder(f, draw, persistent=persistent)
    f.run(f"holder = Holder(persistent={persistent}, value=values)", values=values)
    is_it = f.run("dict(holder.named_buffers())['value'] is values")
    kept = f.run("'value' in holder.state_dict()")
    how = draw(st.sampled_from(CONVERSIONS), label="conversion")
    found = f.run(f"y = holder{how}.value")
    return [is_it, kept, found], [True, persistent, as_torch(how)(values)]


_TENSORS = st.sampled_from(
    [torch.ones(2), torch.zeros(0, dtype=torch.int64), torch.tensor([1, 2]), torch.tensor([1.5 + 1j])]
)
#: Containers of empty ones: no document says whether they can be registered.
_NESTED_EMPTY = ("[[]]", "([], {'a': ()})")


@data_law("any_module", maps=STORED)
def a_new_value_takes_the_place_of_the_old(f: Session, x: Any, draw: Any) -> Any:
    """What is assigned to a buffer takes its place: it is converted, saved and loaded. [torch] a tensor
    that is assigned to a buffer is the buffer."""
    make_holder(f, x, draw)
    y = disguised(x)
    new = code_for(draw(nests() | st.sampled_from([*_NESTED_EMPTY, "None"]), label="new"), x)
    f.run(f"holder.value = {new}", x=y)
    now = f.run("holder.value")
    f.run(f"other = Holder(value={'[]' if new in _NESTED_EMPTY else new})", x=x)
    f.run("list(other.load_state_dict(holder.state_dict()))")
    expected = value_of(new, y)
    return [now, f.run("other.value"), f.run("holder.half().value is None")], [
        expected,
        expected,
        expected is None,
    ]


@data_law("any_module", maps={"max_blocks": 2})
def a_buffer_that_is_deleted_is_gone(f: Session, x: Any, draw: Any) -> Any:
    """Without a buffer that was deleted, a module is converted and loaded as one that never had it.
    [torch] del module.name removes a buffer."""
    define_holder(f, draw)
    code = code_for(draw(nests(), label="nest"), x)
    f.run(f"value = {code}", x=x)
    f.run("holder = Holder(kept=value, gone=value)\nother = Holder(kept=value)")
    f.run("del holder.gone\nholder.double()")
    reported = f.run("reported = list(other.load_state_dict(holder.state_dict()))")
    return [reported, f.run("hasattr(holder, 'gone')")], [[[], []], False]


@data_law("any_module", maps=STORED)
def a_copy_of_buffers_is_its_own(f: Session, x: Any, draw: Any) -> Any:
    """A deep copy has the same buffers, and what becomes of the copy makes no difference to the module.
    [torch] a deep copy shares nothing."""
    code = make_holder(f, x, draw)
    f.run("other = copy.deepcopy(holder)")
    copied = f.run("other.value")
    f.run("other.half()\nother.value = None")
    return [copied, f.run("holder.value")], [value_of(code, x)] * 2


@data_law("any_module", maps=ANY_DTYPE)
def modules_with_buffers_print(f: Session, x: Any, draw: Any) -> Any:
    """A module prints as its class with its parts, whatever its buffers. [torch] Module.__repr__."""
    make_holder(f, x, draw)
    return f.run("repr(torch.nn.ModuleList([holder]))"), "ModuleList(\n  (0): Holder()\n)"


@data_law("any_module", maps={"max_blocks": 2})
def parts_are_registered_beside_buffers(f: Session, x: Any, draw: Any) -> Any:
    """Parameters, tensors, modules and attributes of a custom module are what they are in torch's,
    beside buffers of data. [torch] Module.__setattr__."""
    code = code_for(draw(nests(), label="nest"), x)
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
    expected = [["weight", "linear.weight", "linear.bias"], ["linear"], True, 3, True, value_of(code, x)]
    return found, expected


@data_law("any_module", maps={"max_blocks": 1})
def parts_stay_where_only_the_module_is_emptied(f: Session, x: Any, draw: Any) -> Any:
    """to_empty with recurse=False leaves the parts of a module where they are. [torch] Module.to_empty:
    recurse is "whether parameters and buffers of submodules should be recursively moved"."""
    define_holder(f, draw)
    f.run("holder = Holder(value=torch.ones(2))\nholder.part = torch.nn.Linear(1, 1)")
    f.run("holder.to_empty(device='meta', recurse=False) is holder")
    return f.run("[holder.value.is_meta, holder.part.weight.is_meta]"), [True, False]
