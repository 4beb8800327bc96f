"""`tmref reproduce`: which script it finds, and what it does with it."""

import os
import re
import signal
import subprocess
import sys
import time
from importlib import metadata

import pytest
from markdown_it import MarkdownIt

from tmref.__main__ import main
from tmref.catalog import ROWS
from tmref.laws import LAWS
from tmref.reports.reproducers import run
from tmref.verdicts import Report, Verdict, header

#: Two laws that there are, and what breaks and obeys them.
LAW, OTHER = "samples_survive", "keys_survive_in_order"
FAILS = "# mine 1, linear: a law\nprint('seen')\nassert 1 == 2\n"
HOLDS = "print('seen')\n"


@pytest.fixture
def report(tmp_path):
    """A report of verdicts: (law, row, implementation, script), and more of what a verdict has."""

    def write(*found, versions=None, selection="", **of_all):
        path = tmp_path / "report.jsonl"
        names = {implementation: "1" for _, _, implementation, *_ in found}
        head = header(names, {LAW: "metadata"}, [], 0, {"timeout": 30, "selection": selection})
        head["header"]["versions"].update(versions or {})
        written = Report(path, head)
        for law, row, implementation, script, *more in found:
            kind = "pass" if script is None else "fail"
            options = {"message": "it is 1, expected 2", "reproducer": script, **of_all}
            for own in more:
                options |= own
            kind = options.pop("verdict", kind)
            written.add(Verdict(law, row, implementation, "1", kind, **options))
        written.close(complete=True)
        return str(path)

    return write


@pytest.fixture
def said(capsys):
    """The exit status of a command, and what it said on each of the streams."""

    def of(*arguments):
        status = main(["reproduce", *arguments])
        out = capsys.readouterr()
        return status, out.out, out.err

    return of


@pytest.fixture
def several(report):
    return report(
        (LAW, "linear", "mine", FAILS),
        (LAW, "tanh", "mine", FAILS.replace("linear", "tanh")),
        (LAW, "tanh", "yours", FAILS.replace("mine", "yours")),
        (OTHER, "linear", "mine", None),
        (OTHER, "tanh", "mine", HOLDS),
    )


# --- which


@pytest.mark.parametrize(
    ("name", "more", "script"),
    [
        (f"{LAW}[linear]", [], FAILS),
        (OTHER, [], HOLDS),
        (f"{LAW}[tanh]", ["--of", "yours"], FAILS.replace("mine", "yours")),
        (LAW, ["--of", "yours"], FAILS.replace("mine", "yours")),
    ],
)
def test_the_script_is_printed(name, more, script, several, said):
    assert said(several, name, *more) == (0, script, "")


def test_without_a_law_one_of_each_kind_is_listed(several, said):
    status, out, _ = said(several)
    of_yours = f"{LAW}[tanh] of yours 1: fail: it is 1, expected 2"
    assert (status, out.splitlines()) == (
        0,
        [f"{OTHER}[tanh] of mine 1: fail, 3 verdicts: it is 1, expected 2", of_yours],
    )
    assert said(several, "--of", "yours")[1] == f"{of_yours}\n"


def test_known_failures_are_listed_by_their_kinds_with_the_reason(report, said):
    path = report(
        (LAW, "linear", "mine", f"{FAILS}# long\n", {"known": "a kind: why [doc]"}),
        (OTHER, "tanh", "mine", FAILS, {"known": "a kind: why else [doc]"}),
        (LAW, "tanh", "mine", FAILS, {"known": "another kind"}),
        (LAW, "relu", "mine", FAILS, {"message": "it is\nso"}),
    )
    _, out, _ = said(path)
    assert out.splitlines() == [
        f"{LAW}[relu] of mine 1: fail: it is",
        f"{OTHER}[tanh] of mine 1: known, 2 verdicts: a kind",
        f"{LAW}[tanh] of mine 1: known: another kind",
    ]
    for line in out.splitlines():
        assert said(path, line.partition(" ")[0])[1] == FAILS


