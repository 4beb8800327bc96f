"""Verdicts as commands of a workflow on GitHub, read as its runner reads them."""

import re

import pytest

from tmref.reports.github import MOST, workflow_commands


def read(line):
    """What GitHub's runner makes of a line: a command, its title, and its message."""
    command, title, message = re.fullmatch(r"::(\w+) title=([^:,]*)::(.*)", line).groups()
    for mark, escape in ((":", "%3A"), (",", "%2C")):
        title = title.replace(escape, mark)
    texts = (
        text.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%") for text in (title, message)
    )
    return command, *texts


def test_each_cause_of_what_is_unexpected_is_an_error(mixed):
    first, second, third, warning = map(read, workflow_commands([mixed], ["a.jsonl"]))
    script = mixed.verdicts[1].reproducer.rstrip()
    title = "fail: keys_survive_in_order on tanh of mine 1"
    assert first == ("error", title, f"it is 1, expected 2\n\n{script}")
    assert second == ("error", "error: keys_survive_in_order on relu of mine 1", "crashed (SIGSEGV)")
    assert third[1:] == ("untested: samples_survive on tanh of mine 1", "nothing was compared")
    assert warning == ("warning", "keys_survive_in_order on tanh of theirs 2", "memory grows")


def test_what_is_missing_is_an_error_and_all_good_a_notice(results, verdict):
    cut = results(verdict("tanh", "pass"), footer=None)
    words = "a: the run was cut short, there are verdicts missing"
    assert list(map(read, workflow_commands([cut], ["a"]))) == [
        ("error", "tmref: verdicts are missing", words)
    ]
    whole = results(verdict("tanh", "pass"), verdict("relu", "fail", known="x"))
    assert workflow_commands([whole], ["a"]) == ["::notice title=tmref::all 2 verdicts are as expected"]


@pytest.mark.parametrize(
    "text", ["a\n::error::b", "a\r\n::stop-commands::x", "50% %0A %25", "::a,b:c=d::e", "]]>\u2028x"]
)
def test_nothing_ends_a_command_or_is_another(text, results, verdict):
    report = results(
        verdict(text, "fail", text, of=text, version=text, message=text, reproducer=text, warning=text)
    )
    lines = workflow_commands([report], [text])
    assert [line.partition(" ")[0] for line in lines] == ["::error", "::warning"]
    assert not any(re.search(r"[\r\n\u2028]", line) for line in lines)
    shown = verdict("x", "fail", message=text).message
    title = f"fail: {shown} on {shown} of {shown} {shown}"
    assert next(map(read, lines)) == ("error", title, f"{shown}\n\n{shown}")


def test_as_many_are_shown_as_github_shows(results, verdict):
    found = [verdict("tanh", "error", f"law_{i}", message=str(i)) for i in range(25)]
    lines = workflow_commands([results(*found)], ["a"])
    assert len(lines) == MOST == 10
    assert read(lines[-1]) == ("error", "tmref", "16 more causes, which tmref report shows")
