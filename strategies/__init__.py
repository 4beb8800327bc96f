"""Hypothesis strategies for TensorMaps, and for modules on them."""

if __name__ == "strategies":
    raise ImportError(
        "these strategies are imported as tmref.strategies, not as strategies; "
        "where that fails, install the project: pip install -e ."
    )

import hypothesis as _hypothesis
import torch as _torch

from .axes import components, keys, label_values, labels, names, properties, samples, spherical_keys
from .maps import like, tensor_blocks, tensor_maps
from .numbers import dyadic_numbers, dyadic_tensors, unit_bound
from .recipes import recipes


class _TorchRandomState:
    """torch's global random state on the CPU, as Hypothesis' ``register_random`` wants it."""

    def seed(self, seed: int) -> None:
        # torch.manual_seed would queue a seed for GPUs, too: a millisecond for every example
        _torch.default_generator.manual_seed(seed)

    def getstate(self) -> _torch.Tensor:
        return _torch.get_rng_state()

    def setstate(self, state: _torch.Tensor) -> None:
        _torch.set_rng_state(state)


_TORCH_RANDOM_STATE = _TorchRandomState()  # Hypothesis holds it by a weak reference
_hypothesis.register_random(_TORCH_RANDOM_STATE)

__all__ = [
    "components",
    "dyadic_numbers",
    "dyadic_tensors",
    "keys",
    "label_values",
    "labels",
    "like",
    "names",
    "properties",
    "recipes",
    "samples",
    "spherical_keys",
    "tensor_blocks",
    "tensor_maps",
    "unit_bound",
]
