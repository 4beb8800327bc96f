"""The releases of a package, checked each in an environment of its own."""

import json
import os
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from tmref.__main__ import main
from tmref.checking import MADE_WITH
from tmref.history.record import read_history
from tmref.reports.history import history_page
from tmref.verdicts import Report, Verdict, header, read

PACKAGE = ("--package", "mine-of-nobody")
PLACE = "mine_of_nobody.adapter-implementation"


def ended(process):
    """The status of a command, and the lines that it printed."""
    out, err = process.communicate(timeout=600)
    return process.returncode, out.splitlines(), err.splitlines()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_release_is_checked_and_what_changed_is_told(history, tmp_path):
    kept, page = tmp_path / "kept" / "mine.json", tmp_path / "kept" / "mine.md"
    process = history(*PACKAGE, "--json", str(kept), "--markdown", str(page))
    status, out, err = ended(process)
    assert status == 0, err
    assert [line for line in err if line.startswith("mine-of-nobody ")] == [
        f"mine-of-nobody {version} ({i} of 6): installing and checking"
        for i, version in enumerate(("1.0", "1.1", "1.2", "1.3", "1.4", "1.10"), 1)
    ]
    found = read_history(kept)
    assert [(of.version, of.problem is None) for of in found.releases] == [
        *((version, True) for version in ("1.0", "1.1", "1.2")),
        *((version, False) for version in ("1.3", "1.4", "1.10")),
    ]
    problems = [of.problem for of in found.releases[3:]]
    assert "nobody-has-this-package" in problems[0]
    assert problems[1] == (
        "it is installed, but 'mine_of_nobody.adapter:implementation': importing it ends the process, "
        "with status 3; an adapter must be importable"
    )
    assert "No module named 'no_such_module'" in problems[2]
    turns = [
        (of.version, turn.what, turn.law, turn.rows) for of, found in found.turns() for turn in found
    ]
    law = "values_are_those_of_plain_torch"
    assert turns == [("1.1", "broken", law, ("tanh",)), ("1.2", "mended", law, ("tanh",))]
    assert max(map(len, out)) <= 80
    assert [line for line in out if line.startswith(("1.1:", "1.2:"))] == ["1.1:", "1.2:"]
    assert page.read_text() == history_page(found)
    # environments are gone, reports are not, and are not made anew
    assert not list(tmp_path.glob(f"tmref-history/{PLACE}/1.[012]/environment"))
    reports = sorted(tmp_path.glob(f"tmref-history/{PLACE}/*/report.jsonl"))
    assert [read(path).footer["examples"] > 0 for path in reports] == [True] * 3
    before = [path.stat().st_mtime_ns for path in reports]
    status, again, err = ended(history(*PACKAGE, "--versions", "1.2", "1.0", "1.1"))
    assert (status, err) == (0, [])
    assert [path.stat().st_mtime_ns for path in reports] == before
    assert [line for line in again if line.startswith(("1.1:", "1.2:"))] == ["1.1:", "1.2:"]
    status, _, err = ended(history(*PACKAGE, "--versions", "1.2", "--quick"))
    assert status == 2
    (line,) = err
    assert line.startswith("tmref history: tmref-history")
    assert "was made otherwise: effort was 1.0, is 0.1. Give another --folder, or delete it" in line
    status, _, err = ended(history(*PACKAGE, "--versions", "1.2", "--with", "torch"))
    assert (status, len(err)) == (2, 1)
    assert "was made otherwise: --with was nothing, is torch. Give another --folder" in err[0]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_is_interrupted_goes_on_where_it_was(history, tmp_path):
    arguments = (*PACKAGE, "--versions", "1.0", "1.1")
    process = history(*arguments, start_new_session=True)
    report = tmp_path / "tmref-history" / PLACE / "1.1" / "report.jsonl"
    while not (report.exists() or report.with_name("report.jsonl.part").exists()):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    status, out, _ = ended(process)
    assert (status, out) == (130, [])
    first = report.parent.parent / "1.0" / "report.jsonl"
    before = first.stat().st_mtime_ns
    status, out, err = ended(history(*arguments))
    assert status == 0, err
    assert first.stat().st_mtime_ns == before
    assert "1.1:" in out
    assert read(report).footer is not None


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_uv_makes_the_environments_where_it_is_there(history, tmp_path):
    """And what is imported is the release, not what lies in the folder."""
    here = tmp_path / "mine_of_nobody"
    here.mkdir()
    (here / "__init__.py").write_text("raise ImportError('what lies in the folder')\n")
    arguments = (*PACKAGE, "--versions", "1.1", "1.3", "--json", "kept.json", "--keep-environments")
    status, _, err = ended(history(*arguments, path=f"{uv_folder()}{os.pathsep}{os.defpath}"))
    assert status == 0, err
    broken, missing = read_history(tmp_path / "kept.json").releases
    assert broken.signs == {"values_are_those_of_plain_torch": "x"}
    assert "nobody-has-this-package" in missing.problem
    environment = tmp_path / "tmref-history" / PLACE / "1.1" / "environment"
    assert "uv = " in (environment / "pyvenv.cfg").read_text()
    # what is installed from the wheel gives the same wheel again
    code = "from pathlib import Path; from tmref.history import wheel; wheel.write_wheel(Path())"
    command = [environment / "bin" / "python", "-c", code]
    subprocess.run(command, check=True, cwd=tmp_path)
    assert contents(tmp_path) == contents(tmp_path / "tmref-history" / PLACE)


