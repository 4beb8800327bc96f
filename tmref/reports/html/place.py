"""Where a page is written: beside its place first, and over nothing but another page."""

from __future__ import annotations

import os
from pathlib import Path

from ...verdicts import UnusablePlace, has_content

#: What every page begins with, and nothing else does.
BEGINNING = '<!doctype html>\n<html lang="en">\n<meta name="generator" content="tmref report">\n'


def usable_place(path: Path) -> None:
    """Raises UnusablePlace where no page can be written, or something else would be overwritten."""
    try:
        if path.exists() and not path.is_file():
            raise UnusablePlace(f"{path} is no file: name one that is, or that is not there yet")
        if has_content(path) and not _begins_as_a_page(path):
            raise UnusablePlace(
                f"{path} is there and is no page of tmref report: it is left as it is; give another "
                "name, or delete it"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        _new(path).touch()
        _new(path).unlink()
    except OSError as error:
        raise UnusablePlace(f"{path} can't be written: {error.strerror}") from error


def write(path: Path, text: str) -> None:
    """Write the page, which takes its place when it is whole. Raises UnusablePlace where it can't be
    written."""
    path = path.resolve()  # a link stays one
    new = _new(path)
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise UnusablePlace(f"{path} can't be written: {error.strerror}") from error
    finally:
        new.unlink(missing_ok=True)


def _new(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}.new")


def _begins_as_a_page(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(BEGINNING)) == BEGINNING.encode()
