"""Verdicts and the file of JSON lines."""

import importlib.metadata
import json
import os
import resource
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

import tmref
from tmref import verdicts
from tmref.verdicts import (
    ERROR,
    FAIL,
    PASS,
    UNTESTED,
    Report,
    UnusablePlace,
    Verdict,
    header,
    part_of,
    read,
    usable_place,
)


def verdict(kind=PASS, known=None, examples=20, **rest):
    return Verdict("a_law", "linear", "reference", "0.1.0", kind, known, examples, **rest)


HEAD = json.dumps(header({}, {}, [], 0, {})) + "\n"


@pytest.fixture
def head():
    """A header with whatever it takes."""
    return header({"reference": "0.1.0"}, {"a_law": "metadata"}, ["linear"], 3, {"effort": 1})


@pytest.fixture
def written(tmp_path, head):
    """A file of verdicts, complete or cut short."""

    def write(*found, complete=True):
        path = tmp_path / "deeper" / "check.jsonl"
        report = Report(path, head)
        for i, one in enumerate(found):
            one.law = f"law_{i}"  # there is one verdict for each
            report.add(one)
        report.close(complete=complete)
        return path

    return write


@pytest.mark.parametrize(
    ("kind", "known", "expected"),
    [
        (PASS, None, True),
        (FAIL, None, False),
        (ERROR, None, False),
        (UNTESTED, None, False),
        (FAIL, "a reason", True),
        (ERROR, "a reason", True),
        (UNTESTED, "a reason", False),
    ],
)
def test_expected(kind, known, expected):
    assert verdict(kind, known).expected is expected


def test_texts_of_another_class_are_plain_ones():
    class Text(str):
        __slots__ = ()

    found = Verdict(Text("a_law"), Text("linear"), "reference", Text("1"), PASS, message=Text("a\x1b"))
    assert {type(value) for value in vars(found).values() if isinstance(value, str)} == {str}


def test_what_is_not_offered_is_expected():
    untested = verdict(UNTESTED, None)
    untested.offered = False
    assert (untested.status, untested.expected) == ("not offered", True)


def test_the_header_has_what_verdicts_depend_on(head):
    inner = head["header"]
    assert inner["versions"]["torch"] == importlib.metadata.version("torch")
    assert inner["versions"]["tmref"] == tmref.__version__
    assert inner["versions"]["hypothesis"] == importlib.metadata.version("hypothesis")
    assert inner["seed"] == 3
    assert inner["settings"]["effort"] == 1
    assert (inner["laws"], inner["families"]) == (["a_law"], {"a_law": "metadata"})
    assert inner["threads"] == torch.get_num_threads()
    assert inner["device"] == "cpu"
    assert inner["implementations"] == {"reference": "0.1.0"}
    assert (inner["laws"], inner["rows"]) == (["a_law"], ["linear"])


def test_the_header_has_the_device():
    assert header({}, {}, [], 0, {}, "cuda:1")["header"]["device"] == "cuda:1"


def test_a_package_that_is_not_installed_has_no_version(monkeypatch):
    monkeypatch.setattr(verdicts, "_PACKAGES", ("torch", "there-is-no-such-package"))
    assert list(header({}, {}, [], 0, {})["header"]["versions"]) == ["python", "tmref", "torch"]


def test_what_is_written_is_read(written, head):
    found = [
        verdict(),
        verdict(FAIL, message="ä ≠ ö", counterexample="x = 1\ny = 2", reproducer="import torch\n"),
        verdict(ERROR, "a reason", 3, seconds=0.25),
        verdict(UNTESTED, examples=0),
    ]
    results = read(written(*found))
    assert results.verdicts == found
    assert results.header == head["header"]
    assert results.footer == {
        "pass": 1,
        "fail": 1,
        "error": 1,
        "untested": 1,
        "known": 1,
        "examples": 43,
    }


def test_every_line_is_json_and_has_the_promised_names(written):
    lines = written(verdict()).read_text(encoding="utf-8").splitlines()
    first, line, last = map(json.loads, lines)
    assert list(first) == ["header"]
    assert list(last) == ["footer"]
    promised = "law row implementation version verdict known examples message counterexample reproducer"
    assert list(line) == [*promised.split(), "seconds", "offered", "warning", "mended", "refused"]


@pytest.mark.parametrize("complete", [True, False])
def test_a_file_without_a_footer_is_cut_short(written, complete):
    results = read(written(verdict(), complete=complete))
    assert (results.footer is not None, results.good, len(results.verdicts)) == (complete, complete, 1)


