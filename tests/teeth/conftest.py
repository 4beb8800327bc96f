"""The harness as a package: test-suites imported by importlib have no other way to it."""

import sys
from pathlib import Path
from types import ModuleType

_PACKAGE = ModuleType("teeth")
_PACKAGE.__path__ = [str(Path(__file__).parent)]
sys.modules["teeth"] = _PACKAGE
