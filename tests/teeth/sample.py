"""The mutants of an implementation: which of all changes are tried."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

from . import operators
from .copies import files

#: How many of a file are tried, and the seed of the draw.
PER_FILE = 25
SEED = 0


@dataclass(frozen=True)
class Mutant:
    """One small change of one file.

    ``id`` depends on the change and on nothing around it; ``reached`` is the number of the statement
    that is run where it can matter, None where that is always.
    """

    id: str
    module: str
    file: str
    line: int
    operator: str
    diff: str
    reached: int | None
    code: Callable[[], CodeType] = field(repr=False)


@dataclass(frozen=True)
class Sample:
    """The mutants that are tried, how many changes there are by file, and the ids of all."""

    mutants: list[Mutant]
    all_of: dict[str, int]
    existing: set[str]


def draw(package: str, per_file: int = PER_FILE, seed: int = SEED) -> Sample:
    """The sample of a package's nn: of every file so many, or all where it has fewer.

    Which ones depends on their ids alone: others in the file make no difference to the order.
    """
    chosen: list[Mutant] = []
    all_of: dict[str, int] = {}
    existing: set[str] = set()
    offset = 0
    sources = {module: path.read_text(encoding="utf-8") for module, path in files(package).items()}
    texts = operators.text_parameters(list(sources.values()))
    for module, path in files(package).items():
        source = sources[module]
        if path.stem != "__init__":
            found = of_source(source, module, path, offset, texts)
            all_of[path.name] = len(found)
            existing |= {mutant.id for mutant in found}
            chosen += pick(found, source, per_file, seed)
        offset += count(source)
    return Sample(chosen, all_of, existing)


def pick(found: list[Mutant], source: str, most: int = PER_FILE, seed: int = SEED) -> list[Mutant]:
    """The first mutants by the order that the seed gives, without those that do what the source does, or
    what one before does."""
    picked: list[Mutant] = []
    seen = {operators.meaning(compile(source, "", "exec", dont_inherit=True))}
    for mutant in sorted(found, key=lambda mutant: _digest(f"{seed} {mutant.id}")):
        if len(picked) == most:
            break
        try:
            meaning = operators.meaning(mutant.code())
        except (SyntaxError, ValueError):
            continue
        if meaning not in seen:
            seen.add(meaning)
            picked.append(mutant)
    return sorted(picked, key=lambda mutant: (mutant.line, mutant.diff, mutant.id))


def of_source(
    source: str,
    module: str,
    path: Path,
    offset: int = 0,
    texts: Mapping[str, operators.Parameters] | None = None,
) -> list[Mutant]:
    """All mutants of a source, in the order of the nodes."""
    alike: Counter[str] = Counter()
    mutants = []
    for change in operators.changes(source, texts):
        text = f"{path.name} {change.operator} {change.before} -> {change.after}"
        alike[text] += 1
        mutants.append(
            Mutant(
                _digest(f"{text} {alike[text]}")[:10],
                module,
                path.name,
                change.line,
                change.operator,
                shown(change.before, change.after),
                None if change.reached is None else offset + change.reached,
                functools.partial(operators.compiled, source, change, str(path)),
            )
        )
    return mutants


def count(source: str) -> int:
    """How many statements there are in a source."""
    return sum(1 for _ in operators.statements(operators.ast.parse(source)))


def shown(before: str, after: str, around: int = 40, longest: int = 120) -> str:
    """A change on one line: both statements, of long ones what is near the change."""
    if max(len(before), len(after)) <= longest:
        return f"{before}  ->  {after}"
    start = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b),
        min(len(before), len(after)),
    )
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1

    def part(text: str) -> str:
        first, last = max(0, start - around), min(len(text), len(text) - end + around)
        return ("..." if first else "") + text[first:last] + ("..." if last < len(text) else "")

    return f"{part(before)}  ->  {part(after)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
