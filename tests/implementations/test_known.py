"""The known failures of the peers are still there, and their scripts show them on the peers alone."""

import json
import os
import subprocess
import sys

import pytest

from tmref.catalog import DATA, ROWS
from tmref.implementations import load
from tmref.laws import LAWS
from tmref.laws.runner import check, smoke
from tmref.laws.trying import Draw, try_example
from tmref.verdicts import PASS

PEERS = ("metatensor-learn", "metatensor-torch")
ROW = {row.name: row for row in (*DATA, *ROWS)}
LAW = {law.name: law for law in LAWS}
#: What threads do to each other they don't do every time; its script is run so many times.
RACE, TIMES = "the_same_in_several_threads", 20

# Runs scripts one after the other, and says how each ended: what it raised, or nothing.
RUNNER = """
import contextlib, io, json, sys
found = {}
for name, script in json.load(sys.stdin).items():
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(script, name, "exec"), {"__name__": "__main__"})
    except Exception as error:
        found[name] = [type(error).__name__, str(error).strip().splitlines()[:1]]
    else:
        found[name] = None
json.dump([found, [m for m in sys.modules if m.partition(".")[0] == "tmref"]], sys.stdout)
"""


def known_cases(peer):
    """Every known failure with every row of it."""
    return [(entry, row) for entry in load(peer).known for row in entry.rows]


# one worker finds all the verdicts on a peer
@pytest.fixture(
    scope="module", params=[pytest.param(peer, marks=pytest.mark.xdist_group(peer)) for peer in PEERS]
)
def peer(request):
    return request.param


@pytest.fixture(scope="module")
def verdicts(peer):
    """The verdict on every known failure, by law and row."""
    return {
        (entry.law, row): check(LAW[entry.law], ROW[row], load(peer), examples=1)
        for entry, row in known_cases(peer)
    }


def test_laws_and_rows_of_known_failures_exist(peer):
    for entry, row in known_cases(peer):
        assert LAW[entry.law].applies_to(ROW[row]), (entry.law, row)
        assert entry.reason.endswith(("[doc]", "[torch]", "[maths]"))
        kind, colon, _ = entry.reason.partition(": ")
        assert colon, entry.reason
        assert len(kind) <= 70, f"{kind!r} is more than a line of what tmref check prints"


def test_known_failures_name_the_version_that_is_installed(peer):
    """A newer one is looked at: what isn't there any more is deleted, or keeps to the older versions."""
    found = load(peer)
    assert {entry.was_seen_in(entry.version_of(found)) for entry in found.known} == {True}


def test_no_known_failure_stands_twice(peer):
    cases = [(entry.law, row, entry.reason) for entry, row in known_cases(peer)]
    assert len(cases) == len(set(cases))


def test_examples_are_what_the_entry_is_about_and_break_the_law(peer):
    for entry, row in known_cases(peer):
        example = entry.example(row)
        assert entry.when(example.recipe, example.x)
        draw = Draw(lambda strategy, label, drawn=example.draws: drawn[label])
        assert try_example(LAW[entry.law], load(peer), example.recipe, example.x, draw)


def test_verdicts_are_as_expected(verdicts):
    unexpected = {case: v.message for case, v in verdicts.items() if not (v.expected and v.known)}
    assert unexpected == {}


def run_all(scripts, folder):
    """How each of the scripts ended, and which modules of tmref they imported."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUNNER],
        input=json.dumps(scripts),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_scripts_show_the_failures_without_tmref(peer, verdicts, tmp_path):
    scripts = {" ".join(case): verdict.reproducer for case, verdict in verdicts.items()}
    assert all("tmref" not in script and "hypothesis" not in script for script in scripts.values())
    found, imported = run_all(scripts, tmp_path)
    assert imported == []
    for _ in range(TIMES):
        silent = [name for name, raised in found.items() if raised is None and name.startswith(RACE)]
        found |= run_all({name: scripts[name] for name in silent}, tmp_path)[0] if silent else {}
    wrong = {}
    for (law, row), verdict in verdicts.items():
        raised = found[f"{law} {row}"]
        # either the assertion of the script fails, or what the verdict names is raised before it
        was_raised = verdict.message.startswith(("the module can't be", "the sides can't be compared"))
        was_raised |= "can't be done: " in verdict.message
        expected = verdict.message.split(": ")[1] if was_raised else "AssertionError"
        if raised is None or raised[0] != expected:
            wrong[law, row] = raised
        if not was_raised:
            last = verdict.reproducer.splitlines()[-1].strip()
            assert last.startswith(("assert ", "torch.testing.assert_close(", "raise Assert")), last
    assert wrong == {}


#: Scripts that show nothing where a failure is mended as the reference has it, and why.
ANOTHER_WAY = {
    "a_scripted_module_does_what_the_module_does": "the reference has no TorchScript",
    "labels_of_more_rows_than_their_file_has_are_refused": "numpy writes what its script loads",
    "loading_goes_by_key": "what the peer refuses in part, and the reference loads, is to be another",
}


@pytest.mark.slow
def test_the_same_scripts_show_no_failure_of_the_reference(peer, verdicts, tmp_path):
    implementation, right = load(peer), load("reference")
    scripts = {}
    for case, verdict in verdicts.items():
        lines = [line for line in verdict.reproducer.splitlines() if line not in implementation.imports]
        code = "\n".join([*right.imports, *lines]).replace(".to(arrays='torch')", "")
        scripts[" ".join(case)] = code.replace("np.array(", "torch.tensor(").replace("np.", "torch.")
    found, imported = run_all(scripts, tmp_path)
    assert "tmref" in imported
    failed = {case.split()[0]: raised for case, raised in found.items() if raised is not None}
    assert {law: raised for law, raised in failed.items() if law not in ANOTHER_WAY} == {}
    assert sum(raised is None for raised in found.values()) > 0.9 * len(found)


def test_every_known_failure_has_a_short_script(peer, verdicts):
    long = {}
    for entry in load(peer).known:
        scripts = [verdicts[entry.law, row].reproducer.splitlines() for row in entry.rows]
        lengths = [sum(bool(line) and line[0] != "#" for line in script) for script in scripts]
        if min(lengths) > 24:
            long[entry.law] = lengths
    assert long == {}


def test_a_script_by_itself_ends_with_an_error(verdicts, tmp_path):
    verdict = next(v for v in verdicts.values() if "torch.testing.assert_close(" in v.reproducer)
    path = tmp_path / "script.py"
    path.write_text(verdict.reproducer)
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "AssertionError" in done.stderr
    assert done.stdout.startswith("tensor(")


def test_the_smoke_law_passes(peer):
    assert smoke(load(peer)).verdict == PASS


@pytest.mark.slow
@pytest.mark.parametrize("row", ROW.values(), ids=ROW)
def test_everything_else_passes(peer, row):
    known = {(entry.law, of) for entry, of in known_cases(peer)}
    verdicts = [
        check(law, row, load(peer), examples=10, hypothesis_seed=1)
        for law in LAWS
        if law.applies_to(row) and (law.name, row.name) not in known
    ]
    assert any(v.verdict == PASS for v in verdicts)
    assert {v.law: v.message for v in verdicts if not v.expected} == {}
