"""``tmref report``: files of verdicts are shown, on the terminal or in the form that others read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .statuses import BAD, GOOD, UNUSABLE

if TYPE_CHECKING:
    from .verdicts import Results


def report(options: argparse.Namespace) -> int:
    """Show files of verdicts: all of them, or none where one can't be read."""
    from .reports.html import usable_place
    from .reports.terminal import show
    from .verdicts import read

    try:
        reports = [read(path) for path in options.files]
        if options.html:
            usable_place(options.html)
            _write_page(options.html, reports, options.files)
    except ValueError as error:
        print(f"tmref: {error}", file=sys.stderr)
        return UNUSABLE
    if options.form:
        _print(options.form, reports, options.files)
    elif not options.html:
        for path, results in zip(options.files, reports, strict=True):
            shown(results, path, show)
    return GOOD if all(results.good for results in reports) else BAD


def _write_page(path: Path, reports: Sequence[Results], files: Sequence[Path]) -> None:
    """Write the page, and say on standard error where it is."""
    from .reports.html import page, write

    write(path, page(reports, [str(file) for file in files]))
    unexpected = sum(not v.expected for results in reports for v in results.verdicts)
    number = sum(len(results.verdicts) for results in reports)
    words = f"{path} is the page of {number} verdicts, {unexpected or 'none'} of them unexpected"
    short = "; the run was cut short" if any(results.footer is None for results in reports) else ""
    print(f"tmref: {words}{short}", file=sys.stderr)


def _print(form: str, reports: Sequence[Results], files: Sequence[Path]) -> None:
    """Print the verdicts as ``markdown``, or as annotations of ``github``."""
    from .reports.annotations import annotations
    from .reports.markdown import markdown

    names = [str(file) for file in files]
    if form == "markdown":
        print(markdown(reports, names), end="")
    else:
        print("\n".join(annotations(reports, names)))


def shown(results: Results, path: Path | None, show: Callable[[Results], None]) -> int:
    """Show verdicts, and how those that are missing come into their file, if it is kept; returns the
    status."""
    show(results)
    if path and results.footer is None:
        print(f"\nto try what is missing:\n    tmref check --resume {path}")
    return GOOD if results.good else BAD
