"""What was raised, in words."""

from __future__ import annotations

import traceback
from pathlib import Path

from hypothesis.errors import Flaky

from ..verdicts import readable
from .interrupts import is_not_of_what_is_judged

#: Where tmref is.
_HOME = Path(__file__).parents[1]
_INTERPRETER = "The following operation failed in the TorchScript interpreter"


def in_words(error: BaseException | None) -> str:
    """The type of what was raised, and what it says."""
    return f"{type(error).__name__}: {first_line(error)}" if error else "without a word"


def first_line(error: BaseException) -> str:
    """What an error says: its first line, but the last of what TorchScript's interpreter tells first."""
    try:
        said = readable(str(error))
    except BaseException as another:
        if is_not_of_what_is_judged(another):
            raise
        return f"(its words can't be had: {type(another).__name__})"
    lines = said.strip().splitlines() or [""]
    return lines[-1] if lines[0].startswith(_INTERPRETER) else lines[0]


def unreliable(error: Flaky) -> str:
    """That an example gave different verdicts, and which."""
    words = f"the same example gave different verdicts when it was repeated: {first_line(error)}"
    once = [first_line(one) for one in getattr(error, "exceptions", ())]
    return f"{words}; once: {once[0]}" if once else words


def out_of_place(error: Exception) -> str:
    """What was raised where no module is called, in words: tmref is wrong where it is in a line of its
    own, and not in one of what it calls, such as the `when` of a known failure."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    is_ours = Path(last.filename).is_relative_to(_HOME)
    blamed = "tmref itself is wrong" if is_ours else "the law can't be tried"
    return f"{blamed}: {in_words(error)} ({Path(last.filename).name}, line {last.lineno})"
