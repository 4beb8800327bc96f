"""Every example of the docstrings runs, as the page of strategies shows it."""

import doctest
import random

import hypothesis
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st

import tmref.strategies
from tmref.implementations import load

NAMES = [name for name in tmref.strategies.__all__ if callable(getattr(tmref.strategies, name))]


def find(strategy, condition):
    """Hypothesis' own, always the same."""
    how = settings(max_examples=2000, database=None)
    return hypothesis.find(strategy, condition, settings=how, random=random.Random(0))


def failures(thing):
    """How many examples of a docstring don't print what they should, and how many there are."""
    names = {name: getattr(tmref.strategies, name) for name in tmref.strategies.__all__}
    given = {**names, "find": find, "st": st, "torch": torch, "load": load}
    finder = doctest.DocTestFinder(recurse=False)
    (test,) = finder.find(thing, name="example", globs=given, module=False)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    result = runner.run(test)
    return result.failed, result.attempted


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_a_docstring_print_what_they_say(name):
    failed, attempted = failures(getattr(tmref.strategies, name))
    assert failed == 0
    assert attempted > 0


def test_an_example_that_prints_something_else_is_noticed():
    def wrong():
        """Maps.

        >>> find(tensor_maps(), lambda x: len(x) == 1).keys
        Labels.range("key", 2)
        """

    assert failures(wrong) == (1, 1)
