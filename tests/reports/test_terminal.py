"""Tables of verdicts."""

import io

import pytest
from rich.console import Console

from tmref.reports.terminal import show
from tmref.verdicts import Results, Verdict

HEADER = {"implementations": {"mine": "1"}, "laws": ["first", "second"], "rows": ["a", "b"]}


def verdict(law, row, kind, **more):
    return Verdict(law, row, "mine", "1", kind, **more)


@pytest.fixture
def shown():
    def render(verdicts, footer=None):
        file = io.StringIO()
        show(Results(HEADER, verdicts, footer), Console(file=file, width=112, highlight=False))
        return [line.rstrip() for line in file.getvalue().splitlines()]

    return render


def test_every_verdict_has_its_sign_in_the_order_of_the_header(shown):
    lines = shown(
        [
            verdict("second", "b", "untested", message="why not"),
            verdict("second", "a", "error", message="raised"),
            verdict("first", "b", "fail", known="a reason", message="m"),
            verdict("first", "a", "pass", examples=7),
        ]
    )
    signs = [line.split() for line in lines if line[:3] in (" a ", " b ")]
    assert signs == [["a", ".", "E"], ["b", "k", "?"]]
    assert next(line.split() for line in lines if " first " in line) == ["1", "first", "7", "1", "1"]


def test_failures_are_shown_with_their_scripts_and_known_ones_once(shown):
    lines = shown(
        [
            verdict("first", "a", "fail", known="a reason", message="m", reproducer="one()\n"),
            verdict("first", "b", "fail", known="a reason", message="m", reproducer="two()\n"),
            verdict("second", "a", "fail", message="m", reproducer="three()\n"),
            verdict("second", "b", "untested", message="why not"),
        ]
    )
    assert [line for line in lines if line.endswith("()")] == ["    three()", "    one()"]
    assert "rows: a, b" in lines
    assert "why not" in lines
    assert any(line.startswith("second on a: fail") for line in lines)


def test_the_summary_counts_and_says_what_is_missing(shown):
    lines = shown([verdict("first", "a", "pass", examples=3), verdict("first", "b", "error")])
    assert lines[-2] == "mine 1: 1 pass, 0 known failures, 1 unexpected; 3 examples"
    assert lines[-1] == "the run was cut short: there are verdicts missing"
    assert shown([], {"pass": 0})[-1] == "nothing was selected: no law was tried"


def test_brackets_in_messages_are_no_markup(shown):
    lines = shown([verdict("first", "a", "fail", message="[doc] is [red]")])
    assert "[doc] is [red]" in lines
