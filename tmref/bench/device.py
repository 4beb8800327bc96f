"""Work on a GPU by CUDA: what the host takes to ask for it, and what the device takes to do it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch

from .timing import ROUNDS, TIMING
from .work import FORWARD, INFERENCE, Cell, Work, first_line, made_map, subjects

#: How often work is done before it is timed, and the most copies of a map that are made.
WARM_UP, MOST_COPIES = 3, 64


@dataclass(frozen=True)
class OnDevice:
    """What a call takes: medians of seconds over rounds, and how often the host waits in it.

    ``host`` passes until all is asked for. ``elapsed`` passes on the device from then on when the host
    begins, until all is done: where the host is the slower one, that is its time. ``graph`` is the same
    for calls that were captured before and are replayed as one graph, where the host has nothing to do
    but to start it. For what isn't captured it is None; where it can't be, ``no_graph`` says why.
    """

    host: float
    elapsed: float
    graph: float | None
    waits: int
    no_graph: str = ""


@dataclass(frozen=True)
class Profile:
    """What torch's profiler finds of a call: seconds that the device is ``busy`` with it, and how many
    ``kernels`` are launched; copies and fills of memory are none."""

    busy: float
    kernels: int


def measure_on_device(
    cell: Cell, names: Sequence[str], device: torch.device | str
) -> dict[str, OnDevice]:
    """What the work of a cell takes each subject on a CUDA device, timed by its events, by turns.

    The inputs are copies of one map, one after the other, so many that the device's cache doesn't hold
    them, 64 at most. Forwards are captured as graphs, where they can be: the host may not wait in them.
    """
    with torch.cuda.device(device):
        copies = copies_beyond_cache(cell, device)
        work = subjects(cell, names, device, copies=copies)
        timers = {name: _Timer(do) for name, do in work.items()}
        for _ in range(ROUNDS):
            for timer in timers.values():
                timer.time()
        if cell.mode in (FORWARD, INFERENCE):
            # after all that is timed without: a capture that fails may leave memory behind
            for timer in timers.values():
                timer.capture(copies)
            for _ in range(ROUNDS):
                for timer in timers.values():
                    timer.time_graph()
        return {name: timer.result() for name, timer in timers.items()}


class _Timer:
    """The times of a work."""

    def __init__(self, do: Work) -> None:
        for _ in range(WARM_UP):
            do()
        self.do, self.waits = do, synchronizations(do)
        # of the host's time: to launch a kernel takes it microseconds, and the queue holds a thousand
        self.calls = max(1, round(TIMING / seconds(do)[0]))
        self.times: list[tuple[float, float]] = []
        self.replay: Work | None = None
        self.no_graph = ""
        self.of_graph: list[float] = []

    def time(self) -> None:
        """Another round."""
        self.times.append(seconds(self.do, self.calls))

    def capture(self, copies: int) -> None:
        """Make a graph of so many calls at least, where that can be."""
        self.in_graph = max(self.calls, copies)
        if self.waits:
            self.no_graph = "the host waits in it"
            return
        try:
            self.replay = captured(self.do, self.in_graph)
        except RuntimeError as error:
            # that torch left the capture with an error, too, says nothing
            self.no_graph = first_line(error.__context__ or error)

    def time_graph(self) -> None:
        """Another round of the graph, if there is one."""
        if self.replay:
            self.of_graph.append(seconds(self.replay)[1] / self.in_graph)

    def result(self) -> OnDevice:
        host, elapsed = (median(times) for times in zip(*self.times, strict=True))
        graph = median(self.of_graph) if self.of_graph else None
        return OnDevice(host, elapsed, graph, self.waits, self.no_graph)


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
    """So many calls as one graph, to be replayed. Raises RuntimeError where torch can't capture them."""
    # torch wants them to have run on another stream than the usual one before
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            do()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    # a capture that fails doesn't leave its stream by itself
    with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph):
        for _ in range(calls):
            do()
    replay: Work = graph.replay
    return replay


def profiles(cell: Cell, names: Sequence[str], device: torch.device | str) -> dict[str, Profile]:
    """What the profiler finds of the work of a cell for each subject, on copies as it is timed.

    What is timed after this may be slower: the profiler stays attached to the device. Raises as
    :func:`profiled` does.
    """
    with torch.cuda.device(device):
        work = subjects(cell, names, device, copies=copies_beyond_cache(cell, device))
        return {name: profiled(do) for name, do in work.items()}


def profiled(do: Work) -> Profile:
    """What torch's profiler finds of a call.

    Raises RuntimeError where it records nothing of the device; many machines let only root do that.
    """
    for _ in range(WARM_UP):
        do()
    torch.cuda.synchronize()
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        do()
        torch.cuda.synchronize()
    on_device = [
        event
        for event in profile.events() or []
        if event.device_type.name == "CUDA" and not event.is_user_annotation
    ]
    if not on_device:
        raise RuntimeError("torch's profiler recorded nothing of the device")
    launched = [event for event in on_device if not event.name.startswith(("Memcpy", "Memset"))]
    return Profile(sum(event.time_range.elapsed_us() for event in on_device) / 1e6, len(launched))


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
