import copy
import io
import json
import pickle

import pytest
import torch
from torch.utils import _pytree as pytree

from tmref import Labels, TensorBlock, TensorMap

KEYS = Labels(["a", "b"], torch.tensor([[0, 1], [2, 3]]))


def make(**labels):
    """A map of two blocks with gradients, with other labels for some of its axes."""
    given = {
        "keys": KEYS,
        "samples": Labels("system", torch.tensor([[4], [7]])),
        "component": Labels("xyz", torch.tensor([[0], [1], [2]])),
        "properties": Labels("n", torch.tensor([[5], [6]])),
        "of_gradient": Labels(["sample", "atom"], torch.tensor([[1, 0], [0, 9], [1, 9]])),
        "extra": Labels("direction", torch.tensor([[0], [1]])),
        "parameters": ("positions", "cell"),
    }
    assert labels.keys() <= given.keys()
    given |= labels
    blocks = []
    for i in range(len(given["keys"])):
        generator = torch.Generator().manual_seed(i)
        components = [given["component"]]
        block = TensorBlock(
            torch.randn(2, 3, 2, generator=generator), given["samples"], components, given["properties"]
        )
        for parameter in given["parameters"]:
            gradient = TensorBlock(
                torch.randn(3, 2, 3, 2, generator=generator),
                given["of_gradient"],
                [given["extra"], *components],
                given["properties"],
            )
            block.add_gradient(parameter, gradient)
        blocks.append(block)
    return TensorMap(given["keys"], blocks)


@pytest.fixture
def tensor():
    return make()


def all_values(tensor):
    """Values and gradients, in the order of the leaves."""
    return [part.values for block in tensor for part in (block, *(g for _, g in block.gradients()))]


@pytest.fixture
def same():
    """Asserts that two maps or blocks are the same, devices and what they are owned by included."""

    def check(a, b, equal=torch.equal):
        if isinstance(a, TensorMap):
            assert (a.keys, a.keys.device) == (b.keys, b.keys.device)
            for one, other in zip(a, b, strict=True):
                check(one, other, equal)
            return
        assert equal(a.values, b.values)
        for one, other in zip(
            [a.samples, *a.components, a.properties],
            [b.samples, *b.components, b.properties],
            strict=True,
        ):
            assert (one, one.device) == (other, other.device)
        assert (a._owned, a._parameter) == (b._owned, b._parameter)
        assert a.print() == b.print()
        assert a.gradients_list() == b.gradients_list()
        for parameter, gradient in a.gradients():
            check(gradient, b.gradient(parameter), equal)

    return check


# --- leaves


def test_leaves_are_all_values(tensor):
    leaves, _ = pytree.tree_flatten(tensor)
    assert len(leaves) == 6
    assert all(a is b for a, b in zip(leaves, all_values(tensor), strict=True))


def test_unflatten_undoes_flatten(tensor, same):
    leaves, spec = pytree.tree_flatten(tensor)
    again = pytree.tree_unflatten(leaves, spec)
    assert type(again) is TensorMap
    same(again, tensor)
    assert all(a is b for a, b in zip(all_values(again), all_values(tensor), strict=True))


def test_a_block_is_one_too(tensor, same):
    for part in (tensor[1].copy(), tensor[0].gradient("cell")):
        leaves, spec = pytree.tree_flatten(part)
        same(pytree.tree_unflatten(leaves, spec), part)


def test_a_map_without_blocks_has_no_leaves():
    keys = Labels.empty(["a", "b"])
    leaves, spec = pytree.tree_flatten(TensorMap(keys, []))
    assert leaves == []
    assert pytree.tree_unflatten([], spec).keys == keys


def test_labels_are_a_leaf_by_themselves():
    assert pytree.tree_leaves(KEYS) == [KEYS]


def test_tree_map(tensor, same):
    doubled = pytree.tree_map(lambda v: 2 * v, tensor)
    same(doubled, tensor, lambda a, b: torch.equal(a, 2 * b))
    both = pytree.tree_map(lambda v, w: v + w, tensor, doubled)
    same(both, tensor, lambda a, b: torch.equal(a, b + 2 * b))


def test_nested_in_other_containers(tensor):
    nest = {"x": [tensor, 1.5], "y": tensor[0]}
    assert len(pytree.tree_leaves(nest)) == 6 + 1 + 3
    assert pytree.tree_map(lambda v: v, nest)["x"][0].keys == tensor.keys


def test_tree_map_of_maps_with_other_labels_is_refused(tensor):
    with pytest.raises(ValueError, match="context"):
        pytree.tree_map(lambda v, w: v + w, tensor, make(samples=Labels.range("system", 2)))


