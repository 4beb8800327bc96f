"""Scripts of laws that could compare nothing end in what the output lacks."""

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import tmref
from tmref.implementations.reference import implementation as reference
from tmref.laws import check_function, check_module
from tmref.laws.law import law
from tmref.laws.runner import check
from tmref.reports.reproducers import Ran
from tmref.verdicts import ERROR, FAIL, SHOWS_NOTHING, Verdict

KEPT = ("keeps_keys", "keeps_samples", "keeps_components", "per_block", "per_sample", "deterministic")
OF_TANH = (*KEPT, "keeps_properties", "shared")


def mapped(function, x):
    blocks = [
        tmref.TensorBlock(function(b.values), b.samples, b.components, b.properties) for b in x.blocks()
    ]
    return tmref.TensorMap(x.keys, blocks)


def tanh(x):
    return mapped(torch.tanh, x)


def loses_a_block(x):
    if len(x.keys) < 2:
        return tanh(x)
    blocks = [block.copy() for block in tanh(x).blocks()]
    return tmref.TensorMap(tmref.Labels(x.keys.names, x.keys.values[1:]), blocks[1:])


def returns_nothing(x):
    return None


def returns_a_text(x):
    return "text"


def leaves(x):
    if len(x.keys) > 1:
        raise SystemExit(0)
    return tanh(x)


def frozen(x):
    widths = [len(block.properties) for block in x]
    return tmref.nn.Linear(x.keys, widths, 2, dtype=x.dtype).requires_grad_(False)


def linear_twin(key, block):
    return torch.nn.Linear(len(block.properties), 2, dtype=block.dtype)


def tanh_twin(key, block):
    return torch.nn.Tanh()


def ended(script):
    """How a script ends: its last line, and the status."""
    command = [sys.executable, "-W", "ignore", "-c", script]
    home = Path(__file__).parents[2]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=home)
    return script.rstrip().splitlines()[-1].strip(), found.returncode


EXITED = 'raise AssertionError("it raised SystemExit") from error'


def of_law(law, verdicts):
    (found,) = (v for v in verdicts if v.law == law)
    assert found.verdict in (FAIL, ERROR)
    return found


@pytest.mark.parametrize(
    ("judged", "law", "last"),
    [
        (loses_a_block, "samples_survive", "assert (y.keys.names, y.keys.values.tolist()) == "),
        (loses_a_block, "properties_survive", "assert (y.keys.names, y.keys.values.tolist()) == "),
        (loses_a_block, "blocks_may_change_their_keys", "assert (y.keys.names, y.keys.values.tolist())"),
        (
            loses_a_block,
            "fewer_blocks_are_refused_or_give_the_same",
            "assert (y.keys.names, y.keys.values.tolist()) == ",
        ),
        (returns_nothing, "it_can_be_made_and_called", "assert y is not None, 'it returns nothing, "),
        (returns_a_text, "it_can_be_made_and_called", "assert type(y).__name__ != 'str', 'it returns a"),
        (leaves, "it_can_be_made_and_called", EXITED),
    ],
)
def test_the_script_ends_in_what_is_missing_and_is_right_for_what_is_mended(judged, law, last, only):
    only(law)
    found = of_law(law, check_function(judged, traits=OF_TANH, twin=tanh_twin, on_fail=None, effort=0.1))
    line, status = ended(found.reproducer)
    assert line.startswith(last), found.reproducer
    assert status == 1
    imported = f"import {judged.__name__} as function\n"
    assert imported in found.reproducer
    assert ended(found.reproducer.replace(imported, "import tanh as function\n"))[1] == 0


class Tanh(torch.nn.Module):
    def forward(self, x):
        return tanh(x)


class Detaches(torch.nn.Module):
    def forward(self, x):
        return mapped(lambda values: torch.tanh(values.detach()), x)


class IsOfAnotherDtype(torch.nn.Module):
    def forward(self, x):
        return mapped(lambda values: torch.tanh(values).double(), x)


