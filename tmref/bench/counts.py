"""What does not wobble: operators called, memory allocated, instructions of the processor."""

from __future__ import annotations

import contextlib
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
        result = func(*args, **(kwargs or {}))
        self.counts[str(func)] += 1
        self.waits[str(func)] += _waits(func, pytree.tree_leaves((args, kwargs)), result)
        return result


#: Operators whose result, or its shape, depends on values, by torch's own account.
_DEPENDENT = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
#: Of these, those for which that is so with a mask only.
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
_MASKS = (torch.bool, torch.uint8)


def _waits(func: Any, given: Sequence[Any], result: Any) -> bool:
    """Whether the host needs values that are on a device to go on."""
    tensors = [value for value in given if isinstance(value, torch.Tensor)]
    if func.overloadpacket.__name__ in _INDEXING:
        return any(tensor.dtype in _MASKS for tensor in tensors[1:])
    to_host = isinstance(result, torch.Tensor) and result.device.type == "cpu"
    from_device = any(tensor.device.type != "cpu" for tensor in tensors)
    return bool(_DEPENDENT & set(func.tags)) or (to_host and from_device)


def operators(work: Work) -> Counter[str]:
    """How often each of torch's operators is called, those of autograd's backward included.

    Whatever implements a module, operators are what it asks of a device: a kernel each, on a GPU.
    """
    return _called(work).counts


def waits(work: Work) -> Counter[str]:
    """How often an operator is called that makes the host wait for the device, were there one: for the
    value of an element, for a shape that depends on values, for a copy to the host.

    Found by the operators, so it is the same on a machine without a device, but for what is never asked
    of torch there: reading a tensor of the CPU as a list.
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
    work()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as p:
        work()
    # in the order of time; memory that is freed has a negative size
    changes = sorted(
        (event.start_ns(), event.nbytes())
        for event in p.profiler.kineto_results.events()
        if event.name() == "[memory]"
    )
    if not changes:
        raise RuntimeError("torch's profiler recorded no memory")
    peak = used = 0
    for _, size in changes:
        used += size
        peak = max(peak, used)
    return peak


#: The lines that make the work of a cell in another process, for :func:`instructions`.
_SETUP = """
import torch
torch.set_num_threads(1)
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
    names = [] if name in (TORCH, AGAIN) else [name]
    timer: Any = Timer("work()", setup=_SETUP.format(cell=cell, names=names, name=name))
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
