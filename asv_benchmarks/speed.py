"""How the reference compares with plain torch and with metatensor, as ratios of CPU time in one process.

Every line is a kind of work, every cell a size of it. In a round each subject does the work of a cell,
one after the other, in an order drawn anew, after having done it once untimed where it is short; a ratio
is that of two times of one round, and a cell has the median over the rounds. One thread; torch beside
itself is the noise.

    python asv_benchmarks/speed.py [--quick] [--cells] [LINE...]
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import tmref
from tmref.bench.timing import machine, quartiles, rounds
from tmref.bench.work import (
    AGAIN,
    BACKWARD,
    FORWARD,
    INFERENCE,
    TORCH,
    Work,
    in_mode,
    installed,
    plain_module,
    values_of,
)
from tmref.catalog import Kind, Recipe, Row, recipe
from tmref.catalog.kinds.activations import Activation
from tmref.catalog.kinds.layer_norm import LayerNorm
from tmref.catalog.kinds.linear import Linear
from tmref.catalog.kinds.sequential import Sequential
from tmref.implementations import load

BLOCKS, SAMPLES = (1, 4, 16, 64, 256), (1, 10, 100, 1000)
FEATURES, COMPONENTS = ((32, 32), (128, 64)), ((), (5,))

#: The shapes of files of metatensor's repository.
SHAPES = Path(__file__).resolve().parent.parent / "tests" / "data" / "expansions.json"

NAMES = ("reference", "batched", "metatensor-torch")


@dataclass(frozen=True)
class Size:
    """The size of a cell."""

    blocks: int
    samples: int
    features: tuple[int, int]
    components: tuple[int, ...]

    def __str__(self) -> str:
        features = "→".join(map(str, self.features))
        return f"{self.blocks:4} blocks × {self.samples:5} samples, {features}" + (
            f", component of {self.components[0]}" if self.components else ""
        )


#: What the lines of layers are of.
KINDS: tuple[Kind, ...] = (
    Linear("Linear"),
    Sequential(of=(Linear("Linear"), Activation("Tanh"), Linear("Linear"))),
    LayerNorm("LayerNorm"),
)


def made_recipe(kind: Kind, size: Size) -> Recipe:
    """How the module of all blocks is made, and the torch modules of each: the last layer that can
    changes the number of features."""
    before, after = size.features
    last = max([i for i, layer in enumerate(kind.layers) if layer.resizes], default=len(kind.layers))
    widths = [before] * (last + 1) + [after] * (len(kind.layers) - last)
    sizes = zip(kind.layers, widths, widths[1:], strict=False)
    parameters = [
        tuple(torch.randn(shape) / shape[-1] ** 0.5 for shape in layer.parameter_shapes(*width))
        for layer, *width in sizes
    ]
    keys = tmref.Labels.range("key", size.blocks)
    row = Row(kind.name, kind, frozenset())
    return recipe(row, keys, torch.float32, [widths] * size.blocks, [parameters] * size.blocks)


def layers(kind: Kind, mode: str, size: Size, names: list[str]) -> dict[str, Work]:
    """The work of every subject: a forward, in inference mode or not, or a backward after it."""
    values = [torch.randn(size.samples, *size.components, size.features[0]) for _ in range(size.blocks)]
    made = made_recipe(kind, size)
    modules = [plain_module(twin) for twin in made.twins or ()]
    gradients = [torch.ones_like(m(v)) for m, v in zip(modules, values, strict=True)]

    def plain(of_blocks: list[torch.Tensor]) -> list[torch.Tensor]:
        return [module(x) for module, x in zip(modules, of_blocks, strict=True)]

    work = {name: in_mode(mode, plain, [values], list, gradients) for name in (TORCH, AGAIN)}
    x = tmref.TensorMap(made.in_keys, [tmref.block_from_array(v) for v in values])
    for name in names:
        implementation = load(name)
        module, given = implementation.build(made), implementation.encode(x)
        work[name] = in_mode(mode, module, [given], values_of, gradients)
    return work


def training(names: list[str]) -> dict[str, Work]:
    """Ten epochs of the training in metatensor-learn's basic nn tutorial: a perceptron in float64."""
    features, target = (torch.randn(100, n, dtype=torch.float64) for n in (128, 1))
    mlp = torch.nn.Sequential(torch.nn.Linear(128, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1)).double()
    loss = torch.nn.MSELoss(reduction="sum")
    work = {name: _epochs(mlp, lambda y: loss(y, target), features) for name in (TORCH, AGAIN)}
    for name in names:
        implementation = load(name)
        operations = _operations(name)
        keys = tmref.Labels.single()
        maps = [tmref.TensorMap(keys, [tmref.block_from_array(t)]) for t in (features, target)]
        x, y = map(implementation.encode, maps)
        in_keys, nn = x.keys, implementation.nn
        model = nn.Sequential(
            in_keys,
            nn.Linear(in_keys, 128, 64),
            nn.ReLU(in_keys),
            nn.Linear(in_keys, 64, out_properties=[y.block_by_id(0).properties]),
        ).double()
        work[name] = _epochs(model, _map_loss(y, operations.equal_metadata), x)
    return work


