"""What is set for the whole process, which examples find as in a fresh one and leave as it was."""

from __future__ import annotations

import contextlib
import os
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, SimpleNamespace
from typing import Any

import hypothesis
import numpy as np
import torch
from torch.nn.modules import module as _modules
from torch.utils import _python_dispatch

from .steps import MODULES

_NAMES = dict(MODULES)
_ENVIRONMENT = "dict(os.environ)"
_UNLIKELY = 1_640_531_526
_STREAMS = ("stdin", "stdout", "stderr")


@dataclass(frozen=True)
class _Unreadable:
    """What can't be read, since that raises this."""

    error: str

    def __repr__(self) -> str:
        return f"unreadable: {self.error}"


class _Itself:
    """An object, whatever it says of itself: no other one is equal to it."""

    def __init__(self, it: Any) -> None:
        self.it = it

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.it is other.it

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        is_known = self.it is None or isinstance(self.it, _Stream)
        return repr(self.it) if is_known else object.__repr__(self.it)


class _Environment:
    """The variables of the environment as they are; decoding all of them takes longer than all else."""

    def __init__(self) -> None:
        variables: Any = os.environ
        self._data = dict(variables._data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Environment) and self._data == other._data

    __hash__ = None  # type: ignore[assignment]

    def variables(self) -> dict[str, str]:
        """The variables by their names."""
        name_of, value_of = os.environ.decodekey, os.environ.decodevalue
        return {name_of(name): value_of(value) for name, value in self._data.items()}

    def set_again(self) -> None:
        """Set them as they were."""
        os.environ.clear()
        os.environ.update(self.variables())


_NAMES |= {"Environment": _Environment, "Itself": _Itself}


def _hooks(name: str) -> Callable[[Any], None]:
    """What sets the hooks on all modules that torch keeps under a name: in place, for handles know them
    by what they are kept in."""

    def set_again(value: Any) -> None:
        if isinstance(value, dict):
            kept = getattr(_modules, name)
            kept.clear()
            kept.update(value)
        else:
            setattr(_modules, name, value)

    return set_again


def _leave_modes(
    length: Callable[[], int], pop: Callable[[], Any], push: Callable[[Any], None]
) -> Callable[[Any], None]:
    """What leaves the modes of torch on a stack that were not there."""

    def leave(wanted: Any) -> None:
        for mode in reversed([pop() for _ in range(length())]):
            if mode in wanted:
                push(mode)

    return leave


def _set_default_device(device: torch.device) -> None:
    # a default costs every call of torch's a little: on the CPU there is none
    torch.set_default_device(None if device.type == "cpu" else device)


_GLOBAL_HOOKS = {
    (f"dict({code})" if isinstance(value, dict) else code): _hooks(name)
    for name, value in vars(_modules).items()
    if name.startswith("_global_") and (code := f"torch.nn.modules.module.{name}")
}
#: The code that reads what is set, with what sets it. The last is set first: others may depend on it.
_SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "torch.is_grad_enabled()": torch.set_grad_enabled,
    "torch.get_default_dtype()": torch.set_default_dtype,
    "torch.get_default_device()": _set_default_device,
    "torch.get_num_threads()": torch.set_num_threads,
    "torch.is_autocast_enabled('cpu')": lambda value: torch.set_autocast_enabled("cpu", value),
    "torch.are_deterministic_algorithms_enabled()": torch.use_deterministic_algorithms,
    "torch.is_anomaly_enabled()": torch.autograd.set_detect_anomaly,
    "torch.get_float32_matmul_precision()": torch.set_float32_matmul_precision,
    "torch.initial_seed()": torch.default_generator.manual_seed,
    **_GLOBAL_HOOKS,
    "np.geterr()": lambda value: np.seterr(**value),
    "hypothesis.settings.get_current_profile_name()": hypothesis.settings.load_profile,
    "sys.getrecursionlimit()": sys.setrecursionlimit,
    "os.getcwd()": os.chdir,
    "time.time": lambda value: setattr(time, "time", value),
    "time.monotonic": lambda value: setattr(time, "monotonic", value),
    "time.perf_counter": lambda value: setattr(time, "perf_counter", value),
    _ENVIRONMENT: _Environment.set_again,
    "id(os.environ)": lambda value: setattr(os, "environ", value.it),
    # of these it is kept by contexts
    "list(warnings.filters)": lambda value: None,
    **dict.fromkeys([f"sys.{name}" for name in _STREAMS], lambda value: None),
    **dict.fromkeys([f"getattr(sys.{name}, 'closed', True)" for name in _STREAMS], lambda value: None),
    "torch.overrides._get_current_function_mode_stack()": _leave_modes(
        torch._C._len_torch_function_stack, torch.overrides._pop_mode, torch.overrides._push_mode
    ),
    "torch.utils._python_dispatch._get_current_dispatch_mode_stack()": _leave_modes(
        torch._C._len_torch_dispatch_stack, _python_dispatch._pop_mode, _python_dispatch._push_mode
    ),
}


