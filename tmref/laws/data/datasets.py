"""Laws of datasets: samples are what they are made of, and batches their samples."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ...compare import Refused
from ...strategies import tensor_maps
from ...tensor_map import TensorMap
from ..dense import SAMPLES, Dense, Row, joined, numbered, to_map, twins
from ..law import data_law
from ..session import Session

_NUMBERS = st.lists(st.integers(0, 99), min_size=1, max_size=6, unique=True)
#: What samples are called by: hashable, and of several types.
_IDENTIFIERS = st.lists(
    st.integers(0, 9)
    | st.text("ab", max_size=2)
    | st.tuples(st.integers(0, 2), st.text("a", max_size=1)),
    min_size=1,
    max_size=5,
    unique=True,
)


@data_law("datasets", _NUMBERS)
def a_sample_has_the_values_of_its_position(f: Session, x: Any, draw: Any) -> Any:
    """It has those that are in its place in the lists, and what functions give for its position, in the
    order of the fields. [doc] Dataset: "fields corresponding to those passed (in order)"; a callable
    takes "a single argument corresponding to the numeric sample ID"."""
    f.run("dataset = datasets.Dataset(text=list(map(str, x)), number=x, position=lambda i: [i])", x=x)
    found = f.run("[list(sample) for sample in dataset]")
    expected = [[str(number), number, [i]] for i, number in enumerate(x)]
    return [found, f.run("len(dataset)")], [expected, len(x)]


@data_law("datasets", _IDENTIFIERS)
def a_sample_is_found_by_its_identifier(f: Session, x: Any, draw: Any) -> Any:
    """It has its identifier first, then the values of its place in the lists, and what functions give
    for the identifier; by its position it is the same. [doc] IndexedDataset: "first field is the sample
    ID"; a callable takes "a single argument corresponding to the unique sample ID"."""
    order = draw(st.permutations(range(len(x))), label="order")
    numbers = [10 * i for i in range(len(x))]
    f.run(
        "dataset = datasets.IndexedDataset(number=numbers, name=lambda of: [of], sample_id=x)",
        x=x,
        numbers=numbers,
    )
    found = f.run("[[list(dataset.get_sample(x[i])), list(dataset[i])] for i in order]", order=order)
    return found, [[[x[i], 10 * i, [x[i]]]] * 2 for i in order]


@data_law("datasets", _NUMBERS)
def grouping_is_transposition(f: Session, x: Any, draw: Any) -> Any:
    """A batch has, field by field, the values of its samples in order. [doc] group: "the sample data
    collated for each respective field"."""
    order = draw(st.lists(st.sampled_from(range(len(x))), min_size=1, max_size=4), label="order")
    f.run("dataset = datasets.Dataset(number=x, text=list(map(str, x)))", x=x)
    found = f.run("list(map(list, datasets.group([dataset[i] for i in order])))", order=order)
    return found, [[x[i] for i in order], [str(x[i]) for i in order]]


@data_law("datasets", _NUMBERS)
def every_sample_comes_once_in_an_epoch(f: Session, x: Any, draw: Any) -> Any:
    """Whatever the size of batches, each sample is in one of them; in order unless they are shuffled.
    [torch] DataLoader: "shuffle (bool, optional) – set to True to have the data reshuffled at every
    epoch"; [doc] "Any argument as accepted by the torch DataLoader parent class is supported"."""
    size, shuffle = draw(st.integers(1, 4), label="size"), draw(st.booleans(), label="shuffle")
    f.run("dataset = datasets.Dataset(number=x)", x=x)
    f.run(
        "loader = datasets.DataLoader(dataset, batch_size=size, shuffle=shuffle)",
        size=size,
        shuffle=shuffle,
    )
    arranged = "sorted" if shuffle else "list"
    f.run("torch.manual_seed(0)")
    found = f.run(f"{arranged}(number for batch in loader for number in batch.number)")
    return found, sorted(x) if shuffle else x


@data_law("datasets", tensor_maps(min_blocks=1, max_gradients=1), as_it_came=True)
def a_batch_of_maps_is_one_map_of_their_samples(f: Session, x: Any, draw: Any) -> Any:
    """Maps of some samples each are the map of all of these in a batch, with gradients. [doc]
    group_and_join: "joined along the samples axis"."""
    count, first = draw(st.integers(1, 3), label="count"), draw(st.integers(0, 2), label="first")
    parts = [_part(x, i, count, first) for i in range(count)]
    f.run("loader = datasets.DataLoader(datasets.Dataset(x=parts), batch_size=len(parts))", parts=parts)
    y = f.run("y = next(iter(loader)).x")
    return y, to_map(x.keys.names, twins(x), y)


@data_law("datasets", tensor_maps(min_blocks=1, max_gradients=1), as_it_came=True)
def fields_that_are_not_to_be_joined_stay(f: Session, x: Any, draw: Any) -> Any:
    """The fields that are named are joined, the others have the maps of the samples as they were. [doc]
    group_and_join: "fields_to_join: list of data field names to join"; names that are "invalid" are
    "silently ignored"."""
    first = draw(st.integers(0, 1), label="first")
    parts = [_part(x, i, 2, first) for i in range(2)]
    f.run("dataset = datasets.Dataset(x=parts, other=parts)", parts=parts)
    y = f.run(
        "batch = datasets.group_and_join(list(dataset), fields_to_join=['x', 'nowhere'])\ny = batch.x"
    )
    return [f.run("list(batch.other)"), y], [parts, to_map(x.keys.names, twins(x), y)]


