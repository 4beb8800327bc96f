"""The code of functions, for scripts: run alone it gives a function that does the same."""

import dataclasses
import enum
import functools
import linecache
import math as maths
import operator
import threading
from collections import OrderedDict

import pytest
import torch
from metatensor.torch import abs
from torch.nn import functional

import tmref
from tmref.laws.sources import code_of, plain_code

WIDTH = 3
NOTHING = None
SHIFTS = [1.5, -maths.inf, (2,), {"a": [torch.tensor([1.0, 2.0]), torch.float32]}, {7}, frozenset()]
TABLE = OrderedDict(relu=torch.relu, scaled=lambda value: value * WIDTH, named="relu")
LOCK = threading.Lock()


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
    assert code_of(torch.nn.Tanh.forward, "build") == (activations, "build = Tanh.forward")
    assert code_of(torch.tanh, "build") == ("from torch import tanh as build",)
    for function in (torch.nn.Tanh, torch.nn.Tanh.forward, torch.tanh, functional.gelu, len):
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


def missing(name, kind):
    return (
        f'raise NotImplementedError("{name} is a {kind} that can\'t be written as code: define it here")'
    )


def test_where_there_is_no_code_the_script_ends():
    exec("class Made:\n    def run(self):\n        pass", made := {"__name__": "made"})
    for value, kind in (
        (eval("lambda x: x"), "function"),
        (made["Made"], "class"),
        (made["Made"](), "Made"),
        (made["Made"]().run, "method"),
        (functools.partial(LOCK.acquire, 1), "partial"),
        ([LOCK], "list"),
    ):
        assert code_of(value, "build")[-1] == missing("build", kind)

    def locked(value):
        with LOCK:
            return value

    lines = code_of(locked, "build")
    assert (lines[0], lines[-1]) == (missing("LOCK", "lock"), "build = locked")
    defined = "import threading\nLOCK = threading.Lock()"
    assert run([defined, *lines[1:]])["build"](2) == 2


def test_what_is_too_long_or_within_itself_has_no_code():
    long, within = torch.arange(10**6), [1]
    within.append(within)
    lines = code_of(lambda: (long, within), "build")
    assert lines[:2] == (missing("long", "Tensor"), missing("within", "list"))


def test_a_function_that_binds_names_around_it_has_no_code():
    count = 0

    def counted(value):
        nonlocal count
        count += 1
        return value

    assert code_of(counted, "build") == (missing("build", "function"),)


def test_values_that_functions_use_are_written():
    closed_over = [{"width": WIDTH}]

    def uses(value):
        return TABLE["relu"](value), TABLE["scaled"](value), SHIFTS, NOTHING, closed_over, TABLE["named"]

    lines = code_of(uses, "build")
    assert (
        "SHIFTS = [1.5, float(\"-inf\"), (2,), {'a': [torch.tensor([1.0, 2.0]), torch.float32]}, {7}, "
        in ("\n".join(lines))
    )
    one = torch.ones(1)
    assert repr(run(lines)["build"](one)) == repr(uses(one))


@pytest.mark.parametrize(
    "value",
    [
        *(maths.inf, maths.nan, -0.0, 2, True, None, "nn", b"b", range(3), torch.Size([2]), torch.int8),
        *(1j, 1 + 2j, complex(0.0, -0.0), complex(maths.nan, 1), torch.device("cpu"), torch.strided),
        *(torch.ones(2), torch.zeros(0), torch.nn.Parameter(torch.ones(2)), torch.channels_last),
        torch.nn.Parameter(torch.ones(2), requires_grad=False),
    ],
)
def test_a_plain_value_has_an_expression(value):
    again = eval(plain_code(value), {"torch": torch})
    assert (type(again), repr(again)) == (type(value), repr(value))


def test_a_sparse_tensor_is_pickled():
    sparse = torch.eye(2).to_sparse()
    assert plain_code(sparse) is None
    assert run(code_of(sparse, "x"))["x"].to_dense().equal(torch.eye(2))


# --- what is called, and is no function


class Importable:
    def __init__(self, number):
        self.number = number

    def added(self, value):
        return self.number + value


def test_a_partial_is_written_with_its_function_and_arguments():
    def scaled(value, factor, shift):
        return value * factor + shift

    lines = code_of(functools.partial(scaled, factor=2, shift=torch.tensor(1)), "build")
    assert lines[-1] == "build = functools.partial(scaled, factor=2, shift=torch.tensor(1))"
    assert run(lines)["build"](3) == 7
    lines = code_of(functools.partial(lambda first, second: first - second, 5), "build")
    assert lines == (
        "import functools",
        "build = functools.partial(lambda first, second: first - second, 5)",
    )


def test_a_bound_method_is_that_of_its_object():
    class Local(Importable):
        @classmethod
        def of_class(cls, value):
            return cls(value).number

    lines = code_of(Importable(3).added, "build")
    assert lines[-1].startswith("build = pickle.loads(b")
    assert run(lines)["build"](4) == 7
    lines = code_of(Local(3).added, "build")
    assert lines[-3:] == (
        "build_self = Local.__new__(Local)",
        "vars(build_self).update({'number': 3})",
        "build = build_self.added",
    )
    assert run(lines)["build"](4) == 7
    assert run(code_of(Local.of_class, "build"))["build"](4) == 4


