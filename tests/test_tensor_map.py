import copy
import pickle

import pytest
import torch

import tmref
from tmref import Labels, LabelsEntry, TensorBlock, TensorMap

KEYS = Labels(["l", "species"], torch.tensor([[0, 1], [1, 1], [1, 6]]))


@pytest.fixture
def three(block, tensor_map):
    return tensor_map(KEYS, block(2, 4), block(3, 4), block(0, 5))


def test_a_map_is_blocks_by_key(block):
    blocks = [block(2, 4), block(3, 4), block(0, 5)]
    tensor = TensorMap(KEYS, blocks)
    assert tensor.keys is KEYS
    assert len(tensor) == 3
    assert [b.values for b in tensor] == [b.values for b in blocks]
    assert all(a.values is b.values for a, b in zip(tensor, blocks, strict=True))
    assert [key.print() for key, _ in tensor.items()] == [
        "(l=0, species=1)",
        "(l=1, species=1)",
        "(l=1, species=6)",
    ]
    assert [len(b) for _, b in tensor.items()] == [2, 3, 0]
    assert tensor.sample_names == ["system"]
    assert tensor.component_names == []
    assert tensor.property_names == ["feature"]
    assert tensor.dtype == torch.float64
    assert tensor.device == torch.device("cpu")


def test_names_of_components(block, tensor_map):
    assert tensor_map(Labels.single(), block(2, 3, 1, 4)).component_names == [
        "component_0",
        "component_1",
    ]


def test_a_map_without_blocks():
    tensor = TensorMap(Labels.empty(["l", "species"]), [])
    assert len(tensor) == 0
    assert list(tensor) == tensor.items() == tensor.blocks() == tensor.blocks({"l": 0}) == []
    assert tensor.sample_names == tensor.component_names == tensor.property_names == []
    assert tensor.dtype == torch.get_default_dtype()
    assert tensor.device == torch.device("cpu")


def test_the_list_of_blocks_is_copied(block):
    blocks = [block(2, 4)]
    tensor = TensorMap(Labels.single(), blocks)
    blocks.append(block(1, 1))
    tensor.blocks().append(block(1, 1))
    assert len(tensor) == len(tensor.blocks()) == 1


# --- what makes no map


@pytest.mark.parametrize(
    ("keys", "blocks", "error", "message"),
    [
        ([[0]], [], TypeError, "keys must be Labels, got list"),
        (Labels.single(), None, TypeError, "blocks must be a list of TensorBlock, got NoneType"),
        (Labels.single(), [5], TypeError, "blocks[0] must be a TensorBlock, got int"),
        (Labels.single(), [], ValueError, "keys have 1 entry, got 0 blocks"),
    ],
)
def test_what_makes_no_map_is_refused(keys, blocks, error, message, refused):
    with refused(error, message):
        TensorMap(keys, blocks)


def test_a_block_is_no_list_of_blocks(block, refused):
    with refused(TypeError, "blocks must be a list of TensorBlock, got TensorBlock"):
        TensorMap(Labels.single(), block(2, 4))


def relabelled(block, samples="system", properties="feature", device="cpu"):
    return TensorBlock(
        block.values.to(device),
        Labels.range(samples, len(block)).to(device),
        [c.to(device) for c in block.components],
        Labels.range(properties, block.shape[-1]).to(device),
    )


