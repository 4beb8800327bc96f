import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tmref import Labels, TensorBlock, TensorMap
from tmref.moves import distinct
from tmref.strategies import tensor_maps

MOVES = ("keys_to_samples", "keys_to_properties")

few = settings(derandomize=True, database=None, deadline=None, max_examples=60)


def rows(values, width=1):
    return torch.tensor(values, dtype=torch.int32).reshape(-1, width)


def block_of(samples, properties, start=0.0, gradient=None):
    """Values start, start + 1, ...; those of the gradient are 1/2 more."""
    properties = Labels("p", rows(properties))

    def counted(labels):
        count = len(labels) * len(properties)
        values = torch.arange(count, dtype=torch.float64).reshape(len(labels), len(properties))
        return values, labels

    values, samples = counted(Labels("s", rows(samples)))
    block = TensorBlock(values + start, samples, [], properties)
    if gradient is not None:
        values, samples = counted(Labels(["sample", "atom"], rows(gradient, 2)))
        block.add_gradient("x", TensorBlock(values + start + 0.5, samples, [], properties))
    return block


@pytest.fixture
def three():
    """Three blocks under the keys k = 1, 0, 0 and n = 5, 9, 3."""
    keys = Labels(["k", "n"], rows([1, 5, 0, 9, 0, 3], 2))
    return TensorMap(
        keys,
        [
            block_of([3, 1], [7, 8], 0, gradient=[0, 2, 1, 0]),
            block_of([2, 1], [7, 8], 100, gradient=[1, 1, 0, 0]),
            block_of([0, 1], [7, 8], 200, gradient=[1, 4]),
        ],
    )


def listed(block):
    return [block.samples.names, block.samples.values.tolist(), block.values.tolist()]


def outcome(tensor, error):
    """All there is in a map as lists, or that it was refused: to compare maps of two libraries."""

    def of(block):
        axes = [block.samples, *block.components, block.properties]
        return (
            [(labels.names, labels.values.tolist()) for labels in axes],
            block.values.dtype,
            block.values.tolist(),
            {p: of(block.gradient(p)) for p in sorted(block.gradients_list())},
        )

    try:
        tensor = tensor()
    except error:
        return "refused"
    return tensor.keys.names, tensor.keys.values.tolist(), [of(block) for block in tensor.blocks()]


# --- examples


def test_to_samples(three):
    moved = three.keys_to_samples("n")
    assert moved.keys == Labels("k", rows([1, 0]))
    assert listed(moved[0]) == [["s", "n"], [[1, 5], [3, 5]], [[2, 3], [0, 1]]]
    assert listed(moved[1]) == [
        ["s", "n"],
        [[0, 3], [1, 3], [1, 9], [2, 9]],
        [[200, 201], [202, 203], [102, 103], [100, 101]],
    ]
    assert moved[1].properties is three[1].properties
    assert listed(moved[1].gradient("x")) == [
        ["sample", "atom"],
        [[1, 4], [2, 1], [3, 0]],
        [[200.5, 201.5], [100.5, 101.5], [102.5, 103.5]],
    ]


def test_to_samples_in_the_order_of_the_blocks(three):
    moved = three.keys_to_samples("n", sort_samples=False)
    assert listed(moved[1]) == [
        ["s", "n"],
        [[2, 9], [1, 9], [0, 3], [1, 3]],
        [[100, 101], [102, 103], [200, 201], [202, 203]],
    ]
    assert moved[1].gradient("x").samples.values.tolist() == [[0, 0], [1, 1], [3, 4]]


def test_to_properties(three):
    moved = three.keys_to_properties(["n"])
    assert moved.keys == Labels("k", rows([1, 0]))
    assert moved[1].properties == Labels(["n", "p"], rows([9, 7, 9, 8, 3, 7, 3, 8], 2))
    assert listed(moved[1]) == [
        ["s"],
        [[0], [1], [2]],
        [[0, 0, 200, 201], [102, 103, 202, 203], [100, 101, 0, 0]],
    ]
    assert listed(moved[1].gradient("x")) == [
        ["sample", "atom"],
        [[1, 1], [1, 4], [2, 0]],
        [[100.5, 101.5, 0, 0], [0, 0, 200.5, 201.5], [102.5, 103.5, 0, 0]],
    ]


def test_to_properties_in_the_order_of_the_blocks(three):
    moved = three.keys_to_properties("n", sort_samples=False, fill_value=-1)
    assert listed(moved[1]) == [
        ["s"],
        [[2], [1], [0]],
        [[100, 101, -1, -1], [102, 103, 202, 203], [-1, -1, 200, 201]],
    ]
    assert moved[1].gradient("x").samples.values.tolist() == [[0, 0], [1, 1], [1, 4]]


