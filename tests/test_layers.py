"""Imports run one way: none in a circle, and none back up to a layer above.

All imports of tmref's own modules count, also those within functions, but not those under
``if TYPE_CHECKING``, which nobody runs. What a package's ``__init__`` imports are its own imports alone:
those of its files are not taken for imports of it. What is loaded by its name counts for nothing.
"""

import ast
import functools
from pathlib import Path

import networkx
import pytest

ROOT = Path(__file__).resolve().parents[1]
#: Where the packages are, by their names.
PACKAGES = {"tmref": ROOT / "tmref", "tmref.strategies": ROOT / "strategies"}
#: From the ground up; a package stands for what is in it, where that has no place of its own.
LAYERS = (
    "printing places renamed",
    "verdicts",
    "resuming",
    "rows",
    "labels",
    "block",
    "moves",
    "tensor_map",
    "compare io operations permutations pytrees rotations",
    "datasets nn",
    "tmref",  # the public names alone
    "catalog.traits catalog.calls",
    "catalog.kind",
    "catalog.row",
    "catalog.kinds",
    "catalog.rows",
    "catalog.recipes",
    "catalog",
    "implementations",
    "strategies",
    "laws.outcomes laws.steps laws.statements laws.pulse laws.examples",
    "laws.limits laws.process",
    "laws.interrupts",
    "laws.answer laws.dense laws.errors laws.kept laws.sources laws.twin laws.premises",
    "laws.apart",
    "laws.session laws.subject",
    "laws.law laws.edits laws.smoke laws.tolerance",
    "laws.shown laws.missing laws.script",
    "laws.drawing laws.trying",
    "laws.clock laws.describing laws.offered",
    "laws.excuses",
    "laws.modules laws.data laws.operations",
    "laws.chapters laws.runner",
    "laws.own",
    "laws.checks",
    "laws",
    "history.record history.environments history.wheel",
    "reports bench watch",
    "cluster",
    "statuses adapters aging reporting comparing reproducing checking history plugin __main__",
)
_PLACES = {name: i for i, names in enumerate(LAYERS) for name in names.split()}


def sources():
    """The source of every module by its name; that of a package ends with ``.__init__``."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in folder.rglob("*.py"):
            inner = path.relative_to(folder).with_suffix("").parts
            found[".".join((package, *inner))] = path.read_text(encoding="utf-8")
    return found


def arrows(code):
    """The graph of imports: an edge from a module to every one that it imports."""
    graph = networkx.DiGraph()
    graph.add_nodes_from(name.removesuffix(".__init__") for name in code)
    for name, source in code.items():
        for imported in imports_of(source, name.rpartition(".")[0]):
            # a module, or what it has under this name
            for target in (imported, imported.rpartition(".")[0]):
                if target in graph:
                    graph.add_edge(name.removesuffix(".__init__"), target)
                    break
            else:
                assert not imported.startswith("tmref."), f"{name} imports {imported}"
    return graph


@functools.cache
def imports_of(source, package):
    """The full names of what a module of the package imports."""
    return [imported for node in run(ast.parse(source)) for imported in imports(node, package)]


def run(tree):
    """The nodes of a tree that are run: all but those for types alone."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from run(other)
        else:
            yield from run(child)


def imports(node, package):
    """The full names of what a node imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
    home = ".".join([*above, *([node.module] if node.module else [])])
    return [f"{home}.{alias.name}" for alias in node.names]


def circles(graph):
    """The modules that import each other, or themselves, in groups."""
    groups = [sorted(group) for group in networkx.strongly_connected_components(graph)]
    return [group for group in groups if len(group) > 1 or graph.has_edge(*group * 2)]


def place(module):
    """The number of a module's layer."""
    name = module.removeprefix("tmref.")
    while name not in _PLACES:
        name = name.rpartition(".")[0]
        assert name, f"{module} is in no layer"
    return _PLACES[name]


def back_up(graph):
    """The imports that run from a layer to one above it."""
    return sorted((a, b) for a, b in graph.edges if place(b) > place(a))


@pytest.fixture(scope="module")
def code():
    return sources()


def test_no_import_runs_in_a_circle(code):
    graph = arrows(code)
    assert len(graph) > 90
    assert graph.number_of_edges() > 300
    assert circles(graph) == []


def test_no_import_runs_back_up(code):
    assert back_up(arrows(code)) == []


def test_every_layer_is_there(code):
    graph = arrows(code)
    assert {f"tmref.{name}".replace("tmref.tmref", "tmref") for name in _PLACES} <= set(graph)


LATE = "\ndef late():\n    from .tensor_map import TensorMap\n"


@pytest.mark.parametrize(
    "line",
    [
        *(LATE, LATE.replace("late", "__getattr__")),
        *("\nfrom . import tensor_map\n", "\nfrom tmref import tensor_map\n"),
        *("\nimport tmref.tensor_map\n", "\nfrom tmref.tensor_map import TensorMap as T, _mismatch\n"),
    ],
)
def test_a_planted_circle_is_found(code, line):
    graph = arrows({**code, "tmref.labels": code["tmref.labels"] + line})
    assert circles(graph) == [["tmref.block", "tmref.labels", "tmref.moves", "tmref.tensor_map"]]


@pytest.mark.parametrize(
    ("module", "line", "imported"),
    [
        ("tmref.verdicts", "from .labels import Labels", "tmref.labels"),
        (
            "tmref.catalog.traits",
            "def f():\n    import tmref.strategies",
            "tmref.strategies",
        ),
        ("tmref.strategies.numbers", "import tmref.laws.law", "tmref.laws.law"),
        ("tmref.implementations.__init__", "from ..laws import LAWS", "tmref.laws"),
        ("tmref.nn.linear", "from .. import TensorMap", "tmref"),
    ],
)
def test_a_planted_import_back_up_is_found(code, module, line, imported):
    graph = arrows({**code, module: f"{code[module]}\n{line}\n"})
    assert (module.removesuffix(".__init__"), imported) in back_up(graph)


def test_what_is_for_types_alone_is_no_import(code):
    line = "\nif TYPE_CHECKING:\n    from .tensor_map import TensorMap\nelse:\n    import torch\n"
    assert circles(arrows({**code, "tmref.labels": code["tmref.labels"] + line})) == []
    at_run_time = line.replace("import torch", "from .tensor_map import TensorMap")
    assert circles(arrows({**code, "tmref.labels": code["tmref.labels"] + at_run_time})) != []


def test_an_import_of_what_is_not_there_is_an_error(code):
    with pytest.raises(AssertionError, match=r"tmref\.labels imports tmref\.nowhere\.x"):
        arrows({**code, "tmref.labels": code["tmref.labels"] + "\nfrom .nowhere import x\n"})


def test_a_module_in_no_layer_is_an_error(code):
    with pytest.raises(AssertionError, match=r"tmref\.new is in no layer"):
        back_up(arrows({**code, "tmref.new": "from .labels import Labels\n"}))
