"""What was found: the file of JSON lines, the judgements of survivors, and the summary."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import children, copies, operators, trials
from .sample import Mutant
from .trials import IMPORT_FAILURE, NOTICED, SURVIVED

#: The share of the mutants that are to be noticed, those left out that change no result.
ENOUGH = 0.95
JUDGED = Path(__file__).with_name("judged.json")

_PACKAGES = "torch", "hypothesis", "metatensor-core", "metatensor-learn", "metatensor-operations"


#: What has no part in a verdict.
_COMMANDS = {
    "reports",
    "plugin.py",
    "checking.py",
    "comparing.py",
    "reporting.py",
    "adapters.py",
    "statuses.py",
    "__main__.py",
}


def fingerprint(
    repository: Path, sources: Sequence[Path], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What the results depend on: the changed sources, what tries them, versions and settings."""
    ours = sorted([*repository.glob("tmref/**/*.py"), *repository.glob("strategies/*.py")])
    parts = {
        "sources": sources,
        "laws": [path for path in ours if not _COMMANDS & {*path.parts}],
        "teeth": [Path(module.__file__) for module in (operators, copies, children, trials)],
    }
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    hashes = {part: _hash(paths) for part, paths in parts.items()}
    return {**hashes, "versions": versions, "settings": dict(settings)}


def _hash(paths: Sequence[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


@dataclass
class Results:
    """The file of an implementation: a header, the trials of the unchanged source, the mutants.

    What was written with another header is not read; where ``keep``, the mutants that were noticed are.
    """

    path: Path
    header: dict[str, Any]
    keep: bool = False
    trials: list[dict[str, Any]] = field(default_factory=list)
    mutants: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = self.path.with_suffix(".lock").open("w")  # closed with the process, or with this
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise SystemExit(f"{self.path} is being written by another process") from None
        lines = self._read()
        if lines and lines[0].get("header") == self.header:
            for line in lines[1:]:
                self._take(line)
        elif self.keep:
            found = [line["mutant"] for line in lines if "mutant" in line]
            self.mutants = {m["id"]: m for m in found if m["how"] in (*NOTICED, IMPORT_FAILURE)}
        self._write()

    def _read(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]  # the last may be cut short

    def _take(self, line: dict[str, Any]) -> None:
        if "trial" in line:
            self.trials.append(line["trial"])
        else:
            self.mutants[line["mutant"]["id"]] = line["mutant"]

    def _write(self) -> None:
        lines: list[dict[str, Any]] = [{"header": self.header}]
        lines += [{"trial": trial} for trial in self.trials]
        lines += [{"mutant": mutant} for mutant in self.mutants.values()]
        self.path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def close(self) -> None:
        """Let another process write the file."""
        self._lock.close()

    def add(self, kind: str, value: Any) -> None:
        """Add a line: a ``trial`` or a ``mutant``."""
        self._take({kind: value})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({kind: value}) + "\n")


def judgements(name: str, path: Path | None = None) -> dict[str, dict[str, str]]:
    """What somebody said of survivors of an implementation, by id.

    Raises ValueError where something is neither ``equivalent`` with a ``reason`` nor ``missed`` with an
    ``input`` that shows the difference.
    """
    path = path or JUDGED
    if not path.exists():
        return {}
    judged: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8")).get(name, {})
    for mutant, entry in judged.items():
        wanted = {"equivalent": "reason", "missed": "input"}.get(entry.get("verdict", ""))
        if wanted is None or not entry.get(wanted):
            raise ValueError(
                f"{path.name}: {mutant} must be equivalent with a reason or missed with an input, "
                f"got {entry}"
            )
    return judged


@dataclass
class Summary:
    """The counts: by file, and what is to be done."""

    mutants: list[dict[str, Any]]
    judged: dict[str, dict[str, str]]
    existing: set[str]

    @property
    def survivors(self) -> list[dict[str, Any]]:
        """The mutants that no law noticed."""
        return [mutant for mutant in self.mutants if mutant["how"] == SURVIVED]

    def judgement(self, mutant: Mapping[str, Any]) -> str:
        """``equivalent``, ``missed`` or ``unjudged``."""
        return self.judged.get(mutant["id"], {}).get("verdict", "unjudged")

    @property
    def unjudged(self) -> list[dict[str, Any]]:
        """The survivors that nobody has looked at."""
        return [mutant for mutant in self.survivors if self.judgement(mutant) == "unjudged"]

    @property
    def gone(self) -> list[str]:
        """What is judged, and is in no source any more."""
        return [mutant for mutant in self.judged if mutant not in self.existing]

    @property
    def noticed_now(self) -> list[str]:
        """What is judged, and is noticed."""
        return [m["id"] for m in self.mutants if m["id"] in self.judged and m["how"] in NOTICED]

    @property
    def rate(self) -> float:
        """The share of noticed mutants, of those that can be imported and are not judged equivalent."""
        how = Counter(mutant["how"] for mutant in self.mutants)
        equivalent = sum(self.judgement(mutant) == "equivalent" for mutant in self.survivors)
        noticed = sum(how[kind] for kind in NOTICED)
        counted = len(self.mutants) - how[IMPORT_FAILURE] - equivalent
        return noticed / counted if counted else 1.0

    @property
    def good(self) -> bool:
        """Whether enough is noticed, and somebody has looked at the rest."""
        return self.rate >= ENOUGH and not self.unjudged

    def print(self, console: Console, name: str, all_of: Mapping[str, int]) -> None:
        """Print the table, the survivors and the rate."""
        kinds = [*NOTICED, SURVIVED, IMPORT_FAILURE]
        table = Table("file", "changes", "tried", *kinds, title=f"{name}: what became of the mutants")
        for column in table.columns[1:]:
            column.justify = "right"
        by_file: dict[str, Counter[str]] = {}
        for mutant in self.mutants:
            by_file.setdefault(mutant["file"], Counter())[mutant["how"]] += 1
        for file, how in by_file.items():
            counts = [str(how[kind] or "") for kind in kinds]
            table.add_row(file, str(all_of.get(file, "")), str(how.total()), *counts)
        total = Counter(mutant["how"] for mutant in self.mutants)
        table.add_section()
        all_changes = sum(all_of.get(file, 0) for file in by_file)
        counts = [str(total[kind] or "") for kind in kinds]
        table.add_row("all", str(all_changes), str(total.total()), *counts)
        console.print(table)
        for title in ("unjudged", "missed", "equivalent"):
            found = [mutant for mutant in self.survivors if self.judgement(mutant) == title]
            if found:
                console.print(f"\nsurvived, {title}: {len(found)}")
            for mutant in found:
                where = f"{mutant['file']}:{mutant['line']}"
                console.print(Text(f"  {mutant['id']}  {where}  {mutant['operator']}: {mutant['diff']}"))
                entry = self.judged.get(mutant["id"], {})
                if entry:
                    console.print(Text(f"              {entry.get('reason') or entry.get('input')}"))
        for title, ids in (("gone", self.gone), ("noticed", self.noticed_now)):
            for mutant_id in ids:
                console.print(
                    Text(f"judged, but {title}: {mutant_id} {self.judged[mutant_id]['verdict']}")
                )
        console.print(
            f"\n{name}: {self.rate:.1%} of the mutants are noticed; {len(self.unjudged)} unjudged"
        )


def summary(
    results: Results, mutants: Sequence[Mutant], existing: set[str], judged: dict[str, dict[str, str]]
) -> Summary:
    """The counts of those mutants that have a result."""
    found = [results.mutants[mutant.id] for mutant in mutants if mutant.id in results.mutants]
    return Summary(found, judged, existing)
