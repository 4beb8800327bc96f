"""What a kind is: all that the catalog knows of the modules of one class.

What there is to know of a class stands in its file in :mod:`kinds`; recipes, strategies, refusals, laws,
tolerance and benchmarks ask the kind, and nobody else knows a class by its name.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from ..labels import Labels
from ..printing import PrintedAsSource
from .calls import Call

#: The prefixes of classes that treat invariant and covariant keys differently.
_BY_INVARIANCE = ("Invariant", "Equivariant")


@dataclass(frozen=True)
class ArgumentStyle:
    """How the arguments of a layer are written: sizes once, or as a list; and what is left out."""

    in_features_once: bool = True
    out_features_once: bool = True
    out_features: bool = True
    dtype: bool = True


#: The ways to write the arguments of what is told sizes.
STYLES = tuple(itertools.starmap(ArgumentStyle, itertools.product([True, False], repeat=4)))


@dataclass(frozen=True)
class Parts:
    """What a module is made of, for every one of ``keys``: its ``widths`` (the features before, between
    and after the layers), the ``parameters`` of each layer, whether it is ``invariant``, and the
    out_properties (None for the default).

    ``in_keys`` are the same keys in the order that the module is given, ``orders`` those of its layers,
    ``styles`` how their arguments are written; ``invariant_keys`` is None to leave the argument out.
    """

    keys: Labels
    dtype: torch.dtype
    widths: Sequence[Sequence[int]]
    parameters: Sequence[Sequence[tuple[torch.Tensor, ...]]]
    invariant: Sequence[bool]
    in_keys: Labels
    orders: Sequence[Labels]
    styles: Sequence[ArgumentStyle]
    properties: Sequence[Labels] | None = None
    invariant_keys: Labels | None = None

    def ordered(self, items: Sequence[Any], order: Labels) -> list[Any]:
        """What is given for every key, in another order of the keys."""
        positions = self.keys._position_of_entry()
        return [items[positions[entry]] for entry in order._entries()]

    def of_keys(self) -> list[tuple[Sequence[int], torch.dtype, tuple[torch.Tensor, ...], bool]]:
        """What :meth:`Kind.twin` takes, for every key."""
        flat = [tuple(itertools.chain.from_iterable(of_key)) for of_key in self.parameters]
        return [
            (widths, self.dtype, parameters, invariant)
            for widths, parameters, invariant in zip(self.widths, flat, self.invariant, strict=True)
        ]

    def given(self, order: Labels, *, by_invariance: bool, last: bool = True) -> dict[str, Any]:
        """The arguments that every module may have: ``invariant_keys`` and ``out_properties``."""
        given: dict[str, Any] = {}
        if by_invariance and self.invariant_keys is not None:
            given["invariant_keys"] = self.invariant_keys
        if last and self.properties is not None:
            given["out_properties"] = self.ordered(self.properties, order)
        return given


@dataclass(frozen=True, repr=False)
class Kind(PrintedAsSource):
    """The class ``name`` of an implementation's nn, with fixed ``options``.

    Of a kind that says nothing more, no more is known: neither arguments nor a twin.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    #: Whether it is a type of data, or modules in general.
    is_data: ClassVar[bool] = False
    #: Whether it is told the number of features before it, ``in_features``, and the dtype of parameters;
    sized: ClassVar[bool] = False
    #: that after it, too: by ``out_features``, ``out_properties`` or both, which can be another one.
    resizes: ClassVar[bool] = False
    #: Whether values of another number of features than it was told are refused.
    checks_sizes: ClassVar[bool] = True
    #: The arguments that make no difference to it.
    unused: ClassVar[frozenset[str]] = frozenset()
    #: Whether it changes the values of covariant keys by a factor only, so that layers keep the sizes.
    keeps_sizes: ClassVar[bool] = False
    #: Whether its layers are modules on maps, each with keys of its own.
    composes: ClassVar[bool] = False
    #: Where in_keys, and the list of torch's modules, stand among the arguments; None for by name, or
    #: for no such argument.
    keys_at: ClassVar[int | None] = None
    modules_at: ClassVar[int | None] = None
    #: Whether a document says that there are as many modules as keys.
    says_how_many_modules: ClassVar[bool] = False
    #: Options that are refused where their type is another one, each with the source that says so.
    typed: ClassVar[Mapping[str, str]] = {}
    #: Options that mean what they mean for the twin, which has them, too, with values for laws to try.
    shared: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    @property
    def base(self) -> str:
        """The name without its prefix: what it is for invariant keys."""
        return self.name.removeprefix("Invariant").removeprefix("Equivariant")

    @property
    def family(self) -> str:
        """What kinds have in common that share their code."""
        return self.base

    @property
    def by_invariance(self) -> bool:
        """Whether it does something else for covariant keys, and takes ``invariant_keys``."""
        return self.name.startswith(_BY_INVARIANCE)

    @property
    def sizes_of_invariant(self) -> bool:
        """Whether sizes are those of invariant keys alone, so that a list of them is not clear."""
        return False

    @property
    def exact(self) -> bool:
        """Whether its arithmetic is exact where the sums fit in the mantissa: sums and products only."""
        return False

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that it is made of, one after the other; none where nothing is known."""
        return ()

    @property
    def modules(self) -> tuple[Kind, ...]:
        """The modules on maps that it is made of: itself, or its layers where it ``composes``."""
        return (self,)

    @property
    def styles(self) -> tuple[ArgumentStyle, ...]:
        """The ways to write its arguments."""
        return STYLES if self.sized else (ArgumentStyle(),)

    def calls(self, call: Call) -> list[Call]:
        """The calls of its ``modules`` within its own."""
        return [call]

    def with_call(self, call: Call, i: int, changed: Any) -> Any:
        """Its call with another one for the ``i``-th of its ``modules``."""
        return changed

    def parameter_shapes(
        self, before: int, after: int, invariant: bool = True
    ) -> tuple[tuple[int, ...], ...]:
        """The shapes of its own parameters for one key, in their order."""
        return ()

    def call(self, parts: Parts) -> Call:
        """The call that makes it."""
        raise NotImplementedError(f"nobody says which arguments {self.name} has")

    def twin(
        self,
        widths: Sequence[int],
        dtype: torch.dtype,
        parameters: tuple[torch.Tensor, ...],
        invariant: bool = True,
    ) -> Call:
        """The plain torch module of one key, with the features ``widths`` before, between and after its
        layers."""
        raise NotImplementedError(f"nobody says what {self.name} does")

    def bounds(
        self, module: torch.nn.Module, x: torch.Tensor, terms: torch.Tensor, least: float = 0.0
    ) -> list[torch.Tensor]:
        """Upper bounds of the magnitude of the terms that are summed, after each layer of the twin
        ``module`` of one key, for values ``x`` that are sums of ``terms``.

        Multiplied by eps, they bound how far rounding carries. For derivatives ``least`` is 1: the
        magnitude that factors count for at least, since a derivative has all factors but one.

        Where nothing is known of the module, they are the outputs of its parts for absolute values and
        parameters.
        """
        found: list[torch.Tensor] = []
        signed = [parameter.detach().clone() for parameter in module.parameters()]
        hooks = [
            part.register_forward_hook(lambda part, given, output: found.append(output))
            for part in module.modules()
        ]
        with torch.no_grad():
            try:
                for parameter in module.parameters():
                    parameter.abs_()
                module(terms.clamp(min=least))
            finally:
                for parameter, values in zip(module.parameters(), signed, strict=True):
                    parameter.copy_(values)
                for hook in hooks:
                    hook.remove()
        return [output.abs() for output in found if isinstance(output, torch.Tensor)]


@dataclass(frozen=True, repr=False)
class Data(Kind):
    """A type of data, or modules in general: no module of the catalog."""

    is_data: ClassVar[bool] = True


@dataclass(frozen=True, repr=False)
class Layer(Kind):
    """A class that is made for maps by its keys, and does one thing to the values of a block."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        return (self,)

    def plain(self, before: int, after: int, dtype: torch.dtype, invariant: bool) -> Call:
        """The layer in plain torch, for one key."""
        raise NotImplementedError(f"nobody says what {self.name} does")

    def sizes(self, parts: Parts, i: int) -> dict[str, Any]:
        """The arguments that say the sizes, where it is the ``i``-th layer, and the dtype."""
        if not self.sized:
            return {}
        style, order = parts.styles[i], parts.orders[i]
        widths = parts.ordered(parts.widths, order)
        once = style.in_features_once or self.sizes_of_invariant
        sizes: dict[str, Any] = {"in_features": once_or_each([w[i] for w in widths], once)}
        is_last = i == len(parts.orders) - 1
        if self.resizes and (parts.properties is None or not is_last or style.out_features):
            after = [w[i + 1] for w in widths]
            sizes["out_features"] = once_or_each(after, style.out_features_once)
        if parts.dtype != torch.get_default_dtype() or style.dtype:
            sizes["dtype"] = parts.dtype
        return sizes

    def call_at(self, parts: Parts, i: int) -> Call:
        """The call that makes it, where it is the ``i``-th layer."""
        order = parts.orders[i]
        last = i == len(parts.orders) - 1
        kwargs = {"in_keys": order, **self.sizes(parts, i), **self.options}
        kwargs |= parts.given(order, by_invariance=self.by_invariance, last=last)
        of_keys = parts.ordered(parts.parameters, order)
        parameters = tuple(itertools.chain.from_iterable(of_key[i] for of_key in of_keys))
        return Call(self.name, (), kwargs, parameters)

    def call(self, parts: Parts) -> Call:
        return self.call_at(parts, 0)

    def twin(
        self,
        widths: Sequence[int],
        dtype: torch.dtype,
        parameters: tuple[torch.Tensor, ...],
        invariant: bool = True,
    ) -> Call:
        return one_after_the_other(self.layers, widths, dtype, parameters, invariant)