def test_a_file_cut_anywhere_is_incomplete(written):
    whole = written(verdict(), verdict(FAIL, message="ä"))
    data = whole.read_bytes()
    first = data.index(b"\n") + 1
    for end in range(first, len(data)):
        whole.write_bytes(data[:end])
        results = read(whole)
        assert results.footer is None
        assert not results.good
        assert len(results.verdicts) == data[:end].count(b"\n") - 1


@pytest.mark.parametrize("zeros", [1, 100, 5_000])
def test_a_file_of_which_the_power_cut_left_zeros_has_what_is_before_them(zeros, written):
    whole = written(verdict(), verdict(FAIL, message="a"))
    data = whole.read_bytes()
    for start in range(data.index(b"\n") + 1, len(data), 7):
        whole.write_bytes(data[:start] + bytes(zeros) + data[start + zeros :])
        results = read(whole)
        assert results.footer is None
        assert len(results.verdicts) == data[:start].count(b"\n") - 1


def test_lines_are_there_before_the_file_is_closed(tmp_path, head):
    report = Report(tmp_path / "check.jsonl", head)
    report.add(verdict())
    assert not (tmp_path / "check.jsonl").exists()
    assert len(read(tmp_path / "check.jsonl.part").verdicts) == 1
    report.close(complete=False)
    assert len(read(tmp_path / "check.jsonl").verdicts) == 1
    assert not (tmp_path / "check.jsonl.part").exists()


def test_a_report_takes_the_place_of_another_when_it_is_done(written, head):
    path = written(verdict(), verdict())
    report = Report(path, head)
    report.add(verdict(FAIL))
    assert len(read(path).verdicts) == 2
    report.close(complete=True)
    assert [v.verdict for v in read(path).verdicts] == [FAIL]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("a module", "is there and is no report of tmref check: it is left as it is"),
        ("a folder", "is no file"),
        ("a file within a file", "can't be written: "),
        ("a device", "is no file"),
    ],
)
def test_nothing_else_is_overwritten(kind, words, tmp_path):
    (tmp_path / "adapter.py").write_text("implementation = 3\n")
    place = {
        "a module": tmp_path / "adapter.py",
        "a folder": tmp_path,
        "a file within a file": tmp_path / "adapter.py" / "report.jsonl",
        "a device": Path(os.devnull),
    }[kind]
    with pytest.raises(UnusablePlace, match=words):
        usable_place(place)
    assert (tmp_path / "adapter.py").read_text() == "implementation = 3\n"


def test_reports_and_empty_files_may_be_written_again(written, tmp_path):
    usable_place(written(verdict()))
    (tmp_path / "empty.jsonl").touch()
    usable_place(tmp_path / "empty.jsonl")
    usable_place(tmp_path / "new" / "report.jsonl")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    "text", ['["id", "header", "value"]', '"header of mine"', '{"header": {"title": "mine"}}', "a\n"]
)
@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.part"])
def test_what_only_looks_like_a_report_is_left_as_it_is(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(UnusablePlace, match=f"{name} is there and is no report of tmref check"):
        usable_place(tmp_path / "x.jsonl")
    assert (tmp_path / name).read_text() == text


def test_what_lies_beside_a_report_stays(tmp_path, head):
    (tmp_path / "x.jsonl.new").write_text("mine")
    Report(tmp_path / "x.jsonl", head).close(complete=True)
    assert (tmp_path / "x.jsonl.new").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"x.jsonl", "x.jsonl.new"}


@pytest.mark.parametrize("harm", [Path.unlink, lambda part: part.write_text("lies\n")])
def test_a_report_has_all_verdicts_whatever_becomes_of_its_part(harm, tmp_path, head):
    path = tmp_path / "folder" / "check.jsonl"
    report = Report(path, head)
    report.add(verdict())
    harm(part_of(path))
    report.add(Verdict("other", "linear", "reference", "0.1.0", FAIL))
    report.close(complete=True)
    assert [v.verdict for v in read(path).verdicts] == [PASS, FAIL]
    assert [p.name for p in path.parent.iterdir()] == ["check.jsonl"]


