"""The command line: ``tmref check``, ``report``, ``bench``, ``list`` and ``reach``."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import __version__

if TYPE_CHECKING:
    from .verdicts import Results

GOOD, BAD, UNUSABLE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0 for what is expected, 1 for what is not, 2 for
    unusable arguments, 130 for Ctrl-C."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command is not check:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        import hypothesis  # noqa: F401
        import pytest  # noqa: F401
        import rich  # noqa: F401
    except ImportError as error:
        print(f"tmref: {error}; install what it needs with: pip install 'tmref[check]'", file=sys.stderr)
        return UNUSABLE
    if options.command is check:
        options.pytest = rest
        if not (options.names or options.resume or options.failed):
            parser.error("the following arguments are required: NAME, or --resume or --failed FILE")
        if options.resume and options.failed:
            parser.error("argument --failed: not allowed with argument --resume")
    try:
        status: int = options.command(options)
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
#: What a check is made with where nothing else is said.
_MADE_WITH = {
    "names": [],
    "selection": "",
    "device": "cpu",
    "effort": 1,
    "seed": 0,
    "timeout": 30,
    "memory": 8,
}


def _default(name: str) -> str:
    return f"default: {_MADE_WITH[name]}"


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
    command.add_argument("-k", dest="selection", metavar="EXPR", help="only rows and laws of such names")
    command.add_argument("-n", dest="workers", metavar="N", help="workers (default: 1)")
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
    amount = command.add_mutually_exclusive_group()
    for option, effort, words in (
        ("--quick", 0.1, "a tenth of the examples"),
        ("--thorough", 10, "ten times the examples"),
    ):
        amount.add_argument(option, action="store_const", const=effort, dest="effort", help=words)
    command.add_argument("--hypothesis-seed", type=int, dest="seed", metavar="N", help=_default("seed"))
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
        help="where examples that broke a law are kept, and tried first: a folder, or "
        "redis://HOST:PORT/NUMBER (default: .hypothesis/tmref)",
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
        "-v", "--verbose", action="store_true", help="show all that tmref report shows of the file"
    )
    command.add_argument("-q", "--quiet", action="store_true", help="say nothing before the end")
    command.set_defaults(command=check)

    command = commands.add_parser(
        "report",
        help="show a file of verdicts: the table of laws and rows, and a script for each failure",
    )
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    command.set_defaults(command=report)

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


#: Nobody's configuration of pytest, and no plugins but those that a check needs: its verdicts depend on
#: nothing that lies in the folder or is installed beside it.
_ALONE = (
    *("-c", os.devnull, "--noconftest", "-p", "no:cacheprovider", "-p", "no:warnings"),
    *("-p", "no:logging", "-p", "no:unraisableexception", "-p", "no:threadexception"),
    *("-p", "no:faulthandler"),
    *("-p", "xdist.plugin", "-p", "_hypothesis_pytestplugin"),
    *("-p", "tmref.plugin"),
)


@contextlib.contextmanager
def _without_plugins_of_others() -> Iterator[None]:
    """Let pytest, here and in its workers, neither read the variables that name plugins and options nor
    load what is installed."""
    before = dict(os.environ)
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _noticing_exits() -> Iterator[None]:
    """Say that what is judged ends this process, which isn't held here, and let it be no good end."""
    leave, process, stderr = os._exit, os.getpid(), os.dup(2)  # pytest puts others in its place

    def exits(status: int) -> NoReturn:
        if os.getpid() == process:  # and no process that it has forked
            words = f"what is judged ended the process, with status {status}: the check is cut short"
            os.write(stderr, f"\ntmref check: {words}\n".encode())
            status = status or BAD
        leave(status)

    os._exit = exits
    try:
        yield
    finally:
        os._exit = leave
        os.close(stderr)


#: Workers are replaced as often as they die.
_FOR_EVER = 10**9


#: The options that are numbers above 0, with what they are numbers of.
_AMOUNTS = {"budget": "minutes", "timeout": "seconds", "memory": "GiB"}


def _wrong_about(options: argparse.Namespace) -> str | None:
    """What of the options can't be, or does not go together."""
    from _pytest.mark.expression import Expression

    if options.budget is not None and options.on is None:
        return "--budget is for a cluster: give its address, too, --on dask://HOST:PORT"
    if options.on is not None and options.workers is not None:
        return "-n is the number of workers here, and --on is for those of a cluster: leave out one"
    for name, unit in _AMOUNTS.items():
        amount = getattr(options, name)
        if amount is not None and not 0 < amount < inf:
            return f"--{name} must be a number of {unit} above 0, got {amount:g}"
    workers = options.workers or "1"
    if not (workers.isdecimal() or workers in ("auto", "logical")):
        return f"-n must be a number of workers, auto or logical, got {workers!r}"
    try:
        Expression.compile(options.selection)
    except SyntaxError as error:
        return (
            f"-k must be names of rows and laws, joined by and, or, not and brackets, got "
            f"{options.selection!r}: {error.msg}"
        )
    return None


