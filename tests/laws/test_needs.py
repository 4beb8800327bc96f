"""How many examples laws ask for is measured by what their planted defects need."""

import importlib.util
from pathlib import Path

import pytest
from mutants.planting import MUTANTS, Planted

from tmref.laws import LAWS
from tmref.laws.examples import EXAMPLES


@pytest.fixture
def needs():
    spec = importlib.util.spec_from_file_location("needs", Path(__file__).with_name("needs.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_was_measured_is_what_laws_ask_for():
    assert set(EXAMPLES) <= {law.name for law in LAWS}
    assert {law.name: law.examples for law in LAWS if law.name in EXAMPLES} == EXAMPLES


def test_a_defect_needs_as_many_examples_as_it_takes_to_find_it(needs):
    place = [one.law for one in MUTANTS].index("values_are_those_of_plain_torch")
    assert 1 <= needs.needed(place, 10) <= 25


def test_what_is_not_found_needs_more_than_was_tried(needs, monkeypatch):
    right = MUTANTS[0]
    nothing_wrong = Planted(right.law, right.row, right.right)
    monkeypatch.setattr(needs.planting(), "MUTANTS", [nothing_wrong])
    monkeypatch.setattr(needs, "TRIED", (3, 6))
    assert needs.needed(0, 10) == 7


def test_a_law_asks_for_half_as_many_again_as_its_defects_need(needs):
    law = LAWS[0]
    assert needs.asked_for(law, [(20, 11, "a defect"), (1, 10, "another")]) == 30
    assert needs.asked_for(law, [(1, 10, "another")]) == needs.LEAST


class Here:
    """A pool that has this process alone."""

    def map(self, function, *arguments, chunksize):
        return map(function, *arguments)


def test_more_are_asked_for_where_a_defect_is_missed(needs, monkeypatch):
    law, other = MUTANTS[0].law, next(one.law for one in MUTANTS if one.law != MUTANTS[0].law)
    enough = {law: 13, other: 1}
    monkeypatch.setattr(
        needs, "is_missed", lambda place, seed, tried: tried < enough[MUTANTS[place].law]
    )
    examples = needs.confirmed({law: 10, other: 10, "a third": 7}, [law, other], Here())
    assert examples == {law: 13, other: 10, "a third": 7}


def test_what_is_not_found_in_so_many_is_missed(needs, monkeypatch):
    right = MUTANTS[0]
    assert not needs.is_missed(0, 0, 30)
    monkeypatch.setattr(needs.planting(), "MUTANTS", [Planted(right.law, right.row, right.right)])
    assert needs.is_missed(0, 0, 3)


def test_the_file_that_is_written_says_what_is_asked_for(needs):
    names = {}
    exec(needs.source({law.name: 15 for law in LAWS}, range(10)), names)
    assert set(names["EXAMPLES"].values()) == {15}
    assert list(names["EXAMPLES"]) == [law.name for law in LAWS]
    assert "1.5 times" in names["__doc__"]
    assert "any of 10 seeds" in names["__doc__"]
    assert "0, 1 and 2" in names["__doc__"]
