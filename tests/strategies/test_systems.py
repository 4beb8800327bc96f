"""Labels as atomistic data has them."""

import pytest
import torch
from hypothesis import find, given
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from tmref import Labels
from tmref.strategies import (
    all_pairs_of,
    labels_of,
    rotations,
    spherical_components,
    spherical_keys,
    systems_and_atoms,
    tensor_maps,
)


@given(labels_of(dimensions={"center_type": (1, 118), "l": [0, 2]}, min_size=1, max_size=3))
def test_every_dimension_has_its_own_numbers(labels):
    assert labels.names == ["center_type", "l"]
    assert 1 <= len(labels) <= 3
    assert all(1 <= row[0] <= 118 and row[1] in (0, 2) for row in labels.values.tolist())


def test_all_entries_that_there_are_may_be_asked_for():
    all_of_them = labels_of(dimensions={"a": (0, 1), "b": [5]}, min_size=2, max_size=9)
    found = find(all_of_them, lambda labels: True)
    assert sorted(found.values.tolist()) == [[0, 5], [1, 5]]


@given(all_pairs_of(names=("first", "second"), numbers=[1, 6, 8], max_numbers=3))
def test_all_pairs_of_some_numbers(keys):
    assert keys.names == ["first", "second"]
    numbers = sorted(set(keys.column("first").tolist()))
    assert keys.values.tolist() == [[a, b] for a in numbers for b in numbers]


@given(systems_and_atoms(max_systems=3, max_atoms=3))
def test_atoms_are_counted_in_every_system(samples):
    rows = samples.values.tolist()
    assert rows == sorted(rows)
    systems = samples.column("system").tolist()
    assert sorted(set(systems)) == list(range(len(set(systems))))
    for system in systems:
        atoms = [atom for s, atom in rows if s == system]
        assert atoms == list(range(len(atoms)))


def test_systems_may_have_no_atoms_and_atoms_no_order():
    without = find(systems_and_atoms(min_atoms=0), lambda x: len(x) > 0 and 0 not in x.column("system"))
    assert without.values.tolist() == [[1, 0]]
    shuffled = systems_and_atoms(in_order=False)
    found = find(shuffled, lambda x: x.values.tolist() != sorted(x.values.tolist()))
    assert sorted(found.values.tolist()) in ([[0, 0], [0, 1]], [[0, 0], [1, 0]])
    more = find(systems_and_atoms(further=["center_type"]), lambda x: len(x) == 1)
    assert more == Labels(["system", "atom", "center_type"], torch.tensor([[0, 0, 0]]))


@given(tensor_maps(spherical=True, keys=spherical_keys(sigmas=[1], max_size=3)))
def test_spherical_maps_of_one_sigma_alone(x):
    assert set(x.keys.column("o3_sigma").tolist()) <= {1}
    for key, block in x.items():
        assert len(block.components[0]) == 2 * key["o3_lambda"] + 1


@given(
    tensor_maps(
        samples=systems_and_atoms(),
        components=st.just([Labels.range("xyz", 3)]),
        properties=labels_of(dimensions={"n": (0, 9)}, max_size=3),
        same_samples=True,
        min_samples=1,
        max_gradients=1,
        gradient_names=("strain",),
        gradient_samples=[("sample",)],
        gradient_components=st.just([Labels.range("xyz_1", 3), Labels.range("xyz_2", 3)]),
    )
)
def test_labels_of_all_axes_and_of_gradients_may_be_said(x):
    for block in x:
        assert block.samples == x[0].samples
        assert block.samples.names == ["system", "atom"]
        assert len(block.samples) >= 1
        assert block.components == [Labels.range("xyz", 3)]
        assert block.properties.names == ["n"]
        assert set(block.properties.column("n").tolist()) <= set(range(10))
        assert block.gradients_list() == ["strain"]
        gradient = block.gradient("strain")
        assert gradient.samples.names == ["sample"]
        assert [axis.names for axis in gradient.components] == [["xyz_1"], ["xyz_2"], ["xyz"]]


#: What dimensions of spherical tensors were called before they were called o3_.
OLD_NAMES = ("spherical_harmonics_l", "inversion_sigma", "spherical_harmonics_m")


