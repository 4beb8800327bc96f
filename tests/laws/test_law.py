"""What a law is about, and how much is asked of it."""

import pytest
from hypothesis import strategies as st

from tmref.implementations.reference import implementation as reference
from tmref.laws.law import data_law, law
from tmref.laws.runner import check
from tmref.verdicts import NOT_OFFERED, PASS


@data_law("labels", st.just(1))
def there_is_telepathy(f, x, draw):
    """[doc]"""
    f.offered("telepathy")


def test_a_law_that_is_not_about_what_is_offered_is_expected_and_says_why(rows):
    verdict = check(there_is_telepathy, rows["labels"], reference)
    assert (verdict.status, verdict.expected, verdict.examples) == (NOT_OFFERED, True, 0)
    assert verdict.message == "reference does not offer it: telepathy"


def test_a_law_is_tried_on_what_it_asks_for_divided_over_the_rows_that_share_code(rows):
    @law("linear", examples=10)
    def holds(f, x, draw):
        """[maths]"""
        return x, x

    assert holds.examples_on(rows["linear"]) == 4  # three rows are linear and share code
    assert holds.examples_on(rows["linear"], 10) == 34
    assert holds.examples_on(rows["linear"], 0.01) == 1
    assert check(holds, rows["linear"], reference).examples == 4
    assert check(holds, rows["linear"], reference).verdict == PASS


def test_an_unknown_kind_of_data_is_refused_and_those_there_are_named():
    with pytest.raises(ValueError, match=r"no kind of data 'lables', there are .*'labels'"):
        data_law("lables")