@pytest.fixture
def room():
    """Let files have so many bytes, as where the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_there_is_no_room_for_for_a_while_is_written_in_the_end(room, tmp_path, head):
    path = tmp_path / "check.jsonl"
    report = Report(path, head)
    room(1_000)
    for i in range(3):
        report.add(Verdict(f"law_{i}", "linear", "reference", "0.1.0", PASS, message="m" * 1_000))
    room(resource.RLIM_INFINITY)
    report.close(complete=True)
    assert read(path).footer["pass"] == 3


def test_verdicts_that_there_is_no_room_for_are_elsewhere(tmp_path, head, monkeypatch):
    path = tmp_path / "folder" / "check.jsonl"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    report = Report(path, head)
    report.add(verdict())
    path.mkdir()
    with pytest.raises(UnusablePlace) as error:
        report.close(complete=True)
    words, _, place = str(error.value).partition("; the verdicts are in ")
    assert words == f"{path} can't be written: Is a directory"
    assert read(Path(place)).footer["pass"] == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda lines: [lines[0], *lines[2:]], "its footer counts 2 pass, and there are 1"),
        (lambda lines: [*lines[:2], *lines[1:]], "it has 2 verdicts on law_0 on linear of reference"),
        (
            lambda lines: [line.replace('"examples": 20', '"examples": 21') for line in lines],
            "its footer counts 40 examples, and there are 42",
        ),
        (lambda lines: [line.replace('"pass"', '"passed"') for line in lines], "no verdict 'passed'"),
        (
            lambda lines: [lines[0], *(line.replace('"linear"', "3") for line in lines[1:])],
            "row is 3 in the verdict",
        ),
        (lambda lines: [line.replace("20", '"[red]"') for line in lines], "examples is '[red]'"),
        (
            lambda lines: [lines[0], *(line.replace("null", "{}") for line in lines[1:])],
            "known is {} in the verdict",
        ),
        (lambda lines: [lines[0].replace('["a_law"]', "3"), *lines[1:]], "the header has laws 3"),
        (
            lambda lines: [lines[0].replace('"metadata"', '{"a": 1}'), *lines[1:]],
            "the header has {'a': 1} among the families",
        ),
        (lambda lines: [lines[0].replace('"linear"', "[]"), *lines[1:]], "[] among the rows"),
        (lambda lines: [lines[0], "[" * 100_000 + "\n"], "recursion"),
        (lambda lines: [lines[0].replace('"seed": 3', '"seed": "x"'), *lines[1:]], "has seed 'x'"),
        (lambda lines: [lines[0].replace('"effort": 1', '"effort": null'), *lines[1:]], "effort None"),
        (lambda lines: [lines[0].replace('"effort": 1', '"effort": [1]'), *lines[1:]], "effort [1]"),
        (lambda lines: [lines[0].replace('"effort"', '"timeout"').replace(": 1}", ': "x"}')], "timeout"),
        (lambda lines: [lines[0].replace('"effort"', '"selection"'), *lines[1:]], "has selection 1"),
        (lambda lines: [lines[0].replace('"laws"', '"lows"'), *lines[1:]], "its header has no laws"),
    ],
)
def test_a_damaged_report_is_refused(change, why, written):
    path = written(verdict(), verdict())
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(change(lines)), encoding="utf-8")
    with pytest.raises(ValueError, match="is no report of tmref check") as error:
        read(path)
    assert why in str(error.value)


def test_what_a_verdict_says_can_be_written_and_printed():
    said = verdict(message="\udc80\x1b[2J\x00\n\tä", reproducer="x = '\udcff'\r")
    assert said.message == "\\udc80\\x1b[2J\\x00\n\tä"
    assert said.reproducer == "x = '\\udcff'\\r"
    assert type(verdict(message=np.str_("m")).message) is str
    said.message = "b" * 5_000
    assert said.message == "b" * 2_000 + " … (3000 characters more)"


@pytest.mark.parametrize(
    "found",
    [
        [],
        [verdict(), verdict(UNTESTED)],
        [verdict(), verdict(FAIL)],
        [verdict(), verdict(ERROR)],
    ],
    ids=["nothing", "untested", "fail", "error"],
)
def test_results_are_not_good(written, found):
    assert not read(written(*found)).good


@pytest.mark.parametrize("found", [[verdict()], [verdict(), verdict(FAIL, "a reason")]])
def test_results_are_good(written, found):
    assert read(written(*found)).good


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it has no header"),
        ("half a line", "it has no header"),
        ('{"other": 1}\n', "it has no header"),
        (HEAD + '{"law": "a"}\n', "missing 4 required positional arguments"),
        (HEAD + '{"unknown": "a"}\n', "unexpected keyword argument 'unknown'"),
        (HEAD + "no json\n", "Expecting value"),
        ('{"header": {}}\n', "its header has no implementations, versions, settings, laws, rows"),
        ('{"header": {"title": "mine"}}\n', "its header has no implementations"),
        ('"header of mine"\n', "it has no header"),
        ('["id", "header", "value"]\n', "it has no header"),
        ("[1, 2]\n", "it has no header"),
        ("12\n", "no report"),
        (HEAD + "12\n", "no report"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, text, why):
    path = tmp_path / "other.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="is no report of tmref check") as error:
        read(path)
    assert str(error.value).startswith(f"{path} is no report of tmref check: ")
    assert why in str(error.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\xff\xfe\n")
    with pytest.raises(ValueError, match=r"is no report of tmref check"):
        read(path)
