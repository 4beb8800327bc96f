"""How far a check is and what it finds, while it runs: on standard error, in place of pytest's dots."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ..printing import counted
from ..verdicts import Verdict, kind_of

#: So many seconds pass between two lines where there is no bar.
_EVERY = 30.0
#: So many failures are announced; a library that breaks every law is not to flood the terminal.
_MOST = 20


class _Rate(ProgressColumn):
    """How many verdicts come in a second."""

    def render(self, task: Task) -> Text:
        return Text(_rate(task))


def _rate(task: Task) -> str:
    return f"{task.speed or 0:.1f}/s"


class Bar:
    """A plugin of pytest, for the process that the command was called in: it leaves pytest's dots out.

    On a terminal it draws a bar with what is being tried, elsewhere it writes a line now and then. The
    first words of what is not as expected are printed when it is found, once for all that is alike.
    Where it is ``quiet`` there is nothing of this.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        # a file of its own, since pytest puts others in the place of the streams while tests run
        self._console = Console(
            file=os.fdopen(os.dup(sys.stderr.fileno()), "w"), highlight=False, quiet=quiet
        )
        words = TextColumn("{task.description}")
        columns = (BarColumn(16), MofNCompleteColumn(), _Rate(), words, TimeRemainingColumn(), "left")
        self._progress = Progress(*columns, console=self._console)
        self._task = self._progress.add_task("", total=None, start=False)
        self._tried = Text(style="dim", no_wrap=True, overflow="ellipsis")
        live = Live(Group(self._progress, self._tried), console=self._console, transient=True)
        is_drawn = self._console.is_terminal and not self._console.is_dumb_terminal and not quiet
        self._live = live if is_drawn else None
        self._last_line = time.monotonic()
        self._counts: Counter[str] = Counter()
        #: What was announced: kinds, and what was said on a row.
        self._found: set[tuple[str | None, ...]] = set()
        self._announced = 0
        self._running: dict[str, None] = {}

    def _start(self, total: int) -> None:
        if self._progress.tasks[0].total is None:
            self._progress.update(self._task, total=total)
            self._progress.start_task(self._task)
            if self._live is not None:
                self._live.start(refresh=True)

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        """Let pytest call what refuses an option what its user calls it."""
        parser.prog = "tmref check"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Leave out what xdist says of its workers, too."""
        plugins = session.config.pluginmanager
        if (workers := plugins.get_plugin("dsession")) is not None:
            workers.terminal = None
            plugins.unregister(name="terminaldistreporter")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.items:
            self._start(len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        self._start(len(ids))

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, tuple[str, Any, Any], tuple[str, str, str]]:
        category, *_ = yield
        return category, "", ""

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._running[nodeid] = None
        self._show_what_is_tried()
        if self._live is not None and not self._progress.tasks[0].completed:
            self._live.refresh()  # the first verdicts may come before it is drawn by the clock

    @pytest.hookimpl(optionalhook=True)
    def pytest_tmref_verdict(self, nodeid: str, verdict: Verdict) -> None:
        """Count it, and print its first words where nobody expects it."""
        self._running.pop(nodeid, None)
        self._counts[verdict.status if verdict.expected else "unexpected"] += 1
        if not verdict.expected:
            self._announce(verdict)
        found = ", ".join(f"{self._counts[word]} {word}" for word in ("known", "unexpected"))
        self._progress.update(self._task, advance=1, description=found)
        self._show_what_is_tried()
        if self._live is None and time.monotonic() - self._last_line > _EVERY:
            self._print_line()

    def _announce(self, verdict: Verdict) -> None:
        said = (verdict.verdict, verdict.row, verdict.message)
        kinds = {(verdict.implementation, *kind) for kind in (kind_of(verdict), said)}
        if kinds & self._found:
            return
        self._found |= kinds
        self._announced += 1
        if self._announced > _MOST:
            if self._announced == _MOST + 1:
                self._console.print("further failures are only counted")
            return
        first, *_ = (verdict.message or "").splitlines() or [""]
        where = f"{verdict.law} on {verdict.row} of {verdict.implementation}"
        self._console.print(Text(f"{verdict.verdict}: {where}", "bold red"), soft_wrap=True)
        self._console.print(f"    {first}", markup=False, soft_wrap=True)

    def _print_line(self) -> None:
        """What the bar says, in words."""
        self._last_line = time.monotonic()
        task = self._progress.tasks[0]
        left = timedelta(seconds=int(task.time_remaining or 0))
        verdicts = counted(int(task.total or 0), "verdict")
        done = f"{task.completed:.0f} of {verdicts}, {_rate(task)}, {left} left"
        tried = f"; trying {self._tried.plain}" if self._tried.plain else ""
        words = f"{done}: {task.description}{tried}"
        self._console.print(words, markup=False, soft_wrap=True)

    def _show_what_is_tried(self) -> None:
        """Of the tests that run, the one that does for longest."""
        name, *_ = [*self._running, ""]
        self._tried.plain = name.partition("[")[2].removesuffix("]")

    def pytest_unconfigure(self) -> None:
        if self._live is not None:
            self._live.stop()
        self._console.file.close()
