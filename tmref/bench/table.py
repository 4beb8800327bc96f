"""The table of ``tmref bench``, and its plots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table

from ..implementations import load
from .device import OnDevice, Profile, measure_on_device, profiles
from .timing import Ratio, machine, rounds
from .work import AGAIN, TORCH, Cell, first_line, working

REFERENCE = "reference"


@dataclass(frozen=True)
class Measured:
    """The seconds that the work of a cell took each subject, one number a round, and of a GPU.

    ``missing`` says of what there are no numbers, and why.
    """

    cell: Cell
    times: Mapping[str, Sequence[float]]
    on_device: Mapping[str, OnDevice] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    missing: Sequence[str] = ()

    def seconds(self, name: str) -> float:
        """The median."""
        return median(self.times[name])

    def ratio(self, name: str, other: str) -> Ratio | None:
        """What a subject takes of another's time; None where one of them was not measured."""
        if name not in self.times or other not in self.times:
            return None
        return Ratio.of(self.times[name], self.times[other])


def measure(cells: Iterable[Cell], names: Sequence[str], device: str = "cpu") -> list[Measured]:
    """Time the work of each cell by plain torch, by the reference and by the implementations of these
    names."""
    names = list(dict.fromkeys([*names, REFERENCE]))
    timed = [_timed(cell, names, device) for cell in cells]
    if torch.device(device).type != "cuda":
        return timed
    # after all that is timed: the profiler slows down what comes after it
    return [_profiled(of_cell, device) for of_cell in timed]


def _timed(cell: Cell, names: Sequence[str], device: str) -> Measured:
    names = [name for name in names if cell.row in {row.name for row in load(name).rows}]
    work, failed = working(cell, names, device)
    found = Measured(
        cell,
        rounds(work, device=device),
        missing=[f"{name}, {cell}: {first_line(error)}" for name, error in failed.items()],
    )
    if torch.device(device).type != "cuda":
        return found
    on_device = measure_on_device(cell, [name for name in names if name in work], device)
    no_graph = [
        f"graph of {name}, {cell}: {of.no_graph}" for name, of in on_device.items() if of.no_graph
    ]
    return replace(found, on_device=on_device, missing=[*found.missing, *no_graph])


def _profiled(of_cell: Measured, device: str) -> Measured:
    names = [name for name in of_cell.times if name not in (TORCH, AGAIN)]
    try:
        return replace(of_cell, profiles=profiles(of_cell.cell, names, device))
    except RuntimeError as error:
        why = f"kernels, {of_cell.cell}: {first_line(error)}"
        return replace(of_cell, missing=[*of_cell.missing, why])


def table(measured: Sequence[Measured], names: Sequence[str]) -> Table:
    """A line for every cell and implementation: ratios with their quartiles, and throughput; a dash for
    what there is no number of."""
    found = Table(box=None, header_style="", pad_edge=False)
    found.add_column("row, pass", no_wrap=True)
    for heading in (
        "blocks",
        "samples",
        "implementation",
        "/ plain torch",
        "/ reference",
        "blocks/s",
        "samples/s",
        "torch / torch",
    ):
        justify = "left" if heading == "implementation" else "right"
        found.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for of_cell in measured:
        cell = of_cell.cell
        for i, name in enumerate(names):
            first = [f"{cell.row}, {cell.mode}", str(cell.blocks), str(cell.samples)]
            ratios = [str(of_cell.ratio(name, other) or "-") for other in (TORCH, REFERENCE)]
            throughput = ["-", "-"]
            if name in of_cell.times:
                calls = 1 / of_cell.seconds(name)
                throughput = [_short(calls * n) for n in (cell.blocks, cell.blocks * cell.samples)]
            found.add_row(
                *(first if i == 0 else ["", "", ""]),
                name,
                ratios[0],
                "" if name == REFERENCE else ratios[1],
                *throughput,
                "" if i else str(of_cell.ratio(AGAIN, TORCH)),
            )
    return found


