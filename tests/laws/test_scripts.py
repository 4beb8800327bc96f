"""Every script of a planted defect, alone: it fails with the defect, and not without it."""

import ast
import re
from collections import Counter

import pytest
from mutants.running import made_by

from tmref.implementations.reference import Reference
from tmref.laws.runner import check
from tmref.verdicts import ERROR

#: Of laws that leave an order open, the defects that change it: the script has the one that came.
ANOTHER_ORDER = (
    "gradients_of_the_first_sample",
    "maps_are_not_joined_but_the_first_is_taken",
    "only_the_first_name_counts",
)
#: The row that has no gradients without the defect, which is another law's.
WITHOUT_GRADIENTS = "of_norms"
#: What has to be repeated: each time something else was done before.
REPEATED = (
    "whatever_is_done_plain_torch_does_the_same",
    "labels_of_more_rows_than_their_file_has_are_refused",
)
#: So many times a script is run that shows what threads do to each other.
_TIMES = 20


@pytest.fixture
def script(scripted, script_of, laws, rows):
    law = laws[scripted.law]
    options = {"examples": law.examples, "hypothesis_seed": 0, "shrink": False}
    found = script_of(scripted, law, rows[scripted.row], **options)
    if not found.text:
        pytest.skip("no example of this seed shows the defect")
    return found


def test_the_script_of_a_defect_fails_with_it_alone(script, scripted, laws, rows):
    wrong = script.raises(scripted.implementation)
    if scripted.law == "the_same_in_several_threads":
        again = (script.raises(scripted.implementation) for _ in range(_TIMES))
        wrong = wrong or next(filter(None, again), None)
    assert isinstance(wrong, Exception), script.text
    assert not isinstance(wrong, (NameError, SyntaxError, NotImplementedError)), script.text
    law, row = laws[scripted.law], rows[scripted.row]
    is_another = law.as_it_came and scripted.implementation.name in ANOTHER_ORDER
    has_none = law.family == "explicit_gradients" and scripted.row == WITHOUT_GRADIENTS
    if not (is_another or has_none) and check(law, row, scripted.right, examples=1).offered:
        assert script.raises(scripted.right) is None, script.text


def test_a_script_ends_in_what_fails_imports_nothing_else_and_repeats_nothing(script, scripted):
    *_, last = filter(None, script.text.splitlines())
    asserts = last.strip().startswith(("assert ", "torch.testing.assert_close(", "raise Assert"))
    assert asserts or script.verdict.verdict == ERROR or "can't be compared" in script.verdict.message
    imports = [line for line in script.text.splitlines() if re.match(r"(from|import) ", line)]
    of_others = [line for line in imports if re.search(r"\b(tmref|hypothesis)\b", line)]
    allowed = {*Reference.imports, *scripted.implementation.imports}
    if scripted.implementation.name == "loads_a_profile_of_hypothesis":  # which is the defect
        allowed.add("import hypothesis")
    assert set(of_others) <= allowed
    if scripted.law not in REPEATED:
        times = Counter(map(ast.unparse, ast.parse(script.text).body))
        assert [code for code, number in times.items() if number > 1] == []


def test_a_counterexample_is_code_that_makes_it(script, scripted, laws):
    names = {"x"} if laws[scripted.law].of_data else {"x", "module"}
    assert names <= set(made_by(script.verdict.counterexample))
