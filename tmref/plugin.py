"""The pytest plugin that runs the laws.

``pytest -p tmref.plugin --pyargs tmref.laws --tmref-impl NAME``
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from . import verdicts
from .catalog import DATA
from .implementations import Implementation, UnknownImplementation, UnusableDevice, load
from .laws import LAWS, smoke
from .laws.checks import cases
from .laws.runner import NO_ROW

#: Failures are kept here, and tried again first.
DATABASE = Path(".hypothesis") / "tmref"


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
        found += cases(
            implementation, effort=effort, seed=_seed(config), database=DATABASE, device=device
        )
    metafunc.parametrize("tmref_case", found, ids=[case.name for case in found])


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("tmref_report") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Recorder(config), "tmref-recorder")


class _Recorder:
    """Writes what the tests recorded to the file of verdicts; with workers, in their parent."""

    def __init__(self, config: pytest.Config) -> None:
        found = _implementations(config)
        self._versions = {implementation.name: str(implementation.version) for implementation in found}
        device = str(found[0].device)
        settings = {"effort": config.getoption("tmref_effort"), "selection": config.getoption("-k")}
        laws = {smoke.NAME: "smoke"} | {law.name: law.family for law in LAWS}
        of_all = (row for implementation in found for row in implementation.rows)
        rows = [NO_ROW, *dict.fromkeys(row.name for row in (*DATA, *of_all))]
        head = verdicts.header(self._versions, laws, rows, _seed(config), settings, device)
        self._report = verdicts.Report(Path(config.getoption("tmref_report")), head)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        recorded: Any = dict(report.user_properties).get("tmref")
        if report.when == "call" and recorded is not None:
            self._report.add(verdicts.Verdict(**recorded))
        elif report.failed and report.when != "teardown" and "[" in report.nodeid:
            self._report.add(self._unfinished(report))

    def _unfinished(self, report: pytest.TestReport) -> verdicts.Verdict:
        """The verdict on a test that didn't come to one: it crashed, hung, or tmref itself is wrong."""
        case = report.nodeid.partition("[")[2].removesuffix("]")
        name, row, law = case.rsplit("-", 2)
        if row == "":  # the smoke law's row is a hyphen itself
            name, row = name.removesuffix("-"), "-"
        text = str(report.longrepr).strip().splitlines() or ["no reason given"]
        return verdicts.Verdict(
            law,
            row,
            name,
            self._versions.get(name, "?"),
            verdicts.ERROR,
            message=f"crashed, hung, or failed in tmref itself: {text[-1]}",
        )

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: Any) -> None:
        ended = exitstatus in (0, 1, 5)  # all passed, some failed, nothing was selected
        self._report.close(complete=ended and not (session.shouldstop or session.shouldfail))
