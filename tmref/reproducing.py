"""``tmref reproduce``: the scripts of a report are listed, printed, run, saved, or made an issue of."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .adapters import usable
from .checking import MADE_WITH
from .statuses import BAD, GOOD, UNUSABLE

if TYPE_CHECKING:
    from .reports.reproducers import Ran


def reproduce(options: argparse.Namespace) -> int:
    """Print a script of a report, or do with it what the options say. Returns 1 where the script that
    was run shows the failure, 0 where it doesn't; with ``--issue`` the other way round: there is nothing
    to file."""
    from .printing import counted
    from .reports.failures import kinds_of, line_of
    from .reports.issue import issue, require_failed, script_of
    from .reports.reproducers import changes, find, run, save, scripts_of
    from .verdicts import read, readable

    path: Path = options.file
    try:
        results = read(path)
        if options.folder is not None:
            verdicts = scripts_of(results, options.implementation)
            if options.kinds:
                verdicts = [first for first, *_ in kinds_of(verdicts)]
            save(verdicts, options.folder, force=options.force)
            print(f"{counted(len(verdicts), 'script', 'is')} in {options.folder}, of {path}")
            return GOOD
        if options.name is None:
            for kind in kinds_of(scripts_of(results, options.implementation)):
                print(line_of(kind))
            return GOOD
        verdict = find(results, options.name, options.implementation)
        script = script_of(verdict) if options.issue else verdict.reproducer or ""
        if not (options.run or options.issue):
            print(script, end="")
            return GOOD
        if options.issue:
            require_failed(verdict)
        if not usable("reproduce", results.header["device"]):
            return UNUSABLE
        ran = run(script, results.header["settings"].get("timeout", MADE_WITH["timeout"]))
        ran.require_sense(verdict)
        if options.issue and ran.failed:
            print(issue(verdict, results, ran.printed + ran.raised), end="")
            return GOOD
    except ValueError as error:
        print(f"tmref reproduce: {readable(str(error))}", file=sys.stderr)
        return UNUSABLE
    if options.run:
        _show(ran)
    words = "is still there" if ran.failed else f"isn't there{changes(results)}"
    more = ": there is nothing to file" if options.issue else ""
    print(f"tmref reproduce: the failure {words}{more}", file=sys.stderr)
    return BAD if ran.failed or options.issue else GOOD


def _show(ran: Ran) -> None:
    """What the script wrote, where it wrote it to."""
    sys.stdout.write(ran.printed)
    sys.stdout.flush()
    sys.stderr.write(ran.raised)