def test_to_properties_with_values(three):
    moved = three.keys_to_properties(Labels("n", rows([4, 9])))
    assert moved[0].properties == Labels(["n", "p"], rows([4, 7, 4, 8, 9, 7, 9, 8], 2))
    assert listed(moved[0]) == [["s"], [[1], [3]], [[0, 0, 0, 0], [0, 0, 0, 0]]]
    assert listed(moved[1]) == [
        ["s"],
        [[0], [1], [2]],
        [[0, 0, 0, 0], [0, 0, 102, 103], [0, 0, 100, 101]],
    ]


@pytest.mark.parametrize("move", MOVES)
def test_all_keys_moved_leave_one(move, three):
    moved = getattr(three, move)(["n", "k"])
    assert moved.keys == Labels.single()
    assert len(moved[0]) == (6 if move == "keys_to_samples" else 4)


@pytest.mark.parametrize("move", MOVES)
def test_labels_without_entries_are_names(move, three):
    named, labelled = (getattr(three, move)(k) for k in ("n", Labels.empty("n")))
    assert [listed(b) for b in named] == [listed(b) for b in labelled]


def test_other_properties_are_filled():
    keys = Labels("k", rows([0, 1]))
    tensor = TensorMap(keys, [block_of([1], [8, 3]), block_of([0], [5, 8], 10)])
    moved = tensor.keys_to_samples("k", fill_value=-1.0)[0]
    assert moved.properties == Labels("p", rows([8, 3, 5]))
    assert listed(moved)[1:] == [[[0, 1], [1, 0]], [[11, -1, 10], [0, 1, -1]]]


@pytest.mark.parametrize("move", MOVES)
def test_gradients_of_gradients_move_with_them(move):
    properties = Labels.range("p", 1)

    def nested(samples, value):
        block = block_of(samples, [0], value)
        gradient = TensorBlock(torch.tensor([[1.0], [2.0]]).double(), LABELS, [], properties)
        second = TensorBlock(
            torch.tensor([[value]]).double(), Labels("sample", rows([1])), [], properties
        )
        gradient.add_gradient("y", second)
        block.add_gradient("x", gradient)
        return block

    LABELS = Labels(["sample", "atom"], rows([0, 0, 1, 0], 2))
    tensor = TensorMap(Labels.range("k", 2), [nested([5, 2], 10.0), nested([9, 0], 20.0)])
    gradient = getattr(tensor, move)("k")[0].gradient("x")
    # samples 0, 2, 5, 9; row 1 of the gradients, of the samples 2 and 0, has the second derivative
    assert gradient.samples.values[:, 0].tolist() == [0, 1, 2, 3]
    second = gradient.gradient("y")
    assert second.samples.values.tolist() == [[0], [1]]
    assert second.values.tolist() == ([[20], [10]] if move == "keys_to_samples" else [[0, 20], [10, 0]])


# --- what it doesn't do


@pytest.mark.parametrize("move", MOVES)
def test_inputs_stay_as_they_are(move, three):
    before = outcome(lambda: three, ())
    moved = getattr(three, move)("n")
    for block in moved:
        block.values.fill_(5)
        block.gradient("x").values.fill_(5)
    assert outcome(lambda: three, ()) == before


@pytest.mark.parametrize("move", MOVES)
def test_results_are_owned(move, three):
    block = getattr(three, move)("n")[0]
    assert block.gradient("x").print().startswith("TensorBlock gradient for 'x'")
    for part in (block, block.gradient("x")):
        with pytest.raises(ValueError, match="part of a TensorMap or a gradient"):
            part.add_gradient("y", part.copy())


@pytest.mark.parametrize("keys", ["n", ["n", "k"], Labels("n", rows([9, 3]))], ids=str)
@pytest.mark.parametrize("move", MOVES)
def test_maps_stay_on_their_device(move, keys, three):
    if isinstance(keys, Labels) and move == "keys_to_samples":
        keys = Labels.empty("n")
    moved = getattr(three.to("meta"), move)(keys)
    here = getattr(three, move)(keys)
    assert moved.keys == here.keys
    for block, same in zip(moved, here, strict=True):
        assert block.samples == same.samples
        assert block.shape == same.shape
        for part in (moved.keys, block, block.samples, block.properties, block.gradient("x").samples):
            assert part.device == torch.device("meta")


# --- derivatives


