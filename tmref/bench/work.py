"""The work that is timed: a module of the catalog on a map, by an implementation or in plain torch."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from tmref import Labels, TensorBlock, TensorMap
from tmref.catalog import ROWS, Call, Recipe, Row, make_torch, recipe, row
from tmref.implementations import UnknownImplementation, load
from tmref.printing import counted

Work = Callable[[], Any]

TORCH, AGAIN = "plain torch", "plain torch again"
FORWARD, INFERENCE, BACKWARD, COMPILED = MODES = (
    "forward",
    "inference",
    "forward + backward",
    "compiled",
)
#: The forms of maps: blocks of equal shape without components, and those of a spherical expansion.
EQUAL, EXPANSION = FORMS = ("equal blocks", "spherical expansion")

_MAX_LAMBDA = 3


@dataclass(frozen=True)
class Cell:
    """One thing to time: a row, by its name among ``rows``, a pass, a size and a form.

    Raises ValueError for a row, a mode or a form that there isn't, for sizes below 1, and for a backward
    through what overwrites its input.
    """

    row: str
    blocks: int
    samples: int
    mode: str = FORWARD
    features: int = 32
    form: str = EQUAL
    rows: Sequence[Row] = field(default=ROWS, repr=False, compare=False)

    def __post_init__(self) -> None:
        traits = self.found.traits
        if self.mode == BACKWARD and "pure" not in traits:
            raise ValueError(f"{self.row} overwrites its input, which autograd does not let it do")
        for what, given, known in (("mode", self.mode, MODES), ("form", self.form, FORMS)):
            if given not in known:
                raise ValueError(f"there is no {what} {given!r}; there are {', '.join(known)}")
        for name in ("blocks", "samples", "features"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def found(self) -> Row:
        """The row itself."""
        # the row() of older commits, which are timed as well, takes a name alone
        return row(self.row) if self.rows is ROWS else row(self.row, self.rows)

    def __str__(self) -> str:
        sizes = f"{counted(self.blocks, 'block')} × {counted(self.samples, 'sample')}"
        return f"{self.row}, {self.mode}, {sizes}" + (f", {self.form}" if self.form != EQUAL else "")


def made_map(cell: Cell, device: torch.device | str = "cpu") -> TensorMap:
    """A map of the cell's size and form, with normally distributed float32 values.

    Equal blocks have the shape ``(samples, features)``, or ``(samples, 2λ + 1, features)`` for λ = 0
    to 3 by turns where the row tells invariant keys from covariant ones. A spherical expansion has such
    blocks for any row, of 1/2, 1 and 3/2 times ``samples`` for one combination of types after the other:
    the types of centers are not equally frequent.
    """
    spherical = bool(cell.found.maps.get("spherical"))
    by_lambda = cell.found.by_invariance or spherical or cell.form == EXPANSION
    keys, blocks = [], []
    properties = Labels.range("n", cell.features)
    for i in range(cell.blocks):
        angular, rest = (i % (_MAX_LAMBDA + 1), i // (_MAX_LAMBDA + 1)) if by_lambda else (0, i)
        keys.append((angular, 1, rest))
        samples = cell.samples
        if cell.form == EXPANSION:
            samples = max(1, cell.samples * 2 * (1 + rest % 3) // 4)
        components = [_o3_mu(angular)] if by_lambda else []
        values = torch.randn(samples, *map(len, components), cell.features)
        blocks.append(TensorBlock(values, Labels.range("system", samples), components, properties))
    names = ["o3_lambda", "o3_sigma", "types"]
    tensor = TensorMap(Labels(names, torch.tensor(keys, dtype=torch.int32)), blocks)
    return tensor.to(device=torch.device(device))


def _o3_mu(angular: int) -> Labels:
    return Labels("o3_mu", torch.arange(-angular, angular + 1, dtype=torch.int32).reshape(-1, 1))


def made_recipe(cell: Cell, x: TensorMap) -> Recipe:
    """How the module of the cell is made for the map, with parameters drawn by torch's random state."""
    of = cell.found
    if not of.layers:  # a module of one's own, which says itself what its twin is
        return of.initial_recipe(x)
    widths = [[cell.features] * (len(of.layers) + 1)] * len(x)
    invariant = [int(key["o3_lambda"]) == 0 for key in x.keys] if of.by_invariance else [True] * len(x)
    parameters = [
        [
            tuple(
                torch.randn(shape) / shape[-1] ** 0.5
                for shape in layer.parameter_shapes(cell.features, cell.features, whole)
            )
            for layer in of.layers
        ]
        for whole in invariant
    ]
    return recipe(of, x.keys, torch.float32, widths, parameters)


def plain_module(call: Call) -> torch.nn.Module:
    """The module of one block as one would write it in plain torch, with the parameters of ``call``.

    Where the catalog's twins are written out for their precision, this is the ``fast`` way that they
    have. Raises ValueError for a twin of a tmref whose twins have none yet.
    """
    if call.name.startswith("twins."):
        raise ValueError(
            f"{call.name} is of a tmref from before kinds: it is timed by benchmarks as old"
        )
    return _fast(make_torch(call))


