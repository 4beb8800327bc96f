"""A sum over atoms: samples that differ in the atom alone become one."""

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap

from tmref.laws import aggregates, check_function


def sum_over_atoms(tensor: TensorMap) -> TensorMap:
    """The sum of the samples of every system."""
    blocks = []
    for block in tensor.blocks():
        if len(block.gradients_list()) > 0:
            raise ValueError("explicit gradients are not summed")
        systems, which = torch.unique(block.samples.column("system"), return_inverse=True)
        values = torch.zeros((len(systems), *block.values.shape[1:]), dtype=block.values.dtype)
        values = values.index_add(0, which, block.values)
        samples = Labels(["system"], systems.reshape(-1, 1))
        blocks.append(TensorBlock(values, samples, block.components, block.properties))
    return TensorMap(tensor.keys, blocks)


def test_sum_over_atoms():
    check_function(
        sum_over_atoms,
        traits=["keeps_keys", "keeps_components", "keeps_properties", "pure", aggregates("atom")],
        implementation="metatensor-torch",
    )