@pytest.mark.parametrize("sort", [True, False])
@pytest.mark.parametrize("names", ["k", "n", ["n", "k"]], ids=str)
@pytest.mark.parametrize("move", MOVES)
def test_derivatives(move, names, sort, three):
    def moved(*values):
        blocks = []
        for block, (own, gradient) in zip(
            three, zip(values[::2], values[1::2], strict=True), strict=True
        ):
            old = block.gradient("x")
            again = TensorBlock(own, block.samples, [], block.properties)
            again.add_gradient("x", TensorBlock(gradient, old.samples, [], old.properties))
            blocks.append(again)
        result = getattr(TensorMap(three.keys, blocks), move)(names, sort_samples=sort)
        return tuple(v for b in result for v in (b.values, b.gradient("x").values))

    inputs = [v.clone().requires_grad_() for b in three for v in (b.values, b.gradient("x").values)]
    assert torch.autograd.gradcheck(moved, inputs)
    plain = moved(*(v.detach() for v in inputs))
    assert all(torch.equal(a, b) for a, b in zip(moved(*inputs), plain, strict=True))


# --- what can't be moved


def test_what_cannot_be_moved_is_refused(three, refused):
    for move in MOVES:
        merge = getattr(three, move)
        message = "keys_to_move must be a name, a list of names, or Labels, got 5 of type int"
        with refused(TypeError, message):
            merge(5)
        with refused(TypeError, "fill_value must be a number, got 'n' of type str"):
            merge("n", "n")
        with refused(ValueError, "keys_to_move must be one or more distinct names, got []"):
            merge([])
        with refused(ValueError, "keys_to_move must be one or more distinct names, got ['n', 'n']"):
            merge(["n", "n"])
        with refused(ValueError, "no dimension 'l' in the keys, which have ['k', 'n']"):
            merge(["n", "l"])


def test_labels_with_entries_cannot_be_moved_to_samples(three, refused):
    message = (
        "keys_to_move must be names, or Labels without entries, got Labels of 2 entries; "
        "give the names ['n']"
    )
    with refused(ValueError, message):
        three.keys_to_samples(Labels("n", rows([9, 3])))


@pytest.mark.parametrize(
    ("move", "names", "clash"),
    [("keys_to_samples", ["s", "p"], "s"), ("keys_to_properties", ["s", "p"], "p")],
)
def test_a_dimension_cannot_be_there_twice(move, names, clash, refused):
    tensor = TensorMap(Labels(["s", "p"], rows([0, 0], 2)), [block_of([0], [0])])
    axis = move.removeprefix("keys_to_")
    message = f"{clash!r} is a dimension of the keys and of the {axis}, which can't have it twice"
    with refused(ValueError, message):
        getattr(tensor, move)(names)


@pytest.mark.parametrize("move", MOVES)
def test_a_map_without_blocks_has_nothing_to_move(move, refused):
    with refused(ValueError, "a TensorMap without blocks has no keys to move"):
        getattr(TensorMap(Labels.empty("k"), []), move)("k")


@pytest.mark.parametrize("move", MOVES)
def test_other_components_are_refused(move, block, with_gradient, refused):
    message = "blocks of different components can't be merged, got the shapes {} and {}"
    keys = Labels.range("k", 2)
    with refused(ValueError, message.format((2, 3, 4), (2, 2, 4))):
        getattr(TensorMap(keys, [block(2, 3, 4), block(2, 2, 4)]), move)("k")
    blocks = [with_gradient(block(2, 4), [0], 3), with_gradient(block(2, 4), [0], 2)]
    with refused(ValueError, message.format((1, 3, 4), (1, 2, 4))):
        getattr(TensorMap(keys, blocks), move)("k")


def test_other_properties_are_refused_with_values(refused):
    tensor = TensorMap(Labels.range("k", 2), [block_of([1], [8, 3]), block_of([0], [5, 8])])
    message = (
        "blocks of different properties can't be merged into the entries of Labels; "
        "give the names ['k'] to keep the properties that each of them has"
    )
    with refused(ValueError, message):
        tensor.keys_to_properties(Labels.range("k", 2))


# --- rows


@pytest.mark.parametrize(
    ("sort", "union", "first", "second"),
    [
        (True, [[0, 9], [1, 1], [1, 2], [4, 0]], [3, 1], [1, 0, 2]),
        (False, [[4, 0], [1, 1], [0, 9], [1, 2]], [0, 1], [1, 2, 3]),
    ],
)
def test_distinct_rows(sort, union, first, second):
    given_rows = [rows([4, 0, 1, 1], 2), rows([1, 1, 0, 9, 1, 2], 2), rows([], 2)]
    found, places = distinct(given_rows, sort)
    assert found.tolist() == union
    assert [p.tolist() for p in places] == [first, second, []]


