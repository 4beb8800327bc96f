"""What laws do with an implementation: lines of code, which are what scripts print."""

import subprocess
import sys

import pytest
import torch
from hypothesis import strategies as st

from tmref import Labels, TensorMap
from tmref.compare import Refused
from tmref.implementations import load
from tmref.implementations.reference import implementation as reference
from tmref.laws.law import data_law, law
from tmref.laws.outcomes import NotOffered, Raised
from tmref.laws.runner import check
from tmref.laws.session import Session
from tmref.verdicts import ERROR, FAIL, NOT_OFFERED, PASS

NAMES = ("reference", "metatensor-learn", "metatensor-torch")
by_name = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def x(block):
    return TensorMap(Labels.range("key", 2), [block(2, 3), block(1, 2)])


@by_name
def test_what_is_given_is_encoded_and_what_comes_back_is_decoded(name, x):
    f = Session(load(name))
    assert f.run("x.keys", x=x) == x.keys
    assert type(f["x"]) is load(name).TensorMap or f["x"]._type().name() == "TensorMap"
    block = f.run("x.block(1)")
    assert block.samples == x.block(1).samples
    assert torch.equal(block.values, x.block(1).values)
    assert f.run("{'a': [x.keys], 'b': (len(x), None)}") == {"a": [x.keys], "b": (2, None)}


@by_name
def test_labels_of_numpy_and_of_torch_both_come_back_as_tensors(name):
    f = Session(load(name))
    values = f.run("a.values", a=Labels.range("n", 3))
    assert values.tolist() == [[0], [1], [2]]
    assert isinstance(values, torch.Tensor)


def test_names_stay_for_later_lines():
    f = Session(reference)
    assert f.run("a = 2 * n", n=3) == 6
    assert f.run("a + n") == 9
    f.run("import math\nb = math.floor(a / 4)")
    assert f["b"] == 1
    assert [step.code for step in f.steps][:2] == ["a = 2 * n", "a + n"]


def test_what_a_line_does_to_what_it_is_given_stays_there(x):
    f = Session(reference)
    before = x.copy()
    f.run("x.block(0).values.zero_()", x=x)
    assert torch.equal(x.block(0).values, before.block(0).values)
    assert torch.equal(f.steps[0].given["x"].block(0).values, before.block(0).values)
    assert not f["x"].block(0).values.any()


def test_what_raises_is_refused_or_an_error_with_its_line():
    f = Session(reference)
    refused = f.attempt_to_run("[][0]")
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, IndexError)
    with pytest.raises(Raised, match=r"'\[\]\[0\]' can't be done"):
        f.run("[][0]")


def test_what_is_not_offered():
    assert Session(reference).offered("name") == "reference"
    with pytest.raises(NotOffered, match="reference does not offer it: telepathy"):
        Session(reference).offered("telepathy")


# --- laws of such lines


@data_law("labels", st.integers(1, 9))
def numbers_are_small(f, x, draw):
    """Numbers are at most 3. [maths]"""
    other = draw(st.integers(0, 9), label="other")
    total = f.run("x + other", x=x, other=other)
    return total, min(total, 3)


@data_law("labels", st.just(1))
def there_is_telepathy(f, x, draw):
    """[doc]"""
    f.offered("telepathy")


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


def test_a_line_that_raises_is_an_error_and_the_last_of_its_script(rows):
    verdict = check(a_copy_is_the_same, rows["linear"], reference, examples=20)
    assert verdict.verdict == ERROR
    assert "import copy\n" in verdict.reproducer
    assert verdict.reproducer.splitlines()[-1] == "y = module(x)"


def test_a_law_that_is_not_about_what_is_offered_is_expected_and_says_why(rows):
    verdict = check(there_is_telepathy, rows["labels"], reference)
    assert (verdict.status, verdict.expected, verdict.examples) == (NOT_OFFERED, True, 0)
    assert verdict.message == "reference does not offer it: telepathy"


def test_a_law_is_tried_on_what_it_asks_for_divided_over_the_rows_that_share_code(rows):
    @law("linear", examples=10)
    def holds(f, x, draw):
        """[maths]"""

    assert holds.examples_on(rows["linear"]) == 4  # three rows are linear and share code
    assert holds.examples_on(rows["linear"], 10) == 34
    assert holds.examples_on(rows["linear"], 0.01) == 1
    assert check(holds, rows["linear"], reference).examples == 4
    assert check(holds, rows["linear"], reference).verdict == PASS


def test_an_unknown_kind_of_data_is_refused_and_those_there_are_named():
    with pytest.raises(ValueError, match=r"no kind of data 'lables', there are .*'labels'"):
        data_law("lables")
