"""The page of documentation of what is known to be wrong with the implementations, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from ..catalog import DATA, ROWS
from ..implementations import Implementation, Known, installed
from ..laws import LAWS
from ..laws.runner import replay

_HEAD = """# Known failures of metatensor

What the laws found in the releases that are installed, each reproduced with metatensor alone: the
scripts below import nothing of tmref, and end in an error as long as the failure is there. One
example is shown of each kind; `tmref report --verbose` has one for each law. Every check replays all
of them, and says which are mended.
"""


def known_page() -> str:
    """Each kind of known failure with the laws and rows that it is on, the reason, and a script."""
    return "\n".join([_HEAD, *_kinds()])


def _kinds() -> Iterator[str]:
    found: dict[str, list[tuple[Implementation, Known]]] = {}
    for implementation in installed():
        for entry in implementation.known:
            found.setdefault(entry.reason.partition(": ")[0], []).append((implementation, entry))
    for number, (kind, entries) in enumerate(found.items(), 1):
        yield f"## {number}. {kind}\n"
        yield from _entries(entries)
        yield f"```python\n{_script(entries)}```\n"


def _entries(entries: list[tuple[Implementation, Known]]) -> Iterator[str]:
    said: dict[tuple[str, str], dict[str, list[str]]] = {}
    for implementation, entry in entries:
        what = f"{implementation.name} {implementation.version}"
        words = entry.reason.partition(": ")[2]
        of = said.setdefault((entry.law, words), {}).setdefault(what, [])
        of += [row for row in entry.rows if row not in of]
    for (law, words), where in said.items():
        rows = dict.fromkeys(row for of in where.values() for row in of)
        every = rows.keys() >= {row.name for row in ROWS}
        whose = "every module" if every else ", ".join(map(_code, rows))
        yield f"- `{law}` of {whose} ({', '.join(where)}){words and f': {words}'}"
    yield ""


def _code(name: str) -> str:
    return f"`{name}`"


def _script(entries: list[tuple[Implementation, Known]]) -> str:
    """The script of the simplest row: what it raises is told in its head."""
    last, _ = entries[-1]  # metatensor-torch, where both flavours have it
    found = [(last, entry) for implementation, entry in entries if implementation is last]
    implementation, entry = next((one for one in found if "linear" in one[1].rows), found[0])
    name = "linear" if "linear" in entry.rows else entry.rows[0]
    (law,) = (law for law in LAWS if law.name == entry.law)
    (row,) = (row for row in (*DATA, *implementation.rows) if row.name == name)
    return replay(law, row, implementation, entry).reproducer or ""
