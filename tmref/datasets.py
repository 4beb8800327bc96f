"""Datasets of named fields, and batches of their samples, on torch's own data loaders."""

from __future__ import annotations

import contextlib
import functools
import keyword
import operator
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch.utils.data import _utils

from .operations import NotEqualError, join
from .printing import counted, type_of
from .tensor_map import TensorMap

__all__ = ["DataLoader", "Dataset", "IndexedDataset", "group", "group_and_join"]

#: The values of a field, one for each sample, or the function that gives them.
Field = list[Any] | Callable[[Any], Any]
_Self = TypeVar("_Self", bound="Fields")
_SAMPLE_ID = "sample_id"


class Fields(tuple[Any, ...]):
    """Named values, in order: a named tuple, whose names may be any strings.

    What is an identifier is an attribute, too; every name is a key: ``sample["with space"]``. Made by
    indexing a dataset (``Sample``), and by a data loader (``Batch``); pickled by its names, so that
    worker processes can hand it over.

    Source: the named tuples that the documentation of ``metatensor.learn.data.Dataset`` shows.
    """

    __slots__ = ()
    _fields: tuple[str, ...] = ()

    def __new__(cls: type[_Self], *values: Any) -> _Self:
        if len(values) != len(cls._fields):
            raise TypeError(
                f"{cls.__name__} has {len(cls._fields)} values {list(cls._fields)}, got {len(values)}"
            )
        return tuple.__new__(cls, values)

    def __getitem__(self, key: Any) -> Any:
        return self._asdict()[key] if isinstance(key, str) else super().__getitem__(key)

    def _asdict(self) -> dict[str, Any]:
        """The values by name."""
        return dict(zip(self._fields, self, strict=True))

    def _replace(self: _Self, **values: Any) -> _Self:
        """The same with some values replaced. Raises TypeError for a name that isn't there."""
        unknown = set(values) - set(self._fields)
        if unknown:
            raise TypeError(
                f"no {sorted(unknown)} in {type(self).__name__}, it has {list(self._fields)}"
            )
        return type(self)(*(self._asdict() | values).values())

    def __reduce__(self) -> Any:
        return _of_names, (type(self).__name__, self._fields, tuple(self))

    def __repr__(self) -> str:
        pairs = [f"{_shown(name)}={value!r}" for name, value in zip(self._fields, self, strict=True)]
        return f"{type(self).__name__}({', '.join(pairs)})"


@functools.lru_cache(maxsize=256)
def _named(kind: str, names: tuple[str, ...]) -> type[Fields]:
    """The class of named tuples with these names."""
    getters = {
        name: property(operator.itemgetter(i))
        for i, name in enumerate(names)
        if _is_plain(name) and not (name.startswith("_") and hasattr(Fields, name))
    }
    return type(kind, (Fields,), {**getters, "__slots__": (), "_fields": names})


def _of_names(kind: str, names: tuple[str, ...], values: tuple[Any, ...]) -> Fields:
    return _named(kind, names)(*values)


def _is_plain(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


def _shown(name: str) -> str:
    return name if _is_plain(name) else repr(name)


class _OfFields(torch.utils.data.Dataset[Fields]):
    """Samples of named fields."""

    _data: dict[str, Field]
    _size: int
    #: Where something else than a position may have been meant, what finds it.
    _remedy = ""

    def _set(self, data: Mapping[str, Field], size: int | None, needs: str) -> None:
        sizes = {}
        for name, field in data.items():
            if isinstance(field, list):
                sizes[name] = len(field)
                if name != _SAMPLE_ID and not all(isinstance(v, type(field[0])) for v in field):
                    kinds = sorted({type(value).__name__ for value in field})
                    raise TypeError(f"the field {name!r} must have values of one type, got {kinds}")
            elif not callable(field):
                raise TypeError(f"the field {name!r} must be a list or a function, got {type_of(field)}")
        if size is not None:
            sizes = {needs: _checked_size(size), **sizes}
        if not sizes:
            raise ValueError(
                f"where all fields are functions, {needs} must say how many samples there are"
            )
        if len(set(sizes.values())) > 1:
            raise ValueError(f"all fields must have equally many samples, got {sizes}")
        self._data, self._size = dict(data), next(iter(sizes.values()))

    def __len__(self) -> int:
        """The number of samples."""
        return self._size

    def __iter__(self) -> Iterator[Fields]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, idx: int) -> Fields:
        """The sample at a position: the values of all fields, in the order that they were given in.

        Raises TypeError for what is no whole number, IndexError where there is no such sample,
        ValueError where the function of a field raises.
        """
        idx = self._position_of(idx)
        if not 0 <= idx < len(self):
            raise IndexError(f"no sample {idx} in a dataset of {len(self)}")
        values = [self._value(name, field, idx) for name, field in self._data.items()]
        return _named("Sample", tuple(self._data))(*values)

    def __repr__(self) -> str:
        names = ", ".join(map(_shown, self._data))
        return f"<{type(self).__name__} of {counted(len(self), 'sample')} with {names or 'no fields'}>"

    def _position_of(self, idx: Any) -> int:
        """The whole number that something is. Raises TypeError where it is none."""
        if isinstance(idx, slice):
            remedy = "; torch.utils.data.Subset(dataset, range(...)) has some of the samples"
        else:
            with contextlib.suppress(TypeError, ValueError, OverflowError, RuntimeError):
                if int(idx) == idx:
                    return int(idx)
            remedy = self._remedy
        raise TypeError(f"samples are found by their positions, which are integers, got {idx!r}{remedy}")

    def _value(self, name: str, field: Field, idx: int) -> Any:
        if isinstance(field, list):
            return field[idx]
        asked = self._asked_for(idx)
        try:
            return field(asked)
        except Exception as error:
            words = f"the field {name!r} can't be loaded for the sample {asked!r}: {error}"
            raise ValueError(words) from error

    def _asked_for(self, idx: int) -> Any:
        """What the functions of fields are given for the sample at a position."""
        return idx