LISTS = "without LAW[ROW] it lists a script of each kind of failure"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            [LAW],
            f"there are 3 scripts of {LAW}: say --of mine or yours, and {LAW}[ROW], of the rows linear, "
            "tanh",
        ),
        ([f"{LAW}[tanh]"], f"there are 2 scripts of {LAW}[tanh]: say --of mine or yours"),
        ([LAW, "--of=mine"], f"there are 2 scripts of {LAW}: say {LAW}[ROW], of the rows linear, tanh"),
        (["no_such_law"], f"there is no verdict on a law 'no_such_law'; {LISTS}"),
        (
            ["samples_survives"],
            f"there is no verdict on a law 'samples_survives'; did you mean {LAW!r}?",
        ),
        ([f"{LAW}[x]"], f"there is no verdict on {LAW} on a row 'x'; there are linear, tanh"),
        ([f"{LAW}[]"], f"there is no verdict on {LAW} on a row ''; there are linear, tanh"),
        ([f"{OTHER}[linear]"], f"{OTHER}[linear] has no script, since its verdict is pass; {LISTS}"),
        (
            [f"{LAW}[linear]", "--of=yours"],
            f"{LAW}[linear] has no script, since its verdict is not there; {LISTS}",
        ),
        ([LAW, "--of=nobody"], "--of: there is no verdict on 'nobody'; there are mine, yours"),
        ([LAW, "--of=your"], "--of: there is no verdict on 'your'; did you mean 'yours'?"),
    ],
)
@pytest.mark.parametrize("does", [[], ["--run"], ["--issue"]])
def test_what_is_none_or_several_is_said_in_a_line(arguments, words, does, several, said):
    assert said(several, *arguments, *does) == (2, "", f"tmref reproduce: {words}\n")


def test_a_report_without_scripts_says_so(report, said):
    path = report((OTHER, "linear", "mine", None))
    words = "no verdict has a script: nothing failed that could be shown by one"
    for more in ([], [OTHER], ["--save", "folder"]):
        assert said(path, *more) == (2, "", f"tmref reproduce: {words}\n")
    assert "no verdict of mine has a script" in said(path, "--of", "mine")[2]


@pytest.mark.parametrize(
    "content", [None, "", "nonsense\n", "{}\n", '{"header": {"versions": 3}}\n', "\0"]
)
def test_what_is_no_report_is_said_in_a_line(content, tmp_path, said):
    path = tmp_path / "report.jsonl"
    if content is not None:
        path.write_text(content)
    for more in ([], [LAW], [LAW, "--run"], [LAW, "--issue"], ["--save", str(tmp_path / "folder")]):
        status, out, err = said(str(path), *more)
        assert (status, out, len(err.splitlines())) == (2, "", 1)
        assert err.startswith(f"tmref reproduce: {path} ")
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--run", "--issue", LAW], "argument --issue: not allowed with argument --run"),
        (["--save", "folder", LAW], "argument --save: it writes every script: leave out LAW[ROW]"),
        (["--run"], "the following arguments are required: LAW[ROW], for --run and --issue"),
        (["--kinds"], "arguments are required: --save FOLDER, for --kinds and --force"),
        ([LAW, "--force"], "arguments are required: --save FOLDER, for --kinds and --force"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, words, several, capsys):
    with pytest.raises(SystemExit) as left:
        main(["reproduce", several, *arguments])
    assert left.value.code == 2
    assert words in capsys.readouterr().err


# --- run


def test_a_script_is_run_and_its_exit_status_says_whether_the_failure_is_there(several, said):
    status, out, err = said(several, f"{LAW}[linear]", "--run")
    assert (status, out) == (1, "seen\n")
    assert err.endswith("AssertionError\ntmref reproduce: the failure is still there\n")
    assert said(several, OTHER, "--run") == (0, "seen\n", "tmref reproduce: the failure isn't there\n")