def expansion(names: list[str]) -> dict[str, Work]:
    """Ten epochs of the model of metatensor-learn's equivariant nn tutorial on blocks of the shapes that
    the spherical expansion of QM7 in metatensor's repository has, λ = 0 and 2, in float64."""
    shapes = json.loads(SHAPES.read_text(encoding="utf-8"))["qm7-spherical-expansion"]
    width, systems, degrees = shapes["properties"], 10, (0, 2)
    keys, blocks = [], []
    for degree in degrees:
        components = tmref.Labels("o3_mu", torch.arange(-degree, degree + 1).reshape(-1, 1))
        for center, neighbor, count, _ in shapes["pairs"]:
            keys.append((degree, 1, center, neighbor))
            values = torch.randn(count, 2 * degree + 1, width, dtype=torch.float64)
            atoms = torch.arange(count)
            samples = tmref.Labels(["system", "atom"], torch.stack([atoms % systems, atoms], 1))
            properties = tmref.Labels.range("n", width)
            blocks.append(tmref.TensorBlock(values, samples, [components], properties))
    names_of_keys = ["o3_lambda", "o3_sigma", "center_type", "neighbor_type"]
    x = tmref.TensorMap(tmref.Labels(names_of_keys, torch.tensor(keys)), blocks)
    targets = [torch.randn(systems, 2 * degree + 1, 1, dtype=torch.float64) for degree in degrees]
    work = {name: _epochs(*_plain_expansion(x, targets)) for name in (TORCH, AGAIN)}
    for name in names:
        work[name] = _epochs(*_mapped_expansion(name, x, targets))
    return work