def _readable(code: str) -> bool:
    """Whether this version of the libraries has what is read."""
    try:
        eval(code, _NAMES)
    except (AttributeError, TypeError):
        return False
    return True


_AFRESH = {
    "torch.is_grad_enabled()": True,
    "torch.get_default_dtype()": torch.float32,
    "torch.get_default_device()": torch.device("cpu"),
    "torch.get_num_threads()": 1,
    "torch.is_autocast_enabled('cpu')": False,
    "torch.are_deterministic_algorithms_enabled()": False,
    "torch.is_anomaly_enabled()": False,
}
#: What is read by other code than is shown.
_READ_AS = {
    _ENVIRONMENT: "Environment()",
    "id(os.environ)": "Itself(os.environ)",
    **{f"sys.{name}": f"Itself(sys.{name})" for name in _STREAMS},
}
_READ = {
    code: compile(_READ_AS.get(code, code), "<setting>", "eval") for code in _SETTINGS if _readable(code)
}
#: What seeds each source of random numbers, and the code that reads where it stands.
RANDOM = {
    "torch.manual_seed": "torch.get_rng_state().numpy().tobytes()",
    "np.random.seed": "np.random.get_state()[1].tobytes()",
    "random.seed": "random.getstate()",
}


def settings() -> dict[str, Any]:
    """What is set, by the code that reads it."""
    return {code: _value(compiled) for code, compiled in _READ.items()}


def _value(compiled: CodeType) -> Any:
    try:
        return eval(compiled, _NAMES)
    except Exception as error:  # a folder that is gone, a stream of theirs
        return _Unreadable(type(error).__name__)


def first_change(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """The code that reads the first of what is set otherwise: of variables of the environment, one. What
    can't be read any more comes last: another change may be why."""
    changed = [code for code, value in before.items() if after[code] != value]
    if not changed:
        return None
    code = min(changed, key=lambda code: isinstance(after[code], _Unreadable))
    then, now = before[code], after[code]
    if not (isinstance(then, _Environment) and isinstance(now, _Environment)):
        return code
    old, new = then.variables(), now.variables()
    name = next(name for name in sorted({**old, **new}) if old.get(name) != new.get(name))
    return f"os.environ.get({name!r})"


def read(code: str, found: Mapping[str, Any]) -> Any:
    """What the code of :func:`first_change` reads, where all that was ``found`` is set."""
    if code in found:
        return found[code]
    return eval(code, {"os": SimpleNamespace(environ=found[_ENVIRONMENT].variables())})


def seed(number: int) -> None:
    """Seed all sources of random numbers with one that nobody else takes."""
    for code in RANDOM:
        eval(f"{code}({_UNLIKELY + number})", _NAMES)


def numbers() -> dict[str, Any]:
    """Where the sources of random numbers stand, by the code that reads it."""
    return {code: eval(code, _NAMES) for code in RANDOM.values()}


def _set(wanted: dict[str, Any]) -> None:
    """Set what is set otherwise; some of it is dear to set."""
    now = settings()
    for code, value in reversed(wanted.items()):
        if code in now and now[code] != value and not isinstance(value, _Unreadable):
            with contextlib.suppress(Exception):  # a folder may be gone, and the rest is to be set
                _SETTINGS[code](value)


class _Stream:
    """A standard stream that can be closed without closing what it stands for."""

    def __init__(self, stream: Any, name: str) -> None:
        self._stream = stream
        self._name = name
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stream)

    def __repr__(self) -> str:
        return self._name


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """A context with other standard streams, which write to the same."""
    before = {name: getattr(sys, name) for name in _STREAMS}
    for name, stream in before.items():
        setattr(sys, name, stream if stream is None else _Stream(stream, f"sys.{name}"))
    try:
        yield
    finally:
        for name, stream in before.items():
            setattr(sys, name, stream)


@contextlib.contextmanager
def kept(before: dict[str, Any] | None = None) -> Iterator[None]:
    """A context after which all that is set for the process is what it was, which may be known."""
    before = settings() if before is None else before
    with warnings.catch_warnings(), _streams():
        try:
            yield
        finally:
            _set(before)


def set_afresh() -> None:
    """Set torch as it is in a fresh process, on one thread: the tensors of laws are small, and there may
    be workers beside this one."""
    _set(_AFRESH)


@contextlib.contextmanager
def as_in_a_fresh_one() -> Iterator[dict[str, Any]]:
    """A context in which torch is :func:`set_afresh`, and after which all is what it was, random numbers
    of Python and numpy, too. Gives what is set."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    with kept(), torch.inference_mode(False):
        set_afresh()
        try:
            yield settings()
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)
