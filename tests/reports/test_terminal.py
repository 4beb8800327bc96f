"""Tables of verdicts."""

import io

import pytest
from rich.console import Console

from tmref.reports.terminal import show
from tmref.verdicts import Results, Verdict

HEADER = {
    "implementations": {"mine": "1"},
    "laws": ["first", "second", "third"],
    "families": {"first": "one_family", "second": "another", "third": "another"},
    "rows": ["row", "other"],
}


def verdict(law, row, kind, **more):
    return Verdict(law, row, "mine", "1", kind, **more)


@pytest.fixture
def shown():
    def render(verdicts, footer=None, **header):
        file = io.StringIO()
        show(
            Results({**HEADER, **header}, verdicts, footer),
            Console(file=file, width=112, highlight=False),
        )
        return [line.rstrip() for line in file.getvalue().splitlines()]

    return render


def test_every_verdict_has_its_sign_in_the_order_of_the_header(shown):
    lines = shown(
        [
            verdict("third", "other", "untested", offered=False, message="no such thing"),
            verdict("second", "other", "untested", message="why not"),
            verdict("second", "row", "error", message="raised"),
            verdict("first", "other", "fail", known="a reason", message="m", examples=3),
            verdict("first", "row", "pass", examples=7),
        ]
    )
    assert "a row b other" in [" ".join(line.split()) for line in lines]
    table = lines[1:8]
    assert [line.strip() for line in table] == [
        "mine 1",
        "law         ab  examples",
        "one family",
        "first     .k        10",
        "another",
        "second    E?         0",
        "third      -         0",
    ]


def test_failures_are_shown_with_their_scripts_and_known_ones_once(shown):
    lines = shown(
        [
            verdict("first", "row", "fail", known="a reason", message="m", reproducer="one()\n"),
            verdict("first", "other", "fail", known="a reason", message="m", reproducer="two()\n"),
            verdict("second", "row", "fail", message="m", reproducer="three()\n"),
            verdict("second", "other", "untested", message="why not"),
            verdict("third", "row", "untested", offered=False, message="mine does not offer it: x"),
            verdict("third", "other", "untested", offered=False, message="mine does not offer it: x"),
        ]
    )
    assert [line for line in lines if line.endswith("()")] == ["    three()", "    one()"]
    assert "rows: row, other" in lines
    assert "why not" in lines
    assert any(line.startswith("second on row: fail") for line in lines)
    i = lines.index("mine does not offer it: x")
    assert lines[i + 1] == "laws: third"
    assert lines[-2] == "mine 1: 0 pass, 2 known failures, 2 not offered, 2 unexpected; 0 examples"


def test_the_summary_counts_and_says_what_is_missing(shown):
    lines = shown([verdict("first", "row", "pass", examples=3), verdict("first", "other", "error")])
    assert lines[-2] == "mine 1: 1 pass, 0 known failures, 1 unexpected; 3 examples"
    assert lines[-1] == "the run was cut short: there are verdicts missing"
    assert shown([], {"pass": 0})[-1] == "nothing was selected: no law was tried"


@pytest.mark.parametrize(("device", "where"), [("cpu", ""), ("cuda:1", " on cuda:1")])
def test_another_device_than_the_cpu_is_named(device, where, shown):
    lines = shown([verdict("first", "row", "pass", examples=3)], {"pass": 1}, device=device)
    assert lines[1].strip() == f"mine 1{where}"
    assert lines[-1] == f"mine 1{where}: 1 pass, 0 known failures, 0 unexpected; 3 examples"


def test_brackets_in_messages_are_no_markup(shown):
    lines = shown([verdict("first", "row", "fail", message="[doc] is [red]")])
    assert "[doc] is [red]" in lines
