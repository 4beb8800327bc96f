"""The pytest plugin that runs the laws.

``pytest -p tmref.plugin --pyargs tmref.laws --tmref-impl NAME``
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from . import verdicts
from .catalog import DATA
from .implementations import Implementation, UnknownImplementation, UnusableDevice, load
from .laws import LAWS, limits, smoke
from .laws.checks import cases
from .laws.kept import FOLDER
from .laws.runner import NO_ROW
from .watch import MEMORY, Watch


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tmref")
    group.addoption(
        "--tmref-impl",
        action="append",
        metavar="NAME",
        help="an implementation to check, by its name or path; may be given several times",
    )
    group.addoption(
        "--tmref-device",
        default="cpu",
        metavar="DEVICE",
        help="where maps and modules are, as torch names it: cpu, cuda, cuda:1 (default: %(default)s)",
    )
    group.addoption("--tmref-report", metavar="FILE", help="write the verdicts to FILE, as JSON lines")
    group.addoption(
        "--tmref-seed", type=int, metavar="N", help="draw the examples of this seed (default: 0)"
    )
    group.addoption(
        "--tmref-effort",
        type=float,
        default=1,
        metavar="F",
        help="try F times the examples that each law asks for (default: %(default)s)",
    )
    group.addoption(
        "--tmref-database",
        default=FOLDER,
        metavar="PLACE",
        help="keep examples that broke a law in this folder or Redis, and try them first "
        "(default: %(default)s)",
    )
    group.addoption(
        "--tmref-timeout",
        type=float,
        default=limits.SECONDS,
        metavar="S",
        help="seconds that an example may take, and a verdict twenty times (default: %(default)s)",
    )
    group.addoption(
        "--tmref-memory",
        type=float,
        default=MEMORY,
        metavar="GIB",
        help="so much memory a worker may take (default: %(default)s)",
    )


def _seed(config: pytest.Config) -> int:
    """The seed asked for; Hypothesis' own, too, with which it tries no examples that failed before."""
    own = config.getoption("tmref_seed")
    return int(own if own is not None else config.getoption("hypothesis_seed", None) or 0)


def _implementations(config: pytest.Config) -> list[Implementation]:
    """Those to be checked, on the device to be checked."""
    device = config.getoption("tmref_device")
    try:
        return [load(name).on(device) for name in config.getoption("tmref_impl") or ["reference"]]
    except (UnknownImplementation, UnusableDevice) as error:
        raise pytest.UsageError(str(error)) from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "tmref_case" not in metafunc.fixturenames:
        return
    config = metafunc.config
    found = []
    for implementation in _implementations(config):
        effort = config.getoption("tmref_effort")
        device = str(implementation.device)
        try:
            found += cases(
                implementation,
                effort=effort,
                seed=_seed(config),
                place=config.getoption("tmref_database"),
                device=device,
                timeout=config.getoption("tmref_timeout"),
            )
        except (TypeError, ValueError) as error:
            raise pytest.UsageError(f"{implementation.name}: {error}") from error
    metafunc.parametrize("tmref_case", found, ids=[case.name for case in found])


def pytest_configure(config: pytest.Config) -> None:
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        limits.write_the_pulse_to(Path(worker["tmref_pulses"]) / worker["workerid"])
        return
    watch = Watch(config.getoption("tmref_memory"))
    config.pluginmanager.register(watch, "tmref-watch")
    if config.getoption("tmref_report"):
        config.pluginmanager.register(_Recorder(config, watch), "tmref-recorder")


class _Recorder:
    """Writes what the tests recorded to the file of verdicts; with workers, in their parent. It knows
    which verdicts are owed: one that doesn't come is an error."""

    def __init__(self, config: pytest.Config, watch: Watch) -> None:
        found = _implementations(config)
        self._watch = watch
        self._versions = {implementation.name: implementation.version for implementation in found}
        self._cases: dict[str, tuple[str, str, str]] = {}
        for implementation in found:
            for case in cases(implementation):
                row = case.row.name if case.row else NO_ROW
                law = case.law.name if case.law else smoke.NAME
                self._cases[_id(case.name)] = law, row, implementation.name
        #: The identifiers of the tests whose verdicts are owed.
        self._owed: dict[str, None] = {}
        device = str(found[0].device)
        settings = {"effort": config.getoption("tmref_effort"), "selection": config.getoption("-k")}
        laws = {smoke.NAME: "smoke"} | {law.name: law.family for law in LAWS}
        of_all = (row for implementation in found for row in implementation.rows)
        rows = [NO_ROW, *dict.fromkeys(row.name for row in (*DATA, *of_all))]
        head = verdicts.header(self._versions, laws, rows, _seed(config), settings, device)
        self._report = verdicts.Report(Path(config.getoption("tmref_report")), head)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._owe([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        if not self._owed:  # workers that replace others find the same
            self._owe(ids)

    def _owe(self, ids: Sequence[str]) -> None:
        self._owed.update(dict.fromkeys(name for name in ids if self._case(name)))

    def _case(self, nodeid: str) -> tuple[str, str, str] | None:
        """The law, row and implementation of a test."""
        return self._cases.get(nodeid.partition("[")[2].removesuffix("]"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        recorded: Any = dict(report.user_properties).get("tmref")
        if report.when == "call" and recorded is not None:
            self._add(report.nodeid, verdicts.Verdict(**recorded))
        elif report.failed and report.when != "teardown":
            text = str(report.longrepr).strip().splitlines() or ["no reason given"]
            reason = self._watch.reason(report) or f"tmref itself is wrong: {text[-1]}"
            self._add_error(report.nodeid, reason)

    def _add(self, nodeid: str, verdict: verdicts.Verdict) -> None:
        if nodeid in self._owed:
            del self._owed[nodeid]
            self._report.add(verdict)

    def _add_error(self, nodeid: str, reason: str) -> None:
        """The verdict on a test that didn't come to one."""
        case = self._case(nodeid)
        if case is not None:
            version = self._versions[case[2]]
            self._add(nodeid, verdicts.Verdict(*case, version, verdicts.ERROR, message=reason))

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: Any) -> None:
        ended = exitstatus in (0, 1, 5)  # all passed, some failed, nothing was selected
        complete = ended and not (session.shouldstop or session.shouldfail)
        for nodeid in list(self._owed) if complete else ():
            self._add_error(nodeid, "its verdict got lost")
        self._report.close(complete=complete)


def _id(name: str) -> str:
    """The name of a case as pytest writes it in identifiers."""
    return name.encode("unicode_escape").decode("ascii")
