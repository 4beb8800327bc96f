"""Laws of structure: what depends on what."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...compare import Refused, compare
from ...labels import Labels
from ...strategies import dyadic_numbers, sub_maps
from ...tensor_map import TensorMap
from ..edits import (
    blocks_at,
    blocks_in,
    by_key,
    map_values,
    require_labels,
    require_shapes,
    take_samples,
    with_an_unknown_entry,
    with_keys,
    with_values,
    zeros_like,
)
from ..law import law
from ..outcomes import NOT_A_MAP, Nothing
from ..session import ModuleSession


@law("deterministic", "keeps_keys", "per_block", maps={"min_blocks": 2})
def blocks_do_not_influence_each_other(f: ModuleSession, x: Any, draw: Any) -> Any:
    """With other values in all blocks but one, that one's output stays. [doc] each block goes through
    the module of its own key."""
    kept = draw(st.integers(0, len(x) - 1), label="kept")
    other = draw(f.like(x), label="other")
    values = [(x if i == kept else other).block(i).values for i in range(len(x))]
    return f(x).block(kept), f(with_values(x, values)).block(kept)


@law("deterministic", maps={"min_blocks": 2}, tried=True)
def blocks_are_found_by_their_keys(f: ModuleSession, x: Any, draw: Any) -> Any:
    """For a map with its blocks in another order every block of the output is the one that it was, or it
    is refused. [doc] TensorMap.block finds a block by its key, wherever it stands."""
    order = draw(st.permutations(range(len(x))), label="order")
    y = f(x)
    if not blocks_in(y):
        return NOT_A_MAP
    if "keeps_keys" in f.recipe.row.traits:
        require_labels(y, x)
    return _maps_by_key(f(blocks_at(x, order))), _maps_by_key(y)


def _maps_by_key(y: Any) -> Any:
    """The maps in what a module returned, each with its blocks in the order of their keys."""
    if isinstance(y, TensorMap):
        return blocks_at(y, by_key(y))
    if isinstance(y, dict):
        return {name: _maps_by_key(item) for name, item in y.items()}
    return list(map(_maps_by_key, y)) if isinstance(y, (list, tuple)) else None


@law("deterministic", "keeps_keys", "shared", maps={"min_blocks": 2, "one_width": True})
def blocks_may_change_their_keys(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where blocks of as many components change places, under the keys of each other, so do those of the
    output. [maths] one function of blocks makes of equal blocks equal ones."""
    o3_names = f.recipe.row.o3_names
    telling = o3_names if x.component_names == [o3_names[-1]] else ()  # keys of spherical tensors
    alike: dict[Any, list[int]] = {}
    for i, (key, block) in enumerate(x.items()):
        kind = [key[name] for name in key.names if name in telling], block.shape[1:-1]
        alike.setdefault(str(kind), []).append(i)
    order = list(range(len(x)))
    for n, places in enumerate(places for places in alike.values() if len(places) > 1):
        for place, i in zip(places, draw(_moved(places), label=f"order_{n}"), strict=True):
            order[place] = i
    if order == sorted(order):
        return None
    y = f(x)
    z = f(with_keys(blocks_at(x, order), x.keys))
    # which properties there are is no matter of this law
    pairs = zip(blocks_at(y, order), z, strict=True)
    blocks = [TensorBlock(b.values, b.samples, b.components, of.properties) for b, of in pairs]
    return z, TensorMap(y.keys, blocks)


def _moved(places: list[int]) -> st.SearchStrategy[list[int]]:
    """The places in another order."""
    return st.permutations(places).filter(lambda order: order != places)


