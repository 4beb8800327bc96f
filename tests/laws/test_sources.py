"""The code of functions, for scripts: run alone it gives a function that does the same."""

import functools
import math as maths

import torch
from torch.nn import functional

import tmref
from tmref.laws.sources import code_of

WIDTH = 3


def local():
    width, factor = WIDTH, 5

    def wide(value):
        return value * width

    class Scaled:
        """Is used by a function below."""

        def __init__(self, value):
            self.value = wide(value)

    def scaled(value):
        return maths.floor(Scaled(value).value * factor)

    return scaled


def run(lines):
    """What is defined by the lines, where nothing of this file is at hand."""
    names = {"__name__": "script"}
    exec(compile("\n".join(lines), "script", "exec"), names)
    return names


def test_what_can_be_imported_is():
    activations = "from torch.nn.modules.activation import Tanh"
    assert code_of(torch.nn.Tanh, "build") == (f"{activations} as build",)
    assert code_of(tmref.nn.Tanh, "Tanh") == ("from tmref.nn.activations import Tanh",)
    assert code_of(torch.nn.Tanh.forward, "build") == (f"{activations}\nbuild = Tanh.forward",)
    for function in (torch.nn.Tanh, torch.nn.Tanh.forward):
        assert run(code_of(function, "build"))["build"] is function


def test_what_is_there_already_is_not_imported_again():
    def build(x):
        return torch.nn.Tanh(), tmref.nn

    assert code_of(build, "build", {"torch": torch, "tmref": torch})[0] == "import tmref"


def test_a_local_function_has_its_source_after_all_that_it_uses():
    lines = code_of(local(), "build")
    text = "\n".join(lines)
    parts = ("width = 3", "def wide", "class Scaled", "factor = 5", "import math as maths")
    assert all(text.count(part) == 1 for part in parts), text
    assert lines[-1] == "build = scaled"
    assert run(lines)["build"](2) == local()(2) == 30


def test_a_lambda_is_the_expression_alone():
    negated, scaled = lambda value: -WIDTH * value, lambda value: functional.relu(torch.tensor(value))
    assert code_of(negated, "build") == ("WIDTH = 3", "build = lambda value: -WIDTH * value")
    assert run(code_of(negated, "build"))["build"](2) == -6
    assert code_of(scaled, "build") == (
        "from torch.nn import functional",
        "import torch",
        "build = lambda value: functional.relu(torch.tensor(value))",
    )


def test_a_lambda_may_go_over_lines_and_stand_in_another():
    # fmt: off
    over_lines = functools.partial(
        lambda first, second: [first,
                               second], 1)
    # fmt: on
    assert code_of(over_lines.func, "build") == ("build = lambda first, second: [first, second]",)
    (nested,) = [lambda value: lambda other: value + other]
    assert code_of(nested, "f") == ("f = lambda value: lambda other: value + other",)
    assert code_of(nested(2), "f") == ("value = 2", "f = lambda other: value + other")


def test_what_has_no_source_is_said():
    assert code_of(functools.partial(run), "build") == ("# build is a partial that was given",)
    assert code_of(eval("lambda x: x"), "build") == ("# build is a function that was given",)
    tensor = torch.zeros(2)
    assert code_of(lambda x: x + tensor, "build") == (
        "# tensor is a Tensor that was given",
        "build = lambda x: x + tensor",
    )


def test_functions_that_call_each_other_are_written_once():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    found = run(code_of(even, "build"))["build"]
    assert [found(n) for n in range(4)] == [True, False, True, False]
