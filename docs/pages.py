"""The pages that are made of the code before the site is: laws, rows, commands, what is broken.

They are written to ``docs/made``, which is in no commit: what the code says is said once.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

from sphinx.application import Sphinx

from tmref.__main__ import main
from tmref.history.record import read_history
from tmref.reports.history import history_page
from tmref.reports.known import known_page
from tmref.reports.pages import laws_page, rows_page

FOLDER = Path(__file__).parent / "made"
#: Made by ``tmref history metatensor-learn --quick --json``.
KEPT = Path(__file__).parent / "explanation" / "metatensor-learn.json"

COMMANDS = "check", "report", "diff", "reproduce", "known", "history", "list", "bench", "reach"

_COMMANDS = """# The command line

What `tmref COMMAND --help` prints. [What a run promises](../explanation/runs.md) has what isn't about
one option: exit statuses, isolation, what is read and written.
"""


def commands_page() -> str:
    """What every command says of itself."""
    parts = [_COMMANDS]
    for command in COMMANDS:
        said = io.StringIO()
        with redirect_stdout(said), suppress(SystemExit):
            main([command, "--help"])
        parts.append(f"## tmref {command}\n\n```text\n{said.getvalue()}```\n")
    return "\n".join(parts)


def failures_page() -> str:
    """The known failures of metatensor. What processes that their scripts start say of their end is no
    warning about the site."""
    with redirect_stderr(io.StringIO()):
        return known_page()


def releases_page() -> str:
    """The history of metatensor-learn, as it is kept."""
    return history_page(read_history(KEPT))


PAGES: dict[str, Callable[[], str]] = {
    "specification": laws_page,
    "rows": rows_page,
    "commands": commands_page,
    "known": failures_page,
    "releases": releases_page,
}


def write(app: Sphinx) -> None:
    """Write the pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / f"{name}.md").write_text(page(), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the pages before Sphinx looks for files."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}
