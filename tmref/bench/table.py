"""The table of ``tmref bench``, and its plots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table

from .device import OnDevice, kernels, measure_on_device
from .timing import Ratio, machine, rounds
from .work import AGAIN, TORCH, Cell, subjects

REFERENCE = "reference"


@dataclass(frozen=True)
class Measured:
    """The seconds that the work of a cell took each subject, one number a round, and of a GPU."""

    cell: Cell
    times: Mapping[str, Sequence[float]]
    on_device: Mapping[str, OnDevice] = field(default_factory=dict)
    kernels: Mapping[str, int] = field(default_factory=dict)

    def seconds(self, name: str) -> float:
        """The median."""
        return median(self.times[name])

    def ratio(self, name: str, other: str) -> Ratio | None:
        """What a subject takes of another's time; None where one of them was not measured."""
        if name not in self.times or other not in self.times:
            return None
        return Ratio.of(self.times[name], self.times[other])


def measure(cells: Iterable[Cell], names: Sequence[str], device: str = "cpu") -> list[Measured]:
    """Time the work of each cell by plain torch and by the implementations of these names."""
    if torch.device(device).type != "cuda":
        return [Measured(cell, rounds(subjects(cell, names, device), device=device)) for cell in cells]
    timed = [
        Measured(
            cell,
            rounds(subjects(cell, names, device), device=device),
            measure_on_device(cell, names, device),
        )
        for cell in cells
    ]
    # after all that is timed: the profiler slows down what comes after it
    return [replace(of_cell, kernels=kernels(of_cell.cell, names, device)) for of_cell in timed]


def table(measured: Sequence[Measured], names: Sequence[str]) -> Table:
    """A line for every cell and implementation: ratios with their quartiles, and throughput."""
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
            seconds = of_cell.seconds(name)
            found.add_row(
                *(first if i == 0 else ["", "", ""]),
                name,
                str(of_cell.ratio(name, TORCH)),
                "" if name == REFERENCE else str(of_cell.ratio(name, REFERENCE) or ""),
                _short(cell.blocks / seconds),
                _short(cell.blocks * cell.samples / seconds),
                "" if i else str(of_cell.ratio(AGAIN, TORCH)),
            )
    return found


def device_table(measured: Sequence[Measured], names: Sequence[str]) -> Table:
    """A line for every cell and subject: microseconds of the host and the device, kernels, and waits."""
    found = Table(box=None, header_style="", pad_edge=False)
    found.add_column("row, pass", no_wrap=True)
    for heading in (
        "blocks",
        "samples",
        "subject",
        "host µs",
        "device µs",
        "graph µs",
        "kernels",
        "waits",
    ):
        justify = "left" if heading == "subject" else "right"
        found.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for of_cell in measured:
        cell = of_cell.cell
        for i, name in enumerate((TORCH, AGAIN, *names)):
            first = [f"{cell.row}, {cell.mode}", str(cell.blocks), str(cell.samples)]
            of = of_cell.on_device[name]
            times = ("-" if t is None else f"{1e6 * t:.0f}" for t in (of.host, of.device, of.graph))
            counted = (str(of_cell.kernels[name]), str(of.waits))
            found.add_row(*(first if i == 0 else [""] * 3), name, *times, *counted)
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


def plot(measured: Sequence[Measured], names: Sequence[str], path: Path) -> None:
    """Draw microseconds a block over blocks and over samples, and save it as PNG.

    A row of panels is for a row and a pass; over blocks it is for the smallest number of samples, over
    samples for the largest number of blocks. Raises ImportError without matplotlib.
    """
    from matplotlib.figure import Figure

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
            shown = [m for m in cells if getattr(m.cell, fixed) == value]
            shown.sort(key=lambda m, over=over: getattr(m.cell, over))  # type: ignore[misc]
            for name in (TORCH, *names):
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
            for axis in (panel.xaxis, panel.yaxis):
                axis.set_major_formatter("{x:g}")
            panel.yaxis.set_minor_formatter("{x:g}")
            panel.xaxis.set_minor_formatter("")
    panels[0][0].legend(fontsize="small")
    figure.savefig(path, dpi=120)
