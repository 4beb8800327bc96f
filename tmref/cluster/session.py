"""A check whose cases a Dask cluster tries: what is selected, recorded and shown stays pytest's."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from distributed import Client, Future, KilledWorker, as_completed, wait
from distributed import TimeoutError as TimeIsOver

from ..laws.apart import explained
from ..laws.checks import Case
from ..laws.limits import Ended
from ..printing import counted
from ..verdicts import ERROR, FAIL, NOT_OFFERED, PASS, UNTESTED, Verdict
from . import UnusableCluster
from .process import Options, Processes, ready, try_case

#: So many seconds a scheduler may take to answer, and workers to be ready.
_ANSWER, _READY = 10, 300
#: What is tried again, while there is time. Of two on one case the later one here stands, and what is
#: not here above all.
_ORDER = (NOT_OFFERED, UNTESTED, PASS, "known")


@contextlib.contextmanager
def cluster(url: str, options: Options, minutes: float | None) -> Iterator[Cluster]:
    """The cluster at a URL, whose workers are ready. Raises UnusableCluster."""
    address = _address(url)
    try:
        client = Client(address, timeout=_ANSWER)
    except (OSError, ValueError, TypeError) as error:
        raise UnusableCluster(
            f"no scheduler of Dask answers at {url} ({_first_line(error)}); start one: dask scheduler"
        ) from error
    with client:
        processes = Processes(f"tmref-{uuid.uuid4().hex}", options)
        workers = list(client.nthreads())
        if not workers:
            remedy = f"start some: dask worker {address}"
            raise UnusableCluster(f"the cluster at {url} has no workers; {remedy}")
        try:
            client.register_plugin(processes)
        except Exception as error:
            raise UnusableCluster(
                f"the workers can't be prepared ({_first_line(error)}); where they and the scheduler "
                "run, tmref[cluster] must be installed, too"
            ) from error
        try:
            _require_ready(client, processes.name, workers)
            yield Cluster(client, processes.name, minutes)
        finally:
            with contextlib.suppress(Exception):  # it may be gone by now
                client.unregister_worker_plugin(processes.name)


def _address(url: str) -> str:
    """The address by which Dask knows it."""
    try:
        parts = urlsplit(url)
        if parts.scheme == "dask" and parts.hostname and parts.port and not parts.path.strip("/"):
            return f"tcp://{parts.netloc}"
    except ValueError:  # a port that is none
        pass
    raise UnusableCluster(f"{url!r} is no address of a cluster, which is dask://HOST:PORT")


def _require_ready(client: Client, processes: str, workers: Sequence[str]) -> None:
    """Raises UnusableCluster where some can't try the cases."""
    futures = {
        worker: client.submit(ready, processes, workers=[worker], pure=False) for worker in workers
    }
    with contextlib.suppress(TimeIsOver):
        wait(list(futures.values()), timeout=_READY)
    reasons = {}
    for worker, future in futures.items():
        if future.status == "error":
            reasons[worker] = _first_line(future.exception())
        elif future.status != "finished":
            reasons[worker] = f"it was not ready within {_READY} s"
    if reasons:
        said = "; ".join(f"{worker}: {reason}" for worker, reason in reasons.items())
        raise UnusableCluster(f"not all workers can try the cases as they are tried here: {said}")


