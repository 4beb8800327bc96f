"""The command line: ``tmref check`` and the other commands."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from . import __version__
from .adapters import chosen, usable
from .aging import known
from .checking import MADE_WITH, check
from .comparing import diff, history
from .reporting import report
from .reproducing import reproduce
from .statuses import BAD, GOOD, INTERRUPTED, UNUSABLE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0 for what is expected, 1 for what is not, 2 for
    unusable arguments, 130 for Ctrl-C."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if options.command is reproduce and not options.name and rest and not rest[0].startswith("-"):
        options.name = rest.pop(0)  # argparse does not look for it after an option
    if rest and options.command is not check:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        import hypothesis  # noqa: F401
        import jinja2  # noqa: F401
        import pytest  # noqa: F401
        import rich  # noqa: F401
    except ImportError as error:
        print(f"tmref: {error}; install what it needs with: pip install 'tmref[check]'", file=sys.stderr)
        return UNUSABLE
    if options.command is reproduce:
        if options.folder and options.name:
            parser.error("argument --save: it writes every script: leave out LAW[ROW]")
        if (options.kinds or options.force) and not options.folder:
            parser.error("the following arguments are required: --save FOLDER, for --kinds and --force")
        if (options.run or options.issue) and not options.name:
            parser.error("the following arguments are required: LAW[ROW], for --run and --issue")
    if options.command is check:
        options.pytest = rest
        if not (options.names or options.resume or options.failed):
            parser.error("the following arguments are required: NAME, or --resume or --failed FILE")
        if options.resume and options.failed:
            parser.error("argument --failed: not allowed with argument --resume")
    try:
        status: int = options.command(options)
        if sys.stdout is not None:  # nobody closed it
            sys.stdout.flush()
    except BrokenPipeError:  # somebody read the first lines only
        _write_no_more()
        return BAD
    except OSError as error:  # of what is written, mostly: the disk is full
        _write_no_more()
        print(f"tmref: {error}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _write_no_more() -> None:
    """Let nothing come of what is not written yet, which would fail again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


#: The rows that are timed unless others are named.
BENCH_ROWS = ("linear", "layer_norm", "sequential_mlp", "equivariant_mlp")
_DEFAULT = "default: %(default)s"


def _default(name: str) -> str:
    return f"default: {MADE_WITH[name]}"


def _add_cases(command: argparse.ArgumentParser) -> None:
    """Let a command be told what is tried, and how much of it."""
    command.add_argument("-k", dest="selection", metavar="EXPR", help="only rows and laws of such names")
    command.add_argument("-n", dest="workers", metavar="N", help="workers (default: 1)")
    amount = command.add_mutually_exclusive_group()
    for option, effort, words in (
        ("--quick", 0.1, "one example of most laws: whether all is wired up, not whether it is right"),
        ("--thorough", 10, "ten times the examples"),
    ):
        amount.add_argument(option, action="store_const", const=effort, dest="effort", help=words)
    command.add_argument("--hypothesis-seed", type=int, dest="seed", metavar="N", help=_default("seed"))