@pytest.mark.parametrize(
    ("change", "what", "first", "second"),
    [
        (
            lambda b: TensorBlock(b.values.float(), b.samples, b.components, b.properties),
            "dtype",
            "torch.float64",
            "torch.float32",
        ),
        (lambda b: relabelled(b, device="meta"), "device", "cpu", "meta"),
        (lambda b: relabelled(b, samples="atom"), "sample names", "['system']", "['atom']"),
        (lambda b: relabelled(b, properties="n"), "property names", "['feature']", "['n']"),
        (
            lambda b: TensorBlock(b.values[:, 0], b.samples, [], b.properties),
            "component names",
            "['component_0']",
            "[]",
        ),
        (
            lambda b: TensorBlock(b.values, b.samples, [Labels.range("m", 3)], b.properties),
            "component names",
            "['component_0']",
            "['m']",
        ),
    ],
)
def test_blocks_that_do_not_fit_each_other_are_refused(change, what, first, second, block, refused):
    message = (
        f"all blocks of a TensorMap must have the same {what}, got {first} in the block "
        f"(l=0, species=1) and {second} in the block (l=1, species=6)"
    )
    with refused(ValueError, message):
        TensorMap(KEYS, [block(2, 3, 4), block(1, 3, 4), change(block(2, 3, 4))])


def test_keys_on_another_device_are_refused(block, refused):
    message = 'keys are on meta but the blocks on cpu; move them with .to("cpu")'
    with refused(ValueError, message):
        TensorMap(Labels.single().to("meta"), [block(2, 4)])


@pytest.mark.parametrize(
    ("rows", "extra", "parameter", "what", "first", "second"),
    [
        ([0], (3,), "cell", "gradients", "['positions']", "['cell']"),
        (
            [0],
            (),
            "positions",
            "component names of the gradient 'positions'",
            "['xyz_0']",
            "[]",
        ),
    ],
)
def test_gradients_that_do_not_fit_each_other_are_refused(
    rows, extra, parameter, what, first, second, block, with_gradient, refused
):
    message = (
        f"all blocks of a TensorMap must have the same {what}, got {first} in the block "
        f"(_=0) and {second} in the block (_=1)"
    )
    blocks = [
        with_gradient(block(2, 4), [1, 1], 3),
        with_gradient(block(2, 4), rows, *extra, parameter=parameter),
    ]
    with refused(ValueError, message):
        TensorMap(Labels.range("_", 2), blocks)


def test_a_missing_gradient_is_refused(block, with_gradient, refused):
    message = (
        "all blocks of a TensorMap must have the same gradients, got [] in the block (_=0) and "
        "['positions'] in the block (_=1)"
    )
    with refused(ValueError, message):
        TensorMap(Labels.range("_", 2), [block(2, 4), with_gradient(block(2, 4), [0])])


def test_order_of_gradients_does_not_matter(block, with_gradient):
    a = with_gradient(with_gradient(block(2, 4), [0]), [0], parameter="cell")
    b = with_gradient(with_gradient(block(2, 4), [0], parameter="cell"), [0])
    assert len(TensorMap(Labels.range("_", 2), [a, b])) == 2


# --- selection


@pytest.mark.parametrize(
    ("selection", "size"),
    [
        (0, 2),
        (2, 0),
        (KEYS[1], 3),
        (LabelsEntry(["species", "l"], torch.tensor([6, 1])), 0),
        (LabelsEntry(["species"], torch.tensor([6])), 0),
        (Labels(["l", "species"], torch.tensor([[1, 1]])), 3),
        (Labels(["species", "l"], torch.tensor([[1, 0]])), 2),
        (Labels(["l"], torch.tensor([[0]])), 2),
        ({"l": 1, "species": 6}, 0),
        ({"species": 1, "l": 1}, 3),
        ({"l": 0}, 2),
    ],
)
def test_one_block_by_any_selection(selection, size, three):
    assert len(three.block(selection)) == size
    assert three[selection] is three.block(selection)
    assert three.blocks(selection) == [three.block(selection)]


def test_several_blocks_by_a_part_of_the_key(three):
    assert [len(b) for b in three.blocks({"l": 1})] == [3, 0]
    assert [len(b) for b in three.blocks(Labels(["species"], torch.tensor([[1]])))] == [2, 3]
    assert [len(b) for b in three.blocks()] == [2, 3, 0]
    assert [len(b) for b in three.blocks({})] == [2, 3, 0]
    assert three.blocks({"l": 7}) == []
    assert three.blocks(LabelsEntry(["l", "species"], torch.tensor([7, 7]))) == []