def device_table(measured: Sequence[Measured], names: Sequence[str]) -> Table:
    """A line for every cell and subject: microseconds of the host and the device, kernels, and waits; a
    dash for what there is no number of."""
    found = Table(box=None, header_style="", pad_edge=False)
    found.add_column("row, pass", no_wrap=True)
    for heading in (
        "blocks",
        "samples",
        "subject",
        "host µs",
        "elapsed µs",
        "graph µs",
        "busy µs",
        "kernels",
        "waits",
    ):
        justify = "left" if heading == "subject" else "right"
        found.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for of_cell in measured:
        cell = of_cell.cell
        for i, name in enumerate((TORCH, AGAIN, *names)):
            first = [f"{cell.row}, {cell.mode}", str(cell.blocks), str(cell.samples)]
            of, profile = of_cell.on_device.get(name), of_cell.profiles.get(name)
            times = (of.host, of.elapsed, of.graph) if of else (None, None, None)
            seconds = [*times, profile.busy if profile else None]
            counted = [profile.kernels if profile else None, of.waits if of else None]
            found.add_row(
                *(first if i == 0 else [""] * 3),
                name,
                *("-" if t is None else f"{1e6 * t:.0f}" for t in seconds),
                *("-" if n is None else str(n) for n in counted),
            )
    return found


def _short(number: float) -> str:
    """A number to two digits or three: 1.2 k, 34 k, 560 k, 7.8 M."""
    units = iter(("", " k", " M", " G"))
    unit = next(units)
    while number >= 999.5 and unit != " G":
        number, unit = number / 1000, next(units)
    return f"{number:.0f}{unit}" if number >= 9.95 else f"{number:.1f}{unit}"


def show(measured: Sequence[Measured], names: Sequence[str], device: str = "cpu") -> None:
    """Print the table."""
    console = Console(highlight=False)
    console.width = max(console.width, 150)
    console.print(machine(device), soft_wrap=True)
    console.print(table(measured, names))
    if any(of_cell.on_device for of_cell in measured):
        console.print(device_table(measured, names))
    for of_cell in measured:
        for what in of_cell.missing:
            console.print(f"- {what}", soft_wrap=True, markup=False)


def plot(measured: Sequence[Measured], names: Sequence[str], path: Path) -> None:
    """Draw microseconds a block over blocks and over samples, and save it as PNG.

    A row of panels is for a row and a pass; over blocks it is for the smallest number of samples, over
    samples for the largest number of blocks. Raises ImportError without matplotlib.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    kinds = list(dict.fromkeys((m.cell.row, m.cell.mode) for m in measured))
    figure = Figure(figsize=(10, 3.2 * len(kinds)), layout="constrained")
    panels = figure.subplots(len(kinds), 2, squeeze=False)
    for kind, (left, right) in zip(kinds, panels, strict=True):
        cells = [m for m in measured if (m.cell.row, m.cell.mode) == kind]
        for panel, over, fixed, choose in (
            (left, "blocks", "samples", min),
            (right, "samples", "blocks", max),
        ):
            value = choose(getattr(m.cell, fixed) for m in cells)
            line = [m for m in cells if getattr(m.cell, fixed) == value]
            line.sort(key=lambda m, over=over: getattr(m.cell, over))  # type: ignore[misc]
            for name in dict.fromkeys((TORCH, REFERENCE, *names)):
                shown = [m for m in line if name in m.times]
                panel.plot(
                    [getattr(m.cell, over) for m in shown],
                    [1e6 * m.seconds(name) / m.cell.blocks for m in shown],
                    marker="o",
                    label=name,
                    color="black" if name == TORCH else None,
                )
            panel.set(xscale="log", yscale="log", xlabel=over, ylabel="µs a block")
            panel.set_title(f"{', '.join(kind)}: {value} {fixed}", fontsize="medium")
            panel.grid(alpha=0.3)
            panel.set_xticks([getattr(m.cell, over) for m in line])
            panel.set_xticks([], minor=True)
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.xaxis.set_major_formatter("{x:g}")
            panel.yaxis.set_major_formatter("{x:g}")
            panel.yaxis.set_minor_formatter("")
    panels[0][0].legend(fontsize="small")
    figure.savefig(path, dpi=120)
