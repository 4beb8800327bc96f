"""``tmref diff`` and ``history``: what changed between two files of verdicts, and between releases."""

from __future__ import annotations

import argparse
import sys

from .statuses import BAD, GOOD, UNUSABLE


def diff(options: argparse.Namespace) -> int:
    """Show what changed between two files of verdicts; the status says whether something broke."""
    from .reports.changes import changes
    from .reports.terminal import show_changes
    from .verdicts import read, readable

    try:
        found = changes(read(options.old), read(options.new))
    except ValueError as error:
        print(f"tmref diff: {readable(str(error))}", file=sys.stderr)
        return UNUSABLE
    show_changes(found)
    return GOOD if found.good else BAD


def history(options: argparse.Namespace) -> int:
    """Check the releases of a package, and show in which one laws broke or were mended."""
    from .history.command import history

    return history(options)
