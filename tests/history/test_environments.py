"""What installers say, and what is asked of them."""

import importlib.metadata
import shutil
import zipfile

import pytest

from tmref.history import environments
from tmref.history.environments import (
    UnusablePackage,
    alone,
    by_age,
    installed_here,
    reason_of,
    released,
)
from tmref.history.wheel import write_wheel


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "WARNING: what is no reason\n"
            "ERROR: Could not find a version that satisfies the requirement x==9 (from versions: 1)\n"
            "ERROR: No matching distribution found for x==9\n",
            "Could not find a version that satisfies the requirement x==9 (from versions: 1)",
        ),
        ("  × No solution found:\n  ╰─▶ Because there is no version of x==9\n      and so on\n",
         "Because there is no version of x==9"),
        ("error: No solution\n  cause: Because x was not found\n         and so on\nhint: no\n",
         "Because x was not found"),
        ("Traceback\nImportError: no such name\n\n", "ImportError: no such name"),
        ("", "no reason given"),
        ("\x1b[31mred\n", "\\x1b[31mred"),
        ("x" * 1000, "x" * 300 + " … (700 characters more)"),
    ],
)  # fmt: skip
def test_the_reason_is_a_line(said, reason):
    assert reason_of(said) == reason


def test_versions_are_in_the_order_of_their_age_and_there_once():
    assert by_age(["0.10", "0.9", "1.0", "1.0rc1", "0.9"]) == ["0.9", "0.10", "1.0rc1", "1.0"]
    with pytest.raises(UnusablePackage, match=r"^Invalid version: 'new': name versions as packages do"):
        by_age(["new"])


def test_what_tmref_needs_to_check_is_pinned_and_nothing_else():
    pinned = dict(line.split("==") for line in installed_here())
    assert {"torch", "numpy", "hypothesis", "packaging", "pytest", "pytest-xdist", "rich"} <= set(pinned)
    assert pinned["hypothesis"] == importlib.metadata.version("hypothesis")
    assert "+" not in pinned["torch"]
    assert not {name for name in pinned if name.startswith(("metatensor", "sphinx", "tmref"))}


def test_what_would_bring_other_modules_is_left_out(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("SOMETHING", "else")
    assert "PYTHONPATH" not in alone()
    assert alone()["SOMETHING"] == "else"


def test_where_there_is_neither_pip_nor_uv_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(environments.importlib.metadata, "distributions", lambda name: [])
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UnusablePackage, match=r"^neither pip nor uv is there: .*ensurepip$"):
        released("anything")


def test_where_there_is_uv_alone_it_runs_pip_to_find_the_releases(monkeypatch):
    monkeypatch.setattr(environments.importlib.metadata, "distributions", lambda name: [])
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/uv")
    said = []

    def run(command):
        said.append(command)
        out = "x (1.10)\nAvailable versions: 1.10, 1.9, 1.0\n  INSTALLED: 1.9\n"
        return environments.subprocess.CompletedProcess(command, 0, out, "")

    monkeypatch.setattr(environments, "_run", run)
    assert released("x") == ["1.0", "1.9", "1.10"]
    command = ["uv", "tool", "run", "--quiet", "pip", "index", "versions"]
    assert said == [[*command, "--ignore-requires-python", "x"]]


def test_an_environment_is_whole_when_all_was_installed_and_of_the_same_tmref(tmp_path):
    environment = environments.Environment(tmp_path / "environment")
    assert not environment.has("mine 1.0")
    environment.folder.mkdir()
    assert not environment.has("mine 1.0")
    (environment.folder / ".ready").write_text("mine 1.0")
    assert environment.has("mine 1.0")
    assert not environment.has("mine 1.0 of another tmref")
    environment.remove()
    assert not environment.folder.exists()


def test_the_same_sources_make_the_same_wheel(tmp_path):
    first, again = (write_wheel(tmp_path / name).read_bytes() for name in ("first", "again"))
    assert first == again


def test_a_wheel_has_all_that_a_package_is_installed_with(tmp_path):
    names = zipfile.ZipFile(write_wheel(tmp_path)).namelist()
    for name in ("__init__.py", "py.typed", "reports/html/page.html", "strategies/__init__.py"):
        assert f"tmref/{name}" in names
    assert not [name for name in names if name.endswith(".pyc")]