def test_where_a_failure_is_gone_it_says_what_is_another_version(report, said):
    path = report((LAW, "linear", "mine", HOLDS), versions={"torch": "0.1"})
    _, _, err = said(path, LAW, "--run")
    assert re.search(r"the failure isn't there \(torch is [\d.]+.* here, and 0\.1 in the report\)$", err)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import os; os.kill(os.getpid(), 11)", "it ended by SIGSEGV"),
        ("import os; os._exit(3)", ""),
        ("raise KeyError('\\x1b[31m')", "KeyError"),
    ],
)
def test_whatever_ends_a_script_is_the_failure(script, words, report, said):
    status, _, err = said(report((LAW, "linear", "mine", script)), LAW, "--run")
    assert status == 1
    assert words in err
    assert "\x1b" not in err


def test_a_script_that_takes_too_long_is_ended_with_what_it_started(report, said, monkeypatch, tmp_path):
    monkeypatch.setattr("tmref.reports.reproducers._TO_IMPORT", 1)
    lasting = (
        "import subprocess, sys\np = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=-1)\n"
    )
    lasting += f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid))\nwhile True: pass"
    ran = run(lasting, 1)
    assert (ran.status, ran.failed) == (None, True)
    assert ran.raised == "it took longer than 2 s\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_limits_that_no_check_has_are_none(monkeypatch):
    for timeout in (float("nan"), float("inf"), -1):
        assert not run("", timeout).failed


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "import no_such_library",
            "No module named 'no_such_library'; install that, or go to the folder",
        ),
        (
            "from math import nothing",
            "cannot import name 'nothing' from 'math'",
        ),
        (
            "raise NotImplementedError('value is a lock that has no code: define it here')",
            "value is a lock that has no code: define it here; write that into it",
        ),
    ],
)
def test_a_script_that_can_say_nothing_here_is_said_in_a_line(script, words, report, said):
    path = report((LAW, "linear", "mine", script))
    for does in ("--run", "--issue"):
        status, out, err = said(path, LAW, does)
        assert (status, out, len(err.splitlines())) == (2, "", 1)
        assert err.startswith("tmref reproduce: the script can't be run here: ")
        assert words in err
    kind = re.match(r"\w*Error|", script.partition("raise ")[2])[0] or "ImportError"
    path = report(
        (LAW, "linear", "mine", script), message=f"raised {kind}, ModuleNotFoundError: it is broken"
    )
    assert said(path, LAW, "--run")[0] == 1  # it is what the verdict is about


def test_a_script_finds_what_an_adapter_does(report, said, tmp_path, monkeypatch):
    (tmp_path / "of_mine.py").write_text("VALUE = 2\n")
    monkeypatch.chdir(tmp_path)
    assert (
        said(report((LAW, "linear", "mine", "import of_mine\nassert of_mine.VALUE == 2")), LAW, "--run")[
            0
        ]
        == 0
    )


def test_on_a_device_that_is_not_here_nothing_is_run(report, said, tmp_path):
    path = report((LAW, "linear", "mine", FAILS))
    text = (tmp_path / "report.jsonl").read_text().replace('"device": "cpu"', '"device": "cuda:99"')
    (tmp_path / "report.jsonl").write_text(text)
    status, out, err = said(path, LAW, "--run")
    assert (status, out) == (2, "")
    assert err.startswith("tmref reproduce: --device: the device 'cuda:99' can't be used")
    assert said(path, LAW)[0] == 0


# --- what a script says, and what it leaves


@pytest.mark.parametrize(
    ("script", "status"),
    [
        # what was caught and logged is no cause
        (
            "import logging\ntry:\n    import no_such_library\nexcept ImportError:\n"
            "    logging.exception('no GPU')\nassert [1] == [2]\n",
            1,
        ),
        # nor is it where the script ends otherwise
        (
            "import logging, os\ntry:\n    import no_such_library\nexcept ImportError:\n"
            "    logging.exception('no GPU')\nos._exit(3)\n",
            1,
        ),
        # what is raised while another is handled is
        ("try:\n    assert 0\nexcept AssertionError:\n    import no_such_library\n", 2),
        # with more lines, it is known by the first
        ("raise ImportError('libfoo.so is missing\\nValueError: see above')", 2),
        ("raise ValueError('of a worker:\\nImportError: its own')", 1),
    ],
)
def test_the_cause_is_what_ended_the_script(script, status, report, said):
    found, _, err = said(report((LAW, "linear", "mine", script)), LAW, "--run")
    assert (found, "can't be run here" in err) == (status, status == 2)


