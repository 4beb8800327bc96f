"""check_implementation and parametrize_with_laws, as other test-suites use them."""

import re

import pytest

from tmref.catalog import DATA, ROWS, TRAITS
from tmref.implementations import Known
from tmref.implementations.reference import Reference, implementation
from tmref.laws import (
    LAWS,
    UnexpectedVerdicts,
    check_implementation,
    parametrize_with_laws,
    smoke,
    trying,
)
from tmref.laws.checks import cases
from tmref.verdicts import ERROR, FAIL, PASS


def test_every_law_on_every_row_that_has_its_traits_is_a_case():
    names = [case.name for case in cases(implementation)]
    assert (
        len(names)
        == len(set(names))
        == 1 + sum(law.applies_to(row) for law in LAWS for row in (*DATA, *ROWS))
    )
    assert names[0] == "reference---what_is_encoded_comes_back_decoded"


def test_every_trait_has_a_law():
    assert set(TRAITS) == {trait for law in LAWS if not law.of_data for trait in law.traits}
    assert {row.name for row in DATA} == {kind for law in LAWS if law.of_data for kind in law.traits}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_every_law_says_what_it_demands_and_where_that_comes_from(law):
    assert any(source in law.demand for source in ("[doc]", "[torch]", "[maths]"))


class Wrong(Reference):
    """Forgets that ReLU has a kink."""

    name = "wrong"

    def make(self, call):
        return super().make(call if call.name != "ReLU" else type(call)("Tanh", (), call.kwargs))


@pytest.mark.slow
def test_an_implementation_is_checked_on_every_row(monkeypatch):
    rows = tuple(row for row in ROWS if row.name in ("relu", "linear"))
    monkeypatch.setattr("tmref.laws.checks.DATA", ())
    wrong = Wrong()
    wrong.rows = rows
    with pytest.raises(UnexpectedVerdicts, match="values_are_those_of_plain_torch") as error:
        check_implementation(wrong, effort=0.1)
    assert {v.row for v in error.value.verdicts} == {"-", "relu", "linear"}
    assert {v.row for v in error.value.unexpected} == {"relu"}
    assert len(check_implementation(wrong, effort=0.1, on_fail=None)) == len(error.value.verdicts)
    assert "(relu)" in str(error.value)
    assert "(linear)" not in str(error.value)


def of_relu(known):
    """The case of a law on the reference's ReLU, of which this is known."""
    subject = Reference()
    subject.rows, subject.known = tuple(row for row in ROWS if row.name == "relu"), (known,)
    return next(case for case in cases(subject) if case.name.endswith("relu-keys_survive_in_order"))


def test_what_an_adapter_raises_is_no_fault_of_ours_and_said_in_its_words():
    def when(recipe, x):
        raise KeyError("typo")

    verdict = of_relu(Known("keys_survive_in_order", ["relu"], when, lambda row: None, "lost")).check()
    assert verdict.verdict == ERROR
    assert re.fullmatch(
        r"the law can't be tried: KeyError: 'typo' \(test_checks\.py, line \d+\)", verdict.message
    )


def test_what_is_wrong_with_ourselves_is_said_with_its_place(monkeypatch):
    monkeypatch.setattr(trying, "copied", None)
    verdict = of_relu(Known("keys_survive_in_order", [], None, None, "")).check()
    assert verdict.verdict == ERROR
    words = r"tmref itself is wrong: TypeError: 'NoneType' .* callable \(trying\.py, line \d+\)"
    assert re.fullmatch(words, verdict.message)


def test_laws_as_tests_of_somebody_elses(pytester):
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    pytester.makepyfile(
        """
        from tmref.laws import parametrize_with_laws

        @parametrize_with_laws("reference")
        def test_laws(check):
            assert check().examples
        """
    )
    result = pytester.runpytest_inprocess("-k", "tanh and keys_survive", "-n0")
    passed = sum("tanh" in row.name for row in ROWS)
    assert passed > 1
    result.assert_outcomes(passed=passed, deselected=len(cases(implementation)) - passed)


def test_laws_that_are_broken_are_tests_of_somebody_elses_that_fail(pytester):
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    pytester.makepyfile(
        """
        from tmref.implementations.reference import Reference
        from tmref.laws import parametrize_with_laws

        class Wrong(Reference):
            name = "wrong"

            def make(self, call):
                return super().make(call if call.name != "ReLU" else type(call)("Tanh", (), call.kwargs))

        @parametrize_with_laws(Wrong())
        def test_laws(check):
            check()
        """
    )
    selected = "(wrong-relu or wrong-linear-) and values_are_those_of_plain_torch"
    result = pytester.runpytest_inprocess("-k", selected, "-n0")
    result.assert_outcomes(failed=1, passed=1, deselected=len(cases(implementation)) - 2)
    result.stdout.fnmatch_lines(["*UnexpectedVerdicts: 1 of 1 verdict is not as it should be*"])


