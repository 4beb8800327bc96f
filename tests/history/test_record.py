"""What is kept of the checks of releases, and the pages that are made of it."""

import io
import json

import pytest
from rich.console import Console

from tmref.history.record import History, Release, read_history, release, written
from tmref.reports.history import history_page, show_history
from tmref.verdicts import Results, Verdict

ROWS = ["linear", "tanh"]
MADE = {"tmref": "0.1.0", "effort": 0.1, "seed": 0, "selection": ""}
LONG = "a_law_whose_name_is_a_sentence_of_more_words_than_there_is_room_for_in_80_columns"
FAMILIES = {"keys_stay": "one", "values_stay": "two", LONG: "two", "never_broken": "two"}


def made(*signs, problem="[no] *such* | package"):
    """A history of releases with the signs of each law, and of one that was not checked."""
    names = list(FAMILIES)
    releases = [
        Release(f"1.{i}", None, {"torch": "2.0"}, dict(zip(names, of, strict=True)))
        for i, of in enumerate(signs)
    ]
    return History("mine", "mine-package", MADE, ROWS, FAMILIES, [Release("0.9", problem), *releases])


HISTORY = made(
    ("..", ".x", "x", ".."),
    ("x.", "..", "-", ".."),
    ("x.", "..", "xx", ".."),
    ("x.", "..", "xx", ".."),
)


def test_what_a_report_says_is_a_sign_for_each_row():
    kinds = {
        "holds": {"verdict": "pass"},
        "fails": {"verdict": "fail"},
        "raises": {"verdict": "error"},
        "known": {"verdict": "fail", "known": "why"},
        "absent": {"verdict": "untested", "offered": False},
        "open": {"verdict": "untested"},
        "listed": {"verdict": "fail", "mended": "mended in 1: why"},
        "refused": {"verdict": "untested", "offered": False, "mended": "mended in 1: why"},
        "another": {"verdict": "fail", "known": "another", "mended": "mended in 1: why"},
    }
    verdicts = [Verdict(law, "tanh", "mine", "1", **kind) for law, kind in kinds.items()]
    versions = {"python": "3.11", "torch": "2.0", "pytest": "9"}
    found = release("1.0", Results({"versions": versions}, verdicts, {}), ROWS)
    assert dict(found.signs) == {
        "holds": " .",
        "fails": " x",
        "raises": " x",
        "known": " x",
        "absent": " -",
        "open": " ?",
        "listed": " .",
        "refused": " .",
        "another": " x",
    }
    assert found.versions == {"python": "3.11", "torch": "2.0"}


def test_laws_break_come_broken_are_mended_or_leave():
    turns = [(of.version, [(t.what, t.law, t.rows) for t in found]) for of, found in HISTORY.turns()]
    assert turns == [
        (
            "1.1",
            [
                ("broken", "keys_stay", ("linear",)),
                ("mended", "values_stay", ("tanh",)),
                ("broken before, not there any more", LONG, ("linear",)),
            ],
        ),
        ("1.2", [("new, and broken", LONG, ("linear", "tanh"))]),
        ("1.3", []),
    ]
    assert HISTORY.broken_laws() == ["keys_stay", "values_stay", LONG]


def test_rows_that_can_not_be_used_are_told_once_with_the_reason():
    laws = [f"law_{i}" for i in range(6)]

    def of(version, verdicts):
        found = [Verdict(law, "linear", "mine", version, **verdicts(law)) for law in laws]
        return release(version, Results({"versions": {}}, found, {}), ROWS)

    def passes(law):
        return {"verdict": "pass"}

    def raises(words, but=()):
        error = {"verdict": "error", "message": f"the module can't be made: {words}\n more"}
        return lambda law: {"verdict": "fail"} if law in but else error

    releases = [
        of("1.0", passes),
        of("1.1", raises("one")),
        of("1.2", raises("another", but=laws[:1])),
        of("1.3", lambda law: {"verdict": "fail"} if law == laws[1] else {"verdict": "pass"}),
        of("1.4", lambda law: {"verdict": "untested", "offered": False}),
        of("1.5", raises("one")),
    ]
    assert [release.signs[laws[0]] for release in releases] == [".", "!", "x", ".", "-", "!"]
    history = History("mine", "mine", MADE, ROWS, dict.fromkeys(laws, ""), releases)
    found = [
        (of.version, turn.what, turn.law, turn.why) for of, turns in history.turns() for turn in turns
    ]
    one, another = (f"the module can't be made: {words}" for words in ("one", "another"))
    assert found == [
        ("1.1", "broken", "", one),
        ("1.2", "new, and broken", laws[0], ""),
        ("1.2", "broken otherwise", "", another),
        ("1.3", "new, and broken", laws[1], ""),
        ("1.3", "mended", "", another),
        ("1.3", "mended", laws[0], ""),
        ("1.4", "broken before, not there any more", laws[1], ""),
        ("1.5", "new, and broken", "", one),
    ]
    assert f"Broken:\n\n- all laws of `linear`: {one}\n" in history_page(history)
    file = io.StringIO()
    show_history(history, Console(file=file, highlight=False, soft_wrap=True))
    assert f"1.1:\n  broken\n    all laws: {one}\n      linear\n" in file.getvalue()


