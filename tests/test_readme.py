"""The README is true: its examples run, its output is real, its numbers are the code's."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import tmref
from tmref.__main__ import main
from tmref.catalog import DATA, ROWS
from tmref.implementations import names
from tmref.laws import EXAMPLES, LAWS
from tmref.nn import __all__ as modules

#: What is exported beside the types: what the README lists, and what it means by `_raise`.
OPERATIONS = [
    name
    for name in tmref.__all__
    if name[0].islower()
    and name not in ("nn", "with_gradients")  # which is none of metatensor's
    and not name.endswith("_raise")
    and not name.startswith("load_")
]

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def text():
    return README.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def examples(text):
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def python(*arguments, cwd):
    command = [sys.executable, "-W", "ignore", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


LAST = 'implementation="metatensor-torch",\n'


@pytest.mark.parametrize("end", ["        effort=0.1,\n", pytest.param("", marks=pytest.mark.slow)])
def test_the_example_of_a_module_is_a_test_that_passes(examples, tmp_path, end):
    assert examples[0].count(LAST) == 1
    (tmp_path / "test_my_module.py").write_text(examples[0].replace(LAST, LAST + end))
    found = python("-m", "pytest", "-q", "-rP", "-W", "ignore", "test_my_module.py", cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    assert "held but not declared: keeps_components" in found.stdout


def test_the_example_of_an_adapter_checks_a_library_called_as_metatensors(examples, tmp_path):
    (tmp_path / "my_adapter.py").write_text(examples[1])
    (tmp_path / "my_library.py").write_text("from tmref import *\nfrom tmref import __version__\n")
    arguments = ("check", "my_adapter:implementation", "-k", "tanh and keys_survive")
    found = python("-m", "tmref", *arguments, cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    assert "my-library 0.1.0: 5 pass, 0 known failures, 0 unexpected" in found.stdout


def test_the_example_of_a_newcomer_fails_as_it_says(text, examples, tmp_path):
    (tmp_path / "test_mine.py").write_text(examples[2])
    found = python("-m", "pytest", "-q", "-W", "ignore", "test_mine.py", cwd=tmp_path)
    assert found.returncode == 1
    shown = text.partition("`mts.imports` are the lines")[2].partition("    x=")[2].partition("\n")[0]
    assert f"x={shown}" in found.stdout


def test_the_example_of_a_strategy_is_a_test_that_passes(examples, tmp_path):
    (tmp_path / "test_maps.py").write_text(examples[3])
    found = python("-m", "pytest", "-q", "-W", "ignore", "test_maps.py", cwd=tmp_path)
    assert found.returncode == 0, found.stdout


def test_the_example_of_torch_s_tools_runs(examples, tmp_path):
    (tmp_path / "script.py").write_text(examples[4])
    assert all(tool in examples[4] for tool in ("torch.compile", "torch.export", "jacrev", "vmap"))
    found = python("script.py", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (0, ""), found.stderr


def test_the_example_of_batched_modules_runs(examples, tmp_path):
    checked = "y = fast(x)\nassert [b.shape for b in y] == [b.shape for b in module(x)]\n"
    (tmp_path / "script.py").write_text(examples[4] + examples[5] + checked)
    found = python("script.py", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (0, ""), found.stderr


def test_what_is_left_out_is_not_there_and_all_else_is_named(text):
    left_out = text.partition("What is left out: ")[2].partition("\n\n")[0]
    assert all(f"`{name}`" in left_out for name in OPERATIONS)
    named = set(re.findall(r"`(\w+)`", left_out)) - {"_raise", "DistributedDataParallel"}
    assert all(hasattr(tmref, name) or hasattr(tmref.TensorMap, name) for name in named)


def test_names_and_numbers_are_those_of_the_code(text, capsys):
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    usage = capsys.readouterr().out
    assert EXAMPLES == 100
    assert "mostly fifty or a hundred for all the" in text
    assert all(f"`{name}`" in text for name in names() if name != "reference")
    assert all(module in text for module in modules)
    for option in ("--report", "--quick", "--thorough", "--device", "--hypothesis-seed"):
        assert option in text
        assert option in usage


def test_the_table_has_every_row_and_law(text):
    assert all(re.search(rf"\b[a-zA-Z] {row.name}\b", text) for row in (*DATA, *ROWS))
    assert all(f" {law.name} " in text for law in LAWS)


def test_the_reproducer_in_it_shows_the_defect_of_the_peer_alone(text, tmp_path):
    script = text.partition("    # metatensor-torch")[2].partition("\nThe exit status")[0]
    code = "\n".join(line[4:] for line in f"    #{script}".splitlines())
    assert "tmref" not in code
    (tmp_path / "script.py").write_text(code)
    found = python("script.py", cwd=tmp_path)
    assert found.returncode == 1
    assert "5." in found.stdout
    assert "AssertionError" in found.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_output_in_it_is_real(text, tmp_path):
    found = python("-m", "tmref", "check", "metatensor-torch", "-n", "2", cwd=tmp_path)
    assert found.returncode == 0
    shown = [line.rstrip() for line in found.stdout.splitlines()]
    quoted = text.partition("$ tmref check metatensor-torch -n 2\n")[2].partition("\nA line is")[0]
    lines = [line[4:].rstrip() for line in quoted.splitlines() if line.strip() not in ("", "...")]
    assert len(lines) > 30
    assert [line for line in lines if line not in shown] == []
