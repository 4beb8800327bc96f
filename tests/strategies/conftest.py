"""How the tests of the strategies search."""

import random

import pytest
from hypothesis import Phase, find, given, seed, settings
from hypothesis import strategies as st
from hypothesis.control import current_build_context
from hypothesis.errors import StopTest, UnsatisfiedAssumption
from hypothesis.internal.conjecture.data import Status

from tmref import Labels, TensorBlock, TensorMap


@pytest.fixture
def first():
    """first(strategy, predicate): the first thing drawn that it is true for, always the same."""

    def search(strategy, predicate, max_examples=500):
        how = settings(max_examples=max_examples, database=None, phases=[Phase.generate])
        return find(strategy, predicate, settings=how, random=random.Random(0))

    return search


@pytest.fixture
def minimal():
    """minimal(strategy, predicate): the least thing that it is true for."""

    def search(strategy, predicate):
        how = settings(max_examples=500, database=None, phases=[Phase.generate, Phase.shrink])
        return find(strategy, predicate, settings=how, random=random.Random(0))

    return search


@pytest.fixture
def drawn():
    """drawn(strategy, count): as many things drawn after one seed; health checks are on."""

    def draw(strategy, count):
        things = []

        @seed(0)
        @settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate])
        @given(strategy)
        def collect(thing):
            things.append(thing)

        collect()
        return things

    return draw


@pytest.fixture
def discarded(drawn):
    """discarded(function, count): the fraction of draws that a filter or an assumption throws away.

    Where Hypothesis changes an earlier draw into one that it has too little data for, it gives up by
    itself: that happens with all strategies of changing size, and is none of them.
    """

    def fraction(draw_thing, count):
        lost = 0

        @st.composite
        def counted(draw):
            nonlocal lost
            try:
                return draw_thing(draw)
            except UnsatisfiedAssumption:
                lost += 1
                raise
            except StopTest:
                lost += current_build_context().data.status == Status.INVALID
                raise

        kept = len(drawn(counted(), count))
        assert kept >= count / 2
        return lost / (kept + lost)

    return fraction


@pytest.fixture(scope="session")
def checked():
    """checked(x): labels, a block or a map anew, by the constructors that check what they are given."""

    def check(x):
        if isinstance(x, Labels):
            return Labels(x.names, x.values)
        if isinstance(x, TensorMap):
            return TensorMap(check(x.keys), [check(block) for block in x])
        components = [check(labels) for labels in x.components]
        block = TensorBlock(x.values, check(x.samples), components, check(x.properties))
        for parameter, gradient in x.gradients():
            block.add_gradient(parameter, check(gradient))
        return block

    return check


@pytest.fixture(scope="session")
def tensors_of():
    """tensors_of(x): the values of every block of a map, and of the gradients."""

    def tensors(x):
        return [v for block in x for v in (block.values, *(g.values for _, g in block.gradients()))]

    return tensors


@pytest.fixture(scope="session")
def written():
    """written(x): a map as text, with all that is in it."""

    def write_block(block):
        labels = [block.samples, *block.components, block.properties]
        gradients = [[name, write_block(gradient)] for name, gradient in block.gradients()]
        axes = [[axis.names, axis.values.tolist()] for axis in labels]
        return [str(block.dtype), block.values.tolist(), axes, gradients]

    def write(x):
        blocks = [write_block(block) for block in x]
        return repr([x, x.keys.names, x.keys.values.tolist(), blocks])

    return write
