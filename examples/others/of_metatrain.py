"""Modules and functions of metatrain as rows: ``tmref check of_metatrain:implementation``."""

import copy
import importlib.metadata

import torch
from hypothesis import strategies as st
from metatensor.torch import TensorMap
from metatrain.scaler._base_scaler import BaseScaler
from metatrain.soap_bpnn.model import LayerNormMap, MLPMap
from metatrain.utils.loss import TensorMapMAELoss, TensorMapMSELoss
from metatrain.utils.sum_over_atoms import sum_over_atoms as scripted_sum

import tmref
from tmref import Labels
from tmref.implementations import Example, Known
from tmref.implementations.metatensor_torch import MetatensorTorch
from tmref.laws import aggregates, row_of_function, row_of_module
from tmref.strategies import labels_of, like, systems_and_atoms, tensor_maps

KEPT = ["keeps_keys", "keeps_samples", "keeps_components", "pure"]
#: Blocks of types of atoms, all of as many features, in float32: what soap_bpnn's parts are made for.
OF_TYPES = {
    "keys": labels_of(dimensions={"center_type": (1, 118)}),
    "one_width": True,
    "dtypes": st.just(torch.float32),
}
HYPERS = {"num_hidden_layers": 1, "num_neurons_per_layer": 3}


def types(x: TensorMap) -> list[int]:
    """The types of atoms that there are blocks of."""
    return x.keys.column("center_type").tolist()


def width(x: TensorMap) -> int:
    """The number of features."""
    return len(x.block(0).properties) if len(x.keys) > 0 else 1


def mlp_map(x: TensorMap) -> torch.nn.Module:
    return MLPMap(types(x), {**HYPERS, "input_size": width(x)})


def mlp_twin(key, block):
    return torch.nn.Sequential(
        torch.nn.Linear(len(block.properties), HYPERS["num_neurons_per_layer"], bias=False),
        torch.nn.SiLU(),
    )


def layer_norm_map(x: TensorMap) -> torch.nn.Module:
    return LayerNormMap(types(x), width(x))


def scaler(x: TensorMap) -> torch.nn.Module:
    """A scaler that was fitted: of scales that no float32 has."""
    module = BaseScaler([1, 6, 8], {"energy": x})
    for block in module.scales["energy"].blocks():
        block.values.fill_(0.1)
    return module


def unfitted_scaler(x: TensorMap) -> torch.nn.Module:
    return BaseScaler([1, 6, 8], {"energy": x})


def fitted_scales(module: torch.nn.Module, x: TensorMap) -> TensorMap:
    """The scales of a scaler that x is shown to: of a copy, since accumulating is what it is for."""
    module = copy.deepcopy(module)
    module.accumulate([], {"energy": x})
    module.fit()
    return module.scales["energy"]


def sum_over_atoms(x: TensorMap) -> TensorMap:
    return scripted_sum(x)


def squared_error(x: TensorMap, target: TensorMap) -> torch.Tensor:
    return TensorMapMSELoss("energy", None, 1.0, "sum")({"energy": x}, {"energy": target})


def absolute_error(x: TensorMap, target: TensorMap) -> torch.Tensor:
    return TensorMapMAELoss("energy", None, 1.0, "sum")({"energy": x}, {"energy": target})


