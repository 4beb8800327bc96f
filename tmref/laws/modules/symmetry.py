"""Laws of symmetry: what may be done before a module as well as after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...catalog import INVARIANT, Call, Recipe, invariances
from ...labels import Labels
from ...permutations import Permutation
from ...rotations import Quaternion, Rotation
from ...strategies import label_values, permutations, rotations
from ...tensor_map import TensorMap
from ..edits import (
    LABEL_FREE,
    Relabelling,
    accepted,
    permuted_by,
    relabelled,
    require_labels,
    with_keys,
    with_properties,
    with_values,
    zeros_like,
)
from ..law import law
from ..outcomes import NOT_A_MAP, Nothing
from ..premises import WRITTEN
from ..session import ModuleSession

#: Turns by 90° about z and by 180° about x, y and the diagonals between them: every component goes to
#: one of the same λ, up to its sign, so that nothing is rounded.
_RIGHT_ANGLES = (
    (1, 0, 0, 0),
    (0, 0, 0, 1),
    (0, 1, 0, 0),
    (0, 0, 1, 0),
    (1, 0, 0, 1),
    (1, 0, 0, -1),
    (0, 1, 1, 0),
    (0, 1, -1, 0),
)
#: Maps that can be rotated.
_SPHERICAL = {"spherical": True}
#: Maps with something to permute.
_FILLED = {"min_blocks": 2, "min_samples": 1, "min_properties": 1, "max_gradients": 1}


@law(
    *("deterministic", "keeps_keys", "keeps_samples", "per_block", "per_sample"),
    maps=_FILLED,
    tried=True,
)
def blocks_and_samples_have_no_order(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The output for permuted blocks and samples is the permuted output; explicit gradients follow their
    samples, or are refused. [doc] blocks and samples are what their labels say, wherever they stand."""
    permuted = Permutation(*draw(permutations(x).map(lambda p: (p.keys, p.samples)), label="orders"))
    x, y = accepted(f, x)
    require_labels(y, x, "samples", "gradients")
    expected = permuted_by(f, permuted, y)
    return f(permuted(x)), expected


