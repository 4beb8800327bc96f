"""Labels as atomistic data has them."""

import re

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
        (lambda: labels_of(dimensions={"a": (0, 1)}, min_size=3), "min_size=3 must be at most the 2"),
        (
            lambda: labels_of(dimensions={"a": [1, 1, 1]}, min_size=2),
            "min_size=2 must be at most the 1 entries that there are",
        ),
        (
            lambda: labels_of(dimensions={"a": [1, 2, 1], "b": [5, 5]}, min_size=3),
            "min_size=3 must be at most the 2 entries that there are",
        ),
        (
            lambda: labels_of(dimensions={"a b": (0, 1)}),
            r"dimensions=\{'a b': \(0, 1\)\}: names must be identifiers of ASCII .* got 'a b'",
        ),
        (
            lambda: labels_of(dimensions={3: (0, 1)}),
            r"dimensions=\{3: \(0, 1\)\}: names must be .* strings, got \(3,\)",
        ),
        *(
            (
                lambda bad=bad: all_pairs_of(names=bad),
                rf"names={re.escape(repr(bad))} must be two, as \('center_type', 'neighbor_type'\) are",
            )
            for bad in (("a",), "ab", 3, ())
        ),
        (
            lambda: all_pairs_of(names=("a", "a")),
            r"names=\('a', 'a'\): names must be distinct, got 'a' twice",
        ),
        (
            lambda: all_pairs_of(names=("a", "0")),
            r"names=\('a', '0'\): names must be identifiers of ASCII letters, digits and _, got '0'",
        ),
        (
            lambda: all_pairs_of(numbers=[1, 1], min_numbers=2),
            "min_numbers=2 must be at most the 1 numbers",
        ),
        (
            lambda: systems_and_atoms(further="pair"),
            r"further='pair' must be a list of names; for one name: \['pair'\]",
        ),
        (lambda: systems_and_atoms(further=3), "further=3 must be a list of names"),
        (
            lambda: systems_and_atoms(further=["atom"]),
            r"further=\['atom'\]: names must be distinct, got 'atom' twice",
        ),
        (
            lambda: systems_and_atoms(further=["an atom"]),
            r"further=\['an atom'\]: names must be identifiers of ASCII .*, got 'an atom'",
        ),
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
        (lambda: rotations(o3_names=("the l", "s", "m")), "must be three names"),
        (lambda: spherical_keys(sigmas=1), "sigmas=1 must be some of 1 and -1"),
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
    ("numbers", "words"),
    [
        *((bad, "") for bad in (3, None, [], (), range(0))),
        ((3, 1), "; the first is above the last"),
        ((1, 10**10), "; 10000000000 is no 32-bit integer"),
        ((-(2**31) - 1, 0), "; -2147483649 is no 32-bit integer"),
        (range(10**30), f"; {10**30 - 1} is no 32-bit integer"),
        ((1.0, 3.0), "; 1.0 is no 32-bit integer"),
        ([1, 2**40], "; 1099511627776 is no 32-bit integer"),
        ([1, True], "; True is no 32-bit integer"),
        ("12", "; '1' is no 32-bit integer"),
    ],
)
def test_numbers_that_are_none_are_refused(numbers, words, refused):
    message = f"={numbers!r} must be a first and a last number, or a list of numbers{words}"
    with refused(InvalidArgument, f"dimensions['a']{message}"):
        labels_of(dimensions={"b": (0, 1), "a": numbers})
    with refused(InvalidArgument, f"numbers{message}"):
        all_pairs_of(numbers=numbers)


@pytest.mark.parametrize("all_of_them", [(-(2**31), 2**31 - 1), range(-(2**31), 2**31)])
def test_all_32_bit_integers_may_be_asked_for(all_of_them, drawn):
    """They are never listed: that would take minutes."""
    both = labels_of(dimensions={"a": all_of_them, "b": (0, 2**31 - 1)}, min_size=1)
    of_both = [labels.values for labels in drawn(both, 50)]
    assert all(bool((values[:, 1] >= 0).all()) for values in of_both)
    assert any(bool((values[:, 0] < -(2**30)).any()) for values in of_both)
    assert any(bool((values > 2**30).any()) for values in of_both)
    pairs = drawn(all_pairs_of(numbers=all_of_them, min_numbers=2), 20)
    assert {len(labels) for labels in pairs} == {4}


def test_numbers_that_repeat_count_once(drawn):
    again = labels_of(dimensions={"a": [6, 1, 6, 6], "b": [2, 2]}, min_size=2, max_size=9)
    once = labels_of(dimensions={"a": [6, 1], "b": [2]}, min_size=2, max_size=9)
    assert drawn(again, 20) == drawn(once, 20)


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