def test_what_breaks_a_law_is_told_in_a_line(tmp_path):
    def of(version, *broken):
        found = [Verdict("first", row, "mine", version, "pass") for row in ROWS]
        found += [
            Verdict("second", row, "mine", version, "fail", message="it is broken") for row in ROWS
        ]
        for verdict in found[: len(broken)]:
            verdict.verdict, verdict.message = "fail", broken[0]
        return release(version, Results({"versions": {}}, found, {}), ROWS)

    why = f"block(0).values[0] is 1, expected *2* {'long ' * 40}"
    releases = [of("1.0"), of("1.1", f"{why}\nand more", "another")]
    history = History("mine", "mine", MADE, ROWS, {"first": "", "second": ""}, releases)
    path = tmp_path / "kept.json"
    path.write_text(written(history))
    for found in (history, read_history(path)):
        ((_, (turn,)),) = found.turns()
        assert (turn.what, turn.law, turn.why[:40]) == ("broken", "first", why[:40])
        assert (
            "- `first`: `linear`, `tanh`: block(0).values\\[0\\] is 1, expected \\*2\\* "
            in history_page(found)
        )
        file = io.StringIO()
        show_history(found, Console(file=file, highlight=False, soft_wrap=True))
        assert (
            "    first\n      2 rows: linear, tanh\n      block(0).values[0] is 1, exp"
            in file.getvalue()
        )
        assert max(map(len, file.getvalue().splitlines())) <= 80
    assert "it is broken" not in path.read_text()  # it was before


def test_an_error_of_few_laws_makes_no_row_unusable():
    error = {"verdict": "error", "message": "why"}
    found = [Verdict(f"law_{i}", "tanh", "mine", "1", **error) for i in range(3)]
    assert release("1", Results({"versions": {}}, found, {}), ROWS).unusable == {}


def test_what_is_kept_comes_back(tmp_path):
    path = tmp_path / "kept.json"
    path.write_text(written(HISTORY))
    assert read_history(path) == HISTORY
    kept = json.loads(path.read_text())["laws"]["keys_stay"]
    assert kept == {"family": "one", "signs": {"1.0": "..", "1.1": "x."}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "can't be read: No such file or directory"),
        ("nonsense", "is no history of tmref: JSONDecodeError: "),
        ("[]", "is no history of tmref: TypeError: "),
        ("{}", "is no history of tmref: KeyError: 'history'"),
    ],
)
def test_what_is_no_history_is_said(text, words, tmp_path):
    path = tmp_path / "kept.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_history(path)


@pytest.mark.parametrize(
    ("signs", "words"),
    [
        (("x.", "..", "..", ".."), "The other 3 laws are broken in no release."),
        (("x.", "x.", "x.", ".."), "The other law is broken in no release."),
        (("x.", "x.", "x.", "x."), "No other law was tried."),
        (("..", "..", "..", ".."), "Of 4 laws none is broken in any release."),
    ],
)
def test_the_other_laws_are_counted(signs, words):
    assert history_page(made(signs)).endswith(f"\n{words}\n")


def test_the_page_has_the_releases_what_changed_and_the_laws():
    page = history_page(HISTORY)
    assert "by tmref 0.1.0, with effort 0.1 and seed 0.\n" in page
    assert "| 0.9 | not checked: \\[no\\] \\*such\\* \\| package | | | |\n" in page
    assert "| 1.1 | torch 2.0 | 1 | 1 | 0 |\n" in page
    assert (
        "### 1.1\n\nBroken:\n\n- `keys_stay`: `linear`\n\nMended:\n\n- `values_stay`: `tanh`\n" in page
    )
    assert "### 1.3\n\nNo law broke, and none was mended.\n" in page
    assert f"| `{LONG}` | 1 | - | 2 | 2 |\n" in page
    assert "| `values_stay` | 1 | . | . | . |\n" in page
    assert "\nThe other law is broken in no release.\n" in page


def test_the_terminal_has_the_same_in_80_columns():
    file = io.StringIO()
    show_history(HISTORY, Console(file=file, highlight=False, soft_wrap=True))
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    words = [line.split() for line in lines]
    assert ["0.9", "not", "checked:", "[no]", "*such*", "|", "package"] in words
    assert ["b", "1.1", "1", "1", "0", "torch", "2.0"] in words
    at = lines.index("1.1:")
    assert lines[at + 1 : at + 7] == [
        "  broken",
        "    keys_stay",
        "      linear",
        "  mended",
        "    values_stay",
        "      tanh",
    ]
    assert "1.3: no law broke, and none was mended" in lines
    assert ["keys_stay", ".xxx"] in words
    assert ["values_stay", "x..."] in words
    (at,) = (i for i, line in enumerate(lines) if line.endswith(" abcd"))
    assert lines[at + 3].endswith(" x-xx")


def test_where_nothing_was_checked_the_reasons_are_told():
    history = History("mine", "mine", MADE, (), {}, [Release("0.9", "no such package")])
    file = io.StringIO()
    show_history(history, Console(file=file, highlight=False))
    assert "not checked: no such package" in " ".join(file.getvalue().split())
    assert "| 0.9 | not checked: no such package | | | |" in history_page(history)


def test_the_kept_history_of_metatensor_learn_is_whole(repository):
    kept = read_history(repository / "docs" / "explanation" / "metatensor-learn.json")
    assert [of.version for of in kept.checked][-3:] == ["0.6.0", "0.6.1", "0.6.2"]
    found = {of.version: turns for of, turns in kept.turns()}
    assert [(turn.what, turn.law) for turn in found["0.6.1"]] == [
        ("broken", "converted_buffers_are_saved_and_loaded")
    ]
    assert {turn.law for turn in found["0.3.1"] if turn.what == "mended"} == {""}
