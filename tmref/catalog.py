"""The catalog: a row for every module and option that is judged, its twin in plain torch, its traits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from . import twins
from .labels import Labels
from .nn._arguments import which_are_invariant
from .printing import PrintedAsSource

#: What a row, or a module of one's own, can promise. Laws name traits, never classes.
TRAITS: dict[str, str] = {
    "keeps_keys": "the keys of the input are the keys of the output, in order",
    "keeps_samples": "every block keeps its samples",
    "keeps_components": "every block keeps its components",
    "pure": "a forward leaves its input as it was",
    "per_block": "the output of a block depends on that block alone",
    "per_sample": "the output of a sample depends on that sample alone",
    "keyed": "every key has a module of its own, and other keys have none",
    "linear": "linear up to a bias: f(ax + by) - f(0) = a(f(x) - f(0)) + b(f(y) - f(0))",
    "pointwise": "every value of the output depends on the one value in its place",
    "deterministic": "one input gives one output: no random numbers, no state that a forward changes",
    "equivariant": "the output for a rotated map of spherical tensors is the rotated output",
    "composed": "the layers it is given are applied one after the other",
    "seeded": "the initial parameters are those of torch's modules, made for one key after the other",
    "sized": "it is told the number of features, and the dtype and the device of its parameters",
    "normalised": "the values of every sample are divided by their standard deviation",
    "may_overwrite": "it can be told to overwrite the values of its input",
}


@dataclass(frozen=True, repr=False)
class Call(PrintedAsSource):
    """A call that is not yet made: ``name(*args, **kwargs)``.

    The name is one of torch's (``torch.nn.Linear``), one of :mod:`tmref.twins` (``twins.LayerNorm``),
    one of an implementation's constructors of data (``Labels``, ``TensorBlock``, ``TensorMap``), or
    else one of its ``nn``; ``add_gradient(block, parameter, gradient)`` is the block with that gradient.
    Arguments are numbers, dtypes, tensors, labels, blocks, maps, further calls, and lists of them; one
    that is left out stays left out. ``parameters`` are what the module's are set to, in its own order;
    None leaves the initial ones.
    """

    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[torch.Tensor, ...] | None = None

    @property
    def is_torch(self) -> bool:
        """Whether it is a module of plain torch that is made."""
        return self.name.startswith(("torch.nn.", "twins."))

    def __call__(self) -> torch.nn.Module:
        """Make the module, where it is plain torch."""
        return make_torch(self)

    def with_initial_parameters(self) -> Call:
        """The same call, and the calls in its arguments, with no parameters set."""

        def initial(arg: Any) -> Any:
            if isinstance(arg, list):
                return [initial(item) for item in arg]
            return arg.with_initial_parameters() if isinstance(arg, Call) else arg

        return dataclasses.replace(self, args=tuple(map(initial, self.args)), parameters=None)

    def with_arguments(self, change: Callable[[str, Any], Any]) -> Call:
        """The same call, and the calls that it takes, with ``change(name, value)`` in the place of every
        other argument. Labels by position are named ``in_keys``, what else is has an empty name."""

        def changed(name: str, value: Any) -> Any:
            return value.with_arguments(change) if isinstance(value, Call) else change(name, value)

        args = tuple(changed("in_keys" if isinstance(a, Labels) else "", a) for a in self.args)
        kwargs = {name: changed(name, value) for name, value in self.kwargs.items()}
        return dataclasses.replace(self, args=args, kwargs=kwargs)


@dataclass(frozen=True, repr=False)
class Later(PrintedAsSource):
    """A function without arguments that makes a call: what is invalid has a name before it is made."""

    call: Call


def make_torch(call: Call) -> torch.nn.Module:
    """Make a call of plain torch, and set its parameters."""
    args = [make_torch(arg) if isinstance(arg, Call) else arg for arg in call.args]
    home = torch.nn if call.name.startswith("torch.nn.") else twins
    module: torch.nn.Module = getattr(home, call.name.rpartition(".")[2])(*args, **call.kwargs)
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


#: The prefixes of layers that treat invariant and covariant keys differently.
_BY_INVARIANCE = ("Invariant", "Equivariant")


@dataclass(frozen=True)
class Layer:
    """One layer of an implementation's nn, with fixed options and sizes still open."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What it is for invariant keys: the name without its prefix."""
        return self.name.removeprefix("Invariant").removeprefix("Equivariant")

    @property
    def by_invariance(self) -> bool:
        """Whether it does something else for covariant keys."""
        return self.name.startswith(_BY_INVARIANCE)

    @property
    def sized(self) -> bool:
        """Whether it is told the number of features."""
        return self.kind in ("Linear", "LayerNorm")

    @property
    def resizes(self) -> bool:
        """Whether the number of features can change."""
        return self.kind == "Linear"

    def twin(self, in_features: int, out_features: int, dtype: torch.dtype, invariant: bool) -> Call:
        """The layer in plain torch, for one key."""
        if self.kind == "Linear":
            options = self.options if invariant or not self.by_invariance else {"bias": False}
            return Call("torch.nn.Linear", (in_features, out_features), {**options, "dtype": dtype})
        if self.by_invariance and not invariant:
            return Call("torch.nn.Identity")
        if self.kind == "LayerNorm":
            return Call("twins.LayerNorm", (in_features,), {**self.options, "dtype": dtype})
        return Call(f"torch.nn.{self.kind}")

    def parameter_shapes(
        self, in_features: int, out_features: int, invariant: bool = True
    ) -> tuple[tuple[int, ...], ...]:
        """The shapes of the layer's parameters for one key, in its order."""
        is_whole = invariant or not self.by_invariance
        has_bias = is_whole and self.options.get("bias", True)
        if self.kind == "Linear":
            weight = (out_features, in_features)
            return (weight, (out_features,)) if has_bias else (weight,)
        if self.kind == "LayerNorm" and is_whole and self.options.get("elementwise_affine", True):
            return ((in_features,), (in_features,)) if has_bias else ((in_features,),)
        return ()


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


