"""Laws that were renamed."""

from tmref.laws import LAWS, smoke
from tmref.laws.own import it_can_be_made_and_called
from tmref.laws.renamed import RENAMED


def test_laws_that_were_renamed_have_names_of_laws_now_and_no_law_has_an_old_one():
    names = {smoke.NAME, it_can_be_made_and_called.name, *(law.name for law in LAWS)}
    assert {*RENAMED.values()} <= names
    assert not names & RENAMED.keys()
