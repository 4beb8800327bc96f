"""``tmref history``: every release of a package is installed and checked, and what changed is shown."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from ..checking import MADE_WITH, wrong_about_cases
from ..places import put, require_usable
from ..resuming import Misfit, begun, of_each
from ..statuses import BAD, GOOD, INTERRUPTED, UNUSABLE
from ..verdicts import Results, part_of, read, readable
from .environments import (
    Environment,
    NotInstalled,
    UnusablePackage,
    alone,
    by_age,
    reason_of,
    released,
    require_name,
)
from .record import BEGINNING, History, Release, release, written
from .wheel import write_wheel


def history(options: argparse.Namespace) -> int:
    """Check the releases that are asked for, and show what changed with each."""
    from ..reports.history import history_page, show_history

    try:
        asked = _History(options)
        if options.json is not None and options.json == options.markdown:
            raise ValueError("--json and --markdown name one file: give two")
        files = [
            (options.json, BEGINNING, written),
            (options.markdown, _BEGINNING_OF_PAGE, history_page),
        ]
        wanted = [of for of in files if of[0] is not None]
        for path, beginning, _ in wanted:
            require_usable(path, beginning, "was not written by tmref history")
        found = asked.checked()
        show_history(found)
        for path, _, text in wanted:
            put(path, text(found))
    except ValueError as error:
        print(f"tmref history: {readable(str(error))}", file=sys.stderr)
        return UNUSABLE
    return GOOD if found.checked else BAD


#: What every page of a history begins with.
_BEGINNING_OF_PAGE = "# History of "
#: What is said of what a report was made with, by the option that says it.
_OPTIONS = {"selection": "-k", "seed": "--hypothesis-seed", "package": "--package", "with": "--with"}
#: Beside a report: what was installed for it.
_INSTALLED = "installed.json"


class _History:
    """The checks of the releases of a package, which leave their reports in a folder."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.name: str = options.name
        known, beside = requirements(options.name)
        package: str | None = options.package or known
        if not package:
            raise UnusablePackage(
                f"nothing says which package has releases of {self.name!r}: name it by --package"
            )
        require_name(package)
        self.package = package
        self.beside: Sequence[str] = [*beside, *options.beside]
        self.options = options
        self.folder: Path = options.folder / re.sub(r"[^\w.-]+|^\.+$", "-", self.name)
        self.made_with: dict[str, Any] = {
            "tmref": importlib.metadata.version("tmref"),
            **{name: _of(options, name) for name in ("effort", "seed", "selection")},
        }
        self.installed = {
            "implementation": self.name,
            "package": package,
            "with": " ".join(sorted(set(self.beside))) or None,
        }

    def versions(self) -> list[str]:
        """Those that are asked for: by name, or all that there are, from the first on."""
        if self.options.versions:
            return by_age(self.options.versions)
        found = released(self.package)
        if self.options.since:
            (since,) = by_age([self.options.since])
            later = [version for version in found if Version(version) >= Version(since)]
            if not later or Version(later[0]) != Version(since):
                raise UnusablePackage(
                    f"--since: {self.package} has no release {since}: there are {', '.join(found)}"
                )
            return later
        return found

    def checked(self) -> History:
        """Check what is not checked yet. Raises ValueError, UnusablePackage and Misfit where that can't
        be, before anything is tried."""
        wrong = wrong_about_cases(self.made_with["selection"], self.options.workers)
        if wrong:
            raise ValueError(wrong)
        versions = self.versions()
        reports = {version: self._report(version) for version in versions}
        problems: dict[str, str] = {}
        wheel: Path | None = None
        for number, version in enumerate(versions, 1):
            if reports[version] is not None:
                continue
            wheel = wheel or write_wheel(self.folder)
            print(
                f"{self.package} {version} ({number} of {len(versions)}): installing and checking",
                file=sys.stderr,
                flush=True,
            )
            try:
                reports[version] = self._check(version, wheel)
            except NotInstalled as error:
                problems[version] = str(error)
                print(f"    not checked: {error}", file=sys.stderr, flush=True)
        return self._history(reports, problems)

    def _report(self, version: str) -> Results | None:
        """The whole report of a release; None where there is none yet. Raises Misfit where what is there
        was made otherwise."""
        path = self._place(version) / "report.jsonl"
        try:
            results = begun(path)
        except ValueError as error:
            raise Misfit(f"{readable(str(error))}: delete it, then it is made anew") from error
        if results is None:
            return None
        header = results.header
        was = {**header["settings"], "seed": header["seed"], "tmref": header["versions"].get("tmref")}
        was |= self._was_installed(path.with_name(_INSTALLED))
        now = {**self.made_with, **self.installed}
        pairs = ({_OPTIONS.get(name, name): of.get(name) for name in now} for of in (was, now))
        differences = list(of_each(*pairs))
        if differences:
            raise Misfit(
                f"{path} was made otherwise: {readable('; '.join(differences))}. Give another --folder, "
                "or delete it, then it is made anew"
            )
        return results if results.footer is not None else None

    def _was_installed(self, path: Path) -> dict[str, Any]:
        """What was installed for the report beside; nothing where that isn't known."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return {name: found[name] for name in self.installed}
        except (OSError, ValueError, TypeError, LookupError, RecursionError):
            return {}

    def _place(self, version: str) -> Path:
        """The folder of a release: the one that it has, however its version was written then."""
        place = self.folder / version
        if place.exists() or not self.folder.exists():
            return place
        for other in sorted(self.folder.iterdir()):
            with contextlib.suppress(InvalidVersion):
                if Version(other.name) == Version(version):
                    return other
        return place

    def _check(self, version: str, wheel: Path) -> Results:
        """Check a release in an environment of its own. Raises NotInstalled where it doesn't come to
        verdicts."""
        place = self._place(version)
        place.mkdir(parents=True, exist_ok=True)
        environment = Environment(place / "environment")
        path = place / "report.jsonl"
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        what = " ".join((self.package, version, *self.beside, digest))
        if not environment.has(what):
            required = [
                f"{self.package}=={version}",
                *self.beside,
                f"tmref[check] @ {wheel.resolve().as_uri()}",
            ]
            environment.make(required, what, place / "install.txt")
            for begun_there in (path, part_of(path)):  # perhaps by another tmref
                begun_there.unlink(missing_ok=True)
        (place / _INSTALLED).write_text(json.dumps(self.installed), encoding="utf-8")
        status, said = _run(self._command(environment, path))
        (place / "check.txt").write_text(said, encoding="utf-8")
        if status not in (GOOD, BAD) or not path.exists():
            ended = f"the check ended by the signal {-status}: " if status < 0 else ""
            reason = re.sub(r"^tmref check: ", "", reason_of(said))
            raise NotInstalled(f"it is installed, but {ended}{reason}")
        results = read(path)
        if results.footer is None:
            raise NotInstalled(f"its check was cut short: see {place / 'check.txt'}")
        if not self.options.keep_environments:
            environment.remove()
        return results

    def _command(self, environment: Environment, path: Path) -> list[str]:
        made = self.made_with
        return [
            *(environment.command("tmref"), "check", self.name, "--quiet", "--resume", str(path)),
            *("-k", made["selection"], "--hypothesis-seed", str(made["seed"])),
            *(["--quick"] if made["effort"] < 1 else ["--thorough"] if made["effort"] > 1 else []),
            *(["-n", self.options.workers] if self.options.workers else []),
        ]

    def _history(self, reports: dict[str, Results | None], problems: dict[str, str]) -> History:
        found = [results for results in reports.values() if results is not None]
        rows = list(dict.fromkeys(v.row for results in found for v in results.verdicts))
        families: dict[str, str] = {}
        for results in found:
            told = results.header.get("families", {})
            families |= {law: str(told.get(law, "")) for law in results.header["laws"]}
            families |= {v.law: "" for v in results.verdicts if v.law not in families}
        releases = [
            release(version, results, rows) if results else Release(version, problems[version])
            for version, results in reports.items()
        ]
        name = found[-1].verdicts[-1].implementation if found and found[-1].verdicts else self.name
        return History(name, self.package, self.made_with, rows, families, releases)


def _of(options: argparse.Namespace, name: str) -> Any:
    """An option of the check, or what it is by default."""
    value = getattr(options, name)
    return MADE_WITH[name] if value is None else value


def requirements(name: str) -> tuple[str | None, Sequence[str]]:
    """The package whose releases are those of an implementation, and what it needs beside; None where
    nothing says which."""
    from ..implementations import ENTRY_POINTS, PACKAGES

    if name in PACKAGES:
        package, *beside = PACKAGES[name]
        return package, beside
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if point.name == name and point.dist is not None:
            return point.dist.name, ()
    module = name.partition(":")[0].partition(".")[0]
    found = importlib.metadata.packages_distributions().get(module, [])
    return (found[0] if len(set(found)) == 1 else None), ()


#: So many seconds a check has to end after Ctrl-C.
_TO_END = 20.0


def _run(command: Sequence[str]) -> tuple[int, str]:
    """The status of a check, and what it said of errors. What is interrupted here is there, too, and
    gets the time to write down what it has."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=alone(),
    )
    try:
        said = process.communicate()[1]
    except KeyboardInterrupt:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_TO_END)
        process.kill()
        process.wait()
        raise
    if process.returncode == INTERRUPTED:
        raise KeyboardInterrupt
    return process.returncode, said
