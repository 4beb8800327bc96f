"""An issue to file on the tracker of a library: what is wrong, and all that shows it. In Markdown."""

from __future__ import annotations

import itertools
import platform
import re
import textwrap
from collections.abc import Iterator, Sequence

from .. import __version__
from ..catalog import DATA
from ..laws.runner import NO_ROW
from ..verdicts import ERROR, FAIL, LONGEST_SCRIPT, Results, Verdict, alike, versions
from .demands import WHOSE, Demand, demands
from .escaping import fenced
from .pages import as_prose

_WIDTH = 100
#: So many rows are named and not counted.
_FEW = 3
#: The versions that say nothing of a script, which imports none of them.
_OF_TMREF = ("tmref", "hypothesis", "pytest", "python")


def require_failed(verdict: Verdict) -> None:
    """Raise ValueError, with the remedy, where a verdict is no failure: there is nothing to file."""
    if verdict.verdict not in (FAIL, ERROR):
        raise ValueError(
            f"{verdict.law}[{verdict.row}] is {verdict.status}: an issue is made of what failed; --run "
            "shows what the script does"
        )


def issue(verdict: Verdict, results: Results, output: str) -> str:
    """The issue of a verdict of these results, whose script prints the ``output``. Whatever a library, a
    message or the report says stands in it as text, never as markup.

    Raises ValueError where the law is none of this version: nobody can say whose demand it is.
    """
    return "\n".join(_parts(verdict, results, output))


def _parts(verdict: Verdict, results: Results, output: str) -> Iterator[str]:
    demand = _demand(verdict.law)
    where = "" if verdict.known else f"{code(verdict.row)}: "  # a reason is a title by itself
    yield f"# {where}{_what(verdict)}\n"
    reason = (verdict.known or "").partition(": ")[2]
    if reason:  # the title has the rest
        first, *_ = reason.split()
        reason = reason[:1].upper() + reason[1:] if first.isalpha() else reason
        yield _filled(text(_in_words(reason)))
    yield f"With {_versions(verdict)} this script fails:\n"
    script = script_of(verdict)
    yield fenced(script, "python", len(script))
    yield "It prints\n"
    yield fenced(output, "text", LONGEST_SCRIPT)
    yield "## What is expected\n"
    yield _filled(as_prose(_in_words(demand.words)), "> ")
    if demand.whose:
        yield _filled(f"This is a demand of {demand.whose}.")
    yield "## Where it is so\n"
    yield from _shared(verdict, results)
    yield ""
    found_by = f"Found by the law {code(verdict.law)} of tmref {__version__}"
    yield _filled(f"{found_by}, a Python package of laws for modules on TensorMap.", "", "")
    extras = "check,metatensor" if verdict.implementation.startswith("metatensor") else "check"
    check = f"tmref check {verdict.implementation} -k '{verdict.law} and {verdict.row}'"
    yield f"To check it again, with tmref and what it needs (`tmref[{extras}]`): {code(check)}.\n"


def script_of(verdict: Verdict) -> str:
    """The script of a verdict without the comment at its head, which has what was said when the report
    was made: what is wrong now is what the script prints."""
    lines = (verdict.reproducer or "").splitlines(keepends=True)
    return "".join(itertools.dropwhile(lambda line: line.startswith("#"), lines))


_MARKS = rf"\[({'|'.join(WHOSE)})\]"


def _in_words(said: str) -> str:
    """What is said, where the marks of sources are words: before what a source says, or after what it is
    a source of."""

    def words(found: re.Match[str]) -> str:
        by = " and ".join(WHOSE[name] for name in re.findall(_MARKS, found[0]))
        return f"(by {by})" if found.end() == len(said) else f"By {by}: "

    return re.sub(rf"{_MARKS}(?:,? {_MARKS})*(?:$| )", words, said)


def _demand(law: str) -> Demand:
    demand = demands().get(law)
    if demand is None:
        raise ValueError(
            f"the law {law!r} is none of tmref {__version__}, which can't say whose demand it is: use "
            "the version that the report was made with"
        )
    return demand


