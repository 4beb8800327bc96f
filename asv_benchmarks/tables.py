"""Run the benchmarks whose output the README shows, and put there what they print now.

That is every indented block whose first line is one of COMMANDS, with any arguments. Where one of them
fails, the README stays as it is, and the exit status is 1.

    python asv_benchmarks/tables.py [WORDS...]

With words only the blocks are made anew that have all of them in their first line.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: What a first line begins with, and what is run for it.
COMMANDS = {
    "tmref bench": [sys.executable, "-m", "tmref", "bench"],
    "make speed": [sys.executable, str(ROOT / "asv_benchmarks" / "speed.py")],
}
_BLOCK = re.compile(
    rf"^    \$ (?P<command>(?P<what>{'|'.join(COMMANDS)})\b(?P<arguments>.*))\n(    .*\n)*", re.M
)


def renewed(text: str, words: Sequence[str], run: Callable[[list[str]], str]) -> str:
    """The text with what ``run`` returns for the command of each block. Raises ValueError where no block
    has all the words."""
    found = 0

    def block(match: re.Match[str]) -> str:
        nonlocal found
        if not all(word in match["command"] for word in words):
            return match[0]
        found += 1
        lines = run([*COMMANDS[match["what"]], *shlex.split(match["arguments"])]).splitlines()
        return "\n".join([f"    $ {match['command']}", *(f"    {line}".rstrip() for line in lines), ""])

    text = _BLOCK.sub(block, text)
    if not found:
        raise ValueError(
            f"no block of {' or '.join(COMMANDS)} has all of {list(words)} in its first line"
        )
    return text


def _run(command: list[str]) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def main(words: list[str]) -> int:
    readme = ROOT / "README.md"
    try:
        readme.write_text(renewed(readme.read_text(), words, _run))
    except (ValueError, subprocess.CalledProcessError) as error:
        print(f"{Path(__file__).name}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
