"""Scripts as metatensor's tutorials on nn are: with their imports replaced, they print the same."""

import re

import pytest
import torch

SCRIPTS = ("equivariant", "modulemap", "custom_module")

IMPORTS = re.compile(r"^(import|from) metatensor\.torch\b(\.learn\b)?", flags=re.MULTILINE)

NUMBER = re.compile(r"[-+]?\d+\.\d*(?:[eE][-+]?\d+)?|[-+]?\d+[eE][-+]?\d+")


@pytest.fixture
def script(repository):
    def read(name):
        return (repository / "tests" / "data" / "tutorials" / f"{name}.py").read_text(encoding="utf-8")

    return read


def on_tmref(code):
    """The code with its imports replaced, and how many these were."""
    return IMPORTS.subn(r"\1 tmref", code)


def first_difference(found, expected):
    """Where two outputs differ: the numbers with a point by more than 1e-9 relative, all else at all."""
    lines, others = found.splitlines(), expected.splitlines()
    for line, other in zip(lines, others, strict=False):
        if NUMBER.split(line) != NUMBER.split(other):
            return f"{line!r} is not {other!r}"
        for x, y in zip(NUMBER.findall(line), NUMBER.findall(other), strict=True):
            if not abs(float(x) - float(y)) <= 1e-9 * abs(float(y)):
                return f"{x} is not {y} in {other!r}"
    return None if len(lines) == len(others) else f"{len(lines)} lines are not {len(others)}"


@pytest.fixture
def printed(repository, monkeypatch, capsys):
    """What a script prints that is run from the root of the repository."""

    def run(code):
        monkeypatch.chdir(repository)
        dtype = torch.get_default_dtype()
        try:
            exec(compile(code, "script", "exec"), {"__name__": "__main__"})
        finally:
            torch.set_default_dtype(dtype)
        return capsys.readouterr().out

    return run


@pytest.mark.usefixtures("mts")
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_on_tmref_prints_what_it_prints_on_metatensor(name, script, printed):
    code = script(name)
    replaced, count = on_tmref(code)
    assert count == 3
    assert "metatensor" not in replaced
    theirs, ours = printed(code), printed(replaced)
    assert len(theirs.splitlines()) > 90
    assert first_difference(ours, theirs) is None


def test_imports_are_replaced():
    code = (
        "import metatensor.torch as mts\nfrom metatensor.torch import Labels\n"
        "from metatensor.torch.learn import nn\nfrom metatensor.torch.learn.nn import Linear\n"
    )
    assert on_tmref(code) == (
        "import tmref as mts\nfrom tmref import Labels\n"
        "from tmref import nn\nfrom tmref.nn import Linear\n",
        4,
    )


@pytest.mark.parametrize(
    ("found", "difference"),
    [
        ("epoch 10, loss 0.25\nkey=1\n", None),
        ("epoch 10, loss 0.2500000001\nkey=1\n", None),
        (
            "epoch 10, loss 0.250000001\nkey=1\n",
            "0.250000001 is not 0.25 in 'epoch 10, loss 0.25'",
        ),
        ("epoch 10, loss nan\nkey=1\n", "'epoch 10, loss nan' is not 'epoch 10, loss 0.25'"),
        ("epoch 11, loss 0.25\nkey=1\n", "'epoch 11, loss 0.25' is not 'epoch 10, loss 0.25'"),
        ("epoch 10, loss 0.25\nkey=1.0\n", "'key=1.0' is not 'key=1'"),
        ("epoch 10, loss 0.25\nkey=1 \n", "'key=1 ' is not 'key=1'"),
        ("epoch 10, loss 0.25\n", "1 lines are not 2"),
        ("epoch 10, loss 0.25\nkey=1\n\n", "3 lines are not 2"),
        ("", "0 lines are not 2"),
    ],
)
def test_what_is_a_difference(found, difference):
    assert first_difference(found, "epoch 10, loss 0.25\nkey=1\n") == difference
