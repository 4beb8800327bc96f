"""Laws that were renamed: whatever names them by an old name means what they are called now."""

import dataclasses
import io
import json

import pytest
from rich.console import Console

from tmref.__main__ import main
from tmref.aging import aged
from tmref.history.record import read_history
from tmref.implementations import Known
from tmref.implementations.reference import Reference
from tmref.laws import (
    LAWS,
    check_function,
    check_implementation,
    parametrize_with_laws,
    smoke,
)
from tmref.laws.own import it_can_be_made_and_called
from tmref.renamed import RENAMED, name_now
from tmref.reports.changes import changes
from tmref.reports.terminal import show_changes
from tmref.verdicts import Report, Verdict, header, read

WAS, NOW = "what_is_set_for_all_of_torch_stays", "what_is_set_for_the_whole_process_stays"


@pytest.fixture
def report(tmp_path):
    """The path of a report with one verdict, on a law by any of its names."""

    def write(law, name="report.jsonl", only=None, **more):
        head = header({"mine": "1"}, {law: "purity"}, ["tanh"], 0, {"effort": 1}, only=only)
        written = Report(tmp_path / name, head)
        options = {"message": "m", "reproducer": "print(1)\nassert 0\n", **more}
        written.add(Verdict(law, "tanh", "mine", "1", "fail", **options))
        written.close(complete=True)
        return tmp_path / name

    return write


def test_they_have_names_of_laws_now_and_no_law_has_an_old_one():
    names = {smoke.NAME, it_can_be_made_and_called.name, *(law.name for law in LAWS)}
    assert {*RENAMED.values()} <= names
    assert not names & RENAMED.keys()


def test_the_name_of_one_on_a_row_is_that_of_now_too():
    assert (name_now(WAS), name_now(f"{WAS}[tanh]")) == (NOW, f"{NOW}[tanh]")
    assert (name_now(NOW), name_now("no_law[x]")) == (NOW, "no_law[x]")


def test_a_file_is_read_with_the_names_of_now(report):
    found = read(report(WAS, only=[f"mine-a-b-{WAS}"]))
    assert [v.law for v in found.verdicts] == found.header["laws"] == [NOW]
    assert found.header["families"] == {NOW: "purity"}
    assert found.header["only"] == [f"mine-a-b-{NOW}"]
    assert found.renamed == {WAS: NOW}
    assert read(report(NOW)).renamed == {}


def test_reports_of_then_and_of_now_are_compared_and_it_is_told(report):
    for names in ((WAS, NOW), (NOW, WAS), (WAS, WAS)):
        old, new = (read(report(law, f"{i}.jsonl")) for i, law in enumerate(names))
        file = io.StringIO()
        show_changes(changes(old, new), Console(file=file, soft_wrap=True))
        same, *told = file.getvalue().splitlines()
        assert same == "mine 1: the one verdict is the same"
        assert " ".join(map(str.strip, told)) == f"{WAS} is called {NOW} now"


def test_a_renamed_law_that_nobody_told_of_is_noticed(report, monkeypatch):
    monkeypatch.delitem(RENAMED, WAS)
    found = changes(read(report(WAS)), read(report(NOW)))
    assert [len(found.of_kind("mine", kind)) for kind in ("gone", "broken")] == [1, 1]


@pytest.mark.parametrize("asked", [WAS, NOW])
def test_its_script_is_found_and_made_an_issue_of_by_both_names(asked, report, capsys):
    path = str(report(WAS))
    assert main(["reproduce", path, f"{asked}[tanh]"]) == 0
    assert capsys.readouterr().out == "print(1)\nassert 0\n"
    assert main(["reproduce", path, asked, "--issue"]) == 0
    assert f"`{NOW}`" in capsys.readouterr().out


def test_known_failures_of_it_are_of_the_law_of_now():
    entry = Known(WAS, ("tanh",), lambda recipe, x: True, lambda row: 1 / 0, "a reason")
    assert entry.law == NOW
    assert dataclasses.replace(entry, law=WAS).law == NOW

    class Mine(Reference):
        known = (entry,)

    assert [one.now for one in aged(Mine())] == [
        "it can't be tried: ZeroDivisionError: division by zero"
    ]


def test_it_is_selected_and_expected_to_fail_by_both_names():
    for name in (WAS, NOW):
        options = {"rows": ["tanh"], "laws": [name], "effort": 0.1}
        assert check_implementation("reference", **options)[-1].law == NOW
        for expected in (name, f"{name}[tanh]"):
            more = {"expected_failed_laws": {expected: "why"}, "on_fail": None}
            (_, found) = check_implementation("reference", **options, **more)
            assert found.message.startswith("it is expected to fail (why), and didn't")
        assert len(parametrize_with_laws("reference", **options).mark.args[1]) == 2
        found = check_function(
            lambda x: x, maps={}, expected_failed_laws={name: "why"}, on_fail=None, effort=0.1
        )
        assert [v.law for v in found if (v.message or "").startswith("it is expected")] == [NOW]


def test_a_history_of_then_is_read_with_the_names_of_now(tmp_path):
    kept = tmp_path / "history.json"
    head = {"implementation": "mine", "package": "p", "made_with": {}, "rows": ["tanh"]}
    releases = [{"version": "1", "versions": {}, "unusable": {}}]
    laws = {WAS: {"family": "purity", "signs": {"1": "x"}}}
    kept.write_text(json.dumps({"history": head, "releases": releases, "laws": laws}))
    assert read_history(kept).broken_laws() == [NOW]