def large(count, seed):
    """A block of so many samples in no order, of which others have a part, too."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randperm(2 * count, generator=generator)[:count]
    samples = Labels(["s", "a"], torch.stack([numbers // 7, numbers % 7 * 10**6], 1))
    values = torch.randn(count, 3, generator=generator)
    block = TensorBlock(values, samples, [], Labels.range("p", 3))
    rows = torch.stack([torch.arange(count), numbers], 1)
    gradient = TensorBlock(values + 1, Labels(["sample", "atom"], rows), [], Labels.range("p", 3))
    block.add_gradient("x", gradient)
    return block


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("sort", [True, False])
def test_moves_of_many_samples_agree_with_metatensor(mts, move, sort):
    tensor = TensorMap(Labels.range("k", 30), [large(1000, seed) for seed in range(30)])
    ours = outcome(lambda: getattr(tensor, move)("k", sort_samples=sort), ValueError)
    theirs = in_mts(mts, tensor)
    assert ours == outcome(lambda: getattr(theirs, move)("k", sort_samples=sort), RuntimeError)


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("count", [4, 400])
def test_compiled_moves_do_what_moves_do(move, count):
    tensor = TensorMap(Labels.range("k", 3), [large(count, seed) for seed in range(3)])

    def function(tensor):
        return getattr(tensor, move)("k")

    torch._dynamo.reset()
    found = torch.compile(function, backend="eager")(tensor)
    assert outcome(lambda: found, ()) == outcome(lambda: function(tensor), ())


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("count", [4, 400])
def test_moves_are_transformed(move, count):
    """Derivatives asked for or not: these are two ways to put values together."""
    tensor = TensorMap(Labels.range("k", 3), [large(count, seed) for seed in range(3)])
    tensor = tensor.to(torch.float64)

    def function(*values):
        blocks = [
            TensorBlock(v, b.samples, b.components, b.properties)
            for v, b in zip(values, tensor, strict=True)
        ]
        return getattr(TensorMap(tensor.keys, blocks), move)("k").block().values

    values = [block.values for block in tensor]
    expected = function(*values)
    batched = torch.func.vmap(function)(*[torch.stack([v, 2 * v]) for v in values])
    assert torch.equal(batched, torch.stack([expected, 2 * expected]))
    _, pushed = torch.func.jvp(function, tuple(values), tuple(3 * v for v in values))
    assert torch.equal(pushed, 3 * expected)
    asked = [v.clone().requires_grad_() for v in values]
    (function(*asked) * expected).sum().backward()
    assert all(torch.equal(v.grad, v) for v in asked)


# --- agreement with metatensor.torch


maps = tensor_maps(max_gradients=2, max_samples=3, max_properties=2).filter(lambda m: m.keys.names)


@few
@given(st.data(), maps, st.booleans(), st.sampled_from([0, -1.5]))
def test_moves_agree_with_metatensor(mts, data, tensor, sort, fill):
    names = tensor.keys.names
    moved = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    theirs = in_mts(mts, tensor)
    directions = {tuple(g.components) for block in tensor for _, g in block.gradients()}
    if len(directions) > len(tensor[0].gradients_list() if len(tensor) else ()):
        return  # metatensor takes gradients of other components where they have no rows, and drops those
    for move in MOVES:
        ours = outcome(lambda move=move: getattr(tensor, move)(moved, fill, sort), ValueError)
        assert ours == outcome(lambda move=move: getattr(theirs, move)(moved, fill, sort), RuntimeError)


@few
@given(st.data(), tensor_maps(max_gradients=1, min_properties=1, max_properties=1), st.booleans())
def test_moves_of_values_agree_with_metatensor(mts, data, tensor, sort):
    if len(tensor):
        one = tensor.block_by_id(0).properties
        tensor = TensorMap(tensor.keys, [with_properties(b, one) for b in tensor])
    names = data.draw(st.lists(st.sampled_from(tensor.keys.names), min_size=1, unique=True))
    found = [tuple(key[name] for name in names) for key in tensor.keys]
    others = st.tuples(*[st.integers(0, 3)] * len(names))
    entries = data.draw(st.lists(st.one_of(others, *map(st.just, found)), unique=True, max_size=3))
    keys = Labels(names, rows(entries, len(names)))
    ours = outcome(lambda: tensor.keys_to_properties(keys, sort_samples=sort), ValueError)
    their_keys, theirs = mts.Labels(names, keys.values), in_mts(mts, tensor)
    assert ours == outcome(
        lambda: theirs.keys_to_properties(their_keys, sort_samples=sort), RuntimeError
    )


def with_properties(block, properties):
    again = TensorBlock(block.values, block.samples, block.components, properties)
    for parameter, gradient in block.gradients():
        again.add_gradient(parameter, with_properties(gradient, properties))
    return again


def in_mts(mts, x):
    if isinstance(x, Labels):
        return mts.Labels(x.names, x.values)
    if isinstance(x, TensorMap):
        return mts.TensorMap(in_mts(mts, x.keys), [in_mts(mts, block) for block in x])
    axes = [in_mts(mts, labels) for labels in (x.samples, *x.components, x.properties)]
    block = mts.TensorBlock(x.values, axes[0], axes[1:-1], axes[-1])
    for parameter, gradient in x.gradients():
        block.add_gradient(parameter, in_mts(mts, gradient))
    return block
