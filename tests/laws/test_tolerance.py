"""What is taken for rounding, and what is not."""

import dataclasses

import pytest
import torch
from mutants.planting import Changed

from tmref import catalog
from tmref.implementations.reference import Reference, implementation
from tmref.laws import LAWS, Law
from tmref.laws.runner import check
from tmref.verdicts import FAIL, PASS

LAW = "values_are_those_of_plain_torch"


def relative(amount):
    """A relative error of this amount, in the dtype that it is for."""

    def change(values):
        error = amount[values.dtype]
        return values * (1 + error)

    return change


ERRORS = {
    torch.float32: {torch.float32: 1e-3, torch.float64: 0.0},
    torch.float64: {torch.float32: 0.0, torch.float64: 1e-9},
}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("row", ["tanh", "silu", "module_map_tanh"])
def test_an_error_is_caught(laws, rows, row, dtype, seed):
    subject = Changed(relative(ERRORS[dtype]))
    verdict = check(laws[LAW], rows[row], subject, hypothesis_seed=seed, shrink=False)
    assert verdict.verdict == FAIL
    assert f"({dtype}, shape" in verdict.message
    assert " apart would do" in verdict.message


SLOW = (
    pytest.param(row, marks=pytest.mark.slow) for row in ("silu", "module_map_mlp", "sequential_tanh")
)


@pytest.mark.parametrize("row", ["tanh", *SLOW])
def test_the_last_bit_is_not(laws, rows, row):
    floating = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
    noise = {dtype: torch.finfo(dtype).eps for dtype in floating}
    for law in laws.values():
        # the change leaves gradients out, can't be pickled, and makes the largest number infinite
        unfit = "gradients", "a_copy", "whatever_is_done", "largest"
        if law.applies_to(rows[row]) and not any(word in law.name for word in unfit):
            verdict = check(law, rows[row], Changed(relative(noise)))
            assert verdict.expected, (law.name, verdict.message)


@pytest.mark.parametrize("row", ["tanh", "module_map_mlp", "linear"])
def test_another_order_of_computation_is_not_an_error(laws, rows, row):
    class OneSampleAfterTheOther(Reference):
        """Each sample by itself, the last one first."""

        def build(self, recipe):
            module = super().build(recipe)
            for part in [m for m in module.modules() if isinstance(m, torch.nn.ModuleList)]:
                for i, inner in enumerate(part):
                    part[i] = Reversed(inner)
            return module

    verdict = check(laws[LAW], rows[row], OneSampleAfterTheOther())
    assert (verdict.verdict, verdict.message) == (PASS, None)


class Reversed(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        if not len(x):
            return self.inner(x)
        return torch.stack([self.inner(row) for row in x.flip(0)]).flip(0)


# --- what is copied and not computed


@pytest.mark.parametrize(
    "law", [law for law in LAWS if law.copied and not law.of_data], ids=lambda law: law.name
)
def test_rounding_excuses_nothing_where_nothing_is_computed(law):
    """One bit of difference between the sides, on a row whose values round, is a failure."""
    assert isinstance(law, Law)
    row = next(row for row in catalog.ROWS if law.applies_to(row) and not row.exact)

    def sides(f, x, draw):
        left, right = law.sides(f, x, draw)
        return [left, torch.tensor([1.0])], [right, torch.nextafter(torch.ones(1), 2 * torch.ones(1))]

    sides.__name__ = law.name
    verdict = check(dataclasses.replace(law, sides=sides), row, implementation)
    assert (verdict.verdict, "expected 1.0000001" in verdict.message) == (FAIL, True)
    computed = dataclasses.replace(law, sides=sides, copied=False)
    assert check(computed, row, implementation).verdict == PASS


def test_what_is_copied_is_known_of_the_laws_of_purity(laws):
    names = ("the_input_stays", "parameters_stay", "random_numbers_stay")
    assert all(laws[name].copied for name in names)
