"""The statements of a script: none stands in it twice, and what may be refused is tried."""

from __future__ import annotations

import dataclasses
import itertools
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

_ASSIGNMENT = re.compile(r"(\w+) = (.+)")
_DEFINITION = re.compile(r"(class|def|import|from) ")


@dataclass(frozen=True)
class Statement:
    """Code of one statement or several. Where it ``may_be_refused``, the script goes on only where it is
    not; where it ``was_refused``, it goes on where it is, too. Where it ``is_data``, it makes what later
    ones are given."""

    code: str
    may_be_refused: bool = False
    was_refused: bool = False
    is_data: bool = False


def written(statements: Sequence[Statement]) -> list[str]:
    """The lines of the statements: what comes after one that may be refused is in the else of it."""
    lines: list[str] = []
    indent = ""
    for statement in statements:
        code = statement.code
        if statement.may_be_refused:
            inner = textwrap.indent(code, "    ")
            code = f'try:\n{inner}\nexcept Exception as error:\n    print("refused:", error)'
        lines.append(textwrap.indent(code, indent))
        goes_on = statement is not statements[-1]
        if statement.may_be_refused and not statement.was_refused and goes_on:
            lines.append(f"{indent}else:")
            indent += "    "
    return lines


def each_once(statements: Sequence[Statement]) -> list[Statement]:
    """The same statements, where no code stands twice as far as that can be said otherwise: a definition
    is there already; what is made and never used needs no name; what a name stood for before has another
    one until it gets it back."""
    found = _numbered(statements)
    for i in reversed(range(len(found))):
        code = found[i].code
        later = next((j for j in range(i + 1, len(found)) if found[j].code == code), None)
        if later is None:
            continue
        assigned = _ASSIGNMENT.fullmatch(code)
        if _DEFINITION.match(code):
            del found[later]
        elif assigned:
            name, value = assigned.groups()
            between = [statement.code for statement in found[i + 1 : later]]
            other = next((k for k, c in enumerate(between) if c.startswith(f"{name} = ")), None)
            if other is not None and found[i].is_data:
                before = _free(name, found)
                found[later] = dataclasses.replace(found[later], code=f"{name} = {before}")
                found.insert(i + 1 + other, Statement(f"{before} = {name}"))
            elif not any(re.search(rf"\b{name}\b", c) for c in (*between, value)):
                found[i] = dataclasses.replace(found[i], code=value)
            elif not re.search(rf"\b{name}\b", value):
                new = _free(name, found)
                for k in range(i, later):
                    renamed = re.sub(rf"(?<![\w.]){name}\b", new, found[k].code)
                    found[k] = dataclasses.replace(found[k], code=renamed)
    return _looped(found)


def _free(name: str, statements: Sequence[Statement]) -> str:
    """The name with the first number that it stands nowhere with yet."""
    code = "\n".join(statement.code for statement in statements)
    return next(new for i in itertools.count(1) if not re.search(rf"\b{(new := f'{name}_{i}')}\b", code))


def _numbered(statements: Sequence[Statement]) -> list[Statement]:
    """The statements with the blocks and layers of later maps and modules counted on."""
    used: dict[str, str] = {}
    found: list[Statement] = []
    counts = {"block": 0, "layer": 0}
    for statement in statements:
        assigned = re.match(r"(block|layer)_(\d+) = ", statement.code)
        if assigned:
            kind, old = assigned[1], f"{assigned[1]}_{assigned[2]}"
            number = max(counts[kind], int(assigned[2]))
            counts[kind] = number + 1
            used[old] = f"{kind}_{number}"
        code = re.sub(
            r"\b(?:block|layer)_\d+\b", lambda name: used.get(name[0], name[0]), statement.code
        )
        found.append(dataclasses.replace(statement, code=code))
    return found


def _looped(statements: Sequence[Statement]) -> list[Statement]:
    """The statements, with a loop for those that follow on the same."""
    found: list[Statement] = []
    times = 1
    for statement in statements:
        if found and found[-1].code == statement.code:
            times += 1
            continue
        if times > 1:
            found[-1] = _repeated(found[-1], times)
            times = 1
        found.append(statement)
    if times > 1:
        found[-1] = _repeated(found[-1], times)
    return found


def _repeated(statement: Statement, times: int) -> Statement:
    code = f"for _ in range({times}):\n{textwrap.indent(statement.code, '    ')}"
    return dataclasses.replace(statement, code=code)
