"""Scripts: they are what laws ran, and show what differs."""

import enum
import math
import subprocess
import sys
import threading
from collections import namedtuple

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

import tmref
from tmref.catalog import module_row
from tmref.catalog.kinds.layer_norm import LayerNorm
from tmref.catalog.kinds.module_map import ModuleMap
from tmref.implementations import load
from tmref.implementations.reference import implementation as reference
from tmref.laws import check_module
from tmref.laws.edits import with_values
from tmref.laws.law import data_law, law
from tmref.laws.runner import check
from tmref.laws.script import ScriptWriter
from tmref.laws.steps import Step
from tmref.laws.subject import row_of_function, row_of_module
from tmref.verdicts import ERROR, FAIL, Verdict


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


# --- further inputs of functions of one's own


def block(value, *, gradient=None):
    made = tmref.TensorBlock(
        torch.tensor([[value]]), tmref.Labels.single(), [], tmref.Labels.range("p", 1)
    )
    if gradient is not None:
        labels = tmref.Labels(["sample"], torch.tensor([[0]])), [], tmref.Labels.range("p", 1)
        made.add_gradient("positions", tmref.TensorBlock(torch.tensor([[gradient]]), *labels))
    return made


def one(value, **options):
    return tmref.TensorMap(tmref.Labels.range("key", 1), [block(value, **options)])


def script(row, on="reference", **given):
    """The script of a call of what the row makes, with these further inputs."""
    implementation = row.subject(load(on))
    example = row.example(one(1.0), **given)
    steps = [Step("y = module(x)", {"x": example.x}, "y", None), Step("y", {}, "result", None)]
    return ScriptWriter(implementation).script("title", example, steps)


def run(code):
    names = {"__name__": "script"}
    exec(compile(code, "script", "exec"), names)
    return names


def returned(value, on="reference"):
    """What a function is given by the script."""
    return run(script(row_of_function(lambda x, value: value), on, value=value))["y"]


