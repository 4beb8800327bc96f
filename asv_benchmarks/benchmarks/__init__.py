"""How fast the modules of every implementation are, beside plain torch.

What is measured is the commit that is installed; how it is measured is always this checkout's
``tmref.bench``, so that two commits are measured alike, and one that is older than it, too.
"""

import importlib.util
import sys
from pathlib import Path

import torch

import tmref.catalog
import tmref.implementations

_FOLDER = Path(__file__).resolve().parents[2] / "tmref" / "bench"


def _this_bench() -> None:
    for name in [name for name in sys.modules if name.startswith("tmref.bench")]:
        del sys.modules[name]
    spec = importlib.util.spec_from_file_location(
        "tmref.bench", _FOLDER / "__init__.py", submodule_search_locations=[str(_FOLDER)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tmref.bench"] = tmref.bench = module
    spec.loader.exec_module(module)


_this_bench()
torch.set_num_threads(1)
