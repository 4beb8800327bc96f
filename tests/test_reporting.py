"""``tmref report``: the forms that it writes, and what it can't use."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from tmref.__main__ import main
from tmref.verdicts import Verdict, header


@pytest.fixture
def kept(tmp_path):
    """kept("pass", ...): the path of a report with verdicts of these kinds, complete or not."""

    def write(*kinds, complete=True, name="report.jsonl"):
        laws = {f"law_{i}": "a_family" for i, _ in enumerate(kinds)}
        settings = {"effort": 1, "selection": "", "timeout": 30, "memory": 8}
        lines = [header({"mine": "1"}, laws, ["tanh"], 0, settings)]
        for law, kind in zip(laws, kinds, strict=True):
            lines.append(asdict(Verdict(law, "tanh", "mine", "1", kind, message=f"it is {kind}")))
        counts = dict.fromkeys(("pass", "fail", "error", "untested", "known", "examples"), 0)
        lines += [{"footer": {**counts, **{k: kinds.count(k) for k in kinds}}}] if complete else []
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
        return str(tmp_path / name)

    return write


def test_a_page_is_written_and_said_to_be_there(kept, tmp_path, capsys):
    page = tmp_path / "pages" / "page.html"
    assert main(["report", kept("pass", "fail"), "--html", str(page)]) == 1
    said = capsys.readouterr()
    assert said.err == f"tmref: {page} is the page of 2 verdicts, 1 unexpected\n"
    assert said.out == ""
    assert "it is fail" in page.read_text()
    assert main(["report", kept("pass"), "--html", str(page)]) == 0
    assert "it is fail" not in page.read_text()
    assert main(["report", kept("pass", complete=False), "--html", str(page)]) == 1
    assert capsys.readouterr().err.endswith("none unexpected; the run was cut short\n")


@pytest.mark.parametrize(("form", "start"), [("--markdown", "## tmref: 1 un"), ("--github", "::error ")])
def test_other_forms_are_printed_alone_with_the_status_of_the_verdicts(form, start, kept, capsys):
    first, second = kept("pass", "fail"), kept("pass", name="second.jsonl")
    assert main(["report", first, second, form]) == 1
    said = capsys.readouterr()
    assert said.out.startswith(start)
    assert (said.err, said.out[-1]) == ("", "\n")
    assert main(["report", second, form]) == 0


def test_a_page_goes_with_another_form(kept, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["report", kept("pass"), "--markdown", "--html", str(page)]) == 0
    assert capsys.readouterr().out.startswith("## tmref: as expected")
    assert page.exists()


def test_what_can_not_be_used_is_said_in_a_line_and_nothing_is_shown(kept, tmp_path, capsys):
    good, bad = kept("pass"), tmp_path / "bad.jsonl"
    bad.write_text("{}\n")
    other = tmp_path / "notes.html"
    other.write_text("<p>mine")
    page = str(tmp_path / "page.html")
    for arguments, words in (
        ([good, str(bad), "--html", page], f"{bad} is no report of tmref check: it has no header"),
        ([good, str(bad)], f"{bad} is no report of tmref check: it has no header"),
        (
            [good, "--html", str(other)],
            f"{other} is there and is no page of tmref report: it is left as",
        ),
        ([good, "--html", str(tmp_path)], f"{tmp_path} is no file: name one that is, or that is not"),
        ([good, "--html", "a" * 256], f"{'a' * 256} can't be written: File name too long"),
        (["a" * 256], f"{'a' * 256} can't be read: File name too long"),
    ):
        assert main(["report", *arguments]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        (line,) = said.err.splitlines()
        assert line.startswith(f"tmref: {words}")
    assert not (tmp_path / "page.html").exists()
    assert other.read_text() == "<p>mine"


def test_markdown_says_what_changed_since_a_baseline(kept, capsys):
    old, new = kept("pass", "fail", name="old.jsonl"), kept("fail", "pass")
    assert main(["report", new, "--markdown", "--baseline", old]) == 1
    assert "Since the baseline, <code>mine 1</code>: 1 broken, 1 mended.\n" in capsys.readouterr().out


def test_a_baseline_that_can_not_be_used_is_said_in_a_line(kept, tmp_path, capsys):
    new, other = kept("pass"), tmp_path / "other.jsonl"
    other.write_text((tmp_path / "report.jsonl").read_text().replace('"mine"', '"theirs"'))
    for options, words in (
        (["--baseline", new], "--baseline is for --markdown: give both, or see tmref diff"),
        (["--github", "--baseline", new], "--baseline is for --markdown: give both, or see tmref diff"),
        (["--markdown", "--baseline", "nosuch"], "nosuch can't be read: No such file or directory"),
        (["--markdown", "--baseline", str(other)], "--baseline: there is nothing to compare: the old"),
    ):
        assert main(["report", new, *options]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        (line,) = said.err.splitlines()
        assert line.startswith(f"tmref: {words}")


def test_what_is_shown_is_a_line_a_kind_unless_all_is_asked_for(kept, capsys):
    path = kept("pass", "fail", "untested")
    assert main(["report", path]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[1:3] == [
        "law_1[tanh] of mine 1: fail: it is fail",
        "law_2[tanh] of mine 1: untested: it is untested",
    ]
    more = (
        f"the table of laws and rows, and a script for each failure:\n    tmref report {path} --verbose"
    )
    assert out.endswith(f"\n\n{more}\n")
    for option in ("-v", "--verbose"):
        assert main(["report", path, option]) == 1
        out = capsys.readouterr().out
        assert ". pass  k known  F fail" in out
        assert "tmref report" not in out


def test_one_implementation_of_several_is_shown(kept, tmp_path, capsys):
    mine = kept("pass", "fail")
    theirs = tmp_path / "theirs.jsonl"
    theirs.write_text((tmp_path / "report.jsonl").read_text().replace('"mine"', '"theirs"'))
    both = [mine, str(theirs)]
    assert main(["report", *both]) == 1
    assert "mine 1" in (out := capsys.readouterr().out)
    assert "theirs 1" in out
    page = tmp_path / "page.html"
    for form in ([], ["--verbose"], ["--markdown"], ["--github"], ["--html", str(page)]):
        assert main(["report", *both, "--of", "theirs", *form]) == 1
        said = capsys.readouterr()
        shown = page.read_text() if "--html" in form else said.out
        assert "theirs 1" in shown
        assert "mine 1" not in shown
    assert main(["report", *both, "--of", "their"]) == 2
    words = "--of: there is no verdict on 'their'; did you mean 'theirs'?"
    assert capsys.readouterr().err == f"tmref: {words}\n"


def test_of_a_baseline_the_same_implementation_is_compared(kept, tmp_path, capsys):
    lines = Path(kept("pass", "fail", name="old.jsonl")).read_text().splitlines(keepends=True)
    head = lines[0].replace('{"mine": "1"}', '{"mine": "1", "theirs": "1"}')
    theirs = lines[1].replace('"mine"', '"theirs"')
    (tmp_path / "old.jsonl").write_text(head + theirs + "".join(lines[1:-1]))
    form = ["--markdown", "--baseline", str(tmp_path / "old.jsonl")]
    new = kept("fail", "pass")
    for options, told in (([], True), (["--of", "mine"], False)):
        assert main(["report", new, *form, *options]) == 1
        assert ("theirs 1 is in the baseline alone" in capsys.readouterr().out) is told


def test_two_forms_at_once_are_refused(kept, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["report", kept("pass"), "--markdown", "--github"])
    assert "--github: not allowed with argument --markdown" in capsys.readouterr().err
