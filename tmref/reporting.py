"""``tmref report``: files of verdicts are shown."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .statuses import BAD, GOOD, UNUSABLE

if TYPE_CHECKING:
    from .verdicts import Results


def report(options: argparse.Namespace) -> int:
    """Show files of verdicts: all of them, or none where one can't be read."""
    from .reports.terminal import show
    from .verdicts import read

    try:
        reports = [read(path) for path in options.files]
    except ValueError as error:
        print(f"tmref: {error}", file=sys.stderr)
        return UNUSABLE
    return max(shown(results, path, show) for path, results in zip(options.files, reports, strict=True))


def shown(results: Results, path: Path | None, show: Callable[[Results], None]) -> int:
    """Show verdicts, and how those that are missing come into their file, if it is kept; returns the
    status."""
    show(results)
    if path and results.footer is None:
        print(f"\nto try what is missing:\n    tmref check --resume {path}")
    return GOOD if results.good else BAD
