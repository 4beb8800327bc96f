"""The README and docs/ are true: examples run, output is real, numbers are the code's."""

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import strategies as st

import tmref
from tmref.catalog import DATA, ROWS, TRAITS
from tmref.compare import EPSILONS, TORCH_ERRORS
from tmref.implementations import names
from tmref.laws import EXAMPLES, LAWS, check_module, limits, runner
from tmref.nn import __all__ as modules
from tmref.reports.known import known_page
from tmref.reports.pages import laws_page, rows_page, strategies_page
from tmref.verdicts import Verdict

ROOT = Path(__file__).parents[1]
#: Those that are written, not made of the code.
PAGES = ["README.md", "CONTRIBUTING.md"]
PAGES += sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md") if "made" not in p.parts)

#: What is exported beside the types: what the page of the reference lists, with `_raise`.
OPERATIONS = [
    name
    for name in tmref.__all__
    if name[0].islower()
    and name not in ("nn", "datasets", "with_gradients", "with_info")  # which are none of metatensor's
    and not name.endswith("_raise")
    and not name.startswith("load_")
]


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def examples_of(page):
    return re.findall(r"```python\n(.*?)```", text_of(page), flags=re.DOTALL)


def python(*arguments, cwd):
    command = [sys.executable, "-W", "ignore", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def quoted(page, command):
    """The lines that a page says that a command prints: those below it, indented."""
    block = re.search(rf"^    \$ {re.escape(command)}\n((?:    .*\n|\n(?=    ))*)", text_of(page), re.M)
    assert block, f"{page} has no output of {command}"
    lines = [line.strip() for line in block[1].splitlines()]
    return [line for line in lines if line not in ("", "...")]


# --- the README


def test_the_readme_is_a_screen_and_a_bit():
    assert len(text_of("README.md").splitlines()) < 150


def test_the_script_in_it_shows_the_defect_of_the_peer_alone(tmp_path):
    script = text_of("README.md").partition("    # metatensor-torch")[2].partition("\n## ")[0]
    code = "\n".join(line[4:] for line in f"    #{script}".splitlines())
    assert "tmref" not in code
    (tmp_path / "script.py").write_text(code)
    found = python("script.py", cwd=tmp_path)
    assert found.returncode == 1
    assert "5." in found.stdout
    assert "AssertionError" in found.stderr


EFFORT = "        effort=0.1,\n"


@pytest.mark.parametrize(
    ("page", "effort"),
    [
        ("README.md", EFFORT),
        pytest.param("README.md", "", marks=pytest.mark.slow),
        *(
            pytest.param("docs/tutorials/my_module.md", effort, marks=pytest.mark.slow)
            for effort in (EFFORT, "")
        ),
    ],
)
def test_the_example_of_a_module_is_a_test_that_passes(page, effort, tmp_path):
    (example,) = (e for e in examples_of(page) if "check_module" in e)
    assert example.count(EFFORT) == 1
    assert '"pure"' in example
    (tmp_path / "test_my_module.py").write_text(example.replace(EFFORT, effort))
    found = python("-m", "pytest", "-q", "-rP", "-W", "ignore", "test_my_module.py", cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    few = " on the few examples of effort=0.1, try without it before you declare" if effort else ""
    assert f"held but not declared{few}: keeps_components" in found.stdout


@pytest.mark.slow
def test_the_example_of_a_test_for_every_law_passes(tmp_path):
    of_module, by_law = examples_of("docs/tutorials/my_module.md")
    of_module = of_module.partition("def test_my_module")[0]
    (tmp_path / "test_my_module.py").write_text(of_module + by_law)
    found = python("-m", "pytest", "-q", "-W", "ignore", "test_my_module.py", cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    assert re.search(r"^\d\d passed", found.stdout, re.MULTILINE)


@pytest.mark.slow
def test_the_example_of_rows_of_ones_own_is_checked(tmp_path):
    example = next(e for e in examples_of("docs/tutorials/my_library.md") if "row_of_module" in e)
    (tmp_path / "my_adapter.py").write_text(example)
    here = Path(__file__).parents[1] / "examples"
    sources = [
        (here / f"test_{name}.py").read_text().partition("\ndef test_")[0]
        for name in ("shared_weight", "sum_over_atoms")
    ]
    (tmp_path / "my_library.py").write_text("\n".join([*sources, "__version__ = '0.1.0'\n"]))
    arguments = ("check", "my_adapter:implementation", "-k", "keys_survive or rest_is_one", "--quick")
    found = python("-m", "tmref", *arguments, cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    assert re.search(r"my-library 0\.1\.0 +3 +0 +0 +0 ", found.stdout)


OF_METATENSOR = """
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatensor.torch.learn import nn

__version__ = "0.1.0"
"""


OF_TMREF = "from tmref import *\nfrom tmref import __version__\n"


@pytest.mark.parametrize(
    ("page", "library"),
    [
        ("README.md", OF_METATENSOR),
        pytest.param("README.md", OF_TMREF, marks=pytest.mark.slow),
        *(
            pytest.param("docs/tutorials/my_library.md", library, marks=pytest.mark.slow)
            for library in (OF_TMREF, OF_METATENSOR)
        ),
    ],
)
def test_the_example_of_an_adapter_checks_a_library_called_as_metatensors(page, library, tmp_path):
    example = next(e for e in examples_of(page) if "Implementation" in e)
    (tmp_path / "my_adapter.py").write_text(example)
    (tmp_path / "my_library.py").write_text(library)
    assert "tmref check my_adapter:implementation" in text_of(page)
    arguments = ("check", "my_adapter:implementation", "-k", "tanh and keys_survive")
    found = python("-m", "tmref", *arguments, cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    assert re.search(r"my-library 0\.1\.0 +5 +0 +0 +0 ", found.stdout)


@pytest.mark.slow
def test_a_library_on_metatensors_types_inherits_what_is_known(tmp_path):
    example = examples_of("docs/tutorials/my_library.md")[1]
    (tmp_path / "my_adapter.py").write_text(example)
    nn = "from types import SimpleNamespace\nfrom metatensor.torch.learn.nn import Linear, Tanh\n"
    (tmp_path / "my_library.py").write_text(
        f"{nn}__version__ = '0.1.0'\nnn = SimpleNamespace(Linear=Linear, Tanh=Tanh)\n"
    )
    arguments = (
        "check",
        "my_adapter:implementation",
        "-k",
        "-tanh- and a_map_without_blocks",
        "--quick",
    )
    found = python("-m", "tmref", *arguments, cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    assert re.search(r"my-library 0\.1\.0 +0 +1 +0 +0 ", found.stdout)


def test_the_example_of_maps_is_a_test_that_passes(tmp_path):
    (example,) = (e for e in examples_of("README.md") if "make_strategies_namespace" in e)
    seen = "\n    assert type(x).__module__ != 'tmref.tensor_map' and len(x) > 0\n"
    (tmp_path / "test_mine.py").write_text(example.replace(" ...\n", seen))
    found = python("-m", "pytest", "-q", "-W", "ignore", "test_mine.py", cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    assert "1 passed" in found.stdout


def test_the_words_of_verdicts_and_the_names_are_those_of_the_code():
    text = text_of("README.md")
    assert all(f"`{name}`" in text for name in names() if name != "reference")
    for name in re.findall(r"`(\w+)`, ", text.partition("| trait |")[2].partition("\n")[0]):
        assert name in TRAITS


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_counts_in_the_readme_are_those_of_make_check(tmp_path):
    found = python("-m", "tmref", "check", "all", "-n", "2", cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    shown = [line.strip() for line in found.stdout.splitlines()]
    lines = quoted("README.md", "make check")
    assert len(lines) > 6
    assert [line for line in lines if line not in shown] == []
    assert len(shown) <= 40
    assert max(map(len, shown)) <= 80


# --- docs


def test_the_specification_and_the_rows_have_every_law_row_and_trait():
    told = laws_page()
    assert all(f"\n`{law.name}`, of" in told for law in LAWS)
    numbers = re.findall(r"^### ([\d.]+) ", told, re.M)
    assert len(set(numbers)) == len(numbers) == len(LAWS) + 2
    assert all(f"`{name}`" in rows_page() for name in (*TRAITS, *(row.name for row in (*DATA, *ROWS))))


def test_the_specification_says_of_which_laws_scripts_keep_an_order():
    marked = [law for law in LAWS if law.as_it_came]
    families = {"maps", "datasets", "dimensions", "joining", "programs", "reductions", "selecting"}
    assert {law.family for law in marked} == families
    told = " ".join(laws_page().split())
    assert told.count("; its scripts keep the order that came back.") == len(marked) > 4


def test_the_specification_says_who_breaks_a_law():
    told = laws_page().partition("`keys_are_matched_by_the_names_of_their_dimensions`, of")[2]
    assert re.search(r"Known to be broken by metatensor-torch [\d.]+: linear,", told.partition("###")[0])


def test_strategies_are_listed_with_what_they_give():
    listed = strategies_page()
    assert all(f"- `{name}`: " in listed for name in tmref.strategies.__all__)
    assert ":func:" not in listed


def test_the_page_of_strategies_has_every_name_once():
    named = re.findall(r"^\.\. auto\w+:: (\w+)$", text_of("docs/reference/strategies.md"), re.M)
    assert sorted(named) == sorted(tmref.strategies.__all__)


def members_of_the_page_of_python():
    """The names that are listed for each module: none where it is all of them."""
    found = re.findall(r"automodule:: (\S+)\n   :members:(.*)", text_of("docs/reference/python.md"))
    return {
        module: [name.strip() for name in names.split(",") if name.strip()] for module, names in found
    }


def test_the_page_of_python_has_every_public_name():
    members = members_of_the_page_of_python()
    of_tmref = {*members["tmref"], *members["tmref.io"], "nn", "datasets"}
    assert set(tmref.__all__) - of_tmref == set()
    assert members["tmref.nn"] == []
    assert sorted(members["tmref.datasets"]) == sorted(tmref.datasets.__all__)
    assert "batched" in members["tmref.implementations.batched"]


@pytest.mark.slow
def test_the_page_of_known_failures_has_a_script_of_each_kind():
    """That they show it is tested where known failures are."""
    kinds = known_page().split("\n## ")[1:]
    assert len(kinds) > 20
    for kind in kinds:
        (script,) = re.findall(r"```python\n(.*?)```", kind, flags=re.DOTALL)
        assert not re.search(r"^(from|import) (tmref|hypothesis)", script, re.M)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("made"))
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copy(ROOT / "CONTRIBUTING.md", tmp_path)
    options = ("-W", "--keep-going", "--quiet", "-b", "html")
    found = python("-m", "sphinx", *options, "docs", "site", cwd=tmp_path)
    assert (found.returncode, found.stderr) == (0, ""), found.stdout
    assert (tmp_path / "site" / "made" / "specification.html").is_file()
    page = tmp_path / "docs" / "how_to" / "gpu.md"
    page.write_text(f"{page.read_text()}\n[nowhere](nowhere.md) [no heading](resume.md#nothing)\n")
    found = python("-m", "sphinx", *options, "docs", "site", cwd=tmp_path)
    assert found.returncode == 1
    assert "'nowhere.md'" in found.stderr
    assert "nothing" in found.stderr


def test_the_numbers_of_the_tolerance_and_of_examples_are_those_of_the_code():
    text = text_of("docs/explanation/numbers.md")
    assert f"{TORCH_ERRORS} · torch_error + {EPSILONS} · eps · terms" in text
    assert (EXAMPLES, sys.modules["tmref.laws.law"]._OF_A_ROW, runner._UNTIL_ONE_COMPARES) == (
        100,
        3,
        40,
    )
    text = text_of("docs/reference/verdicts.md")
    assert "a row gets three at least" in text
    assert "up to forty" in text
    text = text_of("docs/explanation/runs.md")
    assert (limits.SECONDS, limits.EXAMPLES_OF_A_VERDICT, limits.OF_TRANSFORMS, limits.MEMORY) == (
        30,
        20,
        10,
        8,
    )
    assert "may take thirty seconds" in text
    assert "a verdict twenty times as much, and a worker 8 GiB" in " ".join(text.split())


def test_the_keys_of_a_verdict_in_its_file_are_explained():
    text = text_of("docs/reference/verdicts.md").partition("## The file")[2]
    keys = re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (`.*?) \|", text, re.M)))
    assert sorted(keys) == sorted(field.name for field in dataclasses.fields(Verdict))


CHECKED, REPORTED = (
    "tmref check metatensor-torch -n 2 --report torch.jsonl",
    "tmref report torch.jsonl --verbose",
)


def test_the_lines_of_known_failures_in_the_page_of_checks_are_all_that_are_counted():
    """That each line is printed is tested below."""
    page = "docs/tutorials/first_check.md"
    lines = quoted(page, CHECKED)
    (counts,) = re.findall(r"^metatensor-torch [\d.]+ +\d+ +(\d+) ", "\n".join(lines), re.M)
    assert sum(int(line.split()[0]) for line in lines if line[0].isdecimal()) == int(counts)
    assert quoted(page, REPORTED)[-1] == lines[-3]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_output_in_the_page_of_checks_is_real(tmp_path):
    arguments = ("-m", "tmref", "check", "metatensor-torch", "-n", "2", "--report", "torch.jsonl")
    found = python(*arguments, cwd=tmp_path)
    assert found.returncode == 0
    again = python("-m", "tmref", "report", "torch.jsonl", "--verbose", cwd=tmp_path)
    for command, done in ((CHECKED, found), (REPORTED, again)):
        shown = [line.strip() for line in done.stdout.splitlines()]
        lines = quoted("docs/tutorials/first_check.md", command)
        assert len(lines) > 20
        assert [line for line in lines if line not in shown] == []


def test_options_of_check_module_are_explained():
    text = text_of("docs/tutorials/my_module.md")
    options = check_module.__kwdefaults__
    assert all(f"`{option}" in text for option in options)
    maps = re.search(r"`maps=(\{.*?\})`", text)[1]
    tmref.strategies.tensor_maps(**eval(maps)).validate()


def test_the_example_of_a_newcomer_fails_as_it_says(tmp_path):
    page = "docs/tutorials/random_maps.md"
    (tmp_path / "test_mine.py").write_text(examples_of(page)[0])
    found = python("-m", "pytest", "-q", "-W", "ignore", "test_mine.py", cwd=tmp_path)
    assert found.returncode == 1
    text = text_of(page).partition("`mts.imports` are the lines")[2]
    shown = text.partition("    x=")[2].partition("\n")[0]
    assert f"x={shown}" in found.stdout


def test_the_example_of_a_strategy_is_a_test_that_passes(tmp_path):
    (tmp_path / "test_maps.py").write_text(examples_of("docs/tutorials/random_maps.md")[1])
    found = python("-m", "pytest", "-q", "-W", "ignore", "test_maps.py", cwd=tmp_path)
    assert found.returncode == 0, found.stdout


def test_the_options_that_bound_name_and_narrow_are_options():
    table = (
        text_of("docs/tutorials/random_maps.md")
        .partition("## Bound, name, narrow")[2]
        .partition("\nSuch options")[0]
    )
    options = [code for code in re.findall(r"`([^`]+)`", table.partition("|---")[2]) if "=" in code]
    options = [code for code in options if "..." not in code and not code.startswith("spherical_keys")]
    assert len(options) > 10
    names = {**vars(tmref.strategies), "torch": torch, "st": st, "Labels": tmref.Labels}
    for option in options:
        eval(f"tensor_maps({option})", names).validate()


@pytest.mark.slow
def test_the_example_of_a_composed_map_prints_as_code(tmp_path):
    example = next(e for e in examples_of("docs/tutorials/random_maps.md") if "as_code" in e)
    test = """
from hypothesis import given
@given(blocks_of_one_shape())
def test_it(x):
    assert len(x) < 2
"""
    (tmp_path / "test_maps.py").write_text(example + test)
    found = python("-m", "pytest", "-q", "-W", "ignore", "test_maps.py", cwd=tmp_path)
    assert found.returncode == 1
    assert 'x=TensorMap(Labels.range("key", 2), [TensorBlock(' in found.stdout


@pytest.mark.slow
def test_the_example_of_torch_s_tools_runs(tmp_path):
    example = examples_of("docs/reference/the_reference.md")[0]
    assert all(tool in example for tool in ("torch.compile", "torch.export", "jacrev", "vmap"))
    (tmp_path / "script.py").write_text(example)
    found = python("script.py", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (0, ""), found.stderr


def test_the_example_of_labels_gives_what_it_says():
    (example,) = [e for e in examples_of("docs/reference/the_reference.md") if "union" in e]
    names = {}
    exec(example, names)
    said = re.findall(r"^(a\..*?)  # (.*)$", example, re.M)
    assert len(said) == 2
    for code, result in said:
        assert repr(eval(code, names)) == result
    assert f"of_a is {names['of_a']!r}, of_b {names['of_b']!r}" in example


@pytest.mark.slow
def test_the_example_of_batched_modules_runs(tmp_path):
    checked = "y = fast(x)\nassert [b.shape for b in y] == [b.shape for b in module(x)]\n"
    first, *_, last = examples_of("docs/reference/the_reference.md")
    (tmp_path / "script.py").write_text(first + last + checked)
    found = python("script.py", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (0, ""), found.stderr


def test_the_script_of_a_bug_prints_what_its_page_says(tmp_path):
    (example,) = examples_of("docs/tutorials/filing_a_bug.md")
    (tmp_path / "script.py").write_text(example)
    found = python("script.py", cwd=tmp_path)
    assert found.returncode == 0
    assert found.stdout.startswith("tensor([[5.]]")
    assert "It prints 5" in text_of("docs/tutorials/filing_a_bug.md")


@pytest.mark.slow
def test_the_commands_of_the_page_of_a_bug_print_what_it_says(tmp_path):
    page = text_of("docs/tutorials/filing_a_bug.md")
    (block,) = re.findall(r"^    \$ tmref check[\s\S]*?(?=\n\n\S)", page, re.M)
    commands = [part.splitlines() for part in f"\n{block}".split("\n    $ tmref ")[1:]]
    for command, *lines in commands:
        found = python("-m", "tmref", *command.split(), cwd=tmp_path)
        shown = (found.stdout + found.stderr).splitlines()
        wanted = [line.strip() for line in lines if line.strip() != "..."]
        assert [line for line in wanted if line not in shown] == []
        assert found.returncode == ("--run" in command)
    assert len(commands) == 3


GATE = """
import torch
from metatensor.torch import TensorBlock, TensorMap

__version__ = "0.1.0"


class Gate(torch.nn.Module):
    def __init__(self, x):
        super().__init__()

    def forward(self, x):
        x.block(0)
        return TensorMap(x.keys, [block.copy() for block in x.blocks()])
"""


@pytest.mark.slow
def test_the_example_of_a_known_failure_is_known(tmp_path):
    of_module, of_suite, adapter = examples_of("docs/how_to/known_failures.md")
    (tmp_path / "my_adapter.py").write_text(adapter)
    (tmp_path / "my_library.py").write_text(GATE)
    arguments = ("check", "my_adapter:implementation", "-k", "gate and without_blocks", "--quick")
    found = python("-m", "tmref", *arguments, cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    assert re.search(r"my-library 0\.1\.0 +0 +1 +0 +0 ", found.stdout)
    (tmp_path / "test_gate.py").write_text(of_suite)
    found = python("-m", "pytest", "-p", "no:cacheprovider", "test_gate.py", cwd=tmp_path)
    assert "3 passed" in found.stdout, found.stdout
    found = python("-m", "tmref", "known", "my_adapter:implementation", cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    assert len(re.findall(r" 0\.1\.0 +still broken", found.stdout)) == 2
    assert "expected_failed_laws=" in of_module
    assert "expected_failed_laws" in check_module.__kwdefaults__


def test_the_examples_of_kinds_and_implementations_run():
    for page in ("docs/contributing/kind.md", "docs/contributing/implementation.md"):
        (example,) = examples_of(page)
        names = {}
        exec(example, names)
        assert names.keys() & {"GELU", "Reference"}


def test_every_example_is_run_by_a_test():
    source = Path(__file__).read_text(encoding="utf-8")
    pages = [page for page in PAGES if examples_of(page)]
    assert len(pages) > 8
    elsewhere = [f"docs/contributing/{name}.md" for name in ("law", "mutant")]  # in tests/laws
    assert [page for page in pages if f'"{page}"' not in source] == elsewhere


def test_what_is_left_out_is_not_there_and_all_else_is_named():
    text = text_of("docs/reference/the_reference.md")
    assert all(module in text for module in modules)
    left_out = text.partition("What is left out: ")[2].partition("\n\n")[0]
    assert all(f"`{name}`" in left_out for name in OPERATIONS)
    named = set(re.findall(r"`(\w+)`", left_out)) - {"_raise", "DistributedDataParallel"}
    assert all(hasattr(tmref, name) or hasattr(tmref.TensorMap, name) for name in named)


# --- all pages


def broken_links(page, text):
    """The links of a page to files that are not there. Sphinx looks at those of the site, and at
    headings."""
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    there = (ROOT / page).parent
    return [link for link in links if link and ":" not in link and not (there / link).is_file()]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page):
    assert broken_links(page, text_of(page)) == []


def test_a_link_that_leads_nowhere_is_noticed():
    assert broken_links("README.md", "[a](nowhere.md) [b](CHANGELOG.md) [c](#two-commands)") == [
        "nowhere.md"
    ]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [([], 2), (["ARGS=--only x"], 2), (["BASE=a"], 0), (["ARGS=--planted 5"], 0)],
)
def test_a_comparison_with_no_commit_says_how_it_is_named(arguments, status):
    command = ["make", "--dry-run", "--assume-old=.venv/.ready", "bench-compare", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert ("make bench-compare BASE=HEAD~10" in done.stderr) == bool(status)


def test_targets_of_make_that_pages_name_are_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    named = {
        target for page in PAGES for target in re.findall(r"(?:`|    )make ([a-z-]+)", text_of(page))
    }
    assert {"check", "needs", "test", "test-all", "tables", "docs", "dist"} <= named
    assert named <= targets
