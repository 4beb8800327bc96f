"""The command that compares two reports: what it prints, and its exit status."""

import json

import pytest

from tmref.__main__ import main
from tmref.verdicts import Report, Verdict, header


def write(path, verdict="pass", *, complete=True, version="1"):
    """A report of one verdict on one implementation."""
    settings = {"effort": 1, "selection": "", "timeout": 30, "memory": 8}
    report = Report(path, header({"mine": version}, {"law": "family"}, ["row"], 0, settings))
    report.add(Verdict("law", "row", "mine", version, verdict, message="why"))
    report.close(complete=complete)
    return str(path)


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [("pass", "pass", 0), ("fail", "fail", 0), ("fail", "pass", 0), ("pass", "fail", 1)],
)
def test_the_status_says_whether_something_broke(old, new, status, tmp_path, capsys):
    reports = write(tmp_path / "old.jsonl", old), write(tmp_path / "new.jsonl", new, version="2")
    assert main(["diff", *reports]) == status
    assert ("1 broken" in capsys.readouterr().out) is bool(status)


def test_a_new_report_that_was_cut_short_is_nothing_good(tmp_path, capsys):
    reports = write(tmp_path / "old.jsonl"), write(tmp_path / "new.jsonl", complete=False)
    assert main(["diff", *reports]) == 1
    assert "the run of the new report was cut short" in capsys.readouterr().out


def test_reports_that_can_not_be_compared_are_said_in_a_line(tmp_path, capsys):
    old, new = write(tmp_path / "old.jsonl"), tmp_path / "new.jsonl"
    lines = [json.loads(line) for line in (tmp_path / "old.jsonl").read_text().splitlines()]
    lines[0]["header"]["implementations"] = {"theirs": "1"}
    lines[1]["implementation"] = "theirs"
    for text, words in (
        (None, "No such file"),
        ("nonsense\n", "is no report of tmref check"),
        ("\n".join(map(json.dumps, lines)) + "\n", "there is nothing to compare: the old report is of"),
    ):
        if text is not None:
            new.write_text(text)
        assert main(["diff", old, str(new)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("tmref diff: ")
        assert words in line
