"""The catalog: a row for every module and option that is judged, its twin in plain torch, its traits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from .labels import Labels

#: What a row, or a module of one's own, can promise. Laws name traits, never classes.
TRAITS: dict[str, str] = {
    "keeps_keys": "the keys of the input are the keys of the output, in order",
    "keeps_samples": "every block keeps its samples",
    "keeps_components": "every block keeps its components",
    "per_block": "the output of a block depends on that block alone",
    "per_sample": "the output of a sample depends on that sample alone",
    "keyed": "every key has a module of its own, and other keys have none",
    "linear": "linear up to a bias: f(ax + by) - f(0) = a(f(x) - f(0)) + b(f(y) - f(0))",
    "pointwise": "every value of the output depends on the one value in its place",
    "deterministic": "one input gives one output: no random numbers, no state that a forward changes",
    "composed": "the layers it is given are applied one after the other",
    "seeded": "the initial parameters are those that torch.nn.Linear draws for one key after the other",
}


@dataclass(frozen=True)
class Call:
    """A call that is not yet made: ``name(*args, **kwargs)``.

    The name is one of torch's (``torch.nn.Linear``) or else one of the ``nn`` of an implementation.
    Arguments are numbers, dtypes, labels, maps, further calls, and lists of them; one that is left
    out stays left out. ``parameters`` are what the module's are set to, in its own order; None leaves
    the initial ones.
    """

    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[torch.Tensor, ...] | None = None

    @property
    def is_torch(self) -> bool:
        """Whether it is torch's own module that is made."""
        return self.name.startswith("torch.nn.")

    def __call__(self) -> torch.nn.Module:
        """Make the module, where it is torch's own."""
        return make_torch(self)

    def with_initial_parameters(self) -> Call:
        """The same call, and the calls in its arguments, with no parameters set."""

        def initial(arg: Any) -> Any:
            if isinstance(arg, list):
                return [initial(item) for item in arg]
            return arg.with_initial_parameters() if isinstance(arg, Call) else arg

        return dataclasses.replace(self, args=tuple(map(initial, self.args)), parameters=None)


def make_torch(call: Call) -> torch.nn.Module:
    """Make a call of torch's, and set its parameters."""
    args = [make_torch(arg) if isinstance(arg, Call) else arg for arg in call.args]
    module: torch.nn.Module = getattr(torch.nn, call.name.removeprefix("torch.nn."))(
        *args, **call.kwargs
    )
    if call.parameters is not None:
        set_parameters(list(module.parameters()), call.parameters)
    return module


def set_parameters(parameters: Sequence[torch.nn.Parameter], values: Sequence[torch.Tensor]) -> None:
    """Give parameters their values. Raises ValueError where their number or shapes differ."""
    shapes = [[tuple(v.shape) for v in tensors] for tensors in (parameters, values)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"the module has parameters of the shapes {shapes[0]}, but its twin in plain torch, key "
            f"by key, {shapes[1]}"
        )
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)


@dataclass(frozen=True)
class Layer:
    """One of torch's layers, with fixed options and sizes still open."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def resizes(self) -> bool:
        """Whether the number of features can change."""
        return self.name == "Linear"

    def twin(self, in_features: int, out_features: int, dtype: torch.dtype) -> Call:
        """The layer in plain torch."""
        if not self.resizes:
            return Call(f"torch.nn.{self.name}")
        return Call("torch.nn.Linear", (in_features, out_features), {**self.options, "dtype": dtype})

    def parameter_shapes(self, in_features: int, out_features: int) -> tuple[tuple[int, ...], ...]:
        """The shapes of the layer's parameters, in its order."""
        if not self.resizes:
            return ()
        weight = (out_features, in_features)
        return (weight, (out_features,)) if self.options.get("bias", True) else (weight,)


@dataclass(frozen=True)
class Row:
    """One line of the catalog: the module ``module`` of an implementation's nn, made of torch's layers.

    ``traits`` are names out of :data:`TRAITS`.
    """

    name: str
    module: str
    layers: tuple[Layer, ...]
    traits: frozenset[str]

    @property
    def exact(self) -> bool:
        """Whether its arithmetic is exact where the sums fit in the mantissa: sums and products only."""
        return bool(self.layers) and all(layer.name in ("Linear", "ReLU") for layer in self.layers)

    def twin(
        self, widths: Sequence[int], dtype: torch.dtype, parameters: tuple[torch.Tensor, ...]
    ) -> Call:
        """The plain torch module with the features ``widths`` before, between and after its layers."""
        calls = tuple(
            layer.twin(before, after, dtype)
            for layer, before, after in zip(self.layers, widths, widths[1:], strict=False)
        )
        if len(calls) == 1 and self.module != "Sequential":
            return dataclasses.replace(calls[0], parameters=parameters)
        return Call("torch.nn.Sequential", calls, {}, parameters)


@dataclass(frozen=True)
class Recipe:
    """How a module is made, not yet made.

    ``call`` makes it. ``twins``, when called, make the plain torch module of every key of ``in_keys``,
    with the same parameters (None where there is no twin), and ``properties`` are what each block of
    the output must have (None where nobody knows). Initial parameters are drawn after
    ``torch.manual_seed(seed)``.
    """

    row: Row
    call: Call
    in_keys: Labels
    twins: tuple[Any, ...] | None
    properties: tuple[Labels, ...] | None
    seed: int = 0

    def with_initial_parameters(self, seed: int) -> Recipe:
        """The same module with the parameters that torch draws after this seed."""
        twins = self.twins and tuple(twin.with_initial_parameters() for twin in self.twins)
        call = self.call.with_initial_parameters()
        return dataclasses.replace(self, call=call, twins=twins, seed=seed)


