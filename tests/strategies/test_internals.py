"""What isn't documented of Hypothesis is used in one file, which says so where it isn't there."""

import ast

import pytest

#: What Hypothesis documents, by its modules.
DOCUMENTED = {
    "hypothesis",
    "hypothesis.database",
    "hypothesis.errors",
    "hypothesis.extra.redis",
    "hypothesis.stateful",
    "hypothesis.strategies",
}


def undocumented(source):
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.startswith("hypothesis") and name not in DOCUMENTED}


def test_one_file_imports_what_hypothesis_does_not_document(repository):
    files = [*(repository / "tmref").rglob("*.py"), *(repository / "strategies").rglob("*.py")]
    found = {path.name for path in files if undocumented(path.read_text(encoding="utf-8"))}
    assert found == {"_internals.py"}


def test_such_an_import_is_noticed():
    assert undocumented("from hypothesis.internal.entropy import register_random")


@pytest.mark.parametrize(
    "module", ["hypothesis.vendor.pretty", "hypothesis.internal.conjecture.providers"]
)
def test_a_release_that_has_moved_something_is_refused_with_the_remedy(module, run_python):
    done = run_python(f"import hypothesis, sys\nsys.modules[{module!r}] = None\nimport tmref.strategies")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: hypothesis 6.")
    assert "pip install 'hypothesis==" in last