def _add_of(command: argparse.ArgumentParser) -> None:
    """Let a command be told which implementation of a file is meant."""
    command.add_argument(
        "--of", dest="implementation", metavar="NAME", help="the implementation, where there are several"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tmref", description="Laws for TensorMap modules.")
    parser.add_argument("--version", action="version", version=f"tmref {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser(
        "check",
        help="try every law on implementations",
        description="Try every law on implementations. Other options go to pytest.",
        allow_abbrev=False,
    )
    command.add_argument("names", nargs="*", metavar="NAME", help="a name, a path, or all")
    _add_cases(command)
    command.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="keep the verdicts, as JSON lines; folders that are not there are made",
    )
    command.add_argument(
        "--resume",
        type=Path,
        metavar="FILE",
        help="try what is missing in the report of a run that was cut short, with its names and options",
    )
    command.add_argument(
        "--failed", type=Path, metavar="FILE", help="try what was not as expected in a report again"
    )
    command.add_argument("--device", help="where maps and modules are, as torch names it (default: cpu)")
    command.add_argument("--on", metavar="dask://HOST:PORT", help="have a Dask cluster try the laws")
    command.add_argument(
        "--budget",
        type=float,
        metavar="MINUTES",
        help="with --on: go on with random seeds until they are over",
    )
    command.add_argument(
        "--database",
        metavar="PLACE",
        help="keep examples that broke a law there, and try them first: a folder, or "
        "redis://HOST:PORT/NUMBER; without it, verdicts depend on nothing that was found before",
    )
    command.add_argument(
        "--timeout",
        type=float,
        metavar="S",
        help=f"seconds that an example may take, and a verdict twenty times ({_default('timeout')})",
    )
    command.add_argument(
        "--memory", type=float, metavar="GIB", help=f"of a worker ({_default('memory')})"
    )
    command.add_argument(
        "-v", "--verbose", action="store_true", help="show all that tmref report --verbose does"
    )
    command.add_argument("-q", "--quiet", action="store_true", help="say nothing before the end")
    command.set_defaults(command=check)

    command = commands.add_parser(
        "report",
        help="show files of verdicts: kinds of failures and the counts, or all of it",
        description="Show files of verdicts: a line for each kind of failure and the counts, or the "
        "table of laws and rows and a script for each failure, on the terminal or in another form. The "
        "exit status is 1 where a verdict is not as expected, or some are missing.",
    )
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    _add_of(command)
    command.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="show the table of laws and rows, and a script for each failure",
    )
    command.add_argument(
        "--html",
        type=Path,
        metavar="FILE.html",
        help="write a page for a browser: laws by implementations, to be filtered and opened",
    )
    form = command.add_mutually_exclusive_group()
    for option, words in (
        ("--markdown", "print Markdown, for a comment on GitHub or $GITHUB_STEP_SUMMARY"),
        ("--github", "print annotations, for the log of a job on GitHub"),
    ):
        form.add_argument(option, action="store_const", const=option[2:], dest="form", help=words)
    command.add_argument(
        "--baseline",
        type=Path,
        metavar="OLD",
        help="with --markdown: say what changed since this report",
    )
    command.set_defaults(command=report)

    command = commands.add_parser(
        "diff",
        help="compare two files of verdicts: what broke, and what was mended",
        description="Compare two files of verdicts, by implementation: what broke, was mended, is new "
        "or gone. The exit status is 1 where something broke that nobody expects, or the new run was "
        "cut short.",
    )
    command.add_argument("old", type=Path, metavar="OLD", help="a report of tmref check")
    command.add_argument("new", type=Path, metavar="NEW", help="a later one")
    command.set_defaults(command=diff)

    command = commands.add_parser(
        "reproduce",
        help="print, run or save scripts of a file of verdicts, or make an issue of one",
        description="Print the script of a verdict in a file, alone; without LAW, list one of each kind "
        "of failure. Scripts are run as they stand in the file: look at one first that isn't yours.",
    )
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument("name", nargs="?", metavar="LAW[ROW]", help="or LAW, where it has one script")
    _add_of(command)
    does = command.add_mutually_exclusive_group()
    does.add_argument(
        "--run",
        action="store_true",
        help="run it in a process of its own: exit status 1 where the failure is there, 0 where not",
    )
    does.add_argument(
        "--issue", action="store_true", help="run it, and print what to file on a tracker, in Markdown"
    )
    does.add_argument(
        "--save",
        dest="folder",
        type=Path,
        metavar="FOLDER",
        help="write every script, as a file; no file of others is overwritten",
    )
    command.add_argument(
        "--kinds", action="store_true", help="with --save: one script of each kind of failure"
    )
    command.add_argument(
        "--force", action="store_true", help="with --save: overwrite files that were edited, and others"
    )
    command.set_defaults(command=reproduce)

    command = commands.add_parser(
        "known",
        help="show the known failures of an implementation, each tried again",
        description="Show the known failures of an implementation, with the versions that they were "
        "seen in. The example of each is tried again: the exit status is 1 where one is not what it says"
        " any more.",
    )
    command.add_argument("name", metavar="NAME", help="a name, or a path")
    command.set_defaults(command=known)

    command = commands.add_parser(
        "history",
        help="check the releases of a package: in which one laws broke, or were mended",
        description="Check the releases of a package, each in an environment of its own, made by uv or "
        "pip, and show in which one laws broke or were mended. What is checked stays checked: called "
        "again, it goes on.",
    )
    command.add_argument("name", metavar="NAME", help="an implementation: a name, or a path")
    command.add_argument(
        "--package", metavar="NAME", help="the package that has the releases, where it isn't known"
    )
    command.add_argument(
        "--with",
        dest="beside",
        nargs="+",
        default=(),
        metavar="PACKAGE",
        help="what else is installed: names, versions or files, as pip takes them",
    )
    which = command.add_mutually_exclusive_group()
    which.add_argument("--versions", nargs="+", metavar="V", help="these (default: all)")
    which.add_argument("--since", metavar="V", help="this one, and those after it")
    command.add_argument(
        "--folder",
        type=Path,
        default=Path("tmref-history"),
        metavar="FOLDER",
        help="where reports are, and environments until they are not needed any more (default: "
        "%(default)s)",
    )
    command.add_argument(
        "--keep-environments", action="store_true", help="don't delete those of what is checked"
    )
    _add_cases(command)
    command.add_argument("--json", type=Path, metavar="FILE", help="keep what was found")
    command.add_argument("--markdown", type=Path, metavar="FILE", help="write it as a page of Markdown")
    command.set_defaults(command=history)

    command = commands.add_parser(
        "bench",
        help="time implementations beside plain torch",
        description="Time modules of implementations beside the same work in plain torch, block by "
        "block, by turns in one process and on one thread: ratios with their quartiles, throughput.",
    )
    command.add_argument("names", nargs="+", metavar="NAME", help="a name, a path, or all")
    command.add_argument("--rows", nargs="+", default=BENCH_ROWS, metavar="ROW", help=_DEFAULT)
    command.add_argument(
        "--blocks", nargs="+", type=int, default=(1, 16, 256), metavar="N", help=_DEFAULT
    )
    command.add_argument("--samples", nargs="+", type=int, default=(1, 100), metavar="N", help=_DEFAULT)
    command.add_argument(
        "--passes",
        nargs="+",
        default=("forward", "forward + backward"),
        metavar="PASS",
        help="forward, inference, forward + backward, compiled; default: %(default)s",
    )
    command.add_argument("--plot", type=Path, metavar="FILE.png", help="draw microseconds a block")
    command.add_argument("--device", default="cpu", help=_DEFAULT)
    command.set_defaults(command=bench)

    command = commands.add_parser("list", help="list what there is")
    what = ("laws", "rows", "implementations", "strategies")
    command.add_argument(
        "what", choices=what, metavar="WHAT", help=f"{', '.join(what[:-1])} or {what[-1]}"
    )
    command.add_argument("name", nargs="?", metavar="NAME", help="whose rows: the name, or the path")
    command.set_defaults(command=list_)

    command = commands.add_parser("reach", help="count how often the strategies meet each corner")
    command.add_argument("--examples", type=int, default=1000, metavar="N", help="default: %(default)s")
    command.add_argument("--hypothesis-seed", type=int, default=0, metavar="N", help="default: 0")
    command.set_defaults(command=reach)
    return parser


