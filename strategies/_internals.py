"""All that is used of Hypothesis beyond what it documents, in one place: a release may move it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import hypothesis
from hypothesis.strategies import SearchStrategy

try:
    from hypothesis.control import current_build_context
    from hypothesis.core import encode_failure
    from hypothesis.internal.conjecture import data as _of_examples
    from hypothesis.internal.conjecture.providers import HypothesisProvider
    from hypothesis.internal.conjecture.utils import calc_label_from_name
    from hypothesis.vendor.pretty import IDKey
except ImportError as error:
    raise ImportError(
        f"hypothesis {hypothesis.__version__} has moved what tmref draws with ({error}); install the "
        "one that it was last tried with: pip install 'hypothesis==6.170.17'"
    ) from error

#: What is drawn in a span of this label is copied nowhere. Older versions know none, and copy.
_COPIED_NOWHERE: int = getattr(_of_examples, "UNIQUE_COLLECTION_LABEL", 0)

T = TypeVar("T")


@functools.cache
def label_of(name: str) -> int:
    """The number by which Hypothesis knows what is drawn by strategies of this name."""
    return calc_label_from_name(f"tmref.strategies.{name}")


def in_span(data: Any, name: str, drawing: Callable[..., T], *args: Any) -> T:
    """What a strategy of this name would draw, without the cost of making one."""
    data.start_span(label_of(name))
    try:
        return drawing(*args)
    finally:
        data.stop_span()


def draws_so_far(data: Any) -> int:
    """How many choices the example has made."""
    return len(data.nodes)


def is_replayed(data: Any) -> bool:
    """Whether the next choice is one that was made before, and shrinks."""
    return data.index < len(data.prefix or ())


def bytes_of(data: Any, least: int, most: int) -> bytes:
    """Bytes, drawn at once where Hypothesis generates: one by one, they take a fifth of the time of a
    check. None of the constants that it finds in the modules that are loaded is among them: what is
    drawn depends on the seed alone."""
    provider = data.provider
    # without random numbers it replays
    is_own = type(provider) is HypothesisProvider and provider._random is not None
    if is_own:
        randbytes = provider._random.randbytes

        def draw_bytes(min_size: int, max_size: int) -> Any:
            # some to spare, for what shrinks to need more
            return randbytes(min(max(2 * min_size, min_size + 5), max_size))

        vars(provider)["draw_bytes"] = draw_bytes
    try:
        drawn: bytes = data.draw_bytes(least, most)
        return drawn
    finally:
        if is_own:
            del vars(provider)["draw_bytes"]


@contextlib.contextmanager
def by_the_seed_alone(data: Any) -> Iterator[None]:
    """A context in whose draws, from an object of :func:`hypothesis.strategies.data`, Hypothesis does
    nothing but draw: it mixes in none of the constants that it finds in the modules that are loaded,
    which would make of one seed other examples in another process; and, from 6.170 on, it copies nothing
    to other places, where after ten examples it would make five of each that it has drawn, which are
    nearly the same."""
    of_example = data.conjecture_data
    provider = of_example.provider
    # the provider is the example's own, and goes with it
    if type(provider) is HypothesisProvider:
        vars(provider)["_maybe_draw_constant"] = lambda *args, **kwargs: None
    of_example.start_span(_COPIED_NOWHERE)
    try:
        yield
    finally:
        of_example.stop_span()


def drawn(data: Any, strategy: SearchStrategy[T]) -> T:
    """What ``data.draw(strategy)`` draws, without what it costs to say so where nobody reads it, and to
    look twice at the state of ``random``."""
    value: T = data.conjecture_data.draw(strategy)
    return value


def choices_of(data: Any) -> Any:
    """The choices that an object of :func:`hypothesis.strategies.data` has made."""
    return data.conjecture_data.choices


def replaying(test: Callable[[], None], choices: Any) -> Callable[[], None]:
    """A test of Hypothesis that makes these choices, and no others."""
    blob = encode_failure(choices)
    replayed: Callable[[], None] = hypothesis.reproduce_failure(hypothesis.__version__, blob)(test)
    return replayed


def printed_as(thing: T, code: Callable[[], str]) -> T:
    """The ``thing``, for which Hypothesis prints what ``code`` returns where it shows an example."""
    printers = current_build_context().known_object_printers
    printers[IDKey(thing)] = [lambda obj, printer, cycle: printer.text(code())]
    return thing
