"""Tables of verdicts."""

import io
import string

import pytest
from rich.console import Console

from tmref.reports.changes import changes
from tmref.reports.terminal import show, show_brief, show_changes
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
    def render(verdicts, footer=None, show=show, width=112, **header):
        file = io.StringIO()
        show(
            Results({**HEADER, **header}, verdicts, footer),
            Console(file=file, width=width, highlight=False, soft_wrap=True),
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
    assert lines[1].strip() == "mine 1"
    assert lines[2].split() == ["a", "row", "b", "other"]
    assert [line.split() for line in lines[4:9]] == [
        ["one", "family", "ab", "examples"],
        ["first", ".k", "10"],
        ["another", "ab", "examples"],
        ["second", "E?", "0"],
        ["third", "-", "0"],
    ]
    signs = lines[4].index("ab")
    assert [line[signs : signs + 2] for line in lines[5:9]] == [".k", "ab", "E?", " -"]


@pytest.mark.parametrize("width", [80, 160])
def test_the_table_fits_the_terminal_and_has_the_rows_of_each_family(width, shown):
    long = "a_law_whose_name_is_a_sentence_of_more_words_than_there_is_room_for_in_80_columns"
    rows = [f"row_{i}" for i in range(31)]
    verdicts = [verdict(long, row, "pass", examples=4) for row in rows]
    verdicts += [verdict("second", rows[3], "pass", examples=1)]
    families = {long: "one_family", "second": "another"}
    lines = shown(verdicts, laws=[long, "second"], rows=rows, families=families, width=width)
    assert max(map(len, lines)) <= width
    (family,) = (line for line in lines if line.startswith("one family"))
    assert family.split()[2:] == [string.ascii_letters[:31], "examples"]
    at = lines.index(family)
    assert lines[at + 1].split()[1:] == ["." * 31, "124"]
    rest = lines[at + 2].strip() if width == 80 else ""
    name = lines[at + 1].split()[0] + (f"{rest}{lines[at + 3].strip()}" if rest else "")
    assert name == long
    (another,) = (line for line in lines if line.startswith("another"))
    assert another.split() == ["another", "d", "examples"]
    assert lines[lines.index(another) + 1].split() == ["second", ".", "1"]


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
    assert lines[-2].split() == ["mine", "1", "0", "2", "2", "2", "0"]


def test_the_summary_counts_and_says_what_is_missing(shown):
    lines = shown([verdict("first", "row", "pass", examples=3), verdict("first", "other", "error")])
    assert lines[-3].split() == ["pass", "known", "not", "offered", "unexpected", "examples"]
    assert lines[-2].split() == ["mine", "1", "1", "0", "0", "1", "3"]
    assert lines[-1] == "the run was cut short: there are verdicts missing"
    assert shown([], {"pass": 0})[-1] == "nothing was selected: no law was tried"


@pytest.mark.parametrize(("device", "where"), [("cpu", ""), ("cuda:1", " on cuda:1")])
def test_another_device_than_the_cpu_is_named(device, where, shown):
    lines = shown([verdict("first", "row", "pass", examples=3)], {"pass": 1}, device=device)
    assert lines[1].strip() == f"mine 1{where}"
    assert lines[-1].split() == f"mine 1{where} 1 0 0 0 3".split()


def test_brackets_in_messages_are_no_markup(shown):
    lines = shown([verdict("first", "row", "fail", message="[doc] is [red]")])
    assert "[doc] is [red]" in lines


SCRIPT = "this_line_is_longer_than_eighty_columns_and_has_to_stay_what_it_is_to_be_run(1, 2, 3)\n"


def test_the_short_form_has_a_line_for_each_kind_of_known_failure(shown):
    long = "a kind that takes more words than there is room for on a line of eighty columns, cut"
    known = [
        verdict("first", "row", "fail", known="a kind: of one block", reproducer="no()"),
        verdict("second", "row", "fail", known="a kind: of two blocks", reproducer="no()"),
        verdict("third", "other", "error", known=f"{long}: more", reproducer="no()"),
        verdict("third", "row", "untested", offered=False, message="not mentioned"),
    ]
    theirs = [Verdict("first", "row", "theirs", "2", "fail", known="a kind: of one block")]
    both = {"mine": "1", "theirs": "2"}
    lines = shown([*known, *theirs], {"pass": 0}, show=show_brief, implementations=both)
    assert lines[1:4] == [
        "known failures of mine 1, of theirs 2:",
        "   2   1  a kind",
        "   1   -  a kind that takes more words than there is room for on a line of …",
    ]
    assert len(lines) == 8
    assert [line.split() for line in lines[-2:]] == [
        ["mine", "1", "0", "3", "1", "0", "0"],
        ["theirs", "2", "0", "1", "0", "0", "0"],
    ]
    assert not any("no()" in line or "not mentioned" in line for line in lines)


@pytest.mark.parametrize(("number", "listed"), [(25, 25), (26, 24), (60, 24)])
def test_the_short_form_ends_in_one_line_for_all_rare_kinds_of_known_failures(number, listed, shown):
    laws = [f"law_{i}" for i in range(number)]
    rows = ["row"] * number + ["other"] * 5  # the last five are there twice
    verdicts = [
        verdict(law, row, "fail", known=f"kind of {law}: of a block")
        for law, row in zip(laws + laws[-5:], rows, strict=True)
    ]
    lines = shown(verdicts, {"pass": 0}, show=show_brief, laws=laws)
    kinds = [line for line in lines if "  kind of law_" in line]
    assert kinds[:6] == [*(f"   2  kind of {law}" for law in laws[-5:]), "   1  kind of law_0"]
    assert len(kinds) == listed
    rest = number - listed
    more = [f"{rest:>4}  and {rest} more kinds: tmref known mine"] if rest else []
    assert [line for line in lines if "more kinds" in line] == more
    assert len(lines) <= 40


def test_the_short_form_shows_one_script_for_each_law_that_is_broken(shown):
    lines = shown(
        [
            verdict("first", "row", "fail", message="m", reproducer=SCRIPT),
            verdict("first", "other", "fail", message="n", reproducer="not_shown()\n"),
            verdict("second", "row", "untested", message="the smoke law failed: why"),
            verdict("third", "row", "untested", message="the smoke law failed: why"),
            verdict("third", "other", "error", message="crashed"),
        ],
        {"pass": 0},
        show=show_brief,
    )
    assert f"    {SCRIPT.strip()}" in lines
    assert not any("not_shown" in line for line in lines)
    titles = [line.rstrip(" ─") for line in lines if line.endswith("─")]
    assert titles == ["fail: first", "untested: second", "error: third"]
    assert "on row, other of mine 1" in lines
    at = lines.index("2 verdicts of 2 laws on row of mine 1")
    assert lines[at + 1] == "second, third"
    assert sum("the smoke law failed: why" in line for line in lines) == 1
    assert "crashed" in lines
    assert all(len(line) <= 80 for line in lines if SCRIPT.strip() not in line)


def test_many_laws_and_rows_are_counted_and_the_first_are_named(shown):
    laws = [f"law_number_{i}" for i in range(20)]
    for rows, named in (
        (["row", "other"], "row, other"),
        ([f"row_number_{i}" for i in range(20)], "20 rows (row_number_0, …)"),
    ):
        verdicts = [verdict(law, row, "untested", message="why") for law in laws for row in rows]
        lines = shown(verdicts, {"pass": 0}, show=show_brief)
        at = lines.index(f"{20 * len(rows)} verdicts of 20 laws on {named} of mine 1")
        assert lines[at + 1].startswith("law_number_0, law_number_1, ")
        assert lines[at + 1].endswith(" …")
        assert max(map(len, lines[at : at + 2])) <= 80
    lines = shown([verdict("first", row, "fail") for row in rows], {"fail": 20}, show=show_brief)
    assert "on 20 rows (row_number_0, row_number_1, …) of mine 1" in lines


@pytest.mark.parametrize("form", [show, show_brief])
def test_what_is_warned_of_is_a_line_for_each_row(form, shown):
    grown = "memory grew by 50 MiB with each example"
    verdicts = [
        verdict("first", "row", "pass", warning=grown),
        verdict("second", "row", "pass", warning="memory grew by 9 MiB with each example"),
        verdict("third", "other", "pass"),
    ]
    lines = shown(verdicts, {"pass": 3}, show=form)
    assert [line for line in lines if line.startswith("warning: ")] == [
        f"warning: mine, row: {grown}, by first and 1 more"
    ]


@pytest.mark.parametrize("how", [show, show_brief])
def test_known_failures_that_are_mended_in_a_version_are_a_line_a_kind(how, shown):
    words = "mended in 1: [b]wrong[/b] biases: they are added to gradients [maths]"
    lines = shown(
        [verdict("first", row, "pass", mended=words) for row in ("row", "other")], {}, show=how
    )
    at = lines.index("known failures of mine that are mended in 1:")
    assert lines[at - 1 : at + 2] == [
        "",
        "known failures of mine that are mended in 1:",
        "   2  [b]wrong[/b] biases",
    ]


def test_what_is_mended_in_two_ways_is_under_two_headings(shown):
    ways = {"first": "mended in 1: a kind: why", "second": "mended in 1, refused now: a kind: why"}
    found = [verdict(law, "row", "pass", mended=words) for law, words in ways.items()]
    lines = shown(found, {}, show=show_brief)
    for place in ("mended in 1", "mended in 1, refused now"):
        at = lines.index(f"known failures of mine that are {place}:")
        assert lines[at + 1] == "   1  a kind"


def test_a_known_failure_that_was_mended_twice_is_a_line_of_its_kind(shown):
    words = "mended in 1: biases: why; mended in 1: more: why"
    assert "   1  biases" in shown([verdict("first", "row", "pass", mended=words)], {}, show=show_brief)


def test_one_is_no_several(results, verdict):
    one = results(verdict("tanh", "pass"))
    two = results(verdict("tanh", "pass"), verdict("relu", "pass"))
    lines = []
    for new in (one, two):
        console = Console(file=io.StringIO(), width=80)
        show_changes(changes(one, new), console)
        lines += console.file.getvalue().splitlines()
    assert lines[0] == "mine 1: the one verdict is the same"
    assert [line.strip() for line in lines[3:6]] == [
        "1 pass",
        "1 law: keys_survive_in_order",
        "1 row: relu",
    ]


def test_names_in_brackets_are_names(results, verdict):
    found = results(
        verdict("mlp[relu]", "pass"), verdict("[/b] x", "pass"), rows=["mlp[relu]", "[/b] x"]
    )
    console = Console(file=io.StringIO(), width=80)
    show(found, console)
    assert "a mlp[relu]" in console.file.getvalue()
    assert "b [/b] x" in console.file.getvalue()


def test_a_warning_is_one_line_whatever_it_says():
    console = Console(file=io.StringIO(), width=80)
    found = verdict("first", "row", "pass", warning="it grows\n::error::x")
    show_brief(Results(HEADER, [found], {"pass": 1}), console)
    lines = console.file.getvalue().splitlines()
    assert "warning: mine, row: it grows ::error::x, by first" in lines