def test_an_object_that_is_called_is_made_anew():
    @dataclasses.dataclass(frozen=True)
    class Plus:
        number: int
        then: object = None

        def __call__(self, value):
            return self.then(self.number + value)

    lines = code_of(Plus(2, then=lambda value: value * 10), "build")
    assert run(lines)["build"](1) == 30


def test_a_module_that_a_function_uses_is_made_anew():
    class Local(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(2, 1)
            self.scale = torch.nn.Parameter(torch.tensor([3.0]))

        def forward(self, x):
            return self.inner(x) * self.scale

    module, x = Local(), torch.ones(1, 2)
    made = run(code_of(lambda x: module(x), "build"))["build"]
    assert made(x).equal(module(x))


def test_an_object_that_has_no_dictionary_is_made_anew():
    class Mode(enum.Enum):
        FAST = 1

    class Plain:
        __slots__ = ("number",)

    made = run(code_of(lambda: Mode.FAST, "build"))["build"]
    assert made().name == "FAST"
    mode, plain = Mode.FAST, Plain()
    plain.number = 1
    assert code_of(lambda: mode, "build")[-2:] == ("mode = Mode(1)", "build = lambda: mode")
    assert missing("plain", "Plain") in code_of(lambda: plain, "build")


def test_what_is_asked_of_an_object_may_raise():
    class Items(dict):
        def __getattr__(self, name):
            return self[name]

        def __call__(self, value):
            return value

    assert missing("build", "Items") in code_of(Items(), "build")


# --- names


def test_a_name_may_be_used_for_what_it_stood_for_before():
    def build(value, factor):
        return value * factor

    for function in (
        functools.partial(build, factor=3),
        lambda value: build(value, 3),
        functools.partial(lambda factor, value: build(value, factor), 3),
    ):
        assert run(code_of(function, "build"))["build"](2) == 6


def test_two_things_of_one_name_are_not_mixed_up():
    def build(value):
        return value

    def tripled(value):
        return 3 * build(value)

    def other(width):
        return lambda value: value * width

    two, three = other(2), other(3)
    why = "raise NotImplementedError('two things have the name {} here: rename one of them')"
    assert why.format("build") in code_of(tripled, "build")
    assert why.format("width") in code_of(lambda value: two(three(value)), "build")


def test_what_hides_a_builtin_is_imported_as_it_was():
    def positive(value):
        return abs(value)

    lines = code_of(positive, "build")
    assert lines[0] == "from metatensor.torch import abs"
    assert run(lines)["abs"] is abs


def test_a_global_may_have_the_name_of_another_methods_local():
    class Local:
        def first(self, SHIFTS):
            WIDTH = SHIFTS
            return [operator for operator in WIDTH]  # noqa: C416

        def second(self):
            return SHIFTS[0], WIDTH, operator.neg(1)

    assert run(code_of(Local, "build"))["build"]().second() == (1.5, 3, -1)


# --- classes, decorators, and where sources are from


def test_a_class_comes_with_its_bases():
    class Square:
        def area(self):
            return self.side**2

    Other = Square

    class OfThree(Other):
        side = 3

    class OfWidth(Square):
        @property
        def side(self):
            return WIDTH

    class OfStatic(Square):
        side = property(lambda self: self.found())

        @staticmethod
        def found():
            return maths.floor(SHIFTS[0])

    found = [run(code_of(cls, "build"))["build"]().area() for cls in (OfThree, OfWidth, OfStatic)]
    assert found == [9, 9, 1]


def test_what_is_decorated_is_so_once():
    def twice(function):
        def called(value):
            return 2 * function(value)

        return called

    def twice_wrapped(function):
        return functools.wraps(function)(twice(function))

    @twice
    def first(value):
        return value + WIDTH

    @twice_wrapped
    def second(value):
        return value + WIDTH

    @torch.no_grad()
    def third(value):
        return torch.is_grad_enabled(), value + WIDTH

    undecorated = twice_wrapped(lambda value: value + WIDTH)
    for function in (first, second, third, undecorated):
        assert run(code_of(function, "build"))["build"](1) == function(1)


def test_strings_may_stand_further_left_than_the_code_around_them():
    def written():
        return """
  two
"""

    assert run(code_of(written, "build"))["build"]() == "\n  two\n"


CELL = """\
SHIFT = [1]

def scaled(value): return value * SHIFT[0]
class Scaled:
    def __init__(self, value): self.value = scaled(value)
class Named(Scaled):
    @property
    def name(self): return "named"
"""


@pytest.mark.parametrize("known", [True, False])
def test_code_of_a_cell_is_taken_where_python_has_it(known, monkeypatch):
    """As notebooks have it, whose module has no file."""
    name = "<cell>"
    if known:
        entry = len(CELL), None, CELL.splitlines(keepends=True), name
        monkeypatch.setitem(linecache.cache, name, entry)
    exec(compile(CELL, name, "exec"), cell := {"__name__": "__main__"})
    lines = code_of(cell["Named"], "build")
    if known:
        assert run(lines)["build"](2).value == 2
        assert run(code_of(cell["scaled"], "build"))["build"](2) == 2
    else:
        assert lines == (missing("build", "class"),)


def test_functions_that_call_each_other_are_written_once():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    found = run(code_of(even, "build"))["build"]
    assert [found(n) for n in range(4)] == [True, False, True, False]
