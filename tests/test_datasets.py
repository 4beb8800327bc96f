"""Datasets, what their loaders make of batches, and that samples get through worker processes."""

import collections
import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate, random_split
from torch.utils.data._utils.pin_memory import pin_memory

import tmref
from tmref import Labels, TensorBlock, TensorMap
from tmref.datasets import DataLoader, Dataset, IndexedDataset, group, group_and_join

IDS = ["cat", 4, ("small", "cow"), "dog", 0]


def one(i, key=0):
    """A map of one sample, which is called ``i``, with a gradient."""
    properties = Labels.range("p", 2)
    samples = Labels(["system"], torch.tensor([[i]]))
    block = TensorBlock(torch.tensor([[1.0 * i, 10.0 * i]]), samples, [], properties)
    of_sample = Labels(["sample"], torch.tensor([[0]]))
    block.add_gradient("cell", TensorBlock(torch.full((1, 2), 0.5 * i), of_sample, [], properties))
    return TensorMap(Labels(["key"], torch.tensor([[key]])), [block])


def double(i):
    return 2 * i


@pytest.fixture
def dataset():
    return Dataset(x=list(map(one, range(5))), v=list(torch.arange(5.0).reshape(5, 1)), twice=double)


@pytest.fixture
def indexed():
    return IndexedDataset(sample_id=IDS, y=list("abcde"), text=repr)


def test_samples_are_named_tuples(dataset):
    x, v, twice = sample = dataset[3]
    assert (sample.x, sample.v, sample.twice) == (x, v, twice)
    assert sample._fields == ("x", "v", "twice")
    assert type(sample).__name__ == "Sample"
    assert twice == 6
    assert len(dataset) == 5
    assert [sample.twice for sample in dataset] == [0, 2, 4, 6, 8]
    assert dataset[torch.tensor(1)].twice == 2


def test_samples_are_found_by_their_identifiers(indexed):
    for i, of in enumerate(IDS):
        assert indexed[i] == indexed.get_sample(of) == (of, "abcde"[i], repr(of))
    assert indexed[0]._fields == ("sample_id", "y", "text")
    assert [sample.sample_id for sample in indexed] == IDS


def test_names_may_be_any_strings():
    data = {
        "valid": [0, 0],
        "with space": [-1, 2],
        "class": ["a", "b"],
        "_asdict": [1, 1],
        "count": [7, 8],
    }
    sample = Dataset.from_dict(data)[1]
    assert sample["with space"] == 2
    assert (sample.count, sample[0], sample["_asdict"]) == (8, 0, 1)
    assert repr(sample) == "Sample(valid=0, 'with space'=2, 'class'='b', _asdict=1, count=8)"
    assert sample._asdict()["class"] == "b"
    again = pickle.loads(pickle.dumps(sample))
    assert (again, type(again)) == (sample, type(sample))
    assert IndexedDataset.from_dict({"a b": [5]}, sample_id=["one"])[0]["a b"] == 5


def test_values_may_be_replaced(indexed):
    assert indexed[0]._replace(y="z") == ("cat", "z", "'cat'")
    with pytest.raises(TypeError, match=r"no \['w'\] in Sample, it has \['sample_id', 'y', 'text'\]"):
        indexed[0]._replace(w=1)
    with pytest.raises(TypeError, match=r"Sample has 3 values \['sample_id', 'y', 'text'\], got 1"):
        type(indexed[0])(1)


def test_functions_are_called_for_what_is_asked_for():
    asked = []
    by_number = Dataset(size=3, x=lambda i: asked.append(i))
    by_name = IndexedDataset(sample_id=["a", "b"], x=lambda of: asked.append(of))
    assert asked == []
    by_number[2], by_name[1], by_name.get_sample("a")
    assert asked == [2, "b", "a"]


def test_whole_numbers_of_any_type_are_positions_and_sizes(dataset):
    for one_ in (1, True, 1.0, np.int64(1), torch.tensor(1), torch.tensor([1.0])):
        assert dataset[one_].twice == 2
    for three in (3, np.int8(3), torch.tensor(3)):
        assert len(Dataset(size=three, x=double)) == len(Dataset(size=three, x=[1, 2, 3])) == 3
    assert len(Dataset(size=0, x=double)) == 0