@dataclass(frozen=True, repr=False)
class Composite(Kind):
    """A class that is made of layers."""

    of: tuple[Layer, ...] = ()

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.of

    @property
    def exact(self) -> bool:
        return not self.keeps_sizes and all(layer.exact for layer in self.of)

    def twin(
        self,
        widths: Sequence[int],
        dtype: torch.dtype,
        parameters: tuple[torch.Tensor, ...],
        invariant: bool = True,
    ) -> Call:
        return one_after_the_other(self.of, widths, dtype, parameters, invariant)

    def bounds(
        self, module: torch.nn.Module, x: torch.Tensor, terms: torch.Tensor, least: float = 0.0
    ) -> list[torch.Tensor]:
        # a single layer is not within a Sequential, unless one was asked for
        parts = list(module) if isinstance(module, torch.nn.Sequential) else [module]
        found: list[torch.Tensor] = []
        for layer, part in zip(self.of, parts, strict=True):
            found += layer.bounds(part, x, terms, least)
            x, terms = part(x), found[-1]
        return found


#: The twin of what leaves the values of a key alone.
IDENTITY = Call("torch.nn.Identity")


def with_options(call: Call, options: Mapping[str, Any], without: str = "") -> Call:
    """The call of a module or of a twin with other options, where it is of something that has any."""
    if call.name == IDENTITY.name:
        return call
    kwargs = {name: value for name, value in call.kwargs.items() if name != without}
    return dataclasses.replace(call, kwargs={**kwargs, **options})


def one_after_the_other(
    layers: Sequence[Layer],
    widths: Sequence[int],
    dtype: torch.dtype,
    parameters: tuple[torch.Tensor, ...],
    invariant: bool,
    *,
    always: bool = False,
) -> Call:
    """Layers in plain torch: in a torch.nn.Sequential where there are several, or ``always``."""
    sizes = zip(layers, widths, widths[1:], strict=False)
    calls = tuple(layer.plain(before, after, dtype, invariant) for layer, before, after in sizes)
    if len(calls) == 1 and not always:
        return dataclasses.replace(calls[0], parameters=parameters)
    return Call("torch.nn.Sequential", calls, {}, parameters)


def once_or_each(values: list[int], once: bool) -> int | list[int]:
    """How sizes are written: once, where this is asked for and they are all the same, or as a list."""
    if not values:
        return 1
    return values[0] if once and len(set(values)) == 1 else values
