"""Trials: the laws run on the unchanged source once, then on each mutant until one notices it."""

from __future__ import annotations

import signal
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import torch

from tmref.implementations import Implementation
from tmref.laws import runner
from tmref.laws.checks import Case
from tmref.verdicts import ERROR, Verdict

from . import copies, operators
from .children import Done, Say, in_children, limit
from .sample import Mutant, count


@dataclass(frozen=True)
class Stage:
    """How much is tried: a share of the examples, on so many rows of every law (None for all)."""

    share: float
    rows: int | None = None


#: What is tried on a mutant, one after the other until it is noticed: most are by few examples.
STAGES = Stage(0.1, rows=2), Stage(0.2), Stage(1)
#: No case is tried on fewer examples: the first is the simplest that there is.
AT_LEAST = 3
#: A case on a mutant may take this many times what it takes on the unchanged source, and these seconds.
TIMES, SECONDS = 20, 60

NOTICED = "broken law", "exception on valid input", "time-out", "crash"
IMPORT_FAILURE, SURVIVED = "import failure", "survived"
#: What survived a stage, and is going to be tried in the next.
LEFT = "left for now"


@dataclass(frozen=True)
class Trial:
    """A law on a row of the unchanged source: its verdict, and the statements that it reached (None
    where that is not known)."""

    law: str
    row: str
    verdict: list[Any]
    seconds: float
    reached: frozenset[int] | None

    @property
    def name(self) -> str:
        """The law and the row in one word."""
        return f"{self.law} ({self.row})"


def verdict_on(case: Case, implementation: Implementation, share: float = 1) -> Verdict:
    """The verdict on a case for another implementation, on a share of the examples; an error where the
    runner itself raises."""
    assert case.law is not None
    assert case.row is not None
    full = case.examples or case.law.examples_on(case.row)
    examples = min(full, max(AT_LEAST, round(full * share)))
    try:
        options: dict[str, Any] = {"examples": examples, "hypothesis_seed": case.seed, "shrink": False}
        return runner.check(case.law, case.row, implementation, **options)
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        return Verdict(case.law.name, case.row.name, "", "", ERROR, message=message)


def said_of(verdict: Verdict) -> list[Any]:
    """What makes two verdicts the same: their kind, and whether the failure is known."""
    return [verdict.verdict, verdict.known is not None]


