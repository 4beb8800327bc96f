"""What is judged may raise what is meant for the interpreter; Ctrl-C of the user ends the run."""

import os
import signal

import hypothesis
import pytest
import torch
from hypothesis.errors import StopTest, UnsatisfiedAssumption

import tmref
from tmref.implementations import load
from tmref.laws import check_module, row_of_module
from tmref.laws.runner import check
from tmref.verdicts import ERROR, LONGEST_MESSAGE


class OfItsOwn(BaseException):
    """What no handler of exceptions catches."""


class Wordless(Exception):
    def __str__(self):
        raise ValueError("no words")


class OfNumbers(Exception):
    def __str__(self):
        return 3


def that_raises(error):
    class Raising(torch.nn.Module):
        def forward(self, x):
            raise error

    return lambda x: Raising()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
        (SystemExit(0), "SystemExit: 0"),
        (GeneratorExit(), "GeneratorExit: "),
        (OfItsOwn("own"), "OfItsOwn: own"),
        (pytest.skip.Exception("skip it"), "Skipped: skip it"),
        (pytest.exit.Exception("exit"), "Exit: exit"),
        (UnsatisfiedAssumption("no"), "UnsatisfiedAssumption: no"),
        (StopTest(0), "StopTest: 0"),
        (Wordless(), "Wordless: (its words can't be had: ValueError)"),
        (OfNumbers(), "OfNumbers: (its words can't be had: TypeError)"),
        (ValueError("\udc80 \x1b[31m\x00"), r"ValueError: \udc80 \x1b[31m\x00"),
        (ValueError("é\u202e"), r"ValueError: é\u202e"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_whatever_is_raised_is_an_error_in_words(error, words):
    (verdict,) = check_module(that_raises(error), on_fail=None)
    assert verdict.verdict == ERROR
    assert verdict.message.splitlines()[0].rstrip() == f"the module can't be called: {words}".rstrip()


def test_long_words_are_cut():
    (verdict,) = check_module(that_raises(ValueError("a" * 10_000_000)), on_fail=None)
    assert verdict.message.startswith("the module can't be called: ValueError: aaa")
    assert "characters more)" in verdict.message
    assert len(verdict.message) < 2 * LONGEST_MESSAGE


def test_what_is_meant_for_the_interpreter_is_no_refusal(only):
    only("explicit_gradients_are_not_left_out", "the_same_input_gives_the_same_output")

    class Exits(torch.nn.Module):
        def forward(self, x):
            if any(block.has_any_gradient() for block in x):
                raise SystemExit("no gradients, please")
            return x

    verdicts = check_module(lambda x: Exits(), traits=["deterministic"], on_fail=None, effort=0.1)
    found = {v.law: (v.verdict, v.message) for v in verdicts}
    words = "the module can't be called: SystemExit: no gradients, please"
    assert found["explicit_gradients_are_not_left_out"] == (ERROR, words)


def test_what_rejects_an_example_for_hypothesis_is_refused_for_all(laws):
    class Rejects(torch.nn.Module):
        def forward(self, x):
            return hypothesis.reject() if len(x) > 1 else x

    row = row_of_module(lambda x: Rejects(), name="rejects", traits=["keeps_keys"])
    for name in ("keys_survive_in_order", "what_is_set_for_the_whole_process_stays"):
        verdict = check(laws[name], row, row.subject(load("reference")))
        assert verdict.verdict == ERROR
        assert verdict.message.startswith("the module can't be called: UnsatisfiedAssumption: ")


def test_what_can_not_be_read_is_an_error_whatever_it_raises():
    class Unreadable(tmref.TensorMap):
        """A map whose blocks can't be looked at."""

        @property
        def keys(self):
            raise SystemExit(0)

    class Gives(torch.nn.Module):
        def forward(self, x):
            return Unreadable(x.keys, [])

    verdicts = check_module(lambda x: Gives(), on_fail=None, effort=0.05)
    assert ERROR in {v.verdict for v in verdicts}


def test_sigint_is_of_what_is_judged_where_it_has_a_process_of_its_own(only):
    only("keys_survive_in_order")

    class Interrupting(torch.nn.Module):
        def forward(self, x):
            signal.raise_signal(signal.SIGINT)
            return x

    verdicts = check_module(lambda x: Interrupting(), traits=["keeps_keys"], on_fail=None, timeout=30)
    assert {v.verdict for v in verdicts} == {ERROR}
    assert all(v.message.startswith("it interrupted the process (SIGINT)") for v in verdicts)


def test_ctrl_c_ends_the_run_and_leaves_the_handler_as_it_was():
    class Interrupted(torch.nn.Module):
        def forward(self, x):
            os.kill(os.getpid(), signal.SIGINT)
            return x

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        check_module(lambda x: Interrupted(), on_fail=None)
    assert signal.getsignal(signal.SIGINT) is before
    (verdict,) = check_module(that_raises(KeyboardInterrupt()), on_fail=None)
    assert verdict.verdict == ERROR