@pytest.mark.parametrize("does", ["--run", "--issue"])
def test_a_script_that_is_no_python_shows_no_failure(does, report, said):
    path = report((LAW, "linear", "mine", "# mine\nx = (1\n"))
    status, out, err = said(path, LAW, does)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    words = "the script can't be run here: it is no Python: '(' was never closed (line "
    assert err.startswith(f"tmref reproduce: {words}")


def test_a_relative_folder_of_pythonpath_is_found_from_here(report, said, tmp_path, monkeypatch):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "of_mine.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "code")
    assert said(report((LAW, "linear", "mine", "import of_mine")), LAW, "--run")[0] == 0


#: Starts a process in a session of its own, which starts another one in its.
LEAVES = """
import os, subprocess, sys
sleeps = "import time; time.sleep(60)"
starts = f'''
import subprocess, sys
p = subprocess.Popen([sys.executable, "-c", {sleeps!r}], start_new_session=True)
print(p.pid, flush=True)
{sleeps}
'''
p = subprocess.Popen([sys.executable, "-c", starts], start_new_session=True, stdout=subprocess.PIPE)
print(p.pid, p.stdout.readline().decode(), flush=True)
"""


@pytest.mark.parametrize(("ends", "status"), [("", 0), ("os.abort()", -6), ("while True: pass", None)])
def test_what_a_script_leaves_behind_ends_with_it(ends, status, monkeypatch):
    monkeypatch.setattr("tmref.reports.reproducers._TO_IMPORT", 3)
    start = time.monotonic()
    ran = run(f"{LEAVES}{ends}", 1)
    assert (ran.status, time.monotonic() - start < 30) == (status, True)
    left = [int(number) for number in ran.printed.split()]
    assert len(left) == 2
    for process in left:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_what_others_have_started_goes_on():
    with subprocess.Popen(["sleep", "60"]) as other:
        assert run("", 30).status == 0
        assert other.poll() is None
        other.kill()


