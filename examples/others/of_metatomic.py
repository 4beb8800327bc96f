"""What metatomic-torch does to maps, as rows: ``tmref check of_metatomic:implementation``."""

import importlib.metadata

import torch
from metatensor.torch import TensorMap
from metatomic.torch.o3 import O3Transformations

from tmref.implementations.metatensor_torch import MetatensorTorch
from tmref.laws import row_of_module

KEPT = ["keeps_keys", "keeps_samples", "keeps_components", "keeps_properties"]
#: A turn by a right angle about z, together with the inversion.
MATRIX = torch.tensor([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])


def transformations(x: TensorMap) -> torch.nn.Module:
    dtype = x.block(0).values.dtype if len(x.keys) > 0 else torch.float32
    return O3Transformations(MATRIX.to(dtype).reshape(1, 3, 3), 4)


class Metatomic(MetatensorTorch):
    name, version = "metatomic", importlib.metadata.version("metatomic-torch")
    judges_data = False  # they are metatensor's
    rows = (
        row_of_module(
            transformations,
            name="O3Transformations",
            call=lambda module, x: module.transform_tensormap(x),
            maps={"spherical": True},
            traits=[*KEPT, "pure", "per_block", "per_sample", "linear"],
        ),
    )


implementation = Metatomic()
