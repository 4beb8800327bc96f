"""What does not wobble: operators called, memory allocated, instructions of the processor."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from .work import Work


class _Operators(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        self.counts[str(func)] += 1
        self.waits[str(func)] += _waits(func, args, kwargs, result)
        return result


#: Operators whose result, or its shape, depends on values, by torch's own account.
_DEPENDENT = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
#: Those for which that is so where one of the indices, the second argument, is a mask.
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
_MASKS = (torch.bool, torch.uint8)
#: Those that take tensors of two devices; the host waits in them unless they are not to block.
_COPIES = {"_to_copy", "copy_"}


def _waits(func: Any, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> bool:
    """Whether the host waits for a device to go on, or to have taken what it copies there."""
    name = func.overloadpacket.__name__
    if name in _INDEXING:
        return any(index is not None and index.dtype in _MASKS for index in args[1])
    given = [x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    were_on_device = {x.device.type != "cpu" for x in given}
    is_on_device = isinstance(result, torch.Tensor) and result.device.type != "cpu"
    if name in _COPIES and is_on_device and False in were_on_device:
        return not (kwargs.get("non_blocking") or True in args[2:])
    to_host = isinstance(result, torch.Tensor) and not is_on_device and True in were_on_device
    return bool(_DEPENDENT & set(func.tags)) or to_host


def operators(work: Work) -> Counter[str]:
    """How often each of torch's operators is called, those of autograd's backward included.

    Whatever implements a module, operators are what it asks of a device. Views are operators, too.
    """
    return _called(work).counts


def waits(work: Work) -> Counter[str]:
    """How often an operator is called that makes the host wait for the device, were there one: for the
    value of an element, for a shape that depends on values, for a copy to the host, for a copy from it
    without ``non_blocking``.

    Found by the operators, so there need not be a device, except for copies of whole tensors to the host
    (``.cpu()``, ``.numpy()``, ``.tolist()``): on the CPU they are no operators.
    """
    return +_called(work).waits


def _called(work: Work) -> _Operators:
    work()  # what is made by the first call only is no part of the work
    with _Operators() as found:
        work()
    return found


def peak_bytes(work: Work) -> int:
    """The most bytes of tensors that are in use at once, beyond those before, by torch's profiler.

    Raises RuntimeError where the profiler records no memory.
    """
    return max(itertools.accumulate(_memory(work)))


def allocations(work: Work) -> int:
    """How often memory is allocated for tensors, by torch's profiler.

    Raises RuntimeError where the profiler records no memory.
    """
    return sum(size > 0 for size in _memory(work))


def _memory(work: Work) -> list[int]:
    """The bytes that are allocated, in the order of time; those that are freed are negative."""
    work()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as p:
        work()
    changes = sorted(
        (event.start_ns(), event.nbytes())
        for event in p.profiler.kineto_results.events()
        if event.name() == "[memory]"
    )
    if not changes:
        raise RuntimeError("torch's profiler recorded no memory")
    return [size for _, size in changes]


#: So many calls of each work are counted, after so many in which Python adapts its code to them.
CALLS, WARM = 3, 10
#: Where a process under valgrind finds what callgrind writes.
_FOLDER = "TMREF_CALLGRIND_FOLDER"

_Name = TypeVar("_Name", bound=Hashable)


def no_valgrind() -> str:
    """Why instructions can't be counted here, and how they can; nothing where they can be."""
    if not torch._C._valgrind_supported_platform():
        return "instructions are counted by valgrind, which torch supports on Linux only"
    if shutil.which("valgrind") is None:
        return "instructions are counted by valgrind, which is not installed: apt-get install valgrind"
    return ""


def under_valgrind(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run this Python with these arguments where :func:`instructions` counts: that takes a minute, most
    of it the import of torch."""
    with tempfile.TemporaryDirectory() as folder:
        callgrind = [
            *("valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={folder}/out"),
            *("--instr-atstart=no", "--collect-atstart=no"),
        ]
        return subprocess.run(
            [*callgrind, sys.executable, *arguments],
            env={**environment, _FOLDER: folder},
            capture_output=True,
            text=True,
        )


def instructions(work: Mapping[_Name, Work]) -> dict[_Name, int]:
    """How many instructions of the processor a call of each work takes: the median over some calls.

    Raises RuntimeError in a process that :func:`under_valgrind` has not started.
    """
    if _FOLDER not in os.environ:
        raise RuntimeError("instructions are counted in processes that under_valgrind starts")
    for do in work.values():
        for _ in range(WARM):
            do()
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    _instrument("on")
    try:
        return {name: _counted(do) for name, do in work.items()}
    finally:
        _instrument("off")
        if was_enabled:
            gc.enable()


def _counted(do: Work) -> int:
    toggle, dump = torch._C._valgrind_toggle, torch._C._valgrind_toggle_and_dump_stats
    found = []
    for _ in range(CALLS):
        toggle()
        do()
        dump()
        # a file for every dump: its last line has the sum
        (written,) = Path(os.environ[_FOLDER]).glob("out.*")
        found.append(int(written.read_text().rpartition("totals: ")[2]))
        written.unlink()
    return round(statistics.median(found))


def _instrument(state: str) -> None:
    """Valgrind runs what is not instrumented four times as fast, above all imports."""
    control = subprocess.Popen(
        ["callgrind_control", f"--instr={state}", str(os.getpid())],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # valgrind looks for commands while this process runs: to wake it up takes rights of a debugger
    while control.poll() is None:
        pass
    said, _ = control.communicate()
    if control.returncode or "OK" not in said:
        raise RuntimeError(f"callgrind_control failed: {said}")