@pytest.mark.parametrize(
    ("judged", "law", "last"),
    [
        (
            Detaches,
            "explicit_gradients_are_refused_or_right_by_the_chain_rule",
            "assert y.block(0).values.requires_grad",
        ),
        (
            IsOfAnotherDtype,
            "explicit_gradients_are_refused_or_right_in_a_sequential",
            "assert y.block(0).values.dtype == torch.float32",
        ),
    ],
)
def test_the_script_names_what_derivatives_need(judged, law, last, only):
    only(law)
    verdicts = check_module(lambda x: judged(), traits=KEPT, twin=tanh_twin, on_fail=None, effort=0.1)
    found = of_law(law, verdicts)
    assert ended(found.reproducer) == (last, 1)
    imported = f"import {judged.__name__} as judged\n"
    assert imported in found.reproducer
    assert ended(found.reproducer.replace(imported, "import Tanh as judged\n"))[1] == 0


def test_the_script_names_parameters_that_are_frozen(only):
    only("derivatives_are_those_of_plain_torch")
    verdicts = check_module(frozen, twin=linear_twin, traits=KEPT, on_fail=None, effort=0.1)
    found = of_law("derivatives_are_those_of_plain_torch", verdicts)
    assert ended(found.reproducer) == (
        "assert all(parameter.requires_grad for parameter in module.parameters())",
        1,
    )


class ExitsWhenMade(torch.nn.Module):
    def __init__(self):
        super().__init__()
        raise SystemExit(0)


def test_the_script_of_what_exits_when_it_is_made_fails():
    (found,) = check_module(lambda x: ExitsWhenMade(), on_fail=None)
    assert (found.verdict, found.message) == (ERROR, "the module can't be made: SystemExit: 0")
    assert ended(found.reproducer) == (EXITED, 1), found.reproducer
    assert ended(found.reproducer.replace("ExitsWhenMade", "Tanh"))[1] == 0


@law("linear")
def others_are_made_with_other_parameters(f, x, draw):
    """[ours]"""
    call = dataclasses.replace(f.recipe.call, kwargs={"bias": "none"})
    f.make("other", dataclasses.replace(f.recipe, call=call))
    return f(x), f(x)


def test_the_script_makes_another_module_that_can_not_be_made(rows):
    verdict = check(others_are_made_with_other_parameters, rows["linear"], reference, examples=5)
    assert (verdict.verdict, verdict.message[:31]) == (ERROR, "the module can't be made: TypeE")
    assert "\nother = nn.Linear(bias='none')\n" in verdict.reproducer
    assert ended(verdict.reproducer)[1] == 1


# --- what fails by no line


class Sleeps(torch.nn.Module):
    def forward(self, x):
        time.sleep(0.6)
        return x


class Devours(torch.nn.Module):
    def forward(self, x):
        return x if bytearray(2**29) else None


def ending(status):
    class Ends(torch.nn.Module):
        def forward(self, x):
            os._exit(status)

    return Ends


@pytest.mark.parametrize(
    ("judged", "words", "says_so"),
    [
        (Sleeps, "it took longer than 0.5 s", True),
        (Devours, "it used more than 0.25 GiB of memory", True),
        (ending(0), "it ended the process, with status 0", True),
        (ending(3), "it ended the process, with status 3", False),
        (ExitsWhenMade, "the module can't be made: SystemExit: 0", False),
    ],
)
def test_a_script_whose_lines_do_not_fail_says_so(judged, words, says_so):
    limits = {"timeout": 0.5, "memory": 0.25}
    (found,) = check_module(lambda x: judged(), on_fail=None, **limits)
    assert found.verdict == ERROR
    assert found.message.startswith(words)
    line, status = ended(found.reproducer)
    assert (line == SHOWS_NOTHING, status == 0) == (says_so, says_so), found.reproducer


def test_a_script_that_shows_nothing_is_no_sign_that_something_is_mended():
    verdict = Verdict("law", "row", "lib", "1", FAIL, reproducer=f"x = 1\n{SHOWS_NOTHING}\n")
    with pytest.raises(ValueError, match=r"^the script can't show the failure"):
        Ran(0, "", "").require_sense(verdict)
    Ran(1, "", "").require_sense(verdict)