def _fast(module: torch.nn.Module) -> torch.nn.Module:
    for name, child in list(module.named_children()):
        setattr(module, name, _fast(child))
    fast: Callable[[], torch.nn.Module] = getattr(module, "fast", lambda: module)
    return fast()


def subjects(
    cell: Cell, names: Sequence[str], device: torch.device | str = "cpu", *, copies: int = 1
) -> dict[str, Work]:
    """The work of the cell by plain torch, block by block, twice, and by the implementations of these
    names, all on the same values with the same parameters: on one of so many copies after the other.

    ``forward`` records for autograd, as training does, ``inference`` doesn't; ``forward + backward``
    differentiates the sum of all outputs by the parameters, and by all values where a block has none;
    ``compiled`` is an inference compiled by torch.compile. Raises UnknownImplementation for a name that
    there isn't.
    """
    torch.manual_seed(0)
    x = made_map(cell, device)
    made = made_recipe(cell, x)
    assert made.twins is not None
    plain = [
        (plain_module(twin) if isinstance(twin, Call) else twin()).to(device) for twin in made.twins
    ]
    maps = [x, *(x.copy() for _ in range(copies - 1))]
    values = [[block.values for block in copied] for copied in maps]

    def loop(of_blocks: list[torch.Tensor]) -> list[torch.Tensor]:
        return [module(v) for module, v in zip(plain, of_blocks, strict=True)]

    # one block at a time: the work is to be what takes most memory
    outputs = (module(v.clone()) for module, v in zip(plain, values[0], strict=True))
    ones, needed = zip(*((torch.ones_like(y), y.requires_grad) for y in outputs), strict=True)
    if cell.mode == BACKWARD and not all(needed):
        for value in itertools.chain.from_iterable(values):
            value.requires_grad_()
            # all subjects accumulate on it, whoever is the first
            value.grad = torch.zeros_like(value)
    found = {name: in_mode(cell.mode, loop, values, list, ones) for name in (TORCH, AGAIN)}
    for name in names:
        implementation = cell.found.subject(load(name))
        module, encoded = implementation.build(made).to(device), [*map(implementation.encode, maps)]
        found[name] = in_mode(cell.mode, module, encoded, values_of, ones)
    return found


def working(
    cell: Cell, names: Sequence[str], device: torch.device | str = "cpu"
) -> tuple[dict[str, Work], dict[str, Exception]]:
    """The work of :func:`subjects`, done once, and what was raised by that of some of the names instead.

    Raises what plain torch raises, and UnknownImplementation.
    """

    def done(of: Sequence[str]) -> dict[str, Work]:
        work = subjects(cell, of, device)
        for do in work.values():
            do()
        return work

    for name in names:
        load(name)
    with contextlib.suppress(Exception):
        return done(names), {}
    failed: dict[str, Exception] = {}
    for name in names:
        try:
            done([name])
        except Exception as error:
            failed[name] = error
    return done([name for name in names if name not in failed]), failed


def first_line(error: BaseException) -> str:
    """What was raised, shortly."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def values_of(x: Any) -> list[torch.Tensor]:
    """The values of the blocks of a map of any implementation."""
    return [block.values for block in x]


def in_mode(
    mode: str,
    call: Callable[[Any], Any],
    inputs: Sequence[Any],
    values: Callable[[Any], list[torch.Tensor]],
    ones: Sequence[torch.Tensor],
) -> Work:
    """The work of a call in a mode, on one input after the other; ``values`` are its output's, and
    ``ones`` what a backward begins with."""
    given = itertools.cycle(inputs)
    if mode == BACKWARD:
        return lambda: torch.autograd.backward(values(call(next(given))), ones)
    if mode == FORWARD:
        return lambda: call(next(given))
    run = torch.compile(call) if mode == COMPILED else call

    def without_recording() -> Any:
        with torch.inference_mode():
            return run(next(given))

    return without_recording


def installed(names: Sequence[str]) -> list[str]:
    """Those of some implementations that are there."""
    found = []
    for name in names:
        with contextlib.suppress(UnknownImplementation):
            load(name)
            found.append(name)
    return found


def known_rows(names: Sequence[str]) -> list[Row]:
    """The rows of these implementations: those that several have once, by their names."""
    return list({row.name: row for name in names for row in load(name).rows}.values())


def grid(
    names: Sequence[str],
    blocks: Sequence[int],
    samples: Sequence[int],
    modes: Sequence[str],
    rows: Sequence[Row] = ROWS,
) -> list[Cell]:
    """A cell for every combination, the last changing first; names are those of ``rows``."""
    return [
        Cell(name, n, m, mode, rows=rows)
        for name, mode, n, m in itertools.product(names, modes, blocks, samples)
    ]
