"""The implementations and the device that a command names, looked at before anything is tried."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def usable(command: str, device: str) -> bool:
    """Whether something can be computed on the device; says why where not."""
    from .implementations import UnusableDevice, usable_device

    try:
        usable_device(device)
    except UnusableDevice as error:
        print(f"tmref {command}: --device: {error}", file=sys.stderr)
        return False
    return True


def chosen(command: str, given: Sequence[str]) -> list[str] | None:
    """The names of the implementations to be tried, of all that are there for ``all``; None, after
    saying why, where one of those named can't be."""
    from .implementations import UnknownImplementation, load, names
    from .verdicts import readable

    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where an adapter of one's own is looked for
    everything = list(given) == ["all"]
    found: list[str] = []
    called: dict[str, str] = {}
    for name in names() if everything else dict.fromkeys(given):
        try:
            probe(name)
            of_name = load(name).name
            if of_name in called:
                raise UnknownImplementation(
                    f"{called[of_name]!r} and {name!r} are both called {of_name!r}: rename one of them"
                )
        except UnknownImplementation as error:
            print(f"tmref {command}: {readable(str(error))}", file=sys.stderr)
            if not everything:
                return None
        else:
            called[of_name] = name
            found.append(name)
    return found


def copies(folder: Path) -> list[str]:
    """Of what is imported, and lies in the folder, too, where it is imported from instead, in words: of
    a library in its checkout the copy is checked that is installed."""
    from .verdicts import readable

    found = []
    for path in sorted(folder.iterdir()):
        beside = path / "__init__.py" if path.is_dir() else path
        name = path.name if path.is_dir() else path.stem
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None or name in sys.stdlib_module_names or beside.suffix != ".py":
            continue
        with contextlib.suppress(OSError, TypeError, ValueError):  # others may say any file
            if not os.path.samefile(file, beside):
                found.append(readable(f"{name} is imported from {file}, not from this folder"))
    return found


#: So many seconds importing an adapter may take.
_TO_IMPORT = 120.0

#: What loads an adapter, says on a pipe of its own that it could, and leaves what was started behind.
_PROBE = """
import os, sys
sys.path.append(sys.argv[2])
from tmref.implementations import UnknownImplementation, load
try:
    load(sys.argv[1])
except UnknownImplementation:
    pass
except BaseException:
    os._exit(1)
os.write(int(sys.argv[3]), b".")
os._exit(0)
"""


def probe(name: str) -> None:
    """Load an adapter of one's own in a process of its own. Raises UnknownImplementation where that
    doesn't live to tell: it would take this one with it, and be taken for a good end."""
    from .implementations import UnknownImplementation, is_own

    if is_own(name):
        return
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb") as answer:
        with os.fdopen(writing, "wb"):
            status = _status_of([sys.executable, "-c", _PROBE, name, os.getcwd(), str(writing)], writing)
        if answer.read(1):
            return
    if status is None:
        what = f"takes longer than {_TO_IMPORT:g} s"
    else:
        ends_with = f"the signal {-status}" if status < 0 else f"status {status}"
        what = f"ends the process, with {ends_with}"
    raise UnknownImplementation(f"{name!r}: importing it {what}; an adapter must be importable")


def _status_of(command: Sequence[str], descriptor: int) -> int | None:
    """How a process ended that has the descriptor; None where it took too long. What it started is
    ended, too."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[descriptor],
        start_new_session=True,
    )
    try:
        return process.wait(_TO_IMPORT)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
