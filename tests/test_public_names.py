"""Every public name says what it does, its shapes, its errors and its source; all names are used."""

import ast
import inspect

import pytest

import tmref
import tmref.datasets
import tmref.laws
import tmref.nn
import tmref.strategies

OWN = {f"tmref.{name}": getattr(tmref, name) for name in tmref.__all__ if name not in ("datasets", "nn")}
DATASETS = {f"tmref.datasets.{name}": getattr(tmref.datasets, name) for name in tmref.datasets.__all__}
NN = {f"tmref.nn.{name}": getattr(tmref.nn, name) for name in tmref.nn.__all__}
EVERY = {
    **OWN,
    **DATASETS,
    **NN,
    **{f"tmref.strategies.{name}": getattr(tmref.strategies, name) for name in tmref.strategies.__all__},
    **{f"tmref.laws.{name}": getattr(tmref.laws, name) for name in tmref.laws.__all__},
}
#: Names about arrays, whose shapes have to be told; the others are about metadata, or whole maps.
OF_ARRAYS = {
    *("tmref.Labels", "tmref.LabelsEntry", "tmref.TensorBlock", "tmref.block_from_array"),
    *("tmref.add", "tmref.multiply", "tmref.sum_over_samples", "tmref.sum_over_properties"),
    *(name for name in NN if name not in ("tmref.nn.Buffer", "tmref.nn.Module")),
}


def words_of(thing):
    """The docstring of a function, or of a class and its constructor."""
    return inspect.getdoc(thing) or ""


def missing(thing, *, shapes):
    """What the docstring of something lacks."""
    words = words_of(thing)
    first = words.split("\n\n")[0]
    lacks = [] if first.endswith(".") else ["a first sentence"]
    lacks += [] if "Source:" in words else ["its source"]
    is_error = isinstance(thing, type) and issubclass(thing, Exception)
    lacks += [] if is_error or "raise" in words.lower() or "errors" in words else ["what it raises"]
    if shapes and not any(word in words for word in ("shape", "Shapes", "axes", "axis", "entries")):
        lacks.append("its shapes")
    return lacks


def names_used_in(source):
    """The names that a piece of Python uses, attributes included."""
    return {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Name, ast.Attribute))
    }


@pytest.mark.parametrize("name", [*OWN, *DATASETS, *NN])
def test_public_names_of_the_reference_say_it_all(name):
    thing = {**OWN, **DATASETS, **NN}[name]
    assert missing(thing, shapes=name in OF_ARRAYS) == []


@pytest.mark.parametrize("name", [n for n in EVERY if callable(EVERY[n])])
def test_public_names_have_docstrings(name):
    words = words_of(EVERY[name])
    assert len(words.split()) > 4
    assert words.split("\n\n")[0].rstrip().endswith((".", ":"))


@pytest.mark.parametrize("name", [*OWN, *DATASETS, *NN])
def test_methods_have_docstrings(name):
    thing = {**OWN, **DATASETS, **NN}[name]
    for attribute, value in vars(thing).items() if isinstance(thing, type) else ():
        if not attribute.startswith("_") and (callable(value) or isinstance(value, property)):
            assert inspect.getdoc(value), f"{name}.{attribute}"


@pytest.fixture(scope="module")
def used(repository):
    """All names that the tests use, this file left out."""
    files = [p for p in (repository / "tests").rglob("*.py") if p.name != "test_public_names.py"]
    return set().union(*(names_used_in(path.read_text(encoding="utf-8")) for path in files))


@pytest.mark.parametrize("name", EVERY)
def test_public_names_are_exercised(name, used):
    assert name.rpartition(".")[2] in used


def test_a_poor_docstring_is_noticed():
    def poor():
        """Something"""

    def good():
        """One. Values of the shape (n,).

        Raises nothing. Source: here."""

    assert missing(poor, shapes=True) == [
        "a first sentence",
        "its source",
        "what it raises",
        "its shapes",
    ]
    assert missing(good, shapes=True) == []
    assert names_used_in("a.b(c)") == {"a", "b", "c"}