class Dataset(_OfFields):
    """Samples 0, 1, ..., n - 1, each with a value of every field.

    A field is given by its name: as a list with one value for each sample, all of one type, or as a
    function of the sample's number, which is called whenever the sample is asked for. ``size`` is the
    number of samples, which is needed where all fields are functions.

    Raises TypeError for a field that is neither, or has values of several types, and a size that is no
    integer, ValueError for fields of different lengths, without any length, for one that is called
    ``sample_id``, and a negative size.

    Source: the documentation of ``metatensor.learn.data.Dataset``.

    >>> dataset = Dataset(x=["a", "b"], square=lambda i: i * i)
    >>> dataset[1]
    Sample(x='b', square=1)
    """

    def __init__(self, size: int | None = None, **kwargs: Field) -> None:
        super().__init__()
        self._set(_without_ids(kwargs), size, "size")

    @classmethod
    def from_dict(cls, data: Mapping[str, Field], size: int | None = None) -> Dataset:
        """The dataset of these fields, whose names need be no identifiers. Raises as the constructor."""
        dataset = cls.__new__(cls)
        dataset._set(_without_ids(data), size, "size")
        return dataset


class IndexedDataset(_OfFields):
    """Samples that are called by identifiers, each with its own and a value of every other field.

    ``sample_id`` is a list of distinct hashable things, and the first field of every sample; the other
    fields are lists of equally many values, each of one type, or functions of the identifier.

    Raises TypeError for a field that is neither, or has values of several types, ValueError for fields
    of different lengths, identifiers that occur twice, and a field that is called ``size`` or
    ``sample_id``.

    Source: the documentation of ``metatensor.learn.data.IndexedDataset``.

    >>> dataset = IndexedDataset(sample_id=["cat", "dog"], length=len)
    >>> dataset.get_sample("dog")
    Sample(sample_id='dog', length=3)
    """

    _remedy = "; get_sample finds them by their identifiers"

    def __init__(self, sample_id: list[Hashable], **kwargs: Field) -> None:
        super().__init__()
        self._set_ids(sample_id, kwargs)

    @classmethod
    def from_dict(cls, data: Mapping[str, Field], sample_id: list[Hashable]) -> IndexedDataset:
        """The dataset of these fields, whose names need be no identifiers. Raises as the constructor."""
        dataset = cls.__new__(cls)
        dataset._set_ids(sample_id, data)
        return dataset

    def _set_ids(self, sample_id: list[Hashable], data: Mapping[str, Field]) -> None:
        for name in ("size", _SAMPLE_ID):
            if name in data:
                raise ValueError(
                    f"an IndexedDataset takes no field {name!r}: its samples are those of sample_id"
                )
        if not isinstance(sample_id, list):
            raise TypeError(f"sample_id must be a list, got {type_of(sample_id)}")
        self._position = {of: i for i, of in enumerate(sample_id)}
        if len(self._position) != len(sample_id):
            twice = next(of for i, of in enumerate(sample_id) if self._position[of] != i)
            raise ValueError(f"sample_id must have distinct entries, got {twice!r} twice")
        self._set({_SAMPLE_ID: sample_id, **data}, len(sample_id), _SAMPLE_ID)

    def get_sample(self, sample_id: Hashable) -> Fields:
        """The sample of this identifier. Raises ValueError where there is none."""
        if sample_id not in self._position:
            raise ValueError(f"no sample {sample_id!r} in the dataset")
        return self[self._position[sample_id]]

    def _asked_for(self, idx: int) -> Any:
        field = self._data[_SAMPLE_ID]
        assert isinstance(field, list)
        return field[idx]


def _checked_size(size: Any) -> int:
    """The number of samples. Raises TypeError for what is no integer, ValueError for a negative one."""
    try:
        number = operator.index(size)
    except TypeError:
        raise TypeError(f"size must be an integer, the number of samples, got {size!r}") from None
    if number < 0:
        raise ValueError(f"size must not be negative, it is the number of samples, got {size!r}")
    return number


