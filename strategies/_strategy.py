"""How a strategy is made here: a function checks its options, and returns the function that draws."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from hypothesis import strategies as st

from tmref.printing import source_of

from ._bytes import Bytes
from ._internals import bytes_of, draws_so_far, in_span, is_replayed, label_of
from ._options import check_option_names, option_names

#: Hypothesis gives so many bytes to one example, of which one draw takes a part.
MOST_BYTES, LONGEST = 8192, 1024

P = ParamSpec("P")
T = TypeVar("T")


class Draw:
    """What a strategy draws with: other strategies, as with Hypothesis' own ``draw``, and bytes."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __call__(self, strategy: st.SearchStrategy[T], label: object = None) -> T:
        drawn: T = self._data.draw(strategy, label)
        return drawn

    def bytes(self, purpose: str, count: int, *, exact: bool = False) -> Bytes:
        """So many bytes in one draw, labelled by what they are for.

        It is the number of draws that takes time, not that of the bytes. Where more or less of them are
        needed as other things shrink, the number isn't ``exact``: Hypothesis keeps bytes that are too
        many then, and would take zeros for them otherwise. Bytes are taken from the end: shrinking sorts
        them, so that what isn't zero comes first, and sizes can shrink. Of more than an example has
        room for, they repeat.
        """
        least = min(count, LONGEST)
        most = least if exact else MOST_BYTES
        drawn = in_span(self._data, self._apart(purpose), bytes_of, self._data, least, most)[::-1]
        return Bytes(drawn if count <= LONGEST else drawn * -(-count // len(drawn)))

    def part(self, drawing: Callable[..., T], *args: Any) -> T:
        """``drawing(draw, *args)``, one of several like parts: shrinking takes whole parts away, and
        sorts them.
        """
        name = drawing.__qualname__
        label = name if is_replayed(self._data) else self._apart(name)
        return in_span(self._data, label, drawing, self, *args)

    def _apart(self, name: str) -> str:
        """A label that nothing else of the example has.

        While it generates, Hypothesis makes five examples of each that it has drawn by copying things
        of one label to places of the same label. Half a dozen maps that are nearly one are a waste of
        examples: labels differ then, and are the same when it shrinks.
        """
        return f"{name} {draws_so_far(self._data)}"


class DrawnBy(st.SearchStrategy[T]):
    """Draws by a function of ``draw``, and prints as the call that made it.

    It is what ``hypothesis.strategies.composite`` makes, but for two things: the options have been
    checked when it was made, and making it costs next to nothing, for those made anew for each example.
    """

    def __init__(
        self,
        name: str,
        call: Callable[[], str],
        drawing: Callable[[Draw], T],
        options: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self._name, self._call, self._drawing = name, call, drawing
        #: What it was made with: who takes maps can narrow them.
        self.options = options

    @property
    def made_by(self) -> str:
        """The name of the function that made it."""
        return self._name

    def do_draw(self, data: Any) -> T:
        return self._drawing(Draw(data))

    def calc_label(self) -> int:
        return label_of(self._name)

    def __repr__(self) -> str:
        return self._call()


def strategy(define: Callable[P, Callable[[Draw], T]]) -> Callable[P, st.SearchStrategy[T]]:
    """Make a strategy of ``define``, which checks its arguments and returns a function of ``draw``."""
    known = option_names(define)

    @functools.wraps(define)
    def made(*args: P.args, **kwargs: P.kwargs) -> st.SearchStrategy[T]:
        check_option_names(define.__name__, kwargs, known)

        def call() -> str:
            return call_source(define, *args, **kwargs)

        return DrawnBy(define.__name__, call, define(*args, **kwargs), kwargs)

    return made


def call_source(define: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """The call as it would be written, without options that have their defaults."""
    signature = inspect.signature(define)
    parts = [source_of(value) for value in args]
    for name, value in kwargs.items():
        parameter = signature.parameters.get(name)
        if parameter is None or value is not parameter.default:
            parts.append(f"{name}={source_of(value)}")
    return f"{define.__name__}({', '.join(parts)})"