@contextlib.contextmanager
def _cluster(options: argparse.Namespace, names: Sequence[str]) -> Iterator[Any]:
    """The plugin of pytest that has a cluster try the cases; None where none is asked for. Raises
    UnusableCluster."""
    from .cluster import UnusableCluster

    if options.on is None:
        yield None
        return
    try:
        from .cluster.process import Options, versions_with
        from .cluster.session import cluster
    except ImportError as error:
        raise UnusableCluster(f"{error}; install it with: pip install 'tmref[cluster]'") from error
    found = Options(
        names=names,
        effort=options.effort,
        device=options.device,
        database=None if options.resume else options.database,
        timeout=options.timeout,
        memory=options.memory,
        versions=versions_with(names),
    )
    with cluster(options.on, found, options.budget) as plugin:
        yield plugin


def check(options: argparse.Namespace) -> int:
    """Run the laws by pytest, then show the file of verdicts that it wrote."""
    if sys.stderr.isatty() and not options.quiet:  # it takes seconds until there is a bar
        print("tmref check: loading ...", file=sys.stderr, flush=True)
    import pytest

    from .cluster import UnusableCluster
    from .laws.kept import FOLDER, UnusableDatabase, usable_database
    from .reports.progress import Bar
    from .reports.terminal import show, show_brief
    from .verdicts import read, usable_place

    try:
        complete = _settle(options)
        wrong = _wrong_about(options)
        if wrong:
            raise ValueError(wrong)
        if options.report:
            usable_place(options.report)
        if options.failed and all(v.expected for v in read(options.failed).verdicts):
            print(f"every verdict in {options.failed} is as expected: there is nothing to try again")
            return GOOD
        options.database = usable_database(options.database or FOLDER)
    except UnusableDatabase as error:
        print(f"tmref check: --database: {error}", file=sys.stderr)
        return UNUSABLE
    except (OSError, ValueError) as error:
        print(f"tmref check: {error}", file=sys.stderr)
        return UNUSABLE
    # from here on code of others runs, which may go to another folder
    kept, failed = (path and path.absolute() for path in (options.report, options.failed))
    chosen = _chosen("check", options.names) if _usable("check", options.device) else None
    if chosen is None or not _testable(chosen):
        return UNUSABLE
    if options.workers == "0":
        print("tmref check: in the main process (-n 0) a crash ends the check", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        path = kept or Path(folder) / "report.jsonl"
        before = path.stat().st_ino if path.exists() else None
        try:
            exits = _noticing_exits() if options.workers == "0" else contextlib.nullcontext()
            with exits, _without_plugins_of_others(), _cluster(options, chosen) as cluster:
                plugins = [Bar(quiet=options.quiet), *([cluster] if cluster else [])]
                ended = pytest.main(_for_pytest(options, chosen, path, failed), plugins=plugins)
        except UnusableCluster as error:
            print(f"tmref check: --on: {error}", file=sys.stderr)
            return UNUSABLE
        if cluster is not None and cluster.said:
            print(f"tmref check: {cluster.said}", file=sys.stderr)
        is_new = path.exists() and path.stat().st_ino != before
        if ended == pytest.ExitCode.USAGE_ERROR or not is_new:
            return UNUSABLE
        if complete:
            print(
                f"tmref check: {options.report} is complete: nothing was left to be tried",
                file=sys.stderr,
            )
        status = _show(read(path), options.report, show if options.verbose else show_brief)
    if not options.verbose:
        print("\nthe table of laws and rows, and a script for each failure:")
        shown = f"tmref report {options.report or 'FILE'}"
        how = shown if options.report else f"--report FILE, then {shown}"
        print(f"    {how}")
    return status


def _settle(options: argparse.Namespace) -> bool:
    """Fill in what is not said: from the report that is resumed, or as it is by default. Returns whether
    that report is complete. Raises OSError and ValueError where the files that are named can't be
    used."""
    from .resuming import begun
    from .verdicts import part_of, read

    before: dict[str, Any] = {}
    complete = False
    if options.resume:
        if options.resume.suffix == ".part":  # where it is until it is whole
            options.resume = options.resume.with_suffix("")
        if options.report not in (None, options.resume):
            raise ValueError(f"--resume: it writes to {options.resume}: leave out --report")
        options.report = options.resume
        found = begun(options.report)
        if found is None and not options.names:
            raise ValueError(
                f"--resume: there is neither {options.report} nor {part_of(options.report)}: say what "
                "is to be checked, then it is begun"
            )
        if found is not None:
            before = {**found.header, **found.header.get("settings", {})}
            complete = found.footer is not None
    elif options.failed:
        before = {"names": read(options.failed).header.get("names", [])}
    for name, default in _MADE_WITH.items():
        if getattr(options, name) in (None, []):
            setattr(options, name, before.get(name, default))
    if not options.names:
        there = options.resume or options.failed
        raise ValueError(f"{there} doesn't say what it is of: name what is to be checked")
    return complete


def _for_pytest(
    options: argparse.Namespace, chosen: Sequence[str], path: Path, failed: Path | None
) -> list[str]:
    """The arguments of pytest."""
    return [
        *_ALONE,
        *("--rootdir", os.getcwd(), "--import-mode=importlib", f"--max-worker-restart={_FOR_EVER}"),
        *("-qq", "--no-header", "--no-summary", "--tb=no", "-o", "console_output_style=classic"),
        *(f"--tmref-impl={name}" for name in chosen),
        *(f"--tmref-report={path}", f"--tmref-effort={options.effort}"),
        *(f"--tmref-device={options.device}", f"--tmref-seed={options.seed}"),
        *(f"--tmref-timeout={options.timeout}", f"--tmref-memory={options.memory}"),
        *(["--tmref-resume"] if options.resume else []),
        *([f"--tmref-failed={failed}"] if failed else []),
        f"--tmref-database={options.database}",
        *(f"-n={'0' if options.on else options.workers or '1'}", f"-k={options.selection}"),
        *("--pyargs", "tmref.laws", *options.pytest),
    ]


def _testable(chosen: Sequence[str]) -> bool:
    """Whether the rows that the implementations bring promise nothing that no law tests; says what
    where they do."""
    from .implementations import load
    from .laws.checks import own_rows

    try:
        for name in chosen:
            own_rows(load(name))
    except (TypeError, ValueError) as error:
        print(f"tmref check: {name}: {error}", file=sys.stderr)
        return False
    return True


def _usable(command: str, device: str) -> bool:
    """Whether something can be computed on the device; says why where not."""
    from .implementations import UnusableDevice, usable_device

    try:
        usable_device(device)
    except UnusableDevice as error:
        print(f"tmref {command}: --device: {error}", file=sys.stderr)
        return False
    return True


def _chosen(command: str, given: Sequence[str]) -> list[str] | None:
    """The names of the implementations to be tried, of all that are there for ``all``; None, after
    saying why, where one of those named can't be."""
    from .implementations import UnknownImplementation, load, names
    from .verdicts import readable

    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where an adapter of one's own is looked for
    everything = list(given) == ["all"]
    chosen: list[str] = []
    called: dict[str, str] = {}
    for name in names() if everything else dict.fromkeys(given):
        try:
            _probe(name)
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
            chosen.append(name)
    return chosen


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


def _probe(name: str) -> None:
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


def bench(options: argparse.Namespace) -> int:
    """Time implementations beside plain torch, and show the table."""
    import torch
    from rich.console import Console
    from rich.progress import track

    from .bench.table import measure, plot, show
    from .bench.work import grid, known_rows

    names = _chosen("bench", options.names)
    if names is None or not _usable("bench", options.device):
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


def report(options: argparse.Namespace) -> int:
    """Show files of verdicts."""
    from .reports.terminal import show
    from .verdicts import read

    status = GOOD
    for path in options.files:
        try:
            results = read(path)
        except ValueError as error:
            print(f"tmref: {error}", file=sys.stderr)
            return UNUSABLE
        status = max(status, _show(results, path, show))
    return status


def _show(results: Results, path: Path | None, show: Callable[[Results], None]) -> int:
    """Show verdicts, and how those that are missing come into their file, if it is kept; returns the
    status."""
    show(results)
    if path and results.footer is None:
        print(f"\nto try what is missing:\n    tmref check --resume {path}")
    return GOOD if results.good else BAD


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
        chosen = _chosen("list", [options.name])
        if chosen is None:
            return UNUSABLE
        print(rows_page(load(chosen[0]).rows), end="")
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
    """Run the command, and end: it does not wait for threads that an adapter left."""
    status = main()
    if all(thread.daemon or thread is threading.main_thread() for thread in threading.enumerate()):
        sys.exit(status)
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    run()