def test_structure_is_kept_fixed(tensor, refused):
    again = pytree.tree_map(torch.clone, tensor)
    message = "this block is part of a TensorMap or a gradient, whose structure is fixed; "
    message += "add the gradient before, or to a block.copy()"
    with refused(ValueError, message):
        again[0].add_gradient("strain", again[0].gradient("cell"))
    free = pytree.tree_map(torch.clone, tensor[0].copy())
    free.add_gradient("strain", free.gradient("cell"))
    assert tensor[0].gradients_list() == ["positions", "cell"]


def test_placeholders_may_be_leaves(tensor):
    for leaf in (None, "in_dims", 0, object()):
        filled = pytree.tree_map(lambda _, leaf=leaf: leaf, tensor)
        assert filled[0].values is leaf
        assert filled[1].gradient("cell").values is leaf
    other_shape = pytree.tree_map(lambda v: torch.stack([v, v]), tensor)
    assert other_shape[0].values.shape == (2, 2, 3, 2)


def test_key_paths(tensor):
    paths = [pytree.keystr(path) for path, _ in pytree.tree_flatten_with_path(tensor)[0]]
    of_block = [".values", "['positions'].values", "['cell'].values"]
    assert paths == [f"[{i}]{name}" for i in range(2) for name in of_block]
    found = pytree.tree_map_with_path(lambda path, v: pytree.keystr(path), tensor)
    assert found[1].gradient("cell").values == "[1]['cell'].values"
    assert [
        leaf is v
        for (_, leaf), v in zip(
            pytree.tree_flatten_with_path(tensor)[0], all_values(tensor), strict=True
        )
    ] == [True] * 6


def test_key_paths_lead_to_the_leaves(tensor):
    for path, leaf in pytree.tree_flatten_with_path({"x": tensor})[0]:
        *_, last = path
        assert last.get(_follow({"x": tensor}, path[:-1])) is leaf


def _follow(tree, path):
    for key in path:
        if isinstance(tree, TensorBlock) and isinstance(key, pytree.MappingKey):
            tree = tree.gradient(key.key)
        else:
            tree = key.get(tree)
    return tree


# --- treespecs


@pytest.mark.parametrize(
    ("axis", "labels"),
    [
        ("keys", Labels(["a", "b"], torch.tensor([[2, 3], [0, 1]]))),
        ("keys", Labels(["a", "c"], torch.tensor([[0, 1], [2, 3]]))),
        ("samples", Labels("system", torch.tensor([[4], [8]]))),
        ("samples", Labels("structure", torch.tensor([[4], [7]]))),
        ("component", Labels("xyz", torch.tensor([[0], [2], [1]]))),
        ("component", Labels("yzx", torch.tensor([[0], [1], [2]]))),
        ("properties", Labels("n", torch.tensor([[6], [5]]))),
        ("properties", Labels("m", torch.tensor([[5], [6]]))),
        ("of_gradient", Labels(["sample", "atom"], torch.tensor([[1, 0], [0, 9], [0, 0]]))),
        ("of_gradient", Labels(["sample", "center"], torch.tensor([[1, 0], [0, 9], [1, 9]]))),
        ("extra", Labels("direction", torch.tensor([[0], [2]]))),
        ("parameters", ("positions", "strain")),
        ("parameters", ("positions",)),
    ],
)
def test_specs_differ_where_any_label_does(axis, labels, tensor):
    spec = pytree.tree_structure(tensor)
    assert pytree.tree_structure(make()) == spec
    assert pytree.tree_structure(make(**{axis: labels})) != spec


def test_specs_do_not_depend_on_values(tensor):
    assert pytree.tree_structure(pytree.tree_map(torch.zeros_like, tensor)) == pytree.tree_structure(
        tensor
    )


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_specs_go_through_json(device, tensor, same):
    tensor = tensor.to(device)
    leaves, spec = pytree.tree_flatten(tensor)
    text = pytree.treespec_dumps(spec)
    json.loads(text)
    again = pytree.treespec_loads(text)
    assert again == spec
    loaded = pytree.tree_unflatten(leaves, again)
    same(loaded, tensor, lambda a, b: a is b)
    assert loaded.device.type == device
    assert loaded[0].gradient("cell").components[0].device.type == device
    assert type(loaded.keys.names) is list
    assert loaded.keys.position([2, 3]) == 1


