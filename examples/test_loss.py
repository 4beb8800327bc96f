"""A loss of two maps, which has to compare what belongs together."""

import torch
from metatensor.torch import TensorMap

from tmref.laws import check_function
from tmref.strategies import like


def squared_error(prediction: TensorMap, target: TensorMap) -> torch.Tensor:
    """The sum of the squared differences."""
    loss = torch.zeros((), dtype=torch.float64)
    for key, block in prediction.items():
        other = target.block(key)
        if block.samples != other.samples or block.properties != other.properties:
            raise ValueError("prediction and target have other labels")
        loss = loss + (block.values - other.values).square().sum().to(torch.float64)
    return loss


def test_squared_error():
    check_function(
        squared_error,
        given={"target": like},
        traits=["matches_labels", "deterministic", "pure"],
        implementation="metatensor-torch",
    )