@pytest.mark.parametrize("name", ["reference", "metatensor-torch", "metatensor-learn"])
def test_maps_within_further_inputs_are_written_out(name, tmp_path):
    def number(tensor):
        return float(tensor.block(0).values[0, 0])

    def gradient(tensor):
        return float(tensor.block(0).gradient("positions").values[0, 0])

    def judged(x, targets, first):
        forces, (other,) = targets["forces"]
        print([number(t) for t in (x, targets["energy"], forces, other, targets["of all"], *first)])
        print(gradient(forces))

    targets = {
        "energy": one(2.0),
        "forces": [one(3.0, gradient=4.0), (one(5.0),)],
        "of all": one(6.0),
        "weights": (torch.ones(2), tmref.Labels.range("a", 2), math.inf),
    }
    code = script(row_of_function(judged), name, targets=targets, first=[one(7.0)])
    assert "targets_energy = TensorMap(" in code
    assert "'energy': targets_energy, 'forces': [targets_forces_0, (targets_forces_1_0,)]" in code
    (tmp_path / "script.py").write_text(code)
    command = [sys.executable, "-W", "ignore", tmp_path / "script.py"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.stdout == "[1.0, 2.0, 3.0, 5.0, 6.0, 7.0]\n4.0\n", found.stderr


def test_a_name_for_a_part_is_that_of_no_other():
    (first, second) = ({"a": {"b_c": one(2.0)}, "a_b": {"c": one(3.0)}},) * 2
    assert returned(first)["a"]["b_c"].block(0).values == 2
    assert returned(second)["a_b"]["c"].block(0).values == 3


def test_the_map_that_a_module_is_made_for_is_x():
    row = row_of_module(lambda x: torch.nn.Identity(), call=lambda module, x, other: (module(x), other))
    code = script(row, other=[one(2.0)])
    assert "\nmodule = Called(build(x), other=other)\n" in code
    x, (other,) = run(code)["y"]
    assert (x.block(0).values, other.block(0).values) == (1, 2)


@pytest.mark.parametrize("name", ["reference", "metatensor-torch", "metatensor-learn"])
def test_data_of_the_implementation_is_written_as_its_code(name):
    implementation = load(name)
    tensor, labels = one(2.0, gradient=3.0), tmref.Labels.range("a", 2)
    for ours in (tensor, tensor.block(0), labels):
        theirs = implementation.to_theirs(ours)
        code = script(row_of_function(lambda x, value, inner: value), name, value=theirs, inner=[theirs])
        assert "pickle" not in code
        found = implementation.to_ours(run(code)["y"])
        assert repr(found) == repr(ours)


def test_data_of_another_implementation_is_pickled(tmp_path):
    theirs = load("metatensor-torch").to_theirs(one(2.0))
    code = script(row_of_function(lambda x, value: print(value[0][0].values)), value=[theirs])
    (tmp_path / "script.py").write_text(code)
    command = [sys.executable, "-W", "ignore", tmp_path / "script.py"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.stdout == "tensor([[2.]])\n", found.stderr


def doubled(value):
    return 2 * value


class Mode(enum.Enum):
    FAST = 1


Pair = namedtuple("Pair", "first second")


@pytest.mark.parametrize(
    "value",
    [
        *(math.inf, math.nan, [math.nan, 2], 1j, {1: {2}}, (1,), (), frozenset([1]), slice(1, 2), None),
        *(torch.device("cpu"), torch.float16, torch.Size([2]), torch.arange(2000), torch.tanh),
        *(np.arange(3), np.float64(2), Mode.FAST, {Mode.FAST: [Mode.FAST]}, Pair(1, Pair(2, "a"))),
        *(doubled, Mode, torch.nn.Linear, math),
    ],
)
def test_what_is_given_is_in_the_script(value):
    found = returned(value)
    assert (type(found), repr(found)) == (type(value), repr(value))


def test_objects_of_torch_are_in_the_script():
    generator, linear, x = torch.Generator().manual_seed(3), torch.nn.Linear(2, 3), torch.ones(1, 2)
    assert returned(generator).get_state().equal(generator.get_state())
    assert returned([linear])[0](x).equal(linear(x))
    parameter = returned(torch.nn.Parameter(torch.ones(2)))
    assert isinstance(parameter, torch.nn.Parameter)


def test_functions_and_classes_that_are_given_are_defined():
    class Local:
        number = doubled(3)

    function, (cls, again) = (returned(given) for given in (lambda v: doubled(v) + 1, [Local, Local]))
    assert (function(2), cls.number, again.number) == (5, 6, 6)


def test_what_has_no_code_ends_the_script_and_says_so():
    for value, name in ((threading.Lock(), "value"), ([1, threading.Lock()], "value_1")):
        code = script(row_of_function(lambda x, value: value), value=value)
        assert f"\n# {name} is <unlocked _thread.lock object at " in code
        with pytest.raises(
            NotImplementedError, match=f"^{name} is a lock that can't be written as code"
        ):
            run(code)
    code = script(row_of_function(eval("lambda x: x")))
    with pytest.raises(NotImplementedError, match="function is a function that can't be written as"):
        run(code)
    (ended,) = [line for line in code.splitlines() if line.startswith("raise ")]
    assert run(code.replace(ended, "function = len"))["y"] == 1


NUMBERS = torch.rand(100, 100, dtype=torch.float64)


def test_a_tensor_that_would_be_too_long_ends_the_script_and_says_so():
    code = script(row_of_function(lambda x, value: value), value=NUMBERS)
    assert len(code) < 10_000
    with pytest.raises(NotImplementedError, match=r"^value is a Tensor that can't be written as code"):
        run(code)


def test_a_script_is_never_cut():
    verdict = Verdict("law", "row", "lib", "1", FAIL, reproducer="x = 1\n" * 100_000)
    assert verdict.reproducer == "x = 1\n" * 100_000


class Random(torch.nn.Module):
    def forward(self, x):
        return [x.block(0).values.sum(), {"random": torch.rand(1)}]


def test_what_is_expected_is_kept_before_its_name_stands_for_another(only):
    only("what_is_not_recorded_is_the_same")
    verdicts = check_module(lambda x: Random(), traits=["deterministic"], on_fail=None, effort=0.1)
    (found,) = (v for v in verdicts if v.law == "what_is_not_recorded_is_the_same")
    assert found.verdict == FAIL
    lines = [line.strip() for line in found.reproducer.splitlines()]
    assert "expected = y" in lines
    assert lines[-1].startswith(
        "torch.testing.assert_close(result[1]['random'], expected[1]['random'], "
    )
    with pytest.raises(AssertionError):
        run(found.reproducer)


# --- imports


def test_what_is_an_attribute_of_another_name_is_not_imported():
    def judged(x):
        return torch.nn.functional.relu(torch.tensor(-1)), x.copy()

    code = script(row_of_function(judged), "metatensor-torch")
    assert "import nn" not in code
    assert "import copy" not in code
    nn = load("metatensor-torch").nn
    assert "import nn\n" in script(row_of_module(lambda x: nn.Tanh()), "metatensor-torch")


def test_what_implementations_know_by_name_is_imported():
    code = script(row_of_function(lambda x: np.arange(2)))
    assert list(run(code)["y"]) == [0, 1]
