"""A package of five releases, in a folder that installers take it from; and all that tmref needs, as
empty packages beside the modules that are installed here."""

import base64
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import sysconfig
import zipfile

import pytest

from tmref.history.environments import installed_here

ADAPTER = """
import {before}
from tmref.catalog import ROWS
from tmref.implementations.reference import Reference

class Mine(Reference):
    name, version = "mine", "{version}"
    rows = tuple(row for row in ROWS if row.name in ("tanh", "relu"))

    def make(self, call):
        module = super().make(call)
        if call.name == "Tanh" and {is_broken}:
            module.forward = lambda x: x
        return module

implementation = Mine()
"""
#: One release breaks a law and the next one mends it; one can't be installed, and two not imported.
RELEASES = {
    "1.0": {"is_broken": False},
    "1.1": {"is_broken": True},
    "1.2": {"is_broken": False},
    "1.3": {"is_broken": False, "requires": ["nobody-has-this-package"]},
    "1.4": {"is_broken": False, "before": "os; os._exit(3)"},
    "1.10": {"is_broken": False, "before": "no_such_module"},
}


def write_wheel(folder, name, version, files, requires=()):
    """A wheel of these files."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
    described = f"{stem}.dist-info"
    wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {**files, f"{described}/METADATA": metadata, f"{described}/WHEEL": wheel}
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text.encode())}\n")
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{described}/RECORD", "".join([*lines, f"{described}/RECORD,,\n"]))


@pytest.fixture(scope="session")
def index(tmp_path_factory):
    """The folder that has the releases."""
    folder = tmp_path_factory.mktemp("index")
    for version, how in RELEASES.items():
        text = ADAPTER.format(
            version=version, is_broken=how["is_broken"], before=how.get("before", "os")
        )
        files = {"mine_of_nobody/__init__.py": "", "mine_of_nobody/adapter.py": text}
        write_wheel(folder, "mine-of-nobody", version, files, how.get("requires", ()))
    here = {"here.pth": f"{sysconfig.get_path('purelib')}\n"}
    for line in installed_here():
        name, _, version = line.partition("==")
        version = importlib.metadata.version(name)
        write_wheel(folder, name, version, here if name == "torch" else {})
    return folder


@pytest.fixture
def history(index, tmp_path):
    """Runs tmref history on the package, in a folder where nothing but these releases can be had."""
    variables = {
        **os.environ,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
        "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(index),
        "UV_OFFLINE": "1",
    }
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT", "PIP_INDEX_URL"):
        variables.pop(name, None)

    def start(*arguments, path=None, **options):
        command = [sys.executable, "-W", "ignore", "-m", "tmref", "history"]
        command += [
            "mine_of_nobody.adapter:implementation",
            "-k",
            "tanh and values_are_those",
            *arguments,
        ]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**variables, "PATH": path or os.defpath},
            **options,
        )

    return start
