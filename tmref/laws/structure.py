"""Laws of structure: what depends on what."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ..labels import Labels
from ..strategies import dyadic_numbers, keys, label_values, like
from .law import law
from .maps import map_values, take_samples, with_keys, with_values, zeros_like
from .subject import Refused, Subject


@law("per_block", keys=keys(min_size=2))
def blocks_do_not_influence_each_other(f: Subject, x: Any, draw: Any) -> Any:
    """With other values in all blocks but one, that one's output stays. [doc] each block goes through
    the module of its own key."""
    kept = draw(st.integers(0, len(x) - 1), label="kept")
    other = draw(like(x), label="other")
    values = [(x if i == kept else other).block(i).values for i in range(len(x))]
    return f(x).block(kept), f(with_values(x, values)).block(kept)


@law("per_sample")
def samples_do_not_influence_each_other(f: Subject, x: Any, draw: Any) -> Any:
    """Some of the samples, in another order, give the same of the output. [torch] Linear and
    activations treat every row by itself."""
    rows = [
        draw(st.lists(st.sampled_from(range(len(b))), unique=True), label=f"rows {i}") if len(b) else []
        for i, b in enumerate(x)
    ]
    return f(take_samples(x, rows)), take_samples(f(x), rows)


@law("pointwise")
def every_value_stands_for_itself(f: Subject, x: Any, draw: Any) -> Any:
    """Where a value changes, the output changes there at most. [maths] an activation is a function of
    one number."""
    other = draw(like(x), label="other")
    y, z = f(x), f(other)
    same = [a.values == b.values for a, b in zip(x, other, strict=True)]
    shared = [torch.where(s, b.values, a.values) for s, a, b in zip(same, y, z, strict=True)]
    return y, with_values(y, shared)


@law("linear")
def linear_up_to_its_bias(f: Subject, x: Any, draw: Any) -> Any:
    """f(ax + y) - f(0) = a(f(x) - f(0)) + f(y) - f(0). [maths] y = xWᵀ + b."""
    a = draw(dyadic_numbers(), label="a")
    y = draw(like(x), label="y")
    zero = f(zeros_like(x))
    left = map_values(torch.sub, f(map_values(lambda p, q: a * p + q, x, y)), zero)
    right = map_values(lambda p, q, o: a * (p - o) + (q - o), f(x), f(y), zero)
    return left, right


@st.composite
def _foreign_keys(draw: Any, known: Labels) -> Labels:
    """As many keys as ``known``, at least one of which isn't there: by its values, or by the names of
    its dimensions, swapped or others."""
    names, rows = known.names, known.values.clone()
    how = draw(st.sampled_from(["values", "other names", "swapped names"]))
    if how == "values" or (how == "swapped names" and len(names) == 1):
        row, value = draw(st.integers(0, len(rows) - 1)), draw(label_values())
        column = draw(st.integers(0, len(names) - 1))
        others = {tuple(r) for r in rows.tolist()}
        new = rows[row].tolist()
        new[column] = value
        while tuple(new) in others:
            new[column] = new[column] + 1 if new[column] < 2**31 - 1 else -(2**31)
        rows[row] = torch.tensor(new, dtype=torch.int32)
    elif how == "other names":
        names = [f"other_{name}" for name in names]
    else:
        names = names[::-1]
    return Labels(names, rows)


@law("keyed", keys=keys(min_size=1))
def an_unknown_key_never_gets_the_module_of_another(f: Subject, x: Any, draw: Any) -> Any:
    """A block whose key the module doesn't know, by name and value, is refused, left out, or comes
    back as it was, but never with what the module of another key makes of it. [doc] "TensorMap.block
    ... finds the key with the same values as selection for the dimensions/names": keys are named."""
    foreign = draw(_foreign_keys(x.keys), label="keys")
    given = with_keys(x, foreign)
    y = f.attempt(given)
    if isinstance(y, Refused):
        return None
    if any(key not in given.keys for key in y.keys):
        return y.keys, given.keys
    expected = []
    for key in y.keys:
        block = given.block(key)
        known = f.recipe.in_keys.position(key) is not None
        expected.append(f.twin.module(key)(block.values) if known else block.values)
    if [v.shape for v in expected] != [b.values.shape for b in y]:
        return [b.values for b in y], expected
    return y, with_values(y, expected)
