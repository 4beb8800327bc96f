"""Where scripts have the two sides of a law."""

import re

import pytest
import torch

import tmref
from tmref.compare import compare
from tmref.laws.edits import kept, take_samples
from tmref.laws.session import Session
from tmref.laws.shown import paths_to, shown
from tmref.laws.steps import Step


@pytest.fixture
def one(labels, block):
    """A map of two blocks of three samples."""

    def build(seed=0):
        return tmref.TensorMap(
            labels("key", [[0], [1]]), [block(3, 2, seed=seed), block(3, 2, seed=seed + 1)]
        )

    return build


def gives(name, value, code=None):
    return Step(code or f"{name} = module(x)", {}, name, value)


def places(steps, left, right, given=()):
    found = shown(steps, list(given), (left, right), compare(left, right), 0.0)
    other = found.other and (found.other.step, found.other.name + found.other.path, found.other.rows)
    return (found.place.step, found.place.name + found.place.path, found.place.rows), other


def test_both_sides_are_found_in_what_steps_gave(one):
    y, z = one(), one(5)
    steps = [gives("y", y), gives("z", z)]
    at = "block(0).values"
    assert places(steps, z, y) == ((1, f"z.{at}", None), (0, f"y.{at}", None))


def test_rows_that_were_taken_are_those_of_what_they_were_taken_from(one):
    y, z = one(), one(5)
    steps = [gives("y", y), gives("z", z)]
    rows = [[2, 0], [0, 1, 2]]
    found = places(steps, take_samples(z, rows), take_samples(y, rows))
    assert found == ((1, "z.block(0).values", (2, 0)), (0, "y.block(0).values", (2, 0)))
    twice = take_samples(take_samples(y, rows), [[1], [0, 1, 2]])
    taken = places(steps, take_samples(z, [[0], [0, 1, 2]]), twice)
    assert taken[1] == (0, "y.block(0).values", (0,))


def test_what_was_kept_is_where_it_was_then(one):
    y, z = one(), one(5)
    f = Session.__new__(Session)
    f.steps = [gives("y", y)]
    before = kept(f, y)
    y.block(0).values.add_(1)
    f.steps += [gives("y", z), gives("result", y, "y_before")]
    found = shown(f.steps, [], (z, before), compare(z, before), 0.0)
    assert (found.other.step, found.other.kept) == (0, True)


def test_what_is_part_of_what_was_given_is_no_result(one, labels):
    x, others = one(), labels("system", [[7], [8], [9]])
    y, z = (
        tmref.TensorMap(x.keys, [tmref.TensorBlock(b.values + 1, samples, [], b.properties) for b in x])
        for samples in (x.block(0).samples, others)
    )
    sides = [z.block(0).samples], [x.block(0).samples]
    assert places([gives("y", y), gives("z", z)], *sides)[1] == (0, "y.block(0).samples", None)
    assert places([gives("y", y), gives("z", z)], *sides, given=[x])[1] is None


def test_of_blocks_that_share_what_differs_the_one_in_its_place_is_shown(one, labels):
    same, x = labels("system", [[7], [8], [9]]), one()
    y = tmref.TensorMap(x.keys, [tmref.TensorBlock(b.values, same, [], b.properties) for b in x])
    assert list(paths_to(same, y)) == [".block(0).samples", ".block(1).samples"]
    right = [same, x.block(1).samples]
    found = places([gives("y", y)], [b.samples for b in y], right, given=[x])
    assert found[0][1] == "y.block(1).samples"


def test_all_steps_are_in_a_script_where_later_ones_changed_what_it_shows(one):
    y = one()
    steps = [gives("y", y), Step("more()", {}, "", None), Step("last()", {}, "", None)]
    expected = one(5)
    found = shown(steps, [], (y, expected), compare(y, expected), 0.0)
    assert len(found.steps(steps)) == 1
    y.block(0).values.zero_()
    assert len(found.steps(steps)) == 3


def test_parameters_and_derivatives_have_a_place():
    parameter = torch.nn.Parameter(torch.ones(1))
    (parameter * 2).sum().backward()
    assert list(paths_to(parameter.grad, [parameter])) == ["[0].grad"]


def test_rotations_print_their_matrix_and_initial_parameters_have_their_seed(
    script_of, mutants, laws, rows
):
    def text(law):
        planted = next(planted for planted in mutants.MUTANTS if planted.law == law)
        return script_of(planted, laws[law], rows[planted.row], shrink=False).text

    script = text("rotations_commute")
    assert re.search(
        r'^ *rotation = torch\.tensor\(\[\[.*\n *print\("rotation", rotation\)$', script, re.M
    )
    script = text("one_seed_gives_the_initial_parameters_of_torch")
    assert re.search(r"^torch\.manual_seed\(\d+\)\nagain = nn\.Linear\(", script, re.M)