def test_specs_of_empty_labels_go_through_json():
    block = TensorBlock(torch.zeros(0, 0), Labels.empty(["a", "b"]), [], Labels.empty("n"))
    tensor = TensorMap(Labels.range("k", 1), [block])
    for tree in (tensor, TensorMap(Labels.empty(["k", "l"]), []), block):
        spec = pytree.tree_structure(tree)
        assert pytree.treespec_loads(pytree.treespec_dumps(spec)) == spec


@pytest.mark.parametrize("value", [-(2**31), 2**31 - 1])
def test_specs_of_extreme_labels_go_through_json(value):
    spec = pytree.tree_structure(make(samples=Labels("s", torch.tensor([[value], [0]]))))
    assert pytree.treespec_loads(pytree.treespec_dumps(spec)) == spec


# --- copies


def _saved(x):
    file = io.BytesIO()
    torch.save(x, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


DUPLICATES = {
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    **{f"pickle {p}": lambda x, p=p: pickle.loads(pickle.dumps(x, protocol=p)) for p in (2, 5)},
    "deepcopy": copy.deepcopy,
    "save": _saved,
}


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=list(DUPLICATES))
@pytest.mark.parametrize(
    "what",
    [lambda t: t, lambda t: t[0], lambda t: t[1].copy(), lambda t: t[0].gradient("cell")],
    ids=["map", "block", "free block", "gradient"],
)
def test_copies_are_the_same_and_share_no_values(duplicate, what, tensor, same):
    original = what(tensor)
    again = duplicate(original)
    assert type(again) is type(original)
    same(again, original)
    expected = pytree.tree_map(torch.clone, original)
    for leaf in pytree.tree_leaves(again):
        leaf.fill_(7)
    same(original, expected)


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=list(DUPLICATES))
@pytest.mark.parametrize("labels", [KEYS, Labels.empty(["a", "b"]), Labels.range("_", 3).to("meta")])
def test_copies_of_labels(duplicate, labels):
    again = duplicate(labels)
    assert (again, again.device, again.names) == (labels, labels.device, labels.names)
    assert [again.position(entry) for entry in labels] == list(range(len(labels)))
    assert again.values.device == labels.device


def test_deepcopy_shares_labels_but_not_values(tensor):
    again = copy.deepcopy(tensor)
    assert again.keys is tensor.keys
    for a, b in zip(again, tensor, strict=True):
        assert a.values.data_ptr() != b.values.data_ptr()
        assert (a.samples is b.samples, a.properties is b.properties) == (True, True)
        assert a.components[0] is b.components[0]
        for parameter, gradient in a.gradients():
            other = b.gradient(parameter)
            assert gradient.values.data_ptr() != other.values.data_ptr()
            assert gradient.samples is other.samples
    assert copy.deepcopy(KEYS) is KEYS


def test_copy_shares_labels_and_values(tensor, same):
    again = copy.copy(tensor)
    assert again is not tensor
    same(again, tensor)
    assert again.keys is tensor.keys
    assert all(a is b for a, b in zip(all_values(again), all_values(tensor), strict=True))
    block = copy.copy(tensor[0])
    assert block is not tensor[0]
    assert block.values is tensor[0].values
    same(block, tensor[0])


def test_deepcopy_keeps_what_is_shared_shared(tensor):
    values = torch.zeros(2, 3)
    blocks = [TensorBlock(values, Labels.range("s", 2), [], Labels.range("n", 3)) for _ in range(2)]
    again = copy.deepcopy(TensorMap(KEYS, blocks))
    assert again[0].values is again[1].values
    assert again[0].values is not values


def test_meta_and_grad_survive_save(tensor, same):
    same(_saved(tensor.to("meta")), tensor.to("meta"), lambda a, b: a.is_meta and a.shape == b.shape)
    leaf = pytree.tree_map(lambda v: v.clone().requires_grad_(), tensor)
    assert all(v.requires_grad for v in all_values(_saved(leaf)))


def test_maps_in_a_checkpoint(tensor, same):
    loaded = _saved({"epoch": 3, "data": [tensor, tensor[0]], "keys": KEYS})
    same(loaded["data"][0], tensor)
    same(loaded["data"][1], tensor[0])
    assert loaded["keys"] == KEYS


def test_another_process_reads_what_was_saved(tensor, tmp_path, run_python):
    torch.save(tensor, tmp_path / "map.pt")
    code = (
        "import torch, tmref\n"
        f"tensor = torch.load({str(tmp_path / 'map.pt')!r}, weights_only=True)\n"
        "print(type(tensor) is tmref.TensorMap, tensor.keys.position([2, 3]))\n"
        "print(tensor[1].gradients_list())"
    )
    found = run_python(code)
    assert (found.stdout, found.stderr) == ("True 1\n['positions', 'cell']\n", "")
