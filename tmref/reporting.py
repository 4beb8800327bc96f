"""``tmref report``: files of verdicts are shown, on the terminal or in the form that others read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .statuses import BAD, GOOD, UNUSABLE

if TYPE_CHECKING:
    from .reports.changes import Changes
    from .verdicts import Results


def report(options: argparse.Namespace) -> int:
    """Show files of verdicts: all of them, or none where one can't be read."""
    from .reports.terminal import show, show_summary
    from .verdicts import read, readable

    if options.baseline and options.form != "markdown":
        print("tmref: --baseline is for --markdown: give both, or see tmref diff", file=sys.stderr)
        return UNUSABLE
    try:
        found = [read(path) for path in options.files]
        files, reports = _of(options.implementation, options.files, found)
        changed = _changed(options.baseline, reports, options.implementation)
        if options.html:
            _write_page(options.html, reports, files)
    except ValueError as error:
        print(f"tmref: {readable(str(error))}", file=sys.stderr)
        return UNUSABLE
    if options.form:
        _print(options.form, reports, files, changed)
    elif not options.html:
        for path, results in zip(files, reports, strict=True):
            shown(results, path, show if options.verbose else show_summary)
        if not options.verbose:
            of = f" --of {options.implementation}" if options.implementation else ""
            print_more(f"{' '.join(map(str, files))}{of}")
    return GOOD if all(results.good for results in reports) else BAD


def print_more(what: str, *, kept: bool = True) -> None:
    """Say how all of a report is seen, which is ``kept`` in a file, or would have to be."""
    first = "" if kept else "--report FILE, then "
    print("\nthe table of laws and rows, and a script for each failure:")
    print(f"    {first}tmref report {what} --verbose")


def _of(
    name: str | None, files: Sequence[Path], reports: Sequence[Results]
) -> tuple[Sequence[Path], Sequence[Results]]:
    """The files that have verdicts on an implementation, and these alone; all of them for None. Raises
    ValueError where none has."""
    from .verdicts import require_verdicts_on

    if name is None:
        return files, reports
    require_verdicts_on(name, reports)
    of_each = zip(files, (results.of(name) for results in reports), strict=True)
    kept = [(path, results) for path, results in of_each if results.verdicts]
    return [path for path, _ in kept], [results for _, results in kept]


def _changed(
    baseline: Path | None, reports: Sequence[Results], implementation: str | None
) -> list[Changes]:
    """What changed in each of the reports against a baseline, if there is one, of one implementation or
    of all. Raises ValueError where one has nothing that can be compared."""
    from .reports.changes import changes
    from .verdicts import read

    if baseline is None:
        return []
    old = read(baseline)
    if implementation is not None and implementation in old.header["implementations"]:
        old = old.of(implementation)
    try:
        return [changes(old, results) for results in reports]
    except ValueError as error:
        raise ValueError(f"--baseline: {error}") from error


def _write_page(path: Path, reports: Sequence[Results], files: Sequence[Path]) -> None:
    """Write the page, and say on standard error where it is. Raises UnusablePlace where it can't be."""
    from .places import put, require_usable
    from .printing import counted
    from .reports.html import BEGINNING, page

    require_usable(path, BEGINNING, "is no page of tmref report")
    put(path, page(reports, [str(file) for file in files]))
    unexpected = sum(not v.expected for results in reports for v in results.verdicts)
    number = sum(len(results.verdicts) for results in reports)
    words = f"{path} is the page of {counted(number, 'verdict')}, {unexpected or 'none'} unexpected"
    short = "; the run was cut short" if any(results.footer is None for results in reports) else ""
    print(f"tmref: {words}{short}", file=sys.stderr)


def _print(
    form: str, reports: Sequence[Results], files: Sequence[Path], changed: Sequence[Changes]
) -> None:
    """Print the verdicts as ``markdown``, with what changed, or as annotations of ``github``."""
    from .reports.github import workflow_commands
    from .reports.markdown import markdown

    names = [str(file) for file in files]
    if form == "markdown":
        print(markdown(reports, names, changed), end="")
    else:
        print("\n".join(workflow_commands(reports, names)))


def shown(results: Results, path: Path | None, show: Callable[[Results], None]) -> int:
    """Show verdicts, and how those that are missing come into their file, if it is kept; returns the
    status."""
    show(results)
    if path and results.footer is None:
        print(f"\nto try what is missing:\n    tmref check --resume {path}")
    return GOOD if results.good else BAD
