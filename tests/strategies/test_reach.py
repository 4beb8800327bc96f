import pytest
from hypothesis import strategies as st

from tmref.strategies import tensor_maps
from tmref.strategies.reach import CORNERS, Corner, count


@pytest.mark.parametrize("corner", CORNERS, ids=[f"{i}: {c.name}" for i, c in enumerate(CORNERS)])
def test_every_corner_is_met_within_its_number_of_examples(corner, first):
    assert corner.met(first(corner.strategy, corner.met, corner.within))


def test_corners_are_different():
    assert len({(repr(corner.strategy), corner.name) for corner in CORNERS}) == len(CORNERS)


def test_corners_are_counted():
    small = tensor_maps(max_blocks=1)
    corners = [
        Corner(small, "one block", lambda x: len(x) == 1),
        Corner(small, "two blocks", lambda x: len(x) == 2),
        Corner(st.integers(0, 9), "anything", lambda n: True),
    ]
    one, two, anything = count(corners, 50).values()
    assert 25 < one < 50
    assert (two, anything) == (0, 10)  # what is exhausted is counted once


def test_a_strategy_that_stops_giving_something_is_seen(monkeypatch, capsys):
    from tmref import __main__
    from tmref.strategies import reach

    monkeypatch.setattr(
        reach,
        "CORNERS",
        (
            Corner(tensor_maps(max_blocks=1), "one block", lambda x: len(x) == 1),
            Corner(tensor_maps(max_blocks=1), "four blocks", lambda x: len(x) == 4),
        ),
    )
    assert __main__.main(["reach", "--examples", "20"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "    never  four blocks"
    monkeypatch.setattr(reach, "CORNERS", reach.CORNERS[:1])
    assert __main__.main(["reach", "--examples", "20", "--hypothesis-seed", "1"]) == 0
    title, line = capsys.readouterr().out.splitlines()
    assert title == "tensor_maps(max_blocks=1): in a thousand"
    assert 0 < int(line.split()[0]) < 1000
    assert __main__.main(["reach", "--examples", "0"]) == 2
    assert "--examples must be at least 1, got 0" in capsys.readouterr().err
