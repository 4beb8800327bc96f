"""Scripts of laws that could compare nothing end in what the output lacks."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tmref
from tmref.laws import check_function, check_module
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
        (leaves, "it_can_be_made_and_called", 'raise AssertionError("it raised SystemExit") from error'),
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


def test_a_script_that_shows_nothing_is_no_sign_that_something_is_mended():
    verdict = Verdict("law", "row", "lib", "1", FAIL, reproducer=f"x = 1\n{SHOWS_NOTHING}\n")
    with pytest.raises(ValueError, match=r"^the script can't show the failure"):
        Ran(0, "", "").require_sense(verdict)
    Ran(1, "", "").require_sense(verdict)
