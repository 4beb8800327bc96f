"""What changed between two reports."""

import io

import pytest
from rich.console import Console

from tmref.reports.changes import KINDS, SAME, changes
from tmref.reports.terminal import show_changes
from tmref.verdicts import Results, Verdict

HEADER = {
    "implementations": {"mine": "1"},
    "laws": [],
    "rows": [],
    "versions": {"torch": "2.0"},
    "settings": {"effort": 1},
    "device": "cpu",
    "processor": "x",
    "seed": 0,
}
PASSES = {"verdict": "pass", "examples": 8}
FAILS = {"verdict": "fail", "message": "1 is not 2"}
RAISES = {"verdict": "error", "message": "it raised"}
KNOWN = {**FAILS, "known": "a reason"}
UNTESTED = {"verdict": "untested", "message": "nothing was compared"}
NOT_OFFERED = {**UNTESTED, "offered": False}
REFUSED = {**NOT_OFFERED, "refused": True}
LISTED = {**FAILS, "mended": "mended in 1: a reason", "message": "mended: delete the entry"}


def results(*verdicts, footer=True, **header):
    """A report of verdicts, each of them a law with what else it has."""
    defaults = {"row": "row", "implementation": "mine", "version": "1"}
    found = [Verdict(law=law, **{**defaults, **more}) for law, more in verdicts]
    return Results({**HEADER, **header}, found, {} if footer else None)


def shown(found):
    file = io.StringIO()
    show_changes(found, Console(file=file, highlight=False, soft_wrap=True))
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("old", "new", "kind", "good"),
    [
        (PASSES, FAILS, "broken", False),
        (PASSES, UNTESTED, "broken", False),
        (KNOWN, FAILS, "broken", False),
        (NOT_OFFERED, RAISES, "broken", False),
        (None, FAILS, "broken", False),
        (FAILS, RAISES, "broken otherwise", True),
        (PASSES, KNOWN, "known now", True),
        (FAILS, KNOWN, "known now", True),
        (FAILS, PASSES, "mended", True),
        (KNOWN, PASSES, "mended", True),
        (KNOWN, REFUSED, "mended", True),
        (FAILS, REFUSED, "mended", True),
        (KNOWN, {**NOT_OFFERED, "mended": "mended in 1: a reason"}, "mended", True),
        (KNOWN, LISTED, "mended", True),
        (PASSES, REFUSED, "not tried any more", True),
        (REFUSED, REFUSED, "the same", True),
        (REFUSED, PASSES, "tried now", True),
        (UNTESTED, PASSES, "tried now", True),
        (NOT_OFFERED, PASSES, "tried now", True),
        (PASSES, NOT_OFFERED, "not tried any more", True),
        (KNOWN, NOT_OFFERED, "not tried any more", True),
        (None, PASSES, "new", True),
        (PASSES, None, "gone", True),
        (FAILS, FAILS, "the same", True),
        (PASSES, PASSES, "the same", True),
        (KNOWN, {**KNOWN, "known": "another reason"}, "the same", True),
    ],
)
def test_what_becomes_of_a_verdict(old, new, kind, good):
    other = ("another law", PASSES)
    found = changes(*(results(other, *([("law", one)] if one else [])) for one in (old, new)))
    assert {kind: len(found.of_kind("mine", kind)) for kind in KINDS} == {
        **dict.fromkeys(KINDS, 0),
        SAME: 1,
        kind: 2 if kind == SAME else 1,
    }
    assert found.good is good


def test_how_a_known_failure_was_mended_is_said():
    for new, words in ((REFUSED, "known → refused"), (LISTED, "known → mended: delete its entry")):
        lines = shown(changes(results(("law", KNOWN)), results(("law", new))))
        assert lines[1:4] == ["  1 mended", "    law", f"      {words}"]


def test_versions_of_an_implementation_are_compared_by_its_name():
    old = results(("law", {**FAILS, "version": "1"}))
    new = results(("law", {**PASSES, "version": "2"}), implementations={"mine": "2"})
    assert changes(old, new).versions == {"mine": ("1", "2")}
    assert shown(changes(old, new))[0] == "mine 1 → 2"


def test_what_only_one_report_has_is_said():
    old = results(implementations={"mine": "1", "theirs": "3"})
    new = results(implementations={"mine": "1", "batched": "4"})
    lines = shown(changes(old, new))
    assert "theirs 3 is in the old report alone" in lines
    assert "batched 4 is in the new report alone" in lines