@given(tensor_maps(spherical=True, o3_names=OLD_NAMES, min_blocks=1, max_gradients=1), st.data())
def test_spherical_dimensions_may_have_other_names(x, data):
    for key, block in x.items():
        assert set(key.names) & {*OLD_NAMES, "o3_lambda", "o3_sigma"} == {*OLD_NAMES[:2]}
        o3_lambda = key[OLD_NAMES[0]]
        assert block.components == [
            Labels(OLD_NAMES[2], torch.arange(-o3_lambda, o3_lambda + 1)[:, None])
        ]
        for _, gradient in block.gradients():
            assert gradient.components[-1] == block.components[0]
    rotation = data.draw(rotations(o3_names=OLD_NAMES))
    assert rotation(x).keys == x.keys


@given(
    tensor_maps(spherical=True, keys=spherical_keys(o3_names=OLD_NAMES), o3_names=OLD_NAMES),
    spherical_components(o3_names=OLD_NAMES),
)
def test_keys_and_components_of_other_names_are_drawn_alone(x, components):
    assert {*OLD_NAMES[:2]} <= {*x.keys.names}
    assert [axis.names for axis in components] == [[OLD_NAMES[2]]]


def test_blocks_have_samples_of_their_own_unless_it_is_said():
    def differ(x):
        return len(x) == 2 and x[0].samples != x[1].samples

    find(tensor_maps(samples=systems_and_atoms()), differ)
    find(tensor_maps(same_samples=True), lambda x: len(x) == 2 and x[0].properties != x[1].properties)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: labels_of(dimensions={}), r"dimensions=\{\} must be numbers by name"),
        (
            lambda: labels_of(dimensions={"a": []}),
            r"a=\[\] must be a first and a last number, or a list",
        ),
        (lambda: labels_of(dimensions={"a": (0, 1)}, min_size=3), "min_size=3 must be at most the 2"),
        (lambda: all_pairs_of(names=("a",)), r"names=\('a',\) must be two"),
        (
            lambda: all_pairs_of(numbers=[1], min_numbers=2),
            "min_numbers=2 must be at most the 1 numbers",
        ),
        (lambda: systems_and_atoms(min_atoms=4), "min_atoms=4 must be at most max_atoms=2"),
        (lambda: tensor_maps(o3_names=("l", "m")), r"o3_names=\('l', 'm'\) must be three names"),
        (lambda: spherical_keys(o3_names="lsm"), "o3_names='lsm' must be three names"),
        (lambda: spherical_components(o3_names=("l", "l", "m")), "must be three names"),
        (lambda: rotations(o3_names=3), "o3_names=3 must be three names"),
        (lambda: spherical_keys(sigmas=[2]), r"sigmas=\[2\] must be some of 1 and -1"),
        (lambda: spherical_keys(sigmas=[1], max_size=9), "max_size=9 must be at most 5"),
        (lambda: tensor_maps(same_samples=1), "same_samples=1 must be True or False"),
        (lambda: tensor_maps(gradient_samples=[("atom",)]), "must all begin with sample"),
        (
            lambda: tensor_maps(samples=st.just(3), sample_names=st.just(("a",))),
            "samples have names of their own: leave the names of samples out",
        ),
        (
            lambda: tensor_maps(components=st.just([]), spherical=True),
            "components are o3_mu where spherical=True: leave one of them out",
        ),
    ],
)
def test_options_that_can_not_be_met_are_refused(make, words):
    with pytest.raises(InvalidArgument, match=words):
        make()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"samples": st.just(3)}, "samples must give tmref's Labels, got 3"),
        ({"components": st.just(3)}, "components must give lists of tmref's Labels, got 3"),
        (
            {"properties": st.sampled_from([Labels.range("a", 1), Labels.range("b", 1)])},
            r"properties gave labels of \['\w'\] after some of \['\w'\]; those of all blocks",
        ),
    ],
)
def test_what_strategies_of_labels_give_is_checked(options, words):
    with pytest.raises(InvalidArgument, match=words):
        find(tensor_maps(min_blocks=2, **options), lambda x: len(x) > 5)