@dataclass(frozen=True)
class Written:
    """How the arguments of a Linear are written: sizes once, or as a list; and what is left out."""

    in_features_once: bool = True
    out_features_once: bool = True
    out_features: bool = True
    dtype: bool = True


def recipe(
    row: Row,
    keys: Labels,
    dtype: torch.dtype,
    widths: Sequence[Sequence[int]],
    parameters: Sequence[Sequence[tuple[torch.Tensor, ...]]],
    *,
    in_keys: Labels | None = None,
    orders: Sequence[Labels] | None = None,
    properties: Sequence[Labels] | None = None,
    written: Sequence[Written] | None = None,
) -> Recipe:
    """The recipe of a module for the ``keys``, each with its ``widths`` (the features before, between
    and after the layers) and ``parameters`` (those of each layer).

    ``in_keys`` are the same keys in the order that the module is given, ``orders`` those of the layers
    of a Sequential, ``properties`` the out_properties of every key (None for the default).
    """
    in_keys = keys if in_keys is None else in_keys
    orders = [in_keys] * len(row.layers) if orders is None else orders
    written = [Written()] * len(row.layers) if written is None else written
    twins = [
        row.twin(width, dtype, tuple(p for of_layer in of_key for p in of_layer))
        for width, of_key in zip(widths, parameters, strict=True)
    ]

    def ordered(items: Sequence[Any], order: Labels) -> list[Any]:
        positions = keys._position_of_row()
        return [items[positions[entry]] for entry in order._rows()]

    layers = []
    for i, (layer, order, how) in enumerate(zip(row.layers, orders, written, strict=True)):
        labels = None
        if properties is not None and i == len(row.layers) - 1:
            labels = ordered(properties, order)
        sizes = [width[i : i + 2] for width in ordered(widths, order)]
        of_layer = tuple(p for of_key in ordered(parameters, order) for p in of_key[i])
        layers.append(_layer_call(layer, order, sizes, labels, of_layer, dtype, how))
    call = layers[0]
    if row.module == "Sequential":
        call = Call("Sequential", (in_keys, *layers))
    if row.module == "ModuleMap":
        kwargs = {} if properties is None else {"out_properties": ordered(properties, in_keys)}
        call = Call("ModuleMap", (in_keys, ordered(twins, in_keys)), kwargs)
    if properties is None:
        properties = [Labels.range("_", width[-1]) for width in widths]
    return Recipe(
        row, call, in_keys, tuple(ordered(twins, in_keys)), tuple(ordered(properties, in_keys))
    )


def _layer_call(
    layer: Layer,
    in_keys: Labels,
    sizes: Sequence[Sequence[int]],
    properties: list[Labels] | None,
    parameters: tuple[torch.Tensor, ...],
    dtype: torch.dtype,
    written: Written,
) -> Call:
    """The call that makes one layer on maps, everything in the order of ``in_keys``."""
    kwargs: dict[str, Any] = {"in_keys": in_keys}
    if layer.resizes:
        before, after = [size[0] for size in sizes], [size[1] for size in sizes]
        kwargs["in_features"] = _once_or_each(before, written.in_features_once)
        if properties is None or written.out_features:
            kwargs["out_features"] = _once_or_each(after, written.out_features_once)
        if dtype != torch.get_default_dtype() or written.dtype:
            kwargs["dtype"] = dtype
        kwargs.update(layer.options)
    if properties is not None:
        kwargs["out_properties"] = properties
    return Call(layer.name, (), kwargs, parameters)


def _once_or_each(values: list[int], once: bool) -> int | list[int]:
    if not values:
        return 1
    return values[0] if once and len(set(values)) == 1 else values


_ANY_MODULE_MAP = {
    "keeps_keys",
    "keeps_samples",
    "keeps_components",
    "per_block",
    "per_sample",
    "keyed",
    "deterministic",
}


def _row(name: str, module: str, layers: Sequence[Layer], *traits: str) -> Row:
    return Row(name, module, tuple(layers), frozenset({*_ANY_MODULE_MAP, *traits}))


_LINEAR, _RELU, _SILU, _TANH = Layer("Linear"), Layer("ReLU"), Layer("SiLU"), Layer("Tanh")
_NO_BIAS = Layer("Linear", {"bias": False})

#: Every row that is judged.
ROWS: tuple[Row, ...] = (
    _row("linear", "Linear", [_LINEAR], "linear", "seeded"),
    _row("linear_no_bias", "Linear", [_NO_BIAS], "linear", "seeded"),
    _row("relu", "ReLU", [_RELU], "pointwise"),
    _row("silu", "SiLU", [_SILU], "pointwise"),
    _row("tanh", "Tanh", [_TANH], "pointwise"),
    _row("module_map_linear", "ModuleMap", [_LINEAR], "linear"),
    _row("module_map_tanh", "ModuleMap", [_TANH], "pointwise"),
    _row("module_map_mlp", "ModuleMap", [_LINEAR, _SILU, _LINEAR]),
    _row("sequential_linear", "Sequential", [_NO_BIAS, _LINEAR], "linear", "composed"),
    _row("sequential_tanh", "Sequential", [_TANH, _LINEAR], "composed"),
    _row("sequential_mlp", "Sequential", [_LINEAR, _RELU, _LINEAR], "composed"),
)