@dataclass(frozen=True, repr=False)
class Recipe(PrintedAsSource):
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

    @property
    def parts(self) -> list[Any]:
        """What the module of every key is made of, but the numbers: of which classes, and the shapes."""
        return [_part(twin) for twin in self.twins or ()]

    def with_initial_parameters(self, seed: int) -> Recipe:
        """The same module with the parameters that torch draws after this seed."""
        twins = self.twins and tuple(twin.with_initial_parameters() for twin in self.twins)
        call = self.call.with_initial_parameters()
        return dataclasses.replace(self, call=call, twins=twins, seed=seed)


def _part(twin: Call) -> Any:
    shapes = [tuple(p.shape) for p in twin.parameters or ()]
    return twin.name, shapes, [_part(arg) for arg in twin.args if isinstance(arg, Call)]


@dataclass(frozen=True)
class Written:
    """How the arguments of a layer are written: sizes once, or as a list; and what is left out."""

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
    invariant_keys: Labels | None = None,
    written: Sequence[Written] | None = None,
) -> Recipe:
    """The recipe of a module for the ``keys``, each with its ``widths`` (the features before, between
    and after the layers) and ``parameters`` (those of each layer).

    ``in_keys`` are the same keys in the order that the module is given, ``orders`` those of the layers
    of a Sequential, ``properties`` the out_properties of every key (None for the default), and
    ``invariant_keys`` what selects the invariant ones (None to leave the argument out).
    """
    in_keys = keys if in_keys is None else in_keys
    orders = [in_keys] * len(row.layers) if orders is None else orders
    written = [Written()] * len(row.layers) if written is None else written
    of_keys = list(
        zip(
            widths,
            [tuple(p for of_layer in of_key for p in of_layer) for of_key in parameters],
            invariances(row, keys, invariant_keys),
            strict=True,
        )
    )

    def ordered(items: Sequence[Any], order: Labels) -> list[Any]:
        positions = keys._position_of_row()
        return [items[positions[entry]] for entry in order._rows()]

    twins = ordered([row.twin(w, dtype, ps, invariant) for w, ps, invariant in of_keys], in_keys)
    given = {} if properties is None else {"out_properties": ordered(properties, in_keys)}
    selection = {} if invariant_keys is None else {"invariant_keys": invariant_keys}
    if row.module == "ModuleMap":
        call = Call("ModuleMap", (in_keys, twins), given)
    elif row.module == "EquivariantTransformation":
        modules = ordered([row.inner(w, dtype, ps, invariant) for w, ps, invariant in of_keys], in_keys)
        sizes, how = [width[0] for width in ordered(widths, in_keys)], written[0]
        of_sizes = {"in_features": _once_or_each(sizes, how.in_features_once)}
        if properties is None or how.out_features:
            of_sizes["out_features"] = _once_or_each(sizes, how.out_features_once)
        call = Call(row.module, (modules, in_keys), {**of_sizes, **given, **selection})
    else:
        layers = []
        for i, (layer, order, how) in enumerate(zip(row.layers, orders, written, strict=True)):
            labels = None
            if properties is not None and i == len(row.layers) - 1:
                labels = ordered(properties, order)
            before_and_after = [width[i : i + 2] for width in ordered(widths, order)]
            of_layer = tuple(p for of_key in ordered(parameters, order) for p in of_key[i])
            options = selection if layer.by_invariance else {}
            layers.append(
                _layer_call(layer, order, before_and_after, labels, of_layer, dtype, how, options)
            )
        call = Call("Sequential", (in_keys, *layers)) if row.module == "Sequential" else layers[0]
    if properties is None:
        properties = [Labels.range("_", width[-1]) for width in widths]
    return Recipe(row, call, in_keys, tuple(twins), tuple(ordered(properties, in_keys)))


def invariances(row: Row, keys: Labels, invariant_keys: Labels | None) -> list[bool]:
    """Whether a module of the row treats each of the keys as invariant; all where it makes no
    difference."""
    if not row.by_invariance:
        return [True] * len(keys)
    return which_are_invariant(keys, invariant_keys)


def _layer_call(
    layer: Layer,
    in_keys: Labels,
    sizes: Sequence[Sequence[int]],
    properties: list[Labels] | None,
    parameters: tuple[torch.Tensor, ...],
    dtype: torch.dtype,
    written: Written,
    options: Mapping[str, Any],
) -> Call:
    """The call that makes one layer on maps, everything in the order of ``in_keys``."""
    kwargs: dict[str, Any] = {"in_keys": in_keys}
    if layer.sized:
        before, after = [size[0] for size in sizes], [size[1] for size in sizes]
        # documents disagree about what a list has an entry for here, every key or every invariant one
        once = written.in_features_once or layer.name == "InvariantLayerNorm"
        kwargs["in_features"] = _once_or_each(before, once)
        if layer.resizes and (properties is None or written.out_features):
            kwargs["out_features"] = _once_or_each(after, written.out_features_once)
        if dtype != torch.get_default_dtype() or written.dtype:
            kwargs["dtype"] = dtype
    kwargs.update(layer.options)
    kwargs.update(options)
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