def test_tests_of_somebody_elses_take_the_examples_and_the_seed_asked_for():
    class Seen(Reference):
        """Keeps what it is given."""

        def to_theirs(self, value):
            seen[-1].append(repr(value))
            return super().to_theirs(value)

    def tried(**options):
        seen.append([])
        mark = parametrize_with_laws(Seen(), **options).mark
        return mark.args[1][mark.kwargs["ids"].index("reference-tanh-keys_survive_in_order")]().examples

    seen = []
    assert tried(effort=5) > 2 * tried(effort=1) > 0
    assert tried(effort=1, seed=0) == tried(effort=1, seed=1)
    assert seen[1] == seen[2]
    assert seen[1] != seen[3]


def test_parametrize_takes_an_implementation_too():
    mark = parametrize_with_laws(implementation).mark
    assert len(mark.args[1]) == len(cases(implementation))


# --- of some rows and laws alone


def test_rows_and_laws_that_are_named_are_tried_alone():
    rows, laws = ["relu", "tanh"], ["keys_survive_in_order", "the_input_stays"]
    ids = parametrize_with_laws("reference", rows=rows, laws=laws).mark.kwargs["ids"]
    of_smoke, *others = ids
    assert of_smoke.endswith(smoke.NAME)
    assert sorted(others) == [f"reference-{row}-{law}" for row in rows for law in laws]
    verdicts = check_implementation("reference", rows=rows, laws=laws, effort=0.1)
    assert [v.case for v in verdicts] == ids
    assert {v.verdict for v in verdicts} == {PASS}


class Forgetful(Reference):
    """Its ReLU is no ReLU."""

    name = "forgetful"

    def make(self, call):
        return super().make(call if call.name != "ReLU" else type(call)("Tanh", (), call.kwargs))


VALUES = "values_are_those_of_plain_torch"
REASON = "it never learned what a ReLU is"


@pytest.mark.parametrize("expected", [f"{VALUES}[relu]", VALUES])
def test_a_law_that_is_expected_to_fail_is_a_known_failure_where_it_does(expected):
    options = {"laws": [VALUES], "expected_failed_laws": {expected: REASON}}
    verdicts = check_implementation(Forgetful(), rows=["relu", "linear"], on_fail=None, **options)
    found = {v.row: v for v in verdicts}
    assert (found["relu"].status, found["relu"].known) == ("known", REASON)
    is_of_all = expected == VALUES
    assert found["linear"].verdict == (FAIL if is_of_all else PASS)
    mark = parametrize_with_laws(Forgetful(), rows=["relu"], **options).mark
    assert mark.args[1][1]().known == REASON


def test_a_law_that_is_expected_to_fail_and_does_not_is_a_failure():
    options = {"rows": ["tanh"], "laws": [VALUES], "expected_failed_laws": {f"{VALUES}[tanh]": REASON}}
    with pytest.raises(UnexpectedVerdicts, match=f"expected to fail .{REASON}., and didn't"):
        check_implementation("reference", effort=0.1, **options)
    mark = parametrize_with_laws("reference", effort=0.1, **options).mark
    with pytest.raises(UnexpectedVerdicts, match=f"expected to fail .{REASON}., and didn't"):
        mark.args[1][1]()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"rows": "relu"}, TypeError, r"rows must be names, such as rows=\['.*'\], got 'relu'"),
        ({"laws": 3}, TypeError, r"laws must be names, such as laws=\['.*'\], got 3"),
        ({"rows": [5]}, TypeError, "rows must be names, got 5 among them"),
        ({"expected_failed_laws": {5: "why"}}, TypeError, "must have laws by name, got 5"),
        ({"rows": ["rellu"]}, ValueError, "rows: there is no 'rellu' .* 'relu'"),
        (
            {"laws": ["the_input_stay"]},
            ValueError,
            "laws: there is no 'the_input_stay' .*the_input_stays",
        ),
        ({"rows": []}, ValueError, r"rows=\[\] and laws=None leave nothing to try"),
        (
            {"rows": ["labels"], "laws": ["the_input_stays"]},
            ValueError,
            r"rows=\['labels'\] and laws=\['the_input_stays'\] leave nothing to try",
        ),
        (
            {"rows": ["relu"], "expected_failed_laws": {"the_input_stays[tanh]": "why"}},
            ValueError,
            r"there is no law 'the_input_stays\[tanh\]'.*the_input_stays",
        ),
    ],
)
@pytest.mark.parametrize("function", [check_implementation, parametrize_with_laws])
def test_rows_and_laws_that_are_not_there_are_refused(function, options, error, words):
    with pytest.raises(error, match=words):
        function("reference", **options)


@pytest.mark.parametrize(
    ("law", "row", "is_now"),
    [
        ("a_scripted_module_does_what_the_module_does", "relu", "untested"),
        ("gradients_of_gradients_are_refused_or_right", "linear", "refused now"),
    ],
)
def test_a_law_that_is_not_offered_and_expected_to_fail_is_a_failure(law, row, is_now):
    options = {"rows": [row], "laws": [law], "effort": 0.1}
    words = rf"expected to fail .why., and didn't: it is {is_now}; take it out"
    with pytest.raises(UnexpectedVerdicts, match=words):
        check_implementation("reference", expected_failed_laws={f"{law}[{row}]": "why"}, **options)