class Bench:
    """An implementation whose nn is copied and changed: its cases, and copies that are not changed."""

    def __init__(self, implementation: Implementation, package: str, cases: Sequence[Case]) -> None:
        self.implementation = implementation
        self.package = package
        self.cases = {(c.law.name, c.row.name): c for c in cases if c.law and c.row}
        self.codes = copies.codes_of(package)
        nn = copies.load(package, f"teeth_copy_of_{package}", self.codes)
        self.unchanged = copies.with_nn(implementation, nn)
        self._reached: set[int] = set()
        self.instrumented = copies.with_nn(implementation, self._load_instrumented())
        #: the statements of functions that are run at import
        self.at_import = frozenset(self._reached)

    def _load_instrumented(self) -> Any:
        codes: dict[str, CodeType] = {}
        offset = 0
        for module, path in copies.files(self.package).items():
            source = path.read_text(encoding="utf-8")
            codes[module] = operators.instrumented(source, str(path), offset)
            offset += count(source)

        def reached(number: int) -> None:
            self._reached.add(number)

        # for torch.compile a constant: it calls it when it traces, and the graph is whole
        reached._dynamo_marked_constant = True  # type: ignore[attr-defined]
        name = f"teeth_reached_of_{self.package}"
        return copies.load(self.package, name, codes, {"__reached__": reached})

    def baseline(
        self, names: Sequence[tuple[str, str]], workers: int
    ) -> Iterator[tuple[dict[str, Any], str | None]]:
        """For these cases a trial as a dictionary, and where the unchanged copy and the implementation
        itself have different verdicts, how they differ."""
        chunks = [names[i : i + 8] for i in range(0, len(names), 8)]
        work = ((chunk, lambda say, chunk=chunk: self._run_baseline(chunk, say)) for chunk in chunks)
        for done in in_children(work, workers):
            for said in done.said:
                if "failed" in said:
                    raise RuntimeError(said["failed"])
                yield said["trial"], said["differs"]
            for law, row in done.key[len(done.said) :]:
                missing = {"law": law, "row": row, "verdict": None, "seconds": 0.0, "reached": None}
                yield missing, f"ended by {_ended_by(done)} on the unchanged source"

    def _run_baseline(self, names: Sequence[tuple[str, str]], say: Say) -> None:
        for name in names:
            case = self.cases[name]
            limit(600)
            real = said_of(verdict_on(case, self.implementation, STAGES[0].share))
            self._forget()
            started = time.perf_counter()
            found = verdict_on(case, self.instrumented)
            seconds = time.perf_counter() - started
            copied, message = said_of(found), found.message
            reached = sorted(self._reached)
            if copied != real:  # it may be the number of examples
                found = verdict_on(case, self.unchanged, STAGES[0].share)
                message = found.message
            trial = {
                "law": name[0],
                "row": name[1],
                "verdict": copied,
                "seconds": round(seconds, 3),
                "reached": reached if copied == said_of(found) else None,
            }
            differs = None
            if said_of(found) != real:
                differs = f"{real}, that of its copy {said_of(found)}: {message}"
            say({"trial": trial, "differs": differs})

    def _forget(self) -> None:
        """Nothing is reached, nothing is cached that would keep something from being reached."""
        for name, module in list(sys.modules.items()):
            if name.startswith("teeth_reached.nn"):
                for value in vars(module).values():
                    if getattr(value, "__module__", None) == name and hasattr(value, "cache_clear"):
                        value.cache_clear()
        if "torch._dynamo" in sys.modules:
            torch._dynamo.reset()
        self._reached.clear()

    def run(
        self, mutants: Sequence[Mutant], trials: Sequence[Trial], quick: frozenset[str], workers: int
    ) -> Iterator[dict[str, Any]]:
        """What became of each mutant: in every stage those are tried that the one before left, but those
        of ``quick`` ids in the first alone."""
        kills: Counter[Any] = Counter()
        started: dict[str, float] = {}

        def work(mutants: Sequence[Mutant], stage: Stage) -> Iterator[Any]:
            for mutant in mutants:
                plan = self.plan(mutant, trials, kills, stage)
                started[mutant.id] = time.perf_counter()
                yield mutant, lambda say, mutant=mutant, plan=plan: self._try(mutant, plan, say)

        for stage in STAGES:
            left = []
            for done in in_children(work(mutants, stage), workers):
                mutant = done.key
                found = _result(done)
                if found["how"] == SURVIVED and stage is not STAGES[-1] and mutant.id not in quick:
                    left.append(mutant)
                    found["how"] = LEFT
                if found["how"] in NOTICED:
                    law, row = found["by"]
                    kills.update([(mutant.file, law, row), (mutant.file, law), law])
                yield {
                    "id": mutant.id,
                    "file": mutant.file,
                    "line": mutant.line,
                    "operator": mutant.operator,
                    "diff": mutant.diff,
                    **found,
                    "seconds": round(time.perf_counter() - started[mutant.id], 1),
                }
            mutants = left

    def plan(
        self, mutant: Mutant, trials: Sequence[Trial], kills: Counter[Any], stage: Stage
    ) -> list[tuple[Trial, float]]:
        """The trials of a stage that can notice a mutant, in the order that will do so soonest, with the
        share of the examples; where the stage is on few rows, those that noticed others are added."""
        always = mutant.reached is None or mutant.reached in self.at_import
        able = [
            trial
            for trial in trials
            if trial.verdict and (always or trial.reached is None or mutant.reached in trial.reached)
        ]
        of_law: Counter[str] = Counter()
        first, others = [], []
        # in an order that is another one for every law and mutant: together they meet all rows
        for trial in sorted(able, key=lambda trial: zlib.crc32(f"{mutant.id} {trial.name}".encode())):
            of_law[trial.law] += 1
            (first if stage.rows is None or of_law[trial.law] <= stage.rows else others).append(trial)

        def promise(trial: Trial) -> Any:
            law = trial.law
            mine = kills[mutant.file, law, trial.row]
            return -mine, -kills[mutant.file, law], -kills[law], trial.seconds

        noticed = [trial for trial in others if kills[mutant.file, trial.law, trial.row]]
        return [(trial, stage.share) for trial in sorted(first + noticed, key=promise)]

    def _try(self, mutant: Mutant, plan: Sequence[tuple[Trial, float]], say: Say) -> None:
        limit(SECONDS)
        say({"at": ["import", "-"]})
        try:
            codes = {**self.codes, mutant.module: mutant.code()}
            nn = copies.load(self.package, "teeth_mutant", codes)
        except Exception as error:
            say({"how": IMPORT_FAILURE, "by": None, "message": f"{type(error).__name__}: {error}"})
            return
        subject = copies.with_nn(self.implementation, nn)
        tried = 0
        for trial, share in plan:
            case = self.cases[trial.law, trial.row]
            say({"at": [trial.law, trial.row]})
            limit(SECONDS + TIMES * trial.seconds)
            verdict = verdict_on(case, subject, share)
            tried += verdict.examples
            if said_of(verdict) == trial.verdict:
                continue
            limit(SECONDS + TIMES * trial.seconds)
            if said_of(verdict) == said_of(verdict_on(case, self.unchanged, share)):
                continue  # it's the number of examples, and not the change
            how = "exception on valid input" if verdict.verdict == ERROR else "broken law"
            message = f"{verdict.verdict}: {verdict.message}"
            say({"how": how, "by": [trial.law, trial.row], "message": message, "examples": tried})
            return
        say({"how": SURVIVED, "by": None, "message": f"{len(plan)} trials", "examples": tried})


def _result(done: Done) -> dict[str, Any]:
    last = done.said[-1]
    if "how" in last:
        return {"examples": 0, **last}
    (*_, at) = (said["at"] for said in done.said if "at" in said)
    how = "time-out" if done.signal == signal.SIGALRM else "crash"
    if at[0] == "import":
        how = IMPORT_FAILURE
    return {"how": how, "by": at, "message": last.get("failed", _ended_by(done)), "examples": 0}


def _ended_by(done: Done) -> str:
    return signal.Signals(done.signal).name if done.signal else "itself"
