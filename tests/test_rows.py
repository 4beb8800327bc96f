import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tmref.rows
from tmref.rows import (
    Index,
    Packing,
    are_distinct,
    distinct_rows,
    first_repeated,
    matches,
    order_of,
)

many = settings(derandomize=True, database=None, deadline=None, max_examples=150)

EXTREMES = [-(2**31), -1, 0, 7, 2**31 - 1]


def table(rows, width):
    return np.array(rows, np.int32).reshape(-1, width)


def rows_of(width, **sizes):
    """Rows that meet each other often, and the ends of 32 bits, too."""
    numbers = st.one_of(st.integers(0, 3), st.sampled_from(EXTREMES))
    return st.lists(st.tuples(*[numbers] * width), **sizes)


@st.composite
def tables(draw, of=2):
    """Tables of one width, as lists of rows, and the width."""
    width = draw(st.integers(1, 6))
    return [draw(rows_of(width, max_size=12)) for _ in range(of)], width


def large(name, n=3000):
    """Rows, many of them twice, of which there are more than are compared one by one."""
    draw = np.random.default_rng(0)
    kinds = {
        "dense": [(-3, 8), (100, 120), (0, 10)],
        "sparse": [(-(2**20), 2**20)] * 3,
        "one column": [(-(2**31), 2**31)],
        "corners": [(-(2**31), 2**31)] * 5,
    }
    found = np.stack([draw.integers(low, high, n) for low, high in kinds[name]], 1).astype(np.int32)
    if name == "corners":
        corners = np.array(list(itertools.product(EXTREMES, repeat=5)), np.int32)
        found = np.concatenate((found[: n - len(corners)], corners))
    return found[draw.integers(0, len(found), len(found))]


LARGE = pytest.mark.parametrize("kind", ["dense", "sparse", "one column", "corners"])


def tuples(rows):
    return list(map(tuple, rows.tolist()))


# --- numbers


@many
@given(tables())
def test_numbers_are_in_the_order_of_tuples(drawn):
    (mine, theirs), width = drawn
    packing = Packing(table(mine, width))
    numbers = packing.numbers.tolist()
    assert all(0 <= number < packing.size <= 2**63 for number in numbers)
    ranks = {row: i for i, row in enumerate(sorted(set(mine)))}
    number_ranks = {number: i for i, number in enumerate(sorted(set(numbers)))}
    assert [number_ranks[number] for number in numbers] == [ranks[row] for row in mine]
    assert [packing.number(row) for row in mine] == numbers
    places, known = packing.known(table(theirs, width))
    assert dict(zip(places.tolist(), known.tolist(), strict=True)) == {
        i: packing.number(row) for i, row in enumerate(theirs) if packing.number(row) is not None
    }


def test_numbers_of_rows_that_need_more_than_63_bits():
    corners = table(list(itertools.product(EXTREMES, repeat=4)), 4)
    packing = Packing(corners)
    assert (packing.numbers[1:] > packing.numbers[:-1]).all()
    assert [packing.number(row) for row in corners.tolist()] == packing.numbers.tolist()


def test_a_column_of_63_bits_needs_no_ranks():
    packing = Packing(table([[-(2**31), -(2**30)], [2**31 - 1, 2**30 - 1]], 2))
    assert packing.size == 2**63
    assert packing.numbers.tolist() == [0, 2**63 - 1]


# --- looking up


@many
@given(tables())
def test_an_index_finds_what_a_dictionary_finds(drawn):
    (mine, theirs), width = drawn
    mine = list(dict.fromkeys(mine))
    index, where = Index(table(mine, width)), {row: i for i, row in enumerate(mine)}
    assert [index.place(row) for row in [*mine, *theirs]] == [where.get(r) for r in [*mine, *theirs]]
    asked, places = index.find(table(theirs, width))
    expected = {i: where[row] for i, row in enumerate(theirs) if row in where}
    assert dict(zip(asked.tolist(), places.tolist(), strict=True)) == expected
    assert asked.tolist() == sorted(asked.tolist())
    assert places.dtype == np.int64


