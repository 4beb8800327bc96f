"""What laws demand, for those who read verdicts."""

import pytest

from tmref.laws import LAWS, smoke
from tmref.reports.demands import WHOSE, demands


def test_every_law_says_what_it_demands_and_whose_demand_it_is(repository):
    told = demands()
    assert told.keys() >= {smoke.NAME, *(law.name for law in LAWS)}
    for law in LAWS:
        demand = told[law.name]
        assert demand.words == law.demand
        assert demand.whose
        assert f"def {law.name}(" in demand.source
        assert (repository / demand.file).is_file()


@pytest.mark.parametrize(
    ("law", "whose", "about"),
    [
        ("keys_survive_in_order", "metatensor's documentation", "modules of the trait keeps_keys"),
        ("a_map_without_blocks_gives_one_without_blocks", "mathematics", "keeps_keys"),
        ("a_block_has_the_parts_that_it_is_made_of", "metatensor's documentation", "data: tensor_block"),
        (
            "covariant_zeros_stay_zeros",
            "mathematics and metatensor's documentation",
            "modules of the traits",
        ),
        (smoke.NAME, "mathematics", "any implementation, before all other laws"),
    ],
)
def test_it_is_in_words(law, whose, about):
    assert demands()[law].whose == whose
    assert about in demands()[law].about


def test_the_words_are_those_of_the_brackets():
    assert sorted(WHOSE) == ["doc", "maths", "torch"]
