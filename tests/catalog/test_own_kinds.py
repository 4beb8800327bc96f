"""GELU and RMSNorm, added as kinds on top of an implementation that has them: a file and a row each."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings

from tmref.__main__ import main
from tmref.bench.work import BACKWARD, TORCH, Cell, subjects
from tmref.catalog import ROWS
from tmref.implementations import load
from tmref.implementations.batched import batched
from tmref.laws import LAWS
from tmref.laws.checks import cases
from tmref.laws.runner import check
from tmref.strategies import invalid_recipes, recipes, tensor_maps
from tmref.verdicts import FAIL, PASS, UNTESTED, read

pytestmark = pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")

FOLDER = Path(__file__).parent / "own_kinds"
FEW = settings(max_examples=20, database=None, deadline=None, derandomize=True)
LAW = {law.name: law for law in LAWS}
NAMES = ("gelu", "rms_norm")
names = pytest.mark.parametrize("name", NAMES)


def loaded():
    """The package beside this file: test-suites imported by importlib have no other way."""
    spec = importlib.util.spec_from_file_location(
        FOLDER.name, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    sys.modules[FOLDER.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[FOLDER.name])
    return sys.modules[FOLDER.name]


own = loaded()
PATH = f"{FOLDER.name}:implementation"
ROW = {row.name: row for row in own.implementation.rows}


def drawn_with(row, strategy):
    return tensor_maps(**row.maps, min_blocks=1).flatmap(lambda x: strategy(row, x))


def test_each_is_one_file_with_one_row():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert files == set(NAMES) == set(ROW) - {row.name for row in ROWS}
    assert own.implementation.rows[: len(ROWS)] == ROWS
    assert all(len((FOLDER / f"{name}.py").read_text().splitlines()) < 60 for name in NAMES)


def new_cases(**options):
    return [case for case in cases(own.implementation, **options) if case.row and case.row.name in NAMES]


@pytest.mark.parametrize("case", new_cases(effort=0.1), ids=lambda case: case.name)
def test_every_law_picks_them_up_and_holds(case):
    verdict = case.check()
    assert verdict.expected, verdict.reproducer or verdict.message
    assert verdict.verdict == PASS or (verdict.verdict, verdict.offered) == (UNTESTED, False)


@names
def test_they_have_the_laws_of_rows_with_their_traits(name):
    found = {case.law.name for case in new_cases() if case.row.name == name}
    assert found == {law.name for law in LAWS if law.applies_to(ROW[name])}
    assert len(found) > 70


@names
def test_recipes_are_drawn_and_made(name):
    written = set()

    @FEW
    @given(drawn_with(ROW[name], recipes))
    def make(recipe):
        module = own.implementation.build(recipe)
        assert type(module).__name__ == ROW[name].module
        assert len(recipe.twins) == len(recipe.in_keys)
        sizes = recipe.call.kwargs.get("in_features")
        written.update({*recipe.call.kwargs, ("in_features", type(sizes))})

    make()
    options = {
        "gelu": {"approximate"},
        "rms_norm": {("in_features", int), ("in_features", list), "dtype"},
    }
    assert options[name] <= written


@names
def test_what_is_invalid_is_refused(name):
    kinds = set()

    @settings(FEW, max_examples=150)
    @given(drawn_with(ROW[name], invalid_recipes))
    def refuse(invalid):
        kinds.add(invalid.kind)
        with pytest.raises((TypeError, ValueError, RuntimeError)):
            invalid.attempt(own.implementation)

    refuse()
    expected = {"an_option_of_another_type", "out_properties_of_another_length"}
    if name == "rms_norm":
        expected |= {"in_features_that_are_not_there", "sizes_of_another_length"}
        expected |= {"parameters_of_another_dtype", "a_negative_size", "a_size_that_is_no_int"}
    assert expected <= kinds


def planted(name, made):
    """The implementation with something else in the place of one of its classes."""
    implementation = own.OwnKinds()
    implementation.nn = SimpleNamespace(**{**vars(own.OwnKinds.nn), name: made})
    return implementation


def of_modules(made, change):
    """A class whose modules of torch have become ``change(module)``."""

    def make(*args, **kwargs):
        module = made(*args, **kwargs)
        parts = module.module_map.module_list
        for i, part in enumerate(list(parts)):
            parts[i] = change(part)
        return module

    return make


class Changed(torch.nn.Module):
    def __init__(self, module, function):
        super().__init__()
        self.inner, self.function = module, function

    def forward(self, x):
        return self.function(self.inner, x)


def changed(function):
    return lambda module: Changed(module, function)


def without_eps(module):
    module.eps = 0.25
    return module


VALUES = "values_are_those_of_plain_torch"
OPTIONS = "options_of_layers_are_those_of_torch"
#: The row, the law, and what becomes of each of the modules.
PLANTED = {
    "another approximation": ("gelu", VALUES, lambda module: torch.nn.GELU("none")),
    "another activation": ("gelu", VALUES, lambda module: torch.nn.SiLU()),
    "detached": (
        "gelu",
        "derivatives_are_those_of_plain_torch",
        changed(lambda f, x: f(x.detach()) + 0 * x),
    ),
    "in place": ("gelu", "the_input_stays", changed(lambda f, x: f(x) + 0 * x.add_(1))),
    "another eps": ("rms_norm", VALUES, without_eps),
    "without the mean": ("rms_norm", VALUES, changed(lambda f, x: f(x - x.mean(-1, True)))),
    "a little more": ("rms_norm", VALUES, changed(lambda f, x: f(x) * (1 + 1e-4))),
    "eps forgotten": ("rms_norm", OPTIONS, without_eps),
    "samples summed": (
        "rms_norm",
        "samples_do_not_influence_each_other",
        changed(lambda f, x: f(x) + x.sum(0)),
    ),
}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("defect", PLANTED)
def test_what_is_planted_in_them_is_found(defect, seed):
    name, law, change = PLANTED[defect]
    made = getattr(own, ROW[name].module)
    wrong = planted(ROW[name].module, of_modules(made, change))
    options = {"examples": 20, "hypothesis_seed": seed, "shrink": False}
    assert check(LAW[law], ROW[name], wrong, **options).verdict == FAIL


def accepting(in_keys, in_features, *args, **options):
    """An RMSNorm that makes something of whatever it is told."""
    try:
        return own.RMSNorm(in_keys, in_features, *args, **options)
    except (TypeError, ValueError):
        return own.RMSNorm(in_keys, 1)


def norm_of_any_width(module):
    return Changed(module, lambda f, x: torch.nn.functional.rms_norm(x, x.shape[-1:]))


@pytest.mark.parametrize(
    ("law", "made"),
    [
        ("arguments_that_can_not_work_are_refused_at_once", accepting),
        ("modules_that_can_not_work_are_refused", of_modules(own.RMSNorm, norm_of_any_width)),
        (
            "values_of_another_dtype_than_the_parameters_are_refused",
            of_modules(own.RMSNorm, norm_of_any_width),
        ),
    ],
    ids=["arguments", "sizes", "dtypes"],
)
def test_who_takes_what_it_must_not_take_is_found(law, made):
    verdict = check(LAW[law], ROW["rms_norm"], planted("RMSNorm", made), examples=40, shrink=False)
    assert verdict.verdict == FAIL


@names
@pytest.mark.parametrize("mode", ["forward", BACKWARD])
def test_benchmarks_time_them(name, mode):
    work = subjects(Cell(name, 3, 2, mode, features=4, rows=own.implementation.rows), [PATH])
    assert list(work) == [TORCH, "plain torch again", PATH]
    for do in work.values():
        do()


def test_a_row_of_nobody_is_refused_by_the_names_of_those_there_are():
    with pytest.raises(ValueError, match=r"no row 'gelu'; there are linear, .*equivariant$"):
        Cell("gelu", 1, 1)
    with pytest.raises(ValueError, match=r"no row 'swish'; there are linear, .*gelu, rms_norm$"):
        Cell("swish", 1, 1, rows=own.implementation.rows)


@names
def test_batched_is_the_same_beside_what_it_does_not_know(name):
    @FEW
    @given(drawn_with(ROW[name], lambda row, x: recipes(row, x).map(lambda made: (x, made))))
    def same(drawn):
        x, recipe = drawn
        module = own.implementation.build(recipe)
        for mine, theirs in zip(batched(module)(x), module(x), strict=True):
            assert torch.equal(mine.values, theirs.values)

    same()


# --- the commands


def run(*arguments):
    command = [sys.executable, "-W", "ignore", "-m", "tmref", *map(str, arguments)]
    return subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_check_has_their_rows(tmp_path):
    path = tmp_path / "report.jsonl"
    done = run("check", PATH, "--quick", "-k", "values_are_those_of_plain", "--report", path)
    assert done.returncode == 0, done.stdout + done.stderr
    results = read(path)
    assert set(NAMES) <= {verdict.row for verdict in results.verdicts}
    done = run("report", path, "--verbose")
    assert all(name in done.stdout for name in NAMES)


def test_bench_has_their_rows(capsys):
    arguments = ["--rows", "linear", *NAMES, "--blocks", "2", "--samples", "1", "--passes", "forward"]
    assert main(["bench", PATH, *arguments]) == 0
    out = capsys.readouterr().out
    assert all(f"{name}, forward" in out for name in NAMES)


def test_list_has_their_rows(capsys):
    assert main(["list", "rows", PATH]) == 0
    assert "| `gelu` | GELU | GELU | " in capsys.readouterr().out
    assert main(["list", "rows"]) == 0
    assert "gelu" not in capsys.readouterr().out
    assert main(["list", "laws", PATH]) == 2
    assert "laws are nobody's own: leave out the name" in capsys.readouterr().err
    assert main(["list", "rows", "nosuch"]) == 2
    assert "there is no implementation 'nosuch'" in capsys.readouterr().err


def test_an_implementation_has_the_rows_of_the_catalog_unless_it_brings_its_own():
    assert all(load(name).rows is ROWS for name in ("reference", "batched", "metatensor-torch"))
