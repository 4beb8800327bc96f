"""Files go between the reference and both flavours of metatensor to the bit, both ways."""

import io
import warnings
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tmref
from tmref import Labels, TensorBlock, TensorMap
from tmref.io.npy import DTYPES
from tmref.strategies import dtypes, labels, layouts, tensor_blocks, tensor_maps

EXPANSIONS = {"spherical-expansion": 12, "core-data": 27, "qm7-spherical-expansion": 45}  # blocks

LABELS = Labels(["a", "b"], torch.tensor([[0, 1], [-5, 2**31 - 1]]))

#: dtypes that metatensor's torch flavour writes and doesn't read
CORE_ALONE = (torch.uint16, torch.uint32, torch.uint64)

MANY = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
#: what maps say of themselves: never an empty text, for which metatensor's core gives None
WORDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=4
)
TEXTS = st.dictionaries(st.just("") | WORDS, WORDS, max_size=3)
MAPS = tensor_maps(
    dtypes=dtypes(allow_half=True, allow_integers=True, allow_complex=True).filter(
        lambda dtype: dtype is not torch.bfloat16
    ),
    layouts=layouts(),
    max_gradients=2,
    allow_nan=True,
    allow_infinity=True,
)


@pytest.fixture(
    params=[
        *(("made", name) for name in EXPANSIONS),
        *(("real", name) for name in EXPANSIONS),
        ("made", "nested"),
    ],
    ids=lambda param: f"{param[0]}-{param[1]}",
)
def path(request, written, nested, shared):
    """A file of a map that metatensor wrote: now, or long ago."""
    origin, what = request.param
    if origin == "real":
        return shared(f"data/{what}.mts")
    return written(nested if what == "nested" else what)


@pytest.fixture
def theirs(mts):
    """theirs(data): the same in metatensor.torch's types, all it says of itself included, its values
    contiguous: metatensor writes other numbers for those conjugated or negated lazily."""

    def convert(x):
        if isinstance(x, Labels):
            return mts.Labels(x.names, x.values)
        if isinstance(x, TensorMap):
            tensor = mts.TensorMap(convert(x.keys), [convert(block) for block in x])
            for key, value in x.info().items():
                tensor.set_info(key, value)
            return tensor
        values = torch.from_numpy(x.values.detach().numpy(force=True).copy())
        components = [convert(c) for c in x.components]
        block = mts.TensorBlock(values, convert(x.samples), components, convert(x.properties))
        for parameter, gradient in x.gradients():
            block.add_gradient(parameter, convert(gradient))
        return block

    return convert


@pytest.fixture
def exchanged(theirs, parts, read, mts):
    """exchanged(data): compares what either library writes and reads of it, in both flavours."""
    import metatensor

    core = {
        "TensorMap": metatensor.io.load_buffer,
        "TensorBlock": metatensor.io.load_block_buffer,
        "Labels": metatensor.io.load_labels_buffer,
    }

    def exchange(data, *, flavours=("torch", "core")):
        name, expected = type(data).__name__, parts(data)
        buffer = tmref.save_buffer(data)
        assert parts(read(type(data), buffer)) == expected
        assert torch.equal(buffer, theirs(data).save_buffer())
        if "torch" in flavours:
            assert parts(getattr(mts, name).load_buffer(buffer)) == expected
        if "core" not in flavours:
            return
        of_core = core[name](buffer.numpy().tobytes())
        assert parts(of_core) == expected
        assert bytes(metatensor.io.save_buffer(of_core)) == buffer.numpy().tobytes()
        if name != "Labels":
            by_numpy = io.BytesIO()
            metatensor.save(by_numpy, of_core, use_numpy=True)
            assert parts(read(type(data), by_numpy.getvalue())) == expected

    return exchange


# --- files of metatensor's


def test_files_are_read_as_metatensor_reads_them(path, mts, parts):
    expected = parts(mts.load(str(path)))
    assert parts(tmref.load(path)) == expected
    assert parts(tmref.load(str(path))) == expected
    with open(path, "rb") as file:
        assert parts(tmref.load(file)) == expected


@pytest.mark.parametrize("name", EXPANSIONS)
def test_expansions_are_made_with_the_shapes_of_real_ones(name, shared, expansion):
    def shapes(tensor):
        return {
            tuple(key.values.tolist()): (
                axes(block),
                {parameter: axes(gradient) for parameter, gradient in block.gradients()},
            )
            for key, block in tensor.items()
        }

    def axes(block):
        labels = [block.samples, *block.components, block.properties]
        return [(names, len(axis)) for axis in labels for names in [tuple(axis.names)]]

    real = tmref.load(shared(f"data/{name}.mts"))
    assert len(real) == EXPANSIONS[name]
    assert shapes(expansion(name)) == shapes(real)


def test_what_is_written_is_read_by_metatensor(path, mts, tmp_path, parts):
    import metatensor

    tensor = tmref.load(path)
    for data, name in ((tensor, "load"), (tensor[0], "load_block"), (tensor.keys, "load_labels")):
        file = tmp_path / "data.mts"
        tmref.save(file, data)
        assert parts(getattr(tmref, name)(file)) == parts(data)
        assert parts(getattr(mts, name)(str(file))) == parts(data)
        assert parts(getattr(metatensor, name)(str(file))) == parts(data)


def test_what_metatensor_wrote_is_written_again(path, exchanged):
    tensor = tmref.load(path)
    for data in (tensor, tensor[0], tensor.keys):
        exchanged(data)


@pytest.mark.parametrize("name", ["spherical-expansion", "core-data"])
def test_the_bytes_are_those_of_the_real_files(name, shared):
    path = shared(f"data/{name}.mts")
    assert tmref.save_buffer(tmref.load(path)).numpy().tobytes() == path.read_bytes()


