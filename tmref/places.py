"""Where files are written: beside their place first, and over nothing of others."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from pathlib import Path


class UnusablePlace(ValueError):
    """No file can be written there; the message has the remedy."""


def has_content(path: Path) -> bool:
    """Whether something is there that is not empty."""
    return path.exists() and path.stat().st_size > 0


def require_ours(path: Path, is_ours: Callable[[Path], bool], is_what: str) -> None:
    """Raises UnusablePlace where something is there that would be lost: no file, or one with content
    that is not ours, and ``is_what`` else."""
    if path.exists() and not path.is_file():
        raise UnusablePlace(f"{path} is no file: name one that is, or that is not there yet")
    if has_content(path) and not is_ours(path):
        raise UnusablePlace(
            f"{path} is there and {is_what}: it is left as it is; give another name, or delete it"
        )


def require_usable(path: Path, beginning: str, is_what: str) -> None:
    """Raises UnusablePlace where no file can be written by :func:`put`, or one would be overwritten that
    doesn't begin so."""
    wanted = beginning.encode()

    def begins(path: Path) -> bool:
        with path.open("rb") as file:
            return file.read(len(wanted)) == wanted

    try:
        require_ours(path, begins, is_what)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = _new(path)
        new.touch()
        new.unlink()
    except OSError as error:
        raise UnusablePlace(f"{path} can't be written: {error.strerror}") from error


def put(path: Path, text: str) -> None:
    """Write a text as :func:`write` does. Raises UnusablePlace where it can't be written."""
    try:
        write(path, [text.encode()])
    except OSError as error:
        raise UnusablePlace(f"{path} can't be written: {error.strerror}") from error


def write(path: Path, pieces: Iterable[bytes | bytearray | memoryview]) -> None:
    """Write a file, which takes its place when it is whole: until then the one before is there.

    A link there stays one, permissions stay those of the file before. What is no file, as a pipe, is
    written to. Raises OSError where it can't be written, which names the path that was given.
    """
    place = path.resolve()
    if place.exists() and not place.is_file():
        with place.open("wb") as file:
            file.writelines(pieces)
        return
    new = _new(place)
    try:
        with new.open("xb") as file:
            if place.exists():
                new.chmod(place.stat().st_mode)
            file.writelines(pieces)
        new.replace(place)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        new.unlink(missing_ok=True)


def _new(path: Path) -> Path:
    """Where a file is until it is whole, which is nobody else's."""
    return path.with_name(f".{secrets.token_hex(8)}.new")
