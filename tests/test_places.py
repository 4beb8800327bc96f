"""Where files are written: over others of their kind, and nothing else."""

import errno
import os
import signal
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tmref.places import UnusablePlace, put, require_usable, write
from tmref.reports.html import BEGINNING, page


def usable_place(place):
    require_usable(place, BEGINNING, "is no page of tmref report")


def test_a_page_is_written_over_another_in_folders_that_are_made(tmp_path):
    place = tmp_path / "some" / "folder" / "page.html"
    for _ in range(2):
        usable_place(place)
        put(place, page([], []))
    assert place.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(place.parent.iterdir()) == [place]


def test_an_empty_file_may_become_a_page(tmp_path):
    (tmp_path / "empty.html").touch()
    usable_place(tmp_path / "empty.html")


def test_anything_else_is_left_as_it_is(tmp_path):
    other = tmp_path / "index.html"
    other.write_text("<!doctype html>\n<html lang='en'>\n<p>mine")
    with pytest.raises(UnusablePlace, match=r"index.html is there and is no page of tmref report"):
        usable_place(other)
    with pytest.raises(UnusablePlace, match=r"is no file: name one that is, or that is not there yet"):
        usable_place(tmp_path)
    with pytest.raises(UnusablePlace, match=r"can't be written: (Not a directory|File exists)"):
        usable_place(other / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


@pytest.mark.parametrize("step", ["open", "replace"])
def test_a_page_that_can_not_be_written_whole_leaves_the_one_before(step, tmp_path, monkeypatch):
    place = tmp_path / "page.html"
    put(place, "before")

    def full(self, *_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, step, full)
    with pytest.raises(UnusablePlace, match=r"page.html can't be written: No space left on device"):
        put(place, "after")
    monkeypatch.undo()
    assert place.read_text() == "before"
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("step", ["open", "replace"])
def test_an_error_names_the_place_that_was_given(step, tmp_path, monkeypatch):
    def refused(self, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(self), None, "another")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, step, refused)
    with pytest.raises(PermissionError) as error:
        write(Path("page.html"), [b"after"])
    assert str(error.value) == "[Errno 13] Permission denied: 'page.html'"


def test_a_file_that_ends_in_the_middle_leaves_the_one_before(tmp_path):
    def pieces():
        yield b"aft"
        raise KeyboardInterrupt

    write(tmp_path / "file", [b"before"])
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "file", pieces())
    assert (tmp_path / "file").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_killed_in_the_middle_the_file_before_is_left(tmp_path, run_python):
    write(tmp_path / "file", [b"before"])
    done = run_python(f"""
import os, pathlib, signal
from tmref.places import write

def pieces():
    yield bytes(2**20)
    os.kill(os.getpid(), signal.SIGKILL)

write(pathlib.Path({str(tmp_path / "file")!r}), pieces())
""")
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "file").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 2  # what was written until then


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o777])
def test_permissions_stay(mode, tmp_path):
    place = tmp_path / "file"
    write(place, [b"before"])
    before = os.umask(0o022)
    os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o666 & ~before
    place.chmod(mode)
    write(place, [b"after"])
    assert stat.S_IMODE(place.stat().st_mode) == mode


def test_what_is_no_file_is_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_bytes)
        write(pipe, [b"some", b"thing"])
        assert read.result() == b"something"
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
    assert not pipe.is_file()


def test_names_may_be_as_long_as_the_system_takes_them(tmp_path):
    write(tmp_path / ("x" * 255), [b"content"])
    assert (tmp_path / ("x" * 255)).read_bytes() == b"content"


def test_a_link_stays_one_and_what_it_leads_to_is_written(tmp_path):
    page, link = tmp_path / "page.html", tmp_path / "link.html"
    link.symlink_to(page)
    for text in ("before", "after"):
        put(link, text)
        assert link.is_symlink()
        assert page.read_text() == text