class Cluster:
    """A plugin of pytest that has the cases tried by a cluster, over again until ``minutes`` are over
    where they are given. ``said`` is what became of them, in words."""

    def __init__(self, client: Client, processes: str, minutes: float | None) -> None:
        self._client = client
        self._processes = processes
        self._minutes = minutes
        self.said = ""

    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run the test of each case when there is a verdict."""
        if session.config.option.collectonly:
            return None
        for item, verdict in self._verdicts(session.items):
            item.callspec.params["tmref_case"] = _Tried(verdict)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
        return True

    def _verdicts(self, items: Sequence[Any]) -> Iterator[tuple[Any, Verdict]]:
        """The verdict on each, as they come."""
        cases: dict[Any, Case] = {item: item.callspec.params["tmref_case"] for item in items}
        found: dict[Any, Verdict] = {}
        given: dict[Future[Any], tuple[Any, int]] = {}
        #: Those whose workers ended, or those of a neighbour of theirs: at last they are tried alone.
        suspects: dict[Any, tuple[int, Verdict]] = {}
        alone: set[Any] = set()
        seeds = [case.seed for case in list(cases.values())[:1]]
        timeout = None if self._minutes is None else 60 * self._minutes
        done = as_completed(timeout=timeout)

        def give(item: Any, times: int) -> None:
            if times == len(seeds):
                seeds.append(secrets.randbelow(2**32))
            name = cases[item].name
            future = self._client.submit(try_case, self._processes, name, seeds[times], pure=False)
            given[future] = item, times
            done.add(future)

        for item in items:
            give(item, 0)
        try:
            for future in done:
                if future.cancelled():
                    self.said = "the scheduler of the cluster is gone: start it anew, and the check"
                    raise pytest.Session.Interrupted(self.said)
                item, times = given.pop(future)
                verdict = _verdict(cases[item], future)
                if times and verdict.verdict in (FAIL, ERROR) and not verdict.known:
                    verdict.message = f"{verdict.message} (--hypothesis-seed {seeds[times]})"
                if isinstance(future.exception(), KilledWorker) and item not in alone:
                    suspects[item] = times, verdict
                else:
                    found[item] = _both(found[item], verdict) if times else verdict
                    if self._minutes is not None and found[item].status in _ORDER:
                        give(item, times + 1)
                    else:
                        del cases[item]
                        yield item, found[item]
                if suspects and not given:
                    item, (times, _) = suspects.popitem()
                    alone.add(item)
                    give(item, times)
        except TimeIsOver:
            self._client.cancel(list(given))
            self._say(len(items), len(items) - len(found), seeds)
        for item, case in cases.items():
            over = f"not tried: {self._budget} was over"
            suspected = suspects[item][1] if item in suspects else None
            yield item, suspected or found.get(item) or case.without(UNTESTED, over)

    @property
    def _budget(self) -> str:
        minutes = "1 minute" if self._minutes == 1 else f"{self._minutes:g} minutes"
        return f"the budget of {minutes}"

    def _say(self, cases: int, untried: int, seeds: Sequence[int]) -> None:
        if untried:
            was = "was" if untried == 1 else "were"
            self.said = f"{untried} of {counted(cases, 'case')} {was} not tried: "
        elif len(seeds) > 1:
            self.said = f"the cases were tried with the seeds {', '.join(map(str, seeds))}: "
        if self.said:
            self.said += f"{self._budget} is over"


@dataclass(frozen=True)
class _Tried:
    """A case on which there is a verdict, in the place of the case."""

    verdict: Verdict

    def check(self) -> Verdict:
        return self.verdict


def _verdict(case: Case, future: Future[Any]) -> Verdict:
    """What a task came to."""
    try:
        found = future.result()
    except KilledWorker as killed:
        times = killed.allowed_failures + 1
        found = Ended(f"it was given to {times} workers of the cluster, which all ended", None)
    except Exception as error:
        found = Ended(_first_line(error), None)
    if isinstance(found, Ended):
        return explained(found, case.check, case.blank())
    return Verdict(**found)


def _both(one: Verdict, other: Verdict) -> Verdict:
    """The verdict of two on one case, the first of which was no reason to stop."""
    order = [*_ORDER, other.status]
    worst = max(one, other, key=lambda v: order.index(v.status))
    examples, seconds = one.examples + other.examples, one.seconds + other.seconds
    return dataclasses.replace(worst, examples=examples, seconds=seconds)


def _first_line(error: BaseException | None) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
