"""The pytest plugin that runs the laws.

``pytest -p tmref.plugin --pyargs tmref.laws --tmref-impl NAME``
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from . import resuming, verdicts
from .catalog import DATA
from .implementations import CPU, Implementation, UnknownImplementation, UnusableDevice, load
from .laws import LAWS, limits, smoke
from .laws.apart import apart, explained
from .laws.checks import Case, cases
from .laws.limits import Ended
from .laws.own import it_can_be_made_and_called
from .laws.pulse import Pulse
from .laws.runner import NO_ROW
from .places import UnusablePlace
from .verdicts import ERROR, Verdict
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
        metavar="PLACE",
        help="keep examples that broke a law in this folder or Redis, and try them first",
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
        limits.be_watched(Pulse.taken_from(Path(worker["tmref_pulse"])))
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
    are ``done``. The others are put into this ``order``, where it is said: rows may come in another one
    in each process."""

    def __init__(
        self, only: Sequence[str] | None, done: Sequence[str] = (), order: Sequence[str] = ()
    ) -> None:
        self.only = only
        self.done = done
        self.order = order

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["tmref_choice"] = [self.only, self.done, self.order]

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        only, done = None if self.only is None else {*self.only}, {*self.done}
        places = {name: place for place, name in enumerate(self.order)}
        kept: list[tuple[int, pytest.Item]] = []
        left_out: list[pytest.Item] = []
        for item in items:
            parameters = getattr(item, "callspec", None)
            case = parameters and parameters.params.get("tmref_case")
            if case and (case.name in done or (only is not None and case.name not in only)):
                left_out.append(item)
            else:
                kept.append((places.get(case.name, len(places)) if case else -1, item))
        items[:] = [item for _, item in sorted(kept, key=lambda placed: placed[0])]
        config.hook.pytest_deselected(items=left_out)


class _Recorder:
    """Writes what the tests recorded to the file of verdicts; with workers, in their parent. It knows
    which verdicts are owed: one that doesn't come is an error."""

    def __init__(self, config: pytest.Config, watch: Watch, choice: _Choice) -> None:
        found = _implementations(config)
        self._watch = watch
        self._memory = config.getoption("tmref_memory")
        self._hook = config.hook
        self._cases = {_id(case.name): case for case in _cases(config, found)}
        choice.order = [case.name for case in self._cases.values()]
        #: The identifiers of the tests whose verdicts are owed,
        self._owed: dict[str, None] = {}
        #: why they get lost, as far as it is known,
        self._why = ""
        #: and the rows that each worker has had verdicts on.
        self._rows: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._report = _report(config, found, choice)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        """Learn here what is owed, where only workers would collect: they may not be able to."""
        if session.config.pluginmanager.has_plugin("dsession"):
            session.perform_collect()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._owed.update(
            dict.fromkeys(item.nodeid for item in session.items if self._case(item.nodeid))
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            said = report.longreprtext.strip().splitlines() or ["no reason given"]
            self._why = self._why or f"a worker can't try it: {said[-1].removeprefix('E').strip()}"

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        if not self._why and self._owed.keys() - {*ids}:
            self._why = "workers have rows of other names: they must be the same in each process"

    def _case(self, nodeid: str) -> Case | None:
        """What a test tries."""
        return self._cases.get(nodeid.partition("[")[2].removesuffix("]"))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the verdict. Where there is none yet, others see the one that it is recorded as."""
        recorded: Any = dict(report.user_properties).get("tmref")
        worker = getattr(report, "node", None)
        before = self._rows[worker.gateway.id] if worker else {}
        if report.when == "call" and recorded is not None:
            verdict = Verdict(**recorded)
            self._add(report.nodeid, verdict)
            if verdict.row != NO_ROW:
                before[verdict.row] = None
        elif report.failed and report.when != "teardown":
            ended = self._watch.ended(report)
            if ended is None:
                text = str(report.longrepr).strip().splitlines() or ["no reason given"]
                self._add_error(report.nodeid, Ended(f"tmref itself is wrong: {text[-1]}", None))
            elif (found := self._add_error(report.nodeid, ended, list(before))) is not None:
                _be_the_report(report, found)

    def _add(self, nodeid: str, verdict: verdicts.Verdict) -> None:
        if nodeid in self._owed:
            del self._owed[nodeid]
            self._report.add(verdict)
            self._hook.pytest_tmref_verdict(nodeid=nodeid, verdict=verdict)

    def _add_error(self, nodeid: str, ended: Ended, before: Sequence[str] = ()) -> Verdict | None:
        """The verdict on a test that didn't come to one, after some on other rows in the same worker."""
        case = self._case(nodeid)
        if case is None or nodeid not in self._owed:
            return None
        alone = _alone(ended, case, before, self._memory) if before else None
        verdict = alone or explained(ended, case.check, case.blank())
        self._add(nodeid, verdict)
        return verdict

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: Any) -> None:
        ended = exitstatus in (0, 1, 5)  # all passed, some failed, nothing was selected
        complete = ended and not (session.shouldstop or session.shouldfail)
        for nodeid in list(self._owed) if complete else ():
            why = self._watch.no_worker_starts or self._why or "its verdict got lost"
            if (verdict := self._add_error(nodeid, Ended(why, None))) is not None:
                report = _report_of(nodeid)
                _be_the_report(report, verdict)
                self._hook.pytest_runtest_logreport(report=report)
        try:
            self._report.close(complete=complete)
        except UnusablePlace as error:
            print(f"tmref: {error}", file=sys.stderr)
            session.exitstatus = pytest.ExitCode.USAGE_ERROR


def _report_of(nodeid: str) -> pytest.TestReport:
    """The report of a test that there was none of."""
    place = nodeid.partition("::")[0]
    return pytest.TestReport(nodeid, (place, None, place), {}, "failed", "", "call")


def _be_the_report(report: pytest.TestReport, verdict: Verdict) -> None:
    """Let a report say what a test of this verdict would have said, to whoever reads it next."""
    report.when = "call"
    report.longrepr = verdict.words


def _alone(ended: Ended, case: Case, before: Sequence[str], memory: float) -> Verdict | None:
    """The verdict on a case that ended its worker, and doesn't end another process: an error that names
    the rows that the worker had tried ``before``, which may be to blame. None where it ends that one,
    too, or can't be tried in a fork."""
    if case.implementation.device != CPU:
        return None
    try:
        found = apart(case.check, memory)
    except Exception:  # tmref itself is wrong, which explains nothing
        return None
    if isinstance(found, Ended):
        return None
    rows = ", ".join(before)
    return case.without(
        ERROR,
        f"its worker ended ({ended.reason}); alone it is {found.verdict}: what was tried there before "
        f"may be to blame, {rows}",
    )


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
        settings = {name: config.getoption(option) for name, option in _SETTINGS.items()}
        # what is added to a report is made as the rest was, but for what was kept since
        asked = "tried first" if config.getoption("tmref_database") else None
        settings[_KEPT] = begun.header["settings"].get(_KEPT) if begun is not None else asked
        head = verdicts.header(
            {implementation.name: implementation.version for implementation in found},
            laws,
            [NO_ROW, *dict.fromkeys(row.name for row in (*DATA, *of_all))],
            _seed(config),
            settings,
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
#: What else verdicts depend on: whether examples that are kept were tried first, wherever they are.
_KEPT = "kept examples"


def _id(name: str) -> str:
    """The name of a case as pytest writes it in identifiers."""
    return name.encode("unicode_escape").decode("ascii")
