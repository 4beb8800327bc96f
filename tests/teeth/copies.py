"""Copies of a package's ``nn`` in memory, of changed sources: what is imported and on disk stays.

In a copy, ``name.nn.*`` are modules of their own, and every other ``name.*`` is the package's: labels,
blocks and maps are of the very same classes.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from tmref.implementations import Implementation

#: The packages that have the ``nn`` of an implementation.
PACKAGES = {"reference": "tmref", "metatensor-learn": "metatensor_learn"}


def files(package: str) -> dict[str, Path]:
    """The files of a package's nn by the names of the modules: ``nn``, ``nn.linear`` and so on."""
    folder = Path(importlib.import_module(f"{package}.nn").__file__ or "").parent
    modules = {
        f"nn.{path.stem}": path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"
    }
    return {"nn": folder / "__init__.py", **modules}


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes the modules of a copy out of code."""

    def __init__(self, name: str, codes: Mapping[str, CodeType], names: Mapping[str, Any]) -> None:
        self.codes = {f"{name}.{module}": code for module, code in codes.items()}
        self.names = names

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self.codes:
            return None
        return importlib.util.spec_from_loader(fullname, self, is_package=fullname.endswith(".nn"))

    def exec_module(self, module: ModuleType) -> None:
        code = self.codes[module.__name__]
        vars(module).update(self.names)
        module.__file__ = code.co_filename  # where torch finds the source of classes
        exec(code, vars(module))


def codes_of(package: str) -> dict[str, CodeType]:
    """The code of the modules of a package's nn, as it is."""
    return {
        module: compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True)
        for module, path in files(package).items()
    }


def load(
    package: str, name: str, codes: Mapping[str, CodeType], names: Mapping[str, Any] | None = None
) -> ModuleType:
    """The ``nn`` of a copy: a package ``name`` whose nn is of these codes, each of which may use the
    ``names``."""
    real = importlib.import_module(package)
    importlib.import_module(f"{package}.nn")
    twin = ModuleType(name)
    vars(twin).update({key: value for key, value in vars(real).items() if not key.startswith("__")})
    vars(twin).pop("nn")
    twin.__path__ = []
    sys.modules[name] = twin
    for module in list(sys.modules):
        parent, _, rest = module.partition(".")
        if parent == package and rest and rest.partition(".")[0] != "nn":
            sys.modules[f"{name}.{rest}"] = sys.modules[module]
    sys.meta_path.insert(0, _Finder(name, codes, names or {}))
    return importlib.import_module(f"{name}.nn")


@contextlib.contextmanager
def loaded(*arguments: Any) -> Iterator[ModuleType]:
    """What :func:`load` gives, for a while."""
    path, before = list(sys.meta_path), set(sys.modules)
    try:
        yield load(*arguments)
    finally:
        sys.meta_path[:] = path
        for module in set(sys.modules) - before:
            if module.partition(".")[0] == arguments[1]:
                del sys.modules[module]


def with_nn(implementation: Implementation, nn: ModuleType) -> Implementation:
    """The same adapter, its known failures included, of another nn."""
    changed = copy.copy(implementation)
    changed.nn = nn
    return changed
