"""Run the benchmarks whose output docs/benchmarks/results.md shows, and put there what they print now.

That is every indented block whose first line is one of COMMANDS, with any arguments. Where one of them
fails, the page stays as it is, and the exit status is 1.

    python asv_benchmarks/tables.py [WORDS...]

With words only the blocks are made anew that have all of them in their first line.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks" / "results.md"
#: What a first line begins with, and what is run for it.
COMMANDS = {
    "tmref bench": [sys.executable, "-m", "tmref", "bench"],
    "make speed": [sys.executable, str(ROOT / "asv_benchmarks" / "speed.py")],
}
_BLOCK = re.compile(
    rf"^    \$ (?P<command>(?P<what>{'|'.join(COMMANDS)})\b(?P<arguments>.*))\n(    .*\n)*", re.M
)


def outputs(text: str, words: Sequence[str], run: Callable[[list[str]], str]) -> dict[str, str]:
    """What ``run`` returns for the command of each block that has all the words, by first lines. Raises
    ValueError where none has."""
    found = {
        match["command"]: run([*COMMANDS[match["what"]], *shlex.split(match["arguments"])])
        for match in _BLOCK.finditer(text)
        if all(word in match["command"] for word in words)
    }
    if not found:
        raise ValueError(
            f"no block of {' or '.join(COMMANDS)} has all of {list(words)} in its first line"
        )
    return found


def renewed(text: str, printed: Mapping[str, str]) -> str:
    """The text with what the commands printed, but for empty lines, which would end a block."""

    def block(match: re.Match[str]) -> str:
        if match["command"] not in printed:
            return match[0]
        lines = [f"$ {match['command']}", *printed[match["command"]].splitlines()]
        return "".join(f"    {line.rstrip()}\n" for line in lines if line.strip())

    return _BLOCK.sub(block, text)


def _run(command: list[str]) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def main(words: list[str]) -> int:
    try:
        printed = outputs(PAGE.read_text(), words, _run)
    except (ValueError, subprocess.CalledProcessError) as error:
        print(f"{Path(__file__).name}: {error}", file=sys.stderr)
        return 1
    # read again: the commands take long, and somebody may have written to it
    PAGE.write_text(renewed(PAGE.read_text(), printed))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