@law("deterministic", "keeps_keys", "keeps_samples", "per_sample")
def samples_do_not_influence_each_other(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Some of the samples, in another order, give the same of the output. [torch] Linear and
    activations treat every row by itself."""
    rows = [draw(_some_of(len(block)), label=f"rows_{i}") for i, block in enumerate(x)]
    return f(take_samples(x, rows)), take_samples(f(x), rows)


def _some_of(size: int) -> st.SearchStrategy[list[int]]:
    """The first numbers up to ``size`` in any order: all of them most often, or fewer."""
    left_out = st.sampled_from([0, *range(size + 1)])
    orders = st.permutations(range(size))
    return st.builds(lambda order, without: order[: size - without], orders, left_out)


@law("deterministic", "keeps_keys", "pointwise")
def every_value_stands_for_itself(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where a value grows, the output changes there at most. [maths] an activation is a function of
    one number."""
    other = map_values(torch.maximum, x, draw(f.like(x), label="other"))  # about half of the values stay
    y, z = f(x), f.run("z = module(x)", x=other)
    for of_either in (y, z):
        require_labels(of_either, x)
        require_shapes(of_either, x)
    same = [a.values == b.values for a, b in zip(x, other, strict=True)]
    return y, with_values(y, f.run(_SHARED, same=same))


_SHARED = (
    "expected = [torch.where(s, b.values, a.values) for s, a, b in zip(same, y.blocks(), z.blocks())]"
)


@law("deterministic", "linear")
def linear_up_to_its_bias(f: ModuleSession, x: Any, draw: Any) -> Any:
    """f(ax + y) - f(0) = a(f(x) - f(0)) + f(y) - f(0). [maths] y = xWᵀ + b."""
    a = draw(dyadic_numbers(), label="a", factor=True)
    y = draw(f.like(x), label="y")
    of_zero = f.run("of_zero = module(x)", x=zeros_like(x))
    if not isinstance(of_zero, TensorMap):
        return NOT_A_MAP
    of_x, of_y = f.run("of_x = module(x)", x=x), f.run("of_y = module(x)", x=y)
    of_sum = f.run("of_sum = module(x)", x=map_values(lambda p, q: a * p + q, x, y))
    for other in (of_x, of_y, of_zero):
        require_labels(of_sum, other)
        require_shapes(of_sum, other)
    return of_sum, with_values(of_sum, f.run(_COMBINED, a=a))


_COMBINED = """triples = zip(of_x.blocks(), of_y.blocks(), of_zero.blocks())
expected = [a * (p.values - o.values) + q.values for p, q, o in triples]"""


@law("keeps_keys", "keyed")
def an_unknown_key_never_gets_the_module_of_another(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A block whose key the module doesn't know is refused, left out, or comes back as it was, but
    never with what the module of another key makes of it. [doc] the block of the i-th key gets the
    i-th module; it says nothing of other blocks."""
    row = f.recipe.row
    if "keys" in row.maps and not row.maps.get("spherical"):  # others than these are not taken
        keys = draw(_with_one_of_others(x.keys, row.maps["keys"]), label="keys")
        if keys == x.keys:
            return Nothing("it takes no maps with other keys")
        f.takes(with_keys(x, keys))
    else:
        keys = draw(with_an_unknown_entry(x.keys), label="keys")
    return _under_other_keys(f, x, keys)


@law("keeps_keys", "keyed")
def keys_are_matched_by_the_names_of_their_dimensions(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Under keys whose dimensions have other names, or the same in another order, no block gets the
    module of a key that differs by name. [doc] TensorMap.block finds keys by "the same values ... for
    the dimensions/names": a key is named values."""
    return _under_other_keys(f, x, draw(_with_other_names(x.keys), label="keys"))


@law("deterministic", "keeps_keys", "per_block", maps={"min_blocks": 2}, tried=True)
def fewer_blocks_are_refused_or_give_the_same(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A map of some of the blocks is refused, or each of them gives what it gives among all. [doc] by
    ModuleMap.forward, the map must have the keys of the module; the tutorial applies it to fewer."""
    part = draw(sub_maps(x), label="part")
    y = f(x)
    z = f.attempt_to_run("z = module(x)", x=part)
    if isinstance(z, Refused):
        return z
    return z, TensorMap(part.keys, [y.block(key) for key in part.keys])


def _under_other_keys(f: ModuleSession, x: TensorMap, keys: Labels) -> Any:
    """The blocks of ``x`` under other keys, and what may become of them."""
    given = with_keys(x, keys)
    y = f.attempt(given)
    if isinstance(y, Refused):
        return y, Refused()
    if any(key not in given.keys for key in y.keys):
        return y.keys, given.keys
    expected = []
    for key, block in y.items():
        values = given.block(key).values
        if f.recipe.in_keys.position(key) is not None:
            # without a twin nobody says what the module of this key makes of them
            expected.append(block.values if f.recipe.twins is None else f.twin.module(key)(values))
        elif compare(block.values, values) is None:
            expected.append(values)
        else:
            return y, Refused()
    return y, with_values(y, expected)


@st.composite
def _with_one_of_others(draw: Any, known: Labels, keys: st.SearchStrategy[Labels]) -> Labels:
    """The keys, one of them replaced by one that is drawn and isn't known, where there is one."""
    drawn = draw(keys)
    entries, which = known.values.clone(), draw(st.integers(0, len(known) - 1))
    unknown = [key for key in drawn if drawn.names == known.names and known.position(key) is None]
    if unknown:
        entries[which] = torch.tensor(list(unknown[0]), dtype=torch.int32)
    return Labels(known.names, entries)


@st.composite
def _with_other_names(draw: Any, known: Labels) -> Labels:
    """The same values under names in another order, or under other names; or dimensions in another
    order, names and values alike."""
    names = known.names
    if len(names) == 1 or not draw(st.booleans()):
        return Labels([f"other_{name}" for name in names], known.values)
    order = draw(st.permutations(names).filter(lambda new: list(new) != names))
    columns = [names.index(name) for name in order] if draw(st.booleans()) else range(len(names))
    return Labels(list(order), known.values[:, list(columns)])