@LARGE
@pytest.mark.parametrize("part", [100, 2**16])
def test_a_large_index_finds_what_a_dictionary_finds(kind, part, monkeypatch):
    monkeypatch.setattr(tmref.rows, "_PART", part)
    rows = large(kind)
    mine = distinct_rows(rows[::2], sort=False)[0]
    where = {row: i for i, row in enumerate(tuples(mine))}
    assert len(where) == len(mine) > 300
    index = Index(mine)
    asked, places = index.find(rows)
    expected = [(i, where[row]) for i, row in enumerate(tuples(rows)) if row in where]
    assert list(zip(asked.tolist(), places.tolist(), strict=True)) == expected
    assert [index.place(row) for row in tuples(rows[:500])] == [where.get(r) for r in tuples(rows[:500])]
    assert 0 < len(expected) <= len(rows)


def test_slots_are_shared_where_numbers_are_sparse():
    sparse = Index(distinct_rows(large("sparse"), sort=False)[0])
    assert len(sparse._others) > 100
    assert not len(Index(distinct_rows(large("dense"), sort=False)[0])._others)


@many
@given(tables())
def test_matches_are_the_rows_that_are_in_the_other_table(drawn):
    (mine, theirs), width = drawn
    theirs = list(dict.fromkeys(theirs))
    found = matches(table(mine, width), table(theirs, width)).tolist()
    assert found == [i for i, row in enumerate(mine) if row in theirs]


@LARGE
@pytest.mark.parametrize("size", [0, 1, 20, 300])
def test_matches_in_a_large_table(kind, size):
    rows = large(kind)
    among = distinct_rows(rows, sort=False)[0][:size]
    expected = [i for i, row in enumerate(tuples(rows)) if row in set(tuples(among))]
    assert matches(rows, among).tolist() == expected


# --- order and repetition


@many
@given(tables(of=1))
def test_repeated_rows_are_found(drawn):
    (rows,), width = drawn
    assert are_distinct(table(rows, width)) == (len(set(rows)) == len(rows))
    if len(set(rows)) < len(rows):
        again = next(i for i, row in enumerate(rows) if row in rows[:i])
        assert first_repeated(table(rows, width)) == (again, rows.index(rows[again]))


@LARGE
def test_repeated_rows_of_large_tables_are_found(kind):
    rows = large(kind)
    union = distinct_rows(rows, sort=False)[0]
    assert not are_distinct(rows)
    assert are_distinct(union)
    twice = np.insert(union, 200, union[-1:], axis=0)
    assert first_repeated(np.concatenate((twice, union[10:20]))) == (len(twice) - 1, 200)


@many
@given(tables(of=1))
def test_an_order_sorts_as_tuples_are_sorted(drawn):
    (rows,), width = drawn
    order = order_of(table(rows, width))
    expected = sorted(range(len(rows)), key=rows.__getitem__)
    assert (list(range(len(rows))) if order is None else order.tolist()) == expected
    assert (order is None) == (rows == sorted(rows))


@LARGE
def test_an_order_of_a_large_table(kind):
    rows = large(kind)
    assert order_of(rows).tolist() == sorted(range(len(rows)), key=tuples(rows).__getitem__)
    assert order_of(rows[order_of(rows)]) is None


@many
@given(tables(of=1), st.booleans())
def test_distinct_rows_are_those_of_a_dictionary(drawn, sort):
    (rows,), width = drawn
    found, places = distinct_rows(table(rows, width), sort)
    expected = sorted(set(rows)) if sort else list(dict.fromkeys(rows))
    assert tuples(found) == expected
    assert places.tolist() == [expected.index(row) for row in rows]


@LARGE
@pytest.mark.parametrize("sort", [True, False])
def test_distinct_rows_of_large_tables(kind, sort):
    rows = large(kind)
    found, places = distinct_rows(rows, sort)
    assert tuples(found) == (sorted(set(tuples(rows))) if sort else list(dict.fromkeys(tuples(rows))))
    assert (found[places] == rows).all()
