"""The smoke law: it comes first, and without it no other law says anything."""

from __future__ import annotations

from typing import Any

from hypothesis import given, seed

from ..compare import Difference, compare
from ..implementations import Implementation
from ..strategies import tensor_maps
from ..strategies._settings import settings_of_our_own
from . import process
from .interrupts import is_not_of_what_is_judged
from .limits import at_most

NAME = "what_is_encoded_comes_back_decoded"
DEMAND = (
    "A map goes into the implementation's own form and comes back as it was: keys, labels, values, "
    "dtype, device, gradients. [maths] decode is the inverse of encode; where it isn't, the adapter is "
    "wrong and no verdict on its modules means anything."
)


class Lost(Exception):
    """A map didn't come back as it was."""

    def __init__(self, x: Any, problem: Difference | BaseException) -> None:
        super().__init__(problem)
        self.x = x
        self.problem = problem


def search(
    implementation: Implementation,
    examples: int,
    hypothesis_seed: int,
    timeout: float | None = None,
) -> int:
    """Try the law on maps with gradients; returns how many. Raises Lost with the smallest that is."""
    tried = 0

    @seed(hypothesis_seed)
    @settings_of_our_own(max_examples=examples)
    @given(tensor_maps() | tensor_maps(max_gradients=2))
    def test(x: Any) -> None:
        nonlocal tried
        tried += 1
        before = x.copy()
        try:
            with process.kept(), at_most(timeout):
                encoded = implementation.encode(implementation.moved(x))
                difference = compare(implementation.decode(encoded), implementation.moved(before))
        except BaseException as error:
            if is_not_of_what_is_judged(error):
                raise
            raise Lost(before, error) from error
        if difference:
            raise Lost(before, difference)

    test()
    return tried
