"""The columns of reports, and what has to be known of them."""

from tmref.reports.columns import columns, kinds_of_known, titles
from tmref.reports.notes import notes


def test_there_is_one_for_each_implementation_of_each_report(results, verdict):
    of_theirs = verdict("tanh", "pass", of="theirs")
    first = results(verdict("tanh", "pass"), verdict("linear", "fail"), of_theirs)
    second = results(verdict("tanh", "pass", version="2"), of_theirs)
    found = columns([first, second])
    assert titles(found) == ["mine 1", "theirs 1 (2)", "mine 2", "theirs 1 (4)"]
    assert [v.row for v in found[0].verdicts] == ["linear", "tanh"]
    assert [len(column.unexpected) for column in found] == [1, 0, 0, 0]


def test_another_device_is_named(results, verdict):
    (column,) = columns([results(verdict("tanh", "pass"), device="cuda:1")])
    assert column.what == "mine 1 on cuda:1"
    (column,) = columns([results(verdict("tanh", "pass"), device="cuda:1\n::error::x")])
    assert column.what == "mine 1 on cuda:1 ::error::x"


def test_kinds_of_known_failures_are_what_comes_before_the_colon(mixed):
    (kind, in_each), *others = kinds_of_known(columns([mixed])).items()
    assert (kind, [len(found) for found in in_each], others) == ("a kind", [1, 1], [])


def said(*reports):
    names = [f"{i}.jsonl" for i, _ in enumerate(reports)]
    return [(note.words, note.is_wrong) for note in notes(reports, names)]


def test_what_is_missing_is_said_first(results, verdict):
    whole, cut = results(verdict("tanh", "pass")), results(verdict("tanh", "pass"), footer=None)
    assert said(whole) == []
    assert said(whole, cut) == [("1.jsonl: the run was cut short, there are verdicts missing", True)]
    assert said(results()) == [("0.jsonl: nothing was selected, no law was tried", True)]
    only = results(verdict("tanh", "pass"), selection="tanh or relu", only=["mine-tanh-x"])
    assert said(only, cut) == [
        ("1.jsonl: the run was cut short, there are verdicts missing", True),
        ("0.jsonl: only rows and laws of such names were tried: tanh or relu", False),
        ("0.jsonl: only 1 case was chosen", False),
    ]


def test_what_can_not_be_compared_is_said(results, verdict):
    few = results(verdict("tanh", "pass"), selection="tanh")
    many = results(*(verdict(row, "pass", of="theirs") for row in ("tanh", "relu", "linear")))
    quick = results(verdict("tanh", "pass"), settings={"effort": 0.1}, versions={"tmref": "0.0.9"})
    assert said(few, many)[1:] == [("mine 1: 2 verdicts are not there that others have", False)]
    assert said(results(verdict("tanh", "pass")), many) == []  # which has rows of its own
    assert said(many, quick) == [
        ("1.jsonl: made by tmref 0.0.9, and what laws demand is told by 0.1.0", False),
        ("the efforts differ, so numbers of examples can't be compared", False),
    ]
