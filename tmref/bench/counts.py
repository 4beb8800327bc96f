"""What does not wobble: operators called, memory allocated, instructions of the processor."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from .work import AGAIN, TORCH, Cell, Work


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


#: The lines that make the work of a cell in another process, for :func:`instructions`.
_SETUP = """
import importlib.util, sys, torch, tmref
torch.set_num_threads(1)
# this one, whichever tmref is installed
spec = importlib.util.spec_from_file_location(
    "tmref.bench", {bench!r} + "/__init__.py", submodule_search_locations=[{bench!r}]
)
sys.modules["tmref.bench"] = tmref.bench = importlib.util.module_from_spec(spec)
from tmref.bench.work import Cell, subjects
work = subjects({cell!r}, {names!r})[{name!r}]
work()
"""


def instructions(cell: Cell, name: str, number: int = 10, repeats: int = 1) -> list[int]:
    """How many instructions of the processor the work of a cell takes by one subject, as valgrind's
    callgrind counts them: the mean of ``number``, so many times. It takes minutes: valgrind runs the
    import of torch, too. Raises NotImplementedError where there is no valgrind."""
    from torch.utils.benchmark import Timer

    if shutil.which("valgrind") is None:
        raise NotImplementedError("instructions are counted by valgrind, which is not installed")
    names, bench = [] if name in (TORCH, AGAIN) else [name], str(Path(__file__).parent)
    timer: Any = Timer("work()", setup=_SETUP.format(bench=bench, cell=cell, names=names, name=name))
    with _this_python():
        found = timer.collect_callgrind(number=number, repeats=repeats, collect_baseline=False)
    return [round(stats.counts(denoise=True) / number) for stats in found]


@contextlib.contextmanager
def _this_python() -> Iterator[None]:
    """Have torch, which runs ``python`` under valgrind, find the one that runs this."""
    before = os.environ["PATH"]
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before