def test_of_what_a_script_prints_without_end_the_last_is_read():
    ran = run("import sys\nsys.stderr.write('x' * 10_000_000)\nraise ImportError('at the end')", 30)
    assert ran.raised.endswith("ImportError: at the end\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_ends_the_command_ends_the_script(number, report, tmp_path):
    pid = tmp_path / "pid"
    script = (
        "import os, time\n"
        f"with open({str(tmp_path / 'new')!r}, 'w') as file:\n    file.write(str(os.getpid()))\n"
        f"os.rename({str(tmp_path / 'new')!r}, {str(pid)!r})\ntime.sleep(60)\n"
    )
    command = [sys.executable, "-m", "tmref", "reproduce", report((LAW, "linear", "mine", script))]
    process = subprocess.Popen([*command, LAW, "--run"], stdout=-1, stderr=-1)
    while not pid.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_signal_without_a_name_is_said_by_its_number(report, said):
    path = report((LAW, "linear", "mine", "import os; os.kill(os.getpid(), 35)"))
    status, _, err = said(path, LAW, "--run")
    assert status == 1
    assert "it ended by the signal 35\n" in err


@pytest.mark.parametrize("verdict", ["pass", "untested"])
def test_of_what_did_not_fail_no_issue_is_made(verdict, report, said):
    path = report((LAW, "linear", "mine", FAILS, {"verdict": verdict}))
    assert said(path, LAW, "--issue") == (
        2,
        "",
        f"tmref reproduce: {LAW}[linear] is {verdict}: an issue is made of what failed; --run shows "
        "what the script does\n",
    )
    assert said(path, LAW, "--run")[0] == 1


# --- save


def test_every_script_is_saved_under_a_name_that_sorts(several, said, tmp_path):
    folder = tmp_path / "deeper" / "scripts"
    for _ in range(2):  # what it wrote itself is written again
        status, out, _ = said(several, "--save", str(folder))
        assert (status, out) == (0, f"4 scripts are in {folder}, of {several}\n")
        assert sorted(p.name for p in folder.iterdir()) == [
            f"mine.{OTHER}.tanh.py",
            f"mine.{LAW}.linear.py",
            f"mine.{LAW}.tanh.py",
            f"yours.{LAW}.tanh.py",
        ]
    done = subprocess.run(
        [sys.executable, folder / f"mine.{LAW}.linear.py"], capture_output=True, check=False
    )
    assert done.returncode == 1
    said(several, "--of", "yours", "--save", str(tmp_path / "few"))
    assert len(list((tmp_path / "few").iterdir())) == 1


def test_one_script_of_each_kind_is_saved(several, said, tmp_path):
    folder = tmp_path / "scripts"
    _, out, _ = said(several, "--save", str(folder), "--kinds")
    assert out == f"2 scripts are in {folder}, of {several}\n"
    assert sorted(p.name for p in folder.iterdir()) == [f"mine.{OTHER}.tanh.py", f"yours.{LAW}.tanh.py"]
    said(several, "--save", str(folder), "--kinds", "--of=yours")
    assert said(several, "--save", str(tmp_path / "one"), "--kinds", "--of=yours")[1] == (
        f"1 script is in {tmp_path / 'one'}, of {several}\n"
    )


@pytest.mark.parametrize("changed", ["edited", "another", "a link", "a folder"])
def test_what_is_not_its_own_is_left_as_it_is(changed, several, said, tmp_path):
    said(several, "--save", str(tmp_path / "scripts"))
    path = tmp_path / "scripts" / f"mine.{LAW}.tanh.py"
    before = path.read_text()
    if changed == "edited":
        path.write_text(before.replace("1 == 2", "1 == 3"))
    else:
        path.unlink()
    if changed == "another":
        path.write_text("# mine 1, linear: a law\n")
    elif changed == "a link":
        path.symlink_to(tmp_path / "nowhere")
    elif changed == "a folder":
        path.mkdir()
    first = tmp_path / "scripts" / f"mine.{OTHER}.tanh.py"
    first.unlink()
    is_left = path.read_text() if changed in ("edited", "another") else None
    status, out, err = said(several, "--save", str(tmp_path / "scripts"))
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert f"--save: {path} is there, and is no script as it was saved: it is left as it is; " in err
    assert not first.exists(), "something was written before all was looked at"
    if is_left is not None:
        assert path.read_text() == is_left
    status, _, err = said(several, "--save", str(tmp_path / "scripts"), "--force")
    if changed == "a folder":
        assert (status, err) == (
            2,
            f"tmref reproduce: --save: {path} is a folder: move it away, or name another folder\n",
        )
        return
    assert (status, path.read_text(), path.is_symlink()) == (0, before, False)
    assert not (tmp_path / "nowhere").exists(), "it was written to where the link leads"


def test_a_folder_that_can_not_be_is_said_in_a_line(several, said, tmp_path):
    (tmp_path / "file").touch()
    status, _, err = said(several, "--save", str(tmp_path / "file" / "folder"))
    assert (status, err) == (
        2,
        f"tmref reproduce: --save: {tmp_path / 'file' / 'folder'} can't be written: Not a directory\n",
    )


def test_names_that_no_file_system_takes_become_others_each_its_own(report, said, tmp_path):
    rows = ["a/b", "a?b", "A/b", "../../out", "", ".", "x" * 1000, "x" * 1001, "nul", "NUL", "ä"]
    path = report(*((LAW, row, "mine", f"{FAILS}# {row!r}\n") for row in rows))
    assert said(path, "--save", str(tmp_path / "scripts"))[0] == 0
    found = list((tmp_path / "scripts").iterdir())
    names = {p.name.lower() for p in found}
    assert len(names) == len(found) == len(rows)
    assert all(re.fullmatch(r"mine\.[a-z0-9_.-]+\.py", name) and len(name) < 256 for name in names)
    assert not (tmp_path / "out").exists()


# --- issue


def test_an_issue_has_what_a_tracker_asks_for(several, said):
    status, out, err = said(several, f"{LAW}[tanh]", "--of", "mine", "--issue")
    assert (status, err) == (0, "")
    title, *_ = out.splitlines()
    assert title == "# `tanh`: `it is 1, expected 2`"
    assert re.search(r"^With mine 1, torch [\d.]+.* and Python 3\.\d+\.\d+ \(", out, re.M)
    assert "```python\nprint('seen')\nassert 1 == 2\n```\n" in out
    assert (
        'It prints\n\n```text\nseen\nTraceback (most recent call last):\n  File "script.py", line 2'
        in out
    )
    (law,) = (law for law in LAWS if law.name == LAW)
    quoted = " ".join(line.removeprefix("> ") for line in out.splitlines() if line.startswith("> "))
    assert quoted == law.demand.replace("[doc] ", "By metatensor's documentation: ")
    assert quoted != law.demand
    assert "This is a demand of metatensor's documentation." in out
    assert out.partition("## Where it is so\n")[2].strip().splitlines()[:2] == [
        "- mine 1: `linear`, `tanh`",
        "- yours 1: `tanh`",
    ]
    assert "\n\nFound by the law `samples_survive` of tmref 0.1.0, a Python package of laws for " in out
    assert out.endswith("(`tmref[check]`): `tmref check mine -k 'samples_survive and tanh'`.\n")
    assert os.sep + "script.py" not in out


def test_what_is_known_is_one_by_its_reason(report, said):
    reason = {"known": "a [bias] is @added to #1: see https://example.org [doc]"}
    path = report(
        (LAW, "linear", "mine", FAILS, reason),
        (LAW, "tanh", "mine", FAILS, {"known": "another: thing"}),
        (OTHER, "relu", "yours", FAILS, reason),
    )
    _, out, _ = said(path, f"{LAW}[linear]", "--issue")
    words = "a \\[bias\\] is @\u2060added to #\u20601"
    by = "(by metatensor's documentation)"
    assert out.startswith(f"# {words}\n\nSee https:\u2060//example.org {by}\n\nWith mine")
    assert (
        "\n- mine 1: `linear`\n- yours 1: `relu`\n\nBy other laws, too: `keys_survive_in_order`\n" in out
    )


@pytest.mark.parametrize(
    ("said_first", "begins"),
    [
        ("a kind", "# a kind\n\nWith "),
        ("a kind: the rest [maths]", "# a kind\n\nThe rest (by mathematics)\n\nWith "),
        ("a kind: get_it gives 1 [torch]", "# a kind\n\nget_it gives 1 (by torch's conventions)\n\n"),
        (
            "a kind: it is so [doc], [torch]",
            "# a kind\n\nIt is so (by metatensor's documentation and torch's conventions)\n\n",
        ),
    ],
)
def test_the_title_is_not_repeated_and_sources_are_words(said_first, begins, report, said):
    _, out, _ = said(report((LAW, "linear", "mine", FAILS, {"known": said_first})), LAW, "--issue")
    assert out.startswith(begins)


def test_what_a_report_says_is_not_told_where_the_script_may_print_something_else(report, said):
    script = "# mine 1, linear: a law\n# it is 1, expected 2\n# so\nimport sys\n# a note\nassert 0, 3\n"
    _, out, _ = said(report((LAW, "linear", "mine", script)), LAW, "--issue")
    assert "```python\nimport sys\n# a note\nassert 0, 3\n```\n" in out
    assert 'File "script.py", line 3, in <module>\n    assert 0, 3\n' in out


def test_the_version_of_an_issue_is_that_on_which_the_script_ran(report, said):
    here = metadata.version("torch")
    path = report((LAW, "linear", "torch", FAILS))  # as if that were what was judged, once 1
    assert f"\nWith torch {here}, metatensor" in said(path, LAW, "--issue")[1]


ROWS_OF = [row.name for row in ROWS]


@pytest.mark.parametrize(
    ("failing", "words"),
    [
        (ROWS_OF, "- mine 1: every module (25 of 25)"),
        (ROWS_OF[:4], "`relu` (4 of 25 modules)"),
        (ROWS_OF[:3], "- mine 1: `linear`, `linear_no_bias`, `equivariant_linear`"),
    ],
)
def test_where_it_is_so_is_counted_where_the_report_is_of_all(failing, words, report, said):
    known = {"known": "a kind"}
    tried = [*ROWS_OF, "labels"]
    found = [(LAW, row, "mine", FAILS if row in failing else None, known) for row in tried]
    name = f"{LAW}[linear]"
    assert f"{words}\n" in said(report(*found), name, "--issue")[1]
    of_few = said(report(*found, selection="linear or relu"), name, "--issue")[1]
    assert "modul" not in of_few.partition("## Where")[2].partition("Found by")[0].replace("module_", "")


def test_of_what_is_no_law_it_is_not_said_whose_demand_it_is(report, said):
    _, out, _ = said(
        report(("it_can_be_made_and_called", "linear", "mine", FAILS)),
        "it_can_be_made_and_called",
        "--issue",
    )
    assert "demand of" not in out


def test_of_what_is_not_there_no_issue_is_made(report, said):
    status, out, err = said(report((LAW, "linear", "mine", HOLDS)), LAW, "--issue")
    assert (status, out) == (1, "")
    assert err == "tmref reproduce: the failure isn't there: there is nothing to file\n"


def test_of_a_law_of_another_version_no_issue_is_made(report, said):
    status, out, err = said(report(("an_old_law", "linear", "mine", FAILS)), "an_old_law", "--issue")
    assert (status, out) == (2, "")
    assert err == (
        "tmref reproduce: the law 'an_old_law' is none of tmref 0.1.0, which can't say whose demand it "
        "is: use the version that the report was made with\n"
    )


#: What tries to be markup: HTML, links, the end of a fence, headings, names and numbers.
ATTACK = (
    "<img src=x onerror=alert(1)> [a](http://b) ``` \n```\n# big\n"
    "@user #12 ![i](j) `c` ~~~ &lt; *e* _f_ \\"
)


def test_whatever_is_said_stands_in_an_issue_as_text(report, said):
    script = f"# mine\nprint({ATTACK!r})\nprint('````')\n'''\n{ATTACK}\n'''\nassert 0\n"
    more = {"message": ATTACK, "known": None}
    path = report((LAW, ATTACK, f"mine{ATTACK}", script, more), (LAW, f"{ATTACK}2", "x", script, more))
    _, with_message, _ = said(path, f"{LAW}[{ATTACK}]", "--issue")
    known = {"message": "m", "known": f"{ATTACK}: more"}
    path = report((LAW, ATTACK, f"mine{ATTACK}", script, known))
    _, with_reason, _ = said(path, f"{LAW}[{ATTACK}]", "--issue")
    for out in (with_message, with_reason):
        tokens = MarkdownIt().parse(out)
        inline = [child for token in tokens for child in token.children or ()]
        kinds = {token.type for token in (*tokens, *inline)}
        assert kinds.isdisjoint({"html_block", "html_inline", "link_open", "image", "em_open"})
        assert [t.info for t in tokens if t.type == "fence"] == ["python", "text"]
        script_shown, printed = [t.content for t in tokens if t.type == "fence"]
        assert f"# mine\n{script_shown}" == script
        assert ATTACK.partition("\n")[0] in printed
        headings = [t.tag for t in tokens if t.type == "heading_open"]
        assert headings == ["h1", "h2", "h2"]
        prose = "".join(child.content for child in inline if child.type == "text")
        assert not re.search(r"@\w|#\d|://", prose)
