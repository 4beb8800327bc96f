"""Hypothesis strategies for TensorMaps, and for modules on them.

Importing it registers strategies for ``st.from_type`` of the reference's Labels, TensorBlock and
TensorMap, and torch's random state with Hypothesis.
"""

if __name__ == "strategies":
    raise ImportError(
        "these strategies are imported as tmref.strategies, not as strategies; "
        "where that fails, install the project: pip install -e ."
    )

import hypothesis as _hypothesis
import torch as _torch
from hypothesis import strategies as _st

import tmref as _tmref

from .actions import permutations, rotations, sub_maps
from .axes import (
    components,
    dimension_names,
    keys,
    label_values,
    labels,
    properties,
    samples,
    spherical_components,
    spherical_keys,
)
from .invalid import Invalid, invalid_blocks, invalid_labels, invalid_maps
from .invalid_modules import invalid_recipes
from .maps import gradients, like, tensor_blocks, tensor_maps
from .namespace import make_strategies_namespace
from .numbers import dyadic_numbers, unit_bound
from .printing import as_code
from .recipes import recipes
from .systems import all_pairs_of, labels_of, systems_and_atoms
from .values import array_values, dtypes, layouts


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

_st.register_type_strategy(_tmref.Labels, labels())
_st.register_type_strategy(_tmref.LabelsEntry, labels(min_size=1).map(lambda x: x[0]))
_st.register_type_strategy(_tmref.TensorBlock, tensor_blocks())
_st.register_type_strategy(_tmref.TensorMap, tensor_maps())

__all__ = [
    "Invalid",
    "all_pairs_of",
    "array_values",
    "as_code",
    "components",
    "dimension_names",
    "dtypes",
    "dyadic_numbers",
    "gradients",
    "invalid_blocks",
    "invalid_labels",
    "invalid_maps",
    "invalid_recipes",
    "keys",
    "label_values",
    "labels",
    "labels_of",
    "layouts",
    "like",
    "make_strategies_namespace",
    "permutations",
    "properties",
    "recipes",
    "rotations",
    "samples",
    "spherical_components",
    "spherical_keys",
    "sub_maps",
    "systems_and_atoms",
    "tensor_blocks",
    "tensor_maps",
    "unit_bound",
]