def _plain_expansion(
    x: tmref.TensorMap, targets: list[torch.Tensor]
) -> tuple[torch.nn.Module, Callable[[Any], torch.Tensor], Any]:
    """Model, loss and input of :func:`expansion` in plain torch."""
    width = x.block(0).shape[-1]
    of_degree: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {}
    for key, block in x.items():
        systems = block.samples.column("system").long()
        of_degree.setdefault(int(key["o3_lambda"]), []).append((block.values, systems))

    def mlp(invariant: bool) -> torch.nn.Module:
        first, last = (torch.nn.Linear(width, n, bias=invariant) for n in (width, 1))
        return torch.nn.Sequential(first, *[torch.nn.ReLU()] * invariant, last)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.of = torch.nn.ModuleList(mlp(degree == 0) for degree in of_degree for _ in of_degree[0])

        def forward(self, blocks: list[list[tuple[torch.Tensor, torch.Tensor]]]) -> list[torch.Tensor]:
            mlps, sums = iter(self.of), []
            for of_one, target in zip(blocks, targets, strict=True):
                values = torch.cat([next(mlps)(values) for values, _ in of_one])
                systems = torch.cat([systems for _, systems in of_one])
                sums.append(torch.zeros_like(target).index_add(0, systems, values))
            return sums

    def loss(sums: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack([torch.sum((y - t) ** 2) for y, t in zip(sums, targets, strict=True)]).sum()

    return Model().double(), loss, list(of_degree.values())


def _mapped_expansion(
    name: str, x: tmref.TensorMap, targets: list[torch.Tensor]
) -> tuple[torch.nn.Module, Callable[[Any], torch.Tensor], Any]:
    """Model, loss and input of :func:`expansion` for an implementation."""
    implementation, operations = load(name), _operations(name)
    width, nn = x.block(0).shape[-1], implementation.nn
    given = implementation.encode(x)
    keys = given.keys
    model = nn.Sequential(
        keys,
        nn.EquivariantLinear(keys, width, width),
        nn.InvariantReLU(keys),
        nn.EquivariantLinear(keys, width, 1),
    ).double()

    def loss(tensor: Any) -> torch.Tensor:
        tensor = tensor.keys_to_samples(["center_type", "neighbor_type"])
        total = operations.sum_over_samples(tensor, ["atom", "center_type", "neighbor_type"])
        pairs = zip(total.blocks(), targets, strict=True)
        return torch.stack([torch.sum((block.values - t) ** 2) for block, t in pairs]).sum()

    return model, loss, given


def _operations(name: str) -> Any:
    """The module of operations that goes with an implementation's maps."""
    if name != "metatensor-torch":
        return tmref
    import metatensor.torch.operations

    return metatensor.torch


def _map_loss(target: Any, equal_metadata: Callable[[Any, Any], bool]) -> Callable[..., torch.Tensor]:
    def loss(output: Any) -> torch.Tensor:
        assert equal_metadata(output, target)
        total = 0
        for key in output.keys:
            total += torch.sum((output[key].values - target[key].values) ** 2)
        return total

    return loss


def _epochs(model: torch.nn.Module, loss: Callable[..., torch.Tensor], x: object, n: int = 10) -> Work:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def train() -> None:
        for _ in range(n):
            optimizer.zero_grad()
            loss(model(x)).backward()
            optimizer.step()

    return train


def keys_to_samples(size: Size, names: list[str]) -> dict[str, Work]:
    """Blocks into one, sorted, whose samples alternate; a bare torch.cat is plain torch."""
    blocks, (width, _) = size.blocks, size.features
    values = [torch.randn(size.samples, width) for _ in range(blocks)]
    samples = [(torch.arange(size.samples) * blocks + i).reshape(-1, 1) for i in range(blocks)]
    properties = tmref.Labels.range("n", width)
    x = tmref.TensorMap(
        tmref.Labels.range("key", blocks),
        [
            tmref.TensorBlock(v, tmref.Labels("sample", s), [], properties)
            for v, s in zip(values, samples, strict=True)
        ],
    )
    work: dict[str, Work] = {name: lambda: torch.cat(values) for name in (TORCH, AGAIN)}
    for name in names:
        tensor = load(name).encode(x)
        work[name] = lambda tensor=tensor: tensor.keys_to_samples("key")
    return work


def sum_over_samples(size: Size, names: list[str]) -> dict[str, Work]:
    """The sum over the atoms of systems of twenty, which come in no order; plain torch is index_add, as
    in metatrain, which waits for this to be fast enough (metatensor#942)."""
    atoms = torch.randperm(size.samples)
    systems, count = atoms // 20, -(-size.samples // 20)
    values = torch.randn(size.samples, size.features[0])
    samples = tmref.Labels(["system", "atom"], torch.stack([systems, atoms % 20], 1))
    block = tmref.TensorBlock(values, samples, [], tmref.Labels.range("n", size.features[0]))
    x = tmref.TensorMap(tmref.Labels.single(), [block])

    def plain() -> torch.Tensor:
        return values.new_zeros(count, values.shape[1]).index_add_(0, systems, values)

    work: dict[str, Work] = {TORCH: plain, AGAIN: plain}
    for name in names:
        total, tensor = _operations(name).sum_over_samples, load(name).encode(x)
        work[name] = lambda total=total, tensor=tensor: total(tensor, "atom")
    return work


_ABC = ["a", "b", "c"]

#: What labels are made to do: the work of a class of them, given values of entries and, for what takes
#: two labels, others, half of which are the same.
LABELS: dict[str, Callable[[Any, torch.Tensor, torch.Tensor], Work]] = {
    "construction": lambda labels, values, _: lambda: labels(_ABC, values),
    "construction and a position": lambda labels, values, _: (
        lambda: labels(_ABC, values).position(values[len(values) // 2])
    ),
    **{
        f"select, {count} of {words}": (
            lambda labels, values, _, count=count, width=width: _asked(
                labels(_ABC, values).select,
                labels(_ABC[:width], torch.unique(values[:, :width], dim=0)[:count]),
            )
        )
        for count, words, width in (
            (1, "one dimension", 1),
            (100, "one dimension", 1),
            (100, "two dimensions", 2),
            (10000, "all dimensions", 3),
        )
    },
    **{
        name: (
            lambda labels, values, others, name=name: _asked(
                getattr(labels(_ABC, values), f"{name}_and_mapping"), labels(_ABC, others)
            )
        )
        for name in ("union", "intersection")
    },
}


def _asked(function: Callable[[Any], object], argument: Any) -> Work:
    return lambda: function(argument)


def of_labels(what: str, size: Size, names: list[str]) -> dict[str, Work]:
    """What labels do with so many entries of three dimensions, in no order; a sort of as many numbers is
    plain torch. What looks entries up has done so before."""
    numbers = torch.randperm(2 * size.samples)
    values = torch.stack([numbers // 1000, numbers // 10 % 100, numbers % 10], 1).to(torch.int32)
    some, others = values[: size.samples], values[size.samples // 2 : size.samples * 3 // 2]
    work: dict[str, Work] = {name: lambda: numbers[: size.samples].sort() for name in (TORCH, AGAIN)}
    for name in names:
        if name in ("reference", "metatensor-torch"):
            work[name] = LABELS[what](load(name).Labels, some, others.flip(0))
    return work


def ratios(work: dict[str, Work]) -> dict[str, list[float]]:
    """For every subject but plain torch, its time over that of plain torch and, for metatensor-torch's
    sake, over the reference's: by name, and by name and " / reference"; one for each round."""
    times = rounds(work)

    def by(one: str, other: str) -> list[float]:
        return [a / b for a, b in zip(times[one], times[other], strict=True)]

    found = {name: by(name, TORCH) for name in work if name != TORCH}
    others = [name for name in work if name in NAMES and name != "reference"]
    return found | {f"{name} / reference": by(name, "reference") for name in others}


@dataclass(frozen=True)
class Limit:
    """What the median over some cells of a line may be at most, or at least, for a kind of ratio."""

    words: str
    of: str
    cells: Callable[[Size], bool]
    most: float = float("inf")
    least: float = 0.0


def _at(*samples: int) -> Callable[[Size], bool]:
    return lambda size: size.samples in samples


def _small(least: int, *samples: int) -> Callable[[Size], bool]:
    """Equal blocks of 32 features before and after, so many at least, of so many samples."""
    plain = (32, 32), ()
    return lambda size: (
        size.blocks >= least and size.samples in samples and (size.features, size.components) == plain
    )


PEER, LOOP = "metatensor-torch / reference", "batched / reference"


def _limits(
    several: float,
    one: float,
    peer: dict[tuple[int, ...], float],
    batched: dict[tuple[int, ...], float],
) -> tuple[Limit, ...]:
    return (
        *(
            Limit(
                f"32 → 32, 16 blocks or more, n = {', '.join(map(str, n))}",
                "batched",
                _small(16, *n),
                most,
            )
            for n, most in batched.items()
        ),
        Limit("16 blocks or more", LOOP, lambda size: size.blocks >= 16, most=1.10),
        Limit("2 blocks or more", "reference", lambda size: size.blocks > 1, most=several),
        Limit("one block", "reference", lambda size: size.blocks == 1, most=one),
        *(
            Limit(f"n = {', '.join(map(str, n))}", PEER, _at(*n), least=least)
            for n, least in peer.items()
        ),
    )


_FORWARD = _limits(1.10, 1.35, {(1, 10): 4.0, (100,): 2.5, (1000,): 1.3}, {(1, 10): 0.25, (100,): 0.50})
_BACKWARD = _limits(1.08, 1.20, {(1, 10): 2.3, (100,): 1.4}, {(1, 10): 0.40})
_ALL = lambda size: True  # noqa: E731
_TWICE_AS_FAST = ("construction and a position", "union", "intersection")

#: The lines: the work of a size, and the limits of its ratios.
LINES: dict[str, tuple[Callable[[Size, list[str]], dict[str, Work]], tuple[Limit, ...]]] = {
    **{
        f"{kind.name}, {mode}": (
            lambda size, names, kind=kind, mode=mode: layers(kind, mode, size, names),
            _BACKWARD if mode == BACKWARD else _FORWARD,
        )
        for kind in KINDS[:2]
        for mode in (FORWARD, INFERENCE, BACKWARD)
    },
    f"{KINDS[2].name}, {FORWARD}": (
        lambda size, names: layers(KINDS[2], FORWARD, size, names),
        (
            Limit("16 blocks or more", "reference", _ALL, most=1.10),
            Limit("16 blocks or more", PEER, _ALL, least=6.0),
        ),
    ),
    "training, an epoch": (
        lambda size, names: training(names),
        (Limit("", "reference", _ALL, most=1.15), Limit("", PEER, _ALL, least=1.7)),
    ),
    "spherical expansion, an epoch": (
        lambda size, names: expansion(names),
        (
            Limit("", "reference", _ALL),
            Limit("", LOOP, _ALL, most=1.10),
            Limit("", PEER, _ALL),
        ),
    ),
    "keys_to_samples, sorted": (
        keys_to_samples,
        (
            Limit("64 blocks, beside torch.cat", "reference", lambda size: size.blocks == 64),
            Limit("64 blocks", PEER, lambda size: size.blocks == 64, least=5.0),
            Limit("12 small blocks", PEER, lambda size: size.blocks == 12, least=1.0),
        ),
    ),
    "sum_over_samples": (
        sum_over_samples,
        (
            Limit("beside index_add", "reference", _ALL),
            Limit("n = 100000", PEER, _at(100000), least=10.0),
        ),
    ),
    **{
        f"labels, {what}": (
            lambda size, names, what=what: of_labels(what, size, names),
            (Limit("", PEER, _ALL, least=2.0 if what in _TWICE_AS_FAST else 1.0),),
        )
        for what in LABELS
    },
}


def sizes(line: str, quick: bool) -> Iterator[Size]:
    """The cells of a line."""
    if line.startswith("training"):
        yield Size(1, 100, (128, 1), ())
        return
    if line.startswith("spherical expansion"):
        yield Size(18, 20, (4, 1), (5,))
        return
    if line.startswith("keys_to_samples"):
        for blocks, samples, width in ((12, 10, 4), (64, 1563, 32), (64, 10000, 32)):
            yield Size(blocks, samples, (width, width), ())
        return
    if line.startswith("sum_over_samples"):
        for samples in (1000, 100000):
            yield Size(1, samples, (32, 32), ())
        return
    if line.startswith("labels"):
        for samples in (100000,) if quick else (100000, 1000000):
            yield Size(1, samples, (3, 3), ())
        return
    grid = itertools.product(BLOCKS, SAMPLES, FEATURES, COMPONENTS)
    for blocks, samples, features, components in grid:
        if line.startswith(KINDS[2].name) and blocks < 16:
            continue
        if quick and (blocks not in (1, 16, 64) or samples == 1000):
            continue
        yield Size(blocks, samples, features, components)


def measure(line: str, names: list[str], quick: bool, show: Callable[[str], None]) -> dict[Size, dict]:
    """The medians of all ratios, by cell."""
    work, _ = LINES[line]
    cells = {}
    for size in sizes(line, quick):
        found = {name: quartiles(values) for name, values in ratios(work(size, names)).items()}
        cells[size] = {name: median for name, (_, median, _) in found.items()}
        of = "  ".join(f"{name} {b:.2f} ({a:.2f}–{c:.2f})" for name, (a, b, c) in found.items())
        show(f"{line}, {size}: {of}")
    return cells


def summary(measured: dict[str, dict[Size, dict]]) -> Table:
    """A row for every limit: the median over its cells, their quartiles, the worst cell, the noise."""
    table = Table(box=None, header_style="", pad_edge=False)
    table.add_column("work", no_wrap=True)
    table.add_column("cells", no_wrap=True)
    for column in ("limit", "median", "quartiles", "worst", "torch / torch"):
        table.add_column(column, justify="right", no_wrap=True)
    for line, cells in measured.items():
        for limit in LINES[line][1]:
            of = [cell for size, cell in cells.items() if limit.cells(size) and limit.of in cell]
            if not of:
                continue
            first, median, third = quartiles([cell[limit.of] for cell in of])
            noise = quartiles([cell[AGAIN] for cell in of])
            at_most = limit.least == 0
            bound = f"≤ {limit.most:.2f}" if at_most else f"≥ {limit.least:.1f}"
            worst = (max if at_most else min)(cell[limit.of] for cell in of)
            missed = median > limit.most or median < limit.least
            what = limit.of if " / " in limit.of else f"{limit.of} / torch"
            table.add_row(
                line,
                f"{what}{', ' if limit.words else ''}{limit.words}",
                "" if limit.most == float("inf") and at_most else bound,
                f"{median:.2f}{' !' if missed else ''}",
                f"{first:.2f}–{third:.2f}",
                f"{worst:.2f}",
                f"{noise[0]:.2f}–{noise[2]:.2f}",
            )
    return table


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("lines", nargs="*", metavar="LINE", help="words in the names of the lines")
    parser.add_argument("--quick", action="store_true", help="a part of the grid")
    parser.add_argument("--cells", action="store_true", help="print every cell as it is measured")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    names = installed(NAMES)
    console = Console(width=160)
    console.print(f"{time.strftime('%Y-%m-%d')}, {machine()}")
    wanted = [line for line in LINES if all(word in line for word in options.lines)]
    if not wanted:
        parser.error(f"no line has all of {options.lines} in its name; there are {', '.join(LINES)}")
    show = print if options.cells else lambda text: None
    console.print(summary({line: measure(line, names, options.quick, show) for line in wanted}))


if __name__ == "__main__":
    main(sys.argv[1:])
