"""Modules and functions of featomic-torch as rows: ``tmref check of_featomic:implementation``."""

import importlib.metadata

import torch
from featomic.torch import SphericalExpansion
from featomic.torch.clebsch_gordan import (
    DensityCorrelations,
    EquivariantPowerSpectrum,
    cartesian_to_spherical,
)
from hypothesis import strategies as st
from metatensor.torch import TensorMap
from metatomic.torch import System

import tmref
from tmref import Labels
from tmref.implementations import Known
from tmref.implementations.metatensor_torch import MetatensorTorch
from tmref.laws import row_of_function, row_of_module
from tmref.strategies import labels_of, spherical_keys, systems_and_atoms, tensor_maps


def correlations(x: TensorMap) -> torch.nn.Module:
    dtype = x.block(0).values.dtype if len(x.keys) > 0 else torch.float32
    return DensityCorrelations(n_correlations=1, max_angular=2, dtype=dtype)


#: A spherical expansion as small as one that has something of everything.
EXPANSION = {
    "cutoff": {"radius": 3.0, "smoothing": {"type": "ShiftedCosine", "width": 0.5}},
    "density": {"type": "Gaussian", "width": 0.5},
    "basis": {"type": "TensorProduct", "max_angular": 1, "radial": {"type": "Gto", "max_radial": 1}},
}


def power_spectrum(x: TensorMap) -> torch.nn.Module:
    dtype = x.block(0).values.dtype if len(x.keys) > 0 else torch.float32
    return EquivariantPowerSpectrum(SphericalExpansion(**EXPANSION), dtype=dtype)


def of_systems(module: torch.nn.Module, x: TensorMap) -> TensorMap:
    """What it makes of the systems whose atoms are the samples, at positions that are vectors: tensors
    of λ = 1, whose components are (y, z, x). Types go by the number of the atom."""
    block = x.block(0)
    systems = []
    for system in range(int(block.samples.column("system").max()) + 1):
        rows = block.samples.column("system") == system
        systems.append(
            System(
                types=1 + 5 * (block.samples.column("atom")[rows] % 2),
                positions=block.values[rows, :, 0][:, [2, 0, 1]].contiguous(),
                cell=torch.zeros(3, 3, dtype=block.values.dtype),
                pbc=torch.zeros(3, dtype=torch.bool),
            )
        )
    return module(systems)


def spherical(x: TensorMap) -> TensorMap:
    return cartesian_to_spherical(x, ["xyz"], remove_blocks_threshold=None)


class Featomic(MetatensorTorch):
    name, version = "featomic", importlib.metadata.version("featomic-torch")
    judges_data = False  # they are metatensor's
    rows = (
        row_of_module(
            correlations,
            name="DensityCorrelations",
            inputs=tensor_maps(
                spherical=True,
                keys=spherical_keys(sigmas=[1], max_lambda=1, max_size=2),
                max_blocks=2,
                same_samples=True,
                property_names=st.just(("n",)),
                max_properties=2,
            ),
            traits=["equivariant", "pure", "deterministic"],
        ),
        row_of_module(
            power_spectrum,
            name="EquivariantPowerSpectrum",
            call=of_systems,
            inputs=tensor_maps(
                spherical=True,
                keys=st.just(Labels(["o3_lambda", "o3_sigma"], torch.tensor([[1, 1]]))),
                samples=systems_and_atoms(min_systems=1),
                min_samples=1,
                properties=st.just(Labels.range("xyz", 1)),
                max_gradients=0,
            ),
            traits=["equivariant", "pure", "deterministic"],
        ),
        row_of_function(
            spherical,
            name="cartesian_to_spherical",
            inputs=tensor_maps(
                keys=labels_of(dimensions={"center_type": (1, 118)}),
                components=st.just([Labels.range("xyz", 3)]),
            ),
            traits=["deterministic", "pure", "linear"],
        ),
    )
    known = (
        *MetatensorTorch.known,
        Known(
            law="explicit_gradients_are_not_left_out",
            rows=("cartesian_to_spherical",),
            when=lambda recipe, x: True,
            example=lambda name: Featomic.rows[-1].example(with_a_gradient()),
            reason="cartesian_to_spherical leaves out explicit gradients: without a word [maths]",
        ),
    )


def with_a_gradient() -> tmref.TensorMap:
    """A map of one vector, with a gradient."""
    xyz, n = Labels.range("xyz", 3), Labels.range("n", 1)
    block = tmref.TensorBlock(torch.ones(1, 3, 1), Labels.range("system", 1), [xyz], n)
    rows = Labels.range("sample", 1), [xyz], n
    block.add_gradient("positions", tmref.TensorBlock(torch.ones(1, 3, 1), *rows))
    keys = Labels("center_type", torch.tensor([[1]]))
    return tmref.TensorMap(keys, [block])


implementation = Featomic()
