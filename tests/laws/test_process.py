"""What is set for the whole process: examples find it as in a fresh one, and leave it as it was."""

import io
import os
import random
import sys
import warnings

import hypothesis
import numpy as np
import pytest
import torch

from tmref.implementations import load
from tmref.laws import check_module, process, row_of_module
from tmref.laws.runner import check
from tmref.verdicts import FAIL, PASS

LAW = "what_is_set_for_the_whole_process_stays"


def of_ones_own_profile():
    hypothesis.settings.register_profile("of_a_test", max_examples=1)
    hypothesis.settings.load_profile("of_a_test")


#: What sets something, by what reads it.
SETS = {
    "torch.is_grad_enabled()": lambda: torch.set_grad_enabled(False),
    "torch.get_default_dtype()": lambda: torch.set_default_dtype(torch.float64),
    "torch.get_default_device()": lambda: torch.set_default_device("meta"),
    "torch.get_num_threads()": lambda: torch.set_num_threads(3),
    "torch.is_autocast_enabled('cpu')": lambda: torch.set_autocast_enabled("cpu", True),
    "torch.are_deterministic_algorithms_enabled()": lambda: torch.use_deterministic_algorithms(True),
    "torch.is_anomaly_enabled()": lambda: torch.autograd.set_detect_anomaly(True),
    "torch.get_float32_matmul_precision()": lambda: torch.set_float32_matmul_precision("high"),
    "torch.initial_seed()": lambda: torch.manual_seed(12345),
    "np.geterr()": lambda: np.seterr(all="raise"),
    "hypothesis.settings.get_current_profile_name()": of_ones_own_profile,
    "sys.getrecursionlimit()": lambda: sys.setrecursionlimit(5000),
    "os.getcwd()": lambda: os.chdir("/"),
    "os.environ.get('OF_A_TEST')": lambda: os.environ.update(OF_A_TEST="1"),
    "list(warnings.filters)": lambda: warnings.simplefilter("ignore", FutureWarning),
    "sys.stdin": lambda: setattr(sys, "stdin", None),
    "sys.stdout": lambda: setattr(sys, "stdout", io.StringIO()),
    "sys.stderr": lambda: setattr(sys, "stderr", None),
    "getattr(sys.stdin, 'closed', True)": lambda: sys.stdin.close(),
    "getattr(sys.stdout, 'closed', True)": lambda: sys.stdout.close(),
    "getattr(sys.stderr, 'closed', True)": lambda: sys.stderr.close(),
}


def test_there_is_something_that_sets_each():
    read = {process._ENVIRONMENT if code.startswith("os.environ") else code for code in SETS}
    assert read == set(process.settings())


@pytest.mark.parametrize("code", SETS)
def test_what_is_changed_is_named_and_set_back(code):
    outside = process.settings()
    with process.kept():
        before = process.settings()
        SETS[code]()
        after = process.settings()
    assert process.first_change(before, after) == code
    assert process.read(code, before) != process.read(code, after)
    assert process.first_change(outside, process.settings()) is None


class Sets(torch.nn.Module):
    def __init__(self, sets):
        super().__init__()
        self.sets = sets

    def forward(self, x):
        self.sets()
        return x


@pytest.fixture
def verdict_on(laws):
    """The verdict on a module that does this at every call."""

    def find(sets):
        row = row_of_module(lambda x: Sets(sets), name="sets")
        return check(laws[LAW], row, row.subject(load("reference")), examples=10)

    return find


@pytest.mark.parametrize("code", SETS)
def test_a_module_that_sets_it_is_told_so(code, verdict_on):
    outside = process.settings()
    for _ in range(2):
        verdict = verdict_on(SETS[code])
        assert verdict.verdict == FAIL
        assert code.replace("'", "") in verdict.message.replace("\\'", "").replace("'", "")
    assert process.first_change(outside, process.settings()) is None


def test_a_caller_finds_what_they_had_set(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OF_A_TEST", "mine")
    with process.kept():
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(2)
        torch.set_grad_enabled(False)
        torch.manual_seed(7)
        random.seed(7)
        np.random.seed(7)
        before = [process.settings(), process.numbers()]

        def sets():
            assert torch.get_default_dtype() == torch.float32
            os.environ["OF_A_TEST"] = "theirs"
            random.random()
            np.random.random()
            torch.rand(2)

        check_module(lambda x: Sets(sets), effort=0.02, on_fail=None)
        assert [process.settings(), process.numbers()] == before


@pytest.mark.parametrize("draws", [lambda: torch.rand(2), random.random, np.random.random])
def test_who_draws_sets_no_seed(draws, verdict_on):
    assert verdict_on(draws).verdict == PASS


@pytest.mark.parametrize("seeds", [torch.seed, lambda: random.seed(0), lambda: np.random.seed(3)])
def test_who_sets_a_seed_is_told_so(seeds, verdict_on):
    assert verdict_on(seeds).verdict == FAIL


def test_what_is_imported_at_the_first_call_may_set_something(verdict_on):
    def imports(done=[]):  # noqa: B006
        if not done:
            done.append(True)
            os.environ["OF_A_LIBRARY"] = "1"

    assert verdict_on(imports).verdict == PASS
