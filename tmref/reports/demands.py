"""What each law demands, whose demand it is, and its source: for those who read verdicts."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..laws import LAWS, smoke
from ..laws.law import Law
from ..laws.own import it_can_be_made_and_called

#: Whose demand it is, by the words that laws say it with.
WHOSE = {
    "doc": "metatensor's documentation",
    "torch": "torch's conventions",
    "maths": "mathematics",
}


@dataclass(frozen=True)
class Demand:
    """What a law demands, with whose demand it is in brackets, what rows it is about, and its source
    with the file that it is in."""

    words: str
    about: str
    source: str
    file: str

    @property
    def whose(self) -> str:
        """Who demands it, in words."""
        found = dict.fromkeys(re.findall(rf"\[({'|'.join(WHOSE)})\]", self.words))
        return " and ".join(WHOSE[name] for name in found)


@cache
def demands() -> dict[str, Demand]:
    """Those of all laws, by their names."""
    found = {
        smoke.NAME: _demand(smoke.DEMAND, "any implementation, before all other laws", smoke.search)
    }
    for law in (it_can_be_made_and_called, *LAWS):
        about = _about(law)
        needs = ", ".join(premise.words for premise in law.needs)
        about += f"; it needs {needs}" if needs else ""
        found[law.name] = _demand(law.demand, about, law.sides)
    return found


def _about(law: Law) -> str:
    names = ", ".join(sorted(law.traits))
    if law.of_data:
        return f"data: {names}"
    word = "trait" if len(law.traits) == 1 else "traits"
    return f"modules of the {word} {names}" if names else "every module"


def _demand(words: str, about: str, function: object) -> Demand:
    file = inspect.getsourcefile(function)  # type: ignore[arg-type]
    package = Path(__file__).parents[1]
    place = Path(file or "").relative_to(package.parent)
    return Demand(words, about, _source(function), place.as_posix())


def _source(function: object) -> str:
    """The source of a function without its docstring, which is said in words."""
    lines = inspect.getsource(function).splitlines()  # type: ignore[arg-type]
    found = ast.parse(textwrap.dedent("\n".join(lines))).body[0]
    if isinstance(found, ast.FunctionDef) and ast.get_docstring(found) is not None:
        said = found.body[0]
        del lines[said.lineno - 1 : said.end_lineno]
    return "\n".join(lines) + "\n"