def test_blocks_by_their_positions(three, refused):
    for blocks in (three.blocks_by_id, three.blocks):
        assert blocks([2, 0, 2]) == [three[2], three[0], three[2]]
        assert blocks([]) == []
        with refused(IndexError, "no block 3 in a TensorMap of 3 blocks"):
            blocks([0, 3])


def test_a_selection_of_no_or_several_blocks_is_refused(three, refused):
    with refused(ValueError, "(l=1) must match one block, but 2 of the 3 do"):
        three.block({"l": 1})
    with refused(ValueError, "(l=1, species=7) must match one block, but 0 of the 3 do"):
        three[{"l": 1, "species": 7}]
    with refused(ValueError, "(l=0, species=6) must match one block, but 0 of the 3 do"):
        three[LabelsEntry(["l", "species"], torch.tensor([0, 6]))]
    with refused(ValueError, "all blocks must match one block, but 3 of the 3 do"):
        three.block()


def test_the_only_block_needs_no_selection(block, tensor_map):
    tensor = tensor_map(Labels.single(), block(2, 4))
    assert tensor.block() is tensor[0]


@pytest.mark.parametrize("index", [3, -1])
def test_no_block_beyond_the_ends(index, three, refused):
    for select in (three.block_by_id, three.block, three.blocks):
        with refused(IndexError, f"no block {index} in a TensorMap of 3 blocks"):
            select(index)


def test_an_unknown_dimension_is_refused_by_name(three, refused):
    message = "no dimension 'n' in the keys, which have ['l', 'species']"
    for selection in (
        {"l": 0, "n": 0},
        Labels(["n"], torch.tensor([[0]])),
        LabelsEntry("n", torch.tensor([0])),
    ):
        with refused(ValueError, message):
            three.block(selection)


def test_what_selects_nothing_is_refused(three, refused):
    with refused(ValueError, "Labels that select blocks must have one entry, got 3"):
        three.block(KEYS)
    message = (
        "a block is selected by an int, a LabelsEntry, Labels of one entry or a dictionary, got str"
    )
    with refused(TypeError, message):
        three["l"]


# --- copies and print


def test_a_deep_copy_shares_no_values(three):
    again = three.copy()
    assert again.keys == three.keys
    again[0].values.zero_()
    assert three[0].values.abs().min() > 0


def test_a_shallow_copy_shares_values(three):
    again = three.copy(deep=False)
    assert again[0] is not three[0]
    assert again[0].values is three[0].values


@pytest.mark.parametrize("deep", [True, False])
def test_blocks_of_a_copy_are_owned_too(deep, three, refused):
    with pytest.raises(ValueError, match=r"part of a TensorMap or a gradient.*block\.copy\(\)"):
        three.copy(deep)[0].add_gradient("q", three[0].copy())


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"]
)
def test_copies_by_the_standard_library(duplicate, block, with_gradient, tensor_map):
    tensor = tensor_map(KEYS, *(with_gradient(block(2, 3, n), [0, 1, 1], 2) for n in (1, 2, 0)))
    again = duplicate(tensor)
    assert again.keys == tensor.keys
    for a, b in zip(again, tensor, strict=True):
        assert torch.equal(a.values, b.values)
        assert (a.samples, a.components, a.properties) == (b.samples, b.components, b.properties)
        assert torch.equal(a.gradient("positions").values, b.gradient("positions").values)
    again[0].values.zero_()
    assert tensor[0].values.abs().min() > 0
    with pytest.raises(ValueError, match="part of a TensorMap"):
        again[0].add_gradient("q", tensor[0])


