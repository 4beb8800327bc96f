"""Scripts: they are what laws ran, and show what differs."""

import subprocess
import sys

import pytest
import torch
from hypothesis import strategies as st

from tmref.catalog import module_row
from tmref.catalog.kinds.layer_norm import LayerNorm
from tmref.catalog.kinds.module_map import ModuleMap
from tmref.implementations import load
from tmref.implementations.reference import implementation as reference
from tmref.laws.edits import with_values
from tmref.laws.law import data_law, law
from tmref.laws.runner import check
from tmref.verdicts import ERROR, FAIL


@data_law("labels", st.integers(1, 9))
def numbers_are_small(f, x, draw):
    """Numbers are at most 3. [maths]"""
    other = draw(st.integers(0, 9), label="other")
    total = f.run("x + other", x=x, other=other)
    return total, min(total, 3)


@data_law("labels", st.just(1))
def doubles_and_squares_are_two(f, x, draw):
    """[maths]"""
    return [f.run("double = 2 * x", x=x), [f.run("square = x * x")]], [2, [2]]


@law("linear")
def a_copy_is_the_same(f, x, draw):
    """[maths]"""
    f.run("module = torch.nn.Sequential(module, copy.deepcopy(module))")
    return f(x), f(x)


def test_the_script_is_what_was_run_and_shows_the_difference(rows, tmp_path):
    verdict = check(numbers_are_small, rows["labels"], reference, examples=50)
    assert (verdict.verdict, verdict.message) == (FAIL, "it is 4, expected 3")
    script = verdict.reproducer.splitlines()
    assert script[-3:] == ["result = x + other", "print(result)", "assert result == 3"]
    assert set(script[-5:-3]) == {f"x = {4 - int(script[-4][8:])}", script[-4]}
    assert "x = " in verdict.counterexample
    assert "other = " in verdict.counterexample
    (tmp_path / "script.py").write_text(verdict.reproducer)
    command = [sys.executable, "-W", "ignore", tmp_path / "script.py"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (1, "4\n")
    assert "AssertionError" in found.stderr


def test_the_script_shows_which_of_several_results_differs(rows):
    verdict = check(doubles_and_squares_are_two, rows["labels"], reference, examples=1)
    script = verdict.reproducer.splitlines()
    assert script[-5:] == [
        "x = 1",
        "double = 2 * x",
        "square = x * x",
        "print(square)",
        "assert square == 2",
    ]


@pytest.mark.parametrize("name", ["reference", "metatensor-learn"])
def test_a_script_imports_what_it_uses(name, rows):
    verdict = check(doubles_and_squares_are_two, rows["labels"], load(name), examples=1)
    imports = [line for line in verdict.reproducer.splitlines() if line.startswith("import ")]
    assert imports == []


@law("keyed", maps={"min_samples": 1, "min_properties": 2})
def values_are_infinite(f, x, draw):
    """[maths]"""
    y = f(x)
    return y, with_values(y, [torch.full_like(block.values, torch.inf) for block in y])


def test_a_script_imports_the_twins_that_it_uses(tmp_path):
    """Where they are the modules of a ModuleMap."""
    row = module_row("norms", ModuleMap(of=(LayerNorm("LayerNorm"),)))
    verdict = check(values_are_infinite, row, reference, examples=5)
    assert "\nimport tmref.catalog.kinds.layer_norm\n" in verdict.reproducer
    (tmp_path / "script.py").write_text(verdict.reproducer)
    command = [sys.executable, "-W", "ignore", tmp_path / "script.py"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "AssertionError: " in found.stderr, found.stderr


def test_a_line_that_raises_is_an_error_and_the_last_of_its_script(rows):
    verdict = check(a_copy_is_the_same, rows["linear"], reference, examples=20)
    assert verdict.verdict == ERROR
    assert "import copy\n" in verdict.reproducer
    assert verdict.reproducer.splitlines()[-1] == "y = module(x)"
