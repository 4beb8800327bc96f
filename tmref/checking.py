"""``tmref check``: pytest runs the laws, and the file that it writes is shown."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path
from typing import Any, NoReturn

from .adapters import chosen, copies, usable
from .reporting import print_more, shown
from .statuses import BAD, GOOD, UNUSABLE

#: What a check is made with where nothing else is said.
MADE_WITH = {
    "names": [],
    "selection": "",
    "device": "cpu",
    "effort": 1,
    "seed": 0,
    "timeout": 30,
    "memory": 8,
}


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
    if options.budget is not None and options.on is None:
        return "--budget is for a cluster: give its address, too, --on dask://HOST:PORT"
    if options.on is not None and options.workers is not None:
        return "-n is the number of workers here, and --on is for those of a cluster: leave out one"
    for name, unit in _AMOUNTS.items():
        amount = getattr(options, name)
        if amount is not None and not 0 < amount < inf:
            return f"--{name} must be a number of {unit} above 0, got {amount:g}"
    return wrong_about_cases(options.selection, options.workers)


def wrong_about_cases(selection: str, workers: str | None) -> str | None:
    """What of the names that are selected, and of the number of workers, can't be."""
    from _pytest.mark.expression import Expression

    workers = workers or "1"
    if not (workers.isdecimal() or workers in ("auto", "logical")):
        return f"-n must be a number of workers, auto or logical, got {workers!r}"
    try:
        Expression.compile(selection)
    except SyntaxError as error:
        return (
            f"-k must be names of rows and laws, joined by and, or, not and brackets, got "
            f"{selection!r}: {error.msg}"
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
    from .laws.kept import UnusableDatabase, usable_database
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
        if options.database is not None:
            options.database = usable_database(options.database)
    except UnusableDatabase as error:
        print(f"tmref check: --database: {error}", file=sys.stderr)
        return UNUSABLE
    except (OSError, ValueError) as error:
        print(f"tmref check: {error}", file=sys.stderr)
        return UNUSABLE
    # from here on code of others runs, which may go to another folder
    here = Path.cwd()
    kept, failed = (path and path.absolute() for path in (options.report, options.failed))
    names = chosen("check", options.names) if usable("check", options.device) else None
    if names is None or not _testable(names):
        return UNUSABLE
    for words in copies(here):
        print(f"tmref check: {words}", file=sys.stderr)
    if options.workers == "0":
        print("tmref check: in the main process (-n 0) a crash ends the check", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        path = kept or Path(folder) / "report.jsonl"
        before = path.stat().st_ino if path.exists() else None
        try:
            exits = _noticing_exits() if options.workers == "0" else contextlib.nullcontext()
            with exits, _without_plugins_of_others(), _cluster(options, names) as cluster:
                plugins = [Bar(quiet=options.quiet), *([cluster] if cluster else [])]
                ended = pytest.main(_for_pytest(options, names, path, failed), plugins=plugins)
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
        status = shown(read(path), options.report, show if options.verbose else show_brief)
    if options.effort < 1:
        print("\n--quick tries most laws once, to see whether all is wired up, not to find bugs")
    if not options.verbose:
        print_more(str(options.report or "FILE"), kept=options.report is not None)
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
    for name, default in MADE_WITH.items():
        if getattr(options, name) in (None, []):
            setattr(options, name, before.get(name, default))
    if not options.names:
        there = options.resume or options.failed
        raise ValueError(f"{there} doesn't say what it is of: name what is to be checked")
    return complete


def _for_pytest(
    options: argparse.Namespace, names: Sequence[str], path: Path, failed: Path | None
) -> list[str]:
    """The arguments of pytest."""
    return [
        *_ALONE,
        *("--rootdir", os.getcwd(), "--import-mode=importlib", f"--max-worker-restart={_FOR_EVER}"),
        *("-qq", "--no-header", "--no-summary", "--tb=no", "-o", "console_output_style=classic"),
        *(f"--tmref-impl={name}" for name in names),
        *(f"--tmref-report={path}", f"--tmref-effort={options.effort}"),
        *(f"--tmref-device={options.device}", f"--tmref-seed={options.seed}"),
        *(f"--tmref-timeout={options.timeout}", f"--tmref-memory={options.memory}"),
        *(["--tmref-resume"] if options.resume else []),
        *([f"--tmref-failed={failed}"] if failed else []),
        *([f"--tmref-database={options.database}"] if options.database else []),
        *(f"-n={'0' if options.on else options.workers or '1'}", f"-k={options.selection}"),
        *("--pyargs", "tmref.laws", *options.pytest),
    ]


def _testable(names: Sequence[str]) -> bool:
    """Whether the rows that the implementations bring promise nothing that no law tests; says what
    where they do."""
    from .implementations import load
    from .laws.checks import own_rows

    try:
        for name in names:
            own_rows(load(name))
    except (TypeError, ValueError) as error:
        print(f"tmref check: {name}: {error}", file=sys.stderr)
        return False
    return True