def test_print(three):
    assert str(three) == three.print()
    assert str(three) == (
        "TensorMap with 3 blocks\n"
        "    keys: [l, species]\n"
        "    blocks:\n"
        "       0  1   => TensorBlock with shape (2, 4)\n"
        "       1  1   => TensorBlock with shape (3, 4)\n"
        "       1  6   => TensorBlock with shape (0, 5)"
    )


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 20])
@pytest.mark.parametrize("names", [["k"], ["o3_lambda", "l", "species"]], ids=len)
def test_maps_are_printed_as_metatensor_prints_them(names, count, block, with_gradient, to_mts):
    numbers = [[17 * i - 20, *(1000 * i for _ in names[1:])] for i in range(count)]
    keys = Labels(names, torch.tensor(numbers, dtype=torch.int32).reshape(count, len(names)))
    ours = TensorMap(keys, [with_gradient(block(i, 3, 12), [0] * (i > 0), 2) for i in range(count)])
    theirs = to_mts(ours)
    assert (ours.print(), str(ours)) == (repr(theirs), str(theirs))
    for max_keys in (-1, 0, 1, 3, 8, 30):
        assert ours.print(max_keys) == theirs.print(max_keys)
    assert [str(b) for b in ours] == [str(b) for b in theirs.blocks()]


# --- to


@pytest.mark.parametrize("dtype", [None, torch.float32], ids=str)
@pytest.mark.parametrize("device", [None, "meta"])
def test_to(device, dtype, block, with_gradient, tensor_map):
    tensor = tensor_map(KEYS, *(with_gradient(block(2, 3, n), [0, 1], 2) for n in (1, 2, 0)))
    moved = tensor.to(dtype=dtype, device=device)
    assert moved.dtype == (dtype or torch.float64)
    assert moved.device == moved.keys.device == torch.device(device or "cpu")
    assert moved.keys == tensor.keys
    for part, old in zip(moved, tensor, strict=True):
        gradient = part.gradient("positions")
        assert part.dtype == gradient.dtype == moved.dtype
        assert part.device == part.samples.device == gradient.samples.device == moved.device
        assert part.samples == old.samples
        assert (part.values is old.values) is (device is None and dtype is None)
        with pytest.raises(ValueError, match="part of a TensorMap"):
            part.add_gradient("q", gradient)
    assert tensor.dtype == torch.float64
    assert tensor.device == tensor[0].samples.device == torch.device("cpu")


def test_to_by_position(three, refused):
    assert three.to(torch.float32).dtype == three.to("meta", torch.float32).dtype == torch.float32
    assert three.to(torch.float32, "meta").device == torch.device("meta")
    with refused(
        TypeError, "to takes one dtype and one device, by position or by name, got 3 of type int"
    ):
        three.to(3)


def test_a_map_without_blocks_moves_its_keys():
    assert TensorMap(Labels.empty("k"), []).to("meta").device == torch.device("meta")


# --- agreement with metatensor.torch


@pytest.mark.parametrize(
    "selection",
    [
        0,
        2,
        3,
        -1,
        KEYS[1],
        Labels(["l", "species"], torch.tensor([[1, 1]])),
        Labels(["species", "l"], torch.tensor([[1, 0]])),
        Labels(["l"], torch.tensor([[0]])),
        Labels(["l"], torch.tensor([[1]])),
        Labels(["l"], torch.tensor([[5]])),
        Labels(["n"], torch.tensor([[0]])),
        KEYS,
        {"l": 1, "species": 6},
        {"l": 1},
        {"l": 9},
        {"n": 0},
    ],
    ids=str,
)
def test_selection_agrees_with_metatensor(selection, three, mts, to_mts):
    def outcome(tensor, selection):
        try:
            return len(tensor.block(selection))
        except (ValueError, IndexError, RuntimeError):
            return "refused"

    theirs = selection
    if isinstance(selection, Labels):
        theirs = to_mts(selection)
    elif isinstance(selection, LabelsEntry):
        theirs = mts.Labels(selection.names, selection.values.reshape(1, -1))[0]
    assert outcome(three, selection) == outcome(to_mts(three), theirs)


