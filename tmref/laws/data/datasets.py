"""Laws of datasets: samples are what they are made of, and batches their samples."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ...strategies import tensor_maps
from ...tensor_map import TensorMap
from ..dense import SAMPLES, Dense, Row, to_map, twins
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
    found = f.run(f"{arranged}(number for batch in loader for number in batch.number)")
    return found, sorted(x) if shuffle else x


@data_law("datasets", tensor_maps(min_blocks=1, max_gradients=1))
def a_batch_of_maps_is_one_map_of_their_samples(f: Session, x: Any, draw: Any) -> Any:
    """Maps of some samples each are the map of all of these in a batch, with gradients. [doc]
    group_and_join: "joined along the samples axis"."""
    count, first = draw(st.integers(1, 3), label="count"), draw(st.integers(0, 2), label="first")
    parts = [_part(x, i, count, first) for i in range(count)]
    f.run("loader = datasets.DataLoader(datasets.Dataset(x=parts), batch_size=len(parts))", parts=parts)
    y = f.run("y = next(iter(loader)).x")
    return y, to_map(x.keys.names, twins(x), y)


@data_law("datasets", tensor_maps(min_blocks=1, max_gradients=1))
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


@data_law("datasets", _NUMBERS, examples=2)  # which take a second each
def batches_get_through_worker_processes(f: Session, x: Any, draw: Any) -> Any:
    """They are what they are without workers. [torch] DataLoader: "num_workers (int, optional) – how
    many subprocesses to use for data loading"; [doc] "Any argument as accepted by the torch DataLoader
    parent class is supported"."""
    size, workers = draw(st.integers(1, 3), label="size"), draw(st.integers(1, 2), label="workers")
    f.run("dataset = datasets.Dataset(number=x, text=list(map(str, x)))", x=x)
    f.run(
        "loader = datasets.DataLoader(dataset, batch_size=size, num_workers=workers, "
        "multiprocessing_context='fork', timeout=10)",
        size=size,
        workers=workers,
    )
    found = f.run("[[list(field) for field in batch] for batch in loader]")
    batches = [x[i : i + size] for i in range(0, len(x), size)]
    return found, [[batch, list(map(str, batch))] for batch in batches]


def _part(x: TensorMap, i: int, count: int, first: int) -> TensorMap:
    """The map of every ``count``-th sample of each block."""

    def taken(block: Dense) -> Dense:
        rows = set(block.rows[SAMPLES][(i + first) % count :: count])

        def kept(row: Row) -> Row | None:
            return row if row in rows else None

        return block.moved(SAMPLES, kept)

    return to_map(x.keys.names, {key: taken(block) for key, block in twins(x).items()})
