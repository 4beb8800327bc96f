"""The page of documentation of the strategies, made of their docstrings."""

from __future__ import annotations

import inspect
import re
import textwrap

import tmref.strategies

HEAD = """# tmref.strategies

Hypothesis strategies for TensorMaps, and for modules on them. This page is made of the docstrings by
`make docs`; every example in it is run by the tests, after

    import torch
    from hypothesis import find, strategies as st
    from tmref.implementations import load
    from tmref.strategies import *

`find` is Hypothesis' own: the simplest thing that a strategy gives and a condition holds for.
Options are keywords; each is a bound, a flag, or a strategy (for one value: `st.just(value)`).
"""

SECTIONS = {
    "Blocks and maps": ("tensor_maps", "tensor_blocks", "gradients", "like", "sub_maps"),
    "Values": ("array_values", "dtypes", "layouts", "dyadic_numbers", "unit_bound"),
    "Labels": (
        *("labels", "keys", "spherical_keys", "samples", "components", "spherical_components"),
        *("properties", "dimension_names", "label_values"),
        *("labels_of", "all_pairs_of", "systems_and_atoms"),
    ),
    "What acts on maps": ("permutations", "rotations"),
    "Modules": ("recipes",),
    "What must be refused": (
        *("invalid_labels", "invalid_blocks", "invalid_maps", "invalid_recipes", "Invalid"),
    ),
    "Any implementation": ("make_strategies_namespace", "as_code"),
}


def page() -> str:
    """The page, in Markdown."""
    parts = [HEAD]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}\n")
        parts += map(_entry, names)
    return "\n".join(parts)


def _entry(name: str) -> str:
    thing = getattr(tmref.strategies, name)
    words = _as_markdown(inspect.getdoc(thing) or "")
    return f"### {name}\n\n```text\n{_signature(name, thing)}\n```\n\n{words}\n"


def _signature(name: str, thing: object) -> str:
    """The call with its defaults, without annotations, a line for every few options."""
    parameters = inspect.signature(thing).parameters.values()  # type: ignore[arg-type]
    parts: list[str] = []
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        parts.append(str(parameter.replace(annotation=parameter.empty)))
    line = f"{name}({', '.join(parts)})"
    indent = " " * (len(name) + 1)
    return textwrap.fill(line, 95, subsequent_indent=indent, break_long_words=False)


def _as_markdown(words: str) -> str:
    """A docstring with its roles as code, and its examples in fences."""
    words = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", words).replace("``", "`")
    prose, _, examples = words.partition("\n>>> ")
    if not examples:
        return prose
    return f"{prose}\n```pycon\n>>> {examples}\n```"
