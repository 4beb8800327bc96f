"""The command: draws the sample, runs the laws, prints the summary."""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import torch
from rich.console import Console
from rich.text import Text

from tmref.implementations import load
from tmref.laws.checks import cases
from tmref.laws.twin import quiet

from . import copies, results, sample
from .trials import LEFT, STAGES, Bench, Trial

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def main(arguments: Sequence[str]) -> int:
    """Run for those named: 0 where all is well, 1 where too much survives or is not judged."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    console = Console(width=None if os.isatty(1) else 160, highlight=False)
    return max([_run(name, options, console) for name in options.names], default=0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests/teeth", description=__doc__)
    known = list(copies.PACKAGES)
    # not by choices: Python 3.11 takes a list of defaults for one choice that is none of them
    parser.add_argument(
        "names", nargs="*", type=_name, default=known, metavar="NAME", help=f"default: {' '.join(known)}"
    )
    parser.add_argument(
        "--effort", type=float, default=1, help="times the examples that the laws ask for"
    )
    parser.add_argument("--per-file", type=int, default=sample.PER_FILE, help="mutants of each file")
    parser.add_argument("--seed", type=int, default=sample.SEED, help="of the draw of mutants")
    parser.add_argument("--only", default="", help="files whose names have this in them")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="mutants at a time")
    parser.add_argument(
        "--keep", action="store_true", help="don't try again what was noticed before the laws changed"
    )
    parser.add_argument(
        "--thoroughly", action="store_true", help="try the judged ones on all examples, too"
    )
    parser.add_argument("--sample", action="store_true", help="list the sample and stop")
    return parser


def _name(text: str) -> str:
    if text not in copies.PACKAGES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(copies.PACKAGES)}")
    return text


def _run(name: str, options: argparse.Namespace, console: Console) -> int:
    package = copies.PACKAGES[name]
    with quiet():
        implementation = load(name)
    drawn = sample.draw(package, options.per_file, options.seed)
    mutants = [mutant for mutant in drawn.mutants if options.only in mutant.file]
    if options.sample:
        for mutant in mutants:
            text = f"{mutant.id}  {mutant.file}:{mutant.line}  {mutant.operator}: {mutant.diff}"
            console.print(Text(text), soft_wrap=True)
        return 0
    settings = {"effort": options.effort, "stages": str(STAGES), "seed": 0}
    header = results.fingerprint(REPOSITORY, list(copies.files(package).values()), settings)
    path = REPOSITORY / "build" / "teeth" / f"{name}.jsonl"
    judged = results.judgements(name)
    bench = Bench(implementation, package, cases(implementation, effort=options.effort))
    _warm_up()
    started = time.perf_counter()
    with closing(results.Results(path, header, options.keep)) as found:
        _run_unchanged(found, bench, options.workers, console)
        quick = frozenset() if options.thoroughly else frozenset(judged)
        _run_mutants(found, bench, mutants, quick, options.workers, console)
        console.print(f"{name}: {(time.perf_counter() - started) / 60:.1f} minutes")
        counts = results.summary(found, mutants, drawn.existing, judged)
    counts.print(console, name, drawn.all_of)
    return 0 if counts.good else 1


def _run_unchanged(found: results.Results, bench: Bench, workers: int, console: Console) -> None:
    """The cases on the unchanged source that have no trial yet."""
    done = {(trial["law"], trial["row"]) for trial in found.trials}
    left = [name for name in bench.cases if name not in done]
    if not left:
        return
    console.print(f"{len(left)} of {len(bench.cases)} cases are tried on the unchanged source")
    for trial, differs in bench.baseline(left, workers):
        found.add("trial", trial)
        if differs:
            console.print(Text(f"not the same for a copy: {trial['law']} ({trial['row']}): {differs}"))


def _run_mutants(
    found: results.Results,
    bench: Bench,
    mutants: Sequence[sample.Mutant],
    quick: frozenset[str],
    workers: int,
    console: Console,
) -> None:
    """The mutants that have no result yet, in the order of their ids: of all files some come soon."""
    trials = [_trial(trial) for trial in found.trials]
    left = sorted((m for m in mutants if m.id not in found.mutants), key=lambda mutant: mutant.id)
    for line in bench.run(left, trials, quick, workers):
        if line["how"] != LEFT:
            found.add("mutant", line)
        i = sum(mutant.id in found.mutants for mutant in left)
        by = f" by {line['by'][0]} ({line['by'][1]})" if line["by"] else ""
        text = f"[{i}/{len(left)}] {line['id']} {line['file']}:{line['line']} {line['operator']}"
        console.print(Text(f"{text}: {line['how']}{by}, {line['seconds']} s"), soft_wrap=True)


def _trial(line: dict[str, object]) -> Trial:
    reached = line["reached"]
    known = frozenset(reached) if isinstance(reached, list) else None
    return Trial(line["law"], line["row"], line["verdict"], line["seconds"], known)  # type: ignore[arg-type]


def _warm_up() -> None:
    """Load what the children would each load. Nothing goes backward: torch does not fork after it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.func.jvp(torch.sin, (torch.zeros(1),), (torch.ones(1),))
