"""The pytest plugin that runs the laws.

``pytest -p tmref.plugin --pyargs tmref.laws --tmref-impl NAME``
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from . import resuming, verdicts
from .catalog import DATA
from .implementations import Implementation, UnknownImplementation, UnusableDevice, load
from .laws import LAWS, limits, smoke
from .laws.apart import explained
from .laws.checks import Case, cases
from .laws.kept import FOLDER
from .laws.limits import Ended
from .laws.own import it_can_be_made_and_called
from .laws.pulse import Pulse
from .laws.runner import NO_ROW
from .watch import Watch


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
        "--tmref-resume",
        action="store_true",
        help="keep the verdicts that a run that was cut short left there, and try the others",
    )
    group.addoption(
        "--tmref-failed",
        type=Path,
        metavar="FILE",
        help="try only what was not as expected in these verdicts",
    )
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
        default=limits.MEMORY,
        metavar="GIB",
        help="so much memory a worker may take (default: %(default)s)",
    )


class _Hooks:
    """What other plugins may hook into."""

    def pytest_tmref_verdict(self, nodeid: str, verdict: verdicts.Verdict) -> None:
        """A test has come to a verdict, which is in the report."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(_Hooks)


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


def _cases(config: pytest.Config, implementations: Sequence[Implementation]) -> list[Case]:
    """All that is to be checked of them."""
    # what a run that was cut short kept there would change what is counted
    place = None if config.getoption("tmref_resume") else config.getoption("tmref_database")
    found = []
    for implementation in implementations:
        try:
            found += cases(
                implementation,
                effort=config.getoption("tmref_effort"),
                seed=_seed(config),
                place=place,
                device=str(implementation.device),
                timeout=config.getoption("tmref_timeout"),
            )
        except (TypeError, ValueError) as error:
            raise pytest.UsageError(f"{implementation.name}: {error}") from error
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "tmref_case" not in metafunc.fixturenames:
        return
    config = metafunc.config
    found = _cases(config, _implementations(config))
    metafunc.parametrize("tmref_case", found, ids=[case.name for case in found])


def pytest_configure(config: pytest.Config) -> None:
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        limits.write_to(Pulse.in_file(Path(worker["tmref_pulses"]) / worker["workerid"]))
        config.pluginmanager.register(_Choice(*worker["tmref_choice"]), "tmref-choice")
        return
    watch = Watch(config.getoption("tmref_memory"))
    config.pluginmanager.register(watch, "tmref-watch")
    choice = _choice(config)
    if config.getoption("tmref_report"):
        config.pluginmanager.register(_Recorder(config, watch, choice), "tmref-recorder")
    config.pluginmanager.register(choice, "tmref-choice")


def _choice(config: pytest.Config) -> _Choice:
    """What is to be tried: all, or what was not as expected in another file of verdicts."""
    failed = config.getoption("tmref_failed")
    if failed is None:
        return _Choice(None)
    try:
        return _Choice([v.case for v in verdicts.read(failed).verdicts if not v.expected])
    except (OSError, ValueError) as error:
        raise pytest.UsageError(str(error)) from error


class _Choice:
    """Leaves out, here and in workers, all cases but these ``only``, where they are said, and those that
    are ``done``."""

    def __init__(self, only: Sequence[str] | None, done: Sequence[str] = ()) -> None:
        self.only = only
        self.done = done

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["tmref_choice"] = [self.only, self.done]

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        only, done = None if self.only is None else {*self.only}, {*self.done}
        kept: list[pytest.Item] = []
        left_out: list[pytest.Item] = []
        for item in items:
            parameters = getattr(item, "callspec", None)
            case = parameters and parameters.params.get("tmref_case")
            out = case and (case.name in done or (only is not None and case.name not in only))
            (left_out if out else kept).append(item)
        items[:] = kept
        config.hook.pytest_deselected(items=left_out)


