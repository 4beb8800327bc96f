"""Laws of samples: which become one, and which belong together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...catalog import Trait
from ...compare import Refused
from ...labels import Labels
from ...tensor_map import TensorMap
from ..edits import blocks_at, in_order, take_samples
from ..law import law
from ..outcomes import Nothing
from ..premises import FURTHER_INPUTS, Premise
from ..session import ModuleSession


def _aggregated(f: ModuleSession) -> tuple[str, ...]:
    """The dimensions that the samples of the output haven't."""
    return next(t.names for t in f.recipe.row.traits if isinstance(t, Trait) and t == "aggregates")


def _absent(f: ModuleSession, x: TensorMap) -> Nothing | None:
    """Which of these dimensions no sample has."""
    absent = [name for name in _aggregated(f) if name not in x.sample_names]
    if not absent:
        return None
    return Nothing(f"samples have no dimension {absent[0]!r}: they are of {x.sample_names}")


def _rest(f: ModuleSession, samples: Labels) -> tuple[list[str], list[list[int]]]:
    """The names of the other dimensions, and what every sample has for them."""
    names = [name for name in samples.names if name not in _aggregated(f)]
    columns = [samples.column(name) for name in names]
    rows = torch.stack(columns, 1).tolist() if columns else [[]] * len(samples)
    return names, rows


#: The names of dimensions, which a trait has to say.
NAMES = Premise(
    "a trait that names dimensions of samples",
    lambda _, row, recipe: (
        None
        if any(isinstance(t, Trait) for t in row.traits)
        else "nobody says which dimensions are aggregated"
    ),
)
_AGGREGATES = ("deterministic", "keeps_keys", "aggregates")


