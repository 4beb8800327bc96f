"""Verdicts, and the file of JSON lines that every report is made of."""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import torch

PASS, FAIL, ERROR, UNTESTED = VERDICTS = ("pass", "fail", "error", "untested")
#: What is untested because the implementation does not have it.
NOT_OFFERED = "not offered"

_PACKAGES = (
    "torch",
    "hypothesis",
    "pytest",
    "metatensor-core",
    "metatensor-torch",
    "metatensor-learn",
    "metatensor-operations",
)


#: The longest text of a verdict: what is beyond is cut off, and how much it is, is said.
LONGEST_MESSAGE, LONGEST_SCRIPT = 2_000, 100_000


_BREAKS = dict.fromkeys(map(ord, "\n\t"))


def readable(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """The text, which can be printed and written: control characters and what is no Unicode as
    escapes, cut at the ``longest``."""
    if len(text) <= longest and text.translate(_BREAKS).isprintable():
        return text
    beyond = len(text) - longest
    kept = text[:longest].encode("utf-8", "backslashreplace").decode("utf-8")
    escaped = "".join(c if c.isprintable() or c in "\n\t" else _escape(c) for c in kept)
    return f"{escaped} … ({beyond} characters more)" if beyond > 0 else escaped


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


@dataclass
class Verdict:
    """What became of one law on one row of one implementation.

    ``verdict`` is pass, fail (the law is broken), error (the implementation raised where it must not)
    or untested. ``known`` is the reason of the entry where the failure is a known one. ``examples`` is
    how many inputs exercised the law; ``offered`` is false where the implementation does not have what
    the law is about. ``message`` is the difference in words, ``counterexample`` and
    ``reproducer`` the smallest input and a script that shows it. ``warning`` is what no law is about.
    """

    law: str
    row: str
    implementation: str
    version: str
    verdict: str
    known: str | None = None
    examples: int = 0
    message: str | None = None
    counterexample: str | None = None
    reproducer: str | None = None
    seconds: float = 0.0
    offered: bool = True
    warning: str | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        # whatever a library under test said: it must neither be lost nor spoil a terminal or a file
        if isinstance(value, str):
            longest = LONGEST_SCRIPT if name in ("counterexample", "reproducer") else LONGEST_MESSAGE
            value = readable(str.__str__(value), longest)  # a class of their own couldn't be sent
        super().__setattr__(name, value)

    @property
    def case(self) -> str:
        """What it is on, in one word."""
        return f"{self.implementation}-{self.row}-{self.law}"

    @property
    def status(self) -> str:
        """What to count it as: known, not offered, or the verdict."""
        if self.known is not None and self.verdict in (FAIL, ERROR):
            return "known"
        return self.verdict if self.offered else NOT_OFFERED

    @property
    def expected(self) -> bool:
        """Whether nobody has to look: it passed, it failed as it is known to, or it is about what the
        implementation does not offer."""
        return self.status in (PASS, "known", NOT_OFFERED)


def kind_of(verdict: Verdict) -> tuple[str, str | None]:
    """What it has in common with others of one cause: they break one law, or say the same."""
    return verdict.verdict, verdict.law if verdict.reproducer else verdict.message


def alike(verdicts: Sequence[Verdict]) -> list[list[Verdict]]:
    """Those that have one cause, as far as can be seen: they are of one kind, or say the same."""
    of_law: dict[tuple[str, str | None], list[Verdict]] = {}
    for v in verdicts:
        of_law.setdefault(kind_of(v), []).append(v)
    of_message: dict[tuple[str, str | None], list[Verdict]] = {}
    for found in of_law.values():
        of_message.setdefault((found[0].verdict, found[0].message), []).extend(found)
    return list(of_message.values())


def versions() -> dict[str, str]:
    """The versions of what verdicts depend on, beside the implementations'."""
    found = {"python": platform.python_version()}
    for package in ("tmref", *_PACKAGES):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def header(
    implementations: dict[str, str],
    laws: dict[str, str],
    rows: list[str],
    seed: int,
    settings: dict[str, Any],
    device: str = "cpu",
    names: Sequence[str] = (),
    only: Sequence[str] | None = None,
) -> dict[str, Any]:
    """What the verdicts depend on: versions, device, seed, settings; and the order of rows and of laws,
    with their families. ``names`` are those that the implementations are loaded by, ``only`` the cases
    that were chosen, where not all are tried."""
    return {
        "header": {
            "implementations": implementations,
            "names": list(names),
            "only": only and list(only),
            "laws": list(laws),
            "families": laws,
            "rows": rows,
            "versions": versions(),
            "device": device,
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "seed": seed,
            "settings": settings,
        }
    }


class UnusablePlace(ValueError):
    """No report can be written there; the message has the remedy."""


def usable_place(path: Path) -> None:
    """Raises UnusablePlace where no report can be written, or something else would be overwritten."""
    if path.exists() and not path.is_file():
        raise UnusablePlace(f"{path} is no file: name one that is, or that is not there yet")
    if path.exists() and path.stat().st_size and not begins_as_a_report(path):
        raise UnusablePlace(
            f"{path} is there and is no report of tmref check: it is left as it is; give another name, "
            "or delete it"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part_of(path).open("a", encoding="utf-8") as file:
            if not _locked(file):
                raise UnusablePlace(
                    f"another run is writing {path}: wait until it has ended, or give another name"
                )
            if not file.tell():
                part_of(path).unlink()
    except OSError as error:
        raise UnusablePlace(f"{path} can't be written: {error.strerror}") from error


def _locked(file: IO[str]) -> bool:
    """Lock a file while it is open, where files can be locked; false where somebody else has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def begins_as_a_report(path: Path) -> bool:
    """Whether a file is there that has the header of a report."""
    try:
        with path.open(encoding="utf-8") as file:
            return "header" in json.loads(file.readline())
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def part_of(path: Path) -> Path:
    """Where a report is while it is being written."""
    return path.with_name(f"{path.name}.part")


class Report:
    """A file of verdicts that is being written: a header, a line for each, a footer with the counts.

    It is beside its place, with ``.part`` after its name, until it is closed, and moved there then. The
    file is complete when it has its footer; every line is flushed, so that what was found is kept when
    the run is cut short. It begins with the verdicts that are ``kept`` of such a run, whose file it
    takes the place of when it has them all.
    """

    def __init__(self, path: Path, head: dict[str, Any], kept: Sequence[Verdict] = ()) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        new = path.with_name(f"{path.name}.new")
        self._file = new.open("w", encoding="utf-8")
        _locked(self._file)
        self._counts: Counter[str] = Counter()
        self._write(head)
        for verdict in kept:
            self.add(verdict)
        self._move(new, part_of(path))

    def _move(self, source: Path, target: Path) -> None:
        """Move the file when what it has is on the disk: what was there before may be all there is."""
        os.fsync(self._file.fileno())
        source.replace(target)

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def add(self, verdict: Verdict) -> None:
        """Write one verdict."""
        self._counts[verdict.verdict] += 1
        self._counts["known"] += verdict.known is not None
        self._counts["examples"] += verdict.examples
        self._write(asdict(verdict))

    def close(self, *, complete: bool) -> None:
        """End the file, with the footer where the run is complete."""
        if complete:
            self._write({"footer": {name: self._counts[name] for name in _COUNTED}})
        self._move(part_of(self._path), self._path)
        self._file.close()


#: What the footer counts.
_COUNTED = (*VERDICTS, "known", "examples")


@dataclass(frozen=True)
class Results:
    """A file of verdicts that was read: ``footer`` is None where the run was cut short."""

    header: dict[str, Any]
    verdicts: list[Verdict]
    footer: dict[str, int] | None

    @property
    def good(self) -> bool:
        """Whether the run is complete, said something, and everything is as expected."""
        return self.footer is not None and bool(self.verdicts) and all(v.expected for v in self.verdicts)


def read(path: Path) -> Results:
    """The verdicts in a file. Raises ValueError where it isn't such a file, or its footer counts other
    verdicts than it has, saying what is wrong."""
    try:
        text = path.read_text(encoding="utf-8").partition("\0")[0]  # zeros: the power was cut
        lines = text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            del lines[-1]  # cut short in the middle of a line
        records = [json.loads(line) for line in lines]
        if not records or not isinstance(records[0], dict) or "header" not in records[0]:
            raise ValueError("it has no header")
        footer = records[-1].get("footer") if len(records) > 1 else None
        body = records[1:] if footer is None else records[1:-1]
        verdicts = [_checked_verdict(record) for record in body]
        _check_header(records[0]["header"])
        _check_footer(footer, verdicts)
        return Results(records[0]["header"], verdicts, footer)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is no report of tmref check: {error}") from error


#: The types of what a verdict has.
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("law", "row", "implementation", "version", "verdict"), str),
    **dict.fromkeys(("known", "message", "counterexample", "reproducer", "warning"), (str, type(None))),
    "examples": int,
    "seconds": (int, float),
    "offered": bool,
}


def _checked_verdict(record: Any) -> Verdict:
    """The verdict of a line. Raises TypeError and ValueError where it is none."""
    verdict = Verdict(**record)
    for name, kind in _TYPES.items():
        if not isinstance(getattr(verdict, name), kind):
            raise TypeError(f"{name} is {getattr(verdict, name)!r} in the verdict on {verdict.law!r}")
    if verdict.verdict not in VERDICTS:
        raise ValueError(f"there is no verdict {verdict.verdict!r}; there are {', '.join(VERDICTS)}")
    return verdict


def _check_header(head: Any) -> None:
    """Raises TypeError where something in it, which reports show, is of another type."""
    kinds: dict[str, Any] = {
        **dict.fromkeys(("implementations", "families", "versions", "settings"), dict),
        **dict.fromkeys(("laws", "rows", "names"), list),
        "only": (list, type(None)),
        "device": str,
    }
    for name, kind in kinds.items():
        if name in head and not isinstance(head[name], kind):
            raise TypeError(f"the header has {name} {head[name]!r}")
    for name in ("laws", "rows", "implementations", "names", "only"):
        for item in head.get(name) or ():
            if not isinstance(item, str):
                raise TypeError(f"the header has {item!r} among the {name}")


def _check_footer(footer: Any, verdicts: Sequence[Verdict]) -> None:
    """Raises ValueError where it counts other verdicts than there are, and for one that is there twice:
    lines were lost, or added."""
    of_cases = Counter((v.implementation, v.row, v.law) for v in verdicts)
    for (implementation, row, law), times in of_cases.items():
        if times > 1:
            raise ValueError(f"it has {times} verdicts on {law} on {row} of {implementation}")
    if footer is None:
        return
    counts = Counter(v.verdict for v in verdicts)
    counts["known"] = sum(v.known is not None for v in verdicts)
    counts["examples"] = sum(v.examples for v in verdicts)
    for name in _COUNTED:
        if footer.get(name) != counts[name]:
            raise ValueError(
                f"its footer counts {footer.get(name)} {name}, and there are {counts[name]}"
            )