def test_reports_with_nothing_in_common_can_not_be_compared(refused):
    words = "there is nothing to compare: the old report is of mine 1, the new one of theirs 3"
    with refused(ValueError, words):
        changes(results(), results(implementations={"theirs": "3"}))


def test_what_reports_were_made_with_is_compared():
    new = results(
        implementations={"mine": "2"},
        versions={"torch": "2.1", "mine": "2"},
        seed=1,
        settings={"effort": 0.1},
        only=["mine-row-law"],
    )
    assert changes(results(), new).made_otherwise == (
        "the new report is of chosen verdicts alone",
        "torch was 2.0, is 2.1",
        "effort was 1, is 0.1",
        "seed was 0, is 1",
    )


@pytest.mark.parametrize(("old", "new", "good"), [(False, True, True), (True, False, False)])
def test_a_report_that_was_cut_short_is_said_and_nothing_good_if_it_is_the_new_one(old, new, good):
    found = changes(*(results(("law", PASSES), footer=footer) for footer in (old, new)))
    assert found.good is good
    name = "new" if old else "old"
    said = f"the run of the {name} report was cut short: there are verdicts missing"
    assert said in shown(found)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (8, 20, True),
        (20, 8, True),
        (8, 15, False),  # not twice as many
        (4, 9, False),  # not ten more
        (0, 10, True),
    ],
)
def test_far_more_or_fewer_examples_are_told(old, new, told):
    reports = [results(("law", {**PASSES, "examples": number})) for number in (old, new)]
    found = changes(*reports).examples["mine"]
    assert [(of.old, of.new) for of in found] == ([(old, new)] if told else [])


def test_examples_are_compared_only_where_the_effort_is_the_same():
    old, new = (("law", {**PASSES, "examples": number}) for number in (10, 100))
    assert changes(results(old), results(new, settings={"effort": 10})).examples == {"mine": []}


def test_what_changed_is_shown_by_kinds_with_laws_and_rows_in_80_columns():
    law = "a_law_whose_name_is_a_sentence_of_more_words_than_there_is_room_for_in_80_columns"
    rows = [f"row_{i}" for i in range(20)]
    old = results(
        *((law, {**PASSES, "row": row}) for row in rows),
        ("mended", FAILS),
        ("stays", PASSES),
        ("examples", {**PASSES, "examples": 100}),
    )
    new = results(
        *((law, {**FAILS, "row": row, "message": "[bold]" + 40 * "word "}) for row in rows),
        ("mended", PASSES),
        ("stays", PASSES),
        ("examples", {**PASSES, "examples": 10}),
        ("fresh", PASSES),
    )
    lines = shown(changes(old, new))
    assert max(map(len, lines)) <= 80
    assert lines[:2] == ["mine 1", "  20 broken"]
    assert "".join(line.strip() for line in lines[2:4]) == law
    assert lines[4] == "      pass → fail"
    assert lines[5].startswith("      20 rows (row_0, row_1, ")
    assert lines[6].strip().startswith("[bold]word word")
    text = "\n".join(lines)
    assert "  1 mended\n    mended\n      fail → pass\n      row\n      1 is not 2\n" in text
    assert "  1 new\n        1 pass\n        1 law: fresh\n        1 row: row\n" in text
    assert "  fewer examples: 100 → 10\n  examples\n" in text
    assert lines[-1] == "  2 the same"


def test_changes_of_one_cause_are_shown_once():
    laws = [f"law_{i}" for i in range(5)]
    old, new = (results(*((law, one) for law in laws)) for one in (PASSES, RAISES))
    shown_in = {"broken": (old, new), "mended": (new, old)}
    for kind, reports in shown_in.items():
        arrow = " → ".join(("pass", "error") if kind == "broken" else ("error", "pass"))
        assert shown(changes(*reports))[1:6] == [
            f"  5 {kind}",
            "    law_0",
            f"      and 4 more laws, 5 verdicts, {arrow}",
            "      row",
            "      it raised",
        ]


def test_what_fails_of_an_implementation_that_is_new_is_not_good(results, verdict):
    old, right = results(verdict("tanh", "pass")), verdict("tanh", "pass")
    others = (verdict("tanh", kind, of="another") for kind in ("pass", "fail"))
    assert [changes(old, results(right, other)).good for other in others] == [True, False]


def test_a_report_without_verdicts_is_not_good(results, verdict):
    empty = results(implementations={"mine": "1"})
    found = changes(results(verdict("tanh", "pass")), empty)
    assert not found.good
    assert shown(found)[-1] == "the new report has no verdicts: nothing was tried"
