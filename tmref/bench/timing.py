"""Time as ratios: what is compared is done by turns in one process, so that noise meets all alike."""

from __future__ import annotations

import gc
import platform
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .work import Work

#: A timing takes this many seconds at least, all rounds this many at most beyond the first ones.
TIMING, BUDGET = 1e-3, 0.5
ROUNDS, LEAST = 15, 3


def rounds(
    work: Mapping[str, Work],
    *,
    most: int = ROUNDS,
    least: int = LEAST,
    timing: float = TIMING,
    budget: float = BUDGET,
    device: torch.device | str = "cpu",
) -> dict[str, list[float]]:
    """Seconds that each work takes, by name; one number a round.

    In a round all are done, in an order drawn anew, each so often that it takes ``timing`` seconds, and
    once before where that is more than once. CPU time; on another device wall time until it is done.
    """
    clock = _Clock(torch.device(device))
    often = {name: loops(do, timing, device) for name, do in work.items()}
    order, times = list(work), {name: list[float]() for name in work}
    draw = random.Random(0)
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    started = time.perf_counter()
    try:
        for done in range(most):
            for name in draw.sample(order, len(order)):
                if often[name] > 1:
                    work[name]()  # what ran before has left the caches to itself
                times[name].append(clock.seconds(work[name], often[name]))
            if done + 1 >= least and time.perf_counter() - started > budget:
                break
    finally:
        if was_enabled:
            gc.enable()
    return times


@dataclass(frozen=True)
class _Clock:
    device: torch.device

    def now(self) -> float:
        if self.device.type == "cpu":
            return time.process_time()
        module: Any = torch.get_device_module(self.device)
        # that of mps takes no device: there is one only
        module.synchronize(*[self.device] if self.device.type != "mps" else [])
        return time.perf_counter()

    def seconds(self, do: Work, loops: int) -> float:
        """What one of so many takes."""
        started = self.now()
        for _ in range(loops):
            do()
        return (self.now() - started) / loops


def loops(do: Work, seconds: float, device: torch.device | str = "cpu") -> int:
    """How often the work is done in so many seconds, once at least; this warms it up, too."""
    do()
    return max(1, round(seconds / max(_Clock(torch.device(device)).seconds(do, 1), 1e-9)))


@dataclass(frozen=True)
class Ratio:
    """The median of some ratios, and their quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, times: Sequence[float], others: Sequence[float]) -> Ratio:
        """Of the times of one work to those of another, round by round."""
        low, median, high = quartiles([a / b for a, b in zip(times, others, strict=True)])
        return cls(median, low, high)

    @property
    def spread(self) -> float:
        """Half the distance of the quartiles, of the median: its noise."""
        return (self.high - self.low) / 2 / self.median

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The three of them; a single value thrice."""
    if len(values) == 1:
        return (values[0],) * 3
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, median, third


def machine(device: torch.device | str = "cpu") -> str:
    """The processor, the GPU where it is on one, the version of torch and the number of threads."""
    threads = torch.get_num_threads()
    on = "one thread" if threads == 1 else f"{threads} threads"
    gpu = [torch.cuda.get_device_name(device)] if torch.device(device).type == "cuda" else []
    return ", ".join([_processor(), *gpu, f"torch {torch.__version__}", on])


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