def contents(folder):
    """What is in the wheel in a folder."""
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def uv_folder():
    """Where the uv is that the tests are installed with."""
    import uv

    return Path(uv.find_uv_bin()).parent


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["nosuch.adapter:implementation"],
            "nothing says which package has releases of 'nosuch.adapter:implementation': name it by "
            "--package",
        ),
        (
            ["metatensor-learn", "--versions", "new"],
            "Invalid version: 'new': name versions as packages do",
        ),
        (
            ["metatensor-learn", "--package", ".."],
            "--package: '..' is no name of a package: give that which pip installs it by, without a "
            "version",
        ),
        (["metatensor-learn", "--package", "a==1"], "--package: 'a==1' is no name of a package"),
        (["metatensor-learn", "-k", "("], "-k must be names of rows and laws"),
        (["metatensor-learn", "-n", "x"], "-n must be a number of workers, auto or logical, got 'x'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_can_not_be_used_is_said_before_anything_is_tried(arguments, words, tmp_path, capsys):
    versions = [] if "--versions" in arguments else ["--versions", "0.6.2"]
    assert main(["history", *arguments, *versions, "--folder", str(tmp_path / "new")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tmref history: {words}")
    assert not (tmp_path / "new").exists()


def test_a_package_that_has_no_releases_is_said_in_a_line(tmp_path, monkeypatch, capsys):
    for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", str(tmp_path)), ("CONFIG_FILE", os.devnull)):
        monkeypatch.setenv(f"PIP_{name}", value)
    assert main(["history", "reference", "--package", "nobody-has-this-package"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tmref history: no release of 'nobody-has-this-package' can be found: ")
    assert "No matching distribution found" in line


def test_a_report_that_is_damaged_is_not_overwritten(tmp_path, capsys):
    place = tmp_path / "metatensor-learn" / "0.6.2"
    place.mkdir(parents=True)
    (place / "report.jsonl").write_text(json.dumps({"no": "header"}) + "\n")
    arguments = ["history", "metatensor-learn", "--versions", "0.6.2", "--folder", str(tmp_path)]
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is no report of tmref check: it has no header: delete it, then it is made anew" in line


LAW = "samples_survive"


@pytest.fixture
def there(tmp_path, monkeypatch):
    """Writes the reports of releases that are checked, and what was installed for them; what would
    check more of them fails."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tmref.history.command.write_wheel", None)

    def write(*versions, folder="mine", **installed):
        for version in versions:
            path = tmp_path / "tmref-history" / folder / version / "report.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            head = header({"mine": version}, {LAW: "metadata"}, ["tanh"], MADE_WITH["seed"], MADE_WITH)
            with_verdict = Report(path, head)
            with_verdict.add(Verdict(LAW, "tanh", "mine", version, "pass"))
            with_verdict.close(complete=True)
            if installed:
                was = {"implementation": "mine", "package": "mine", "with": None, **installed}
                path.with_name("installed.json").write_text(json.dumps(was))

    return write


@pytest.fixture
def said(capsys):
    """The status of a history of a package that is called mine, too, and what it said of errors."""

    def of(*arguments):
        status = main(["history", "mine", "--package", "mine", "--versions", "1.0", *arguments])
        return status, capsys.readouterr().err

    return of


@pytest.mark.parametrize(
    ("was", "arguments", "words"),
    [
        ({"package": "mine"}, [], None),
        ({"package": "mine"}, ["--package", "yours"], "--package was mine, is yours"),
        ({"package": "mine"}, ["--with", "b", "a>1"], "--with was nothing, is a>1 b"),
        ({"package": "mine"}, ["-k", "tanh"], "-k was nothing, is tanh"),
        ({"package": "mine"}, ["--hypothesis-seed", "3"], "--hypothesis-seed was 0, is 3"),
        ({"with": "a>1 b"}, ["--with", "b", "a>1", "b"], None),
        ({"with": "a"}, [], "--with was a, is nothing"),
        ({"implementation": "m/ine"}, [], "implementation was m/ine, is mine"),
        ({}, [], "implementation was nothing, is mine; --package was nothing, is mine"),
    ],
)
def test_reports_of_what_was_installed_otherwise_are_not_taken(was, arguments, words, there, said):
    there("1.0", **was)
    status, err = said(*arguments)
    if words is None:
        assert (status, err) == (0, "")
    else:
        place = Path("tmref-history", "mine", "1.0", "report.jsonl")
        assert (status, err) == (
            2,
            f"tmref history: {place} was made otherwise: {words}. Give another --folder, or delete it, "
            "then it is made anew\n",
        )


@pytest.mark.parametrize("option", ["--json", "--markdown"])
def test_a_file_of_something_else_is_left_as_it_is(option, there, said, tmp_path):
    there("1.0", package="mine")
    path = tmp_path / "deeper" / "file"
    for _ in range(2):  # what it wrote itself is written again
        assert said(option, str(path)) == (0, "")
        assert path.stat().st_size
    path.write_text("")
    assert said(option, str(path)) == (0, "")
    assert [of.name for of in path.parent.iterdir()] == ["file"]
    path.write_text("# Mine\n")
    assert said(option, str(path)) == (
        2,
        f"tmref history: {path} is there and was not written by tmref history: it is left as it is; "
        "give another name, or delete it\n",
    )
    assert path.read_text() == "# Mine\n"


def test_places_that_can_not_be_used_are_said_before_anything_is_checked(said, there, tmp_path):
    (tmp_path / "file").touch()  # no report is there: going on would fail
    below = tmp_path / "file" / "below"
    for option in ("--json", "--markdown"):
        status, err = said(option, str(below))
        assert (status, len(err.splitlines())) == (2, 1)
        assert err.startswith(f"tmref history: {below} can't be written: ")
        status, err = said(option, str(tmp_path))
        assert (status, err) == (
            2,
            f"tmref history: {tmp_path} is no file: name one that is, or that is not there yet\n",
        )
    status, err = said("--json", "one", "--markdown", "one")
    assert (status, err) == (2, "tmref history: --json and --markdown name one file: give two\n")


def test_a_release_counts_once_however_its_version_is_written(there, said, tmp_path):
    there("1.0", package="mine")
    assert said("--versions", "1.0", "1.0.0", " 1.0", "--json", "kept.json") == (0, "")
    assert [of.version for of in read_history(tmp_path / "kept.json").releases] == ["1.0"]


@pytest.mark.parametrize("written", ["1.0.0", "1", "1.0"])
def test_a_release_has_one_report_however_its_version_is_written(written, there, tmp_path):
    there("1.0", package="mine")
    arguments = ["history", "mine", "--package", "mine", "--versions", written, "--json", "kept.json"]
    assert main(arguments) == 0  # checking it anew would fail
    assert [of.problem for of in read_history(tmp_path / "kept.json").releases] == [None]


def test_the_first_release_is_found_however_its_version_is_written(there, monkeypatch, tmp_path):
    there("1.0", "1.1", package="mine")
    found = ["0.9", "1.0", "1.1"]
    monkeypatch.setattr("tmref.history.command.released", lambda package: found)
    arguments = ["history", "mine", "--package", "mine", "--json", "kept.json"]
    assert main([*arguments, "--since", "1.0.0"]) == 0
    assert [of.version for of in read_history(tmp_path / "kept.json").releases] == found[1:]
    assert main([*arguments, "--since", "1.0.1"]) == 2


def test_no_name_leads_out_of_the_folder(there, capsys):
    there("1.0", folder="..", package="mine", implementation="..")
    with pytest.raises(TypeError, match="not callable"):  # it would be checked
        main(["history", "..", "--package", "mine", "--versions", "1.0"])
