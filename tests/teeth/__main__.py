"""Do the laws notice small changes of the sources? ``python tests/teeth reference metatensor-learn``"""

from __future__ import annotations

import importlib
import signal
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # this folder is the package teeth

if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and its children with it
    sys.exit(importlib.import_module("teeth.command").main(sys.argv[1:]))