def test_datasets_print_their_size_and_their_fields(dataset, indexed):
    assert repr(dataset) == "<Dataset of 5 samples with x, v, twice>"
    assert repr(indexed) == "<IndexedDataset of 5 samples with sample_id, y, text>"
    assert repr(Dataset.from_dict({"a b": [1]})) == "<Dataset of 1 sample with 'a b'>"
    assert repr(Dataset(size=2)) == "<Dataset of 2 samples with no fields>"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Dataset(x=[1], y=[1, 2]), ValueError, r"equally many samples, got \{'x': 1, 'y': 2\}"),
        (lambda: Dataset(size=3, x=[1]), ValueError, r"equally many samples, got \{'size': 3, 'x': 1\}"),
        (lambda: Dataset(x=double), ValueError, "are functions, size must say how many"),
        (lambda: Dataset(x=(1, 2)), TypeError, "'x' must be a list or a function, got tuple"),
        (
            lambda: Dataset(x=[1, "a"]),
            TypeError,
            r"'x' must have values of one type, got \['int', 'str'\]",
        ),
        (lambda: Dataset(sample_id=[1]), ValueError, "no field 'sample_id'; give it to IndexedDataset"),
        (lambda: Dataset.from_dict({"sample_id": [1]}), ValueError, "no field 'sample_id'"),
        (lambda: IndexedDataset([1], size=1), ValueError, "takes no field 'size'"),
        (lambda: IndexedDataset.from_dict({"sample_id": [1]}, [1]), ValueError, "no field 'sample_id'"),
        (lambda: IndexedDataset([1, 1]), ValueError, "must have distinct entries, got 1 twice"),
        (lambda: IndexedDataset((1, 2)), TypeError, "sample_id must be a list, got tuple"),
        (lambda: IndexedDataset([1], y=[1, 2]), ValueError, r"got \{'sample_id': 1, 'y': 2\}"),
        (lambda: IndexedDataset([1]).get_sample(2), ValueError, "no sample 2 in the dataset"),
        (lambda: Dataset(x=[1])[1], IndexError, "no sample 1 in a dataset of 1"),
        (lambda: Dataset(x=[1])[-1], IndexError, "no sample -1 in a dataset of 1"),
        (lambda: Dataset(x=[1, 2])[1.7], TypeError, "positions, which are integers, got 1.7$"),
        (lambda: Dataset(x=[1])["x"], TypeError, "positions, which are integers, got 'x'$"),
        (lambda: Dataset(x=[1])["0"], TypeError, "positions, which are integers, got '0'$"),
        (lambda: Dataset(x=[1])[None], TypeError, "positions, which are integers, got None$"),
        (lambda: Dataset(x=[1])[float("nan")], TypeError, "positions, which are integers, got nan$"),
        (lambda: Dataset(x=[1])[torch.arange(2)], TypeError, r"which are integers, got tensor\("),
        (
            lambda: Dataset(x=[1])[:1],
            TypeError,
            r"got slice\(None, 1, None\); .*Subset\(dataset, range\(",
        ),
        (
            lambda: IndexedDataset(["a"])["a"],
            TypeError,
            "got 'a'; get_sample finds them by their identifiers",
        ),
        (lambda: Dataset(size="3", x=double), TypeError, "size must be an integer, .* got '3'"),
        (lambda: Dataset(size=2.5, x=double), TypeError, "size must be an integer, .* got 2.5"),
        (lambda: Dataset(size=-3, x=double), ValueError, "size must not be negative, .* got -3"),
        (lambda: Dataset.from_dict({"x": double}, -3), ValueError, "size must not be negative"),
        (
            lambda: IndexedDataset(["a"], x=double, y=len, z=int)[0],
            ValueError,
            "the field 'z' can't be loaded for the sample 'a': invalid literal",
        ),
    ],
)
def test_what_is_no_dataset_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_batch_has_the_samples_field_by_field(dataset):
    batch = group([dataset[1], dataset[3]])
    assert batch.twice == (2, 6)
    assert batch.x == (dataset[1].x, dataset[3].x)
    assert type(batch).__name__ == "Batch"
    Plain = collections.namedtuple("Plain", "a b")
    assert group([Plain(1, 2), Plain(3, 4)]) == ((1, 3), (2, 4))


def test_maps_and_tensors_are_joined(dataset):
    batch = group_and_join([dataset[3], dataset[1]])
    assert batch.twice == (6, 2)
    assert batch.v.tolist() == [[3.0], [1.0]]
    block = batch.x.block()
    assert block.samples.values.tolist() == [[3], [1]]
    assert block.values.tolist() == [[3.0, 30.0], [1.0, 10.0]]
    assert block.gradient("cell").samples.values.tolist() == [[0], [1]]


def test_what_is_joined_and_how_is_up_to_the_caller(dataset):
    samples = [dataset[1], dataset[3]]
    batch = group_and_join(samples, fields_to_join=["v", "twice", "nowhere"])
    assert batch.x == (samples[0].x, samples[1].x)
    assert batch.v.shape == (2, 1)
    batch = group_and_join(samples, join_kwargs={"add_dimension": "of_map"})
    assert batch.x.block().samples.names == ["system", "of_map"]