def test_maps_are_refused_where_metatensor_refuses_them(block, with_gradient, mts, to_mts):
    fitting = block(2, 3, 4)
    others = {
        "sizes": (block(5, 3, 1), True),
        "component sizes": (block(2, 2, 4), True),
        "samples": (relabelled(fitting, samples="atom"), False),
        "properties": (relabelled(fitting, properties="n"), False),
        "components": (block(2, 4), False),
        "gradients": (with_gradient(block(2, 3, 4), [0]), False),
    }

    def accepted(kind, convert, other):
        keys = convert(Labels.range("_", 2))
        try:
            kind(keys, [convert(fitting), convert(other)])
        except (ValueError, RuntimeError):
            return False
        return True

    for name, (other, good) in others.items():
        assert accepted(TensorMap, lambda x: x, other) is good, name
        assert accepted(mts.TensorMap, to_mts, other) is good, name


# --- what a map says of itself

INFO = {"unit": "eV", "é": 'ü\n"', "empty": ""}


@pytest.fixture
def telling():
    """A map that says something of itself."""
    keys = Labels(["key", "other"], torch.tensor([[0, 0], [1, 0]]))
    blocks = [tmref.block_from_array(torch.zeros(2, 3)) for _ in keys]
    return tmref.with_info(TensorMap(keys, blocks), INFO)


def test_a_map_says_what_was_said_of_it(telling):
    assert telling.info() == INFO
    assert telling.get_info("unit") == "eV"
    assert telling.get_info("empty") == ""
    assert telling.get_info("missing") is None
    telling.set_info("unit", "Ha")
    assert telling.info() == {**INFO, "unit": "Ha"}
    assert TensorMap(Labels.empty("key"), []).info() == {}


def test_its_info_can_be_changed_through_nothing_else(telling):
    telling.info()["unit"] = "Ha"
    copied = telling.copy(deep=False)
    copied.set_info("unit", "Ha")
    assert (telling.get_info("unit"), copied.get_info("unit")) == ("eV", "Ha")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((1, "v"), "key of the info must be a string, got 1 of type int"),
        (("k", None), "value of the info must be a string, got None of type NoneType"),
    ],
)
def test_only_texts_are_said(given, message, refused):
    x = TensorMap(Labels.empty("key"), [])
    with refused(TypeError, message):
        x.set_info(*given)
    assert x.info() == {}


KEEPING = {
    "copy": lambda x: x.copy(),
    "shallow": lambda x: x.copy(deep=False),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "dtype": lambda x: x.to(torch.float64),
    "device": lambda x: x.to("meta"),
    "buffer": lambda x: tmref.load_buffer(tmref.save_buffer(x)),
    "repr": lambda x: eval(repr(x), {**vars(tmref), "torch": torch}),
    "keys_to_samples": lambda x: x.keys_to_samples("key"),
    "keys_to_properties": lambda x: x.keys_to_properties("key"),
    "without gradients": tmref.remove_gradients,
    "some blocks": lambda x: tmref.filter_blocks(x, Labels.range("key", 1)),
    "permuted": lambda x: tmref.Permutation((1, 0), ((0, 1), (1, 0)))(x),
    "pytree": lambda x: torch.utils._pytree.tree_map(lambda values: values + 1, x),
}


@pytest.mark.parametrize("way", KEEPING)
def test_what_a_map_says_of_itself_stays(way, telling):
    assert KEEPING[way](telling).info() == INFO


def test_what_is_computed_of_maps_says_nothing(telling):
    assert tmref.add(telling, telling).info() == tmref.add(telling, 1).info() == {}
    assert tmref.multiply(telling, 2).info() == tmref.sum_over_samples(telling, "sample").info() == {}
    assert telling.info() == INFO


def test_a_rotated_map_says_what_it_said():
    component = Labels("o3_mu", torch.tensor([[0]]))
    block = TensorBlock(torch.ones(1, 1, 1), Labels.range("s", 1), [component], Labels.range("p", 1))
    x = tmref.with_info(TensorMap(Labels(["o3_lambda"], torch.tensor([[0]])), [block]), INFO)
    assert tmref.Rotation((1, 0.5, 0.25, 0.125))(x).info() == INFO
