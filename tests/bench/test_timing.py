"""Times by turns, and their ratios."""

import gc
import time
import types

import pytest
import torch

from tmref.bench import timing


@pytest.fixture
def clock(monkeypatch):
    """A clock that only work moves; returns what makes work of so many seconds."""
    now = [0.0]
    monkeypatch.setattr(time, "process_time", lambda: now[0])

    def busy(seconds, done=None):
        def work():
            now[0] += seconds
            if done is not None:
                done.append(seconds)

        return work

    return busy


def test_times_are_those_of_the_work(clock):
    times = timing.rounds({"a": clock(2.0), "b": clock(6.0)}, most=4)
    assert times == {"a": [2.0] * 4, "b": [6.0] * 4}
    ratio = timing.Ratio.of(times["b"], times["a"])
    assert (ratio.median, ratio.low, ratio.high) == (3.0, 3.0, 3.0)
    assert str(ratio) == "3.00 (3.00–3.00)"
    assert ratio.spread == 0
    assert timing.Ratio(2.0, 1.9, 2.3).spread == pytest.approx(0.1)


def test_short_work_is_repeated_and_all_take_turns(clock):
    done = []
    work = {name: clock(seconds, done) for name, seconds in {"a": 1e-4, "b": 1.0, "c": 2.0}.items()}
    times = timing.rounds(work, most=6, timing=1e-3)
    assert times["a"] == pytest.approx([1e-4] * 6)
    assert done.count(1e-4) >= 6 * 10
    in_turn = [seconds for seconds in done if seconds > 1e-3][4:]
    pairs = [tuple(in_turn[i : i + 2]) for i in range(0, len(in_turn), 2)]
    assert set(pairs) == {(1.0, 2.0), (2.0, 1.0)}  # every round has both, in an order drawn anew


def test_a_budget_ends_the_rounds_but_the_first(clock, monkeypatch):
    now = [0.0]

    def passing():
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(time, "perf_counter", passing)
    assert len(timing.rounds({"a": clock(1.0)}, most=10, least=4, budget=0.5)["a"]) == 4


def test_the_collector_of_garbage_is_put_back(clock):
    gc.disable()
    try:
        timing.rounds({"a": clock(1.0)}, most=1)
        assert not gc.isenabled()
    finally:
        gc.enable()
    with pytest.raises(ZeroDivisionError):
        timing.rounds({"a": lambda: 1 / 0})
    assert gc.isenabled()


def test_the_machine_is_named():
    assert f"torch {torch.__version__}" in timing.machine()
    assert "thread" in timing.machine()


@pytest.mark.parametrize(
    ("device", "waits_for"), [("mps:0", []), ("cuda", ["cuda"]), ("cuda:1", ["cuda:1"])]
)
def test_on_a_device_the_clock_waits_until_it_is_done(device, waits_for, monkeypatch):
    waited = []
    module = types.SimpleNamespace(synchronize=lambda *on: waited.append([str(d) for d in on]))
    monkeypatch.setattr(torch, "get_device_module", lambda device: module)
    timing.rounds({"work": lambda: waited.append("work")}, most=1, least=1, timing=0.0, device=device)
    assert waited[-3:] == [waits_for, "work", waits_for]
