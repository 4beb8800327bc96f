"""What is known to be wrong with what torch makes of metatensor's modules."""

from __future__ import annotations

from ... import catalog
from ...catalog import ROWS, Recipe
from ...labels import Labels
from ...tensor_map import TensorMap
from .. import Example, Known
from .examples import keys_of, map_of_ones, recipe_of_ones


def _one_covariant_block(name: str) -> Example:
    row = catalog.row(name)
    keys = Labels(["o3_lambda", "o3_sigma"], keys_of(row, 2).values[1:])
    x = map_of_ones(row, keys_of(row, 2))
    return Example(recipe_of_ones(row, keys), TensorMap(keys, [x.block(1)]), {})


def _has_covariant_keys(recipe: Recipe, x: TensorMap) -> bool:
    selection = recipe.call.kwargs.get("invariant_keys")
    return not all(catalog.invariances(recipe.row, recipe.in_keys, selection))


#: In the flavour of metatensor-torch.
TORCH: tuple[Known, ...] = (
    Known(
        law="a_scripted_module_does_what_the_module_does",
        rows=tuple(row.name for row in ROWS if row.keeps_sizes),
        when=_has_covariant_keys,
        example=_one_covariant_block,
        reason="TorchScript can't compile EquivariantTransformation for covariant keys: input.norm has "
        "a dim and no p there. What has the forward of ModuleMapInterface is said to be TorchScript "
        "compilable, and all other modules are [doc]",
    ),
)