@law("deterministic", "equivariant", maps=_SPHERICAL)
def turns_by_right_angles_commute(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The output for a map that was turned by right angles, and inverted or not, is what the output is
    turned to. [doc] the module preserves equivariance: covariant blocks have no bias and no activation;
    [maths] f(Rx) = R f(x) for every R in O(3)."""
    quaternion = draw(st.sampled_from(_RIGHT_ANGLES), label="quaternion")
    inversion = draw(st.booleans(), label="inversion")
    return _both_ways(f, x, quaternion, inversion and _may_be_inverted(f.recipe))


@law("deterministic", "equivariant", maps=_SPHERICAL, rounded=True)
def rotations_commute(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The output for a rotated map, inverted or not, is the rotated output, up to rounding. [doc] the
    module preserves equivariance; [maths] f(Rx) = R f(x) for every R in O(3)."""
    any_of_them = rotations(inversions=_may_be_inverted(f.recipe))
    rotation = draw(any_of_them.map(lambda r: (r.quaternion, r.inversion)), label="rotation")
    return _both_ways(f, x, *rotation)


@law("deterministic", "invariant", maps=_SPHERICAL)
def turns_by_right_angles_change_nothing(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The output for a map that was turned by right angles, and inverted or not, is the output. [maths]
    invariant: f(Rx) = f(x) for every R in O(3)."""
    quaternion = draw(st.sampled_from(_RIGHT_ANGLES), label="quaternion")
    inversion = draw(st.booleans(), label="inversion")
    return _rotated(f, x, Rotation(quaternion, inversion, f.recipe.row.o3_names)), f(x)


@law("deterministic", "invariant", maps=_SPHERICAL, rounded=True)
def rotations_change_nothing(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The output for a rotated map, inverted or not, is the output, up to rounding. [maths] invariant:
    f(Rx) = f(x) for every R in O(3)."""
    any_of_them = rotations(inversions=True)
    drawn = any_of_them.map(lambda r: (r.quaternion, r.inversion))
    quaternion, inversion = draw(drawn, label="rotation")
    return _rotated(f, x, Rotation(quaternion, inversion, f.recipe.row.o3_names)), f(x)


def _rotated(f: ModuleSession, x: TensorMap, rotation: Rotation) -> Any:
    """What it makes of the map, rotated; scripts print the matrix that multiplies vectors (x, y, z)."""
    f.show("rotation", rotation.matrix())
    return f(rotation(x))


def _both_ways(
    f: ModuleSession, x: TensorMap, quaternion: Quaternion, inversion: bool
) -> tuple[TensorMap, TensorMap] | Nothing:
    rotation = Rotation(quaternion, inversion, f.recipe.row.o3_names)
    y = f.run("first = module(x)", x=x)
    if not isinstance(y, TensorMap):
        return NOT_A_MAP
    expected = rotation(y)  # raises where it is none that can be rotated
    z = _rotated(f, x, rotation)
    matrices = [rotation._matrix_of(key) for key in y.keys]
    axes = [_axis_of_mu(block, rotation.names[-1]) for block in y]
    return z, with_values(expected, f.run(_TURNED, matrices=matrices, axes=axes))


def _axis_of_mu(block: TensorBlock, name: str) -> int:
    return [axis.names for axis in block.components].index([name]) - len(block.components) - 1


#: What becomes of the first output: its axes μ are multiplied by the matrix of their λ.
_TURNED = """def turned(block, matrix, axis):
    values = block.values
    return (matrix.to(values.dtype) @ values.flatten(axis + 1)).reshape(values.shape)
expected = list(map(turned, first.blocks(), matrices, axes))"""


def _may_be_inverted(recipe: Recipe) -> bool:
    """Whether nothing that changes its sign under inversion was declared invariant."""
    declared = _declared(recipe)
    truly = invariances(recipe.row, recipe.in_keys, INVARIANT)
    return all(really for is_one, really in zip(declared, truly, strict=True) if is_one)


def _declared(recipe: Recipe, keys: Labels | None = None) -> list[bool]:
    """Whether the module takes each of the keys, by default its own, for invariant."""
    selection = _selection(recipe.call)
    keys = recipe.in_keys if keys is None else keys
    return invariances(recipe.row, keys, INVARIANT if selection is None else selection)


def _selection(call: Call) -> Labels | None:
    """The invariant_keys that a module, or a layer of it, was given."""
    layers = [arg for arg in call.args if isinstance(arg, Call)]
    given = [c.kwargs["invariant_keys"] for c in (call, *layers) if "invariant_keys" in c.kwargs]
    return given[0] if given else None


@law("equivariant", "keeps_keys", needs=[WRITTEN])
def covariant_zeros_stay_zeros(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where covariant blocks are zeros, so are those of the output. [maths] f(0) = f(R0) = R f(0) for
    every R, and only 0 is that; [doc] the bias "is only applied to modules corresponding to invariant
    blocks"."""
    y = f(zeros_like(x))
    invariant = _declared(f.written, x.keys)
    zeros = [
        block
        if is_invariant
        else TensorBlock(
            torch.zeros_like(block.values), block.samples, block.components, block.properties
        )
        for is_invariant, block in zip(invariant, y, strict=True)
    ]
    return y, TensorMap(y.keys, zeros)


@law("deterministic", "equivariant", needs=[WRITTEN])
def invariant_keys_are_scalars_by_default(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Without invariant_keys, the module is the one with those of o3_lambda 0 and o3_sigma 1. [doc]
    invariant_keys: "If not provided, the invariant keys are assumed to be those where key dimensions
    ["o3_lambda", "o3_sigma"] are equal to [0, 1]"."""
    selection = _selection(f.written.call)
    if selection is not None and selection != INVARIANT:
        return None
    y = f(x)
    f.make("other", _selected_by(f.written, INVARIANT if selection is None else None))
    return f.run("z = other(x)"), y


@law("deterministic", "equivariant", needs=[WRITTEN])
def invariant_keys_may_be_said_in_other_words(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The module is the same whatever selects the same of its keys: more dimensions, in any order, and
    entries that are no keys. [doc] invariant_keys: "Labels object that is used to select the invariant
    keys from in_keys"."""
    in_keys = f.recipe.in_keys
    names = draw(st.permutations(in_keys.names), label="names")
    is_invariant = _declared(f.written)
    invariant = [key for key, is_one in zip(in_keys, is_invariant, strict=True) if is_one]
    selected = [[key[name] for name in names] for key in invariant]
    if draw(st.booleans(), label="more"):
        selected.append([7 if name == "o3_lambda" else 0 for name in names])
    selected = draw(st.permutations(selected), label="selected")
    y = f(x)
    selection = torch.tensor(selected, dtype=torch.int32).reshape(-1, len(names))
    f.make("other", _selected_by(f.written, Labels(names, selection)))
    return f.run("z = other(x)"), y


@law("equivariant", "pointwise", maps={"min_samples": 1, "min_properties": 1}, needs=[WRITTEN])
def only_what_is_selected_is_invariant(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The activation is for the keys that invariant_keys select, whichever they are, and no others.
    [doc] it is applied to "the keys in in_keys that correspond to the selection passed in
    invariant_keys"."""
    some, none = st.tuples(*[st.booleans() for _ in x.keys]), st.just((False,) * len(x))
    of_keys = draw(st.one_of(some, some, none), label="of_keys")
    selection = Labels(x.keys.names, x.keys.values[list(of_keys)])
    f.make("module", _selected_by(f.written, selection))
    y = f(x)
    (layer,) = f.written.row.layers
    activation = f.there(layer.plain(0, 0, x.dtype, invariant=True)())
    pairs = zip(x, of_keys, strict=True)
    return y, with_values(y, [activation(b.values) if is_one else b.values for b, is_one in pairs])


def _selected_by(recipe: Recipe, selection: Labels | None) -> Recipe:
    """The recipe with other invariant_keys, or without them."""
    given = {} if selection is None else {"invariant_keys": selection}

    kind, call = recipe.row.kind, recipe.call
    for i, (module, of_module) in enumerate(zip(kind.modules, kind.calls(call), strict=True)):
        if module.by_invariance:
            kwargs = {n: value for n, value in of_module.kwargs.items() if n != "invariant_keys"}
            changed = dataclasses.replace(of_module, kwargs={**kwargs, **given})
            call = kind.with_call(call, i, changed)
    return dataclasses.replace(recipe, call=call)


@law("keyed", "keeps_keys", "deterministic", needs=[WRITTEN])
def integers_of_keys_mean_nothing(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where the same is added to the integers of the keys, in the module and the map alike, the output
    is the same under those keys. [doc] keys are what blocks are found by; only invariant_keys select by
    what they are, by default by o3_lambda and o3_sigma."""
    amount = draw(label_values(), label="amount")
    moved = {name: amount for name in x.keys.names if name not in f.recipe.row.o3_names}
    new = Relabelling(shift=moved)
    y = f(x)
    require_labels(y, x)
    f.make("other", relabelled(f.written, new))
    return f.run("z = other(x)", x=with_keys(x, new(x.keys))), with_keys(y, new(y.keys))


@law(*LABEL_FREE, maps={"min_samples": 1, "min_properties": 1})
def integers_of_samples_components_and_properties_mean_nothing(
    f: ModuleSession, x: Any, draw: Any
) -> Any:
    """Where something is added to the integers of samples, components and properties, the values stay,
    and so do the properties of the output, unless it keeps those of the input. [doc] ModuleMap applies
    a module to the values of every block."""
    amounts = draw(st.tuples(label_values(), label_values(), label_values()), label="amounts")
    y = f(x)
    require_labels(y, x, "samples", "components")
    spherical = f.recipe.row.o3_names
    given = TensorMap(x.keys, [_moved(block, spherical, *amounts) for block in x])
    z = f.run("z = module(x)", x=given)
    return z, with_properties(
        f, TensorMap(y.keys, [_moved(b, spherical, *amounts[:2]) for b in y]), given, z
    )


def _moved(
    block: TensorBlock,
    spherical: Sequence[str],
    of_samples: int,
    of_components: int,
    of_properties: int = 0,
) -> TensorBlock:
    def moved(labels: Labels, amount: int) -> Labels:
        stays = labels.names[0] == spherical[-1]
        return Relabelling(shift={} if stays else dict.fromkeys(labels.names, amount))(labels)

    components = [moved(component, of_components) for component in block.components]
    samples, properties = moved(block.samples, of_samples), moved(block.properties, of_properties)
    return TensorBlock(block.values, samples, components, properties)
