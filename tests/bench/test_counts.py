"""Counts of what is called and allocated."""

import json
import os
import shutil

import pytest
import torch

from tmref.bench import counts
from tmref.bench.work import BACKWARD, FORWARD, TORCH, Cell, subjects
from tmref.catalog import ROWS


def test_operators_of_forward_and_backward_are_counted():
    weight = torch.ones(3, 3, requires_grad=True)
    found = counts.operators(lambda: (torch.ones(2, 3) @ weight).sum().backward())
    assert found["aten.mm.default"] == 2  # one of them is backward
    assert found["aten.sum.default"] == 1


def test_what_is_made_by_the_first_call_does_not_count():
    made = []

    def work():
        if not made:
            made.append(torch.ones(1) + 1)

    assert counts.operators(work).total() == 0


def test_one_call_more_in_every_block_is_seen():
    cell = Cell("linear", 8, 2, BACKWARD)
    found = {name: counts.operators(do).total() for name, do in subjects(cell, ["reference"]).items()}
    assert found["reference"] == found[TORCH]
    work = subjects(cell, [])[TORCH]
    more = counts.operators(lambda: (work(), [torch.zeros(1) for _ in range(8)]))
    assert more.total() == found[TORCH] + 8


def test_peak_bytes_are_of_what_is_in_use_at_once():
    def one_after_the_other():
        for _ in range(4):
            torch.empty(1000).fill_(1)

    def at_once():
        return [torch.empty(1000).fill_(1) for _ in range(4)]

    few, many = counts.peak_bytes(one_after_the_other), counts.peak_bytes(at_once)
    assert 4000 <= few < 8000
    assert 16000 <= many < 20000
    assert counts.allocations(one_after_the_other) == counts.allocations(at_once) == 4


def test_where_instructions_can_not_be_counted_it_says_why(monkeypatch):
    monkeypatch.setattr(torch._C, "_valgrind_supported_platform", lambda: True)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert counts.no_valgrind() == ""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "not installed: apt-get install valgrind" in counts.no_valgrind()
    monkeypatch.setattr(torch._C, "_valgrind_supported_platform", lambda: False)
    assert "torch supports on Linux only" in counts.no_valgrind()
    with pytest.raises(RuntimeError, match="in processes that under_valgrind starts"):
        counts.instructions({})


COUNT = """
import json
from tmref.bench import counts

def turns(number):
    for _ in range(number):
        pass

work = {number: lambda number=number: turns(number) for number in (100, 200)}
print(json.dumps(list(counts.instructions(work).values())))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(bool(counts.no_valgrind()), reason=counts.no_valgrind())
def test_instructions_are_those_of_a_call():
    done = counts.under_valgrind(["-c", COUNT], {**os.environ, "PYTHONHASHSEED": "0"})
    assert done.returncode == 0, done.stderr
    few, many = json.loads(done.stdout)
    # every turn takes tens of them, a call hundreds
    assert 1000 < few < 20_000
    assert 1000 < many - few < 20_000


def test_waits_are_for_values_and_for_shapes_that_depend_on_them():
    x = torch.tensor([1.0, 0.0, 2.0])
    rows, mask = torch.tensor([0, 2]), torch.tensor([True, False, True])

    def of(work):
        return dict(counts.waits(work))

    assert of(lambda: (x + x, x[rows], x[1:], torch.stack([x, x]))) == {}
    assert of(lambda: x[0].item()) == {"aten._local_scalar_dense.default": 1}
    assert of(lambda: x[mask]) == {"aten.index.Tensor": 1}
    assert of(lambda: x.nonzero()) == {"aten.nonzero.default": 1}
    assert of(lambda: torch.equal(x, x)) == {"aten.equal.default": 1}
    y = torch.zeros(3)
    assert of(lambda: y.index_put_((rows,), x[rows])) == {}
    assert of(lambda: torch.zeros(3, dtype=torch.bool).index_put_((rows,), mask[rows])) == {}
    assert of(lambda: y.index_put_((mask,), x[rows])) == {"aten.index_put_.default": 1}


@pytest.mark.parametrize("mode", [FORWARD, BACKWARD])
@pytest.mark.parametrize("row", [row.name for row in ROWS if "pure" in row.traits])
def test_the_reference_never_waits(row, mode):
    # so many that there are 16 of each shape, which are run as one
    for name, work in subjects(Cell(row, 64, 3, mode, features=4), ["reference", "batched"]).items():
        assert not counts.waits(work), name
