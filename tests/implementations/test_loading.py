"""Implementations by name and by path."""

import importlib.metadata
import subprocess
import sys

import pytest
import torch

from tmref import Labels, TensorBlock, TensorMap
from tmref.implementations import UnknownImplementation, load, names

PEERS = ("metatensor-learn", "metatensor-torch")

LINEAR = """
import warnings
warnings.filterwarnings("ignore", r"`torch\\.jit\\.\\w+` is deprecated", DeprecationWarning)
import torch
from tmref import Labels, TensorBlock, TensorMap
from tmref.implementations import load

x = TensorMap(
    Labels.range("key", 1),
    [TensorBlock(torch.ones(2, 3), Labels.range("system", 2), [], Labels.range("n", 3))],
)

def linear(name):
    implementation = load(name)
    keys = implementation.labels(x.keys)
    module = implementation.nn.Linear(in_keys=keys, in_features=3, out_features=2)
    y = implementation.decode(module(implementation.encode(x)))
    theirs = type(implementation.encode(x))
    print(name, type(module).__module__, theirs.__module__, tuple(y.block(0).values.shape))
"""


@pytest.fixture
def python(repository):
    """The lines that code prints in another python."""

    def run(code):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=repository,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def test_names_are_tmrefs_own_and_entry_points(monkeypatch):
    assert names()[:4] == ["reference", "batched", *PEERS]
    point = importlib.metadata.EntryPoint("mine", "tmref.implementations.reference:implementation", "g")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    assert names() == ["reference", "batched", *PEERS, "mine"]
    assert load("mine") is load("reference")


def test_the_reference():
    reference = load("reference")
    assert reference.name == "reference"
    assert reference.version == importlib.metadata.version("tmref")
    assert load("tmref.implementations.reference:implementation") is reference


def test_encoding_of_the_reference_is_the_identity():
    reference = load("reference")
    tensor = TensorMap(Labels.range("k", 0), [])
    assert reference.encode(tensor) is tensor
    assert reference.decode(tensor) is tensor
    with pytest.raises(TypeError, match=r"^a module must return a TensorMap, got Tensor$"):
        reference.decode(torch.zeros(1))


def test_an_unknown_name_is_told_the_names():
    with pytest.raises(UnknownImplementation) as error:
        load("metatensor_torch")
    assert str(error.value) == (
        "there is no implementation 'metatensor_torch'; did you mean 'metatensor-torch'? There are "
        "reference, batched, metatensor-learn, metatensor-torch, and those of your own by their path: "
        "package.module:attribute"
    )


def test_a_module_that_is_not_there():
    with pytest.raises(UnknownImplementation) as error:
        load("no_such_package.module:implementation")
    assert str(error.value) == (
        "'no_such_package.module:implementation': the module no_such_package.module can't be imported "
        "(No module named 'no_such_package')"
    )


def test_an_attribute_that_is_not_there():
    with pytest.raises(UnknownImplementation) as error:
        load("tmref.implementations.reference:other")
    assert str(error.value) == (
        "'tmref.implementations.reference:other': the module tmref.implementations.reference has no "
        "'other'"
    )


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("tmref:nn", "name, version, encode, decode, build"),
        ("tmref:__version__", "name, version, decode, build"),
    ],
)
def test_what_is_no_implementation(path, missing):
    with pytest.raises(UnknownImplementation) as error:
        load(path)
    assert str(error.value) == (
        f"{path!r} is no implementation: it has no {missing}; "
        "make it an instance of a subclass of tmref.implementations.Implementation"
    )


@pytest.mark.parametrize("path", ["tmref:", ":implementation", ":"])
def test_half_a_path(path):
    with pytest.raises(UnknownImplementation):
        load(path)


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_that_is_not_installed_is_told_how(python, name):
    lines = python(
        f"""
import sys
for package in ("metatensor", "metatensor_learn"):
    sys.modules[package] = None
from tmref.implementations import UnknownImplementation, load, names
assert {name!r} in names()
load("reference")
try:
    load({name!r})
except UnknownImplementation as error:
    print(error)
"""
    )
    assert len(lines) == 1
    assert lines[0].startswith(f"{name} is not installed (")
    assert lines[0].endswith("); install it with: pip install 'tmref[metatensor]'")