class Metatrain(MetatensorTorch):
    name, version = "metatrain", importlib.metadata.version("metatrain")
    judges_data = False  # they are metatensor's
    rows = (
        row_of_module(
            mlp_map,
            name="MLPMap",
            twin=mlp_twin,
            maps=OF_TYPES,
            traits=[*KEPT, "per_block", "per_sample", "keyed"],
        ),
        row_of_module(
            layer_norm_map,
            name="LayerNormMap",
            twin=lambda key, block: torch.nn.LayerNorm((len(block.properties),)),
            maps=OF_TYPES,
            traits=[*KEPT, "per_block", "per_sample", "keyed"],
        ),
        row_of_module(
            scaler,
            name="BaseScaler",
            call=lambda module, x: module([], {"energy": x}, False, True, True)["energy"],
            maps={"sample_names": st.just(("system",))},
            traits=[*KEPT, "keeps_properties", "per_block", "per_sample", "linear"],
        ),
        row_of_module(
            unfitted_scaler,
            name="BaseScaler.accumulate",
            call=fitted_scales,
            maps={"sample_names": st.just(("system",)), "keys": OF_TYPES["keys"]},
            traits=["keeps_keys", "keeps_properties", "pure", "deterministic", "leaves_out_gradients"],
        ),
        row_of_function(
            sum_over_atoms,
            traits=["keeps_keys", "keeps_components", "keeps_properties", "pure", aggregates("atom")],
            inputs=tensor_maps(samples=systems_and_atoms()),
        ),
        row_of_function(
            squared_error, given={"target": like}, traits=["matches_labels", "deterministic", "pure"]
        ),
        row_of_function(
            absolute_error, given={"target": like}, traits=["matches_labels", "deterministic", "pure"]
        ),
    )
    known = (
        *MetatensorTorch.known,
        Known(
            law="a_call_in_another_dtype_leaves_no_trace",
            rows=("BaseScaler",),
            when=lambda recipe, x: x.dtype == torch.float64,
            example=lambda name: of_row(name).example(ones(torch.float64)),
            reason="BaseScaler keeps its scales in the dtype of the last call: one in float32 loses "
            "their precision for good [torch]",
        ),
        Known(
            law="what_is_no_number_stays",
            rows=("BaseScaler.accumulate",),
            when=lambda recipe, x: any(bool(block.values.isnan().any()) for block in x),
            example=lambda name: of_row(name).example(ones(torch.float32, value=torch.nan)),
            reason="BaseScaler.accumulate makes zeros of the NaN of the targets in place: what was "
            "missing in them is a number afterwards [torch]",
        ),
        Known(
            law="splitting_by_the_rest_commutes",
            rows=("sum_over_atoms",),
            when=lambda recipe, x: True,
            draws=lambda drawn: 0 not in [system for (system,) in drawn["some"]],
            example=lambda name: of_row(name).example(atoms(2), {"some": [(1,)]}),
            reason="sum_over_atoms gives all systems up to the last: those without atoms, too, which "
            "metatensor.torch.sum_over_samples, for which it stands, leaves out [doc]",
        ),
        Known(
            law="explicit_gradients_are_not_left_out",
            rows=("sum_over_atoms",),
            when=lambda recipe, x: True,
            example=lambda name: of_row(name).example(atoms(1, gradient=True)),
            reason="sum_over_atoms leaves out explicit gradients: without a word, where "
            "metatensor.torch.sum_over_samples sums them [doc]",
        ),
        *(
            Known(
                law=law,
                rows=("squared_error", "absolute_error"),
                when=lambda recipe, x: True,
                example=example,
                reason="losses compare samples by position: their labels are never looked at [doc]",
            )
            for law, example in (
                (
                    "samples_of_one_input_are_found_by_their_labels",
                    lambda name: of_loss(name, {"order_0": [1, 0]}),
                ),
                ("other_samples_in_one_input_are_refused", lambda name: of_loss(name, {"block": 0})),
            )
        ),
    )


def of_row(name: str):
    """The row of this name."""
    return next(row for row in Metatrain.rows if row.name == name)


def ones(dtype: torch.dtype, value: float = 1.0) -> tmref.TensorMap:
    """A map of one value."""
    values = torch.full((1, 1), value, dtype=dtype)
    block = tmref.TensorBlock(values, Labels.range("system", 1), [], Labels.range("n", 1))
    return tmref.TensorMap(Labels("center_type", torch.tensor([[1]])), [block])


def atoms(systems: int, gradient: bool = False) -> tmref.TensorMap:
    """A map of systems of one atom each."""
    samples = Labels(["system", "atom"], torch.tensor([[i, 0] for i in range(systems)]))
    block = tmref.TensorBlock(torch.ones(systems, 1), samples, [], Labels.range("n", 1))
    if gradient:
        rows = Labels.range("sample", 1), [], Labels.range("n", 1)
        block.add_gradient("positions", tmref.TensorBlock(torch.ones(1, 1), *rows))
    return tmref.TensorMap(Labels.range("key", 1), [block])


def of_loss(name: str, draws: dict) -> Example:
    """Two maps of two samples, which differ in one of them."""
    blocks = [
        tmref.TensorBlock(values, Labels.range("system", 2), [], Labels.range("n", 1))
        for values in (torch.tensor([[1.0], [0.0]]), torch.tensor([[1.0], [0.0]]))
    ]
    x, target = (tmref.TensorMap(Labels.range("key", 1), [block]) for block in blocks)
    return of_row(name).example(x, draws, target=target)


implementation = Metatrain()
