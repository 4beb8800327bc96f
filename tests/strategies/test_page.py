"""The page of documentation: every example of the docstrings runs, and the page is made of them."""

import doctest
import random

import hypothesis
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st

import tmref.strategies
from tmref.implementations import load
from tmref.strategies import page

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


def test_the_page_is_that_of_the_docstrings(repository):
    assert (repository / "strategies" / "README.md").read_text(encoding="utf-8") == page.page(), (
        "the docstrings have changed: run make docs"
    )


def test_the_page_has_every_name_once():
    named = [name for names in page.SECTIONS.values() for name in names]
    assert sorted(named) == sorted(tmref.strategies.__all__)


def test_an_entry_has_the_call_the_words_and_the_examples():
    assert page._entry("rotations").startswith(
        "### rotations\n\n```text\n"
        "rotations(*, inversions=True, o3_names=('o3_lambda', 'o3_sigma', 'o3_mu'))\n```\n\n"
        "Rotations of space, and"
    )
    assert page._entry("rotations").endswith(
        "\n\n```pycon\n>>> find(rotations(inversions=False), lambda R: R.quaternion != (1, 0, 0, 0))\n"
        "Rotation((0, 1, 0, 0))\n```\n"
    )
    assert page._as_markdown("Maps as :func:`labels`, ``x``.") == "Maps as `labels`, `x`."
