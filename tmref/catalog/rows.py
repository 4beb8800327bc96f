"""The rows: every module and option that is judged, its layers and its traits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..printing import PrintedAsSource
from .calls import Call
from .layers import Layer


@dataclass(frozen=True, repr=False)
class Row(PrintedAsSource):
    """One line of the catalog: the module ``module`` of an implementation's nn, made of layers.

    ``traits`` are names out of :data:`TRAITS`; ``maps`` are options of
    :func:`tmref.strategies.tensor_maps` for the maps that the module takes.
    """

    name: str
    module: str
    layers: tuple[Layer, ...]
    traits: frozenset[str]
    maps: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"row({self.name!r})" if self in ROWS else super().__repr__()

    @property
    def is_data(self) -> bool:
        """Whether it is about a type of data, or about modules in general, and none of the catalog."""
        return self in DATA

    @property
    def exact(self) -> bool:
        """Whether its arithmetic is exact where the sums fit in the mantissa: sums and products only."""
        kinds = {layer.kind for layer in self.layers}
        return bool(kinds) and kinds <= {"Linear", "ReLU"} and not self.keeps_sizes

    @property
    def by_invariance(self) -> bool:
        """Whether it treats invariant and covariant keys differently."""
        return self.keeps_sizes or any(layer.by_invariance for layer in self.layers)

    @property
    def keeps_sizes(self) -> bool:
        """Whether its layers can't change the number of features: a factor for the values can't."""
        return self.module == "EquivariantTransformation"

    def twin(
        self,
        widths: Sequence[int],
        dtype: torch.dtype,
        parameters: tuple[torch.Tensor, ...],
        invariant: bool = True,
    ) -> Call:
        """The plain torch module of one key, with the features ``widths`` before, between and after its
        layers."""
        call = self.inner(widths, dtype, parameters, invariant)
        if self.keeps_sizes and not invariant:
            return Call("twins.Covariant", (call,))
        return call

    def inner(
        self,
        widths: Sequence[int],
        dtype: torch.dtype,
        parameters: tuple[torch.Tensor, ...],
        invariant: bool = True,
    ) -> Call:
        """The layers of one key in plain torch, one after the other."""
        calls = tuple(
            layer.twin(before, after, dtype, invariant)
            for layer, before, after in zip(self.layers, widths, widths[1:], strict=False)
        )
        if len(calls) == 1 and self.module != "Sequential":
            return dataclasses.replace(calls[0], parameters=parameters)
        return Call("torch.nn.Sequential", calls, {}, parameters)


_ANY_MODULE_MAP = {
    "keeps_keys",
    "keeps_samples",
    "keeps_components",
    "pure",
    "per_block",
    "per_sample",
    "keyed",
    "deterministic",
}


def _row(
    name: str,
    module: str,
    layers: Sequence[Layer],
    *traits: str,
    but: str = "",
    maps: Mapping[str, Any] | None = None,
) -> Row:
    """A row with the traits of any ModuleMap, ``but`` one, and equivariant where all of it goes by
    invariance."""
    made = Row(name, module, tuple(layers), frozenset({*_ANY_MODULE_MAP, *traits}) - {but}, maps or {})
    if made.keeps_sizes or all(layer.by_invariance for layer in layers):
        return dataclasses.replace(made, traits=made.traits | {"equivariant"})
    return made


_LINEAR, _RELU, _SILU, _TANH = Layer("Linear"), Layer("ReLU"), Layer("SiLU"), Layer("Tanh")


_NO_BIAS = Layer("Linear", {"bias": False})


_EQUIVARIANT, _LAYER_NORM = Layer("EquivariantLinear"), Layer("LayerNorm")


#: What layer norms have besides.
_NORM = ("seeded", "sized", "normalised")


#: Maps of spherical tensors, and those where all blocks have as many properties.
_SPHERICAL: Mapping[str, Any] = {"spherical": True}


_OF_ONE_WIDTH: Mapping[str, Any] = {"spherical": True, "one_width": True}


#: Every row that is judged.
ROWS: tuple[Row, ...] = (
    _row("linear", "Linear", [_LINEAR], "linear", "seeded", "sized"),
    _row("linear_no_bias", "Linear", [_NO_BIAS], "linear", "seeded", "sized"),
    _row(
        "equivariant_linear",
        "EquivariantLinear",
        [_EQUIVARIANT],
        "linear",
        "seeded",
        "sized",
        maps=_SPHERICAL,
    ),
    _row("relu", "ReLU", [_RELU], "pointwise", "may_overwrite"),
    _row("silu", "SiLU", [_SILU], "pointwise", "may_overwrite"),
    _row("silu_in_place", "SiLU", [Layer("SiLU", {"in_place": True})], "pointwise", but="pure"),
    _row("tanh", "Tanh", [_TANH], "pointwise"),
    _row(
        "invariant_relu",
        "InvariantReLU",
        [Layer("InvariantReLU")],
        "pointwise",
        "may_overwrite",
        maps=_SPHERICAL,
    ),
    _row(
        "invariant_silu",
        "InvariantSiLU",
        [Layer("InvariantSiLU")],
        "pointwise",
        "may_overwrite",
        maps=_SPHERICAL,
    ),
    _row("invariant_tanh", "InvariantTanh", [Layer("InvariantTanh")], "pointwise", maps=_SPHERICAL),
    _row("layer_norm", "LayerNorm", [_LAYER_NORM], *_NORM),
    _row("layer_norm_no_bias", "LayerNorm", [Layer("LayerNorm", {"bias": False})], *_NORM),
    _row(
        "layer_norm_no_affine", "LayerNorm", [Layer("LayerNorm", {"elementwise_affine": False})], *_NORM
    ),
    _row("layer_norm_no_mean", "LayerNorm", [Layer("LayerNorm", {"mean": False})], *_NORM),
    _row(
        "invariant_layer_norm",
        "InvariantLayerNorm",
        [Layer("InvariantLayerNorm")],
        *_NORM,
        maps=_OF_ONE_WIDTH,
    ),
    _row("equivariant_tanh", "EquivariantTransformation", [_TANH], maps=_SPHERICAL),
    _row("equivariant_mlp", "EquivariantTransformation", [_LINEAR, _TANH], maps=_SPHERICAL),
    _row("module_map_linear", "ModuleMap", [_LINEAR], "linear"),
    _row("module_map_tanh", "ModuleMap", [_TANH], "pointwise"),
    _row("module_map_mlp", "ModuleMap", [_LINEAR, _SILU, _LINEAR]),
    _row("sequential_linear", "Sequential", [_NO_BIAS, _LINEAR], "linear", "composed"),
    _row("sequential_tanh", "Sequential", [_TANH, _LINEAR], "composed"),
    _row("sequential_mlp", "Sequential", [_LINEAR, _RELU, _LINEAR], "composed"),
    _row("sequential_layer_norm", "Sequential", [_LAYER_NORM, _LINEAR, _TANH], "composed"),
    _row(
        "sequential_equivariant",
        "Sequential",
        [_EQUIVARIANT, Layer("InvariantSiLU"), _EQUIVARIANT],
        "composed",
        maps=_SPHERICAL,
    ),
)


#: What laws of data are about; ``tmref check`` shows them as rows, too.
DATA: tuple[Row, ...] = tuple(
    Row(name, module, (), frozenset({name}))
    for name, module in (
        ("labels", "Labels"),
        ("tensor_block", "TensorBlock"),
        ("tensor_map", "TensorMap"),
        ("any_module", "Module"),
        ("any_module_map", "ModuleMap"),
    )
)


def rows_like(row: Row) -> list[Row]:
    """The rows whose modules share their code with the row's, and itself: those of one class, for
    invariant keys alone or for all, and all activations."""

    def shared(of: Row) -> str:
        name = of.module.removeprefix("Invariant").removeprefix("Equivariant")
        return "activation" if name in ("ReLU", "SiLU", "Tanh") else name

    return [like for like in ROWS if shared(like) == shared(row)] or [row]


def row(name: str) -> Row:
    """The row of this name. Raises ValueError where there is none."""
    for of_name in ROWS:
        if of_name.name == name:
            return of_name
    raise ValueError(f"there is no row {name!r}; there are {', '.join(row.name for row in ROWS)}")
