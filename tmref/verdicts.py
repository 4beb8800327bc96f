"""Verdicts, and the file of JSON lines that every report is made of."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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


@dataclass
class Verdict:
    """What became of one law on one row of one implementation.

    ``verdict`` is pass, fail (the law is broken), error (the implementation raised where it must not)
    or untested. ``known`` is the reason of the entry where the failure is a known one. ``examples`` is
    how many inputs exercised the law; ``offered`` is false where the implementation does not have what
    the law is about. ``message`` is the difference in words, ``counterexample`` and
    ``reproducer`` the smallest input and a script that shows it.
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


def alike(verdicts: Sequence[Verdict]) -> list[list[Verdict]]:
    """Those that have one cause, as far as can be seen: they break one law, or say the same."""
    of_law: dict[tuple[str, str | None], list[Verdict]] = {}
    for v in verdicts:
        of_law.setdefault((v.verdict, v.law if v.reproducer else v.message), []).append(v)
    of_message: dict[tuple[str, str | None], list[Verdict]] = {}
    for found in of_law.values():
        of_message.setdefault((found[0].verdict, found[0].message), []).extend(found)
    return list(of_message.values())


def header(
    implementations: dict[str, str],
    laws: dict[str, str],
    rows: list[str],
    seed: int,
    settings: dict[str, Any],
    device: str = "cpu",
) -> dict[str, Any]:
    """What the verdicts depend on: versions, device, seed, settings; and the order of rows and of laws,
    with their families."""
    versions = {"python": platform.python_version()}
    for package in ("tmref", *_PACKAGES):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "header": {
            "implementations": implementations,
            "laws": list(laws),
            "families": laws,
            "rows": rows,
            "versions": versions,
            "device": device,
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "seed": seed,
            "settings": settings,
        }
    }


class Report:
    """A file of verdicts that is being written: a header, a line for each, a footer with the counts.

    The file is complete when it has its footer; every line is flushed, so that what was found is kept
    when the run is cut short.
    """

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")
        self._counts: Counter[str] = Counter()
        self._write(head)

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
            names = (*VERDICTS, "known", "examples")
            self._write({"footer": {name: self._counts[name] for name in names}})
        self._file.close()


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
    """The verdicts in a file. Raises ValueError where it isn't such a file, saying what is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            del lines[-1]  # cut short in the middle of a line
        records = [json.loads(line) for line in lines]
        if not records or "header" not in records[0]:
            raise ValueError("it has no header")
        footer = records[-1].get("footer")
        body = records[1:] if footer is None else records[1:-1]
        return Results(records[0]["header"], [Verdict(**record) for record in body], footer)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no report of tmref check: {error}") from error