# --- all that there can be


@MANY
@given(tensor=MAPS, info=TEXTS)
def test_maps_are_exchanged(exchanged, tensor, info):
    exchanged(tmref.with_info(tensor, info) if info else tensor)


@MANY
@given(block=tensor_blocks(layouts=layouts(), allow_nan=True))
def test_blocks_are_exchanged(exchanged, block):
    exchanged(block)


@MANY
@given(labels())
def test_labels_are_exchanged(exchanged, labels):
    exchanged(labels)


@pytest.mark.parametrize(
    "labels", [LABELS, Labels.empty("a"), Labels.single(), Labels.empty(["a", "b"])], ids=repr
)
def test_labels_of_every_kind_are_exchanged(exchanged, labels):
    exchanged(labels)


def test_names_that_need_a_longer_header_are_exchanged(exchanged):
    exchanged(Labels([f"dimension_{i}" for i in range(3000)], torch.arange(3000).reshape(1, -1)))


def test_empty_texts_are_exchanged(exchanged, nested):
    exchanged(
        tmref.with_info(nested, {"empty": "", "quotes": '\n"\\/\x01\x7f\u2028é😀'}), flavours=["torch"]
    )


def test_gradients_of_gradients_are_exchanged(exchanged, nested):
    exchanged(nested)
    exchanged(nested[0])
    again = tmref.load_buffer(tmref.save_buffer(nested))
    assert again[0].gradient("positions").gradients_list() == ["cell"]


def test_a_map_without_blocks_is_exchanged(exchanged):
    exchanged(TensorMap(Labels.empty(["a", "b"]), []))


@pytest.mark.parametrize("names", [("z", "a", "é", "a b", "A"), ("", ".", "..", "a\\b", "a'b")])
def test_names_of_gradients_are_exchanged(names, exchanged, block, with_gradient):
    whole = block(2, 3)
    for name in names:
        with_gradient(whole, [0], parameter=name)
    exchanged(whole)


def test_numbers_of_all_bits_are_exchanged(dtype, any_bits, exchanged):
    values = any_bits(dtype, 64, 64)
    flavours = ("core",) if dtype in CORE_ALONE else ("torch", "core")
    exchanged(tmref.block_from_array(values), flavours=flavours)
    exchanged(tmref.block_from_array(values[::2].T), flavours=flavours)


def test_numbers_of_either_sign_of_zero_are_exchanged(exchanged):
    values = torch.tensor([[0.0, -0.0, float("nan"), -float("nan")]])
    exchanged(tmref.block_from_array(values))
    exchanged(tmref.block_from_array(torch.complex(values, -values)))


def test_values_may_be_views_and_have_a_graph(read, exchanged):
    values = torch.randn(4, 3, dtype=torch.complex128, requires_grad=True)
    views = (
        values.T,
        values.conj(),
        values[::2],
        values.conj().imag,
        values[:1].expand(5, 3),
        2 * values,
    )
    for view in (*views, torch._efficientzerotensor(2, 3), torch.nn.Parameter(values.real)):
        block = tmref.block_from_array(view)
        exchanged(block)
        again = read(TensorBlock, tmref.save_buffer(block))
        assert torch.equal(again.values, view)
        assert not again.values.requires_grad


@pytest.mark.slow
def test_an_archive_of_many_entries_has_the_same_bytes(theirs):
    """Of more than 65535, which take another end of the archive."""
    block = tmref.block_from_array(torch.zeros(1, 1, 1, 1, 1, 1))
    for count in (9361, 9362, 9363):  # seven entries each, and the keys: 9362 have 65535
        tensor = TensorMap(Labels.range("key", count), [block] * count)
        buffer = tmref.save_buffer(tensor)
        assert torch.equal(buffer, theirs(tensor).save_buffer())
        assert len(tmref.load_buffer(buffer)) == count


# --- dtypes


@pytest.mark.parametrize("dtype", CORE_ALONE, ids=str)
def test_metatensor_torch_does_not_read_unsigned_integers(dtype, mts, theirs):
    """The day it does, the exchange above is for both flavours."""
    block = theirs(tmref.block_from_array(torch.zeros(2, 3, dtype=dtype)))
    with pytest.raises(RuntimeError, match="unsupported DL"):
        mts.TensorBlock.load_buffer(block.save_buffer())


def test_there_are_no_other_dtypes_that_metatensor_saves(mts):
    named = {value for value in vars(torch).values() if isinstance(value, torch.dtype)}
    for other in named - set(DTYPES.values()):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # that complex32 is experimental
                values = torch.zeros(2, 3).to(other)
        except (RuntimeError, NotImplementedError):
            continue  # torch itself has no such numbers
        axes = mts.Labels.range("sample", 2), [], mts.Labels.range("property", 3)
        with pytest.raises(RuntimeError, match="unsupported DL"):
            mts.TensorBlock(values, *axes).save_buffer()


# --- what metatensor's numpy flavour writes


def test_bytes_and_booleans_of_numpy_are_read(parts):
    """Its own reader takes these for no dtypes."""
    for dtype in ("i1", "u1", "?"):
        buffer = io.BytesIO()
        values = np.array([[0, 1]], dtype)
        axes = {
            "samples": np.zeros(1, [("s", "<i4")]),
            "properties": np.array([0, 1]).astype([("p", "<i4")]),
        }
        np.savez(buffer, values=values, **axes)
        assert tmref.load_block_buffer(buffer.getvalue()).values.numpy().tolist() == values.tolist()


def test_compressed_archives_are_read(nested, rewritten, parts):
    buffer = rewritten(nested, compression=zipfile.ZIP_DEFLATED)
    assert parts(tmref.load_buffer(buffer)) == parts(nested)