@pytest.mark.parametrize("order", [PEERS, PEERS[::-1]], ids=["learn first", "torch first"])
def test_each_peer_is_its_own_flavour_in_whatever_order(python, order):
    lines = python(LINEAR + f"for name in {order!r}: linear(name)\n")
    assert [line.split()[0] for line in lines] == list(order)
    by_name = {line.split()[0]: line for line in lines}
    assert all(line.endswith("(2, 2)") for line in lines)
    learn, of_torch = (by_name[name].split()[1:3] for name in PEERS)
    assert learn[0].startswith("metatensor_learn.nn")
    assert of_torch[0].startswith("metatensor_torch.learn.nn")
    assert "torch" not in learn[1]
    assert "torch" in of_torch[1]


@pytest.mark.parametrize("name", PEERS)
def test_each_peer_by_itself(python, name):
    (line,) = python(LINEAR + f"linear({name!r})\n")
    assert line.endswith("(2, 2)")


@pytest.mark.parametrize("name", PEERS)
def test_versions_are_those_installed(name):
    assert load(name).version == importlib.metadata.version(name)
    assert load(name).name == name


@pytest.mark.parametrize("name", ["reference", *PEERS])
def test_what_is_encoded_shares_its_values(name):
    implementation = load(name)
    samples, properties = Labels.range("system", 2), Labels.range("n", 3)
    block = TensorBlock(torch.ones(2, 3, dtype=torch.float64), samples, [], properties)
    x = TensorMap(Labels.range("key", 1), [block])
    decoded = implementation.decode(implementation.encode(x))
    assert decoded.block(0).values.data_ptr() == x.block(0).values.data_ptr()


def block_of_one():
    return TensorBlock(torch.ones(1, 1), Labels.range("system", 1), [], Labels.range("n", 1))


@pytest.mark.parametrize("name", PEERS)
def test_labels_of_a_peer_come_back(name):
    implementation = load(name)
    labels = Labels.range("key", 2)
    theirs = implementation.labels(labels)
    assert list(theirs.names) == ["key"]
    assert theirs.values.tolist() == [[0], [1]]
    decoded = implementation.decode(implementation.encode(TensorMap(labels, [block_of_one()] * 2)))
    assert decoded.keys == labels


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("class Broken(", "can't be imported (SyntaxError: "),
        ("1 / 0", "can't be imported (ZeroDivisionError: division by zero)"),
        (
            "def __getattr__(name):\n    raise ImportError(f'{name} needs jax')",
            "doesn't give 'implementation' (implementation needs jax)",
        ),
        (
            "class Mine(Reference):\n    @property\n    def version(self):\n"
            "        raise RuntimeError('not built')\nimplementation = Mine()",
            "its version can't be had (RuntimeError: not built)",
        ),
        ("raise SystemExit(0)", "can't be imported (SystemExit: 0)"),
        ("raise BaseException('of its own')", "can't be imported (BaseException: of its own)"),
        (
            "implementation = Reference",
            "is the class Reference, where an instance is needed: Reference()",
        ),
        (
            "implementation = Reference()\nimplementation.version = 3",
            "its version is 3, which must be a text",
        ),
        (
            "implementation = Reference()\nimplementation.name = 'a\\nb'",
            r"its name is 'a\nb', which must be",
        ),
        (
            "implementation = Reference()\nimplementation.name = ''",
            "its name is '', which must be a text",
        ),
    ],
)
def test_adapters_that_are_none_are_refused_in_words(source, words, tmp_path, monkeypatch):
    module = f"adapter_of_{tmp_path.name}"
    first = "from tmref.implementations.reference import Reference\n"
    (tmp_path / f"{module}.py").write_text(first + source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnknownImplementation) as error:
        load(f"{module}:implementation")
    assert str(error.value).startswith(repr(f"{module}:implementation"))
    assert words in str(error.value)


@pytest.mark.parametrize("path", ["../adapter:x", "a b:c", ":x", "adapter:", "a:b:c"])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(UnknownImplementation, match="there is no implementation"):
        load(path)
