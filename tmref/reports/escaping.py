"""What others say, as text in Markdown: no markup, no links, and nobody is mentioned."""

from __future__ import annotations

import re

from ..verdicts import readable

#: The longest name or sentence that stands in a line.
_IN_A_LINE = 120
#: What could be markup, or be made a link; underscores within words can't, and lists begin a line.
_MARKUP = re.compile(
    r"[#$&*<>@\[\\\]^`{|}~]|:(?=\S)|(?<![^\W_])_|_(?![^\W_])|(?<=www)\.|^[-+=]|^\d+(?=[.)])",
    re.IGNORECASE,
)


def escaped(text: str, longest: int = _IN_A_LINE) -> str:
    """The text on one line, without markup, cut at the ``longest``."""
    line = " ".join(readable(text, longest).split())
    return _MARKUP.sub(lambda found: "".join(f"&#{ord(character)};" for character in found[0]), line)


def code(text: str) -> str:
    """A name or a message as code, in which GitHub looks for no mention either."""
    return f"<code>{escaped(text)}</code>"


def fenced(text: str, language: str, longest: int) -> str:
    """Lines as a block of code, which nothing in them ends."""
    lines = readable(text, longest).rstrip("\n")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", lines)), default=0))
    return f"{fence}{language}\n{lines}\n{fence}\n"


def folded(summary: str, body: str) -> str:
    """A block that is opened by its summary."""
    return f"\n<details><summary>{summary}</summary>\n\n{body}\n</details>\n"
