"""Laws of buffers that are saved and loaded."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ..law import data_law
from ..session import Session
from ._holders import (
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
from ._ways import STATES

_NOT_DOUBLE = st.sampled_from((torch.float32, torch.float16))


@data_law("any_module", maps=STORED)
def buffers_are_saved_and_loaded(f: Session, x: Any, draw: Any) -> Any:
    """Loaded into a module with other data of the same shapes, a state dict gives its buffers: labels
    and values. [doc] Module: "We also handle the corresponding data in state_dict() and
    load_state_dict()"."""
    code = make_holder(f, x, draw)
    within, _ = draw(st.sampled_from(WITHIN), label="within")
    f.run(f"outer = {within}")
    f.run(f"other = Holder(value={code})", x=disguised(x))
    f.run(f"into = {within.replace('holder', 'other')}")
    f.run(draw(st.sampled_from(STATES), label="how").format(of="outer"))
    f.run("reported = list(into.load_state_dict(state))")
    return [f.run("reported"), f.run("other.value")], [[[], []], value_of(code, x)]


@data_law("any_module", maps=FLOATS)
def converted_buffers_are_saved_and_loaded(f: Session, x: Any, draw: Any) -> Any:
    """After a conversion, a state dict is loaded into a module that was converted alike, whatever the
    dtype. [torch] state_dict and load_state_dict are for buffers of every dtype that a conversion
    gives."""
    define_holder(f, draw)
    code = code_for(draw(nests(), label="nest"), x)
    how = draw(st.sampled_from((".bfloat16()", ".half()", ".double()")), label="conversion")
    f.run(f"other = Holder(value={code}){how}", x=disguised(x))
    f.run(f"holder = Holder(value={code}){how}", x=x)
    f.run("reported = list(other.load_state_dict(holder.state_dict()))")
    return f.run("y = other.value"), each(value_of(code, x), of_values(as_torch(how)))


@data_law("any_module", maps={**STORED, "dtypes": _NOT_DOUBLE})
def loading_keeps_the_dtype_of_buffers_or_assigns_it(f: Session, x: Any, draw: Any) -> Any:
    """Loaded values of maps and blocks have the dtype that they had in the module, or, with assign=True,
    that of the state dict. [torch] load_state_dict: where assign is False, "the properties of the
    tensors in the current module are preserved", where True those "of the Tensors in the state dict"."""
    define_holder(f, draw)
    code = code_for(draw(nests(), label="nest"), x)
    f.run(f"holder, other = Holder(value={code}), Holder(value={code}).double()", x=x)
    f.run("reported = list(other.load_state_dict(holder.state_dict()))")
    kept = f.run("y = other.value")
    f.run("reported = list(other.load_state_dict(holder.state_dict(), assign=True))")
    taken, value = f.run("z = other.value"), value_of(code, x)
    return [kept, taken], [each(value, of_values(torch.Tensor.double)), value]


@data_law("any_module", maps=STORED)
def buffers_that_are_not_persistent_are_no_state(f: Session, x: Any, draw: Any) -> Any:
    """What is not persistent is not part of the state dict: loading one leaves it, and nothing is
    missing or unexpected. [doc] register_buffer: "whether the buffer is part of the module's
    state_dict"."""
    code = make_holder(f, x, draw, persistent=False)
    y = disguised(x)
    f.run(f"other = Holder(persistent=False, value={code})", x=y)
    f.run("reported = list(other.load_state_dict(holder.state_dict()))")
    return [f.run("reported"), f.run("other.value")], [[[], []], value_of(code, y)]


@data_law("any_module", maps=STORED)
def buffers_are_loaded_by_name(f: Session, x: Any, draw: Any) -> Any:
    """Of several buffers, each is loaded under its own name; one that is None stays so. [torch]
    load_state_dict goes by name, and a buffer that is None is no part of it."""
    define_holder(f, draw)
    a, b = (code_for(draw(nests(), label=label), x) for label in ("a", "b"))
    y = disguised(x)
    f.run("x = x", x=x)
    f.run("y = y", y=y)
    there = {"a": a, "none": "None", "b": b.replace("x", "y"), "t": "torch.ones(2)"}
    here = {"b": b, "t": "torch.zeros(2)", "none": "None", "a": a.replace("x", "y")}
    f.run(f"holder = Holder({', '.join(f'{n}={c}' for n, c in there.items())})")
    f.run(f"other = Holder({', '.join(f'{n}={c}' for n, c in here.items())})")
    f.run("reported = list(other.load_state_dict(holder.state_dict()))")
    found = [f.run(code) for code in ("reported", "other.a", "other.b", "other.none", "other.t")]
    return found, [[[], []], value_of(a, x), value_of(b, y), None, torch.ones(2)]


@data_law("any_module", maps=STORED)
def strict_loading_notices_buffers(f: Session, x: Any, draw: Any) -> Any:
    """A state dict with a buffer that the module doesn't have, or without one that it has, is refused
    where loading is strict. [torch] load_state_dict: strict."""
    define_holder(f, draw)
    code = code_for(draw(nests(), label="nest"), x)
    names = ["value=value", "value=value, more=value"]
    one, other = draw(st.permutations(names), label="buffers")
    f.run(f"value = {code}", x=x)
    f.run(f"holder = Holder({one})\nother = Holder({other})")
    return must_be_refused(f.attempt_to_run("list(other.load_state_dict(holder.state_dict()))"))


@data_law("any_module", maps=STORED)
def non_strict_loading_keeps_other_buffers(f: Session, x: Any, draw: Any) -> Any:
    """Where loading isn't strict, buffers that the state dict hasn't stay, and those of one name are
    loaded. [torch] load_state_dict: strict."""
    define_holder(f, draw)
    code = code_for(draw(nests(), label="nest"), x)
    y = disguised(x)
    f.run(f"there = {code}", x=x)
    f.run(f"here = {code}", x=y)
    f.run("holder = Holder(shared=there, theirs=there)\nother = Holder(shared=here, own=here)")
    f.run("list(other.load_state_dict(holder.state_dict(), strict=False)) is None")
    return [f.run("other.shared"), f.run("other.own")], [value_of(code, x), value_of(code, y)]


@data_law("any_module", maps=STORED)
def other_loading_adds_nothing(f: Session, x: Any, draw: Any) -> Any:
    """Where loading isn't strict, buffers that the module hasn't are left out. [torch] load_state_dict:
    unexpected keys are ignored."""
    define_holder(f, draw)
    code = code_for(draw(nests(), label="nest"), x)
    f.run(f"holder, other = Holder(shared={code}, theirs={code}), Holder(shared={code})", x=x)
    f.run("list(other.load_state_dict(holder.state_dict(), strict=False)) is None")
    return f.run("hasattr(other, 'theirs')"), False
