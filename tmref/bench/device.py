"""Work on a GPU by CUDA: what the host takes to ask for it, and what the device takes to do it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch

from .timing import ROUNDS
from .work import FORWARD, INFERENCE, Cell, Work, made_map, subjects

#: How often work is done before it is timed, and the most copies of a map that are made.
WARM_UP, MOST_COPIES = 3, 64
#: The queue of a device takes about a thousand kernels: a timing asks for no more than this.
_MOST_KERNELS = 500


@dataclass(frozen=True)
class OnDevice:
    """What a call takes: medians of seconds over rounds, kernels launched, and waits of the host.

    ``host`` passes until all is asked for; ``device`` from the start of the first kernel to the end of
    the last one, the time that it waits for the host included; ``graph`` without that, replayed as a
    captured graph: None for what isn't captured.
    """

    host: float
    device: float
    graph: float | None
    kernels: int
    waits: int


def measure_on_device(
    cell: Cell, names: Sequence[str], device: torch.device | str
) -> dict[str, OnDevice]:
    """What the work of a cell takes each subject on a CUDA device, timed by its events, by turns.

    The inputs are copies of one map, one after the other, so many that the device's cache doesn't hold
    them, 64 at most. Forwards are captured as graphs, except where the host waits in them.
    """
    with torch.cuda.device(device):
        work = subjects(cell, names, device, copies=copies_beyond_cache(cell, device))
        watched = {name: _Watched(do, cell.mode in (FORWARD, INFERENCE)) for name, do in work.items()}
        for _ in range(ROUNDS):
            for subject in watched.values():
                subject.time()
        return {name: subject.result() for name, subject in watched.items()}


class _Watched:
    """A work, with what was found of it."""

    def __init__(self, do: Work, capture: bool) -> None:
        for _ in range(WARM_UP):
            do()
        self.do = do
        self.kernels, self.waits = launches(do), synchronizations(do)
        self.calls = max(1, _MOST_KERNELS // max(1, self.kernels))
        self.replay = captured(do, self.calls) if capture and not self.waits else None
        self.times: list[tuple[float, float]] = []
        self.of_graph: list[float] = []

    def time(self) -> None:
        """Another round."""
        self.times.append(seconds(self.do, self.calls))
        if self.replay:
            self.of_graph.append(seconds(self.replay)[1] / self.calls)

    def result(self) -> OnDevice:
        host, device = (median(times) for times in zip(*self.times, strict=True))
        graph = median(self.of_graph) if self.of_graph else None
        return OnDevice(host, device, graph, self.kernels, self.waits)


def copies_beyond_cache(cell: Cell, device: torch.device | str) -> int:
    """So many maps of the cell that their values are twice the device's cache; 64 at most."""
    size = sum(block.values.nbytes for block in made_map(cell))
    cache: int = torch.cuda.get_device_properties(device).L2_cache_size
    return min(MOST_COPIES, -(-2 * cache // size))


def seconds(do: Work, calls: int = 1) -> tuple[float, float]:
    """What a call takes the host and the device, of so many asked for at once."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    started = time.perf_counter()
    start.record()
    for _ in range(calls):
        do()
    end.record()
    host = time.perf_counter() - started
    torch.cuda.synchronize()
    return host / calls, start.elapsed_time(end) / 1e3 / calls


def captured(do: Work, calls: int) -> Work:
    """So many calls as one graph, to be replayed."""
    # torch asks for calls on another stream than the usual one before, and while they are captured
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            do()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            do()
    return graph.replay


def launches(do: Work) -> int:
    """How many kernels a call launches, by torch's profiler: copies and fills of memory are none."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        do()
        torch.cuda.synchronize()
    on_device = [e for e in profile.events() or [] if e.device_type.name == "CUDA"]
    return sum(not event.name.startswith(("Memcpy", "Memset")) for event in on_device)


def synchronizations(do: Work) -> int:
    """How often the host waits for the device in a call, by torch's own account.

    That isn't all of them, it says: see :func:`torch.cuda.set_sync_debug_mode`.
    """
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            do()
        finally:
            torch.cuda.set_sync_debug_mode(before)
    return sum("called a synchronizing" in str(warning.message) for warning in said)
