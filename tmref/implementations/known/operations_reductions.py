"""What is known to be wrong with metatensor's reductions."""

from __future__ import annotations

from typing import Any

import torch

from ...block import TensorBlock
from ...labels import Labels
from ...tensor_map import TensorMap
from .. import Example, Known

_WORDS = {"mean": "mean", "var": "variance", "std": "deviation"}


def _law(name: str, axis: str) -> str:
    return f"a_{_WORDS[name]}_over_{axis}_is_that_of_their_numbers"


def _map(
    values: Any,
    *,
    properties: Labels | None = None,
    gradient: Any = None,
    rows: int = 0,
    dtype: torch.dtype = torch.float64,
) -> TensorMap:
    """A map of one block of samples of one dimension, with a gradient of its first ``rows`` samples."""
    array = torch.tensor(values, dtype=dtype)
    properties = properties or Labels.range("n", array.shape[-1])
    components = [Labels.range(f"c_{i}", size) for i, size in enumerate(array.shape[1:-1])]
    block = TensorBlock(array, Labels.range("system", len(array)), components, properties)
    if gradient is not None:
        derivative = torch.tensor(gradient, dtype=dtype)
        sizes = derivative.shape[1 : derivative.dim() - len(components) - 1]
        more = [Labels.range(f"d_{i}", size) for i, size in enumerate(sizes)]
        axes = Labels.range("sample", rows), [*more, *components], properties
        block.add_gradient("g", TensorBlock(derivative, *axes))
    return TensorMap(Labels.range("key", 1), [block])


def _example(x: TensorMap, names: str, **draws: Any) -> Any:
    return lambda row: Example(None, x, {"names": names, **draws})


def _has_components(recipe: Any, x: TensorMap) -> bool:
    return any(block.components for block in x)


def _has_gradients(x: TensorMap) -> bool:
    return any(block.has_any_gradient() for block in x)


def _has_gradients_and_no_properties(recipe: Any, x: TensorMap) -> bool:
    return any(block.has_any_gradient() and not len(block.properties) for block in x)


_FOUR = Labels(["n", "l"], torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]]))

#: In both flavours.
_BOTH: tuple[Known, ...] = (
    *(
        Known(
            law=_law(name, "samples"),
            rows=("operations",),
            when=lambda recipe, x: _has_gradients(x),
            draws=lambda drawn: bool(drawn["has_fewer_rows"]),
            example=_example(
                _map([[1.0], [0.0]], gradient=[[1.0]], rows=1), "system", has_fewer_rows=True
            ),
            reason="gradients are divided by how many rows they have, not by samples: where one "
            "has no row of some of the samples that become one, it is no derivative [maths]",
        )
        for name in _WORDS
    ),
    *(
        Known(
            law=_law(name, "properties"),
            rows=("operations",),
            when=_has_components,
            example=_example(_map([[[1.0, 2, 3, 4]] * 3], properties=_FOUR), "l", has_fewer_rows=False),
            reason="of blocks with components, counts divide along another axis: an error, "
            "or values that are no mean where there are as many components [doc]",
        )
        for name in _WORDS
    ),
    *(
        Known(
            law=_law(name, "properties"),
            rows=("operations",),
            when=_has_gradients_and_no_properties,
            example=_example(
                _map([[]], properties=Labels.empty(["n", "l"]), gradient=[[]], rows=1),
                "l",
                has_fewer_rows=False,
            ),
            reason="blocks without properties that have gradients are refused: the gradients keep the "
            "old properties, which don't fit the new ones [doc]",
        )
        for name in ("var", "std")
    ),
    Known(
        law=_law("var", "properties"),
        rows=("operations",),
        when=lambda recipe, x: any(
            len(g.samples) > 1 or g.components for block in x for _, g in block.gradients()
        ),
        example=_example(
            _map([[1.0], [0.0]], gradient=[[1.0], [1.0]], rows=2), "n", has_fewer_rows=False
        ),
        reason="gradients are multiplied by other samples' means: those of several rows, or with "
        "components, are an axis too long and broadcast; they are wrong, or it is an error [doc]",
    ),
    Known(
        law="autograd_goes_through_reductions",
        rows=("operations",),
        when=_has_components,
        draws=lambda drawn: drawn["name"] != "sum" and drawn["axis"] == "properties",
        example=_example(
            _map([[[1.0, 2, 3, 4]] * 3], properties=_FOUR), "l", name="mean", axis="properties"
        ),
        reason="of blocks with components, counts divide along another axis: an error, "
        "or values that are no mean where there are as many components [doc]",
    ),
)

LEARN: tuple[Known, ...] = (
    *_BOTH,
    *(
        Known(
            law=_law(name, axis),
            rows=("operations",),
            when=lambda recipe, x: _has_gradients(x) and x.dtype == torch.float32,
            example=_example(
                _map([[1.0]], gradient=[[1.0]], rows=1, dtype=torch.float32), names, has_fewer_rows=False
            ),
            reason="gradients of float32 become float64, which don't fit the values: they are "
            "divided by an array of numpy; it is an error [doc]",
        )
        for name in ("var", "std")
        for axis, names in (("samples", "system"), ("properties", "n"))
    ),
)
TORCH: tuple[Known, ...] = (
    *_BOTH,
    Known(
        law=_law("std", "properties"),
        rows=("operations",),
        when=lambda recipe, x: any(
            len(g.samples) or g.components for block in x for _, g in block.gradients()
        ),
        example=_example(_map([[0.0, 1.0]], gradient=[[1.0, 0.0]], rows=1), "n", has_fewer_rows=False),
        reason="in TorchScript gradients lack the first term of the formula, E[X ∇X]: they "
        "are E[X] E[∇X] / Std[X] alone [doc]",
    ),
)