def bench(options: argparse.Namespace) -> int:
    """Time implementations beside plain torch, and show the table."""
    import torch
    from rich.console import Console
    from rich.progress import track

    from .bench.table import measure, plot, show
    from .bench.work import grid, known_rows

    names = chosen("bench", options.names)
    if names is None or not usable("bench", options.device):
        return UNUSABLE
    try:
        rows = known_rows(names)
        cells = grid(options.rows, options.blocks, options.samples, options.passes, rows)
        if options.plot:
            import matplotlib  # noqa: F401
    except (ImportError, ValueError) as error:
        remedy = (
            "; install it with: pip install 'tmref[bench]'" if isinstance(error, ImportError) else ""
        )
        print(f"tmref bench: {error}{remedy}", file=sys.stderr)
        return UNUSABLE
    torch.set_num_threads(1)
    console = Console(stderr=True)
    progress = track(cells, "measuring", console=console, disable=not console.is_terminal)
    measured = measure(progress, names, options.device)
    show(measured, names, options.device)
    if options.plot:
        plot(measured, names, options.plot)
    return BAD if any(of_cell.missing for of_cell in measured) else GOOD


def list_(options: argparse.Namespace) -> int:
    """List laws with what they demand, rows with their traits, the catalog's or an implementation's, the
    implementations, or the strategies with what they give; all but implementations in Markdown."""
    from .implementations import UnknownImplementation, load, names
    from .reports.pages import laws_page, rows_page, strategies_page

    pages = {"laws": laws_page, "rows": rows_page, "strategies": strategies_page}
    if options.name is not None:
        if options.what != "rows":
            print(f"tmref list: {options.what} are nobody's own: leave out the name", file=sys.stderr)
            return UNUSABLE
        found = chosen("list", [options.name])
        if found is None:
            return UNUSABLE
        print(rows_page(load(found[0]).rows), end="")
        return GOOD
    if options.what in pages:
        print(pages[options.what](), end="")
        return GOOD
    for name in names():
        try:
            print(f"{name} {load(name).version}")
        except UnknownImplementation as error:
            print(error)
    return GOOD


def reach(options: argparse.Namespace) -> int:
    """Count how often the strategies meet each corner that they must meet."""
    from .reports.terminal import show_reach
    from .strategies.reach import CORNERS, count

    if options.examples < 1:
        print(f"tmref reach: --examples must be at least 1, got {options.examples}", file=sys.stderr)
        return UNUSABLE
    counts = count(CORNERS, options.examples, options.hypothesis_seed)
    show_reach(counts, options.examples)
    return GOOD if all(counts.values()) else BAD


def run() -> None:
    """Run the command, and end: it does not wait for threads that an adapter left. What a stream has no
    letters for is written as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    status = main()
    if all(thread.daemon or thread is threading.main_thread() for thread in threading.enumerate()):
        sys.exit(status)
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    run()
