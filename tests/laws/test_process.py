"""What is set for the whole process: examples find it as in a fresh one, and leave it as it was."""

import io
import os
import random
import shutil
import sys
import time
import warnings
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from torch.nn.modules import module as modules
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tmref.implementations import load
from tmref.laws import check_module, process, row_of_module
from tmref.laws.runner import check
from tmref.verdicts import ERROR, FAIL, PASS

LAW = "what_is_set_for_the_whole_process_stays"


def of_ones_own_profile():
    hypothesis.settings.register_profile("of_a_test", max_examples=1)
    hypothesis.settings.load_profile("of_a_test")


class OfFunctions(TorchFunctionMode):
    """A mode that lets nothing be done."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        raise RuntimeError("not in this mode")


class OfOperators(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        raise RuntimeError("not in this mode")


class Broken:
    """A stream that can't even be asked whether it is closed."""

    def write(self, text):
        raise OSError("full")

    flush = closed = property(lambda self: self.write(""))


def hooks(name):
    """What adds hooks on all modules."""
    return lambda: getattr(modules, name).update({-1: lambda *given, **named: None})


def leave_a_folder_that_is_gone():
    Path("gone").mkdir()
    os.chdir("gone")
    shutil.rmtree("../gone")


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
    **{
        f"dict(torch.nn.modules.module.{name})": hooks(name)
        for name, value in vars(modules).items()
        if name.startswith("_global_") and isinstance(value, dict)
    },
    "torch.nn.modules.module._global_is_full_backward_hook": lambda: setattr(
        modules, "_global_is_full_backward_hook", True
    ),
    "torch.overrides._get_current_function_mode_stack()": lambda: OfFunctions().__enter__(),
    "torch.utils._python_dispatch._get_current_dispatch_mode_stack()": lambda: OfOperators().__enter__(),
    "np.geterr()": lambda: np.seterr(all="raise"),
    "hypothesis.settings.get_current_profile_name()": of_ones_own_profile,
    "sys.getrecursionlimit()": lambda: sys.setrecursionlimit(5000),
    "os.getcwd()": lambda: os.chdir("/"),
    "time.time": lambda: setattr(time, "time", lambda: 0.0),
    "time.monotonic": lambda: setattr(time, "monotonic", lambda: 0.0),
    "time.perf_counter": lambda: setattr(time, "perf_counter", lambda: 1e6 * random.random()),
    "id(os.environ)": lambda: setattr(os, "environ", os.environ.copy()),
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


@pytest.mark.parametrize(
    ("does", "code"),
    [
        (leave_a_folder_that_is_gone, "os.getcwd()"),
        (lambda: torch.device("meta").__enter__(), "torch.get_default_device()"),
        (lambda: setattr(sys, "stdout", Broken()), "sys.stdout"),
    ],
)
def test_what_can_not_be_read_or_left_any_more_is_named_and_costs_no_other(
    does, code, verdict_on, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    outside = process.settings()
    verdict = verdict_on(does)
    assert (verdict.verdict, code in verdict.message) == (FAIL, True)
    assert process.first_change(outside, process.settings()) is None
    assert verdict_on(lambda: None).verdict == PASS


def test_a_clock_of_theirs_costs_no_time(laws):
    row = row_of_module(lambda x: Sets(SETS["time.perf_counter"]), name="sets", traits=["pure"])
    for law in ("the_input_stays", LAW):
        verdict = check(laws[law], row, row.subject(load("reference")), examples=10, timeout=5)
        assert verdict.verdict == (FAIL if law == LAW else PASS), verdict.message
        assert verdict.seconds < 100


def test_what_is_changed_far_behind_is_shown(verdict_on):
    verdict = verdict_on(lambda: warnings.filterwarnings("ignore", "OF_A_TEST", append=True))
    assert (verdict.verdict, "OF_A_TEST" in verdict.message) == (FAIL, True)


def test_modes_and_hooks_of_the_caller_stay(verdict_on):
    class Mine(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            return function(*args, **(kwargs or {}))

    handle = modules.register_module_forward_hook(lambda module, given, output: None)
    try:
        with Mine() as mode:
            assert verdict_on(SETS["torch.overrides._get_current_function_mode_stack()"]).verdict == FAIL
            assert torch.overrides._get_current_function_mode_stack() == [mode]
        assert handle.id in modules._global_forward_hooks
    finally:
        handle.remove()
    assert handle.id not in modules._global_forward_hooks


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


def test_a_seed_is_noticed_that_is_the_one_the_module_was_made_with(verdict_on):
    assert "initial_seed" in verdict_on(lambda: torch.manual_seed(0)).message


def test_what_is_imported_at_the_first_call_may_set_something(verdict_on):
    def imports(done=[]):  # noqa: B006
        if not done:
            done.append(True)
            os.environ["OF_A_LIBRARY"] = "1"

    assert verdict_on(imports).verdict == PASS


def test_what_each_call_sets_is_not_what_the_first_alone_does(verdict_on):
    verdict = verdict_on(lambda: os.environ.setdefault("OF_A_LIBRARY", "1"))
    assert (verdict.verdict, "OF_A_LIBRARY" in verdict.message) == (FAIL, True)


def test_what_exits_is_said_by_the_line_that_does(verdict_on):
    verdict = verdict_on(lambda: sys.exit(3))
    assert (verdict.verdict, verdict.message) == (ERROR, "the module can't be called: SystemExit: 3")
    assert "\n    y = module(x)\n" in verdict.reproducer
    assert "except SystemExit as error:" in verdict.reproducer
