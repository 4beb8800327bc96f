"""The smallest maps and recipes, which pinned examples of known failures are made of."""

from __future__ import annotations

import torch

from ... import catalog
from ...block import TensorBlock
from ...catalog import Recipe, Row
from ...labels import Labels
from ...tensor_map import TensorMap


def keys_of(row: Row, size: int) -> Labels:
    """Keys of so many blocks: o3_lambda 0, 1, ... where the row's maps are spherical."""
    if not row.maps.get("spherical"):
        return Labels.range("key", size)
    rows = torch.tensor([[i, 1] for i in range(size)], dtype=torch.int32).reshape(size, 2)
    return Labels(["o3_lambda", "o3_sigma"], rows)


def map_of_ones(row: Row, keys: Labels, value: float = 1.0, *, gradient: bool = False) -> TensorMap:
    """A map of one sample and one property in every block, of one value."""
    blocks = []
    for i in range(len(keys)):
        spherical = row.maps.get("spherical", False)
        components = [Labels("o3_mu", torch.arange(-i, i + 1).reshape(-1, 1))] if spherical else []
        shape = (1, *(len(c) for c in components), 1)
        one = [Labels.range(name, 1) for name in ("system", "n")]
        block = TensorBlock(torch.full(shape, value), one[0], components, one[1])
        if gradient:
            values, samples = torch.full(shape, 2.0), Labels.range("sample", 1)
            block.add_gradient("positions", TensorBlock(values, samples, components, one[1]))
        blocks.append(block)
    return TensorMap(keys, blocks)


def recipe_of_ones(row: Row, keys: Labels, *, shuffled: bool = False) -> Recipe:
    """A module of one feature everywhere, weights 2, 3, ... for the keys, biases 1.

    Where ``shuffled``, the layers of a Sequential have their keys in the opposite order.
    """
    invariant = catalog.invariances(row, keys, None)
    parameters = [
        [
            tuple(
                torch.full(shape, 2.0 + i if len(shape) == 2 else 1.0)
                for shape in layer.parameter_shapes(1, 1, is_invariant)
            )
            for layer in row.layers
        ]
        for i, is_invariant in enumerate(invariant)
    ]
    reverse = Labels(keys.names, keys.values.flip(0))
    return catalog.recipe(
        row,
        keys,
        torch.float32,
        [[1] * (len(row.layers) + 1) for _ in range(len(keys))],
        parameters,
        orders=[reverse] * len(row.layers) if shuffled else None,
        styles=[catalog.ArgumentStyle(dtype=False)] * len(row.layers),
    )
