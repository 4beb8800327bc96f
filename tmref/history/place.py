"""Where a history is written: beside its place first, and over nothing but another history."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..verdicts import UnusablePlace, has_content


def usable_places(beginnings: Mapping[Path | None, str]) -> None:
    """Raises UnusablePlace where one of the files can't be written, or has something that begins
    otherwise."""
    for path, beginning in beginnings.items():
        if path is not None:
            _require_usable(path, beginning.encode())


def _require_usable(path: Path, beginning: bytes) -> None:
    try:
        if path.exists() and not path.is_file():
            raise UnusablePlace(f"{path} is no file: name one that is, or that is not there yet")
        if has_content(path) and not _begins(path, beginning):
            raise UnusablePlace(
                f"{path} is there and was not written by tmref history: it is left as it is; give "
                "another name, or delete it"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        _new(path).touch()
        _new(path).unlink()
    except OSError as error:
        raise UnusablePlace(f"{path} can't be written: {error.strerror}") from error


def _begins(path: Path, beginning: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(beginning)) == beginning


def put(path: Path, text: str) -> None:
    """Write a file, which takes its place when it is whole. Raises UnusablePlace where it can't be
    written."""
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
