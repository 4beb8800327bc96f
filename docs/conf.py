"""How Sphinx makes the site: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import tmref

project = "tmref"
author = "the tmref developers"
copyright = f"2026, {author}"
version = release = tmref.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx_copybutton", "pages"]
nitpicky = True
# what docstrings name by a role that is Hypothesis', torch's or Python's: links there need a network
nitpick_ignore_regex = [("py:.*", r"(?!tmref).*")]

myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "tmref"
html_show_sphinx = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
