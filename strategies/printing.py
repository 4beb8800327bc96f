"""What is drawn prints as Python that rebuilds it, also where its own repr is something else."""

from __future__ import annotations

from typing import TypeVar

from tmref.printing import source_of

from ._internals import printed_as

T = TypeVar("T")


def printed_as_source(thing: T) -> T:
    """The ``thing``, for which Hypothesis prints its source: of tensors, which know of no such repr."""
    return printed_as(thing, lambda: source_of(thing))


def as_code(thing: T) -> T:
    """The ``thing`` itself, which Hypothesis prints as the code that makes it where it shows an example:
    a map, block, labels or a tensor that a strategy of one's own composes of what it draws.

    Anything else is printed as ever. Raises InvalidArgument outside of a test.

    >>> @st.composite
    ... def twice(draw):
    ...     values = draw(array_values(bound=8))
    ...     return as_code(torch.cat([values, values]))
    >>> find(twice(), lambda values: bool((values == 1).any()))
    tensor([[1.],
            [1.]])
    """
    return printed_as_source(thing)
