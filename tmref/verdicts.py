"""Verdicts, and the file of JSON lines that every report is made of."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import json
import os
import platform
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import torch

from .places import UnusablePlace, require_ours
from .printing import meant
from .renamed import name_now

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


#: The last line of a script that ends well, though what it is about is broken.
SHOWS_NOTHING = "# this script shows what was done, and not what is wrong: no line of it fails by that"


_BREAKS = dict.fromkeys(map(ord, "\n\t"))


def readable(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """The text, which can be printed and written: control characters and what is no Unicode as
    escapes, cut at the ``longest``."""
    text = str.__str__(text)  # a subclass may not reach other processes
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
    ``mended`` says of a known failure that it isn't there in this version; where its entry names the
    version, the verdict is a fail: delete it. ``refused`` is true of what is not offered since all that
    the law is about is refused, as it may be.
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
    mended: str | None = None
    refused: bool = False

    def __setattr__(self, name: str, value: Any) -> None:
        # whatever a library under test said: it must neither be lost nor spoil a terminal or a file
        if isinstance(value, str):
            longest = LONGEST_SCRIPT if name == "counterexample" else LONGEST_MESSAGE
            longest = len(value) if name == "reproducer" else longest  # half a script is none
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

    @property
    def words(self) -> str:
        """What it says, in the words of pytest, with the script."""
        word = "broken" if self.verdict == FAIL else self.verdict
        return f"{word}: {self.message}\n\n{self.reproducer or ''}"


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


def usable_place(path: Path) -> None:
    """Raises UnusablePlace where no report can be written, or something else would be overwritten."""
    try:
        for place in (path, part_of(path)):
            require_ours(place, _begins_as_a_report, "is no report of tmref check")
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


def _begins_as_a_report(path: Path) -> bool:
    """Whether a file is there that has the header of a report."""
    try:
        with path.open(encoding="utf-8") as file:
            _header_of(json.loads(file.readline()))
    except (OSError, ValueError, TypeError, RecursionError):
        return False
    return True


def part_of(path: Path) -> Path:
    """Where a report is while it is being written."""
    return path.with_name(f"{path.name}.part")


class Report:
    """A file of verdicts that is being written: a header, a line for each, a footer with the counts.

    It is beside its place, with ``.part`` after its name, until it is closed. The file is complete when
    it has its footer; every line is flushed, so that what was found is kept when the run is cut short.
    It begins with the verdicts that are ``kept`` of such a run, whose file it takes the place of when it
    has them all. Raises OSError where it can't be written.
    """

    def __init__(self, path: Path, head: dict[str, Any], kept: Sequence[Verdict] = ()) -> None:
        self._path = path
        self._counts: Counter[str] = Counter()
        #: All that is written: what is judged may remove the file, or fill the disk.
        self._lines = [_line(head)]
        for verdict in kept:
            self._count(verdict)
        self._file = self._written_anew(part_of(path))

    def _written_anew(self, place: Path) -> IO[str]:
        """The file with all lines, which is moved to its place when they are on the disk: what was there
        before may be all there is."""
        place.parent.mkdir(parents=True, exist_ok=True)
        new = place.with_name(f"{self._path.name}.{os.getpid()}.new")
        file = new.open("x", encoding="utf-8")  # nobody else's is overwritten
        try:
            _locked(file)
            file.writelines(self._lines)
            file.flush()
            os.fsync(file.fileno())
            new.replace(place)
        except BaseException:
            with contextlib.suppress(OSError):
                file.close()
            new.unlink(missing_ok=True)
            raise
        return file

    def _count(self, verdict: Verdict) -> None:
        self._counts[verdict.verdict] += 1
        self._counts["known"] += verdict.known is not None
        self._counts["examples"] += verdict.examples
        self._lines.append(_line(asdict(verdict)))

    def add(self, verdict: Verdict) -> None:
        """Write one verdict, as long as that can be done; what can't is written in the end."""
        self._count(verdict)
        try:
            if not self._file.closed:
                self._file.write(self._lines[-1])
                self._file.flush()
        except OSError:
            self._close_file()  # half a line must not be followed by another

    def _close_file(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()

    def close(self, *, complete: bool) -> None:
        """End the file, with the footer where the run is complete, and move it to its place; into the
        folder for temporary files, where that can't be done. Raises UnusablePlace then, to say so."""
        if complete:
            self._lines.append(_line({"footer": {name: self._counts[name] for name in _COUNTED}}))
        try:
            self._written_anew(self._path).close()
        except OSError as error:
            raise UnusablePlace(
                f"{self._path} can't be written: {error.strerror}; {self._left_elsewhere()}"
            ) from error
        finally:
            self._close_file()
        part_of(self._path).unlink(missing_ok=True)

    def _left_elsewhere(self) -> str:
        """Write it where temporary files are; returns what to say of that."""
        try:
            place = Path(tempfile.mkdtemp(prefix="tmref-"), self._path.name)
            self._written_anew(place).close()
        except OSError as error:
            return (
                f"nor can anything for temporary files: {error.strerror}; make room, then try what is "
                f"missing with tmref check --resume {self._path}"
            )
        return f"the verdicts are in {place}"


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record) + "\n"


