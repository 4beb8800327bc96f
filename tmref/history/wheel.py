"""tmref as it is installed here, as a wheel that other environments take."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import zipfile
from collections.abc import Iterator
from pathlib import Path

import tmref
import tmref.strategies

#: What a distribution says of itself that a wheel needs, too.
_DESCRIPTION = ("METADATA", "entry_points.txt")
#: Of all files in it: the same sources make the same wheel.
_DATE = 2020, 1, 1, 0, 0, 0
_WHEEL = "Wheel-Version: 1.0\nGenerator: tmref\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def write_wheel(folder: Path) -> Path:
    """Write a wheel of this very tmref into the folder, whether it is installed from a wheel or as a
    source tree that can be edited; returns its path."""
    distribution = importlib.metadata.distribution("tmref")
    stem = f"tmref-{distribution.version}"
    described = f"{stem}.dist-info"
    path = folder / f"{stem}-py3-none-any.whl"
    contents = dict(sorted(_sources()))  # wherever the strategies lie
    for name in _DESCRIPTION:
        contents[f"{described}/{name}"] = (distribution.read_text(name) or "").encode()
    contents[f"{described}/WHEEL"] = _WHEEL.encode()
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in contents.items()]
    record = f"{described}/RECORD"
    contents[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_DEFLATED)
    return path


def _sources() -> Iterator[tuple[str, bytes]]:
    """The files of the package, by their places in a wheel. Where it can be edited, the strategies lie
    beside it."""
    for package in (tmref, tmref.strategies):
        root = Path(package.__path__[0])
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                place = "/".join((*package.__name__.split("."), *path.relative_to(root).parts))
                yield place, path.read_bytes()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