@data_law("datasets", tensor_maps(min_blocks=1, max_gradients=1), as_it_came=True)
def maps_of_a_batch_are_joined_as_its_arguments_say(f: Session, x: Any, draw: Any) -> Any:
    """Under the keys that all samples have, or any of them, with the number of the sample where a
    dimension is added; the samples stay. [doc] group_and_join: "join_kwargs: keyword arguments passed to
    the metatensor.join function"; join: "only blocks present in all tensors will be taken into account";
    "missing keys will be treated like if they where associated with an empty block"; "The dimension
    forms the last dimension of the joined labels"."""
    way = draw(st.sampled_from(["union", "intersection"]), label="way")
    add = draw(st.booleans(), label="add")
    how = {"different_keys": way, **({"add_dimension": "of"} if add else {})}
    parts = _of_different_keys(x, draw)
    f.run("dataset = datasets.Dataset(x=parts)", parts=parts)
    y = f.run("y = datasets.group_and_join(list(dataset), join_kwargs=how).x", how=how)
    blocks = list(map(twins, parts))
    expected = joined(numbered(blocks, SAMPLES) if add else blocks, way)
    return [y, f.run("[sample.x for sample in dataset]")], [to_map(x.keys.names, expected, y), parts]


@data_law("datasets", tensor_maps(min_blocks=1, max_gradients=1), as_it_came=True)
def maps_of_different_keys_are_refused_or_have_all_of_them(f: Session, x: Any, draw: Any) -> Any:
    """A batch of them is refused, or has the keys of any sample; the samples stay. [doc] group_and_join:
    "the union of sparse keys are taken", and of join_kwargs "If none, the defaults are used"; join:
    "keys in all tensors have to be the same"."""
    parts = _of_different_keys(x, draw)
    f.run("dataset = datasets.Dataset(x=parts)", parts=parts)
    y = f.attempt_to_run("y = datasets.group_and_join(list(dataset)).x")
    found = f.run("[sample.x for sample in dataset]")
    expected = y if isinstance(y, Refused) else to_map(x.keys.names, joined([*map(twins, parts)]), y)
    return [y, found], [expected, parts]


@data_law("datasets", _NUMBERS)
def tensors_of_a_batch_are_below_each_other(f: Session, x: Any, draw: Any) -> Any:
    """They are the rows of one, and what isn't to be joined stays; so do the samples. [doc]
    group_and_join: "data fields that are torch.Tensor objects are vertically stacked"; [torch] vstack:
    "concatenation along the first axis after all 1-D tensors have been reshaped by torch.atleast_2d"."""
    shape = draw(st.sampled_from([(), (2,), (1, 2), (2, 2), (2, 1, 2)]), label="shape")
    tensors = [torch.full(shape, number) for number in x]
    f.run("dataset = datasets.Dataset(x=tensors, number=x)", tensors=tensors, x=x)
    f.run("batch = datasets.group_and_join(list(dataset))")
    found = f.run("[batch.x, list(batch.number), [sample.x for sample in dataset]]")
    return found, [torch.cat([torch.atleast_2d(tensor) for tensor in tensors]), x, tensors]


@data_law("datasets", _NUMBERS, examples=2)  # which take a second each
def batches_get_through_worker_processes(f: Session, x: Any, draw: Any) -> Any:
    """They are what they are without workers. [torch] DataLoader: "num_workers (int, optional) – how
    many subprocesses to use for data loading"; [doc] "Any argument as accepted by the torch DataLoader
    parent class is supported"."""
    size, workers = draw(st.integers(1, 3), label="size"), draw(st.integers(1, 2), label="workers")
    # of a known failure it is less: nothing comes there, however long one waits
    seconds = draw(st.just(10), label="seconds")
    f.run("dataset = datasets.Dataset(number=x, text=list(map(str, x)))", x=x)
    f.run(
        "loader = datasets.DataLoader(dataset, batch_size=size, num_workers=workers, "
        "multiprocessing_context='fork', timeout=seconds)",
        size=size,
        workers=workers,
        seconds=seconds,
    )
    found = f.run("[[list(field) for field in batch] for batch in loader]")
    batches = [x[i : i + size] for i in range(0, len(x), size)]
    return found, [[batch, list(map(str, batch))] for batch in batches]


def _of_different_keys(x: TensorMap, draw: Any) -> list[TensorMap]:
    """Two maps of every second sample of each block; one of them lacks a block."""
    parts = [_part(x, i, 2, 0) for i in range(2)]
    lacking = draw(st.integers(0, 1), label="lacking")
    gone = draw(st.integers(0, len(x) - 1), label="gone")
    left = {key: block for j, (key, block) in enumerate(twins(parts[lacking]).items()) if j != gone}
    parts[lacking] = to_map(x.keys.names, left)
    return parts


def _part(x: TensorMap, i: int, count: int, first: int) -> TensorMap:
    """The map of every ``count``-th sample of each block."""

    def taken(block: Dense) -> Dense:
        rows = set(block.rows[SAMPLES][(i + first) % count :: count])

        def kept(row: Row) -> Row | None:
            return row if row in rows else None

        return block.moved(SAMPLES, kept)

    return to_map(x.keys.names, {key: taken(block) for key, block in twins(x).items()})