#: What the footer counts.
_COUNTED = (*VERDICTS, "known", "examples")


@dataclass(frozen=True)
class Results:
    """A file of verdicts that was read: ``footer`` is None where the run was cut short; ``renamed`` are
    the names in the file that laws don't have any more, with those that they have here."""

    header: dict[str, Any]
    verdicts: list[Verdict]
    footer: dict[str, int] | None
    renamed: dict[str, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether the run is complete, said something, and everything is as expected."""
        return self.footer is not None and bool(self.verdicts) and all(v.expected for v in self.verdicts)

    def of(self, implementation: str) -> Results:
        """What is of one implementation alone."""
        told = self.header["implementations"].items()
        kept = {name: version for name, version in told if name == implementation}
        found = [v for v in self.verdicts if v.implementation == implementation]
        return replace(self, header={**self.header, "implementations": kept}, verdicts=found)


def require_verdicts_on(implementation: str, reports: Sequence[Results]) -> None:
    """Raises ValueError, with the remedy, where none of the reports has a verdict on it."""
    there = list(dict.fromkeys(v.implementation for results in reports for v in results.verdicts))
    if implementation not in there:
        remedy = meant(implementation, there, f"there are {', '.join(there) or 'none'}")
        raise ValueError(f"--of: there is no verdict on {implementation!r}; {remedy}")


def read(path: Path) -> Results:
    """The verdicts in a file, on laws by the names that they have now. Raises ValueError where it isn't
    such a file, or its footer counts other verdicts than it has, saying what is wrong."""
    try:
        text = path.read_text(encoding="utf-8").partition("\0")[0]  # zeros: the power was cut
        lines = text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            del lines[-1]  # cut short in the middle of a line
        records = [json.loads(line) for line in lines]
        head = _header_of(records[0] if records else None)
        footer = records[-1].get("footer") if len(records) > 1 else None
        body = records[1:] if footer is None else records[1:-1]
        verdicts = [_checked_verdict(record) for record in body]
        renamed = {v.law: name_now(v.law) for v in verdicts if v.law != name_now(v.law)}
        for v in verdicts:
            v.law = name_now(v.law)
        _check_footer(footer, verdicts)
        return Results(_with_names_of_now(head), verdicts, footer, renamed)
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}{_where_it_is(path)}") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is no report of tmref check: {error}") from error


def _with_names_of_now(head: dict[str, Any]) -> dict[str, Any]:
    """The header, whose laws are called what they are called now."""
    found = {**head, "laws": [*map(name_now, head["laws"])]}
    if "families" in head:
        found["families"] = {name_now(law): family for law, family in head["families"].items()}
    if head.get("only"):
        cases = (case.rpartition("-") for case in head["only"])
        found["only"] = [f"{of}-{name_now(law)}" for of, _, law in cases]
    return found


def _where_it_is(path: Path) -> str:
    """The remedy where only the part of a report is there."""
    try:
        is_begun = part_of(path).exists() and not path.exists()
    except OSError:  # a name that is too long
        is_begun = False
    if not is_begun:
        return ""
    return (
        f"; its run was cut short, or goes on: see {part_of(path)}, or try what is missing with "
        f"tmref check --resume {path}"
    )


#: The types of what a verdict has.
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("law", "row", "implementation", "version", "verdict"), str),
    **dict.fromkeys(
        ("known", "message", "counterexample", "reproducer", "warning", "mended"), (str, type(None))
    ),
    "examples": int,
    "seconds": (int, float),
    **dict.fromkeys(("offered", "refused"), bool),
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


#: The types of what every header has, and of what some have.
_PARTS: dict[str, Any] = {
    **dict.fromkeys(("implementations", "versions", "settings"), dict),
    **dict.fromkeys(("laws", "rows"), list),
    "device": str,
    "seed": int,
}
_FURTHER_PARTS: dict[str, Any] = {"families": dict, "names": list, "only": (list, type(None))}
_SETTINGS: dict[str, Any] = {
    "selection": str,
    **dict.fromkeys(("effort", "timeout", "memory"), (int, float)),
}


def _header_of(record: Any) -> dict[str, Any]:
    """The header of a first line. Raises ValueError where it is none, or lacks something, and TypeError
    where something in it is of another type."""
    if not isinstance(record, dict) or not isinstance(record.get("header"), dict):
        raise ValueError("it has no header")
    head: dict[str, Any] = record["header"]
    missing = [name for name in _PARTS if name not in head]
    if missing:
        raise ValueError(f"its header has no {', '.join(missing)}")
    for part, kinds in ((head, _PARTS | _FURTHER_PARTS), (head["settings"], _SETTINGS)):
        for name, kind in kinds.items():
            if name in part and not isinstance(part[name], kind):
                raise TypeError(f"the header has {name} {part[name]!r}")
    listed = {
        name: head.get(name) or () for name in ("laws", "rows", "implementations", "names", "only")
    }
    listed["families"] = head.get("families", {}).values()
    for name, items in listed.items():
        for item in items:
            if not isinstance(item, str):
                raise TypeError(f"the header has {item!r} among the {name}")
    return head


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