class _Recorder:
    """Writes what the tests recorded to the file of verdicts; with workers, in their parent. It knows
    which verdicts are owed: one that doesn't come is an error."""

    def __init__(self, config: pytest.Config, watch: Watch, choice: _Choice) -> None:
        found = _implementations(config)
        self._watch = watch
        self._hook = config.hook
        self._cases = {_id(case.name): case for case in _cases(config, found)}
        #: The identifiers of the tests whose verdicts are owed.
        self._owed: dict[str, None] = {}
        self._report = _report(config, found, choice)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._owe([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        if not self._owed:  # workers that replace others find the same
            self._owe(ids)

    def _owe(self, ids: Sequence[str]) -> None:
        self._owed.update(dict.fromkeys(name for name in ids if self._case(name)))

    def _case(self, nodeid: str) -> Case | None:
        """What a test tries."""
        return self._cases.get(nodeid.partition("[")[2].removesuffix("]"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        recorded: Any = dict(report.user_properties).get("tmref")
        if report.when == "call" and recorded is not None:
            self._add(report.nodeid, verdicts.Verdict(**recorded))
        elif report.failed and report.when != "teardown":
            ended = self._watch.ended(report)
            if ended is None:
                text = str(report.longrepr).strip().splitlines() or ["no reason given"]
                ended = Ended(f"tmref itself is wrong: {text[-1]}", None)
            self._add_error(report.nodeid, ended)

    def _add(self, nodeid: str, verdict: verdicts.Verdict) -> None:
        if nodeid in self._owed:
            del self._owed[nodeid]
            self._report.add(verdict)
            self._hook.pytest_tmref_verdict(nodeid=nodeid, verdict=verdict)

    def _add_error(self, nodeid: str, ended: Ended) -> None:
        """The verdict on a test that didn't come to one."""
        case = self._case(nodeid)
        if case is not None:
            self._add(nodeid, explained(ended, case.check, case.blank()))

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: Any) -> None:
        ended = exitstatus in (0, 1, 5)  # all passed, some failed, nothing was selected
        complete = ended and not (session.shouldstop or session.shouldfail)
        for nodeid in list(self._owed) if complete else ():
            self._add_error(nodeid, Ended("its verdict got lost", None))
        try:
            self._report.close(complete=complete)
        except verdicts.UnusablePlace as error:
            print(f"tmref: {error}", file=sys.stderr)
            session.exitstatus = pytest.ExitCode.USAGE_ERROR


def _report(config: pytest.Config, found: Sequence[Implementation], choice: _Choice) -> verdicts.Report:
    """The file of verdicts, with those that are kept of a run that was cut short: the choice is what it
    was, without them."""
    path = Path(config.getoption("tmref_report"))
    try:
        begun = resuming.begun(path) if config.getoption("tmref_resume") else None
        if begun is not None:
            choice.only = begun.header.get("only")
            choice.done = [verdict.case for verdict in begun.verdicts]
        laws = dict.fromkeys((smoke.NAME, it_can_be_made_and_called.name), "smoke")
        laws |= {law.name: law.family for law in LAWS}
        of_all = (row for implementation in found for row in implementation.rows)
        head = verdicts.header(
            {implementation.name: implementation.version for implementation in found},
            laws,
            [NO_ROW, *dict.fromkeys(row.name for row in (*DATA, *of_all))],
            _seed(config),
            {name: config.getoption(option) for name, option in _SETTINGS.items()},
            str(found[0].device),
            config.getoption("tmref_impl") or ["reference"],
            choice.only,
        )
        if begun is None:
            return verdicts.Report(path, head)
        resuming.require_fit(path, begun.header, head["header"])
        return verdicts.Report(path, {"header": begun.header}, begun.verdicts)
    except OSError as error:
        raise pytest.UsageError(f"{path} can't be written: {error.strerror}") from error
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error


#: What verdicts depend on of the options, by the names of these.
_SETTINGS = {
    "effort": "tmref_effort",
    "selection": "-k",
    "timeout": "tmref_timeout",
    "memory": "tmref_memory",
}


def _id(name: str) -> str:
    """The name of a case as pytest writes it in identifiers."""
    return name.encode("unicode_escape").decode("ascii")
