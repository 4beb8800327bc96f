"""How far a check is, on a terminal: a bar in the place of pytest's dots."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from typing import Any

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TimeElapsedColumn


class Bar:
    """A plugin of pytest, for the process that the command was called in: it leaves pytest's dots out,
    and draws a bar on standard error where that is a terminal."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        if sys.stderr.isatty():
            # a file of its own, since pytest puts others in the place of the streams while tests run
            console = Console(file=os.fdopen(os.dup(sys.stderr.fileno()), "w"))
            columns = (BarColumn(), MofNCompleteColumn(), "verdicts", TimeElapsedColumn())
            self._progress = Progress(*columns, console=console, transient=True)

    def _start(self, total: int) -> None:
        if self._progress is not None and self._task is None:
            self._task = self._progress.add_task("", total=total)
            self._progress.start()

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

    def pytest_runtest_logfinish(self) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task)

    def pytest_unconfigure(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress.console.file.close()
