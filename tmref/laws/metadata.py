"""Laws of metadata: what becomes of labels."""

from __future__ import annotations

from typing import Any

from .law import law
from .subject import Subject


@law("keeps_keys")
def keys_survive_in_order(f: Subject, x: Any, draw: Any) -> Any:
    """The output has the keys of the input, in their order. [doc] ModuleMap applies a module to every
    block of the map."""
    return f(x).keys, x.keys


@law("keeps_keys", maps={"min_blocks": 0, "max_blocks": 0})
def a_map_without_blocks_gives_one_without_blocks(f: Subject, x: Any, draw: Any) -> Any:
    """A map of no blocks gives a map of no blocks, under the same keys. [maths] for every block is for
    none, too."""
    return f(x), x


@law("keeps_samples")
def samples_survive(f: Subject, x: Any, draw: Any) -> Any:
    """Every block has the samples that it had, in their order. [doc] ModuleMap: only the properties
    can't be preserved."""
    return [block.samples for block in f(x)], [block.samples for block in x]


@law("keeps_components")
def components_survive(f: Subject, x: Any, draw: Any) -> Any:
    """Every block has the components that it had, in their order. [doc] ModuleMap: only the
    properties can't be preserved."""
    return [block.components for block in f(x)], [block.components for block in x]


@law("keyed")
def properties_are_those_asked_for(f: Subject, x: Any, draw: Any) -> Any:
    """Every block has the out_properties of its key, by default one dimension "_" counting from 0.
    [doc] "By default the output properties are relabeled using Labels.range with '_' as key"."""
    y = f(x)
    properties = dict(zip(f.recipe.in_keys, f.properties, strict=True))
    expected = [properties[key] for key in y.keys]
    return [block.properties for block in y], expected