def _what(verdict: Verdict) -> str:
    """What is wrong, in a line: the kind of the known failure, or what differs."""
    if verdict.known:
        return text(verdict.known.partition(": ")[0])
    first, *_ = (verdict.message or "").splitlines() or [verdict.law]
    return code(textwrap.shorten(first, _WIDTH, placeholder=" …"))


def _versions(verdict: Verdict) -> str:
    found = versions()
    name = verdict.implementation  # of what is installed, another version may be here than in the report
    whose = f"{text(name)} {text(found.get(name, verdict.version))}"
    named = [
        f"{name} {version}"
        for name, version in found.items()
        if name not in (*_OF_TMREF, verdict.implementation)
    ]
    on = f"Python {found['python']} ({platform.system()}, {platform.machine()})"
    return f"{', '.join([whose, *named])} and {on}"


def _shared(verdict: Verdict, results: Results) -> Iterator[str]:
    """A line for each implementation with the rows on which it is the same, and one for the other laws
    that say so."""
    failed = [v for v in results.verdicts if v.verdict in (FAIL, ERROR) and v.known == verdict.known]
    if verdict.known:  # what is known is one by its reason
        found = failed
    else:
        (found,) = (group for group in alike(failed) if verdict in group)
    order = results.header["rows"]
    found = sorted(found, key=lambda v: order.index(v.row) if v.row in order else len(order))
    for whose in dict.fromkeys((v.implementation, v.version) for v in failed if v in found):
        rows = list(dict.fromkeys(v.row for v in found if (v.implementation, v.version) == whose))
        words = _rows(rows, whose[0], results)
        yield _filled(f"- {' '.join(map(text, whose))}: {words}", "", "  ")
    laws = dict.fromkeys(v.law for v in found if v.law != verdict.law)
    if laws:
        yield ""
        yield _filled(f"By other laws, too: {', '.join(map(code, laws))}", "", "")


def _rows(rows: Sequence[str], implementation: str, results: Results) -> str:
    """The names of rows; where all modules are among them, and all were tried, how many there are."""
    header = results.header
    is_whole = results.footer is not None and not (
        header["settings"].get("selection") or header.get("only")
    )
    of_data = {NO_ROW, *(row.name for row in DATA)}
    modules = {v.row for v in results.verdicts if v.implementation == implementation} - of_data
    named = ", ".join(map(code, rows))
    if len(rows) <= _FEW or not is_whole or not modules.issuperset(rows):
        return named
    number = f"{len(rows)} of {len(modules)}"
    return f"every module ({number})" if modules.issubset(rows) else f"{named} ({number} modules)"


def _filled(words: str, indent: str = "", further: str | None = None) -> str:
    return textwrap.fill(
        words,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent if further is None else further,
        break_long_words=False,
        break_on_hyphens=False,
    ) + "\n" * (further is None)


# --- what others say, as text that is read where it is written, too


def code(words: str) -> str:
    """The words as code within a line, which nothing in them can end."""
    words = " ".join(words.split()) or " "
    longest = max(map(len, re.findall("`+", words)), default=0)
    fence = "`" * (longest + 1)
    space = " " if words.startswith("`") or words.endswith("`") else ""
    return f"{fence}{space}{words}{space}{fence}"


#: Joins two characters, and is not seen.
_JOINER = "\N{WORD JOINER}"


def text(words: str) -> str:
    """The words as plain text within a line: no markup, no link, nobody's name and no issue's number."""
    words = " ".join(words.split())
    words = re.sub(r"[\\`*\[\]<>|~&!]|(?<!\w)_|_(?!\w)", r"\\\g<0>", words)
    words = re.sub(r"@|#(?=\d)|\bGH-(?=\d)", rf"\g<0>{_JOINER}", words)
    return re.sub(r"://|\bwww\.", lambda found: found[0][0] + _JOINER + found[0][1:], words)