def test_keys_of_any_sample_are_in_the_batch():
    samples = list(Dataset(x=[one(0), one(1, key=7)]))
    assert group_and_join(samples).x.keys.values.tolist() == [[0], [7]]
    with pytest.raises(tmref.NotEqualError):
        group_and_join(samples, join_kwargs={"different_keys": "error"})


def test_what_can_not_be_joined_is_said_of_its_field():
    by_arguments = r"\(join_kwargs=\{\.\.\.\} are the arguments of tmref\.join\)"
    for values, error, words in (
        ([one(0), one(0)], ValueError, f"the field 'x' can't be joined: .* {by_arguments}"),
        (
            [one(0), torch.zeros(1)],
            TypeError,
            "the field 'x' .* must all be a TensorMap, got TensorMap, T",
        ),
        (
            [torch.zeros(1), one(0)],
            TypeError,
            r"all be a Tensor, got Tensor, .*fields_to_join=\[\.\.\.\]",
        ),
        (
            [torch.zeros(1), torch.zeros(2)],
            RuntimeError,
            r"the field 'x' can't be joined: Sizes of tens",
        ),
    ):
        samples = [Dataset(x=[value])[0] for value in values]
        with pytest.raises(error, match=words):
            group_and_join(samples)
        assert group_and_join(samples, fields_to_join=[]).x == tuple(values)
    samples = list(Dataset(x=[one(0), one(1)]))
    with pytest.raises(TypeError, match=f"'x' can't be joined: .*argument 'add'.* {by_arguments}"):
        group_and_join(samples, join_kwargs={"add": "of_map"})
    for axis in ("samples", "properties"):
        with pytest.raises(TypeError, match=r"join_kwargs takes no 'axis': .* along their samples"):
            group_and_join(samples, join_kwargs={"axis": axis})
        of_numbers = [Dataset(x=[1])[0]]
        assert group_and_join(of_numbers, join_kwargs={"axis": axis}).x == (1,)  # nothing is joined


def test_identifiers_stay_where_they_are_tensors():
    ids = [torch.tensor([1]), torch.tensor([2])]
    assert group_and_join(list(IndexedDataset(sample_id=ids))).sample_id == tuple(ids)


def test_what_is_no_batch_is_refused(dataset, indexed):
    with pytest.raises(ValueError, match="at least one sample, got none"):
        group([])
    with pytest.raises(
        ValueError, match=r"the same fields, got \['x', 'v', 'twice'\] and \['sample_id'"
    ):
        group([dataset[0], indexed[0]])
    with pytest.raises(
        TypeError, match="samples must be named tuples, as those of a Dataset, got tuple"
    ):
        group([(1, 2)])
    with pytest.raises(TypeError, match="fields_to_join must be a list of names, got 'x'"):
        group_and_join([dataset[0]], fields_to_join="x")


def test_a_loader_gives_every_sample_once(dataset):
    batches = list(DataLoader(dataset, batch_size=2))
    assert [batch.twice for batch in batches] == [(0, 2), (4, 6), (8,)]
    assert [len(batch.x.block()) for batch in batches] == [2, 2, 1]
    shuffled = list(DataLoader(dataset, batch_size=2, shuffle=True))
    assert sorted(i for batch in shuffled for i in batch.twice) == [0, 2, 4, 6, 8]
    parts = random_split(dataset, [0.6, 0.4])
    of_parts = [i for part in parts for batch in DataLoader(part) for i in batch.twice]
    assert sorted(of_parts) == [0, 2, 4, 6, 8]
    assert next(iter(DataLoader(dataset, collate_fn=group))).v == (dataset[0].v,)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("way", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_batches_get_through_workers(way, dataset):
    loader = DataLoader(dataset, batch_size=2, num_workers=1, multiprocessing_context=way)
    for found, expected in zip(loader, DataLoader(dataset, batch_size=2), strict=True):
        assert type(found) is type(expected)
        tmref.equal_raise(found.x, expected.x)
        assert found.v.equal(expected.v)
        assert found.twice == expected.twice


def test_torchs_own_collate_joins_maps(dataset):
    batch = default_collate([dataset[0], dataset[2]])
    assert batch.x.block().samples.values.tolist() == [[0], [2]]
    assert batch.twice.tolist() == [0, 4]
    assert default_collate([{"x": one(0)}, {"x": one(1)}])["x"].block().shape == (2, 2)


def test_maps_of_a_batch_are_pinned(dataset, monkeypatch):
    """Which takes an accelerator: here it is seen to be asked for, for every tensor."""
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda t, *_: pinned.append(t.shape) or t.clone())
    batch = group_and_join([dataset[0], dataset[2]])
    found = pin_memory(batch)
    assert type(found) is type(batch)
    assert sorted(pinned) == [(2, 1), (2, 2), (2, 2)]
    tmref.equal_raise(found.x, batch.x)
    assert found.x.block().values.data_ptr() != batch.x.block().values.data_ptr()
