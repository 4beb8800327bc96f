"""Where files are written: over others of their kind, and nothing else."""

import errno
from pathlib import Path

import pytest

from tmref.places import UnusablePlace, put, require_usable
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


@pytest.mark.parametrize("step", ["write_text", "replace"])
def test_a_page_that_can_not_be_written_whole_leaves_the_one_before(step, tmp_path, monkeypatch):
    place = tmp_path / "page.html"
    put(place, "before")

    def full(self, *_, **__):
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, step, full)
    with pytest.raises(UnusablePlace, match=r"page.html can't be written: No space left on device"):
        put(place, "after")
    assert place.read_text() == "before"
    assert list(tmp_path.iterdir()) == [place]


def test_a_link_stays_one_and_what_it_leads_to_is_written(tmp_path):
    page, link = tmp_path / "page.html", tmp_path / "link.html"
    link.symlink_to(page)
    for text in ("before", "after"):
        put(link, text)
        assert link.is_symlink()
        assert page.read_text() == text