def _without_ids(data: Mapping[str, Field]) -> Mapping[str, Field]:
    if _SAMPLE_ID in data:
        raise ValueError(f"a Dataset takes no field {_SAMPLE_ID!r}; give it to IndexedDataset")
    return data


def group(batch: Sequence[Any]) -> Fields:
    """The samples of a batch field by field: a named tuple of tuples, each with a value of every sample.

    ``batch`` is a list of named tuples of the same names. Raises ValueError for an empty one, and for
    other names, TypeError for samples without any.

    Source: the documentation of ``metatensor.learn.data.group``.
    """
    if not len(batch):
        raise ValueError("a batch must have at least one sample, got none")
    for sample in batch:
        if not hasattr(sample, "_fields"):
            raise TypeError(
                f"samples must be named tuples, as those of a Dataset, got {type_of(sample)}"
            )
        if tuple(sample._fields) != tuple(batch[0]._fields):
            names = [list(one._fields) for one in (batch[0], sample)]
            raise ValueError(
                f"samples of a batch must have the same fields, got {names[0]} and {names[1]}"
            )
    return _named("Batch", tuple(batch[0]._fields))(*zip(*batch, strict=True))


def group_and_join(
    batch: Sequence[Any],
    fields_to_join: Sequence[str] | None = None,
    join_kwargs: Mapping[str, Any] | None = None,
) -> Fields:
    """The samples of a batch field by field, as :func:`group`, with tensors and maps joined.

    Tensors are put below each other by ``torch.vstack``, maps by :func:`tmref.join` along their samples,
    with ``join_kwargs``; unless these say otherwise, a map whose keys others don't have counts as one of
    no samples there. ``fields_to_join`` are the names of those that are joined, all without it; names
    that aren't there, and fields of other things, stay as they are, and so does ``sample_id``.

    Raises as :func:`group`, TypeError for one name instead of a list of them, for a field of tensors
    or maps that has something else, too, and for an ``axis``, and what ``torch.vstack`` and ``join``
    raise, with the name of the field.

    Source: the documentation of ``metatensor.learn.data.group_and_join``.
    """
    if isinstance(fields_to_join, str):
        raise TypeError(f"fields_to_join must be a list of names, got {fields_to_join!r}")
    grouped = group(batch)
    names = set(grouped._fields if fields_to_join is None else fields_to_join) - {_SAMPLE_ID}
    how = {"different_keys": "union", **(join_kwargs or {})}

    def joined(name: str, values: tuple[Any, ...]) -> Any:
        kind = next((kind for kind in (TensorMap, torch.Tensor) if isinstance(values[0], kind)), None)
        if name not in names or kind is None:
            return values
        if not all(isinstance(value, kind) for value in values):
            raise TypeError(
                f"the field {name!r} can't be joined: its values must all be a {kind.__name__}, got "
                f"{', '.join(dict.fromkeys(map(type_of, values)))}; to leave it as it is say which are "
                "joined, fields_to_join=[...]"
            )
        if kind is torch.Tensor:
            return _joined_field(name, torch.vstack, values)
        if "axis" in how:
            raise TypeError(
                "join_kwargs takes no 'axis': maps of a batch are joined along their samples; for "
                "another axis join what group(batch) gives"
            )
        return _joined_field(name, join, list(values), axis="samples", **how)

    return type(grouped)(*(joined(name, values) for name, values in grouped._asdict().items()))


def _joined_field(name: str, join: Callable[..., Any], *values: Any, **how: Any) -> Any:
    """The values of a field joined. What ``join`` raises has the name of the field, and of the argument
    that says how it is done."""
    kinds = TypeError, ValueError, RuntimeError, NotEqualError
    try:
        return join(*values, **how)
    except kinds as error:
        remedy = " (join_kwargs={...} are the arguments of tmref.join)" if how else ""
        kind = next(kind for kind in kinds if isinstance(error, kind))
        raise kind(f"the field {name!r} can't be joined: {error}{remedy}") from error


class DataLoader(torch.utils.data.DataLoader[Any]):
    """torch's DataLoader, which joins the samples of a batch by :func:`group_and_join`.

    ``collate_fn`` is another function for it; all arguments of torch's go on to it. Raises as it does.

    Source: the documentation of ``metatensor.learn.data.DataLoader``, and of
    ``torch.utils.data.DataLoader``.
    """

    def __init__(
        self,
        dataset: torch.utils.data.Dataset[Any],
        collate_fn: Callable[[list[Any]], Any] = group_and_join,
        **kwargs: Any,
    ) -> None:
        super().__init__(dataset, collate_fn=collate_fn, **kwargs)


def _collate_maps(batch: Sequence[TensorMap], **how: Any) -> TensorMap:
    """What torch's ``default_collate`` makes of maps: one, of all samples."""
    return join(list(batch), axis="samples", different_keys="union")


# The way that the documentation of torch's default_collate names for types of one's own.
_utils.collate.default_collate_fn_map[TensorMap] = _collate_maps
