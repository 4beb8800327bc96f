"""The scripts of a report: which there are, what becomes of them when they are run, files of them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..printing import meant
from ..renamed import name_now
from ..verdicts import (
    LONGEST_SCRIPT,
    SHOWS_NOTHING,
    Results,
    Verdict,
    readable,
    require_verdicts_on,
    versions,
)
from .orphans import with_all_they_start

#: So many seconds what a script imports may take, beside what an example may.
_TO_IMPORT = 60.0
#: No example takes longer.
_MOST_SECONDS = 86_400.0
#: What ends a script that can't say anything here, unless it is what the verdict is about.
_WITHOUT_SENSE = ("ImportError", "ModuleNotFoundError", "NotImplementedError")
#: The last line of a file that was saved.
_MARK = "# saved by tmref reproduce, "


def scripts_of(results: Results, implementation: str | None) -> list[Verdict]:
    """The verdicts that have a script, on one implementation or on all. Raises ValueError where none
    has."""
    if implementation is not None:
        require_verdicts_on(implementation, [results])
    found = [v for v in results.verdicts if implementation in (None, v.implementation) and v.reproducer]
    if not found:
        of = "" if implementation is None else f" of {implementation}"
        raise ValueError(f"no verdict{of} has a script: nothing failed that could be shown by one")
    return sorted(found, key=lambda v: (v.implementation, v.law, v.row))


#: What says which laws and rows have scripts.
_REMEDY = "without LAW[ROW] it lists a script of each kind of failure"


def find(results: Results, name: str, implementation: str | None) -> Verdict:
    """The one verdict with a script that is called LAW or LAW[ROW]. Raises ValueError where there is
    none, or more than one, with the remedy."""
    law, _, rest = name_now(name).partition("[")
    row = rest.removesuffix("]") if rest else None
    scripts = scripts_of(results, implementation)
    of_law = [v for v in results.verdicts if v.law == law]
    if not of_law:
        remedy = meant(law, {v.law for v in scripts}, _REMEDY)
        raise ValueError(f"there is no verdict on a law {law!r}; {remedy}")
    rows = list(dict.fromkeys(v.row for v in of_law))
    if row is not None and row not in rows:
        remedy = meant(row, rows, f"there are {', '.join(rows)}")
        raise ValueError(f"there is no verdict on {law} on a row {row!r}; {remedy}")
    found = [v for v in scripts if v.law == law and row in (None, v.row)]
    if not found:
        statuses = {
            v.status
            for v in of_law
            if row in (None, v.row) and implementation in (None, v.implementation)
        }
        is_what = f"is {' or '.join(sorted(statuses))}" if statuses else "is not there"
        raise ValueError(f"{name} has no script, since its verdict {is_what}; {_REMEDY}")
    if len(found) > 1:
        rows = list(dict.fromkeys(v.row for v in found))
        whose = list(dict.fromkeys(v.implementation for v in found))
        ways = [f"--of {' or '.join(whose)}"] if len(whose) > 1 else []
        if len(rows) > 1:
            ways.append(f"{law}[ROW], of the rows {', '.join(rows)}")
        raise ValueError(f"there are {len(found)} scripts of {name}: say {', and '.join(ways)}")
    return found[0]


# --- run


@dataclass(frozen=True)
class Ran:
    """What became of a script: its exit ``status``, None where it took too long, and what it wrote to
    each of the standard streams."""

    status: int | None
    printed: str
    raised: str

    @property
    def failed(self) -> bool:
        return self.status != 0

    def require_sense(self, verdict: Verdict) -> None:
        """Raise ValueError, with the remedy, where it failed by what has nothing to do with the verdict:
        something that it imports is not here, or was not written as code; and where it ended well, which
        it does whether or not the failure is there."""
        if not self.failed and SHOWS_NOTHING in (verdict.reproducer or "").splitlines():
            raise ValueError("the script can't show the failure: check anew what it is about")
        kind, words = self._cause()
        if not words or kind not in _WITHOUT_SENSE or kind in (verdict.message or ""):
            return
        raise ValueError(
            f"the script can't be run here: {words}; "
            + (
                "write that into it, and run it by itself"
                if kind == "NotImplementedError"
                else "install that, or go to the folder that has it"
            )
        )

    def _cause(self) -> tuple[str, str]:
        """What was raised, and not caught: its type and the first line of its words. Python writes it
        last, after the calls that led to it, and then exits with 1."""
        *_, last = self.raised.rpartition("Traceback (most recent call last):\n")
        found = re.search(r"^([\w.]+)(?:: (.*))?$", last, re.M)
        if self.status != 1 or found is None:
            return "", ""
        return found[1], found[2] or ""


def changes(results: Results) -> str:
    """Which versions are others here than in the report, in brackets."""
    there = results.header["versions"]
    found = [
        f"{name} is {version} here, and {there[name]} in the report"
        for name, version in versions().items()
        if there.get(name, version) != version
    ]
    return readable(f" ({'; '.join(found)})") if found else ""


def run(script: str, timeout: float) -> Ran:
    """Run a script in a process of its own, which is ended where it takes longer than an example may,
    after its imports; what it started ends with it. It finds what lies in this folder, as an adapter
    does. Raises ValueError where it is no Python."""
    _require_python(script)
    seconds = _TO_IMPORT + (timeout if 0 < timeout < _MOST_SECONDS else _MOST_SECONDS)
    given = os.environ.get("PYTHONPATH")
    folders = [*(given.split(os.pathsep) if given else ()), "."]
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile() as out,  # a pipe ends only when all that the script starts has ended
        tempfile.TemporaryFile() as err,
        _ended_as_interrupted(),
        with_all_they_start(),
    ):
        (Path(folder) / "script.py").write_text(script, encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "script.py"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(map(os.path.abspath, folders)),
                "PYTHONIOENCODING": "utf-8",
                "PYTHON_COLORS": "0",
            },
            start_new_session=True,
        )
        status: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            try:
                status = process.wait(seconds)
            finally:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        printed, raised = _first_of(out), _last_of(err)
        places = (f"{os.path.realpath(folder)}{os.sep}", f"{folder}{os.sep}")
    if status is None:
        raised += f"it took longer than {seconds:g} s\n"
    elif status < 0:
        named = {number.value: number.name for number in signal.Signals}
        raised += f"it ended by {named.get(-status, f'the signal {-status}')}\n"
    for place in places:
        raised = raised.replace(place, "")
    for place in dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib", "stdlib")):
        raised = raised.replace(f"{place}{os.sep}", "")
    return Ran(status, *(readable(text, len(text)) for text in (printed, raised)))


def _require_python(script: str) -> None:
    """Raise ValueError, with the remedy, where nothing of a script can be run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(script, "script.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        place = f" (line {error.lineno})" if error.lineno else ""
        words = f"{error.msg}{place}"
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        words = f"{error}"
    else:
        return
    raise ValueError(
        f"the script can't be run here: it is no Python: {words}; print it, mend it, and run it by "
        "itself"
    )


@contextlib.contextmanager
def _ended_as_interrupted() -> Iterator[None]:
    """Within it, what ends this process by SIGTERM is as Ctrl-C, unless somebody else takes care of it:
    nothing that was started here is left."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _first_of(file: IO[bytes]) -> str:
    """What was written to a file, or as much as is shown of it from the beginning on."""
    beyond = file.seek(0, os.SEEK_END) - LONGEST_SCRIPT
    file.seek(0)
    text = _decoded(file.read(LONGEST_SCRIPT))
    return f"{text} … ({beyond} bytes more)\n" if beyond > 0 else text


def _last_of(file: IO[bytes]) -> str:
    """What was written to a file, or as much as is shown of it up to the end."""
    before = max(0, file.seek(0, os.SEEK_END) - LONGEST_SCRIPT)
    file.seek(before)
    text = _decoded(file.read(LONGEST_SCRIPT))
    return f"({before} bytes before) … {text}" if before else text


def _decoded(written: bytes) -> str:
    return written.decode("utf-8", "backslashreplace").replace("\r\n", "\n")


# --- save


def file_name(verdict: Verdict) -> str:
    """What the file of a script is called: of letters that every file system takes, and no longer than
    all of them allow; other names are told apart by their digest."""
    words = (verdict.implementation, verdict.law, verdict.row)
    parts = [re.sub(r"[^a-z0-9_-]+", "-", word.lower()) for word in words]
    name = ".".join(parts)
    if parts != list(words) or len(name) > 200:
        name = f"{name[:200]}.{_digest(repr(words))[:8]}"
    return f"{name}.py"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _marked(script: str) -> str:
    """The content of a file: with a last line that says that nobody has changed it since."""
    text = f"{script.rstrip()}\n"
    return f"{text}{_MARK}{_digest(text)[:16]}\n"


def _is_ours(path: Path) -> bool:
    """Whether it is a file that was saved here before, and is as it was then."""
    try:
        text, mark, _ = path.read_text(encoding="utf-8").rpartition(_MARK)
    except (OSError, ValueError):
        return False
    return bool(mark) and path.read_text(encoding="utf-8") == _marked(text)


def save(verdicts: Sequence[Verdict], folder: Path, *, force: bool = False) -> None:
    """Write a file for each script; by ``force`` also in the place of one of another, or that was
    edited. Raises ValueError, before anything is written, where one of these would be overwritten
    without it, or the folder can't have them."""
    files = {folder / file_name(v): _marked(v.reproducer or "") for v in verdicts}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            if not force and (path.exists() or path.is_symlink()) and not _is_ours(path):
                raise ValueError(
                    f"--save: {path} is there, and is no script as it was saved: it is left as it is; "
                    "name another folder, move it away, or say --force to overwrite it"
                )
            if path.is_dir():
                raise ValueError(f"--save: {path} is a folder: move it away, or name another folder")
        for path, text in files.items():
            if path.is_symlink():  # what it leads to stays
                path.unlink()
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"--save: {folder} can't be written: {error.strerror}") from error
