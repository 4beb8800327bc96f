"""The catalog: a row for every module and option that is judged, its twin in plain torch, its traits."""

from __future__ import annotations

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
    "deterministic": "one input gives one output: a forward draws no random numbers and changes no state",
    "seeded": "the initial parameters are those that torch.nn.Linear draws for one key after the other",
}


@dataclass(frozen=True)
class Call:
    """A call that is not yet made: ``name(*args, **kwargs)``.

    The name is one of torch's (``torch.nn.Linear``) or else one of the ``nn`` of an implementation.
    Arguments are numbers, dtypes, labels, maps, further calls, and lists of them; one that is left
    out stays left out.
    """

    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def make(self, nn: Any = None, convert: Any = lambda value: value) -> Any:
        """Make the call, with ``nn`` for the names that aren't torch's and labels and maps converted."""

        def made(value: Any) -> Any:
            if isinstance(value, Call):
                return value.make(nn, convert)
            if isinstance(value, (list, tuple)):
                return type(value)(made(v) for v in value)
            return convert(value)

        torch_name = self.name.removeprefix("torch.nn.")
        owner = nn if torch_name == self.name else torch.nn
        kwargs = {name: made(value) for name, value in self.kwargs.items()}
        return getattr(owner, torch_name)(*map(made, self.args), **kwargs)


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

    def parameter_shapes(self, in_features: int, out_features: int) -> dict[str, tuple[int, ...]]:
        """The shapes of the layer's parameters, by name."""
        if not self.resizes:
            return {}
        shapes: dict[str, tuple[int, ...]] = {"weight": (out_features, in_features)}
        if self.options.get("bias", True):
            shapes["bias"] = (out_features,)
        return shapes


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

    def twin(self, widths: Sequence[int], dtype: torch.dtype) -> Call:
        """The plain torch module with the features ``widths`` before, between and after its layers."""
        calls = [
            layer.twin(before, after, dtype)
            for layer, before, after in zip(self.layers, widths, widths[1:], strict=False)
        ]
        return Call("torch.nn.Sequential", tuple(calls)) if self._nested else calls[0]

    def parameter_shapes(self, widths: Sequence[int]) -> dict[str, tuple[int, ...]]:
        """The shapes of the twin's parameters, by name."""
        return {
            (f"{i}.{name}" if self._nested else name): shape
            for i, layer in enumerate(self.layers)
            for name, shape in layer.parameter_shapes(widths[i], widths[i + 1]).items()
        }

    @property
    def _nested(self) -> bool:
        return len(self.layers) > 1 or self.module == "Sequential"


@dataclass(frozen=True)
class Recipe:
    """How a module is made, not yet made.

    ``call`` makes it. ``twins`` make the plain torch module of every key of ``in_keys`` (None where
    there is no twin) and ``properties`` are what each block of the output must have (None where nobody
    knows). ``parameters`` go by the names that they have in a ``torch.nn.ModuleList`` of the twins;
    None leaves the initial ones, drawn after ``torch.manual_seed(seed)``.
    """

    row: Row
    call: Call
    in_keys: Labels
    twins: tuple[Call, ...] | None
    properties: tuple[Labels, ...] | None
    parameters: Mapping[str, torch.Tensor] | None = None
    seed: int = 0


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
    _row("sequential_linear", "Sequential", [_NO_BIAS, _LINEAR], "linear"),
    _row("sequential_tanh", "Sequential", [_TANH, _LINEAR]),
    _row("sequential_mlp", "Sequential", [_LINEAR, _RELU, _LINEAR]),
)
