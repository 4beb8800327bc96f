"""The command that shows known failures: what became of each, and its exit status."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tmref import Labels
from tmref.__main__ import main
from tmref.aging import aged
from tmref.catalog import ROWS
from tmref.implementations import Example, Known
from tmref.implementations.known.examples import map_of_ones, recipe_of_ones
from tmref.implementations.reference import Reference

LAW = "values_are_those_of_plain_torch"
REASON = "[b]Tanh[/b] gives what it is given: why [maths]"


def example_of(name):
    row = next(row for row in ROWS if row.name == name)
    keys = Labels.range("key", 1)
    return Example(recipe_of_ones(row, keys), map_of_ones(row, keys), {})


ENTRY = Known(LAW, ("tanh",), lambda recipe, x: True, example_of, REASON)


class Mine(Reference):
    """A library whose Tanh does something else."""

    name, version = "mine", "0.7"
    rows = tuple(row for row in ROWS if row.name in ("tanh", "relu", "linear"))

    def __init__(self, does=None, *known):
        self.does = does
        self.known = known

    def make(self, call):
        module = super().make(call)
        if call.name == "Tanh" and self.does is not None:
            module.forward = self.does
        return module


def same(x):
    return x


def ends(x):
    os._exit(3)


broken = Mine(same, ENTRY, dataclasses.replace(ENTRY, versions=("0.7", "0.6")))
mended = Mine(None, ENTRY)
nothing = Mine(None)


def now(implementation, **changes):
    """What becomes of the one known failure."""
    implementation.known = (dataclasses.replace(ENTRY, **changes),)
    (found,) = aged(implementation)
    return found.now, found.as_said


@pytest.mark.parametrize(
    ("does", "changes", "words", "as_said"),
    [
        (same, {}, "still broken", True),
        (same, {"versions": ("0.7",)}, "still broken", True),
        (same, {"versions": ("0.6",)}, "still broken in 0.7: name it", True),
        (None, {}, "mended: delete the entry", False),
        (None, {"versions": ("0.7", "0.6")}, "mended: delete the entry", False),
        (None, {"versions": ("0.6",)}, "mended in 0.7", True),
        (None, {"versions": ("0.8",)}, "not there in 0.7", True),
        (same, {"law": "no_such_law"}, "there is no such law", False),
        (same, {"rows": ("no_such_row",)}, "there is no such row", False),
        (same, {"rows": ("tensor_map",)}, "the law is not tried on this row", False),
        (
            same,
            {"when": lambda recipe, x: False},
            f"the example of a known failure is none by its own `when`: {REASON}",
            False,
        ),
        (ends, {}, "it ended the process, with status 3", False),
        (
            same,
            {"example": lambda row: 1 / 0},
            "it can't be tried: ZeroDivisionError: division by zero",
            False,
        ),
    ],
)
def test_what_becomes_of_a_known_failure(does, changes, words, as_said):
    assert now(Mine(does), **changes) == (words, as_said)


def test_a_class_that_is_not_there_has_no_known_failure():
    class Less(Mine):
        nn = type("nn", (), {"Linear": Reference.nn.Linear})

    assert now(Less()) == ("not offered", True)


def test_known_failures_of_classes_that_its_modules_are_made_of_are_left_out():
    of_tanh = dataclasses.replace(ENTRY, rows=("sequential_tanh",))
    assert list(aged(Mine(None, of_tanh))) == []


def test_known_failures_are_a_table_by_reasons(capsys):
    assert main(["known", f"{__name__}:broken"]) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "known failures of mine 0.7, each tried again:"
    assert lines[3] == REASON
    assert [line.split() for line in lines[4:8]] == [
        [LAW, "all", "still", "broken"],
        ["tanh"],
        [LAW, "0.7,", "0.6", "still", "broken"],
        ["tanh"],
    ]
    assert lines[-1] == "2 known failures, counted by laws and rows: all are what they say"
    assert max(map(len, lines)) <= 80


def test_the_status_says_whether_they_are_what_they_say(capsys):
    assert main(["known", f"{__name__}:mended"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"{LAW} all mended: delete tanh the entry" in said
    assert said.endswith("1 known failure, counted by laws and rows: 1 is not so any more")


def test_an_implementation_may_have_none(capsys):
    assert main(["known", f"{__name__}:nothing"]) == 0
    assert capsys.readouterr().out == "mine 0.7 has no known failures\n"


def test_what_can_not_be_loaded_is_said_in_a_line(capsys):
    assert main(["known", "nosuch"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tmref known: there is no implementation 'nosuch'")


@pytest.mark.slow
@pytest.mark.parametrize(("versions", "status"), [(("0.6",), 0), (("0.6", "0.7"), 1)])
def test_a_check_says_what_is_mended_and_fails_where_the_entry_names_the_version(
    versions, status, tmp_path
):
    adapter = tmp_path / "my_adapter.py"
    adapter.write_text(
        "import dataclasses\n"
        f"{Path(__file__).read_text().partition('broken = ')[0]}\n"
        f"implementation = Mine(None, dataclasses.replace(ENTRY, versions={versions}))\n"
    )
    command = [sys.executable, "-W", "ignore", "-m", "tmref", "check", "my_adapter:implementation"]
    command += ["-k", "tanh and values_are_those and not invariant", "-n0"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert found.returncode == status, found.stdout
    kind = REASON.partition(":")[0]
    said = f"known failures of mine that are mended in 0.7:\n   1  {kind}\n"
    delete = f"mended: delete the entry of the known failure: {REASON}"
    assert said in found.stdout
    assert (delete in found.stdout) == (status == 1)
