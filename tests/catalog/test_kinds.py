"""Kinds say all that is known of a class: nobody else asks for its name, and no option is left out."""

import ast
import inspect
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings

import tmref.nn
from tmref import Labels
from tmref.catalog import ROWS, Call, Kind, Row, module_row
from tmref.implementations.reference import Reference
from tmref.laws import LAWS
from tmref.laws.runner import check
from tmref.strategies import recipes, tensor_maps

FEW = settings(max_examples=20, database=None, deadline=None, derandomize=True)
ROOT = Path(__file__).resolve().parents[2]
#: The classes that kinds are about; all else is of modules in general.
CLASSES = set(tmref.nn.__all__) - {"Module", "Buffer"}
#: What says that something is one of them: a name, with its home or not, or how it begins.
NAMES = {
    *CLASSES,
    *(f"{home}.{name}" for home in ("nn", "torch.nn") for name in (*CLASSES, "Identity")),
    *("Invariant", "Equivariant"),
}
#: The methods that look at a part of a string.
METHODS = {"startswith", "endswith", "removeprefix", "removesuffix", "partition", "get", "index"}


def compared(source):
    """The names of classes that code compares something with, looks something up by, or lists."""
    found = []
    for node in ast.walk(ast.parse(source)):
        looked_at = []
        if isinstance(node, ast.Compare):
            looked_at = [node.left, *node.comparators]
        elif isinstance(node, ast.Dict):
            looked_at = [key for key in node.keys if key is not None]
        elif isinstance(node, (ast.Set, ast.MatchValue)):
            looked_at = [node]
        elif isinstance(node, ast.Subscript):
            looked_at = [node.slice]
        elif isinstance(node, ast.Assign):
            looked_at = [node.value] if isinstance(node.value, (ast.Tuple, ast.List, ast.Set)) else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            looked_at = node.args if node.func.attr in METHODS else []
        for part in looked_at:
            found += [name for name in constants(part) if name in NAMES]
    return found


def constants(node):
    """The constants of an expression, but those that it gives to a call."""
    if isinstance(node, ast.Constant):
        return [node.value]
    if isinstance(node, ast.Call):
        return []
    return [name for child in ast.iter_child_nodes(node) for name in constants(child)]


def sources():
    """The code that asks kinds: all but theirs and the reference's own."""
    folders = ROOT / "tmref", ROOT / "strategies", ROOT / "asv_benchmarks"
    theirs = ROOT / "tmref" / "catalog" / "kinds", ROOT / "tmref" / "nn"
    paths = itertools.chain.from_iterable(folder.rglob("*.py") for folder in folders)
    return [p for p in paths if not any(p.is_relative_to(folder) for folder in theirs)]


def test_nobody_but_its_kind_asks_for_the_name_of_a_class():
    found = {}
    for path in sources():
        names = compared(path.read_text(encoding="utf-8"))
        if path.name == "kind.py":  # kinds in general know the prefixes
            names = [name for name in names if name not in ("Invariant", "Equivariant")]
        if names:
            found[path.name] = names
    assert len(sources()) > 80
    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        "if row.module == 'Sequential': pass",
        "is_one = name in ('ReLU', 'Tanh')",
        "is_other = 'LayerNorm' != layer",
        "is_none = call.name == 'torch.nn.Identity'",
        "ways = {'ModuleMap': 1}",
        "way = ways['Linear']",
        "way = ways.get('Linear', 0)",
        "by_invariance = name.startswith(('Invariant', 'Equivariant'))",
        "base = name.removeprefix('Invariant')",
        "NORMS = ('LayerNorm', 'InvariantLayerNorm')",
        "match name:\n    case 'Tanh':\n        pass",
        "norms = {'LayerNorm'}",
    ],
)
def test_a_planted_comparison_is_found(code):
    assert compared(code)


def test_what_is_no_comparison_is_not_found():
    assert compared("call = Call('torch.nn.Linear', (1, 2))\nnn.Linear\nrows = [row('Linear')]") == []


def test_kinds_share_no_code_with_the_modules():
    for path in (ROOT / "tmref" / "catalog").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                above = path.relative_to(ROOT).parts[: -node.level]
                imported = [*above, *(node.module or "").split(".")]
                assert imported[:2] != ["tmref", "nn"], path
                assert all(alias.name != "nn" for alias in node.names), path
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                assert "tmref" not in ast.unparse(node), path


# --- every option is met


class Noting(Reference):
    """The reference, which notes what its classes are given by name."""

    def __init__(self):
        self.met = {}

    def make(self, call):
        if call.name in CLASSES:
            parameters = inspect.signature(getattr(tmref.nn, call.name)).parameters
            given = {**dict(zip(parameters, call.args, strict=False)), **call.kwargs}
            for name, value in given.items():
                self.met.setdefault((call.name, name), []).append(value)
        return super().make(call)


def options():
    """The options of every class, with their defaults; several arguments of one name are one."""
    found = []
    for name in sorted(CLASSES):
        for option, of in inspect.signature(getattr(tmref.nn, name)).parameters.items():
            if of.kind is not of.VAR_POSITIONAL:
                found.append((name, option, of.default))
    return found


@pytest.fixture(scope="module")
def met():
    """What recipes of all rows, and the laws on their options, give to the classes."""
    noting = Noting()

    for row in ROWS:
        made = tensor_maps(**row.maps, min_blocks=1).flatmap(lambda x, row=row: recipes(row, x))

        def make(recipe):
            noting.make(recipe.call)

        FEW(given(made)(make))()
    for law in LAWS:
        if law.family == "constructors":
            for row in ROWS:
                if law.applies_to(row):
                    assert check(law, row, noting, examples=15).verdict == "pass"
    return noting.met


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")
@pytest.mark.parametrize(("name", "option", "default"), options(), ids=lambda value: str(value)[:40])
def test_every_option_of_every_class_is_met(met, name, option, default):
    values = met.get((name, option), [])
    others = [value for value in values if isinstance(value, Labels) or value is not default]
    assert others, f"nothing gives {name} another {option} than its default"


def test_an_option_that_nobody_gives_is_noticed(met):
    assert ("ReLU", "in_place") in met
    assert ("Tanh", "in_place") not in met
    assert all(("LayerNorm", option) in met for option in ("eps", "mean", "device", "dtype"))


# --- of what nothing is known


def test_a_kind_of_which_nothing_is_known_says_so():
    kind = Kind("Own")
    assert (kind.layers, kind.modules, kind.by_invariance, kind.exact) == ((), (kind,), False, False)
    assert Row("own", kind, frozenset()).layers == ()
    with pytest.raises(NotImplementedError, match="nobody says which arguments Own has"):
        kind.call(None)
    with pytest.raises(NotImplementedError, match="nobody says what Own does"):
        kind.twin([1, 1], None, ())
    assert kind.with_call(Call("Own"), 0, Call("Other")) == Call("Other")


def test_rows_that_go_by_invariance_are_equivariant():
    (tanh,) = [row.kind for row in ROWS if row.name == "tanh"]
    assert "equivariant" not in module_row("own", tanh).traits
    own = module_row("own", type(tanh)("InvariantTanh"), "pointwise", but="pure")
    assert {"equivariant", "pointwise", "keyed"} <= own.traits
    assert "pure" not in own.traits