@law(*_AGGREGATES, needs=[NAMES])
def what_shares_the_rest_is_one_sample(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The samples of every block of the output are the rest of those of the input, each once, in any
    order; what isn't there doesn't appear. [doc] sum_over_samples: the samples of the output are those
    without the dimensions that are summed over."""
    if (absent := _absent(f, x)) is not None:
        return absent
    found, expected = [], []
    for block, out in zip(x, f(x), strict=True):
        names, rows = _rest(f, block.samples)
        every = sorted({tuple(row) for row in rows})
        there = sorted(map(tuple, out.samples.values.tolist()))
        found.append(out.samples)
        if not names:  # whatever the one sample is called that is made of all
            expected.append(out.samples if len(there) <= 1 else Labels.range("_", 1))
        elif (out.samples.names, there) == (names, every):
            expected.append(out.samples)
        else:
            rows_of_rest = torch.tensor(every, dtype=torch.int32).reshape(-1, len(names))
            expected.append(Labels(names, rows_of_rest))
    return found, expected


@law(*_AGGREGATES, needs=[NAMES])
def splitting_by_the_rest_commutes(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Of the samples that share the rest, and only of them, depends the one that they become: for some
    of these groups the output is what it is for them among all. [maths] an aggregate is a function of
    its group."""
    if (absent := _absent(f, x)) is not None:
        return absent
    if not {*x.sample_names} - {*_aggregated(f)}:
        return Nothing("no dimension is left: all samples are one group")
    every = sorted({tuple(row) for block in x for row in _rest(f, block.samples)[1]})
    some = draw(st.lists(st.sampled_from(every), unique=True) if every else st.just([]), label="some")
    part = take_samples(x, [_where(_rest(f, b.samples)[1], some) for b in x])
    y = f(x)
    expected = take_samples(y, [_where(block.samples.values.tolist(), some) for block in y])
    return in_order(f(part)), in_order(expected)


def _where(rows: Sequence[Sequence[int]], some: Sequence[Sequence[int]]) -> list[int]:
    return [i for i, row in enumerate(rows) if tuple(row) in some]


@law(*_AGGREGATES, needs=[NAMES])
def groups_have_no_order(f: ModuleSession, x: Any, draw: Any) -> Any:
    """For samples in another order the output is the same, its samples in any order. [doc] samples are
    what their labels say, wherever they stand; [maths] a sum has no order."""
    if (absent := _absent(f, x)) is not None:
        return absent
    orders = [draw(st.permutations(range(len(b))), label=f"order_{i}") for i, b in enumerate(x)]
    return in_order(f(take_samples(x, orders))), in_order(f(x))


_MATCHES = ("deterministic", "matches_labels")
NONE_ALIKE = Nothing("no further input is a map of the same keys and samples")
_SEVERAL = {"min_samples": 2, "max_samples": 3}


@law(*_MATCHES, maps=_SEVERAL, needs=[FURTHER_INPUTS])
def samples_of_all_inputs_may_change_their_order(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where the samples of all inputs stand in another order, the same for all, the output is the same,
    its samples in any order. [doc] samples are what their labels say, wherever they stand."""
    further = f.further_inputs
    orders = [draw(st.permutations(range(len(b))), label=f"order_{i}") for i, b in enumerate(x)]
    before = in_order(f(x))
    if not _are_like(x, further):
        return NONE_ALIKE
    given = _each_of(x, lambda value: take_samples(value, orders), further)
    moved = take_samples(x, orders)
    f.make_with("other", moved, given)
    return in_order(f.run("z = other(x)", x=moved)), before


@law(*_MATCHES, maps=_SEVERAL, needs=[FURTHER_INPUTS])
def samples_of_one_input_are_found_by_their_labels(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where the samples of the further inputs stand in another order than those of the map, it is
    refused, or the output is the same. [doc] samples are what their labels say, wherever they stand."""
    further = f.further_inputs
    orders = [draw(st.permutations(range(len(b))), label=f"order_{i}") for i, b in enumerate(x)]
    if not _some_are_like(x, further):
        return NONE_ALIKE
    before = in_order(f(x))
    given = _each_of(x, lambda value: take_samples(value, orders), further)
    f.make_with("other", x, given)
    z = f.attempt_to_run("z = other(x)", x=x)
    return z if isinstance(z, Refused) else (in_order(z), before)


@law(*_MATCHES, maps={"min_blocks": 2}, needs=[FURTHER_INPUTS])
def blocks_of_one_input_are_found_by_their_keys(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where the blocks of the further inputs stand in another order than those of the map, it is
    refused, or the output is the same. [doc] TensorMap.block finds a block by its key, wherever it
    stands."""
    order = draw(st.permutations(range(len(x))), label="order")
    if not _some_are_like(x, f.further_inputs):
        return NONE_ALIKE
    before = f(x)
    given = _each_of(x, lambda value: blocks_at(value, order), f.further_inputs)
    f.make_with("other", x, given)
    z = f.attempt_to_run("z = other(x)", x=x)
    return z if isinstance(z, Refused) else (z, before)


@law(*_MATCHES, maps=_SEVERAL, needs=[FURTHER_INPUTS])
def other_samples_in_one_input_are_refused(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where a further input has another sample in the place of one of the map's, it is refused. [doc]
    samples are what their labels say: one that isn't there has no value."""
    further = f.further_inputs
    i = draw(st.integers(0, len(x) - 1), label="block")
    if not _some_are_like(x, further):
        return NONE_ALIKE
    given = _each_of(x, lambda value: _with_another_sample(value, i), further)
    f.make_with("other", x, given)
    z = f.attempt_to_run("z = other(x)", x=x)
    return z, Refused()


def _matches(value: Any, x: TensorMap) -> bool:
    """Whether it is a map of the same keys and samples."""
    return (
        isinstance(value, TensorMap)
        and value.keys == x.keys
        and [block.samples for block in value] == [block.samples for block in x]
    )


def _each_of(x: TensorMap, change: Callable[[TensorMap], TensorMap], value: Any) -> Any:
    """The further inputs, with each map among them changed that has the keys and samples of ``x``."""
    if isinstance(value, Mapping):
        return {name: _each_of(x, change, item) for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_each_of(x, change, item) for item in value)
    return change(value) if _matches(value, x) else value


def _leaves(value: Any) -> Iterator[Any]:
    """What is in a nest of dictionaries, lists and tuples."""
    if isinstance(value, (Mapping, list, tuple)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(item)
    else:
        yield value


def _some_are_like(x: TensorMap, further: Any) -> bool:
    """Whether some of the further inputs are maps of the keys and samples of ``x``."""
    return any(_matches(value, x) for value in _leaves(further))


def _are_like(x: TensorMap, further: Any) -> bool:
    """Whether some of the further inputs are, and none other has an entry for each of the samples, which
    would have to change its order, too."""
    others = [value for value in _leaves(further) if not _matches(value, x)]
    return _some_are_like(x, further) and not any(hasattr(value, "__len__") for value in others)


def _with_another_sample(value: TensorMap, i: int) -> TensorMap:
    """The map, with the first sample of a block under labels that none of them has."""
    blocks = list(value)
    rows = blocks[i].samples.values.clone()
    rows[0, 0] = next(n for n in range(len(rows) + 1) if n not in rows[:, 0])
    samples = Labels(blocks[i].samples.names, rows)
    blocks[i] = TensorBlock(blocks[i].values, samples, blocks[i].components, blocks[i].properties)
    return TensorMap(value.keys, blocks)
