"""Environments that releases are installed in, by uv or pip, whichever is there."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ..verdicts import readable

#: It is there when an environment is whole.
_READY = ".ready"


class UnusablePackage(ValueError):
    """There are no releases of it to be had; the message has the remedy."""


class NotInstalled(Exception):
    """A release can't be installed; the message says why, in a line."""


def require_name(package: str) -> None:
    """Raise UnusablePackage where it is no name of a package; it may ask for extras."""
    try:
        required = Requirement(package)
        is_name = not (required.specifier or required.url or required.marker)
    except InvalidRequirement:
        is_name = False
    if not is_name:
        raise UnusablePackage(
            f"--package: {package!r} is no name of a package: give that which pip installs it by, "
            "without a version"
        )


def released(package: str) -> list[str]:
    """The versions of a package that an index has, the oldest first, as pip is set up to look for them.
    Raises UnusablePackage where there are none, or nothing can look."""
    command = [*_pip(), "index", "versions", "--ignore-requires-python", package]
    done = _run(command)
    found = re.search(r"^Available versions: (.*)$", done.stdout, re.MULTILINE)
    if done.returncode or not found:
        raise UnusablePackage(f"no release of {package!r} can be found: {reason_of(done.stderr)}")
    return by_age(found[1].split(", "))


def by_age(versions: Sequence[str]) -> list[str]:
    """The versions, the oldest first, each once, however it is written. Raises UnusablePackage where one
    is no version."""
    try:
        found = {Version(version): version.strip() for version in reversed(versions)}
        return [found[version] for version in sorted(found)]
    except InvalidVersion as error:
        raise UnusablePackage(f"{error}: name versions as packages do, 1.2.0") from error


def _pip() -> list[str]:
    """The command that is pip, which is looked for without a search for what could be imported: that
    makes setuptools exchange distutils."""
    if any(importlib.metadata.distributions(name="pip")):
        return [sys.executable, "-m", "pip"]
    if shutil.which("uv"):
        return ["uv", "tool", "run", "--quiet", "pip"]
    raise UnusablePackage("neither pip nor uv is there: install one of them with: python -m ensurepip")


class Environment:
    """A virtual environment in a folder, of the Python that runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, what: str) -> bool:
        """Whether all was installed that it is for, of this very tmref."""
        ready = self.folder / _READY
        return ready.exists() and ready.read_text(encoding="utf-8") == what

    def command(self, name: str) -> str:
        """The path of a command that is installed there."""
        return str(self.folder / "bin" / name)

    def make(self, requirements: Sequence[str], what: str, log: Path) -> None:
        """Install what is required, in the versions that tmref has here where they fit; ``what`` is what
        it :meth:`has` then. What installers say is written to the ``log``. Raises NotInstalled."""
        self.remove()
        uv = shutil.which("uv")
        with log.open("w", encoding="utf-8") as said:
            make = [uv, "venv", "--quiet", "--python", sys.executable] if uv else None
            self._run([*(make or [sys.executable, "-m", "venv"]), str(self.folder)], said)
            python = self.command("python")
            install = [uv, "pip", "install", "--python", python] if uv else None
            install = install or [python, "-m", "pip", "install", "--no-compile"]
            here = log.with_name("constraints.txt")
            here.write_text("".join(f"{line}\n" for line in installed_here()), encoding="utf-8")
            try:
                self._run([*install, "--constraint", str(here), *requirements], said)
            except NotInstalled:  # an older release may need an older torch
                self._run([*install, *requirements], said)
        (self.folder / _READY).write_text(what, encoding="utf-8")

    def remove(self) -> None:
        """Delete it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, command: Sequence[str | None], said: object) -> None:
        done = _run([part for part in command if part])
        said.write(f"{done.stdout}\n{done.stderr}\n")  # type: ignore[attr-defined]
        if done.returncode:
            raise NotInstalled(reason_of(done.stderr or done.stdout))


def alone() -> dict[str, str]:
    """The variables of this process without those that bring other modules into another Python."""
    return {name: value for name, value in os.environ.items() if name not in _OF_PYTHON}


_OF_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=alone(),
        stdin=subprocess.DEVNULL,
    )


def installed_here() -> Iterator[str]:
    """The versions of all that tmref needs to check, without what is said of a build: an index needn't
    have the very same."""
    left = ["tmref"]
    seen: set[str] = set()
    while left:
        name = left.pop()
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if name != "tmref":
            yield f"{name}=={distribution.version.partition('+')[0]}"
        for line in distribution.requires or ():
            try:
                required = Requirement(line)
            except InvalidRequirement:
                continue
            of_extra = required.marker and not required.marker.evaluate({"extra": ""})
            is_needed = not of_extra or (
                name == "tmref" and required.marker and required.marker.evaluate({"extra": "check"})
            )
            other = canonicalize_name(required.name)
            if is_needed and other not in seen:
                seen.add(other)
                left.append(other)


def reason_of(said: str) -> str:
    """Of what a program said that failed, the line with the reason."""
    lines = [line.strip() for line in readable(said, len(said)).splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error: ")]
    causes = [line for line in lines if line.startswith(("╰─▶ ", "cause: "))]  # of what uv says
    reason = (causes or errors or lines[-1:] or ["no reason given"])[0]
    reason = re.sub(r"^(╰─▶|error:|cause:) ", "", reason, flags=re.IGNORECASE)
    return readable(reason, 300)
